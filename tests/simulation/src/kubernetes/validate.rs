//! What holds for the metadata of every object.

use serde_json::Value;

use super::kinds::Kind;
use super::status::{Cause, Refusal};

/// The most bytes of all annotations together.
const ANNOTATIONS: usize = 256 * 1024;

/// Fields that an object's metadata may have; others are not stored.
const METADATA: [&str; 14] = [
    "annotations",
    "creationTimestamp",
    "deletionGracePeriodSeconds",
    "deletionTimestamp",
    "finalizers",
    "generateName",
    "generation",
    "labels",
    "managedFields",
    "name",
    "namespace",
    "ownerReferences",
    "resourceVersion",
    "uid",
];

/// Words joined by dots, as the names of most objects are.
pub(super) fn is_subdomain(text: &str) -> bool {
    text.len() <= 253 && text.split('.').all(is_word)
}

/// One word, as names of namespaces are.
pub(super) fn is_dns_label(text: &str) -> bool {
    text.len() <= 63 && is_word(text)
}

fn is_word(text: &str) -> bool {
    let inside = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    !text.is_empty() && text.bytes().all(inside) && !text.starts_with('-') && !text.ends_with('-')
}

/// A name with or without a domain before it, as keys of labels and finalizers are.
pub(super) fn is_qualified(text: &str) -> bool {
    match text.split_once('/') {
        Some((domain, name)) => is_subdomain(domain) && is_name(name),
        None => is_name(text),
    }
}

fn is_name(text: &str) -> bool {
    let ends = |byte: Option<u8>| byte.is_some_and(|byte| byte.is_ascii_alphanumeric());
    text.len() <= 63
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte))
        && ends(text.bytes().next())
        && ends(text.bytes().last())
}

/// The value of a label.
pub(super) fn is_label_value(text: &str) -> bool {
    text.is_empty() || is_name(text)
}

/// Refuses metadata of another form, and drops fields that there are not.
pub(super) fn decode(object: &mut Value) -> Result<(), Refusal> {
    let Some(metadata) = object.get_mut("metadata").and_then(Value::as_object_mut) else {
        return if object["metadata"].is_null() { Ok(()) } else { Err(Refusal::bad("metadata is no object")) };
    };
    metadata.retain(|name, _| METADATA.contains(&name.as_str()));
    let texts = |value: &Value| match value {
        Value::Object(map) => map.values().all(Value::is_string),
        other => other.is_null(),
    };
    let list = |value: &Value, fits: fn(&Value) -> bool| match value {
        Value::Array(items) => items.iter().all(fits),
        other => other.is_null(),
    };
    for (name, value) in metadata {
        let fits = match name.as_str() {
            "labels" | "annotations" => texts(value),
            "finalizers" => list(value, Value::is_string),
            "ownerReferences" | "managedFields" => list(value, Value::is_object),
            "generation" | "deletionGracePeriodSeconds" => value.is_null() || value.is_i64(),
            _ => value.is_null() || value.is_string(),
        };
        if !fits {
            return Err(Refusal::bad(format!("metadata.{name} is of another type")));
        }
    }
    Ok(())
}

/// What is wrong with an object's metadata.
pub(super) fn metadata(kind: &Kind, object: &Value) -> Vec<Cause> {
    let metadata = &object["metadata"];
    let mut causes = Vec::new();
    let name = metadata["name"].as_str().unwrap_or_default();
    let fits = if kind.name == "Namespace" { is_dns_label(name) } else { is_subdomain(name) };
    if name.is_empty() {
        causes.push(Cause::required("metadata.name"));
    } else if !fits {
        causes.push(Cause::invalid("metadata.name", format!("Invalid value: {name:?}")));
    }
    for (key, value) in metadata["labels"].as_object().into_iter().flatten() {
        if !is_qualified(key) || !value.as_str().is_some_and(is_label_value) {
            causes.push(Cause::invalid("metadata.labels", format!("Invalid value: {key:?}")));
        }
    }
    let mut size = 0;
    for (key, value) in metadata["annotations"].as_object().into_iter().flatten() {
        size += key.len() + value.as_str().map_or(0, str::len);
        if !is_qualified(&key.to_ascii_lowercase()) {
            causes.push(Cause::invalid("metadata.annotations", format!("Invalid value: {key:?}")));
        }
    }
    if size > ANNOTATIONS {
        causes.push(Cause::too_long("metadata.annotations", ANNOTATIONS));
    }
    causes.extend(finalizers(kind, metadata));
    causes.extend(owners(metadata));
    causes
}

fn finalizers(kind: &Kind, metadata: &Value) -> Vec<Cause> {
    let mut causes = Vec::new();
    let all = metadata["finalizers"].as_array().into_iter().flatten().filter_map(Value::as_str);
    for (number, finalizer) in all.enumerate() {
        if !is_qualified(finalizer) {
            causes.push(Cause::invalid("metadata.finalizers", format!("Invalid value: {finalizer:?}")));
        }
        let known = ["orphan", "foregroundDeletion", "kubernetes"].contains(&finalizer);
        if !kind.custom && !finalizer.contains('/') && !known {
            let why = "name is neither a standard finalizer name nor is it fully qualified";
            causes.push(Cause::invalid(format!("metadata.finalizers[{number}]"), why));
        }
    }
    causes
}

fn owners(metadata: &Value) -> Vec<Cause> {
    let owners: Vec<&Value> = metadata["ownerReferences"].as_array().into_iter().flatten().collect();
    let mut causes = Vec::new();
    for owner in &owners {
        for field in ["apiVersion", "kind", "name", "uid"] {
            if owner[field].as_str().is_none_or(str::is_empty) {
                causes.push(Cause::invalid(format!("metadata.ownerReferences.{field}"), "must not be empty"));
            }
        }
    }
    if owners.iter().filter(|owner| owner["controller"] == true).count() > 1 {
        let why = "Only one reference can have Controller set to true";
        causes.push(Cause::invalid("metadata.ownerReferences", why));
    }
    causes
}

/// What may not change, and did.
pub(super) fn changes(before: &Value, next: &Value) -> Vec<Cause> {
    let list = |object: &Value| object["metadata"]["finalizers"].as_array().cloned().unwrap_or_default();
    let former = list(before);
    let is_deleting = before["metadata"]["deletionTimestamp"].is_string();
    let new: Vec<Value> = list(next).into_iter().filter(|finalizer| !former.contains(finalizer)).collect();
    if !is_deleting || new.is_empty() {
        return Vec::new();
    }
    let quoted: Vec<String> = new.iter().map(|name| format!("{:?}", name.as_str().unwrap_or_default())).collect();
    let why = format!(
        "Forbidden: no new finalizers can be added if the object is being deleted, found new finalizers []string{{{}}}",
        quoted.join(", ")
    );
    vec![Cause::forbidden("metadata.finalizers", why)]
}
