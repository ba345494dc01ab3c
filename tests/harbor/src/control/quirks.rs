//! What can be made to go wrong, and how slow things are. All off at first.

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::http::reply::{self, Reply};

/// How long a drawn secret that must be drawn again takes.
const HICCUP: Duration = Duration::from_millis(500);

/// A fault that hits the calls that fit.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Fault {
    /// Only this method.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub method: Option<String>,
    /// Only this path template, such as `/api/v2.0/robots/{id}`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
    /// Only requests whose path and query, as they were sent, hold this text: `ProjectID%3D7`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub uri: Option<String>,
    /// Status.
    #[serde(default = "five_hundred")]
    pub status: u16,
    /// Body, as text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub body: Option<String>,
    /// Headers.
    #[serde(default)]
    pub headers: BTreeMap<String, String>,
    /// How many calls it hits; 0: all.
    #[serde(default = "one")]
    pub count: u64,
    /// The call is done, and then its answer is replaced.
    #[serde(default)]
    pub after_commit: bool,
    /// The connection is closed without an answer.
    #[serde(default)]
    pub drop: bool,
    /// Milliseconds before anything happens.
    #[serde(default)]
    pub delay_ms: u64,
    /// The body is so many bytes of junk.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub body_bytes: Option<usize>,
    /// The body comes byte by byte, each after so many milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub slow_body_ms: Option<u64>,
}

fn five_hundred() -> u16 {
    500
}

fn one() -> u64 {
    1
}

impl Fault {
    fn hits(&self, method: &str, template: &str, uri: &str) -> bool {
        self.uri.as_deref().is_none_or(|wanted| uri.contains(wanted))
            && self.method.as_deref().is_none_or(|wanted| wanted.eq_ignore_ascii_case(method))
            && self.path.as_deref().is_none_or(|wanted| wanted == template)
    }

    /// The answer.
    pub fn reply(&self) -> Reply {
        let content = match (self.body_bytes, &self.body) {
            (Some(count), _) => Bytes::from(vec![b'x'; count]),
            (None, text) => Bytes::from(text.clone().unwrap_or_default()),
        };
        let typed = self.headers.keys().any(|name| name.eq_ignore_ascii_case("content-type"));
        let json = content.starts_with(b"{") || content.starts_with(b"[");
        let mut reply = Reply::empty(self.status);
        if !typed && json {
            reply = reply.with("Content-Type", "application/json; charset=utf-8");
        }
        for (name, value) in &self.headers {
            reply = reply.with(name, value);
        }
        reply.body = match self.slow_body_ms {
            Some(pause) => reply::slowly(content, Duration::from_millis(pause)),
            None => reply::bytes(content),
        };
        reply
    }
}

/// The next calls answer 500 without a body, as after a panic.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct EmptyBody {
    /// How many.
    pub count: u64,
    /// Only this method.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub method: Option<String>,
    /// Only this path template.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
}

/// The quirks that are on.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Quirks {
    /// Milliseconds that each call takes.
    pub latency_ms: u64,
    /// Milliseconds that each Basic login of a person takes on top.
    pub person_basic_ms: u64,
    /// A wrong password locks its user name for 1.5 s and takes as long.
    pub lock_user_name: bool,
    /// Writes at the same time whose accesses come in different orders answer 500.
    pub deadlocks: bool,
    /// PUT and PATCH of one robot at the same time lose one another.
    pub lost_updates: bool,
    /// One in so many POST and PATCH on robots takes 500 ms more; 0: none.
    pub hiccup: u64,
    /// The next calls answer 500 without a body.
    #[serde(skip_serializing_if = "Option::is_none", rename = "emptyBody500")]
    pub empty_body: Option<EmptyBody>,
    /// Faults, the first that fits hits.
    pub fail: Vec<Fault>,
    #[serde(skip)]
    writes: u64,
}

/// What a call has to expect.
#[derive(Debug, Default)]
pub struct Plan {
    /// Wait first.
    pub delay: Duration,
    /// Then this.
    pub fault: Option<Fault>,
}

impl Quirks {
    /// The quirks as the control shows them.
    pub fn view(&self, read_only: bool) -> Value {
        let mut view = serde_json::to_value(self).unwrap_or_default();
        view["readOnly"] = read_only.into();
        view
    }

    /// Takes over the keys that are there; `"reset": true` switches everything off first. Returns what `readOnly` is to be.
    pub fn change(&mut self, body: Value) -> Result<Option<bool>, String> {
        let Value::Object(mut wanted) = body else { return Err("quirks are an object".into()) };
        let reset = wanted.remove("reset").is_some_and(|reset| reset == true);
        let read_only = match wanted.remove("readOnly") {
            None => reset.then_some(false),
            Some(Value::Bool(on)) => Some(on),
            Some(_) => return Err("readOnly must be true or false".into()),
        };
        let base = if reset { Self::default() } else { self.clone() };
        let Value::Object(mut merged) = serde_json::to_value(&base).map_err(|error| error.to_string())? else {
            return Err("quirks are an object".into());
        };
        merged.extend(wanted);
        let writes = base.writes;
        *self = serde_json::from_value(Value::Object(merged)).map_err(|error| error.to_string())?;
        self.writes = writes;
        Ok(read_only)
    }

    /// What a call has to expect; faults are used up by it.
    pub fn plan(&mut self, method: &str, template: &str, uri: &str) -> Plan {
        let mut delay = Duration::from_millis(self.latency_ms);
        if self.hiccup > 0 && matches!(method, "POST" | "PATCH") && template.starts_with("/api/v2.0/robots") {
            self.writes += 1;
            if self.writes.is_multiple_of(self.hiccup) {
                delay += HICCUP;
            }
        }
        let fault = self.fault(method, template, uri);
        if let Some(fault) = &fault {
            delay += Duration::from_millis(fault.delay_ms);
        }
        Plan { delay, fault }
    }

    fn fault(&mut self, method: &str, template: &str, uri: &str) -> Option<Fault> {
        if let Some(empty) = &mut self.empty_body {
            let wanted = Fault {
                method: empty.method.clone(),
                path: empty.path.clone(),
                uri: None,
                status: 500,
                body: None,
                headers: BTreeMap::new(),
                count: 1,
                after_commit: false,
                drop: false,
                delay_ms: 0,
                body_bytes: None,
                slow_body_ms: None,
            };
            if empty.count > 0 && wanted.hits(method, template, uri) {
                empty.count -= 1;
                if empty.count == 0 {
                    self.empty_body = None;
                }
                return Some(wanted);
            }
        }
        let at = self.fail.iter().position(|fault| fault.hits(method, template, uri))?;
        let fault = self.fail[at].clone();
        match fault.count {
            0 => {}
            1 => {
                self.fail.remove(at);
            }
            _ => self.fail[at].count -= 1,
        }
        Some(fault)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn what_is_not_named_stays_and_what_does_not_exist_is_refused() {
        let mut quirks = Quirks::default();
        quirks.change(json!({"latencyMs": 5, "hiccup": 2})).unwrap();
        assert_eq!(quirks.change(json!({"deadlocks": true, "readOnly": true})).unwrap(), Some(true));
        assert_eq!((quirks.latency_ms, quirks.hiccup, quirks.deadlocks), (5, 2, true));
        assert!(quirks.change(json!({"latency": 5})).is_err());
        assert!(quirks.change(json!({"fail": [{"stauts": 5}]})).is_err());
        assert_eq!(quirks.change(json!({"reset": true, "lostUpdates": true})).unwrap(), Some(false));
        assert_eq!((quirks.latency_ms, quirks.deadlocks, quirks.lost_updates), (0, false, true));
    }

    #[test]
    fn a_fault_hits_as_many_fitting_calls_as_it_says() {
        let mut quirks = Quirks::default();
        quirks
            .change(json!({"fail": [{"method": "POST", "path": "/a", "status": 429, "count": 2}, {"status": 503, "count": 0}]}))
            .unwrap();
        let mut hit = |method: &str, path: &str| quirks.plan(method, path, path).fault.map(|fault| fault.status);
        assert_eq!(hit("GET", "/a"), Some(503));
        assert_eq!(hit("POST", "/a"), Some(429));
        assert_eq!(hit("POST", "/a"), Some(429));
        assert_eq!(hit("POST", "/a"), Some(503));
    }

    #[test]
    fn every_nth_write_hiccups() {
        let mut quirks = Quirks::default();
        quirks.change(json!({"hiccup": 3})).unwrap();
        let delays: Vec<bool> = (0..6).map(|_| !quirks.plan("POST", "/api/v2.0/robots", "").delay.is_zero()).collect();
        assert_eq!(delays, [false, false, true, false, false, true]);
        assert!(quirks.plan("GET", "/api/v2.0/robots", "").delay.is_zero());
    }
}
