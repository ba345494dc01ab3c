//! What people, tools and machines do to a world, in any order.

use std::fmt;
use std::time::Duration;

use rand::RngExt as _;
use rand::rngs::SmallRng;

use crate::logins::Login;
use crate::machine::Machine;
use crate::world::World;

mod accounts;
mod damage;
mod edit;
mod harbors;
mod machines;
mod objects;
mod password;
mod robots;
mod trouble;

pub use damage::{Damage, Spoil};
pub use edit::Edit;
pub use harbors::Place;
pub use password::Own;
pub use robots::Tamper;
pub use trouble::Trouble;

/// One thing that somebody does. Numbers name an account, a Harbor or a replica.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// The user's wish changes, and is applied.
    Edit(usize, Edit),
    /// The object is applied as it stands in Git.
    Apply(usize),
    /// The object is deleted, and stays in Git.
    Delete(usize),
    /// Somebody spoils the account's Secret.
    Spoil(usize, Spoil),
    /// Somebody changes the account's object past all tools.
    Damage(usize, Damage),
    /// Somebody changes a registry's object past all tools.
    DamageRegistry(usize, Damage),
    /// Somebody changes the Secret with the account's own password.
    OwnPassword(usize, Own),
    /// Somebody changes the account's robot in Harbor.
    Robot(usize, Tamper),
    /// A ServiceAccount is deleted, or made again.
    ServiceAccount(&'static str, &'static str, bool),
    /// Somebody takes all pull Secrets out of a ServiceAccount.
    EmptyServiceAccount(&'static str, &'static str),
    /// A namespace is deleted.
    DeleteNamespace(&'static str),
    /// A namespace is made again.
    MakeNamespace(&'static str),
    /// The label that grants ask for goes, or comes back.
    Label(&'static str, bool),
    /// Images are pulled from a mirror as well, or not any longer.
    Mirror(usize, bool),
    /// The registry's grants are taken away.
    Ungrant,
    /// The operator has to let a registry's accounts alone, or not any longer.
    Suspend(usize, bool),
    /// A registry object is deleted.
    DeleteRegistry(usize),
    /// Everything that only people can put right is.
    Repair,
    /// The login's password changes in Harbor, and in the Secret as well or not.
    Password(usize, bool),
    /// The operator gets another login.
    Login(usize, Login),
    /// The login Secret is deleted.
    DeleteLogin(usize),
    /// A project is deleted.
    DeleteProject(usize, &'static str),
    /// A project is made again.
    MakeProject(usize, &'static str),
    /// Read-only mode.
    ReadOnly(usize, bool),
    /// A Harbor answers other than it would, for so many seconds.
    Trouble(usize, Trouble, u64),
    /// Harbor is upgraded or downgraded to version 2.x.y.
    Version(usize, u32, u32),
    /// The registry of the cluster names another URL, and its login is the one of there or not.
    Url(Place, bool),
    /// All sessions are forgotten.
    ForgetSessions(usize),
    /// Harbor's clock is set.
    HarborClock(usize, i64),
    /// Our clock is set.
    OurClock(i64),
    /// A backup of Harbor.
    BackUpHarbor(usize),
    /// Harbor is restored from it.
    RestoreHarbor(usize),
    /// A backup of etcd.
    BackUpCluster,
    /// etcd is restored from it.
    RestoreCluster,
    /// The API server forgets what happened, and cuts all watches off.
    Compact,
    /// All watches are cut off.
    CutWatches,
    /// For so many seconds watches tell nothing of what happens: the API server lags behind etcd.
    Lag(u64),
    /// The API server is away for so many seconds, and has forgotten what happened when it is back, or not.
    KubernetesAway(u64, bool),
    /// A Harbor is away for so many seconds.
    HarborAway(usize, u64),
    /// A replica dies where it stands.
    Kill(usize),
    /// A replica ends in peace.
    Stop(usize),
    /// A replica is started, if it is not up.
    Start(usize),
    /// A replica loses the network, or has it again.
    CutOff(usize, bool),
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self:?}")
    }
}

/// One of them.
pub(crate) fn any<T: Copy>(random: &mut SmallRng, of: &[T]) -> T {
    of[random.random_range(0..of.len())]
}

impl Action {
    /// An action at random.
    pub fn draw(random: &mut SmallRng, accounts: usize) -> Self {
        let account = random.random_range(0..accounts);
        let harbor = usize::from(random.random_range(0..4) == 0);
        match random.random_range(0..16) {
            0..5 => accounts::draw(random, account),
            5..9 => objects::draw(random, account, harbor),
            9..13 => harbors::draw(random, account, harbor),
            _ => machines::draw(random, harbor),
        }
    }

    /// Does it.
    pub async fn run(&self, world: &mut World, machine: &Machine) {
        if !accounts::run(self, world) && !objects::run(self, world) && !harbors::run(self, world) {
            machines::run(self, world, machine).await;
        }
    }
}

/// When something is done.
#[derive(Clone, Debug)]
pub struct Event {
    /// Since the start.
    pub at: Duration,
    /// What.
    pub action: Action,
}

/// What happens in a run, in order.
pub fn draw(random: &mut SmallRng, accounts: usize, events: usize, within: Duration) -> Vec<Event> {
    let most = u64::try_from(within.as_millis()).unwrap_or(u64::MAX);
    let mut at = 0;
    let mut all: Vec<Event> = (0..events)
        .map(|_| {
            // Half of them come soon after another one: what happens in between is where it hurts.
            at = if random.random_range(0..2) == 0 {
                random.random_range(0..most)
            } else {
                at + random.random_range(0..4_000)
            };
            Event { at: Duration::from_millis(at), action: Action::draw(random, accounts) }
        })
        .collect();
    all.sort_by_key(|event| event.at);
    all
}
