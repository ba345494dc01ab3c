//! Kubernetes from a backup: etcd is put back to what it was, and versions of objects run back under a running operator.

use std::path::{Path, PathBuf};
use std::process::Command;

use harbor_robot_faults::{Door, Faults, Server, Side};
use harbor_robot_world::{ControlPlane, eventually, scratch};
use kube::api::{Patch, PatchParams};
use serde_json::json;

use crate::scene::{SOON, Scene, Setting, install_kinds};

/// So many versions are handed out between the backup and the restore.
const WRITES: usize = 100;

/// A control plane that ends and comes back with the data of its folder. Each one lives as long as the process.
async fn start(dir: &Path) -> &'static ControlPlane {
    let dir = dir.to_path_buf();
    let plane = tokio::task::spawn_blocking(move || ControlPlane::start_keeping(&dir)).await.unwrap();
    Box::leak(Box::new(plane.expect("the control plane starts")))
}

fn server(plane: &ControlPlane) -> Server {
    let ca = std::fs::read_to_string(&plane.ca).unwrap();
    Server::new(&plane.server, Some(&ca), Some(plane.token.clone())).unwrap()
}

/// Copies a folder in place of another.
fn copy(from: &Path, to: &Path) {
    let _ = std::fs::remove_dir_all(to);
    assert!(Command::new("cp").arg("-a").args([from, to]).status().unwrap().success());
}

/// A scene on a control plane that can be put back.
struct Restorable {
    scene: Scene,
    dir: PathBuf,
    door: Door,
}

impl Restorable {
    async fn new() -> Self {
        let dir = scratch().unwrap().join("restored");
        let plane = start(&dir).await;
        tokio::task::block_in_place(|| install_kinds(plane));
        // No sweep finds what a watch should have told.
        let registry = json!({"pollInterval": "1h"});
        // With a lease it would end when the control plane is away for ten seconds, and a new one lists everything.
        let args = vec!["--leader-elect=false".to_owned()];
        let mut scene =
            Scene::without_operator(Setting { plane: Some(plane), registry, args, ..Setting::default() }).await;
        let door = Door::open(Side::Kubernetes, server(plane), &Faults::new()).await.unwrap();
        scene.kubeconfig = scratch().unwrap().join("kubeconfig");
        door.write_kubeconfig(&scene.kubeconfig).unwrap();
        tokio::task::block_in_place(|| scene.start());
        Self { scene, dir, door }
    }

    /// Ends the control plane and starts it again, with other data if `prepare` sees to that.
    async fn again(&mut self, prepare: impl FnOnce(&Path)) {
        let plane = self.scene.plane;
        tokio::task::spawn_blocking(|| plane.end()).await.unwrap();
        prepare(&self.dir);
        let plane = start(&self.dir).await;
        self.scene.plane = plane;
        self.scene.client = plane.client().await.unwrap();
        self.door.lead_to(server(plane));
    }

    /// Gives the registry, the account and its Secret newer versions.
    async fn touch(&self, number: usize) {
        let note = Patch::Merge(json!({"metadata": {"annotations": {"example.com/note": number.to_string()}}}));
        let params = PatchParams::default();
        self.scene.registries().patch(&self.scene.registry, &params, &note).await.unwrap();
        self.scene.accounts().patch("ci", &params, &note).await.unwrap();
        self.scene.secrets().patch("ci", &params, &note).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn after_a_restore_of_the_cluster_edits_and_drift_are_seen_although_versions_ran_back() {
    let mut world = Restorable::new().await;
    world.scene.registry_is("Ready", "True").await;
    world.scene.account("ci", json!({})).await;
    world.scene.settled("ci").await;
    world.again(|dir| copy(&dir.join("etcd"), &dir.join("backup"))).await;

    for number in 0..WRITES {
        world.touch(number).await;
    }
    world.scene.edit("ci", json!({"description": "of the time that is undone"})).await;
    world.scene.settled("ci").await;
    let newest = world.scene.get("ci").await.metadata.resource_version.unwrap();
    world.again(|dir| copy(&dir.join("backup"), &dir.join("etcd"))).await;

    world.scene.edit("ci", json!({"disabled": true})).await;
    world.scene.reason_is("ci", "Ready", "True", "Disabled").await;
    world.scene.edit("ci", json!({"disabled": false})).await;
    world.scene.settled("ci").await;
    let now = world.scene.get("ci").await.metadata.resource_version.unwrap();
    assert!(now.parse::<u64>().unwrap() < newest.parse::<u64>().unwrap(), "versions ran back: {newest}, {now}");

    let spoiled = Patch::Merge(json!({"data": {".dockerconfigjson": "e30="}}));
    world.scene.secrets().patch("ci", &PatchParams::default(), &spoiled).await.unwrap();
    world.scene.logs_in("ci").await;

    world.scene.edit_registry(json!({"suspend": true})).await;
    eventually("the registry is seen to be suspended", SOON, || async {
        let registry = world.scene.registries().get(&world.scene.registry).await.map_err(|error| error.to_string())?;
        let conditions = registry.status.map(|status| status.conditions).unwrap_or_default();
        if conditions.iter().any(|c| c.reason == "Suspended") { Ok(()) } else { Err(format!("{conditions:?}")) }
    })
    .await;
    let plane = world.scene.plane;
    tokio::task::spawn_blocking(|| plane.end()).await.unwrap();
}
