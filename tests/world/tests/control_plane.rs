//! The control plane is a real one, and nothing of it stays behind.

use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};
use std::time::Duration;

use harbor_robot_world::{ControlPlane, eventually};
use rustix::process::{Pid, Signal, kill_process};

const SOON: Duration = Duration::from_secs(30);

const WIDGETS: &str = r#"
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: widgets.example.org}
spec:
  group: example.org
  names: {kind: Widget, plural: widgets, singular: widget}
  scope: Namespaced
  versions:
  - name: v1
    served: true
    storage: true
    schema:
      openAPIV3Schema:
        type: object
        properties:
          spec:
            type: object
            properties: {size: {type: integer}}
            x-kubernetes-validations:
            - {rule: "self.size >= oldSelf.size", message: "a widget does not shrink"}
"#;

fn widget(size: u32) -> String {
    format!("{{apiVersion: example.org/v1, kind: Widget, metadata: {{name: w}}, spec: {{size: {size}}}}}")
}

#[test]
fn two_control_planes_run_side_by_side_and_share_nothing() {
    let other = ControlPlane::scratch().unwrap();
    let plane = ControlPlane::shared();
    assert_ne!(plane.server, other.server);
    other.kubectl(["create", "namespace", "only-here"]).ok().unwrap();
    assert!(!plane.kubectl(["get", "namespace", "only-here"]).success);
}

#[tokio::test]
async fn a_cel_transition_rule_refuses_an_update_with_its_message() {
    let plane = ControlPlane::shared();
    plane.apply(WIDGETS).unwrap();
    plane.kubectl(["wait", "--for=condition=Established", "crd/widgets.example.org"]).ok().unwrap();
    eventually("the kind is served", SOON, async || plane.apply(&widget(2))).await;
    let error = plane.apply(&widget(1)).unwrap_err().to_string();
    assert!(error.contains("a widget does not shrink"), "{error}");
}

#[tokio::test]
async fn what_an_object_owns_goes_with_it() {
    let plane = ControlPlane::shared();
    plane.kubectl(["create", "configmap", "owner"]).ok().unwrap();
    let uid = plane.kubectl(["get", "configmap", "owner", "-o", "jsonpath={.metadata.uid}"]).ok().unwrap();
    plane
        .apply(&format!(
            "{{apiVersion: v1, kind: Secret, metadata: {{name: owned, ownerReferences: \
             [{{apiVersion: v1, kind: ConfigMap, name: owner, uid: {uid}}}]}}}}"
        ))
        .unwrap();
    plane.kubectl(["delete", "configmap", "owner"]).ok().unwrap();
    eventually("the Secret is collected", SOON, async || {
        let found = plane.kubectl(["get", "secret", "owned", "--ignore-not-found"]).stdout;
        if found.is_empty() { Ok(()) } else { Err(found) }
    })
    .await;
}

#[tokio::test]
async fn a_namespace_gets_its_service_account_and_can_be_deleted() {
    let plane = ControlPlane::shared();
    plane.kubectl(["create", "namespace", "short-lived"]).ok().unwrap();
    eventually("the ServiceAccount is there", SOON, async || {
        plane.kubectl(["get", "serviceaccount", "default", "-n", "short-lived"]).ok()
    })
    .await;
    plane.kubectl(["delete", "namespace", "short-lived", "--timeout=60s"]).ok().unwrap();
}

#[tokio::test]
async fn a_typed_client_reaches_the_api_server() {
    let client = ControlPlane::shared().client().await.unwrap();
    assert_eq!(client.apiserver_version().await.unwrap().minor, "36");
}

#[test]
fn a_pushed_image_is_pulled_and_a_missing_one_is_err_image_pull() {
    let plane = ControlPlane::shared();
    let host = plane.registry.trim_start_matches("http://");
    let image = format!("{host}/demo/hello:1");
    let pushed = plane.rig("push", ["--image", &image], "").ok().unwrap();
    assert_eq!(plane.pull("default", &[], &image).unwrap(), pushed.trim());
    let missing = format!("{host}/demo/nothing:1");
    let error = plane.pull("default", &["no-such-secret"], &missing).unwrap_err().to_string();
    assert!(error.contains("FailedToRetrieveImagePullSecret"), "{error}");
    assert!(error.contains("ErrImagePull"), "{error}");
}

#[tokio::test]
async fn the_servers_end_when_the_program_that_holds_them_is_killed() {
    let plane = ControlPlane::scratch().unwrap();
    let pids: Vec<u32> = plane.pids.values().copied().collect();
    assert_eq!(pids.len(), 4, "{:?}", plane.pids);
    let holder = Pid::from_raw(plane.pid().try_into().unwrap()).unwrap();
    kill_process(holder, Signal::KILL).unwrap();
    gone(&pids).await;
}

/// Starts what [`everything_ends_when_the_test_process_is_killed`] looks at, tells the process ids and waits to be killed.
#[test]
#[ignore = "a part of everything_ends_when_the_test_process_is_killed"]
fn part_that_is_killed() {
    let plane = ControlPlane::scratch().unwrap();
    let me = std::process::id().to_string();
    let mut sleeper = Command::new(env!("CARGO_BIN_EXE_with-parent")).args([&me, "sleep", "3600"]).spawn().unwrap();
    let mut pids: Vec<String> = plane.pids.values().map(u32::to_string).collect();
    pids.push(plane.pid().to_string());
    pids.push(sleeper.id().to_string());
    println!("\npids {}", pids.join(" "));
    sleeper.wait().unwrap();
}

#[tokio::test]
async fn everything_ends_when_the_test_process_is_killed() {
    let mut part = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "part_that_is_killed", "--ignored", "--nocapture"])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let pids: Vec<u32> = BufReader::new(part.stdout.take().unwrap())
        .lines()
        .map_while(Result::ok)
        .find_map(|line| {
            line.strip_prefix("pids ").map(|pids| pids.split(' ').map(|pid| pid.parse().unwrap()).collect())
        })
        .unwrap();
    assert_eq!(pids.len(), 6);
    part.kill().unwrap();
    part.wait().unwrap();
    gone(&pids).await;
}

/// Waits until none of the processes runs. One that has ended but was not yet waited for counts as gone.
async fn gone(pids: &[u32]) {
    let running = |pid: &&u32| {
        std::fs::read_to_string(format!("/proc/{pid}/stat"))
            .is_ok_and(|stat| !stat.rsplit(')').next().unwrap_or_default().trim_start().starts_with('Z'))
    };
    eventually("all processes are gone", SOON, async || {
        let left: Vec<&u32> = pids.iter().filter(running).collect();
        if left.is_empty() { Ok(()) } else { Err(format!("{left:?}")) }
    })
    .await;
}
