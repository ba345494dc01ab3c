//! Persons: the administrator and those that a test creates.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::clock::rfc3339_ms;

/// One person. The password is kept as it is: this is a stand-in, and hashing would be its whole cost.
#[derive(Debug, Clone)]
pub struct User {
    /// User id.
    pub id: i64,
    /// User name.
    pub name: String,
    /// Password.
    pub password: String,
    /// Shown name.
    pub realname: String,
    /// Mail address, unique.
    pub email: String,
    /// System administrator.
    pub sysadmin: bool,
    /// When created, milliseconds.
    pub created_ms: i64,
}

impl User {
    /// The person as the API shows it.
    pub fn view(&self) -> Value {
        json!({
            "user_id": self.id, "username": self.name, "realname": self.realname, "email": self.email,
            "sysadmin_flag": self.sysadmin, "admin_role_in_auth": false,
            "creation_time": rfc3339_ms(self.created_ms), "update_time": rfc3339_ms(self.created_ms),
        })
    }
}

/// All persons.
#[derive(Debug, Clone)]
pub struct Users {
    by_id: BTreeMap<i64, User>,
    next_id: i64,
}

impl Users {
    /// The administrator alone, with id 1.
    pub fn new(name: &str, password: &str, now_ms: i64) -> Self {
        let admin = User {
            id: 1,
            name: name.into(),
            password: password.into(),
            realname: "system admin".into(),
            email: "admin@example.com".into(),
            sysadmin: true,
            created_ms: now_ms,
        };
        Self { by_id: BTreeMap::from([(1, admin)]), next_id: 3 }
    }

    /// A person by id.
    pub fn get(&self, id: i64) -> Option<&User> {
        self.by_id.get(&id)
    }

    /// A person by id, to change.
    pub fn get_mut(&mut self, id: i64) -> Option<&mut User> {
        self.by_id.get_mut(&id)
    }

    /// A person by name.
    pub fn named(&self, name: &str) -> Option<&User> {
        self.by_id.values().find(|user| user.name == name)
    }

    /// All of them, by id.
    pub fn all(&self) -> impl Iterator<Item = &User> {
        self.by_id.values()
    }

    /// Adds a person; `None` when the name or mail address is taken.
    pub fn create(&mut self, name: &str, password: &str, realname: &str, email: &str, now_ms: i64) -> Option<i64> {
        if self.all().any(|user| user.name == name || user.email == email) {
            return None;
        }
        let id = self.next_id;
        self.next_id += 1;
        let user = User {
            id,
            name: name.into(),
            password: password.into(),
            realname: realname.into(),
            email: email.into(),
            sysadmin: false,
            created_ms: now_ms,
        };
        self.by_id.insert(id, user);
        Some(id)
    }

    /// Removes a person; whether there was one.
    pub fn remove(&mut self, id: i64) -> bool {
        self.by_id.remove(&id).is_some()
    }
}
