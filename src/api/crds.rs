//! The CustomResourceDefinitions, as objects and as YAML.

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::{
    CustomResourceDefinition, JSONSchemaProps, JSONSchemaPropsOrArray, JSONSchemaPropsOrBool,
};
use kube::CustomResourceExt;
use serde_json::Value;

use super::{ClusterHarborRegistry, RobotAccount};

/// All our CustomResourceDefinitions, as they are installed.
pub fn crds() -> Vec<CustomResourceDefinition> {
    [ClusterHarborRegistry::crd(), RobotAccount::crd()].into_iter().map(tidied).collect()
}

/// One CustomResourceDefinition as YAML.
pub fn crd_yaml(crd: &CustomResourceDefinition) -> String {
    let mut value = serde_json::to_value(crd).expect("a CustomResourceDefinition is plain JSON");
    whole_numbers(&mut value);
    serde_saphyr::to_string(&value).expect("JSON can be written as YAML")
}

/// Bounds of integers are floating point in the type. The API server gives them back as `1`, and a file that says `1.0`
/// would look changed to a GitOps tool for ever.
fn whole_numbers(value: &mut Value) {
    match value {
        Value::Number(number) => {
            if let Some(float) = number.as_f64().filter(|_| number.is_f64()).filter(|float| float.fract() == 0.0) {
                #[allow(clippy::cast_possible_truncation)] // bounds of ours, far below 2^53
                let whole = float as i64;
                *value = whole.into();
            }
        }
        Value::Array(items) => items.iter_mut().for_each(whole_numbers),
        Value::Object(fields) => fields.values_mut().for_each(whole_numbers),
        Value::Null | Value::Bool(_) | Value::String(_) => {}
    }
}

/// All of [`crds`] as one stream of YAML documents.
pub fn crds_yaml() -> String {
    crds().iter().fold(String::new(), |text, crd| text + "---\n" + &crd_yaml(crd))
}

/// Schemars writes `nullable` for every optional field. The API server then keeps an explicit `null`, which Helm charts
/// produce for values nobody set, and CEL's `has()` is true for it. Not nullable, a `null` is dropped on arrival as for
/// built-in kinds.
///
/// Doc comments are wrapped for our sources; `kubectl explain` wraps paragraphs itself.
fn tidied(mut crd: CustomResourceDefinition) -> CustomResourceDefinition {
    for version in &mut crd.spec.versions {
        if let Some(schema) = version.schema.as_mut().and_then(|validation| validation.open_api_v3_schema.as_mut()) {
            tidy(schema);
        }
    }
    crd
}

fn tidy(schema: &mut JSONSchemaProps) {
    schema.nullable = None;
    if let Some(description) = &mut schema.description {
        let paragraphs: Vec<String> = description.split("\n\n").map(|text| text.replace('\n', " ")).collect();
        *description = paragraphs.join("\n\n");
    }
    for property in schema.properties.iter_mut().flat_map(|properties| properties.values_mut()) {
        tidy(property);
    }
    match &mut schema.items {
        Some(JSONSchemaPropsOrArray::Schema(items)) => tidy(items),
        Some(JSONSchemaPropsOrArray::Schemas(items)) => items.iter_mut().for_each(tidy),
        None => {}
    }
    if let Some(JSONSchemaPropsOrBool::Schema(values)) = &mut schema.additional_properties {
        tidy(values);
    }
}
