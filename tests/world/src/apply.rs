//! Server-side apply as `kubectl apply --server-side` does it, within this process: kubectl takes half a second of a
//! processor for each manifest, and every test applies some.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError, mpsc};

use anyhow::{Context, Result, anyhow, bail};
use kube::api::{Api, ApiResource, DynamicObject, Patch, PatchParams, ValidationDirective};
use kube::core::GroupVersionKind;
use kube::discovery::{Scope, pinned_kind};
use kube::{Client, Error};
use serde_json::Value;
use tokio::runtime::{Builder, Runtime};

/// What kubectl calls itself.
const MANAGER: &str = "kubectl";

/// Where objects of a kind are. Kinds are the same on every control plane.
async fn place(client: &Client, kind: &GroupVersionKind) -> kube::Result<(ApiResource, bool)> {
    static KNOWN: Mutex<Option<HashMap<GroupVersionKind, (ApiResource, bool)>>> = Mutex::new(None);
    let known = || KNOWN.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(place) = known().as_ref().and_then(|kinds| kinds.get(kind)) {
        return Ok(place.clone());
    }
    let (resource, capabilities) = pinned_kind(client, kind).await?;
    let place = (resource, capabilities.scope == Scope::Namespaced);
    known().get_or_insert_default().insert(kind.clone(), place.clone());
    Ok(place)
}

/// Applies one object in a manager's name; with `force` also fields that belong to others. Fields that the kind does not
/// have are refused, and one without a namespace goes to `default`, as kubectl has it.
pub async fn apply_object(client: &Client, object: &Value, manager: &str, force: bool) -> Result<()> {
    let text = |path: &str| object.pointer(path).and_then(Value::as_str);
    let (Some(version), Some(kind), Some(name)) = (text("/apiVersion"), text("/kind"), text("/metadata/name")) else {
        bail!("an object needs apiVersion, kind and metadata.name: {object}");
    };
    let (group, version) = version.split_once('/').unwrap_or(("", version));
    let what = GroupVersionKind::gvk(group, version, kind);
    let (resource, namespaced) = place(client, &what).await.map_err(told)?;
    let api: Api<DynamicObject> = if namespaced {
        Api::namespaced_with(client.clone(), text("/metadata/namespace").unwrap_or("default"), &resource)
    } else {
        Api::all_with(client.clone(), &resource)
    };
    let params = PatchParams {
        force,
        field_manager: Some(manager.to_owned()),
        field_validation: Some(ValidationDirective::Strict),
        ..PatchParams::default()
    };
    api.patch(name, &params, &Patch::Apply(object)).await.map(drop).map_err(told)
}

/// The words that kubectl has for it.
fn told(error: Error) -> anyhow::Error {
    match error {
        Error::Api(status) => anyhow!("Error from server ({}): {}", status.reason, status.message),
        other => other.into(),
    }
}

/// The objects of a manifest: documents of YAML or JSON, lists among them.
pub fn objects(manifest: &str) -> Result<Vec<Value>> {
    let documents: Vec<Value> = match serde_json::from_str(manifest) {
        Ok(one) => vec![one],
        Err(_) => serde_saphyr::from_multiple(manifest).context("the manifest is neither JSON nor YAML")?,
    };
    let mut objects = Vec::new();
    for mut document in documents {
        match document.get_mut("items").map(Value::take) {
            Some(Value::Array(items)) => objects.extend(items),
            _ if document.is_null() => {}
            _ => objects.push(document),
        }
    }
    Ok(objects)
}

/// Applies manifests for callers that are not async, or that are and wait: a thread of its own does the work.
pub(crate) struct Applier {
    client: Client,
    runtime: Option<Runtime>,
}

impl Applier {
    /// `connect` is called on the runtime that the client's connections then belong to.
    pub(crate) fn new(connect: impl Future<Output = Result<Client>> + Send + 'static) -> Result<Self> {
        let runtime = Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
        let client = wait(&runtime, connect)?;
        Ok(Self { client, runtime: Some(runtime) })
    }

    /// Applies each object, also after one that was refused, as kubectl does.
    pub(crate) fn apply(&self, manifest: &str) -> Result<()> {
        let (objects, client) = (objects(manifest)?, self.client.clone());
        let runtime = self.runtime.as_ref().context("it is being dropped")?;
        wait(runtime, async move {
            let mut refused = Vec::new();
            for object in &objects {
                if let Err(error) = apply_object(&client, object, MANAGER, false).await {
                    refused.push(format!("{error:#}"));
                }
            }
            if refused.is_empty() { Ok(()) } else { bail!(refused.join("\n")) }
        })
    }
}

impl Drop for Applier {
    fn drop(&mut self) {
        // A runtime must not be waited for within another one.
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

/// Runs a future on a runtime and waits for it, also within another runtime.
fn wait<T: Send + 'static>(runtime: &Runtime, work: impl Future<Output = Result<T>> + Send + 'static) -> Result<T> {
    let (done, result) = mpsc::channel();
    runtime.spawn(async move {
        // Whoever waited may be gone.
        let _ = done.send(work.await);
    });
    result.recv().context("the work was dropped")?
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_manifest_is_json_or_documents_of_yaml_with_lists_among_them() {
        let names = |manifest: &str| -> Vec<String> {
            objects(manifest).unwrap().iter().map(|object| object["kind"].as_str().unwrap().to_owned()).collect()
        };
        assert_eq!(names(r#"{"kind": "A"}"#), ["A"]);
        assert_eq!(names(r#"{"kind": "List", "items": [{"kind": "A"}, {"kind": "B"}]}"#), ["A", "B"]);
        assert_eq!(names("kind: A\n---\nkind: List\nitems: [{kind: B}]\n---\n"), ["A", "B"]);
        assert!(objects("a: [").is_err());
    }
}
