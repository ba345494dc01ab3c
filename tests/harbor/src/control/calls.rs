//! The call log: exact counts of everything, and the last calls one by one.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use serde::Serialize;
use serde_json::{Value, json};

use crate::app::App;

/// So many calls are kept one by one.
const KEPT: usize = 100_000;

/// One call.
#[derive(Debug, Clone, Serialize)]
pub struct Record {
    /// Method.
    pub method: String,
    /// Path template.
    pub path: String,
    /// The path as asked for.
    pub target: String,
    /// The query string as sent.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub query: String,
    /// The name that the caller is, or that it claimed to be.
    pub login: String,
    /// How it came with that name: `basic`, `session`, `form` (at `/c/login`), `bearer`, or empty.
    pub auth: &'static str,
    /// HTTP status; 0 when no answer was sent.
    pub status: u16,
    /// When, in milliseconds of the stand-in's clock.
    pub at: i64,
    /// How long it took, in microseconds.
    pub took: u64,
}

/// The log.
#[derive(Debug, Default)]
pub struct Calls {
    last: VecDeque<Record>,
    total: u64,
    took: u64,
    by: BTreeMap<String, u64>,
    in_flight: u64,
    most_in_flight: u64,
}

/// A call under way, until this is dropped.
#[derive(Debug)]
pub struct UnderWay(Arc<App>);

impl UnderWay {
    /// Counts a call that has come.
    pub fn begin(app: &Arc<App>) -> Self {
        let mut calls = app.calls();
        calls.in_flight += 1;
        calls.most_in_flight = calls.most_in_flight.max(calls.in_flight);
        Self(Arc::clone(app))
    }
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        self.0.calls().in_flight -= 1;
    }
}

impl Calls {
    /// Forgets the calls so far, but for those under way.
    pub fn reset(&mut self) {
        let in_flight = self.in_flight;
        *self = Self { in_flight, most_in_flight: in_flight, ..Self::default() };
    }

    /// Notes a call.
    pub fn note(&mut self, record: Record) {
        self.total += 1;
        self.took += record.took;
        *self.by.entry(format!("{} {}", record.method, record.path)).or_default() += 1;
        if self.last.len() == KEPT {
            self.last.pop_front();
        }
        self.last.push_back(record);
    }

    /// The log with the last `count` calls.
    pub fn view(&self, count: usize) -> Value {
        let skip = self.last.len().saturating_sub(count);
        let last: Vec<_> = self.last.iter().skip(skip).collect();
        json!({"calls": last, "total": self.total, "took": self.took, "by": self.by, "mostInFlight": self.most_in_flight})
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
            let (method, path, target) = ("GET".into(), "/x".into(), "/x".into());
            let (query, login, auth) = (String::new(), String::new(), "");
            calls.note(Record { method, path, target, query, login, auth, status: 200, at, took: 1 });
        }
        assert_eq!(calls.count("GET /x"), KEPT as u64 + 5);
        let view = calls.view(1);
        assert_eq!(view["total"], KEPT as u64 + 5);
        assert_eq!(view["calls"].as_array().unwrap().len(), 1);
        assert_eq!(calls.last.len(), KEPT);
    }
}
