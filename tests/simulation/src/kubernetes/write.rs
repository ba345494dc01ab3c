//! How objects are made and changed.

use std::sync::Arc;

use http::StatusCode;
use serde_json::{Value, json};

use super::collect::is_deleting;
use super::kinds::Kind;
use super::request::Call;
use super::rest::find;
use super::status::{Cause, Refusal};
use super::store::{Id, Object, Store, time};
use super::{builtin, schema, validate};

/// Makes the object that a call brings.
pub(super) fn create(store: &mut Store, call: &Call) -> Result<Object, Refusal> {
    let (kind, namespace) = (call.kind, call.namespace.clone().unwrap_or_default());
    let mut object = read(call, &call.body)?;
    check_place(call, &object)?;
    let given = |field: &str| object["metadata"][field].as_str().unwrap_or_default().to_owned();
    let (mut name, prefix, version) = (given("name"), given("generateName"), given("resourceVersion"));
    if kind.namespaced {
        let place = Id::new(super::kinds::kind("Namespace"), "", &namespace);
        let Some(found) = store.get(&place) else { return Err(Refusal::not_found(place.kind(), &namespace)) };
        if is_deleting(found) {
            return Err(Refusal::terminating(kind, &name, &namespace));
        }
        object["metadata"]["namespace"] = json!(namespace);
    }
    let uid = store.new_uid();
    if name.is_empty() && !prefix.is_empty() {
        name = format!("{prefix}{}", &uid[uid.len() - 5..]);
        object["metadata"]["name"] = json!(name);
    }
    let id = Id::new(kind, &namespace, &name);
    if !object["metadata"].is_object() {
        object["metadata"] = json!({});
    }
    if let Some(metadata) = object["metadata"].as_object_mut() {
        for given in ["deletionTimestamp", "deletionGracePeriodSeconds", "managedFields", "resourceVersion"] {
            metadata.remove(given);
        }
        metadata.insert("uid".to_owned(), json!(uid));
        metadata.insert("creationTimestamp".to_owned(), json!(time()));
    }
    if kind.custom {
        object["metadata"]["generation"] = json!(1);
        object.as_object_mut().map(|object| object.remove("status"));
    }
    complete(kind, &id, &mut object);
    check_kind(call, &call.body, &name)?;
    refuse(kind, &name, &problems(kind, &object))?;
    if kind.custom {
        object.as_object_mut().map(|object| object.remove("status"));
    }
    if !version.is_empty() {
        return Err(Refusal::new(500, "", "resourceVersion should not be set on objects to be created"));
    }
    if let Some(found) = store.get(&id) {
        return Err(if is_deleting(found) { Refusal::exists_still(kind, &name) } else { Refusal::exists(kind, &name) });
    }
    manage(&mut object, None, call);
    if call.is_dry_run() { Ok(Arc::new(object)) } else { Ok(store.put(&id, object)) }
}

/// An object as a body gives it: of the kind and at the place that the call names, in the kind's form.
fn read(call: &Call, body: &Value) -> Result<Value, Refusal> {
    let (kind, mut object) = (call.kind, body.clone());
    let wanted = (kind.name, kind.api_version());
    let said = |field: &str| body[field].as_str().unwrap_or_default();
    if kind.custom && (said("kind").is_empty() || said("apiVersion").is_empty()) {
        return Err(Refusal::bad(format!("the object provided is unrecognized (must be of type {})", kind.name)));
    }
    let is = |field: &str, wanted: &str| said(field).is_empty() || said(field) == wanted;
    if !is("apiVersion", &wanted.1) || (!kind.custom && !is("kind", wanted.0)) {
        let why = format!("the API version in the data ({}) does not match the expected one", said("apiVersion"));
        return Err(Refusal::bad(why));
    }
    object["kind"] = json!(kind.name);
    object["apiVersion"] = json!(wanted.1);
    let before = object.clone();
    validate::decode(&mut object)?;
    builtin::decode(kind, &mut object)?;
    if call.query("fieldValidation") == Some("Strict") {
        let unknown = |sent: &Value, kept: &Value| {
            sent.as_object().is_some_and(|sent| sent.keys().any(|field| kept.get(field).is_none()))
        };
        let mut kept = object.clone();
        schema::apply(kind.name, &mut kept);
        if unknown(&before, &kept) || unknown(&before["spec"], &kept["spec"]) {
            return Err(Refusal::bad("strict decoding error: unknown field"));
        }
    }
    Ok(object)
}

/// Refuses an object that says to be elsewhere than the call.
fn check_place(call: &Call, object: &Value) -> Result<(), Refusal> {
    let said = |field: &str| object["metadata"][field].as_str().filter(|text| !text.is_empty());
    if let (Some(name), Some(wanted)) = (said("name"), &call.name)
        && name != wanted
    {
        let why = format!("the name of the object ({name}) does not match the name on the URL ({wanted})");
        return Err(Refusal::bad(why));
    }
    if call.kind.namespaced && said("namespace").is_some_and(|place| call.namespace.as_deref() != Some(place)) {
        let why = "the namespace of the provided object does not match the namespace sent on the request";
        return Err(Refusal::bad(why));
    }
    Ok(())
}

/// Refuses a custom resource that says to be of another kind of the group.
fn check_kind(call: &Call, sent: &Value, name: &str) -> Result<(), Refusal> {
    let said = sent["kind"].as_str().filter(|said| *said != call.kind.name && !said.is_empty());
    said.map_or(Ok(()), |said| Err(Refusal::other_kind(call.kind, said, name)))
}

/// What the API server itself puts into an object.
fn complete(kind: &Kind, id: &Id, object: &mut Value) {
    schema::apply(kind.name, object);
    tidy(&mut object["metadata"]);
    builtin::complete(kind, &id.name, object);
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

fn problems(kind: &Kind, object: &Value) -> Vec<Cause> {
    let mut causes = validate::metadata(kind, object);
    causes.extend(builtin::rules(kind, object));
    causes.extend(schema::check(kind.name, object));
    causes
}

fn refuse(kind: &Kind, name: &str, causes: &[Cause]) -> Result<(), Refusal> {
    if causes.is_empty() { Ok(()) } else { Err(Refusal::invalid(kind, name, causes)) }
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

/// Replaces an object, or its status, by the one that a call brings.
pub(super) fn replace(store: &mut Store, call: &Call, id: &Id) -> Result<(StatusCode, Object), Refusal> {
    let (kind, next) = (call.kind, read(call, &call.body)?);
    let given = |field: &str| next["metadata"][field].as_str().unwrap_or_default();
    check_place(call, &next)?;
    check_version(&next)?;
    if given("name").is_empty() {
        return Err(Refusal::bad("the name of the object cannot be determined"));
    }
    let Some(before) = store.get(id).cloned() else {
        if !kind.is_made_by_updates() {
            return Err(Refusal::not_found(kind, &id.name));
        }
        if !given("uid").is_empty() {
            return Err(Refusal::modified(kind, &id.name));
        }
        let mut call = call.clone();
        call.body["metadata"].as_object_mut().map(|metadata| metadata.remove("resourceVersion"));
        return Ok((StatusCode::CREATED, create(store, &call)?));
    };
    let stored = before["metadata"]["uid"].as_str().unwrap_or_default();
    if !given("uid").is_empty() && given("uid") != stored {
        let why = format!("Precondition failed: UID in precondition: {}, UID in object meta: {stored}", given("uid"));
        return Err(Refusal::conflict(kind, &id.name, &why));
    }
    match given("resourceVersion") {
        "" if kind.updates_versions() => return Err(Refusal::without_version(kind, &id.name)),
        "" => {}
        version if before["metadata"]["resourceVersion"] == version => {}
        _ => return Err(Refusal::modified(kind, &id.name)),
    }
    check_kind(call, &call.body, &id.name)?;
    Ok((StatusCode::OK, update(store, call, id, &before, next)?))
}

/// Versions are numbers, though to nobody but the server.
fn check_version(object: &Value) -> Result<(), Refusal> {
    let version = object["metadata"]["resourceVersion"].as_str().filter(|version| !version.is_empty());
    if version.is_some_and(|version| version.parse::<u64>().is_err()) {
        return Err(Refusal::new(500, "", "metadata.resourceVersion: Invalid value"));
    }
    Ok(())
}

/// Stores another state of an object, or of its status.
fn update(store: &mut Store, call: &Call, id: &Id, before: &Object, mut next: Value) -> Result<Object, Refusal> {
    let kind = call.kind;
    if call.status {
        let mut whole = (**before).clone();
        whole["status"] = next["status"].take();
        next = whole;
    } else if kind.custom {
        next["status"] = before["status"].clone();
    }
    if next["status"].is_null() {
        next.as_object_mut().map(|next| next.remove("status"));
    }
    let mut causes = ends(before, &next);
    keep_server_fields(before, &mut next);
    complete(kind, id, &mut next);
    let mut wrong = problems(kind, &next);
    if kind.custom && !wrong.is_empty() {
        // What was stored under another schema may stay.
        let before = problems(kind, before);
        wrong.retain(|cause| !before.contains(cause));
    }
    causes.extend(wrong);
    causes.extend(validate::changes(before, &next));
    causes.extend(builtin::changes(kind, before, &next));
    refuse(kind, &id.name, &causes)?;
    if kind.custom && !call.status && without_status(before) != without_status(&next) {
        let generation = before["metadata"]["generation"].as_i64().unwrap_or(1) + 1;
        next["metadata"]["generation"] = json!(generation);
    }
    if **before == next {
        return Ok(Arc::clone(before));
    }
    let managed = next.clone();
    manage(&mut next, Some(&managed), call);
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

/// Nobody but the server says when an object goes.
fn ends(before: &Value, next: &Value) -> Vec<Cause> {
    let field = "deletionTimestamp";
    let given = &next["metadata"][field];
    if given.is_null() || *given == before["metadata"][field] {
        return Vec::new();
    }
    vec![Cause::invalid(format!("metadata.{field}"), "field is immutable")]
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
    next["metadata"]["resourceVersion"] = before["metadata"]["resourceVersion"].clone();
    if next["metadata"]["managedFields"].is_null() {
        next["metadata"]["managedFields"] = before["metadata"]["managedFields"].clone();
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

/// Merges what a call brings into an object, or into its status.
pub(super) fn patch(store: &mut Store, call: &Call, id: &Id) -> Result<Object, Refusal> {
    let before = find(store, id)?;
    let mut merged = (*before).clone();
    merge(&mut merged, &call.body);
    let next = read(call, &merged).map_err(|refusal| match refusal.code {
        400 => Refusal::unreadable_patch(&refusal.message),
        _ => refusal,
    })?;
    check_place(call, &next)?;
    check_version(&next)?;
    let wanted = &next["metadata"];
    if wanted["resourceVersion"].as_str().is_some_and(|version| before["metadata"]["resourceVersion"] != version) {
        return Err(Refusal::modified(call.kind, &id.name));
    }
    if wanted["uid"].as_str().is_some_and(|uid| before["metadata"]["uid"] != uid) {
        return Err(Refusal::invalid(call.kind, &id.name, &[Cause::invalid("metadata.uid", "field is immutable")]));
    }
    check_kind(call, &call.body, &id.name)?;
    update(store, call, id, &before, next)
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
