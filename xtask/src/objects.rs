//! Objects that the developer commands look at.

use std::collections::BTreeMap;

use anyhow::{Context, Result};
use harbor_robot_world::Login;
use kube::api::{Api, DynamicObject};
use kube::core::{ApiResource, GroupVersionKind};
use serde_json::Value;

/// Accounts of a namespace.
pub(crate) fn accounts(client: &kube::Client, namespace: &str) -> Api<DynamicObject> {
    api(client, namespace, &GroupVersionKind::gvk("harbor-robots.io", "v1alpha1", "RobotAccount"), "robotaccounts")
}

/// Secrets of a namespace.
pub(crate) fn secrets(client: &kube::Client, namespace: &str) -> Api<DynamicObject> {
    api(client, namespace, &GroupVersionKind::gvk("", "v1", "Secret"), "secrets")
}

fn api(client: &kube::Client, namespace: &str, kind: &GroupVersionKind, plural: &str) -> Api<DynamicObject> {
    Api::namespaced_with(client.clone(), namespace, &ApiResource::from_gvk_with_plural(kind, plural))
}

/// The login in a dockerconfigjson Secret.
pub(crate) fn credential(secret: &DynamicObject) -> Result<Login> {
    let encoded: BTreeMap<String, k8s_openapi::ByteString> = serde_json::from_value(secret.data["data"].clone())?;
    let config: Value = serde_json::from_slice(&encoded.get(".dockerconfigjson").context("no .dockerconfigjson")?.0)?;
    let entry = config["auths"].as_object().and_then(|auths| auths.values().next()).context("no host")?;
    let text = |key: &str| entry[key].as_str().map(str::to_owned).with_context(|| format!("no {key}"));
    Ok(Login { name: text("username")?, secret: text("password")? })
}
