//! Leader election by a Lease, with a claim that every changing request asks for.
//!
//! The record is written only with the `resourceVersion` it was read with, so two can never win. Another's record is
//! judged by local monotonic time since it last changed, so clocks need not agree. The claim ends one lease duration
//! after the last confirmed renewal was *sent*: by then nobody else can have taken over, whatever this process missed.

mod claim;
mod params;
mod record;
mod wire;

use std::pin::pin;
use std::time::Duration;

use crate::deadline;
use futures::StreamExt;
use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::coordination::v1::LeaseSpec;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{MicroTime, ObjectMeta};
use kube::api::PostParams;
use kube::runtime::{WatchStreamExt, watcher};
use kube::{Api, Client};
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until, timeout};
use tracing::{info, warn};

pub use claim::Claim;
pub use params::{InvalidParams, Params};
pub use record::{Action, decide};
use wire::ReadLease;

/// How the one before us ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Takeover {
    /// There was none, or it released the lease when its passes had ended.
    Clean,
    /// Its lease ran out: a call of its may still commit.
    Unclean,
}

/// The lease is another's or could not be renewed in time. The process has to end.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Lost {
    /// Somebody else holds it.
    #[error("another holds the lease: {0}")]
    Taken(String),
    /// No renewal succeeded within the renew deadline.
    #[error("the lease was not renewed in time")]
    Deadline,
}

/// A candidate.
pub struct Election {
    api: Api<ReadLease>,
    name: String,
    identity: String,
    params: Params,
    wall: fn() -> Timestamp,
}

/// An identity that no other process has, not even a restarted container of the same pod.
pub fn identity(host: &str) -> String {
    format!("{host}_{:016x}", rand::random::<u64>())
}

enum Attempt {
    /// The lease as written, and when the write was sent.
    Won(Box<ReadLease>, Instant, Takeover),
    Wait(Duration),
}

impl Election {
    /// A candidate for the Lease `namespace`/`name`. `identity` must be unique among processes; `wall` gives the times
    /// that people read in the record, nothing is decided by them.
    pub fn new(
        client: Client,
        namespace: &str,
        name: &str,
        identity: String,
        params: Params,
        wall: fn() -> Timestamp,
    ) -> Self {
        Self { api: Api::namespaced(client, namespace), name: name.to_owned(), identity, params, wall }
    }

    /// Waits until this process leads. Needs get, list, watch, create and update on the Lease. Without list and watch
    /// it still works, but takes over from a leader that stopped only at the next poll.
    pub async fn acquire(self) -> Leadership {
        let only = watcher::Config::default().fields(&format!("metadata.name={}", self.name));
        let mut changes = pin!(watcher(self.api.clone(), only).default_backoff());
        let mut seen = None;
        loop {
            let wait = match timeout(self.params.longest_attempt(), self.attempt(&mut seen)).await {
                Ok(Ok(Attempt::Won(lease, renewed, takeover))) => {
                    info!(lease = self.name, identity = self.identity, ?takeover, "leading");
                    let claim = watch::Sender::new(Some(deadline::after(renewed, self.params.lease_duration)));
                    return Leadership { election: self, lease: *lease, renewed, claim, takeover };
                }
                Ok(Ok(Attempt::Wait(wait))) => wait.min(self.params.renew_every()),
                Ok(Err(error)) if is_conflict(&error) => Duration::ZERO,
                Ok(Err(error)) => {
                    warn!(lease = self.name, error = brief(&error), "cannot read or write the lease");
                    self.params.retry_period
                }
                Err(_) => {
                    warn!(lease = self.name, "the API server did not answer for the lease");
                    self.params.retry_period
                }
            };
            tokio::select! {
                biased;
                () = tokio::time::sleep(wait) => {}
                Some(Ok(_)) = changes.next() => {}
            }
        }
    }

    /// `seen` is the version last read and when it was first read. Any edit counts as a change: whoever labels the lease
    /// delays a take-over, but nobody leads too early.
    async fn attempt(&self, seen: &mut Option<(Option<String>, Instant)>) -> Result<Attempt, kube::Error> {
        let lease = self.api.get_opt(&self.name).await?;
        let now = Instant::now();
        let version = lease.as_ref().and_then(|lease| lease.metadata.resource_version.clone());
        let since = match seen {
            Some((before, since)) if *before == version => *since,
            _ => now,
        };
        *seen = Some((version, since));
        let record = lease.as_ref().map(|lease| lease.spec.clone().unwrap_or_default());
        let known = record.as_ref().map(|record| (record, now.saturating_duration_since(since)));
        let (lease, takeover) = match decide(known, &self.identity, self.params.lease_duration) {
            Action::Wait(wait) => return Ok(Attempt::Wait(wait)),
            Action::Create => {
                let metadata = ObjectMeta { name: Some(self.name.clone()), ..ObjectMeta::default() };
                (ReadLease { metadata, spec: None }, Takeover::Clean)
            }
            Action::Take(takeover) => (lease.unwrap_or_default(), takeover),
        };
        let spec = self.taken(record.unwrap_or_default());
        let sent = Instant::now();
        let lease = self.write(ReadLease { spec: Some(spec), ..lease }).await?;
        Ok(Attempt::Won(Box::new(lease), sent, takeover))
    }

    /// Creates a lease that was never read, replaces one that was, if it has not changed since.
    async fn write(&self, lease: ReadLease) -> Result<ReadLease, kube::Error> {
        let params = PostParams::default();
        match lease.metadata.resource_version {
            None => self.api.create(&params, &lease).await,
            Some(_) => self.api.replace(&self.name, &params, &lease).await,
        }
    }

    fn taken(&self, record: LeaseSpec) -> LeaseSpec {
        let now = MicroTime((self.wall)());
        let seconds = i32::try_from(self.params.lease_duration.as_secs()).unwrap_or(i32::MAX);
        LeaseSpec {
            holder_identity: Some(self.identity.clone()),
            lease_duration_seconds: Some(seconds),
            acquire_time: Some(now.clone()),
            renew_time: Some(now),
            lease_transitions: Some(record.lease_transitions.unwrap_or(0).saturating_add(1)),
            ..record
        }
    }
}

/// The lead, for as long as [`Self::keep`] is polled. Dropping it ends the claim at once.
pub struct Leadership {
    election: Election,
    lease: ReadLease,
    renewed: Instant,
    claim: watch::Sender<Option<Instant>>,
    takeover: Takeover,
}

impl Leadership {
    /// What every changing request asks for.
    pub fn claim(&self) -> Claim {
        Claim::until(self.claim.subscribe(), &self.election.params)
    }

    /// How the one before us ended.
    pub fn takeover(&self) -> Takeover {
        self.takeover
    }

    /// Renews the lease; resolves only when it is lost. May be dropped at any time, before [`Self::release`].
    pub async fn keep(&mut self) -> Lost {
        let params = self.election.params;
        let mut next = deadline::after(self.renewed, params.renew_every());
        loop {
            let deadline = deadline::after(self.renewed, params.renew_deadline);
            sleep_until(next.min(deadline)).await;
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return self.lost(Lost::Deadline);
            }
            // Two tries fit into the deadline even if the first is never answered.
            match timeout(left.min(params.longest_renewal()), self.renew()).await {
                Ok(Ok(None)) => next = deadline::after(self.renewed, params.renew_every()),
                Ok(Ok(Some(holder))) => return self.lost(Lost::Taken(holder)),
                Ok(Err(error)) => {
                    warn!(lease = self.election.name, error = brief(&error), "cannot renew the lease");
                    next = deadline::after(Instant::now(), params.retry_period);
                }
                Err(_) => {
                    warn!(lease = self.election.name, "the API server did not answer for the lease");
                    next = Instant::now();
                }
            }
        }
    }

    /// Ends the claim and gives the lease up, so that another may take over at once. Only call it when no changing call
    /// is under way; otherwise drop the leadership, so that the lease runs out and the next one knows.
    pub async fn release(mut self) {
        self.claim.send_replace(None);
        let wait = self.election.params.retry_period;
        let released = timeout(wait, async {
            if let Err(error) = self.write(|spec| spec.holder_identity = None).await {
                if !is_conflict(&error) || self.holder().await?.is_some() {
                    return Err(error);
                }
                self.write(|spec| spec.holder_identity = None).await?;
            }
            Ok::<(), kube::Error>(())
        });
        match released.await {
            Ok(Ok(())) => info!(lease = self.election.name, "released the lease"),
            Ok(Err(error)) => warn!(lease = self.election.name, error = brief(&error), "cannot release the lease"),
            Err(_) => warn!(lease = self.election.name, "the API server did not answer for the lease"),
        }
    }

    /// One renewal. `Some` names the other holder.
    async fn renew(&mut self) -> Result<Option<String>, kube::Error> {
        let mut sent = Instant::now();
        if let Err(error) = self.touch().await {
            if !is_conflict(&error) && !is_not_found(&error) {
                return Err(error);
            }
            // Our own write whose answer was lost, somebody's label, a deleted lease: or another leader.
            if let Some(holder) = self.holder().await? {
                return Ok(Some(holder));
            }
            sent = Instant::now();
            self.touch().await?;
        }
        self.renewed = sent;
        self.claim.send_replace(Some(deadline::after(sent, self.election.params.lease_duration)));
        Ok(None)
    }

    async fn touch(&mut self) -> Result<(), kube::Error> {
        let now = (self.election.wall)();
        self.write(|spec| spec.renew_time = Some(unlike(spec.renew_time.as_ref(), now))).await
    }

    async fn write(&mut self, edit: impl FnOnce(&mut LeaseSpec)) -> Result<(), kube::Error> {
        let mut lease = self.lease.clone();
        edit(lease.spec.get_or_insert_default());
        self.lease = self.election.write(lease).await?;
        Ok(())
    }

    /// Reads the lease again; `None` if it is still ours or gone, and then the next write builds on what was read.
    async fn holder(&mut self) -> Result<Option<String>, kube::Error> {
        let ours = Some(self.election.identity.clone());
        if let Some(lease) = self.election.api.get_opt(&self.election.name).await? {
            let holder = lease.spec.as_ref().and_then(|spec| spec.holder_identity.clone());
            if holder != ours {
                return Ok(Some(holder.unwrap_or_else(|| "nobody".to_owned())));
            }
            self.lease = lease;
        } else {
            self.lease.metadata = ObjectMeta { name: Some(self.election.name.clone()), ..ObjectMeta::default() };
        }
        Ok(None)
    }

    fn lost(&self, lost: Lost) -> Lost {
        self.claim.send_replace(None);
        lost
    }
}

impl Drop for Leadership {
    fn drop(&mut self) {
        self.claim.send_replace(None);
    }
}

/// A time that differs from the one in the record: the API server answers a write that changes nothing with success and
/// the old `resourceVersion`, and others would see no renewal.
fn unlike(before: Option<&MicroTime>, now: Timestamp) -> MicroTime {
    let same = before.is_some_and(|before| before.0.as_microsecond() == now.as_microsecond());
    MicroTime(if same { now.saturating_add(SignedDuration::from_micros(1)).unwrap_or(Timestamp::MIN) } else { now })
}

fn is_conflict(error: &kube::Error) -> bool {
    matches!(error, kube::Error::Api(status) if status.is_conflict() || status.is_already_exists())
}

/// kube's own text for these repeats the whole status.
fn brief(error: &kube::Error) -> String {
    match error {
        kube::Error::Api(status) => status.message.clone(),
        other => other.to_string(),
    }
}

fn is_not_found(error: &kube::Error) -> bool {
    matches!(error, kube::Error::Api(status) if status.is_not_found())
}

#[cfg(test)]
mod tests;
