//! A server that lies: passes every call on, and alters the answer as it likes, down to the single bytes and their pace.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::Result;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};

use crate::call::{Side, template};
use crate::door::Server;
use crate::told::{Pace, Told};

/// A call as the liar got it.
#[derive(Clone, Debug)]
pub struct Asked {
    /// When it was there.
    pub at: Instant,
    /// HTTP method.
    pub method: String,
    /// Path and query as sent.
    pub path: String,
    /// Method and path without its variable parts, like `GET robots/{id}`.
    pub operation: String,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
}

/// What makes something else of an answer.
type Change = dyn Fn(&Asked, &mut Told) + Send + Sync;

/// What a liar does.
#[derive(Clone)]
pub enum Lie {
    /// Resets each connection before it reads anything.
    Reset,
    /// Makes something else of each answer.
    Alter(Arc<Change>),
}

/// A proxy that listens on a port of 127.0.0.1 with plain HTTP, and tells the truth until it is told a lie. It ends, with
/// its connections, when it is dropped.
pub struct Liar {
    /// Where it listens, as `http://127.0.0.1:PORT`.
    pub url: String,
    shared: Arc<Shared>,
    task: JoinHandle<()>,
}

struct Shared {
    server: Server,
    /// `None`: the truth.
    lie: watch::Sender<Option<Lie>>,
    calls: Mutex<Vec<Asked>>,
}

impl Shared {
    fn note(&self, call: Asked) {
        self.calls.lock().unwrap_or_else(PoisonError::into_inner).push(call);
    }
}

impl Asked {
    /// A connection, of which nothing was read.
    fn unread() -> Self {
        let text = String::new;
        let operation = "connection".to_owned();
        Self { at: Instant::now(), method: text(), path: text(), operation, headers: Vec::new(), body: Vec::new() }
    }
}

impl Liar {
    /// Opens one in front of a server.
    pub async fn open(server: Server) -> Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let url = format!("http://{}", listener.local_addr()?);
        let shared = Arc::new(Shared { server, lie: watch::Sender::new(None), calls: Mutex::default() });
        let task = tokio::spawn(accept(listener, Arc::clone(&shared)));
        Ok(Self { url, shared, task })
    }

    /// From now on this is what the client is told.
    pub fn lie(&self, lie: Lie) {
        self.shared.lie.send_replace(Some(lie));
    }

    /// From now on the client gets the server's answers. Answers that are under way are given up.
    pub fn tell_the_truth(&self) {
        self.shared.lie.send_replace(None);
    }

    /// The calls since the start or [`Liar::forget`], in the order of their arrival.
    pub fn calls(&self) -> Vec<Asked> {
        self.shared.calls.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Forgets the calls so far.
    pub fn forget(&self) {
        self.shared.calls.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }
}

impl Drop for Liar {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn accept(listener: TcpListener, shared: Arc<Shared>) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => {
                let Ok((stream, _)) = accepted else { return };
                connections.spawn(converse(stream, Arc::clone(&shared)));
            }
            Some(_) = connections.join_next() => {}
        }
    }
}

/// Answers the calls of one connection until either side ends it.
async fn converse(mut stream: TcpStream, shared: Arc<Shared>) {
    // Small answers in two writes would wait for the client's delayed acknowledgement.
    let _best_effort = stream.set_nodelay(true);
    if matches!(&*shared.lie.borrow(), Some(Lie::Reset)) {
        shared.note(Asked::unread());
        let _dropped_next = stream.set_zero_linger();
        return;
    }
    let mut buffer = Vec::new();
    while let Some(asked) = read(&mut stream, &mut buffer).await {
        let mut changes = shared.lie.subscribe();
        let lie = changes.borrow_and_update().clone();
        shared.note(Asked { body: Vec::new(), ..asked.clone() });
        if matches!(lie, Some(Lie::Reset)) {
            let _dropped_next = stream.set_zero_linger();
            return;
        }
        let lies = lie.is_some();
        let answer = async {
            let mut told = truth(&shared.server, &asked).await?;
            if let Some(Lie::Alter(alter)) = lie {
                alter(&asked, &mut told);
            }
            send(&mut stream, told).await
        };
        tokio::select! {
            answered = answer => if !matches!(answered, Ok(true)) { return },
            // The client must not wait for the end of a lie that is over.
            _ = changes.changed(), if lies => return,
        }
    }
}

/// Reads one call; `None` when the client is gone.
async fn read(stream: &mut TcpStream, buffer: &mut Vec<u8>) -> Option<Asked> {
    let head = loop {
        if let Some(end) = buffer.windows(4).position(|four| four == b"\r\n\r\n") {
            break end + 4;
        }
        if stream.read_buf(buffer).await.ok()? == 0 {
            return None;
        }
    };
    let at = Instant::now();
    let text = String::from_utf8_lossy(&buffer[..head]).into_owned();
    let mut lines = text.trim_end().split("\r\n");
    let mut first = lines.next()?.split(' ');
    let (method, path) = (first.next()?.to_owned(), first.next()?.to_owned());
    let headers: Vec<(String, String)> = lines
        .filter_map(|line| line.split_once(':'))
        .map(|(name, value)| (name.to_lowercase(), value.trim().to_owned()))
        .collect();
    let length = headers.iter().find(|(name, _)| name == "content-length").and_then(|(_, length)| length.parse().ok());
    let end = head + length.unwrap_or(0_usize);
    while buffer.len() < end {
        if stream.read_buf(buffer).await.ok()? == 0 {
            return None;
        }
    }
    let body = buffer[head..end].to_vec();
    buffer.drain(..end);
    let plain = path.split('?').next().unwrap_or_default();
    let operation = format!("{method} {}", template(Side::Harbor, plain));
    Some(Asked { at, method, path, operation, headers, body })
}

/// What the server says.
async fn truth(server: &Server, asked: &Asked) -> Result<Told> {
    let url = format!("{}{}", server.url, asked.path);
    let mut request = server.http.request(asked.method.parse()?, url);
    for (name, value) in &asked.headers {
        if !matches!(name.as_str(), "host" | "connection" | "content-length") {
            request = request.header(name, value);
        }
    }
    let answer = request.body(asked.body.clone()).send().await?;
    let status = answer.status().as_u16();
    let headers = answer.headers().iter();
    let headers = headers.map(|(name, value)| (name.to_string(), value.as_bytes().to_vec()));
    let headers = headers.filter(|(name, _)| !matches!(name.as_str(), "connection" | "transfer-encoding")).collect();
    Ok(Told::new(status, headers, answer.bytes().await?.to_vec()))
}

/// Sends an answer; true if the connection goes on.
async fn send(stream: &mut TcpStream, told: Told) -> Result<bool> {
    let (bytes, pace, goes_on) = told.into_bytes();
    match pace {
        Pace::AtOnce => stream.write_all(&bytes).await?,
        Pace::After(time) => {
            tokio::time::sleep(time).await;
            stream.write_all(&bytes).await?;
        }
        Pace::BodyAfter(time) => {
            let head = bytes.windows(4).position(|four| four == b"\r\n\r\n").map_or(bytes.len(), |end| end + 4);
            stream.write_all(&bytes[..head]).await?;
            tokio::time::sleep(time).await;
            stream.write_all(&bytes[head..]).await?;
        }
        Pace::ByteBy(time) => {
            for byte in bytes {
                stream.write_all(&[byte]).await?;
                tokio::time::sleep(time).await;
            }
        }
        Pace::CloseAt(share) => {
            stream.write_all(cut(&bytes, share)).await?;
            return Ok(false);
        }
        Pace::ResetAt(share) => {
            stream.write_all(cut(&bytes, share)).await?;
            stream.set_zero_linger()?;
            return Ok(false);
        }
        Pace::HangAt(share) => {
            stream.write_all(cut(&bytes, share)).await?;
            std::future::pending::<()>().await;
        }
        Pace::WithoutEnd(more) => {
            stream.write_all(&bytes).await?;
            loop {
                stream.write_all(&more).await?;
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        }
    }
    Ok(goes_on)
}

/// So many hundredths of the answer.
fn cut(bytes: &[u8], share: usize) -> &[u8] {
    &bytes[..bytes.len() * share.min(100) / 100]
}
