//! `GET /info` and `/version`, and their older names under `/debug/v1`.

use std::sync::Arc;

use axum::{extract::State, http::StatusCode, response::Response};
use serde::Serialize;

use super::{answer, api::Api};

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Info {
    listen_addresses: Vec<String>,
    enr_uri: String,
}

pub(super) async fn info(State(api): State<Arc<Api>>) -> Response {
    let enr_uri = api.record().await;
    let status = api.node.swarm().status();
    let status = status.borrow();
    // What others can reach first: that is what an operator hands on.
    let mut addresses: Vec<String> = Vec::new();
    for address in status.external_addresses.iter().chain(&status.listen_addresses) {
        let address = address.to_string();
        if !addresses.contains(&address) {
            addresses.push(address);
        }
    }
    let info = Info {
        listen_addresses: addresses,
        enr_uri,
    };
    answer::json(StatusCode::OK, &info)
}

pub(super) async fn version() -> Response {
    answer::text(StatusCode::OK, concat!("v", env!("CARGO_PKG_VERSION")))
}
