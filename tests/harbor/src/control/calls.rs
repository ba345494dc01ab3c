//! The call log: exact counts of everything, and the last calls one by one.

use std::collections::{BTreeMap, VecDeque};

use serde::Serialize;
use serde_json::{Value, json};

/// So many calls are kept one by one.
const KEPT: usize = 100_000;

/// One call.
#[derive(Debug, Clone, Serialize)]
pub struct Record {
    /// Method.
    pub method: String,
    /// Path template.
    pub path: String,
    /// The name that the caller is, or that it claimed to be.
    pub login: String,
    /// HTTP status; 0 when no answer was sent.
    pub status: u16,
    /// When, in milliseconds of the stand-in's clock.
    pub at: i64,
}

/// The log.
#[derive(Debug, Default)]
pub struct Calls {
    last: VecDeque<Record>,
    total: u64,
    by: BTreeMap<String, u64>,
}

impl Calls {
    /// Notes a call.
    pub fn note(&mut self, record: Record) {
        self.total += 1;
        *self.by.entry(format!("{} {}", record.method, record.path)).or_default() += 1;
        if self.last.len() == KEPT {
            self.last.pop_front();
        }
        self.last.push_back(record);
    }

    /// The log with the last `count` calls.
    pub fn view(&self, count: usize) -> Value {
        let skip = self.last.len().saturating_sub(count);
        json!({"calls": self.last.iter().skip(skip).collect::<Vec<_>>(), "total": self.total, "by": self.by})
    }

    /// How many calls there were of a method and path template, such as `POST /api/v2.0/robots`.
    pub fn count(&self, operation: &str) -> u64 {
        self.by.get(operation).copied().unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_stay_exact_when_old_calls_are_forgotten() {
        let mut calls = Calls::default();
        for at in 0..i64::try_from(KEPT).unwrap() + 5 {
            calls.note(Record { method: "GET".into(), path: "/x".into(), login: String::new(), status: 200, at });
        }
        assert_eq!(calls.count("GET /x"), KEPT as u64 + 5);
        let view = calls.view(1);
        assert_eq!(view["total"], KEPT as u64 + 5);
        assert_eq!(view["calls"].as_array().unwrap().len(), 1);
        assert_eq!(calls.last.len(), KEPT);
    }
}
