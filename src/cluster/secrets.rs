//! Our Secret: read it live, publish a credential into it, and its few other changes. Each write is conditional on the
//! version that was read, so that two operators cannot both succeed.

use k8s_openapi::api::core::v1::Secret;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::api::{Api, DeleteParams, PostParams, Preconditions, Request};
use kube::{Client, Resource as _};
use secrecy::{ExposeSecret as _, SecretString};
use serde::de::IgnoredAny;

use super::objects::MANAGER;
pub use super::secret_snapshot::SecretSnapshot;
use super::secret_snapshot::{examine, with_facts_of};
use super::secret_template::{self, Credential, SecretSummary, SecretTemplate};
use super::{Error, in_namespace, within};
use crate::api::{ObjectName, RegistryTime, keys};
use crate::decode::Lenient;
use crate::domain::observed::{RobotRef, Tokens};
use crate::domain::robot::Robot;
use crate::domain::secret_entries::SecretEntry;

/// Reads a Secret of ours by name and reduces it at once; `None` if there is none or it is somebody else's.
///
/// # Errors
/// The API server does not answer, or the Secret cannot be read.
pub async fn read_summary(
    client: &Client,
    namespace: &ObjectName,
    name: &ObjectName,
) -> Result<Option<SecretSummary>, Error> {
    let found = find(client, namespace, name).await?;
    Ok(found.and_then(|secret| secret_template::summarize(&secret)).map(|(_, rest)| rest))
}

/// Unlike `objects::read` with its managed fields: they tell who else wrote to it.
async fn find(client: &Client, namespace: &ObjectName, name: &ObjectName) -> Result<Option<Secret>, Error> {
    let api: Api<Lenient<Secret>> = in_namespace(client, namespace);
    Ok(within(api.get_opt(name)).await?.map(Lenient::into_result).transpose()?)
}

/// The Secret of an account in one namespace. What is written to it goes by the snapshot of it that is handed in.
pub struct AccountSecret<'a> {
    /// The API server.
    pub client: &'a Client,
    /// Where it is.
    pub namespace: &'a ObjectName,
    /// What it should be.
    pub template: SecretTemplate<'a>,
}

impl AccountSecret<'_> {
    /// Reads it from the API server, past every cache.
    ///
    /// # Errors
    /// The API server does not answer, or the Secret cannot be read.
    pub async fn read(&self) -> Result<SecretSnapshot, Error> {
        let found = find(self.client, self.namespace, &self.template.wish.name).await?;
        Ok(found.map_or_else(SecretSnapshot::default, |secret| examine(secret, &self.template)))
    }

    /// Writes the credential, the robot's id and the served tokens in one write.
    ///
    /// # Errors
    /// [`Error::Conflict`] if the Secret changed since it was read; the API server does not answer or refuses it.
    pub async fn publish(
        &self,
        live: &SecretSnapshot,
        credential: &Credential,
        tokens: &Tokens,
    ) -> Result<SecretSnapshot, Error> {
        self.save(live, |secret| secret_template::write(secret, &self.template, credential, Some(tokens))).await
    }

    /// Writes the form anew around the credential that the Secret holds.
    ///
    /// # Errors
    /// As of [`Self::publish`], and [`Error::Conflict`] if there is no credential in it.
    pub async fn rewrite(&self, live: &SecretSnapshot, robot: &Robot) -> Result<SecretSnapshot, Error> {
        let Some(credential) = &live.credential else { return Err(Error::Conflict) };
        let credential = with_facts_of(credential, robot);
        self.save(live, |secret| secret_template::write(secret, &self.template, &credential, None)).await
    }

    /// Changes the Secret's version, so that a publish prepared against the old one is refused.
    ///
    /// # Errors
    /// As of [`Self::publish`].
    pub async fn fence(&self, live: &SecretSnapshot) -> Result<SecretSnapshot, Error> {
        self.save(live, |secret| {
            if secret.data.is_none() {
                secret_template::write_empty(secret, &self.template);
            }
            let value = format!("{:016x}", rand::random::<u64>());
            secret.metadata.annotations.get_or_insert_default().insert(keys::ANNOTATION_FENCE.to_owned(), value);
        })
        .await
    }

    /// Records which ServiceAccounts are to list the Secret where, and which of these entries are not ours.
    ///
    /// # Errors
    /// As of [`Self::publish`].
    pub async fn record_entries(
        &self,
        live: &SecretSnapshot,
        entries: &[SecretEntry],
        untouched: &[SecretEntry],
    ) -> Result<SecretSnapshot, Error> {
        self.save(live, |secret| {
            let annotations = secret.metadata.annotations.get_or_insert_default();
            annotations.insert(keys::ANNOTATION_SERVICE_ACCOUNTS.to_owned(), secret_template::joined(entries));
            annotations.remove(keys::ANNOTATION_UNTOUCHED);
            if !untouched.is_empty() {
                annotations.insert(keys::ANNOTATION_UNTOUCHED.to_owned(), secret_template::joined(untouched));
            }
        })
        .await
    }

    /// Takes our owner reference off, so that the Secret outlives its account.
    ///
    /// # Errors
    /// As of [`Self::publish`].
    pub async fn release(&self, live: &SecretSnapshot) -> Result<SecretSnapshot, Error> {
        if live.is_absent() || !live.ours {
            return Ok(live.clone());
        }
        self.save(live, |secret| {
            let owners = secret.metadata.owner_references.get_or_insert_default();
            owners.retain(|owner| owner.uid != self.template.owner.uid);
        })
        .await
    }

    /// Makes the Secret of another namespace, which is ours or not there, hold this credential in this form; `None` if it
    /// does already.
    ///
    /// # Errors
    /// As of [`Self::publish`].
    pub async fn copy(&self, live: &SecretSnapshot, credential: &Credential) -> Result<Option<SecretSnapshot>, Error> {
        let found = live.object.as_ref().filter(|secret| secret_template::is_writable(secret));
        if found.is_some_and(|secret| secret_template::is_current(secret, &self.template, credential)) {
            return Ok(None);
        }
        let write = |secret: &mut Secret| secret_template::write(secret, &self.template, credential, None);
        self.save(live, write).await.map(Some)
    }

    /// Deletes the very version of the Secret that was read, so that nobody's publish is lost; one that is not there counts
    /// as deleted.
    ///
    /// # Errors
    /// As of [`Self::publish`].
    pub async fn delete(&self, live: &SecretSnapshot) -> Result<SecretSnapshot, Error> {
        let Some(secret) = live.object.as_ref().filter(|_| live.ours) else { return Ok(live.clone()) };
        let ObjectMeta { name, uid, resource_version, .. } = secret.metadata.clone();
        let version = Preconditions { uid, resource_version };
        let params = DeleteParams { preconditions: Some(version), ..DeleteParams::default() };
        let request = Request::new(Secret::url_path(&(), Some(self.namespace)));
        let request = request.delete(&name.unwrap_or_default(), &params).map_err(kube::Error::BuildRequest)?;
        // Nothing of the answer is needed, not even that it can be read.
        match within(self.client.request::<IgnoredAny>(request)).await {
            Ok(_) | Err(Error::NotFound) => Ok(SecretSnapshot::default()),
            Err(error) => Err(error),
        }
    }

    /// Asks whether the Secret may be written as it would be for a robot like this one, whose secret is not known yet. Nothing
    /// is written. An admission rule that refuses it is heard before anything in Harbor is given up for the new credential.
    ///
    /// # Errors
    /// What [`Self::publish`] would fail with now.
    pub async fn rehearse(&self, live: &SecretSnapshot, next: Expected<'_>, tokens: &Tokens) -> Result<(), Error> {
        let Expected { robot, expiration_time, password } = next;
        let length = password.map_or(DRAWN_LENGTH, |password| password.expose_secret().len());
        let placeholder = Credential { robot, expiration_time, secret: "x".repeat(length).into() };
        let write = |secret: &mut Secret| secret_template::write(secret, &self.template, &placeholder, Some(tokens));
        let (secret, way) = prepare(live, write);
        self.try_out(&secret, way).await
    }

    async fn save(&self, live: &SecretSnapshot, change: impl FnOnce(&mut Secret)) -> Result<SecretSnapshot, Error> {
        let (secret, way) = prepare(live, change);
        if way == Way::Recreate {
            // Else it would be gone before it is known that there may be another.
            self.try_out(&secret, way).await?;
            self.delete(live).await?;
        }
        let saved = self.send(&secret, way, false).await?;
        Ok(examine(saved.into_result()?, &self.template))
    }

    /// Asks whether a Secret could be sent.
    async fn try_out(&self, secret: &Lenient<Secret>, way: Way) -> Result<(), Error> {
        match self.send(secret, way, true).await {
            // Admission comes first, and only then that the name is taken.
            Err(Error::Conflict) if way == Way::Recreate => Ok(()),
            // A webhook of the cluster takes no part in dry runs: then only the write itself can tell.
            Err(Error::Failed(reason)) if reason == "BadRequest" => Ok(()),
            answer => answer.map(|_| ()),
        }
    }

    async fn send(&self, secret: &Lenient<Secret>, way: Way, dry_run: bool) -> Result<Lenient<Secret>, Error> {
        let api: Api<Lenient<Secret>> = in_namespace(self.client, self.namespace);
        let params = PostParams { dry_run, field_manager: Some(MANAGER.to_owned()) };
        if way != Way::Replace {
            return within(api.create(&params, secret)).await;
        }
        within(api.replace(&self.template.wish.name, &params, secret)).await.map_err(|error| match error {
            Error::NotFound => Error::Conflict,
            other => other,
        })
    }
}

/// The credential that is to be published.
pub struct Expected<'a> {
    /// Its robot, or one with a name of about that length.
    pub robot: RobotRef,
    /// When it will expire, about.
    pub expiration_time: Option<RegistryTime>,
    /// The password, if it is not for Harbor to draw.
    pub password: Option<&'a SecretString>,
}

/// So long are the secrets that Harbor draws.
const DRAWN_LENGTH: usize = 32;

/// How a Secret is written.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Way {
    Replace,
    /// It cannot be updated: it is deleted and made again.
    Recreate,
    Create,
}

fn prepare(live: &SecretSnapshot, change: impl FnOnce(&mut Secret)) -> (Lenient<Secret>, Way) {
    let mut secret = live.object.clone().unwrap_or_default();
    change(&mut secret);
    // Whatever is written, a label that somebody took off is put back: without it nobody but its owner knows it for ours.
    let labels = secret.metadata.labels.get_or_insert_default();
    labels.insert(keys::LABEL_MANAGED_BY.to_owned(), keys::MANAGED_BY.to_owned());
    secret.metadata.managed_fields = None;
    let way = match &live.object {
        None => Way::Create,
        Some(found) if secret_template::is_writable(found) => Way::Replace,
        Some(_) => Way::Recreate,
    };
    if way == Way::Recreate {
        secret.immutable = None;
        secret.metadata.uid = None;
        secret.metadata.resource_version = None;
        secret.metadata.creation_timestamp = None;
    }
    (Lenient::new(secret), way)
}
