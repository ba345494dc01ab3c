//! Two field managers of one object, as with a GitOps tool beside a person: of a list each keeps its items, a reference belongs
//! to one of them as a whole, and what one of them drops never widens anything.

use std::collections::BTreeSet;

use harbor_robot_operator::api::crds;
use harbor_robot_world::ControlPlane;
use kube::api::{DeleteParams, Patch, PatchParams};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{Table, kubectl, message};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Row {
    kind: String,
    field: String,
    /// There is no third: the first applies all that an object needs.
    #[serde(default)]
    alone: bool,
    one: Value,
    two: Value,
    part: Option<Value>,
    /// The rule by which the field stays as it was made.
    stays: Option<String>,
}

impl Row {
    /// Where the field is in an object; the first item stands for a list.
    fn pointer(&self) -> String {
        format!("/spec/{}", self.field.replace("[]", ".0").replace('.', "/"))
    }
}

/// The fields of a spec that two may share, and those that belong to one as a whole.
fn shared(schema: &Value, path: &str, lists: &mut BTreeSet<String>, wholes: &mut BTreeSet<String>) {
    let name = path.trim_start_matches('.').to_owned();
    if schema["x-kubernetes-map-type"] == "atomic" {
        wholes.insert(name);
        return;
    }
    if ["map", "set"].iter().any(|kind| schema["x-kubernetes-list-type"] == *kind) {
        lists.insert(name);
    }
    assert!(schema["type"] != "array" || schema["x-kubernetes-list-type"].is_string(), "{path} has no list type");
    for (name, field) in schema["properties"].as_object().into_iter().flatten() {
        shared(field, &format!("{path}.{name}"), lists, wholes);
    }
    if schema["items"].is_object() {
        shared(&schema["items"], &format!("{path}[]"), lists, wholes);
    }
}

impl Table {
    async fn apply(&self, who: &str, spec: &Value, force: bool) -> Result<Value, String> {
        let object = json!({
            "apiVersion": "harbor-robots.io/v1alpha1", "kind": self.kind, "metadata": {"name": self.name}, "spec": spec,
        });
        let params = PatchParams { field_manager: Some(who.to_owned()), force, ..PatchParams::default() };
        let applied = self.api.patch(self.name, &params, &Patch::Apply(&object)).await.map_err(message)?;
        Ok(serde_json::to_value(applied).unwrap())
    }

    async fn both_keep_their_items(&self, row: &Row) -> Result<(), String> {
        let items =
            |object: &Value| object.pointer(&row.pointer()).and_then(Value::as_array).cloned().unwrap_or_default();
        let of = |spec: &Value| items(&json!({"spec": spec}));
        self.apply("one", &row.one, false).await?;
        let both = self.apply("two", &row.two, false).await?;
        let wanted = [of(&row.one), of(&row.two)].concat();
        if items(&both) != wanted {
            return Err(format!("both: {:?}", items(&both)));
        }
        // The same again changes nothing.
        let again = self.apply("one", &row.one, false).await?;
        if again["metadata"]["resourceVersion"] != both["metadata"]["resourceVersion"] {
            return Err("applied again, it is another".to_owned());
        }
        let left = self.apply("one", &json!({}), false).await?;
        if items(&left) == of(&row.two) { Ok(()) } else { Err(format!("one dropped its own: {:?}", items(&left))) }
    }

    async fn one_has_the_whole(&self, row: &Row) -> Result<(), String> {
        let whole = |object: &Value| object.pointer(&row.pointer()).cloned().unwrap_or_default();
        self.apply("one", &row.one, false).await?;
        match self.apply("two", &row.two, false).await {
            Err(told) if told.contains("conflict with \"one\"") => {}
            other => return Err(format!("no conflict: {other:?}")),
        }
        if let Some(part) = &row.part {
            let mixed = self.apply("two", part, true).await;
            let told = mixed.err().ok_or("a part was mixed with the other's")?;
            if !told.contains("Required value") {
                return Err(format!("a part was refused for something else: {told}"));
            }
        }
        let forced = self.apply("two", &row.two, true).await;
        match (&row.stays, forced) {
            (Some(rule), Err(told)) if told.contains(rule.as_str()) => Ok(()),
            (None, Ok(object)) if whole(&object) == whole(&json!({"spec": row.two})) => Ok(()),
            (_, other) => Err(format!("by force: {other:?}")),
        }
    }
}

/// Every row of `appliers.yaml`, and every field of the kinds is in a row.
pub async fn two_of_them(world: &ControlPlane, tables: &[Table]) {
    let rows: Vec<Row> = serde_saphyr::from_str(include_str!("appliers.yaml")).unwrap();
    let mut failures = Vec::new();
    for table in tables {
        let crd = crds::crds().into_iter().find(|crd| crd.spec.names.kind == table.kind).unwrap();
        let schema = &serde_json::to_value(crd).unwrap()["spec"]["versions"][0]["schema"]["openAPIV3Schema"];
        let (mut lists, mut wholes) = (BTreeSet::new(), BTreeSet::new());
        shared(&schema["properties"]["spec"], "", &mut lists, &mut wholes);
        for row in rows.iter().filter(|row| row.kind == table.kind) {
            if !row.alone {
                table.apply("base", &table.base, false).await.unwrap();
            }
            let outcome = if lists.remove(&row.field) {
                table.both_keep_their_items(row).await
            } else {
                assert!(wholes.remove(&row.field), "{} {}: no such field, or twice", row.kind, row.field);
                table.one_has_the_whole(row).await
            };
            failures.extend(outcome.err().map(|problem| format!("{} {}: {problem}", row.kind, row.field)));
            table.api.delete(table.name, &DeleteParams::default()).await.unwrap();
        }
        assert!(lists.is_empty() && wholes.is_empty(), "{}: {lists:?} {wholes:?} are in no row", table.kind);
    }
    assert!(failures.is_empty(), "{failures:#?}");
    what_is_dropped_never_widens(&tables[0]).await;
    people_change_their_way_of_applying(world);
}

/// With neither `permissions` nor `access` an account gets all ten: whoever drops the last of them is told so.
async fn what_is_dropped_never_widens(accounts: &Table) {
    let spec = |fields: Value| {
        let mut spec = json!({"project": "team-a"});
        super::merge(&mut spec, &fields);
        spec
    };
    accounts.apply("one", &spec(json!({"permissions": ["PullArtifacts"]})), false).await.unwrap();
    accounts.apply("two", &json!({"access": [{"resource": "tag", "action": "list"}]}), false).await.unwrap();
    accounts.apply("one", &spec(json!({})), false).await.expect("two still says what it may do");
    let told = accounts.apply("two", &json!({}), false).await.unwrap_err();
    assert!(told.contains("permissions or access must stay"), "{told}");
    accounts.api.delete(accounts.name, &DeleteParams::default()).await.unwrap();
}

/// From `kubectl apply` to server-side apply, as kubectl does it and, by force, as Flux and Argo CD do: nothing is lost, and
/// what the next manifest leaves out goes.
fn people_change_their_way_of_applying(world: &ControlPlane) {
    let manifest = |accounts: &[&str]| {
        let named: Vec<Value> = accounts.iter().map(|name| json!({"name": name})).collect();
        let account = json!({
            "apiVersion": "harbor-robots.io/v1alpha1", "kind": "RobotAccount", "metadata": {"name": "moved", "namespace": "default"},
            "spec": {"project": "team-a", "permissions": ["PullArtifacts"], "serviceAccounts": named},
        });
        account.to_string()
    };
    let named = || {
        let path = "--output=jsonpath={.spec.serviceAccounts[*].name}";
        kubectl(world, &["get", "robotaccount", "moved", "--namespace=default", path])
    };
    let apply = |arguments: &[&str], accounts: &[&str]| {
        let arguments = [&["apply", "--filename=-"], arguments].concat();
        world.kubectl_stdin(arguments, &manifest(accounts)).ok().unwrap()
    };
    apply(&[], &["a", "b"]);
    apply(&[], &["a", "b", "c"]);
    assert_eq!(named(), "a b c");
    apply(&["--server-side"], &["a", "b"]);
    assert_eq!(named(), "a b");
    for manager in ["kustomize-controller", "argocd-controller"] {
        let manager = format!("--field-manager={manager}");
        apply(&["--server-side", "--force-conflicts", &manager], &["a", "b", "d"]);
        assert_eq!(named(), "a b d");
        apply(&["--server-side", "--force-conflicts", &manager], &["a", "b"]);
        assert_eq!(named(), "a b");
    }
    kubectl(world, &["delete", "robotaccount", "moved", "--namespace=default"]);
}
