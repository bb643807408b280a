//! How REST answers: nwaku's plain texts and JSON (`rest_api/endpoint/responses.nim`), and how it reads a request's body.

use std::fmt::Display;

use axum::{
    body::Bytes,
    http::{HeaderMap, HeaderValue, StatusCode, header::CONTENT_TYPE},
    response::{IntoResponse, Response},
};
use serde::{Serialize, de::DeserializeOwned};

/// Why a request is not answered, in words.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Refusal {
    status: StatusCode,
    message: String,
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        text(self.status, self.message)
    }
}

/// What a handler ends with.
pub(super) type Answer = Result<Response, Refusal>;

fn refusal(status: StatusCode, message: impl Display) -> Refusal {
    Refusal {
        status,
        message: message.to_string(),
    }
}

pub(super) fn text(status: StatusCode, message: impl Display) -> Response {
    let mut response = (status, message.to_string()).into_response();
    response
        .headers_mut()
        .insert(CONTENT_TYPE, HeaderValue::from_static("text/plain"));
    response
}

pub(super) fn ok() -> Response {
    text(StatusCode::OK, "OK")
}

pub(super) fn bad_request(message: impl Display) -> Refusal {
    refusal(StatusCode::BAD_REQUEST, message)
}

pub(super) fn not_found(message: impl Display) -> Refusal {
    refusal(StatusCode::NOT_FOUND, message)
}

pub(super) fn internal_error(message: impl Display) -> Refusal {
    refusal(StatusCode::INTERNAL_SERVER_ERROR, message)
}

pub(super) fn unavailable(message: impl Display) -> Refusal {
    refusal(StatusCode::SERVICE_UNAVAILABLE, message)
}

pub(super) fn precondition_failed(message: impl Display) -> Refusal {
    refusal(StatusCode::PRECONDITION_FAILED, message)
}

pub(super) fn too_many(message: impl Display) -> Refusal {
    refusal(StatusCode::TOO_MANY_REQUESTS, message)
}

pub(super) fn json(status: StatusCode, value: &impl Serialize) -> Response {
    match serde_json::to_vec(value) {
        Ok(body) => {
            let mut response = (status, body).into_response();
            response
                .headers_mut()
                .insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
            response
        }
        Err(error) => internal_error(format!("Error building the json response [{error}]")).into_response(),
    }
}

/// Reads a body of JSON. As in nwaku its type may be JSON or plain text.
pub(super) fn body<T: DeserializeOwned>(headers: &HeaderMap, bytes: &Bytes) -> Result<T, Refusal> {
    decode(headers, bytes).map_err(bad_request)
}

/// What is wrong with a request's body, in nwaku's words.
#[derive(Debug, thiserror::Error)]
pub(super) enum BodyError {
    #[error("Missing content body")]
    Missing,
    #[error("Wrong Content-Type, expected application/json or text/plain")]
    Media,
    #[error("Invalid content body, could not decode: {0}")]
    Json(#[from] serde_json::Error),
}

/// The same with the error alone, for endpoints that wrap it.
pub(super) fn decode<T: DeserializeOwned>(headers: &HeaderMap, bytes: &Bytes) -> Result<T, BodyError> {
    if bytes.is_empty() {
        return Err(BodyError::Missing);
    }
    let media = headers
        .get(CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default();
    let media = media.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    if media != "application/json" && media != "text/plain" {
        return Err(BodyError::Media);
    }
    Ok(serde_json::from_slice(bytes)?)
}
