//! `import --apply`: takes robots over one after the other, and stops at the first that does not come into order.

use std::collections::BTreeMap;
use std::process::ExitCode;

use harbor_robot_operator::api::{
    Account, LoginKind, ObjectName, PermissionRecord, RegistryObject, RobotAccount, SystemRobotAccount, keys,
};
use harbor_robot_operator::cluster::{self, within};
use harbor_robot_operator::decode::Lenient;
use k8s_openapi::api::core::v1::Secret;
use kube::Resource;
use kube::api::Api;
use secrecy::{ExposeSecret as _, SecretString};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

use super::manifest::KEY;
use super::{Candidate, ImportArgs};
use crate::attention::{self, Need, is_observed};
use crate::cluster::{Cluster, post_params};
use crate::error::Error;
use crate::output::{counted, say};

/// Between two looks at an account.
const LOOK: std::time::Duration = std::time::Duration::from_millis(100);

/// One that can be done.
struct Step<'a> {
    robot: &'a str,
    object: &'a Value,
    password: Option<&'a SecretString>,
    notes: String,
}

pub(super) async fn run(
    cluster: &Cluster,
    args: &ImportArgs,
    candidates: &[Candidate],
    registry: Option<&RegistryObject>,
) -> Result<ExitCode, Error> {
    if !args.beside {
        may_update(registry)?;
    }
    let (mut steps, mut left_out): (Vec<Step<'_>>, usize) = (Vec::new(), 0);
    let mut taken: BTreeMap<String, &str> = BTreeMap::new();
    for Candidate { found, manifest } in candidates {
        let keeps = args.beside || args.replace_secrets || manifest.password.is_some();
        let notes = manifest.notes.join("; ");
        match &manifest.object {
            Some(object) if keeps => {
                if let Some(other) = taken.insert(shown(object), &found.full_name) {
                    let text = format!("{other} and {} would both be {}", found.full_name, shown(object));
                    return Err(Error::Refused(format!(
                        "{text}: take them one after the other, with --projects and --to"
                    )));
                }
                steps.push(Step { robot: &found.full_name, object, password: manifest.password.as_ref(), notes });
            }
            _ => {
                left_out += 1;
                say(&format!("left out: {}: {notes}", found.full_name));
            }
        }
    }
    if !args.yes {
        for step in &steps {
            let kept = if step.password.is_some() { ", with the secret that it has" } else { "" };
            let notes = if step.notes.is_empty() { String::new() } else { format!(" ({})", step.notes) };
            say(&format!("{} becomes {}{kept}{notes}", step.robot, shown(step.object)));
        }
        say("Nothing was done. Repeat it with --yes.");
        return Ok(ExitCode::SUCCESS);
    }
    let (all, since) = (steps.len(), Instant::now());
    for (done, step) in steps.iter().enumerate() {
        if let Err(error) = one(cluster, step, args).await {
            let text = format!("{}: {error}", shown(step.object));
            let rest = format!("{done} of {} done before; run it again to go on", counted(all, "robot"));
            return Err(match error {
                Error::TimedOut(_) => Error::TimedOut(format!("{text}\n{rest}")),
                _ => Error::Unfinished(format!("{text}\n{rest}")),
            });
        }
        say(&format!("{} of {all}  {} is {}", done + 1, step.robot, shown(step.object)));
    }
    say(&format!("{} in {}s", counted(all, "robot"), since.elapsed().as_secs()));
    if left_out > 0 {
        return Err(Error::Unfinished(format!("{} left out, as said above", counted(left_out, "robot"))));
    }
    Ok(ExitCode::SUCCESS)
}

/// Before anything is done: whether the operator's login may take robots over at all.
fn may_update(registry: Option<&RegistryObject>) -> Result<(), Error> {
    let Some(login) = registry.and_then(|registry| registry.status.as_ref()?.login.as_ref()) else { return Ok(()) };
    // A robot that may see what it holds shows before the first try that it may not.
    let updates =
        |row: &PermissionRecord| row.resource == "project" && row.actions.iter().any(|action| action == "update");
    let lacks =
        login.kind == LoginKind::Robot && !login.permissions.is_empty() && !login.permissions.iter().any(updates);
    let may = login.may_update.unwrap_or(!lacks);
    may.then_some(()).ok_or_else(|| {
        Error::Refused(format!(
            "the registry's login {} may not update robots, so it cannot take one over (docs/logins.md). --beside makes accounts \
             beside them: move whoever uses a robot to its account's Secret, then delete the robot",
            login.name
        ))
    })
}

fn shown(object: &Value) -> String {
    let text = |path: &str| object.pointer(path).and_then(Value::as_str).unwrap_or_default();
    let kind = text("/kind");
    match text("/metadata/namespace") {
        "" => format!("{kind} {}", text("/metadata/name")),
        namespace => format!("{kind} {namespace}/{}", text("/metadata/name")),
    }
}

async fn one(cluster: &Cluster, step: &Step<'_>, args: &ImportArgs) -> Result<(), Error> {
    let text = |path: &str| step.object.pointer(path).and_then(Value::as_str);
    let name =
        |path: &str| text(path).map(ObjectName::new).transpose().map_err(|error| Error::Refused(error.to_string()));
    let object = name("/metadata/name")?.ok_or_else(|| Error::Refused("it has no name".to_owned()))?;
    let namespace = name("/metadata/namespace")?;
    if let Some(password) = step.password {
        let place = namespace.as_ref().unwrap_or(&args.login.cluster_resource_namespace);
        keep_password(cluster, place, &object, password).await?;
    }
    match &namespace {
        Some(namespace) => {
            make::<RobotAccount>(&Api::namespaced(cluster.client.clone(), namespace), step.object).await?;
        }
        None => make::<SystemRobotAccount>(&Api::all(cluster.client.clone()), step.object).await?,
    }
    until_in_order(cluster, namespace.as_ref(), &object, args).await
}

/// The Secret that the account takes its password from.
async fn keep_password(
    cluster: &Cluster,
    place: &ObjectName,
    account: &ObjectName,
    password: &SecretString,
) -> Result<(), Error> {
    let name = format!("{account}-{KEY}");
    let secret: Secret = serde_json::from_value(json!({
        "metadata": {"name": name, "namespace": place.as_str(), "labels": {keys::LABEL_USE: keys::USE_PASSWORD}},
        "type": "Opaque", "stringData": {KEY: password.expose_secret()},
    }))
    .map_err(|error| Error::Refused(error.to_string()))?;
    let api: Api<Lenient<Secret>> = Api::namespaced(cluster.client.clone(), place);
    match within(api.create(&post_params(), &Lenient::new(secret))).await {
        // Of a run before this one, or a person's: the account says if it does not fit.
        Ok(_) | Err(cluster::Error::Conflict) => Ok(()),
        Err(error) => Err(Error::Kubernetes(format!("cannot make the Secret {place}/{name}"), error)),
    }
}

async fn make<K>(api: &Api<Lenient<K>>, object: &Value) -> Result<(), Error>
where
    K: Resource<DynamicType = ()> + Clone + Serialize + DeserializeOwned,
{
    let made: K = serde_json::from_value(object.clone()).map_err(|error| Error::Refused(error.to_string()))?;
    match within(api.create(&post_params(), &Lenient::new(made))).await {
        Ok(_) => Ok(()),
        Err(cluster::Error::Conflict) => is_the_same(api, object).await,
        Err(error) => Err(Error::Kubernetes("not made".to_owned(), error)),
    }
}

/// An account of that name is there: of a run before this one if it is for the same robot.
async fn is_the_same<K>(api: &Api<Lenient<K>>, wanted: &Value) -> Result<(), Error>
where
    K: Resource<DynamicType = ()> + Clone + Serialize + DeserializeOwned,
{
    let name = wanted.pointer("/metadata/name").and_then(Value::as_str).unwrap_or_default();
    let found =
        within(api.get(name)).await.map_err(|error| Error::Kubernetes("cannot be looked at".to_owned(), error))?;
    let found = found.into_result().map_err(|error| Error::Refused(error.to_string()))?;
    let found = serde_json::to_value(found).unwrap_or_default();
    let which = |object: &Value| {
        let spec = &object["spec"];
        let robot = spec["name"].as_str().unwrap_or(name).to_owned();
        (robot, spec["project"].clone(), spec["adoptionPolicy"].clone())
    };
    if which(&found) == which(wanted) {
        return Ok(());
    }
    Err(Error::Unfinished("there is another account of that name: --to names another namespace".to_owned()))
}

async fn until_in_order(
    cluster: &Cluster,
    namespace: Option<&ObjectName>,
    name: &ObjectName,
    args: &ImportArgs,
) -> Result<(), Error> {
    let until = Instant::now() + args.timeout;
    loop {
        let found: Option<Account> = cluster::accounts::read(&cluster.client, namespace, name)
            .await
            .map_err(|error| Error::Kubernetes("cannot be looked at".to_owned(), error))?;
        let attention = found.as_ref().map(attention::of);
        match attention {
            Some(found_in) if found_in.need == Need::Nothing => return Ok(()),
            Some(found_in) if found_in.need == Need::Somebody && found.as_ref().is_some_and(is_observed) => {
                return Err(Error::Unfinished(format!("{}: {}", found_in.reason, found_in.message)));
            }
            found_in if Instant::now() >= until => {
                let why = found_in.map_or("it is gone".to_owned(), |why| format!("{}: {}", why.reason, why.message));
                return Err(Error::TimedOut(format!("not in order after {}s. {why}", args.timeout.as_secs())));
            }
            _ => sleep(LOOK).await,
        }
    }
}
