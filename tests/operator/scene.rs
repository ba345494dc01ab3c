//! What a test stands on: its own namespace, Harbor, registry object and operator, on a control plane that it shares.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Once, OnceLock};
use std::time::Duration;

use harbor_robot_operator::api::crds::crds;
use harbor_robot_operator::api::{ClusterHarborRegistry, PermissionKind, PermissionRecord, RobotAccount};
use harbor_robot_world::{ControlPlane, Harbor, HarborOptions, Login, Operator, OperatorOptions, eventually, scratch};
use harbor_stand_in::version::Version;
use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::api::core::v1::Secret;
use kube::Client;
use kube::api::{Api, DeleteParams, ListParams, Patch, PatchParams, PostParams};
use serde_json::{Value, json};

use crate::installation::{Installation, Plan, Rights, apply_shared};

/// How long anything may take that should happen at once; generous, since the tests share two cores.
pub const SOON: Duration = Duration::from_secs(30);

/// Runs all scenes against another version of Harbor, such as `2.13`.
const VERSION: &str = "HARBOR_STAND_IN_VERSION";

/// The version that scenes run against where they do not say which.
fn version() -> Version {
    std::env::var(VERSION).map_or_else(|_| Version::default(), |text| text.parse().expect(VERSION))
}

/// Who the operator logs in as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LoginAs {
    /// The administrator: may PUT and PATCH.
    Person,
    /// A robot with create, read, list and delete on robots: may not. A system robot, for all projects, where Harbor lets one
    /// make project robots, else a project robot of the scene's own project.
    Robot,
}

/// Both kinds, for tests of what must hold with each.
pub const BOTH_LOGINS: [LoginAs; 2] = [LoginAs::Person, LoginAs::Robot];

/// False where Harbor lets no system robot make project robots (2.12 to 2.14.0): the login is a robot of the scene's own
/// project there, and what needs one for all projects, or for the system as well, is left out.
pub fn system_robots_serve() -> bool {
    version().system_robots_create_project_robots()
}

/// Both kinds where they serve all projects.
pub fn logins_of_all_projects() -> impl Iterator<Item = LoginAs> {
    BOTH_LOGINS.into_iter().filter(|login| *login == LoginAs::Person || system_robots_serve())
}

/// How a scene differs from the usual one.
pub struct Setting {
    /// Who the operator logs in as.
    pub login: LoginAs,
    /// Merged over the registry's spec (a JSON merge patch).
    pub registry: Value,
    /// Further arguments of the operator.
    pub args: Vec<String>,
    /// Serve Harbor by TLS with an authority of its own.
    pub tls: bool,
    /// Keep accounts of all namespaces, as the default installation does. Others serve their scene's alone, since scenes
    /// share a cluster.
    pub all_namespaces: bool,
    /// With which rights the operator runs; `None` = those of this run of the suite.
    pub rights: Option<Rights>,
    /// The test takes rights away: what the operator is then refused is no fault.
    pub refused: bool,
    /// Do not let the operator use http, which the stand-in speaks without `tls`.
    pub https_only: bool,
    /// A control plane of the scene's own; `None` = the one that all of `all_namespaces` share, or all others.
    pub plane: Option<&'static ControlPlane>,
    /// The version that Harbor behaves like; `None` = what the environment variable `HARBOR_STAND_IN_VERSION` says, else the
    /// newest.
    pub harbor_version: Option<Version>,
}

impl Default for Setting {
    fn default() -> Self {
        Self {
            login: LoginAs::Person,
            registry: json!({}),
            args: Vec::new(),
            tls: false,
            all_namespaces: false,
            rights: None,
            refused: false,
            https_only: false,
            plane: None,
            harbor_version: None,
        }
    }
}

/// A running world.
pub struct Scene {
    /// Shared by many tests.
    pub plane: &'static ControlPlane,
    /// This scene's own.
    pub harbor: Harbor,
    /// This scene's own; `None` while it is stopped.
    pub operator: Option<Operator>,
    /// The accounts' namespace and the name of the project in Harbor.
    pub namespace: String,
    /// The registry object's name.
    pub registry: String,
    /// Where the login Secret is.
    pub system: String,
    /// The operator's login.
    pub login: Login,
    /// An administrator's client.
    pub client: Client,
    /// How the operator reaches Kubernetes: as its ServiceAccount.
    pub kubeconfig: std::path::PathBuf,
    /// The same past every proxy.
    installed: std::path::PathBuf,
    /// Its token.
    pub token: String,
    /// See [`Setting::https_only`].
    pub https_only: bool,
    args: Vec<String>,
}

static COUNTER: AtomicU32 = AtomicU32::new(0);

/// The selector of a grant that means every namespace.
pub fn everyone() -> Value {
    json!({"matchExpressions": [{"key": "kubernetes.io/metadata.name", "operator": "Exists"}]})
}

/// Our kinds. Two fields of their statuses, which only the operator writes, also take a text: what an object may hold that was
/// stored under another schema.
fn loosened() -> Value {
    let text_or_number = json!({"x-kubernetes-int-or-string": true});
    let status = "/spec/versions/0/schema/openAPIV3Schema/properties/status/properties";
    let loosen = |mut crd: Value| {
        let field = match crd["spec"]["names"]["kind"].as_str() {
            Some("RobotAccount") => "robot/properties/id",
            Some("ClusterHarborRegistry") => "accountCount",
            _ => return crd,
        };
        *crd.pointer_mut(&format!("{status}/{field}")).expect("a field of the status") = text_or_number.clone();
        crd
    };
    let items: Vec<Value> = crds().iter().map(|crd| loosen(serde_json::to_value(crd).unwrap())).collect();
    json!({"apiVersion": "v1", "kind": "List", "items": items})
}

/// The control plane of all scenes whose operator serves its own namespaces, with our kinds.
fn plane() -> &'static ControlPlane {
    static INSTALLED: Once = Once::new();
    let plane = ControlPlane::shared();
    INSTALLED.call_once(|| install_kinds(plane));
    plane
}

/// Control planes for scenes whose operator keeps all namespaces. It looks at the registry of each account that there is, once
/// as it starts and again at each change: on the plane of the others more than half of all requests were such looks at the
/// accounts of hundreds of scenes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wide {
    /// For most of them.
    Usual,
    /// For scenes with hundreds of accounts that change all the time.
    Crowded,
}

impl Wide {
    /// Started at the first call; it ends with the process.
    pub fn plane(self) -> &'static ControlPlane {
        static USUAL: OnceLock<ControlPlane> = OnceLock::new();
        static CROWDED: OnceLock<ControlPlane> = OnceLock::new();
        let place = match self {
            Self::Usual => &USUAL,
            Self::Crowded => &CROWDED,
        };
        place.get_or_init(|| {
            let plane = ControlPlane::scratch().expect("a control plane starts");
            install_kinds(&plane);
            plane
        })
    }
}

/// Brings our kinds, the cluster roles and the policies to a control plane.
pub fn install_kinds(plane: &ControlPlane) {
    plane.apply(&loosened().to_string()).expect("the CRDs are accepted");
    plane.kubectl(["wait", "--for=condition=Established", "crd", "--all"]).ok().expect("the kinds are served");
    apply_shared(plane);
}

impl Scene {
    /// A scene with the operator running and the registry Ready.
    pub async fn new(setting: Setting) -> Self {
        let mut scene = Self::without_operator(setting).await;
        scene.start();
        scene.registry_is("Ready", "True").await;
        scene
    }

    /// The same before the operator is started.
    pub async fn without_operator(setting: Setting) -> Self {
        let plane = if let Some(plane) = setting.plane {
            plane
        } else {
            let wide = setting.all_namespaces;
            let plane = move || if wide { Wide::Usual.plane() } else { plane() };
            tokio::task::spawn_blocking(plane).await.expect("the control plane starts")
        };
        let tls = setting.tls;
        let version = setting.harbor_version.unwrap_or_else(version);
        let args = vec![format!("--harbor-version={version}")];
        let options = HarborOptions { registry: Some(plane.registry.clone()), tls, args, ..HarborOptions::default() };
        let harbor =
            tokio::task::spawn_blocking(move || Harbor::start(&options)).await.unwrap().expect("the stand-in starts");
        let client = plane.client().await.unwrap();
        let name = format!("t{}-{}", std::process::id(), COUNTER.fetch_add(1, Ordering::Relaxed));
        let system = format!("{name}-system");
        harbor.create_project(&name).await.unwrap();
        let login = match setting.login {
            LoginAs::Person => harbor.admin.clone(),
            LoginAs::Robot if version.system_robots_create_project_robots() => {
                harbor.create_robot_login("operator", &[]).await.unwrap()
            }
            LoginAs::Robot => harbor.create_project_robot_login(&name, "operator").await.unwrap(),
        };
        let rights = setting.rights.unwrap_or_else(|| Rights::of_this_run(setting.all_namespaces));
        let plan = Plan {
            scene: &name,
            system: &system,
            teams: std::slice::from_ref(&name),
            rights,
            refused: setting.refused,
        };
        let mut objects: Vec<Value> = [&name, &system]
            .map(|name| json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}))
            .into();
        objects.extend(plan.objects());
        plane.apply(&json!({"apiVersion": "v1", "kind": "List", "items": objects}).to_string()).unwrap();
        let Installation { args, kubeconfig, token } = plan.ready(plane, &client).await;
        // Further arguments stand for the same flag of the installation.
        let asked = |arg: &String| {
            let flag = arg.split('=').next();
            setting.args.iter().any(|other| other.split('=').next() == flag)
        };
        let args: Vec<String> = args.into_iter().filter(|arg| !asked(arg)).collect();
        let mut args = [
            args,
            vec![format!("--registry-selector=scene={name}")],
            if setting.all_namespaces { Vec::new() } else { vec![format!("--namespaces={name}")] },
            setting.args.clone(),
        ]
        .concat();
        if !args.iter().any(|arg| arg.starts_with("--log-level")) {
            args.push("--log-level=debug".to_owned());
        }
        let scene = Self {
            plane,
            harbor,
            operator: None,
            namespace: name.clone(),
            registry: name,
            system,
            login,
            client,
            installed: kubeconfig.clone(),
            kubeconfig,
            token,
            https_only: setting.https_only,
            args,
        };
        scene.write_login(&scene.login);
        let mut spec = json!({
            "url": scene.harbor.url,
            "auth": {"secretRef": {"name": "login"}},
            "pollInterval": "1s",
            "grants": [{
                "name": "all", "namespaces": [scene.namespace], "projects": ["*"],
                "access": [{"resource": "*", "action": "*"}], "maxExpiresAfter": "Never",
                "adoption": "Allowed", "retention": "Allowed",
            }],
        });
        if let Some(ca) = &scene.harbor.ca {
            spec["tls"] = json!({"caCertificates": ca});
        }
        merge(&mut spec, &setting.registry);
        scene.apply(json!({
            "apiVersion": "harbor-robots.io/v1alpha1", "kind": "ClusterHarborRegistry",
            "metadata": {"name": scene.registry, "labels": {"scene": scene.registry}}, "spec": spec,
        }));
        scene
    }

    /// Starts the operator (again).
    pub fn start(&mut self) {
        self.start_with(&[]);
    }

    /// Starts the operator with further arguments.
    pub fn start_with(&mut self, further: &[&str]) {
        self.operator = Some(Operator::start(&self.options(further)).expect("the operator starts"));
    }

    /// How the operator is started with further arguments.
    pub fn options(&self, further: &[&str]) -> OperatorOptions {
        let log_file = scratch().unwrap().join(format!("{}.log", self.namespace));
        OperatorOptions {
            kubeconfig: self.kubeconfig.clone(),
            args: self.args.iter().cloned().chain(further.iter().map(ToString::to_string)).collect(),
            log_file: Some(log_file),
            https_only: self.https_only,
            ..OperatorOptions::default()
        }
    }

    /// Another replica, which reaches both servers past every proxy and serves the registries with this label.
    pub async fn another(&self, label: &str, further: &[&str]) -> Operator {
        let mut options = self.options(further);
        options.kubeconfig.clone_from(&self.installed);
        options.args.retain(|arg| !arg.starts_with("--registry-selector=") && !further.contains(&arg.as_str()));
        options.args.push(format!("--registry-selector=scene={label}"));
        options.args.extend(further.iter().map(ToString::to_string));
        tokio::task::spawn_blocking(move || Operator::start(&options)).await.unwrap().expect("the replica starts")
    }

    /// The operator's log so far.
    pub fn log(&self) -> String {
        self.operator.as_ref().map(Operator::log).unwrap_or_default()
    }

    /// Applies a manifest.
    pub fn apply(&self, manifest: Value) {
        self.plane.apply(&manifest.to_string()).unwrap();
    }

    /// Writes the operator's login Secret.
    pub fn write_login(&self, login: &Login) {
        self.apply(json!({
            "apiVersion": "v1", "kind": "Secret", "metadata": {"name": "login", "namespace": self.system},
            "stringData": {"username": login.name, "password": login.secret},
        }));
    }

    /// Makes an account; `spec` is merged over the usual one (the scene's project, pull only, the scene's registry).
    pub async fn account(&self, name: &str, spec: Value) {
        let mut whole = json!({
            "registryRef": {"kind": "ClusterHarborRegistry", "name": self.registry},
            "project": self.namespace,
            "permissions": ["PullArtifacts"],
        });
        merge(&mut whole, &spec);
        let account = serde_json::from_value(json!({
            "apiVersion": "harbor-robots.io/v1alpha1", "kind": "RobotAccount",
            "metadata": {"name": name, "namespace": self.namespace}, "spec": whole,
        }));
        self.accounts().create(&PostParams::default(), &account.unwrap()).await.unwrap();
    }

    /// Changes an account's spec by a JSON merge patch.
    pub async fn edit(&self, name: &str, spec: Value) {
        let patch = Patch::Merge(json!({"spec": spec}));
        self.accounts().patch(name, &PatchParams::default(), &patch).await.unwrap();
    }

    /// Changes the registry's spec by a JSON merge patch.
    pub async fn edit_registry(&self, spec: Value) {
        let patch = Patch::Merge(json!({"spec": spec}));
        self.registries().patch(&self.registry, &PatchParams::default(), &patch).await.unwrap();
    }

    /// Deletes an account (returns at once; see [`Scene::gone`]).
    pub async fn delete(&self, name: &str) {
        self.accounts().delete(name, &DeleteParams::default()).await.unwrap();
    }

    /// Waits until the account is gone.
    pub async fn gone(&self, name: &str) {
        eventually(&format!("{name} is gone"), SOON, || async {
            match self.accounts().get_opt(name).await {
                Ok(None) => Ok(()),
                Ok(Some(account)) => Err(format!("{:?}", account.status)),
                Err(error) => Err(error.to_string()),
            }
        })
        .await;
    }

    /// The account as it is.
    pub async fn get(&self, name: &str) -> RobotAccount {
        self.accounts().get(name).await.unwrap()
    }

    /// Waits until the account fits.
    pub async fn account_is(&self, what: &str, name: &str, fits: impl Fn(&RobotAccount) -> bool) -> RobotAccount {
        eventually(&format!("{name}: {what}"), SOON, || async {
            let account = self.accounts().get(name).await.map_err(|error| error.to_string())?;
            if fits(&account) { Ok(account) } else { Err(format!("{:?}", account.status)) }
        })
        .await
    }

    /// Waits until the account is Ready, in sync and up to date with its spec.
    pub async fn settled(&self, name: &str) -> RobotAccount {
        self.account_is("settled", name, |account| {
            condition(account, "Ready").is_some_and(|(status, _, _)| status == "True")
                && condition(account, "Synced").is_some_and(|(status, _, _)| status == "True")
                && account.status.as_ref().is_some_and(|s| s.observed_generation == account.metadata.generation)
        })
        .await
    }

    /// Waits for a condition with this status and reason; gives its message.
    pub async fn reason_is(&self, name: &str, kind: &str, status: &str, reason: &str) -> String {
        let account = self
            .account_is(&format!("{kind}={status}/{reason}"), name, |account| {
                condition(account, kind).is_some_and(|(s, r, _)| s == status && r == reason)
            })
            .await;
        condition(&account, kind).unwrap().2
    }

    /// Waits for a condition of the registry.
    pub async fn registry_is(&self, kind: &str, status: &str) -> ClusterHarborRegistry {
        eventually(&format!("registry {kind}={status}"), SOON, || async {
            let registry = self.registries().get(&self.registry).await.map_err(|error| error.to_string())?;
            let conditions = registry.status.iter().flat_map(|status| &status.conditions);
            let found = conditions.clone().any(|c| c.type_ == kind && c.status == status);
            if found { Ok(registry) } else { Err(format!("{:?}\n{}", registry.status, self.log())) }
        })
        .await
    }

    /// A Secret of the scene's namespace.
    pub async fn secret(&self, name: &str) -> Option<Secret> {
        self.secrets().get_opt(name).await.unwrap()
    }

    /// User name and password in a Secret's docker configuration, and its hosts.
    pub async fn credential(&self, name: &str) -> (Login, Vec<String>) {
        let secret = self.secret(name).await.expect("the Secret exists");
        let config: Value = serde_json::from_slice(&secret.data.unwrap()[".dockerconfigjson"].0).unwrap();
        let auths = config["auths"].as_object().unwrap();
        let entry = auths.values().next().expect("the Secret holds a credential");
        let text = |key: &str| entry[key].as_str().unwrap().to_owned();
        (Login { name: text("username"), secret: text("password") }, auths.keys().cloned().collect())
    }

    /// Waits until the Secret holds a credential that logs in.
    pub async fn logs_in(&self, secret: &str) -> Login {
        eventually(&format!("Secret {secret} logs in"), SOON, || async {
            let Some(login) = self.secret(secret).await.as_ref().and_then(login_in) else {
                return Err("no credential".to_owned());
            };
            let works = self.harbor.verify(&login.name, &login.secret).await.map_err(|error| error.to_string())?;
            if works { Ok(login) } else { Err(format!("{} is refused", login.name)) }
        })
        .await
    }

    /// The robots in the scene's project, without the operator's own.
    pub async fn robots(&self) -> Vec<Value> {
        let mut robots = self.harbor.robots(&self.namespace).await.unwrap();
        robots.retain(|robot| robot["name"] != self.login.name);
        robots
    }

    /// Waits until the project's robots fit.
    pub async fn robots_are(&self, what: &str, fits: impl Fn(&[Value]) -> bool) -> Vec<Value> {
        eventually(what, SOON, || async {
            let robots = self.robots().await;
            if fits(&robots) { Ok(robots) } else { Err(serde_json::to_string(&robots).unwrap()) }
        })
        .await
    }

    /// The scene's accounts.
    pub fn accounts(&self) -> Api<RobotAccount> {
        Api::namespaced(self.client.clone(), &self.namespace)
    }

    /// All registries.
    pub fn registries(&self) -> Api<ClusterHarborRegistry> {
        Api::all(self.client.clone())
    }

    /// The scene's Secrets.
    pub fn secrets(&self) -> Api<Secret> {
        Api::namespaced(self.client.clone(), &self.namespace)
    }

    /// Waits for a condition of the registry with this reason; gives its message.
    pub async fn registry_reason_is(&self, reason: &str) -> String {
        eventually(&format!("registry {reason}"), SOON, || async {
            let registry = self.registries().get(&self.registry).await.map_err(|error| error.to_string())?;
            let conditions = registry.status.iter().flat_map(|status| &status.conditions);
            let found = conditions.clone().find(|c| c.type_ == "Ready" && c.reason == reason);
            found.map(|c| c.message.clone()).ok_or(format!("{:?}", registry.status))
        })
        .await
    }

    /// Waits until the operator goes on with this login.
    pub async fn login_is(&self, name: &str) {
        eventually(&format!("{name} is the login in use"), SOON, || async {
            let status = self.registries().get(&self.registry).await.map_err(|error| error.to_string())?.status;
            let login = status.and_then(|status| status.login).map(|login| login.name);
            if login.as_deref() == Some(name) { Ok(()) } else { Err(format!("{login:?}")) }
        })
        .await;
    }

    /// Waits until the operator listed a project's robots this many times more: with one project in use, so many polls.
    pub async fn sweeps(&self, more: u64) {
        let lists = || async { self.harbor.calls().await.map(|calls| calls.project_lists()) };
        let before = lists().await.unwrap();
        eventually("further polls", SOON, || async {
            let now = lists().await.map_err(|error| error.to_string())?;
            if now >= before + more { Ok(()) } else { Err(format!("{} of {more}", now - before)) }
        })
        .await;
    }

    /// How often an operation was called so far, like `POST /api/v2.0/robots`.
    pub async fn calls(&self, operation: &str) -> u64 {
        self.harbor.calls().await.unwrap().count(operation)
    }

    /// Puts faults into Harbor: what is in the list, and nothing else.
    pub async fn faults(&self, faults: Value) {
        self.harbor.quirks(json!({"reset": true, "fail": faults})).await.unwrap();
    }

    /// The robot whose credential is in a Secret.
    pub async fn published(&self, secret: &str) -> Option<Value> {
        self.secret(secret).await?;
        let (login, _) = self.credential(secret).await;
        self.robots().await.into_iter().find(|robot| robot["name"] == login.name)
    }

    /// Calls Harbor's API as its administrator and expects success; the path comes after `/api/v2.0`.
    pub async fn harbor_api(&self, method: &str, path: &str, body: Value) -> Value {
        let method = method.parse().unwrap();
        let body = Some(body).filter(|body| !body.is_null());
        self.harbor.api(method, path, body).await.unwrap().ok().unwrap()
    }

    /// Ends the operator by SIGKILL, and takes the Lease away that it leaves behind: waiting until it has run out at each of
    /// hundreds of crashes would take hours. That wait has tests of its own in `leading`.
    pub async fn kill(&mut self) {
        let mut operator = self.operator.take().expect("the operator runs");
        operator.kill().unwrap();
        let leases: Api<Lease> = Api::namespaced(self.client.clone(), &self.system);
        leases.delete_collection(&DeleteParams::default(), &ListParams::default()).await.unwrap();
    }

    /// Ends the operator by SIGTERM.
    pub fn terminate(&mut self) -> std::process::ExitStatus {
        self.operator.take().expect("the operator runs").terminate().unwrap()
    }
}

/// The first login in a Secret's docker configuration; `None` if there is none, as while the operator repairs it.
pub fn login_in(secret: &Secret) -> Option<Login> {
    let config: Value = serde_json::from_slice(&secret.data.as_ref()?.get(".dockerconfigjson")?.0).ok()?;
    let entry = config["auths"].as_object()?.values().next()?;
    Some(Login { name: entry["username"].as_str()?.to_owned(), secret: entry["password"].as_str()?.to_owned() })
}

/// Status, reason and message of an account's condition.
pub fn condition(account: &RobotAccount, kind: &str) -> Option<(String, String, String)> {
    let conditions = &account.status.as_ref()?.conditions;
    let found = conditions.iter().find(|condition| condition.type_ == kind)?;
    Some((found.status.clone(), found.reason.clone(), found.message.clone()))
}

/// `resource:action` pairs of a robot as Harbor shows it.
pub fn pairs(robot: &Value) -> Vec<String> {
    let groups = robot["permissions"].as_array().into_iter().flatten();
    let mut pairs: Vec<String> = groups
        .flat_map(|group| group["access"].as_array().into_iter().flatten())
        .map(|access| format!("{}:{}", access["resource"].as_str().unwrap(), access["action"].as_str().unwrap()))
        .collect();
    pairs.sort();
    pairs
}

/// `resource:action` pairs of a status, each after its project or `/` for the system, if that is said.
pub fn permissions_in(rows: &[PermissionRecord]) -> Vec<String> {
    let pairs = rows.iter().flat_map(|row| {
        let place = match (row.kind, &row.project) {
            (Some(PermissionKind::System), _) => "/ ".to_owned(),
            (_, Some(project)) => format!("{project} "),
            (_, None) => String::new(),
        };
        row.actions.iter().map(move |action| format!("{place}{}:{action}", row.resource))
    });
    pairs.collect()
}

/// Applies a JSON merge patch.
pub fn merge(to: &mut Value, patch: &Value) {
    let (Some(to), Some(patch)) = (to.as_object_mut(), patch.as_object()) else {
        *to = patch.clone();
        return;
    };
    for (key, value) in patch {
        if value.is_null() {
            to.remove(key);
        } else {
            merge(to.entry(key.clone()).or_insert(json!({})), value);
        }
    }
}
