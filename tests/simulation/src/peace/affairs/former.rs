//! The registry names another Harbor: what is left at the former one is counted, goes on working until there is something in
//! its place, and is deleted only when somebody asks for that.

use std::time::Duration;

use rand::RngExt as _;
use rand::rngs::SmallRng;
use serde_json::json;
use tokio::time::{Instant, sleep};

use super::super::moves::homecoming;
use super::super::{AFTER_OUTAGES, SOON, not_settled};
use super::{ask_for_no_updates, unsaid};
use crate::actions::{Action, Place, Trouble};
use crate::check::Violation;
use crate::logins::Login;
use crate::machine::Machine;
use crate::world::{HOSTS, World};

/// The new Harbor makes no robots for so long.
const REFUSES: Duration = Duration::from_hours(2);
/// So long after the URL the login is written.
const BETWEEN: Duration = Duration::from_secs(1);
/// A new robot that was refused is tried again within so long.
const TRIED_AGAIN: Duration = Duration::from_mins(11);

/// To the team's Harbor, which makes no robots at first, and home again. One account is at rest all the while.
pub(super) async fn moved(world: &mut World, machine: &Machine, random: &mut SmallRng) -> Vec<Violation> {
    let told = world.stored(&World::registry(0));
    let of_it = |account: &usize| world.wishes[*account].registry() == 0;
    let at_rest = world.serviced().into_iter().find(of_it);
    let is_new = told["status"]["formerUrls"].as_array().is_none_or(Vec::is_empty);
    let Some(at_rest) = at_rest.filter(|_| world.place == Place::Home && is_new) else { return Vec::new() };
    if world.logins[1] == Login::Robot {
        ask_for_no_updates(world, machine, 0).await;
        sleep(SOON).await;
    }
    world.suspend(at_rest, true);
    sleep(SOON).await;
    world.note_published();
    let (left, logins) = (robots_left(world), working(world));
    // What is disabled waits for nothing in its place.
    let is_disabled = |account: usize| world.account(account).is_some_and(|object| object["spec"]["disabled"] == true);
    let eager = random.random_range(0..2) == 0 && !(0..world.wishes.len()).any(is_disabled);
    Action::Trouble(1, Trouble::Unprocessable, REFUSES.as_secs()).run(world, machine).await;
    Action::Url(Place::Other, false).run(world, machine).await;
    // A Secret that is seen before the URL would be tried at the former Harbor.
    sleep(BETWEEN).await;
    world.write_login(0);
    if eager {
        world.clean_up();
    }
    sleep(world.poll * 2 + AFTER_OUTAGES).await;
    let mut wrong = miscounted(world, left);
    wrong.extend(ended(world, &logins));
    world.end_troubles();
    sleep(world.poll + TRIED_AGAIN).await;
    world.clean_up();
    sleep(world.poll * 2 + AFTER_OUTAGES).await;
    let of_rest: Vec<Published> = logins.into_iter().filter(|(account, ..)| *account == at_rest).collect();
    wrong.extend(ended(world, &of_rest));
    world.suspend(at_rest, false);
    if wrong.is_empty() {
        wrong = not_settled(world, "another Harbor", Instant::now(), AFTER_OUTAGES).await;
    }
    sleep(world.poll * 2).await;
    let left = robots_left(world);
    wrong.extend((left > 0).then(|| format!("a: {left} robots are left at the former Harbor, and nobody wants them")));
    if wrong.is_empty() { homecoming(world, machine).await } else { wrong }
}

/// Account, user name and password.
type Published = (usize, String, String);

/// Logins at the former Harbor that work no more, although there is nothing in their place.
fn ended(world: &World, logins: &[Published]) -> Vec<Violation> {
    let ended = logins.iter().filter(|login| !works(world, login));
    let ended = ended.map(|(account, user, _)| {
        let id = world.wishes[*account].id();
        format!("b: {user} of {id} works no more, and there is nothing at the new Harbor yet")
    });
    ended.collect()
}

/// How many robots at the first Harbor are of accounts of its registry as they are now.
fn robots_left(world: &World) -> usize {
    let all = world.robots_by_account(0);
    let of = |number: usize| {
        let robots = all.get(&world.wishes[number].path()).filter(|_| world.wishes[number].registry() == 0);
        robots.into_iter().flatten().filter(|robot| world.is_marked_by(number, 0, robot)).count()
    };
    (0..world.wishes.len()).map(of).sum()
}

/// What accounts of the cluster's registry published at the first Harbor, and works.
fn working(world: &World) -> Vec<Published> {
    let here = |(account, harbor, ..): &&(usize, usize, String, String)| {
        *harbor == 0 && world.wishes[*account].registry() == 0 && world.living_account(*account).is_some()
    };
    let all = world.published.keys().filter(here);
    let all = all.map(|(account, _, user, password)| (*account, user.clone(), password.clone()));
    let of_now = |(account, user, _): &Published| {
        world.account(*account).is_some_and(|object| object["status"]["robot"]["name"] == **user)
    };
    all.filter(of_now).filter(|login| works(world, login)).collect()
}

fn works(world: &World, (_, user, password): &Published) -> bool {
    world.harbor(0).state().robot_login(user, password).is_some()
}

/// What a registry tells of the Harbor that it left, other than it is.
fn miscounted(world: &World, left: usize) -> Vec<Violation> {
    let id = World::registry(0);
    let registry = world.stored(&id);
    let told = &registry["status"]["formerUrls"][0];
    let mut wrong: Vec<Violation> = Vec::new();
    if told["url"] != format!("https://{}", HOSTS[0]) || told["robots"] != json!(left) {
        wrong.push(format!("k: {left} robots are left at {}, and {id} tells of {told}", HOSTS[0]));
    }
    wrong.extend(unsaid(world, &id, &["RobotsLeftBehind True RobotsLeftBehind"]));
    wrong
}

impl World {
    /// Somebody asks for what is left at the first Harbor to be deleted.
    fn clean_up(&self) {
        let annotations = json!({"harbor-robots.io/cleanup-former-url": format!("https://{}", HOSTS[0])});
        drop(self.patch(&Self::registry(0), &json!({"metadata": {"annotations": annotations}})));
    }
}
