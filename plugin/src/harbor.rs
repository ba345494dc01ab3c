//! A Harbor and a login to it: given on the command line, or those of a registry object whose login Secret one may read.

use std::collections::BTreeSet;
use std::io::{self, IsTerminal as _, Read as _};
use std::path::PathBuf;
use std::sync::Arc;

use clap::{ArgGroup, Args};
use futures::{StreamExt as _, TryStreamExt as _, stream};
use harbor_robot_operator::api::{InvalidName, ObjectName, RegistryKey, RegistryObject};
use harbor_robot_operator::clock::Steady;
use harbor_robot_operator::cluster::login::{self, Trust};
use harbor_robot_operator::cluster::registries;
use harbor_robot_operator::domain::patterns;
use harbor_robot_operator::domain::robot::{Home, Robot};
use harbor_robot_operator::gate::Gate;
use harbor_robot_operator::registry;
use harbor_robot_operator::registry::harbor::{Client, Config, Reach, Room, Timeouts};
use secrecy::SecretString;
use url::Url;

use crate::cluster::Cluster;
use crate::error::Error;
use crate::output::note;

/// Requests started in a second: a person waits for the answer, and others work with this Harbor.
const REQUESTS_PER_SECOND: u32 = 50;
/// Requests under way at one time.
const AT_ONCE: usize = 8;
/// The longest password, in bytes. Harbor takes no longer ones.
const LONGEST_PASSWORD: u64 = 4096;

/// A Harbor and a person's login to it.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Harbor")]
pub(crate) struct LoginArgs {
    /// Where Harbor is, like https://harbor.example.com.
    #[arg(long = "harbor", value_name = "URL")]
    pub url: Option<Url>,
    /// The login's user name.
    #[arg(long, env = "HARBOR_USERNAME", value_name = "NAME")]
    pub username: Option<String>,
    /// Read the password from standard input [default: $HARBOR_PASSWORD].
    #[arg(long)]
    pub password_stdin: bool,
    /// Certificates of the authorities that are trusted, in PEM form [default: the system's].
    #[arg(long, value_name = "FILE")]
    pub ca_file: Option<PathBuf>,
    /// Accept a Harbor at http://. The password then travels in the clear.
    #[arg(long)]
    pub allow_http: bool,
    /// The operator's namespace, where the Secrets of cluster-scoped registries are.
    #[arg(long, env = "CLUSTER_RESOURCE_NAMESPACE", default_value = "harbor-robots", value_name = "NAMESPACE")]
    pub cluster_resource_namespace: ObjectName,
}

/// Which Harbor is asked, and by which login.
#[derive(Debug, Args)]
#[command(group = ArgGroup::new("which_harbor").args(["registry", "url"]).required(true))]
pub(crate) struct HarborArgs {
    /// The Harbor of this registry, by the login whose Secret it names: NAME of a ClusterHarborRegistry, or NAMESPACE/NAME
    /// of a HarborRegistry. You need the right to read that Secret.
    #[arg(long, value_name = "REGISTRY", value_parser = registry_key)]
    pub registry: Option<RegistryKey>,
    #[command(flatten)]
    pub login: LoginArgs,
}

pub(crate) fn registry_key(text: &str) -> Result<RegistryKey, InvalidName> {
    match text.split_once('/') {
        Some((namespace, name)) => RegistryKey::namespaced(namespace, name),
        None => RegistryKey::cluster(text),
    }
}

impl LoginArgs {
    /// The certificates of `--ca-file`.
    pub(crate) fn roots(&self) -> Result<Option<String>, Error> {
        let read = |path: &PathBuf| {
            std::fs::read_to_string(path).map_err(|error| Error::Refused(format!("{}: {error}", path.display())))
        };
        self.ca_file.as_ref().map(read).transpose()
    }

    /// A client for the login of the command line.
    pub(crate) fn client(&self) -> Result<(Url, Client), Error> {
        let url = self.url.clone().ok_or_else(|| Error::Refused("--harbor says where Harbor is".to_owned()))?;
        let username = self
            .username
            .clone()
            .ok_or_else(|| Error::Refused("--username, or $HARBOR_USERNAME, is missing".to_owned()))?;
        let client = self.client_of(&url, username, self.password()?, self.roots()?)?;
        Ok((url, client))
    }

    fn password(&self) -> Result<SecretString, Error> {
        let text = if self.password_stdin {
            let mut text = String::new();
            io::stdin().take(LONGEST_PASSWORD).read_to_string(&mut text)?;
            text
        } else {
            std::env::var("HARBOR_PASSWORD").unwrap_or_default()
        };
        match text.trim_end_matches(['\r', '\n']) {
            "" => Err(Error::Refused(
                "the password is missing: --password-stdin reads it, or set $HARBOR_PASSWORD".to_owned(),
            )),
            password => Ok(password.into()),
        }
    }

    fn client_of(
        &self,
        url: &Url,
        username: String,
        password: SecretString,
        roots: Option<String>,
    ) -> Result<Client, Error> {
        if url.scheme() != "https" && !self.allow_http {
            return Err(Error::Refused(format!(
                "{url} is not https: the password would travel in the clear; --allow-http takes it all the same"
            )));
        }
        let clock = Steady::start();
        let config = Config {
            url: url.clone(),
            username,
            password,
            roots: roots.map(String::into_bytes),
            reach: Reach::Anywhere,
            requests_per_second: REQUESTS_PER_SECOND,
            max_in_flight: AT_ONCE,
            room: Room::default(),
            timeouts: Timeouts::default(),
            user_agent: concat!("kubectl-robots/", env!("CARGO_PKG_VERSION")).to_owned(),
            clock: Arc::new(move || clock.now()),
            observer: None,
            gate: Gate::open(),
            carrier: None,
        };
        Client::new(config).map_err(|error| Error::Refused(format!("{url}: {error}")))
    }
}

/// The registry of the cluster that is of this Harbor: it knows the cluster's name in marks, and the operator's login.
async fn registry_of(cluster: &Cluster, url: &Url) -> Option<RegistryObject> {
    let found = cluster.registries().await.ok()?;
    let is_there =
        |registry: &RegistryObject| registry.spec.url.parse::<Url>().is_ok_and(|other| other.origin() == url.origin());
    found.into_iter().filter_map(Result::ok).find(is_there)
}

/// A Harbor that can be asked.
pub(crate) struct Harbor {
    pub url: String,
    pub client: Client,
    /// The registry object that was named, or that is of this Harbor.
    pub registry: Option<RegistryObject>,
}

impl Harbor {
    /// The hosts by which it is known: keys of docker configurations.
    pub(crate) fn hosts(&self) -> BTreeSet<String> {
        let of_url = |url: &str| url.split("://").nth(1).map(|rest| rest.trim_end_matches('/').to_owned());
        let registry = self.registry.as_ref();
        let named = registry.and_then(|registry| registry.spec.registry_host.clone());
        let told = registry.and_then(|registry| registry.status.as_ref()?.registry_host.clone());
        let further = registry.and_then(|registry| registry.spec.additional_hosts.clone()).unwrap_or_default();
        of_url(&self.url).into_iter().chain(named).chain(told).chain(further).collect()
    }

    /// All robots that the login sees, of the system and of projects that fit one of the patterns; without any: of all.
    pub(crate) async fn robots(&self, patterns: &[String]) -> Result<Vec<Robot>, Error> {
        let failed = |what: &str, error| Error::Refused(format!("{}: {what}: {error}", self.url));
        let projects = self.client.projects().await.map_err(|error| failed("cannot list projects", error))?;
        let fits = |name: &String| patterns.is_empty() || patterns.iter().any(|pattern| patterns::fits(pattern, name));
        let system = patterns.is_empty().then_some(Home::System);
        let homes: Vec<Home> = system.into_iter().chain(projects.into_iter().filter(fits).map(Home::Project)).collect();
        let (all, shows) = (homes.len(), io::stderr().is_terminal());
        let lists = homes.iter().map(|home| async move { (home, self.client.list(home).await) });
        let lists = stream::iter(lists).buffer_unordered(AT_ONCE).enumerate();
        let found = lists.map(|(done, (home, list))| {
            if shows {
                eprint!("\r{} of {all} places", done + 1);
            }
            let place = match home {
                Home::System => "the system".to_owned(),
                Home::Project(name) => format!("project {name}"),
            };
            match list {
                // It went meanwhile, and its robots with it.
                Err(registry::Error::ProjectNotFound(_)) => Ok(Vec::new()),
                Err(error @ registry::Error::Forbidden { .. }) => {
                    note(&format!("warning: the robots of {place} are left out: {error}"));
                    Ok(Vec::new())
                }
                list => list.map_err(|error| failed(&format!("cannot list the robots of {place}"), error)),
            }
        });
        let found: Vec<Vec<Robot>> = found.try_collect().await?;
        if shows {
            eprint!("\r\x1b[K");
        }
        Ok(found.into_iter().flatten().collect())
    }
}

impl HarborArgs {
    pub(crate) async fn connect(&self, cluster: &Cluster) -> Result<Harbor, Error> {
        let Some(key) = &self.registry else {
            let (url, client) = self.login.client()?;
            let registry = registry_of(cluster, &url).await;
            return Ok(Harbor { url: url.to_string(), client, registry });
        };
        let what = || format!("cannot read registry {key}");
        let object = registries::read(&cluster.client, key).await.map_err(|error| Error::Kubernetes(what(), error))?;
        let object = object.ok_or_else(|| Error::Refused(format!("there is no registry {key}")))?;
        let namespace = key.namespace().unwrap_or(&self.login.cluster_resource_namespace);
        let source = object.spec.auth.secret_ref.as_ref();
        let source = source.ok_or_else(|| Error::Refused(format!("registry {key} names no Secret with a login")))?;
        let unread = |error| Error::Refused(format!("cannot read the login of registry {key}: {error}"));
        // Whoever made a registry of a namespace may be somebody who may not read that Secret, and names where it is sent.
        let trust = if key.namespace().is_some() { Trust::Marked } else { Trust::Any };
        let login = login::read(&cluster.client, namespace, source, trust).await.map_err(unread)?;
        let tls = object.spec.tls.clone().unwrap_or_default();
        let roots = match (tls.ca_certificates, &tls.ca_certificates_ref) {
            (Some(pem), _) => Some(pem),
            (None, Some(source)) => {
                Some(login::read_ca_certificates(&cluster.client, namespace, source, trust).await.map_err(unread)?)
            }
            (None, None) => None,
        };
        let url: Url =
            object.spec.url.parse().map_err(|error| Error::Refused(format!("{}: {error}", object.spec.url)))?;
        let client = self.login.client_of(&url, login.username, login.password, roots)?;
        Ok(Harbor { url: object.spec.url.clone(), client, registry: Some(object) })
    }
}
