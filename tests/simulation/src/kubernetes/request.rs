//! A call as the API server reads it.

use percent_encoding::percent_decode_str;
use serde_json::Value;

use super::kinds::{KINDS, Kind};
use super::selectors::Selectors;
use super::status::{Cause, Refusal};

/// What a call asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Verb {
    /// One object.
    Get,
    /// Many.
    List,
    /// Their changes.
    Watch,
    /// A new one.
    Create,
    /// Another state.
    Update,
    /// Other values of some fields.
    Patch,
    /// Its end.
    Delete,
}

/// The form of an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Accept {
    /// The objects.
    Whole,
    /// Only their metadata.
    Metadata,
}

/// The most bytes of a body.
const LARGEST: usize = 3 * 1024 * 1024;

/// Refuses a body that is too large, and a patch in another form than the merge patches of the operator.
pub fn check_media(method: &str, media: &str, bytes: usize) -> Result<(), Refusal> {
    if method == "PATCH" && media != "application/merge-patch+json" {
        let why = "the body of the request was in an unknown format - accepted media types include: \
                   application/json-patch+json, application/merge-patch+json, application/apply-patch+yaml, \
                   application/apply-patch+cbor";
        return Err(Refusal::new(415, "UnsupportedMediaType", why));
    }
    if bytes > LARGEST {
        return Err(Refusal::new(413, "RequestEntityTooLarge", format!("limit is {LARGEST}")));
    }
    Ok(())
}

/// One call.
#[derive(Clone, Debug)]
pub struct Call {
    /// What is asked for.
    pub verb: Verb,
    /// Of what.
    pub kind: &'static Kind,
    /// `None`: of the cluster, or of all namespaces.
    pub namespace: Option<String>,
    /// Of one object; a new one's is in its body.
    pub name: Option<String>,
    /// Only its status.
    pub status: bool,
    /// Names and values of the query.
    pub query: Vec<(String, String)>,
    /// The form of the answer.
    pub accept: Accept,
    /// What was sent.
    pub body: Value,
    /// Who makes it, where the query does not say.
    pub manager: String,
    selectors: Selectors,
}

fn parse_query(query: &str) -> Vec<(String, String)> {
    let pairs = query.split('&').filter(|pair| !pair.is_empty()).map(|pair| {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        let value = value.replace('+', " ");
        (name.to_owned(), percent_decode_str(&value).decode_utf8_lossy().into_owned())
    });
    pairs.collect()
}

fn verb(method: &str, named: bool, watch: bool) -> Result<Verb, Refusal> {
    Ok(match (method, named) {
        ("GET", true) => Verb::Get,
        ("GET", false) if watch => Verb::Watch,
        ("GET", false) => Verb::List,
        ("POST", false) => Verb::Create,
        ("PUT", true) => Verb::Update,
        ("PATCH", true) => Verb::Patch,
        ("DELETE", true) => Verb::Delete,
        _ => {
            let why = "the server does not allow this method on the resource";
            return Err(Refusal::new(405, "MethodNotAllowed", why));
        }
    })
}

impl Call {
    /// Reads a call; `target` is the path with the query.
    pub fn parse(method: &str, target: &str, accept: Accept, body: Value, manager: &str) -> Result<Self, Refusal> {
        let unknown = || Refusal::new(404, "NotFound", "the server could not find the requested resource");
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        let query = parse_query(query);
        let segments: Vec<&str> = path.trim_matches('/').split('/').collect();
        let (group, version, rest) = match segments.as_slice() {
            ["api", version, rest @ ..] => ("", *version, rest),
            ["apis", group, version, rest @ ..] => (*group, *version, rest),
            _ => return Err(unknown()),
        };
        let (namespace, rest) = match rest {
            ["namespaces", namespace, rest @ ..] if !rest.is_empty() => (Some((*namespace).to_owned()), rest),
            rest => (None, rest),
        };
        let (plural, name, status) = match rest {
            [plural] => (*plural, None, false),
            [plural, name] => (*plural, Some((*name).to_owned()), false),
            // Of the kinds that are here, only ours have it, and namespaces, whose status nobody writes.
            [plural, name, "status"] if !group.is_empty() => (*plural, Some((*name).to_owned()), true),
            _ => return Err(unknown()),
        };
        let kind = KINDS.iter().find(|kind| (kind.group, kind.version, kind.plural) == (group, version, plural));
        let kind = kind.filter(|kind| kind.custom || !status).ok_or_else(unknown)?;
        let watch = query.iter().any(|(name, value)| name == "watch" && matches!(value.as_str(), "true" | "1"));
        let verb = verb(method, name.is_some(), watch)?;
        if matches!(verb, Verb::Create | Verb::Update | Verb::Patch) && !body.is_object() {
            return Err(Refusal::new(400, "BadRequest", "the body is no object"));
        }
        let manager =
            query.iter().find(|(name, _)| name == "fieldManager").map_or(manager, |(_, value)| value).to_owned();
        let value = |name: &str| query.iter().find(|(known, _)| known == name).map_or("", |(_, value)| value);
        let selectors = Selectors::parse(kind, value("labelSelector"), value("fieldSelector"))?;
        let call = Self { verb, kind, namespace, name, status, query, accept, body, manager, selectors };
        call.check_query()?;
        Ok(call)
    }

    /// Refuses options that there are not, and those that do not go together.
    fn check_query(&self) -> Result<(), Refusal> {
        let what = match self.verb {
            Verb::Create => "CreateOptions",
            Verb::Update => "UpdateOptions",
            Verb::Patch => "PatchOptions",
            Verb::Delete => "DeleteOptions",
            Verb::Get | Verb::List | Verb::Watch => "ListOptions",
        };
        let options = |causes: &[Cause]| Err(Refusal::of_options(what, causes));
        if self.query("dryRun").is_some_and(|value| value != "All") {
            return options(&[Cause::unsupported("dryRun")]);
        }
        if self.query("fieldValidation").is_some_and(|value| !["Strict", "Warn", "Ignore"].contains(&value)) {
            return options(&[Cause::unsupported("fieldValidation")]);
        }
        let policy = self.query("propagationPolicy").or_else(|| self.body["propagationPolicy"].as_str());
        if self.verb == Verb::Delete
            && policy.is_some_and(|value| !["Orphan", "Background", "Foreground"].contains(&value))
        {
            return options(&[Cause::unsupported("propagationPolicy")]);
        }
        if self.query("limit").is_some_and(|limit| limit.parse::<i64>().is_err()) {
            return Err(Refusal::bad("limit is no number"));
        }
        let version = self.query("resourceVersion").unwrap_or_default();
        if self.query("resourceVersionMatch").is_some() && version.is_empty() && self.verb == Verb::List {
            return options(&[Cause::forbidden(
                "resourceVersionMatch",
                "is forbidden unless resourceVersion is provided",
            )]);
        }
        let initial = self.query("sendInitialEvents") == Some("true");
        if initial && self.query("resourceVersionMatch") != Some("NotOlderThan") {
            return options(&[Cause::forbidden("resourceVersionMatch", "has to be NotOlderThan")]);
        }
        Ok(())
    }

    /// Which dependents are to go how, if the call says.
    pub(super) fn propagation(&self) -> Option<&str> {
        self.query("propagationPolicy").or_else(|| self.body["propagationPolicy"].as_str())
    }

    /// A value of the query.
    pub fn query(&self, name: &str) -> Option<&str> {
        self.query.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// Nothing is to be stored.
    pub fn is_dry_run(&self) -> bool {
        let in_body = || self.body["dryRun"].as_array().is_some_and(|values| values.iter().any(|value| value == "All"));
        self.query("dryRun") == Some("All") || (self.verb == Verb::Delete && in_body())
    }

    /// It may change something.
    pub fn is_write(&self) -> bool {
        !matches!(self.verb, Verb::Get | Verb::List | Verb::Watch) && !self.is_dry_run()
    }

    /// The object fits the selectors of the query.
    pub fn selects(&self, object: &Value) -> bool {
        self.selectors.fit(object)
    }

    /// Objects are selected.
    pub fn is_selective(&self) -> bool {
        !self.selectors.is_empty()
    }

    /// A short line for people: verb, kind, place.
    pub fn line(&self) -> String {
        let dry = if self.is_dry_run() { " (dry run)" } else { "" };
        let status = if self.status { "/status" } else { "" };
        let slash =
            if self.namespace.is_some() && (self.name.is_some() || self.verb == Verb::Create) { "/" } else { "" };
        let name = self.name.as_deref().or_else(|| self.body["metadata"]["name"].as_str()).unwrap_or_default();
        let namespace = self.namespace.as_deref().unwrap_or_default();
        format!("{:?} {}{status} {namespace}{slash}{name}{dry}", self.verb, self.kind.name)
    }
}
