//! What users do with accounts, and others with what belongs to them.

use rand::RngExt as _;
use rand::rngs::SmallRng;

use super::{Action, Damage, Edit, Own, Spoil, Tamper, any};
use crate::world::World;

pub(super) fn draw(random: &mut SmallRng, account: usize) -> Action {
    match random.random_range(0..42) {
        0..12 => Action::Edit(account, Edit::draw(random)),
        12..16 => Action::Apply(account),
        16..22 => Action::Delete(account),
        22..30 => Action::Spoil(account, any(random, &Spoil::ALL)),
        30..38 => Action::Robot(account, any(random, &Tamper::ALL)),
        38..40 => Action::Damage(account, any(random, &Damage::ALL)),
        _ => Action::OwnPassword(account, any(random, &Own::ALL)),
    }
}

/// False if it is none of these.
pub(super) fn run(action: &Action, world: &mut World) -> bool {
    match *action {
        Action::Edit(account, edit) => {
            edit.change(world, account);
            world.wishes[account].deleted = false;
            world.apply(&world.wishes[account].clone());
        }
        Action::Apply(account) => {
            world.wishes[account].deleted = false;
            world.apply(&world.wishes[account].clone());
        }
        Action::Delete(account) => {
            world.wishes[account].deleted = true;
            world.delete_account(account);
        }
        Action::Spoil(account, spoil) => {
            world.lost_records |= spoil.loses_records() && world.secret_of(account).is_some();
            spoil.run(world, account);
        }
        Action::Damage(account, damage) => damage.run_on_account(world, account),
        Action::OwnPassword(account, own) => {
            if !world.wishes[account].has_own_password() {
                Edit::OwnPassword(true).change(world, account);
                world.apply(&world.wishes[account].clone());
            }
            own.run(world, account);
        }
        Action::Robot(account, tamper) => tamper.run(world, account),
        _ => return false,
    }
    true
}
