//! The operator's way to Harbor: requests go through the simulated network to stand-ins of this process.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use futures::future::BoxFuture;
use futures::stream;
use harbor_robot_operator::registry::Error;
use harbor_robot_operator::registry::harbor::Carrier;
use harbor_stand_in::app::App;
use http_body_util::{BodyExt as _, Full, StreamBody};
use hyper::body::Frame;
use hyper_util::rt::TokioIo;
use reqwest::{Request, Response};
use tokio::io::duplex;
use tokio::time::{sleep, timeout};

use crate::kubernetes::Cluster;
use crate::network::{Answer, Network, Server};
use crate::process::Life;
use crate::to_kubernetes::only_the_leader_writes;

/// As long as the operator's own requests may take.
const LONGEST: Duration = Duration::from_secs(10);
/// Bytes that a connection holds.
const PIPE: usize = 64 * 1024;

/// The Harbors by host.
pub type Harbors = Arc<BTreeMap<String, Arc<App>>>;

/// Carries the requests of one process.
pub struct ToHarbor {
    /// Where they go.
    pub harbors: Harbors,
    /// What becomes of them.
    pub network: Network,
    /// Where the leader's Lease is.
    pub cluster: Cluster,
    /// Whose they are.
    pub life: Arc<Life>,
}

const LOST: Error = Error::NoAnswer("connection lost");

impl Carrier for ToHarbor {
    fn carry(&self, request: Request) -> BoxFuture<'_, Result<Response, Error>> {
        Box::pin(self.life.while_it_lasts(async {
            let sent = timeout(LONGEST, self.send(request)).await;
            sent.unwrap_or(Err(Error::NoAnswer("timed out")))
        }))
    }
}

impl ToHarbor {
    async fn send(&self, request: Request) -> Result<Response, Error> {
        let host = request.url().host_str().unwrap_or_default().to_owned();
        let Some(app) = self.harbors.get(&host).cloned() else {
            return Err(Error::Unreachable("name not resolved"));
        };
        let is_write = !matches!(request.method().as_str(), "GET" | "HEAD") && !request.url().path().starts_with("/c/");
        let query = request.url().query().map(|query| format!("?{query}")).unwrap_or_default();
        let line = format!("{} {host} {} {}{query}", self.life.name(), request.method(), request.url().path());
        if self.life.is_cut_off() || self.network.is_away(known_as(&app)) {
            sleep(Duration::from_millis(500)).await;
            return Err(Error::Unreachable("no route to it"));
        }
        let fate = self.network.fate(Server::Harbor, &line, is_write);
        self.network.note(&line);
        let path = request.url().path().split('/').map(|part| if part.parse::<u64>().is_ok() { "#" } else { part });
        let shape = format!("{} {}", request.method(), path.collect::<Vec<_>>().join("/"));
        self.network.reach(|reached| {
            reached.calls.insert(shape);
        });
        if is_write {
            self.network.tried_to_write(&line);
            only_the_leader_writes(&self.cluster, &self.network, self.life.name(), &line);
        }
        let network = self.network.clone();
        // What was sent arrives, whether its sender still waits or not.
        let delivered = tokio::spawn(async move {
            sleep(fate.wait).await;
            if !fate.arrives {
                return None;
            }
            let answer = exchange(app, request).await;
            if let (true, Some(answer)) = (is_write, &answer) {
                network.note(format_args!("  {line} -> {}", answer.status().as_u16()));
            }
            answer
        });
        let answer = delivered.await.ok().flatten();
        match fate.answer {
            Answer::Own if !self.life.is_cut_off() => answer.ok_or(LOST),
            Answer::Own | Answer::Lost => Err(LOST),
            Answer::Half => half(answer.ok_or(LOST)?).await,
            Answer::Status(status) => Ok(refusal(status)),
            Answer::Silence => std::future::pending().await,
            Answer::Death => {
                self.life.end();
                std::future::pending().await
            }
        }
    }
}

/// An answer of something on the way, or of a Harbor in its distress.
fn refusal(status: u16) -> Response {
    let body = match status {
        400..429 => r#"{"errors":[{"code":"DENIED","message":"the simulation says so"}]}"#,
        502 | 504 => "<html><body><center>nginx</center></body></html>",
        _ => "",
    };
    let mut answer = http::Response::new(reqwest::Body::from(body));
    *answer.status_mut() = http::StatusCode::from_u16(status).unwrap_or_default();
    if status == 429 {
        answer.headers_mut().insert(http::header::RETRY_AFTER, http::HeaderValue::from_static("3"));
    }
    answer.into()
}

/// The first half of a body, and then the end of the connection.
async fn half(answer: Response) -> Result<Response, Error> {
    let whole: http::Response<reqwest::Body> = answer.into();
    let (parts, body) = whole.into_parts();
    let body = body.collect().await.map_err(|_| LOST)?.to_bytes();
    let first = body.slice(..body.len() / 2);
    let frames = [Ok(Frame::data(first)), Err(std::io::Error::other("the connection was lost"))];
    let body = reqwest::Body::wrap(StreamBody::new(stream::iter(frames)));
    Ok(http::Response::from_parts(parts, body).into())
}

/// The name of a Harbor that may have several.
fn known_as(app: &App) -> &str {
    app.external_url().trim_start_matches("https://")
}

/// One request over a connection of its own.
async fn exchange(app: Arc<App>, request: Request) -> Option<Response> {
    let (ours, theirs) = duplex(PIPE);
    let server = tokio::spawn(harbor_stand_in::converse(theirs, app));
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(ours)).await.ok()?;
    let connection = tokio::spawn(connection);
    let url = request.url();
    let target = url.query().map_or_else(|| url.path().to_owned(), |query| format!("{}?{query}", url.path()));
    let body = request.body().and_then(reqwest::Body::as_bytes).unwrap_or_default().to_vec();
    let mut builder = http::Request::builder().method(request.method().clone()).uri(target);
    builder = builder.header(http::header::HOST, url.authority());
    for (name, value) in request.headers() {
        builder = builder.header(name, value);
    }
    let answer = sender.send_request(builder.body(Full::new(bytes::Bytes::from(body))).ok()?).await.ok()?;
    let (parts, body) = answer.into_parts();
    let body = body.collect().await.ok()?.to_bytes();
    drop(sender);
    let _ = connection.await;
    let _ = server.await;
    Some(http::Response::from_parts(parts, reqwest::Body::from(body)).into())
}
