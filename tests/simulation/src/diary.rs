//! The operator's log as a person reads it: no password is in it, and it speaks of no fault of the operator or of its
//! installation.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::check::Violation;
use crate::world::World;

impl World {
    /// What nobody may read: what accounts published, and what the operator logs in with.
    pub(crate) fn all_passwords(&self) -> BTreeSet<String> {
        self.published.keys().map(|(.., password)| password).chain(&self.passwords).cloned().collect()
    }
}

/// What a log should not say.
pub(crate) fn amiss(log: &str, passwords: &BTreeSet<String>) -> Vec<Violation> {
    let mut wrong = Vec::new();
    for line in log.lines() {
        let mut words = line.split(|letter: char| !letter.is_ascii_alphanumeric());
        if words.any(|word| passwords.contains(word)) {
            wrong.push(format!("h: a password is in the log: {line}"));
        }
        let told: Value = serde_json::from_str(line).unwrap_or_default();
        if told["level"] == "ERROR" {
            wrong.push(format!("h: the log says {line}"));
        }
    }
    wrong.truncate(MOST);
    wrong
}

/// More than these tell nothing new.
const MOST: usize = 5;
