//! P3: how soon one new account has a credential that works.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use futures::{StreamExt, TryStreamExt};
use kube::api::{Api, DynamicObject};
use kube::core::{ApiResource, GroupVersionKind};
use kube::runtime::watcher::{self, Event};
use serde_json::Value;

use super::report::{Report, percentile};
use super::{accounts, operator, stage};

const APPLIES: usize = 200;
/// Applies before those that are measured: connections and caches are warm, as in a running cluster.
const WARM_UP: usize = 10;
const TIMEOUT: Duration = Duration::from_mins(1);

pub(crate) async fn measure(report: &mut Report, release: bool) -> Result<()> {
    let (stage, _) = stage(release, &["bench".to_owned()]).await?;
    let (stage, operator) = operator(stage).await?;
    let client = stage.plane.client().await?;
    let api = accounts::api(&client);
    let kind = ApiResource::from_gvk_with_plural(&GroupVersionKind::gvk("", "v1", "Secret"), "secrets");
    let secrets: Api<DynamicObject> = Api::namespaced_with(client, accounts::NAMESPACE, &kind);
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
        let (login, password) = credential(&secret)?;
        if !stage.harbor().verify(&login, &password).await? {
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

/// User name and password of a dockerconfigjson Secret.
fn credential(secret: &DynamicObject) -> Result<(String, String)> {
    let encoded: BTreeMap<String, k8s_openapi::ByteString> = serde_json::from_value(secret.data["data"].clone())?;
    let config: Value = serde_json::from_slice(&encoded.get(".dockerconfigjson").context("no .dockerconfigjson")?.0)?;
    let entry = config["auths"].as_object().and_then(|auths| auths.values().next()).context("no host")?;
    let text = |key: &str| entry[key].as_str().map(str::to_owned).with_context(|| format!("no {key}"));
    Ok((text("username")?, text("password")?))
}
