//! What other hands do in a scene, and what can be seen of the operator from outside.

use harbor_robot_world::{Login, eventually};
use k8s_openapi::api::core::v1::{Secret, ServiceAccount};
use k8s_openapi::api::events::v1::Event;
use kube::api::{Api, DeleteParams, ListParams, Patch, PatchParams, PostParams};
use reqwest::Method;
use serde_json::{Value, json};

use crate::scene::{SOON, Scene};

/// The field manager of [`Scene::edit_secret`].
pub const SOMEBODY: &str = "somebody";

impl Scene {
    /// Changes a Secret by a JSON merge patch, as a person would.
    pub async fn edit_secret(&self, name: &str, patch: Value) -> Secret {
        let params = PatchParams { field_manager: Some(SOMEBODY.to_owned()), ..PatchParams::default() };
        self.secrets().patch(name, &params, &Patch::Merge(patch)).await.unwrap()
    }

    /// Waits until a Secret fits.
    pub async fn secret_is(&self, what: &str, name: &str, fits: impl Fn(&Secret) -> bool) -> Secret {
        eventually(&format!("Secret {name}: {what}"), SOON, || async {
            let secret = self.secrets().get_opt(name).await.map_err(|error| error.to_string())?;
            let secret = secret.ok_or("there is none")?;
            if fits(&secret) { Ok(secret) } else { Err(format!("{:?} {}", secret.metadata, self.log())) }
        })
        .await
    }

    /// Deletes a Secret.
    pub async fn delete_secret(&self, name: &str) {
        self.secrets().delete(name, &DeleteParams::default()).await.unwrap();
    }

    /// Makes a Secret that is none of the operator's.
    pub async fn foreign_secret(&self, name: &str) -> Secret {
        let secret = serde_json::from_value(json!({
            "apiVersion": "v1", "kind": "Secret", "metadata": {"name": name}, "stringData": {"mine": "untouched"},
        }));
        self.secrets().create(&PostParams::default(), &secret.unwrap()).await.unwrap()
    }

    /// Waits for two sweeps over the project that began after this call: what the operator wanted to do, it has done.
    /// Forgets earlier calls, and gives those since.
    pub async fn two_sweeps(&self) -> harbor_robot_world::Calls {
        self.harbor.reset_calls().await.unwrap();
        eventually("two more sweeps", SOON, || async {
            let calls = self.harbor.calls().await.map_err(|error| error.to_string())?;
            // The first list may have begun before.
            if calls.project_lists() > 2 { Ok(calls) } else { Err(format!("{:?}", calls.by)) }
        })
        .await
    }

    /// Waits for two sweeps over the project after these calls, which stay in the log.
    pub async fn two_sweeps_more(&self, than: &harbor_robot_world::Calls) {
        let before = than.project_lists();
        eventually("two more sweeps", SOON, || async {
            let now = self.harbor.calls().await.map_err(|error| error.to_string())?.project_lists();
            if now > before + 2 { Ok(()) } else { Err(format!("{now}")) }
        })
        .await;
    }

    /// Waits until the operator has no account to work on: what others do from now on is news to it.
    pub async fn is_idle(&self) {
        eventually("no account is worked on", SOON, || async {
            let metrics =
                self.operator.as_ref().ok_or("no operator")?.metrics().await.map_err(|error| error.to_string())?;
            let none = |state: &str| metrics.contains(&format!("harbor_robots_queue{{state=\"{state}\"}} 0\n"));
            if none("queued") && none("in_progress") { Ok(()) } else { Err("busy".to_owned()) }
        })
        .await;
    }

    /// Makes a robot in the project past the operator; gives it as Harbor shows it.
    pub async fn stranger(&self, name: &str, description: &str) -> Value {
        self.stranger_for(name, description, 30).await.0
    }

    /// The same for so many days (-1: for ever), with its login.
    pub async fn stranger_for(&self, name: &str, description: &str, days: i64) -> (Value, Login) {
        let body = json!({
            "name": name, "level": "project", "duration": days, "description": description,
            "permissions": [{
                "kind": "project", "namespace": self.namespace,
                "access": [{"resource": "repository", "action": "pull"}],
            }],
        });
        let made = self.harbor.api(Method::POST, "/robots", Some(body)).await.unwrap().ok().unwrap();
        let text = |key: &str| made[key].as_str().unwrap().to_owned();
        (self.robot(made["id"].as_i64().unwrap()).await, Login { name: text("name"), secret: text("secret") })
    }

    /// A robot as Harbor shows it.
    pub async fn robot(&self, id: i64) -> Value {
        self.harbor.api(Method::GET, &format!("/robots/{id}"), None).await.unwrap().ok().unwrap()
    }

    /// Deletes a robot past the operator.
    pub async fn delete_robot(&self, id: i64) {
        self.harbor.api(Method::DELETE, &format!("/robots/{id}"), None).await.unwrap().ok().unwrap();
    }

    /// Lets an hour pass in Harbor, so that the next repair is not held back by the one before.
    pub async fn quiet_hour(&self) {
        self.harbor.advance(3_600).await.unwrap();
    }

    /// Wipes an account's status.
    pub async fn wipe_status(&self, name: &str) {
        let patch = Patch::Merge(json!({"status": null}));
        self.accounts().patch_status(name, &PatchParams::default(), &patch).await.unwrap();
    }

    /// Type, reason and note of all events about an account.
    pub async fn events(&self, account: &str) -> Vec<(String, String, String)> {
        let all = Api::<Event>::namespaced(self.client.clone(), &self.namespace).list(&ListParams::default()).await;
        let about = |event: &Event| event.regarding.as_ref().is_some_and(|it| it.name.as_deref() == Some(account));
        let told = all.unwrap().items.into_iter().filter(about);
        told.map(|event| {
            let text = |text: Option<String>| text.unwrap_or_default();
            (text(event.type_), text(event.reason), text(event.note))
        })
        .collect()
    }

    /// The scene's ServiceAccounts.
    pub fn service_accounts(&self) -> Api<ServiceAccount> {
        Api::namespaced(self.client.clone(), &self.namespace)
    }

    /// Makes a ServiceAccount with these `imagePullSecrets`.
    pub async fn service_account(&self, name: &str, pull_secrets: &[&str]) {
        self.service_account_with(name, PULL, pull_secrets).await;
    }

    /// Makes a ServiceAccount that names these Secrets in a list.
    pub async fn service_account_with(&self, name: &str, list: &str, secrets: &[&str]) {
        let account = serde_json::from_value(json!({"metadata": {"name": name}, list: named(secrets)}));
        self.service_accounts().create(&PostParams::default(), &account.unwrap()).await.unwrap();
    }

    /// Overwrites the `imagePullSecrets` of a ServiceAccount.
    pub async fn set_pull_secrets(&self, name: &str, pull_secrets: &[&str]) {
        self.set_listed(name, PULL, pull_secrets).await;
    }

    /// Overwrites a list of a ServiceAccount.
    pub async fn set_listed(&self, name: &str, list: &str, secrets: &[&str]) {
        let patch = Patch::Merge(json!({list: named(secrets)}));
        self.service_accounts().patch(name, &PatchParams::default(), &patch).await.unwrap();
    }

    /// The `imagePullSecrets` of a ServiceAccount, in order.
    pub async fn pull_secrets(&self, name: &str) -> Vec<String> {
        self.listed(name, PULL).await
    }

    /// The Secrets that a list of a ServiceAccount names, in order.
    pub async fn listed(&self, name: &str, list: &str) -> Vec<String> {
        let account = serde_json::to_value(self.service_accounts().get(name).await.unwrap()).unwrap();
        let entries = account[list].as_array().into_iter().flatten();
        entries.map(|entry| entry["name"].as_str().unwrap_or_default().to_owned()).collect()
    }

    /// Waits until the `imagePullSecrets` of a ServiceAccount are exactly these, in order.
    pub async fn pull_secrets_are(&self, name: &str, wanted: &[&str]) {
        self.listed_are(name, PULL, wanted).await;
    }

    /// Waits until a list of a ServiceAccount names exactly these Secrets, in order.
    pub async fn listed_are(&self, name: &str, list: &str, wanted: &[&str]) {
        eventually(&format!("the {list} of ServiceAccount {name} are {wanted:?}"), SOON, || async {
            let found = self.listed(name, list).await;
            if found == wanted { Ok(()) } else { Err(format!("{found:?}")) }
        })
        .await;
    }
}

const PULL: &str = "imagePullSecrets";

fn named(secrets: &[&str]) -> Value {
    secrets.iter().map(|name| json!({"name": name})).collect()
}

/// How many calls changed something in Harbor; a person's login is none.
pub fn changes(calls: &harbor_robot_world::Calls) -> u64 {
    let changing = |operation: &str| !["GET ", "HEAD ", "POST /c/login"].iter().any(|it| operation.starts_with(it));
    calls.by.iter().filter(|(operation, _)| changing(operation)).map(|(_, count)| count).sum()
}

/// Text of a Secret's key.
pub fn text(secret: &Secret, key: &str) -> Option<String> {
    let bytes = &secret.data.as_ref()?.get(key)?.0;
    Some(String::from_utf8(bytes.clone()).unwrap())
}

/// A Secret's label.
pub fn label<'a>(secret: &'a Secret, key: &str) -> Option<&'a str> {
    secret.metadata.labels.as_ref()?.get(key).map(String::as_str)
}

/// A Secret's annotation.
pub fn annotation<'a>(secret: &'a Secret, key: &str) -> Option<&'a str> {
    secret.metadata.annotations.as_ref()?.get(key).map(String::as_str)
}

/// The ids of robots.
pub fn ids(robots: &[Value]) -> Vec<i64> {
    robots.iter().map(|robot| robot["id"].as_i64().unwrap()).collect()
}
