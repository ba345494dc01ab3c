//! Who calls: robots and persons by Basic, persons by session, registry tokens; and the CSRF rule of sessions.

use std::time::{Duration, Instant};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hyper::{HeaderMap, Method};

use super::call::Call;
use super::reply::Reply;
use super::token;
use crate::app::App;
use crate::error::{ApiError, ApiResult};
use crate::state::Caller;
use crate::state::locks::LOCKED;

/// The session's cookie.
pub const SESSION_COOKIE: &str = "sid";
const CSRF_COOKIE: &str = "_gorilla_csrf";
const CSRF_HEADER: &str = "X-Harbor-CSRF-Token";

/// A cookie's value.
pub fn cookie<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    let lines = headers.get_all("Cookie").into_iter().filter_map(|line| line.to_str().ok());
    let pairs = lines.flat_map(|line| line.split(';')).filter_map(|pair| pair.trim().split_once('='));
    pairs.into_iter().find(|(key, _)| *key == name).map(|(_, value)| value)
}

/// User name and password of HTTP Basic, split at the first colon.
pub fn basic(headers: &HeaderMap) -> Option<(String, String)> {
    let value = headers.get("Authorization")?.to_str().ok()?;
    let (scheme, encoded) = value.split_once(' ')?;
    if !scheme.eq_ignore_ascii_case("basic") {
        return None;
    }
    let text = String::from_utf8(STANDARD.decode(encoded.trim()).ok()?).ok()?;
    let (name, password) = text.split_once(':')?;
    Some((name.to_owned(), password.to_owned()))
}

/// How a caller shows who it is, for the call log.
pub fn auth(headers: &HeaderMap) -> &'static str {
    if basic(headers).is_some() {
        "basic"
    } else if bearer(headers).is_some() {
        "bearer"
    } else if cookie(headers, SESSION_COOKIE).is_some() {
        "session"
    } else {
        ""
    }
}

/// Finds out who calls. A credential that is no good makes nobody of the caller, not an error.
pub async fn caller(app: &App, headers: &HeaderMap, registry: bool, session: Option<&str>) -> Caller {
    if registry && let Some(bearer) = bearer(headers) {
        return token::holder(app, bearer).unwrap_or(Caller::Nobody);
    }
    if let Some((name, secret)) = basic(headers) {
        {
            let state = app.state();
            if let Some(robot) = state.robot_login(&name, &secret) {
                return Caller::Robot { id: robot.row.id, name };
            }
        }
        if let Some(person) = person(app, &name, &secret).await {
            return person;
        }
    }
    let mut state = app.state();
    let now = state.clock.now_ms();
    let user = session.and_then(|session| state.sessions.user(session, now));
    match user.and_then(|id| state.users.get(id)) {
        Some(user) => Caller::Person { id: user.id, name: user.name.clone() },
        None => Caller::Nobody,
    }
}

fn bearer(headers: &HeaderMap) -> Option<&str> {
    let (scheme, token) = headers.get("Authorization")?.to_str().ok()?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then_some(token.trim())
}

/// Checks a person's password. A wrong one of somebody who exists takes 1.5 s. With `lockUserName` so does any name, and
/// the name is locked meanwhile: then the right password fails, too, and at once.
async fn person(app: &App, name: &str, password: &str) -> Option<Caller> {
    let (cost, locks) = {
        let quirks = app.quirks();
        (Duration::from_millis(quirks.person_basic_ms), quirks.lock_user_name)
    };
    if locks && app.names().is_locked(name, Instant::now()) {
        return None;
    }
    let (exists, found) = {
        let state = app.state();
        (state.users.named(name).is_some(), state.person_login(name, password))
    };
    if exists && !cost.is_zero() {
        tokio::time::sleep(cost).await;
    }
    if found.is_none() && locks {
        app.names().lock(name, Instant::now());
    }
    if found.is_none() && (locks || exists) {
        tokio::time::sleep(LOCKED).await;
    }
    found
}

/// What the CSRF middleware says: headers for the answer, and why the call ends here, if it does.
#[derive(Debug, Default)]
pub struct Csrf {
    /// Headers of the answer, whatever it is.
    pub headers: Vec<(String, String)>,
    /// The refusal.
    pub refused: Option<ApiError>,
}

/// API paths need a token only from whoever brings a session cookie; the registry path never does.
pub fn csrf(app: &App, method: &Method, path: &str, headers: &HeaderMap) -> Csrf {
    let api = path.starts_with("/api/") || path.starts_with("/service/");
    if path.starts_with("/v2") || (api && cookie(headers, SESSION_COOKIE).is_none()) {
        return Csrf::default();
    }
    let mut answer = Csrf::default();
    let state = app.state();
    let held = cookie(headers, CSRF_COOKIE).filter(|value| state.sessions.issued_csrf(value));
    let real = held.map_or_else(|| state.sessions.issue_csrf(), str::to_owned);
    if held.is_none() {
        let cookie = format!("{CSRF_COOKIE}={real}; Path=/; HttpOnly; SameSite=Strict");
        answer.headers.push(("Set-Cookie".into(), cookie));
    }
    answer.headers.push((CSRF_HEADER.into(), masked(&real)));
    if !matches!(*method, Method::GET | Method::HEAD | Method::OPTIONS | Method::TRACE) {
        let given = headers.get(CSRF_HEADER).and_then(|value| value.to_str().ok()).filter(|given| !given.is_empty());
        answer.refused = match given {
            None => Some(ApiError::forbidden("CSRF token not found in request")),
            Some(given) if unmasked(given).as_deref() != Some(real.as_bytes()) => {
                Some(ApiError::forbidden("CSRF token invalid"))
            }
            Some(_) => None,
        };
    }
    answer
}

/// The token as sent: another text at each answer, so that compressed pages do not give it away.
fn masked(real: &str) -> String {
    let pad: Vec<u8> = (0..real.len()).map(|_| rand::random()).collect();
    let mixed = real.bytes().zip(&pad).map(|(a, b)| a ^ b);
    STANDARD.encode(pad.iter().copied().chain(mixed).collect::<Vec<u8>>())
}

fn unmasked(text: &str) -> Option<Vec<u8>> {
    let bytes = STANDARD.decode(text).ok()?;
    let (pad, mixed) = bytes.split_at(bytes.len() / 2);
    Some(pad.iter().zip(mixed).map(|(a, b)| a ^ b).collect())
}

/// A field of the login form.
pub fn field(body: &[u8], key: &str) -> String {
    let mut fields = form_urlencoded::parse(body);
    fields.find(|(name, _)| name == key).map(|(_, value)| value.into_owned()).unwrap_or_default()
}

/// `/c/login`: a form; success begins a new session.
pub async fn log_in(app: &App, call: &Call) -> ApiResult<Reply> {
    let (name, password) = (field(&call.body, "principal"), field(&call.body, "password"));
    let Some(Caller::Person { id, .. }) = person(app, &name, &password).await else {
        return Ok(Reply::empty(401));
    };
    let mut state = app.state();
    if let Some(old) = &call.session {
        state.sessions.close(old);
    }
    let now = state.clock.now_ms();
    let session = state.sessions.open(id, now);
    Ok(Reply::empty(200).with("Set-Cookie", session_cookie(&session)))
}

/// `/c/log_out`
pub fn log_out(app: &App, call: &Call) -> Reply {
    if let Some(session) = &call.session {
        app.state().sessions.close(session);
    }
    Reply::empty(200)
}

/// The cookie that hands a session out.
pub fn session_cookie(session: &str) -> String {
    format!("{SESSION_COOKIE}={session}; Path=/; HttpOnly")
}
