//! Passing a call on to its server.

use anyhow::Result;
use bytes::Bytes;
use futures::StreamExt as _;
use http_body_util::{BodyExt, BodyStream, Full, StreamBody, combinators::UnsyncBoxBody};
use hyper::header::{AUTHORIZATION, CONNECTION, CONTENT_LENGTH, HOST, HeaderValue, TRANSFER_ENCODING};
use hyper::http::request::Parts;
use hyper::{HeaderMap, Response, StatusCode};
use tokio::sync::oneshot;

use crate::door::Server;

/// What the client gets.
pub(crate) type Body = UnsyncBoxBody<Bytes, reqwest::Error>;

/// A whole answer.
#[derive(Clone, Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    headers: HeaderMap,
    body: Bytes,
}

impl Answer {
    /// One that no server gave.
    pub(crate) fn made_up(status: u16, body: String) -> Self {
        let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        Self { status, headers: HeaderMap::new(), body: body.into() }
    }

    /// For the client; `told` hears when its last byte was taken.
    pub(crate) fn send(self, told: Option<oneshot::Sender<()>>) -> Response<Body> {
        let body = Full::new(self.body).map_err(|never| match never {});
        let body = body.map_frame(move |frame| {
            // Dropped with the body, once nobody needs it any more.
            let _until_sent = &told;
            frame
        });
        respond(self.status, self.headers, body.boxed_unsync())
    }
}

fn respond(status: StatusCode, headers: HeaderMap, body: Body) -> Response<Body> {
    let mut response = Response::new(body);
    *response.status_mut() = status;
    *response.headers_mut() = headers;
    response
}

/// Sends a call to the server and gives the whole answer.
pub(crate) async fn whole(server: &Server, parts: &Parts, body: Bytes) -> Result<Answer> {
    let (status, headers, answer) = send(server, parts, body).await?;
    Ok(Answer { status, headers, body: answer.collect().await?.to_bytes() })
}

/// The same with the answer's body as it comes, until it is cut.
pub(crate) async fn stream(
    server: &Server,
    parts: &Parts,
    body: Bytes,
    cut: impl Future<Output = ()> + Send + 'static,
) -> Result<Response<Body>> {
    let (status, headers, answer) = send(server, parts, body).await?;
    let frames = BodyStream::new(answer).take_until(Box::pin(cut));
    Ok(respond(status, headers, StreamBody::new(frames).boxed_unsync()))
}

async fn send(server: &Server, parts: &Parts, body: Bytes) -> Result<(StatusCode, HeaderMap, reqwest::Body)> {
    let path = parts.uri.path_and_query().map_or("/", |path| path.as_str());
    let mut headers = parts.headers.clone();
    // The connection's own, and what is written anew.
    for name in [HOST, CONNECTION, TRANSFER_ENCODING, CONTENT_LENGTH] {
        headers.remove(name);
    }
    if let Some(token) = &server.token {
        headers.insert(AUTHORIZATION, HeaderValue::try_from(format!("Bearer {token}"))?);
    }
    let mut request = server.http.request(parts.method.clone(), format!("{}{path}", server.url)).headers(headers);
    if !body.is_empty() || parts.headers.contains_key(CONTENT_LENGTH) {
        request = request.body(body);
    }
    let (mut head, body) = hyper::Response::<reqwest::Body>::from(request.send().await?).into_parts();
    for name in [CONNECTION, TRANSFER_ENCODING] {
        head.headers.remove(name);
    }
    Ok((head.status, head.headers, body))
}
