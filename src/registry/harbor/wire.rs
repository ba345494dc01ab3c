//! One request, one answer: bounded in time and size, without redirects or a word about secrets.

use std::sync::Arc;
use std::time::Duration;

use reqwest::header::{CONTENT_TYPE, DATE, HeaderMap, HeaderValue, RETRY_AFTER};
use reqwest::{Response, StatusCode};
use secrecy::{ExposeSecret, SecretString};
use tokio::time::Instant;
use url::Url;

use super::bounded::{self, Failed, OVER};
use super::call::{Call, LARGEST};
use super::clock::{Offset, http_date};
use super::config::{Carrier, Clock, Config, Observer, http_client};
use super::config_error::ConfigError;
use super::credential::{Basic, Handed, Shown};
use super::failure;
use super::limits::Limits;
use super::room::{LONGEST_TURN, OwnRoom, SMALL, Turn};
use crate::deadline;
use crate::gate::{Gate, Refusal};
use crate::registry::Error;

/// What [`Error::BadAnswer`] says of an answer over [`LARGEST`].
pub(super) const TOO_LARGE: &str = "an answer over 2 MiB";

/// … over [`SMALL`].
const NOT_SMALL: &str = "an answer over 64 KiB";

pub(super) struct Request<'a> {
    pub(super) call: Call,
    path: String,
    /// Encoded.
    query: Option<String>,
    body: Option<(&'static str, Vec<u8>)>,
    /// Another login than the client's own.
    pub(super) login: Option<Basic>,
    secret: Option<&'a SecretString>,
}

impl<'a> Request<'a> {
    /// A request to `path` (absolute, encoded).
    pub(super) fn new(call: Call, path: impl Into<String>) -> Self {
        Self { call, path: path.into(), query: None, body: None, login: None, secret: None }
    }

    pub(super) fn query(self, query: String) -> Self {
        Self { query: Some(query), ..self }
    }

    pub(super) fn json(self, body: &impl serde::Serialize) -> Self {
        let body = serde_json::to_vec(body).expect("plain structs become JSON");
        Self { body: Some(("application/json", body)), ..self }
    }

    pub(super) fn form(self, body: String) -> Self {
        Self { body: Some(("application/x-www-form-urlencoded", body.into_bytes())), ..self }
    }

    pub(super) fn login(self, username: &str, password: &SecretString) -> Self {
        Self { login: Some(Basic::new(username, password)), ..self }
    }

    /// Names the secret in the body.
    pub(super) fn carrying(self, secret: Option<&'a SecretString>) -> Self {
        Self { secret, ..self }
    }
}

/// A whole answer with a status that the call asked for.
pub(super) struct Reply {
    call: Call,
    pub(super) status: StatusCode,
    /// `X-Total-Count`.
    pub(super) total: Option<usize>,
    body: Vec<u8>,
    /// Held until the body was made use of.
    _turn: Option<Turn>,
}

impl Reply {
    pub(super) fn json<T: serde::de::DeserializeOwned>(&self) -> Result<T, Error> {
        serde_json::from_slice(&self.body).map_err(|error| self.misshapen(&error))
    }

    /// The rows of a page of at most `most`, one by one. Answers how many there are.
    pub(super) fn rows<R: serde::de::DeserializeOwned>(
        &self,
        most: usize,
        take: impl FnMut(R) -> Result<(), Error>,
    ) -> Result<usize, Error> {
        bounded::rows(&self.body, most, take).map_err(|failed| match failed {
            Failed::Json(error) => self.misshapen(&error),
            Failed::Row(error) => error,
        })
    }

    /// serde's text may quote the body, which may hold a secret: only the place is told, or the limit that it went over.
    fn misshapen(&self, error: &serde_json::Error) -> Error {
        let text = error.to_string();
        if text.starts_with(OVER) {
            return self.bad(text);
        }
        self.bad(format!("no JSON of the expected shape at {}:{}", error.line(), error.column()))
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

/// What became of one try of a request.
pub(super) struct Try {
    pub(super) result: Result<Reply, Error>,
    pub(super) handed: Handed,
    /// From the first byte sent to the last received.
    pub(super) took: Duration,
}

pub(super) struct Wire {
    carrier: Arc<dyn Carrier>,
    base: Url,
    /// Our own login, of which no error says a word.
    pub(super) basic: Basic,
    clock: Clock,
    observer: Option<Observer>,
    gate: Gate,
    /// Rate, number in flight, and silence asked for.
    pub(super) limits: Limits,
    room: OwnRoom,
    pub(super) offset: Offset,
}

impl Wire {
    pub(super) fn new(config: Config) -> Result<Self, ConfigError> {
        let room = OwnRoom::new(config.room.clone());
        let carrier = match &config.carrier {
            Some(carrier) => Arc::clone(carrier),
            None => Arc::new(http_client(&config, &room)?),
        };
        Ok(Self {
            room,
            carrier,
            base: config.url,
            basic: Basic::new(&config.username, &config.password),
            clock: config.clock,
            observer: config.observer,
            gate: config.gate,
            limits: Limits::new(config.requests_per_second, config.max_in_flight),
            offset: Offset::default(),
        })
    }

    /// Waits for a turn, sends, reads the answer. An error if nothing could be sent, or what came does not fit into the
    /// room for large answers.
    pub(super) async fn attempt(&self, request: &Request<'_>, shown: Shown<'_>) -> Result<Try, Error> {
        let mut turn = None;
        loop {
            let permit = self.limits.turn().await?;
            let mut handed = Handed::default();
            let started = Instant::now();
            // Its state is large, and whoever calls would have it in its own.
            let exchange = Box::pin(self.exchange(request, shown, &mut handed, turn.take()));
            let result = if request.call.is_write() {
                match self.gate.pass(exchange).await {
                    Ok(result) => result,
                    Err(Refusal::NotLeading) => Err(Error::NotLeading),
                    Err(Refusal::TimedOut) => Err(Error::NoAnswer("timed out")),
                }
            } else {
                exchange.await
            };
            let took = started.elapsed();
            if let Some(observer) = &self.observer {
                observer(request.call.name, result.as_ref().map_or_else(Error::reason, |_| "ok"), took);
            }
            if let Some(result) = result.transpose() {
                return Ok(Try { result, handed, took });
            }
            // Only what reads is large: it is asked for again when there is room for it.
            drop(permit);
            turn = Some(self.room.turn().await?);
        }
    }

    /// One request and its answer; `None` if that is a large one and others are being read.
    async fn exchange(
        &self,
        request: &Request<'_>,
        shown: Shown<'_>,
        handed: &mut Handed,
        turn: Option<Turn>,
    ) -> Result<Option<Reply>, Error> {
        let call = request.call;
        let mut url = self.base.clone();
        url.set_path(&request.path);
        url.set_query(request.query.as_deref());
        let mut headers = HeaderMap::new();
        shown.add_to(&mut headers, !call.method.is_safe());
        if call == Call::PROJECT_GET {
            // Its path has the project's name, which Harbor else takes for an id when it is all digits.
            headers.insert("x-is-resource-name", HeaderValue::from_static("true"));
        }
        let mut http = reqwest::Request::new(call.method.clone(), url);
        if let Some((kind, body)) = &request.body {
            headers.insert(CONTENT_TYPE, HeaderValue::from_static(kind));
            *http.body_mut() = Some(body.clone().into());
        }
        *http.headers_mut() = headers;

        let sent = (self.clock)();
        let mut response = self.carrier.carry(http).await?;
        let received = (self.clock)();
        let date = header(&response, DATE.as_str()).and_then(http_date);
        if let Some(date) = date {
            self.offset.learn(date, sent, received);
        }
        *handed = Handed::by(response.headers());
        let status = response.status();
        let total = header(&response, "x-total-count").and_then(|total| total.parse().ok());
        let now = date.unwrap_or(received);
        let after = header(&response, RETRY_AFTER.as_str()).and_then(|after| failure::retry_after(after, now));

        let answered = call.is_answered_by(status);
        let read = self.read(&mut response, call.largest_answer(answered), call.is_write() && answered, turn).await;
        let (body, turn) = match read {
            Ok(Some(read)) => read,
            Ok(None) => return Ok(None),
            Err(error) if answered => return Err(error),
            // The status alone says enough.
            Err(_) => (Vec::new(), None),
        };
        if answered {
            return Ok(Some(Reply { call, status, total, body, _turn: turn }));
        }
        let secrets: Vec<&str> = shown
            .secrets()
            .into_iter()
            .chain(self.basic.secrets())
            .chain(request.secret.map(ExposeSecret::expose_secret))
            .collect();
        let error = failure::refusal(call, status, &body, after, &secrets);
        if let Error::Busy(Some(after)) = error {
            self.limits.hold(after);
        }
        Err(error)
    }

    /// The body, counted while it comes: `Content-Length` may be absent or a lie. `None` if it is larger than what is read
    /// without a turn, and others have theirs.
    async fn read(
        &self,
        response: &mut Response,
        most: usize,
        after_write: bool,
        mut turn: Option<Turn>,
    ) -> Result<Option<(Vec<u8>, Option<Turn>)>, Error> {
        let mut body = Vec::new();
        let mut until = turn.as_ref().map(|_| deadline::after(Instant::now(), LONGEST_TURN));
        loop {
            let chunk = match until {
                None => response.chunk().await,
                Some(until) => {
                    tokio::time::timeout_at(until, response.chunk()).await.map_err(|_| Error::NoAnswer("timed out"))?
                }
            };
            let Some(chunk) = chunk.map_err(|error| failure::no_answer(&error))? else {
                return Ok(Some((body, turn)));
            };
            let size = body.len() + chunk.len();
            if size > most {
                let what = if most == LARGEST { TOO_LARGE } else { NOT_SMALL };
                return Err(Error::BadAnswer { what: what.into(), after_write });
            }
            if size > SMALL && turn.is_none() {
                turn = self.room.try_turn();
                if turn.is_none() {
                    return Ok(None);
                }
                until = Some(deadline::after(Instant::now(), LONGEST_TURN));
            }
            if size > body.capacity() {
                // To grow it by doubling would take up to three times its size.
                body.reserve_exact(if size > SMALL { most - body.len() } else { SMALL.min(2 * size) - body.len() });
            }
            body.extend_from_slice(&chunk);
        }
    }
}

fn header<'a>(response: &'a Response, name: &str) -> Option<&'a str> {
    response.headers().get(name)?.to_str().ok()
}
