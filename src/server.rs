//! `/livez` and `/readyz` at one address, and `/metrics` at another: the kubelet has to reach the first, and the second is
//! nobody's business but the monitoring's.
//!
//! One request a connection and a short life for each, so that connections that idle or trickle cannot keep the kubelet's
//! probes out.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::IntoResponse;
use axum::routing::get;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::{debug, info, warn};

use crate::metrics;
use crate::metrics_access::Access;

/// At most this many connections at once; more wait in the kernel's backlog.
const CONNECTIONS: usize = 64;
/// For the request line and headers.
const HEADER_TIMEOUT: Duration = Duration::from_secs(2);
/// For a connection from accept to close.
const CONNECTION_TIMEOUT: Duration = Duration::from_secs(15);
/// For request line and headers together, in bytes; hyper's least is 8 KiB.
const HEADER_BYTES: usize = 16 * 1024;

/// Answers `/livez` and `/readyz`. `ready` says in a few words what is not ready yet; it is called on each request, so it has
/// to be cheap. A part that ends or panics ends the process, so a process that answers is alive.
pub fn probes(ready: impl Fn() -> Result<(), &'static str> + Clone + Send + Sync + 'static) -> Router {
    let readyz = async move || match ready() {
        Ok(()) => (StatusCode::OK, "ok\n".to_owned()),
        Err(reason) => (StatusCode::SERVICE_UNAVAILABLE, format!("{reason}\n")),
    };
    Router::new().route("/livez", get("ok\n")).route("/readyz", get(readyz))
}

/// Answers `/metrics` by the text of [`metrics::Metrics::encode`]. `access` is asked before each answer; without one whoever
/// reaches the address may read.
pub fn exposition(text: impl Fn() -> String + Send + Sync + 'static, access: Option<Access>) -> Router {
    let shared = Arc::new((text, access));
    let answer = async move |headers: HeaderMap| {
        let (text, access) = &*shared;
        if let Some(access) = access
            && let Err(denied) = access.check(&headers).await
        {
            return denied.into_response();
        }
        ([(header::CONTENT_TYPE, metrics::CONTENT_TYPE)], text()).into_response()
    };
    Router::new().route("/metrics", get(answer))
}

/// A bound server.
pub struct Server {
    listener: TcpListener,
}

impl Server {
    /// Binds `address`; port 0 picks a free one. Logs `serving` with the address and `what` it is for.
    pub async fn bind(address: SocketAddr, what: &'static str) -> io::Result<Self> {
        let listener = TcpListener::bind(address).await?;
        info!(address = %listener.local_addr()?, what, "serving");
        Ok(Self { listener })
    }

    /// Serves until `shutdown`, then lets the requests at hand end.
    pub async fn serve(self, router: Router, shutdown: CancellationToken) {
        let places = Arc::new(Semaphore::new(CONNECTIONS));
        let open = TaskTracker::new();
        loop {
            let accepted = shutdown.run_until_cancelled(async {
                let place = Arc::clone(&places).acquire_owned().await.expect("the semaphore is never closed");
                (place, self.listener.accept().await)
            });
            match accepted.await {
                None => break,
                Some((place, Ok((stream, _)))) => {
                    let (router, shutdown) = (router.clone(), shutdown.clone());
                    open.spawn(async move {
                        connection(stream, router, shutdown).await;
                        drop(place);
                    });
                }
                Some((_, Err(error))) => {
                    // Out of file descriptors, usually: accepting again at once would spin.
                    warn!(%error, "cannot accept a connection");
                    tokio::time::sleep(Duration::from_millis(100)).await;
                }
            }
        }
        open.close();
        open.wait().await;
    }
}

async fn connection(stream: TcpStream, router: Router, shutdown: CancellationToken) {
    let mut http = http1::Builder::new();
    http.keep_alive(false).timer(TokioTimer::new()).header_read_timeout(HEADER_TIMEOUT).max_buf_size(HEADER_BYTES);
    let serving = http.serve_connection(TokioIo::new(stream), TowerToHyperService::new(router));
    let mut serving = std::pin::pin!(serving);
    let ended = timeout(CONNECTION_TIMEOUT, async {
        tokio::select! {
            ended = &mut serving => return ended,
            () = shutdown.cancelled() => {}
        }
        serving.as_mut().graceful_shutdown();
        serving.await
    });
    match ended.await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => debug!(%error, "a connection failed"),
        Err(_) => debug!("a connection took too long"),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicBool, Ordering::SeqCst};

    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::task::JoinHandle;

    use super::*;

    struct Running {
        address: SocketAddr,
        ready: Arc<AtomicBool>,
        shutdown: CancellationToken,
        task: JoinHandle<()>,
    }

    async fn running() -> Running {
        let server = Server::bind(([127, 0, 0, 1], 0).into(), "tests").await.unwrap();
        let (ready, shutdown) = (Arc::new(AtomicBool::new(false)), CancellationToken::new());
        let is_ready = Arc::clone(&ready);
        let probes = probes(move || if is_ready.load(SeqCst) { Ok(()) } else { Err("reading Secrets") });
        let router = probes.merge(exposition(|| "# EOF\n".to_owned(), None));
        let address = server.listener.local_addr().unwrap();
        let task = tokio::spawn(server.serve(router, shutdown.clone()));
        Running { address, ready, shutdown, task }
    }

    async fn ask(address: SocketAddr, path: &str) -> String {
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(format!("GET {path} HTTP/1.1\r\nhost: test\r\n\r\n").as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        answer
    }

    #[tokio::test]
    async fn readiness_says_what_is_missing_until_it_is_there() {
        let server = running().await;
        let answer = ask(server.address, "/readyz").await;
        assert!(answer.starts_with("HTTP/1.1 503") && answer.ends_with("reading Secrets\n"), "{answer}");
        server.ready.store(true, SeqCst);
        assert!(ask(server.address, "/readyz").await.starts_with("HTTP/1.1 200"));
    }

    #[tokio::test]
    async fn metrics_and_liveness_answer_and_nothing_else_does() {
        let server = running().await;
        let answer = ask(server.address, "/metrics").await;
        assert!(answer.contains(metrics::CONTENT_TYPE) && answer.ends_with("# EOF\n"), "{answer}");
        assert!(ask(server.address, "/livez").await.starts_with("HTTP/1.1 200"));
        assert!(ask(server.address, "/debug").await.starts_with("HTTP/1.1 404"));
    }

    #[tokio::test]
    async fn oversized_headers_are_refused() {
        let server = running().await;
        let answer = ask(server.address, &format!("/{}", "a".repeat(HEADER_BYTES))).await;
        assert!(answer.starts_with("HTTP/1.1 4"), "{answer}");
    }

    #[tokio::test]
    async fn shutdown_closes_idle_connections_and_ends() {
        let server = running().await;
        let mut idle = TcpStream::connect(server.address).await.unwrap();
        ask(server.address, "/livez").await;
        server.shutdown.cancel();
        server.task.await.unwrap();
        assert_eq!(idle.read(&mut [0; 1]).await.unwrap_or(0), 0);
    }
}
