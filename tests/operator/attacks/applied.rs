//! What the API server refuses at once, with a text that says what to write instead.

use serde_json::{Value, json};

use super::Table;
use super::stage::Stage;
use crate::scene::{LoginAs, Scene, Setting};

/// Name, what is merged over a modest account, what the refusal says.
type Case = (&'static str, Value, &'static str);

/// Requests of an account that no grant is even asked about.
fn accounts() -> Vec<Case> {
    let pattern = "must be the name of a Harbor project";
    let robot = "the robot's name (spec.name, or metadata.name without it) must be";
    vec![
        // Harbor's full names join project and robot by `+`: two of them could come to the same.
        ("a project named like another's robot, a+b", json!({"project": "a+b"}), pattern),
        ("a robot named like another project's, a+b", json!({"name": "a+b"}), robot),
        // A list of robots is asked for by path or query: more could be asked for.
        ("a project that is a path, a/../b", json!({"project": "a/../b"}), pattern),
        ("a project that adds to the query, a,ProjectID=1", json!({"project": "a,ProjectID=1"}), pattern),
        ("a project that is a pattern, *", json!({"project": "*"}), pattern),
        ("a project named by the grant's variable, $(namespace)", json!({"project": "$(namespace)"}), pattern),
        // A grant for `team` would be compared with another text than Harbor compares.
        ("a project in upper case, TEAM", json!({"project": "TEAM"}), pattern),
        ("a project with a look-alike letter, t\u{435}am", json!({"project": "t\u{435}am"}), pattern),
        ("a project in wide letters, \u{ff54}eam", json!({"project": "\u{ff54}eam"}), pattern),
        ("a project with an invisible letter, te\u{200b}am", json!({"project": "te\u{200b}am"}), pattern),
        ("a project that ends in a line end", json!({"project": "team\n"}), pattern),
        // The second slot of the account `ci`.
        ("the name of another's second slot, ci.b", json!({"name": "ci.b"}), robot),
        // A mark says whose a robot is: the robot of a restored account would be taken for the forger's.
        (
            "a forged mark in the description",
            json!({"description": "x [harbor-robots.io/v1 0-0 c/n/a]"}),
            "must not contain '[harbor-robots.io/'",
        ),
        // Nothing could mean everything.
        ("an empty list of permissions", json!({"permissions": []}), "spec.permissions"),
        ("an empty list of pairs", json!({"permissions": null, "access": []}), "spec.access"),
        // One pair that is all pairs, escalating ones included.
        ("the pair *:*", json!({"access": [{"resource": "*", "action": "*"}]}), "'*' is not one"),
        ("the pair repository:*", json!({"access": [{"resource": "repository", "action": "*"}]}), "'*' is not one"),
        ("a permission in a look-alike letter", json!({"permissions": ["PullArtif\u{430}cts"]}), "Unsupported value"),
        // Another namespace's registry, and with it its login.
        (
            "a registry of another namespace by path",
            json!({"registryRef": {"kind": "HarborRegistry", "name": "victim/own"}}),
            "must be the name of an object",
        ),
        (
            "a registry of another namespace as one of the cluster",
            json!({"registryRef": {"kind": "ClusterHarborRegistry", "name": "victim/own"}}),
            "must be the name of an object",
        ),
        (
            "a registry of another namespace by field",
            json!({"registryRef": {"namespace": "victim"}}),
            "field not declared in schema",
        ),
        // Secrets of other namespaces, and Secrets that decide whose they are.
        (
            "a password of another namespace by field",
            json!({"passwordSecretRef": {"name": "a", "key": "b", "namespace": "victim"}}),
            "field not declared in schema",
        ),
        (
            "a password of another namespace by path",
            json!({"passwordSecretRef": {"name": "victim/a", "key": "b"}}),
            "must be the name of an object",
        ),
        ("a Secret in another namespace", json!({"secret": {"name": "../victim/a"}}), "must be the name of an object"),
        (
            "the own output as password",
            json!({"passwordSecretRef": {"name": "attempt", "key": ".dockerconfigjson"}}),
            "must name another Secret than the one that the operator writes",
        ),
        (
            "the operator's own label on the Secret",
            json!({"secret": {"labels": {"harbor-robots.io/account-uid": "x"}}}),
            "are the operator's own",
        ),
        (
            "the operator's own annotation on the Secret",
            json!({"secret": {"annotations": {"harbor-robots.io/robot-id": "1"}}}),
            "are the operator's own",
        ),
        (
            "a ServiceAccount of another namespace",
            json!({"serviceAccounts": [{"name": "victim/default"}]}),
            "must be the name of an object",
        ),
        // The whole system instead of one project.
        (
            "the system's level",
            json!({"systemAccess": [{"resource": "robot", "action": "create"}]}),
            "field not declared",
        ),
        ("all projects", json!({"projects": {"all": {"permissions": ["PullArtifacts"]}}}), "field not declared"),
    ]
}

/// What a team's registry may not say.
fn registries() -> Vec<Case> {
    let host = "must be host or host:port";
    vec![
        // A kubelet takes the keys of a docker config as globs: the credential would go to any server.
        ("a glob in additionalHosts, *", json!({"additionalHosts": ["*"]}), host),
        ("a glob in additionalHosts, *.example.com", json!({"additionalHosts": ["*.example.com"]}), host),
        ("a glob in additionalHosts, registry.exampl?", json!({"additionalHosts": ["registry.exampl?"]}), host),
        ("a glob in additionalHosts, [a-z].example", json!({"additionalHosts": ["[a-z].example"]}), host),
        ("a glob in registryHost, *", json!({"registryHost": "*"}), host),
        ("a host with a path", json!({"additionalHosts": ["registry.example/victim"]}), host),
        // One server for whoever checks, another for whoever connects.
        ("a URL with a user name", json!({"url": "https://good.example@evil.example"}), "must be scheme, host"),
        ("a URL with a path", json!({"url": "https://good.example/../x"}), "must be scheme, host"),
        ("a URL with an escaped host", json!({"url": "http://%31%32%37.0.0.1"}), "must be scheme, host"),
        ("a URL of a file", json!({"url": "file:///etc/passwd"}), "must be scheme, host"),
        ("a URL in wide digits", json!({"url": "http://\u{ff11}27.0.0.1"}), "must be scheme, host"),
        // The fence itself, and Harbor's settings.
        ("grants of one's own", json!({"grants": []}), "field not declared"),
        ("settings of the server", json!({"serverSettings": {"robotNamePrefix": "x"}}), "field not declared"),
        ("deleting others' robots", json!({"orphanPolicy": "Delete"}), "field not declared"),
        // The operator's own login.
        (
            "a login of another namespace by field",
            json!({"auth": {"secretRef": {"name": "login", "namespace": "system"}}}),
            "field not declared",
        ),
        (
            "a login of another namespace by path",
            json!({"auth": {"secretRef": {"name": "system/login"}}}),
            "must be the name of an object",
        ),
        (
            "a CA of another namespace",
            json!({"tls": {"caCertificatesRef": {"kind": "Secret", "name": "system/ca", "key": "ca.crt"}}}),
            "must be the name of an object",
        ),
    ]
}

/// Grants that an administrator would regret; the check of a request refuses them as well (see `domain/grants/tests.rs`).
fn grants() -> Vec<Case> {
    let wild = "next to $(namespace) there must be a '.' or '_'";
    vec![
        // The namespace `team` would get the projects of `team-victim`.
        ("a grant for $(namespace)-*", json!({"projects": ["$(namespace)-*"]}), wild),
        ("a grant for $(namespace)*", json!({"projects": ["$(namespace)*"]}), wild),
        // … or the project of the namespace `team-prod`.
        ("a grant for $(namespace)-prod", json!({"projects": ["$(namespace)-prod"]}), wild),
        ("a grant for prod-$(namespace)", json!({"projects": ["prod-$(namespace)"]}), wild),
        ("a grant for *$(namespace)", json!({"projects": ["*$(namespace)"]}), wild),
        ("a grant for a pattern of namespaces", json!({"namespaces": ["team-*"]}), "patterns are not possible"),
        (
            "a grant for labels that any namespace fits",
            json!({"namespaces": null, "namespaceSelector": {"matchExpressions": [{"key": "x", "operator": "NotIn"}]}}),
            "matchExpressions must give values",
        ),
    ]
}

pub async fn cases() -> Table {
    let mut table = Table::default();
    let registry = json!({"pollInterval": "1h"});
    let scene = Scene::new(Setting { registry, login: LoginAs::Person, all_namespaces: true, ..Setting::default() });
    let stage = Stage::new(scene.await).await;
    let before = stage.look().await;
    for (name, spec, says) in accounts() {
        let manifest = stage.account("attempt", &spec);
        table.row(format!("refused at apply: {name}"), stage.is_refused(&manifest, says)).await;
    }
    for (name, spec, says) in registries() {
        let mut whole = json!({"url": "https://registry.example", "auth": {"secretRef": {"name": "own-login"}}});
        crate::scene::merge(&mut whole, &spec);
        let manifest = json!({
            "apiVersion": "harbor-robots.io/v1alpha1", "kind": "HarborRegistry",
            "metadata": {"name": "own", "namespace": stage.scene.namespace}, "spec": whole,
        });
        table.row(format!("refused at apply: {name}"), stage.is_refused(&manifest, says)).await;
    }
    for (name, spec, says) in grants() {
        let mut grant =
            json!({"name": "all", "namespaces": ["team"], "projects": ["x"], "permissions": ["PullArtifacts"]});
        crate::scene::merge(&mut grant, &spec);
        let manifest = json!({
            "apiVersion": "harbor-robots.io/v1alpha1", "kind": "ClusterHarborRegistry",
            "metadata": {"name": stage.scene.registry}, "spec": {"grants": [grant]},
        });
        table
            .row(format!("refused at apply: {name}"), async {
                let error = super::stage::apply(&stage.scene.client, &manifest).await.unwrap_err();
                assert!(error.contains(says), "refused for something else: {error}");
            })
            .await;
    }
    others_objects(&mut table, &stage).await;
    table.row("nothing that was refused at apply has reached Harbor", stage.nothing_happened(&before)).await;
    table
}

/// RBAC, as docs/tenancy.md gives it to a team.
async fn others_objects(table: &mut Table, stage: &Stage) {
    let forbidden = "is forbidden";
    let elsewhere = stage.account_in(&stage.victim, "attempt", &json!({}));
    table.row("refused at apply: an account in another namespace", stage.is_refused(&elsewhere, forbidden)).await;
    let grant = json!({
        "apiVersion": "harbor-robots.io/v1alpha1", "kind": "ClusterHarborRegistry",
        "metadata": {"name": stage.scene.registry}, "spec": {"suspend": true},
    });
    table.row("refused at apply: an edit of the registry with the grants", stage.is_refused(&grant, forbidden)).await;
    let system = json!({
        "apiVersion": "harbor-robots.io/v1alpha1", "kind": "SystemRobotAccount", "metadata": {"name": "attempt"},
        "spec": {"systemAccess": [{"resource": "robot", "action": "create"}]},
    });
    table.row("refused at apply: an account of the system", stage.is_refused(&system, forbidden)).await;
}
