//! `cargo xtask demo`: the operator's main job on real parts.

mod clients;
mod rotation;

use std::sync::Arc;

use anyhow::{Context, Result, bail};
use harbor_robot_world::{Operator, note};
use serde_json::json;

use crate::objects;
use crate::samples;
use crate::stage::{Stage, Wanted};

/// Namespace, account, project and Secret of the sample.
const DEMO: &str = "demo";

pub(crate) async fn run() -> Result<()> {
    let (stage, operator) = tokio::task::spawn_blocking(|| -> Result<_> {
        let stage = Stage::start(Wanted::default())?;
        let operator = stage.operator()?;
        note(&format!("operator: pid {}, http://{}/metrics", operator.pid(), operator.metrics_address));
        Ok((Arc::new(stage), operator))
    })
    .await??;
    let shown = show(&stage).await;
    if shown.is_err() {
        explain(&stage, &operator);
    }
    shown
}

async fn show(stage: &Arc<Stage>) -> Result<()> {
    let plane = &stage.plane;
    let harbor = stage.harbor();
    let image = format!("{}/{DEMO}/hello:1", harbor.host());

    harbor.create_project(DEMO).await?;
    println!("Harbor has the private project {DEMO}");
    let push = ["--image", &image, "--username", &harbor.admin.name];
    let digest = plane.rig("push", push, &harbor.admin.secret).ok().context("push an image")?;
    println!("pushed {image} {}", digest.trim());

    println!("$ kubectl apply -f deploy/samples");
    let apply = ["apply", "--server-side", "-f", "-"];
    print!("{}", plane.kubectl_stdin(apply, &samples::rendered(harbor)?).ok()?);
    println!("$ kubectl wait --for=condition=Ready robotaccount/{DEMO} -n {DEMO}");
    print!(
        "{}",
        plane
            .kubectl(["wait", "--for=condition=Ready", "--timeout=60s", "robotaccount/demo", "-n", DEMO])
            .ok()
            .context("the account does not become Ready")?
    );
    println!("$ kubectl get robotaccounts -n {DEMO} -o wide");
    print!("{}", plane.kubectl(["get", "robotaccounts", "-n", DEMO, "-o", "wide"]).ok()?);
    let robots = harbor.robots(DEMO).await?;
    println!("robots in Harbor's project {DEMO}: {}", names(&robots));
    if robots.is_empty() {
        bail!("no robot in Harbor");
    }

    // Nothing runs the pod: what kubelet does with it is done by `rig pull`.
    stage.apply(&json!({
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "hello", "namespace": DEMO},
        "spec": {"containers": [{"name": "hello", "image": image}], "imagePullSecrets": [{"name": DEMO}]},
    }))?;
    let pulled = plane.rig("pull", ["--namespace", DEMO, "--pod", "hello"], "").ok().context("pull with the Secret")?;
    if pulled.trim() != digest.trim() {
        bail!("pulled {} and not the image that was pushed", pulled.trim());
    }
    let Err(refused) = plane.pull("default", &[], &image) else {
        bail!("{image} can be pulled without the Secret: the project is not private");
    };

    let rotated = rotation::show(stage).await?;
    let ready = ["wait", "--for=condition=Ready", "--timeout=10s", "robotaccount/demo", "-n", DEMO];
    plane.kubectl(ready).ok().context("the account is not Ready in the end")?;
    let login = objects::credential(&objects::secrets(&plane.client().await?, DEMO).get(DEMO).await?)?;

    println!();
    println!("account Ready: {DEMO}/{DEMO}, login {}", login.name);
    println!("{rotated}");
    println!("image pulled with the Secret: {image} {}", pulled.trim());
    println!("pull refused without it: {refused}");
    Ok(())
}

fn names(robots: &[serde_json::Value]) -> String {
    robots.iter().filter_map(|robot| robot["name"].as_str()).collect::<Vec<_>>().join(", ")
}

/// What a person needs to find the reason of a failure.
fn explain(stage: &Stage, operator: &Operator) {
    note("\nthe end of the operator's log:");
    note(&operator.lines().tail(40));
    let described = stage.plane.kubectl(["describe", "clusterharborregistries,robotaccounts", "-A"]);
    note(&format!(
        "\n$ kubectl describe clusterharborregistries,robotaccounts -A\n{}{}",
        described.stdout, described.stderr
    ));
}
