use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::api::core::v1::{Namespace, Secret, ServiceAccount};
use kube::api::ObjectList;
use kube::core::{PartialObjectMeta, WatchEvent};
use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::api::{ClusterHarborRegistry, HarborRegistry, RobotAccount, SystemRobotAccount};

const NO_DATE: &str = "9999-12-31T23:59:59Z";

fn noted(time: &str) -> Value {
    json!([
        {"manager": "somebody", "operation": "Update", "apiVersion": "v1", "fieldsType": "FieldsV1",
         "fieldsV1": {"f:spec": {}}, "time": time},
        {"manager": "other", "operation": "Update", "time": "2026-01-01T00:00:00Z"},
        {"manager": 7, "time": "2026-01-01T00:00:00Z"},
        {"time": null},
    ])
}

fn object(name: &str, managers: &Value, spec: &Value, status: &Value) -> Value {
    json!({
        "spec": spec, "status": status,
        "metadata": {"name": name, "namespace": "team-a", "uid": "u", "resourceVersion": "7", "managedFields": managers},
    })
}

/// As the client reads a list, a watch and an answer.
fn readings<K: Resource<DynamicType = ()> + DeserializeOwned + Clone + fmt::Debug>(object: &Value) -> [Lenient<K>; 3] {
    let list = json!({"apiVersion": "v1", "kind": "List", "metadata": {"resourceVersion": "9"}, "items": [object]});
    let mut list: ObjectList<Lenient<K>> = serde_json::from_str(&list.to_string()).unwrap();
    let event = format!(r#"{{"type":"MODIFIED","object":{object}}}"#);
    let WatchEvent::Modified(watched) = serde_json::from_str::<WatchEvent<Lenient<K>>>(&event).unwrap() else {
        panic!("another event");
    };
    [list.items.remove(0), watched, serde_json::from_str(&object.to_string()).unwrap()]
}

fn read<K: Resource<DynamicType = ()> + DeserializeOwned + Clone + fmt::Debug>(object: &Value) {
    for reading in readings::<K>(object) {
        assert_eq!(reading.meta().name.as_deref(), Some("ci"));
        let object = reading.into_result().unwrap();
        let managers = object.meta().managed_fields.clone().unwrap_or_default();
        let names: Vec<_> = managers.iter().map(|entry| entry.manager.as_deref().unwrap_or_default()).collect();
        assert_eq!(names, ["other"], "a manager whose time can be read, and no other");
        assert!(managers.iter().all(|entry| entry.fields_v1.is_none()), "nobody uses what it owns");
    }
}

#[test]
fn what_others_noted_on_an_object_is_not_read() {
    let mut deep = json!({});
    for _ in 0..120 {
        deep = json!({"f:x": deep});
    }
    let mut managers = noted(NO_DATE);
    managers[0]["fieldsV1"] = deep;
    let none = json!({});
    let registry = object("ci", &managers, &json!({"url": "https://h", "auth": {}}), &none);
    read::<ClusterHarborRegistry>(&registry);
    read::<HarborRegistry>(&object(
        "ci",
        &managers,
        &json!({"url": "https://h", "auth": {"secretRef": {"name": "l"}}}),
        &none,
    ));
    read::<RobotAccount>(&object("ci", &managers, &json!({"project": "team-a"}), &none));
    read::<SystemRobotAccount>(&object("ci", &managers, &json!({}), &none));
    let other = object("ci", &managers, &none, &none);
    read::<Secret>(&other);
    read::<Lease>(&other);
    read::<PartialObjectMeta<Secret>>(&other);
    read::<PartialObjectMeta<ServiceAccount>>(&other);
    read::<PartialObjectMeta<Namespace>>(&other);
    assert!(serde_json::from_value::<Secret>(other).is_err(), "else this test shows nothing");
}

#[test]
fn nesting_deeper_than_a_parser_goes_is_passed_over() {
    let deep = format!("{}1{}", r#"{"f:x":"#.repeat(5_000), "}".repeat(5_000));
    let text = format!(
        r#"{{"metadata":{{"name":"ci","managedFields":[{{"manager":"m","fieldsV1":{deep},"time":"2026-01-01T00:00:00Z"}}]}},"spec":{{"project":"p"}}}}"#
    );
    let account: Lenient<RobotAccount> = serde_json::from_str(&text).unwrap();
    assert_eq!(account.into_result().unwrap().spec.project, "p");
}

#[test]
fn one_object_that_does_not_fit_costs_no_other() {
    let managers = json!([]);
    let good = object("ci", &managers, &json!({"project": "team-a"}), &json!({}));
    let robot = |id: Value| json!({"robot": {"id": id, "name": "n", "creationTime": "2026-01-01T00:00:00Z"}});
    let spec = json!({"project": "team-a"});
    let rows = [
        (object("bad", &managers, &json!({"project": 7}), &json!({})), "spec.project"),
        (object("bad", &managers, &json!({}), &json!({})), "spec"),
        (object("bad", &managers, &spec, &robot(json!(1e30))), "status.robot.id"),
        (object("bad", &managers, &spec, &robot(json!(18_446_744_073_709_551_615_u64))), "status.robot.id"),
        (
            object("bad", &managers, &spec, &json!({"registry": {"kind": "FormerKind", "name": "n"}})),
            "status.registry.kind",
        ),
        (
            object("bad", &managers, &json!({"project": "p", "rotation": {"strategy": "Later"}}), &json!({})),
            "spec.rotation.strategy",
        ),
        (object("bad", &managers, &spec, &json!({"permissions": "all"})), "status.permissions"),
    ];
    for (bad, path) in rows {
        let list = json!({"apiVersion": "v1", "kind": "List", "metadata": {}, "items": [bad, good]});
        let list: ObjectList<Lenient<RobotAccount>> = serde_json::from_str(&list.to_string()).unwrap();
        let [bad, good] = list.items.try_into().unwrap_or_else(|_| panic!("two objects"));
        let bad = bad.into_result().unwrap_err();
        assert_eq!((bad.name().as_str(), bad.kind.as_str()), ("team-a/bad", "RobotAccount"));
        assert_eq!(bad.metadata.resource_version.as_deref(), Some("7"), "a watch goes on from there");
        assert_eq!(bad.path, path, "{}", bad.detail);
        assert!(good.into_result().is_ok());
    }
}

#[test]
fn a_field_of_the_metadata_that_cannot_be_read_costs_no_other() {
    let mut bad = object("ci", &json!([]), &json!({"project": "team-a"}), &json!({}));
    bad["metadata"]["deletionTimestamp"] = json!(NO_DATE);
    bad["metadata"]["labels"] = json!({"a": "b"});
    let bad: Lenient<RobotAccount> = serde_json::from_value(bad).unwrap();
    let bad = bad.into_result().unwrap_err();
    assert_eq!(bad.path, "metadata.deletionTimestamp");
    assert_eq!(bad.metadata.uid.as_deref(), Some("u"));
    assert_eq!(bad.metadata.labels.unwrap()["a"], "b");
}

#[test]
fn a_condition_that_cannot_be_read_costs_no_other() {
    let condition = |kind: &str, time: &str| json!({"type": kind, "status": "True", "reason": "R", "message": "", "lastTransitionTime": time});
    let conditions = json!([condition("Ready", NO_DATE), condition("Synced", "2026-01-01T00:00:00Z"), 7]);
    let status = json!({"conditions": conditions, "expiresAfter": "7d"});
    let account = object("ci", &json!([]), &json!({"project": "team-a"}), &status);
    let account = serde_json::from_value::<Lenient<RobotAccount>>(account).unwrap().into_result().unwrap();
    let status = account.status.unwrap();
    assert_eq!(status.expires_after.as_deref(), Some("7d"));
    assert_eq!(status.conditions.iter().map(|c| c.type_.as_str()).collect::<Vec<_>>(), ["Synced"]);
    let registry =
        object("r", &json!([]), &json!({"url": "https://h", "auth": {}}), &json!({"conditions": conditions}));
    let registry = serde_json::from_value::<Lenient<ClusterHarborRegistry>>(registry).unwrap().into_result().unwrap();
    assert_eq!(registry.status.unwrap().conditions.len(), 1);
}

#[test]
fn a_null_is_an_absent_field() {
    let status = json!({"conditions": null, "permissions": null, "robot": null, "secretRefs": null});
    let object = object("ci", &Value::Null, &json!({"project": "team-a", "rotation": null}), &status);
    let account: Lenient<RobotAccount> = serde_json::from_value(object).unwrap();
    let account = account.into_result().unwrap();
    assert_eq!(account.status, Some(crate::api::AccountStatus::default()));
    assert!(account.spec.rotation.is_none());
}

#[test]
fn what_is_in_a_secret_is_in_no_text_about_it() {
    let secret = json!({"metadata": {"name": "s"}, "data": {"k": "canary no base64"}, "type": "Opaque"});
    let bad = serde_json::from_value::<Lenient<Secret>>(secret).unwrap();
    let text = format!("{bad:?} {} ", bad.as_result().unwrap_err());
    assert!(text.contains("cannot be read at data.k") && !text.contains("canary"), "{text}");
    let fine = json!({"metadata": {"name": "s"}, "data": {"k": "Y2FuYXJ5"}});
    let fine = serde_json::from_value::<Lenient<Secret>>(fine).unwrap();
    assert_eq!(format!("{fine:?}"), "an object");
}

fn anything() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        ".{0,20}".prop_map(Value::from),
        Just(json!(NO_DATE)),
    ];
    leaf.prop_recursive(4, 32, 6, |inner| {
        let name = prop_oneof![
            Just("metadata".to_owned()),
            Just("managedFields".to_owned()),
            Just("name".to_owned()),
            Just("conditions".to_owned()),
            Just("robot".to_owned()),
            "[a-z]{1,6}",
        ];
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            proptest::collection::vec((name, inner), 0..5)
                .prop_map(|fields| Value::Object(fields.into_iter().collect())),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, ..ProptestConfig::default() })]

    /// Whatever stands in an object, the list around it is read, and the object after it.
    #[test]
    fn no_object_ends_a_list(metadata in anything(), spec in anything(), status in anything()) {
        let odd = json!({"metadata": metadata, "spec": spec, "status": status});
        let good = object("ci", &json!([]), &json!({"project": "team-a"}), &json!({}));
        let list = json!({"apiVersion": "v1", "kind": "List", "metadata": {}, "items": [odd, good]}).to_string();
        let list: ObjectList<Lenient<RobotAccount>> = serde_json::from_str(&list).unwrap();
        prop_assert!(list.items[1].as_result().is_ok());
        // A wrong shape of the metadata itself is the only thing that leaves no name.
        let _ = list.items[0].meta();
    }
}
