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
    /// What it is about: the object, and each field that is wrong with the reason.
    pub details: Value,
}

/// What is wrong with a field.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cause {
    /// `FieldValueInvalid` and the like.
    pub reason: &'static str,
    /// `metadata.name`
    pub field: String,
    /// A sentence.
    pub message: String,
}

impl Cause {
    /// A value that breaks a rule.
    pub fn invalid(field: impl Into<String>, message: impl Into<String>) -> Self {
        Self { reason: "FieldValueInvalid", field: field.into(), message: message.into() }
    }

    /// A value that has to be there.
    pub fn required(field: impl Into<String>) -> Self {
        Self { reason: "FieldValueRequired", field: field.into(), message: "Required value".to_owned() }
    }

    /// A value that may not be there, or may not change.
    pub fn forbidden(field: impl Into<String>, message: impl Into<String>) -> Self {
        Self { reason: "FieldValueForbidden", field: field.into(), message: message.into() }
    }

    /// A value that is none of the choices.
    pub fn unsupported(field: impl Into<String>) -> Self {
        Self { reason: "FieldValueNotSupported", field: field.into(), message: "Unsupported value".to_owned() }
    }

    /// A list of more than so many items.
    pub fn too_many(field: impl Into<String>, most: usize) -> Self {
        let message = format!("Too many: must have at most {most} items");
        Self { reason: "FieldValueTooMany", field: field.into(), message }
    }

    /// A text of more than so many bytes.
    pub fn too_long(field: impl Into<String>, most: usize) -> Self {
        let message = format!("Too long: may not be more than {most}");
        Self { reason: "FieldValueTooLong", field: field.into(), message }
    }
}

impl Refusal {
    /// Any refusal.
    pub fn new(code: u16, reason: &'static str, message: impl Into<String>) -> Self {
        Self { code, reason, message: message.into(), details: Value::Null }
    }

    fn about(mut self, kind: &Kind, name: &str) -> Self {
        self.details = about(kind, kind.plural, name);
        self
    }

    /// The call cannot be read.
    pub fn bad(message: impl Into<String>) -> Self {
        Self::new(400, "BadRequest", message)
    }

    /// There is no such object.
    pub fn not_found(kind: &Kind, name: &str) -> Self {
        Self::new(404, "NotFound", format!("{} {name:?} not found", kind.resource())).about(kind, name)
    }

    /// The name is taken.
    pub fn exists(kind: &Kind, name: &str) -> Self {
        Self::new(409, "AlreadyExists", format!("{} {name:?} already exists", kind.resource())).about(kind, name)
    }

    /// The name is taken by an object on its way out.
    pub fn exists_still(kind: &Kind, name: &str) -> Self {
        let mut refusal = Self::exists(kind, name);
        refusal.message = format!("object is being deleted: {}", refusal.message);
        refusal
    }

    /// The body is of another kind of the group.
    pub fn other_kind(kind: &Kind, said: &str, name: &str) -> Self {
        let causes = [Cause::invalid("kind", format!("Invalid value: {said:?}: must be {}", kind.name))];
        let mut refusal = Self::invalid(kind, name, &causes);
        refusal.details["kind"] = json!(said);
        refusal
    }

    /// An update that does not say which version it is of.
    pub fn without_version(kind: &Kind, name: &str) -> Self {
        let causes = [Cause::invalid("metadata.resourceVersion", "must be specified for an update")];
        let mut refusal = Self::invalid(kind, name, &causes);
        refusal.details["kind"] = json!(kind.plural);
        refusal
    }

    /// A deletion of another object, or of another version.
    pub fn other_precondition(kind: &Kind, name: &str, why: &str) -> Self {
        let mut refusal = Self::conflict(kind, name, why);
        refusal.details["kind"] = json!(kind.name);
        refusal
    }

    /// Another version is stored.
    pub fn modified(kind: &Kind, name: &str) -> Self {
        let why = "the object has been modified; please apply your changes to the latest version and try again";
        Self::conflict(kind, name, why)
    }

    /// The object is not as the caller says.
    pub fn conflict(kind: &Kind, name: &str, why: &str) -> Self {
        let message = format!("Operation cannot be fulfilled on {} {name:?}: {why}", kind.resource());
        Self::new(409, "Conflict", message).about(kind, name)
    }

    /// What is asked for breaks rules of the kind.
    pub fn invalid(kind: &Kind, name: &str, causes: &[Cause]) -> Self {
        let of = if kind.group.is_empty() { String::new() } else { format!(".{}", kind.group) };
        let why: Vec<String> = causes.iter().map(|cause| format!("{}: {}", cause.field, cause.message)).collect();
        let why = if let [why] = why.as_slice() { why.clone() } else { format!("[{}]", why.join(", ")) };
        let mut refusal = Self::new(422, "Invalid", format!("{}{of} {name:?} is invalid: {why}", kind.name));
        refusal.details = about(kind, kind.name, name);
        refusal.details["causes"] = listed(causes);
        refusal
    }

    /// Options of the call that there are not, or that do not go together.
    pub fn of_options(what: &str, causes: &[Cause]) -> Self {
        let mut refusal = Self::new(422, "Invalid", format!("{what}.meta.k8s.io \"\" is invalid"));
        refusal.details = json!({"kind": what, "group": "meta.k8s.io", "causes": listed(causes)});
        refusal
    }

    /// A patch that makes something of the object that cannot be read.
    pub fn unreadable_patch(why: &str) -> Self {
        let mut refusal = Self::new(422, "Invalid", format!(" \"\" is invalid: patch: Invalid value: {why}"));
        refusal.details = json!({"causes": listed(&[Cause::invalid("patch", why)])});
        refusal
    }

    /// There is no right to it.
    pub fn forbidden(kind: &Kind, name: &str, why: &str) -> Self {
        let message = format!("{} {name:?} is forbidden: {why}", kind.resource());
        Self::new(403, "Forbidden", message).about(kind, name)
    }

    /// Nothing is made in a namespace that is being deleted.
    pub fn terminating(kind: &Kind, name: &str, namespace: &str) -> Self {
        let why = format!("unable to create new content in namespace {namespace} because it is being terminated");
        let mut refusal = Self::forbidden(kind, name, &why);
        let message = format!("namespace {namespace} is being terminated");
        refusal.details["causes"] =
            json!([{"reason": "NamespaceTerminating", "field": "metadata.namespace", "message": message}]);
        refusal
    }

    /// The version that was asked for is no longer known.
    pub fn expired(version: u64, oldest: u64) -> Self {
        Self::new(410, "Expired", format!("too old resource version: {version} ({oldest})"))
    }

    /// The version that was asked for is yet to come.
    pub fn ahead(version: u64, now: u64) -> Self {
        let mut refusal = Self::new(504, "Timeout", format!("Timeout: {TOO_LARGE}: {version}, current: {now}"));
        let cause = json!({"reason": "ResourceVersionTooLarge", "message": TOO_LARGE});
        refusal.details = json!({"causes": [cause], "retryAfterSeconds": 1});
        refusal
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
        if !self.details.is_null() {
            status["details"] = self.details.clone();
        }
        status
    }
}

fn listed(causes: &[Cause]) -> Value {
    let each = |cause: &Cause| json!({"reason": cause.reason, "field": cause.field, "message": cause.message});
    causes.iter().map(each).collect()
}

/// The object that a refusal is about; the real server names its resource, or its kind.
fn about(kind: &Kind, what: &str, name: &str) -> Value {
    let mut details = json!({"kind": what});
    if !name.is_empty() {
        details["name"] = json!(name);
    }
    if !kind.group.is_empty() {
        details["group"] = json!(kind.group);
    }
    details
}
