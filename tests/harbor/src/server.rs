//! Accepting connections, with and without TLS.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpListener;
use tokio::task::{JoinHandle, JoinSet};
use tokio_rustls::TlsAcceptor;

use crate::app::App;
use crate::http::pipeline;
use crate::http::proxy::Upstream;
use crate::state::State;
use crate::tls;
use crate::version::Version;

/// What a stand-in is started with.
#[derive(Debug, Clone)]
pub struct Options {
    /// Name of the system administrator, who has user id 1.
    pub admin: String,
    /// The administrator's password.
    pub password: String,
    /// The distribution registry that `/v2/` passes on to, as `http://host:port`. Without one every repository is absent.
    pub registry: Option<String>,
    /// What the stand-in calls itself in `/systeminfo`; default: where it listens.
    pub external_url: Option<String>,
    /// Serve TLS with a certificate authority of its own.
    pub tls: bool,
    /// Which Harbor to be.
    pub version: Version,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            admin: "admin".into(),
            password: "Harbor12345".into(),
            registry: None,
            external_url: None,
            tls: false,
            version: Version::default(),
        }
    }
}

/// A running stand-in. It ends, with its connections, when this is dropped.
#[derive(Debug)]
pub struct StandIn {
    url: String,
    ca_pem: Option<String>,
    app: Arc<App>,
    task: JoinHandle<()>,
}

impl StandIn {
    /// Starts on a free port of 127.0.0.1.
    pub async fn start(options: Options) -> io::Result<Self> {
        let address = SocketAddr::from(([127, 0, 0, 1], 0));
        Self::serve(TcpListener::bind(address).await?, options)
    }

    /// Serves on a listener from now on. Must be called inside a tokio runtime.
    pub fn serve(listener: TcpListener, options: Options) -> io::Result<Self> {
        let identity = options.tls.then(tls::identity).transpose()?;
        let scheme = if options.tls { "https" } else { "http" };
        let url = format!("{scheme}://{}", listener.local_addr()?);
        let app = apart(options, &url);
        let (acceptor, ca_pem) = identity.map(|identity| (identity.acceptor, identity.ca_pem)).unzip();
        let task = tokio::spawn(accept(listener, acceptor, app.clone()));
        Ok(Self { url, ca_pem, app, task })
    }

    /// Where it listens, as `http://127.0.0.1:PORT` (or https).
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The certificate authority's certificate, with TLS.
    pub fn ca_pem(&self) -> Option<&str> {
        self.ca_pem.as_deref()
    }

    /// Its memory, quirks and call log, for tests in the same process.
    pub fn app(&self) -> &App {
        &self.app
    }

    /// Waits until it ends, which it does not do by itself.
    pub async fn wait(&mut self) {
        let _ended = (&mut self.task).await;
    }
}

impl Drop for StandIn {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// A stand-in without a listener, called `url` where the options do not say: for whoever brings the connections to
/// [`converse`].
pub fn apart(options: Options, url: &str) -> Arc<App> {
    let external = options.external_url.unwrap_or_else(|| url.to_owned()).trim_end_matches('/').to_owned();
    let upstream = options.registry.as_deref().map(Upstream::new);
    let mut state = State::new(&options.admin, &options.password);
    state.version = options.version;
    Arc::new(App::new(state, external, options.tls, upstream))
}

async fn accept(listener: TcpListener, acceptor: Option<TlsAcceptor>, app: Arc<App>) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => {
                    // Small answers in two writes would wait for the client's delayed acknowledgement.
                    let _best_effort = stream.set_nodelay(true);
                    connections.spawn(greet(stream, acceptor.clone(), app.clone()));
                }
                Err(error) => {
                    // Out of file descriptors: existing connections must end first.
                    eprintln!("harbor-stand-in: cannot accept: {error}");
                    tokio::time::sleep(Duration::from_millis(10)).await;
                }
            },
            Some(_) = connections.join_next() => {}
        }
    }
}

async fn greet(stream: tokio::net::TcpStream, acceptor: Option<TlsAcceptor>, app: Arc<App>) {
    let Some(acceptor) = acceptor else { return converse(stream, app).await };
    // It fails with a client that does not trust the authority, which a test may well want.
    if let Ok(stream) = acceptor.accept(stream).await {
        converse(stream, app).await;
    }
}

/// Answers whatever comes over one connection, until it ends.
pub async fn converse(stream: impl AsyncRead + AsyncWrite + Send + Unpin + 'static, app: Arc<App>) {
    let service = service_fn(move |request| pipeline::answer(app.clone(), request));
    // An error is a client that went away or an answer dropped on purpose: nothing to do about either.
    let _ended = http1::Builder::new()
        .timer(TokioTimer::new())
        .title_case_headers(true)
        .serve_connection(TokioIo::new(stream), service)
        .await;
}
