//! Servers that let the operator log in and then answer with more than anybody asked for.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU32, Ordering};
use std::time::Duration;

use anyhow::Result;
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufStream};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

const MIB: usize = 1 << 20;

/// What a server does beside answering the login.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    EmptyScopes,
    EmptyPairs,
    ManyPairs,
    Nested,
    LongText,
    EndlessList,
    Catalogue,
    LongLogin,
    Headers,
    EndlessBody,
    Trickle,
    Deflated,
    LateAnswers,
}

impl Kind {
    pub(super) const ALL: [Self; 13] = [
        Self::EmptyScopes,
        Self::EmptyPairs,
        Self::ManyPairs,
        Self::Nested,
        Self::LongText,
        Self::EndlessList,
        Self::Catalogue,
        Self::LongLogin,
        Self::Headers,
        Self::EndlessBody,
        Self::Trickle,
        Self::Deflated,
        Self::LateAnswers,
    ];

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::EmptyScopes => "4 MB of empty permissions of one robot",
            Self::EmptyPairs => "4 MB of empty pairs of one robot",
            Self::ManyPairs => "pages of robots with as many pairs as are read",
            Self::Nested => "4 MB of nested arrays",
            Self::LongText => "a text of 4 MB",
            Self::EndlessList => "full pages without end",
            Self::Catalogue => "a catalogue of 4 MB",
            Self::LongLogin => "4 MB about the login and the server",
            Self::Headers => "headers without end",
            Self::EndlessBody => "a body without end",
            Self::Trickle => "a byte a second",
            Self::Deflated => "a compressed body that says so",
            Self::LateAnswers => "answers after 9 s",
        }
    }

    /// Whether this kind lies about that path.
    fn lies_about(self, request: &str) -> bool {
        let login =
            request.contains("/users/current") || request.contains("/systeminfo") || request.contains("/c/login");
        match self {
            Self::Catalogue => request.contains("/permissions"),
            Self::LongLogin => login,
            _ => !login && !request.contains("/projects") && !request.contains("/permissions"),
        }
    }
}

/// A running server; it ends when this is dropped.
pub(super) struct HostileServer {
    pub(super) url: String,
    calls: Arc<AtomicU32>,
    task: JoinHandle<()>,
}

impl HostileServer {
    pub(super) async fn start(kind: Kind) -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let url = format!("http://{}", listener.local_addr()?);
        let calls = Arc::new(AtomicU32::new(0));
        let count = Arc::clone(&calls);
        let task = tokio::spawn(async move {
            let body: Arc<[u8]> = body(kind).into();
            let ids = Arc::new(AtomicI64::new(1));
            while let Ok((stream, _)) = listener.accept().await {
                let (body, ids, count) = (Arc::clone(&body), Arc::clone(&ids), Arc::clone(&count));
                // An error is a client that has heard enough.
                tokio::spawn(async move { drop(serve(stream, kind, &body, &ids, &count).await) });
            }
        });
        Ok(Self { url, calls, task })
    }

    /// Requests so far.
    pub(super) fn calls(&self) -> u32 {
        self.calls.load(Ordering::Relaxed)
    }
}

impl Drop for HostileServer {
    fn drop(&mut self) {
        self.task.abort();
    }
}

fn list(count: usize, item: impl Fn(usize) -> String) -> String {
    let items: Vec<String> = (0..count).map(item).collect();
    format!("[{}]", items.join(","))
}

/// The answer of a kind to what it lies about, where that is always the same.
fn body(kind: Kind) -> Vec<u8> {
    let robot = |permissions: &str| format!("[{}]", row(7, "ci", permissions));
    match kind {
        Kind::EmptyScopes => robot(&list(4 * MIB / 3, |_| "{}".to_owned())),
        Kind::EmptyPairs => robot(&format!("[{{\"access\":{}}}]", list(4 * MIB / 3, |_| "{}".to_owned()))),
        Kind::ManyPairs => {
            let pairs = list(500, |n| format!("{{\"resource\":\"r{n}\",\"action\":\"a\"}}"));
            robot(&list(59, |n| format!("{{\"kind\":\"project\",\"namespace\":\"p{n}\",\"access\":{pairs}}}")))
        }
        Kind::Nested => "[".repeat(4 * MIB),
        Kind::LongText => format!("[\"{}\"]", "x".repeat(4 * MIB)),
        Kind::Catalogue => {
            let pairs = list(MIB / 8, |n| format!("{{\"resource\":\"r{n}\",\"action\":\"pull\"}}"));
            format!("{{\"system\":{pairs},\"project\":{pairs}}}")
        }
        Kind::LongLogin => json!({"harbor_version": "x".repeat(4 * MIB)}).to_string(),
        // Bytes that no client takes for JSON.
        Kind::Deflated => "\u{1f}".repeat(4 * MIB),
        Kind::EndlessList | Kind::Headers | Kind::EndlessBody | Kind::Trickle | Kind::LateAnswers => String::new(),
    }
    .into_bytes()
}

/// A robot of the project `p`.
fn row(id: i64, name: &str, permissions: &str) -> String {
    let mut row = json!({
        "id": id, "name": format!("robot$p+{name}"), "level": "project", "duration": 30, "editable": true,
        "disable": false, "expires_at": 1_990_000_000, "creation_time": "2026-07-11T13:47:44.261Z",
        "description": "d".repeat(1000),
    })
    .to_string();
    row.pop();
    format!("{row},\"permissions\":{permissions}}}")
}

async fn serve(stream: TcpStream, kind: Kind, body: &[u8], ids: &AtomicI64, calls: &AtomicU32) -> Result<()> {
    let mut stream = BufStream::new(stream);
    loop {
        let mut request = String::new();
        if stream.read_line(&mut request).await? == 0 {
            return Ok(());
        }
        let mut length = 0;
        loop {
            let mut line = String::new();
            stream.read_line(&mut line).await?;
            if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
                length = value.trim().parse()?;
            }
            if line.trim().is_empty() {
                break;
            }
        }
        let mut sent = vec![0; length];
        stream.read_exact(&mut sent).await?;
        calls.fetch_add(1, Ordering::Relaxed);
        if kind.lies_about(&request) {
            lie(&mut stream, kind, body, ids, &request).await?;
        } else {
            let (status, answer) = honest(&request);
            whole(&mut stream, status, "", answer.to_string().as_bytes()).await?;
        }
    }
}

/// What lets the operator log in and find the project.
fn honest(request: &str) -> (u16, Value) {
    if request.contains("/users/current") {
        (200, json!({"user_id": 3, "username": "somebody", "sysadmin_flag": false}))
    } else if request.contains("/systeminfo") {
        (200, json!({"auth_mode": "db_auth", "harbor_version": "v2.16.0", "registry_url": "harbor.example.com"}))
    } else if request.contains("/permissions") {
        (200, json!({"system": null, "project": [{"resource": "repository", "action": "pull"}]}))
    } else if request.contains("/projects") {
        (200, json!({"project_id": 1, "name": "p"}))
    } else {
        (403, json!({"errors": [{"code": "FORBIDDEN", "message": "no"}]}))
    }
}

async fn whole(stream: &mut BufStream<TcpStream>, status: u16, headers: &str, body: &[u8]) -> Result<()> {
    let head = format!("HTTP/1.1 {status} Status\r\nContent-Length: {}\r\n{headers}\r\n", body.len());
    stream.write_all(head.as_bytes()).await?;
    stream.write_all(body).await?;
    Ok(stream.flush().await?)
}

async fn lie(stream: &mut BufStream<TcpStream>, kind: Kind, body: &[u8], ids: &AtomicI64, request: &str) -> Result<()> {
    // A name that is taken has the operator list what there is.
    let makes = request.starts_with("POST");
    match kind {
        Kind::Headers => {
            stream.write_all(b"HTTP/1.1 200 OK\r\n").await?;
            loop {
                stream.write_all(format!("X-Filler: {}\r\n", "h".repeat(4000)).as_bytes()).await?;
            }
        }
        Kind::EndlessBody => {
            stream.write_all(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n").await?;
            loop {
                stream.write_all(format!("{:x}\r\n{}\r\n", 64 << 10, "b".repeat(64 << 10)).as_bytes()).await?;
            }
        }
        Kind::Trickle => {
            stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 4096\r\n\r\n").await?;
            loop {
                stream.write_all(b" ").await?;
                stream.flush().await?;
                tokio::time::sleep(Duration::from_secs(1)).await;
            }
        }
        Kind::LateAnswers => {
            tokio::time::sleep(Duration::from_secs(9)).await;
            whole(stream, 200, "", b"[]").await
        }
        _ if makes => {
            let conflict = json!({"errors": [{"code": "CONFLICT", "message": "robot account exists"}]}).to_string();
            whole(stream, 409, "", conflict.as_bytes()).await
        }
        Kind::EndlessList => {
            let first = ids.fetch_add(100, Ordering::Relaxed);
            let rows: Vec<String> =
                (first..first + 100).map(|id| row(id, &format!("{}{id}", "n".repeat(200)), "[]")).collect();
            let rows = format!("[{}]", rows.join(","));
            whole(stream, 200, "X-Total-Count: 99999999\r\n", rows.as_bytes()).await
        }
        Kind::Deflated => whole(stream, 200, "Content-Encoding: deflate\r\n", body).await,
        _ => whole(stream, 200, "", body).await,
    }
}
