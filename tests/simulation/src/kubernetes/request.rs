//! A call as the API server reads it.

use percent_encoding::percent_decode_str;
use serde_json::Value;

use super::kinds::{KINDS, Kind};
use super::status::Refusal;

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
}

impl Call {
    /// Reads a call; `target` is the path with the query.
    pub fn parse(method: &str, target: &str, accept: Accept, body: Value, manager: &str) -> Result<Self, Refusal> {
        let unknown = || Refusal::new(404, "NotFound", "the server could not find the requested resource");
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        let query = query.split('&').filter(|pair| !pair.is_empty()).map(|pair| {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            let value = value.replace('+', " ");
            (name.to_owned(), percent_decode_str(&value).decode_utf8_lossy().into_owned())
        });
        let query: Vec<_> = query.collect();
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
            [plural, name, "status"] => (*plural, Some((*name).to_owned()), true),
            _ => return Err(unknown()),
        };
        let kind = KINDS.iter().find(|kind| (kind.group, kind.version, kind.plural) == (group, version, plural));
        let kind = kind.ok_or_else(unknown)?;
        let watch = query.iter().any(|(name, value)| name == "watch" && matches!(value.as_str(), "true" | "1"));
        let verb = match (method, &name) {
            ("GET", Some(_)) => Verb::Get,
            ("GET", None) if watch => Verb::Watch,
            ("GET", None) => Verb::List,
            ("POST", None) => Verb::Create,
            ("PUT", Some(_)) => Verb::Update,
            ("PATCH", Some(_)) => Verb::Patch,
            ("DELETE", Some(_)) => Verb::Delete,
            _ => {
                return Err(Refusal::new(
                    405,
                    "MethodNotAllowed",
                    "the server does not allow this method on the resource",
                ));
            }
        };
        let manager =
            query.iter().find(|(name, _)| name == "fieldManager").map_or(manager, |(_, value)| value).to_owned();
        Ok(Self { verb, kind, namespace, name, status, query, accept, body, manager })
    }

    /// A value of the query.
    pub fn query(&self, name: &str) -> Option<&str> {
        self.query.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// Nothing is to be stored.
    pub fn is_dry_run(&self) -> bool {
        self.query("dryRun") == Some("All")
    }

    /// It may change something.
    pub fn is_write(&self) -> bool {
        !matches!(self.verb, Verb::Get | Verb::List | Verb::Watch) && !self.is_dry_run()
    }

    /// The object fits the selectors of the query.
    pub fn selects(&self, object: &Value) -> bool {
        let labels = &object["metadata"]["labels"];
        let label = |name: &str| labels.get(name).and_then(Value::as_str);
        let by_label = self.query("labelSelector").unwrap_or_default().split(',').filter(|term| !term.is_empty()).all(
            |term| match (term.split_once("!="), term.split_once('='), term.strip_prefix('!')) {
                (Some((name, value)), _, _) => label(name) != Some(value),
                (None, Some((name, value)), _) => label(name) == Some(value),
                (None, None, Some(name)) => label(name).is_none(),
                (None, None, None) => label(term).is_some(),
            },
        );
        let by_field =
            self.query("fieldSelector").unwrap_or_default().split(',').filter(|term| !term.is_empty()).all(|term| {
                term.split_once('=').is_some_and(|(field, value)| {
                    let field = field.split('.').fold(object, |object, field| &object[field]);
                    field.as_str() == Some(value.trim_start_matches('='))
                })
            });
        by_label && by_field
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
