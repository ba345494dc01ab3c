//! The operator as it is installed: the arguments, the ServiceAccount and the rights of a manifest in `deploy/`, for one
//! scene among many on the same control plane.

use std::path::PathBuf;

use harbor_robot_world::{ControlPlane, eventually, objects, workspace_root};
use k8s_openapi::api::authentication::v1::{TokenRequest, TokenRequestSpec};
use k8s_openapi::api::authorization::v1::{ResourceAttributes, SubjectAccessReview, SubjectAccessReviewSpec};
use k8s_openapi::api::core::v1::ServiceAccount;
use kube::Client;
use kube::api::{Api, PostParams};
use serde_json::{Value, json};

use crate::scene::SOON;

/// The operator's namespace in the manifests. Each scene has one of its own.
const NAMESPACE: &str = "harbor-robots";
/// A team's namespace in the manifests: what is in it is given to each namespace that a scene's operator serves.
const TEAM: &str = "team-a";
/// The ServiceAccount, as in the manifests. What it is refused fails `cargo xtask test`.
const OPERATOR: &str = "harbor-robot-operator";
/// The ServiceAccount of an operator that is meant to be refused something.
const REFUSED: &str = "refused-on-purpose";

/// Runs all scenes with the rights of another manifest than the default one.
const RIGHTS: &str = "HARBOR_ROBOT_RIGHTS";

/// With which rights, and the arguments that go with them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rights {
    /// `deploy/install.yaml`.
    Shipped,
    /// `deploy/hardened.yaml`: no list or watch on Secrets of others.
    Hardened,
    /// `deploy/namespaced-with-cluster-registries.yaml`: Roles in the namespaces that are served.
    Namespaced,
}

impl Rights {
    /// Those of this run of the suite. Roles cannot serve the whole cluster: what a scene of `all_namespaces` shows needs the
    /// shipped rights in each run.
    pub fn of_this_run(all_namespaces: bool) -> Self {
        match std::env::var(RIGHTS).as_deref() {
            Err(_) | Ok("shipped") => Self::Shipped,
            Ok("hardened") => Self::Hardened,
            Ok("namespaced") if all_namespaces => Self::Shipped,
            Ok("namespaced") => Self::Namespaced,
            Ok(other) => panic!("{RIGHTS}={other}: shipped, hardened or namespaced"),
        }
    }

    fn word(self) -> &'static str {
        match self {
            Self::Shipped => "shipped",
            Self::Hardened => "hardened",
            Self::Namespaced => "namespaced",
        }
    }

    fn manifest(self) -> Vec<Value> {
        let file = match self {
            Self::Shipped => "install.yaml",
            Self::Hardened => "hardened.yaml",
            Self::Namespaced => "namespaced-with-cluster-registries.yaml",
        };
        let text = std::fs::read_to_string(workspace_root().join("deploy").join(file)).unwrap();
        objects(&text).expect(file)
    }
}

/// The operator of one scene.
pub struct Installation {
    /// Its arguments after `run`, and after those that every operator of a test is started with.
    pub args: Vec<String>,
    /// A kubeconfig with its ServiceAccount's token.
    pub kubeconfig: PathBuf,
    /// The token.
    pub token: String,
}

/// What to install.
#[derive(Clone, Debug)]
pub struct Plan<'a> {
    /// The scene's name, which makes names of the cluster its own.
    pub scene: &'a str,
    /// The operator's namespace.
    pub system: &'a str,
    /// The namespaces that it serves, where that is not the whole cluster.
    pub teams: &'a [String],
    /// Whose rights and arguments.
    pub rights: Rights,
    /// The test takes rights away: what the operator is refused is no fault.
    pub refused: bool,
}

impl Plan<'_> {
    fn account(&self) -> &'static str {
        if self.refused { REFUSED } else { OPERATOR }
    }

    /// What has to be applied, with the names of this scene. Cluster roles are shared by all scenes.
    pub fn objects(&self) -> Vec<Value> {
        let mut objects = Vec::new();
        for mut object in self.rights.manifest() {
            let kind = object["kind"].as_str().unwrap().to_owned();
            match kind.as_str() {
                "Namespace" | "Deployment" | "PodDisruptionBudget" | "ClusterRole" => continue,
                // Shared by all scenes: see `policies`.
                policy if policy.starts_with("ValidatingAdmissionPolicy") => continue,
                "ClusterRoleBinding" => {
                    rename(&mut object["roleRef"]["name"], self.rights.word());
                    rename(&mut object["metadata"]["name"], self.scene);
                }
                "ServiceAccount" => object["metadata"]["name"] = json!(self.account()),
                _ => {}
            }
            for subject in entries(&mut object, "subjects") {
                (subject["namespace"], subject["name"]) = (json!(self.system), json!(self.account()));
            }
            match object["metadata"]["namespace"].as_str() {
                Some(TEAM) => objects.extend(self.teams.iter().map(|team| in_namespace(&object, team))),
                // Shared by all scenes.
                Some("default") => {
                    rename(&mut object["metadata"]["name"], self.scene);
                    if kind == "RoleBinding" {
                        rename(&mut object["roleRef"]["name"], self.scene);
                    }
                    objects.push(object);
                }
                Some(NAMESPACE) => objects.push(in_namespace(&object, self.system)),
                Some(other) => panic!("a namespace {other} in {:?}", self.rights),
                None => objects.push(object),
            }
        }
        objects
    }

    /// Waits until the API server knows the rights, and gets a token.
    pub async fn ready(&self, plane: &ControlPlane, client: &Client) -> Installation {
        let accounts: Api<ServiceAccount> = Api::namespaced(client.clone(), self.system);
        let request = TokenRequest {
            spec: TokenRequestSpec { audiences: Vec::new(), ..Default::default() },
            ..Default::default()
        };
        let answer = accounts.create_token_request(self.account(), &PostParams::default(), &request).await.unwrap();
        let token = answer.status.unwrap().token;
        let kubeconfig = plane.kubeconfig_with(&token).unwrap();
        let mut probes = vec![
            (Some(self.system), "coordination.k8s.io", "leases"),
            (None, "harbor-robots.io", "clusterharborregistries"),
        ];
        if self.rights == Rights::Namespaced {
            probes.extend(self.teams.iter().map(|team| (Some(team.as_str()), "harbor-robots.io", "robotaccounts")));
        }
        for (namespace, group, resource) in probes {
            eventually(&format!("the operator may get {resource}"), SOON, || async {
                if self.may_get(client, namespace, group, resource).await { Ok(()) } else { Err("not yet") }
            })
            .await;
        }
        Installation { args: self.args(), kubeconfig, token }
    }

    async fn may_get(&self, client: &Client, namespace: Option<&str>, group: &str, resource: &str) -> bool {
        let review = SubjectAccessReview {
            spec: SubjectAccessReviewSpec {
                user: Some(format!("system:serviceaccount:{}:{}", self.system, self.account())),
                resource_attributes: Some(ResourceAttributes {
                    namespace: namespace.map(str::to_owned),
                    verb: Some("get".to_owned()),
                    group: Some(group.to_owned()),
                    resource: Some(resource.to_owned()),
                    name: (resource == "leases").then(|| OPERATOR.to_owned()),
                    ..Default::default()
                }),
                ..Default::default()
            },
            ..Default::default()
        };
        let api: Api<SubjectAccessReview> = Api::all(client.clone());
        let answer = api.create(&PostParams::default(), &review).await.unwrap();
        answer.status.is_some_and(|status| status.allowed)
    }

    /// The Deployment's arguments. The test world adds its own: `--allow-http` and `--listen` (see
    /// `harbor_robot_world::OperatorOptions`), `--registry-selector` and mostly `--namespaces`, since scenes share a
    /// cluster, `--log-level`, and what a test asks for.
    fn args(&self) -> Vec<String> {
        let manifest = self.rights.manifest();
        let deployment = manifest.iter().find(|object| object["kind"] == "Deployment").expect("a Deployment");
        let args = deployment["spec"]["template"]["spec"]["containers"][0]["args"].as_array().expect("arguments");
        let args: Vec<&str> = args.iter().map(|arg| arg.as_str().expect("texts")).collect();
        assert!(args.starts_with(&["run"]) && args.contains(&"--leader-elect=true"), "{args:?}");
        args[1..]
            .iter()
            // Every operator of a test logs JSON; which namespaces are served is the scene's to say.
            .filter(|arg| **arg != "--log-format=json" && !arg.starts_with("--namespaces="))
            .map(|arg| arg.replace(NAMESPACE, self.system))
            .collect()
    }
}

/// Applies what all scenes of a control plane share: the roles of the cluster, and the policies.
pub fn apply_shared(plane: &ControlPlane) {
    let mut roles: Vec<Value> = Vec::new();
    for rights in [Rights::Shipped, Rights::Hardened, Rights::Namespaced] {
        let mut all = rights.manifest();
        all.retain(|object| object["kind"] == "ClusterRole");
        for role in &mut all {
            rename(&mut role["metadata"]["name"], rights.word());
        }
        roles.extend(all);
    }
    roles.extend(policies());
    let list = json!({"apiVersion": "v1", "kind": "List", "items": roles});
    plane.apply(&list.to_string()).expect("roles and policies are accepted");
}

/// The policies of the manifest, for the operators of all scenes. People of the tests who edit statuses and finalizers are of the
/// group that may.
fn policies() -> Vec<Value> {
    let installed = format!("'system:serviceaccount:{NAMESPACE}:{OPERATOR}'");
    let any = format!(
        "request.userInfo.username.matches('^system:serviceaccount:[-a-z0-9]+:({OPERATOR}|{REFUSED}|[-a-z0-9]+-op)$')"
    );
    let mut all = Rights::Shipped.manifest();
    all.retain(|object| object["kind"].as_str().is_some_and(|kind| kind.starts_with("ValidatingAdmissionPolicy")));
    assert!(!all.is_empty(), "the manifest has policies");
    all.iter()
        .map(|policy| {
            let text = policy.to_string();
            let text = text.replace(&format!("request.userInfo.username == {installed}"), &any);
            let text = text.replace(&format!("request.userInfo.username in [{installed}]"), &any);
            // The fence has to hold without them: an attacker may write statuses.
            let text = text
                .replace("['harbor-robots:break-glass']", "['harbor-robots:break-glass', 'system:serviceaccounts']");
            assert!(!text.contains(&installed), "the operator is named in another way: {text}");
            serde_json::from_str(&text).unwrap()
        })
        .collect()
}

fn rename(name: &mut Value, tail: &str) {
    *name = json!(format!("{}-{tail}", name.as_str().unwrap()));
}

/// The entries of a list, which an index would add where there is none.
fn entries<'a>(object: &'a mut Value, list: &str) -> impl Iterator<Item = &'a mut Value> {
    object.get_mut(list).and_then(Value::as_array_mut).into_iter().flatten()
}

fn in_namespace(object: &Value, namespace: &str) -> Value {
    let mut object = object.clone();
    for rule in entries(&mut object, "rules") {
        if rule.get("resourceNames") == Some(&json!([TEAM])) {
            rule["resourceNames"] = json!([namespace]);
        }
    }
    object["metadata"]["namespace"] = json!(namespace);
    object
}
