//! What a robot of an answer holds, read pair by pair into the model's sets: a list of them in between would be many times
//! the answer's size.

use serde::{Deserialize, Deserializer};

use super::bounded::{Each, Text, over};
use crate::domain::permissions::{Access, AccessSet};
use crate::domain::robot::{Permissions, Scope};

/// Scopes of one robot: one for the system, one for all projects, or one for each of many projects.
const MOST_SCOPES: usize = 5_000;
/// Pairs in one scope; 2.16 knows 72.
const MOST_PAIRS_OF_A_SCOPE: usize = 512;
/// Pairs of one robot, in all its scopes.
const MOST_PAIRS: usize = 30_000;
const LONGEST_NAME: usize = 255;
/// Words of Harbor, such as a level, a version or a resource.
pub(super) const LONGEST_WORD: usize = 128;

#[derive(Debug, Default)]
pub(super) struct Held {
    pub(super) permissions: Permissions,
    /// There is something that the model cannot say: another effect than `allow`, a kind or namespace of no known meaning.
    pub(super) foreign: bool,
    /// How many scopes were named.
    scopes: usize,
    /// The namespace of the first.
    first: String,
    pairs: usize,
}

impl Held {
    /// The namespace, if there is a single one.
    pub(super) fn namespace(&self) -> Option<&str> {
        Some(self.first.as_str()).filter(|namespace| self.scopes == 1 && !namespace.is_empty())
    }

    fn add(&mut self, row: ScopeRow) {
        let ScopeRow { kind: Text(kind), namespace: Text(namespace), access } = row;
        if self.scopes == 0 {
            self.first.clone_from(&namespace);
        }
        self.scopes += 1;
        let scope = match (kind.as_str(), namespace.as_str()) {
            ("system", "/") => Scope::System,
            ("project", "*") => Scope::AllProjects,
            ("project", project) if !project.is_empty() => Scope::Project(namespace),
            _ => {
                self.foreign = true;
                return;
            }
        };
        let Pairs { allowed, foreign, count } = access.unwrap_or_default();
        self.pairs += count;
        self.foreign |= foreign;
        if !allowed.is_empty() {
            self.permissions.entry(scope).or_default().extend(allowed);
        }
    }
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct ScopeRow {
    kind: Text<LONGEST_WORD>,
    namespace: Text<LONGEST_NAME>,
    access: Option<Pairs>,
}

#[derive(Default)]
struct Pairs {
    allowed: AccessSet,
    foreign: bool,
    count: usize,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct PairRow {
    resource: Text<LONGEST_WORD>,
    action: Text<LONGEST_WORD>,
    effect: Text<LONGEST_WORD>,
}

impl<'de> Deserialize<'de> for Held {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let mut held = Self::default();
        deserializer.deserialize_seq(Each::new(MOST_SCOPES, "scopes of a robot", |row| {
            held.add(row);
            if held.pairs > MOST_PAIRS { Err(over(MOST_PAIRS, "permissions of a robot")) } else { Ok(()) }
        }))?;
        Ok(held)
    }
}

impl<'de> Deserialize<'de> for Pairs {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let mut pairs = Self::default();
        let each = Each::new(MOST_PAIRS_OF_A_SCOPE, "permissions in one scope", |row: PairRow| {
            let PairRow { resource: Text(resource), action: Text(action), effect: Text(effect) } = row;
            if matches!(effect.as_str(), "" | "allow") {
                pairs.allowed.insert(Access { resource, action });
            } else {
                pairs.foreign = true;
            }
            Ok(())
        });
        pairs.count = deserializer.deserialize_seq(each)?;
        Ok(pairs)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(json: &str) -> Result<Held, String> {
        serde_json::from_str(json).map_err(|error| error.to_string())
    }

    fn list(count: usize, item: impl Fn(usize) -> String) -> String {
        format!("[{}]", (0..count).map(item).collect::<Vec<_>>().join(","))
    }

    #[test]
    fn empty_scopes_without_end_are_given_up() {
        assert_eq!(read(&list(MOST_SCOPES, |_| "{}".into())).unwrap().scopes, MOST_SCOPES);
        let error = read(&list(1 << 20, |_| "{}".into())).unwrap_err();
        assert!(error.starts_with("more than 5000 scopes of a robot"), "{error}");
    }

    #[test]
    fn pairs_without_end_are_given_up_in_one_scope_and_over_all() {
        let pairs = |count| list(count, |n| format!(r#"{{"resource":"r{n}","action":"pull"}}"#));
        let scope = |n: usize, count| format!(r#"{{"kind":"project","namespace":"p{n}","access":{}}}"#, pairs(count));
        assert!(read(&list(1, |n| scope(n, 512))).is_ok());
        let error = read(&list(1, |n| scope(n, 513))).unwrap_err();
        assert!(error.starts_with("more than 512 permissions in one scope"), "{error}");
        assert!(read(&list(58, |n| scope(n, 512))).is_ok());
        let error = read(&list(59, |n| scope(n, 512))).unwrap_err();
        assert!(error.starts_with("more than 30000 permissions of a robot"), "{error}");
    }

    #[test]
    fn words_without_end_are_given_up() {
        let long = "x".repeat(129);
        assert!(read(&format!(r#"[{{"kind":"{long}"}}]"#)).is_err());
        assert!(
            read(&format!(r#"[{{"kind":"project","namespace":"p","access":[{{"resource":"{long}"}}]}}]"#)).is_err()
        );
    }
}
