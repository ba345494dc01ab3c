//! Credentials that people put into Secrets: the registry's login, a CA bundle.

use k8s_openapi::api::core::v1::{ConfigMap, Secret};
use kube::Client;
use kube::api::Api;
use secrecy::{ExposeSecret as _, SecretString};

use super::{Error, within};
use crate::api::{CaBundleKind, CaBundleRef};

/// How the operator logs in to a registry.
#[derive(Clone, Debug)]
pub struct Login {
    /// Full robot name or a person's name.
    pub username: String,
    /// Its secret.
    pub password: SecretString,
}

impl Login {
    /// A digest of name and password that tells whether either changed. Kept in memory only.
    pub fn fingerprint(&self) -> u64 {
        use std::hash::{DefaultHasher, Hash as _, Hasher as _};
        let mut hash = DefaultHasher::new();
        (&self.username, self.password.expose_secret()).hash(&mut hash);
        hash.finish()
    }
}

/// Why a login cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum LoginError {
    /// The Secret or one of its keys is not there.
    #[error("{0}")]
    Missing(String),
    /// Kubernetes did not answer.
    #[error(transparent)]
    Kube(#[from] Error),
}

/// Reads keys `username` and `password` of a Secret.
pub async fn read(client: &Client, namespace: &str, name: &str) -> Result<Login, LoginError> {
    let api: Api<Secret> = Api::namespaced(client.clone(), namespace);
    let Some(secret) = within(api.get_opt(name)).await? else {
        return Err(LoginError::Missing(format!(
            "Secret {name} does not exist in namespace {namespace}; create it with the keys username and password"
        )));
    };
    let text = |key: &str| {
        let bytes = secret.data.as_ref().and_then(|data| data.get(key)).map(|bytes| bytes.0.clone());
        bytes
            .and_then(|bytes| String::from_utf8(bytes).ok())
            .map(|text| text.trim_end_matches(['\n', '\r']).to_owned())
            .filter(|text| !text.is_empty())
    };
    let missing = |key: &str| {
        LoginError::Missing(format!("Secret {name} in namespace {namespace} has no text under the key {key}"))
    };
    Ok(Login {
        username: text("username").ok_or_else(|| missing("username"))?,
        password: text("password").ok_or_else(|| missing("password"))?.into(),
    })
}

/// Reads a CA bundle (PEM) from a ConfigMap or a Secret.
pub async fn read_ca_bundle(client: &Client, namespace: &str, source: &CaBundleRef) -> Result<String, LoginError> {
    let CaBundleRef { kind, name, key } = source;
    let text = match kind {
        CaBundleKind::ConfigMap => {
            let api: Api<ConfigMap> = Api::namespaced(client.clone(), namespace);
            within(api.get_opt(name)).await?.and_then(|map| map.data?.remove(key))
        }
        CaBundleKind::Secret => {
            let api: Api<Secret> = Api::namespaced(client.clone(), namespace);
            let bytes = within(api.get_opt(name)).await?.and_then(|secret| secret.data?.remove(key));
            bytes.and_then(|bytes| String::from_utf8(bytes.0).ok())
        }
    };
    let kind = match kind {
        CaBundleKind::ConfigMap => "ConfigMap",
        CaBundleKind::Secret => "Secret",
    };
    text.ok_or_else(|| {
        LoginError::Missing(format!("{kind} {name} in namespace {namespace} has no CA bundle under the key {key}"))
    })
}
