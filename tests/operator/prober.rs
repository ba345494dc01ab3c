//! Somebody who holds every credential that was ever published, and logs in with each of them all the time.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use harbor_robot_world::{HarborClient, Login, eventually};
use k8s_openapi::api::core::v1::Secret;
use kube::api::Api;
use tokio::task::JoinHandle;

use crate::scene::{SOON, Scene, login_in};

/// A pause between rounds, so that the machine is left for the others.
const PAUSE: Duration = Duration::from_millis(25);

/// Logs in until it is asked what came of it.
pub struct Prober {
    stop: Arc<AtomicBool>,
    held: Arc<AtomicUsize>,
    logins: Arc<AtomicUsize>,
    failed: Arc<Mutex<Vec<String>>>,
    task: JoinHandle<()>,
}

impl Prober {
    /// Takes up each credential that appears in a Secret.
    pub fn start(scene: &Scene, secret: &str) -> Self {
        Self::run(scene, Some((scene.secrets(), secret.to_owned())), Vec::new(), true)
    }

    /// Holds only what a Secret holds, as a pod that starts does.
    pub fn of_published(scene: &Scene, secret: &str) -> Self {
        Self::run(scene, Some((scene.secrets(), secret.to_owned())), Vec::new(), false)
    }

    /// Holds one credential.
    pub fn of(scene: &Scene, login: Login) -> Self {
        Self::run(scene, None, vec![login], true)
    }

    fn run(scene: &Scene, watched: Option<(Api<Secret>, String)>, mut known: Vec<Login>, keeps: bool) -> Self {
        let harbor = HarborClient::new(&scene.harbor.url, scene.harbor.admin.clone(), scene.harbor.ca.clone()).unwrap();
        let stop = Arc::new(AtomicBool::new(false));
        let (held, logins) = (Arc::new(AtomicUsize::new(known.len())), Arc::new(AtomicUsize::new(0)));
        let failed = Arc::new(Mutex::new(Vec::new()));
        let task = {
            let (stop, held, logins) = (Arc::clone(&stop), Arc::clone(&held), Arc::clone(&logins));
            let failed = Arc::clone(&failed);
            tokio::spawn(async move {
                while !stop.load(Ordering::Relaxed) {
                    if let Some((secrets, name)) = &watched
                        && let Ok(Some(secret)) = secrets.get_opt(name).await
                        && let Some(login) = login_in(&secret)
                        && !known.contains(&login)
                    {
                        if !keeps {
                            known.clear();
                        }
                        known.push(login);
                    }
                    for login in &known {
                        match harbor.verify(&login.name, &login.secret).await {
                            Ok(true) => {}
                            Ok(false) => failed.lock().unwrap().push(format!("{} was refused", login.name)),
                            Err(error) => failed.lock().unwrap().push(format!("{}: {error}", login.name)),
                        }
                        logins.fetch_add(1, Ordering::Relaxed);
                    }
                    held.store(known.len(), Ordering::Relaxed);
                    tokio::time::sleep(PAUSE).await;
                }
            })
        };
        Self { stop, held, logins, failed, task }
    }

    /// Waits until it holds so many credentials and logged in with each.
    pub async fn has_seen(&self, count: usize) {
        eventually(&format!("{count} credentials"), SOON, || async {
            let held = self.held.load(Ordering::Relaxed);
            if held >= count { Ok(()) } else { Err(held.to_string()) }
        })
        .await;
    }

    /// Ends, and holds every login to have worked.
    pub async fn none_failed(self) {
        self.stop.store(true, Ordering::Relaxed);
        self.task.await.unwrap();
        let (failed, logins) = (self.failed.lock().unwrap(), self.logins.load(Ordering::Relaxed));
        assert!(logins > 0 && failed.is_empty(), "{} of {logins} logins failed: {:?}", failed.len(), failed.first());
    }
}
