//! What a refusal, a strange answer or a broken connection means.

use std::error::Error as StdError;
use std::io;
use std::time::Duration;

use crate::api::RegistryTime;
use reqwest::StatusCode;
use rustls::CertificateError;
use serde::Deserialize;

use super::bounded::{Few, Text};
use super::call::Call;
use super::clock::http_date;
use super::egress::NotAllowed;
use super::room::SMALL;
use crate::registry::Error;

/// The most of Harbor's text that is passed on, in characters.
const LONGEST_MESSAGE: usize = 256;

/// Harbor gives one reason, and a few where it validates a body.
const MOST_ENTRIES: usize = 100;

/// Harbor's error body: `{"errors":[{"code":"…","message":"…"}]}`.
#[derive(Deserialize)]
struct Body {
    errors: Few<Entry, MOST_ENTRIES>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Entry {
    code: Text<SMALL>,
    message: Text<SMALL>,
}

/// What a status other than an answer means. `secrets` are the texts that the request carried: a server that echoes one
/// shall not bring it into a status or an event.
pub(super) fn refusal(call: Call, status: StatusCode, body: &[u8], after: Option<Duration>, secrets: &[&str]) -> Error {
    let entry = serde_json::from_slice::<Body>(body).ok().and_then(|body| body.errors.0.into_iter().next());
    let has_text = entry.is_some();
    let Entry { code: Text(code), message: Text(raw) } = entry.unwrap_or_default();
    let message =
        if has_text { printable(&raw, secrets) } else { format!("status {} without a reason", status.as_u16()) };
    let odd = |what: &str| Error::BadAnswer { what: format!("status {}{what}", status.as_u16()), after_write: false };
    match status.as_u16() {
        300..=399 => odd(", a redirect, which is not followed"),
        401 => Error::Unauthorized,
        403 if code == "DENIED" => denied(call, &raw, message),
        403 if code == "FORBIDDEN" => forbidden(call, message),
        404 if code == "NOT_FOUND" => missing(call, &raw, &message),
        // A firewall in front says 403 as well, and that tells nothing of what the login may; a proxy says 404 when Harbor is
        // not there: only Harbor's own text means that it looked.
        403 | 404 => odd(" without Harbor's error text"),
        409 => Error::Conflict,
        400 | 422 => invalid(call, &raw, message),
        429 | 503 => Error::Busy(after),
        500..=599 => Error::Server(status.as_u16()),
        _ => odd(""),
    }
}

/// True for a refusal by the check that keeps other sites from using a browser's session: our token is not (or no
/// longer) the right one, and nothing was done.
pub(super) fn is_csrf(error: &Error) -> bool {
    matches!(error, Error::Forbidden { message, .. } if message.starts_with("CSRF token "))
}

/// Of its settings Harbor only says who may not have them, but for where its environment fixes them all.
fn forbidden(call: Call, message: String) -> Error {
    let of_settings = matches!(call, Call::CONFIGURATIONS | Call::CONFIGURATIONS_UPDATE);
    let says_why = message.contains("CONFIG_OVERWRITE_JSON");
    let needs = call.needs;
    let error = Error::Forbidden { needs, message };
    if !of_settings || says_why || is_csrf(&error) {
        return error;
    }
    Error::Forbidden { needs, message: "only a system administrator reads and changes the settings".into() }
}

fn denied(call: Call, raw: &str, message: String) -> Error {
    if raw.contains("read only mode") {
        Error::ReadOnly
    } else if raw.contains("legacy robot") {
        Error::Legacy
    } else if call == Call::ROBOT_CREATE && raw.contains("permission scope is invalid") {
        Error::ScopeExceeded(message)
    } else if call == Call::ROBOT_CREATE && raw == "denied" {
        Error::LoginTooOld
    } else {
        Error::Forbidden { needs: call.needs, message }
    }
}

fn missing(call: Call, raw: &str, message: &str) -> Error {
    match message.strip_prefix("project ").and_then(|rest| rest.strip_suffix(" not found")) {
        Some(project) => Error::ProjectNotFound(project.to_owned()),
        // Harbor has it from 2.10 on.
        None if call == Call::CATALOGUE => Error::NotFound,
        None if raw.starts_with("path ") => {
            Error::BadAnswer { what: "this Harbor does not have the robot API".into(), after_write: false }
        }
        None => Error::NotFound,
    }
}

fn invalid(call: Call, raw: &str, message: String) -> Error {
    if call == Call::ROBOT_UPDATE && raw.contains("cannot update the level or name of robot") {
        return Error::Renamed;
    }
    match message.strip_prefix("bad request permission: ") {
        Some(pair) => Error::PermissionUnknown(pair.to_owned()),
        None => Error::Invalid(message),
    }
}

/// At most 256 printable characters, and nothing if the text holds one of `secrets`. Marks that turn the direction of
/// writing or take no room are dropped, since they can make a text look like another.
fn printable(text: &str, secrets: &[&str]) -> String {
    if secrets.iter().any(|secret| !secret.is_empty() && text.contains(secret)) {
        return "(withheld: the text holds a secret)".into();
    }
    let invisible = |c: &char| matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}');
    let visible = text.chars().filter(|c| !invisible(c)).map(|c| if c.is_control() { ' ' } else { c });
    visible.take(LONGEST_MESSAGE).collect::<String>().trim().to_owned()
}

/// `Retry-After`: seconds, or a date by the server's own clock; at most [`LONGEST_WAIT`].
pub(super) fn retry_after(value: &str, now: RegistryTime) -> Option<Duration> {
    let value = value.trim();
    let wait = if !value.is_empty() && value.bytes().all(|digit| digit.is_ascii_digit()) {
        // A number without end is a long time, too.
        value.parse().map_or(LONGEST_WAIT, Duration::from_secs)
    } else {
        Duration::try_from(http_date(value)?.duration_since(now)).unwrap_or_default()
    };
    Some(wait.min(LONGEST_WAIT))
}

/// No server, and no proxy before it, keeps its accounts waiting for longer by one `Retry-After`.
pub(super) const LONGEST_WAIT: Duration = Duration::from_mins(10);

/// A request that got no answer. Says nothing of the error's own text, which holds the URL.
pub(super) fn no_answer(error: &reqwest::Error) -> Error {
    if error.is_builder() {
        Error::Unreachable("the request cannot be built")
    } else if error.is_connect() {
        Error::Unreachable(no_connection(error))
    } else if error.is_timeout() {
        Error::NoAnswer("timed out")
    } else {
        Error::NoAnswer("connection lost")
    }
}

fn no_connection(error: &reqwest::Error) -> &'static str {
    if error.is_timeout() {
        return "timed out while connecting";
    }
    // Before its effects, which say no more than that the name was not resolved.
    if causes(error).any(<dyn StdError>::is::<NotAllowed>) {
        return "address not allowed";
    }
    for cause in causes(error) {
        if let Some(tls) = cause.downcast_ref::<rustls::Error>() {
            return no_trust(tls);
        }
        match cause.downcast_ref::<io::Error>().map(io::Error::kind) {
            Some(io::ErrorKind::ConnectionRefused) => return "connection refused",
            Some(io::ErrorKind::HostUnreachable | io::ErrorKind::NetworkUnreachable) => return "no route to it",
            Some(io::ErrorKind::ConnectionReset | io::ErrorKind::UnexpectedEof) => {
                return "connection closed while connecting";
            }
            _ => {}
        }
        // The type of this one is private to hyper-util.
        if cause.to_string().starts_with("dns error") {
            return "name not found";
        }
    }
    "no connection"
}

fn no_trust(error: &rustls::Error) -> &'static str {
    let rustls::Error::InvalidCertificate(reason) = error else { return "TLS handshake failed" };
    match reason {
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => "certificate expired",
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => "certificate not valid yet",
        CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
            "certificate is for another host"
        }
        CertificateError::Revoked => "certificate revoked",
        _ => "certificate not trusted",
    }
}

/// The chain of causes. An `io::Error` leaves out the error that it wraps, which is where rustls tells its reason.
fn causes<'a>(error: &'a (dyn StdError + 'static)) -> impl Iterator<Item = &'a (dyn StdError + 'static)> {
    std::iter::successors(Some(error), |&error| match error.downcast_ref::<io::Error>().and_then(io::Error::get_ref) {
        Some(inner) => Some(inner as &(dyn StdError + 'static)),
        None => error.source(),
    })
}

#[cfg(test)]
mod tests;
