//! Registry objects of both kinds at the API server. They are addressed by their key.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::api::Api;
use kube::{Client, Resource as _};
use serde_json::json;

use super::{Error, in_namespace, objects};
use crate::api::{
    ClusterHarborRegistry, HarborRegistry, HarborRegistrySpec, RegistryKey, RegistryObject, RegistryStatus,
};

/// Which registry the API server has there.
fn key_of(object: &RegistryObject) -> Result<RegistryKey, Error> {
    object.key().map_err(|_| Error::NotFound)
}

/// The path of the registry's kind at the API server.
fn path(object: &RegistryObject) -> Result<String, Error> {
    Ok(match key_of(object)?.namespace() {
        None => ClusterHarborRegistry::url_path(&(), None),
        Some(namespace) => HarborRegistry::url_path(&(), Some(namespace)),
    })
}

/// Reads a registry; `None` if it is gone.
///
/// # Errors
/// The API server does not answer, or the registry cannot be read.
pub async fn read(client: &Client, key: &RegistryKey) -> Result<Option<RegistryObject>, Error> {
    Ok(match key.namespace() {
        None => {
            let api = Api::all(client.clone());
            objects::read::<ClusterHarborRegistry>(&api, key.name()).await?.map(RegistryObject::from)
        }
        Some(namespace) => {
            let api = in_namespace(client, namespace);
            objects::read::<HarborRegistry>(&api, key.name()).await?.map(RegistryObject::from)
        }
    })
}

/// Adds a finalizer to the very registry that was read.
///
/// # Errors
/// [`Error::Conflict`] if the registry changed since; the API server does not answer or refuses it.
pub async fn add_finalizer(client: &Client, object: &RegistryObject, finalizer: &str) -> Result<ObjectMeta, Error> {
    objects::add_finalizer(client, &path(object)?, &object.metadata, finalizer).await
}

/// Removes a finalizer; a registry that is gone is fine.
///
/// # Errors
/// [`Error::Conflict`] if the registry changed since; the API server does not answer or refuses it.
pub async fn remove_finalizer(client: &Client, object: &RegistryObject, finalizer: &str) -> Result<(), Error> {
    objects::remove_finalizer(client, &path(object)?, &object.metadata, finalizer).await
}

/// Sets an annotation on the very registry that was read.
///
/// # Errors
/// [`Error::Conflict`] if the registry changed since; the API server does not answer or refuses it.
pub async fn annotate(client: &Client, object: &RegistryObject, key: &str, value: &str) -> Result<ObjectMeta, Error> {
    objects::patch_metadata(client, &path(object)?, &object.metadata, &json!({"annotations": {key: value}})).await
}

/// Replaces the registry's status, unless the registry changed since it was read.
///
/// # Errors
/// [`Error::Conflict`] if it changed; the API server does not answer or refuses it.
pub async fn write_status(
    client: &Client,
    object: &RegistryObject,
    status: RegistryStatus,
) -> Result<ObjectMeta, Error> {
    let key = key_of(object)?;
    let (metadata, spec, status) = (object.metadata.clone(), object.spec.clone(), Some(status));
    match key.namespace() {
        None => {
            let object = ClusterHarborRegistry { metadata, spec, status };
            objects::write_status(&Api::all(client.clone()), object).await
        }
        Some(namespace) => {
            let object = HarborRegistry { metadata, spec: HarborRegistrySpec::from(spec), status };
            objects::write_status(&in_namespace(client, namespace), object).await
        }
    }
}
