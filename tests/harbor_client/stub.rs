//! A server that answers with exactly the bytes a test wants, at the time it wants.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_rustls::TlsAcceptor;

/// A request as it came over the wire.
#[derive(Clone, Debug)]
pub struct Seen {
    pub method: String,
    /// Path and query, as sent.
    pub target: String,
    /// With names in lower case.
    pub headers: Vec<(String, String)>,
    pub body: String,
}

impl Seen {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    pub fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.body).expect("a JSON body")
    }

    /// `METHOD /path?query`.
    pub fn line(&self) -> String {
        format!("{} {}", self.method, self.target)
    }
}

/// What to do with a request.
#[derive(Clone, Debug)]
pub enum Act {
    /// Send these bytes and wait for the next request.
    Send(Vec<u8>),
    /// Send these bytes and close.
    Close(Vec<u8>),
    /// Send these bytes, then nothing, with the connection open.
    Hang(Vec<u8>),
    /// Send the head, then a byte of the body at a time.
    Trickle(Vec<u8>, Duration),
}

/// A whole answer.
pub fn answer(status: u16, headers: &[(&str, &str)], body: &str) -> Act {
    Act::Send(raw(status, headers, body))
}

/// A whole answer with a JSON body.
pub fn json(status: u16, body: &serde_json::Value) -> Act {
    answer(status, &[("Content-Type", "application/json; charset=utf-8")], &format!("{body}\n"))
}

/// Harbor's error body.
pub fn error(status: u16, code: &str, message: &str) -> Act {
    json(status, &serde_json::json!({"errors": [{"code": code, "message": message}]}))
}

/// The bytes of an answer.
pub fn raw(status: u16, headers: &[(&str, &str)], body: &str) -> Vec<u8> {
    use std::fmt::Write as _;
    let mut text = format!("HTTP/1.1 {status} Status\r\nContent-Length: {}\r\n", body.len());
    for (name, value) in headers {
        write!(text, "{name}: {value}\r\n").unwrap();
    }
    format!("{text}\r\n{body}").into_bytes()
}

/// The running server; gone when dropped.
pub struct Stub {
    pub address: SocketAddr,
    seen: Arc<Mutex<Vec<Seen>>>,
    task: JoinHandle<()>,
}

impl Drop for Stub {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Stub {
    /// Answers each request with what `act` says for it.
    pub async fn start(act: impl Fn(&Seen) -> Act + Send + Sync + 'static) -> Self {
        Self::with_tls(None, act).await
    }

    /// Answers all requests alike.
    pub async fn always(act: Act) -> Self {
        Self::start(move |_| act.clone()).await
    }

    /// Answers the n-th request with the n-th act, and later ones with the last.
    pub async fn script(acts: Vec<Act>) -> Self {
        let at = Mutex::new(0);
        Self::start(move |_| {
            let mut at = at.lock().unwrap();
            *at += 1;
            acts[(*at - 1).min(acts.len() - 1)].clone()
        })
        .await
    }

    /// The same behind TLS.
    pub async fn with_tls(tls: Option<TlsAcceptor>, act: impl Fn(&Seen) -> Act + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let seen = Arc::new(Mutex::new(Vec::new()));
        let shared = (Arc::clone(&seen), Arc::new(act));
        let task = tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                let (seen, act) = shared.clone();
                let tls = tls.clone();
                tokio::spawn(async move {
                    match tls {
                        None => serve(stream, &seen, &*act).await,
                        Some(tls) => {
                            if let Ok(stream) = tls.accept(stream).await {
                                serve(stream, &seen, &*act).await;
                            }
                        }
                    }
                });
            }
        });
        Self { address, seen, task }
    }

    /// All requests so far.
    pub fn seen(&self) -> Vec<Seen> {
        self.seen.lock().unwrap().clone()
    }

    /// `METHOD /path?query` of all requests so far.
    pub fn lines(&self) -> Vec<String> {
        self.seen().iter().map(Seen::line).collect()
    }
}

async fn serve<S>(mut stream: S, seen: &Mutex<Vec<Seen>>, act: &(dyn Fn(&Seen) -> Act + Send + Sync))
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let mut buffer = Vec::new();
    while let Some(request) = read(&mut stream, &mut buffer).await {
        let act = act(&request);
        seen.lock().unwrap().push(request);
        // A client that has heard enough hangs up: not the server's concern.
        match act {
            Act::Send(bytes) => {
                let _ = stream.write_all(&bytes).await;
            }
            Act::Close(bytes) => {
                let _ = stream.write_all(&bytes).await;
                let _ = stream.shutdown().await;
                return;
            }
            Act::Hang(bytes) => {
                let _ = stream.write_all(&bytes).await;
                std::future::pending::<()>().await;
            }
            Act::Trickle(bytes, pause) => {
                let head = bytes.windows(4).position(|four| four == b"\r\n\r\n").unwrap() + 4;
                let _ = stream.write_all(&bytes[..head]).await;
                for byte in &bytes[head..] {
                    tokio::time::sleep(pause).await;
                    if stream.write_all(&[*byte]).await.is_err() {
                        return;
                    }
                }
            }
        }
    }
}

async fn read<S: AsyncRead + Unpin>(stream: &mut S, buffer: &mut Vec<u8>) -> Option<Seen> {
    let head = loop {
        if let Some(end) = buffer.windows(4).position(|four| four == b"\r\n\r\n") {
            break end + 4;
        }
        if stream.read_buf(buffer).await.ok()? == 0 {
            return None;
        }
    };
    let text = String::from_utf8(buffer[..head].to_vec()).unwrap();
    let mut lines = text.trim_end().split("\r\n");
    let mut first = lines.next()?.split(' ');
    let headers: Vec<(String, String)> = lines
        .filter_map(|line| line.split_once(": "))
        .map(|(name, value)| (name.to_lowercase(), value.to_owned()))
        .collect();
    let length = headers.iter().find(|(name, _)| name == "content-length").map_or(0, |(_, n)| n.parse().unwrap());
    while buffer.len() < head + length {
        if stream.read_buf(buffer).await.ok()? == 0 {
            return None;
        }
    }
    let body = String::from_utf8(buffer[head..head + length].to_vec()).unwrap();
    buffer.drain(..head + length);
    Some(Seen { method: first.next()?.into(), target: first.next()?.into(), headers, body })
}
