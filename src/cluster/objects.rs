//! Our own objects: finalizer and status. Every write is conditional on the version that was read.

use std::fmt::Debug;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::Resource;
use kube::api::{Api, ListParams, Patch, PatchParams, PostParams};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::json;

use super::secrets::MANAGER;
use super::{Error, within};

/// A kind of ours.
pub trait Object: Resource<DynamicType = ()> + Clone + Debug + Serialize + DeserializeOwned {}

impl<K: Resource<DynamicType = ()> + Clone + Debug + Serialize + DeserializeOwned> Object for K {}

/// Reads an object; `None` if it is gone.
pub async fn read<K: Object>(api: &Api<K>, name: &str) -> Result<Option<K>, Error> {
    within(api.get_opt(name)).await
}

/// Objects per page of a list: bounds the memory of a start.
pub const PAGE: u32 = 100;

/// True if one of the objects fits.
pub async fn any<K: Object>(api: &Api<K>, fits: impl Fn(K) -> bool) -> Result<bool, Error> {
    let mut params = ListParams::default().limit(PAGE);
    loop {
        let page = within(api.list(&params)).await?;
        if page.items.into_iter().any(&fits) {
            return Ok(true);
        }
        match page.metadata.continue_.filter(|token| !token.is_empty()) {
            Some(token) => params = params.continue_token(&token),
            None => return Ok(false),
        }
    }
}

/// True if the finalizer is there.
pub fn has_finalizer(meta: &ObjectMeta, finalizer: &str) -> bool {
    meta.finalizers.iter().flatten().any(|other| other == finalizer)
}

/// An object's resourceVersion as a number: of two versions of one object the later one's is larger (API servers promise
/// that they compare, KEP-5504). 0 if it is not a number, which no API server sends.
pub fn version(meta: &ObjectMeta) -> u64 {
    meta.resource_version.as_ref().and_then(|version| version.parse().ok()).unwrap_or_default()
}

/// True if the object is on its way out.
pub fn is_deleting(meta: &ObjectMeta) -> bool {
    meta.deletion_timestamp.is_some()
}

/// Adds a finalizer to the very object that was read.
pub async fn add_finalizer<K: Object>(api: &Api<K>, meta: &ObjectMeta, finalizer: &str) -> Result<ObjectMeta, Error> {
    let mut finalizers = meta.finalizers.clone().unwrap_or_default();
    finalizers.push(finalizer.to_owned());
    set_finalizers(api, meta, &finalizers).await
}

/// Removes a finalizer; an object that is gone is fine.
pub async fn remove_finalizer<K: Object>(api: &Api<K>, meta: &ObjectMeta, finalizer: &str) -> Result<(), Error> {
    let others: Vec<String> = meta.finalizers.iter().flatten().filter(|other| *other != finalizer).cloned().collect();
    match set_finalizers(api, meta, &others).await {
        Ok(_) | Err(Error::NotFound) => Ok(()),
        Err(error) => Err(error),
    }
}

async fn set_finalizers<K: Object>(
    api: &Api<K>,
    meta: &ObjectMeta,
    finalizers: &[String],
) -> Result<ObjectMeta, Error> {
    // In a merge patch the resourceVersion is a precondition; the UID guards against a namesake made since.
    let patch = json!({"metadata": {
        "uid": meta.uid,
        "resourceVersion": meta.resource_version,
        "finalizers": finalizers,
    }});
    let params = PatchParams { field_manager: Some(MANAGER.to_owned()), ..PatchParams::default() };
    let name = meta.name.as_deref().unwrap_or_default();
    Ok(within(api.patch_metadata(name, &params, &Patch::Merge(&patch))).await?.metadata)
}

/// Replaces the status of the object by the one it now carries. The version keeps a status computed from an old
/// picture from overwriting a newer one.
pub async fn write_status<K: Object>(api: &Api<K>, mut object: K) -> Result<ObjectMeta, Error> {
    object.meta_mut().managed_fields = None;
    let name = object.meta().name.clone().unwrap_or_default();
    let params = PostParams { field_manager: Some(MANAGER.to_owned()), ..PostParams::default() };
    let mut written = within(api.replace_status(&name, &params, &object)).await?;
    Ok(std::mem::take(written.meta_mut()))
}
