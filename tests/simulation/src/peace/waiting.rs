//! Accounts that have to wait: they lose nothing meanwhile, say why, and go on when it is over.

use std::time::Duration;

use rand::RngExt as _;
use rand::rngs::SmallRng;
use tokio::time::{Instant, sleep};

use super::{AFTER_OUTAGES, SOON, not_settled, refused, take_harbors_away};
use crate::actions::{Action, Edit};
use crate::chance;
use crate::check::{Violation, condition};
use crate::logins::Login;
use crate::machine::Machine;
use crate::world::World;

/// In so long what needs neither Harbor nor a rest.
const AT_ONCE: Duration = Duration::from_secs(3);
/// In so long each registry knows that its Harbor does not answer.
pub(super) const KNOWN_AWAY: Duration = Duration::from_mins(2);
/// What passes so soon loses no robot that is to be retained.
const FAILS: Duration = Duration::from_secs(20);
/// After so long accounts of a namespace that goes give a registry without a login up, and no others do.
const ABANDONED: Duration = Duration::from_mins(3);
/// Whoever tried again by itself until then, waiting twice as long each time, would try next after as long once more.
const LONG: Duration = Duration::from_mins(9);

/// Under `Retain` the robot stays also if Harbor failed when it was to be marked so.
pub(super) async fn retained_in_trouble(world: &mut World, machine: &Machine, one: usize) -> Vec<Violation> {
    let harbor = world.harbor_of(one);
    let name = world.wishes[one].spec["project"].as_str().unwrap_or_default().to_owned();
    let project = world.harbor(harbor).state().projects.named(&name).map(|project| project.id);
    // A robot may not write into the mark that it was retained.
    let Some(project) = project.filter(|_| world.logins[harbor] != Login::Robot) else {
        return Vec::new();
    };
    world.network.note("-- Retain while Harbor fails");
    Action::Edit(one, Edit::Retain(true)).run(world, machine).await;
    sleep(SOON).await;
    let Some((harbor, id)) = world.robot_of(one) else {
        return vec![format!("k: {} has no robot", world.wishes[one].id())];
    };
    world.fail_on(harbor, &format!("ProjectID%3D{project}"));
    Action::Delete(one).run(world, machine).await;
    sleep(FAILS).await;
    world.end_troubles();
    sleep(world.poll * 3 + AFTER_OUTAGES).await;
    let account = world.wishes[one].id();
    if world.harbor(harbor).state().robots.get(id).is_none() {
        return vec![format!("a: Harbor failed while {account} went under Retain, and its robot {id} is gone")];
    }
    if let Some(left) = world.account(one) {
        return vec![format!("k: {account} is to be retained, and waits: {}", condition(&left, "Ready"))];
    }
    Action::Edit(one, Edit::Retain(false)).run(world, machine).await;
    not_settled(world, "Retain while Harbor failed", Instant::now(), SOON).await
}

/// With a wrong login nobody can delete the robot: the account waits for another, however long that takes, and says what else helps.
pub(super) async fn deleted_without_login(world: &mut World, machine: &Machine, one: usize) -> Vec<Violation> {
    let id = world.wishes[one].id();
    world.network.note("-- deleted without a login");
    Action::Edit(one, Edit::Retain(false)).run(world, machine).await;
    sleep(SOON).await;
    Action::Password(world.harbor_of(one), false).run(world, machine).await;
    Action::ForgetSessions(world.harbor_of(one)).run(world, machine).await;
    sleep(SOON).await;
    Action::Delete(one).run(world, machine).await;
    sleep(ABANDONED).await;
    let Some(account) = world.account(one) else {
        return vec![format!("a: {id} is gone without a login that could delete its robot")];
    };
    let said = condition(&account, "Ready")["message"].as_str().unwrap_or_default().to_owned();
    if !said.contains("spec.deletionPolicy: Retain") || !said.contains("a login that works") {
        return vec![format!("k: {id} waits for a login, and does not say what else helps: {said}")];
    }
    world.write_logins(world.harbor_of(one));
    sleep(AFTER_OUTAGES).await;
    if let Some(left) = world.account(one) {
        return vec![format!("k: {id} waits although the login is there: {}", condition(&left, "Ready"))];
    }
    let wrong = not_settled(world, "a login again", Instant::now(), SOON).await;
    Action::Apply(one).run(world, machine).await;
    if wrong.is_empty() { not_settled(world, "an account again", Instant::now(), SOON).await } else { wrong }
}

/// Accounts that were edited when an outage began are served when it is over, however long it was.
pub(super) async fn long_outage(
    world: &mut World,
    machine: &Machine,
    accounts: &[usize],
    random: &mut SmallRng,
) -> Vec<Violation> {
    world.network.note("-- a long outage");
    take_harbors_away(&world.network, LONG);
    for &account in accounts {
        Action::Edit(account, Edit::Permissions(random.random_range(0..2) == 0)).run(world, machine).await;
    }
    sleep(LONG).await;
    // Some of the probes that find it answer were under way before.
    not_settled(world, "a long outage", Instant::now(), AFTER_OUTAGES).await
}

/// What needs no Harbor is done without one.
pub(super) async fn without_harbor(world: &mut World, machine: &Machine) -> Vec<Violation> {
    world.network.note("-- no Harbor answers");
    let serviced = world.serviced();
    take_harbors_away(&world.network, KNOWN_AWAY * 3);
    sleep(KNOWN_AWAY).await;
    let lost: Vec<usize> = serviced.iter().copied().filter(|number| !world.serviced().contains(number)).collect();
    if !lost.is_empty() {
        return vec![format!("k: accounts {lost:?} are not Ready any more, since no Harbor answers")];
    }
    if let Some(wrong) = refused::is_not_told_of_no_harbor(world) {
        return vec![wrong];
    }
    // Some have a wish that waits for Harbor from now on, and some have not.
    for account in serviced.iter().copied().skip(1).step_by(2) {
        Action::Edit(account, Edit::Lifetime(30)).run(world, machine).await;
    }
    // Each try of a registry has those that wait for it look.
    let mut random = chance::of(world.seed, "no Harbor", 0);
    for there in [false, true] {
        sleep(Duration::from_millis(random.random_range(0..10_000))).await;
        for name in ["default", "builder"] {
            Action::ServiceAccount("team-a", name, there).run(world, machine).await;
        }
        sleep(AT_ONCE).await;
    }
    let missing = serviced.into_iter().flat_map(|number| world.unserviced(number));
    let missing = missing.map(|wrong| format!("not within {} s of it: {wrong}", AT_ONCE.as_secs())).collect();
    world.network.note("-- over");
    missing
}
