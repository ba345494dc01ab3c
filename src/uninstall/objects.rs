//! The objects of our kinds as `uninstall` sees them: each is read on its own, so that none keeps the others from being ended.

use kube::Client;
use kube::core::params::{DeleteParams, ListParams, Patch, PatchParams, Preconditions};
use kube::core::{Request, request};
use serde::de::{DeserializeOwned, IgnoredAny};
use serde_json::{Value, json};

use super::Error;
use crate::api::{GROUP, ObjectName, VERSION, conditions};
use crate::cluster;

/// Objects per page of a list.
const PAGE: u32 = 500;

/// What fields that this writes are called by.
const MANAGER: &str = "harbor-robot-operator-uninstall";

/// A kind of ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Kind {
    /// The resource, as kubectl takes it.
    pub plural: &'static str,
    pub is_namespaced: bool,
}

impl Kind {
    const SYSTEM_ROBOT_ACCOUNT: Self = Self { plural: "systemrobotaccounts", is_namespaced: false };
    pub(super) const ACCOUNTS: [Self; 2] =
        [Self { plural: "robotaccounts", is_namespaced: true }, Self::SYSTEM_ROBOT_ACCOUNT];
    pub(super) const REGISTRIES: [Self; 2] = [
        Self { plural: "harborregistries", is_namespaced: true },
        Self { plural: "clusterharborregistries", is_namespaced: false },
    ];

    /// The path of the kind's objects; without a namespace, or of a kind of the cluster: of all.
    fn path(self, namespace: Option<&ObjectName>) -> String {
        let place = namespace.filter(|_| self.is_namespaced).map(|name| format!("namespaces/{name}/"));
        format!("/apis/{GROUP}/{VERSION}/{}{}", place.unwrap_or_default(), self.plural)
    }
}

/// An object, as far as it can be read.
#[derive(Clone, Debug)]
pub(super) struct Object {
    pub kind: Kind,
    pub namespace: Option<ObjectName>,
    pub name: ObjectName,
    whole: Value,
}

impl Object {
    fn read(kind: Kind, whole: Value) -> Option<Self> {
        let text = |path: &str| whole.pointer(path).and_then(Value::as_str);
        let name = ObjectName::new(text("/metadata/name")?).ok()?;
        let namespace = text("/metadata/namespace").map(ObjectName::new).transpose().ok()?;
        Some(Self { kind, namespace, name, whole })
    }

    fn text(&self, path: &str) -> &str {
        self.whole.pointer(path).and_then(Value::as_str).unwrap_or_default()
    }

    fn condition(&self, kind: &str, status: &str) -> Option<&Value> {
        let all = self.whole.pointer("/status/conditions").and_then(Value::as_array);
        all.into_iter().flatten().find(|condition| condition["type"] == kind && condition["status"] == status)
    }

    pub(super) fn uid(&self) -> &str {
        self.text("/metadata/uid")
    }

    pub(super) fn is_deleting(&self) -> bool {
        !self.text("/metadata/deletionTimestamp").is_empty()
    }

    pub(super) fn is_retained(&self) -> bool {
        self.text("/spec/deletionPolicy") == "Retain"
    }

    /// True if it is known that its robot may outlive it. Of what a registry of the cluster grants only an account that is as its
    /// spec asks for says so: one that waits or is suspended was not compared with the grants.
    pub(super) fn may_retain(&self) -> bool {
        self.condition(conditions::SYNCED, "True").is_some()
            || self.kind == Kind::SYSTEM_ROBOT_ACCOUNT
            || self.text("/status/registry/kind") == "HarborRegistry"
    }

    /// True if the operator has looked at the spec as it is.
    pub(super) fn is_observed(&self) -> bool {
        let number = |path: &str| self.whole.pointer(path).and_then(Value::as_i64);
        number("/status/observedGeneration") == number("/metadata/generation")
    }

    /// Reason and message of what keeps it from being in order.
    pub(super) fn trouble(&self) -> Option<(&str, &str)> {
        let found =
            self.condition(conditions::SYNCED, "False").or_else(|| self.condition(conditions::READY, "False"))?;
        Some((found["reason"].as_str().unwrap_or_default(), found["message"].as_str().unwrap_or_default()))
    }

    /// Who applied it last, as far as its managed fields tell.
    pub(super) fn manager(&self) -> Option<&str> {
        let managers = self.whole.pointer("/metadata/managedFields").and_then(Value::as_array)?;
        let mut names = managers.iter().filter_map(|entry| entry["manager"].as_str());
        names.rfind(|name| *name != cluster::objects::MANAGER && *name != MANAGER)
    }

    /// `robotaccounts team-a/ci`
    pub(super) fn shown(&self) -> String {
        match &self.namespace {
            Some(namespace) => format!("{} {namespace}/{}", self.kind.plural, self.name),
            None => format!("{} {}", self.kind.plural, self.name),
        }
    }
}

/// The objects of some kinds, in these namespaces; without any: all. A kind that is not defined has none.
pub(super) async fn list(
    client: &Client,
    kinds: impl IntoIterator<Item = Kind>,
    namespaces: &[ObjectName],
) -> Result<Vec<Object>, Error> {
    let mut objects = Vec::new();
    for kind in kinds {
        if namespaces.is_empty() {
            list_at(client, kind, None, &mut objects).await?;
        } else if kind.is_namespaced {
            for namespace in namespaces {
                list_at(client, kind, Some(namespace), &mut objects).await?;
            }
        }
    }
    Ok(objects)
}

async fn list_at(
    client: &Client,
    kind: Kind,
    namespace: Option<&ObjectName>,
    objects: &mut Vec<Object>,
) -> Result<(), Error> {
    let request = Request::new(kind.path(namespace));
    let mut params = ListParams::default().limit(PAGE);
    loop {
        let page = match send::<Value>(client, request.list(&params)).await {
            Ok(page) => page,
            Err(cluster::Error::NotFound) => return Ok(()),
            Err(error) => return Err(Error::List(kind.plural, error)),
        };
        let items = page["items"].as_array().cloned().unwrap_or_default();
        objects.extend(items.into_iter().filter_map(|item| Object::read(kind, item)));
        match page["metadata"]["continue"].as_str().filter(|token| !token.is_empty()) {
            Some(token) => params = params.continue_token(token),
            None => return Ok(()),
        }
    }
}

/// What becomes of an object.
#[derive(Clone, Copy, Debug)]
pub(super) enum Change {
    /// The robot outlives its account.
    Retain,
    /// What the account said before of its robot.
    Restore,
    /// The very object is asked to go.
    Delete,
    /// … as it was read, or not at all.
    DeleteAsRead,
}

/// An object that is gone is fine.
pub(super) async fn apply(client: &Client, object: &Object, change: Change) -> Result<(), cluster::Error> {
    let request = Request::new(object.kind.path(object.namespace.as_ref()));
    let request = match change {
        Change::Retain | Change::Restore => {
            let before = object.whole.pointer("/spec/deletionPolicy").cloned().unwrap_or_default();
            let policy = if matches!(change, Change::Retain) { json!("Retain") } else { before };
            let patch = json!({"metadata": {"uid": object.uid()}, "spec": {"deletionPolicy": policy}});
            let params = PatchParams { field_manager: Some(MANAGER.to_owned()), ..PatchParams::default() };
            request.patch(&object.name, &params, &Patch::Merge(patch))
        }
        Change::Delete | Change::DeleteAsRead => {
            let mut read = Preconditions { uid: Some(object.uid().to_owned()), ..Preconditions::default() };
            if matches!(change, Change::DeleteAsRead) {
                read.resource_version = Some(object.text("/metadata/resourceVersion").to_owned());
            }
            request.delete(&object.name, &DeleteParams { preconditions: Some(read), ..DeleteParams::default() })
        }
    };
    match send::<IgnoredAny>(client, request).await {
        Ok(_) | Err(cluster::Error::NotFound) => Ok(()),
        Err(error) => Err(error),
    }
}

async fn send<T: DeserializeOwned>(
    client: &Client,
    request: Result<hyper::Request<Vec<u8>>, request::Error>,
) -> Result<T, cluster::Error> {
    let request = request.map_err(kube::Error::BuildRequest)?;
    cluster::within(client.request(request)).await
}
