//! Whether the kinds are there, and are the ones that this version knows.

use harbor_robot_operator::api::crds::crds;
use harbor_robot_operator::cluster::{self, within};
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::Client;
use kube::api::Api;
use serde_json::Value;

use super::{Finding, Level};

const UPDATE: &str = "kubectl apply --server-side -f crds/ of this version";

pub(super) async fn check(client: &Client) -> Vec<Finding> {
    let api: Api<CustomResourceDefinition> = Api::all(client.clone());
    let mut findings = Vec::new();
    for ours in crds() {
        let name = ours.metadata.name.clone().unwrap_or_default();
        let what = format!("definition {name}");
        match within(api.get(&name)).await {
            Ok(found) => findings
                .extend(faults(&ours, &found).into_iter().map(|says| Finding::new(Level::Problem, &*what, says))),
            Err(cluster::Error::NotFound) => {
                findings.push(Finding::new(Level::Problem, what, format!("it is not there: {UPDATE}")));
            }
            Err(error) => findings.push(Finding::unknown(what, &error)),
        }
    }
    if findings.is_empty() {
        findings.push(Finding::new(Level::Ok, "definitions", "the four kinds are served, as this version knows them"));
    }
    findings
}

fn faults(ours: &CustomResourceDefinition, found: &CustomResourceDefinition) -> Vec<String> {
    let mut faults = Vec::new();
    if found.metadata.deletion_timestamp.is_some() {
        let text = "it is being deleted, and every object of the kind with it; it waits for their finalizers. See docs/recovery.md before \
                    anything else";
        faults.push(text.to_owned());
    }
    let conditions = found.status.as_ref().and_then(|status| status.conditions.as_ref()).into_iter().flatten();
    let established = conditions.clone().any(|found| found.type_ == "Established" && found.status == "True");
    if !established {
        let why: Vec<String> =
            conditions.filter(|found| found.status == "False").filter_map(|found| found.message.clone()).collect();
        faults.push(format!("the API server does not serve it: {}", why.join("; ")));
    }
    let schema = |crd: &CustomResourceDefinition| {
        let version = crd.spec.versions.iter().find(|version| version.served)?;
        serde_json::to_value(version.schema.as_ref()?.open_api_v3_schema.as_ref()?).ok()
    };
    match (schema(ours), schema(found)) {
        (Some(ours), Some(found)) => {
            if let Some(field) = missing(&ours, &found, "") {
                faults.push(format!("it does not know the field {field}, so it is of another version: {UPDATE}"));
            }
        }
        _ => faults.push(format!("no version of it is served: {UPDATE}")),
    }
    faults
}

/// The first field of one schema that another one lacks.
fn missing(ours: &Value, found: &Value, path: &str) -> Option<String> {
    if let Some(fields) = ours["properties"].as_object() {
        for (name, schema) in fields {
            let path = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
            match &found["properties"][name] {
                Value::Null => return Some(path),
                known => {
                    if let Some(field) = missing(schema, known, &path) {
                        return Some(field);
                    }
                }
            }
        }
    }
    let items = ours.get("items").filter(|items| items.is_object());
    items.and_then(|items| missing(items, &found["items"], &format!("{path}[]")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_definition_that_lacks_a_field_or_goes_is_told() {
        let mut ours = crds().remove(2);
        let served = serde_json::json!({
            "acceptedNames": {"kind": "x", "plural": "x"}, "storedVersions": [],
            "conditions": [{"type": "Established", "status": "True", "lastTransitionTime": null, "reason": "", "message": ""}],
        });
        ours.status = serde_json::from_value(served).unwrap();
        assert_eq!(faults(&ours, &ours), Vec::<String>::new());
        let mut older = serde_json::to_value(&ours).unwrap();
        let rotation = "/spec/versions/0/schema/openAPIV3Schema/properties/spec/properties/rotation/properties";
        older.pointer_mut(rotation).unwrap().as_object_mut().unwrap().remove("overlap");
        older["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z".into();
        older["status"]["conditions"] = serde_json::json!([]);
        let found = faults(&ours, &serde_json::from_value(older).unwrap());
        assert_eq!(found.len(), 3, "{found:?}");
        assert!(
            found[0].starts_with("it is being deleted") && found[1].starts_with("the API server does not serve it")
        );
        assert!(found[2].contains("the field spec.rotation.overlap,"), "{}", found[2]);
    }
}
