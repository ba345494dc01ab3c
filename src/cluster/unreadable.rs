//! What is said on an object of ours that cannot be read: conditions, written beside whatever else is in its status. The
//! object goes through here as it is, so that nothing of it is lost or put right by accident.

use kube::Client;
use kube::api::{GetParams, PostParams, Request};
use serde_json::{Value, json};

use super::objects::MANAGER;
use super::{Error, explain, within};
use crate::api::{GROUP, ObjectName, RegistryTime, VERSION, conditions as kinds};
use crate::decode::{Raw, Unreadable};

/// The reason of each condition.
pub const REASON: &str = "Unreadable";

/// The plural of a kind of ours.
fn plural(kind: &str) -> Option<&'static str> {
    Some(match kind {
        "RobotAccount" => "robotaccounts",
        "SystemRobotAccount" => "systemrobotaccounts",
        "HarborRegistry" => "harborregistries",
        "ClusterHarborRegistry" => "clusterharborregistries",
        _ => return None,
    })
}

/// Writes the conditions; does nothing if they are there or the object is of no kind of ours. Answers when the credential
/// expires that the status names, if it does.
///
/// # Errors
/// [`Error::Conflict`] if the object changed meanwhile; the API server does not answer or refuses it.
pub async fn say(client: &Client, object: &Unreadable, now: RegistryTime) -> Result<Option<RegistryTime>, Error> {
    let Some(plural) = plural(&object.kind) else { return Ok(None) };
    let checked = |text: &Option<String>| text.as_deref().map(ObjectName::new).transpose();
    let (Ok(namespace), Ok(Some(name))) = (checked(&object.metadata.namespace), checked(&object.metadata.name)) else {
        return Ok(None);
    };
    let namespace = namespace.iter().map(|namespace| format!("/namespaces/{namespace}"));
    let path = format!("/apis/{GROUP}/{VERSION}{}/{plural}", namespace.collect::<String>());
    let request = Request::new(path.clone()).get(&name, &GetParams::default());
    let request = request.map_err(kube::Error::BuildRequest)?;
    let Raw(mut whole) = within(client.request(request)).await?;
    let expiry =
        whole.pointer("/status/robot/expirationTime").and_then(|text| text.as_str()?.parse::<RegistryTime>().ok());
    if !set_conditions(&mut whole, object, expiry.is_some_and(|expiry| expiry <= now), now) {
        return Ok(expiry);
    }
    if let Some(metadata) = whole.get_mut("metadata").and_then(Value::as_object_mut) {
        metadata.remove("managedFields");
    }
    let params = PostParams { field_manager: Some(MANAGER.to_owned()), ..PostParams::default() };
    let body = serde_json::to_vec(&whole).map_err(kube::Error::SerdeError)?;
    let request = Request::new(path).replace_subresource("status", &name, &params, body);
    let request = request.map_err(kube::Error::BuildRequest)?;
    within(client.request::<serde::de::IgnoredAny>(request)).await?;
    Ok(expiry)
}

/// True if that changes anything.
fn set_conditions(whole: &mut Value, object: &Unreadable, expired: bool, now: RegistryTime) -> bool {
    let is_registry = object.kind.ends_with("Registry");
    let message = format!("{}; nothing is done for it until that is put right", explain(object));
    let mut wanted = vec![(kinds::STALLED, "True")];
    if is_registry || expired {
        wanted.push((kinds::READY, "False"));
    }
    if !is_registry {
        wanted.push((kinds::SYNCED, "False"));
    }
    let generation = whole.pointer("/metadata/generation").cloned();
    let now = now.whole_second().to_string();
    let Some(object) = whole.as_object_mut() else { return false };
    let status = object.entry("status").or_insert_with(|| json!({}));
    if !status.is_object() {
        *status = json!({});
    }
    let conditions = &mut status["conditions"];
    if !conditions.is_array() {
        *conditions = json!([]);
    }
    let Some(conditions) = conditions.as_array_mut() else { return false };
    let mut changed = false;
    for (kind, state) in wanted {
        let mut next = json!({
            "type": kind, "status": state, "reason": REASON, "message": message, "lastTransitionTime": now,
        });
        next["observedGeneration"] = generation.clone().unwrap_or_default();
        let Some(found) = conditions.iter_mut().find(|condition| condition["type"] == kind) else {
            conditions.push(next);
            changed = true;
            continue;
        };
        if found["status"] == state {
            next["lastTransitionTime"] = found["lastTransitionTime"].clone();
        }
        changed |= *found != next;
        *found = next;
    }
    changed
}

#[cfg(test)]
mod tests {
    use super::*;

    fn object(kind: &str) -> Unreadable {
        Unreadable {
            api_version: format!("{GROUP}/{VERSION}"),
            kind: kind.to_owned(),
            metadata: serde_json::from_value(json!({"name": "ci", "namespace": "team-a"})).unwrap(),
            path: "status.robot.id".to_owned(),
            detail: "invalid type".to_owned(),
        }
    }

    fn told(whole: &Value) -> Vec<String> {
        let conditions = whole["status"]["conditions"].as_array().unwrap();
        let word = |condition: &Value, key: &str| condition[key].as_str().unwrap_or_default().to_owned();
        conditions.iter().map(|c| format!("{}={}/{}", word(c, "type"), word(c, "status"), word(c, "reason"))).collect()
    }

    #[test]
    fn what_is_published_stays_ready_until_it_expires() {
        let now = "2026-01-01T00:00:00.5Z".parse().unwrap();
        let ready = json!({"type": "Ready", "status": "True", "reason": "Published", "lastTransitionTime": "x"});
        let mut whole =
            json!({"metadata": {"generation": 3}, "status": {"robot": {"id": 1e30}, "conditions": [ready]}});
        assert!(set_conditions(&mut whole, &object("RobotAccount"), false, now));
        assert_eq!(told(&whole), ["Ready=True/Published", "Stalled=True/Unreadable", "Synced=False/Unreadable"]);
        assert_eq!(whole["status"]["robot"]["id"], json!(1e30), "nothing else is touched");
        assert!(!set_conditions(&mut whole, &object("RobotAccount"), false, now), "said once");
        assert!(set_conditions(&mut whole, &object("RobotAccount"), true, now));
        assert_eq!(told(&whole)[0], "Ready=False/Unreadable");
        let message = whole["status"]["conditions"][1]["message"].as_str().unwrap();
        assert!(
            message.contains("RobotAccount team-a/ci cannot be read at status.robot.id: invalid type"),
            "{message}"
        );
    }

    #[test]
    fn a_status_of_any_shape_can_be_written_to() {
        let now = RegistryTime::MIN;
        for status in [json!(null), json!([]), json!({"conditions": null}), json!({"conditions": {"a": 1}})] {
            let mut whole = json!({"status": status});
            assert!(set_conditions(&mut whole, &object("HarborRegistry"), false, now), "{status}");
            assert_eq!(told(&whole), ["Stalled=True/Unreadable", "Ready=False/Unreadable"]);
        }
    }
}
