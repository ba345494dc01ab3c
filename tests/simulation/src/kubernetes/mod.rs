//! A Kubernetes API server in memory: the kinds and verbs that the operator uses, as a tower service behind
//! `kube::Client::new`.
//!
//! `kinds` lists what it stores; `schema` holds custom resources to their schema, `builtin` its own kinds to their rules and
//! `validate` all metadata to theirs; `status` words refusals, `store` keeps objects and what happened to them, `request` and
//! `selectors` read a call, `rest` answers it, `reviews` says whose a token is, `write` changes objects, `watch` tells of
//! changes, `collect` does what controllers do: owners, namespaces. It knows neither CEL nor admission policies: whoever writes
//! here writes what these let through. `tests/conformance.rs` holds its answers to those of a real one.

mod builtin;
mod collect;
mod kinds;
mod request;
mod rest;
mod reviews;
mod schema;
mod selectors;
mod status;
mod store;
mod validate;
mod watch;
mod write;

pub use collect::is_deleting;
pub use kinds::{KINDS, Kind, kind};
pub use request::{Accept, Call, Verb, check_media};
pub use reviews::{TOKENS, review};
pub use status::Refusal;
pub use store::{Backup, Change, ChangeKind, Id, Object, Store, now};

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use futures::StreamExt as _;
use futures::stream::BoxStream;
use http::{Response, StatusCode};
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt, Full, StreamBody};
use hyper::body::Frame;
use serde_json::Value;

/// The body of an answer.
pub type Body = BoxBody<Bytes, std::io::Error>;

/// A cluster that several clients share.
#[derive(Clone, Default)]
pub struct Cluster(Arc<Mutex<Store>>);

impl Cluster {
    /// Its memory, locked.
    pub fn store(&self) -> MutexGuard<'_, Store> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Answers a call at once.
    pub fn answer(&self, call: &Call) -> Response<Body> {
        if call.verb == Verb::Watch {
            return match self.watch(call) {
                Ok(lines) => streamed(lines.map(Ok).boxed()),
                Err(refusal) => refused(&refusal),
            };
        }
        match rest::answer(&mut self.store(), call) {
            Ok((status, object)) => json(status, &object),
            Err(refusal) => refused(&refusal),
        }
    }

    /// The lines of a watch.
    pub fn watch(&self, call: &Call) -> Result<BoxStream<'static, Bytes>, Refusal> {
        watch::open(self, call)
    }

    /// A call by a person, answered at once: `PUT /api/v1/…` with a body.
    pub fn ask(&self, method: &str, path: &str, body: &Value) -> Result<Value, Refusal> {
        let call = Call::parse(method, path, Accept::Whole, body.clone(), "person")?;
        rest::answer(&mut self.store(), &call).map(|(_, object)| object)
    }
}

/// The answer to a review.
pub fn reviewed(review: &Value) -> Response<Body> {
    json(StatusCode::CREATED, review)
}

fn json(status: StatusCode, object: &Value) -> Response<Body> {
    let body = Full::new(Bytes::from(object.to_string())).map_err(|never| match never {}).boxed();
    with(status, body)
}

/// The answer that says no.
pub fn refused(refusal: &Refusal) -> Response<Body> {
    json(StatusCode::from_u16(refusal.code).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR), &refusal.to_json())
}

/// An answer that goes on line by line.
pub fn streamed(lines: BoxStream<'static, std::io::Result<Bytes>>) -> Response<Body> {
    let frames = SyncStream(Mutex::new(lines.map(|line| line.map(Frame::data)).boxed()));
    with(StatusCode::OK, BodyExt::boxed(StreamBody::new(frames)))
}

fn with(status: StatusCode, body: Body) -> Response<Body> {
    let mut response = Response::new(body);
    *response.status_mut() = status;
    response.headers_mut().insert(http::header::CONTENT_TYPE, http::HeaderValue::from_static("application/json"));
    response
}

/// A stream that several threads may hold, as bodies have to be.
struct SyncStream<T>(Mutex<BoxStream<'static, T>>);

impl<T> futures::Stream for SyncStream<T> {
    type Item = T;

    fn poll_next(
        self: std::pin::Pin<&mut Self>,
        context: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<Self::Item>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).poll_next_unpin(context)
    }
}
