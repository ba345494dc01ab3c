//! Kubernetes events: one line for a user about what happened to an account. A failed event is logged and forgotten.
//!
//! kube's recorder would keep every event in memory for minutes and walk over all of them for each new one, to aggregate
//! repeats. Here there are none to speak of: an event is published when something changes, not while it lasts.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use jiff::Timestamp;
use k8s_openapi::api::core::v1::ObjectReference;
use k8s_openapi::api::events::v1::Event;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{MicroTime, OwnerReference};
use kube::Client;
use kube::api::{Api, ObjectMeta, PostParams};

use super::objects::MANAGER;
use super::{Error, in_namespace, within};
use crate::api::{Account, GROUP, ObjectName, RegistryObject, VERSION};
use crate::decode::Unreadable;

/// Publishes events.
#[derive(Clone)]
pub struct Events {
    client: Client,
    instance: String,
    moments: Moments,
}

/// The moments that events are named by, as Kubernetes' own recorder does, no two alike: several accounts of a namespace on its
/// way out are told of by one object.
#[derive(Clone, Default)]
struct Moments {
    /// Nanoseconds since 1970.
    last: Arc<AtomicI64>,
}

impl Moments {
    fn next(&self, now: Timestamp) -> i64 {
        let now = i64::try_from(now.as_nanosecond()).unwrap_or(i64::MAX);
        let after = |last: i64| now.max(last.saturating_add(1));
        let last = self.last.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |last| Some(after(last)));
        last.map_or(now, after)
    }
}

/// An account as the object of an event.
pub fn account_reference(account: &Account) -> ObjectReference {
    let OwnerReference { api_version, kind, .. } = account.owner_reference();
    reference(&account.metadata, api_version, kind)
}

/// A registry as the object of an event.
pub fn registry_reference(object: &RegistryObject) -> ObjectReference {
    reference(&object.metadata, format!("{GROUP}/{VERSION}"), object.kind.to_string())
}

/// An object that cannot be read as the object of an event.
pub fn unreadable_reference(object: &Unreadable) -> ObjectReference {
    reference(&object.metadata, object.api_version.clone(), object.kind.clone())
}

fn reference(meta: &ObjectMeta, api_version: String, kind: String) -> ObjectReference {
    ObjectReference {
        api_version: Some(api_version),
        kind: Some(kind),
        namespace: meta.namespace.clone(),
        name: meta.name.clone(),
        uid: meta.uid.clone(),
        resource_version: meta.resource_version.clone(),
        ..ObjectReference::default()
    }
}

/// A namespace as the object of an event. What happens in one that is being deleted is told of it: nothing can be made in
/// it any more, and events of what no namespace holds are in `default`.
pub fn namespace_reference(name: &ObjectName) -> ObjectReference {
    let (api_version, kind) = (Some("v1".to_owned()), Some("Namespace".to_owned()));
    ObjectReference { api_version, kind, name: Some(name.to_string()), ..ObjectReference::default() }
}

impl Events {
    /// Events of this operator; `instance` is the pod's name.
    pub fn new(client: Client, instance: Option<String>) -> Self {
        Self { client, instance: instance.unwrap_or_else(|| MANAGER.to_owned()), moments: Moments::default() }
    }

    /// Publishes an event about an object: a `warning` rather than `Normal`, a short PascalCase word, and a text of at most
    /// 1 kB. Events of cluster-scoped objects are in the namespace `default`.
    pub async fn publish(&self, object: ObjectReference, warning: bool, reason: String, text: &str, now: Timestamp) {
        let Ok(namespace) = ObjectName::new(object.namespace.as_deref().unwrap_or("default")) else { return };
        let name = object.name.clone().unwrap_or_else(|| MANAGER.to_owned());
        let event = Event {
            metadata: ObjectMeta {
                namespace: Some(namespace.to_string()),
                name: Some(format!("{name}.{:x}", self.moments.next(now))),
                ..ObjectMeta::default()
            },
            type_: Some(if warning { "Warning" } else { "Normal" }.to_owned()),
            reason: Some(reason),
            action: Some("Reconcile".to_owned()),
            note: Some(cut(text).to_owned()),
            event_time: Some(MicroTime(now)),
            regarding: Some(object),
            reporting_controller: Some(MANAGER.to_owned()),
            reporting_instance: Some(self.instance.clone()),
            ..Event::default()
        };
        let api: Api<Event> = in_namespace(&self.client, &namespace);
        match within(api.create(&PostParams::default(), &event)).await {
            // Whoever leads tells it.
            Ok(_) | Err(Error::NotLeading) => {}
            Err(error) => tracing::warn!(object = name, %error, "an event was not published"),
        }
    }
}

/// The API server refuses notes over 1 kB.
fn cut(text: &str) -> &str {
    &text[..text.floor_char_boundary(1000)]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_of_one_moment_have_names_of_their_own() {
        let (moments, now) = (Moments::default(), Timestamp::from_nanosecond(20).unwrap());
        assert_eq!([moments.next(now), moments.next(now)], [20, 21]);
        let set_back = Timestamp::from_nanosecond(10).unwrap();
        assert_eq!(moments.clone().next(set_back), 22);
    }
}
