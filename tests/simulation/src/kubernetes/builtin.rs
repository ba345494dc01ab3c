//! What the API server makes of objects of its own kinds: their fields and forms, and the rules that they keep.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;
use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::api::core::v1::{ConfigMap, Namespace, Secret, ServiceAccount};
use k8s_openapi::api::events::v1::Event;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::kinds::Kind;
use super::status::{Cause, Refusal};

/// The most bytes of a Secret's values together.
const DATA: usize = 1024 * 1024;

/// Brings an object into the form of its kind: fields that there are not go, and so do empty lists and maps.
pub(super) fn decode(kind: &Kind, object: &mut Value) -> Result<(), Refusal> {
    match kind.name {
        "Secret" => typed::<Secret>(object),
        "ConfigMap" => typed::<ConfigMap>(object),
        "ServiceAccount" => typed::<ServiceAccount>(object),
        "Namespace" => typed::<Namespace>(object),
        "Event" => {
            micro_time(&mut object["eventTime"])?;
            typed::<Event>(object)
        }
        "Lease" => {
            if let Some(spec) = object.get_mut("spec").filter(|spec| spec.is_object()) {
                for field in ["acquireTime", "renewTime"] {
                    micro_time(&mut spec[field])?;
                }
            }
            typed::<Lease>(object).inspect(|()| {
                if object["spec"].is_null() {
                    object["spec"] = json!({});
                }
            })
        }
        _ => return Ok(()),
    }?;
    for list in ["secrets", "imagePullSecrets"] {
        for item in object.get_mut(list).and_then(Value::as_array_mut).into_iter().flatten() {
            if let Some(item) = item.as_object_mut() {
                item.retain(|_, value| *value != "");
            }
        }
    }
    let keep = |value: &Value| match value {
        Value::Object(map) => !map.is_empty(),
        Value::Array(list) => !list.is_empty(),
        other => !other.is_null(),
    };
    if let Some(object) = object.as_object_mut() {
        object.retain(|name, value| name == "metadata" || name == "spec" || keep(value));
    }
    Ok(())
}

/// Metadata have their own rules, and dates that the type cannot hold.
fn typed<T: Serialize + DeserializeOwned>(object: &mut Value) -> Result<(), Refusal> {
    let metadata = std::mem::replace(&mut object["metadata"], json!({}));
    let read: T = serde_json::from_value(object.take()).map_err(|error| Refusal::bad(error.to_string()))?;
    *object = serde_json::to_value(read).map_err(|error| Refusal::bad(error.to_string()))?;
    object["metadata"] = metadata;
    Ok(())
}

/// A time with six digits after the second, as UTC.
fn micro_time(value: &mut Value) -> Result<(), Refusal> {
    if value.is_null() {
        return Ok(());
    }
    let text = value.as_str().unwrap_or_default();
    let digits = text.split_once('.').map_or(0, |(_, rest)| rest.bytes().take_while(u8::is_ascii_digit).count());
    let time: Option<Timestamp> = text.parse().ok().filter(|_| digits == 6);
    let Some(time) = time else { return Err(Refusal::bad(format!("{text:?} is no time to the microsecond"))) };
    *value = json!(time.strftime("%Y-%m-%dT%H:%M:%S%.6fZ").to_string());
    Ok(())
}

/// What the API server fills in.
pub(super) fn complete(kind: &Kind, name: &str, object: &mut Value) {
    match kind.name {
        "Secret" => {
            if let Some(Value::Object(text)) = object.as_object_mut().and_then(|object| object.remove("stringData")) {
                for (key, value) in text {
                    object["data"][key] = json!(STANDARD.encode(value.as_str().unwrap_or_default()));
                }
            }
            if object["type"].as_str().is_none_or(str::is_empty) {
                object["type"] = json!("Opaque");
            }
        }
        "Namespace" => {
            object["metadata"]["labels"]["kubernetes.io/metadata.name"] = json!(name);
            if object["spec"]["finalizers"].is_null() {
                object["spec"] = json!({"finalizers": ["kubernetes"]});
                object["status"] = json!({"phase": "Active"});
            }
        }
        _ => {}
    }
}

/// What is wrong with an object.
pub(super) fn rules(kind: &Kind, object: &Value) -> Vec<Cause> {
    match kind.name {
        "Secret" => secret(object),
        "Lease" => lease(&object["spec"]),
        "Event" => event(object),
        _ => Vec::new(),
    }
}

fn secret(object: &Value) -> Vec<Cause> {
    let mut causes = Vec::new();
    let data = object["data"].as_object();
    let bytes = |value: &Value| STANDARD.decode(value.as_str().unwrap_or_default()).unwrap_or_default();
    for key in data.into_iter().flat_map(|data| data.keys()) {
        let fits = !key.is_empty() && key.len() <= 253 && key != "." && !key.starts_with("..");
        if !fits || !key.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte)) {
            causes
                .push(Cause::invalid(format!("data[{key}]"), "a valid config key must consist of letters and digits"));
        }
    }
    if data.into_iter().flat_map(|data| data.values()).map(|value| bytes(value).len()).sum::<usize>() > DATA {
        causes.push(Cause::too_long("data", DATA));
    }
    let has = |key: &str| data.is_some_and(|data| data.contains_key(key));
    match object["type"].as_str().unwrap_or_default() {
        "kubernetes.io/dockerconfigjson" => {
            let key = ".dockerconfigjson";
            if !has(key) {
                causes.push(Cause::required(format!("data[{key}]")));
            } else if !serde_json::from_slice(&bytes(&object["data"][key]))
                .is_ok_and(|config: Value| config.is_object())
            {
                causes.push(Cause::invalid(format!("data[{key}]"), "Invalid value: \"<secret contents redacted>\""));
            }
        }
        "kubernetes.io/basic-auth" if !has("username") && !has("password") => {
            causes.extend(["username", "password"].map(|key| Cause::required(format!("data[{key}]"))));
        }
        _ => {}
    }
    causes
}

fn lease(spec: &Value) -> Vec<Cause> {
    let least = [("leaseDurationSeconds", 1), ("leaseTransitions", 0)];
    let wrong = least.iter().filter(|(field, least)| spec[field].as_i64().is_some_and(|value| value < *least));
    wrong.map(|(field, _)| Cause::invalid(format!("spec.{field}"), "must be greater")).collect()
}

fn event(object: &Value) -> Vec<Cause> {
    let text = |field: &str| object[field].as_str().unwrap_or_default();
    let mut causes = Vec::new();
    for (field, most) in [("reason", 128), ("action", 128), ("reportingInstance", 128)] {
        if text(field).is_empty() {
            causes.push(Cause::required(field));
        }
        if text(field).len() > most {
            causes.push(Cause::invalid(field, format!("can have at most {most} characters")));
        }
    }
    if text("note").len() > 1024 {
        causes.push(Cause::invalid("note", "can have at most 1024 characters"));
    }
    if object["eventTime"].is_null() {
        causes.push(Cause::required("eventTime"));
    }
    if !matches!(text("type"), "Normal" | "Warning") {
        causes.push(Cause::invalid("type", "has invalid value"));
    }
    let of = object["regarding"]["namespace"].as_str().unwrap_or_default();
    if of.is_empty() && object["metadata"]["namespace"] != "default" {
        causes.push(Cause::invalid("involvedObject.namespace", "does not match event.namespace"));
    }
    causes
}

/// What may not change, and did.
pub(super) fn changes(kind: &Kind, before: &Value, next: &Value) -> Vec<Cause> {
    let mut causes = Vec::new();
    if kind.name != "Secret" {
        return causes;
    }
    if before["type"] != next["type"] {
        causes.push(Cause::invalid("type", format!("Invalid value: {}: field is immutable", next["type"])));
    }
    if before["immutable"] == true {
        let why = "Forbidden: field is immutable when `immutable` is set";
        let changed = [("immutable", next["immutable"] != true), ("data", before["data"] != next["data"])];
        causes.extend(changed.iter().filter(|(_, changed)| *changed).map(|(field, _)| Cause::forbidden(*field, why)));
    }
    causes
}
