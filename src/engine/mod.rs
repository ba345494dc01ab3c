//! The work queue: which object is reconciled when.
//!
//! [`Queue`] is a pure data structure: every operation gets the time handed in, so that it can be tested without waiting.
//! [`run`] is the small driver that hands its work to tokio tasks; watch streams push through a [`Handle`].
//!
//! The rules, in short:
//!
//! - never two passes of one key at once; what happens meanwhile is remembered and runs right after;
//! - a person's change goes before everything else and forgets the backoff; a hint (any other event) never shortens one;
//! - round-robin over groups, so that one tenant's thousands of keys do not delay another's one;
//! - what waits on one slow server leaves places for all others, however much of it there is;
//! - a pass supersedes every timer set before it, since it looks at the whole picture and names the next one.

mod backoff;
mod driver;
mod fair;
mod queue;
mod table;

use std::hash::Hash;
use std::time::Instant;

pub use backoff::Backoff;
pub use driver::{Error, Handle, Stopped, run};
pub use queue::{Config, Counts, Queue};

/// What identifies a piece of work. Kept once per key at rest: make it small and its clones cheap.
pub trait Key: Clone + Eq + Hash {
    /// Work of one group never delays that of another by more than one turn.
    type Group: Group;

    /// The group where nothing but the key is known; see [`Queue::grouped`].
    fn group(&self) -> Self::Group;
}

/// Keys that take turns as one, such as those of a namespace on one server.
pub trait Group: Clone + Eq + Hash {
    /// What the passes of a group wait on together with those of other groups, such as one server.
    type Pool: Clone + Eq + Hash;

    /// The pool.
    fn pool(&self) -> Self::Pool;

    /// Which of [`Config::class_limits`] the pool falls under.
    fn class(&self) -> usize {
        0
    }
}

/// So many classes of pools there are.
pub const CLASSES: usize = 3;

/// Why a key is handed out; of several causes the first in this order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Cause {
    /// A person changed the object.
    Change,
    /// The previous pass asked for another one at once.
    Again,
    /// Something else happened around the object.
    Hint,
    /// What the key was parked for is over.
    Released,
    /// The backoff after a failure is over.
    Retry,
    /// The time that an earlier pass named has come.
    Timer,
}

/// What a pass came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Everything is as wished; forget failures and look again at `wake`, if any.
    Settled {
        /// When to look again without an event.
        wake: Option<Instant>,
    },
    /// The picture was stale: run again at once. The fifth in a row counts as [`Outcome::Failed`].
    Again,
    /// Try again after the backoff, and not before `not_before`.
    Failed {
        /// An earliest time that the other side named (`Retry-After`).
        not_before: Option<Instant>,
    },
    /// Wait for [`Queue::release`] of this tag (a registry that is down), or for that time; only a change runs earlier.
    Parked(u64, Option<Instant>),
    /// The object no longer exists: forget the key, but for a time that was set during the pass.
    Gone,
}

#[cfg(test)]
macro_rules! its_own_pool {
    ($($group:ty),+) => {$(
        impl Group for $group {
            type Pool = Self;

            fn pool(&self) -> Self {
                Clone::clone(self)
            }
        }
    )+};
}

#[cfg(test)]
its_own_pool!((), u8, usize, std::sync::Arc<str>);
