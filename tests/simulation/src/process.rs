//! A process of the operator: it is started, ends in peace, dies at any await, or loses the network.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use clap::Parser as _;
use harbor_robot_operator::cli::{Cli, Command, RunArgs};
use harbor_robot_operator::run::{Error, Operator, Surroundings};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::kubernetes::Cluster;
use crate::network::Network;
use crate::to_harbor::{Harbors, ToHarbor};
use crate::to_kubernetes;

/// How long a container that ended waits before it is started again.
const RESTART: Duration = Duration::from_secs(1);

/// How long a process that is asked to end may take: what is under way gets fifteen seconds, the Lease some more.
const LONGEST_END: Duration = Duration::from_secs(30);

/// How long after its death it is started again.
const AFTER_DEATH: Duration = Duration::from_secs(3);

/// One process from its start to its end, as the network knows it.
pub struct Life {
    name: String,
    over: CancellationToken,
    cut_off: Arc<AtomicBool>,
}

impl Life {
    /// One that nobody ends, of something else than the operator.
    pub fn of(name: &str) -> Arc<Self> {
        Arc::new(Self { name: name.to_owned(), over: CancellationToken::new(), cut_off: Arc::default() })
    }

    /// Which replica.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// A call of this process. None is answered after its end.
    pub async fn while_it_lasts<T>(&self, call: impl Future<Output = T>) -> T {
        match self.over.run_until_cancelled(call).await {
            Some(answer) => answer,
            None => std::future::pending().await,
        }
    }

    /// It dies where it stands.
    pub fn end(&self) {
        self.over.cancel();
    }

    /// Nothing that it sends arrives.
    pub fn is_cut_off(&self) -> bool {
        self.cut_off.load(Ordering::Relaxed)
    }
}

/// What all replicas share.
pub struct Site {
    /// Kubernetes.
    pub cluster: Cluster,
    /// The Harbors.
    pub harbors: Harbors,
    /// The way to them.
    pub network: Network,
    args: RunArgs,
}

impl Site {
    /// A place for replicas with these flags.
    ///
    /// # Panics
    /// If the flags are none.
    pub fn new(cluster: Cluster, harbors: Harbors, network: Network, flags: &[&str]) -> Self {
        let line = ["harbor-robot-operator", "run"].iter().chain(flags);
        let Command::Run(args) = Cli::try_parse_from(line).expect("the flags are the operator's").command else {
            panic!("run is a command")
        };
        Self { cluster, harbors, network, args: *args }
    }
}

/// A replica, which is started again whenever its process ends.
pub struct Replica {
    site: Arc<Site>,
    name: String,
    process: Option<Process>,
    cut_off: Arc<AtomicBool>,
    /// The one that runs, or ran last.
    operator: Arc<Mutex<Operator>>,
    /// Each pod is another one.
    starts: u32,
}

struct Process {
    /// Over when the pod is.
    over: CancellationToken,
    shutdown: CancellationToken,
    task: JoinHandle<()>,
}

impl Replica {
    /// A replica that is not started yet.
    pub fn new(site: Arc<Site>, name: &str) -> Self {
        Self {
            site,
            name: name.to_owned(),
            process: None,
            cut_off: Arc::default(),
            operator: Arc::default(),
            starts: 0,
        }
    }

    /// True while it has a process.
    pub fn is_up(&self) -> bool {
        self.process.as_ref().is_some_and(|process| !process.task.is_finished())
    }

    /// What whoever scrapes it gets; nothing if it is not up.
    pub fn measured(&self) -> Option<String> {
        self.is_up().then(|| self.operator.lock().unwrap_or_else(PoisonError::into_inner).measured())
    }

    /// Starts a pod, if there is none.
    pub fn start(&mut self) {
        if self.is_up() {
            return;
        }
        self.starts += 1;
        let (over, shutdown) = (CancellationToken::new(), CancellationToken::new());
        let pod = Pod {
            site: Arc::clone(&self.site),
            name: self.name.clone(),
            host: format!("{}-{}", self.name, self.starts),
            cut_off: Arc::clone(&self.cut_off),
            operator: Arc::clone(&self.operator),
            over: over.clone(),
            shutdown: shutdown.clone(),
        };
        self.process = Some(Process { over, shutdown, task: tokio::spawn(pod.run()) });
    }

    /// It ends as after SIGTERM; started again by [`Self::start`].
    pub async fn stop(&mut self) {
        if let Some(process) = self.process.take() {
            process.shutdown.cancel();
            if tokio::time::timeout(LONGEST_END, process.task).await.is_err() {
                self.site.network.broke(format_args!("{} does not end when it is asked to", self.name));
            }
            process.over.cancel();
        }
    }

    /// It dies where it stands.
    pub fn kill(&mut self) {
        if let Some(process) = self.process.take() {
            process.over.cancel();
            process.task.abort();
        }
    }

    /// From now on nothing arrives, or everything again.
    pub fn set_cut_off(&mut self, cut_off: bool) {
        self.cut_off.store(cut_off, Ordering::Relaxed);
    }
}

/// Where one process follows the other, as a container is started again: a back-off of its own would only make runs longer.
struct Pod {
    site: Arc<Site>,
    name: String,
    host: String,
    cut_off: Arc<AtomicBool>,
    operator: Arc<Mutex<Operator>>,
    over: CancellationToken,
    shutdown: CancellationToken,
}

impl Pod {
    async fn run(self) {
        let (site, host) = (&self.site, &self.host);
        while !self.shutdown.is_cancelled() {
            let life = Arc::new(Life {
                name: self.name.clone(),
                over: self.over.child_token(),
                cut_off: Arc::clone(&self.cut_off),
            });
            let operator = Operator::default();
            self.operator.lock().unwrap_or_else(PoisonError::into_inner).clone_from(&operator);
            let surroundings = Surroundings {
                client: to_kubernetes::client(&site.cluster, &site.network, &life),
                api_server: None,
                host: Some(host.clone()),
                carrier: Some(Arc::new(ToHarbor {
                    harbors: Arc::clone(&site.harbors),
                    network: site.network.clone(),
                    cluster: site.cluster.clone(),
                    life: Arc::clone(&life),
                })),
            };
            let process = Box::pin(operator.operate(&site.args, surroundings, self.shutdown.clone()));
            match life.over.run_until_cancelled(process).await {
                None => {
                    site.network.note(format_args!("{host} died"));
                    tokio::time::sleep(AFTER_DEATH).await;
                }
                Some(Ok(())) => site.network.note(format_args!("{host} stopped")),
                Some(Err(error)) => {
                    site.network.note(format_args!("{host} ended: {error}"));
                    if !matches!(error, Error::NotLeading(_) | Error::Start(_)) {
                        site.network.broke(format_args!("the process of {host} ended: {error}"));
                    }
                }
            }
            life.end();
            tokio::time::sleep(RESTART).await;
        }
    }
}
