//! Which operation a path is, its template and its methods.

/// An operation's path, with what stands at its variable places (URL-decoded).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Endpoint {
    /// `/robots`
    Robots,
    /// `/robots/{id}`
    Robot(String),
    /// `/projects`
    Projects,
    /// `/projects/{project}`
    Project(String),
    /// `/projects/{project}/members`
    Members(String),
    /// `/projects/{project}/members/{id}`
    Member(String, String),
    /// `/projects/{project}/repositories`
    Repositories(String),
    /// `/projects/{project}/repositories/{repository}`
    Repository(String, String),
    /// `/projects/{project}/robots`, up to v2.12
    RobotsV1(String),
    /// `/projects/{project}/robots/{id}`, up to v2.12
    RobotV1(String, String),
    /// `/users`
    Users,
    /// `/users/current`
    CurrentUser,
    /// `/users/search`
    SearchUsers,
    /// `/users/{id}`
    User(String),
    /// `/users/{id}/sysadmin`
    Sysadmin(String),
    /// `/permissions`
    Permissions,
    /// `/configurations`
    Configurations,
    /// `/systeminfo`
    SystemInfo,
    /// `/ping`
    Ping,
    /// `/health`
    Health,
    /// `/api/version`
    Version,
    /// `/c/login`
    Login,
    /// `/c/log_out`
    Logout,
    /// `/service/token`
    Token,
    /// Everything under `/v2/`
    Registry,
}

/// A known path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Route {
    /// What it is.
    pub endpoint: Endpoint,
    /// Its path with `{…}` at the variable places.
    pub template: &'static str,
    /// Its methods; empty where the handler itself looks at the method.
    pub methods: &'static [&'static str],
}

fn decoded(segment: &str) -> String {
    percent_encoding::percent_decode_str(segment).decode_utf8_lossy().into_owned()
}

/// Finds the operation of a path as it stands on the wire.
pub fn find(path: &str) -> Option<Route> {
    let known = |endpoint, template, methods| Some(Route { endpoint, template, methods });
    if path == "/v2" || path.starts_with("/v2/") {
        return known(Endpoint::Registry, super::front::template(path), &[]);
    }
    match path {
        "/service/token" => return known(Endpoint::Token, "/service/token", &[]),
        "/c/login" => return known(Endpoint::Login, "/c/login", &["POST"]),
        "/c/log_out" => return known(Endpoint::Logout, "/c/log_out", &["GET"]),
        "/api/version" => return known(Endpoint::Version, "/api/version", &["GET"]),
        _ => {}
    }
    let rest = path.strip_prefix("/api/v2.0/")?;
    let segments: Vec<&str> = rest.split('/').filter(|segment| !segment.is_empty()).collect();
    match segments.as_slice() {
        ["robots"] => known(Endpoint::Robots, "/api/v2.0/robots", &["GET", "POST"]),
        ["robots", id] => {
            known(Endpoint::Robot(decoded(id)), "/api/v2.0/robots/{id}", &["GET", "PUT", "DELETE", "PATCH"])
        }
        ["projects"] => known(Endpoint::Projects, "/api/v2.0/projects", &["GET", "HEAD", "POST"]),
        ["projects", project] => {
            known(Endpoint::Project(decoded(project)), "/api/v2.0/projects/{project}", &["GET", "PUT", "DELETE"])
        }
        ["projects", project, "members"] => {
            known(Endpoint::Members(decoded(project)), "/api/v2.0/projects/{project}/members", &["GET", "POST"])
        }
        ["projects", project, "members", id] => known(
            Endpoint::Member(decoded(project), decoded(id)),
            "/api/v2.0/projects/{project}/members/{id}",
            &["GET", "PUT", "DELETE"],
        ),
        ["projects", project, "robots"] => {
            known(Endpoint::RobotsV1(decoded(project)), "/api/v2.0/projects/{project}/robots", &["GET", "POST"])
        }
        ["projects", project, "robots", id] => known(
            Endpoint::RobotV1(decoded(project), decoded(id)),
            "/api/v2.0/projects/{project}/robots/{id}",
            &["GET", "PUT", "DELETE"],
        ),
        ["projects", project, "repositories"] => {
            known(Endpoint::Repositories(decoded(project)), "/api/v2.0/projects/{project}/repositories", &["GET"])
        }
        ["projects", project, "repositories", repository] => known(
            Endpoint::Repository(decoded(project), decoded(&decoded(repository))),
            "/api/v2.0/projects/{project}/repositories/{repository}",
            &["DELETE"],
        ),
        ["users"] => known(Endpoint::Users, "/api/v2.0/users", &["GET", "POST"]),
        ["users", "current"] => known(Endpoint::CurrentUser, "/api/v2.0/users/current", &["GET"]),
        ["users", "search"] => known(Endpoint::SearchUsers, "/api/v2.0/users/search", &["GET"]),
        ["users", id] => known(Endpoint::User(decoded(id)), "/api/v2.0/users/{id}", &["GET", "DELETE"]),
        ["users", id, "sysadmin"] => known(Endpoint::Sysadmin(decoded(id)), "/api/v2.0/users/{id}/sysadmin", &["PUT"]),
        ["permissions"] => known(Endpoint::Permissions, "/api/v2.0/permissions", &["GET"]),
        ["configurations"] => known(Endpoint::Configurations, "/api/v2.0/configurations", &["GET", "PUT"]),
        ["systeminfo"] => known(Endpoint::SystemInfo, "/api/v2.0/systeminfo", &["GET"]),
        ["ping"] => known(Endpoint::Ping, "/api/v2.0/ping", &["GET"]),
        ["health"] => known(Endpoint::Health, "/api/v2.0/health", &["GET"]),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_have_templates_and_decoded_places() {
        let route = find("/api/v2.0/robots/7/").unwrap();
        assert_eq!((route.endpoint, route.template), (Endpoint::Robot("7".into()), "/api/v2.0/robots/{id}"));
        let project = find("/api/v2.0/projects/a%20b").unwrap();
        assert_eq!(project.endpoint, Endpoint::Project("a b".into()));
        assert_eq!(find("/v2/a/b/manifests/v1").unwrap().template, "/v2/{repository}/manifests/{reference}");
        assert_eq!(find("/api/v2.0/robotz"), None);
    }
}
