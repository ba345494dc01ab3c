//! What is ready to run, in fair order: first by lane, in a lane round-robin over pools, in a pool round-robin over groups,
//! in a group first come, first served. Linked lists over the table's indices, so that taking one out of the middle
//! leaves nothing behind.
//!
//! A pool is what passes wait on, such as one server. It may start another pass only while it has fewer under way than
//! places are free: one pool alone comes to half of all places, two to a third each, and there is always room for the
//! first pass of a pool that has none. Pools of one class also share that class's part of the places.

use std::collections::{HashMap, VecDeque};

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
const NONE: u32 = u32::MAX;

#[derive(Clone, Copy)]
struct Link {
    before: u32,
    after: u32,
    lane: Option<Lane>,
}

#[derive(Clone, Copy)]
struct List {
    first: u32,
    last: u32,
    /// Whether the group is in its pool's ring of this lane.
    in_ring: bool,
}

struct Members {
    lists: [List; 3],
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
    links: Vec<Link>,
    /// The group of what is queued or in progress.
    group_of: HashMap<u32, G>,
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
}

impl<G: Group> Fair<G> {
    pub(super) fn new(config: &Config) -> Self {
        Self {
            links: Vec::new(),
            group_of: HashMap::new(),
            groups: HashMap::new(),
            pools: HashMap::new(),
            rings: [VecDeque::new(), VecDeque::new(), VecDeque::new()],
            group_limit: config.group_limit.max(1),
            slots: config.slots.max(1),
            class_limits: config.class_limits.map(|limit| limit.max(1)),
            in_progress: 0,
            of_class: [0; CLASSES],
            turn: 0,
            len: 0,
        }
    }

    pub(super) fn len(&self) -> usize {
        self.len
    }

    fn lane(&self, id: u32) -> Option<Lane> {
        self.links.get(id as usize).and_then(|link| link.lane)
    }

    /// Adds to the end of its group's list. It must be neither queued nor in progress.
    pub(super) fn push(&mut self, id: u32, lane: Lane, group: G) {
        debug_assert!(self.lane(id).is_none(), "queued twice");
        if self.links.len() <= id as usize {
            self.links.resize(id as usize + 1, Link { before: NONE, after: NONE, lane: None });
        }
        let empty = List { first: NONE, last: NONE, in_ring: false };
        let entry = self.groups.entry(group.clone()).or_insert_with(|| Members { lists: [empty; 3], in_progress: 0 });
        let list = &mut entry.lists[lane as usize];
        self.links[id as usize] = Link { before: list.last, after: NONE, lane: Some(lane) };
        if list.last == NONE {
            list.first = id;
        } else {
            self.links[list.last as usize].after = id;
        }
        list.last = id;
        self.len += 1;
        self.settle(&group);
        self.group_of.insert(id, group);
    }

    /// Takes it out, wherever it stands; nothing happens if it is not queued.
    pub(super) fn remove(&mut self, id: u32) {
        if self.lane(id).is_some()
            && let Some(group) = self.group_of.remove(&id)
        {
            self.unlink(id, &group);
            self.settle(&group);
        }
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
        let entry = self.groups.get_mut(&group).expect("a group in a ring is known");
        entry.in_progress += 1;
        entry.lists[lane as usize].in_ring = false;
        let id = entry.lists[lane as usize].first;
        self.unlink(id, &group);
        self.settle(&group);
        Some(id)
    }

    /// Its pass has ended.
    pub(super) fn finished(&mut self, id: u32) {
        let Some(group) = self.group_of.remove(&id) else { return };
        if let Some(entry) = self.groups.get_mut(&group)
            && let Some(pool) = self.pools.get_mut(&group.pool())
        {
            entry.in_progress -= 1;
            pool.in_progress -= 1;
            self.in_progress -= 1;
            self.of_class[pool.class] -= 1;
            self.settle(&group);
        }
        if self.group_of.is_empty() {
            // After a burst of thousands its room would stay.
            self.group_of = HashMap::new();
        }
    }

    /// Whether a pool may start another pass, apart from the limits of its groups.
    fn has_room(&self, pool: &Pool<G>) -> bool {
        let free = self.slots.saturating_sub(self.in_progress);
        let free_to_class = self.class_limits[pool.class].saturating_sub(self.of_class[pool.class]);
        pool.in_progress < free.min(free_to_class)
    }

    fn unlink(&mut self, id: u32, group: &G) {
        let Some(lane) = self.lane(id) else { return };
        let Link { before, after, .. } = self.links[id as usize];
        let list = &mut self.groups.get_mut(group).expect("a queued key's group is known").lists[lane as usize];
        if before == NONE {
            list.first = after;
        } else {
            self.links[before as usize].after = after;
        }
        if after == NONE {
            list.last = before;
        } else {
            self.links[after as usize].before = before;
        }
        self.links[id as usize].lane = None;
        self.len -= 1;
    }

    /// Restores: a group is in its pool's ring of a lane exactly while it has something there and may run one more, and a
    /// pool is in the lane's ring exactly while it has such a group.
    fn settle(&mut self, group: &G) {
        let entry = self.groups.get_mut(group).expect("only called for known groups");
        let name = group.pool();
        let pool = self.pools.entry(name.clone()).or_insert_with(|| Pool {
            rings: [VecDeque::new(), VecDeque::new(), VecDeque::new()],
            in_ring: [false; 3],
            in_progress: 0,
            class: group.class().min(CLASSES - 1),
        });
        for lane in LANES {
            let (list, ring) = (&mut entry.lists[lane as usize], &mut pool.rings[lane as usize]);
            let ready = list.first != NONE && entry.in_progress < self.group_limit;
            if ready != list.in_ring {
                list.in_ring = ready;
                if ready {
                    ring.push_back(group.clone());
                } else {
                    ring.retain(|other| other != group);
                }
            }
            let ready = !ring.is_empty();
            if ready != pool.in_ring[lane as usize] {
                pool.in_ring[lane as usize] = ready;
                if ready {
                    self.rings[lane as usize].push_back(name.clone());
                } else {
                    self.rings[lane as usize].retain(|other| *other != name);
                }
            }
        }
        if entry.in_progress == 0 && entry.lists.iter().all(|list| list.first == NONE) {
            self.groups.remove(group);
        }
        if pool.in_progress == 0 && pool.rings.iter().all(VecDeque::is_empty) {
            self.pools.remove(&name);
        }
    }

    #[cfg(test)]
    pub(super) fn bytes(&self) -> usize {
        self.links.capacity() * size_of::<Link>() + self.group_of.capacity() * size_of::<(u32, G)>()
    }

    #[cfg(test)]
    pub(super) fn groups(&self) -> usize {
        self.groups.len() + self.pools.len() + self.group_of.len() + self.in_progress
    }
}
