//! What controllers do beside the API server: objects whose owners are gone go, too, and so does what is in a namespace that
//! is being deleted, and then the namespace.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::kinds::kind;
use super::rest;
use super::store::{Id, Object, Store};

impl Store {
    /// One round of both controllers: each object whose time has come is deleted now if `now` says so, else later. True if
    /// anything happened.
    pub fn collect(&mut self, mut now: impl FnMut() -> bool) -> bool {
        let before = self.version();
        if self.collected == before {
            return false;
        }
        self.let_go();
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
        let waiting: BTreeSet<&str> = self
            .everything()
            .filter(|(_, object)| is_deleting(object) && has_finalizer(object, FOREGROUND))
            .filter_map(|(_, object)| object["metadata"]["uid"].as_str())
            .collect();
        let awaited = |object: &Value| owners(object).any(|owner| waiting.contains(owner));
        let due = |id: &Id, object: &Value| {
            !is_deleting(object)
                && (orphaned(object) || awaited(object) || (!id.namespace.is_empty() && is_ending(&id.namespace)))
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

impl Store {
    /// Takes off what keeps owners: of those that wait for their dependents once these are gone, of those that leave them
    /// once they are nobody's.
    fn let_go(&mut self) {
        let ending = |finalizer: &'static str| {
            move |(id, object): (&Id, &Object)| {
                let kept = is_deleting(object) && has_finalizer(object, finalizer);
                kept.then(|| (id.clone(), object["metadata"]["uid"].as_str().unwrap_or_default().to_owned()))
            }
        };
        let waiting: Vec<_> = self.everything().filter_map(ending(FOREGROUND)).collect();
        for (id, uid) in waiting {
            if !self.everything().any(|(_, object)| owners(object).any(|owner| owner == uid)) {
                self.take_off(&id, FOREGROUND);
            }
        }
        let leaving: Vec<_> = self.everything().filter_map(ending(ORPHAN)).collect();
        for (id, uid) in leaving {
            let theirs = self.everything().filter(|(_, object)| owners(object).any(|owner| owner == uid));
            let theirs: Vec<_> = theirs.map(|(id, object)| (id.clone(), (**object).clone())).collect();
            for (id, mut object) in theirs {
                if let Some(owners) = object["metadata"]["ownerReferences"].as_array_mut() {
                    owners.retain(|owner| owner["uid"] != uid);
                }
                self.put(&id, object);
            }
            self.take_off(&id, ORPHAN);
        }
    }

    fn take_off(&mut self, id: &Id, finalizer: &str) {
        let Some(mut object) = self.get(id).map(|object| (**object).clone()) else { return };
        let Some(finalizers) = object["metadata"]["finalizers"].as_array_mut() else { return };
        finalizers.retain(|other| other != finalizer);
        if finalizers.is_empty() {
            self.remove(id);
        } else {
            self.put(id, object);
        }
    }
}

/// The object waits until its dependents are gone.
const FOREGROUND: &str = "foregroundDeletion";
/// The object leaves its dependents behind.
const ORPHAN: &str = "orphan";

fn has_finalizer(object: &Value, finalizer: &str) -> bool {
    object["metadata"]["finalizers"].as_array().is_some_and(|all| all.iter().any(|other| other == finalizer))
}

fn owners(object: &Value) -> impl Iterator<Item = &str> {
    let owners = object["metadata"]["ownerReferences"].as_array();
    owners.into_iter().flatten().filter_map(|owner| owner["uid"].as_str())
}

/// True if the object is on its way out.
pub fn is_deleting(object: &Value) -> bool {
    object["metadata"]["deletionTimestamp"].is_string()
}

/// What a namespace looks like when its end begins.
pub(super) fn end_namespace(object: &mut Value) {
    object["status"] = json!({"phase": "Terminating"});
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::{Cluster, Id, kind};

    /// An owner with two finalizers, and a Secret of its own.
    fn cluster() -> Cluster {
        let cluster = Cluster::default();
        let make = |path: &str, object: serde_json::Value| cluster.ask("POST", path, &object).unwrap();
        make("/api/v1/namespaces", json!({"metadata": {"name": "a"}}));
        let owner = json!({"metadata": {"name": "owner", "finalizers": ["example.com/one"]}});
        let owner = make("/api/v1/namespaces/a/configmaps", owner);
        let reference =
            json!({"apiVersion": "v1", "kind": "ConfigMap", "name": "owner", "uid": owner["metadata"]["uid"]});
        let secret = json!({"metadata": {"name": "dependent", "ownerReferences": [reference]}});
        make("/api/v1/namespaces/a/secrets", secret);
        cluster
    }

    fn end(cluster: &Cluster, policy: &str) {
        let path = "/api/v1/namespaces/a/configmaps/owner";
        cluster.ask("DELETE", path, &json!({"propagationPolicy": policy})).unwrap();
        while cluster.store().collect(|| true) {}
    }

    #[test]
    fn a_foreground_deletion_takes_the_dependents_first() {
        let cluster = cluster();
        end(&cluster, "Foreground");
        let store = cluster.store();
        assert!(store.get(&Id::new(kind("Secret"), "a", "dependent")).is_none());
        let owner = store.get(&Id::new(kind("ConfigMap"), "a", "owner")).unwrap();
        assert_eq!(owner["metadata"]["finalizers"], json!(["example.com/one"]));
    }

    #[test]
    fn an_orphaning_deletion_leaves_the_dependents_without_an_owner() {
        let cluster = cluster();
        end(&cluster, "Orphan");
        let store = cluster.store();
        let secret = store.get(&Id::new(kind("Secret"), "a", "dependent")).unwrap();
        assert_eq!(secret["metadata"]["ownerReferences"], json!([]));
        let owner = store.get(&Id::new(kind("ConfigMap"), "a", "owner")).unwrap();
        assert_eq!(owner["metadata"]["finalizers"], json!(["example.com/one"]));
    }
}
