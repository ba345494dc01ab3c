//! What is learned of a registry by trying. Kept as long as the login is the same, and as often as the login is looked at
//! forgotten, so that a wrong or an old lesson ends by itself.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::controllers::Key;
use crate::domain::catalogue::Unknown;
use crate::domain::refused_pairs::RefusedPairs;
use crate::domain::report::Failure;
use crate::domain::robot::{Home, Permissions};
use crate::domain::update_right::UpdateRights;

/// What was learned by trying, kept as long as the login is the same.
#[derive(Debug, Default)]
pub struct Capabilities {
    facts: Mutex<Facts>,
    updates: Mutex<UpdateRights>,
    /// Projects are listed by one at a time.
    pub(super) listing: tokio::sync::Mutex<()>,
    /// Held by each sweep that is under way.
    sweeping: Arc<()>,
}

#[derive(Debug, Default)]
struct Facts {
    refused: RefusedPairs,
    /// The same as it was when it was forgotten last: whoever has more to lose than to win goes by it.
    refused_before: RefusedPairs,
    /// Projects that system accounts name and that are not there, with those accounts.
    missing_projects: BTreeMap<String, BTreeSet<Key>>,
    /// Homes whose robots could not be listed.
    failing: HashMap<Arc<Home>, Failing>,
}

#[derive(Debug)]
struct Failing {
    /// Sweeps in a row.
    sweeps: u32,
    why: Failure,
}

/// A home that could not be listed in so many sweeps in a row is told to its accounts: one lost answer is nothing to tell.
const SWEEPS_UNTIL_TOLD: u32 = 2;

impl Capabilities {
    fn facts(&self) -> MutexGuard<'_, Facts> {
        self.facts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether Harbor accepts PUT and PATCH from the login, by place (see `ServedRegistry::place`).
    pub fn updates(&self) -> MutexGuard<'_, UpdateRights> {
        self.updates.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes that a Harbor of this version refused a pair of what was sent as unknown; true if the next try can do better.
    pub fn pair_refused(&self, version: Option<&str>, sent: &Permissions, pair: &str) -> bool {
        self.facts().refused.learn(version, sent, pair)
    }

    /// The pairs that a Harbor of this version refused. `settled_on`: also what it refused before the last look, for an
    /// account that would give up a credential for another try.
    pub fn refused_pairs(&self, version: Option<&str>, settled_on: bool) -> Unknown {
        let facts = self.facts();
        let mut pairs = facts.refused.of(version);
        if settled_on {
            for (kind, more) in facts.refused_before.of(version) {
                pairs.entry(kind).or_default().extend(more);
            }
        }
        pairs
    }

    /// Notes that a project which an account names does not exist; true if that is news.
    pub fn set_project_missing(&self, project: &str, account: &Key) -> bool {
        self.facts().missing_projects.entry(project.to_owned()).or_default().insert(account.clone())
    }

    /// Notes that a project exists again.
    pub fn set_project_found(&self, project: &str) {
        self.facts().missing_projects.remove(project);
    }

    /// The projects that do not exist.
    pub fn missing_projects(&self) -> BTreeSet<String> {
        self.facts().missing_projects.keys().cloned().collect()
    }

    /// An account names these projects by now; of others it does not want to hear any more.
    pub fn names_projects(&self, account: &Key, names: impl Fn(&str) -> bool) {
        self.facts().missing_projects.retain(|project, accounts| {
            if !names(project) {
                accounts.remove(account);
            }
            !accounts.is_empty()
        });
    }

    /// Notes that a home could not be listed; true if its accounts should hear of it now.
    pub fn home_failed(&self, home: &Arc<Home>, why: Failure) -> bool {
        let mut facts = self.facts();
        let failing = facts.failing.entry(Arc::clone(home)).or_insert_with(|| Failing { sweeps: 0, why: why.clone() });
        let news = failing.sweeps + 1 == SWEEPS_UNTIL_TOLD || (failing.is_told() && failing.why != why);
        failing.sweeps = failing.sweeps.saturating_add(1);
        failing.why = why;
        news
    }

    /// Notes that a home was listed; true if its accounts were told that it could not be.
    pub fn home_answered(&self, home: &Home) -> bool {
        self.facts().failing.remove(home).is_some_and(|failing| failing.is_told())
    }

    /// Why a home cannot be listed, if that lasts.
    pub fn why_home_fails(&self, home: &Home) -> Option<Failure> {
        self.facts().failing.get(home).filter(|failing| failing.is_told()).map(|failing| failing.why.clone())
    }

    /// Only these homes have accounts.
    pub fn homes_are(&self, has_accounts: impl Fn(&Home) -> bool) {
        self.facts().failing.retain(|home, _| has_accounts(home));
    }

    /// Notes that a sweep is under way for as long as it keeps the answer.
    pub fn begin_sweep(&self) -> Arc<()> {
        Arc::clone(&self.sweeping)
    }

    /// True while a sweep is under way: one that is asked for now would only do the same again.
    pub fn is_swept_now(&self) -> bool {
        Arc::strong_count(&self.sweeping) > 1
    }

    /// Pairs that were refused are worth another try.
    pub(super) fn forget_refused_pairs(&self) {
        let mut facts = self.facts();
        facts.refused_before = std::mem::take(&mut facts.refused);
    }
}

impl Failing {
    fn is_told(&self) -> bool {
        self.sweeps >= SWEEPS_UNTIL_TOLD
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(name: &str) -> Key {
        Key { namespace: None, name: name.parse().unwrap() }
    }

    #[test]
    fn a_missing_project_is_forgotten_with_the_last_account_that_names_it() {
        let capabilities = Capabilities::default();
        assert!(capabilities.set_project_missing("p", &key("a")));
        assert!(!capabilities.set_project_missing("p", &key("a")), "no news");
        assert!(capabilities.set_project_missing("p", &key("b")), "for this account it is");
        capabilities.names_projects(&key("a"), |_| false);
        assert_eq!(capabilities.missing_projects(), BTreeSet::from(["p".to_owned()]));
        capabilities.names_projects(&key("b"), |project| project == "p");
        assert_eq!(capabilities.missing_projects().len(), 1);
        capabilities.names_projects(&key("b"), |_| false);
        assert!(capabilities.missing_projects().is_empty());
    }

    #[test]
    fn a_home_that_fails_is_told_once_it_lasts() {
        let capabilities = Capabilities::default();
        let home = Arc::new(Home::Project("p".into()));
        let why = |text: &str| Failure { reason: "NoAnswer", message: text.to_owned(), permanent: false };
        assert!(!capabilities.home_failed(&home, why("a")));
        assert_eq!(capabilities.why_home_fails(&home), None);
        assert!(!capabilities.home_answered(&home), "nobody was told");
        assert!(!capabilities.home_failed(&home, why("a")) && capabilities.home_failed(&home, why("a")));
        assert!(!capabilities.home_failed(&home, why("a")), "it was told");
        assert!(capabilities.home_failed(&home, why("b")), "for another reason");
        assert_eq!(capabilities.why_home_fails(&home), Some(why("b")));
        assert!(capabilities.home_answered(&home));
        assert!(!capabilities.home_failed(&home, why("a")));
        capabilities.homes_are(|_| false);
        assert!(capabilities.facts().failing.is_empty());
    }

    #[test]
    fn what_was_refused_is_tried_again_but_by_those_who_would_lose_by_it() {
        use crate::domain::catalogue::Kind;
        use crate::domain::permissions::{Access, AccessSet};
        use crate::domain::robot::Scope;
        let capabilities = Capabilities::default();
        let pairs = AccessSet::from([Access::new("tag", "list")]);
        let sent = Permissions::from([(Scope::Project("p".into()), pairs.clone())]);
        assert!(capabilities.pair_refused(Some("v"), &sent, "tag:list"));
        let known = Unknown::from([(Kind::Project, pairs)]);
        assert_eq!(capabilities.refused_pairs(Some("v"), false), known);
        capabilities.forget_refused_pairs();
        assert_eq!(capabilities.refused_pairs(Some("v"), false), Unknown::new());
        assert_eq!(capabilities.refused_pairs(Some("v"), true), known);
        capabilities.forget_refused_pairs();
        assert_eq!(capabilities.refused_pairs(Some("v"), true), Unknown::new());
    }
}
