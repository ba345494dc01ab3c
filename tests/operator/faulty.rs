//! A scene whose operator reaches both its servers through a proxy that can stop, lose and delay its calls.

use harbor_robot_faults::{Call, Door, Faults, Moment, Server, Side, Stop};
use harbor_robot_world::{eventually, scratch};
use kube::api::{Patch, PatchParams};
use serde_json::json;

use crate::scene::{SOON, Scene, Setting};

/// How long, in seconds, the scene's operator takes a call of unknown outcome to be under way. The calls of these tests
/// commit when they are told to.
pub const SETTLE_AFTER: u64 = 1;

/// The operator's list of robots.
pub const LIST: &str = "Harbor GET robots";

/// A scene behind a proxy.
pub struct Faulty {
    /// The scene. Its own clients go past the proxy.
    pub scene: Scene,
    /// What happens to the operator's calls.
    pub faults: Faults,
    _doors: [Door; 2],
}

impl Faulty {
    /// One with the operator running and the registry Ready.
    pub async fn new(mut setting: Setting) -> Self {
        if !setting.args.iter().any(|arg| arg.starts_with("--settle-after")) {
            setting.args.push(format!("--settle-after={SETTLE_AFTER}"));
        }
        let mut scene = Scene::without_operator(setting).await;
        let faults = Faults::new();
        let harbor = Server::new(&scene.harbor.url, scene.harbor.ca.as_deref(), None).unwrap();
        let harbor = Door::open(Side::Harbor, harbor, &faults).await.unwrap();
        let ca = std::fs::read_to_string(&scene.plane.ca).unwrap();
        let kubernetes = Server::new(&scene.plane.server, Some(&ca), Some(scene.token.clone())).unwrap();
        let kubernetes = Door::open(Side::Kubernetes, kubernetes, &faults).await.unwrap();
        let kubeconfig = scratch().unwrap().join("kubeconfig");
        kubernetes.write_kubeconfig(&kubeconfig).unwrap();
        scene.kubeconfig = kubeconfig;
        scene.edit_registry(json!({"url": harbor.url})).await;
        let mut faulty = Self { scene, faults, _doors: [harbor, kubernetes] };
        faulty.start();
        faulty.scene.registry_is("Ready", "True").await;
        faulty
    }

    /// Starts the operator.
    pub fn start(&mut self) {
        // Its first calls go through the proxy, which runs beside this.
        tokio::task::block_in_place(|| self.scene.start());
    }

    /// Ends the operator by SIGKILL.
    pub async fn kill(&mut self) {
        let log = self.scene.log();
        assert!(!log.contains("panicked"), "{log}");
        self.scene.kill().await;
    }

    /// The changing calls of the trace that concern accounts.
    pub fn changes(&self) -> Vec<Call> {
        self.faults.trace().into_iter().filter(changes_an_account).collect()
    }

    /// Waits until the operator asked for so many lists of robots more, whoever answers them.
    pub async fn lists(&self, more: usize) {
        let count = || self.faults.trace().iter().filter(|call| call.operation() == LIST).count();
        let before = count();
        eventually("further lists", SOON, || async {
            let now = count();
            if now >= before + more { Ok(()) } else { Err(format!("{} of {more}", now - before)) }
        })
        .await;
    }

    /// The world stands still at the next change of an account.
    pub fn stop_at_change(&self, moment: Moment) -> Stop {
        self.faults.stop_at_next(changes_an_account, moment)
    }
}

/// Logging in, the registry object and the Lease are nobody's account.
fn changes_an_account(call: &Call) -> bool {
    call.changes()
        && match call.side {
            Side::Harbor => call.path.starts_with("/api/v2.0/robots"),
            Side::Kubernetes => call.path.contains("/namespaces/") && !call.path.contains("/leases"),
        }
}

impl Scene {
    /// Moves Harbor's clock, and has the operator look at it at once: an edited registry is probed and swept.
    pub async fn advance(&self, seconds: u64) {
        self.harbor.advance(seconds).await.unwrap();
        self.nudge().await;
    }

    /// Has the operator probe and sweep the registry now instead of at the next poll.
    pub async fn nudge(&self) {
        let stamp = harbor_robot_operator::clock::now().to_string();
        let patch = Patch::Merge(json!({"metadata": {"annotations": {"nudged": stamp}}}));
        self.registries().patch(&self.registry, &PatchParams::default(), &patch).await.unwrap();
    }
}
