//! The ValidatingAdmissionPolicies on the real API server: what each lets pass and what it refuses.

use std::sync::Once;
use std::time::Duration;

use harbor_robot_world::{ControlPlane, Output, eventually};
use serde_json::{Value, json};

use crate::helm::{NAMESPACE, plane, rendered};

const OPERATOR: &str = "system:serviceaccount:harbor-robots:harbor-robot-operator";
const TEAM: &str = "policies";

/// Who asks: everybody here may do everything by their role, so that only policies refuse.
#[derive(Clone, Copy, Debug)]
enum Who {
    Operator,
    Admin,
    BreakGlass,
}

impl Who {
    fn flags(self) -> Vec<&'static str> {
        match self {
            Self::Operator => vec!["--as", OPERATOR, "--as-group", "test:all"],
            Self::Admin => vec!["--as", "alice", "--as-group", "test:all"],
            Self::BreakGlass => {
                vec!["--as", "alice", "--as-group", "test:all", "--as-group", "harbor-robots:break-glass"]
            }
        }
    }

    fn does(self, args: &[&str], stdin: &Value) -> Output {
        let args = self.flags().into_iter().chain(args.iter().copied());
        prepared().kubectl_stdin(args, &stdin.to_string())
    }
}

/// The control plane with the kinds, the policies in force, and objects to try them on.
fn prepared() -> &'static ControlPlane {
    static PREPARED: Once = Once::new();
    let plane = plane();
    PREPARED.call_once(|| {
        let mut objects: Vec<Value> = rendered(&["crds.install=false"])
            .into_iter()
            .filter(|object| object["kind"].as_str().unwrap().starts_with("ValidatingAdmissionPolicy"))
            .collect();
        assert_eq!(objects.len(), 14);
        objects.push(json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": TEAM}}));
        objects.push(json!({
            "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRoleBinding", "metadata": {"name": "test-all"},
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "cluster-admin"},
            "subjects": [{"apiGroup": "rbac.authorization.k8s.io", "kind": "Group", "name": "test:all"}],
        }));
        plane.apply(&json!({"apiVersion": "v1", "kind": "List", "items": objects}).to_string()).unwrap();
    });
    plane
}

fn secret(name: &str, kind: &str, managed_by: &str) -> Value {
    let config = json!({"auths": {}}).to_string();
    let (key, value) =
        if kind == "kubernetes.io/dockerconfigjson" { (".dockerconfigjson", config) } else { ("a", "b".to_owned()) };
    json!({
        "apiVersion": "v1", "kind": "Secret", "type": kind, "stringData": {key: value},
        "metadata": {"name": name, "namespace": TEAM, "labels": {"app.kubernetes.io/managed-by": managed_by}},
    })
}

fn account(name: &str) -> Value {
    json!({
        "apiVersion": "harbor-robots.io/v1alpha1", "kind": "RobotAccount",
        "metadata": {"name": name, "namespace": TEAM},
        "spec": {"project": TEAM, "permissions": ["PullArtifacts"]},
    })
}

/// Waits until a policy refuses what it should.
async fn in_force(what: &str, refused: impl Fn() -> Output) {
    eventually(what, Duration::from_secs(30), || async {
        let output = refused();
        if output.success { Err(output.stdout) } else { Ok(()) }
    })
    .await;
}

const OURS: &str = "harbor-robot-operator";
const PULL: &str = "kubernetes.io/dockerconfigjson";
const CREATE: [&str; 4] = ["create", "-f", "-", "--dry-run=server"];

#[tokio::test(flavor = "multi_thread")]
async fn the_operator_writes_its_own_secrets_and_no_others() {
    let plane = prepared();
    in_force("the policy of Secrets", || Who::Operator.does(&CREATE, &secret("a", "Opaque", OURS))).await;
    for (made, says) in [
        (secret("a", PULL, OURS), None),
        (secret("a", PULL, "somebody"), Some("writes Secrets of the type")),
        (secret("a", "Opaque", OURS), Some("writes Secrets of the type")),
    ] {
        let output = Who::Operator.does(&CREATE, &made);
        match says {
            None => drop(output.ok().unwrap()),
            Some(says) => assert!(!output.success && output.stderr.contains(says), "{}", output.stderr),
        }
        Who::Admin.does(&CREATE, &made).ok().expect("others are not concerned");
    }
    // Made by others, of the same type; ours; ours whose label somebody took off.
    plane.apply(&secret("theirs", PULL, "somebody").to_string()).unwrap();
    plane.apply(&secret("ours", PULL, OURS).to_string()).unwrap();
    let mut unlabelled = secret("unlabelled", PULL, "somebody");
    plane.apply(&account("owner").to_string()).unwrap();
    let uid = ["get", "robotaccount", "owner", "-n", TEAM, "-o", "jsonpath={.metadata.uid}"];
    unlabelled["metadata"]["ownerReferences"] = json!([{
        "apiVersion": "harbor-robots.io/v1alpha1", "kind": "RobotAccount", "name": "owner",
        "uid": plane.kubectl(uid).ok().unwrap(),
    }]);
    plane.apply(&unlabelled.to_string()).unwrap();
    for (name, may) in [("theirs", false), ("ours", true), ("unlabelled", true)] {
        let take = json!({"metadata": {"labels": {"app.kubernetes.io/managed-by": OURS}}, "data": {".dockerconfigjson": "e30="}}).to_string();
        let patch = ["patch", "secret", name, "-n", TEAM, "--dry-run=server", "-p", &take];
        let delete = ["delete", "secret", name, "-n", TEAM, "--dry-run=server"];
        for args in [&patch[..], &delete[..]] {
            let output = Who::Operator.does(args, &Value::Null);
            assert_eq!(output.success, may, "{args:?}: {}", output.stderr);
            if !may {
                assert!(output.stderr.contains("Secrets that it made, and no others"), "{}", output.stderr);
            }
            assert!(Who::Admin.does(args, &Value::Null).success, "{args:?}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn of_service_accounts_the_operator_changes_the_lists_of_secrets() {
    let plane = prepared();
    plane
        .apply(
            &json!({
                "apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "builder", "namespace": TEAM},
                "imagePullSecrets": [{"name": "a"}, {"name": "b"}],
            })
            .to_string(),
        )
        .unwrap();
    let patch = |who: Who, patch: Value| {
        let patch = patch.to_string();
        who.does(
            &["patch", "serviceaccount", "builder", "-n", TEAM, "--dry-run=server", "--type=merge", "-p", &patch],
            &Value::Null,
        )
    };
    in_force("the policy of ServiceAccounts", || patch(Who::Operator, json!({"automountServiceAccountToken": false})))
        .await;
    for (change, may) in [
        (json!({"imagePullSecrets": [{"name": "a"}, {"name": "b"}, {"name": "ci"}]}), true),
        (json!({"imagePullSecrets": [{"name": "b"}]}), true),
        (json!({"secrets": [{"name": "ci"}]}), true),
        (json!({"imagePullSecrets": []}), false),
        (json!({"imagePullSecrets": [{"name": "a"}, {"name": "c"}]}), false),
        (json!({"automountServiceAccountToken": true}), false),
        (json!({"metadata": {"labels": {"a": "b"}}}), false),
        (json!({"metadata": {"annotations": {"eks.amazonaws.com/role-arn": "x"}}}), false),
        (json!({"metadata": {"finalizers": ["example.com/a"]}}), false),
    ] {
        let output = patch(Who::Operator, change.clone());
        assert_eq!(output.success, may, "{change}: {}", output.stderr);
        let says = ["imagePullSecrets and secrets", "one entry at a time"];
        assert!(may || says.iter().any(|says| output.stderr.contains(says)), "{}", output.stderr);
        patch(Who::Admin, change).ok().expect("others are not concerned");
    }
    let delete = ["delete", "serviceaccount", "builder", "-n", TEAM, "--dry-run=server"];
    assert!(!Who::Operator.does(&delete, &Value::Null).success);
    assert!(Who::Admin.does(&delete, &Value::Null).success);
}

#[tokio::test(flavor = "multi_thread")]
async fn of_its_objects_the_operator_changes_finalizers_annotations_of_its_own_and_the_status() {
    let plane = prepared();
    let mut object = account("objects");
    object["metadata"]["annotations"] = json!({"owner": "alice", "harbor-robots.io/refresh": "1"});
    object["metadata"]["finalizers"] = json!(["example.com/other"]);
    plane.apply(&object.to_string()).unwrap();
    let patch = |who: Who, patch: &Value| {
        let patch = patch.to_string();
        who.does(
            &["patch", "robotaccount", "objects", "-n", TEAM, "--dry-run=server", "--type=merge", "-p", &patch],
            &Value::Null,
        )
    };
    in_force("the policy of objects", || patch(Who::Operator, &json!({"spec": {"disabled": true}}))).await;
    for (change, may) in [
        (json!({"metadata": {"finalizers": ["harbor-robots.io/robot", "example.com/other"]}}), true),
        (json!({"metadata": {"finalizers": ["harbor-robots.io/robot"]}}), false),
        (json!({"metadata": {"annotations": {"harbor-robots.io/pinned-host": "a"}}}), true),
        (json!({"metadata": {"annotations": {"harbor-robots.io/refresh": null}}}), false),
        (json!({"metadata": {"annotations": {"harbor-robots.io/is-default": "true"}}}), false),
        (json!({"metadata": {"finalizers": ["example.com/more"]}}), false),
        (json!({"metadata": {"annotations": {"owner": "mallory"}}}), false),
        (json!({"metadata": {"annotations": {"owner": null}}}), false),
        (json!({"metadata": {"annotations": {"more": "x"}}}), false),
        (json!({"metadata": {"labels": {"a": "b"}}}), false),
        (json!({"spec": {"permissions": ["PushArtifacts"]}}), false),
        (json!({"spec": {"deletionPolicy": "Retain"}}), false),
    ] {
        let output = patch(Who::Operator, &change);
        assert_eq!(output.success, may, "{change}: {}", output.stderr);
        assert!(may || output.stderr.contains("and nothing else"), "{}", output.stderr);
        patch(Who::Admin, &change).ok().expect("others are not concerned");
    }
    let delete = ["delete", "robotaccount", "objects", "-n", TEAM, "--dry-run=server"];
    assert!(!Who::Operator.does(&delete, &Value::Null).success);
    assert!(!Who::Operator.does(&CREATE, &account("more")).success);
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_else_writes_a_status_or_takes_a_finalizer_off() {
    let plane = prepared();
    let mut object = account("fenced");
    object["metadata"]["finalizers"] = json!(["harbor-robots.io/robot", "example.com/other"]);
    plane.apply(&object.to_string()).unwrap();
    let patch = |who: Who, more: &[&str], patch: &Value| {
        let patch = patch.to_string();
        let args = ["patch", "robotaccount", "fenced", "-n", TEAM, "--dry-run=server", "--type=merge", "-p", &patch];
        who.does(&[&args[..], more].concat(), &Value::Null)
    };
    let status = json!({"status": {"observedGeneration": 7}});
    let write = ["--subresource=status"];
    in_force("the policy of statuses", || patch(Who::Admin, &write, &status)).await;
    let bare = json!({"metadata": {"finalizers": ["example.com/other"]}});
    in_force("the policy of finalizers", || patch(Who::Admin, &[], &bare)).await;
    for who in [Who::Operator, Who::BreakGlass] {
        patch(who, &write, &status).ok().unwrap();
        patch(who, &[], &bare).ok().unwrap();
    }
    let told = patch(Who::Admin, &write, &status).stderr;
    assert!(told.contains("the operator writes the status, and nobody else"), "{told}");
    let told = patch(Who::Admin, &[], &bare).stderr;
    assert!(told.contains("only the operator takes its finalizers off"), "{told}");
    // Finalizers of others, and adding some, are people's own matter; so is deleting.
    for change in [
        json!({"metadata": {"finalizers": ["harbor-robots.io/robot"]}}),
        json!({"metadata": {"finalizers": ["harbor-robots.io/robot", "example.com/other", "example.com/more"]}}),
        json!({"metadata": {"labels": {"a": "b"}}}),
    ] {
        patch(Who::Admin, &[], &change).ok().unwrap();
    }
    Who::Admin.does(&["delete", "robotaccount", "fenced", "-n", TEAM, "--dry-run=server"], &Value::Null).ok().unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_registry_in_use_stays_and_a_namespace_may_go() {
    let plane = prepared();
    let registry = |kind: &str, name: &str, namespace: Option<&str>| {
        let mut object = json!({
            "apiVersion": "harbor-robots.io/v1alpha1", "kind": kind, "metadata": {"name": name},
            "spec": {"url": "https://harbor.example.com", "auth": {"secretRef": {"name": "harbor-login"}}},
        });
        if let Some(namespace) = namespace {
            object["metadata"]["namespace"] = json!(namespace);
        }
        plane.apply(&object.to_string()).unwrap();
    };
    let used = |kind: &str, name: &str, namespace: &str| {
        let status = json!({"status": {"accountCount": 3}}).to_string();
        let args = ["patch", kind, name, "-n", namespace, "--subresource=status", "--type=merge", "-p", &status];
        Who::BreakGlass.does(&args, &Value::Null).ok().unwrap();
    };
    plane.apply(&json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "going"}}).to_string()).unwrap();
    registry("ClusterHarborRegistry", "used", None);
    registry("ClusterHarborRegistry", "unused", None);
    registry("HarborRegistry", "used", Some("going"));
    used("clusterharborregistry", "used", "default");
    used("harborregistry", "used", "going");
    let delete = |who: Who, kind: &str, name: &str| {
        who.does(&["delete", kind, name, "-n", "going", "--dry-run=server"], &Value::Null)
    };
    in_force("the policy of registries", || delete(Who::Admin, "clusterharborregistry", "used")).await;
    for kind in ["clusterharborregistry", "harborregistry"] {
        let told = delete(Who::Admin, kind, "used");
        assert!(!told.success && told.stderr.contains("3 accounts use this registry"), "{}", told.stderr);
        delete(Who::BreakGlass, kind, "used").ok().unwrap();
    }
    delete(Who::Admin, "clusterharborregistry", "unused").ok().unwrap();
    plane.kubectl(["delete", "namespace", "going", "--timeout=60s"]).ok().expect("it goes with its registry");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_account_that_leaves_its_permissions_out_is_made_with_a_warning() {
    prepared();
    let mut left_out = account("warned");
    left_out["spec"].as_object_mut().unwrap().remove("permissions");
    eventually("the warning", Duration::from_secs(30), || async {
        let output = Who::Admin.does(&CREATE, &left_out);
        assert!(output.success, "{}", output.stderr);
        if output.stderr.contains("asks for all ten permissions") { Ok(()) } else { Err(output.stderr) }
    })
    .await;
    let mut raw = left_out.clone();
    raw["spec"]["access"] = json!([{"resource": "repository", "action": "pull"}]);
    for said in [account("said"), raw] {
        let output = Who::Admin.does(&CREATE, &said);
        assert!(output.success && !output.stderr.contains("Warning"), "{}", output.stderr);
    }
}

#[test]
fn the_operators_namespace_is_in_its_name() {
    let all = rendered(&["namespaceOverride=elsewhere", "policies.operators={system:serviceaccount:b:other}"]);
    let text = serde_json::to_string(&all).unwrap();
    assert!(
        text.contains("'system:serviceaccount:elsewhere:harbor-robot-operator','system:serviceaccount:b:other'"),
        "{text}"
    );
    assert!(!text.contains(OPERATOR) && !text.contains(&format!("\"namespace\":\"{NAMESPACE}\"")), "{text}");
}
