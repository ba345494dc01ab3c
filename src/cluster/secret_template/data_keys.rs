//! The keys of our Secret's data beside the docker configuration: what each holds, how that is recorded on the Secret, and
//! what a Secret is found to hold.

use std::collections::BTreeMap;

use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::Secret;
use secrecy::ExposeSecret as _;
use serde_json::{Value, json};

use super::{CHECKSUM_KEY, Credential, DOCKER_CONFIG, SecretTemplate, annotation, bytes, listed};
use crate::api::{RegistryTime, keys};
use crate::domain::desired::{KeyContent, SecretWish};

/// What a key holds, without the credential.
#[derive(Hash)]
pub(super) enum Held<'a> {
    DockerConfigJson,
    Username,
    Password,
    /// The expiry in it.
    RobotFile(i64),
    RegistryHost(&'a str),
    RegistryUrl(&'a str),
    Literal(&'a str),
}

/// What the wished keys are to hold.
pub(super) fn wanted<'a>(
    template: &SecretTemplate<'a>,
    expiration_time: Option<RegistryTime>,
) -> BTreeMap<&'a str, Held<'a>> {
    let held = |content: &'a KeyContent| match content {
        KeyContent::DockerConfigJson => Held::DockerConfigJson,
        KeyContent::Username => Held::Username,
        KeyContent::Password => Held::Password,
        KeyContent::RobotFile => Held::RobotFile(expiry(expiration_time)),
        KeyContent::RegistryHost => Held::RegistryHost(template.endpoint.host()),
        KeyContent::RegistryUrl => Held::RegistryUrl(&template.endpoint.url),
        KeyContent::Literal(text) => Held::Literal(text),
    };
    wished(template.wish).map(|(key, content)| (key.as_str(), held(content))).collect()
}

/// What the keys on record hold; `None` if one does not hold what it is said to.
pub(super) fn found<'a>(secret: &'a Secret, credential: &Credential) -> Option<BTreeMap<&'a str, Held<'a>>> {
    let data = secret.data.as_ref()?;
    let (login, password) = (&credential.robot.name, credential.secret.expose_secret());
    let ours = listed(annotation(secret, keys::ANNOTATION_KEYS)).into_iter().filter(|record| !is_own(record));
    ours.map(|record| {
        let (key, format) = record.split_once('=')?;
        let value = &data.get(key)?.0;
        let text = || std::str::from_utf8(value).ok();
        let is = |wanted: &[u8]| (value == wanted).then_some(());
        let held = match format {
            "DockerConfigJson" => is(&data.get(DOCKER_CONFIG)?.0).map(|()| Held::DockerConfigJson),
            "Username" => is(login.as_bytes()).map(|()| Held::Username),
            "Password" => is(password.as_bytes()).map(|()| Held::Password),
            "RobotFile" => expiry_in_file(value, credential).map(Held::RobotFile),
            "RegistryHost" => text().map(Held::RegistryHost),
            "RegistryUrl" => text().map(Held::RegistryUrl),
            "Literal" => text().map(Held::Literal),
            _ => None,
        };
        Some((key, held?))
    })
    .collect()
}

/// The values of the wished keys.
pub(super) fn rendered(
    template: &SecretTemplate<'_>,
    credential: &Credential,
    config: &ByteString,
) -> BTreeMap<String, ByteString> {
    let text = |text: &str| ByteString(text.as_bytes().to_vec());
    let value = |content: &KeyContent| match content {
        KeyContent::DockerConfigJson => config.clone(),
        KeyContent::Username => text(&credential.robot.name),
        KeyContent::Password => text(credential.secret.expose_secret()),
        KeyContent::RobotFile => bytes(&robot_file(credential)),
        KeyContent::RegistryHost => text(template.endpoint.host()),
        KeyContent::RegistryUrl => text(&template.endpoint.url),
        KeyContent::Literal(literal) => text(literal),
    };
    wished(template.wish).map(|(key, content)| (key.clone(), value(content))).collect()
}

/// The wished keys as they are recorded: with their format, so that a start can tell whether a Secret has the wanted form
/// without rendering it. Keys hold no `=`.
pub(super) fn records(wish: &SecretWish) -> Vec<String> {
    wished(wish).map(|(key, content)| format!("{key}={}", format_name(content))).collect()
}

fn wished(wish: &SecretWish) -> impl Iterator<Item = (&String, &KeyContent)> {
    wish.keys.iter().filter(|(key, _)| !is_own(key))
}

/// The data keys that our last write put there: those are ours to remove.
pub(super) fn owned(secret: &Secret) -> Vec<String> {
    let records = listed(annotation(secret, keys::ANNOTATION_KEYS)).into_iter();
    records.map(|record| record.split_once('=').map_or(record, |(key, _)| key).to_owned()).collect()
}

/// True for keys that no account may fill. A rule of the API refuses them.
fn is_own(key: &str) -> bool {
    key == DOCKER_CONFIG || key == CHECKSUM_KEY
}

/// How a key's content is called on record.
fn format_name(content: &KeyContent) -> &'static str {
    match content {
        KeyContent::DockerConfigJson => "DockerConfigJson",
        KeyContent::Username => "Username",
        KeyContent::Password => "Password",
        KeyContent::RobotFile => "RobotFile",
        KeyContent::RegistryHost => "RegistryHost",
        KeyContent::RegistryUrl => "RegistryUrl",
        KeyContent::Literal(_) => "Literal",
    }
}

/// The expiry in a file, if that is the one of this credential in all else.
fn expiry_in_file(file: &[u8], credential: &Credential) -> Option<i64> {
    let file: Value = serde_json::from_slice(file).ok()?;
    let said = file.get("expires_at")?.as_i64()?;
    let expiration_time = (said >= 0).then(|| RegistryTime::from_second(said));
    (file == robot_file(&Credential { expiration_time, ..credential.clone() })).then_some(said)
}

/// Exactly the five keys of the file that Harbor's page offers for download, with its types and its form of time.
pub fn robot_file(credential: &Credential) -> Value {
    json!({
        "creation_time": credential.robot.creation_time.timestamp().strftime("%Y-%m-%dT%H:%M:%S%.3fZ").to_string(),
        "expires_at": expiry(credential.expiration_time),
        "id": credential.robot.id,
        "name": credential.robot.name,
        "secret": credential.secret.expose_secret(),
    })
}

/// As Harbor writes it.
fn expiry(expiration_time: Option<RegistryTime>) -> i64 {
    expiration_time.map_or(-1, RegistryTime::as_second)
}
