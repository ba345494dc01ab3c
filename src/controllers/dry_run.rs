//! The operator's own passes over accounts, up to their plans: nothing is changed, in the cluster or in Harbor, since no
//! request that changes anything gets past a closed gate. For `kubectl robots plan`.

use std::sync::Arc;
use std::time::Instant;

use kube::Client;
use tokio_util::sync::CancellationToken;

use super::accounts::{Foreseen, foresee};
use super::enqueue::Queues;
use super::gaps::Gaps;
use super::index::{Index, Namespace};
use super::registries::{self, By, Registries, resolve};
use super::watch::restores::Restores;
use super::{Context, FormerCalls, Settings};
use crate::api::{Account, RegistryKey, RegistryObject};
use crate::clock::Steady;
use crate::cluster::client;
use crate::cluster::events::Events;
use crate::cluster::objects::Version;
use crate::domain::report::Failure;
use crate::gate::Gate;
use crate::metrics::Metrics;

/// Passes that end with their plan. It knows what it was shown: namespaces and registries come before accounts.
pub struct DryRun(Arc<Context>);

impl DryRun {
    /// Reads by this client, and changes nothing by it.
    pub fn new(client: Client, settings: Settings) -> Self {
        let gate = Gate::closed();
        let client = client::behind(gate.clone(), client);
        let (index, registries) = (Arc::<Index>::default(), Arc::<Registries>::default());
        Self(Arc::new(Context {
            events: Events::new(client.clone(), None),
            client,
            settings,
            queues: Queues::new(1, &index, &registries),
            index,
            registries,
            gaps: Arc::new(Gaps::default()),
            restores: Restores::default(),
            metrics: Arc::new(Metrics::new(env!("CARGO_PKG_VERSION"))),
            clock: Steady::start(),
            carrier: None,
            gate,
            shutdown: CancellationToken::new(),
            // No process before this one left anything under way.
            former_calls: FormerCalls { until: Instant::now(), of_all: false },
        }))
    }

    /// Shows it a namespace: grants ask for labels, and copies of Secrets for places.
    pub fn see_namespace(&self, name: &str, namespace: &Namespace) {
        self.0.index.see_namespace(name, Some(namespace));
    }

    /// Shows it a registry as it is, or as it would be.
    pub fn see_registry(&self, key: &RegistryKey, object: RegistryObject) {
        self.0.registries.observe(key, object, By::Read { before: Version::NONE });
    }

    /// Logs in at a registry that it was shown, with the Secret that the registry names.
    pub async fn log_in(&self, key: &RegistryKey) {
        registries::look(&self.0, key).await;
    }

    /// Which registry an account uses.
    ///
    /// # Errors
    /// Why there is none.
    pub fn registry_of(&self, account: &Account) -> Result<RegistryKey, Failure> {
        resolve::resolve(&self.0.registries, account)
    }

    /// What the next pass over an account would do.
    ///
    /// # Errors
    /// Why it would do nothing.
    pub async fn plan(&self, account: Account) -> Result<Foreseen, Failure> {
        foresee(&self.0, account).await
    }
}
