//! Decides what a request carries: a person's session, or Basic. Opens sessions, and notices when Harbor forgot one.
//!
//! A person's Basic costs Harbor about 100 ms of processor time on each call from v2.15 on, and fails while somebody else
//! guesses passwords for the same user name; a session costs 2-4 ms and is not asked for the password again. Whether the
//! login is a person's is learnt from the first answer to `/users/current`, which is asked for by Basic: a robot's name
//! at the login form would cost 1.5 s, and its prefix can be anything. Robots carry Basic on each call and no cookie:
//! with one, Harbor refuses changing calls.
//!
//! Sessions are not logged out of: there is one at a time, and Harbor forgets it after an hour without use.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use reqwest::StatusCode;
use secrecy::ExposeSecret as _;
use tokio::sync::Mutex as AsyncMutex;
use tokio::time::Instant;
use url::form_urlencoded;

use super::call::Call;
use super::credential::{Handed, Session, Shown};
use super::lockout::Refusals;
use super::wire::{Request, Wire};
use crate::deadline;
use crate::registry::Error;

/// Where there is no login by form (OIDC, a proxy that passes only the API on), it is looked for again after this long.
const LOOK_AGAIN: Duration = Duration::from_mins(10);
/// No session lives shorter than this: one that Harbor does not know so soon is one that it never knew.
const NEW: Duration = Duration::from_secs(10);
/// After so many of those there is no use in another.
const USELESS: u32 = 2;
/// At a locked user name: so many tries with so much time between them, which is longer together than Harbor's lock of
/// 1.5 s. Between two guesses of somebody else the name is open for the ~100 ms that Harbor takes to check the second.
const TRIES_AT_LOCK: u32 = 20;
const BETWEEN_TRIES: [u64; 2] = [60, 120];
/// However slow Harbor is, they end.
const MOST_AT_LOCK: Duration = Duration::from_secs(3);
/// Robots have this prefix unless an administrator changed it.
const DEFAULT_PREFIX: &str = "robot$";

/// A session, and whether Harbor knew it.
pub(super) struct Pass {
    pub(super) session: Session,
    since: Instant,
    /// Harbor answered a call that it answers only to those it knows.
    proven: AtomicBool,
}

impl Pass {
    fn new(session: Session, proven: bool) -> Arc<Self> {
        Arc::new(Self { session, since: Instant::now(), proven: AtomicBool::new(proven) })
    }

    /// True if it was opened just now and never did any good.
    pub(super) fn is_new(&self) -> bool {
        !self.proven.load(Ordering::Relaxed) && self.since.elapsed() < NEW
    }
}

pub(super) enum Carried {
    Basic,
    Session(Arc<Pass>),
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Unknown,
    Person,
    Robot,
}

struct State {
    kind: Kind,
    pass: Option<Arc<Pass>>,
    /// Sessions in a row that did no good.
    useless: u32,
    /// There is no login by form, as far as is known until then.
    basic_until: Option<Instant>,
    refusals: Refusals,
}

/// One login's way in.
pub(super) struct Door {
    username: String,
    state: Mutex<State>,
    /// One login at a time, whoever needs it.
    opening: AsyncMutex<()>,
}

impl Door {
    pub(super) fn new(username: String) -> Self {
        let kind = if username.starts_with(DEFAULT_PREFIX) { Kind::Robot } else { Kind::Unknown };
        let state = State { kind, pass: None, useless: 0, basic_until: None, refusals: Refusals::default() };
        Self { username, state: Mutex::new(state), opening: AsyncMutex::default() }
    }

    pub(super) fn belongs_to(&self, kind: Kind) {
        self.state().kind = kind;
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What the next request carries. Opens a session if one is wanted and there is none.
    pub(super) async fn carried(&self, wire: &Wire) -> Result<Carried, Error> {
        if let Some(carried) = self.at_hand() {
            return Ok(carried);
        }
        let _alone = self.opening.lock().await;
        if let Some(carried) = self.at_hand() {
            return Ok(carried);
        }
        // Nothing of the request itself was sent, whatever becomes of the login.
        self.open(wire).await.map_err(|error| match error {
            Error::NoAnswer(what) => Error::Unreachable(what),
            Error::Server(status) => {
                Error::BadAnswer { what: format!("status {status} to the login"), after_write: false }
            }
            other => other,
        })
    }

    fn at_hand(&self) -> Option<Carried> {
        let state = self.state();
        if state.kind != Kind::Person || state.basic_until.is_some_and(|until| Instant::now() < until) {
            return Some(Carried::Basic);
        }
        state.pass.clone().map(Carried::Session)
    }

    async fn open(&self, wire: &Wire) -> Result<Carried, Error> {
        if let Some(error) = self.state().refusals.too_soon(Instant::now()) {
            return Err(error);
        }
        // Without a token Harbor looks at nothing else, so the password stays here for now.
        let (_, handed, _) = step(wire, Call::LOGIN_TOKEN, String::new(), None).await?;
        let Some(begun) = Session::begun(handed) else {
            return Ok(self.without_form("it hands out no token for it"));
        };
        let form = form_urlencoded::Serializer::new(String::new())
            .append_pair("principal", &self.username)
            .append_pair("password", wire.basic.password().expose_secret())
            .finish();
        let (begun_at, mut tries) = (Instant::now(), 1);
        loop {
            let (status, handed, took) = step(wire, Call::LOGIN, form.clone(), Some(&begun)).await?;
            match status {
                StatusCode::OK => {
                    let session = begun.with(handed);
                    if !session.has_id() {
                        return Ok(self.without_form("it hands out no session"));
                    }
                    let pass = Pass::new(session, false);
                    let mut state = self.state();
                    state.refusals.forget();
                    state.pass = Some(Arc::clone(&pass));
                    drop(state);
                    tracing::debug!("opened a session in Harbor");
                    return Ok(Carried::Session(pass));
                }
                StatusCode::UNAUTHORIZED => {
                    let (error, believed) = {
                        let mut state = self.state();
                        (state.refusals.judge(took, Instant::now()), state.refusals.is_believed())
                    };
                    if !believed || tries == TRIES_AT_LOCK || begun_at.elapsed() > MOST_AT_LOCK {
                        return Err(error);
                    }
                    tries += 1;
                    let [least, most] = BETWEEN_TRIES;
                    tokio::time::sleep(Duration::from_millis(rand::random_range(least..=most))).await;
                }
                _ => return Ok(self.without_form("it refuses it to this login")),
            }
        }
    }

    fn without_form(&self, why: &str) -> Carried {
        tracing::info!(why, "Harbor offers no login by form: the password goes with each call");
        let mut state = self.state();
        state.pass = None;
        state.basic_until = Some(deadline::after(Instant::now(), LOOK_AGAIN));
        Carried::Basic
    }

    /// Takes in the answer to a request that carried a session. `accepted`: Harbor knew it for sure.
    pub(super) fn settle(&self, pass: &Arc<Pass>, handed: Handed, disowned: bool, accepted: bool) {
        let mut state = self.state();
        // Somebody else's answer came first.
        if !state.pass.as_ref().is_some_and(|current| Arc::ptr_eq(current, pass)) {
            return;
        }
        if accepted {
            pass.proven.store(true, Ordering::Relaxed);
            state.useless = 0;
        }
        if disowned && pass.is_new() {
            state.useless += 1;
        }
        let forgotten = disowned && pass.session.is_replaced_by(&handed);
        match (disowned, handed.csrf()) {
            (true, _) if state.useless >= USELESS => {
                state.useless = 0;
                drop(state);
                self.without_form("it does not know sessions that it just opened");
            }
            // Harbor gives out another token by itself, after 12 hours or a restart: the session lives on.
            (true, Some(csrf)) if !forgotten => state.pass = Some(Pass::new(pass.session.with(csrf), false)),
            (true, _) => state.pass = None,
            (false, Some(csrf)) => state.pass = Some(Pass::new(pass.session.with(csrf), !pass.is_new())),
            (false, None) => {}
        }
    }

    /// The answer to a request that carried Basic: says of a 401 what it means, and learns from the rest.
    pub(super) fn judge<T>(&self, call: Call, result: Result<T, Error>, took: Duration) -> Result<T, Error> {
        let mut state = self.state();
        match &result {
            Ok(_) if call.needs_login => state.refusals.forget(),
            Err(Error::Unauthorized) if state.kind != Kind::Robot => {
                // If anything helps at a locked name, a session does.
                state.basic_until = None;
                return Err(state.refusals.judge(took, Instant::now()));
            }
            _ => {}
        }
        result
    }
}

/// A step of the login by form: what Harbor answers unless that is 5xx or 429, what it hands out, the time it took.
async fn step(
    wire: &Wire,
    call: Call,
    form: String,
    begun: Option<&Session>,
) -> Result<(StatusCode, Handed, Duration), Error> {
    let request = Request::new(call, "/c/login").form(form);
    let tried = wire.attempt(&request, begun.map_or(Shown::Nothing, Shown::Session)).await?;
    Ok((tried.result?.status, tried.handed, tried.took))
}
