//! One request, one answer: bounded in time and size, without redirects, cookies or a word about secrets.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use reqwest::header::{AUTHORIZATION, CONTENT_TYPE, DATE, HeaderMap, HeaderValue, RETRY_AFTER};
use reqwest::{Method, Response, StatusCode};
use secrecy::{ExposeSecret, SecretString};
use tokio::time::Instant;
use url::Url;

use super::clock::{Offset, http_date};
use super::config::{Clock, Config, ConfigError, Observer, http_client};
use super::failure::{self, Call};
use super::limits::Limits;
use crate::registry::Error;

/// The largest answer that is read, in bytes.
const LARGEST_ANSWER: usize = 4 * 1024 * 1024;

/// What [`Error::BadAnswer`] says of an answer over [`LARGEST_ANSWER`].
pub(super) const TOO_LARGE: &str = "an answer over 4 MiB";

/// How a request shows who we are.
enum Auth {
    /// `Authorization: Basic` on every request. The value's base64 text is kept to recognise it in an echo.
    Basic { header: HeaderValue, password: SecretString, encoded: SecretString },
}

impl Auth {
    fn basic(username: &str, password: &SecretString) -> Self {
        let encoded = BASE64.encode(format!("{username}:{}", password.expose_secret()));
        let mut header = HeaderValue::from_str(&format!("Basic {encoded}")).expect("base64 is plain ASCII");
        header.set_sensitive(true);
        Self::Basic { header, password: password.clone(), encoded: encoded.into() }
    }

    fn add_to(&self, headers: &mut HeaderMap) {
        match self {
            Self::Basic { header, .. } => headers.insert(AUTHORIZATION, header.clone()),
        };
    }

    fn secrets(&self) -> [&str; 2] {
        match self {
            Self::Basic { password, encoded, .. } => [password.expose_secret(), encoded.expose_secret()],
        }
    }
}

/// One request.
pub(super) struct Request<'a> {
    call: Call,
    method: Method,
    path: String,
    query: Option<String>,
    body: Option<Vec<u8>>,
    /// For paths with a project's name, which Harbor else takes for an id when it is all digits.
    by_name: bool,
    /// Another login than the client's own.
    login: Option<Auth>,
    /// A secret in the body.
    secret: Option<&'a SecretString>,
}

impl<'a> Request<'a> {
    /// A request to `path` (absolute, encoded).
    pub(super) fn new(call: Call, method: Method, path: impl Into<String>) -> Self {
        let path = path.into();
        Self { call, method, path, query: None, body: None, by_name: false, login: None, secret: None }
    }

    /// With an encoded query string.
    pub(super) fn query(self, query: String) -> Self {
        Self { query: Some(query), ..self }
    }

    /// With a JSON body.
    pub(super) fn json(self, body: &impl serde::Serialize) -> Self {
        Self { body: Some(serde_json::to_vec(body).expect("plain structs become JSON")), ..self }
    }

    /// With `X-Is-Resource-Name`.
    pub(super) fn by_name(self) -> Self {
        Self { by_name: true, ..self }
    }

    /// As another login.
    pub(super) fn login(self, username: &str, password: &SecretString) -> Self {
        Self { login: Some(Auth::basic(username, password)), ..self }
    }

    /// Names the secret in the body.
    pub(super) fn carrying(self, secret: Option<&'a SecretString>) -> Self {
        Self { secret, ..self }
    }
}

/// A whole answer with a status that the call asked for.
pub(super) struct Reply {
    call: Call,
    /// The status.
    pub(super) status: StatusCode,
    /// `X-Total-Count`.
    pub(super) total: Option<usize>,
    body: Vec<u8>,
}

impl Reply {
    /// The body as JSON of the expected shape.
    pub(super) fn json<T: serde::de::DeserializeOwned>(&self) -> Result<T, Error> {
        // serde's text may quote the body, which may hold a secret: only the place is told.
        serde_json::from_slice(&self.body)
            .map_err(|error| self.bad(format!("no JSON of the expected shape at {}:{}", error.line(), error.column())))
    }

    /// Harbor answers PUT and DELETE without a body; anything else came from something in front of it.
    pub(super) fn empty(&self) -> Result<(), Error> {
        if self.body.iter().all(u8::is_ascii_whitespace) { Ok(()) } else { Err(self.bad("a body where none belongs")) }
    }

    /// The error for something missing in this answer.
    pub(super) fn bad(&self, what: impl Into<String>) -> Error {
        Error::BadAnswer { what: what.into(), after_write: self.call.is_write() }
    }
}

/// Sends requests within the limits.
pub(super) struct Transport {
    http: reqwest::Client,
    base: Url,
    auth: Auth,
    clock: Clock,
    observer: Option<Observer>,
    /// Rate, number in flight, and silence asked for.
    pub(super) limits: Limits,
    /// Harbor's clock against ours.
    pub(super) offset: Offset,
}

impl Transport {
    pub(super) fn new(config: Config) -> Result<Self, ConfigError> {
        let http = http_client(&config)?;
        Ok(Self {
            http,
            base: config.url,
            auth: Auth::basic(&config.username, &config.password),
            clock: config.clock,
            observer: config.observer,
            limits: Limits::new(config.requests_per_second, config.max_in_flight),
            offset: Offset::default(),
        })
    }

    /// Waits for its turn, sends, reads the answer.
    pub(super) async fn send(&self, request: &Request<'_>) -> Result<Reply, Error> {
        let _permit = self.limits.turn().await?;
        let started = Instant::now();
        let result = self.exchange(request).await;
        if let Some(observer) = &self.observer {
            observer(request.call.name(), result.as_ref().map_or_else(Error::reason, |_| "ok"), started.elapsed());
        }
        result
    }

    async fn exchange(&self, request: &Request<'_>) -> Result<Reply, Error> {
        let call = request.call;
        let auth = request.login.as_ref().unwrap_or(&self.auth);
        let mut url = self.base.clone();
        url.set_path(&request.path);
        url.set_query(request.query.as_deref());
        let mut headers = HeaderMap::new();
        auth.add_to(&mut headers);
        if request.by_name {
            headers.insert("x-is-resource-name", HeaderValue::from_static("true"));
        }
        let mut http = self.http.request(request.method.clone(), url);
        if let Some(body) = &request.body {
            headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
            http = http.body(body.clone());
        }

        let sent = (self.clock)();
        let mut response = http.headers(headers).send().await.map_err(|error| failure::no_answer(&error))?;
        let received = (self.clock)();
        let date = header(&response, DATE.as_str()).and_then(http_date);
        if let Some(date) = date {
            self.offset.learn(date, sent, received);
        }
        let status = response.status();
        let total = header(&response, "x-total-count").and_then(|total| total.parse().ok());
        let now = date.unwrap_or(received);
        let after = header(&response, RETRY_AFTER.as_str()).and_then(|after| failure::retry_after(after, now));

        let answered = call.is_answered_by(status);
        let body = match read(&mut response, call.is_write() && answered).await {
            Ok(body) => body,
            Err(error) if answered => return Err(error),
            // The status alone says enough.
            Err(_) => Vec::new(),
        };
        if answered {
            return Ok(Reply { call, status, total, body });
        }
        let secrets: Vec<&str> = self
            .auth
            .secrets()
            .into_iter()
            .chain(auth.secrets())
            .chain(request.secret.map(ExposeSecret::expose_secret))
            .collect();
        let error = failure::refusal(call, status, &body, after, &secrets);
        if let Error::Busy { after: Some(after) } = error {
            self.limits.hold(after);
        }
        Err(error)
    }
}

fn header<'a>(response: &'a Response, name: &str) -> Option<&'a str> {
    response.headers().get(name)?.to_str().ok()
}

/// The body, counted while it comes: `Content-Length` may be absent or a lie.
async fn read(response: &mut Response, after_write: bool) -> Result<Vec<u8>, Error> {
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(|error| failure::no_answer(&error))? {
        if body.len() + chunk.len() > LARGEST_ANSWER {
            return Err(Error::BadAnswer { what: TOO_LARGE.into(), after_write });
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}
