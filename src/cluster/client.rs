//! The connection to the API server.

use std::time::Duration;

use hyper::{Method, Request, Response};
use hyper_timeout::TimeoutConnector;
use hyper_util::client::legacy::Client as Http;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use kube::client::{Body, ClientBuilder, ConfigExt as _};
use kube::{Client, Config};
use tower::{BoxError, ServiceBuilder, service_fn};
use tower_http::timeout::TimeoutBody;

use crate::gate::Gate;

/// kube's client without retries, since each call has a deadline of its own that kube's 15 would outlive, and with
/// `TCP_NODELAY`: with kube's own connector the first request of each connection waits 40 ms, because the kernel keeps it
/// until the server acknowledges the end of the TLS handshake, which servers do late.
///
/// # Errors
/// The configuration has certificates, credentials or headers that cannot be used.
pub fn connect(mut config: Config) -> Result<Client, kube::Error> {
    config.default_retry = false;
    if config.proxy_url.is_some() {
        return Client::try_from(config);
    }
    let mut tcp = HttpConnector::new();
    tcp.enforce_http(false);
    tcp.set_nodelay(true);
    let mut connector = TimeoutConnector::new(config.rustls_https_connector_with_connector(tcp)?);
    connector.set_connect_timeout(config.connect_timeout);
    connector.set_read_timeout(config.read_timeout);
    connector.set_write_timeout(config.write_timeout);
    connector.set_reset_reader_on_write(config.reset_reader_on_write);
    let service = ServiceBuilder::new()
        .layer(config.base_uri_layer())
        .option_layer(config.auth_layer()?)
        .layer(config.extra_headers_layer()?)
        .map_err(BoxError::from)
        .service(Http::builder(TokioExecutor::new()).build(connector));
    Ok(ClientBuilder::new(service, config.default_namespace).build())
}

/// How long an answer may take to begin. An API server gives up a request of its own accord after a minute.
const LONGEST_ANSWER: Duration = Duration::from_secs(70);
/// How long an answer may pause once it has begun.
const LONGEST_PAUSE: Duration = Duration::from_secs(30);
/// And that of a watch. It hears a bookmark each minute, so a second one that does not come tells of a connection that is dead
/// and does not know it: what happens meanwhile is seen only by the next watch.
const LONGEST_PAUSE_OF_WATCHES: Duration = Duration::from_secs(150);

/// An answer that does not come, or not to its end, is an error: kube leaves lists, and the beginning of a watch, waiting for
/// a connection that is dead and does not know it.
async fn bounded(
    is_watch: bool,
    answer: impl Future<Output = Result<Response<Body>, kube::Error>>,
) -> Result<Response<TimeoutBody<Body>>, BoxError> {
    let answer = tokio::time::timeout(LONGEST_ANSWER, answer).await.map_err(|_| "the API server does not answer")??;
    let pause = if is_watch { LONGEST_PAUSE_OF_WATCHES } else { LONGEST_PAUSE };
    Ok(answer.map(|body| TimeoutBody::new(pause, body)))
}

fn is_watch(request: &Request<Body>) -> bool {
    request.uri().query().is_some_and(|query| query.split('&').any(|part| part == "watch=true"))
}

/// The same client, but each request has an end, and each that changes something passes the gate first. The Lease itself is
/// written past it.
pub fn behind(gate: Gate, client: Client) -> Client {
    let namespace = client.default_namespace().to_owned();
    let service = service_fn(move |request: Request<Body>| {
        let (client, gate) = (client.clone(), gate.clone());
        async move {
            let reads = matches!(*request.method(), Method::GET | Method::HEAD | Method::OPTIONS);
            let answer = bounded(is_watch(&request), client.send(request));
            if reads { answer.await } else { gate.pass(answer).await? }
        }
    });
    Client::new(service, namespace)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::time::Duration;

    use futures::future::BoxFuture;
    use futures::{StreamExt as _, stream};
    use http_body_util::StreamBody;
    use hyper::body::{Bytes, Frame};
    use k8s_openapi::api::core::v1::Secret;
    use kube::api::{Api, DeleteParams, ListParams, Patch, PatchParams, PostParams, WatchEvent, WatchParams};

    use super::*;
    use crate::cluster::{Error, within};
    use crate::gate::Authority;

    struct Lost;

    impl Authority for Lost {
        fn hold(&self) -> BoxFuture<'_, Option<Duration>> {
            Box::pin(std::future::ready(None))
        }
    }

    #[tokio::test]
    async fn without_the_lead_nothing_is_changed_and_all_is_read() {
        let sent = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&sent);
        let server = service_fn(move |_: Request<Body>| {
            count.fetch_add(1, Ordering::Relaxed);
            let secret = br#"{"apiVersion":"v1","kind":"Secret","metadata":{"name":"a"}}"#.to_vec();
            async move { Ok::<_, BoxError>(Response::new(Body::from(secret))) }
        });
        let secrets: Api<Secret> = Api::namespaced(behind(Gate::of(Lost), Client::new(server, "ns")), "ns");
        assert!(within(secrets.get("a")).await.is_ok());
        let secret = Secret::default();
        let refused = [
            within(secrets.create(&PostParams::default(), &secret)).await.err(),
            within(secrets.replace("a", &PostParams::default(), &secret)).await.err(),
            within(secrets.patch("a", &PatchParams::default(), &Patch::Merge(&secret))).await.err(),
            within(secrets.delete("a", &DeleteParams::default())).await.err(),
        ];
        for error in refused {
            assert!(matches!(error, Some(Error::NotLeading)), "{error:?}");
        }
        assert_eq!(sent.load(Ordering::Relaxed), 1);
    }

    /// A client to a server that answers each request with these pieces, the first at once, each other after a pause, and never
    /// comes to an end.
    fn client_of(pieces: &'static [&'static str], pause: Duration) -> Client {
        let answer = move |_: Request<Body>| {
            let pieces = stream::iter(pieces).enumerate().then(move |(number, piece)| async move {
                if number > 0 {
                    tokio::time::sleep(pause).await;
                }
                Ok::<_, BoxError>(Frame::data(Bytes::from(*piece)))
            });
            let body = StreamBody::new(pieces.chain(stream::pending()));
            std::future::ready(Ok::<_, BoxError>(Response::new(body)))
        };
        behind(Gate::open(), Client::new(service_fn(answer), "ns"))
    }

    #[tokio::test(start_paused = true)]
    async fn a_list_that_is_never_answered_or_not_to_its_end_is_an_error() {
        let silent = service_fn(|_: Request<Body>| std::future::pending::<Result<Response<Body>, BoxError>>());
        let silent = behind(Gate::open(), Client::new(silent, "ns"));
        for client in [silent, client_of(&["{\"items\":", "["], Duration::from_secs(20))] {
            let began = tokio::time::Instant::now();
            let secrets: Api<Secret> = Api::all(client);
            assert!(secrets.list(&ListParams::default()).await.is_err());
            assert!(began.elapsed() < Duration::from_mins(2), "{:?}", began.elapsed());
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_watch_may_be_silent_for_more_than_a_minute_and_one_that_hears_no_bookmarks_ends() {
        const LATE: &str = "{\"type\":\"ADDED\",\"object\":{\"apiVersion\":\"v1\",\"kind\":\"Secret\",\"metadata\":{\"name\":\"a\"}}}\n";
        let secrets: Api<Secret> = Api::all(client_of(&["\n", LATE], Duration::from_secs(90)));
        let mut events = secrets.watch(&WatchParams::default(), "0").await.unwrap().boxed();
        assert!(matches!(events.next().await, Some(Ok(WatchEvent::Added(_)))));
        let heard = tokio::time::Instant::now();
        assert!(matches!(events.next().await, Some(Err(_)) | None));
        assert!(heard.elapsed() < Duration::from_mins(3), "{:?}", heard.elapsed());
    }
}
