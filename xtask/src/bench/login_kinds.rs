//! LOGIN: what the login costs Harbor: a robot's, a person's by session, and a person's by Basic, of which Harbor from 2.15
//! on checks the password for 100 ms on each call.

use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use harbor_robot_world::Login;
use kube::api::{Api, DynamicObject};
use serde_json::json;

use super::report::Report;
use super::{accounts, operator, register, stage};
use crate::stage::Stage;

const CREATES: usize = 200;
const TIMEOUT: Duration = Duration::from_mins(10);
/// Measured on Harbor 2.15 and 2.16, in milliseconds.
const PASSWORD_CHECK: u32 = 100;

struct Bench {
    stage: Stage,
    api: Api<DynamicObject>,
    registry: Api<DynamicObject>,
    made: usize,
}

pub(crate) async fn measure(report: &mut Report, release: bool) -> Result<()> {
    let (stage, _) = stage(release, &["bench".to_owned()]).await?;
    let (stage, operator) = operator(stage).await?;
    let client = stage.plane.client().await?;
    let mut bench = Bench { api: accounts::api(&client), registry: accounts::registries(&client), stage, made: 0 };
    bench.stage.harbor().quirks(json!({"personBasicMs": PASSWORD_CHECK})).await?;

    bench.creates(report, "robot, Basic", "robot").await?;
    bench.log_in(&bench.stage.harbor().admin.clone()).await?;
    let session = bench.creates(report, "person, session", "session").await?;
    // Where the form is not offered, the operator falls back to what every call would cost without a session.
    let no_form = json!({"path": "/c/login", "status": 404, "count": 0});
    bench.stage.harbor().quirks(json!({"fail": [no_form]})).await?;
    bench.stage.harbor().forget_sessions().await?;
    let basic = bench.creates(report, "person, Basic", "basic").await?;
    report.add("Harbor's time, person by Basic over person by session", basic / session, "times", None);
    drop(operator);
    Ok(())
}

impl Bench {
    /// Gives the operator another login and waits until it uses it.
    async fn log_in(&self, login: &Login) -> Result<()> {
        register(&self.stage, login)?;
        let named = async {
            loop {
                let registry = self.registry.get("main").await?;
                if registry.data["status"]["login"]["name"] == login.name.as_str() {
                    return Ok(());
                }
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        };
        tokio::time::timeout(TIMEOUT, named).await.context("the operator takes the other login")?
    }

    async fn create(&mut self, prefix: &str, count: usize) -> Result<()> {
        self.made += count;
        let ready = tokio::spawn(accounts::ready(self.api.clone(), self.made, TIMEOUT));
        let wanted: Result<Vec<_>> =
            (0..count).map(|number| accounts::account(&format!("{prefix}-{number}"), "bench")).collect();
        accounts::create(&self.api, wanted?).await?;
        ready.await??;
        Ok(())
    }

    /// Makes accounts; gives the time that Harbor spent on all calls together, in milliseconds for each create. (The
    /// stand-in sleeps where Harbor computes, so what a busy Harbor does to the time until Ready does not show.)
    async fn creates(&mut self, report: &mut Report, name: &str, prefix: &str) -> Result<f64> {
        // What is done once (a login, a look for the project) is not counted.
        self.create(&format!("{prefix}-first"), 1).await?;
        self.stage.harbor().reset_calls().await?;
        let begun = Instant::now();
        self.create(prefix, CREATES).await?;
        let wall = begun.elapsed().as_secs_f64();
        let calls = self.stage.harbor().calls().await?;
        #[expect(clippy::cast_precision_loss, reason = "seconds, in microseconds")]
        let harbor = calls.took as f64 / 1000.0 / CREATES as f64;
        #[expect(clippy::cast_precision_loss, reason = "hundreds")]
        let each = calls.total as f64 / CREATES as f64;
        report.add(format!("{name}: {CREATES} creates, apply to Ready"), wall, "s", None);
        report.add(format!("{name}: Harbor's time per create"), harbor, "ms", None);
        report.add(format!("{name}: calls per create"), each, "calls", None);
        Ok(harbor)
    }
}
