//! Passing calls on to the registry behind `/v2/`, bodies streamed both ways.

use http_body_util::BodyExt;
use hyper::body::Incoming;
use hyper::header::{AUTHORIZATION, CONNECTION, COOKIE, HOST, HeaderValue, LOCATION, TRANSFER_ENCODING};
use hyper::http::request::Parts;
use hyper::{Request, Response, Uri};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;

use super::reply::{Body, BodyFault};

/// The registry that holds the bytes; plain HTTP, without credentials of its own.
#[derive(Debug)]
pub struct Upstream {
    base: String,
    client: Client<HttpConnector, Incoming>,
}

impl Upstream {
    /// The registry at `http://host:port`.
    pub fn new(base: &str) -> Self {
        let client = Client::builder(TokioExecutor::new()).build_http();
        Self { base: base.trim_end_matches('/').to_owned(), client }
    }
}

/// Passes a call on. Clients are sent back to `outside` where the registry names itself.
pub async fn pass_on(
    upstream: &Upstream,
    parts: &Parts,
    body: Incoming,
    outside: &str,
) -> Result<Response<Body>, BodyFault> {
    let path = parts.uri.path_and_query().map_or("/", |path| path.as_str());
    let mut request = Request::builder()
        .method(parts.method.clone())
        .uri(format!("{}{path}", upstream.base).parse::<Uri>()?)
        .body(body)?;
    for (name, value) in &parts.headers {
        if ![AUTHORIZATION, HOST, COOKIE, CONNECTION, TRANSFER_ENCODING].contains(name) {
            request.headers_mut().append(name, value.clone());
        }
    }
    let (mut head, body) = upstream.client.request(request).await?.into_parts();
    head.headers.remove(CONNECTION);
    head.headers.remove(TRANSFER_ENCODING);
    let moved = head.headers.get(LOCATION).and_then(|location| location.to_str().ok());
    if let Some(inside) = moved.and_then(|location| location.strip_prefix(&upstream.base)) {
        let location = HeaderValue::try_from(format!("{outside}{inside}"))?;
        head.headers.insert(LOCATION, location);
    }
    Ok(Response::from_parts(head, body.map_err(BodyFault::from).boxed_unsync()))
}
