//! The demo's second half: the credential is replaced while it is in use.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, bail};
use harbor_robot_world::poll;
use serde_json::Value;

use super::clients::Clients;
use super::{DEMO, names};
use crate::objects::{accounts, credential, secrets};
use crate::stage::Stage;

/// How long the old credential lives on; short, so that the demo sees its end.
const OVERLAP: &str = "8s";
/// Clients that keep the old credential read the Secret again this long after it was replaced.
const KEPT: Duration = Duration::from_secs(4);
/// Use of the credential before the rotation and after the old one is gone.
const AROUND: Duration = Duration::from_secs(1);
/// Seconds that a robot has to live before a refresh replaces it.
const REFRESH_AGE: u64 = 61;
const TIMEOUT: Duration = Duration::from_mins(1);

/// Rotates once by annotation. Gives one line that sums up.
pub(super) async fn show(stage: &Arc<Stage>) -> Result<String> {
    let (plane, harbor) = (&stage.plane, stage.harbor());
    println!();
    let overlap = format!("{{\"spec\":{{\"rotation\":{{\"overlap\":\"{OVERLAP}\"}}}}}}");
    println!("$ kubectl patch robotaccount {DEMO} -n {DEMO} --type=merge -p '{overlap}'");
    print!(
        "{}",
        plane.kubectl(["patch", "robotaccount", DEMO, "-n", DEMO, "--type=merge", "-p", overlap.as_str()]).ok()?
    );
    let secret = secrets(&plane.client().await?, DEMO);
    let old = credential(&secret.get(DEMO).await?)?;
    let clients = Clients::start(stage).await?;
    println!(
        "from now on four clients log in without a break, two of them with what the Secret held at first; one pulls"
    );
    tokio::time::sleep(AROUND).await;

    harbor.advance(REFRESH_AGE).await?;
    println!(
        "Harbor's clock is moved forward by {REFRESH_AGE} s, since a refresh does not replace a robot under a minute old"
    );
    println!("$ kubectl annotate robotaccount {DEMO} -n {DEMO} harbor-robots.io/refresh=demo");
    let annotate = ["annotate", "robotaccount", DEMO, "-n", DEMO, "harbor-robots.io/refresh=demo"];
    let started = Instant::now();
    print!("{}", plane.kubectl(annotate).ok()?);
    let say = |what: String| println!("{:5.1} s  {what} ({})", started.elapsed().as_secs_f64(), clients.tally);

    until(stage, |status| status["previous"].is_object()).await?;
    let replaced = Instant::now();
    let new = credential(&secret.get(DEMO).await?)?;
    say(format!("the Secret holds {}; {} works for {OVERLAP} more", new.name, old.name));
    println!("         robots in Harbor: {}", names(&harbor.robots(DEMO).await?));
    tokio::time::sleep_until((replaced + KEPT).into()).await;
    clients.let_go();
    say("the clients that kept the old credential read the Secret again".to_owned());
    until(stage, |status| status["previous"].is_null()).await?;
    if new.name == old.name || harbor.verify(&old.name, &old.secret).await? {
        bail!("{} was not replaced", old.name);
    }
    say(format!("the overlap is over: {} is deleted and refused", old.name));
    println!("         robots in Harbor: {}", names(&harbor.robots(DEMO).await?));
    tokio::time::sleep(AROUND).await;
    let tally = clients.stop().await?;

    println!("$ kubectl get robotaccounts -n {DEMO} -o wide");
    print!("{}", plane.kubectl(["get", "robotaccounts", "-n", DEMO, "-o", "wide"]).ok()?);
    Ok(format!("rotated in use: {} became {}; {tally}", old.name, new.name))
}

/// Waits until the account's status is so.
async fn until(stage: &Stage, is_so: impl Fn(&Value) -> bool) -> Result<()> {
    let api = accounts(&stage.plane.client().await?, DEMO);
    poll("the rotation goes on", TIMEOUT, async || {
        let account = api.get(DEMO).await.map_err(|error| anyhow!(error))?;
        let status = account.data.get("status").context("no status")?;
        if is_so(status) { Ok(()) } else { Err(anyhow!("{status}")) }
    })
    .await
}
