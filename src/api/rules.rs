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

/// The name of another object.
pub(super) fn object_name() -> Rule {
    rule(
        format!("self.matches('{OBJECT_NAME}')"),
        "must be the name of an object: lower-case letters, digits, '-' and '.', beginning and ending with a letter or digit",
    )
}

/// Names of namespaces.
pub(super) fn namespace_names() -> Rule {
    rule(
        "self.all(n, n.matches('^[a-z0-9]([-a-z0-9]*[a-z0-9])?$'))",
        "each must be the name of a namespace: lower-case letters, digits and '-'; patterns are not possible, use namespaceSelector",
    )
}

/// A key in the data of a Secret or ConfigMap.
pub(super) fn data_key() -> Rule {
    rule("self.matches('^[-._a-zA-Z0-9]+$')", "must be a key of the data: letters, digits, '-', '_' and '.'")
}

/// A key that the operator's own are not in the way of, and that Kubernetes takes.
pub(super) fn free_data_key() -> Rule {
    rule(
        "self != '.dockerconfigjson' && !self.startsWith('harbor-robots.') && self != '.' && !self.startsWith('..')",
        "must not be '.dockerconfigjson', which is always there, nor begin with 'harbor-robots.', which is the operator's, or with '..', nor be '.', which Kubernetes refuses: choose another key",
    )
}

/// A text of one's own, where one is asked for.
pub(super) fn value_of_a_literal() -> Rule {
    rule(
        "(self.format == 'Literal') == has(self.value)",
        "value belongs to format Literal, which needs it: set value there, and leave it out with every other format",
    )
}

/// Keys that do not belong to the operator.
pub(super) fn free_keys() -> Rule {
    rule(
        "self.all(k, !k.startsWith('harbor-robots.io/') && k != 'app.kubernetes.io/managed-by')",
        "keys that begin with harbor-robots.io/, and app.kubernetes.io/managed-by, are the operator's own: leave them out",
    )
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

/// Keys of labels and annotations.
pub(super) fn label_keys() -> Rule {
    rule(
        "self.all(k, k.matches('^([a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?/)?[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?$'))",
        "a key must be a name of at most 63 letters, digits, '-', '_' and '.', optionally after a DNS prefix and '/'",
    )
}

/// Values of labels.
pub(super) fn label_values() -> Rule {
    rule(
        "self.all(k, self[k].matches('^([A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?)?$'))",
        "a value must be letters, digits, '-', '_' and '.', beginning and ending with a letter or digit",
    )
}

/// A project of Harbor.
pub(super) fn project_name() -> Rule {
    rule(
        format!("self.matches('{HARBOR_NAME}')"),
        "must be the name of a Harbor project: lower-case letters and digits, with single '.', '_' or '-' between them",
    )
}

/// A value that stays.
pub(super) fn immutable(what: &str) -> Rule {
    rule("self == oldSelf", &format!("{what} cannot be changed: make a new account and delete this one"))
}

/// Text that does not look like our mark, which is what decides whose a robot is.
pub(super) fn no_mark() -> Rule {
    rule(
        "!self.contains('[harbor-robots.io/')",
        "must not contain '[harbor-robots.io/': the operator writes its own mark there",
    )
}

/// Pairs as Harbor's catalogue has them.
pub(super) fn pairs() -> Rule {
    rule(
        "self.all(a, a.resource.matches('^[a-z][a-z0-9-]*$') && a.action.matches('^[a-z][a-z0-9-]*$'))",
        "resource and action must be names of Harbor's catalogue, like resource: repository, action: list; '*' is not one",
    )
}

/// Pairs of a grant.
pub(super) fn pairs_or_star() -> Rule {
    rule(
        "self.all(a, a.resource.matches('^([a-z][a-z0-9-]*|[*])$') && a.action.matches('^([a-z][a-z0-9-]*|[*])$'))",
        "resource and action must be names of Harbor's catalogue, like resource: repository, action: list, or '*'",
    )
}

/// Once narrowed, a dropped field must not widen to all ten.
pub(super) fn stays_narrowed() -> Rule {
    rule(
        "has(self.permissions) || has(self.access) || !(has(oldSelf.permissions) || has(oldSelf.access))",
        "permissions or access must stay: with neither, the account would get all ten permissions; to want that, list them",
    )
}

/// The overlap belongs to one strategy.
pub(super) fn no_overlap_in_place() -> Rule {
    rule(
        "!(has(self.strategy) && self.strategy == 'InPlace' && has(self.overlap))",
        "strategy InPlace has no overlap: leave overlap out, or set strategy: Overlap",
    )
}

/// Never more than two live robots.
pub(super) fn overlap_within_interval() -> Rule {
    let compared = compared("self.overlap", "<=", "self.interval");
    rule(format!("!has(self.overlap) || !has(self.interval) || {compared}"), "overlap must not be longer than interval")
        .field_path(".overlap")
}

/// Faster rotation would only wear Harbor out.
pub(super) fn interval_minimum() -> Rule {
    rule(format!("{} || {} >= 3600", is_no_span("self"), seconds("self")), "interval must be at least 1h")
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

/// CEL for the effective value of an optional name of `object`.
fn effective(object: &str, parent: Option<&str>, field: &str) -> String {
    let spec = format!("{object}.spec");
    match parent {
        None => format!("(has({spec}.{field}) ? {spec}.{field} : {object}.metadata.name)"),
        Some(parent) => format!(
            "(has({spec}.{parent}) && has({spec}.{parent}.{field}) ? {spec}.{parent}.{field} : {object}.metadata.name)"
        ),
    }
}

/// Rule of the root: the robot's name, given or taken from the account, is one that Harbor takes and no slot of another.
pub(super) fn robot_name() -> Rule {
    let name = effective("self", None, "name");
    rule(
        format!("{name}.matches('{HARBOR_NAME}') && !{name}.endsWith('.b')"),
        "the robot's name (spec.name, or metadata.name without it) must be lower-case letters and digits with single '.', '_' or '-' between them, and must not end in '.b', which is the name of the second robot during a rotation: set spec.name",
    )
    .field_path(".spec.name")
}

/// Rule of the root: Harbor stores `<project>+<name>` in 255 characters, and the second slot ends in `.b`.
pub(super) fn robot_name_length() -> Rule {
    let name = effective("self", None, "name");
    rule(
        format!("size(self.spec.project) + 1 + size({name}) + 2 <= 255"),
        "project and name together must have at most 252 characters: set a shorter spec.name",
    )
    .field_path(".spec.name")
}

/// Rule of the root: a rule of the field would not fire when the field comes or goes.
pub(super) fn robot_name_stays() -> Rule {
    let (new, old) = (effective("self", None, "name"), effective("oldSelf", None, "name"));
    rule(
        format!("{new} == {old}"),
        "the robot's name cannot be changed (without spec.name it is metadata.name): make a new account and delete this one",
    )
    .field_path(".spec.name")
}

/// Rule of the root: pods name the Secret.
pub(super) fn secret_name_stays() -> Rule {
    let (new, old) = (effective("self", Some("secret"), "name"), effective("oldSelf", Some("secret"), "name"));
    rule(
        format!("{new} == {old}"),
        "the Secret's name cannot be changed (without spec.secret.name it is metadata.name): make a new account and delete this one",
    )
    .field_path(".spec.secret.name")
}

/// Rule of the root: our own output as input would feed itself.
pub(super) fn password_elsewhere() -> Rule {
    let name = effective("self", Some("secret"), "name");
    rule(
        format!("!has(self.spec.passwordSecretRef) || self.spec.passwordSecretRef.name != {name}"),
        "passwordSecretRef must name another Secret than the one that the operator writes (spec.secret.name, or metadata.name without it)",
    )
    .field_path(".spec.passwordSecretRef.name")
}

/// Rule of the root: the registry stays; a defaulted one may be written down later.
pub(super) fn registry_stays() -> Rule {
    rule(
        "has(oldSelf.spec.registryRef) \
         ? has(self.spec.registryRef) && self.spec.registryRef == oldSelf.spec.registryRef \
         : !has(self.spec.registryRef) || (has(oldSelf.status) && has(oldSelf.status.registry) \
         && self.spec.registryRef.kind == oldSelf.status.registry.kind \
         && self.spec.registryRef.name == oldSelf.status.registry.name)",
        "registryRef cannot be changed (without it, it may only be set to the registry in status.registry): make a new account and delete this one",
    )
    .field_path(".spec.registryRef")
}

/// A system account asks for something.
pub(super) fn asks_for_something() -> Rule {
    rule(
        "has(self.systemAccess) || (has(self.projects) && (has(self.projects.all) || has(self.projects.matching) || has(self.projects.selected)))",
        "set projects (all, matching or selected) or systemAccess: a robot without any permission cannot be made",
    )
}

/// The kinds of choosing projects exclude each other.
pub(super) fn one_choice_of_projects() -> Rule {
    rule(
        "(has(self.all) ? 1 : 0) + (has(self.matching) ? 1 : 0) + (has(self.selected) ? 1 : 0) <= 1",
        "set only one of all, matching and selected",
    )
}

/// Something to take from.
pub(super) fn except_from_something() -> Rule {
    rule(
        "!has(self.except) || has(self.all) || has(self.matching) || has(self.selected)",
        "except takes away from all, matching or selected: set one of them",
    )
}

/// Projects come with what may be done in them.
pub(super) fn names_a_permission() -> Rule {
    rule(
        "(has(self.permissions) && size(self.permissions) > 0) || (has(self.access) && size(self.access) > 0)",
        "set permissions or access, and name at least one there",
    )
}

/// The condition on a list of names that it holds none of Helm charts.
fn no_charts(names: &str) -> String {
    format!("{names}.all(p, !(p in ['ReadHelmCharts', 'CreateHelmChartVersions', 'DeleteHelmChartVersions']))")
}

const NO_CHARTS: &str = "Helm charts are artifacts: write PullArtifacts for ReadHelmCharts, PushArtifacts for CreateHelmChartVersions and DeleteArtifacts for DeleteHelmChartVersions";

/// A name of Harbor's page that says less than it gives, or takes, is for accounts only.
pub(super) fn names_no_charts() -> Rule {
    rule(no_charts("self"), NO_CHARTS)
}

/// The same for what holds such a list.
pub(super) fn names_no_charts_within() -> Rule {
    rule(format!("!has(self.permissions) || {}", no_charts("self.permissions")), NO_CHARTS).field_path(".permissions")
}

/// The pattern of a project's name.
pub(super) fn pattern() -> Rule {
    rule(
        "self.matches('^[a-z0-9._*-]+$')",
        "must be a project name in which '*' stands for any text, like team-*: lower-case letters, digits, '.', '_', '-' and '*'",
    )
}

/// Every namespace is never meant by accident.
pub(super) fn selects_something() -> Rule {
    rule(
        "(has(self.matchLabels) && size(self.matchLabels) > 0) || (has(self.matchExpressions) && size(self.matchExpressions) > 0)",
        "a selector without terms would mean every namespace: name a label, list the namespaces, or, where every namespace is meant, write matchExpressions: [{key: kubernetes.io/metadata.name, operator: Exists}]",
    )
}

/// Kubernetes' own rule for selectors. Without it `NotIn` without values would fit every namespace.
pub(super) fn selector_terms() -> Rule {
    rule(
        "!has(self.matchExpressions) || self.matchExpressions.all(t, (t.operator in ['In', 'NotIn']) == (has(t.values) && size(t.values) > 0))",
        "matchExpressions must give values with the operators In and NotIn, and none with Exists and DoesNotExist",
    )
    .field_path(".matchExpressions")
}

/// A cluster-scoped account has no namespace to find a HarborRegistry in.
pub(super) fn cluster_registry() -> Rule {
    rule(
        "self.kind == 'ClusterHarborRegistry'",
        "kind must be ClusterHarborRegistry: a SystemRobotAccount has no namespace with a HarborRegistry",
    )
    .field_path(".kind")
}
