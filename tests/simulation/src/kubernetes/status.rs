//! Refusals in the API server's words.

use serde_json::{Value, json};

use super::kinds::Kind;

const TOO_LARGE: &str = "Too large resource version";

/// Why a call is refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// HTTP status.
    pub code: u16,
    /// A word like `NotFound`.
    pub reason: &'static str,
    /// A sentence.
    pub message: String,
}

impl Refusal {
    /// Any refusal.
    pub fn new(code: u16, reason: &'static str, message: impl Into<String>) -> Self {
        Self { code, reason, message: message.into() }
    }

    /// There is no such object.
    pub fn not_found(kind: &Kind, name: &str) -> Self {
        Self::new(404, "NotFound", format!("{} {name:?} not found", kind.resource()))
    }

    /// The name is taken.
    pub fn exists(kind: &Kind, name: &str) -> Self {
        Self::new(409, "AlreadyExists", format!("{} {name:?} already exists", kind.resource()))
    }

    /// Another version is stored.
    pub fn modified(kind: &Kind, name: &str) -> Self {
        let why = "the object has been modified; please apply your changes to the latest version and try again";
        Self::conflict(kind, name, why)
    }

    /// The object is not as the caller says.
    pub fn conflict(kind: &Kind, name: &str, why: &str) -> Self {
        let message = format!("Operation cannot be fulfilled on {} {name:?}: {why}", kind.resource());
        Self::new(409, "Conflict", message)
    }

    /// What is asked for breaks a rule of the kind.
    pub fn invalid(kind: &Kind, name: &str, why: &str) -> Self {
        let of = if kind.group.is_empty() { String::new() } else { format!(".{}", kind.group) };
        Self::new(422, "Invalid", format!("{}{of} {name:?} is invalid: {why}", kind.name))
    }

    /// There is no right to it.
    pub fn forbidden(kind: &Kind, name: &str, why: &str) -> Self {
        Self::new(403, "Forbidden", format!("{} {name:?} is forbidden: {why}", kind.resource()))
    }

    /// The version that was asked for is no longer known.
    pub fn expired(version: u64, oldest: u64) -> Self {
        Self::new(410, "Expired", format!("too old resource version: {version} ({oldest})"))
    }

    /// The version that was asked for is yet to come.
    pub fn ahead(version: u64, now: u64) -> Self {
        Self::new(504, "Timeout", format!("{TOO_LARGE}: {version}, current: {now}"))
    }

    /// As it is sent.
    pub fn to_json(&self) -> Value {
        let mut status = json!({
            "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
            "message": self.message, "code": self.code,
        });
        if !self.reason.is_empty() {
            status["reason"] = json!(self.reason);
        }
        if self.message.starts_with(TOO_LARGE) {
            status["details"] = json!({"causes": [{"reason": "ResourceVersionTooLarge", "message": TOO_LARGE}]});
        }
        status
    }
}
