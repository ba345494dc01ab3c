//! Our own objects: finalizer and status. Every write is conditional on the version that was read.

use std::fmt::Debug;
use std::sync::Once;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::api::{Api, ListParams, Patch, PatchParams, PostParams, Request, VersionMatch};
use kube::core::object::HasStatus;
use kube::core::{PartialObjectMeta, Status};
use kube::{Client, Resource};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::{Error, within};
use crate::api::ObjectName;
use crate::decode::{Lenient, Metadata, Unreadable};
use crate::domain::digest;

/// `fieldManager` of everything the operator writes.
pub const MANAGER: &str = "harbor-robot-operator";

/// A kind of ours.
pub trait Object: Resource<DynamicType = ()> + Clone + Debug + Serialize + DeserializeOwned {}

impl<K: Resource<DynamicType = ()> + Clone + Debug + Serialize + DeserializeOwned> Object for K {}

/// An object of which only the metadata is asked for.
pub type Partial<K> = Lenient<PartialObjectMeta<K>>;

/// Reads an object; `None` if it is gone.
///
/// # Errors
/// The API server does not answer, or the object cannot be read.
pub async fn read<K: Object>(api: &Api<Lenient<K>>, name: &ObjectName) -> Result<Option<K>, Error> {
    let Some(found) = within(api.get_opt(name)).await? else { return Ok(None) };
    let mut object = found.into_result()?;
    object.meta_mut().managed_fields = None;
    Ok(Some(object))
}

/// Objects per page of a list: bounds the memory of a start.
pub const PAGE: u32 = 100;

/// True if one of the objects fits, read or not.
///
/// # Errors
/// The API server does not answer, or refuses to list them.
pub async fn any<K: Object>(
    api: &Api<Lenient<K>>,
    fits: impl Fn(Result<K, Box<Unreadable>>) -> bool,
) -> Result<bool, Error> {
    let mut params = ListParams::default().limit(PAGE);
    loop {
        let page = within(api.list(&params)).await?;
        if page.items.into_iter().map(Lenient::into_result).any(&fits) {
            return Ok(true);
        }
        match page.metadata.continue_.filter(|token| !token.is_empty()) {
            Some(token) => params = params.continue_token(&token),
            None => return Ok(false),
        }
    }
}

/// How old the API server's data are.
#[derive(Debug, PartialEq, Eq)]
pub enum Age {
    /// At least as new as was asked for; their version now.
    AtLeast(Option<String>),
    /// Older: they come from a backup.
    Older,
}

/// Asks whether the API server's data are at least as new as a version that it told before. It compares the two by itself:
/// to everybody else a version is no number.
///
/// # Errors
/// The API server does not answer, or not to this login.
pub async fn age<K: Object>(api: &Api<Partial<K>>, seen: Option<&str>) -> Result<Age, Error> {
    let mut params = ListParams::default().limit(1);
    if let Some(version) = seen {
        params = params.at(version).matching(VersionMatch::NotOlderThan);
    }
    let asked = async {
        match api.list(&params).await {
            Ok(list) => Ok(Age::AtLeast(list.metadata.resource_version.filter(|version| !version.is_empty()))),
            Err(kube::Error::Api(status)) if is_ahead(&status) => Ok(Age::Older),
            Err(error) => Err(error),
        }
    };
    within(asked).await
}

/// The version that was asked for is larger than any that there is.
fn is_ahead(status: &Status) -> bool {
    let causes = status.details.iter().flat_map(|details| &details.causes);
    causes.into_iter().any(|cause| cause.reason == "ResourceVersionTooLarge")
}

/// True if the finalizer is there.
pub fn has_finalizer(meta: &ObjectMeta, finalizer: &str) -> bool {
    meta.finalizers.iter().flatten().any(|other| other == finalizer)
}

/// An object's resourceVersion, which is the same or not the same as another's. There is no order on purpose: after a
/// restore of etcd versions begin anew below those that were seen, and whatever waited for a larger one would wait for ever.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Version(u64);

impl Version {
    /// Of no object.
    pub const NONE: Self = Self(0);

    /// For tests that tell versions apart.
    #[cfg(test)]
    pub fn numbered(number: u32) -> Self {
        Self::of(&ObjectMeta { resource_version: Some(number.to_string()), ..ObjectMeta::default() })
    }

    /// The version in an object's metadata.
    pub fn of(meta: &ObjectMeta) -> Self {
        let version = meta.resource_version.as_ref().map(digest);
        version.map_or(Self::NONE, |version| Self(version.max(1)))
    }
}

/// The last field manager besides us that wrote to the object.
pub fn other_manager(meta: &ObjectMeta) -> Option<&str> {
    let managers = meta.managed_fields.iter().flatten();
    let others = managers.filter_map(|entry| entry.manager.as_deref().map(|name| (&entry.time, name)));
    others
        .filter(|(_, name)| *name != MANAGER)
        .max_by_key(|(time, _)| time.as_ref().map(|time| time.0))
        .map(|(_, name)| name)
}

/// True if the object is on its way out.
pub fn is_deleting(meta: &ObjectMeta) -> bool {
    meta.deletion_timestamp.is_some()
}

/// Adds a finalizer to the very object that was read, of the kind at this path.
pub(super) async fn add_finalizer(
    client: &Client,
    path: &str,
    meta: &ObjectMeta,
    finalizer: &str,
) -> Result<ObjectMeta, Error> {
    let all: Vec<&str> = meta.finalizers.iter().flatten().map(String::as_str).chain([finalizer]).collect();
    patch_metadata(client, path, meta, &json!({"finalizers": all})).await
}

/// Removes a finalizer; an object that is gone is fine.
pub(super) async fn remove_finalizer(
    client: &Client,
    path: &str,
    meta: &ObjectMeta,
    finalizer: &str,
) -> Result<(), Error> {
    let others: Vec<&String> = meta.finalizers.iter().flatten().filter(|other| *other != finalizer).collect();
    match patch_metadata(client, path, meta, &json!({"finalizers": others})).await {
        Ok(_) | Err(Error::NotFound) => Ok(()),
        Err(error) => Err(error),
    }
}

/// Merges fields into the metadata of the very object that was read, of the kind at this path.
pub(super) async fn patch_metadata(
    client: &Client,
    path: &str,
    meta: &ObjectMeta,
    fields: &Value,
) -> Result<ObjectMeta, Error> {
    let mut patch = json!({"metadata": fields});
    // In a merge patch the resourceVersion is a precondition; the UID guards against a namesake made since.
    patch["metadata"]["uid"] = json!(meta.uid);
    patch["metadata"]["resourceVersion"] = json!(meta.resource_version);
    let params = PatchParams { field_manager: Some(MANAGER.to_owned()), ..PatchParams::default() };
    let name = meta.name.as_deref().unwrap_or_default();
    let request = Request::new(path).patch_metadata(name, &params, &Patch::Merge(&patch));
    let Metadata(mut written) = within(client.request(request.map_err(kube::Error::BuildRequest)?)).await?;
    written.managed_fields = None;
    Ok(written)
}

/// Replaces the status of the object by the one it now carries. The version keeps a status computed from an old
/// picture from overwriting a newer one.
///
/// # Errors
/// [`Error::Conflict`] if the object changed since; the API server does not answer or refuses it.
pub async fn write_status<K>(api: &Api<Lenient<K>>, mut object: K) -> Result<ObjectMeta, Error>
where
    K: Object + HasStatus<Status: PartialEq + Serialize>,
{
    object.meta_mut().managed_fields = None;
    let name = object.meta().name.clone().unwrap_or_default();
    let params = PostParams { field_manager: Some(MANAGER.to_owned()), ..PostParams::default() };
    let sent = Lenient::new(object);
    let mut written = within(api.replace_status(&name, &params, &sent)).await?;
    if let Some(field) = lost_field(&sent, &written) {
        warn_of_old_definition(&K::kind(&()), &field);
    }
    let mut metadata = std::mem::take(written.meta_mut());
    metadata.managed_fields = None;
    Ok(metadata)
}

/// The first field of the status that was sent and not stored. As a rule both are the same, and nothing is made of either.
fn lost_field<K>(sent: &Lenient<K>, stored: &Lenient<K>) -> Option<String>
where
    K: HasStatus<Status: PartialEq + Serialize>,
{
    let (sent, stored) = (sent.as_result().ok()?.status()?, stored.as_result().ok()?.status()?);
    if sent == stored {
        return None;
    }
    lost(&serde_json::to_value(sent).ok()?, &serde_json::to_value(stored).ok()?, "status")
}

/// The first field that was sent and not stored.
fn lost(sent: &Value, stored: &Value, path: &str) -> Option<String> {
    match (sent, stored) {
        (Value::Object(sent), Value::Object(stored)) => sent.iter().find_map(|(name, value)| {
            let path = format!("{path}.{name}");
            stored.get(name).map_or(Some(path.clone()), |stored| lost(value, stored, &path))
        }),
        (Value::Array(sent), Value::Array(stored)) => {
            sent.iter().zip(stored).find_map(|(sent, stored)| lost(sent, stored, path))
        }
        _ => None,
    }
}

/// Once: each status that is written says it anew.
fn warn_of_old_definition(kind: &str, field: &str) {
    static TOLD: Once = Once::new();
    TOLD.call_once(|| {
        tracing::error!(
            kind,
            field,
            "the API server drops a field of the status: its CustomResourceDefinition is older than this operator. Install the \
             definitions of this version (`harbor-robot-operator crds` prints them)"
        );
    });
}
