//! What is ready to run, in fair order: first by lane, in a lane round-robin over pools, in a pool round-robin over groups,
//! in a group first come, first served. What is taken out of the middle leaves nothing behind.
//!
//! A pool is what passes wait on, such as one server. It may start another pass only while it has fewer under way than
//! places are free: one pool alone comes to half of all places, two to a third each, and there is always room for the
//! first pass of a pool that has none. Pools of one class also share that class's part of the places.

use std::collections::{BTreeMap, HashMap, VecDeque};

use super::{CLASSES, Config, Group};

/// How urgent: a lane goes before the next one, apart from every eighth turn, which keeps the others from starving.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Lane {
    Change,
    Hint,
    Timer,
}

const LANES: [Lane; 3] = [Lane::Change, Lane::Hint, Lane::Timer];
/// Every eighth turn starts further down; a flood of changes by one tenant must not let another's credential expire.
const TURN: u32 = 8;

/// A key that is queued or in progress.
struct Place<G> {
    group: G,
    /// Where it stands in the group's lists; `None` in progress.
    queued: Option<(Lane, u64)>,
}

#[derive(Default)]
struct Members {
    /// By lane, in the order in which they came.
    lists: [BTreeMap<u64, u32>; 3],
    /// Whether the group is in its pool's ring of this lane.
    in_ring: [bool; 3],
    in_progress: usize,
}

struct Pool<G> {
    /// The groups that may run now, next one first.
    rings: [VecDeque<G>; 3],
    /// Whether the pool is in this lane's ring.
    in_ring: [bool; 3],
    in_progress: usize,
    class: usize,
}

pub(super) struct Fair<G: Group> {
    places: HashMap<u32, Place<G>>,
    groups: HashMap<G, Members>,
    pools: HashMap<G::Pool, Pool<G>>,
    /// The pools with a group that may run now, next one first.
    rings: [VecDeque<G::Pool>; 3],
    /// At most this many of a group in progress.
    group_limit: usize,
    slots: usize,
    class_limits: [usize; CLASSES],
    in_progress: usize,
    of_class: [usize; CLASSES],
    turn: u32,
    len: usize,
    /// How many were ever pushed.
    pushed: u64,
}

impl<G: Group> Fair<G> {
    pub(super) fn new(config: &Config) -> Self {
        Self {
            places: HashMap::new(),
            groups: HashMap::new(),
            pools: HashMap::new(),
            rings: [const { VecDeque::new() }; 3],
            group_limit: config.group_limit.max(1),
            slots: config.slots.max(1),
            class_limits: config.class_limits.map(|limit| limit.max(1)),
            in_progress: 0,
            of_class: [0; CLASSES],
            turn: 0,
            len: 0,
            pushed: 0,
        }
    }

    pub(super) fn len(&self) -> usize {
        self.len
    }

    /// Adds to the end of its group's list. It must be neither queued nor in progress.
    pub(super) fn push(&mut self, id: u32, lane: Lane, group: G) {
        debug_assert!(!self.places.contains_key(&id), "queued twice");
        self.pushed += 1;
        let members = self.groups.entry(group.clone()).or_default();
        members.lists[lane as usize].insert(self.pushed, id);
        self.len += 1;
        self.settle(&group);
        self.places.insert(id, Place { group, queued: Some((lane, self.pushed)) });
    }

    /// Takes it out, wherever it stands; nothing happens if it is not queued.
    pub(super) fn remove(&mut self, id: u32) {
        let Some(Place { group, queued: Some((lane, at)) }) = self.places.get(&id) else { return };
        let (group, members) = (group.clone(), self.groups.get_mut(group).expect("a queued key's group is known"));
        members.lists[*lane as usize].remove(at);
        self.places.remove(&id);
        self.len -= 1;
        self.settle(&group);
    }

    /// Hands out the next one and counts it as in progress until [`Self::finished`].
    pub(super) fn pop(&mut self) -> Option<u32> {
        let turn = (self.turn + 1) % (2 * TURN);
        let order = match turn {
            0 => [Lane::Timer, Lane::Hint, Lane::Change],
            TURN => [Lane::Hint, Lane::Timer, Lane::Change],
            _ => LANES,
        };
        let next = |lane: &Lane| self.rings[*lane as usize].iter().position(|pool| self.has_room(&self.pools[pool]));
        let (lane, at) = order.into_iter().find_map(|lane| Some((lane, next(&lane)?)))?;
        self.turn = turn;
        let name = self.rings[lane as usize].remove(at)?;
        let pool = self.pools.get_mut(&name).expect("a pool in a ring is known");
        let group = pool.rings[lane as usize].pop_front()?;
        pool.in_ring[lane as usize] = false;
        pool.in_progress += 1;
        self.in_progress += 1;
        self.of_class[pool.class] += 1;
        let members = self.groups.get_mut(&group).expect("a group in a ring is known");
        members.in_progress += 1;
        members.in_ring[lane as usize] = false;
        let (_, id) = members.lists[lane as usize].pop_first()?;
        self.places.get_mut(&id)?.queued = None;
        self.len -= 1;
        self.settle(&group);
        Some(id)
    }

    /// Its pass has ended.
    pub(super) fn finished(&mut self, id: u32) {
        let Some(Place { group, .. }) = self.places.remove(&id) else { return };
        if let Some(members) = self.groups.get_mut(&group)
            && let Some(pool) = self.pools.get_mut(&group.pool())
        {
            members.in_progress -= 1;
            pool.in_progress -= 1;
            self.in_progress -= 1;
            self.of_class[pool.class] -= 1;
            self.settle(&group);
        }
        if self.places.is_empty() {
            // After a burst of thousands its room would stay.
            self.places = HashMap::new();
        }
    }

    /// Whether a pool may start another pass, apart from the limits of its groups.
    fn has_room(&self, pool: &Pool<G>) -> bool {
        let free = self.slots.saturating_sub(self.in_progress);
        let free_to_class = self.class_limits[pool.class].saturating_sub(self.of_class[pool.class]);
        pool.in_progress < free.min(free_to_class)
    }

    /// Restores: a group is in its pool's ring of a lane exactly while it has something there and may run one more, and a
    /// pool is in the lane's ring exactly while it has such a group.
    fn settle(&mut self, group: &G) {
        let members = self.groups.get_mut(group).expect("only called for known groups");
        let name = group.pool();
        let pool = self.pools.entry(name.clone()).or_insert_with(|| Pool {
            rings: [const { VecDeque::new() }; 3],
            in_ring: [false; 3],
            in_progress: 0,
            class: group.class().min(CLASSES - 1),
        });
        for lane in LANES {
            let ring = &mut pool.rings[lane as usize];
            let ready = !members.lists[lane as usize].is_empty() && members.in_progress < self.group_limit;
            set_in_ring(ring, &mut members.in_ring[lane as usize], group, ready);
            let ready = !ring.is_empty();
            set_in_ring(&mut self.rings[lane as usize], &mut pool.in_ring[lane as usize], &name, ready);
        }
        if members.in_progress == 0 && members.lists.iter().all(BTreeMap::is_empty) {
            self.groups.remove(group);
        }
        if pool.in_progress == 0 && pool.rings.iter().all(VecDeque::is_empty) {
            self.pools.remove(&name);
        }
    }

    #[cfg(test)]
    pub(super) fn bytes(&self) -> usize {
        self.places.capacity() * size_of::<(u32, Place<G>)>()
    }

    #[cfg(test)]
    pub(super) fn groups(&self) -> usize {
        self.groups.len() + self.pools.len() + self.places.len() + self.in_progress
    }
}

/// Puts something at the end of a ring, or takes it out, unless it is where it belongs.
fn set_in_ring<T: Clone + PartialEq>(ring: &mut VecDeque<T>, is_in: &mut bool, what: &T, belongs: bool) {
    if belongs && !*is_in {
        ring.push_back(what.clone());
    } else if !belongs && *is_in {
        ring.retain(|other| other != what);
    }
    *is_in = belongs;
}
