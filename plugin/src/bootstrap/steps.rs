//! The steps of `bootstrap`, each told; what was made for its own sake goes again, however it ends.

use std::time::Duration;

use harbor_robot_operator::api::{
    ClusterHarborRegistry, ObjectName, RegistryKey, RegistryObject, SecretKeyFormat, SystemRobotAccount, conditions,
};
use harbor_robot_operator::clock;
use harbor_robot_operator::cluster::{self, within};
use harbor_robot_operator::decode::Lenient;
use harbor_robot_operator::domain::robot::{Home, Lifetime};
use harbor_robot_operator::registry::harbor::Client;
use harbor_robot_operator::registry::{self, NewRobot};
use k8s_openapi::api::core::v1::Secret;
use kube::api::{Api, DeleteParams, Patch};
use secrecy::ExposeSecret as _;
use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

use super::BootstrapArgs;
use super::manifests::Manifests;
use crate::cluster::{Cluster, patch_params, post_params};
use crate::error::Error;
use crate::output::{note, say};

/// Between two looks.
const LOOK: Duration = Duration::from_millis(500);

pub(super) struct Bootstrap<'a> {
    pub(super) cluster: &'a Cluster,
    /// By the administrator's login.
    pub(super) harbor: &'a Client,
    pub(super) args: &'a BootstrapArgs,
    pub(super) manifests: &'a Manifests<'a>,
}

/// What goes again.
struct Scaffold {
    robot: i64,
    secret: ObjectName,
}

impl Bootstrap<'_> {
    pub(super) async fn run(&self) -> Result<(), Error> {
        let found = self.account_before().await?;
        let former = self.former_login().await?;
        if found {
            say(&format!("SystemRobotAccount {} is there and is used as it is", self.args.account));
        }
        let scaffold = self.scaffold().await?;
        let built = self.build(&scaffold, found).await;
        let restored = match (&built, &former) {
            (Err(_), Some(former)) => self.name_login(former).await,
            _ => Ok(()),
        };
        let cleared = self.clear(scaffold).await;
        built?;
        restored?;
        cleared?;
        say(&format!(
            "done: registry {} logs in with what SystemRobotAccount {} publishes, and renews it. No administrator is needed any \
             more.",
            self.args.registry, self.args.account
        ));
        say("next: say in spec.grants of the registry which namespaces may ask for what (docs/tenancy.md)");
        Ok(())
    }

    /// The login that a registry has had so far, to which it goes back if this comes to nothing.
    async fn former_login(&self) -> Result<Option<ObjectName>, Error> {
        let name = &self.args.registry;
        let key = RegistryKey::cluster(name).map_err(|error| Error::Refused(error.to_string()))?;
        let found = cluster::registries::read(&self.cluster.client, &key).await;
        let found =
            found.map_err(|error| Error::Kubernetes(format!("cannot read ClusterHarborRegistry {name}"), error))?;
        let Some(found) = found else { return Ok(None) };
        self.is_of_this_harbor(&found.spec.url)?;
        let secret = found.spec.auth.secret_ref.map(|secret| secret.name);
        secret.map(|secret| ObjectName::new(&secret)).transpose().map_err(|error| Error::Refused(error.to_string()))
    }

    fn is_of_this_harbor(&self, url: &str) -> Result<(), Error> {
        if url.trim_end_matches('/') == self.manifests.url {
            return Ok(());
        }
        let (name, wanted) = (&self.args.registry, self.manifests.url);
        Err(Error::Refused(format!("ClusterHarborRegistry {name} is of {url}, not of {wanted}")))
    }

    /// True if there is such an account already, and the registry can log in with its Secret.
    async fn account_before(&self) -> Result<bool, Error> {
        let found = cluster::accounts::read(&self.cluster.client, None, &self.args.account).await;
        let found = found.map_err(|error| {
            Error::Kubernetes(format!("cannot read SystemRobotAccount {}", self.args.account), error)
        })?;
        let Some(found) = found else { return Ok(false) };
        let secret = found.secret();
        let has = |name: &str, format| secret.keys.iter().flatten().any(|key| key.key == name && key.format == format);
        let fits = found.secret_name() == *self.args.account
            && has("username", SecretKeyFormat::Username)
            && has("password", SecretKeyFormat::Password);
        fits.then_some(true).ok_or_else(|| {
            Error::Refused(format!(
                "SystemRobotAccount {0} is there, and its Secret is not called {0} with the keys username and password: --account \
                 names another one",
                self.args.account
            ))
        })
    }

    /// A robot of a day in Harbor, and its login in the cluster.
    async fn scaffold(&self) -> Result<Scaffold, Error> {
        let name = format!("harbor-robots-bootstrap-{}", clock::now().as_millisecond());
        let robot = NewRobot {
            home: Home::System,
            name: name.clone(),
            description: "makes the login of the harbor-robot-operator, and goes".to_owned(),
            lifetime: Lifetime::Days(1),
            permissions: self.manifests.rights(),
        };
        let made = self.harbor.create(&robot).await.map_err(|error| in_harbor("cannot make a robot", &error))?;
        say(&format!("made {} in Harbor, for a day at most", made.name));
        let secret = ObjectName::new(&name).map_err(|error| Error::Refused(error.to_string()))?;
        let manifest = self.manifests.secret(&secret, &made.name, made.secret.expose_secret());
        let scaffold = Scaffold { robot: made.id, secret };
        let api: Api<Lenient<Secret>> = self.secrets();
        let object: Lenient<Secret> = Lenient::new(read(manifest)?);
        if let Err(error) = within(api.create(&post_params(), &object)).await {
            let what = format!("cannot make the Secret {}/{name}", self.args.login.cluster_resource_namespace);
            self.clear(scaffold).await?;
            return Err(Error::Kubernetes(what, error));
        }
        Ok(scaffold)
    }

    async fn build(&self, scaffold: &Scaffold, account_is_there: bool) -> Result<(), Error> {
        let BootstrapArgs { registry, account, .. } = self.args;
        self.name_login(&scaffold.secret).await?;
        self.until(&format!("registry {registry} is Ready"), || self.registry_logs_in(None)).await?;
        if !account_is_there {
            let api = Api::<Lenient<SystemRobotAccount>>::all(self.cluster.client.clone());
            let object = Lenient::new(read(self.manifests.account())?);
            let made = within(api.create(&post_params(), &object)).await;
            made.map_err(|error| Error::Kubernetes(format!("cannot make SystemRobotAccount {account}"), error))?;
            say(&format!("made SystemRobotAccount {account}"));
        }
        let robot = self.until(&format!("SystemRobotAccount {account} publishes a login"), || self.published()).await?;
        self.name_login(account).await?;
        let what = format!("registry {registry} logs in as {robot}");
        self.until(&what, || self.registry_logs_in(Some(&robot))).await?;
        Ok(())
    }

    /// Takes away what was only needed on the way. A robot that is left ends by itself within a day.
    async fn clear(&self, scaffold: Scaffold) -> Result<(), Error> {
        let Scaffold { robot, secret } = scaffold;
        let namespace = &self.args.login.cluster_resource_namespace;
        match within(self.secrets().delete(&secret, &DeleteParams::default())).await {
            Ok(_) | Err(cluster::Error::NotFound) => {}
            Err(error) => {
                return Err(Error::Kubernetes(
                    format!("cannot delete the Secret {namespace}/{secret}: delete it"),
                    error,
                ));
            }
        }
        match self.harbor.delete(robot).await {
            Ok(()) | Err(registry::Error::NotFound) => {}
            Err(error) => {
                return Err(in_harbor(
                    &format!("the robot {secret} ends within a day and cannot be deleted now"),
                    &error,
                ));
            }
        }
        say(&format!("deleted the robot {secret} and its Secret"));
        Ok(())
    }

    /// Makes the registry, or gives it the login in this Secret.
    async fn name_login(&self, secret: &ObjectName) -> Result<(), Error> {
        let name = &self.args.registry;
        let api = Api::<Lenient<ClusterHarborRegistry>>::all(self.cluster.client.clone());
        let what = |verb: &str| format!("cannot {verb} ClusterHarborRegistry {name}");
        let found = within(api.get_opt(name)).await.map_err(|error| Error::Kubernetes(what("read"), error))?;
        if let Some(found) = found {
            let found = found.into_result().map_err(|error| Error::Refused(error.to_string()))?;
            self.is_of_this_harbor(&found.spec.url)?;
            let patch = json!({"metadata": {"uid": found.metadata.uid}, "spec": {"auth": {"secretRef": {"name": secret.as_str()}}}});
            let changed = within(api.patch(name, &patch_params(), &Patch::Merge(patch))).await;
            changed.map_err(|error| Error::Kubernetes(what("change"), error))?;
        } else {
            let object = Lenient::new(read(self.manifests.registry(secret))?);
            within(api.create(&post_params(), &object))
                .await
                .map_err(|error| Error::Kubernetes(what("make"), error))?;
        }
        say(&format!("registry {name} logs in with the Secret {secret}"));
        Ok(())
    }

    /// `Ok` with the login once the registry is Ready with it (any that is not the former one); else what it says.
    async fn registry_logs_in(&self, robot: Option<&str>) -> Result<String, String> {
        let api = Api::<Lenient<ClusterHarborRegistry>>::all(self.cluster.client.clone());
        let found = within(api.get(&self.args.registry)).await.map_err(|error| error.to_string())?;
        let found = RegistryObject::from(found.into_result().map_err(|error| error.to_string())?);
        let status = found.status.unwrap_or_default();
        let ready = status.conditions.iter().find(|found| found.type_ == conditions::READY);
        let login = status.login.map(|login| login.name).unwrap_or_default();
        let wanted = robot.map_or_else(|| login.contains("harbor-robots-bootstrap-"), |robot| login == robot);
        match ready {
            Some(ready) if ready.status == "True" && wanted => Ok(login),
            Some(ready) if ready.status != "True" => Err(format!("{}: {}", ready.reason, ready.message)),
            Some(_) => Err(format!("it still logs in as {login}")),
            None => Err("no operator has looked at it yet: does one run, and serve this registry?".to_owned()),
        }
    }

    /// `Ok` with the robot's name once the account publishes a login that works.
    async fn published(&self) -> Result<String, String> {
        let found = cluster::accounts::read(&self.cluster.client, None, &self.args.account).await;
        let account = found.map_err(|error| error.to_string())?.ok_or("it is gone")?;
        let attention = crate::attention::of(&account);
        let robot = account.status.as_ref().and_then(|status| status.robot.as_ref()).map(|robot| robot.name.clone());
        let in_order = attention.need == crate::attention::Need::Nothing;
        robot.filter(|_| in_order).ok_or_else(|| format!("{}: {}", attention.reason, attention.message))
    }

    async fn until<F, L>(&self, what: &str, look: F) -> Result<String, Error>
    where
        F: Fn() -> L,
        L: Future<Output = Result<String, String>>,
    {
        let end = Instant::now() + self.args.timeout;
        let mut said = String::new();
        loop {
            match look().await {
                Ok(found) => {
                    say(what);
                    return Ok(found);
                }
                Err(why) if Instant::now() >= end => {
                    let seconds = self.args.timeout.as_secs();
                    return Err(Error::TimedOut(format!("not within {seconds}s: {what}. {why}")));
                }
                Err(why) if why != said => {
                    note(&format!("waiting until {what}; {why}"));
                    said = why;
                }
                Err(_) => {}
            }
            sleep(LOOK).await;
        }
    }

    fn secrets(&self) -> Api<Lenient<Secret>> {
        Api::namespaced(self.cluster.client.clone(), &self.args.login.cluster_resource_namespace)
    }
}

fn in_harbor(what: &str, error: &registry::Error) -> Error {
    Error::Refused(format!("{what}: {error}"))
}

fn read<T: serde::de::DeserializeOwned>(manifest: Value) -> Result<T, Error> {
    serde_json::from_value(manifest).map_err(|error| Error::Refused(format!("a manifest of ours is wrong: {error}")))
}
