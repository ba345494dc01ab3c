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
    logged_in: HashMap<String, Session>,
}

impl Sessions {
    fn tag(&self, start: &str) -> String {
        format!("{:016x}", self.tags.hash_one(start))
    }

    /// A new id, which also serves as the CSRF cookie's value.
    pub fn issue(&self) -> String {
        let start = format!("{:016x}", rand::random::<u64>());
        let tag = self.tag(&start);
        start + &tag
    }

    /// Whether this server issued the id.
    pub fn issued(&self, id: &str) -> bool {
        id.len() == 32 && id.is_char_boundary(16) && self.tag(&id[..16]) == id[16..]
    }

    /// Opens a session for a person and returns its id.
    pub fn open(&mut self, user: i64, now_ms: i64) -> String {
        let id = self.issue();
        self.logged_in.insert(id.clone(), Session { user, used_ms: now_ms });
        id
    }

    /// The person behind an id, unless the session was left unused for too long.
    pub fn user(&mut self, id: &str, now_ms: i64, minutes: i64) -> Option<i64> {
        let session = self.logged_in.get_mut(id)?;
        if now_ms - session.used_ms > minutes * 60_000 {
            self.logged_in.remove(id);
            return None;
        }
        session.used_ms = now_ms;
        Some(session.user)
    }

    /// Ends a session.
    pub fn close(&mut self, id: &str) {
        self.logged_in.remove(id);
    }
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
    }

    #[test]
    fn a_session_ends_after_an_hour_without_use() {
        let mut sessions = Sessions::default();
        let id = sessions.open(1, 0);
        assert_eq!(sessions.user(&id, 59 * 60_000, 60), Some(1));
        assert_eq!(sessions.user(&id, 118 * 60_000, 60), Some(1));
        assert_eq!(sessions.user(&id, 179 * 60_000, 60), None);
    }
}
