//! What a call is answered.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::StatusCode;
use serde_json::{Map, Value, json};

use super::collect::{end_namespace, is_deleting};
use super::kinds::kind;
use super::request::{Accept, Call, Verb};
use super::schema;
use super::status::Refusal;
use super::store::{Id, Object, Store, time};
use super::write::{create, patch, replace};

type Answer = Result<(StatusCode, Value), Refusal>;

/// Does what a call asks for. Watches are opened elsewhere.
pub(super) fn answer(store: &mut Store, call: &Call) -> Answer {
    let place = |name: &str| Id::new(call.kind, call.namespace.as_deref().unwrap_or_default(), name);
    let named = place(call.name.as_deref().unwrap_or_default());
    let ok = |object: &Value| Ok((StatusCode::OK, shown(call, object)));
    match call.verb {
        Verb::Get => {
            let object = find(store, &named)?;
            ok(&object)
        }
        Verb::List => list(store, call),
        Verb::Watch => Err(Refusal::bad("a watch is no single answer")),
        Verb::Create => {
            let object = create(store, call)?;
            Ok((StatusCode::CREATED, shown(call, &object)))
        }
        Verb::Update => {
            let (status, object) = replace(store, call, &named)?;
            Ok((status, shown(call, &object)))
        }
        Verb::Patch => {
            let object = patch(store, call, &named)?;
            ok(&object)
        }
        Verb::Delete => {
            let answer = delete_if(store, call, &named)?;
            Ok((StatusCode::OK, if answer["kind"] == "Status" { answer } else { shown(call, &answer) }))
        }
    }
}

/// An object in the form that the call accepts.
pub(super) fn shown(call: &Call, object: &Value) -> Value {
    match call.accept {
        Accept::Whole => {
            let mut object = object.clone();
            schema::apply(call.kind.name, &mut object);
            object
        }
        Accept::Metadata => json!({
            "kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1", "metadata": object["metadata"],
        }),
    }
}

pub(super) fn find(store: &Store, id: &Id) -> Result<Object, Refusal> {
    store.get(id).cloned().ok_or_else(|| Refusal::not_found(id.kind(), &id.name))
}

/// The version and the place at which a list begins.
fn start(store: &Store, call: &Call) -> Result<(u64, Option<Id>), Refusal> {
    if let Some(version) = call.query("resourceVersion").filter(|version| !version.is_empty()) {
        let wanted = version.parse::<u64>().map_err(|_| Refusal::bad(format!("Invalid value: {version:?}")))?;
        if wanted > store.version() {
            return Err(Refusal::ahead(wanted, store.version()));
        }
    }
    let Some(token) = call.query("continue").filter(|token| !token.is_empty()) else {
        return Ok((store.version(), None));
    };
    let read = || -> Option<(u64, Id)> {
        let token: Value = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(token).ok()?).ok()?;
        let start = token["start"].as_str()?.strip_suffix('\0')?;
        let (namespace, name) = match &call.namespace {
            Some(namespace) => (namespace.as_str(), start),
            None => start.split_once('/').unwrap_or(("", start)),
        };
        Some((token["rv"].as_u64()?, Id::new(call.kind, namespace, name)))
    };
    let (version, after) = read().ok_or_else(|| Refusal::bad("continue key is not valid"))?;
    if version < store.oldest() {
        return Err(Refusal::expired(version, store.oldest()));
    }
    if version > store.version() {
        return Err(Refusal::ahead(version, store.version()));
    }
    Ok((version, Some(after)))
}

/// What stands for the rest of a list after an object.
fn token(call: &Call, version: u64, last: &Id) -> String {
    let start = match &call.namespace {
        None if call.kind.namespaced => format!("{}/{}\0", last.namespace, last.name),
        _ => format!("{}\0", last.name),
    };
    URL_SAFE_NO_PAD.encode(json!({"v": "meta.k8s.io/v1", "rv": version, "start": start}).to_string())
}

/// Pages are of the moment at which the first was asked for.
fn list(store: &Store, call: &Call) -> Answer {
    let asked = call.query("limit").and_then(|limit| limit.parse::<usize>().ok()).filter(|&limit| limit > 0);
    let limit = asked.map_or(usize::MAX, |limit| limit.min(store.longest_page));
    let (version, after) = start(store, call)?;
    let then = store.all_at(version, call.kind, call.namespace.as_deref());
    let all: Vec<_> = then
        .iter()
        .filter(|(id, object)| after.as_ref().is_none_or(|after| *id > after) && call.selects(object))
        .collect();
    let mut items = Vec::new();
    for (_, object) in all.iter().take(limit) {
        let mut item = shown(call, object);
        if let (Accept::Whole, false, Some(item)) = (call.accept, call.kind.custom, item.as_object_mut()) {
            item.remove("kind");
            item.remove("apiVersion");
        }
        items.push(item);
    }
    let mut metadata = Map::from_iter([("resourceVersion".to_owned(), json!(version.to_string()))]);
    if let (Some((last, _)), true) = (all.get(limit - 1), all.len() > limit) {
        metadata.insert("continue".to_owned(), json!(token(call, version, last)));
        if !call.is_selective() {
            metadata.insert("remainingItemCount".to_owned(), json!(all.len() - limit));
        }
    }
    let (kind, version) = match call.accept {
        Accept::Whole => (format!("{}List", call.kind.name), call.kind.api_version()),
        Accept::Metadata => ("PartialObjectMetadataList".to_owned(), "meta.k8s.io/v1".to_owned()),
    };
    // Of a list without anything in it the real server makes no list, if only the metadata are asked for.
    let items = if call.accept == Accept::Metadata && items.is_empty() { Value::Null } else { json!(items) };
    Ok((StatusCode::OK, json!({"kind": kind, "apiVersion": version, "metadata": metadata, "items": items})))
}

/// Deletes the object that a call means.
fn delete_if(store: &mut Store, call: &Call, id: &Id) -> Result<Value, Refusal> {
    let object = find(store, id)?;
    let wanted = &call.body["preconditions"];
    for field in ["uid", "resourceVersion"] {
        let stored = object["metadata"][field].as_str().unwrap_or_default();
        if let Some(wanted) = wanted[field].as_str().filter(|wanted| *wanted != stored) {
            let why =
                format!("the {field} in the precondition ({wanted}) does not match the {field} in record ({stored})");
            return Err(Refusal::other_precondition(id.kind(), &id.name, &why));
        }
    }
    let finalizer = match call.propagation() {
        Some("Foreground") => Some("foregroundDeletion"),
        Some("Orphan") => Some("orphan"),
        _ => None,
    };
    let (next, stays) = ended(id, &object, finalizer);
    if call.is_dry_run() {
        return Ok(if stays { next } else { success(id, &object) });
    }
    Ok(end(store, id, &object, next, stays))
}

/// Deletes an object, or begins to, if something wants to be asked before it goes.
pub(super) fn delete(store: &mut Store, id: &Id) {
    if let Some(object) = store.get(id).cloned() {
        let (next, stays) = ended(id, &object, None);
        end(store, id, &object, next, stays);
    }
}

fn end(store: &mut Store, id: &Id, object: &Object, next: Value, stays: bool) -> Value {
    if stays {
        return if next == **object { next } else { (*store.put(id, next)).clone() };
    }
    let gone = store.remove(id).unwrap_or_else(|| Arc::clone(object));
    if id.kind().name == "ServiceAccount" { (*gone).clone() } else { success(id, object) }
}

/// An object as its deletion leaves it, and whether it stays for now.
fn ended(id: &Id, object: &Value, finalizer: Option<&str>) -> (Value, bool) {
    let is_namespace = id.kind() == kind("Namespace");
    let mut next = object.clone();
    if let Some(finalizer) = finalizer.filter(|_| !is_deleting(object) && !is_namespace) {
        let mut finalizers = object["metadata"]["finalizers"].as_array().cloned().unwrap_or_default();
        finalizers.push(json!(finalizer));
        next["metadata"]["finalizers"] = json!(finalizers);
    }
    let stays = !next["metadata"]["finalizers"].is_null() || is_namespace;
    if is_deleting(object) || !stays {
        return (next, stays);
    }
    next["metadata"]["deletionTimestamp"] = json!(time());
    if is_namespace {
        end_namespace(&mut next);
    } else {
        next["metadata"]["deletionGracePeriodSeconds"] = json!(0);
        if id.kind().custom {
            next["metadata"]["generation"] = json!(object["metadata"]["generation"].as_i64().unwrap_or(1) + 1);
        }
    }
    (next, stays)
}

fn success(id: &Id, object: &Value) -> Value {
    let mut details = json!({"name": id.name, "kind": id.kind().plural, "uid": object["metadata"]["uid"]});
    if !id.kind().group.is_empty() {
        details["group"] = json!(id.kind().group);
    }
    json!({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "details": details})
}
