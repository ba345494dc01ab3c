//! P3: how soon one new account has a credential that works.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use futures::{StreamExt, TryStreamExt};
use kube::runtime::watcher::{self, Event};

use super::report::{Report, percentile};
use super::{accounts, operator, stage};
use crate::objects::{credential, secrets};

const APPLIES: usize = 200;
/// Applies before those that are measured: connections and caches are warm, as in a running cluster.
const WARM_UP: usize = 10;
const TIMEOUT: Duration = Duration::from_mins(1);

pub(crate) async fn measure(report: &mut Report, release: bool) -> Result<()> {
    let (stage, _) = stage(release, &["bench".to_owned()]).await?;
    let (stage, operator) = operator(stage).await?;
    let client = stage.plane.client().await?;
    let api = accounts::api(&client);
    let secrets = secrets(&client, accounts::NAMESPACE);
    let mut events = watcher::watcher(secrets, watcher::Config::default()).boxed();

    let mut took = Vec::new();
    for number in 0..WARM_UP + APPLIES {
        let name = format!("single-{number}");
        let started = Instant::now();
        accounts::create(&api, vec![accounts::account(&name, "bench")?]).await?;
        let find = async {
            while let Some(event) = events.try_next().await? {
                if let Event::Apply(secret) | Event::InitApply(secret) = event
                    && secret.metadata.name.as_deref() == Some(&name)
                {
                    return Ok(secret);
                }
            }
            bail!("the watch ended")
        };
        let secret = tokio::time::timeout(TIMEOUT, find).await.with_context(|| format!("no Secret {name}"))??;
        let seen = started.elapsed();
        let login = credential(&secret)?;
        if !stage.harbor().verify(&login.name, &login.secret).await? {
            bail!("the credential of {name} does not log in");
        }
        if number >= WARM_UP {
            took.push(seen.as_secs_f64() * 1000.0);
        }
    }
    report.add("apply to usable Secret, p50", percentile(&mut took, 0.5), "ms", Some(30.0));
    report.add("apply to usable Secret, p99", percentile(&mut took, 0.99), "ms", Some(100.0));
    drop(operator);
    Ok(())
}
