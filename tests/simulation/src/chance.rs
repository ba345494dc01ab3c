//! Chance, drawn from the seed: by name, so that what happens to one call does not depend on what happened to others, and a
//! story stays the same when a part of it is left out.

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};

use rand::SeedableRng as _;
use rand::rngs::SmallRng;

/// The chance of one run.
pub struct Chance {
    seed: u64,
    drawn: HashMap<String, u32>,
}

impl Chance {
    /// The chance that a seed stands for.
    pub fn new(seed: u64) -> Self {
        Self { seed, drawn: HashMap::new() }
    }

    /// A generator for the next thing of that name, and which one of them it is, from 1.
    pub fn next(&mut self, name: &str) -> (SmallRng, u32) {
        let number = self.drawn.entry(name.to_owned()).or_default();
        *number += 1;
        (of(self.seed, name, *number), *number)
    }
}

/// The generator of one thing.
pub fn of(seed: u64, name: &str, number: u32) -> SmallRng {
    // Without random keys, unlike that of a HashMap.
    let mut hasher = DefaultHasher::new();
    (seed, name, number).hash(&mut hasher);
    SmallRng::seed_from_u64(hasher.finish())
}
