//! What stands around an account in the cluster, as far as whoever asks may read it.

use harbor_robot_operator::api::{Account, ObjectName, RegistryTime, keys};
use harbor_robot_operator::cluster::service_accounts::lists;
use harbor_robot_operator::cluster::{self, within};
use harbor_robot_operator::decode::Lenient;
use harbor_robot_operator::domain::secret_entries::SecretList;
use k8s_openapi::api::core::v1::{Event, Secret, ServiceAccount};
use kube::Resource as _;
use kube::api::{Api, GetParams, ListParams, Request};
use kube::core::PartialObjectMeta;
use serde::Serialize;

use crate::cluster::Cluster;

/// Secrets that are looked at one by one.
const SECRETS: usize = 10;
/// Events that are shown, the latest.
const EVENTS: usize = 5;
/// Events that are read.
const EVENTS_READ: u32 = 500;

/// What was found.
#[derive(Default)]
pub(super) struct Around {
    pub(super) secrets: Vec<SecretFound>,
    /// How many more the status names.
    pub(super) further_secrets: usize,
    /// Oldest first.
    pub(super) events: Vec<EventFound>,
    /// What could not be read.
    pub(super) problems: Vec<String>,
}

/// A Secret of the account.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct SecretFound {
    pub(super) namespace: String,
    pub(super) name: String,
    /// Whose credential it holds, or why that is not known.
    pub(super) state: String,
    pub(super) service_accounts: Vec<Entry>,
}

/// A place in a ServiceAccount where the Secret should be named.
#[derive(Serialize)]
pub(super) struct Entry {
    pub(super) name: String,
    pub(super) list: String,
    pub(super) state: String,
}

/// An event of the account.
#[derive(Serialize)]
pub(super) struct EventFound {
    pub(super) time: Option<RegistryTime>,
    #[serde(rename = "type")]
    pub(super) kind: String,
    pub(super) reason: String,
    pub(super) message: String,
}

pub(super) async fn around(cluster: &Cluster, account: &Account) -> Around {
    let mut around = Around::default();
    let named = account.status.as_ref().map(|status| status.secret_refs.as_slice()).unwrap_or_default();
    for secret in named.iter().take(SECRETS) {
        let found = match (ObjectName::new(&secret.namespace), ObjectName::new(&secret.name)) {
            (Ok(namespace), Ok(name)) => of_secret(cluster, account, &namespace, &name).await,
            _ => continue,
        };
        around.secrets.push(found);
    }
    around.further_secrets = named.len().saturating_sub(SECRETS);
    match events(cluster, account).await {
        Ok(events) => around.events = events,
        Err(error) => around.problems.push(format!("events cannot be listed: {error}")),
    }
    around
}

async fn of_secret(cluster: &Cluster, account: &Account, namespace: &ObjectName, name: &ObjectName) -> SecretFound {
    let state = match within(metadata(cluster, namespace, name)).await {
        Ok(found) => match found.into_result() {
            Ok(secret) => {
                let annotations = secret.metadata.annotations.unwrap_or_default();
                annotations.get(keys::ANNOTATION_ROBOT_NAME).map_or_else(
                    || "carries no note of a robot: it is not the operator's, or was edited".to_owned(),
                    |robot| format!("holds {robot}"),
                )
            }
            Err(unreadable) => unreadable.to_string(),
        },
        Err(cluster::Error::NotFound) => "is not there".to_owned(),
        Err(error) => format!("cannot be read: {error}"),
    };
    let mut service_accounts = Vec::new();
    for wanted in account.service_accounts().into_iter().flatten() {
        for list in SecretList::of(wanted.use_) {
            let state = entry(cluster, namespace, name, &wanted.name, *list).await;
            service_accounts.push(Entry { name: wanted.name.clone(), list: list.to_string(), state });
        }
    }
    SecretFound { namespace: namespace.to_string(), name: name.to_string(), state, service_accounts }
}

/// Of a Secret, which whoever asks need not see.
async fn metadata(
    cluster: &Cluster,
    namespace: &ObjectName,
    name: &ObjectName,
) -> Result<Lenient<PartialObjectMeta<Secret>>, kube::Error> {
    let request = Request::new(Secret::url_path(&(), Some(namespace)));
    cluster.client.request(request.get_metadata(name, &GetParams::default()).map_err(kube::Error::BuildRequest)?).await
}

async fn entry(cluster: &Cluster, namespace: &ObjectName, secret: &ObjectName, name: &str, list: SecretList) -> String {
    let Ok(name) = ObjectName::new(name) else { return "its name is none".to_owned() };
    let api: Api<Lenient<ServiceAccount>> = Api::namespaced(cluster.client.clone(), namespace);
    match within(api.get(&name)).await {
        Ok(found) => match found.into_result() {
            Ok(found) if lists(&found, list, secret) => "names the Secret".to_owned(),
            Ok(_) => "does not name the Secret".to_owned(),
            Err(unreadable) => unreadable.to_string(),
        },
        Err(cluster::Error::NotFound) => "there is no such ServiceAccount yet".to_owned(),
        Err(error) => format!("cannot be read: {error}"),
    }
}

/// The latest events; those of an account of the system are in the namespace `default`.
async fn events(cluster: &Cluster, account: &Account) -> Result<Vec<EventFound>, cluster::Error> {
    let namespace = account.metadata.namespace.as_deref().unwrap_or("default");
    let uid = account.metadata.uid.as_deref().unwrap_or_default();
    let api: Api<Lenient<Event>> = Api::namespaced(cluster.client.clone(), namespace);
    let params = ListParams::default().fields(&format!("involvedObject.uid={uid}")).limit(EVENTS_READ);
    let found = within(api.list(&params)).await?;
    let mut events: Vec<EventFound> =
        found.items.into_iter().filter_map(|event| event.into_result().ok()).map(EventFound::from).collect();
    events.sort_by_key(|event| event.time);
    let older = events.len().saturating_sub(EVENTS);
    Ok(events.split_off(older))
}

impl From<Event> for EventFound {
    fn from(event: Event) -> Self {
        let seen = event.series.as_ref().and_then(|series| series.last_observed_time.as_ref()).map(|time| time.0);
        let time = seen.or(event.event_time.map(|time| time.0)).or(event.last_timestamp.map(|time| time.0));
        Self {
            time: time.map(RegistryTime::from),
            kind: event.type_.unwrap_or_default(),
            reason: event.reason.unwrap_or_default(),
            message: event.message.unwrap_or_default(),
        }
    }
}
