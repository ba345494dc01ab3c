//! What a CustomResourceDefinition's schema does to an object: defaults are filled in, fields that it does not have are dropped,
//! and values that do not fit are refused. Its rules in CEL are not looked at.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use serde_json::{Map, Value};

use super::status::Cause;

/// Of each kind, its one version.
static VERSIONS: LazyLock<BTreeMap<String, Value>> = LazyLock::new(|| {
    let yaml = harbor_robot_operator::api::crds::crds_yaml();
    let documents = yaml.split("\n---\n").filter(|text| text.contains("kind: CustomResourceDefinition"));
    documents
        .map(|text| {
            let crd: Value = serde_saphyr::from_str(text).expect("the definitions are YAML");
            let kind = crd["spec"]["names"]["kind"].as_str().expect("a definition has a kind").to_owned();
            (kind, crd["spec"]["versions"][0].clone())
        })
        .collect()
});

fn schema(kind: &str) -> Option<&'static Value> {
    VERSIONS.get(kind).map(|version| &version["schema"]["openAPIV3Schema"])
}

/// The fields that lists may be selected by, as `.spec.project`.
pub(super) fn selectable(kind: &str) -> Vec<&'static str> {
    let fields = VERSIONS.get(kind).and_then(|version| version["selectableFields"].as_array());
    fields.into_iter().flatten().filter_map(|field| field["jsonPath"].as_str()).collect()
}

/// Makes an object as it is read. One that was never updated is stored without the defaults of its status.
pub fn apply(kind: &str, object: &mut Value) {
    let Some(schema) = schema(kind) else { return };
    let fields = object.as_object_mut().expect("an object is a map");
    fields.retain(|name, _| ["apiVersion", "kind", "metadata", "spec", "status"].contains(&name.as_str()));
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

/// What of an object does not fit the schema of its kind.
pub(super) fn check(kind: &str, object: &Value) -> Vec<Cause> {
    let mut causes = Vec::new();
    let Some(schema) = schema(kind) else { return causes };
    required(schema, object, "", &mut causes);
    for part in ["spec", "status"] {
        if let Some(value) = object.get(part) {
            look(&schema["properties"][part], value, part, &mut causes);
        }
    }
    causes
}

fn look(schema: &Value, value: &Value, at: &str, causes: &mut Vec<Cause>) {
    let has = match value {
        Value::Null => return,
        Value::Bool(_) => "boolean",
        Value::Number(number) if number.is_f64() => "number",
        Value::Number(_) => "integer",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    };
    let wanted = schema["type"].as_str().unwrap_or(has);
    if wanted != has && (wanted, has) != ("number", "integer") {
        let message = format!("Invalid value: {has:?}: {at} in body must be of type {wanted}: {has:?}");
        causes.push(Cause { reason: "FieldValueTypeInvalid", field: at.to_owned(), message });
    }
    if schema["enum"].as_array().is_some_and(|choices| !choices.contains(value)) {
        causes.push(Cause::unsupported(at));
    }
    match value {
        Value::String(text) => look_at_text(schema, text, at, causes),
        Value::Number(number) => {
            let (number, bound) = (number.as_f64(), |name: &str| schema[name].as_f64());
            let below = bound("minimum").is_some_and(|least| number < Some(least));
            if below || bound("maximum").is_some_and(|most| number > Some(most)) {
                causes.push(Cause::invalid(at, format!("Invalid value: {value}")));
            }
        }
        Value::Array(items) => {
            if bound(schema, "minItems").is_some_and(|least| items.len() < least) {
                causes.push(Cause::invalid(at, format!("Invalid value: {}", items.len())));
            }
            if let Some(most) = bound(schema, "maxItems").filter(|most| items.len() > *most) {
                causes.push(Cause::too_many(at, most));
            }
            for (number, item) in items.iter().enumerate() {
                look(&schema["items"], item, &format!("{at}[{number}]"), causes);
            }
            twice(schema, items, at, causes);
        }
        Value::Object(fields) => {
            if let Some(most) = bound(schema, "maxProperties").filter(|most| fields.len() > *most) {
                causes.push(Cause::too_many(at, most));
            }
            required(schema, value, at, causes);
            for (name, value) in fields {
                let each = schema["properties"].get(name).unwrap_or(&schema["additionalProperties"]);
                look(each, value, &format!("{at}.{name}"), causes);
            }
        }
        Value::Null | Value::Bool(_) => {}
    }
}

fn bound(schema: &Value, name: &str) -> Option<usize> {
    schema[name].as_u64().and_then(|bound| usize::try_from(bound).ok())
}

fn look_at_text(schema: &Value, text: &str, at: &str, causes: &mut Vec<Cause>) {
    let length = text.chars().count();
    if let Some(most) = bound(schema, "maxLength").filter(|most| length > *most) {
        causes.push(Cause::too_long(at, most));
    }
    let no_time = schema["format"] == "date-time" && text.parse::<jiff::Timestamp>().is_err();
    if no_time || bound(schema, "minLength").is_some_and(|least| length < least) {
        causes.push(Cause::invalid(at, format!("Invalid value: {text:?}")));
    }
}

fn required(schema: &Value, value: &Value, at: &str, causes: &mut Vec<Cause>) {
    let names = schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str);
    let missing = names.filter(|name| value.get(name).is_none());
    let dot = if at.is_empty() { "" } else { "." };
    causes.extend(missing.map(|name| Cause::required(format!("{at}{dot}{name}"))));
}

/// A set holds each value once, and a map's list each key.
fn twice(schema: &Value, items: &[Value], at: &str, causes: &mut Vec<Cause>) {
    let keys = schema["x-kubernetes-list-map-keys"].as_array();
    let key = |item: &Value| match (schema["x-kubernetes-list-type"].as_str(), keys) {
        (Some("set"), _) => Some(item.to_string()),
        (Some("map"), Some(keys)) => {
            Some(keys.iter().filter_map(Value::as_str).map(|key| item[key].to_string()).collect())
        }
        _ => None,
    };
    let keys: Vec<Option<String>> = items.iter().map(key).collect();
    for (number, key) in keys.iter().enumerate() {
        if key.is_some() && keys[..number].contains(key) {
            let field = format!("{at}[{number}]");
            causes.push(Cause { reason: "FieldValueDuplicate", field, message: "Duplicate value".to_owned() });
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn defaults_come_and_unknown_fields_go() {
        assert_eq!(VERSIONS.len(), 4);
        let mut account = json!({"spec": {"project": "a", "nonsense": 1}, "status": {"more": 2}});
        apply("RobotAccount", &mut account);
        assert_eq!(account["spec"].get("nonsense"), None);
        assert_eq!(account["status"], json!({}));
    }
}
