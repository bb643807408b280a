//! A node in this process, and a client for its HTTP.

use std::{net::SocketAddr, time::Duration};

use http_body_util::{BodyExt, Full};
use hyper::{Method, Request, StatusCode, body::Bytes, header};
use hyper_util::{client::legacy::Client, rt::TokioExecutor};
use pillarbox_mailserver::config;
use pillarbox_mailserver::config::{Config, Request as Asked};
use pillarbox_mailserver::service::Service;

/// Generous: the machine may be busy with other tests.
pub(crate) const DEADLINE: Duration = Duration::from_secs(60);

/// Flags that make a node reachable by this machine alone, on free ports.
pub(crate) const LOCAL: &str = "--listen-address=127.0.0.1 --tcp-port=0 --nat=none --discv5-discovery=false --cluster-id=16 \
    --rest --rest-port=0 --rest-admin --metrics-server --metrics-server-port=0";

pub(crate) fn config(line: &str) -> Config {
    match config::read(&line.split_whitespace().map(str::to_owned).collect::<Vec<_>>()).unwrap() {
        Asked::Run(config) => *config,
        other => panic!("{other:?}"),
    }
}

/// Starts a node with [`LOCAL`] and more flags, and waits until it listens.
pub(crate) async fn node(more: &str) -> Service {
    let service = Service::start(&config(&format!("{LOCAL} {more}")), Box::new(|_| Ok(())))
        .await
        .unwrap();
    tokio::time::timeout(DEADLINE, service.listening()).await.unwrap();
    service
}

/// An address of the node for others to dial.
pub(crate) fn dial_address(service: &Service) -> String {
    service.node().swarm().status().borrow().listen_addresses[0].to_string()
}

#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) media: String,
    pub(crate) text: String,
}

impl Answer {
    pub(crate) fn json(&self) -> serde_json::Value {
        assert_eq!(self.media, "application/json", "{self:?}");
        serde_json::from_str(&self.text).unwrap()
    }

    /// Status and text of an answer that is not JSON.
    pub(crate) fn plain(&self) -> (u16, &str) {
        assert_eq!(self.media, "text/plain", "{self:?}");
        (self.status.as_u16(), &self.text)
    }
}

pub(crate) async fn request(address: SocketAddr, method: Method, path: &str, body: Option<&str>) -> Answer {
    let mut request = Request::builder().method(method).uri(format!("http://{address}{path}"));
    if body.is_some() {
        request = request.header(header::CONTENT_TYPE, "application/json");
    }
    send(request.body(Full::from(body.unwrap_or_default().to_owned())).unwrap()).await
}

pub(crate) async fn send(request: Request<Full<Bytes>>) -> Answer {
    let client = Client::builder(TokioExecutor::new()).build_http::<Full<Bytes>>();
    let response = tokio::time::timeout(DEADLINE, client.request(request))
        .await
        .unwrap()
        .unwrap();
    let status = response.status();
    let media = response
        .headers()
        .get(header::CONTENT_TYPE)
        .map(|value| value.to_str().unwrap().to_owned());
    let bytes = response.into_body().collect().await.unwrap().to_bytes();
    Answer {
        status,
        media: media.unwrap_or_default(),
        text: String::from_utf8(bytes.to_vec()).unwrap(),
    }
}

/// REST of one node.
pub(crate) struct Rest(pub(crate) SocketAddr);

impl Rest {
    pub(crate) fn of(service: &Service) -> Self {
        Self(service.rest_address().unwrap())
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        request(self.0, Method::GET, path, None).await
    }

    pub(crate) async fn post(&self, path: &str, body: &str) -> Answer {
        request(self.0, Method::POST, path, Some(body)).await
    }

    pub(crate) async fn delete(&self, path: &str, body: &str) -> Answer {
        request(self.0, Method::DELETE, path, Some(body)).await
    }
}

/// Asks again and again until `wanted` is satisfied.
pub(crate) async fn eventually<T, F: Future<Output = T>>(mut ask: impl FnMut() -> F, wanted: impl Fn(&T) -> bool) -> T
where
    T: std::fmt::Debug,
{
    let end = tokio::time::Instant::now() + DEADLINE;
    loop {
        let found = ask().await;
        if wanted(&found) {
            return found;
        }
        assert!(tokio::time::Instant::now() < end, "still {found:?}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}
