//! Registry objects of both kinds at the API server. They are addressed by their key: `name`, or `namespace/name`.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::Client;
use kube::api::Api;

use super::objects::Partial;
use super::{Error, objects};
use crate::api::{
    ClusterHarborRegistry, HarborRegistry, HarborRegistrySpec, RegistryKind, RegistryObject, RegistryStatus,
};
use crate::decode::Lenient;

fn of_the_cluster(client: &Client) -> Api<Lenient<ClusterHarborRegistry>> {
    Api::all(client.clone())
}

fn of_a_namespace(client: &Client, namespace: &str) -> Api<Lenient<HarborRegistry>> {
    Api::namespaced(client.clone(), namespace)
}

fn metadata_of_the_cluster(client: &Client) -> Api<Partial<ClusterHarborRegistry>> {
    Api::all(client.clone())
}

fn metadata_of_a_namespace(client: &Client, namespace: &str) -> Api<Partial<HarborRegistry>> {
    Api::namespaced(client.clone(), namespace)
}

fn namespace(object: &RegistryObject) -> &str {
    object.metadata.namespace.as_deref().unwrap_or_default()
}

/// Reads a registry; `None` if it is gone.
pub async fn read(client: &Client, key: &str) -> Result<Option<RegistryObject>, Error> {
    match key.split_once('/') {
        None => Ok(objects::read(&of_the_cluster(client), key).await?.map(RegistryObject::from)),
        Some((namespace, name)) => {
            Ok(objects::read(&of_a_namespace(client, namespace), name).await?.map(RegistryObject::from))
        }
    }
}

/// Adds a finalizer to the very registry that was read.
pub async fn add_finalizer(client: &Client, object: &RegistryObject, finalizer: &str) -> Result<ObjectMeta, Error> {
    match object.kind {
        RegistryKind::ClusterHarborRegistry => {
            objects::add_finalizer(&metadata_of_the_cluster(client), &object.metadata, finalizer).await
        }
        RegistryKind::HarborRegistry => {
            objects::add_finalizer(&metadata_of_a_namespace(client, namespace(object)), &object.metadata, finalizer)
                .await
        }
    }
}

/// Removes a finalizer; a registry that is gone is fine.
pub async fn remove_finalizer(client: &Client, object: &RegistryObject, finalizer: &str) -> Result<(), Error> {
    match object.kind {
        RegistryKind::ClusterHarborRegistry => {
            objects::remove_finalizer(&metadata_of_the_cluster(client), &object.metadata, finalizer).await
        }
        RegistryKind::HarborRegistry => {
            objects::remove_finalizer(&metadata_of_a_namespace(client, namespace(object)), &object.metadata, finalizer)
                .await
        }
    }
}

/// Sets an annotation on the very registry that was read.
pub async fn annotate(client: &Client, object: &RegistryObject, key: &str, value: &str) -> Result<ObjectMeta, Error> {
    match object.kind {
        RegistryKind::ClusterHarborRegistry => {
            objects::annotate(&metadata_of_the_cluster(client), &object.metadata, key, value).await
        }
        RegistryKind::HarborRegistry => {
            objects::annotate(&metadata_of_a_namespace(client, namespace(object)), &object.metadata, key, value).await
        }
    }
}

/// Replaces the registry's status, unless the registry changed since it was read.
pub async fn write_status(
    client: &Client,
    object: &RegistryObject,
    status: RegistryStatus,
) -> Result<ObjectMeta, Error> {
    let (metadata, spec, status) = (object.metadata.clone(), object.spec.clone(), Some(status));
    match object.kind {
        RegistryKind::ClusterHarborRegistry => {
            objects::write_status(&of_the_cluster(client), ClusterHarborRegistry { metadata, spec, status }).await
        }
        RegistryKind::HarborRegistry => {
            let spec = HarborRegistrySpec::from(spec);
            let object = HarborRegistry { metadata, spec, status };
            let namespace = object.metadata.namespace.clone().unwrap_or_default();
            objects::write_status(&of_a_namespace(client, &namespace), object).await
        }
    }
}
