//! Install, upgrade, uninstall, install again, and away for good: accounts and what pulls with them go through all of it.

use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use harbor_robot_operator::api::ClusterHarborRegistry;
use harbor_robot_world::{ControlPlane, Harbor, HarborOptions, Operator, Output, Profile, eventually, run, scratch};
use k8s_openapi::api::core::v1::{Pod, Secret};
use kube::api::{Api, ListParams};
use serde_json::{Value, json};

use crate::helm::{NAMESPACE, RELEASE, chart, helm, is_helm_3, make_namespace};
use crate::kubelet::Kubelet;

const TEAM: &str = "team-a";
const SOON: Duration = Duration::from_mins(1);

/// A cluster with Helm, and a Harbor with a project.
struct Cluster {
    plane: &'static ControlPlane,
    harbor: Harbor,
    client: kube::Client,
    image: String,
}

impl Cluster {
    async fn new() -> Self {
        let plane: &'static ControlPlane = Box::leak(Box::new(ControlPlane::unaudited().unwrap()));
        let options = HarborOptions { registry: Some(plane.registry.clone()), ..HarborOptions::default() };
        let harbor = Harbor::start(&options).unwrap();
        harbor.create_project(TEAM).await.unwrap();
        let image = format!("{}/{TEAM}/app:1", harbor.host());
        let push = ["--image", &image, "--username", &harbor.admin.name];
        plane.rig("push", push, &harbor.admin.secret).ok().unwrap();
        make_namespace(plane);
        plane.apply(&json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": TEAM}}).to_string()).unwrap();
        Self { client: plane.client().await.unwrap(), plane, harbor, image }
    }

    fn login(&self) {
        let login = json!({
            "apiVersion": "v1", "kind": "Secret", "metadata": {"name": "harbor-login", "namespace": NAMESPACE},
            "stringData": {"username": self.harbor.admin.name, "password": self.harbor.admin.secret},
        });
        self.plane.apply(&login.to_string()).unwrap();
    }

    /// What the team may have.
    fn registry(&self) -> Value {
        json!({
            "url": self.harbor.url, "auth": {"secretRef": {"name": "harbor-login"}},
            "grants": [{
                "name": "own-project", "namespaces": [TEAM], "projects": ["$(namespace)"],
                "permissions": ["PushArtifacts", "PullArtifacts"], "maxExpiresAfter": "90d", "retention": "Allowed",
            }],
        })
    }

    /// A file with values, and this registry among them if it is to be.
    fn values(&self, with_registry: bool) -> String {
        let mut values = json!({
            "allowHTTP": true,
            // What a former leader may have under way is waited for; here nothing takes so long.
            "extraArgs": ["--settle-after=1"],
        });
        if with_registry {
            values["registries"] = json!({"main": {"default": true, "spec": self.registry()}});
        }
        let path = scratch().unwrap().join("values.yaml");
        std::fs::write(&path, values.to_string()).unwrap();
        path.to_string_lossy().into_owned()
    }

    async fn helm(&self, args: &[&str]) -> Output {
        let mut all = vec!["--namespace", NAMESPACE];
        all.extend(args);
        let mut command = helm();
        command.args(all).env("KUBECONFIG", &self.plane.kubeconfig);
        tokio::task::spawn_blocking(move || run(command, b"")).await.unwrap()
    }

    /// Installs or upgrades, and waits as Helm does.
    async fn install(&self, values: &str, more: &[&str]) -> Output {
        let chart = chart();
        let mut args = vec!["upgrade", "--install", RELEASE, &chart, "--values", values, "--wait", "--timeout", "2m"];
        args.extend(more);
        self.helm(&args).await
    }

    fn account(&self) {
        let account = json!({
            "apiVersion": "harbor-robots.io/v1alpha1", "kind": "RobotAccount",
            "metadata": {"name": "pull", "namespace": TEAM},
            "spec": {"project": TEAM, "permissions": ["PullArtifacts"], "expiresAfter": "30d",
                     "serviceAccounts": [{"name": "default"}]},
        });
        self.plane.apply(&account.to_string()).unwrap();
    }

    fn is_ready(&self) {
        let args = ["wait", "--for=condition=Ready", "--timeout=60s", "robotaccount/pull", "-n", TEAM];
        self.plane.kubectl(args).ok().unwrap();
        self.plane.pull(TEAM, &[], &self.image).unwrap();
    }

    async fn secret(&self) -> Option<Secret> {
        Api::<Secret>::namespaced(self.client.clone(), TEAM).get_opt("pull").await.unwrap()
    }

    /// What nobody may touch: the version of the Secret, and the robots in Harbor.
    async fn kept(&self) -> (Option<String>, Vec<Value>) {
        let robots = self.harbor.robots(TEAM).await.unwrap();
        (self.secret().await.and_then(|secret| secret.metadata.resource_version), robots)
    }

    async fn registries(&self) -> usize {
        let api: Api<ClusterHarborRegistry> = Api::all(self.client.clone());
        api.list(&ListParams::default()).await.unwrap().items.len()
    }

    /// A kubeconfig of an administrator whom policies hold.
    fn person(&self) -> PathBuf {
        let binding = json!({
            "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRoleBinding", "metadata": {"name": "alice"},
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "cluster-admin"},
            "subjects": [{"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": "alice"}],
        });
        self.plane.apply(&binding.to_string()).unwrap();
        let text = std::fs::read_to_string(&self.plane.kubeconfig).unwrap();
        let mut config: Value = serde_saphyr::from_str(&text).unwrap();
        config["users"][0]["user"]["as"] = json!("alice");
        let path = scratch().unwrap().join("kubeconfig");
        std::fs::write(&path, config.to_string()).unwrap();
        path
    }

    /// The operator's own sub-command, as such an administrator runs it.
    async fn uninstall(&self, args: &[&str]) -> Output {
        let mut command = Command::new(Operator::binary(None, Profile::Dev).unwrap());
        command.arg("uninstall").args(args).env("KUBECONFIG", self.person());
        tokio::task::spawn_blocking(move || run(command, b"")).await.unwrap()
    }

    async fn no_pods(&self) {
        let pods: Api<Pod> = Api::namespaced(self.client.clone(), NAMESPACE);
        eventually("the operator is gone", SOON, || async {
            let left = pods.list(&ListParams::default()).await.unwrap().items.len();
            if left == 0 { Ok(()) } else { Err(left) }
        })
        .await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn from_the_first_install_to_the_last_trace() {
    let cluster = Cluster::new().await;
    let _kubelet = Kubelet::start(cluster.plane);
    let values = cluster.values(true);

    // One command, then the login and an account.
    let installed = cluster.install(&values, &[]).await.ok().unwrap();
    assert!(installed.contains("kubectl create secret generic harbor-login -n harbor-robots"), "{installed}");
    assert_eq!(cluster.registries().await, 1);
    cluster.login();
    cluster.account();
    cluster.is_ready();
    let kept = cluster.kept().await;
    assert_eq!(kept.1.len(), 1);

    // The registry, which came late as a hook, becomes an ordinary object of the release.
    cluster.install(&values, &["--set", "log.level=debug"]).await.ok().unwrap();
    let manifest = cluster.helm(&["get", "manifest", RELEASE]).await.ok().unwrap();
    assert!(manifest.contains("kind: ClusterHarborRegistry"), "{manifest}");
    cluster.is_ready();

    // The release goes: nothing that works is touched. It comes again and goes on.
    cluster.helm(&["uninstall", RELEASE, "--wait"]).await.ok().unwrap();
    cluster.no_pods().await;
    cluster.plane.pull(TEAM, &[], &cluster.image).unwrap();
    assert_eq!(cluster.kept().await, kept);
    cluster.install(&values, &[]).await.ok().unwrap();
    cluster.is_ready();
    assert_eq!(cluster.kept().await, kept, "an operator that comes again writes nothing");

    // What would be done is said first.
    let plan = cluster.uninstall(&["--delete"]).await.ok().unwrap();
    assert!(plan.contains("     1 robotaccounts in 1 namespaces") && plan.contains("Nothing was done"), "{plan}");
    assert_eq!(cluster.kept().await, kept);

    let done = cluster.uninstall(&["--delete", "--yes", "--timeout=60s"]).await.ok().unwrap();
    assert!(done.contains("all accounts are gone") && done.contains("all registries are gone"), "{done}");
    assert!(cluster.harbor.robots(TEAM).await.unwrap().is_empty());
    // Kubernetes' own collector takes it, right after its account.
    eventually("the Secret goes with its account", Duration::from_secs(30), || async {
        if cluster.secret().await.is_none() { Ok(()) } else { Err("it is there") }
    })
    .await;
    cluster.helm(&["uninstall", RELEASE, "--wait"]).await.ok().unwrap();
    cluster.no_pods().await;
    cluster.plane.kubectl(["delete", "crd", "-l", "app.kubernetes.io/name=harbor-robot-operator"]).ok().unwrap();
    for namespace in [TEAM, NAMESPACE] {
        cluster.plane.kubectl(["delete", "namespace", namespace, "--timeout=60s"]).ok().unwrap();
    }
    let left = cluster
        .plane
        .kubectl(["get", "clusterroles,clusterrolebindings,validatingadmissionpolicies", "-o", "name"])
        .ok()
        .unwrap();
    assert!(!left.contains("harbor-robot"), "{left}");
}

#[tokio::test(flavor = "multi_thread")]
async fn from_plain_manifests_to_helm_and_away_with_the_credentials_left() {
    let cluster = Cluster::new().await;
    let _kubelet = Kubelet::start(cluster.plane);
    cluster.plane.apply_kinds().unwrap();
    cluster.plane.kubectl(["apply", "--server-side", "-f", "deploy/install.yaml"]).ok().unwrap();
    let values = cluster.values(false);
    let refused = cluster.install(&values, &[]).await;
    assert!(!refused.success && refused.stderr.contains("ownership"), "{}", refused.stderr);
    let taking: &[&str] = if is_helm_3() { &["--take-ownership"] } else { &["--take-ownership", "--force-conflicts"] };
    cluster.install(&values, taking).await.ok().unwrap();
    cluster.login();
    let registry = json!({
        "apiVersion": "harbor-robots.io/v1alpha1", "kind": "ClusterHarborRegistry",
        "metadata": {"name": "main", "annotations": {"harbor-robots.io/is-default": "true"}}, "spec": cluster.registry(),
    });
    cluster.plane.apply(&registry.to_string()).unwrap();
    cluster.account();
    cluster.is_ready();
    let kept = cluster.kept().await;

    let done = cluster.uninstall(&["--retain", "--yes", "--timeout=60s"]).await.ok().unwrap();
    assert!(done.contains("Left: 1 pull Secrets that nobody renews, in team-a (1)"), "{done}");
    cluster.helm(&["uninstall", RELEASE, "--wait"]).await.ok().unwrap();
    cluster.no_pods().await;
    cluster.plane.pull(TEAM, &[], &cluster.image).unwrap();
    let names = |robots: &[Value]| robots.iter().map(|robot| robot["name"].clone()).collect::<Vec<_>>();
    assert_eq!(names(&cluster.kept().await.1), names(&kept.1));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_ended_is_told_and_left_and_a_repeat_goes_on() {
    let cluster = Cluster::new().await;
    let kubelet = Kubelet::start(cluster.plane);
    let values = cluster.values(true);
    cluster.install(&values, &[]).await.ok().unwrap();
    cluster.login();
    cluster.account();
    cluster.is_ready();
    // What the registry does not grant is found out before anything is deleted, and set back.
    let kept = cluster.kept().await;
    let denied = r#"[{"op": "remove", "path": "/spec/grants/0/retention"}]"#;
    cluster.plane.kubectl(["patch", "clusterharborregistry", "main", "--type=json", "-p", denied]).ok().unwrap();
    let output = cluster.uninstall(&["--retain", "--yes", "--timeout=60s"]).await;
    assert!(!output.success && output.stderr.contains("retention: Allowed"), "{}", output.stderr);
    assert!(output.stdout.contains("nothing was deleted; 1 of 1 accounts say again"), "{}", output.stdout);
    let policy = ["get", "robotaccount", "pull", "-n", TEAM, "-o", "jsonpath={.spec.deletionPolicy}"];
    assert_eq!(cluster.plane.kubectl(policy).ok().unwrap(), "");
    cluster.is_ready();
    assert_eq!(cluster.kept().await, kept);

    // Nobody runs the operator any more.
    drop(kubelet);
    let output = cluster.uninstall(&["--delete", "--yes", "--timeout=3s"]).await;
    assert!(!output.success);
    assert!(output.stderr.contains("1 accounts are still there after 3s"), "{}", output.stderr);
    assert!(output.stdout.contains("  robotaccounts team-a/pull"), "{}", output.stdout);
    assert_eq!(cluster.registries().await, 1, "its account needs it");

    let _kubelet = Kubelet::start(cluster.plane);
    cluster.uninstall(&["--delete", "--yes", "--timeout=60s"]).await.ok().unwrap();
    assert!(cluster.harbor.robots(TEAM).await.unwrap().is_empty());
    // A cluster without the kinds has nothing to end.
    cluster.helm(&["uninstall", RELEASE]).await.ok().unwrap();
    cluster.plane.kubectl(["delete", "crd", "--all"]).ok().unwrap();
    let nothing = cluster.uninstall(&["--delete"]).await.ok().unwrap();
    assert!(nothing.contains("     0 robotaccounts"), "{nothing}");
    for args in [&["--yes"][..], &["--delete", "--retain"]] {
        let output = cluster.uninstall(args).await;
        assert!(!output.success && output.stderr.contains("--delete"), "{}", output.stderr);
    }
}
