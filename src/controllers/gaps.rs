//! What the operator cannot see although it looks: objects that cannot be read, namespaces that it may not list, and kinds
//! that the API server does not have.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use tokio::sync::Semaphore;

use crate::decode::Unreadable;
use crate::domain::digest;
use crate::metrics::Metrics;

/// Every kind that is listed or watched.
const KINDS: [&str; 7] = [
    "RobotAccount",
    "SystemRobotAccount",
    "HarborRegistry",
    "ClusterHarborRegistry",
    "Secret",
    "ServiceAccount",
    "Namespace",
];

/// An object by kind, namespace (empty for the cluster's) and name.
type Object = (&'static str, Box<str>, Box<str>);

/// So many of the objects that cannot be read are written to at once.
const WRITERS: usize = 4;

/// See the module.
pub struct Gaps {
    inner: Mutex<Inner>,
    gate: Arc<Semaphore>,
}

impl Default for Gaps {
    fn default() -> Self {
        Self { inner: Mutex::default(), gate: Arc::new(Semaphore::new(WRITERS)) }
    }
}

#[derive(Default)]
struct Inner {
    /// With the digest of what is wrong.
    unreadable: HashMap<Object, u64>,
    /// By kind and namespace; empty: the whole cluster.
    refused: BTreeSet<(&'static str, Box<str>)>,
    missing: BTreeSet<&'static str>,
}

fn kind_of(name: &str) -> &'static str {
    KINDS.into_iter().find(|kind| *kind == name).unwrap_or("other")
}

fn key(kind: &str, namespace: Option<&str>, name: &str) -> Object {
    (kind_of(kind), namespace.unwrap_or_default().into(), name.into())
}

fn key_of(kind: &str, meta: &ObjectMeta) -> Object {
    key(kind, meta.namespace.as_deref(), meta.name.as_deref().unwrap_or_default())
}

impl Gaps {
    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Who tells of an object waits for its turn: there may be thousands.
    pub(super) fn gate(&self) -> Arc<Semaphore> {
        Arc::clone(&self.gate)
    }

    /// Notes an object that cannot be read; true if nobody was told of that yet.
    pub fn unreadable(&self, object: &Unreadable) -> bool {
        let wrong = digest((&object.path, &object.detail, &object.metadata.uid));
        self.lock().unreadable.insert(key_of(&object.kind, &object.metadata), wrong) != Some(wrong)
    }

    /// The object is read, or gone; true if it could not be read before.
    pub fn readable(&self, kind: &str, meta: &ObjectMeta) -> bool {
        let mut inner = self.lock();
        // Nearly always there is none, and then no name is copied.
        !inner.unreadable.is_empty() && inner.unreadable.remove(&key_of(kind, meta)).is_some()
    }

    /// True if the object is there and cannot be read.
    pub fn is_unreadable(&self, kind: &str, namespace: Option<&str>, name: &str) -> bool {
        self.lock().unreadable.contains_key(&key(kind, namespace, name))
    }

    /// Notes that objects of a kind may not be listed in a namespace (`None`: in the cluster); true if that is news.
    pub fn refused(&self, kind: &str, namespace: Option<&str>) -> bool {
        self.lock().refused.insert((kind_of(kind), namespace.unwrap_or_default().into()))
    }

    /// They may; true if that is news.
    pub fn allowed(&self, kind: &str, namespace: Option<&str>) -> bool {
        self.lock().refused.remove(&(kind_of(kind), namespace.unwrap_or_default().into()))
    }

    /// True if objects of a kind may not be listed there, by themselves or with those of the whole cluster.
    pub fn is_refused(&self, kind: &str, namespace: Option<&str>) -> bool {
        let (inner, kind) = (self.lock(), kind_of(kind));
        [namespace.unwrap_or_default(), ""].into_iter().any(|place| inner.refused.contains(&(kind, place.into())))
    }

    /// Notes that the API server does not have a kind; true if that is news.
    pub fn missing(&self, kind: &str) -> bool {
        self.lock().missing.insert(kind_of(kind))
    }

    /// It has; true if that is news.
    pub fn found(&self, kind: &str) -> bool {
        self.lock().missing.remove(kind_of(kind))
    }

    /// Sets the gauges.
    pub fn measure(&self, metrics: &Metrics) {
        let inner = self.lock();
        for kind in KINDS {
            metrics.unreadable(kind, inner.unreadable.keys().filter(|(of, ..)| *of == kind).count());
            metrics.refused(kind, inner.refused.iter().filter(|(of, _)| *of == kind).count());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_may_not_be_listed_in_the_cluster_may_be_listed_in_no_namespace() {
        let gaps = Gaps::default();
        assert!(gaps.refused("HarborRegistry", None) && gaps.refused("RobotAccount", Some("team-a")));
        let refused = |kind, namespace| gaps.is_refused(kind, namespace);
        assert!(refused("HarborRegistry", Some("team-a")) && refused("HarborRegistry", None));
        assert!(refused("RobotAccount", Some("team-a")));
        assert!(!refused("RobotAccount", Some("team-b")) && !refused("RobotAccount", None));
        assert!(gaps.allowed("HarborRegistry", None) && !refused("HarborRegistry", Some("team-a")));
    }
}
