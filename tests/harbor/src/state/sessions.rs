//! Sessions of people who logged in by form, and the ids that everybody else is given.

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};

#[derive(Debug)]
struct Session {
    user: i64,
    used_ms: i64,
}

/// Who is logged in. Ids of nobody's sessions are not kept: they carry a tag by which they are known again.
#[derive(Debug, Default)]
pub struct Sessions {
    tags: RandomState,
    csrf_tags: RandomState,
    logged_in: HashMap<String, Session>,
}

impl Sessions {
    /// A new id.
    pub fn issue(&self) -> String {
        tagged(&self.tags)
    }

    /// Whether this server issued the id and keeps the session.
    pub fn issued(&self, id: &str) -> bool {
        is_tagged(&self.tags, id) || self.logged_in.contains_key(id)
    }

    /// A new value of the CSRF cookie.
    pub fn issue_csrf(&self) -> String {
        tagged(&self.csrf_tags)
    }

    /// Whether this server issued a CSRF cookie, by its present key.
    pub fn issued_csrf(&self, value: &str) -> bool {
        is_tagged(&self.csrf_tags, value)
    }

    /// Forgets all sessions, as a Redis that was flushed does; answers how many people were logged in.
    pub fn forget(&mut self) -> usize {
        self.tags = RandomState::new();
        std::mem::take(&mut self.logged_in).len()
    }

    /// Takes another CSRF key, as a core without a fixed one does when it starts.
    pub fn change_csrf_key(&mut self) {
        self.csrf_tags = RandomState::new();
    }

    /// The sessions of people who are logged in.
    pub fn ids(&self) -> Vec<&str> {
        self.logged_in.keys().map(String::as_str).collect()
    }

    /// Opens a session for a person and returns its id, which nobody else's tag vouches for: when it ends, it is unknown.
    pub fn open(&mut self, user: i64, now_ms: i64) -> String {
        let id = format!("{:032x}", rand::random::<u128>());
        self.logged_in.insert(id.clone(), Session { user, used_ms: now_ms });
        id
    }

    /// Forgets the sessions that were left unused for too long.
    pub fn expire(&mut self, now_ms: i64, minutes: i64) {
        self.logged_in.retain(|_, session| now_ms - session.used_ms <= minutes * 60_000);
    }

    /// The person behind an id.
    pub fn user(&mut self, id: &str, now_ms: i64) -> Option<i64> {
        let session = self.logged_in.get_mut(id)?;
        session.used_ms = now_ms;
        Some(session.user)
    }

    /// Ends a session.
    pub fn close(&mut self, id: &str) {
        self.logged_in.remove(id);
    }
}

fn tag(tags: &RandomState, start: &str) -> String {
    format!("{:016x}", tags.hash_one(start))
}

fn tagged(tags: &RandomState) -> String {
    let start = format!("{:016x}", rand::random::<u64>());
    let tag = tag(tags, &start);
    start + &tag
}

fn is_tagged(tags: &RandomState, id: &str) -> bool {
    id.len() == 32 && id.is_char_boundary(16) && tag(tags, &id[..16]) == id[16..]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_own_ids_are_known_again() {
        let (here, there) = (Sessions::default(), Sessions::default());
        let id = here.issue();
        assert!(here.issued(&id));
        assert!(!there.issued(&id));
        assert!(!here.issued("abc"));
        let csrf = here.issue_csrf();
        assert!(here.issued_csrf(&csrf) && !here.issued(&csrf) && !here.issued_csrf(&id));
    }

    #[test]
    fn forgotten_sessions_are_unknown_and_a_csrf_key_is_another_matter() {
        let mut sessions = Sessions::default();
        let (id, csrf) = (sessions.open(1, 0), sessions.issue_csrf());
        sessions.change_csrf_key();
        assert!(sessions.issued(&id) && !sessions.issued_csrf(&csrf));
        let csrf = sessions.issue_csrf();
        assert_eq!(sessions.ids(), [id.as_str()]);
        assert_eq!(sessions.forget(), 1);
        assert!(!sessions.issued(&id) && sessions.issued_csrf(&csrf) && sessions.user(&id, 0).is_none());
    }

    #[test]
    fn a_session_ends_after_an_hour_without_use() {
        let mut sessions = Sessions::default();
        let id = sessions.open(1, 0);
        for (minute, known) in [(59, true), (118, true), (179, false)] {
            sessions.expire(minute * 60_000, 60);
            assert_eq!(sessions.issued(&id), known);
            assert_eq!(sessions.user(&id, minute * 60_000), known.then_some(1));
        }
    }
}
