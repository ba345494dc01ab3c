//! Credentials that people put into Secrets: the registry's login, a CA bundle, a robot's own password. None of these
//! Secrets is ever written.

use k8s_openapi::api::core::v1::{ConfigMap, Secret};
use kube::api::Api;
use kube::{Client, Resource as _};
use secrecy::{ExposeSecret, SecretString};

use super::objects::{self, Partial, Version};
use super::secret_owner::label;
use super::{Error, in_namespace, within};
use crate::api::{CaCertificatesKind, CaCertificatesRef, InvalidName, LoginSecretRef, ObjectName, SecretKeyRef, keys};
use crate::domain::digest;
use crate::domain::password::{self, PasswordError, Shape};

/// How the operator logs in to a registry.
#[derive(Clone, Debug)]
pub struct Login {
    /// Full robot name or a person's name.
    pub username: String,
    /// Its secret.
    pub password: SecretString,
    /// Of the Secret that holds both.
    pub version: Version,
}

impl Login {
    /// A digest of name and password that tells whether either changed. Kept in memory only.
    pub fn fingerprint(&self) -> u64 {
        digest((&self.username, self.password.expose_secret()))
    }
}

/// Why a login cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum LoginError {
    /// The Secret or one of its keys is not there.
    #[error("{0}")]
    Missing(String),
    /// Nobody said that the Secret may be used for this.
    #[error("{0}")]
    NotMarked(String),
    /// Kubernetes did not answer.
    #[error(transparent)]
    Kube(#[from] Error),
}

/// Which Secrets a reference may name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trust {
    /// Any: whoever wrote the reference may read every Secret there.
    Any,
    /// One that its owner marked for this use: whoever wrote the reference may be somebody who may not read it, and what is in
    /// it goes to a server of their choice.
    Marked,
}

/// What to do about a Secret that is not marked for this use; `None` if it is.
fn unmarked(secret: &Secret, namespace: &ObjectName, name: &ObjectName, wanted: &str) -> Option<String> {
    let key = keys::LABEL_USE;
    (label(secret, key) != Some(wanted)).then(|| {
        format!(
            "Secret {name} in namespace {namespace} lacks the label {key}={wanted}, by which its owner allows this use: \
             kubectl label secret -n {namespace} {name} {key}={wanted}"
        )
    })
}

/// Why a text in a spec names no Secret or ConfigMap.
fn no_name(field: &str, text: &str) -> String {
    format!("{field}: {text:?} is {InvalidName}")
}

/// Reads keys `username` and `password` of a Secret.
///
/// # Errors
/// [`LoginError::Missing`] or [`LoginError::NotMarked`] of the Secret; the API server does not answer or refuses it.
pub async fn read(
    client: &Client,
    namespace: &ObjectName,
    source: &LoginSecretRef,
    trust: Trust,
) -> Result<Login, LoginError> {
    let text = &source.name;
    let name = ObjectName::new(text).map_err(|_| LoginError::Missing(no_name("spec.auth.secretRef.name", text)))?;
    let Some(secret) = objects::read::<Secret>(&in_namespace(client, namespace), &name).await? else {
        return Err(LoginError::Missing(format!(
            "Secret {name} does not exist in namespace {namespace}; create it with the keys username and password"
        )));
    };
    if let Some(text) = unmarked(&secret, namespace, &name, keys::USE_LOGIN).filter(|_| trust == Trust::Marked) {
        return Err(LoginError::NotMarked(text));
    }
    let text = |key: &str| {
        let bytes = secret.data.as_ref().and_then(|data| data.get(key));
        let text = bytes.and_then(|bytes| std::str::from_utf8(&bytes.0).ok()).map(without_line_end);
        text.filter(|text| !text.is_empty()).ok_or_else(|| {
            LoginError::Missing(format!("Secret {name} in namespace {namespace} has no text under the key {key}"))
        })
    };
    let (username, password) = (text("username")?.to_owned(), text("password")?.into());
    Ok(Login { username, password, version: Version::of(&secret.metadata) })
}

/// Reads a CA bundle (PEM) from a ConfigMap or a Secret. A ConfigMap holds nothing secret, so it needs no mark.
///
/// # Errors
/// As of [`read`].
pub async fn read_ca_certificates(
    client: &Client,
    namespace: &ObjectName,
    source: &CaCertificatesRef,
    trust: Trust,
) -> Result<String, LoginError> {
    let CaCertificatesRef { kind, name, key } = source;
    let name =
        ObjectName::new(name).map_err(|_| LoginError::Missing(no_name("spec.tls.caCertificatesRef.name", name)))?;
    let (kind, text) = match kind {
        CaCertificatesKind::ConfigMap => {
            let map: Option<ConfigMap> = objects::read(&in_namespace(client, namespace), &name).await?;
            ("ConfigMap", map.and_then(|map| map.data?.remove(key)))
        }
        CaCertificatesKind::Secret => {
            let secret: Option<Secret> = objects::read(&in_namespace(client, namespace), &name).await?;
            let refusal = secret.as_ref().and_then(|secret| unmarked(secret, namespace, &name, keys::USE_CA));
            if let Some(text) = refusal.filter(|_| trust == Trust::Marked) {
                return Err(LoginError::NotMarked(text));
            }
            let bytes = secret.and_then(|secret| secret.data?.remove(key));
            ("Secret", bytes.and_then(|bytes| String::from_utf8(bytes.0).ok()))
        }
    };
    text.ok_or_else(|| {
        LoginError::Missing(format!("{kind} {name} in namespace {namespace} has no CA bundle under the key {key}"))
    })
}

/// Types of Secrets that an own password is taken from. A token of a ServiceAccount, or whatever else a person may not
/// read but could name, must not end up as a password in Harbor.
const PASSWORD_TYPES: [&str; 2] = ["Opaque", "kubernetes.io/basic-auth"];

/// A password of a person's own choice, as it was read.
#[derive(Clone, Debug)]
pub struct OwnPassword {
    /// The password, or why there is none that can be used.
    pub text: Result<SecretString, PasswordProblem>,
    /// It is the one that is published already.
    pub is_published: bool,
    /// Of its Secret, if there is one.
    pub version: Version,
}

/// Why an own password cannot be used. The texts hold no part of it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PasswordProblem {
    /// The Secret or its key is not there.
    #[error("{0}")]
    Missing(String),
    /// Harbor would refuse it, or it is not meant to be one.
    #[error("{0}")]
    Invalid(String),
    /// Nobody said that the Secret may be used for this.
    #[error("{0}")]
    NotMarked(String),
}

/// Reads an own password and compares it with the published one.
///
/// # Errors
/// The API server does not answer or refuses it; what is wrong with the password is in the answer.
pub async fn read_password(
    client: &Client,
    namespace: &ObjectName,
    source: &SecretKeyRef,
    published: Option<&SecretString>,
) -> Result<OwnPassword, Error> {
    let missing =
        |text| OwnPassword { text: Err(PasswordProblem::Missing(text)), is_published: false, version: Version::NONE };
    let Ok(name) = ObjectName::new(&source.name) else {
        return Ok(missing(no_name("spec.passwordSecretRef.name", &source.name)));
    };
    let Some(secret) = objects::read::<Secret>(&in_namespace(client, namespace), &name).await? else {
        return Ok(missing(format!(
            "Secret {name} of spec.passwordSecretRef does not exist; create it with the key {} and the label {}={}",
            source.key,
            keys::LABEL_USE,
            keys::USE_PASSWORD
        )));
    };
    let version = Version::of(&secret.metadata);
    let text = match unmarked(&secret, namespace, &name, keys::USE_PASSWORD) {
        Some(text) => Err(PasswordProblem::NotMarked(format!("spec.passwordSecretRef: {text}"))),
        None => password_in(secret, source),
    };
    let wished = text.as_ref().ok().map(ExposeSecret::expose_secret);
    let is_published = wished.is_some() && wished == published.map(ExposeSecret::expose_secret);
    Ok(OwnPassword { text, is_published, version })
}

fn password_in(mut secret: Secret, source: &SecretKeyRef) -> Result<SecretString, PasswordProblem> {
    let SecretKeyRef { name, key } = source;
    let of_type = secret.type_.as_deref().unwrap_or("Opaque");
    if !PASSWORD_TYPES.contains(&of_type) {
        return Err(PasswordProblem::Invalid(format!(
            "Secret {name} of spec.passwordSecretRef is of type {of_type}; a password is taken only from type {}",
            PASSWORD_TYPES.join(" or ")
        )));
    }
    let Some(bytes) = secret.data.as_mut().and_then(|data| data.remove(key)) else {
        let text = format!("Secret {name} of spec.passwordSecretRef has no key {key}");
        return Err(PasswordProblem::Missing(text));
    };
    let text = std::str::from_utf8(&bytes.0).map_err(|_| PasswordError::NotText).map(without_line_end);
    let checked = text.and_then(|text| password::check(shape_of(text)).map(|()| text));
    checked.map(SecretString::from).map_err(|error| {
        PasswordProblem::Invalid(format!("key {key} in Secret {name} of spec.passwordSecretRef: {error}"))
    })
}

/// Editors and `--from-file` leave one.
fn without_line_end(text: &str) -> &str {
    text.trim_end_matches(['\n', '\r'])
}

/// What Harbor asks of a password, of this one.
pub fn shape_of(text: &str) -> Shape {
    let has = |class: fn(&u8) -> bool| text.bytes().any(|byte| class(&byte));
    Shape {
        bytes: text.len(),
        text: true,
        upper: has(u8::is_ascii_uppercase),
        lower: has(u8::is_ascii_lowercase),
        digit: has(u8::is_ascii_digit),
    }
}

/// The version of a Secret with a login or an own password, without reading what it holds; none if it does not exist.
///
/// # Errors
/// The API server does not answer, or the Secret cannot be read.
pub async fn secret_version(client: &Client, namespace: &ObjectName, name: &ObjectName) -> Result<Version, Error> {
    let api: Api<Partial<Secret>> = in_namespace(client, namespace);
    let found = within(api.get_opt(name)).await?;
    Ok(found.map_or(Version::NONE, |secret| Version::of(secret.meta())))
}

#[cfg(test)]
mod password_properties;
