//! Rules that the API server holds registry objects to.

use kube::core::Rule;

use super::rules::{HOST, PORT, rule, rules};

rules! {
    /// Where a Harbor is.
    registry_url =>
        format!("self.matches('^https?://({HOST}|[[][0-9A-Fa-f:.]+[]]){PORT}$')"),
        "must be scheme, host and optionally port, like https://registry.example.com: no path, no trailing '/', no user name";

    /// The CA has one source.
    one_ca_source =>
        "!(has(self.caCertificates) && has(self.caCertificatesRef))",
        "set caCertificates or caCertificatesRef, not both";

    /// A CA bundle is text.
    pem =>
        "self.contains('-----BEGIN CERTIFICATE-----')",
        "must be certificates in PEM form, each beginning with -----BEGIN CERTIFICATE-----";

    /// Project patterns.
    project_patterns =>
        r"self.all(p, p.matches('^([a-z0-9._*-]|\\$\\(namespace\\))+$'))",
        "each must be a project name in which '*' stands for any text and $(namespace) for the account's namespace";

    /// `$(namespace)-prod` would hand the namespace `team` the project of `team-prod`. Namespaces contain neither `.` nor `_`,
    /// so across one of them literals and wildcards are safe.
    project_pattern_edges =>
        r"self.all(p, !p.matches('\\$\\(namespace\\)[^._]') && !p.matches('[^._]\\$\\(namespace\\)'))",
        "next to $(namespace) there must be a '.' or '_', like $(namespace).prod or $(namespace).*: $(namespace)-prod would give the namespace team the project of the namespace team-prod";

    /// What Harbor takes as prefix of robot names.
    robot_name_prefix =>
        r"self.matches('^[!-9;-~]+$')",
        "must be printable ASCII without blanks and without ':', which ends the user name in a Basic login";

    /// The login has one source.
    one_login => "has(self.secretRef)", "set secretRef.name to the Secret with the keys username and password";

    /// A grant says whom it means in one way.
    one_namespace_source =>
        "has(self.namespaces) != has(self.namespaceSelector)",
        "set exactly one of namespaces and namespaceSelector";

    /// Harbor's default lifetime, in whole days.
    whole_days => "self.matches('^[1-9][0-9]{0,4}d$')", "must be whole days, like 30d";
}

/// A host of the docker config as a pattern. A kubelet takes `[…]` for a glob where no port follows, so an IPv6 address needs
/// its port.
fn image_host() -> String {
    let port = PORT.trim_end_matches('?');
    format!("^({HOST}{PORT}|[[][0-9A-Fa-f:]+[]]{port})$")
}

/// What a host of the docker config may be.
const IMAGE_HOST: &str = "host or host:port, like registry.example.com:5000, or an IPv6 address in brackets with its port, like [fd00::7]:5000: no scheme, path, '*' or '?'";

/// One host for the docker config.
pub(super) fn host() -> Rule {
    rule(format!("self.matches('{}')", image_host()), &format!("must be {IMAGE_HOST}"))
}

/// Hosts for the docker config.
pub(super) fn hosts() -> Rule {
    rule(format!("self.all(h, h.matches('{}'))", image_host()), &format!("each must be {IMAGE_HOST}"))
}
