//! One object of the API server between passes: in which version a pass left it, and what its watch has shown since.
//!
//! Versions are the same or not; which of two is the later one nobody can tell by looking at them (after a restore of etcd
//! they begin anew). Order comes from the watch instead, which shows each version of an object once and in turn, those that
//! we wrote among them. So until the version that a pass left has come by, whatever comes is older, and that pass knew it,
//! since each of our writes is refused unless it builds on the last version. Once it has come by, whatever comes is news.
//! A list begins the order anew.

use crate::cluster::objects::Version;

/// How a watch came to show an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shown {
    /// It was changed.
    Event,
    /// It is in a list, which a watch begins with and begins anew with when it has lost its place.
    Listed,
    /// It was deleted.
    Deleted,
}

/// See the module.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tracked {
    left: Version,
    seen: Version,
    /// The watch has shown what was left, or something else after it.
    caught_up: bool,
    news: bool,
}

impl Default for Tracked {
    fn default() -> Self {
        Self { left: Version::NONE, seen: Version::NONE, caught_up: true, news: false }
    }
}

impl Tracked {
    /// An object that is there in this version, of which it is not known what a watch has shown.
    pub fn found(version: Version) -> Self {
        Self { left: version, seen: version, ..Self::default() }
    }

    /// The version that the last pass left; none if it left nothing.
    pub fn left(&self) -> Version {
        self.left
    }

    /// True if the last pass left an object.
    pub fn is_left(&self) -> bool {
        self.left != Version::NONE
    }

    /// The version that the watch showed last. Note it before a read, for [`Self::read`].
    pub fn seen(&self) -> Version {
        self.seen
    }

    /// True if there is nothing that the last pass did not know.
    pub fn is_quiet(&self) -> bool {
        !self.news
    }

    /// True if nothing of ours or of others came after this version, as far as it can be known here.
    pub fn is_latest(&self, version: Version) -> bool {
        self.caught_up && self.seen == version
    }

    /// Notes what a watch showed. True if a pass should look.
    pub fn observe(&mut self, version: Version, shown: Shown) -> bool {
        self.seen = version;
        self.caught_up |= shown == Shown::Listed;
        let as_left = if shown == Shown::Deleted { !self.is_left() } else { version == self.left };
        if as_left {
            (self.caught_up, self.news) = (true, false);
        } else if self.caught_up || self.news {
            self.news = true;
        } else {
            // Older than what was left.
            return false;
        }
        self.news
    }

    /// Notes the version that a pass read. `before`: [`Self::seen`] when it began to read, so that what comes meanwhile
    /// stays news.
    pub fn read(&mut self, version: Version, before: Version) {
        if self.seen == Version::NONE && !self.is_left() {
            // Whether a watch showed it before anybody kept that, nobody knows: whatever comes now is looked at.
            *self = Self::found(version);
            return;
        }
        self.news &= self.seen != before;
        self.leave(version);
    }

    /// Notes the version that a write of ours made; none = it is deleted.
    pub fn leave(&mut self, version: Version) {
        if version == Version::NONE {
            self.caught_up = true;
        } else if version == self.seen {
            (self.caught_up, self.news) = (true, false);
        } else if version != self.left {
            self.caught_up = false;
        }
        self.left = version;
    }

    /// What the watch shows is taken for what was left.
    pub fn accept(&mut self) {
        self.leave(self.seen);
    }
}

#[cfg(test)]
#[path = "tracked_tests.rs"]
mod tests;
