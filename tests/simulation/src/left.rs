//! Robots in Harbors, by the accounts that their marks name: which are known, and which were left.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use crate::check::Violation;
use crate::world::{HOSTS, World};

/// The account that a robot's mark names, by its path: one that was made again takes over what the former one of its name
/// left. `None` for a robot that nobody owns, or not any more.
pub(crate) fn owner(description: &str) -> Option<&str> {
    let inside = inside_mark(description)?;
    let mut words = inside.split(' ').skip(1);
    let path = words.next()?.strip_prefix("simulated/")?;
    words.all(|word| word != "retained").then_some(path)
}

/// `UID cluster/namespace/name`, and what follows.
fn inside_mark(description: &str) -> Option<&str> {
    description.rsplit_once("[harbor-robots.io/v1 ")?.1.split(']').next()
}

/// The UID of the account that marked a robot.
pub(crate) fn uid_in_mark(description: &str) -> Option<&str> {
    inside_mark(description)?.split(' ').next()
}

impl World {
    /// Names of the robots of each account: `namespace/name`, or `/name`.
    pub(crate) fn robots_by_account(&self, harbor: usize) -> BTreeMap<String, Vec<String>> {
        let state = self.harbor(harbor).state();
        let mut found: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for (name, id) in state.robots.all_listed() {
            let description = state.robots.get(*id).map(|robot| robot.row.description.as_str()).unwrap_or_default();
            if let Some(account) = owner(description) {
                found.entry(account.to_owned()).or_default().push(name.clone());
            }
        }
        found
    }

    /// Robots of accounts that are gone, or that are at another Harbor now and nobody was told.
    pub(crate) fn left_robots(&self, living: &BTreeSet<String>) -> Vec<Violation> {
        let mut wrong = Vec::new();
        for (harbor, host) in HOSTS.iter().enumerate() {
            for (account, mut robots) in self.robots_by_account(harbor) {
                let Some(number) = self.wishes.iter().position(|wish| wish.path() == account) else { continue };
                let elsewhere = self.harbor_of(number) != harbor;
                if living.contains(&account) {
                    // What an account before it left is found by nobody.
                    robots.retain(|name| self.is_marked_by(number, harbor, name));
                    let robots = robots.join(", ");
                    if robots.is_empty() {
                        continue;
                    }
                    if elsewhere && !self.is_told_of(self.wishes[number].registry(), harbor) {
                        wrong.push(format!("a: robots at {host} of {account}, which is at another: {robots}"));
                    }
                    continue;
                }
                // Under Retain no failure holds the account for more than a minute, and then its robot's mark does not say
                // that it was retained.
                let retained = self.wishes[number].spec["deletionPolicy"] == "Retain";
                // Nobody looks for them where the registry is no more.
                let robots = robots.join(", ");
                let was_elsewhere = self.moved && self.wishes[number].registry() == 0 && (harbor == 1 || elsewhere);
                if !was_elsewhere && !(harbor == 1 && (self.excused || retained)) {
                    wrong.push(format!("a: robots at {host} of {account}, which is gone: {robots}"));
                }
            }
        }
        wrong
    }

    /// True if the mark of a robot is of the account as it is now, and not of one of its name before.
    pub(crate) fn is_marked_by(&self, account: usize, harbor: usize, robot: &str) -> bool {
        let object = self.account(account);
        let uid = object.as_ref().and_then(|object| object["metadata"]["uid"].as_str());
        let state = self.harbor(harbor).state();
        let description = state.robots.named(robot).map(|robot| robot.row.description.as_str());
        uid.is_some() && description.and_then(uid_in_mark) == uid
    }

    /// True if a registry says that robots are left at a Harbor which it named before, or nobody knows of that any more.
    pub(crate) fn is_told_of(&self, registry: usize, harbor: usize) -> bool {
        self.forgot_former || self.former_urls(registry).iter().any(|url| Self::harbor_at(url) == Some(harbor))
    }

    /// True if a registry's Harbor is not the one that it always had, so that something may be left at another.
    pub(crate) fn has_moved(&self) -> bool {
        self.moved || (0..HOSTS.len()).any(|registry| !self.former_urls(registry).is_empty())
    }

    /// What a registry says that it named before.
    fn former_urls(&self, registry: usize) -> Vec<String> {
        let stored = self.stored(&Self::registry(registry));
        let former = stored["status"]["formerUrls"].as_array().into_iter().flatten();
        former.filter_map(|former| former["url"].as_str()).map(str::to_owned).collect()
    }

    /// Robots of an account that its status does not name.
    pub(crate) fn stray_robots(&self, number: usize, account: &Value) -> Option<Violation> {
        let wish = &self.wishes[number];
        let prefix = self.prefix(self.harbor_of(number));
        let named = |field: &str| account["status"][field]["name"].as_str()?.strip_prefix(prefix.as_str());
        let known: BTreeSet<&str> = [named("robot"), named("previous")].into_iter().flatten().collect();
        let all = self.robots_by_account(self.harbor_of(number));
        let found = all.get(&wish.path())?;
        let strays: Vec<&str> = found.iter().map(String::as_str).filter(|name| !known.contains(name)).collect();
        (!strays.is_empty()).then(|| format!("a: {} does not know its robots {}", wish.id(), strays.join(", ")))
    }
}
