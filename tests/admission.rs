//! The kinds in front of the real API server: it takes their CRDs without a warning, and says yes and no to a table of
//! manifests for each (`tests/admission/*.yaml`) as the design asks. Every rule of a schema, at its own place, is broken by
//! a case.

#![allow(clippy::unwrap_used, reason = "a test")]

#[path = "admission/appliers.rs"]
mod appliers;

use std::collections::BTreeMap;
use std::fmt::{Debug, Write as _};
use std::path::Path;
use std::time::Duration;

use harbor_robot_operator::api::{ClusterHarborRegistry, HarborRegistry, RobotAccount, SystemRobotAccount, crds};
use harbor_robot_world::{ControlPlane, eventually};
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::api::{Api, DeleteParams, DynamicObject, Patch, PatchParams, PostParams};
use kube::core::{ApiResource, GroupVersionKind, NamespaceResourceScope, Request};
use kube::{Resource, ResourceExt};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

/// The cases of each kind.
const TABLES: [(&str, &str); 4] = [
    ("RobotAccount", include_str!("admission/accounts.yaml")),
    ("SystemRobotAccount", include_str!("admission/system_accounts.yaml")),
    ("ClusterHarborRegistry", include_str!("admission/registries.yaml")),
    ("HarborRegistry", include_str!("admission/namespaced_registries.yaml")),
];

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

/// Makes a list of each `{times: 3, of: x#}`: `[x1, x2, x3]`, and an object of each `{times: 3, keys: x#}`.
fn unroll(value: &Value) -> Value {
    match value {
        Value::Object(fields) => {
            let times = fields.get("times").and_then(Value::as_u64);
            match (times, fields.get("of"), fields.get("keys").and_then(Value::as_str)) {
                (Some(times), Some(item), _) => (1..=times).map(|number| numbered(&unroll(item), number)).collect(),
                (Some(times), _, Some(key)) => {
                    (1..=times).map(|number| (key.replace('#', &number.to_string()), json!(""))).collect()
                }
                _ => fields.iter().map(|(key, value)| (key.clone(), unroll(value))).collect(),
            }
        }
        Value::Array(items) => items.iter().map(unroll).collect(),
        other => other.clone(),
    }
}

fn numbered(value: &Value, number: u64) -> Value {
    match value {
        Value::String(text) => text.replace('#', &number.to_string()).into(),
        Value::Object(fields) => fields.iter().map(|(key, value)| (key.clone(), numbered(value, number))).collect(),
        Value::Array(items) => items.iter().map(|item| numbered(item, number)).collect(),
        other => other.clone(),
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
            merge(&mut manifest["spec"], &unroll(&case.spec));
        }
        if !case.grant.is_null() {
            let mut grant = json!({"name": "teams", "namespaces": ["team-a"], "projects": ["team-a"], "permissions": ["PullArtifacts"]});
            merge(&mut grant, &unroll(&case.grant));
            manifest["spec"]["grants"] = json!([grant]);
        }
        for (pointer, length) in &case.long {
            let text = "a".repeat(*length).into();
            match manifest.pointer_mut(pointer) {
                Some(value) => *value = text,
                None => merge(&mut manifest, &at(pointer, text)),
            }
        }
        manifest
    }

    /// As kubectl does it: fields that the kind does not have are an error and not just dropped.
    async fn create(&self, manifest: &Value) -> Result<DynamicObject, kube::Error> {
        let create = Request::new(self.api.resource_url()).create(&PostParams::default(), manifest.to_string().into());
        let mut create = create.unwrap();
        *create.uri_mut() = format!("{}&fieldValidation=Strict", create.uri()).parse().unwrap();
        self.api.clone().into_client().request(create).await
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
        let mut stored = self.create(&request).await.map_err(message)?;
        let mut expected = written["spec"].clone();
        if !case.status.is_null() {
            let patch = json!({"status": case.status});
            stored = self
                .api
                .patch_status(&stored.name_any(), &PatchParams::default(), &Patch::Merge(&patch))
                .await
                .map_err(|e| format!("status: {e}"))?;
            assert_eq!(stored.data["status"], observed(&case.status), "{}: the status was not kept", case.name);
        }
        if !case.update.is_null() {
            merge(&mut expected, &unroll(&case.update));
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

    async fn check(&self, text: &str) -> Checked {
        let cases: Vec<Case> = serde_saphyr::from_str(text).unwrap();
        let mut checked = Checked { cases: cases.len(), ..Checked::default() };
        for case in &cases {
            let outcome = self.run(case).await;
            let manifest = self.manifest(case);
            let _ = self.api.delete(manifest["metadata"]["name"].as_str().unwrap(), &DeleteParams::default()).await;
            let problem = match (&case.refused, &outcome) {
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
                writeln!(checked.failures, "{} {:?} was {problem}", self.kind, case.name).unwrap();
            }
            checked.messages.extend(outcome.err());
        }
        checked
    }
}

/// What became of a table.
#[derive(Default)]
struct Checked {
    cases: usize,
    failures: String,
    /// What the API server said when it said no.
    messages: Vec<String>,
}

/// Collects the rules in a schema: place and message.
fn rules(schema: &Value, place: &str, found: &mut Vec<(String, String)>) {
    for rule in schema["x-kubernetes-validations"].as_array().into_iter().flatten() {
        let field = rule["fieldPath"].as_str().unwrap_or_default();
        found.push((format!("{place}{field}"), rule["message"].as_str().unwrap().to_owned()));
    }
    for (name, field) in schema["properties"].as_object().into_iter().flatten() {
        rules(field, &format!("{place}.{name}"), found);
    }
    if let Some(items) = schema.get("items") {
        rules(items, &format!("{place}[]"), found);
    }
}

/// The rules of a kind that no case broke, each at its own place.
fn unbroken(crd: &CustomResourceDefinition, messages: &[String]) -> Vec<String> {
    let schema = &serde_json::to_value(crd).unwrap()["spec"]["versions"][0]["schema"]["openAPIV3Schema"];
    let mut found = Vec::new();
    rules(schema, "", &mut found);
    assert!(found.len() > 15, "{found:?}");
    let messages: Vec<String> = messages.iter().map(|message| without_indices(message)).collect();
    found.retain(|(place, text)| {
        let place = format!("{}: ", place.trim_start_matches('.'));
        !messages.iter().any(|message| message.contains(&place) && message.contains(text))
    });
    found.into_iter().map(|(place, text)| format!("{} {place}: {text}", crd.spec.names.kind)).collect()
}

/// `a[12].b` becomes `a[].b`.
fn without_indices(message: &str) -> String {
    let mut parts = message.split('[');
    let mut text = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let digits = part.len() - part.trim_start_matches(|c: char| c.is_ascii_digit()).len();
        let rest = &part[digits..];
        text.push('[');
        text.push_str(if rest.starts_with(']') { rest } else { part });
    }
    text
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

/// The kinds of [`TABLES`], in its order.
fn tables(client: &kube::Client) -> [Table; 4] {
    let resource = |kind: &str, plural: &str| {
        ApiResource::from_gvk_with_plural(&GroupVersionKind::gvk("harbor-robots.io", "v1alpha1", kind), plural)
    };
    let namespaced = |kind, plural| Api::namespaced_with(client.clone(), "default", &resource(kind, plural));
    let cluster = |kind, plural| Api::all_with(client.clone(), &resource(kind, plural));
    let harbor = json!({"url": "https://registry.example.com", "auth": {"secretRef": {"name": "harbor-login"}}});
    [
        Table {
            api: namespaced("RobotAccount", "robotaccounts"),
            kind: "RobotAccount",
            name: "ci",
            base: json!({"project": "team-a"}),
        },
        Table {
            api: cluster("SystemRobotAccount", "systemrobotaccounts"),
            kind: "SystemRobotAccount",
            name: "scanner",
            base: json!({"systemAccess": [{"resource": "project", "action": "list"}]}),
        },
        Table {
            api: cluster("ClusterHarborRegistry", "clusterharborregistries"),
            kind: "ClusterHarborRegistry",
            name: "main",
            base: harbor.clone(),
        },
        Table {
            api: namespaced("HarborRegistry", "harborregistries"),
            kind: "HarborRegistry",
            name: "mine",
            base: harbor,
        },
    ]
}

#[tokio::test]
async fn the_api_server_takes_the_kinds_and_refuses_what_the_tables_say() {
    let world = ControlPlane::scratch().unwrap();
    install(&world);
    let client = world.client().await.unwrap();
    let tables = tables(&client);
    let (mut count, mut failures, mut without) = (0, String::new(), Vec::new());
    for (table, (kind, cases)) in tables.iter().zip(TABLES) {
        assert_eq!(table.kind, kind);
        let checked = table.check(cases).await;
        count += checked.cases;
        failures.push_str(&checked.failures);
        let crd = crds::crds().into_iter().find(|crd| crd.spec.names.kind == kind).unwrap();
        without.extend(unbroken(&crd, &checked.messages));
    }
    assert!(failures.is_empty(), "of {count} cases:\n{failures}");
    assert!(without.is_empty(), "rules without a case that breaks them: {without:#?}");
    assert_eq!(crds::crds().len(), TABLES.len(), "a kind has no table");

    appliers::two_of_them(&world, &tables).await;
    explain_tells_what_each_field_means(&world).await;
    let [accounts, system_accounts, registries, own_registries] = &tables;
    columns_of_accounts(&world, accounts).await;
    columns_of_system_accounts(&world, system_accounts).await;
    columns_of_registries(&world, registries, own_registries).await;
    let found = kubectl(&world, &["get", "harbor-robots", "--all-namespaces", "--output=name"]);
    assert_eq!(found.lines().count(), 5, "the category holds the objects of all kinds: {found}");
}

async fn explain_tells_what_each_field_means(world: &ControlPlane) {
    for (field, meaning) in [
        ("robotaccounts.spec.rotation.overlap", "how long the previous credential stays valid"),
        ("robotaccounts.spec.deletionPolicy", "deleting this object deletes the robot and the Secret"),
        ("systemrobotaccounts.spec.projects.matching.pattern", "in which `*` stands for any text"),
        ("systemrobotaccounts.spec.secret.namespaces", "One that does not exist yet gets it when it appears"),
        ("clusterharborregistries.spec.grants.projects", "`$(namespace)` for the account's namespace"),
        ("harborregistries.spec.suspend", "stops the operator for every account of this registry"),
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

/// What kubectl prints, in words.
fn printed(world: &ControlPlane, arguments: &[&str]) -> Vec<Vec<String>> {
    let text = kubectl(world, arguments);
    text.lines().map(|line| line.split_whitespace().map(str::to_owned).collect()).collect()
}

/// A status as it is stored: nobody has looked yet where it does not say otherwise.
fn observed(status: &Value) -> Value {
    let mut whole = json!({"observedGeneration": -1});
    merge(&mut whole, status);
    whole
}

/// Creates an object and gives it a status, which the Rust type must read and write without a loss.
async fn with_status<K>(table: &Table, name: &str, spec: Value, status: Value, typed: Api<K>)
where
    K: Resource + Clone + Debug + Serialize + DeserializeOwned,
{
    let manifest = json!({
        "apiVersion": "harbor-robots.io/v1alpha1",
        "kind": table.kind,
        "metadata": {"name": name},
        "spec": spec,
    });
    table.create(&manifest).await.unwrap();
    let patch = json!({"status": status});
    table.api.patch_status(name, &PatchParams::default(), &Patch::Merge(&patch)).await.unwrap();
    let read = serde_json::to_value(typed.get(name).await.unwrap()).unwrap();
    assert_eq!(read["spec"], spec, "{}: the type loses something of the spec", table.kind);
    assert_eq!(read["status"], observed(&status), "{}: the type loses something of the status", table.kind);
}

/// The client of a namespaced kind's Rust type.
fn typed<K>(table: &Table) -> Api<K>
where
    K: Resource<Scope = NamespaceResourceScope, DynamicType = ()>,
{
    Api::namespaced(table.api.clone().into_client(), "default")
}

fn ready(reason: &str) -> Value {
    json!([{
        "type": "Ready",
        "status": "True",
        "reason": reason,
        "message": "",
        "lastTransitionTime": "2026-01-01T00:00:00Z",
    }])
}

async fn columns_of_accounts(world: &ControlPlane, accounts: &Table) {
    let spec = json!({
        "project": "team-a",
        "registryRef": {"kind": "ClusterHarborRegistry", "name": "main"},
        "disabled": false,
    });
    let status = json!({
        "registry": {"kind": "ClusterHarborRegistry", "name": "main"},
        "robot": {
            "id": 1,
            "name": "robot$team-a+ci",
            "creationTime": "2026-01-01T00:00:00.123Z",
            "expirationTime": "2126-01-31T00:00:00Z",
        },
        "renewalTime": "2126-01-21T00:00:00Z",
        "secretRefs": [{"namespace": "default", "name": "pull"}],
        "conditions": ready("Published"),
    });
    with_status(accounts, "ci", spec, status, typed::<RobotAccount>(accounts)).await;
    let spec = json!({"project": "team-b", "registryRef": {"kind": "HarborRegistry", "name": "second"}});
    with_status(
        accounts,
        "other",
        spec,
        json!({"legacy": true, "registry": {"kind": "HarborRegistry", "name": "second"}}),
        typed::<RobotAccount>(accounts),
    )
    .await;

    let rows = printed(world, &["get", "ra", "ci"]);
    assert_eq!(rows[0], ["NAME", "READY", "LOGIN", "PROJECT", "EXPIRES", "AGE"]);
    assert_eq!(rows[1][..5], ["ci", "True", "robot$team-a+ci", "team-a", "2126-01-31T00:00:00Z"]);
    let rows = printed(world, &["get", "robotaccount", "ci", "--output=wide"]);
    assert_eq!(rows[0][6..], ["REASON", "DISABLED", "RENEWS", "REGISTRY", "SECRET", "CREATED"]);
    assert_eq!(
        rows[1][6..],
        ["Published", "false", "2126-01-21T00:00:00Z", "main", "pull", "2026-01-01T00:00:00.123Z"]
    );
    for selector in ["spec.project=team-b", "status.registry.name=second"] {
        let found = kubectl(world, &["get", "robotaccounts", "--output=name", "--field-selector", selector]);
        assert_eq!(found.trim(), "robotaccount.harbor-robots.io/other", "{selector}");
    }
}

async fn columns_of_system_accounts(world: &ControlPlane, accounts: &Table) {
    let spec = json!({
        "registryRef": {"kind": "ClusterHarborRegistry", "name": "main"},
        "projects": {"matching": [{"pattern": "team-*", "permissions": ["PullArtifacts"]}]},
        "secret": {"namespaces": ["ci"], "namespaceSelector": {"matchLabels": {"scan": "yes"}}},
        "disabled": true,
    });
    let status = json!({
        "registry": {"kind": "ClusterHarborRegistry", "name": "main"},
        "robot": {
            "id": 1,
            "name": "robot$scanner",
            "creationTime": "2026-01-01T00:00:00.123Z",
            "expirationTime": "2126-01-31T00:00:00Z",
        },
        "renewalTime": "2126-01-21T00:00:00Z",
        "projects": {"count": 2, "names": ["team-a", "team-b"]},
        "namespaceCount": 3,
        "namespaces": [{"name": "ci", "ready": true}],
        "secretRefs": [{"namespace": "system", "name": "pull"}, {"namespace": "ci", "name": "pull"}],
        "conditions": ready("Disabled"),
    });
    let api: Api<SystemRobotAccount> = Api::all(accounts.api.clone().into_client());
    with_status(accounts, "scanner", spec, status, api).await;

    let rows = printed(world, &["get", "sra"]);
    assert_eq!(rows[0], ["NAME", "READY", "LOGIN", "PROJECTS", "NAMESPACES", "EXPIRES", "AGE"]);
    assert_eq!(rows[1][..6], ["scanner", "True", "robot$scanner", "2", "3", "2126-01-31T00:00:00Z"]);
    let rows = printed(world, &["get", "systemrobotaccount", "--output=wide"]);
    assert_eq!(rows[0][7..], ["REASON", "DISABLED", "RENEWS", "REGISTRY", "SECRET", "CREATED"]);
    assert_eq!(rows[1][7..], ["Disabled", "true", "2126-01-21T00:00:00Z", "main", "pull", "2026-01-01T00:00:00.123Z"]);
    for (registry, count) in [("main", 1), ("second", 0)] {
        let selector = format!("status.registry.name={registry}");
        let found = kubectl(world, &["get", "sra", "--output=name", "--field-selector", &selector]);
        assert_eq!(found.lines().count(), count, "{selector}: {found}");
    }
}

async fn columns_of_registries(world: &ControlPlane, registries: &Table, own_registries: &Table) {
    let status = json!({
        "harborVersion": "v2.16.0",
        "login": {"kind": "Robot", "name": "robot$operator", "expirationTime": "2127-01-01T00:00:00Z"},
        "accountCount": 3,
        "orphanCount": 1,
        "unmanagedRobots": {"count": 2, "nextExpirationTime": "2127-02-01T00:00:00Z", "nextToExpire": "robot$old"},
        "conditions": ready("LoggedIn"),
    });
    let api: Api<ClusterHarborRegistry> = Api::all(registries.api.clone().into_client());
    with_status(registries, "main", registries.base.clone(), status.clone(), api).await;
    let api = typed::<HarborRegistry>(own_registries);
    with_status(own_registries, "mine", own_registries.base.clone(), status, api).await;

    for (short, name) in [("chr", "main"), ("hreg", "mine")] {
        let rows = printed(world, &["get", short]);
        assert_eq!(rows[0], ["NAME", "READY", "URL", "VERSION", "LOGIN", "ACCOUNTS", "AGE"]);
        assert_eq!(rows[1][..6], [name, "True", "https://registry.example.com", "v2.16.0", "Robot", "3"]);
        let rows = printed(world, &["get", short, "--output=wide"]);
        assert_eq!(rows[0][7..], ["REASON", "LOGIN-EXPIRES", "ORPHANS", "UNMANAGED"]);
        assert_eq!(rows[1][7..], ["LoggedIn", "2127-01-01T00:00:00Z", "1", "2"]);
    }
}
