//! A proxy in front of one server.

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::{Context, Result};
use bytes::Bytes;
use http_body_util::BodyExt;
use hyper::body::Incoming;
use hyper::http::request::Parts;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;
use tokio::task::{JoinHandle, JoinSet};

use crate::call::Side;
use crate::faults::{Fault, Faults, Rule};
use crate::forward::{self, Answer, Body};
use crate::stop::{Moment, Trap, Verdict};

/// A server behind a door.
#[derive(Clone, Debug)]
pub struct Server {
    pub(crate) url: String,
    pub(crate) token: Option<String>,
    pub(crate) http: reqwest::Client,
}

impl Server {
    /// The server at `url`. `ca`: its authority (PEM), with https. `token`: whom its clients are to it, whoever they say
    /// they are.
    pub fn new(url: &str, ca: Option<&str>, token: Option<String>) -> Result<Self> {
        let roots = ca.map(|ca| reqwest::Certificate::from_pem_bundle(ca.as_bytes())).transpose().context("the CA")?;
        let http = reqwest::Client::builder()
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none())
            .tls_certs_only(roots.unwrap_or_default())
            .build()?;
        Ok(Self { url: url.trim_end_matches('/').to_owned(), token, http })
    }
}

/// A proxy that listens on a port of 127.0.0.1 with plain HTTP. It ends, with its connections, when it is dropped.
#[derive(Debug)]
pub struct Door {
    /// Where it listens, as `http://127.0.0.1:PORT`.
    pub url: String,
    server: Arc<Mutex<Server>>,
    task: JoinHandle<()>,
}

/// The connection is closed without an answer.
#[derive(Debug)]
struct Closed;

impl std::fmt::Display for Closed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("the connection was closed on purpose")
    }
}

impl std::error::Error for Closed {}

struct Passage {
    side: Side,
    server: Arc<Mutex<Server>>,
    faults: Faults,
}

impl Door {
    /// Opens one. Needs a process-wide crypto provider if the server speaks https.
    pub async fn open(side: Side, server: Server, faults: &Faults) -> Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let url = format!("http://{}", listener.local_addr()?);
        let server = Arc::new(Mutex::new(server));
        let passage = Arc::new(Passage { side, server: Arc::clone(&server), faults: faults.clone() });
        Ok(Self { url, server, task: tokio::spawn(accept(listener, passage)) })
    }

    /// From the next call on another server is behind it, such as the same one started again on another port.
    pub fn lead_to(&self, server: Server) {
        *self.server.lock().unwrap_or_else(PoisonError::into_inner) = server;
    }

    /// Writes a kubeconfig that names this door as its cluster.
    pub fn write_kubeconfig(&self, file: &Path) -> Result<()> {
        let text = format!(
            "apiVersion: v1\nkind: Config\nclusters:\n- name: door\n  cluster: {{server: \"{}\"}}\nusers:\n- name: door\n  \
             user: {{}}\ncontexts:\n- name: door\n  context: {{cluster: door, user: door}}\ncurrent-context: door\n",
            self.url
        );
        std::fs::write(file, text).with_context(|| format!("write {}", file.display()))
    }
}

impl Drop for Door {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn accept(listener: TcpListener, passage: Arc<Passage>) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => {
                let Ok((stream, _)) = accepted else { return };
                connections.spawn(converse(stream, Arc::clone(&passage)));
            }
            Some(_) = connections.join_next() => {}
        }
    }
}

async fn converse(stream: TcpStream, passage: Arc<Passage>) {
    // Small answers in two writes would wait for the client's delayed acknowledgement.
    let _best_effort = stream.set_nodelay(true);
    let service = service_fn(move |request| answer(Arc::clone(&passage), request));
    // An error is a client that went away or an answer that was lost on purpose.
    let _ended = http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
}

async fn answer(passage: Arc<Passage>, request: Request<Incoming>) -> Result<Response<Body>, Closed> {
    let (parts, body) = request.into_parts();
    let body = body.collect().await.map_err(|_| Closed)?.to_bytes();
    if !passage.faults.pass_gate().await {
        return Err(Closed);
    }
    let path = parts.uri.path_and_query().map_or("/", |path| path.as_str());
    let (call, rule) = passage.faults.record(passage.side, parts.method.as_str(), path, &body);
    if matches!(rule, Rule::Pass) && parts.uri.query().is_some_and(|query| query.contains("watch=")) {
        let cut = passage.faults.cut();
        return forward::stream(&passage.server(), &parts, body, cut).await.map_err(|_| Closed);
    }
    // A task of its own: whoever sent the call may be dead by the time that it goes on.
    let passing = tokio::spawn(async move {
        match rule {
            Rule::Pass => Ok(passage.whole(&parts, body).await?.send(None)),
            Rule::Frozen(Some(before)) => Ok(before.send(None)),
            Rule::Frozen(None) => {
                let answer = passage.whole(&parts, body).await?;
                passage.faults.keep(&call, &answer);
                Ok(answer.send(None))
            }
            Rule::Fault(fault) => passage.fail(fault, &parts, body).await,
            Rule::Trap(trap) => passage.stand_still(trap, &parts, body).await,
        }
    });
    passing.await.map_err(|_| Closed)?
}

impl Passage {
    fn server(&self) -> Server {
        self.server.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    async fn whole(&self, parts: &Parts, body: Bytes) -> Result<Answer, Closed> {
        forward::whole(&self.server(), parts, body).await.map_err(|_| Closed)
    }

    async fn fail(&self, fault: Fault, parts: &Parts, body: Bytes) -> Result<Response<Body>, Closed> {
        let answer = match fault {
            Fault::Refuse => return Err(Closed),
            Fault::LoseAnswer => {
                self.whole(parts, body).await?;
                return Err(Closed);
            }
            Fault::Delay(time) => {
                tokio::time::sleep(time).await;
                self.whole(parts, body).await?
            }
            Fault::DelayAnswer(time) => {
                let answer = self.whole(parts, body).await?;
                tokio::time::sleep(time).await;
                answer
            }
            Fault::Answer(status, text) => Answer::made_up(status, text),
            Fault::AnswerAfterwards(status, text) => {
                self.whole(parts, body).await?;
                Answer::made_up(status, text)
            }
        };
        Ok(answer.send(None))
    }

    async fn stand_still(&self, trap: Trap, parts: &Parts, body: Bytes) -> Result<Response<Body>, Closed> {
        let Trap { moment, reached, verdict, status } = trap;
        let answer = match moment {
            Moment::BeforeSending => {
                self.faults.close_gate();
                // Whoever waited may have given up; then nothing is held.
                let _ = reached.send(());
                if verdict.await == Ok(Verdict::Drop) {
                    return Err(Closed);
                }
                let answer = self.whole(parts, body).await?;
                let _ = status.send(answer.status.as_u16());
                return Ok(answer.send(None));
            }
            Moment::Committed | Moment::Answered => self.whole(parts, body).await?,
        };
        self.faults.close_gate();
        let _ = status.send(answer.status.as_u16());
        if moment == Moment::Answered {
            let (sent, taken) = oneshot::channel();
            tokio::spawn(async move {
                // It ends by being dropped.
                let _ = taken.await;
                let _ = reached.send(());
            });
            return Ok(answer.send(Some(sent)));
        }
        let _ = reached.send(());
        if verdict.await == Ok(Verdict::Drop) { Err(Closed) } else { Ok(answer.send(None)) }
    }
}
