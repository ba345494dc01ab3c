//! After the storm, in peace: what happens one by one is served at once. What the next poll would put right all the same, a
//! wake-up that was lost, shows here alone.

use std::time::Duration;

use rand::RngExt as _;
use rand::rngs::SmallRng;
use tokio::time::{Instant, sleep, sleep_until};

use crate::actions::{Action, Edit, Spoil, Tamper, any};
use crate::chance;
use crate::check::{Violation, condition};
use crate::kubernetes::{Id, kind};
use crate::logins::Login;
use crate::machine::Machine;
use crate::network::Network;
use crate::run::LESSONS;
use crate::world::{HOSTS, World};

mod affairs;
mod further;
mod insistent;
mod listed;
mod moves;
mod poor_login;
mod refused;
mod released;
mod restarts;
mod scraped;
mod secrets;
mod unprompted;
mod unreadable;
mod waiting;

/// So many things happen in peace, beside the last, and in a long one.
const CHAPTERS: usize = 6;
const MORE_CHAPTERS: usize = 10;
/// In so long an edit in peace is served.
const SOON: Duration = Duration::from_secs(15);
/// In so long what happened while the API server was away: a watch is tried every ten seconds or so.
const AFTER_GAPS: Duration = Duration::from_secs(40);
/// And everything, once a Harbor that was away is known to answer, also where each call takes a second.
const AFTER_OUTAGES: Duration = Duration::from_secs(45);
/// A repair that comes after others waits up to so long.
const LONGEST_PACE: Duration = Duration::from_mins(65);
/// In so long each edit where every call takes a second.
const SLOWLY: Duration = Duration::from_mins(1);
/// What takes several looks at Harbor is left out where they are so far apart: it would only make runs longer.
const LONG_POLL: Duration = Duration::from_mins(5);

/// In two of seven runs little befalls the world before, and more of what happens in peace.
pub fn is_long(seed: u64) -> bool {
    seed % 7 >= 5
}

/// One thing after the other; the first that is not served ends it.
pub async fn serves_at_once(world: &mut World, machine: &Machine) -> Vec<Violation> {
    let mut random = chance::of(world.seed, "peace", 0);
    let accounts = world.serviced();
    if accounts.is_empty() {
        return Vec::new();
    }
    let one = any(&mut random, &accounts);
    drop(world.network.take_idle());
    let mut wrong = logins_suffice(world).await;
    if wrong.is_empty() {
        wrong = moves::homecoming(world, machine).await;
    }
    if wrong.is_empty() {
        wrong = affairs::some(world, machine, &accounts, one).await;
    }
    let last = if random.random_range(0..2) == 0 { Chapter::WithoutHarbor } else { Chapter::TornDown };
    let chapters = if is_long(world.seed) { MORE_CHAPTERS } else { CHAPTERS };
    for chapter in Chapter::some(&mut random, chapters).into_iter().chain([Chapter::Further, last]) {
        if wrong.is_empty() {
            wrong = chapter.run(world, machine, (&accounts, one), &mut random).await;
        }
    }
    wrong.extend(idle(world));
    wrong
}

/// What an account asks for and a robot's login cannot do shows only once something has to be done.
async fn logins_suffice(world: &mut World) -> Vec<Violation> {
    let version = world.cluster.store().version();
    (0..HOSTS.len()).for_each(|harbor| world.allow_updates(harbor));
    world.apply_all();
    // So does what an older Harbor did not know: which version it is the operator asks once an hour.
    let last_known = |world: &World, number: usize| {
        let told = world.stored(&World::registry(number))["status"]["harborVersion"].take();
        let version = world.harbor(world.harbor_of_registry(number)).state().version.to_string();
        told.as_str().is_none_or(|told| told.contains(&version))
    };
    if !(0..HOSTS.len()).all(|number| last_known(world, number)) {
        sleep(LESSONS).await;
    } else if world.cluster.store().version() == version {
        return Vec::new();
    }
    not_settled(world, "a login that may update", Instant::now(), AFTER_OUTAGES).await
}

/// Changes that changed nothing. What puts a password of the user's own choice right in Harbor publishes the same again.
fn idle(world: &World) -> Vec<Violation> {
    let chosen = |write: &String| {
        world.wishes.iter().any(|wish| {
            let place = Id::new(kind("Secret"), wish.secret_namespace(), &wish.password_name());
            let has_one = wish.has_own_password() || world.cluster.store().get(&place).is_some();
            has_one && write.contains(" Secret ") && write.ends_with(&format!("/{}", wish.name))
        })
    };
    let idle = world.network.take_idle().into_iter().filter(|write| !chosen(write));
    idle.map(|write| format!("k: {write} changed nothing")).collect()
}

/// What happens in peace.
#[derive(Clone, Copy)]
enum Chapter {
    Refresh,
    Edits,
    SlowEdits,
    Gap,
    Outage,
    Released,
    Mirror,
    Retained,
    Trouble,
    OwnPassword,
    Drift,
    NarrowerGrants,
    NoRegistry,
    LetGo,
    Clock,
    Further,
    WithoutHarbor,
    TornDown,
}

impl Chapter {
    /// Some of those after which everything goes on, in any order: what one leaves behind may be in another's way.
    fn some(random: &mut SmallRng, count: usize) -> Vec<Self> {
        let mut all = vec![
            Self::Refresh,
            Self::Edits,
            Self::SlowEdits,
            Self::Gap,
            Self::Outage,
            Self::Released,
            Self::Released,
            Self::Mirror,
            Self::Retained,
            Self::Trouble,
            Self::OwnPassword,
            Self::Drift,
            Self::NarrowerGrants,
            Self::NoRegistry,
            Self::LetGo,
            Self::Clock,
        ];
        (0..count).map(|_| all.swap_remove(random.random_range(0..all.len()))).collect()
    }

    async fn run(
        self,
        world: &mut World,
        machine: &Machine,
        (accounts, one): (&[usize], usize),
        random: &mut SmallRng,
    ) -> Vec<Violation> {
        match self {
            Self::Refresh => unprompted::refreshed(world, machine, one).await,
            Self::Edits => edits(world, machine, accounts).await,
            Self::SlowEdits => slow_edits(world, machine, accounts, random).await,
            Self::Gap => gap(world, machine, one).await,
            Self::Outage => outage(world, machine, accounts, random).await,
            Self::Released => released::released(world, machine, accounts, random).await,
            Self::Mirror => mirror(world, machine).await,
            Self::Retained => retained(world, machine, one).await,
            Self::Trouble => moves::trouble(world, machine, accounts, random).await,
            Self::OwnPassword => moves::own_password(world, machine, one).await,
            Self::Drift => drift(world, machine, accounts, random).await,
            Self::NarrowerGrants => refused::narrowed(world, machine, random).await,
            Self::NoRegistry => refused::no_registry(world, machine).await,
            Self::LetGo => refused::let_go(world, machine, one).await,
            Self::Clock => unprompted::clock(world, machine).await,
            Self::Further => further::chapters(world, machine).await,
            Self::WithoutHarbor => waiting::without_harbor(world, machine).await,
            Self::TornDown => {
                let registry = random.random_range(0..HOSTS.len());
                restarts::torn_down(world, machine, registry).await
            }
        }
    }
}

async fn edits(world: &mut World, machine: &Machine, accounts: &[usize]) -> Vec<Violation> {
    world.network.note("-- edits");
    for &account in accounts {
        Action::Edit(account, Edit::ServiceAccount("default")).run(world, machine).await;
    }
    not_settled(world, "an edit", Instant::now(), SOON).await
}

/// Edits that come in the middle of what the last one asked for.
async fn slow_edits(world: &mut World, machine: &Machine, accounts: &[usize], random: &mut SmallRng) -> Vec<Violation> {
    world.network.note("-- edits while everything is slow");
    world.network.slow_down(Duration::from_secs(20));
    for _ in 0..4 {
        for &account in accounts {
            let permissions = Edit::Permissions(random.random_range(0..2) == 0);
            let service_account = Edit::ServiceAccount(any(random, &["default", "builder"]));
            let edit = [permissions, service_account][random.random_range(0..2)];
            Action::Edit(account, edit).run(world, machine).await;
            sleep(Duration::from_millis(random.random_range(0..1_500))).await;
        }
    }
    not_settled(world, "slow edits", Instant::now(), SLOWLY).await
}

/// What goes while no watch is there.
async fn gap(world: &mut World, machine: &Machine, one: usize) -> Vec<Violation> {
    world.network.note("-- what goes while no watch is there");
    Action::KubernetesAway(5, true).run(world, machine).await;
    sleep(Duration::from_secs(2)).await;
    Action::Spoil(one, Spoil::Delete).run(world, machine).await;
    for there in [false, true] {
        Action::ServiceAccount("team-a", "default", there).run(world, machine).await;
    }
    let time = if world.has_unwatched_secrets() { AFTER_GAPS + world.poll } else { AFTER_GAPS };
    not_settled(world, "a gap", Instant::now(), time).await
}

/// Edits all through an outage, and around the moment in which everything that waited for Harbor is released.
async fn outage(world: &mut World, machine: &Machine, accounts: &[usize], random: &mut SmallRng) -> Vec<Violation> {
    world.network.note("-- an outage");
    let away = Duration::from_millis(random.random_range(1_000..90_000));
    take_harbors_away(&world.network, away);
    if random.random_range(0..2) == 0 {
        world.network.slow_down(away + Duration::from_secs(45));
    }
    let back = Instant::now() + away;
    for &account in accounts {
        let spread = if random.random_range(0..2) == 0 { Duration::from_secs(6) } else { away };
        let before = Duration::from_secs_f64(spread.as_secs_f64() * random.random_range(0.0..1.0));
        sleep_until(back + Duration::from_secs(5) - before).await;
        Action::Edit(account, Edit::ServiceAccount("builder")).run(world, machine).await;
    }
    // Until the registry is known to answer, so that some pass is on its way to wait for it at that very moment.
    for number in 0..200 {
        let registry = world.cluster.store().get(&World::registry(0)).cloned();
        if registry.is_none_or(|registry| condition(&registry, "Ready")["status"] == "True") {
            break;
        }
        let service_account = Edit::ServiceAccount(["default", "builder"][number % 2]);
        Action::Edit(accounts[number % accounts.len()], service_account).run(world, machine).await;
        sleep(Duration::from_millis(random.random_range(0..600))).await;
    }
    not_settled(world, "an outage", Instant::now().max(back), AFTER_OUTAGES).await
}

/// Credentials are for the hosts that images are pulled from.
async fn mirror(world: &mut World, machine: &Machine) -> Vec<Violation> {
    world.network.note("-- a mirror");
    for number in 0..HOSTS.len() {
        Action::Mirror(number, !world.mirrors[number]).run(world, machine).await;
    }
    not_settled(world, "a mirror", Instant::now(), SOON).await
}

/// What people change in Harbor is put right by the next sweep, also while Harbor cannot list one of the projects.
async fn drift(world: &mut World, machine: &Machine, accounts: &[usize], random: &mut SmallRng) -> Vec<Violation> {
    world.network.note("-- drift");
    let of_one_project = |account: &usize| world.wishes[*account].spec["project"] == "team-a";
    let broken = accounts.iter().copied().find(of_one_project).filter(|_| random.random_range(0..2) == 0);
    let project = world.harbor(0).state().projects.named("team-a").map(|project| project.id);
    if let (Some(_), Some(id)) = (broken, project) {
        world.fail_on(0, &format!("ProjectID%3D{id}&"));
    }
    for &account in accounts.iter().filter(|account| Some(**account) != broken) {
        // A login that may not update robots writes no mark back: another robot takes the place of the one that lacks it.
        let is_robot = world.logins[world.harbor_of(account)] == Login::Robot;
        let tamper = any(random, if is_robot { &Tamper::BY_ANY_LOGIN[..] } else { &Tamper::PUT_RIGHT[..] });
        Action::Robot(account, tamper).run(world, machine).await;
    }
    sleep(world.poll).await;
    let others =
        |wrong: &Violation| broken.is_none_or(|broken| !wrong.contains(&world.wishes[broken].id().to_string()));
    let mut wrong: Vec<Violation> =
        not_settled(world, "a sweep", Instant::now(), AFTER_OUTAGES).await.into_iter().filter(others).collect();
    if let Some(broken) = broken.filter(|_| project.is_some()) {
        // One look that fails is no news yet.
        sleep(world.poll).await;
        wrong.extend(refused::is_told_of_a_failing_project(world, broken, ""));
        if let Some(id) = project {
            // For another reason, which is told as well.
            world.fail_with(0, &format!("ProjectID%3D{id}&"), 502);
            sleep(world.poll + AFTER_OUTAGES).await;
            wrong.extend(refused::is_told_of_a_failing_project(world, broken, "502"));
        }
    }
    world.end_troubles();
    sleep(world.poll + AFTER_OUTAGES).await;
    wrong
}

/// The robot that an account leaves under `Retain` is nobody's orphan, and is taken back.
async fn retained(world: &mut World, machine: &Machine, one: usize) -> Vec<Violation> {
    if world.logins[world.harbor_of(one)] == Login::Robot {
        // It may not write into the robot's mark that it was retained.
        return Vec::new();
    }
    world.network.note("-- Retain");
    Action::Edit(one, Edit::Retain(true)).run(world, machine).await;
    sleep(SOON).await;
    let Some((harbor, id)) = world.robot_of(one) else { return vec![format!("k: {one} has no robot")] };
    Action::Delete(one).run(world, machine).await;
    sleep(world.poll * 2 + SOON * 2).await;
    if world.harbor(harbor).state().robots.get(id).is_none() {
        return vec![format!("a: the robot {id} of {} was retained, and is gone", world.wishes[one].id())];
    }
    Action::Edit(one, Edit::Retain(false)).run(world, machine).await;
    not_settled(world, "Retain", Instant::now(), SOON).await
}

/// What does not hold so long after something. Repairs have their own pace, which accounts tell.
async fn not_settled(world: &World, what: &str, since: Instant, time: Duration) -> Vec<Violation> {
    sleep_until(since + time).await;
    let latest = Instant::now() + LONGEST_PACE;
    // What somebody took out three times in a row is left alone for ten minutes, which the account tells.
    let is_paced = |wrong: &Violation| world.is_of_a_paced_account(wrong) || world.is_contested();
    let (paced, mut wrong): (Vec<_>, Vec<_>) = world.settled().into_iter().partition(is_paced);
    if !paced.is_empty() {
        while Instant::now() < latest && world.settled().iter().any(is_paced) {
            sleep(SOON).await;
        }
        wrong.extend(world.settled());
    }
    wrong.into_iter().map(|wrong| format!("not within {} s of {what}: {wrong}", time.as_secs())).collect()
}

fn take_harbors_away(network: &Network, time: Duration) {
    for host in HOSTS {
        network.take_away(host, time);
    }
}
