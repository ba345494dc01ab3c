//! What people and tools do to namespaces, ServiceAccounts, registries and their logins.

use rand::RngExt as _;
use rand::rngs::SmallRng;
use serde_json::{Value, json};

use super::{Action, Damage, any};
use crate::kubernetes::{Id, kind};
use crate::world::{TEAMS, World};

pub(super) fn draw(random: &mut SmallRng, _account: usize, registry: usize) -> Action {
    let coin = random.random_range(0..2) == 0;
    let sa = any(random, &["default", "builder"]);
    let team = any(random, &TEAMS);
    match random.random_range(0..22) {
        0..3 => Action::ServiceAccount(team, sa, coin),
        3..5 => Action::EmptyServiceAccount(team, sa),
        5..7 => Action::DeleteNamespace(team),
        7..9 => Action::MakeNamespace(team),
        9..11 => Action::Label(team, coin),
        11 => Action::Ungrant,
        12 => Action::Mirror(registry, coin),
        13 => Action::DeleteRegistry(registry),
        14..16 => Action::Suspend(registry, coin),
        16..19 => Action::Repair,
        19 => Action::DamageRegistry(registry, any(random, &Damage::ALL)),
        _ => Action::DeleteLogin(registry),
    }
}

/// False if it is none of these.
pub(super) fn run(action: &Action, world: &mut World) -> bool {
    match *action {
        Action::ServiceAccount(team, name, true) => world.make_service_account(team, name),
        Action::ServiceAccount(team, name, false) => {
            drop(world.delete(&Id::new(kind("ServiceAccount"), team, name)));
        }
        Action::EmptyServiceAccount(team, name) => {
            let id = Id::new(kind("ServiceAccount"), team, name);
            drop(world.patch(&id, &json!({"imagePullSecrets": null, "secrets": null})));
        }
        Action::DeleteNamespace(team) => {
            world.excused |= team == "team-b";
            drop(world.delete(&Id::new(kind("Namespace"), "", team)));
        }
        Action::MakeNamespace(team) => world.make_namespace(team),
        Action::Label(team, there) => {
            let value = if there { json!("yes") } else { Value::Null };
            let id = Id::new(kind("Namespace"), "", team);
            drop(world.patch(&id, &json!({"metadata": {"labels": {"team": value}}})));
        }
        Action::Ungrant => drop(world.patch(&World::registry(0), &json!({"spec": {"grants": []}}))),
        Action::Mirror(number, there) => world.set_mirror(number, there),
        Action::Suspend(number, suspend) => {
            drop(world.patch(&World::registry(number), &json!({"spec": {"suspend": suspend}})));
        }
        Action::DeleteRegistry(number) => drop(world.delete(&World::registry(number))),
        Action::DamageRegistry(number, damage) => damage.run_on_registry(world, number),
        Action::DeleteLogin(number) => drop(world.delete(&World::login(number))),
        Action::Repair => world.restore_order(),
        _ => return false,
    }
    true
}
