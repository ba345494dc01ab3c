//! The API server, asked with the rights of whoever runs this.

use futures::{Stream, StreamExt as _, stream};
use harbor_robot_operator::api::{
    Account, ClusterHarborRegistry, GROUP, ObjectName, RegistryObject, RobotAccount, SystemRobotAccount,
};
use harbor_robot_operator::cluster::{self, client, within};
use harbor_robot_operator::decode::{Lenient, Unreadable};
use harbor_robot_operator::gate::Gate;
use k8s_openapi::api::core::v1::Namespace;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ListMeta, ObjectMeta};
use kube::api::{Api, ListParams, ObjectList, PatchParams, PostParams, Request};
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::core::PartialObjectMeta;
use kube::{Client, Config, Resource};
use serde::Deserialize;
use serde::de::DeserializeOwned;

use crate::cli::Connection;
use crate::error::Error;
use crate::target::Target;

/// What fields that this writes are called by.
const MANAGER: &str = "kubectl-robots";
/// Objects per page of a list: bounds what is in memory at one time.
const PAGE: u32 = 500;

/// A cluster, and the namespace that is meant where none is named.
pub(crate) struct Cluster {
    pub client: Client,
    pub namespace: ObjectName,
}

/// An object of a list, or why it could not be read.
pub(crate) type Listed<T> = Result<T, Box<Unreadable>>;

/// Which accounts of a list are meant.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Scope<'a> {
    pub all_namespaces: bool,
    pub selector: Option<&'a str>,
}

impl Cluster {
    pub(crate) async fn connect(connection: &Connection) -> Result<Self, Error> {
        let config = config(connection).await.map_err(Error::NoCluster)?;
        let namespace = match &connection.namespace {
            Some(namespace) => namespace.clone(),
            None => ObjectName::new(&config.default_namespace).map_err(|error| {
                Error::NoCluster(format!("the context's namespace {:?} is {error}", config.default_namespace))
            })?,
        };
        let client = client::connect(config).map_err(|error| Error::NoCluster(error.to_string()))?;
        Ok(Self { client: client::behind(Gate::open(), client), namespace })
    }

    /// An account by its name.
    pub(crate) async fn account(&self, target: &Target) -> Result<Account, Error> {
        let namespace = (!target.is_system).then_some(&self.namespace);
        let found = cluster::accounts::read(&self.client, namespace, &target.name).await;
        let found = found.map_err(|error| Error::Kubernetes(format!("cannot read {}", self.place(target)), error))?;
        found.ok_or_else(|| Error::Refused(format!("there is no {}", self.place(target))))
    }

    /// `RobotAccount ci in the namespace team-a`
    fn place(&self, target: &Target) -> String {
        if target.is_system {
            format!("SystemRobotAccount {}", target.name)
        } else {
            format!("RobotAccount {} in the namespace {}", target.name, self.namespace)
        }
    }

    /// The registries of the cluster.
    pub(crate) async fn registries(&self) -> Result<Vec<Listed<RegistryObject>>, cluster::Error> {
        let api = Api::<Lenient<ClusterHarborRegistry>>::all(self.client.clone());
        let found = within(api.list(&ListParams::default())).await?;
        Ok(found.items.into_iter().map(|item| item.into_result().map(RegistryObject::from)).collect())
    }

    /// All namespaces, without what is in them.
    pub(crate) async fn namespaces(&self) -> Result<Vec<ObjectMeta>, cluster::Error> {
        let api: Api<Lenient<PartialObjectMeta<Namespace>>> = Api::all(self.client.clone());
        let found = within(api.list(&ListParams::default())).await?;
        let readable = found.items.into_iter().filter_map(|item| item.into_result().ok());
        Ok(readable.map(|namespace| namespace.metadata).collect())
    }

    /// The RobotAccounts of the scope, page by page.
    pub(crate) fn robot_accounts(&self, scope: Scope<'_>) -> impl Stream<Item = Result<Listed<Account>, Error>> {
        let namespace = (!scope.all_namespaces).then_some(self.namespace.as_str());
        let path = RobotAccount::url_path(&(), namespace);
        pages::<RobotAccount>(self.client.clone(), path, "RobotAccounts", scope.selector)
    }

    /// All accounts of either kind.
    pub(crate) fn all_accounts(&self) -> impl Stream<Item = Result<Listed<Account>, Error>> {
        self.robot_accounts(Scope { all_namespaces: true, selector: None }).chain(self.system_robot_accounts(None))
    }

    /// The SystemRobotAccounts, page by page.
    pub(crate) fn system_robot_accounts(
        &self,
        selector: Option<&str>,
    ) -> impl Stream<Item = Result<Listed<Account>, Error>> {
        let path = SystemRobotAccount::url_path(&(), None);
        pages::<SystemRobotAccount>(self.client.clone(), path, "SystemRobotAccounts", selector)
    }
}

/// How objects are made.
pub(crate) fn post_params() -> PostParams {
    PostParams { field_manager: Some(MANAGER.to_owned()), ..PostParams::default() }
}

/// How objects are changed.
pub(crate) fn patch_params() -> PatchParams {
    PatchParams { field_manager: Some(MANAGER.to_owned()), ..PatchParams::default() }
}

/// What of a page tells whether there is a further one.
#[derive(Deserialize)]
struct Head {
    metadata: ListMeta,
}

/// A page is read by another thread while the next one is on its way.
fn pages<K>(
    client: Client,
    path: String,
    what: &'static str,
    selector: Option<&str>,
) -> impl Stream<Item = Result<Listed<Account>, Error>>
where
    K: Resource<DynamicType = ()> + Clone + DeserializeOwned + Send + 'static,
    Account: From<K>,
{
    let params = ListParams { label_selector: selector.map(ToOwned::to_owned), ..ListParams::default().limit(PAGE) };
    let pages = stream::try_unfold(Some(params), move |params| {
        let (client, request) = (client.clone(), Request::new(path.clone()));
        async move {
            let Some(params) = params else { return Ok(None) };
            let fetched = async {
                let text = client.request_text(request.list(&params).map_err(kube::Error::BuildRequest)?).await?;
                let head: Head = serde_json::from_str(&text).map_err(kube::Error::SerdeError)?;
                Ok((text, head.metadata.continue_.filter(|token| !token.is_empty())))
            };
            let (text, more) = within(fetched).await.map_err(|error| match error {
                cluster::Error::NotFound => Error::NoCluster(format!(
                    "it has no {what}: the definitions of {GROUP} are not installed; is it the right cluster?"
                )),
                error => Error::Kubernetes(format!("cannot list {what}"), error),
            })?;
            let page = tokio::task::spawn_blocking(move || serde_json::from_str::<ObjectList<Lenient<K>>>(&text));
            Ok(Some((page, more.map(|token| params.continue_token(&token)))))
        }
    });
    let unread = move |error: &dyn std::fmt::Display| Error::Refused(format!("cannot read a list of {what}: {error}"));
    let read = pages.map(move |page: Result<_, Error>| async move {
        let page = page?.await.map_err(|error| unread(&error))?;
        page.map(|page| page.items).map_err(|error| unread(&error))
    });
    read.buffered(2).flat_map(|page| {
        let items = match page {
            Ok(items) => items.into_iter().map(|item| Ok(item.into_result().map(Account::from))).collect(),
            Err(error) => vec![Err(error)],
        };
        stream::iter(items)
    })
}

async fn config(connection: &Connection) -> Result<Config, String> {
    let Connection { kubeconfig, context, as_user, as_groups, .. } = connection;
    let mut config = if kubeconfig.is_none() && context.is_none() {
        Config::infer().await.map_err(|error| error.to_string())?
    } else {
        let file = match kubeconfig {
            Some(path) => Kubeconfig::read_from(path),
            None => Kubeconfig::read(),
        };
        let options = KubeConfigOptions { context: context.clone(), ..KubeConfigOptions::default() };
        let file = file.map_err(|error| error.to_string())?;
        Config::from_custom_kubeconfig(file, &options).await.map_err(|error| error.to_string())?
    };
    if let Some(user) = as_user {
        config.auth_info.impersonate = Some(user.clone());
        config.auth_info.impersonate_groups = Some(as_groups.clone());
    }
    Ok(config)
}
