//! Puts the parts together, starts them in order, and ends them on SIGTERM.

mod settings;

use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use axum::Router;
use futures::future::join_all;
use kube::Client;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::oneshot;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::cli::RunArgs;
use crate::clock::{self, Steady};
use crate::cluster::{client, events::Events, reviews};
use crate::controllers::enqueue::Queues;
use crate::controllers::gaps::Gaps;
use crate::controllers::index::Index;
use crate::controllers::registries::{self, Registries};
use crate::controllers::watch::restores::{self, Restores};
use crate::controllers::{Context, FormerCalls, Key, RegistryWork, accounts, figures, sweep, turns, watch};
use crate::engine::Stopped;
use crate::gate::Gate;
use crate::leader::{self, Election, Leadership, Takeover};
use crate::metrics::Metrics;
use crate::metrics_access::Access;
use crate::registry::harbor::Carrier;
use crate::server::{self, Server};
use crate::{deadline, engine};

/// Name of the Lease.
pub const LEASE: &str = "harbor-robot-operator";
/// Passes in flight get this long to end after SIGTERM.
const DRAIN: Duration = Duration::from_secs(15);
/// A registry of the cluster that does not answer at start holds nobody up for longer than this.
const FIRST_PROBE: Duration = Duration::from_secs(5);
/// … of a namespace: whose owner may have it answer as slowly as it likes.
const FIRST_PROBE_OF_NAMESPACES: Duration = Duration::from_secs(1);

/// Why the operator stopped.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No cluster to talk to.
    #[error("no access to a Kubernetes API server: {0}")]
    NoCluster(String),
    /// The API server does not answer what is needed at start.
    #[error("{0}")]
    Start(String),
    /// Port of `--listen` or `--metrics-listen` in use, or no right to bind it.
    #[error("cannot listen on {0}: {1}")]
    Listen(SocketAddr, std::io::Error),
    /// Another replica took over.
    #[error("no longer the leader: {0}")]
    NotLeading(#[from] leader::Lost),
    /// A part ended that should not.
    #[error("{0} ended unexpectedly")]
    Ended(&'static str),
    /// A pass panicked and could not be cleared away.
    #[error(transparent)]
    Engine(#[from] engine::Error),
}

/// Runs the operator on a runtime of its own until SIGTERM or SIGINT.
pub fn block_on(args: RunArgs) -> Result<(), Error> {
    // Before anything speaks TLS: kube and reqwest take the process's provider.
    let _ = rustls::crypto::ring::default_provider().install_default();
    // One thread: nearly all time goes by waiting for servers, and each further thread brings a heap of its own.
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Error::Start(error.to_string()))?;
    runtime.block_on(run(args))
}

/// What the operator has around it: real in [`block_on`], simulated in tests.
pub struct Surroundings {
    /// The API server.
    pub client: Client,
    /// Its address, which registries of namespaces must not name.
    pub api_server: Option<IpAddr>,
    /// The pod's name.
    pub host: Option<String>,
    /// What carries requests to registries; HTTP if absent.
    pub carrier: Option<Arc<dyn Carrier>>,
}

async fn run(args: RunArgs) -> Result<(), Error> {
    // What is wrong with the flags is told before anything is asked for.
    election_params(&args)?;
    let shutdown = CancellationToken::new();
    stop_on_signal(&shutdown)?;
    let config = kube::Config::infer().await.map_err(|error| Error::NoCluster(error.to_string()))?;
    let api_server = address_of(&config.cluster_url);
    let client = client::connect(config).map_err(|error| Error::NoCluster(error.to_string()))?;
    let operator = Operator::default();
    let bind = async |address, what| Server::bind(address, what).await.map_err(|error| Error::Listen(address, error));
    let (probes, metrics) = (bind(args.listen, "probes").await?, bind(args.metrics_listen, "metrics").await?);
    // A standby answers its probes, too, so the servers start before the lead is won.
    let served = CancellationToken::new();
    let exposition = operator.exposition(args.metrics_authentication.then(|| access(client.clone())));
    let serving = [
        tokio::spawn(probes.serve(operator.probes(), served.clone())),
        tokio::spawn(metrics.serve(exposition, served.clone())),
    ];
    let surroundings = Surroundings { client, api_server, host: std::env::var("HOSTNAME").ok(), carrier: None };
    // Its state is large, and lives as long as the process.
    let result = Box::pin(operator.operate(&args, surroundings, shutdown)).await;
    served.cancel();
    for server in serving {
        let _ = server.await;
    }
    result
}

/// One process, as its probes and metrics see it.
#[derive(Clone)]
pub struct Operator {
    metrics: Arc<Metrics>,
    progress: Arc<Progress>,
    /// Set when it begins to act.
    context: Arc<OnceLock<Arc<Context>>>,
}

impl Default for Operator {
    fn default() -> Self {
        let metrics = Arc::new(Metrics::new(env!("CARGO_PKG_VERSION")));
        Self { metrics, progress: Arc::default(), context: Arc::default() }
    }
}

impl Operator {
    /// Waits for the lead where it is asked for, and acts until `shutdown` or until the lead is lost.
    pub async fn operate(
        &self,
        args: &RunArgs,
        surroundings: Surroundings,
        shutdown: CancellationToken,
    ) -> Result<(), Error> {
        let Surroundings { client, api_server, host, carrier } = surroundings;
        let election = election_params(args)?;
        let settings = settings::of(args, &client, api_server).await?;
        let leadership = if args.leader_elect {
            let identity = leader::identity(host.as_deref().unwrap_or("operator"));
            let namespace = &args.cluster_resource_namespace;
            let election = Election::new(client.clone(), namespace, LEASE, identity, election, clock::now);
            self.progress.standby.store(true, Ordering::Relaxed);
            let Some(leadership) = shutdown.run_until_cancelled(election.acquire()).await else { return Ok(()) };
            Some(leadership)
        } else {
            None
        };
        let gate = leadership.as_ref().map_or_else(Gate::open, |leadership| Gate::of(leadership.claim()));
        let client = client::behind(gate.clone(), client);
        let former_calls = FormerCalls {
            until: deadline::from_now(settings.settle_after),
            of_all: leadership.as_ref().map(Leadership::takeover) == Some(Takeover::Unclean),
        };
        self.metrics.leading(true);
        self.progress.standby.store(false, Ordering::Relaxed);
        let (index, registries) = (Arc::<Index>::default(), Arc::<Registries>::default());
        let context = Arc::new(Context {
            events: Events::new(client.clone(), host),
            client,
            settings,
            queues: Queues::new(usize::from(args.concurrency), &index, &registries),
            index,
            registries,
            gaps: Arc::new(Gaps::default()),
            restores: Restores::default(),
            metrics: Arc::clone(&self.metrics),
            clock: Steady::start(),
            carrier,
            gate,
            shutdown: shutdown.clone(),
            former_calls,
        });
        let _ = self.context.set(Arc::clone(&context));
        lead(context, leadership, &self.progress, shutdown).await
    }

    fn probes(&self) -> Router {
        let progress = Arc::clone(&self.progress);
        server::probes(move || {
            let answers = progress.ready.load(Ordering::Relaxed) || progress.standby.load(Ordering::Relaxed);
            if answers { Ok(()) } else { Err("the accounts were not listed yet") }
        })
    }

    /// The metrics as they are now, in OpenMetrics text.
    pub fn measured(&self) -> String {
        if let Some(context) = self.context.get() {
            figures::refresh(context);
        }
        self.metrics.encode()
    }

    fn exposition(&self, access: Option<Access>) -> Router {
        let operator = self.clone();
        server::exposition(move || operator.measured(), access)
    }
}

fn election_params(args: &RunArgs) -> Result<leader::Params, Error> {
    let RunArgs { leader_elect_lease_duration, leader_elect_renew_deadline, leader_elect_retry_period, .. } = args;
    leader::Params::new(*leader_elect_lease_duration, *leader_elect_renew_deadline, *leader_elect_retry_period)
        .map_err(|error| Error::Start(format!("--leader-elect-…: {error}")))
}

/// What has been reached so far, for the probes.
#[derive(Default)]
struct Progress {
    /// All initial lists were read.
    ready: AtomicBool,
    /// Waiting for the lead.
    standby: AtomicBool,
}

/// The address in a URL; a name may have others, and those of a cluster's own are not on the internet as a rule.
fn address_of(url: &hyper::Uri) -> Option<IpAddr> {
    url.host()?.trim_matches(['[', ']']).parse().ok()
}

/// The metrics are for whoever the API server lets get their path.
fn access(client: Client) -> Access {
    Access::new(Box::new(move |token| {
        let client = client.clone();
        Box::pin(async move {
            let answer = reviews::may_get(&client, token, "/metrics").await;
            answer.inspect_err(|error| tracing::warn!(%error, "a token for /metrics was not checked")).ok()
        })
    }))
}

async fn drive_registries(context: Arc<Context>, shutdown: CancellationToken) -> Result<Stopped, engine::Error> {
    let (queue, metrics) = (context.queues.registries(), Arc::clone(&context.metrics));
    let pass = move |work, _, _| {
        let context = Arc::clone(&context);
        async move {
            match work {
                RegistryWork::Probe(name) => registries::probe(&context, &name).await,
                RegistryWork::Sweep(name) => sweep::sweep(&context, &name).await,
            }
        }
    };
    let panicked = move |work: &RegistryWork| {
        tracing::error!(?work, "a bug ended a pass over a registry; it is tried again later");
        metrics.panicked("registry");
    };
    engine::run(queue, turns::REGISTRY_CONCURRENCY, pass, panicked, shutdown, DRAIN).await
}

async fn drive_accounts(context: Arc<Context>, shutdown: CancellationToken) -> Result<Stopped, engine::Error> {
    let (queue, metrics) = (context.queues.accounts(), Arc::clone(&context.metrics));
    let concurrency = context.settings.concurrency;
    let pass = move |key, payload, cause| accounts::pass(Arc::clone(&context), key, payload, cause);
    let panicked = move |account: &Key| {
        tracing::error!(%account, "a bug ended a pass over an account; it is tried again later");
        metrics.panicked("account");
    };
    engine::run(queue, concurrency, pass, panicked, shutdown, DRAIN).await
}

/// Everything from the moment that this process may act.
async fn lead(
    context: Arc<Context>,
    mut leadership: Option<Leadership>,
    state: &Arc<Progress>,
    shutdown: CancellationToken,
) -> Result<(), Error> {
    let registry_driver = drive_registries(Arc::clone(&context), shutdown.clone());
    let account_driver = drive_accounts(Arc::clone(&context), shutdown);
    let drivers = async { tokio::try_join!(registry_driver, account_driver) };
    let watching = async {
        let mut watches = JoinSet::new();
        start_watches(&context, state, &mut watches).await;
        match watches.join_next().await {
            Some(Ok(name)) => name,
            Some(Err(_)) | None => "a watch",
        }
    };
    let lost = async {
        match &mut leadership {
            Some(leadership) => leadership.keep().await,
            None => std::future::pending().await,
        }
    };
    let stopped = tokio::select! {
        biased;
        stopped = drivers => stopped?,
        lost = lost => return Err(lost.into()),
        name = watching => return Err(Error::Ended(name)),
    };
    if let (Some(leadership), (0, 0)) = (leadership, (stopped.0.cut_off, stopped.1.cut_off)) {
        leadership.release().await;
    }
    tracing::info!("stopped");
    Ok(())
}

/// Starts the watches in the order that lets settled accounts be recognised: registries and their logins, namespaces
/// and our Secrets first, accounts last.
async fn start_watches(context: &Arc<Context>, state: &Arc<Progress>, watches: &mut JoinSet<&'static str>) {
    let settings = &context.settings;
    let mut listed = Vec::new();
    let mut tell_listed = || {
        let (sender, receiver) = oneshot::channel();
        listed.push(receiver);
        // Nobody listens any more if the start was cut short.
        move || _ = sender.send(())
    };
    let share = || Arc::clone(context);
    spawn(watches, "the watch on registries", watch::registries(share(), tell_listed()));
    if settings.cluster_registries {
        spawn(watches, "the watch on logins", watch::logins(share()));
    }
    // All at once: each list waits for the server far longer than it takes here.
    if settings.namespaces.is_empty() {
        spawn(watches, "the watch on namespaces", watch::namespaces(share(), tell_listed()));
    }
    if settings.watch_secrets {
        spawn(watches, "the watch on Secrets", watch::secrets(share(), tell_listed()));
    }
    join_all(listed).await;
    context.registries.wait_until_probed(FIRST_PROBE, FIRST_PROBE_OF_NAMESPACES).await;
    let (accounts_read, accounts_listed) = oneshot::channel();
    spawn(watches, "the watch on accounts", watch::accounts(share(), move || _ = accounts_read.send(())));
    let _ = accounts_listed.await;
    context.index.set_listed();
    // After the accounts, since only what they name is looked at: an entry may have been taken out meanwhile.
    spawn(watches, "the watch on ServiceAccounts", watch::service_accounts(share()));
    let restored = share();
    spawn(watches, "the look for restores", async move { restores::notice(&restored).await });
    state.ready.store(true, Ordering::Relaxed);
    tracing::info!("ready");
    for registry in context.registries.all() {
        context.suggest_sweep(registry.key.clone());
    }
}

fn spawn(watches: &mut JoinSet<&'static str>, name: &'static str, watch: impl Future<Output = ()> + Send + 'static) {
    watches.spawn(async move {
        watch.await;
        name
    });
}

fn stop_on_signal(shutdown: &CancellationToken) -> Result<(), Error> {
    let failed = |error: std::io::Error| Error::Start(format!("cannot handle signals: {error}"));
    let mut terminate = signal(SignalKind::terminate()).map_err(failed)?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(failed)?;
    let shutdown = shutdown.clone();
    tokio::spawn(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        tracing::info!("stopping");
        shutdown.cancel();
    });
    Ok(())
}
