//! What a CustomResourceDefinition's schema does to an object besides refusing it: defaults are filled in, fields that it
//! does not have are dropped.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use serde_json::{Map, Value};

/// Of each kind, the schema of its one version.
static SCHEMAS: LazyLock<BTreeMap<String, Value>> = LazyLock::new(|| {
    let yaml = harbor_robot_operator::api::crds::crds_yaml();
    let documents = yaml.split("\n---\n").filter(|text| text.contains("kind: CustomResourceDefinition"));
    documents
        .map(|text| {
            let crd: Value = serde_saphyr::from_str(text).expect("the definitions are YAML");
            let kind = crd["spec"]["names"]["kind"].as_str().expect("a definition has a kind").to_owned();
            (kind, crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"].clone())
        })
        .collect()
});

/// Makes an object as it is read. One that was never updated is stored without the defaults of its status.
pub fn apply(kind: &str, object: &mut Value) {
    let Some(schema) = SCHEMAS.get(kind) else { return };
    let fields = object.as_object_mut().expect("an object is a map");
    for (name, schema) in schema["properties"].as_object().into_iter().flatten() {
        if !matches!(name.as_str(), "spec" | "status") {
            continue;
        }
        if let (None, Some(default)) = (fields.get(name), schema.get("default")) {
            fields.insert(name.clone(), default.clone());
        }
        if let Some(value) = fields.get_mut(name) {
            fill(schema, value);
        }
    }
}

fn fill(schema: &Value, value: &mut Value) {
    match value {
        Value::Object(fields) => fill_map(schema, fields),
        Value::Array(items) => items.iter_mut().for_each(|item| fill(&schema["items"], item)),
        _ => {}
    }
}

fn fill_map(schema: &Value, fields: &mut Map<String, Value>) {
    // In a custom resource null stands for a field that is not there.
    fields.retain(|_, value| !value.is_null());
    if let Some(each) = schema.get("additionalProperties").filter(|each| each.is_object()) {
        return fields.values_mut().for_each(|value| fill(each, value));
    }
    let Some(properties) = schema["properties"].as_object() else { return };
    if schema["x-kubernetes-preserve-unknown-fields"] != true {
        fields.retain(|name, _| properties.contains_key(name));
    }
    for (name, property) in properties {
        if let (None, Some(default)) = (fields.get(name), property.get("default")) {
            fields.insert(name.clone(), default.clone());
        }
        if let Some(value) = fields.get_mut(name) {
            fill(property, value);
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn defaults_come_and_unknown_fields_go() {
        assert_eq!(SCHEMAS.len(), 4);
        let mut account = json!({"spec": {"project": "a", "nonsense": 1}, "status": {"more": 2}});
        apply("RobotAccount", &mut account);
        assert_eq!(account["spec"].get("nonsense"), None);
        assert_eq!(account["status"], json!({}));
    }
}
