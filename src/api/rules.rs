//! The rules that the API server checks, in CEL. Every message says what to write.

use kube::core::Rule;

use super::duration::{compared, is_no_span, seconds};

/// Kubernetes' DNS subdomain, at most 253 characters.
const OBJECT_NAME: &str = "^[a-z0-9]([-a-z0-9]*[a-z0-9])?([.][a-z0-9]([-a-z0-9]*[a-z0-9])?)*$";

/// Harbor's rule for project and robot names.
const HARBOR_NAME: &str = "^[a-z0-9]+([._-][a-z0-9]+)*$";

/// A host name or IPv4 address.
pub(super) const HOST: &str = "[A-Za-z0-9]([-A-Za-z0-9]*[A-Za-z0-9])?([.][A-Za-z0-9]([-A-Za-z0-9]*[A-Za-z0-9])?)*";

/// An optional port.
pub(super) const PORT: &str =
    "(:([1-9][0-9]{0,3}|[1-5][0-9]{4}|6[0-4][0-9]{3}|65[0-4][0-9]{2}|655[0-2][0-9]|6553[0-5]))?";

pub(super) fn rule(expression: impl Into<String>, message: &str) -> Rule {
    Rule::new(expression).message(message)
}

/// A function for each rule of a table: expression, message, and at which field it is told if that is another than its own.
macro_rules! rules {
    ($($(#[$doc:meta])* $name:ident => $expression:expr, $message:expr $(, at $path:literal)?;)*) => {$(
        $(#[$doc])*
        pub(super) fn $name() -> kube::core::Rule {
            rule($expression, $message)$(.field_path($path))?
        }
    )*};
}

pub(super) use rules;

rules! {
    /// The name of another object.
    object_name =>
        format!("self.matches('{OBJECT_NAME}')"),
        "must be the name of an object: lower-case letters, digits, '-' and '.', beginning and ending with a letter or digit";

    /// Names of namespaces.
    namespace_names =>
        "self.all(n, n.matches('^[a-z0-9]([-a-z0-9]*[a-z0-9])?$'))",
        "each must be the name of a namespace: lower-case letters, digits and '-'; patterns are not possible, use namespaceSelector";

    /// A key that the operator's own are not in the way of, and that Kubernetes takes.
    free_data_key =>
        "self != '.dockerconfigjson' && !self.startsWith('harbor-robots.') && self != '.' && !self.startsWith('..')",
        "must not be '.dockerconfigjson', which is always there, nor begin with 'harbor-robots.', which is the operator's, or with '..', nor be '.', which Kubernetes refuses: choose another key";

    /// A text of one's own, where one is asked for.
    value_of_a_literal =>
        "(self.format == 'Literal') == has(self.value)",
        "value belongs to format Literal, which needs it: set value there, and leave it out with every other format";

    /// Keys that do not belong to the operator.
    free_keys =>
        "self.all(k, !k.startsWith('harbor-robots.io/') && k != 'app.kubernetes.io/managed-by')",
        "keys that begin with harbor-robots.io/, and app.kubernetes.io/managed-by, are the operator's own: leave them out";

    /// Keys of labels and annotations.
    label_keys =>
        "self.all(k, k.matches('^([a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?/)?[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?$'))",
        "a key must be a name of at most 63 letters, digits, '-', '_' and '.', optionally after a DNS prefix and '/'";

    /// Values of labels.
    label_values =>
        "self.all(k, self[k].matches('^([A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?)?$'))",
        "a value must be letters, digits, '-', '_' and '.', beginning and ending with a letter or digit";

    /// A project of Harbor.
    project_name =>
        format!("self.matches('{HARBOR_NAME}')"),
        "must be the name of a Harbor project: lower-case letters and digits, with single '.', '_' or '-' between them";

    /// Text that does not look like our mark, which is what decides whose a robot is.
    no_mark =>
        "!self.contains('[harbor-robots.io/')",
        "must not contain '[harbor-robots.io/': the operator writes its own mark there";

    /// Pairs as Harbor's catalogue has them.
    pairs =>
        "self.all(a, a.resource.matches('^[a-z][a-z0-9-]*$') && a.action.matches('^[a-z][a-z0-9-]*$'))",
        "resource and action must be names of Harbor's catalogue, like resource: repository, action: list; '*' is not one";

    /// Pairs of a grant.
    pairs_or_star =>
        "self.all(a, a.resource.matches('^([a-z][a-z0-9-]*|[*])$') && a.action.matches('^([a-z][a-z0-9-]*|[*])$'))",
        "resource and action must be names of Harbor's catalogue, like resource: repository, action: list, or '*'";

    /// Once narrowed, a dropped field must not widen to all ten.
    stays_narrowed =>
        "has(self.permissions) || has(self.access) || !(has(oldSelf.permissions) || has(oldSelf.access))",
        "permissions or access must stay: with neither, the account would get all ten permissions; to want that, list them";

    /// The overlap belongs to one strategy.
    no_overlap_in_place =>
        "!(has(self.strategy) && self.strategy == 'InPlace' && has(self.overlap))",
        "strategy InPlace has no overlap: leave overlap out, or set strategy: Overlap";

    /// Rule of the root: the registry stays; a defaulted one may be written down later.
    registry_stays =>
        "has(oldSelf.spec.registryRef) \
         ? has(self.spec.registryRef) && self.spec.registryRef == oldSelf.spec.registryRef \
         : !has(self.spec.registryRef) || (has(oldSelf.status) && has(oldSelf.status.registry) \
         && self.spec.registryRef.kind == oldSelf.status.registry.kind \
         && self.spec.registryRef.name == oldSelf.status.registry.name)",
        "registryRef cannot be changed (without it, it may only be set to the registry in status.registry): make a new account and delete this one",
        at ".spec.registryRef";

    /// A system account asks for something.
    asks_for_something =>
        "has(self.systemAccess) || (has(self.projects) && (has(self.projects.all) || has(self.projects.matching) || has(self.projects.selected)))",
        "set projects (all, matching or selected) or systemAccess: a robot without any permission cannot be made";

    /// The kinds of choosing projects exclude each other.
    one_choice_of_projects =>
        "(has(self.all) ? 1 : 0) + (has(self.matching) ? 1 : 0) + (has(self.selected) ? 1 : 0) <= 1",
        "set only one of all, matching and selected";

    /// Something to take from.
    except_from_something =>
        "!has(self.except) || has(self.all) || has(self.matching) || has(self.selected)",
        "except takes away from all, matching or selected: set one of them";

    /// Projects come with what may be done in them.
    names_a_permission =>
        "(has(self.permissions) && size(self.permissions) > 0) || (has(self.access) && size(self.access) > 0)",
        "set permissions or access, and name at least one there";

    /// The pattern of a project's name.
    pattern =>
        "self.matches('^[a-z0-9._*-]+$')",
        "must be a project name in which '*' stands for any text, like team-*: lower-case letters, digits, '.', '_', '-' and '*'";

    /// Every namespace is never meant by accident.
    selects_something =>
        "(has(self.matchLabels) && size(self.matchLabels) > 0) || (has(self.matchExpressions) && size(self.matchExpressions) > 0)",
        "a selector without terms would mean every namespace: name a label, list the namespaces, or, where every namespace is meant, write matchExpressions: [{key: kubernetes.io/metadata.name, operator: Exists}]";

    /// Kubernetes' own rule for selectors. Without it `NotIn` without values would fit every namespace.
    selector_terms =>
        "!has(self.matchExpressions) || self.matchExpressions.all(t, (t.operator in ['In', 'NotIn']) == (has(t.values) && size(t.values) > 0))",
        "matchExpressions must give values with the operators In and NotIn, and none with Exists and DoesNotExist",
        at ".matchExpressions";

    /// A cluster-scoped account has no namespace to find a HarborRegistry in.
    cluster_registry =>
        "self.kind == 'ClusterHarborRegistry'",
        "kind must be ClusterHarborRegistry: a SystemRobotAccount has no namespace with a HarborRegistry",
        at ".kind";

    /// A key in the data of a Secret or ConfigMap.
    data_key => "self.matches('^[-._a-zA-Z0-9]+$')", "must be a key of the data: letters, digits, '-', '_' and '.'";

    /// Faster rotation would only wear Harbor out.
    interval_minimum => format!("{} || {} >= 3600", is_no_span("self"), seconds("self")), "interval must be at least 1h";

    /// A name of Harbor's page that says less than it gives, or takes, is for accounts only.
    names_no_charts => no_charts("self"), NO_CHARTS;

    /// The same for what holds such a list.
    names_no_charts_within =>
        format!("!has(self.permissions) || {}", no_charts("self.permissions")),
        NO_CHARTS,
        at ".permissions";

    /// Rule of the root: the robot's name, given or taken from the account, is one that Harbor takes and no slot of another.
    robot_name =>
        format!("{name}.matches('{HARBOR_NAME}') && !{name}.endsWith('.b')", name = effective("self", None)),
        "the robot's name (spec.name, or metadata.name without it) must be lower-case letters and digits with single '.', '_' or '-' between them, and must not end in '.b', which is the name of the second robot during a rotation: set spec.name",
        at ".spec.name";

    /// Rule of the root: Harbor stores `<project>+<name>` in 255 characters, and the second slot ends in `.b`.
    robot_name_length =>
        format!("size(self.spec.project) + 1 + size({}) + 2 <= 255", effective("self", None)),
        "project and name together must have at most 252 characters: set a shorter spec.name",
        at ".spec.name";

    /// Rule of the root: a rule of the field would not fire when the field comes or goes.
    robot_name_stays =>
        format!("{} == {}", effective("self", None), effective("oldSelf", None)),
        "the robot's name cannot be changed (without spec.name it is metadata.name): make a new account and delete this one",
        at ".spec.name";

    /// Rule of the root: pods name the Secret.
    secret_name_stays =>
        format!("{} == {}", effective("self", Some("secret")), effective("oldSelf", Some("secret"))),
        "the Secret's name cannot be changed (without spec.secret.name it is metadata.name): make a new account and delete this one",
        at ".spec.secret.name";

    /// Rule of the root: our own output as input would feed itself.
    password_elsewhere =>
        format!(
            "!has(self.spec.passwordSecretRef) || self.spec.passwordSecretRef.name != {}",
            effective("self", Some("secret"))
        ),
        "passwordSecretRef must name another Secret than the one that the operator writes (spec.secret.name, or metadata.name without it)",
        at ".spec.passwordSecretRef.name";
}

/// Keys by which deployment tools know what they made: one that met them on the Secret would delete it as a thing that its
/// source has no more.
pub(super) fn untracked_keys() -> Rule {
    const TRACKING: [&str; 11] = [
        "app.kubernetes.io/instance",
        "applyset.kubernetes.io/part-of",
        "argocd.argoproj.io/instance",
        "argocd.argoproj.io/tracking-id",
        "helm.toolkit.fluxcd.io/name",
        "helm.toolkit.fluxcd.io/namespace",
        "kubectl.kubernetes.io/last-applied-configuration",
        "kustomize.toolkit.fluxcd.io/name",
        "kustomize.toolkit.fluxcd.io/namespace",
        "meta.helm.sh/release-name",
        "meta.helm.sh/release-namespace",
    ];
    rule(
        format!("self.all(k, !(k in ['{}']))", TRACKING.join("', '")),
        "a key by which Argo CD, Flux, Helm or kubectl know what they applied would have them delete the Secret: leave it out",
    )
}

/// A value that stays.
pub(super) fn immutable(what: &str) -> Rule {
    rule("self == oldSelf", &format!("{what} cannot be changed: make a new account and delete this one"))
}

/// Never more than two live robots.
pub(super) fn overlap_within_interval() -> Rule {
    let compared = compared("self.overlap", "<=", "self.interval");
    rule(format!("!has(self.overlap) || !has(self.interval) || {compared}"), "overlap must not be longer than interval")
        .field_path(".overlap")
}

/// A renewal that is due when the robot is made is due for ever, and one before an end that never comes is never due.
pub(super) fn renewal_within_lifetime() -> Rule {
    let compared = compared("self.rotation.renewBefore", "<", "self.expiresAfter");
    rule(
        format!(
            "!has(self.expiresAfter) || !has(self.rotation) || !has(self.rotation.renewBefore) \
             || (self.expiresAfter != 'Never' && ({compared}))"
        ),
        "rotation.renewBefore must be shorter than expiresAfter; with expiresAfter: Never leave it out, and set rotation.interval to rotate",
    )
    .field_path(".rotation.renewBefore")
}

/// CEL for the effective value of an optional name in the spec of `object`, or in a part of it.
fn effective(object: &str, part: Option<&str>) -> String {
    let spec = format!("{object}.spec");
    match part {
        None => format!("(has({spec}.name) ? {spec}.name : {object}.metadata.name)"),
        Some(part) => {
            format!("(has({spec}.{part}) && has({spec}.{part}.name) ? {spec}.{part}.name : {object}.metadata.name)")
        }
    }
}

/// The condition on a list of names that it holds none of Helm charts.
fn no_charts(names: &str) -> String {
    format!("{names}.all(p, !(p in ['ReadHelmCharts', 'CreateHelmChartVersions', 'DeleteHelmChartVersions']))")
}

const NO_CHARTS: &str = "Helm charts are artifacts: write PullArtifacts for ReadHelmCharts, PushArtifacts for CreateHelmChartVersions and DeleteArtifacts for DeleteHelmChartVersions";
