//! Today's secrets of robots, in the pull Secrets of the cluster.

use std::collections::{BTreeMap, BTreeSet};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use harbor_robot_operator::api::{ObjectName, keys};
use harbor_robot_operator::cluster::within;
use harbor_robot_operator::decode::Lenient;
use harbor_robot_operator::registry::harbor::Client;
use k8s_openapi::api::core::v1::Secret;
use kube::api::{Api, ListParams};
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::Value;

use crate::cluster::Cluster;
use crate::error::Error;
use crate::output::note;

const TYPE: &str = "kubernetes.io/dockerconfigjson";
const PAGE: u32 = 100;

/// A password, and the pull Secrets that hold it.
#[derive(Clone, Debug)]
pub(super) struct Password {
    pub(super) text: SecretString,
    /// Namespace and name.
    pub(super) places: BTreeSet<(String, String)>,
}

/// By the login's full name.
#[derive(Default)]
pub(super) struct Passwords(BTreeMap<String, Vec<Password>>);

impl Passwords {
    /// Reads what all pull Secrets that are not the operator's own hold for these hosts.
    pub(super) async fn find(cluster: &Cluster, hosts: &BTreeSet<String>) -> Result<Self, Error> {
        let api: Api<Lenient<Secret>> = Api::all(cluster.client.clone());
        let mut params = ListParams::default().fields(&format!("type={TYPE}")).limit(PAGE);
        let mut found = Self::default();
        loop {
            let page = within(api.list(&params)).await;
            let page = page.map_err(|error| Error::Kubernetes("cannot list pull Secrets".to_owned(), error))?;
            for secret in page.items.into_iter().filter_map(|secret| secret.into_result().ok()) {
                found.take(&secret, hosts);
            }
            match page.metadata.continue_.filter(|token| !token.is_empty()) {
                Some(token) => params = params.continue_token(&token),
                None => return Ok(found),
            }
        }
    }

    fn take(&mut self, secret: &Secret, hosts: &BTreeSet<String>) {
        let ours = secret.metadata.labels.as_ref().is_some_and(|labels| labels.contains_key(keys::LABEL_ACCOUNT_UID));
        let config = secret.data.as_ref().and_then(|data| data.get(".dockerconfigjson"));
        let config: Option<Value> = config.filter(|_| !ours).and_then(|bytes| serde_json::from_slice(&bytes.0).ok());
        let entries = config.as_ref().and_then(|config| config["auths"].as_object());
        let namespace = secret.metadata.namespace.clone().unwrap_or_default();
        let place = (namespace, secret.metadata.name.clone().unwrap_or_default());
        for (host, entry) in entries.into_iter().flatten().filter(|(host, _)| hosts.contains(bare(host))) {
            let Some((name, text)) = login(entry) else {
                note(&format!("{host} in the Secret {}/{} holds no login that can be read", place.0, place.1));
                continue;
            };
            let known = self.0.entry(name).or_default();
            match known.iter_mut().find(|known| known.text.expose_secret() == text) {
                Some(known) => drop(known.places.insert(place.clone())),
                None => known.push(Password { text: text.into(), places: BTreeSet::from([place.clone()]) }),
            }
        }
    }

    /// Whoever may write a Secret may write any password into it, and what was right once may not be now: only those stay that
    /// Harbor lets in. Of logins that are none of these robots' Harbor is not asked.
    pub(super) async fn keep_what_works(&mut self, client: &Client, logins: &BTreeSet<&str>) -> Result<(), Error> {
        self.0.retain(|name, _| logins.contains(name.as_str()));
        for (name, known) in &mut self.0 {
            let mut works = Vec::new();
            for password in std::mem::take(known) {
                let answer = client.verify(name, &password.text).await;
                if answer.map_err(|error| Error::Refused(format!("cannot try the login {name}: {error}")))? {
                    works.push(password);
                }
            }
            *known = works;
        }
        Ok(())
    }

    /// Those that are written somewhere for a login; more than one if Secrets differ.
    pub(super) fn of(&self, login: &str) -> &[Password] {
        self.0.get(login).map(Vec::as_slice).unwrap_or_default()
    }
}

/// The host of a key of a docker configuration, which may be a URL.
fn bare(key: &str) -> &str {
    let host = key.split_once("://").map_or(key, |(_, rest)| rest);
    host.split('/').next().unwrap_or_default()
}

/// User name and password, as two fields or as `docker login` writes them.
fn login(entry: &Value) -> Option<(String, String)> {
    if let (Some(name), Some(text)) = (entry["username"].as_str(), entry["password"].as_str()) {
        return Some((name.to_owned(), text.to_owned()));
    }
    let decoded = STANDARD.decode(entry["auth"].as_str()?).ok()?;
    let (name, text) = std::str::from_utf8(&decoded).ok()?.split_once(':')?;
    Some((name.to_owned(), text.to_owned()))
}

impl Password {
    /// The one namespace that it is in, if there is no other.
    pub(super) fn namespace(&self) -> Option<ObjectName> {
        let namespaces: BTreeSet<&str> = self.places.iter().map(|(namespace, _)| namespace.as_str()).collect();
        let one = namespaces.into_iter().collect::<Vec<_>>();
        if let [one] = one[..] { ObjectName::new(one).ok() } else { None }
    }
}

#[cfg(test)]
mod tests {
    use k8s_openapi::ByteString;
    use serde_json::json;

    use super::*;

    fn secret(namespace: &str, labels: &Value, config: &str) -> Secret {
        let metadata = json!({"name": "pull", "namespace": namespace, "labels": labels});
        let mut secret: Secret = serde_json::from_value(json!({"metadata": metadata})).unwrap();
        secret.data = Some([(".dockerconfigjson".to_owned(), ByteString(config.as_bytes().to_vec()))].into());
        secret
    }

    #[test]
    fn a_login_is_known_by_each_password_that_is_written_for_it() {
        let config =
            |password: &str| json!({"auths": {"h": {"username": "robot$a+ci", "password": password}}}).to_string();
        let mut found = Passwords::default();
        let hosts = BTreeSet::from(["h".to_owned()]);
        let by_docker = json!({"auths": {"https://h/v2/": {"auth": STANDARD.encode("robot$a+ci:One-1")}}}).to_string();
        found.take(&secret("a", &json!({}), &config("One-1")), &hosts);
        found.take(&secret("a", &json!({}), &by_docker), &hosts);
        found.take(&secret("b", &json!({"harbor-robots.io/account-uid": "u"}), &config("Ours-1")), &hosts);
        found.take(&secret("c", &json!({}), "no JSON"), &hosts);
        found.take(&secret("c", &json!({}), &config("Elsewhere-1").replace("\"h\"", "\"other\"")), &hosts);
        assert_eq!(found.of("robot$a+ci").len(), 1);
        assert_eq!(found.of("robot$a+ci")[0].namespace().as_deref(), Some("a"));
        found.take(&secret("b", &json!({}), &config("One-1")), &hosts);
        assert_eq!(found.of("robot$a+ci")[0].namespace(), None, "in two namespaces");
        found.take(&secret("b", &json!({}), &config("Two-2")), &hosts);
        assert_eq!(found.of("robot$a+ci").len(), 2);
        assert!(found.of("robot$a+cd").is_empty());
        assert!(!format!("{:?}", found.0).contains("One-1"));
    }
}
