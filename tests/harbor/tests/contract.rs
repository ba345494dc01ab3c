//! Replays every scenario of `tests/contract` against the stand-in, one reported case each.
//!
//! Scenarios share one instance, except for those that change server-wide settings or the age of everything.

mod replay;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use harbor_stand_in::{Options, StandIn};
use libtest_mimic::{Arguments, Failed, Trial};
use replay::Scenario;
use serde_json::{Value, json};

fn scenarios() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../contract");
    let entries = std::fs::read_dir(&folder).expect("tests/contract is beside this crate");
    let mut files: Vec<PathBuf> = entries
        .map(|entry| entry.expect("a readable folder").path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "json"))
        .collect();
    files.sort();
    files
}

async fn started() -> StandIn {
    StandIn::start(Options::default()).await.expect("a free port on loopback")
}

/// The replay itself: each of these expectations is wrong in another way, so each step must fail.
async fn refuses_wrong_answers(url: &str) -> Result<(), Failed> {
    let info = |response: Value| json!({"as": "admin", "request": {"method": "GET", "path": "/api/v2.0/systeminfo"}, "response": response});
    let wrong = [
        json!({"status": 201}),
        json!({"headers": {"X-Request-Id": {"$absent": true}}}),
        json!({"headers": {"X-Other": "1"}}),
        json!({"body_empty": true}),
        json!({"body": {"auth_mode": "db_auth"}}),
        json!({"body": {"$partial": {"auth_mode": {"$absent": true}}}}),
        json!({"body": {"$partial": {"read_only": 0}}}),
        json!({"body": {"$partial": {"read_only": {"$not": false}}}}),
        json!({"body": {"$partial": {"auth_mode": {"$anyof": ["ldap_auth", {"$match": "int"}]}}}}),
        json!({"body": {"$partial": {"auth_mode": {"$match": "regex", "pattern": "db"}}}}),
        json!({"body": {"$partial": {"current_time": {"$match": "rfc3339", "near": "now-1h"}}}}),
        json!({"body": {"$partial": {"current_time": {"$match": "rfc3339", "after": "now+1m"}}}}),
        json!({"body": {"$partial": {"auth_mode": {"$match": "jwt"}}}}),
        json!({"body": {"$partial": {"auth_mode": {"$var": "sfx"}}}}),
        json!({"body": {"$length": 0}}),
        json!({"body_text": {"$match": "startswith", "value": "["}}),
    ];
    let count = wrong.len();
    let scenario = Scenario::of(json!({"steps": wrong.into_iter().map(info).collect::<Vec<_>>()}));
    let outcome = scenario.play(url).await;
    if outcome.failures.len() == count { Ok(()) } else { Err(Failed::from(outcome.failures.join("\n"))) }
}

fn main() {
    let arguments = Arguments::from_args();
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let shared = runtime.block_on(started());
    let shared_url: Arc<str> = shared.url().into();
    let (ran, steps) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let trial = |file: PathBuf| {
        let name = file.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        let (handle, url) = (runtime.handle().clone(), shared_url.clone());
        let (ran, steps) = (ran.clone(), steps.clone());
        Trial::test(name, move || {
            let scenario = Scenario::read(&file).map_err(Failed::from)?;
            let outcome = handle.block_on(async {
                if scenario.needs_own_server() {
                    let own = started().await;
                    scenario.play(own.url()).await
                } else {
                    scenario.play(&url).await
                }
            });
            ran.fetch_add(1, Ordering::Relaxed);
            steps.fetch_add(outcome.passed, Ordering::Relaxed);
            if outcome.failures.is_empty() { Ok(()) } else { Err(Failed::from(outcome.failures.join("\n"))) }
        })
    };
    let mut trials: Vec<Trial> = scenarios().into_iter().map(trial).collect();
    let (handle, url) = (runtime.handle().clone(), shared_url.clone());
    trials.push(Trial::test("the-replay-refuses-wrong-answers", move || handle.block_on(refuses_wrong_answers(&url))));
    let conclusion = libtest_mimic::run(&arguments, trials);
    if !arguments.list {
        println!("{} scenarios, {} steps passed", ran.load(Ordering::Relaxed), steps.load(Ordering::Relaxed));
    }
    drop(shared);
    conclusion.exit();
}
