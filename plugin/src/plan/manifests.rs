//! Manifests as the API server would store them: it checks each one and fills its defaults in, as with `--dry-run=server`.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{self, Read as _};
use std::path::Path;

use harbor_robot_operator::api::{
    Account, ClusterHarborRegistry, GROUP, HarborRegistry, ObjectName, RegistryKey, RegistryObject, RobotAccount,
    SystemRobotAccount,
};
use harbor_robot_operator::cluster::{self, explain, within};
use harbor_robot_operator::controllers::index::Namespace;
use harbor_robot_operator::decode::Lenient;
use harbor_robot_operator::domain::report::Failure;
use kube::Resource;
use kube::api::{GetParams, PostParams, Request};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::accounts::Asked;
use super::{Outlook, PlanArgs};
use crate::cluster::{Cluster, post_params};
use crate::error::Error;
use crate::output::note;

/// The largest file that is read, in bytes.
const LARGEST: u64 = 64 * 1024 * 1024;

/// What the manifests come to.
#[derive(Default)]
pub(super) struct Manifests {
    pub(super) accounts: Vec<Asked>,
    pub(super) registries: Vec<RegistryObject>,
    /// Those of them whose URL, certificates or login are not what the cluster has: only the manifest says what is sent where.
    pub(super) elsewhere: BTreeSet<RegistryKey>,
    pub(super) namespaces: Vec<(String, Namespace)>,
    /// What the API server does not take.
    pub(super) refused: Vec<Outlook>,
}

/// A kind, and whether its objects are of namespaces.
type Kind = (&'static str, bool);

/// An object as it would be stored.
struct Stored<K> {
    object: K,
    /// The same as it is now.
    live: Option<Value>,
    /// Why the API server did not look at it, if it did not.
    unchecked: Option<String>,
}

pub(super) async fn read(cluster: &Cluster, args: &PlanArgs) -> Result<Manifests, Error> {
    let mut manifests = Manifests::default();
    for file in &args.files {
        for document in documents(file)? {
            manifests.add(cluster, document, args.delete).await.map_err(|error| match error {
                Error::Refused(text) => Error::Refused(format!("{}: {text}", file.display())),
                error => error,
            })?;
        }
    }
    Ok(manifests)
}

/// The objects of a file, those of Lists one by one.
fn documents(file: &Path) -> Result<Vec<Value>, Error> {
    let refused = |error: &dyn std::fmt::Display| Error::Refused(format!("{}: {error}", file.display()));
    let mut text = String::new();
    if file.as_os_str() == "-" {
        io::stdin().take(LARGEST + 1).read_to_string(&mut text).map_err(|error| refused(&error))?;
    } else {
        let opened = File::open(file).map_err(|error| refused(&error))?;
        opened.take(LARGEST + 1).read_to_string(&mut text).map_err(|error| refused(&error))?;
    }
    if text.len() as u64 > LARGEST {
        return Err(refused(&format!("more than {LARGEST} bytes: plan it in parts")));
    }
    let found: Vec<Value> = serde_saphyr::from_multiple(&text).map_err(|error| refused(&error))?;
    let mut objects = Vec::new();
    for document in found.into_iter().filter(|document| !document.is_null()) {
        match document.get("items").and_then(Value::as_array) {
            Some(items) => objects.extend(items.iter().cloned()),
            None => objects.push(document),
        }
    }
    Ok(objects)
}

fn text<'a>(object: &'a Value, pointer: &str) -> &'a str {
    object.pointer(pointer).and_then(Value::as_str).unwrap_or_default()
}

impl Manifests {
    async fn add(&mut self, cluster: &Cluster, document: Value, delete: bool) -> Result<(), Error> {
        let (kind, name) = (text(&document, "/kind").to_owned(), text(&document, "/metadata/name").to_owned());
        if kind == "Namespace" {
            let labels =
                document.pointer("/metadata/labels").cloned().and_then(|labels| serde_json::from_value(labels).ok());
            self.namespaces.push((name, Namespace { labels: labels.unwrap_or_default(), terminating: false }));
            return Ok(());
        }
        if text(&document, "/apiVersion").split('/').next() != Some(GROUP) {
            note(&format!("left out: {kind} {name}, which is none of {GROUP}"));
            return Ok(());
        }
        ObjectName::new(&name).map_err(|error| Error::Refused(format!("{kind}: metadata.name {name:?} is {error}")))?;
        match kind.as_str() {
            "RobotAccount" => self.account::<RobotAccount>(cluster, ("RobotAccount", true), document, delete).await,
            "SystemRobotAccount" => {
                self.account::<SystemRobotAccount>(cluster, ("SystemRobotAccount", false), document, delete).await
            }
            "ClusterHarborRegistry" => {
                self.registry::<ClusterHarborRegistry>(cluster, ("ClusterHarborRegistry", false), document, delete)
                    .await
            }
            "HarborRegistry" => {
                self.registry::<HarborRegistry>(cluster, ("HarborRegistry", true), document, delete).await
            }
            _ => Err(Error::Refused(format!("{GROUP} has no kind {kind:?}"))),
        }
    }

    async fn account<K>(&mut self, cluster: &Cluster, kind: Kind, document: Value, delete: bool) -> Result<(), Error>
    where
        K: Resource<DynamicType = ()> + DeserializeOwned,
        Account: From<K>,
    {
        if let Some(Stored { object, unchecked, .. }) = self.stored::<K>(cluster, kind, document, delete).await? {
            let asked = Asked { notes: unchecked.into_iter().collect(), ..Asked::of(object.into()) };
            self.accounts.retain(|other| !other.is_same(&asked.account));
            self.accounts.push(asked);
        }
        Ok(())
    }

    async fn registry<K>(&mut self, cluster: &Cluster, kind: Kind, document: Value, delete: bool) -> Result<(), Error>
    where
        K: Resource<DynamicType = ()> + DeserializeOwned,
        RegistryObject: From<K>,
    {
        let (word, name) = (kind.0, text(&document, "/metadata/name"));
        if delete {
            note(&format!("left out: {word} {name}, which stays until none of its accounts is left"));
            return Ok(());
        }
        if let Some(Stored { object, live, unchecked }) = self.stored::<K>(cluster, kind, document, delete).await? {
            let object = RegistryObject::from(object);
            // With other certificates another server may answer at the same URL, and another Secret may be another Harbor's login.
            let (tls, auth) = (serde_json::to_value(&object.spec.tls), serde_json::to_value(&object.spec.auth));
            let is_there = live.is_some_and(|live| {
                let spec = &live["spec"];
                let same =
                    |field: &str, value: serde_json::Result<Value>| value.is_ok_and(|value| spec[field] == value);
                spec["url"] == *object.spec.url && same("tls", tls) && same("auth", auth)
            });
            self.elsewhere.extend(object.key().ok().filter(|_| !is_there));
            if let Some(why) = unchecked {
                note(&format!("{word} {}: {why}", object.name()));
            }
            self.registries.push(object);
        }
        Ok(())
    }

    /// The object as it would be, or as it is if it is to be deleted; `None` if there will be none, which is told.
    async fn stored<K>(
        &mut self,
        cluster: &Cluster,
        (kind, is_namespaced): Kind,
        mut document: Value,
        delete: bool,
    ) -> Result<Option<Stored<K>>, Error>
    where
        K: Resource<DynamicType = ()> + DeserializeOwned,
    {
        let namespace = match text(&document, "/metadata/namespace") {
            _ if !is_namespaced => None,
            "" => Some(cluster.namespace.clone()),
            named => Some(
                ObjectName::new(named)
                    .map_err(|error| Error::Refused(format!("metadata.namespace {named:?} is {error}")))?,
            ),
        };
        if let Some(namespace) = &namespace {
            document["metadata"]["namespace"] = json!(namespace.as_str());
        }
        let name = text(&document, "/metadata/name").to_owned();
        let shown = namespace.as_ref().map_or_else(|| name.clone(), |namespace| format!("{namespace}/{name}"));
        let path = K::url_path(&(), namespace.as_deref());
        let live = live(cluster, &path, &name)
            .await
            .map_err(|error| Error::Kubernetes(format!("cannot read {kind} {shown}"), error))?;
        let (mut object, unchecked) = match (live.clone(), delete) {
            (Some(live), true) => (live, None),
            (None, true) => {
                let failure = Failure::lasting("ObjectNotFound", "there is none");
                self.refused.push(Outlook::refused(kind, shown, failure));
                return Ok(None);
            }
            (live, false) => match checked(cluster, &path, &name, merged(live.as_ref(), &document)).await {
                Ok(stored) => (stored, None),
                Err(Unchecked::Refused(message)) => {
                    self.refused.push(Outlook::refused(kind, shown, Failure::lasting("InvalidSpec", message)));
                    return Ok(None);
                }
                Err(Unchecked::Not(why)) if names_another(live.as_ref(), &document) => {
                    let text = format!("registryRef, project and name of an account cannot be changed; {why}");
                    self.refused.push(Outlook::refused(kind, shown, Failure::lasting("NotAsked", text)));
                    return Ok(None);
                }
                Err(Unchecked::Not(why)) => (by_hand(live.as_ref(), &document), Some(why)),
            },
        };
        object["kind"] = json!(kind);
        let read: Lenient<K> =
            serde_json::from_value(object).map_err(|error| Error::Refused(format!("{kind} {shown}: {error}")))?;
        match read.into_result() {
            Ok(object) => Ok(Some(Stored { object, live, unchecked })),
            Err(object) => {
                self.refused.push(Outlook::refused(kind, shown, Failure::lasting("InvalidSpec", explain(&object))));
                Ok(None)
            }
        }
    }
}

async fn live(cluster: &Cluster, path: &str, name: &str) -> Result<Option<Value>, cluster::Error> {
    let get = async {
        let request = Request::new(path).get(name, &GetParams::default()).map_err(kube::Error::BuildRequest)?;
        cluster.client.request::<Value>(request).await
    };
    match within(get).await {
        Err(cluster::Error::NotFound) => Ok(None),
        found => found.map(Some),
    }
}

/// An object that is not there has neither a UID nor a status, whatever the manifest says: both tell what belongs to it.
fn new(document: &Value) -> Value {
    let mut object = document.clone();
    if let Some(fields) = object.as_object_mut() {
        fields.remove("status");
    }
    if let Some(metadata) = object["metadata"].as_object_mut() {
        metadata.retain(|field, _| matches!(field.as_str(), "name" | "namespace" | "labels" | "annotations"));
    }
    object
}

/// True if the API server would refuse the change of an account for another registry, project or robot.
fn names_another(live: Option<&Value>, document: &Value) -> bool {
    let Some(live) = live else { return false };
    ["registryRef", "project", "name"].iter().any(|field| live["spec"][*field] != document["spec"][*field])
}

/// What is there with the manifest's spec, labels and annotations: what a tool makes of it that owns the whole spec.
fn merged(live: Option<&Value>, document: &Value) -> Value {
    let Some(live) = live else { return new(document) };
    let mut object = live.clone();
    object["spec"] = document["spec"].clone();
    for field in ["labels", "annotations"] {
        for (key, value) in document["metadata"][field].as_object().into_iter().flatten() {
            object["metadata"][field][key] = value.clone();
        }
    }
    object
}

/// The same where the API server did not look at it: a changed spec is another generation.
fn by_hand(live: Option<&Value>, document: &Value) -> Value {
    let mut object = merged(live, document);
    let generation = live.map_or(0, |live| live["metadata"]["generation"].as_i64().unwrap_or_default());
    if live.is_none_or(|live| live["spec"] != object["spec"]) {
        object["metadata"]["generation"] = json!(generation.saturating_add(1));
    }
    object
}

/// Why there is no object as the API server would store it.
enum Unchecked {
    /// It would not.
    Refused(String),
    /// It did not look.
    Not(String),
}

/// The object as the API server would store it.
async fn checked(cluster: &Cluster, path: &str, name: &str, object: Value) -> Result<Value, Unchecked> {
    let params = PostParams { dry_run: true, ..post_params() };
    let unsent = |error: &dyn std::fmt::Display| Unchecked::Not(format!("not checked by the API server: {error}"));
    let data = serde_json::to_vec(&object).map_err(|error| unsent(&error))?;
    let exists = object["metadata"].get("uid").is_some();
    let path = Request::new(path);
    let request = if exists { path.replace(name, &params, data) } else { path.create(&params, data) };
    let mut request = request.map_err(|error| unsent(&error))?;
    // A field that nobody knows is a mistake.
    *request.uri_mut() = format!("{}&fieldValidation=Strict", request.uri()).parse().map_err(|error| unsent(&error))?;
    let sent = cluster.client.request::<Value>(request);
    match tokio::time::timeout(cluster::TIMEOUT, sent).await {
        Ok(Ok(stored)) => Ok(stored),
        Ok(Err(kube::Error::Api(status))) if is_of_the_object(&status) => {
            Err(Unchecked::Refused(status.message.clone()))
        }
        Ok(Err(error)) => Err(unsent(&cluster::Error::from(error))),
        Err(_) => Err(unsent(&"it does not answer")),
    }
}

/// True if the object is refused, and not whoever asks.
fn is_of_the_object(status: &kube::core::Status) -> bool {
    let says_no_dry_run = status.message.contains("does not support dry run");
    (matches!(status.code, 400 | 422) && !says_no_dry_run)
        || (status.code == 403 && status.message.contains("denied request"))
}
