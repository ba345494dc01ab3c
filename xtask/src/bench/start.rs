//! P1: how soon the first account is served after the program starts.

use std::time::Duration;

use anyhow::Result;
use harbor_robot_world::Operator;
use kube::api::{Api, DeleteParams, DynamicObject};

use super::report::{Report, percentile};
use super::{accounts, operator, register, stage};
use crate::stage::Stage;

const RUNS: usize = 5;
const TIMEOUT: Duration = Duration::from_mins(1);

pub(crate) async fn measure(report: &mut Report, release: bool) -> Result<()> {
    let (mut stage, login) = stage(release, &["bench".to_owned()]).await?;
    let api = accounts::api(&stage.plane.client().await?);
    // A registry object that no operator has seen costs two writes more: the goal holds for that one.
    let (mut new, mut known) = (Vec::new(), Vec::new());
    for run in 0..2 * RUNS {
        let is_new = run % 2 == 0;
        let operator;
        let took;
        (stage, operator, took) = start(stage, &api, run).await?;
        if is_new { &mut new } else { &mut known }.push(took);
        // The operator is still there to take finalizers off.
        if !is_new {
            stage.plane.kubectl(["delete", "clusterharborregistry", "main", "--timeout=60s"]).ok()?;
        }
        tokio::task::spawn_blocking(move || {
            let mut operator = operator;
            operator.terminate()
        })
        .await??;
        if !is_new {
            register(&stage, &login)?;
        }
    }
    report.add("exec to Ready, median of 5", percentile(&mut new, 0.5), "ms", Some(150.0));
    report.add("exec to Ready, slowest of 5", percentile(&mut new, 1.0), "ms", None);
    report.add("exec to Ready, registry known from before, median of 5", percentile(&mut known, 0.5), "ms", None);
    Ok(())
}

/// One start with one account that waits for it, which is gone in the end. Milliseconds until it was seen Ready.
async fn start(stage: Stage, api: &Api<DynamicObject>, run: usize) -> Result<(Stage, Operator, f64)> {
    let name = format!("first-{run}");
    accounts::create(api, vec![accounts::account(&name, "bench")?]).await?;
    let watching = tokio::spawn(accounts::ready(api.clone(), 1, TIMEOUT));
    let (stage, operator) = operator(stage).await?;
    let took = (watching.await?? - operator.started).as_secs_f64() * 1000.0;
    api.delete(&name, &DeleteParams::default()).await?;
    let wait = ["wait", "--for=delete", "--timeout=60s", "robotaccount", &name, "-n", accounts::NAMESPACE];
    stage.plane.kubectl(wait).ok()?;
    Ok((stage, operator, took))
}
