//! A cause that accounts wait for, and that goes.

use std::time::Duration;

use rand::RngExt as _;
use rand::rngs::SmallRng;
use tokio::time::{Instant, sleep};

use super::{AFTER_OUTAGES, SOON, not_settled};
use crate::actions::{Action, Edit, any};
use crate::check::Violation;
use crate::logins::Login;
use crate::machine::Machine;
use crate::world::{HOSTS, World};

/// Why accounts wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Cause {
    /// No grant.
    Ungranted,
    /// The namespace lacks the label that the grant asks for.
    Unlabelled,
    /// The login's Secret is gone.
    NoLogin,
    /// The registry is suspended.
    Suspended,
    /// Harbor is in read-only mode.
    ReadOnly,
    /// A project is not there.
    NoProject,
    /// The login may not update robots, and that is what is asked for.
    MayNotUpdate,
}

impl Cause {
    fn any(random: &mut SmallRng) -> Self {
        let all = [
            Self::Ungranted,
            Self::Unlabelled,
            Self::NoLogin,
            Self::Suspended,
            Self::ReadOnly,
            Self::NoProject,
            Self::MayNotUpdate,
        ];
        any(random, &all)
    }

    fn action(self) -> Action {
        match self {
            Self::Ungranted => Action::Ungrant,
            Self::Unlabelled => Action::Label("team-a", false),
            Self::NoLogin => Action::DeleteLogin(0),
            Self::Suspended => Action::Suspend(0, true),
            Self::ReadOnly => Action::ReadOnly(0, true),
            Self::NoProject => Action::DeleteProject(0, "shared"),
            Self::MayNotUpdate => Action::Login(0, Login::Robot),
        }
    }
}

/// Whoever waits is served when what he waits for is there.
pub(super) async fn released(
    world: &mut World,
    machine: &Machine,
    accounts: &[usize],
    random: &mut SmallRng,
) -> Vec<Violation> {
    let cause = Cause::any(random);
    world.network.note(format_args!("-- {cause:?}"));
    let login = world.logins[0];
    cause.action().run(world, machine).await;
    // Shorter or longer than what is granted outlives its grant.
    sleep(Duration::from_secs(if random.random_range(0..4) == 0 { 400 } else { random.random_range(1..40) })).await;
    for &account in accounts {
        Action::Edit(account, Edit::ServiceAccount("default")).run(world, machine).await;
        let updates = cause == Cause::MayNotUpdate && world.wishes[account].registry() == 0;
        if updates {
            Action::Edit(account, Edit::InPlace(true)).run(world, machine).await;
        }
        if updates || cause == Cause::ReadOnly {
            Action::Edit(account, Edit::Permissions(random.random_range(0..2) == 0)).run(world, machine).await;
        }
    }
    sleep(Duration::from_millis(random.random_range(0..40_000))).await;
    // That a project came only a look at Harbor tells, and robots that went with it are repaired at a measured pace.
    let mut time = if cause == Cause::NoProject { world.poll + AFTER_OUTAGES } else { SOON };
    if random.random_range(0..3) == 0 {
        // What is found out about the cause is found out by a probe that fails then.
        world.network.take_away(HOSTS[0], Duration::from_millis(random.random_range(100..3_000)));
        time = time.max(AFTER_OUTAGES);
    }
    if cause == Cause::MayNotUpdate {
        world.log_in_as(0, Login::Administrator);
    }
    world.restore_order();
    let what = format!("the end of {cause:?}");
    let wrong = not_settled(world, &what, Instant::now(), time).await;
    if login == Login::Robot && world.logins[0] != login {
        for &account in accounts {
            Action::Edit(account, Edit::InPlace(false)).run(world, machine).await;
        }
        world.log_in_as(0, login);
        sleep(SOON).await;
    }
    wrong
}
