//! Whether the kinds are there, and are the ones that this version knows.

use harbor_robot_operator::api::crds::crds;
use harbor_robot_operator::cluster::{self, within};
use kube::Client;
use kube::api::{GetParams, Request};
use serde_json::Value;

use super::{Finding, Level};

/// Where the API server has them.
const PATH: &str = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions";
const UPDATE: &str = "kubectl apply --server-side -f crds/ of this version";

pub(super) async fn check(client: &Client) -> Vec<Finding> {
    let mut findings = Vec::new();
    for ours in crds() {
        let name = ours.metadata.name.clone().unwrap_or_default();
        let what = format!("definition {name}");
        let ours = serde_json::to_value(&ours).unwrap_or_default();
        match within(read(client, &name)).await {
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

async fn read(client: &Client, name: &str) -> Result<Value, kube::Error> {
    let request = Request::new(PATH).get(name, &GetParams::default()).map_err(kube::Error::BuildRequest)?;
    client.request(request).await
}

fn faults(ours: &Value, found: &Value) -> Vec<String> {
    let mut faults = Vec::new();
    if !found["metadata"]["deletionTimestamp"].is_null() {
        let text = "it is being deleted, and every object of the kind with it; it waits for their finalizers. See docs/recovery.md before \
                    anything else";
        faults.push(text.to_owned());
    }
    let conditions = || found["status"]["conditions"].as_array().into_iter().flatten();
    if !conditions().any(|found| found["type"] == "Established" && found["status"] == "True") {
        let refused = conditions().filter(|found| found["status"] == "False");
        let why: Vec<&str> = refused.filter_map(|found| found["message"].as_str()).collect();
        faults.push(format!("the API server does not serve it: {}", why.join("; ")));
    }
    match (schema(ours), schema(found)) {
        (Some(ours), Some(found)) => {
            if let Some(field) = missing(ours, found, "") {
                faults.push(format!("it does not know the field {field}, so it is of another version: {UPDATE}"));
            }
        }
        _ => faults.push(format!("no version of it is served: {UPDATE}")),
    }
    faults
}

fn schema(crd: &Value) -> Option<&Value> {
    let versions = crd["spec"]["versions"].as_array()?;
    versions.iter().find(|version| version["served"] == true)?.pointer("/schema/openAPIV3Schema")
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
        let mut ours = serde_json::to_value(&crds()[2]).unwrap();
        ours["status"] = serde_json::json!({"conditions": [{"type": "Established", "status": "True"}]});
        assert_eq!(faults(&ours, &ours), Vec::<String>::new());
        let mut older = ours.clone();
        let rotation = "/spec/versions/0/schema/openAPIV3Schema/properties/spec/properties/rotation/properties";
        older.pointer_mut(rotation).unwrap().as_object_mut().unwrap().remove("overlap");
        older["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z".into();
        older["status"]["conditions"] = serde_json::json!([]);
        let found = faults(&ours, &older);
        assert_eq!(found.len(), 3, "{found:?}");
        assert!(
            found[0].starts_with("it is being deleted") && found[1].starts_with("the API server does not serve it")
        );
        assert!(found[2].contains("the field spec.rotation.overlap,"), "{}", found[2]);
    }
}
