//! What a call does and what it is answered.

use std::sync::Arc;

use http::StatusCode;
use serde_json::{Map, Value, json};

use super::collect::{end_namespace, is_deleting};
use super::kinds::{Kind, kind};
use super::request::{Accept, Call, Verb};
use super::schema;
use super::status::Refusal;
use super::store::{Id, Object, Store, time};

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
        Verb::Watch => Err(Refusal::new(400, "BadRequest", "a watch is no single answer")),
        Verb::Create => {
            let object = create(store, call)?;
            Ok((StatusCode::CREATED, shown(call, &object)))
        }
        Verb::Update => {
            let object = update(store, call, &named, call.body.clone(), true)?;
            ok(&object)
        }
        Verb::Patch => {
            let object = patch(store, call, &named)?;
            ok(&object)
        }
        Verb::Delete => {
            let object = find(store, &named)?;
            let wanted = &call.body["preconditions"];
            for field in ["uid", "resourceVersion"] {
                if let Some(wanted) = wanted[field].as_str() {
                    check(&named, field, wanted, &object)?;
                }
            }
            let answer = if call.is_dry_run() { success(&named, &object) } else { delete(store, &named) };
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

fn find(store: &Store, id: &Id) -> Result<Object, Refusal> {
    store.get(id).cloned().ok_or_else(|| Refusal::not_found(id.kind(), &id.name))
}

fn list(store: &Store, call: &Call) -> Answer {
    let limit =
        call.query("limit").and_then(|limit| limit.parse().ok()).filter(|&limit| limit > 0).unwrap_or(usize::MAX);
    if let Some(wanted) = call.query("resourceVersion").and_then(|version| version.parse::<u64>().ok())
        && wanted > store.version()
    {
        return Err(Refusal::ahead(wanted, store.version()));
    }
    let start =
        call.query("continue").filter(|token| !token.is_empty()).map(|token| token.split(' ').collect::<Vec<_>>());
    let (version, after) = match start.as_deref() {
        None => (store.version(), None),
        Some([version, namespace, name]) => {
            let version = version.parse().unwrap_or(0);
            if version < store.oldest() {
                return Err(Refusal::expired(version, store.oldest()));
            }
            (version, Some(Id::new(call.kind, namespace, name)))
        }
        Some(_) => return Err(Refusal::new(400, "BadRequest", "continue key is not valid")),
    };
    // Pages are of the moment at which the first was asked for; what changed since is close enough for who asks here.
    let mut items = Vec::new();
    let mut metadata = Map::from_iter([("resourceVersion".to_owned(), json!(version.to_string()))]);
    let fits = |object: &Value| call.selects(object);
    let all: Vec<_> = store
        .all(call.kind, call.namespace.as_deref())
        .filter(|(id, object)| after.as_ref().is_none_or(|after| *id > after) && fits(object))
        .collect();
    for (_, object) in all.iter().take(limit) {
        let mut item = shown(call, object);
        if let (Accept::Whole, false, Some(item)) = (call.accept, call.kind.custom, item.as_object_mut()) {
            item.remove("kind");
            item.remove("apiVersion");
        }
        items.push(item);
    }
    if let (Some((last, _)), true) = (all.get(limit - 1), all.len() > limit) {
        metadata.insert("continue".to_owned(), json!(format!("{version} {} {}", last.namespace, last.name)));
        if call.query("labelSelector").is_none() && call.query("fieldSelector").is_none() {
            metadata.insert("remainingItemCount".to_owned(), json!(all.len() - limit));
        }
    }
    let (kind, version) = match call.accept {
        Accept::Whole => (format!("{}List", call.kind.name), call.kind.api_version()),
        Accept::Metadata => ("PartialObjectMetadataList".to_owned(), "meta.k8s.io/v1".to_owned()),
    };
    Ok((StatusCode::OK, json!({"kind": kind, "apiVersion": version, "metadata": metadata, "items": items})))
}

fn create(store: &mut Store, call: &Call) -> Result<Object, Refusal> {
    let (kind, mut object) = (call.kind, call.body.clone());
    if object["kind"].is_null() {
        object["kind"] = json!(kind.name);
        object["apiVersion"] = json!(kind.api_version());
    }
    let name = object["metadata"]["name"].as_str().unwrap_or_default().to_owned();
    if object["metadata"]["resourceVersion"].as_str().is_some_and(|version| !version.is_empty()) {
        return Err(Refusal::new(500, "", "resourceVersion should not be set on objects to be created"));
    }
    let namespace = call.namespace.clone().unwrap_or_default();
    if kind.namespaced {
        let place = Id::new(super::kinds::kind("Namespace"), "", &namespace);
        let Some(found) = store.get(&place) else { return Err(Refusal::not_found(place.kind(), &namespace)) };
        if is_deleting(found) {
            let why = format!("unable to create new content in namespace {namespace} because it is being terminated");
            return Err(Refusal::forbidden(kind, &name, &why));
        }
        object["metadata"]["namespace"] = json!(namespace);
    }
    let id = Id::new(kind, &namespace, &name);
    if store.get(&id).is_some() {
        return Err(Refusal::exists(kind, &name));
    }
    let uid = store.new_uid();
    let metadata = object["metadata"].as_object_mut().ok_or_else(|| Refusal::new(400, "BadRequest", "no metadata"))?;
    for given in ["deletionTimestamp", "deletionGracePeriodSeconds", "managedFields", "selfLink"] {
        metadata.remove(given);
    }
    metadata.insert("uid".to_owned(), json!(uid));
    metadata.insert("creationTimestamp".to_owned(), json!(time()));
    if kind.custom {
        metadata.insert("generation".to_owned(), json!(1));
        object.as_object_mut().map(|object| object.remove("status"));
    }
    complete(kind, &id, &mut object);
    if kind.custom {
        object.as_object_mut().map(|object| object.remove("status"));
    }
    manage(&mut object, None, call);
    if call.is_dry_run() { Ok(Arc::new(object)) } else { Ok(store.put(&id, object)) }
}

/// What the API server itself puts into an object.
fn complete(kind: &Kind, id: &Id, object: &mut Value) {
    schema::apply(kind.name, object);
    tidy(&mut object["metadata"]);
    match kind.name {
        "Secret" => {
            if let Some(Value::Object(text)) = object.as_object_mut().and_then(|object| object.remove("stringData")) {
                for (key, value) in text {
                    object["data"][key] = json!(encoded(value.as_str().unwrap_or_default()));
                }
            }
            let empty = object["type"].as_str().is_none_or(str::is_empty);
            if empty {
                object["type"] = json!("Opaque");
            }
        }
        "Namespace" => {
            object["metadata"]["labels"]["kubernetes.io/metadata.name"] = json!(id.name);
            if object["spec"]["finalizers"].is_null() {
                object["spec"] = json!({"finalizers": ["kubernetes"]});
                object["status"] = json!({"phase": "Active"});
            }
        }
        _ => {}
    }
}

/// Maps and lists without anything in them are not stored.
fn tidy(metadata: &mut Value) {
    let Some(metadata) = metadata.as_object_mut() else { return };
    metadata.retain(|_, value| match value {
        Value::Null => false,
        Value::Object(map) => !map.is_empty(),
        Value::Array(list) => !list.is_empty(),
        Value::String(text) => !text.is_empty(),
        _ => true,
    });
}

fn encoded(text: &str) -> String {
    use base64::Engine as _;
    base64::engine::general_purpose::STANDARD.encode(text)
}

/// Who wrote when; which fields nobody here asks.
fn manage(object: &mut Value, before: Option<&Value>, call: &Call) {
    let subresource = call.status.then_some("status");
    let of_before = before.and_then(|before| before["metadata"]["managedFields"].as_array());
    let is_it = |entry: &Value| {
        entry["manager"] == call.manager && entry.get("subresource").and_then(Value::as_str) == subresource
    };
    let mut entries: Vec<Value> = of_before.into_iter().flatten().filter(|entry| !is_it(entry)).cloned().collect();
    let mut entry = json!({
        "manager": call.manager, "operation": "Update", "apiVersion": call.kind.api_version(), "time": time(),
        "fieldsType": "FieldsV1", "fieldsV1": {},
    });
    if let Some(subresource) = subresource {
        entry["subresource"] = json!(subresource);
    }
    entries.push(entry);
    object["metadata"]["managedFields"] = json!(entries);
}

/// Compares a precondition with what is stored.
fn check(id: &Id, field: &str, wanted: &str, object: &Value) -> Result<(), Refusal> {
    let stored = object["metadata"][field].as_str().unwrap_or_default();
    if wanted == stored {
        return Ok(());
    }
    let why = match field {
        "uid" => format!("Precondition failed: UID in precondition: {wanted}, UID in object meta: {stored}"),
        _ => format!(
            "Precondition failed: ResourceVersion in precondition: {wanted}, ResourceVersion in object meta: {stored}"
        ),
    };
    Err(Refusal::conflict(id.kind(), &id.name, &why))
}

/// Replaces an object, or its status. `unchecked`: the version that it builds on was not read by the server itself.
fn update(store: &mut Store, call: &Call, id: &Id, mut next: Value, unchecked: bool) -> Result<Object, Refusal> {
    let (kind, before) = (call.kind, find(store, id)?);
    if unchecked {
        if let Some(uid) = next["metadata"]["uid"].as_str().filter(|uid| !uid.is_empty()) {
            check(id, "uid", uid, &before)?;
        }
        match next["metadata"]["resourceVersion"].as_str().unwrap_or_default() {
            "" if kind.custom => {
                let why = "metadata.resourceVersion: Invalid value: 0x0: must be specified for an update";
                return Err(Refusal::invalid(kind, &id.name, why));
            }
            "" => {}
            version if before["metadata"]["resourceVersion"] == version => {}
            _ => return Err(Refusal::modified(kind, &id.name)),
        }
    }
    if call.status {
        let mut whole = (*before).clone();
        whole["status"] = next["status"].take();
        next = whole;
    } else if kind.custom {
        match before.get("status") {
            Some(status) => next["status"] = status.clone(),
            None => drop(next.as_object_mut().map(|next| next.remove("status"))),
        }
    }
    keep_server_fields(&before, &mut next);
    complete(kind, id, &mut next);
    validate(kind, id, &before, &next)?;
    if kind.custom && !call.status && without_status(&before) != without_status(&next) {
        let generation = before["metadata"]["generation"].as_i64().unwrap_or(1) + 1;
        next["metadata"]["generation"] = json!(generation);
    }
    if *before == next {
        return Ok(before);
    }
    manage(&mut next, Some(&before), call);
    if call.is_dry_run() {
        return Ok(Arc::new(next));
    }
    if is_deleting(&next) && next["metadata"]["finalizers"].is_null() {
        // The answer to the write that lets it go carries the version before, and watches see it as it was then.
        store.remove(id);
        return Ok(Arc::new(next));
    }
    Ok(store.put(id, next))
}

/// Nobody but the server writes these.
fn keep_server_fields(before: &Value, next: &mut Value) {
    for field in [
        "name",
        "namespace",
        "uid",
        "creationTimestamp",
        "deletionTimestamp",
        "deletionGracePeriodSeconds",
        "generation",
    ] {
        match before["metadata"].get(field) {
            Some(value) => next["metadata"][field] = value.clone(),
            None => drop(next["metadata"].as_object_mut().map(|metadata| metadata.remove(field))),
        }
    }
    for field in ["kind", "apiVersion"] {
        next[field] = before[field].clone();
    }
    // What is compared with the stored object, and replaced when it is stored.
    for field in ["resourceVersion", "managedFields"] {
        next["metadata"][field] = before["metadata"][field].clone();
    }
}

fn without_status(object: &Value) -> Value {
    let mut object = object.clone();
    if let Some(object) = object.as_object_mut() {
        object.remove("status");
        object.remove("metadata");
    }
    object
}

fn validate(kind: &Kind, id: &Id, before: &Value, next: &Value) -> Result<(), Refusal> {
    if is_deleting(before) {
        let list = |object: &Value| object["metadata"]["finalizers"].as_array().cloned().unwrap_or_default();
        let former = list(before);
        let new: Vec<Value> = list(next).into_iter().filter(|finalizer| !former.contains(finalizer)).collect();
        if !new.is_empty() {
            let quoted: Vec<String> =
                new.iter().map(|name| format!("{:?}", name.as_str().unwrap_or_default())).collect();
            let why = format!(
                "metadata.finalizers: Forbidden: no new finalizers can be added if the object is being deleted, found new \
                 finalizers []string{{{}}}",
                quoted.join(", ")
            );
            return Err(Refusal::invalid(kind, &id.name, &why));
        }
    }
    if kind.name == "Secret" {
        if before["immutable"] == true && (before["data"] != next["data"] || next["immutable"] != true) {
            let field = if next["immutable"] == true { "data" } else { "immutable" };
            let why = format!("{field}: Forbidden: field is immutable when `immutable` is set");
            return Err(Refusal::invalid(kind, &id.name, &why));
        }
        if before["type"] != next["type"] {
            let why = format!("type: Invalid value: {}: field is immutable", next["type"]);
            return Err(Refusal::invalid(kind, &id.name, &why));
        }
    }
    Ok(())
}

fn patch(store: &mut Store, call: &Call, id: &Id) -> Result<Object, Refusal> {
    let before = find(store, id)?;
    let wanted = &call.body["metadata"];
    if wanted["resourceVersion"].as_str().is_some_and(|version| before["metadata"]["resourceVersion"] != version) {
        return Err(Refusal::modified(call.kind, &id.name));
    }
    if wanted["uid"].as_str().is_some_and(|uid| before["metadata"]["uid"] != uid) {
        return Err(Refusal::invalid(call.kind, &id.name, "metadata.uid: field is immutable"));
    }
    let mut next = (*before).clone();
    merge(&mut next, &call.body);
    update(store, call, id, next, false)
}

/// RFC 7386.
fn merge(target: &mut Value, patch: &Value) {
    let Value::Object(fields) = patch else {
        *target = patch.clone();
        return;
    };
    if !target.is_object() {
        *target = json!({});
    }
    for (name, value) in fields {
        if value.is_null() {
            target.as_object_mut().map(|target| target.remove(name));
        } else {
            merge(&mut target[name], value);
        }
    }
}

/// Deletes an object, or begins to, if something wants to be asked before it goes.
pub(super) fn delete(store: &mut Store, id: &Id) -> Value {
    let Some(object) = store.get(id).cloned() else { return json!({}) };
    let is_namespace = id.kind() == kind("Namespace");
    if object["metadata"]["finalizers"].is_null() && !is_namespace {
        let gone = store.remove(id).unwrap_or_else(|| Arc::clone(&object));
        return if id.kind().name == "ServiceAccount" { (*gone).clone() } else { success(id, &object) };
    }
    if is_deleting(&object) {
        return (*object).clone();
    }
    let mut ending = (*object).clone();
    ending["metadata"]["deletionTimestamp"] = json!(time());
    if is_namespace {
        end_namespace(&mut ending);
    } else {
        ending["metadata"]["deletionGracePeriodSeconds"] = json!(0);
        if id.kind().custom {
            ending["metadata"]["generation"] = json!(object["metadata"]["generation"].as_i64().unwrap_or(1) + 1);
        }
    }
    (*store.put(id, ending)).clone()
}

fn success(id: &Id, object: &Value) -> Value {
    let mut details = json!({"name": id.name, "kind": id.kind().plural, "uid": object["metadata"]["uid"]});
    if !id.kind().group.is_empty() {
        details["group"] = json!(id.kind().group);
    }
    json!({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "details": details})
}
