//! A call as handlers see it, and go-openapi's binding, which comes before anybody looks at the login.

use bytes::Bytes;
use hyper::{HeaderMap, Method};
use serde_json::Value;

use crate::error::{ApiError, ApiResult};
use crate::gojson::{self, BodyError};
use crate::query::Page;
use crate::state::Caller;

/// A call, read and authenticated.
#[derive(Debug)]
pub struct Call {
    /// Method.
    pub method: Method,
    /// Path as on the wire, without repeated slashes.
    pub path: String,
    /// Query as on the wire.
    pub query: String,
    /// Headers.
    pub headers: HeaderMap,
    /// Body.
    pub body: Bytes,
    /// Who calls.
    pub caller: Caller,
    /// The session that the caller came with, if this server issued it.
    pub session: Option<String>,
}

impl Call {
    /// A header as text.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }

    /// All values of a query parameter.
    pub fn params(&self, key: &str) -> Vec<String> {
        let pairs = form_urlencoded::parse(self.query.as_bytes());
        pairs.filter(|(name, _)| name == key).map(|(_, value)| value.into_owned()).collect()
    }

    /// A query parameter; an empty one counts as left out.
    pub fn param(&self, key: &str) -> Option<String> {
        self.params(key).into_iter().next().filter(|value| !value.is_empty())
    }

    /// The path, decoded.
    pub fn decoded_path(&self) -> String {
        percent_encoding::percent_decode_str(&self.path).decode_utf8_lossy().into_owned()
    }

    /// Whether a project is named by its name even where the name looks like an id.
    pub fn is_resource_name(&self) -> bool {
        self.header("X-Is-Resource-Name")
            .is_some_and(|value| matches!(value, "true" | "1" | "t" | "T" | "TRUE" | "True"))
    }

    /// Checks what comes before any parameter: the body's type, or what the client takes if it sends no body.
    pub fn negotiate(&self) -> ApiResult<()> {
        if self.body.is_empty() {
            let accept = self.header("Accept").unwrap_or("*/*");
            let media = accept.split(',').map(|part| part.split(';').next().unwrap_or_default().trim());
            if media.into_iter().any(|media| matches!(media, "" | "*/*" | "application/*" | "application/json")) {
                return Ok(());
            }
            let reason = "unsupported media type requested, only [application/json] are available";
            return Err(ApiError::binding(&[reason.into()]));
        }
        let given = self.header("Content-Type").filter(|given| !given.is_empty()).unwrap_or("application/octet-stream");
        let media = given.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
        if media == "application/json" {
            return Ok(());
        }
        Err(ApiError::binding(&[format!("unsupported media type \"{media}\", only [application/json] are allowed")]))
    }
}

/// Collects what binding has to complain about.
#[derive(Debug, Default)]
pub struct Binding {
    reasons: Vec<String>,
}

impl Binding {
    /// Notes a complaint.
    pub fn refuse(&mut self, reason: impl Into<String>) {
        self.reasons.push(reason.into());
    }

    /// The body as `read` makes it, which may fail with Go's words.
    pub fn body<T>(&mut self, call: &Call, name: &str, read: impl FnOnce(&Value) -> Result<T, String>) -> Option<T> {
        let value = match gojson::first_value(&call.body) {
            Ok(value) => read(&value),
            Err(BodyError::Bad(text)) => Err(text),
            Err(BodyError::Missing) => {
                self.refuse(format!("{name} in body is required"));
                return None;
            }
        };
        value.map_err(|text| self.refuse(format!("parsing {name} body from \"\" failed, because {text}"))).ok()
    }

    /// A whole number in the path.
    pub fn path_int(&mut self, name: &str, text: &str) -> i64 {
        text.parse().unwrap_or_else(|_| {
            self.refuse(format!("{name} in path must be of type int64: \"{text}\""));
            0
        })
    }

    /// `page` and `page_size`.
    pub fn page(&mut self, call: &Call) -> Page {
        let mut int = |name: &str, default: i64| {
            let Some(text) = call.param(name) else { return default };
            text.parse().unwrap_or_else(|_| {
                self.refuse(format!("{name} in query must be of type int64: \"{text}\""));
                default
            })
        };
        let page = Page { number: int("page", 1), size: int("page_size", 10) };
        if page.size > 100 {
            self.refuse("page_size in query should be less than or equal to 100");
        }
        page
    }

    /// A truth value in the query.
    pub fn query_flag(&mut self, call: &Call, name: &str) -> Option<bool> {
        let text = call.param(name)?;
        match text.as_str() {
            "true" | "1" | "t" | "yes" | "y" | "on" | "ok" | "checked" | "selected" | "enabled" => Some(true),
            _ => Some(false),
        }
    }

    /// 422 if there was anything.
    pub fn done(self) -> ApiResult<()> {
        if self.reasons.is_empty() { Ok(()) } else { Err(ApiError::binding(&self.reasons)) }
    }
}

/// What a body is bound to once there are no complaints; a complaint about it would have ended the call.
pub fn bound<T: Default>(value: Option<T>) -> T {
    value.unwrap_or_default()
}
