//! A row in its world: a namespace with a registry of its own behind a liar, and two accounts.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use harbor_robot_faults::{Asked, Liar, Server};
use harbor_robot_operator::api::{HarborRegistry, RobotAccount};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::api::{Api, Patch, PatchParams, PostParams};
use serde_json::{Value, json};

use super::Row;
use crate::scene::{Scene, merge};

/// The account that is there before the lie.
pub const OLD: &str = "old";
/// The account that is made while the lie is told.
pub const NEW: &str = "new";

/// A row that is being played.
pub struct Played {
    pub row: Row,
    pub liar: Liar,
    pub namespace: String,
}

/// What is said of a row.
#[derive(Debug, Default)]
pub struct Said {
    /// `object Condition=Status/Reason` of everything that is not as it should be.
    pub problems: Vec<String>,
    reasons: Vec<String>,
    /// Registry and both accounts are Ready, and the accounts in sync with their specs.
    pub served: bool,
}

impl Played {
    pub async fn new(scene: &Scene, number: usize, row: Row) -> Self {
        let liar = Liar::open(Server::new(&scene.harbor.url, None, None).unwrap()).await.unwrap();
        Self { row, liar, namespace: format!("{}-{number}", scene.namespace) }
    }

    /// Namespace, login, registry and the first account.
    pub fn objects(&self, scene: &Scene) -> Vec<Value> {
        let namespace = &self.namespace;
        let metadata = |name: &str| json!({"name": name, "namespace": namespace, "labels": {"scene": scene.registry}});
        let mut login = metadata("login");
        login["labels"]["harbor-robots.io/use"] = json!("login");
        vec![
            json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}}),
            json!({
                "apiVersion": "v1", "kind": "Secret", "metadata": login,
                "stringData": {"username": scene.login.name, "password": scene.login.secret},
            }),
            json!({
                "apiVersion": "harbor-robots.io/v1alpha1", "kind": "HarborRegistry", "metadata": metadata("own"),
                "spec": {"url": self.liar.url, "auth": {"secretRef": {"name": "login"}}, "pollInterval": "3s"},
            }),
            self.account(OLD, &self.row.spec),
        ]
    }

    pub fn account(&self, name: &str, spec: &Value) -> Value {
        let mut whole = json!({
            "registryRef": {"kind": "HarborRegistry", "name": "own"},
            "project": self.namespace, "permissions": ["PullArtifacts"],
        });
        merge(&mut whole, spec);
        json!({
            "apiVersion": "harbor-robots.io/v1alpha1", "kind": "RobotAccount",
            "metadata": {"name": name, "namespace": self.namespace}, "spec": whole,
        })
    }

    pub fn accounts(&self, scene: &Scene) -> Api<RobotAccount> {
        Api::namespaced(scene.client.clone(), &self.namespace)
    }

    fn registries(&self, scene: &Scene) -> Api<HarborRegistry> {
        Api::namespaced(scene.client.clone(), &self.namespace)
    }

    /// Begins to lie, and gives the operator something to ask: the registry is looked at anew, one account wants another
    /// credential, and another one comes.
    pub async fn begin(&self, scene: &Scene) {
        self.liar.forget();
        self.liar.lie(self.row.lie.clone());
        let note = |key: &str| Patch::Merge(json!({"metadata": {"annotations": {key: "hostile"}}}));
        let params = PatchParams::default();
        self.registries(scene).patch("own", &params, &note("nudged")).await.unwrap();
        self.accounts(scene).patch(OLD, &params, &note("harbor-robots.io/refresh")).await.unwrap();
        let account = serde_json::from_value(self.account(NEW, &json!({}))).unwrap();
        self.accounts(scene).create(&PostParams::default(), &account).await.unwrap();
    }

    /// What the conditions say now.
    pub async fn said(&self, scene: &Scene, accounts: &[&str]) -> Said {
        let mut said = Said { served: true, ..Said::default() };
        match self.registries(scene).get_opt("own").await {
            Ok(Some(registry)) => {
                let status = registry.status.unwrap_or_default();
                said.hear("own", &status.conditions, &["Ready"]);
            }
            other => said.problems.push(format!("own: {other:?}")),
        }
        for name in accounts {
            match self.accounts(scene).get_opt(name).await {
                Ok(Some(account)) => {
                    let current = account.metadata.generation;
                    let status = account.status.unwrap_or_default();
                    said.hear(name, &status.conditions, &["Ready", "Synced"]);
                    said.served &= status.observed_generation == current;
                }
                other => said.problems.push(format!("{name}: {other:?}")),
            }
        }
        said
    }

    /// Both accounts' credentials log in, asked past the liar.
    pub async fn logs_in(&self, scene: &Scene, accounts: &[&str]) -> Result<(), String> {
        for name in accounts {
            let secret = scene.secret_in(&self.namespace, name).await;
            let login = secret.as_ref().and_then(crate::scene::login_in).ok_or(format!("{name}: no credential"))?;
            let works = scene.harbor.verify(&login.name, &login.secret).await.map_err(|error| error.to_string())?;
            if !works {
                return Err(format!("{name}: {} is refused", login.name));
            }
        }
        Ok(())
    }

    /// The calls since the lie began.
    pub fn calls(&self, settled: Instant) -> Calls {
        let calls = self.liar.calls();
        let second = Duration::from_secs(1);
        let in_second = |at: usize| calls[at..].iter().take_while(|call| call.at < calls[at].at + second).count();
        let late = || calls.iter().filter(|call| call.at >= settled);
        Calls {
            all: calls.len(),
            in_a_second: (0..calls.len()).map(in_second).max().unwrap_or(0),
            late: late().filter(|call| !is_login(call)).count(),
            late_logins: late().filter(|call| is_login(call)).count(),
            late_changes: late().filter(|call| call.method != "GET" && call.operation.contains(" robots")).count(),
            late_by: late().fold(BTreeMap::new(), |mut by, call| {
                *by.entry(call.operation.clone()).or_default() += 1;
                by
            }),
        }
    }
}

fn is_login(call: &Asked) -> bool {
    call.operation == "POST /c/login"
}

/// How much a row was asked, logins by form aside.
pub struct Calls {
    pub all: usize,
    /// The most within a second.
    pub in_a_second: usize,
    /// Those at the end, when whoever fails waits longer and longer.
    pub late: usize,
    /// Logins by form at the end.
    pub late_logins: usize,
    /// Of these, those that change a robot.
    pub late_changes: usize,
    /// Those at the end by operation.
    pub late_by: BTreeMap<String, usize>,
}

impl Said {
    fn hear(&mut self, object: &str, conditions: &[Condition], wanted: &[&str]) {
        for kind in wanted {
            self.served &= conditions.iter().any(|found| found.type_ == *kind && found.status == "True");
        }
        for found in conditions {
            // The others are there while something is wrong.
            let is_fine = wanted.contains(&found.type_.as_str()) == (found.status == "True");
            if !is_fine && found.reason != "Progressing" {
                self.problems.push(format!("{object} {}={}/{}", found.type_, found.status, found.reason));
                self.reasons.push(found.reason.clone());
            }
        }
    }

    /// Whether this is what the row is to say.
    pub fn fits(&self, row: &Row) -> bool {
        (row.may_be_served && self.served) || self.reasons.iter().any(|reason| row.says.contains(&reason.as_str()))
    }
}
