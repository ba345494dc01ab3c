//! `/v2/`: Harbor's front of the registry. It asks for credentials, looks at rights, and passes on what is allowed.

use hyper::body::Incoming;
use hyper::http::request::Parts;
use hyper::{Method, Response};
use serde_json::{Value, json};

use super::proxy;
use super::reply::{Body, Reply};
use crate::app::App;
use crate::error::ApiError;
use crate::state::Caller;

/// What a registry path is about.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Target {
    Base,
    Catalog,
    Repository { name: String, part: Part },
    Other,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Part {
    Manifest,
    Blob,
    Upload,
    Tags,
    Referrers,
}

fn target(path: &str) -> Target {
    let rest = path.strip_prefix("/v2").unwrap_or(path);
    match rest {
        "" | "/" => return Target::Base,
        "/_catalog" => return Target::Catalog,
        _ => {}
    }
    let rest = rest.trim_start_matches('/');
    let parts = [
        ("/manifests/", Part::Manifest),
        ("/blobs/uploads", Part::Upload),
        ("/blobs/", Part::Blob),
        ("/tags/list", Part::Tags),
        ("/referrers/", Part::Referrers),
    ];
    for (mark, part) in parts {
        if let Some((name, _)) = rest.rsplit_once(mark)
            && !name.is_empty()
        {
            return Target::Repository { name: name.to_owned(), part };
        }
    }
    Target::Other
}

/// The path's template, for the call log.
pub fn template(path: &str) -> &'static str {
    match target(path) {
        Target::Base => "/v2/",
        Target::Catalog => "/v2/_catalog",
        Target::Repository { part, .. } => match part {
            Part::Manifest => "/v2/{repository}/manifests/{reference}",
            Part::Blob => "/v2/{repository}/blobs/{digest}",
            Part::Upload => "/v2/{repository}/blobs/uploads/",
            Part::Tags => "/v2/{repository}/tags/list",
            Part::Referrers => "/v2/{repository}/referrers/{digest}",
        },
        Target::Other => "/v2/{other}",
    }
}

fn action(method: &Method) -> &'static str {
    match *method {
        Method::GET | Method::HEAD => "pull",
        Method::DELETE => "delete",
        _ => "push",
    }
}

/// Why a call is refused, with the challenge that goes with it.
struct Refusal {
    text: String,
    challenge: Option<String>,
}

impl Refusal {
    /// Denied is 401 here, never 403, and says everything twice.
    fn into_reply(self) -> Reply {
        let reply = Reply::from(ApiError::unauthorized_with(format!("{0}: {0}", self.text)))
            .with("Docker-Distribution-Api-Version", "registry/2.0");
        match self.challenge {
            Some(challenge) => reply.with("Www-Authenticate", challenge),
            None => reply,
        }
    }
}

struct Front<'a> {
    app: &'a App,
    parts: &'a Parts,
    caller: &'a Caller,
    /// How the client is told to call this server.
    outside: String,
    /// Where the token service is said to be: up to v2.13 at the external URL, whatever host was called.
    token_service: String,
}

impl<'a> Front<'a> {
    fn new(app: &'a App, parts: &'a Parts, caller: &'a Caller) -> Self {
        let host = parts.headers.get("Host").and_then(|host| host.to_str().ok());
        let external = app.external_url();
        let outside = host.map_or_else(|| external.to_owned(), |host| format!("{}://{host}", app.scheme()));
        let token_service = if app.state().version.is_since_14() { outside.clone() } else { external.to_owned() };
        Self { app, parts, caller, outside, token_service }
    }

    fn has_credentials(&self) -> bool {
        self.parts.headers.contains_key("Authorization")
    }

    /// Basic to whoever came with credentials, else the token service, at the host that the client called.
    fn challenge(&self, scope: &str) -> String {
        if self.has_credentials() {
            return "Basic realm=\"harbor\"".into();
        }
        let scope = if scope.is_empty() { String::new() } else { format!(",scope=\"{scope}\"") };
        format!("Bearer realm=\"{}/service/token\",service=\"harbor-registry\"{scope}", self.token_service)
    }

    fn refuse(&self, text: impl Into<String>, scope: &str) -> Refusal {
        Refusal { text: text.into(), challenge: Some(self.challenge(scope)) }
    }

    fn check_repository(&self, name: &str, action: &str) -> Result<(), Refusal> {
        let asked = match action {
            "push" => "pull,push",
            other => other,
        };
        let scope = format!("repository:{name}:{asked}");
        if action == "pull" && !self.has_credentials() {
            return Err(self.refuse("authorize header needed to send HEAD to repository", &scope));
        }
        let state = self.app.state();
        let project = name.split('/').next().unwrap_or_default();
        let id = match state.projects.find(project) {
            Ok(project) => project.id,
            Err(error) => return Err(Refusal { text: error.message, challenge: None }),
        };
        if state.may_in_project(self.caller, id, "repository", action) {
            return Ok(());
        }
        Err(self.refuse(format!("unauthorized to access repository: {name}, action: {action}"), &scope))
    }

    fn check(&self, target: &Target) -> Result<(), Refusal> {
        match target {
            Target::Base if !self.caller.is_authenticated() => Err(self.refuse("unauthorized", "")),
            Target::Catalog if !self.app.state().may_in_system(self.caller, "catalog", "read") => {
                let challenge = Some("Basic realm=\"harbor\"".into());
                Err(Refusal { text: "unauthorized to list catalog".into(), challenge })
            }
            Target::Repository { name, part } => {
                self.check_repository(name, action(&self.parts.method))?;
                let query = self.parts.uri.query().unwrap_or_default();
                let from = form_urlencoded::parse(query.as_bytes()).find(|(key, _)| key == "from");
                match from {
                    // A blob that is mounted from elsewhere must be readable there.
                    Some((_, other)) if *part == Part::Upload && self.parts.method == Method::POST => {
                        self.check_repository(&other, "pull")
                    }
                    _ => Ok(()),
                }
            }
            _ => Ok(()),
        }
    }

    fn knows(&self, name: &str) -> bool {
        let state = self.app.state();
        let project = name.split('/').next().and_then(|project| state.projects.named(project));
        project.is_some_and(|project| project.repositories.contains(name))
    }

    /// What Harbor says in place of the registry's 404.
    fn absent(&self, name: &str, part: Part) -> Reply {
        let reference = self.parts.uri.path().rsplit('/').next().unwrap_or_default();
        let message = if part == Part::Manifest && self.knows(name) {
            let mark = if reference.contains(':') { '@' } else { ':' };
            format!("artifact {name}{mark}{reference} not found")
        } else {
            format!("repository {name} not found")
        };
        ApiError::not_found(message).into()
    }

    fn remember(&self, name: &str) {
        let mut state = self.app.state();
        let id = name.split('/').next().and_then(|project| state.projects.named(project)).map(|project| project.id);
        if let Some(project) = id.and_then(|id| state.projects.get_mut(id)) {
            project.repositories.insert(name.to_owned());
        }
    }
}

fn catalog(app: &App) -> Value {
    let state = app.state();
    let names: Vec<&String> = state.projects.all().flat_map(|project| &project.repositories).collect();
    json!({"repositories": names})
}

/// Answers a call under `/v2/`.
pub async fn answer(app: &App, parts: &Parts, body: Incoming, caller: &Caller) -> Response<Body> {
    let front = Front::new(app, parts, caller);
    let target = target(parts.uri.path());
    if let Err(refusal) = front.check(&target) {
        return refusal.into_reply().into_response();
    }
    let (name, part) = match target {
        Target::Base => {
            let ok = Reply::json(200, &json!({})).with("Docker-Distribution-Api-Version", "registry/2.0");
            return ok.into_response();
        }
        Target::Catalog => return Reply::json(200, &catalog(app)).into_response(),
        Target::Other => return Reply::text(404, "404 page not found\n").into_response(),
        Target::Repository { name, part } => (name, part),
    };
    let Some(upstream) = &app.upstream else {
        return front.absent(&name, part).into_response();
    };
    match proxy::pass_on(upstream, parts, body, &front.outside).await {
        Ok(answer) => {
            if answer.status() == 404 && matches!(part, Part::Manifest | Part::Tags) {
                return front.absent(&name, part).into_response();
            }
            if part == Part::Manifest && parts.method == Method::PUT && answer.status().is_success() {
                front.remember(&name);
            }
            answer
        }
        Err(error) => {
            eprintln!("harbor-stand-in: the registry behind /v2/ does not answer: {error}");
            Reply::from(ApiError::internal()).into_response()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn repositories_may_have_the_names_of_parts() {
        let repository = |path: &str| match target(path) {
            Target::Repository { name, part } => (name, part),
            other => panic!("{path}: {other:?}"),
        };
        assert_eq!(repository("/v2/p/blobs/x/manifests/v1"), ("p/blobs/x".into(), Part::Manifest));
        assert_eq!(repository("/v2/p/x/blobs/uploads/"), ("p/x".into(), Part::Upload));
        assert_eq!(repository("/v2/p/x/blobs/sha256:00"), ("p/x".into(), Part::Blob));
        assert_eq!(repository("/v2/p/x/tags/list"), ("p/x".into(), Part::Tags));
        assert_eq!(target("/v2/"), Target::Base);
        assert_eq!(target("/v2/p"), Target::Other);
    }
}
