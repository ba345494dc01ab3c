//! What must hold for everybody else, whatever group is played.

use std::time::{Duration, Instant};

use harbor_robot_world::{Usage, poll};
use serde_json::json;
use tokio::sync::{Semaphore, SemaphorePermit};

use crate::scene::{Scene, Setting, Wide, condition};

/// How long a new account of somebody else may take: twice the goal, to which `cargo xtask bench P17` holds the release build,
/// since here an unoptimised one shares the machine with other tests.
const OTHERS: Duration = Duration::from_secs(10);
/// What peak memory may grow by.
const MEMORY: u64 = 16 << 20;

/// Worlds at the same time: each has hundreds of accounts, and what must hold is held against the clock.
static TURNS: Semaphore = Semaphore::const_new(2);

/// A scene of somebody honest, whose operator also keeps the hostile ones.
pub struct World {
    pub group: &'static str,
    pub scene: Scene,
    failures: Vec<String>,
    honest: usize,
    before: Option<Usage>,
    _turn: SemaphorePermit<'static>,
}

impl World {
    pub async fn new(group: &'static str, further: &[&str]) -> Self {
        let turn = TURNS.acquire().await.expect("it is never closed");
        let args = ["--private-registry-hosts=127.0.0.1", "--tenant-poll-interval=3s", "--settle-after=1"];
        let args = args.iter().chain(&["--cluster-name=hostile"]).chain(further).map(ToString::to_string).collect();
        let plane = tokio::task::spawn_blocking(|| Wide::Crowded.plane()).await.expect("the control plane starts");
        let scene = Scene::new(Setting { plane: Some(plane), all_namespaces: true, args, ..Setting::default() }).await;
        Self { group, scene, failures: Vec::new(), honest: 0, before: None, _turn: turn }
    }

    /// Something did not hold.
    pub fn failed(&mut self, row: &str, what: impl std::fmt::Display) {
        eprintln!("    FAILED {row}: {what}");
        self.failures.push(format!("{row}: {what}"));
    }

    /// A new account of the honest registry is Ready in time, and the process lives.
    pub async fn others_are_served(&mut self, when: &str) {
        self.honest += 1;
        let name = format!("honest-{}", self.honest);
        let begun = Instant::now();
        self.scene.account(&name, json!({})).await;
        let scene = &self.scene;
        let ready = poll("a new account of another registry", OTHERS, || async {
            let account = scene.get(&name).await;
            let ready = condition(&account, "Ready");
            if ready.as_ref().is_some_and(|(status, _, _)| status == "True") {
                Ok(())
            } else {
                Err(format!("{ready:?}"))
            }
        });
        match ready.await {
            Ok(()) => eprintln!("  {}: another tenant's new account {when}: {:.2?}", self.group, begun.elapsed()),
            Err(error) => self.failed("everybody else", format!("{when}: {error}")),
        }
        if self.usage().is_none() {
            let end = self.scene.operator.as_ref().map(|operator| operator.lines().tail(5)).unwrap_or_default();
            self.failed("the process", format!("{when}: it is dead\n{end}"));
        }
    }

    fn usage(&self) -> Option<Usage> {
        self.scene.operator.as_ref().and_then(|operator| operator.usage().ok())
    }

    /// From here on memory counts.
    pub fn count_memory(&mut self) {
        self.scene.operator.as_ref().unwrap().forget_peak().unwrap();
        self.before = self.usage();
    }

    /// Memory did not grow too much.
    pub fn remembers(&mut self, what: &str) {
        let (Some(before), Some(now)) = (self.before, self.usage()) else { return };
        let more = now.peak_rss.saturating_sub(before.rss);
        eprintln!("  {}: {:.1} MB before, peak {:.1} MB: {what}", self.group, mb(before.rss), mb(now.peak_rss));
        if more > MEMORY {
            self.failed("memory", format!("{:.1} MB more: {what}", mb(more)));
        }
    }

    /// Ends the operator, as a node that is lost does.
    pub async fn kill(&mut self) {
        self.no_panic();
        self.scene.kill().await;
    }

    /// Starts the operator again.
    pub fn start(&mut self) {
        // What it asks at its start goes through proxies that run beside this.
        tokio::task::block_in_place(|| self.scene.start());
    }

    /// Nothing in the log tells of a panic.
    pub fn no_panic(&mut self) {
        let log = self.scene.log();
        let panics: Vec<&str> = log.lines().filter(|line| line.contains("panicked")).take(3).collect();
        if !panics.is_empty() {
            self.failed("the process", format!("panics: {}", panics.join("\n")));
        }
    }

    /// # Panics
    /// When something did not hold.
    pub fn end(mut self) {
        self.no_panic();
        let failures = &self.failures;
        assert!(failures.is_empty(), "{}: {} did not hold:\n{}", self.group, failures.len(), failures.join("\n"));
    }
}

#[allow(clippy::cast_precision_loss, reason = "a figure with one decimal")]
fn mb(bytes: u64) -> f64 {
    bytes as f64 / f64::from(1 << 20)
}

/// Whether a row of this name is to be played.
pub fn is_chosen(name: &str) -> bool {
    std::env::var("HOSTILE").map_or(true, |text| name.contains(&text))
}
