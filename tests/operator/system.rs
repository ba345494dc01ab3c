//! Scenes with system accounts: what a test does with a `SystemRobotAccount` and sees of it.

use harbor_robot_operator::api::{AccountStatus, SystemRobotAccount};
use harbor_robot_world::{Login, eventually};
use k8s_openapi::api::core::v1::{Secret, ServiceAccount};
use kube::api::{Api, DeleteParams, Patch, PatchParams, PostParams};
use serde_json::{Value, json};

use crate::scene::{LoginAs, SOON, Scene, Setting, login_in, merge};

/// What a robot login needs to manage system robots that pull, push and tag anywhere and list projects.
fn rights() -> Value {
    let pair = |text: &&str| {
        let (resource, action) = text.split_once(':').unwrap();
        json!({"resource": resource, "action": action})
    };
    let robots = ["robot:create", "robot:read", "robot:list", "robot:delete"];
    let system: Vec<Value> = robots.iter().chain(&["project:list", "label:read"]).map(pair).collect();
    let project = ["project:read", "repository:pull", "repository:push", "tag:create", "tag:list", "artifact:delete"];
    let project: Vec<Value> = robots.iter().chain(&project).map(pair).collect();
    json!([
        {"kind": "system", "namespace": "/", "access": system},
        {"kind": "project", "namespace": "*", "access": project},
    ])
}

impl Scene {
    /// A scene whose operator keeps system accounts.
    pub async fn of_the_system(setting: Setting) -> Self {
        let robot = setting.login == LoginAs::Robot;
        let mut scene =
            Self::without_operator(Setting { login: LoginAs::Person, all_namespaces: true, ..setting }).await;
        if robot {
            let login = scene.harbor.create_system_robot("keeper", rights()).await.unwrap();
            scene.write_login(&login);
            scene.login = login;
        }
        scene.start();
        scene.registry_is("Ready", "True").await;
        scene
    }

    /// Names of cluster-scoped objects are shared by all scenes.
    pub fn system_name(&self, name: &str) -> String {
        format!("{}-{name}", self.namespace)
    }

    /// All system accounts.
    pub fn system_accounts(&self) -> Api<SystemRobotAccount> {
        Api::all(self.client.clone())
    }

    /// Makes a system account of the scene's registry; the robot is called `name` in Harbor.
    pub async fn system_account(&self, name: &str, spec: Value) {
        self.try_system_account(name, spec).await.unwrap();
    }

    /// The same where the API server may refuse it.
    pub async fn try_system_account(&self, name: &str, spec: Value) -> Result<SystemRobotAccount, kube::Error> {
        let mut whole = json!({
            "registryRef": {"kind": "ClusterHarborRegistry", "name": self.registry},
            "name": name,
        });
        merge(&mut whole, &spec);
        let account = serde_json::from_value(json!({
            "apiVersion": "harbor-robots.io/v1alpha1", "kind": "SystemRobotAccount",
            "metadata": {"name": self.system_name(name)}, "spec": whole,
        }));
        self.system_accounts().create(&PostParams::default(), &account.unwrap()).await
    }

    /// Changes a system account's spec by a JSON merge patch.
    pub async fn edit_system(&self, name: &str, spec: Value) {
        let patch = Patch::Merge(json!({"spec": spec}));
        self.system_accounts().patch(&self.system_name(name), &PatchParams::default(), &patch).await.unwrap();
    }

    /// Sets an annotation of a system account.
    pub async fn annotate_system(&self, name: &str, key: &str, value: &str) {
        let patch = Patch::Merge(json!({"metadata": {"annotations": {key: value}}}));
        self.system_accounts().patch(&self.system_name(name), &PatchParams::default(), &patch).await.unwrap();
    }

    /// Deletes a system account and waits until it is gone.
    pub async fn delete_system(&self, name: &str) {
        let name = self.system_name(name);
        self.system_accounts().delete(&name, &DeleteParams::default()).await.unwrap();
        eventually(&format!("{name} is gone"), SOON, || async {
            match self.system_accounts().get_opt(&name).await {
                Ok(None) => Ok(()),
                Ok(Some(account)) => Err(format!("{:?} {}", account.status, self.log())),
                Err(error) => Err(error.to_string()),
            }
        })
        .await;
    }

    /// Waits until the system account fits.
    pub async fn system_is(
        &self,
        what: &str,
        name: &str,
        fits: impl Fn(&SystemRobotAccount, &AccountStatus) -> bool,
    ) -> AccountStatus {
        let name = self.system_name(name);
        eventually(&format!("{name}: {what}"), SOON, || async {
            let account = self.system_accounts().get(&name).await.map_err(|error| error.to_string())?;
            let status = account.status.clone().unwrap_or_default();
            if fits(&account, &status) { Ok(status) } else { Err(format!("{status:?}")) }
        })
        .await
    }

    /// Waits until the system account is Ready, in sync and up to date with its spec.
    pub async fn system_settled(&self, name: &str) -> AccountStatus {
        self.system_is("settled", name, |account, status| {
            says(status, "Ready", "True")
                && says(status, "Synced", "True")
                && status.observed_generation == account.metadata.generation
        })
        .await
    }

    /// Waits for a condition with this status and reason; gives its message.
    pub async fn system_reason_is(&self, name: &str, kind: &str, status: &str, reason: &str) -> String {
        let fits = |found: &AccountStatus| {
            let condition = found.conditions.iter().find(|condition| condition.type_ == kind)?;
            (condition.status == status && condition.reason == reason).then(|| condition.message.clone())
        };
        let what = format!("{kind}={status}/{reason}");
        fits(&self.system_is(&what, name, |_, status| fits(status).is_some()).await).unwrap()
    }

    /// The system robots in Harbor, apart from the operator's own login.
    pub async fn system_robots(&self) -> Vec<Value> {
        let robots = self.harbor_api("GET", "/robots?page_size=100", Value::Null).await;
        let mut robots = robots.as_array().unwrap().clone();
        robots.retain(|robot| robot["name"] != self.login.name.as_str());
        robots
    }

    /// Waits until the system robots fit.
    pub async fn system_robots_are(&self, what: &str, fits: impl Fn(&[Value]) -> bool) -> Vec<Value> {
        eventually(what, SOON, || async {
            let robots = self.system_robots().await;
            if fits(&robots) { Ok(robots) } else { Err(format!("{}\n{}", Value::from(robots), self.log())) }
        })
        .await
    }

    /// Waits until the operator listed the robots of the system this many times more.
    pub async fn sweeps_of_the_system(&self, more: u64) {
        let before = self.calls("GET /api/v2.0/robots").await;
        eventually("further polls", SOON, || async {
            let now = self.calls("GET /api/v2.0/robots").await;
            if now > before + more { Ok(()) } else { Err(format!("{} of {more}", now - before)) }
        })
        .await;
    }

    /// Another namespace of the scene, with labels.
    pub fn namespace_with(&self, name: &str, labels: &Value) -> String {
        let name = format!("{}-{name}", self.namespace);
        self.apply(json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": labels}}));
        name
    }

    /// A Secret anywhere.
    pub async fn secret_in(&self, namespace: &str, name: &str) -> Option<Secret> {
        Api::<Secret>::namespaced(self.client.clone(), namespace).get_opt(name).await.unwrap()
    }

    /// Waits until the Secret of a namespace holds a credential that logs in.
    pub async fn logs_in_from(&self, namespace: &str, secret: &str) -> Login {
        eventually(&format!("Secret {namespace}/{secret} logs in"), SOON, || async {
            let found = self.secret_in(namespace, secret).await;
            let Some(login) = found.as_ref().and_then(login_in) else {
                return Err(format!("no credential\n{}", self.log()));
            };
            let works = self.harbor.verify(&login.name, &login.secret).await.map_err(|error| error.to_string())?;
            if works { Ok(login) } else { Err(format!("{} is refused", login.name)) }
        })
        .await
    }

    /// Waits until there is no such Secret.
    pub async fn no_secret_in(&self, namespace: &str, secret: &str) {
        eventually(&format!("no Secret {namespace}/{secret}"), SOON, || async {
            match self.secret_in(namespace, secret).await {
                None => Ok(()),
                Some(secret) => Err(format!("{:?}\n{}", secret.metadata, self.log())),
            }
        })
        .await;
    }

    /// Waits until a ServiceAccount of a namespace names just these pull Secrets.
    pub async fn pull_secrets_in(&self, namespace: &str, name: &str, wanted: &[&str]) {
        let api: Api<ServiceAccount> = Api::namespaced(self.client.clone(), namespace);
        eventually(&format!("ServiceAccount {namespace}/{name} names {wanted:?}"), SOON, || async {
            let account = api.get_opt(name).await.map_err(|error| error.to_string())?;
            let named: Vec<String> = account
                .and_then(|account| account.image_pull_secrets)
                .unwrap_or_default()
                .into_iter()
                .map(|secret| secret.name)
                .collect();
            if named == wanted { Ok(()) } else { Err(format!("{named:?}")) }
        })
        .await;
    }
}

/// True if the condition has this status.
pub fn says(status: &AccountStatus, kind: &str, value: &str) -> bool {
    status.conditions.iter().any(|condition| condition.type_ == kind && condition.status == value)
}

/// What a robot may do, as `scope resource:action`, sorted; the scope is `/`, `*` or a project.
pub fn rights_of(robot: &Value) -> Vec<String> {
    let groups = robot["permissions"].as_array().into_iter().flatten();
    let mut rights: Vec<String> = groups
        .flat_map(|group| {
            let scope = group["namespace"].as_str().unwrap_or_default().to_owned();
            group["access"].as_array().into_iter().flatten().map(move |access| {
                format!("{scope} {}:{}", access["resource"].as_str().unwrap(), access["action"].as_str().unwrap())
            })
        })
        .collect();
    rights.sort();
    rights
}
