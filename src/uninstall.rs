//! `uninstall`: ends every account, then every registry, while the operator still runs.
//!
//! The order matters: an account is gone when the operator has ended its robot, for which registry and login have to be there.
//! Nothing is forced; what cannot be ended is told, with what keeps it.

mod objects;

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Write};
use std::time::{Duration, Instant};

use futures::stream::{self, StreamExt as _};
use jiff::SignedDuration;
use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::api::core::v1::Secret;
use kube::Client;
use kube::api::{Api, ListParams};
use kube::core::PartialObjectMeta;
use tokio::time::sleep;

use crate::api::{RegistryTime, keys};
use crate::cli::UninstallArgs;
use crate::cluster::{self, client};
use crate::decode::Lenient;
use crate::{clock, deadline, run};
use objects::{Change, Kind, Object};

/// Calls to the API server at the same time.
const AT_ONCE: usize = 16;
/// Between two looks at what is left.
const LOOK: Duration = Duration::from_secs(1);
/// Something is said at least this often.
const SAY: Duration = Duration::from_secs(10);
/// How many objects are named one by one.
const NAMED: usize = 20;
/// Why no robot is left behind.
const NOT_PERMITTED: &str =
    "may not leave their robots behind: have a grant of their registry say `retention: Allowed`, or use --delete";
const SET_BACK: &str = "do not say deletionPolicy: Retain any more: stop who sets it back, or who makes them";
const UNDECIDED: &str = "do not say whether their robots may stay: see the reasons above, or use --delete";

/// Why it stopped.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No cluster to talk to.
    #[error("no access to a Kubernetes API server: {0}")]
    NoCluster(String),
    /// Objects cannot be listed.
    #[error("cannot list {0}: {1}")]
    List(&'static str, cluster::Error),
    /// Something is left.
    #[error("{0}")]
    Left(String),
    /// Nobody reads what it says.
    #[error("cannot write: {0}")]
    Output(#[from] io::Error),
}

/// Runs it on a runtime of its own; what happens goes to standard output.
pub fn block_on(args: &UninstallArgs) -> Result<(), Error> {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let config = kube::Config::infer().await.map_err(|error| Error::NoCluster(error.to_string()))?;
        let client = client::connect(config).map_err(|error| Error::NoCluster(error.to_string()))?;
        run(client, args, io::stdout()).await
    })
}

/// Runs it with a client; what happens goes to `out`.
pub async fn run(client: Client, args: &UninstallArgs, out: impl Write) -> Result<(), Error> {
    Uninstall { client, args, out, until: deadline::from_now(args.timeout) }.run().await
}

struct Uninstall<'a, W> {
    client: Client,
    args: &'a UninstallArgs,
    out: W,
    until: Instant,
}

impl<W: Write> Uninstall<'_, W> {
    async fn run(&mut self) -> Result<(), Error> {
        let (accounts, registries) = (self.list(Kind::ACCOUNTS).await?, self.list(Kind::REGISTRIES).await?);
        self.tell_plan(&accounts, &registries).await?;
        if !self.args.yes {
            writeln!(self.out, "Nothing was done. Repeat it with --yes.")?;
            return Ok(());
        }
        if self.args.retain {
            let accounts = self.retain(&accounts).await?;
            self.end("accounts", Kind::ACCOUNTS, accounts, Change::DeleteAsRead).await?;
        } else {
            self.end("accounts", Kind::ACCOUNTS, accounts, Change::Delete).await?;
        }
        self.end("registries", Kind::REGISTRIES, registries, Change::Delete).await?;
        self.tell_rest().await
    }

    async fn list(&self, kinds: [Kind; 2]) -> Result<Vec<Object>, Error> {
        objects::list(&self.client, kinds, &self.args.namespaces).await
    }

    async fn tell_plan(&mut self, accounts: &[Object], registries: &[Object]) -> Result<(), Error> {
        for kind in Kind::ACCOUNTS.into_iter().chain(Kind::REGISTRIES) {
            let of_kind: Vec<&Object> =
                accounts.iter().chain(registries).filter(|object| object.kind == kind).collect();
            let namespaces: BTreeSet<_> = of_kind.iter().filter_map(|object| object.namespace.as_ref()).collect();
            let place = if kind.is_namespaced { format!(" in {} namespaces", namespaces.len()) } else { String::new() };
            writeln!(self.out, "{:>6} {}{place}", of_kind.len(), kind.plural)?;
        }
        let what = if self.args.retain {
            "Accounts are set to deletionPolicy: Retain and deleted: their robots stay in Harbor until they expire, Secrets and \
             entries in ServiceAccounts stay, and nobody renews them. Then the registries are deleted."
        } else {
            "Accounts are deleted, and with them their robots in Harbor, their Secrets and their entries in ServiceAccounts: what \
             pulls with them does so no longer. Then the registries are deleted."
        };
        writeln!(self.out, "{what}")?;
        if let Some(warning) = self.operator_is_away().await {
            writeln!(self.out, "Warning: {warning}")?;
        }
        Ok(())
    }

    /// What its Lease says. Without one nothing is known: leader election may be off.
    async fn operator_is_away(&self) -> Option<String> {
        let leases: Api<Lease> = cluster::in_namespace(&self.client, &self.args.cluster_resource_namespace);
        let spec = cluster::within(leases.get_opt(run::LEASE)).await.ok()??.spec?;
        let held = spec.holder_identity.as_deref().is_some_and(|holder| !holder.is_empty());
        let renewed = spec.renew_time?.0;
        let lasts = SignedDuration::from_secs(spec.lease_duration_seconds?.into());
        let age = RegistryTime::from(clock::now()).duration_since(renewed.into());
        (!held || age > lasts.saturating_mul(2)).then(|| {
            format!(
                "no operator has renewed its Lease in the namespace {} since {renewed}. Only a running operator ends accounts.",
                self.args.cluster_resource_namespace
            )
        })
    }

    /// Has every robot outlive its account, and gives the accounts as they are when all may. Else nothing is deleted, and what
    /// was changed is changed back: an account that asks for what its registry does not grant would lose its credential.
    async fn retain(&mut self, accounts: &[Object]) -> Result<Vec<Object>, Error> {
        let these: Vec<Object> =
            accounts.iter().filter(|object| !object.is_retained() && !object.is_deleting()).cloned().collect();
        writeln!(self.out, "setting deletionPolicy: Retain on {} accounts", these.len())?;
        let refused = self.each(&these, Change::Retain).await;
        let agreed = if refused.is_empty() {
            self.agreed().await
        } else {
            self.name_refused(&refused)?;
            Err(Error::Left(format!("{} accounts could not be edited", refused.len())))
        };
        if agreed.is_err() {
            let stuck = self.each(&these, Change::Restore).await;
            self.name_refused(&stuck)?;
            let (back, all) = (these.len().saturating_sub(stuck.len()), these.len());
            writeln!(self.out, "nothing was deleted; {back} of {all} accounts say again what they said before")?;
        }
        agreed
    }

    /// Waits until each account says that its robot may stay.
    async fn agreed(&mut self) -> Result<Vec<Object>, Error> {
        let mut said = Instant::now();
        loop {
            if let Some(accounts) = self.look(Kind::ACCOUNTS).await? {
                let living = || accounts.iter().filter(|object| !object.is_deleting());
                let not_permitted =
                    |object: &&Object| object.trouble().is_some_and(|(reason, _)| reason == "NotPermitted");
                self.none(living().filter(not_permitted), NOT_PERMITTED)?;
                self.none(living().filter(|object| !object.is_retained()), SET_BACK)?;
                let waiting = living().filter(|object| !object.is_observed()).count();
                if waiting == 0 {
                    self.none(living().filter(|object| !object.may_retain()), UNDECIDED)?;
                    return Ok(accounts);
                }
                if said.elapsed() >= SAY {
                    said = Instant::now();
                    writeln!(self.out, "  {waiting} accounts wait for the operator to look at them")?;
                }
            }
            if Instant::now() >= self.until {
                return Err(Error::Left("not every account was looked at by the operator: is it running?".to_owned()));
            }
            sleep(LOOK).await;
        }
    }

    /// An error that names these, if there are any.
    fn none<'o>(&mut self, these: impl Iterator<Item = &'o Object> + Clone, what: &str) -> Result<(), Error> {
        match these.clone().count() {
            0 => Ok(()),
            count => {
                self.name(these)?;
                Err(Error::Left(format!("{count} accounts {what}")))
            }
        }
    }

    /// The objects now; none if they cannot be listed, which is told and tried again as long as there is time.
    async fn look(&mut self, kinds: [Kind; 2]) -> Result<Option<Vec<Object>>, Error> {
        match self.list(kinds).await {
            Ok(objects) => Ok(Some(objects)),
            Err(error) if Instant::now() < self.until => {
                writeln!(self.out, "  {error}; trying again")?;
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }

    /// Deletes these and waits until there is none of these kinds. What is refused is asked for again: a registry may go as soon
    /// as it has heard that its last account went.
    async fn end(&mut self, what: &str, kinds: [Kind; 2], these: Vec<Object>, change: Change) -> Result<(), Error> {
        let asked: BTreeSet<String> = these.iter().map(|object| object.uid().to_owned()).collect();
        writeln!(self.out, "deleting {} {what}", these.len())?;
        let mut refused = self.each(&these, change).await;
        let (mut said, mut before) = (Instant::now(), these.len());
        loop {
            let Some(left) = self.look(kinds).await? else {
                sleep(LOOK).await;
                continue;
            };
            let again: Vec<&Object> = left.iter().filter(|object| !asked.contains(object.uid())).collect();
            if !again.is_empty() {
                self.name(again.iter().copied())?;
                let by: BTreeSet<&str> = again.iter().filter_map(|object| object.manager()).collect();
                let by = by.into_iter().collect::<Vec<_>>().join(", ");
                let by = if by.is_empty() { by } else { format!(" by {by}") };
                return Err(Error::Left(format!(
                    "{} {what} were made meanwhile{by}: stop who makes them, and repeat this",
                    again.len()
                )));
            }
            if left.is_empty() {
                writeln!(self.out, "  all {what} are gone")?;
                return Ok(());
            }
            if Instant::now() >= self.until {
                self.name(&left)?;
                self.name_refused(&refused)?;
                return Err(Error::Left(format!(
                    "{} {what} are still there after {:?}. Nothing was forced. See docs/uninstalling.md for what helps; \
                     repeated, this goes on where it was",
                    left.len(),
                    self.args.timeout
                )));
            }
            if left.len() != before || said.elapsed() >= SAY {
                (said, before) = (Instant::now(), left.len());
                let gone = these.len().saturating_sub(left.len());
                writeln!(self.out, "  {gone} of {} are gone{}", these.len(), why(&left))?;
            }
            let unasked: Vec<Object> = left.into_iter().filter(|object| !object.is_deleting()).collect();
            if matches!(change, Change::DeleteAsRead) {
                let set_back = "do not say deletionPolicy: Retain any more, and were not deleted";
                self.none(unasked.iter().filter(|object| !object.is_retained()), set_back)?;
            }
            refused = self.each(&unasked, change).await;
            sleep(LOOK).await;
        }
    }

    /// Does it to each, some at a time; those that it could not be done to.
    async fn each(&self, objects: &[Object], change: Change) -> Vec<(String, cluster::Error)> {
        let client = &self.client;
        let calls = objects.iter().map(|object| async move { (object, objects::apply(client, object, change).await) });
        let failed = stream::iter(calls).buffer_unordered(AT_ONCE);
        failed.filter_map(async |(object, result)| Some((object.shown(), result.err()?))).collect().await
    }

    fn name_refused(&mut self, refused: &[(String, cluster::Error)]) -> Result<(), Error> {
        for (object, error) in refused.iter().take(NAMED) {
            writeln!(self.out, "  {object}: {error}")?;
        }
        Ok(())
    }

    /// Names objects and what keeps them.
    fn name<'o>(&mut self, objects: impl IntoIterator<Item = &'o Object>) -> Result<(), Error> {
        let mut objects = objects.into_iter();
        for object in objects.by_ref().take(NAMED) {
            match object.trouble() {
                Some((reason, message)) => writeln!(self.out, "  {}: {reason}: {message}", object.shown())?,
                None => writeln!(self.out, "  {}", object.shown())?,
            }
        }
        match objects.count() {
            0 => Ok(()),
            more => Ok(writeln!(self.out, "  and {more} more")?),
        }
    }

    /// What is left, and what is to be done with it.
    async fn tell_rest(&mut self) -> Result<(), Error> {
        let selector = ListParams::default().labels(&format!("{}={}", keys::LABEL_MANAGED_BY, keys::MANAGED_BY));
        let mut kept: BTreeMap<String, usize> = BTreeMap::new();
        let everywhere = Api::<Lenient<PartialObjectMeta<Secret>>>::all(self.client.clone());
        let scopes = if self.args.namespaces.is_empty() {
            vec![everywhere]
        } else {
            self.args.namespaces.iter().map(|namespace| cluster::in_namespace(&self.client, namespace)).collect()
        };
        for api in scopes {
            // Who may not list Secrets is told nothing of them.
            for secret in cluster::within(api.list_metadata(&selector)).await.into_iter().flatten() {
                if let Some(namespace) = secret.metadata.namespace {
                    *kept.entry(namespace).or_default() += 1;
                }
            }
        }
        let count: usize = kept.values().sum();
        if count > 0 {
            let each = kept.into_iter().map(|(namespace, count)| format!("{namespace} ({count})"));
            let namespaces = each.collect::<Vec<_>>().join(", ");
            writeln!(self.out, "Left: {count} pull Secrets that nobody renews, in {namespaces}.")?;
        }
        if !self.args.namespaces.is_empty() {
            writeln!(
                self.out,
                "Left: the operator, registries and accounts of the cluster, and those of other namespaces. The definitions of the \
                 kinds have to stay as long as they are used."
            )?;
            return Ok(());
        }
        writeln!(
            self.out,
            "Left: the operator and the definitions of its kinds. Now, with the name of your release:\n  helm uninstall harbor-robot-operator -n {0}    # or \
             kubectl delete -f deploy/install.yaml\n  kubectl delete crd robotaccounts.{1} systemrobotaccounts.{1} \
             harborregistries.{1} clusterharborregistries.{1}",
            self.args.cluster_resource_namespace,
            crate::api::GROUP
        )?;
        Ok(())
    }
}

/// The reasons that keep what is being deleted, with how often.
fn why(left: &[Object]) -> String {
    let mut reasons: BTreeMap<&str, usize> = BTreeMap::new();
    for (reason, _) in left.iter().filter_map(Object::trouble) {
        *reasons.entry(reason).or_default() += 1;
    }
    let reasons: Vec<String> = reasons.into_iter().map(|(reason, count)| format!("{count} {reason}")).collect();
    if reasons.is_empty() { String::new() } else { format!("; {}", reasons.join(", ")) }
}
