//! Answers before they become HTTP.

use bytes::Bytes;
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full, StreamBody};
use hyper::Response;
use hyper::body::Frame;
use hyper::header::{HeaderName, HeaderValue};
use serde_json::Value;
use std::time::Duration;

use crate::error::ApiError;

/// What can go wrong while a body is sent.
pub type BodyFault = Box<dyn std::error::Error + Send + Sync>;
/// Any body.
pub type Body = UnsyncBoxBody<Bytes, BodyFault>;

/// An answer.
#[derive(Debug)]
pub struct Reply {
    /// HTTP status.
    pub status: u16,
    /// Headers, repeated ones included.
    pub headers: Vec<(String, String)>,
    /// Body.
    pub body: Body,
}

/// A body of known bytes.
pub fn bytes(content: impl Into<Bytes>) -> Body {
    Full::new(content.into()).map_err(|never| match never {}).boxed_unsync()
}

/// A body that is sent byte by byte, with a pause before each.
pub fn slowly(content: Bytes, pause: Duration) -> Body {
    let stream = futures::stream::unfold(content, move |mut rest| async move {
        if rest.is_empty() {
            return None;
        }
        tokio::time::sleep(pause).await;
        let byte = rest.split_to(1);
        Some((Ok::<_, BodyFault>(Frame::data(byte)), rest))
    });
    StreamBody::new(stream).boxed_unsync()
}

impl Reply {
    /// No body.
    pub fn empty(status: u16) -> Self {
        Self { status, headers: Vec::new(), body: bytes(Bytes::new()) }
    }

    /// JSON, with the newline that Harbor's encoder adds.
    pub fn json(status: u16, value: &Value) -> Self {
        Self::typed(status, "application/json", format!("{value}\n"))
    }

    /// Text.
    pub fn text(status: u16, text: impl Into<Bytes>) -> Self {
        Self::typed(status, "text/plain; charset=utf-8", text)
    }

    /// Anything with a Content-Type.
    pub fn typed(status: u16, content_type: &str, content: impl Into<Bytes>) -> Self {
        Self { status, headers: vec![("Content-Type".into(), content_type.into())], body: bytes(content) }
    }

    /// The same with one more header.
    pub fn with(mut self, name: &str, value: impl Into<String>) -> Self {
        self.headers.push((name.into(), value.into()));
        self
    }

    /// As HTTP. A header that HTTP cannot carry is left out.
    pub fn into_response(self) -> Response<Body> {
        let mut response = Response::new(self.body);
        *response.status_mut() = hyper::StatusCode::from_u16(self.status).unwrap_or_default();
        for (name, value) in self.headers {
            if let (Ok(name), Ok(value)) = (HeaderName::try_from(name), HeaderValue::try_from(value)) {
                response.headers_mut().append(name, value);
            }
        }
        response
    }
}

impl From<ApiError> for Reply {
    fn from(error: ApiError) -> Self {
        let body = error.body();
        if body.is_empty() {
            return Self::empty(error.status);
        }
        Self::typed(error.status, "application/json; charset=utf-8", body)
    }
}
