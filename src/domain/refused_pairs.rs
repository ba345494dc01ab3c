//! Pairs that a Harbor refused as unknown, for one that no list tells of. Its answer names the pair but not the kind of
//! permission that it was for, and a pair is known for each kind by itself: what is refused of the system says nothing of
//! projects.

use std::collections::BTreeSet;

use super::catalogue::{Kind, Unknown};
use super::permissions::{Access, AccessSet};
use super::robot::Permissions;

/// What was learned of one Harbor, by its version.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RefusedPairs {
    version: Option<String>,
    pairs: Unknown,
    /// Those of the system that may as well have been refused for projects.
    guessed: AccessSet,
}

impl RefusedPairs {
    /// The pairs that a Harbor of this version refused.
    pub fn of(&self, version: Option<&str>) -> Unknown {
        if self.version.as_deref() == version { self.pairs.clone() } else { Unknown::new() }
    }

    /// Notes that a Harbor of this version refused `pair` (`resource:action`) of what was sent. True if the next try can do
    /// better for it. A pair that was sent for both kinds is left out of the system's first; if Harbor refuses it still, it
    /// was the projects' that it did not know, and the system's gets its chance again.
    pub fn learn(&mut self, version: Option<&str>, sent: &Permissions, pair: &str) -> bool {
        if self.version.as_deref() != version {
            *self = Self { version: version.map(ToOwned::to_owned), ..Self::default() };
        }
        let Some(pair) = pair.split_once(':').map(|(resource, action)| Access::new(resource, action)) else {
            return false;
        };
        let holders = sent.iter().filter(|(_, pairs)| pairs.contains(&pair));
        let kinds: BTreeSet<Kind> = holders.map(|(scope, _)| scope.kind()).collect();
        let kind = match (kinds.contains(&Kind::System), kinds.contains(&Kind::Project)) {
            // Not asked for: whatever this answer means, there is nothing to leave out.
            (false, false) => return false,
            (true, true) => {
                self.guessed.insert(pair.clone());
                Kind::System
            }
            (true, false) => {
                self.guessed.remove(&pair);
                Kind::System
            }
            (false, true) => {
                if self.guessed.remove(&pair)
                    && let Some(of_system) = self.pairs.get_mut(&Kind::System)
                {
                    of_system.remove(&pair);
                }
                Kind::Project
            }
        };
        self.pairs.entry(kind).or_default().insert(pair)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::robot::Scope;

    const VERSION: Option<&str> = Some("v2.99.0");

    fn set(pairs: &[&str]) -> AccessSet {
        pairs.iter().filter_map(|pair| pair.split_once(':')).map(|(r, a)| Access::new(r, a)).collect()
    }

    fn sent(system: &[&str], project: &[&str]) -> Permissions {
        [(Scope::System, set(system)), (Scope::Project("a".into()), set(project))]
            .into_iter()
            .filter(|(_, pairs)| !pairs.is_empty())
            .collect()
    }

    #[test]
    fn what_is_refused_of_the_system_says_nothing_of_projects() {
        let mut refused = RefusedPairs::default();
        assert!(refused.learn(VERSION, &sent(&["repository:pull"], &["tag:list"]), "repository:pull"));
        assert_eq!(refused.of(VERSION), Unknown::from([(Kind::System, set(&["repository:pull"]))]));
        assert!(!refused.learn(VERSION, &sent(&["repository:pull"], &[]), "repository:pull"), "it is known by now");
        assert_eq!(refused.of(Some("v2.99.1")), Unknown::new());
    }

    #[test]
    fn a_pair_of_both_kinds_is_found_by_leaving_out_one_after_the_other() {
        // Only the projects' is unknown.
        let mut refused = RefusedPairs::default();
        let pair = "tag:list";
        assert!(refused.learn(VERSION, &sent(&[pair], &[pair]), pair));
        assert_eq!(refused.of(VERSION).get(&Kind::System), Some(&set(&[pair])));
        assert!(refused.learn(VERSION, &sent(&[], &[pair]), pair));
        assert_eq!(refused.of(VERSION).get(&Kind::Project), Some(&set(&[pair])));
        assert!(refused.of(VERSION)[&Kind::System].is_empty(), "the system's gets its chance again");
        // Both are.
        assert!(refused.learn(VERSION, &sent(&[pair], &[]), pair));
        assert!(refused.of(VERSION).values().all(|pairs| *pairs == set(&[pair])));
        // A system account alone that asks for it next confirms the guess; a project's pair then is another matter.
        let mut refused = RefusedPairs::default();
        assert!(refused.learn(VERSION, &sent(&[pair], &[pair]), pair));
        assert!(!refused.learn(VERSION, &sent(&[pair], &[]), pair));
        assert!(refused.learn(VERSION, &sent(&[], &[pair]), pair));
        assert_eq!(refused.of(VERSION)[&Kind::System], set(&[pair]), "it was refused by itself, too");
    }

    #[test]
    fn an_answer_about_what_was_not_sent_teaches_nothing() {
        let mut refused = RefusedPairs::default();
        for pair in ["repository:push", "no pair", ""] {
            assert!(!refused.learn(VERSION, &sent(&[], &["repository:pull"]), pair), "{pair}");
        }
        assert_eq!(refused.of(VERSION), Unknown::new());
    }
}
