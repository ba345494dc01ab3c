//! What runs the pods of the operator's Deployment: each is a process, started with the pod's arguments and its
//! ServiceAccount's token, and Ready as its own probe says.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use harbor_robot_world::{ControlPlane, Operator, OperatorOptions, run as run_command, scratch};
use k8s_openapi::api::authentication::v1::{TokenRequest, TokenRequestSpec};
use k8s_openapi::api::core::v1::{Pod, ServiceAccount};
use kube::Client;
use kube::api::{Api, DeleteParams, ListParams, Patch, PatchParams, PostParams};
use serde_json::json;
use tokio::task::JoinHandle;

use crate::helm::NAMESPACE;

/// Set when there is an image where the pods say: then its program runs.
pub const IMAGE: &str = "HARBOR_ROBOT_IMAGE";

const NODE: &str = "node-1";
const LOOK: Duration = Duration::from_millis(200);

/// Runs until it is dropped.
pub struct Kubelet {
    task: JoinHandle<()>,
}

impl Kubelet {
    /// Begins to run the pods of the operator's namespace.
    pub fn start(plane: &'static ControlPlane) -> Self {
        plane.apply(&json!({"apiVersion": "v1", "kind": "Node", "metadata": {"name": NODE}}).to_string()).unwrap();
        Self { task: tokio::spawn(run(plane)) }
    }
}

impl Drop for Kubelet {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn run(plane: &'static ControlPlane) {
    let client = plane.client().await.unwrap();
    let pods: Api<Pod> = Api::namespaced(client.clone(), NAMESPACE);
    let mut running: BTreeMap<String, Operator> = BTreeMap::new();
    loop {
        for pod in pods.list(&ListParams::default()).await.unwrap() {
            let name = pod.metadata.name.clone().unwrap();
            if pod.metadata.deletion_timestamp.is_some() {
                if let Some(mut operator) = running.remove(&name) {
                    assert!(operator.terminate().unwrap().success(), "it ends in peace");
                }
                // One that is gone is fine.
                let _ = pods.delete(&name, &DeleteParams::default().grace_period(0)).await;
                continue;
            }
            if !running.contains_key(&name) {
                bind(&client, &name).await;
                let operator = start(plane, &client, &pod).await;
                running.insert(name.clone(), operator);
            }
            tell(&pods, &name, running[&name].ready().await).await;
        }
        tokio::time::sleep(LOOK).await;
    }
}

async fn bind(client: &Client, pod: &str) {
    let binding = json!({
        "apiVersion": "v1", "kind": "Binding", "metadata": {"name": pod, "namespace": NAMESPACE},
        "target": {"apiVersion": "v1", "kind": "Node", "name": NODE},
    });
    let request = hyper::Request::post(format!("/api/v1/namespaces/{NAMESPACE}/pods/{pod}/binding"))
        .header("content-type", "application/json")
        .body(binding.to_string().into_bytes())
        .unwrap();
    // Bound before, by a kubelet that was dropped.
    let _ = client.request::<serde_json::Value>(request).await;
}

async fn start(plane: &ControlPlane, client: &Client, pod: &Pod) -> Operator {
    let spec = pod.spec.as_ref().unwrap();
    let container = &spec.containers[0];
    assert_eq!(container.command.as_deref(), Some(&["/harbor-robot-operator".to_owned()][..]));
    let (run, args) = container.args.as_ref().unwrap().split_first().unwrap();
    assert_eq!(run, "run");
    // Every operator of a test logs JSON.
    let args = args.iter().filter(|arg| *arg != "--log-format=json").cloned().collect();
    let kubeconfig = kubeconfig(plane, client, spec.service_account_name.as_deref().unwrap()).await;
    let image = container.image.clone().unwrap();
    let binary = std::env::var_os(IMAGE).map(|_| pulled(plane, &image));
    let options = OperatorOptions { kubeconfig, args, https_only: true, binary, ..OperatorOptions::default() };
    tokio::task::spawn_blocking(move || Operator::start(&options)).await.unwrap().unwrap()
}

/// The program in an image, which is for a user by number: kubelet cannot tell of a name whether it is root.
fn pulled(plane: &ControlPlane, image: &str) -> PathBuf {
    let crane = |args: &[&str]| run_command(plane.rig_command("crane", args), b"").ok().unwrap();
    let config: serde_json::Value = serde_json::from_str(&crane(&["config", image])).unwrap();
    let user = config["config"]["User"].as_str().unwrap().split(':').next().unwrap();
    assert!(user.parse::<u32>().unwrap() > 0, "{config}");
    let folder = scratch().unwrap();
    let archive = folder.join("image.tar").to_string_lossy().into_owned();
    crane(&["export", image, &archive]);
    let mut tar = Command::new("tar");
    tar.args(["-xf", &archive, "-C"]).arg(&folder).arg("harbor-robot-operator");
    run_command(tar, b"").ok().unwrap();
    folder.join("harbor-robot-operator")
}

/// What a pod gets: its ServiceAccount's token.
async fn kubeconfig(plane: &ControlPlane, client: &Client, account: &str) -> PathBuf {
    let accounts: Api<ServiceAccount> = Api::namespaced(client.clone(), NAMESPACE);
    let request = TokenRequest { spec: TokenRequestSpec::default(), ..TokenRequest::default() };
    let answer = accounts.create_token_request(account, &PostParams::default(), &request).await.unwrap();
    plane.kubeconfig_with(&answer.status.unwrap().token).unwrap()
}

async fn tell(pods: &Api<Pod>, name: &str, ready: bool) {
    let status = if ready { "True" } else { "False" };
    let status = json!({"status": {
        "phase": "Running",
        "conditions": [
            {"type": "PodScheduled", "status": "True"},
            {"type": "Initialized", "status": "True"},
            {"type": "ContainersReady", "status": status},
            {"type": "Ready", "status": status},
        ],
        "containerStatuses": [{
            "name": "operator", "image": "harbor-robot-operator", "imageID": "", "restartCount": 0, "ready": ready,
            "started": true, "state": {"running": {"startedAt": null}},
        }],
    }});
    // One that is gone is fine.
    let _ = pods.patch_status(name, &PatchParams::default(), &Patch::Strategic(status)).await;
}
