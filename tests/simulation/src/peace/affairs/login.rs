//! Logins of robots: what they may do, and until when.

use rand::rngs::SmallRng;
use serde_json::{Value, json};
use tokio::time::{Duration, Instant, sleep};

use super::super::{AFTER_GAPS, AFTER_OUTAGES, SOON, not_settled};
use super::{ask_for_no_updates, message, touch, unsaid};
use crate::actions::{Action, Edit, any};
use crate::check::{Violation, moment};
use crate::kubernetes::kind;
use crate::logins::{Login, ROBOT};
use crate::machine::Machine;
use crate::world::World;

/// The login lives for so long from when that is written down.
const LIFE: Duration = Duration::from_mins(3);
/// In so long a login that never worked is known to be wrong.
const REFUSED: Duration = Duration::from_mins(1);
/// It was made so long ago.
const AGE_MS: i64 = 100 * 86_400_000;

/// The operator is a robot at a Harbor; answers who it was.
async fn become_robot(world: &mut World, machine: &Machine, harbor: usize) -> Login {
    let before = world.logins[harbor];
    ask_for_no_updates(world, machine, harbor).await;
    world.log_in_as(harbor, Login::Robot);
    // The Secret of a namespace's registry is in no watch.
    touch(world, harbor);
    sleep(SOON).await;
    before
}

/// It is announced that the login expires, and told when it did; with a longer life everything goes on.
pub(super) async fn expires(world: &mut World, machine: &Machine, random: &mut SmallRng) -> Vec<Violation> {
    let number = any(random, &[0, 1]);
    let (id, before) = (World::registry(number), become_robot(world, machine, number).await);
    let life = i64::try_from(LIFE.as_secs()).unwrap_or_default();
    world.change_login_robot(number, |robot, now| {
        (robot.row.created_ms, robot.row.duration) = (now - AGE_MS, 100);
        robot.row.expires_at = now / 1_000 + life;
    });
    let expires_at = world.harbor(number).state().robots.named(ROBOT).map_or(0, |robot| robot.row.expires_at);
    touch(world, number);
    sleep(SOON).await;
    let told = world.stored(&id)["status"]["login"]["expirationTime"].clone();
    let mut wrong: Vec<Violation> =
        unsaid(world, &id, &["Ready True LoggedIn", "LoginExpiring True LoginExpiring"]).into_iter().collect();
    let day = told.as_str().unwrap_or_default();
    if moment(&told) != Some(expires_at * 1_000) || !message(world, &id, "LoginExpiring").contains(day) {
        wrong.push(format!("k: the login of {id} expires at {expires_at}, and it says {told}"));
    }
    let told_by_event = |event: &Value| event["reason"] == "LoginExpiring" && event["regarding"]["name"] == id.name;
    if !world.cluster.store().all(kind("Event"), None).any(|(_, event)| told_by_event(event)) {
        wrong.push(format!("k: no event tells that the login of {id} expires"));
    }
    sleep(LIFE).await;
    touch(world, number);
    sleep(SOON).await;
    wrong.extend(unsaid(world, &id, &["Ready False CredentialsRejected"]));
    let said = message(world, &id, "Ready");
    if !said.contains(&format!("expired at {day}")) {
        wrong.push(format!("k: the login of {id} expired at {day}, and it says {said}"));
    }
    world.change_login_robot(number, |robot, _| (robot.row.expires_at, robot.row.duration) = (-1, -1));
    touch(world, number);
    if wrong.is_empty() {
        wrong = not_settled(world, "a login that lives on", Instant::now(), AFTER_OUTAGES).await;
    }
    go_back(world, number, before, wrong).await
}

async fn go_back(world: &mut World, number: usize, before: Login, wrong: Vec<Violation>) -> Vec<Violation> {
    if !wrong.is_empty() {
        return wrong;
    }
    world.log_in_as(number, before);
    touch(world, number);
    not_settled(world, "the former login", Instant::now(), SOON).await
}

/// A login that Harbor refuses: the registry says what to look at, and of a shell only where one cut the name.
pub(super) async fn wrong(world: &mut World) -> Vec<Violation> {
    let (id, secret, serviced) = (World::registry(0), World::login(0), world.serviced());
    let user = world.logins[0].user(&world.harbor(0).state());
    let mut wrong = Vec::new();
    for (user, cut) in [(user.as_str(), false), ("robot", true)] {
        let login = json!({"stringData": {"username": user, "password": "NotTheOne1"}});
        drop(world.patch(&secret, &login));
        sleep(REFUSED).await;
        wrong.extend(unsaid(world, &id, &["Ready False CredentialsRejected", "Stalled True CredentialsRejected"]));
        let said = message(world, &id, "Ready");
        let hint = said.contains(&format!("(Secret {}", secret.name));
        if hint != cut || hint != said.contains("single quotes") || !said.contains("the Secret that spec.auth names") {
            wrong.push(format!("k: the login {user} of {id} is refused, and it says {said}"));
        }
        if world.serviced() != serviced {
            wrong.push("k: a login is refused, and accounts are not Ready any more".to_owned());
        }
    }
    world.write_login(0);
    if wrong.is_empty() { not_settled(world, "the right login", Instant::now(), SOON).await } else { wrong }
}

/// An account asks for what the login does not hold: it says what that is, and where, and nothing that the login holds.
pub(super) async fn lacks(world: &mut World, machine: &Machine) -> Vec<Violation> {
    let asks = |account: &usize| {
        let wish = &world.wishes[*account];
        !wish.namespace.is_empty() && !wish.deleted && world.harbor_of(*account) == wish.registry()
    };
    let Some(account) = world.serviced().into_iter().find(asks) else { return Vec::new() };
    let number = world.wishes[account].registry();
    let before = become_robot(world, machine, number).await;
    Action::Edit(account, Edit::Access(false)).run(world, machine).await;
    sleep(SOON).await;
    world.take_right(number, false, "export-cve", "create");
    touch(world, number);
    sleep(SOON).await;
    Action::Edit(account, Edit::Access(true)).run(world, machine).await;
    sleep(SOON).await;
    let id = world.wishes[account].id();
    let mut wrong: Vec<Violation> =
        unsaid(world, &id, &["Ready True Published", "Synced False LoginLacksPermissions"]).into_iter().collect();
    let (said, project) = (message(world, &id, "Synced"), world.wishes[account].spec["project"].clone());
    let place = format!("export-cve:create on project {}", project.as_str().unwrap_or_default());
    if said.contains("the next repair waits") {
        // It was repaired too often lately to ask for anything.
        wrong.clear();
    } else if !said.contains(&place) || said.contains("repository:pull") {
        wrong.push(format!("k: the login lacks {place} alone, and {id} says {said}"));
    }
    world.give_rights(number);
    touch(world, number);
    if wrong.is_empty() {
        wrong = not_settled(world, "a login that may more", Instant::now(), AFTER_OUTAGES).await;
    }
    go_back(world, number, before, wrong).await
}

/// Another login while no watch is there: the list that follows tells of it.
pub(super) async fn unseen(world: &mut World, machine: &Machine) -> Vec<Violation> {
    ask_for_no_updates(world, machine, 0).await;
    sleep(SOON).await;
    let before = world.logins[0];
    let other = if before == Login::Robot { Login::Administrator } else { Login::Robot };
    Action::KubernetesAway(5, true).run(world, machine).await;
    sleep(Duration::from_secs(2)).await;
    world.log_in_as(0, other);
    let wrong = not_settled(world, "another login", Instant::now(), AFTER_GAPS).await;
    go_back(world, 0, before, wrong).await
}
