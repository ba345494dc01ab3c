//! The kinds in front of the real API server: it takes both CRDs without a warning, and says yes and no to a table of
//! manifests (`tests/admission/*.yaml`) as the design asks.

#![allow(clippy::unwrap_used, reason = "a test")]

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;
use std::time::Duration;

use harbor_robot_operator::api::{RobotAccount, crds};
use harbor_robot_world::{ControlPlane, eventually};
use kube::ResourceExt;
use kube::api::{Api, DeleteParams, DynamicObject, Patch, PatchParams, PostParams};
use kube::core::{ApiResource, GroupVersionKind};
use serde::Deserialize;
use serde_json::{Value, json};

const ACCOUNTS: &str = include_str!("admission/accounts.yaml");
const REGISTRIES: &str = include_str!("admission/registries.yaml");

/// One row of a table; the tables say what the fields mean.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Case {
    name: String,
    named: Option<String>,
    #[serde(default)]
    spec: Value,
    #[serde(default)]
    grant: Value,
    #[serde(default)]
    nulls: Vec<String>,
    #[serde(default)]
    long: BTreeMap<String, usize>,
    #[serde(default)]
    status: Value,
    #[serde(default)]
    update: Value,
    refused: Option<String>,
    /// Must not be in the message.
    not: Option<String>,
}

/// JSON merge patch (RFC 7386).
fn merge(target: &mut Value, patch: &Value) {
    let Value::Object(fields) = patch else {
        *target = patch.clone();
        return;
    };
    if !target.is_object() {
        *target = json!({});
    }
    let object = target.as_object_mut().unwrap();
    for (key, value) in fields {
        if value.is_null() {
            object.remove(key);
        } else {
            merge(object.entry(key).or_insert(Value::Null), value);
        }
    }
}

/// The patch that sets one field, given by a JSON pointer.
fn at(pointer: &str, value: Value) -> Value {
    pointer.rsplit('/').filter(|key| !key.is_empty()).fold(value, |inner, key| json!({key: inner}))
}

/// What the API server told the user.
fn message(error: kube::Error) -> String {
    match error {
        kube::Error::Api(status) => status.message,
        other => panic!("no answer of the API server: {other}"),
    }
}

/// One kind and the object that its cases start from.
struct Table {
    api: Api<DynamicObject>,
    kind: &'static str,
    name: &'static str,
    base: Value,
}

impl Table {
    fn manifest(&self, case: &Case) -> Value {
        let mut manifest = json!({
            "apiVersion": "harbor-robots.io/v1alpha1",
            "kind": self.kind,
            "metadata": {"name": case.named.as_deref().unwrap_or(self.name)},
            "spec": self.base,
        });
        if !case.spec.is_null() {
            merge(&mut manifest["spec"], &case.spec);
        }
        if !case.grant.is_null() {
            let mut grant =
                json!({"name": "teams", "namespaces": ["team-a"], "projects": ["team-a"], "permissions": []});
            merge(&mut grant, &case.grant);
            manifest["spec"]["grants"] = json!([grant]);
        }
        for (pointer, length) in &case.long {
            merge(&mut manifest, &at(pointer, "a".repeat(*length).into()));
        }
        manifest
    }

    /// Creates and, if asked for, updates; what the API server says no to comes back as a message. An accepted object
    /// must be stored exactly as written: nothing defaulted, nothing pruned.
    async fn run(&self, case: &Case) -> Result<(), String> {
        let written = self.manifest(case);
        let mut request = written.clone();
        for pointer in &case.nulls {
            let (parent, key) = pointer.rsplit_once('/').unwrap();
            request.pointer_mut(parent).unwrap()[key] = Value::Null;
        }
        let parse = |value: &Value| serde_json::from_value::<DynamicObject>(value.clone()).unwrap();
        let created = self.api.create(&PostParams::default(), &parse(&request)).await.map_err(message)?;
        let mut stored = created.clone();
        let mut expected = written["spec"].clone();
        if !case.status.is_null() {
            let patch = json!({"status": case.status});
            stored = self
                .api
                .patch_status(&stored.name_any(), &PatchParams::default(), &Patch::Merge(&patch))
                .await
                .map_err(|e| format!("status: {e}"))?;
            assert_eq!(stored.data["status"], case.status, "{}: the status was not kept", case.name);
        }
        if !case.update.is_null() {
            merge(&mut expected, &case.update);
            let mut update = stored.clone();
            update.data["spec"] = expected.clone();
            stored = self.api.replace(&stored.name_any(), &PostParams::default(), &update).await.map_err(message)?;
        }
        if case.nulls.is_empty() {
            assert_eq!(stored.data["spec"], expected, "{}: not stored as written", case.name);
        } else {
            for pointer in &case.nulls {
                let field = pointer.strip_prefix("/spec").unwrap();
                assert_eq!(stored.data["spec"].pointer(field), None, "{}: the null was kept", case.name);
            }
        }
        Ok(())
    }

    async fn check(&self, text: &str) -> (usize, String) {
        let cases: Vec<Case> = serde_saphyr::from_str(text).unwrap();
        let mut failures = String::new();
        for case in &cases {
            let outcome = self.run(case).await;
            let name = case.named.as_deref().unwrap_or(self.name);
            let _ = self.api.delete(name, &DeleteParams::default()).await;
            let problem = match (&case.refused, outcome) {
                (None, Ok(())) => None,
                (None, Err(message)) => Some(format!("refused: {message}")),
                (Some(_), Ok(())) => Some("accepted".to_owned()),
                (Some(fragment), Err(message)) if !message.contains(fragment) => {
                    Some(format!("not for {fragment:?}, but: {message}"))
                }
                (Some(_), Err(message)) => case
                    .not
                    .as_ref()
                    .filter(|fragment| message.contains(*fragment))
                    .map(|fragment| format!("also for {fragment:?}: {message}")),
            };
            if let Some(problem) = problem {
                writeln!(failures, "{} {:?} was {problem}", self.kind, case.name).unwrap();
            }
        }
        (cases.len(), failures)
    }
}

/// What kubectl prints.
fn kubectl(world: &ControlPlane, arguments: &[&str]) -> String {
    world.kubectl(arguments).ok().unwrap()
}

fn install(world: &ControlPlane) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("crds");
    kubectl(world, &["apply", "--server-side", "--warnings-as-errors", "-f", folder.to_str().unwrap()]);
    kubectl(world, &["wait", "--for=condition=Established", "--timeout=30s", "-f", folder.to_str().unwrap()]);
}

#[tokio::test]
async fn the_api_server_takes_the_kinds_and_refuses_what_the_tables_say() {
    let world = ControlPlane::scratch().unwrap();
    install(&world);
    let client = world.client().await.unwrap();
    let resource = |kind: &str, plural: &str| {
        ApiResource::from_gvk_with_plural(&GroupVersionKind::gvk("harbor-robots.io", "v1alpha1", kind), plural)
    };
    let accounts = Table {
        api: Api::namespaced_with(client.clone(), "default", &resource("RobotAccount", "robotaccounts")),
        kind: "RobotAccount",
        name: "ci",
        base: json!({"project": "team-a"}),
    };
    let registries = Table {
        api: Api::all_with(client, &resource("ClusterHarborRegistry", "clusterharborregistries")),
        kind: "ClusterHarborRegistry",
        name: "main",
        base: json!({"url": "https://registry.example.com", "auth": {"secretRef": {"name": "harbor-login"}}}),
    };
    let (many, mut failures) = accounts.check(ACCOUNTS).await;
    let (more, other) = registries.check(REGISTRIES).await;
    failures.push_str(&other);
    assert!(failures.is_empty(), "of {} cases:\n{failures}", many + more);

    explain_tells_what_each_field_means(&world).await;
    columns_and_selectors_work(&world, &accounts).await;
}

/// Collects the messages of all rules in a schema.
fn messages(schema: &Value, found: &mut Vec<String>) {
    match schema {
        Value::Object(fields) => {
            for rule in fields.get("x-kubernetes-validations").and_then(Value::as_array).into_iter().flatten() {
                found.push(rule["message"].as_str().unwrap().to_owned());
            }
            fields.values().for_each(|field| messages(field, found));
        }
        Value::Array(items) => items.iter().for_each(|item| messages(item, found)),
        _ => {}
    }
}

#[test]
fn every_rule_has_a_case_that_breaks_it() {
    let cases: Vec<Case> =
        [ACCOUNTS, REGISTRIES].iter().flat_map(|text| serde_saphyr::from_str::<Vec<Case>>(text).unwrap()).collect();
    let refused: Vec<&String> = cases.iter().filter_map(|case| case.refused.as_ref()).collect();
    let mut rules = Vec::new();
    messages(&serde_json::to_value(crds::crds()).unwrap(), &mut rules);
    assert!(rules.len() > 30, "{rules:?}");
    rules.retain(|message| !refused.iter().any(|fragment| message.contains(fragment.as_str())));
    assert!(rules.is_empty(), "rules without a case: {rules:#?}");
}

async fn explain_tells_what_each_field_means(world: &ControlPlane) {
    for (field, meaning) in [
        ("robotaccounts.spec.rotation.overlap", "how long the previous credential stays valid"),
        ("robotaccounts.spec.deletionPolicy", "deleting this object deletes the robot and the Secret"),
        ("clusterharborregistries.spec.grants.projects", "`$(namespace)` for the account's namespace"),
    ] {
        // The document behind explain follows a new kind with a delay.
        let look = || async {
            let text = world.kubectl(["explain", field]).ok().map_err(|error| error.to_string())?;
            let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
            if text.contains(meaning) { Ok(()) } else { Err(text) }
        };
        eventually(field, Duration::from_secs(30), look).await;
    }
}

async fn columns_and_selectors_work(world: &ControlPlane, accounts: &Table) {
    let account = json!({
        "apiVersion": "harbor-robots.io/v1alpha1",
        "kind": "RobotAccount",
        "metadata": {"name": "ci"},
        "spec": {
            "project": "team-a",
            "registryRef": {"kind": "ClusterHarborRegistry", "name": "main"},
            "disabled": false,
        },
    });
    let mut other = account.clone();
    other["metadata"]["name"] = "other".into();
    other["spec"]["project"] = "team-b".into();
    other["spec"]["registryRef"]["name"] = "second".into();
    for manifest in [account, other] {
        accounts.api.create(&PostParams::default(), &serde_json::from_value(manifest).unwrap()).await.unwrap();
    }
    let status = json!({"status": {
        "registry": {"kind": "ClusterHarborRegistry", "name": "main"},
        "robot": {
            "id": 1,
            "name": "robot$team-a+ci",
            "createdAt": "2026-01-01T00:00:00.123Z",
            "expiresAt": "2126-01-31T00:00:00Z",
        },
        "renewalTime": "2126-01-21T00:00:00Z",
        "conditions": [{
            "type": "Ready",
            "status": "True",
            "reason": "Published",
            "message": "",
            "lastTransitionTime": "2026-01-01T00:00:00Z",
        }],
    }});
    accounts.api.patch_status("ci", &PatchParams::default(), &Patch::Merge(&status)).await.unwrap();

    let table = |arguments: &[&str]| {
        let text = kubectl(world, arguments);
        text.lines().map(|line| line.split_whitespace().map(str::to_owned).collect()).collect::<Vec<Vec<_>>>()
    };
    let rows = table(&["get", "ra", "ci"]);
    assert_eq!(rows[0], ["NAME", "READY", "LOGIN", "PROJECT", "EXPIRES", "AGE"]);
    assert_eq!(rows[1][..5], ["ci", "True", "robot$team-a+ci", "team-a", "2126-01-31T00:00:00Z"]);
    let rows = table(&["get", "robotaccount", "ci", "--output=wide"]);
    assert_eq!(rows[0][6..], ["REASON", "DISABLED", "RENEWS", "REGISTRY", "CREATED"]);
    assert_eq!(rows[1][6..], ["Published", "false", "2126-01-21T00:00:00Z", "main", "2026-01-01T00:00:00.123Z"]);

    for selector in ["spec.project=team-b", "spec.registryRef.name=second"] {
        let found = kubectl(world, &["get", "robotaccounts", "--output=name", "--field-selector", selector]);
        assert_eq!(found.trim(), "robotaccount.harbor-robots.io/other", "{selector}");
    }
    let found = kubectl(world, &["get", "harbor", "--output=name"]);
    assert_eq!(found.lines().count(), 2, "the category holds both accounts: {found}");

    let client = accounts.api.clone().into_client();
    let typed: Api<RobotAccount> = Api::namespaced(client, "default");
    let read = serde_json::to_value(typed.get("ci").await.unwrap()).unwrap();
    assert_eq!(read["status"], status["status"], "the types lose nothing, milliseconds included");
}
