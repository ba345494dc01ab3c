//! Today's secrets of robots, in the pull Secrets of the cluster.

use std::collections::{BTreeMap, BTreeSet};

use harbor_robot_operator::api::{ObjectName, keys};
use harbor_robot_operator::cluster::within;
use harbor_robot_operator::decode::Lenient;
use k8s_openapi::api::core::v1::Secret;
use kube::api::{Api, ListParams};
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::Value;

use crate::cluster::Cluster;
use crate::error::Error;

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
    /// Reads all pull Secrets that are not the operator's own.
    pub(super) async fn find(cluster: &Cluster) -> Result<Self, Error> {
        let api: Api<Lenient<Secret>> = Api::all(cluster.client.clone());
        let mut params = ListParams::default().fields(&format!("type={TYPE}")).limit(PAGE);
        let mut found = Self::default();
        loop {
            let page = within(api.list(&params)).await;
            let page = page.map_err(|error| Error::Kubernetes("cannot list pull Secrets".to_owned(), error))?;
            for secret in page.items.into_iter().filter_map(|secret| secret.into_result().ok()) {
                found.take(&secret);
            }
            match page.metadata.continue_.filter(|token| !token.is_empty()) {
                Some(token) => params = params.continue_token(&token),
                None => return Ok(found),
            }
        }
    }

    fn take(&mut self, secret: &Secret) {
        let ours = secret.metadata.labels.as_ref().is_some_and(|labels| labels.contains_key(keys::LABEL_ACCOUNT_UID));
        let config = secret.data.as_ref().and_then(|data| data.get(".dockerconfigjson"));
        let config: Option<Value> = config.filter(|_| !ours).and_then(|bytes| serde_json::from_slice(&bytes.0).ok());
        let entries = config.as_ref().and_then(|config| config["auths"].as_object());
        let namespace = secret.metadata.namespace.clone().unwrap_or_default();
        let place = (namespace, secret.metadata.name.clone().unwrap_or_default());
        for entry in entries.into_iter().flat_map(|entries| entries.values()) {
            let (Some(name), Some(text)) = (entry["username"].as_str(), entry["password"].as_str()) else { continue };
            let known = self.0.entry(name.to_owned()).or_default();
            match known.iter_mut().find(|known| known.text.expose_secret() == text) {
                Some(known) => drop(known.places.insert(place.clone())),
                None => known.push(Password { text: text.into(), places: BTreeSet::from([place.clone()]) }),
            }
        }
    }

    /// Those that are written somewhere for a login; more than one if Secrets differ.
    pub(super) fn of(&self, login: &str) -> &[Password] {
        self.0.get(login).map(Vec::as_slice).unwrap_or_default()
    }
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
        found.take(&secret("a", &json!({}), &config("One-1")));
        found.take(&secret("a", &json!({}), &config("One-1")));
        found.take(&secret("b", &json!({"harbor-robots.io/account-uid": "u"}), &config("Ours-1")));
        found.take(&secret("c", &json!({}), "no JSON"));
        assert_eq!(found.of("robot$a+ci").len(), 1);
        assert_eq!(found.of("robot$a+ci")[0].namespace().as_deref(), Some("a"));
        found.take(&secret("b", &json!({}), &config("One-1")));
        assert_eq!(found.of("robot$a+ci")[0].namespace(), None, "in two namespaces");
        found.take(&secret("b", &json!({}), &config("Two-2")));
        assert_eq!(found.of("robot$a+ci").len(), 2);
        assert!(found.of("robot$a+cd").is_empty());
        assert!(!format!("{:?}", found.0).contains("One-1"));
    }
}
