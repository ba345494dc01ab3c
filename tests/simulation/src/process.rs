//! A process of the operator: it is started, ends in peace, dies at any await, or loses the network.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
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

/// One process from its start to its end, as the network knows it.
pub struct Life {
    name: String,
    over: CancellationToken,
    cut_off: AtomicBool,
}

impl Life {
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
    cut_off: bool,
    /// Each process is another one.
    starts: u32,
}

struct Process {
    life: Arc<Life>,
    shutdown: CancellationToken,
    task: JoinHandle<()>,
}

impl Replica {
    /// A replica that is not started yet.
    pub fn new(site: Arc<Site>, name: &str) -> Self {
        Self { site, name: name.to_owned(), process: None, cut_off: false, starts: 0 }
    }

    /// True while it has a process.
    pub fn is_up(&self) -> bool {
        self.process.as_ref().is_some_and(|process| !process.task.is_finished())
    }

    /// Starts a process, if there is none.
    pub fn start(&mut self) {
        if self.is_up() {
            return;
        }
        self.starts += 1;
        let life = Arc::new(Life {
            name: self.name.clone(),
            over: CancellationToken::new(),
            cut_off: AtomicBool::new(self.cut_off),
        });
        let shutdown = CancellationToken::new();
        let site = Arc::clone(&self.site);
        let (process, ending) = (Arc::clone(&life), shutdown.clone());
        let host = format!("{}-{}", self.name, self.starts);
        let task = tokio::spawn(async move {
            // As the container is started again: a back-off of its own would only make runs longer.
            while !ending.is_cancelled() {
                let operator = Operator::default();
                let surroundings = Surroundings {
                    client: to_kubernetes::client(&site.cluster, &site.network, &process),
                    api_server: None,
                    host: Some(host.clone()),
                    carrier: Some(Arc::new(ToHarbor {
                        harbors: Arc::clone(&site.harbors),
                        network: site.network.clone(),
                        life: Arc::clone(&process),
                    })),
                };
                match Box::pin(operator.operate(&site.args, surroundings, ending.clone())).await {
                    Ok(()) => site.network.note(format_args!("{host} stopped")),
                    Err(error) => {
                        site.network.note(format_args!("{host} ended: {error}"));
                        if !matches!(error, Error::NotLeading(_) | Error::Start(_)) {
                            site.network.broke(format_args!("the process of {host} ended: {error}"));
                        }
                    }
                }
                tokio::time::sleep(RESTART).await;
            }
        });
        self.process = Some(Process { life, shutdown, task });
    }

    /// It ends as after SIGTERM; started again by [`Self::start`].
    pub async fn stop(&mut self) {
        if let Some(process) = self.process.take() {
            process.shutdown.cancel();
            if tokio::time::timeout(LONGEST_END, process.task).await.is_err() {
                self.site.network.broke(format_args!("{} does not end when it is asked to", self.name));
            }
            process.life.over.cancel();
        }
    }

    /// It dies where it stands.
    pub fn kill(&mut self) {
        if let Some(process) = self.process.take() {
            process.life.over.cancel();
            process.task.abort();
        }
    }

    /// From now on nothing arrives, or everything again.
    pub fn set_cut_off(&mut self, cut_off: bool) {
        self.cut_off = cut_off;
        if let Some(process) = &self.process {
            process.life.cut_off.store(cut_off, Ordering::Relaxed);
        }
    }
}
