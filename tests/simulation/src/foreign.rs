//! What another operator of the same cluster serves: registries without a label, and accounts that name them. Nobody else
//! touches those.

use serde_json::{Value, json};

use crate::check::Violation;
use crate::kubernetes::{Id, kind};
use crate::world::{HOSTS, World};

/// The label of the registries that the operator serves.
pub(crate) fn served() -> Value {
    json!({"served-by": "simulated"})
}

/// Their registry and their account.
fn ids() -> [Id; 2] {
    let registry = Id::new(kind("ClusterHarborRegistry"), "", "elsewhere");
    [registry, Id::new(kind("RobotAccount"), "team-c", "foreign")]
}

impl World {
    /// Makes them, before any operator is started.
    pub(crate) fn make_foreign(&self) {
        let [registry, account] = ids();
        let spec = json!({"url": format!("https://{}", HOSTS[0]), "auth": {"secretRef": {"name": "login"}}});
        self.put(registry.kind(), "", &json!({"metadata": {"name": registry.name}, "spec": spec}));
        let spec = json!({
            "registryRef": {"kind": "ClusterHarborRegistry", "name": registry.name},
            "project": "shared", "permissions": ["PullArtifacts"],
        });
        let metadata = json!({"name": account.name, "namespace": account.namespace});
        self.put(account.kind(), &account.namespace, &json!({"metadata": metadata, "spec": spec}));
    }

    /// What of theirs was touched.
    pub(crate) fn touched(&self) -> Option<Violation> {
        let store = self.cluster.store();
        ids().into_iter().find_map(|id| {
            let object = store.get(&id)?;
            let touched = !object["metadata"]["finalizers"].is_null() || !object["status"].is_null();
            touched.then(|| format!("c: {id} is another operator's: {object}"))
        })
    }
}
