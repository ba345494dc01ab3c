//! What is ready to run, in fair order: first by lane, in a lane round-robin over groups, in a group first come, first
//! served. Linked lists over the table's indices, so that taking one out of the middle leaves nothing behind.

use std::collections::{HashMap, VecDeque};
use std::hash::Hash;

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
    /// Whether the group is in this lane's ring.
    in_ring: bool,
}

struct Group {
    lists: [List; 3],
    in_progress: usize,
}

pub(super) struct Fair<G> {
    links: Vec<Link>,
    groups: HashMap<G, Group>,
    /// The groups that may run now, next one first.
    rings: [VecDeque<G>; 3],
    /// At most this many of a group in progress.
    limit: usize,
    turn: u32,
    len: usize,
}

impl<G: Clone + Eq + Hash> Fair<G> {
    pub(super) fn new(limit: usize) -> Self {
        let rings = [VecDeque::new(), VecDeque::new(), VecDeque::new()];
        Self { links: Vec::new(), groups: HashMap::new(), rings, limit: limit.max(1), turn: 0, len: 0 }
    }

    pub(super) fn len(&self) -> usize {
        self.len
    }

    fn lane(&self, id: u32) -> Option<Lane> {
        self.links.get(id as usize).and_then(|link| link.lane)
    }

    /// Adds to the end of its group's list. It must not be queued.
    pub(super) fn push(&mut self, id: u32, lane: Lane, group: &G) {
        debug_assert!(self.lane(id).is_none(), "queued twice");
        if self.links.len() <= id as usize {
            self.links.resize(id as usize + 1, Link { before: NONE, after: NONE, lane: None });
        }
        let empty = List { first: NONE, last: NONE, in_ring: false };
        let entry = self.groups.entry(group.clone()).or_insert_with(|| Group { lists: [empty; 3], in_progress: 0 });
        let list = &mut entry.lists[lane as usize];
        self.links[id as usize] = Link { before: list.last, after: NONE, lane: Some(lane) };
        if list.last == NONE {
            list.first = id;
        } else {
            self.links[list.last as usize].after = id;
        }
        list.last = id;
        self.len += 1;
        self.settle(group);
    }

    /// Takes it out, wherever it stands; nothing happens if it is not queued.
    pub(super) fn remove(&mut self, id: u32, group: &G) {
        if self.unlink(id, group) {
            self.settle(group);
        }
    }

    /// Hands out the next one and counts it as in progress until [`Self::finished`].
    pub(super) fn pop(&mut self) -> Option<u32> {
        if self.len == 0 {
            return None;
        }
        self.turn = (self.turn + 1) % (2 * TURN);
        let order = match self.turn {
            0 => [Lane::Timer, Lane::Hint, Lane::Change],
            TURN => [Lane::Hint, Lane::Timer, Lane::Change],
            _ => LANES,
        };
        let lane = order.into_iter().find(|lane| !self.rings[*lane as usize].is_empty())?;
        let group = self.rings[lane as usize].pop_front()?;
        let entry = self.groups.get_mut(&group).expect("a group in a ring is known");
        entry.in_progress += 1;
        entry.lists[lane as usize].in_ring = false;
        let id = entry.lists[lane as usize].first;
        self.unlink(id, &group);
        self.settle(&group);
        Some(id)
    }

    /// A pass of this group has ended.
    pub(super) fn finished(&mut self, group: &G) {
        if let Some(entry) = self.groups.get_mut(group) {
            entry.in_progress -= 1;
            self.settle(group);
        }
    }

    fn unlink(&mut self, id: u32, group: &G) -> bool {
        let Some(lane) = self.lane(id) else { return false };
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
        true
    }

    /// Restores: a group is in a lane's ring exactly while it has something there and may run one more.
    fn settle(&mut self, group: &G) {
        let entry = self.groups.get_mut(group).expect("only called for known groups");
        for lane in LANES {
            let list = &mut entry.lists[lane as usize];
            let ready = list.first != NONE && entry.in_progress < self.limit;
            if ready != list.in_ring {
                list.in_ring = ready;
                if ready {
                    self.rings[lane as usize].push_back(group.clone());
                } else {
                    self.rings[lane as usize].retain(|other| other != group);
                }
            }
        }
        if entry.in_progress == 0 && entry.lists.iter().all(|list| list.first == NONE) {
            self.groups.remove(group);
        }
    }

    #[cfg(test)]
    pub(super) fn bytes(&self) -> usize {
        self.links.capacity() * size_of::<Link>()
    }

    #[cfg(test)]
    pub(super) fn groups(&self) -> usize {
        self.groups.len()
    }
}
