//! The robots of one home against what the last passes left there.

use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use super::orphan_count::OrphanCount;
use super::orphans;
use super::ungranted::Fence;
use crate::api::{RegistryKey, RegistryTime};
use crate::controllers::index::{AccountSlots, robot_digest, slots_digest};
use crate::controllers::registries::{Unmanaged, is_unmanaged};
use crate::controllers::{Context, WaitFor};
use crate::domain::digest;
use crate::domain::mark;
use crate::domain::robot::{Home, Robot};
use crate::domain::slots::Slot;
use crate::registry::harbor::{prefix_of, short_name};
use crate::registry::{Digest, Error, harbor};

/// Robots of one place that name an account that is not known: so many are asked about in one sweep, each of them with a
/// question to the API server. Where more of them are orphans, the count says that there are at least as many.
const MOST_STRAYS: usize = 1_000;

/// What robots are compared with beside what the last passes left.
pub(super) struct Expected<'a> {
    /// What stood before their names when they were last swept.
    pub(super) former_prefix: Option<&'a str>,
    /// The grants, where any apply.
    pub(super) fence: Option<&'a Fence<'a>>,
    /// The user name of our own login.
    pub(super) login: &'a str,
    /// Harbor's time.
    pub(super) now: RegistryTime,
}

/// What was seen of one home, while several pages of it are read at once.
#[derive(Default)]
struct Seen {
    robots: AtomicUsize,
    strays: AtomicUsize,
    ungranted: AtomicUsize,
    /// One of them carries a mark of this cluster.
    marked: AtomicBool,
    unmanaged: Mutex<Unmanaged>,
}

impl Seen {
    /// Counts a robot, and keeps of it what is compared. What others keep there is not kept here.
    fn reduce(&self, robot: &Robot, place: &Place<'_>) -> Option<Digest> {
        let Place { ctx, registry, home, accounts, expected, .. } = place;
        let Expected { former_prefix, fence, login, now } = **expected;
        self.robots.fetch_add(1, Ordering::Relaxed);
        let mark = mark::parse(&robot.description);
        let ours = mark.as_ref().is_some_and(|mark| orphans::owner_here(ctx, mark).is_some());
        self.marked.fetch_or(ours, Ordering::Relaxed);
        // Of projects that are not in use there is no count that would last to the next sweep.
        let counts_unmanaged = !accounts.is_empty() || ***home == Home::System;
        if counts_unmanaged && is_unmanaged(robot, mark.as_ref(), login) {
            self.unmanaged.lock().unwrap_or_else(PoisonError::into_inner).add(robot, now);
        }
        let few = |count: &AtomicUsize| count.fetch_add(1, Ordering::Relaxed) < MOST_STRAYS;
        let owner = mark.as_ref().and_then(|mark| orphans::owner_to_ask(ctx, registry, accounts, mark));
        let owner = owner.filter(|_| few(&self.strays));
        let beyond = fence.zip(mark).and_then(|(fence, mark)| fence.owner_beyond(robot, &mark));
        let beyond = beyond.filter(|_| few(&self.ungranted));
        (owner.is_some() || beyond.is_some() || (place.is_slot)(&robot.name)).then(|| Digest {
            name: robot.name.as_str().into(),
            whole: robot_digest(robot),
            renamed_from: former_prefix.and_then(|prefix| digest_under(prefix, home, robot)),
            owner,
            beyond,
        })
    }
}

/// What a robot is held against.
struct Place<'a> {
    ctx: &'a Context,
    registry: &'a RegistryKey,
    home: &'a Arc<Home>,
    accounts: &'a [AccountSlots],
    expected: &'a Expected<'a>,
    /// True for the names of our slots.
    is_slot: Box<dyn Fn(&str) -> bool + Send + Sync>,
}

/// Lists one home, queues the accounts whose slots changed and looks for orphans. Answers how many pages that took.
pub(super) async fn compare(
    ctx: &Context,
    registry: &RegistryKey,
    client: &harbor::Client,
    home: &Arc<Home>,
    accounts: &[AccountSlots],
    expected: &Expected<'_>,
    orphan_count: &mut OrphanCount,
) -> Result<u32, Error> {
    let seen = Seen::default();
    let place = Place { ctx, registry, home, accounts, expected, is_slot: slots_of(ctx, home, accounts) };
    // The pause that follows ends the sweep.
    let listing = ctx.unless_ending(client.digests(home, &|robot| seen.reduce(robot, &place))).await;
    let Some(robots) = listing else { return Ok(0) };
    let mut robots = robots?;
    drop(place);
    orphan_count.unmanaged(home, seen.unmanaged.into_inner().unwrap_or_else(PoisonError::into_inner));
    if seen.strays.into_inner() > MOST_STRAYS {
        tracing::warn!(%registry, ?home, most = MOST_STRAYS, "more robots without an account than are looked at in one sweep");
    }
    // Of a system robot only the prefix tells where its own name begins.
    let prefix = client.name_prefix();
    let prefix = prefix.as_deref().filter(|_| **home == Home::System);
    let beyond = robots.iter_mut().filter_map(|robot| Some((robot.name.clone(), robot.beyond.take()?))).collect();
    let strays = robots.iter_mut().filter_map(|robot| Some((robot.name.clone(), robot.owner.take()?))).collect();
    let by_name: HashMap<&str, &Digest> =
        robots.iter().filter_map(|robot| Some((short_name(&robot.name, home, prefix)?, robot))).collect();
    queue_changed(ctx, accounts, &by_name);
    if let Some(fence) = expected.fence {
        fence.end(client, home, beyond).await?;
    }
    if let Some(state) = ctx.registries.get(registry) {
        state.swept.round.follow(home, seen.marked.into_inner());
    }
    // Accounts that waited for this project to appear.
    ctx.release(WaitFor::Project(registry, home));
    match orphans::among(ctx, home, prefix, strays, orphan_count.known(home)).await {
        Ok(mut found) => {
            if let Some(state) = ctx.registries.get(registry).filter(|state| state.deletes_orphans()) {
                found = orphans::delete(ctx, &state, client, home, found).await?;
            }
            orphan_count.orphans(home, found.iter().map(|orphan| orphan.id).collect());
        }
        Err(error) => {
            tracing::warn!(%registry, %error, "robots without an account were not counted");
            orphan_count.is_not_whole();
        }
    }
    Ok(u32::try_from(seen.robots.into_inner() / 100).unwrap_or(u32::MAX).saturating_add(1))
}

/// Asks for a pass over each account whose slots hold something else than was left there.
fn queue_changed(ctx: &Context, accounts: &[AccountSlots], by_name: &HashMap<&str, &Digest>) {
    for AccountSlots { key, slots: left, .. } in accounts {
        // One that a pass worked on meanwhile may be in the list as it was before: the next sweep looks.
        let Some(entry) = ctx.index.get(key).filter(|entry| entry.slots == *left) else { continue };
        let slots = Slot::BOTH.map(|slot| by_name.get(slot.name(&entry.base_name).as_str()).copied());
        let now = slots_digest(slots.map(|robot| robot.map(|robot| robot.whole)));
        if *left == Some(now) {
            if !entry.mark_seen {
                // As the last process left it: the digest is over the description, too.
                ctx.index.update(key, |entry| entry.mark_seen = true);
            }
            continue;
        }
        let as_before = slots_digest(slots.map(|robot| robot.map(|robot| robot.renamed_from.unwrap_or(robot.whole))));
        if *left == Some(as_before) {
            // Nothing but the name, which belongs to the server: no need to ask for each robot again.
            ctx.index.update(key, |entry| (entry.slots, entry.renamed) = (Some(now), true));
        }
        tracing::debug!(account = %key, "Harbor holds something else than was left there");
        ctx.recheck(key);
    }
}

/// Tells the names of robots that may be slots of these accounts.
fn slots_of(ctx: &Context, home: &Home, accounts: &[AccountSlots]) -> Box<dyn Fn(&str) -> bool + Send + Sync> {
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
fn digest_under(prefix: &str, home: &Home, robot: &Robot) -> Option<u64> {
    let short = short_name(&robot.name, home, None)?;
    let present = prefix_of(&robot.name, home, short).filter(|present| *present != prefix)?;
    let name = format!("{prefix}{}", &robot.name[present.len()..]);
    Some(robot_digest(&Robot { name, ..robot.clone() }))
}
