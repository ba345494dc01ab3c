//! The CustomResourceDefinitions, as objects and as YAML.

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::{
    CustomResourceDefinition, JSON, JSONSchemaProps, JSONSchemaPropsOrArray, JSONSchemaPropsOrBool,
};
use kube::CustomResourceExt;
use serde_json::{Value, json};

use super::any_kind::NOT_OBSERVED;
use super::{ClusterHarborRegistry, HarborRegistry, RobotAccount, SystemRobotAccount, columns, rules};

/// All our CustomResourceDefinitions, as they are installed.
pub fn crds() -> Vec<CustomResourceDefinition> {
    let mut all = [ClusterHarborRegistry::crd(), HarborRegistry::crd(), RobotAccount::crd(), SystemRobotAccount::crd()];
    for crd in &mut all {
        let kind = crd.spec.names.kind.as_str();
        for version in &mut crd.spec.versions {
            version.additional_printer_columns = Some(columns::of(kind));
            let Some(schema) = version.schema.as_mut().and_then(|schema| schema.open_api_v3_schema.as_mut()) else {
                continue;
            };
            tidy(schema);
            if let Some(status) = schema.properties.as_mut().and_then(|properties| properties.get_mut("status")) {
                complete_status(status, kind);
            }
        }
    }
    all.into()
}

/// An object that nobody has looked at yet has a status that says so: without one, tools that wait for objects (kstatus:
/// `helm --wait`, Flux) take it for one that is as it should be.
///
/// Kubernetes' type for conditions has no bounds. What the status of an account has for the other kind only is left out.
fn complete_status(status: &mut JSONSchemaProps, kind: &str) {
    status.default = Some(JSON(json!({"observedGeneration": NOT_OBSERVED})));
    let Some(properties) = &mut status.properties else { return };
    if kind == "RobotAccount" {
        properties.retain(|name, _| !["projects", "namespaceCount", "namespaces"].contains(&name.as_str()));
    }
    let conditions = properties.get_mut("conditions").and_then(|list| list.items.as_mut());
    let Some(JSONSchemaPropsOrArray::Schema(condition)) = conditions else { return };
    for (name, field) in condition.properties.iter_mut().flatten() {
        match name.as_str() {
            "message" => field.max_length = Some(32_768),
            "reason" | "status" | "type" => field.max_length = Some(316),
            _ => {}
        }
    }
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
    if schema.properties.as_ref().is_some_and(|properties| properties.contains_key("matchExpressions")) {
        as_selector(schema);
    }
}

/// Kubernetes' type for selectors has no bounds, which CEL's cost budget needs, and any operator: one of no name would fit
/// nothing without a word.
fn as_selector(schema: &mut JSONSchemaProps) {
    let rule = serde_json::to_value(rules::selector_terms()).and_then(serde_json::from_value);
    let rule = rule.expect("both types spell a rule alike");
    schema.x_kubernetes_validations.get_or_insert_default().push(rule);
    let Some(properties) = &mut schema.properties else { return };
    if let Some(labels) = properties.get_mut("matchLabels") {
        labels.max_properties = Some(32);
        if let Some(JSONSchemaPropsOrBool::Schema(value)) = &mut labels.additional_properties {
            value.max_length = Some(63);
        }
    }
    let Some(terms) = properties.get_mut("matchExpressions") else { return };
    terms.max_items = Some(32);
    let Some(JSONSchemaPropsOrArray::Schema(term)) = &mut terms.items else { return };
    for (name, field) in term.properties.iter_mut().flatten() {
        match name.as_str() {
            "key" => (field.min_length, field.max_length) = (Some(1), Some(317)),
            "operator" => {
                let operators = ["In", "NotIn", "Exists", "DoesNotExist"];
                field.enum_ = Some(operators.map(|operator| JSON(operator.into())).into());
            }
            _ => {
                field.max_items = Some(100);
                if let Some(JSONSchemaPropsOrArray::Schema(value)) = &mut field.items {
                    value.max_length = Some(63);
                }
            }
        }
    }
}
