//! What work waits on, so that no server, however slow, and no namespace, however much it has, takes the places of others.
//!
//! A registry of the cluster is one thing to wait on, whoever's accounts use it. All registries of a namespace are one,
//! however many it has, and all of all namespaces leave a part of the places to the cluster's.

use std::sync::Arc;

use super::index::Index;
use super::registries::Registries;
use super::registries::resolve::resolve;
use super::{Key, RegistryWork};
use crate::api::{Account, ObjectName, RegistryKey};
use crate::engine::{self, Config, Group};

/// Registries probed or swept at the same time.
pub const REGISTRY_CONCURRENCY: usize = 64;
/// … of one namespace, in each way.
const REGISTRIES_OF_A_NAMESPACE: usize = 4;

/// Work on registries of the cluster, and on accounts that use them.
const OF_THE_CLUSTER: usize = 0;
/// … of namespaces.
const OF_NAMESPACES: usize = 1;
/// Sweeps of registries of namespaces, which may take long: probes do not wait for them.
const SWEEPS_OF_NAMESPACES: usize = 2;

/// What passes wait on together.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Server {
    /// A registry of the cluster.
    Registry(ObjectName),
    /// The registries of a namespace.
    Namespace(ObjectName),
    /// Whatever accounts of the system wait on whose registry is not known yet.
    System,
}

/// The server that a registry's key names.
fn server(registry: &RegistryKey) -> Server {
    match registry.namespace() {
        Some(namespace) => Server::Namespace(namespace.clone()),
        None => Server::Registry(registry.name().clone()),
    }
}

/// Accounts of one namespace on one server.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct AccountGroup {
    server: Server,
    /// `None` for accounts of the system.
    namespace: Option<ObjectName>,
}

impl Group for AccountGroup {
    type Pool = Server;

    fn pool(&self) -> Server {
        self.server.clone()
    }

    fn class(&self) -> usize {
        match self.server {
            Server::Registry(_) => OF_THE_CLUSTER,
            Server::Namespace(_) | Server::System => OF_NAMESPACES,
        }
    }
}

impl engine::Key for Key {
    type Group = AccountGroup;

    fn group(&self) -> AccountGroup {
        let server = self.namespace.clone().map_or(Server::System, Server::Namespace);
        AccountGroup { server, namespace: self.namespace.clone() }
    }
}

/// The group of an account: by the registry that it is known to use, or that the object of an event names.
pub fn group_of(
    index: Arc<Index>,
    registries: Arc<Registries>,
) -> impl Fn(&Key, Option<&Box<Account>>) -> AccountGroup + Send + Sync + 'static {
    move |key, account| {
        let named = || resolve(&registries, account?).ok();
        match index.registry(key).or_else(named) {
            Some(registry) => AccountGroup { server: server(&registry), namespace: key.namespace.clone() },
            None => engine::Key::group(key),
        }
    }
}

/// The queue of accounts with so many passes at once.
pub fn account_queue(slots: usize) -> Config {
    let class_limits = [slots, slots - slots / 4, slots];
    Config { slots, class_limits, ..Config::default() }
}

/// Probes or sweeps that take turns as one.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct RegistryGroup {
    server: Server,
    sweep: bool,
}

impl Group for RegistryGroup {
    type Pool = Self;

    fn pool(&self) -> Self {
        self.clone()
    }

    fn class(&self) -> usize {
        match (&self.server, self.sweep) {
            (Server::Registry(_), _) => OF_THE_CLUSTER,
            (Server::Namespace(_) | Server::System, false) => OF_NAMESPACES,
            (Server::Namespace(_) | Server::System, true) => SWEEPS_OF_NAMESPACES,
        }
    }
}

impl engine::Key for RegistryWork {
    type Group = RegistryGroup;

    fn group(&self) -> RegistryGroup {
        match self {
            Self::Probe(name) => RegistryGroup { server: server(name), sweep: false },
            Self::Sweep(name) => RegistryGroup { server: server(name), sweep: true },
        }
    }
}

/// The queue of registries. One that is down is asked every ten seconds, so that everything due drains soon after it is
/// back.
pub fn registry_queue() -> Config {
    let slots = REGISTRY_CONCURRENCY;
    Config {
        backoff: engine::Backoff { limit: std::time::Duration::from_secs(10), ..engine::Backoff::default() },
        group_limit: REGISTRIES_OF_A_NAMESPACE,
        slots,
        class_limits: [slots, slots / 2, slots / 4],
    }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;
    use crate::engine::Queue;

    fn cluster(name: &str) -> RegistryKey {
        RegistryKey::cluster(name).unwrap()
    }

    fn namespaced(namespace: &str, name: &str) -> RegistryKey {
        RegistryKey::namespaced(namespace, name).unwrap()
    }

    fn started(queue: &mut Queue<RegistryWork, ()>, work: impl Iterator<Item = RegistryWork>) -> usize {
        let now = Instant::now();
        work.for_each(|work| queue.change(work, None, now));
        std::iter::from_fn(|| queue.pop(now)).count()
    }

    #[test]
    fn a_registry_of_the_cluster_is_no_namespace_of_that_name() {
        let of = |work: RegistryWork| engine::Key::group(&work);
        assert_ne!(of(RegistryWork::Probe(cluster("harbor"))), of(RegistryWork::Probe(namespaced("harbor", "own"))));
        assert_eq!(of(RegistryWork::Probe(namespaced("team", "a"))), of(RegistryWork::Probe(namespaced("team", "b"))));
    }

    #[test]
    fn neither_sweeps_nor_namespaces_take_all_places() {
        let mut queue = Queue::new(registry_queue(), Instant::now());
        let of = |namespaces: usize| {
            (0..namespaces).flat_map(|n| (0..9).map(move |r| namespaced(&format!("n{n}"), &format!("r{r}"))))
        };
        assert_eq!(started(&mut queue, of(1).map(RegistryWork::Sweep)), 4);
        assert_eq!(started(&mut queue, of(50).map(RegistryWork::Sweep)), 12);
        assert_eq!(started(&mut queue, of(50).map(RegistryWork::Probe)), 32);
        assert_eq!(started(&mut queue, (0..9).map(|n| RegistryWork::Probe(cluster(&format!("main-{n}"))))), 9);
    }
}
