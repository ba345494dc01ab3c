//! What robots of accounts are called in a list, whatever comes before their names.

use std::collections::HashSet;

use crate::controllers::Context;
use crate::controllers::index::{AccountSlots, digest, robot_digest};
use crate::domain::robot::{Home, Robot};
use crate::domain::slots::Slot;
use crate::registry::harbor::{prefix_of, short_name};

/// Tells the names of robots that may be slots of these accounts.
pub(super) fn slots_of(
    ctx: &Context,
    home: &Home,
    accounts: &[AccountSlots],
) -> Box<dyn Fn(&str) -> bool + Send + Sync> {
    let entries = accounts.iter().filter_map(|account| ctx.index.get(&account.key));
    let slots = entries.flat_map(|entry| Slot::BOTH.map(|slot| slot.name(&entry.base_name)));
    match home {
        // Where the name begins is known for sure only after the list.
        Home::System => {
            let slots: Vec<String> = slots.collect();
            Box::new(move |name| slots.iter().any(|slot| name.ends_with(slot)))
        }
        Home::Project(_) => {
            let (home, slots) = (home.clone(), slots.map(|slot| digest(slot.as_str())).collect::<HashSet<u64>>());
            Box::new(move |name| short_name(name, &home, None).is_some_and(|short| slots.contains(&digest(short))))
        }
    }
}

/// What the digest of a robot would be if Harbor put this prefix before its name; `None` if it does.
pub(super) fn digest_under(prefix: &str, home: &Home, robot: &Robot) -> Option<u64> {
    let short = short_name(&robot.name, home, None)?;
    let present = prefix_of(&robot.name, home, short).filter(|present| *present != prefix)?;
    let name = format!("{prefix}{}", &robot.name[present.len()..]);
    Some(robot_digest(&Robot { name, ..robot.clone() }))
}
