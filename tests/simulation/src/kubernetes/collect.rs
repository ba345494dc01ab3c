//! What controllers do beside the API server: objects whose owners are gone go, too, and so does what is in a namespace that
//! is being deleted, and then the namespace.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::kinds::kind;
use super::rest;
use super::store::{Id, Store};

impl Store {
    /// One round of both controllers: each object whose time has come is deleted now if `now` says so, else later. True if
    /// anything happened.
    pub fn collect(&mut self, mut now: impl FnMut() -> bool) -> bool {
        let before = self.version();
        if self.collected == before {
            return false;
        }
        let uids: BTreeSet<&str> =
            self.everything().filter_map(|(_, object)| object["metadata"]["uid"].as_str()).collect();
        let orphaned = |object: &Value| {
            let owners = object["metadata"]["ownerReferences"].as_array().filter(|owners| !owners.is_empty());
            owners.is_some_and(|owners| {
                owners.iter().all(|owner| owner["uid"].as_str().is_none_or(|uid| !uids.contains(uid)))
            })
        };
        let is_ending = |namespace: &str| {
            self.get(&Id::new(kind("Namespace"), "", namespace)).is_none_or(|namespace| is_deleting(namespace))
        };
        let due = |id: &Id, object: &Value| {
            !is_deleting(object) && (orphaned(object) || (!id.namespace.is_empty() && is_ending(&id.namespace)))
        };
        let due: Vec<Id> = self.everything().filter(|(id, object)| due(id, object)).map(|(id, _)| id.clone()).collect();
        let mut all = true;
        for id in due {
            if now() {
                rest::delete(self, &id);
            } else {
                all = false;
            }
        }
        let ending: Vec<Id> = self
            .all(kind("Namespace"), None)
            .filter(|(_, object)| is_deleting(object))
            .map(|(id, _)| id.clone())
            .collect();
        for id in ending {
            if !self.everything().any(|(other, _)| other.namespace == id.name) {
                self.remove(&id);
            }
        }
        let changed = self.version() != before;
        if all && !changed {
            self.collected = before;
        }
        changed
    }
}

/// True if the object is on its way out.
pub fn is_deleting(object: &Value) -> bool {
    object["metadata"]["deletionTimestamp"].is_string()
}

/// What a namespace looks like when its end begins.
pub(super) fn end_namespace(object: &mut Value) {
    object["status"] = json!({"phase": "Terminating"});
}
