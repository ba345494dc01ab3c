//! A hash table whose entries keep one small index for life, so that lists and timers can name an entry in four bytes.

use std::hash::{BuildHasher, Hash, RandomState};
use std::ops::{Index, IndexMut};

use hashbrown::HashTable;

/// Each key is stored once; `index` holds only positions.
pub(super) struct Table<K, V> {
    slots: Vec<Option<(K, V)>>,
    free: Vec<u32>,
    index: HashTable<u32>,
    hasher: RandomState,
}

impl<K: Eq + Hash, V> Table<K, V> {
    pub(super) fn new() -> Self {
        Self { slots: Vec::new(), free: Vec::new(), index: HashTable::new(), hasher: RandomState::new() }
    }

    pub(super) fn find(&self, key: &K) -> Option<u32> {
        self.index.find(self.hasher.hash_one(key), |&id| self.key(id) == key).copied()
    }

    /// The key must not be there yet.
    pub(super) fn insert(&mut self, key: K, value: V) -> u32 {
        let hash = self.hasher.hash_one(&key);
        let id = self.free.pop().unwrap_or_else(|| {
            self.slots.push(None);
            u32::try_from(self.slots.len() - 1).expect("fewer than four billion keys")
        });
        self.slots[id as usize] = Some((key, value));
        let (slots, hasher) = (&self.slots, &self.hasher);
        self.index.insert_unique(hash, id, |&id| hasher.hash_one(&at(slots, id).0));
        id
    }

    pub(super) fn remove(&mut self, id: u32) {
        let hash = self.hasher.hash_one(self.key(id));
        if let Ok(entry) = self.index.find_entry(hash, |&other| other == id) {
            entry.remove();
        }
        self.slots[id as usize] = None;
        self.free.push(id);
        if self.index.is_empty() {
            *self = Self::new();
        }
    }

    pub(super) fn key(&self, id: u32) -> &K {
        &at(&self.slots, id).0
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.index.len()
    }

    #[cfg(test)]
    pub(super) fn bytes(&self) -> usize {
        self.slots.capacity() * size_of::<Option<(K, V)>>() + self.free.capacity() * 4 + self.index.allocation_size()
    }
}

fn at<K, V>(slots: &[Option<(K, V)>], id: u32) -> &(K, V) {
    slots[id as usize].as_ref().expect("an index is dropped together with its entry")
}

impl<K: Eq + Hash, V> Index<u32> for Table<K, V> {
    type Output = V;

    fn index(&self, id: u32) -> &V {
        &at(&self.slots, id).1
    }
}

impl<K: Eq + Hash, V> IndexMut<u32> for Table<K, V> {
    fn index_mut(&mut self, id: u32) -> &mut V {
        &mut self.slots[id as usize].as_mut().expect("an index is dropped together with its entry").1
    }
}
