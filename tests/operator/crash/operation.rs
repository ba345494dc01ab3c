//! The operations, stage by stage: what begins one, when it is over, which calls it takes, what has to be true then.

use kube::api::{Patch, PatchParams};
use serde_json::{Value, json};

use crate::scene::{LoginAs, Scene, condition, system_robots_serve};

const FINALIZER: &str = "Kubernetes PATCH robotaccounts/{name}";
const POST: &str = "Harbor POST robots";
/// Updates a robot.
pub const PUT: &str = "Harbor PUT robots/{id}";
const PATCH: &str = "Harbor PATCH robots/{id}";
const DELETE: &str = "Harbor DELETE robots/{id}";
const FIRST_PUBLISH: &str = "Kubernetes POST secrets";
const PUBLISH: &str = "Kubernetes PUT secrets/{name}";
/// Writes an account's status.
pub const STATUS: &str = "Kubernetes PUT robotaccounts/{name}/status";
/// Tells users what was done.
pub const EVENT: &str = "Kubernetes POST events";

/// An account that nothing happens to.
pub const WITNESS: &str = "witness";

const HOUR: u64 = 3600;

/// An operation on an account, as one or more stages: something happens, and the operator acts on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operation {
    Create,
    RotateOverlap,
    RotateInPlace,
    Adopt,
    Delete,
    Retain,
}

impl Operation {
    /// The calls of each stage. Events are sent aside and stand last.
    pub fn calls(self, login: LoginAs) -> &'static [&'static [&'static str]] {
        match (self, login) {
            (Self::Create, _) => &[&[FINALIZER, POST, FIRST_PUBLISH, STATUS, EVENT]],
            (Self::RotateOverlap, _) => &[&[POST, PUBLISH, STATUS, EVENT], &[DELETE, STATUS]],
            (Self::RotateInPlace, _) => &[&[PATCH, PUBLISH, PUT, STATUS, EVENT]],
            // The first POST finds the name taken.
            (Self::Adopt, _) => &[&[FINALIZER, POST, PUT, PATCH, FIRST_PUBLISH, STATUS, EVENT]],
            (Self::Delete, _) => &[&[DELETE, DELETE, STATUS, FINALIZER]],
            (Self::Retain, LoginAs::Person) => &[&[DELETE, PUT, STATUS, PUBLISH, FINALIZER]],
            // That a robot of the project may not update is seen beforehand; a system robot's PUT is refused, which ends the
            // pass before its status.
            (Self::Retain, LoginAs::Robot) if !system_robots_serve() => &[&[DELETE, STATUS, PUBLISH, FINALIZER]],
            (Self::Retain, LoginAs::Robot) => &[&[DELETE, PUBLISH, FINALIZER]],
        }
    }

    fn spec(self) -> Value {
        match self {
            Self::Create => json!({}),
            Self::RotateOverlap | Self::Delete => json!({"rotation": {"overlap": "1h"}}),
            Self::Retain => json!({"rotation": {"overlap": "1h"}, "deletionPolicy": "Retain"}),
            Self::RotateInPlace => json!({"rotation": {"strategy": "InPlace"}}),
            Self::Adopt => json!({"adoptionPolicy": "IfUnowned"}),
        }
    }

    /// No login may fail at any time.
    pub fn has_no_gap(self) -> bool {
        !matches!(self, Self::RotateInPlace | Self::Delete)
    }

    pub async fn prepare(self, scene: &Scene, names: &[String]) {
        // Keeps the project in use, so that it is swept, and has to stay as it is.
        scene.account(WITNESS, json!({})).await;
        scene.settled(WITNESS).await;
        if self == Self::Adopt {
            for name in names {
                scene.stranger(name, "by hand").await;
            }
        }
        if matches!(self, Self::Create | Self::Adopt) {
            return;
        }
        for name in names {
            scene.account(name, self.spec()).await;
        }
        for name in names {
            scene.settled(name).await;
        }
        // A refresh needs a robot that is a minute old.
        scene.advance(61).await;
        scene.sweeps(2).await;
        if matches!(self, Self::Delete | Self::Retain) {
            for name in names {
                refresh(scene, name, json!({})).await;
            }
            for name in names {
                refreshed(scene, name).await;
            }
        }
    }

    pub async fn begin(self, scene: &Scene, name: &str, stage: usize) {
        match (self, stage) {
            (Self::Create | Self::Adopt, _) => scene.account(name, self.spec()).await,
            (Self::RotateOverlap, 0) => refresh(scene, name, json!({})).await,
            (Self::RotateOverlap, _) => scene.advance(HOUR).await,
            (Self::RotateInPlace, _) => refresh(scene, name, json!({"expiresAfter": "60d"})).await,
            (Self::Delete | Self::Retain, _) => scene.delete(name).await,
        }
    }

    /// Waits until a stage is over.
    pub async fn end(self, scene: &Scene, name: &str, stage: usize) {
        match (self, stage) {
            (Self::Create | Self::Adopt, _) => {
                scene.settled(name).await;
            }
            (Self::RotateOverlap | Self::RotateInPlace, 0) => refreshed(scene, name).await,
            (Self::RotateOverlap | Self::RotateInPlace, _) => {
                scene
                    .account_is("its overlap ended", name, |account| {
                        account.status.as_ref().is_some_and(|status| status.previous.is_none())
                    })
                    .await;
            }
            (Self::Delete | Self::Retain, _) => scene.gone(name).await,
        }
    }

    /// What has to be true in the end.
    pub async fn check(self, scene: &Scene, name: &str) {
        let wanted = usize::from(self != Self::Delete);
        let robots = scene
            .robots_are(&format!("{name} has {wanted} robot(s)"), |robots| robots_of(robots, name).len() == wanted)
            .await;
        if self == Self::Delete {
            return;
        }
        let login = scene.logs_in(name).await;
        assert_eq!(robots_of(&robots, name)[0]["name"], login.name, "{name}");
        if self == Self::RotateInPlace {
            assert!(login.name.ends_with(name), "the name stays: {}", login.name);
            let left = robots_of(&robots, name)[0]["duration"].as_i64().unwrap();
            assert!((60..=62).contains(&left), "{name}: {left} days");
        }
    }
}

/// The robots in an account's two slots.
pub fn robots_of<'a>(robots: &'a [Value], account: &str) -> Vec<&'a Value> {
    let slots = [format!("+{account}"), format!("+{account}.b")];
    let is_ours = |robot: &&Value| slots.iter().any(|slot| robot["name"].as_str().unwrap().ends_with(slot));
    robots.iter().filter(is_ours).collect()
}

async fn refresh(scene: &Scene, name: &str, spec: Value) {
    let patch = json!({"metadata": {"annotations": {"harbor-robots.io/refresh": "now"}}, "spec": spec});
    scene.accounts().patch(name, &PatchParams::default(), &Patch::Merge(patch)).await.unwrap();
}

async fn refreshed(scene: &Scene, name: &str) {
    scene
        .account_is("refreshed", name, |account| {
            let is_true = |kind| condition(account, kind).is_some_and(|(status, _, _)| status == "True");
            let status = account.status.as_ref();
            is_true("Ready")
                && is_true("Synced")
                && status.is_some_and(|status| {
                    status.handled_refresh.as_deref() == Some("now")
                        && status.observed_generation == account.metadata.generation
                })
        })
        .await;
}
