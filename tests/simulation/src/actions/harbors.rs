//! What people do in Harbors, and with the registries that name them.

use harbor_stand_in::version::Version;
use rand::RngExt as _;
use rand::rngs::SmallRng;
use serde_json::json;

use super::{Action, Trouble, any};
use crate::logins::Login;
use crate::world::{PROJECTS, World};

/// Where the registry of the cluster says that its Harbor is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// At its first URL.
    Home,
    /// The same Harbor, by another name.
    Alias,
    /// The other Harbor.
    Other,
}

/// Versions 2.x.y, from the oldest that is supported on. 2.12.0 lacks a pair, and before 2.14.1 a robot makes no project robots.
const VERSIONS: [(u32, u32); 7] = [(16, 0), (16, 0), (14, 1), (13, 2), (12, 4), (12, 0), (12, 0)];

pub(super) fn draw(random: &mut SmallRng, _account: usize, harbor: usize) -> Action {
    let coin = random.random_range(0..2) == 0;
    match random.random_range(0..32) {
        0..2 => Action::Password(harbor, coin),
        2 => Action::Login(harbor, if coin { Login::Administrator } else { Login::Robot }),
        3..5 => Action::DeleteProject(harbor, any(random, &PROJECTS)),
        5..8 => Action::MakeProject(harbor, any(random, &PROJECTS)),
        8..10 => Action::ReadOnly(harbor, coin),
        10 => Action::ForgetSessions(harbor),
        11..14 => Action::HarborClock(harbor, any(random, &[-3_600, -60, 60, 3_600, 86_400, 40 * 86_400])),
        14..16 => Action::BackUpHarbor(harbor),
        16..18 => Action::RestoreHarbor(harbor),
        18..20 => {
            let (minor, patch) = any(random, &VERSIONS);
            Action::Version(harbor, minor, patch)
        }
        20..22 => {
            let to = [Place::Home, Place::Home, Place::Alias, Place::Other];
            Action::Url(any(random, &to), random.random_range(0..4) > 0)
        }
        22..28 => Action::Trouble(harbor, any(random, &Trouble::ALL), any(random, &[3, 20, 90, 400])),
        _ => Action::HarborAway(harbor, any(random, &[5, 60, 400])),
    }
}

/// False if it is none of these.
pub(super) fn run(action: &Action, world: &mut World) -> bool {
    match *action {
        Action::Password(harbor, told) => {
            let password = format!("Harbor{}", world.network.calls());
            world.set_password(harbor, &password);
            if told {
                world.write_logins(harbor);
            }
        }
        Action::Login(harbor, login) => world.log_in_as(harbor, login),
        Action::DeleteProject(harbor, name) => {
            let mut state = world.harbor(harbor).state();
            if let Some(id) = state.projects.named(name).map(|project| project.id) {
                state.delete_project(id);
            }
            drop(state);
            world.strangers.retain(|(at, robot, _)| *at != harbor || !robot.starts_with(&format!("{name}+")));
        }
        Action::MakeProject(harbor, name) => world.make_project(harbor, name),
        Action::ReadOnly(harbor, on) => world.harbor(harbor).state().settings.set_read_only(on),
        Action::ForgetSessions(harbor) => drop(world.harbor(harbor).state().sessions.forget()),
        Action::HarborClock(harbor, seconds) => {
            world.told_hourly |= harbor == 1;
            world.harbor(harbor).state().clock.advance(seconds);
        }
        Action::BackUpHarbor(harbor) => {
            let backup = world.harbor(harbor).state().backup();
            *world.harbor(harbor).backup() = Some(backup);
        }
        Action::RestoreHarbor(harbor) => world.restore_harbor(harbor),
        Action::Version(harbor, minor, patch) => {
            world.told_hourly = true;
            world.harbor(harbor).state().version = Version::of(minor, patch);
        }
        Action::Url(place, told) => world.move_registry(place, told),
        Action::Trouble(harbor, trouble, seconds) => trouble.run(world, harbor, seconds),
        _ => return false,
    }
    true
}

impl World {
    fn restore_harbor(&mut self, harbor: usize) {
        let Some(backup) = self.harbor(harbor).backup().clone() else { return };
        self.excused |= harbor == 1;
        // What was ended is alive again, and stays so until it is revoked once more.
        self.published.retain(|(_, at, ..), _| *at != harbor);
        self.harbor(harbor).state().restore(backup);
        self.know_password(harbor);
        self.know_strangers(harbor);
    }

    /// The registry of the cluster names another URL; its login is written for there, or is wrong until somebody does.
    fn move_registry(&mut self, place: Place, told: bool) {
        self.place = place;
        self.moved |= place == Place::Other;
        let spec = json!({"url": self.url(0)});
        // What was to be done with a former URL was.
        let annotations =
            json!({"harbor-robots.io/cleanup-former-url": null, "harbor-robots.io/forget-former-url": null});
        drop(self.patch(&Self::registry(0), &json!({"metadata": {"annotations": annotations}, "spec": spec})));
        if told {
            self.write_login(0);
        }
    }
}
