//! Everything that touches Kubernetes. Small functions, each one call or one careful pair of calls; nothing here decides.

#![warn(clippy::missing_errors_doc)]

pub mod accounts;
pub mod client;
pub mod events;
pub mod login;
pub mod namespaces;
pub mod objects;
pub mod registries;
pub mod reviews;
pub mod secret_owner;
#[cfg(test)]
mod secret_properties;
mod secret_snapshot;
pub mod secret_template;
pub mod secrets;
pub mod service_accounts;
pub mod unreadable;

use std::time::Duration;

use k8s_openapi::NamespaceResourceScope;
use kube::api::Api;
use kube::{Client, Resource};

use crate::api::{GROUP, ObjectName};
use crate::decode::Unreadable;
use crate::gate::Refusal;
use crate::registry::Class;

/// A failed Kubernetes call, as far as the operator cares.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Somebody wrote in between, or the object is not as it was: gather again.
    #[error("the object changed in between")]
    Conflict,
    /// The object is not there.
    #[error("not found")]
    NotFound,
    /// RBAC or an admission rule says no.
    #[error("Kubernetes refuses this: {0}")]
    Refused(String),
    /// The object is there and does not fit its type: whoever wrote it has to put that right.
    #[error("{}", explain(.0))]
    Unreadable(Box<Unreadable>),
    /// Anything else: try again later.
    #[error("Kubernetes failed: {0}")]
    Failed(String),
    /// A change was not sent, since another replica leads.
    #[error("another replica leads")]
    NotLeading,
}

/// What of an object cannot be read; of our own kinds also what stands there, which a Secret's error could quote.
pub fn explain(object: &Unreadable) -> String {
    if object.api_version.starts_with(GROUP) { format!("{object}: {}", object.detail) } else { object.to_string() }
}

impl Error {
    /// What has to happen next.
    pub fn class(&self) -> Class {
        match self {
            Self::Conflict | Self::NotFound => Class::Stale,
            Self::Refused(_) | Self::Unreadable(_) => Class::UserFix,
            Self::Failed(_) => Class::Retry { after: None },
            Self::NotLeading => Class::NotLeading,
        }
    }

    /// A short, stable word for conditions, events and metric labels.
    pub fn reason(&self) -> &'static str {
        match self {
            Self::Conflict => "Conflict",
            Self::NotFound => "ObjectNotFound",
            Self::Refused(_) => "KubernetesRefused",
            Self::Unreadable(_) => "Unreadable",
            Self::Failed(_) => "KubernetesError",
            Self::NotLeading => "NotLeading",
        }
    }
}

/// The most of an admission rule's text that is passed on, in characters: it ends up in a status.
const LONGEST_REFUSAL: usize = 1_024;

impl From<Box<Unreadable>> for Error {
    fn from(object: Box<Unreadable>) -> Self {
        Self::Unreadable(object)
    }
}

impl From<kube::Error> for Error {
    fn from(error: kube::Error) -> Self {
        match error {
            kube::Error::Api(status) => match status.code {
                404 => Self::NotFound,
                409 => Self::Conflict,
                403 | 422 => Self::Refused(status.message.chars().take(LONGEST_REFUSAL).collect()),
                _ => Self::Failed(status.reason.clone()),
            },
            kube::Error::Service(cause) if cause.downcast_ref() == Some(&Refusal::NotLeading) => Self::NotLeading,
            // The Display of a transport error can hold a URL, never a body.
            other => Self::Failed(other.to_string()),
        }
    }
}

/// Objects of a namespace: the one way to them, since a path holds names and no other text.
pub(crate) fn in_namespace<K>(client: &Client, namespace: &ObjectName) -> Api<K>
where
    K: Resource<Scope = NamespaceResourceScope, DynamicType = ()>,
{
    Api::namespaced(client.clone(), namespace)
}

/// Longest time one Kubernetes call may take.
pub const TIMEOUT: Duration = Duration::from_secs(10);

/// Bounds a call in time and maps its error.
///
/// # Errors
/// The call's own error, or [`Error::Failed`] after [`TIMEOUT`].
pub async fn within<T>(call: impl Future<Output = Result<T, kube::Error>>) -> Result<T, Error> {
    match tokio::time::timeout(TIMEOUT, call).await {
        Ok(result) => result.map_err(Error::from),
        Err(_) => Err(Error::Failed("timed out".to_owned())),
    }
}
