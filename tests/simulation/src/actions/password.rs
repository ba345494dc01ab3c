//! Secrets with passwords of users' own choice.

use serde_json::json;

use crate::kubernetes::{Id, kind};
use crate::world::World;

/// What is done to the Secret with an account's own password.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Own {
    /// Another password is written, with all that belongs to it.
    Another,
    /// One that Harbor refuses is written.
    Weak,
    /// It is deleted.
    Delete,
    /// The label that allows the use is gone.
    Unlabel,
    /// The key is gone.
    Empty,
}

impl Own {
    /// All of them; that a password is changed is the most common.
    pub const ALL: [Self; 7] =
        [Self::Another, Self::Another, Self::Another, Self::Weak, Self::Delete, Self::Unlabel, Self::Empty];

    pub(super) fn run(self, world: &World, account: usize) {
        let id = world.own_password_secret(account);
        match self {
            Self::Another => world.write_own_password(account, &format!("Chosen{}ByAPerson\n", world.network.calls())),
            Self::Weak => world.write_own_password(account, "weak"),
            Self::Delete => drop(world.delete(&id)),
            Self::Unlabel => drop(world.patch(&id, &json!({"metadata": {"labels": null}}))),
            Self::Empty => drop(world.patch(&id, &json!({"data": null}))),
        }
    }
}

impl World {
    /// The Secret that an account's own password is in, if it has one.
    pub fn own_password_secret(&self, account: usize) -> Id {
        let wish = &self.wishes[account];
        Id::new(kind("Secret"), wish.secret_namespace(), &wish.password_name())
    }

    fn write_own_password(&self, account: usize, password: &str) {
        let id = self.own_password_secret(account);
        let object = json!({
            "metadata": {
                "name": id.name, "namespace": id.namespace, "labels": {"harbor-robots.io/use": "password"},
            },
            "stringData": {"password": password},
        });
        self.put(id.kind(), &id.namespace, &object);
    }

    /// The own password that an account is to have; `None` if there is none that Harbor takes.
    pub fn own_password(&self, account: usize) -> Option<String> {
        let secret = self.cluster.store().get(&self.own_password_secret(account)).cloned()?;
        if secret["metadata"]["labels"]["harbor-robots.io/use"] != "password" {
            return None;
        }
        let text = crate::check::decoded(&secret["data"]["password"])?;
        let text = String::from_utf8(text).ok()?.trim_end().to_owned();
        (text.len() >= 8).then_some(text)
    }

    /// Whoever lacks the password that an account asks for writes one.
    pub(crate) fn mend_own_passwords(&self) {
        for account in 0..self.wishes.len() {
            // One that came back with a backup asks for it, and Git has it no more.
            let stored = self.account(account).is_some_and(|object| object["spec"]["passwordSecretRef"].is_object());
            if (stored || self.wishes[account].has_own_password()) && self.own_password(account).is_none() {
                Own::Another.run(self, account);
            }
        }
    }
}
