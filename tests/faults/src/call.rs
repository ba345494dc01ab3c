//! A call in the trace, and how to name it in another run.

use std::fmt;

/// Which server a call is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Side {
    /// Harbor.
    Harbor,
    /// The Kubernetes API server.
    Kubernetes,
}

impl fmt::Display for Side {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Harbor => "Harbor",
            Self::Kubernetes => "Kubernetes",
        })
    }
}

/// A call as it arrived.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Call {
    /// Place in the trace, from 1, over both sides.
    pub number: usize,
    /// Which server it is for.
    pub side: Side,
    /// HTTP method.
    pub method: String,
    /// The path without its variable parts: `robots/{id}`, `secrets/{name}`, `robotaccounts/{name}/status`.
    pub template: String,
    /// Path and query as sent.
    pub path: String,
    /// What was sent.
    pub body: String,
    /// Which one of its kind (side, method, template) in this trace, from 1.
    pub nth: usize,
}

impl Call {
    /// True if it may change something.
    pub fn changes(&self) -> bool {
        !matches!(self.method.as_str(), "GET" | "HEAD" | "OPTIONS") && !self.path.contains("dryRun=All")
    }

    /// Side, method and template: `Harbor POST robots`.
    pub fn operation(&self) -> String {
        format!("{} {} {}", self.side, self.method, self.template)
    }

    /// The same call in another run.
    pub fn point(&self) -> Point {
        Point { operation: self.operation(), nth: self.nth }
    }
}

/// A call to come: the n-th of its kind since the trace began.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Point {
    /// Side, method and template, as [`Call::operation`] gives it.
    pub operation: String,
    /// Which one, from 1.
    pub nth: usize,
}

impl fmt::Display for Point {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} #{}", self.operation, self.nth)
    }
}

/// A path without what differs from object to object.
pub(crate) fn template(side: Side, path: &str) -> String {
    match side {
        Side::Harbor => harbor(path),
        Side::Kubernetes => kubernetes(path),
    }
}

fn harbor(path: &str) -> String {
    let path = path.strip_prefix("/api/v2.0/").unwrap_or(path);
    let mut parts: Vec<&str> = path.split('/').collect();
    for at in 1..parts.len() {
        if parts[at - 1] == "projects" {
            parts[at] = "{project}";
        } else if !parts[at].is_empty() && parts[at].bytes().all(|byte| byte.is_ascii_digit()) {
            parts[at] = "{id}";
        }
    }
    parts.join("/")
}

fn kubernetes(path: &str) -> String {
    let parts: Vec<&str> = path.trim_matches('/').split('/').collect();
    let (["api", _, in_group @ ..] | ["apis", _, _, in_group @ ..]) = parts.as_slice() else {
        return path.to_owned();
    };
    let resource = match in_group {
        ["namespaces", _namespace, rest @ ..] if !rest.is_empty() => rest,
        all => all,
    };
    match resource {
        [kind, _name, sub @ ..] => [&[*kind, "{name}"], sub].concat().join("/"),
        _ => resource.join("/"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_of_one_kind_have_one_template() {
        for (side, path, wanted) in [
            (Side::Harbor, "/api/v2.0/robots", "robots"),
            (Side::Harbor, "/api/v2.0/robots/17", "robots/{id}"),
            (Side::Harbor, "/api/v2.0/projects/team-a", "projects/{project}"),
            (Side::Harbor, "/service/token", "/service/token"),
            (Side::Kubernetes, "/api/v1/namespaces/a/secrets", "secrets"),
            (Side::Kubernetes, "/api/v1/namespaces/a/secrets/b", "secrets/{name}"),
            (Side::Kubernetes, "/api/v1/namespaces/kube-system", "namespaces/{name}"),
            (
                Side::Kubernetes,
                "/apis/harbor-robots.io/v1alpha1/namespaces/a/robotaccounts/ci/status",
                "robotaccounts/{name}/status",
            ),
            (
                Side::Kubernetes,
                "/apis/harbor-robots.io/v1alpha1/clusterharborregistries/main",
                "clusterharborregistries/{name}",
            ),
            (Side::Kubernetes, "/version", "/version"),
        ] {
            assert_eq!(template(side, path), wanted);
        }
    }
}
