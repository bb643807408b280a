//! Every path and method of nwaku's interface is there, and nothing else is.

use hyper::Method;

use crate::support::{Answer, Rest, node, request};

const GET: Method = Method::GET;
const POST: Method = Method::POST;
const PUT: Method = Method::PUT;
const DELETE: Method = Method::DELETE;

/// nwaku `rest_api/endpoint/*/handlers.nim`, with something in the place of each parameter.
const PATHS: &[(&str, &[Method])] = &[
    ("/health", &[GET]),
    ("/info", &[GET]),
    ("/debug/v1/info", &[GET]),
    ("/version", &[GET]),
    ("/debug/v1/version", &[GET]),
    ("/relay/v1/subscriptions", &[POST, DELETE]),
    ("/relay/v1/messages/%2Fwaku%2F2%2Frs%2F16%2F32", &[GET, POST]),
    ("/relay/v1/auto/subscriptions", &[POST, DELETE]),
    ("/relay/v1/auto/messages/%2Fa%2F1%2Fb%2Fc", &[GET]),
    ("/relay/v1/auto/messages", &[POST]),
    ("/store/v3/messages", &[GET]),
    ("/lightpush/v1/message", &[POST]),
    ("/lightpush/v3/message", &[POST]),
    ("/filter/v2/subscriptions", &[POST, PUT, DELETE]),
    ("/filter/v2/subscriptions/all", &[DELETE]),
    ("/filter/v2/subscriptions/1", &[GET]),
    ("/filter/v2/messages/%2Fa%2F1%2Fb%2Fc", &[GET]),
    ("/admin/v1/peers", &[GET, POST]),
    (
        "/admin/v1/peer/16Uiu2HAmAR24Mbb6VuzoyUiGx42UenDkshENVDj4qnmmbabLvo31",
        &[GET],
    ),
    ("/admin/v1/peers/service", &[GET]),
    ("/admin/v1/peers/connected", &[GET]),
    ("/admin/v1/peers/connected/on/32", &[GET]),
    ("/admin/v1/peers/relay", &[GET]),
    ("/admin/v1/peers/relay/on/32", &[GET]),
    ("/admin/v1/peers/mesh", &[GET]),
    ("/admin/v1/peers/mesh/on/32", &[GET]),
    ("/admin/v1/peers/stats", &[GET]),
    ("/admin/v1/filter/subscriptions", &[GET]),
    ("/admin/v1/log-level/INFO", &[POST]),
    ("/messaging/v1/nothing", &[]),
];

const NOTHING_HERE: (u16, &str) = (404, "Not found: invalid path or method used.");

fn is_missing(answer: &Answer) -> bool {
    answer.media == "text/plain" && answer.plain() == NOTHING_HERE
}

#[tokio::test]
async fn every_path_of_nwakus_takes_its_methods_and_no_others() {
    let service = node("--shard=32 --store=false").await;
    let rest = Rest::of(&service);
    for (path, methods) in PATHS {
        for method in [GET, POST, PUT, DELETE] {
            let answer = request(rest.0, method.clone(), path, None).await;
            assert_eq!(
                !is_missing(&answer),
                methods.contains(&method),
                "{method} {path}: {answer:?}"
            );
        }
    }
    assert!(service.stop().await);
}
