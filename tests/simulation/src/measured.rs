//! What whoever scrapes the operator reads of it, beside what there is.

use std::collections::{BTreeMap, BTreeSet};

use crate::check::{Violation, condition, moment};
use crate::kubernetes::is_deleting;
use crate::left::owner;
use crate::logins::{Login, ROBOT};
use crate::told::SKEW;
use crate::world::{HOSTS, World};

/// Samples by name and labels; those that are no whole numbers are left out.
type Samples = BTreeMap<String, i64>;

impl World {
    /// What the replica that leads tells; nothing where none does, or where two think that they do.
    pub(crate) fn scraped(&self) -> Option<Samples> {
        let leads = |samples: &Samples| samples.get("leading") == Some(&1);
        let mut all = self.replicas.iter().filter_map(|replica| Some(samples(&replica.measured()?))).filter(leads);
        all.next().filter(|_| all.next().is_none())
    }

    /// Figures that are not as what they count.
    pub(crate) fn mismeasured(&self) -> Vec<Violation> {
        let Some(samples) = self.scraped() else { return Vec::new() };
        let mut wanted = self.accounts_by_state();
        wanted.insert("earliest_expiry_timestamp_seconds".to_owned(), self.first_expiry());
        let is_skewed = |harbor| self.harbor(harbor).state().clock.ahead_ms().unsigned_abs() > SKEW;
        let skewed = (0..HOSTS.len()).any(is_skewed);
        if !self.our_clock_was_set && !skewed {
            wanted.insert("overdue_renewals".to_owned(), Some(0));
        }
        for number in 0..HOSTS.len() {
            let id = Self::registry(number);
            let there = self.cluster.store().get(&id).is_some_and(|stored| !is_deleting(stored));
            let up = i64::from(there);
            match number {
                0 => wanted.insert(r#"registry_up{registry="main"}"#.to_owned(), there.then_some(up)),
                _ => wanted.insert(r#"namespaced_registries{state="ready"}"#.to_owned(), Some(up)),
            };
        }
        let mut wrong: Vec<Violation> = wanted
            .into_iter()
            .filter(|(name, value)| samples.get(name).copied() != *value)
            .map(|(name, value)| format!("k: {name} is {value:?}, and the operator says {:?}", samples.get(&name)))
            .collect();
        wrong.extend(self.miscounted_unmanaged(&samples));
        wrong
    }

    fn accounts_by_state(&self) -> BTreeMap<String, Option<i64>> {
        let mut counts = BTreeMap::from(["ready", "suspended", "not_ready"].map(|state| (state, 0)));
        for number in 0..self.wishes.len() {
            let Some(account) = self.account(number) else { continue };
            let state = match condition(&account, "Ready")["status"].as_str() {
                _ if condition(&account, "Synced")["reason"] == "Suspended" => "suspended",
                Some("True") => "ready",
                _ => "not_ready",
            };
            *counts.entry(state).or_default() += 1;
        }
        counts.into_iter().map(|(state, count)| (format!(r#"accounts{{state="{state}"}}"#), Some(count))).collect()
    }

    /// When the first of the published credentials expires, in seconds.
    fn first_expiry(&self) -> Option<i64> {
        let expiry = |number: usize| {
            let account = self.account(number).filter(|account| account["spec"]["disabled"] != true)?;
            moment(&account["status"]["robot"]["expirationTime"])
        };
        (0..self.wishes.len()).filter_map(expiry).min().map(|first| first.div_euclid(1_000))
    }

    /// The robots that nobody manages, in the projects of accounts and of the system: in the metrics, and in the status of
    /// their registry.
    fn miscounted_unmanaged(&self, samples: &Samples) -> Option<Violation> {
        let id = Self::registry(0);
        let told = self.stored(&id)["status"]["unmanagedRobots"]["count"].as_i64();
        let measured = samples.get(r#"unmanaged_robots{registry="main"}"#);
        let there = self.unmanaged_at_most(self.harbor_of_registry(0));
        let wrong = told.is_some_and(|told| told > there) || measured.is_some_and(|count| *count > there);
        wrong.then(|| {
            format!("k: of {there} robots that nobody manages {id} has {told:?}, and the operator says {measured:?}")
        })
    }

    fn unmanaged_at_most(&self, harbor: usize) -> i64 {
        let state = self.harbor(harbor).state();
        let login = (self.logins[harbor] == Login::Robot).then_some(ROBOT);
        let unmanaged = state.robots.all_listed().filter(|(name, id)| {
            let robot = state.robots.get(**id);
            Some(name.as_str()) != login && robot.is_some_and(|robot| owner(&robot.row.description).is_none())
        });
        i64::try_from(unmanaged.count()).unwrap_or(i64::MAX)
    }

    /// Kinds of which objects cannot be read, as the operator tells it.
    pub(crate) fn unreadable_kinds(&self) -> Option<BTreeSet<String>> {
        let told = self.scraped()?;
        let kinds = told.iter().filter(|(_, count)| **count > 0);
        Some(
            kinds
                .filter_map(|(name, _)| {
                    name.strip_prefix(r#"unreadable_objects{kind=""#)?.strip_suffix(r#""}"#).map(str::to_owned)
                })
                .collect(),
        )
    }
}

fn samples(text: &str) -> Samples {
    let lines = text.lines().filter_map(|line| line.strip_prefix("harbor_robots_")?.rsplit_once(' '));
    lines.filter_map(|(name, value)| Some((name.trim_end_matches("{}").to_owned(), value.parse().ok()?))).collect()
}
