//! What our Secret looks like: rendering it, and reading one back. No calls.

mod data_keys;

pub use data_keys::robot_file;

use std::collections::{BTreeMap, BTreeSet};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::Secret;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference;
use ring::hmac;
use secrecy::{ExposeSecret, SecretString};
use serde_json::{Value, json};

use super::objects::Version;
use super::secret_owner::{SecretAccount, account_text, annotation, label};
use crate::api::{RegistryTime, keys};
use crate::domain::desired::SecretWish;
use crate::domain::digest;
use crate::domain::observed::{Checksum, RobotRef, Tokens};
use crate::domain::secret_entries::SecretEntry;

/// The only type we write.
pub const TYPE: &str = "kubernetes.io/dockerconfigjson";
const DOCKER_CONFIG: &str = ".dockerconfigjson";
/// Whoever sees annotations but no data could try passwords against a plain checksum. One that a person chose may be found
/// so: its checksum has a key, here. A Secret keeps it, also when the account does not ask for a chosen password any more.
const CHECKSUM_KEY: &str = "harbor-robots.checksum-key";

/// A login with the facts that the Secret records about its robot.
#[derive(Clone, Debug)]
pub struct Credential {
    /// The robot; its full name is the user name.
    pub robot: RobotRef,
    /// `None` = never.
    pub expiration_time: Option<RegistryTime>,
    /// The password.
    pub secret: SecretString,
}

/// What the Secret should be, apart from its credential.
#[derive(Clone, Debug)]
pub struct SecretTemplate<'a> {
    /// The account: kind, name and UID for the owner reference.
    pub owner: &'a OwnerReference,
    /// Name, labels, annotations, keys.
    pub wish: &'a SecretWish,
    /// Where the registry is.
    pub endpoint: &'a Endpoint,
    /// Entries in ServiceAccounts: recorded before they are made.
    pub entries: &'a [SecretEntry],
    /// Those of them, not on record yet, that are there already or whose ServiceAccount does not exist: they are not ours.
    pub untouched: &'a [SecretEntry],
}

/// Where clients find a registry.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Endpoint {
    /// Keys of the docker configuration, in order. The first is the host of images.
    pub hosts: Vec<String>,
    /// The URL of Harbor, as the registry object has it.
    pub url: String,
}

impl SecretTemplate<'_> {
    /// A digest of everything but the credential: after a start it tells whether the Secret has the wanted form without
    /// rendering it. See [`summarize`] for its counterpart.
    pub fn digest(&self, expiration_time: Option<RegistryTime>) -> u64 {
        let SecretWish { labels, annotations, .. } = self.wish;
        digest(Outline {
            hosts: self.endpoint.hosts.iter().map(String::as_str).collect(),
            labels: outline(labels),
            annotations: outline(annotations),
            keys: data_keys::wanted(self, expiration_time),
            owner: &self.owner.uid,
            entries: self.entries.iter().map(SecretEntry::record).collect(),
        })
    }
}

impl Endpoint {
    fn host(&self) -> &str {
        self.hosts.first().map(String::as_str).unwrap_or_default()
    }
}

/// What a Secret's form comes to, wanted or found.
#[derive(Hash)]
struct Outline<'a> {
    hosts: BTreeSet<&'a str>,
    labels: BTreeMap<&'a str, &'a str>,
    annotations: BTreeMap<&'a str, &'a str>,
    keys: BTreeMap<&'a str, data_keys::Held<'a>>,
    owner: &'a str,
    entries: BTreeSet<String>,
}

fn outline(map: &BTreeMap<String, String>) -> BTreeMap<&str, &str> {
    map.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect()
}

/// A Secret of ours reduced to what a start needs: no secret bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SecretSummary {
    /// The Secret's.
    pub version: Version,
    /// The robot it names.
    pub robot: Option<(i64, RegistryTime)>,
    /// Of its credential, if that fits and nothing has to be made anew.
    pub checksum: Option<Checksum>,
    /// See [`SecretTemplate::digest`].
    pub template: Option<u64>,
}

/// Reduces a Secret that the watch delivered; also says whose account's it is.
pub fn summarize(secret: &Secret) -> Option<(SecretAccount, SecretSummary)> {
    // Whatever of label, annotation and owner reference was edited away: one that is left tells the account.
    let owners = secret.metadata.owner_references.as_deref().unwrap_or_default();
    let owner =
        owners.iter().find(|owner| owner.controller == Some(true) && owner.api_version.starts_with(keys::PREFIX));
    let account = owner.map(account_text);
    let account = account.or_else(|| annotation(secret, keys::ANNOTATION_ACCOUNT).map(ToOwned::to_owned))?;
    let account = SecretAccount::read(account);
    let uid = owner.map(|owner| owner.uid.as_str()).unwrap_or_default();
    let credential = credential(secret, uid);
    let rest = SecretSummary {
        version: Version::of(&secret.metadata),
        robot: robot(secret).map(|robot| (robot.id, robot.creation_time)),
        checksum: noted_checksum(secret).filter(|_| credential.is_some() && is_writable(secret)),
        template: credential.and_then(|credential| found(secret, uid, &credential)),
    };
    Some((account, rest))
}

/// An immutable Secret, or one of another type, cannot be updated: it is deleted and made again.
pub(super) fn is_writable(secret: &Secret) -> bool {
    secret.immutable != Some(true) && secret.type_.as_deref() == Some(TYPE)
}

/// The digest of the form that a Secret has; `None` if it is none that we write.
fn found<'a>(secret: &'a Secret, owner: &str, credential: &Credential) -> Option<u64> {
    let data = secret.data.as_ref()?;
    let (login, password) = (&credential.robot.name, credential.secret.expose_secret());
    let config: Value = serde_json::from_slice(&data.get(DOCKER_CONFIG)?.0).ok()?;
    let auths = config.get("auths")?.as_object()?;
    let meta = &secret.metadata;
    let kept = |map: &'a Option<BTreeMap<String, String>>, record| {
        let names = listed(annotation(secret, record)).into_iter();
        names.map(|name| Some((name, map.as_ref()?.get(name)?.as_str()))).collect::<Option<_>>()
    };
    let whole = auths.values().all(|entry| *entry == docker_entry(login, password))
        && label(secret, keys::LABEL_ACCOUNT_UID) == Some(owner)
        && annotation(secret, keys::ANNOTATION_ACCOUNT).is_some();
    let recorded = listed(annotation(secret, keys::ANNOTATION_SERVICE_ACCOUNTS));
    let outline = Outline {
        hosts: auths.keys().map(String::as_str).collect(),
        labels: kept(&meta.labels, keys::ANNOTATION_LABELS)?,
        annotations: kept(&meta.annotations, keys::ANNOTATION_ANNOTATIONS)?,
        keys: data_keys::found(secret, credential)?,
        owner,
        entries: recorded.into_iter().map(ToOwned::to_owned).collect(),
    };
    whole.then(|| digest(outline))
}

fn listed(record: Option<&str>) -> Vec<&str> {
    record.unwrap_or_default().split(',').filter(|name| !name.is_empty()).collect()
}

/// Entries on a record of ours. Whoever may edit the Secret may write there: what cannot be read was not written by us, and no
/// more are called for than we could have written.
fn recorded(secret: &Secret, record: &str) -> Vec<SecretEntry> {
    listed(annotation(secret, record)).into_iter().filter_map(SecretEntry::read).take(ENTRIES).collect()
}

fn docker_entry(login: &str, password: &str) -> Value {
    json!({"username": login, "password": password, "auth": STANDARD.encode(format!("{login}:{password}"))})
}

/// Puts form and credential into a Secret, keeping whatever others added to it.
pub fn write(secret: &mut Secret, template: &SecretTemplate<'_>, credential: &Credential, tokens: Option<&Tokens>) {
    let login = &credential.robot.name;
    let password = credential.secret.expose_secret();
    let entry = docker_entry(login, password);
    let hosts = &template.endpoint.hosts;
    let auths: serde_json::Map<String, Value> = hosts.iter().map(|host| (host.clone(), entry.clone())).collect();
    let config = bytes(&json!({"auths": auths}));
    let mut data = data_keys::rendered(template, credential, &config);
    let mut records = data_keys::records(template.wish);
    data.insert(DOCKER_CONFIG.to_owned(), config);
    records.push(DOCKER_CONFIG.to_owned());
    let chosen = template.wish.chosen_password;
    let key = checksum_key(secret).map(<[u8]>::to_vec).or_else(|| chosen.then(|| rand::random::<[u8; 32]>().to_vec()));
    if let Some(key) = &key {
        data.insert(CHECKSUM_KEY.to_owned(), ByteString(key.clone()));
        records.push(CHECKSUM_KEY.to_owned());
    }
    let ours_before = data_keys::owned(secret);
    let all = secret.data.get_or_insert_default();
    all.retain(|key, _| !ours_before.iter().any(|ours| ours == key));
    all.extend(data);
    secret.type_ = Some(TYPE.to_owned());
    let mut notes = vec![
        (keys::ANNOTATION_ROBOT_ID, credential.robot.id.to_string()),
        (keys::ANNOTATION_ROBOT_NAME, credential.robot.name.clone()),
        (keys::ANNOTATION_ROBOT_CREATED, credential.robot.creation_time.to_string()),
        (keys::ANNOTATION_CHECKSUM, checksum(&template.owner.uid, credential, key.as_deref())),
        (keys::ANNOTATION_KEYS, records.join(",")),
    ];
    let (mut recorded, mut others) = (entries(secret), untouched(secret));
    let wanted = template.entries;
    let new: Vec<SecretEntry> = wanted.iter().filter(|entry| !recorded.contains(entry)).cloned().collect();
    if recorded.len() + new.len() > ENTRIES {
        // Whoever filled the record must not push those out that are to be served.
        recorded.retain(|entry| !wanted.contains(entry));
        recorded.truncate(ENTRIES.saturating_sub(wanted.len()));
    }
    others.extend(new.iter().filter(|entry| template.untouched.contains(entry)).cloned());
    recorded.extend(wanted.iter().filter(|entry| !recorded.contains(entry)).cloned().collect::<Vec<_>>());
    let lists = [(keys::ANNOTATION_SERVICE_ACCOUNTS, recorded), (keys::ANNOTATION_UNTOUCHED, others)];
    notes.extend(lists.iter().filter(|(_, entries)| !entries.is_empty()).map(|(key, entries)| (*key, joined(entries))));
    if let Some(Tokens { refresh, revoke }) = tokens {
        let served = [(keys::ANNOTATION_HANDLED_REFRESH, refresh), (keys::ANNOTATION_HANDLED_REVOKE, revoke)];
        notes.extend(served.into_iter().filter_map(|(key, token)| Some((key, token.clone()?))));
    }
    mark(secret, template, notes);
}

/// Labels, annotations and the owner reference.
fn mark(secret: &mut Secret, template: &SecretTemplate<'_>, notes: Vec<(&str, String)>) {
    let meta = &mut secret.metadata;
    meta.name = Some(template.wish.name.to_string());
    let annotations = meta.annotations.get_or_insert_default();
    let labels = meta.labels.get_or_insert_default();
    wanted(annotations, keys::ANNOTATION_LABELS, &template.wish.labels, Some(labels));
    wanted(annotations, keys::ANNOTATION_ANNOTATIONS, &template.wish.annotations, None);
    labels.insert(keys::LABEL_MANAGED_BY.to_owned(), keys::MANAGED_BY.to_owned());
    labels.insert(keys::LABEL_ACCOUNT_UID.to_owned(), template.owner.uid.clone());
    annotations.insert(keys::ANNOTATION_ACCOUNT.to_owned(), account_text(template.owner));
    annotations.extend(notes.into_iter().map(|(key, value)| (key.to_owned(), value)));
    let owners = meta.owner_references.get_or_insert_default();
    owners.retain(|owner| !(owner.kind == template.owner.kind && owner.name == template.owner.name));
    owners.push(template.owner.clone());
}

/// Puts the wanted labels (`into`) or annotations (`None`) in and takes out those of our last write that are wanted no
/// longer; which were ours is kept in the annotation `record`.
fn wanted(
    annotations: &mut BTreeMap<String, String>,
    record: &str,
    wish: &BTreeMap<String, String>,
    into: Option<&mut BTreeMap<String, String>>,
) {
    let ours = annotations.remove(record).unwrap_or_default();
    let names = wish.keys().map(String::as_str).collect::<Vec<_>>().join(",");
    let all = into.unwrap_or(&mut *annotations);
    // Whatever a tenant writes into the record: our own keys stay.
    for key in listed(Some(&ours)).into_iter().filter(|key| !key.starts_with(keys::PREFIX)) {
        all.remove(key);
    }
    all.extend(wish.clone());
    if !names.is_empty() {
        annotations.insert(record.to_owned(), names);
    }
}

/// The Secret that stands in for a missing one while an old leader is fenced off: no credential.
pub fn write_empty(secret: &mut Secret, template: &SecretTemplate<'_>) {
    let data = BTreeMap::from([(DOCKER_CONFIG.to_owned(), bytes(&json!({"auths": {}})))]);
    secret.data.get_or_insert_default().extend(data);
    secret.type_ = Some(TYPE.to_owned());
    mark(secret, template, vec![(keys::ANNOTATION_KEYS, DOCKER_CONFIG.to_owned())]);
}

fn bytes(value: &Value) -> ByteString {
    ByteString(value.to_string().into_bytes())
}

/// The key of the checksum, if it has one.
fn checksum_key(secret: &Secret) -> Option<&[u8]> {
    secret.data.as_ref()?.get(CHECKSUM_KEY).map(|key| key.0.as_slice())
}

/// Binds user name and password to the account, so that an edited Secret shows without a login.
fn checksum(uid: &str, credential: &Credential, key: Option<&[u8]>) -> String {
    let mut text = Vec::new();
    for part in [uid, &credential.robot.name, credential.secret.expose_secret()] {
        text.extend_from_slice(part.as_bytes());
        text.push(0);
    }
    match key {
        Some(key) => hex(hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), &text).as_ref()),
        None => hex(ring::digest::digest(&ring::digest::SHA256, &text).as_ref()),
    }
}

fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::with_capacity(64), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// A spec names 50 ServiceAccounts with two lists each, and those of the last one are kept until they are served.
const ENTRIES: usize = 200;

/// Our entries in ServiceAccounts (or those that we are about to make), as recorded on the Secret.
pub fn entries(secret: &Secret) -> Vec<SecretEntry> {
    recorded(secret, keys::ANNOTATION_SERVICE_ACCOUNTS)
}

/// Entries as they are recorded.
pub(super) fn joined(entries: &[SecretEntry]) -> String {
    entries.iter().map(SecretEntry::record).collect::<Vec<_>>().join(",")
}

/// Those of [`entries`] that are not ours.
pub fn untouched(secret: &Secret) -> Vec<SecretEntry> {
    recorded(secret, keys::ANNOTATION_UNTOUCHED)
}

/// The robot that the Secret's annotations name.
pub fn robot(secret: &Secret) -> Option<RobotRef> {
    Some(RobotRef {
        id: annotation(secret, keys::ANNOTATION_ROBOT_ID)?.parse().ok()?,
        name: annotation(secret, keys::ANNOTATION_ROBOT_NAME)?.to_owned(),
        creation_time: annotation(secret, keys::ANNOTATION_ROBOT_CREATED)?.parse().ok()?,
    })
}

/// The checksum that was written beside the credential, whether or not it fits.
pub fn noted_checksum(secret: &Secret) -> Option<Checksum> {
    Checksum::read(annotation(secret, keys::ANNOTATION_CHECKSUM)?)
}

/// The tokens that its publish served.
pub fn handled(secret: &Secret) -> Tokens {
    let token = |key| annotation(secret, key).map(ToOwned::to_owned);
    Tokens { refresh: token(keys::ANNOTATION_HANDLED_REFRESH), revoke: token(keys::ANNOTATION_HANDLED_REVOKE) }
}

/// The passwords that the docker configuration holds for a user name. Entries that others added are none of ours.
fn passwords(secret: &Secret, username: &str) -> Option<Vec<SecretString>> {
    let config: Value = serde_json::from_slice(&secret.data.as_ref()?.get(DOCKER_CONFIG)?.0).ok()?;
    let entries = config.get("auths")?.as_object()?.values().filter_map(|entry| {
        let text = |key: &str| entry.get(key).and_then(Value::as_str);
        Some((text("username")?, text("password")?))
    });
    Some(entries.filter(|(name, _)| *name == username).map(|(_, password)| password.into()).collect())
}

/// The credential that the Secret holds, if it is whole: robot, user name and password fit the checksum that was
/// written with them for this account.
pub fn credential(secret: &Secret, owner_uid: &str) -> Option<Credential> {
    let robot = robot(secret)?;
    let noted = annotation(secret, keys::ANNOTATION_CHECKSUM)?;
    // A restored account has another UID than the one that the checksum was made for, which its label still names.
    let uids = [Some(owner_uid), label(secret, keys::LABEL_ACCOUNT_UID)];
    let candidates = passwords(secret, &robot.name)?.into_iter();
    candidates
        .map(|password| Credential { robot: robot.clone(), expiration_time: None, secret: password })
        .find(|credential| uids.iter().flatten().any(|uid| checksum(uid, credential, checksum_key(secret)) == noted))
}

/// True if writing the form around the credential would change nothing.
pub fn is_current(secret: &Secret, template: &SecretTemplate<'_>, credential: &Credential) -> bool {
    let mut written = secret.clone();
    write(&mut written, template, credential, None);
    written.data == secret.data && written.metadata == secret.metadata && written.type_ == secret.type_
}

#[cfg(test)]
#[path = "secret_template_tests.rs"]
mod tests;
