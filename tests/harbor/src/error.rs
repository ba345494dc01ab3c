//! Harbor's errors: a status, a code and a text, sent as `{"errors":[{"code","message"}]}`.

use serde_json::json;

/// An answer that is not a success.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApiError {
    /// HTTP status.
    pub status: u16,
    /// Harbor's code, such as `NOT_FOUND`; empty for an answer without a body.
    pub code: &'static str,
    /// The text, word for word.
    pub message: String,
}

/// What an API call ends in.
pub type ApiResult<T> = Result<T, ApiError>;

impl ApiError {
    fn new(status: u16, code: &'static str, message: impl Into<String>) -> Self {
        Self { status, code, message: message.into() }
    }

    /// 400.
    pub fn bad_request(message: impl Into<String>) -> Self {
        Self::new(400, "BAD_REQUEST", message)
    }

    /// 401, the same for no, wrong, disabled and expired credentials.
    pub fn unauthorized() -> Self {
        Self::new(401, "UNAUTHORIZED", "unauthorized")
    }

    /// 401 with another text (the registry front and `/permissions` have their own).
    pub fn unauthorized_with(message: impl Into<String>) -> Self {
        Self::new(401, "UNAUTHORIZED", message)
    }

    /// 403: no right.
    pub fn forbidden(message: impl Into<String>) -> Self {
        Self::new(403, "FORBIDDEN", message)
    }

    /// 403: not allowed to anybody, or beyond the creator's own rights.
    pub fn denied(message: impl Into<String>) -> Self {
        Self::new(403, "DENIED", message)
    }

    /// 404.
    pub fn not_found(message: impl Into<String>) -> Self {
        Self::new(404, "NOT_FOUND", message)
    }

    /// 405 with the methods that there are.
    pub fn method_not_allowed(method: &str, allowed: &[&str]) -> Self {
        let message = format!("method {method} is not allowed, but [{}] are", allowed.join(","));
        Self::new(405, "METHOD_NOT_ALLOWED", message)
    }

    /// 409.
    pub fn conflict(message: impl Into<String>) -> Self {
        Self::new(409, "CONFLICT", message)
    }

    /// 412.
    pub fn precondition(message: impl Into<String>) -> Self {
        Self::new(412, "PRECONDITION", message)
    }

    /// 422: everything that go-openapi's binding refuses, in one list.
    pub fn binding(reasons: &[String]) -> Self {
        Self::new(422, "UNPROCESSABLE_ENTITY", format!("validation failure list:\n{}", reasons.join("\n")))
    }

    /// 500 as the API words it, whatever the reason.
    pub fn internal() -> Self {
        Self::new(500, "UNKNOWN", "internal server error")
    }

    /// 500 with an empty body: what a panic in Harbor ends in.
    pub fn panicked() -> Self {
        Self::new(500, "", "")
    }

    /// The body, with the newline that Harbor's encoder adds.
    pub fn body(&self) -> Vec<u8> {
        if self.code.is_empty() {
            return Vec::new();
        }
        let mut body = json!({"errors": [{"code": self.code, "message": self.message}]}).to_string().into_bytes();
        body.push(b'\n');
        body
    }
}
