//! Changes of what a user wishes for an account.

use rand::RngExt as _;
use rand::rngs::SmallRng;
use serde_json::{Value, json};

use super::{Own, any};
use crate::world::World;

/// A change of a wish.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Edit {
    /// Pull, or pull and push.
    Permissions(bool),
    /// A pair besides, which older Harbors do not know, or not any longer.
    Access(bool),
    /// How long a credential lives, in days.
    Lifetime(u32),
    /// Disabled or not.
    Disabled(bool),
    /// A token of `harbor-robots.io/refresh`.
    Refresh(u32),
    /// A token of `harbor-robots.io/revoke`.
    Revoke(u32),
    /// The ServiceAccount.
    ServiceAccount(&'static str),
    /// The strategy of rotation.
    InPlace(bool),
    /// `Retain` or `Delete`.
    Retain(bool),
    /// A password of its user's choice, or one that Harbor draws.
    OwnPassword(bool),
}

impl Edit {
    pub(super) fn draw(random: &mut SmallRng) -> Self {
        let coin = random.random_range(0..2) == 0;
        match random.random_range(0..15) {
            0..2 => Self::Permissions(coin),
            2 => Self::Lifetime(any(random, &[1, 7, 30, 60])),
            3..5 => Self::Disabled(random.random_range(0..3) == 0),
            5..7 => Self::Refresh(random.random_range(1..1_000)),
            7 => Self::Revoke(random.random_range(1..1_000)),
            8 => Self::ServiceAccount(any(random, &["default", "builder", "missing"])),
            9..11 => Self::InPlace(coin),
            11 => Self::Access(coin),
            12..14 => Self::OwnPassword(random.random_range(0..3) > 0),
            _ => Self::Retain(random.random_range(0..4) == 0),
        }
    }

    pub(super) fn change(self, world: &mut World, account: usize) {
        match self {
            Self::Revoke(_) => {
                // A token changes no password of one's own: whoever revokes one writes another first.
                if world.wishes[account].has_own_password() {
                    Own::Another.run(world, account);
                }
                world.revoke_published(account);
            }
            Self::OwnPassword(true) => Own::Another.run(world, account),
            _ => {}
        }
        let wish = &mut world.wishes[account];
        let system = wish.namespace.is_empty();
        let own = json!({"name": wish.password_name(), "key": "password"});
        let spec = &mut wish.spec;
        let mut annotate =
            |key: &str, token: u32| wish.annotations.insert(format!("harbor-robots.io/{key}"), token.to_string());
        match self {
            Self::Permissions(push) => {
                let names = if push { json!(["PushArtifacts", "PullArtifacts"]) } else { json!(["PullArtifacts"]) };
                if system {
                    spec["projects"]["matching"][0]["permissions"] = names;
                } else {
                    spec["permissions"] = names;
                }
            }
            Self::Access(there) if !system => {
                spec["access"] =
                    if there { json!([{"resource": "export-cve", "action": "create"}]) } else { Value::Null };
            }
            Self::Access(_) => {}
            Self::Lifetime(days) => spec["expiresAfter"] = json!(format!("{days}d")),
            Self::Disabled(disabled) => spec["disabled"] = json!(disabled),
            Self::Refresh(token) => drop(annotate("refresh", token)),
            Self::Revoke(token) => drop(annotate("revoke", token)),
            Self::ServiceAccount(name) => {
                let uses = ["ImagePullSecrets", "Both", "Secrets"];
                spec["serviceAccounts"] = json!([{"name": name, "use": uses[account % uses.len()]}]);
            }
            Self::InPlace(in_place) => {
                spec["rotation"]["strategy"] = json!(if in_place { "InPlace" } else { "Overlap" });
            }
            Self::Retain(retain) => spec["deletionPolicy"] = json!(if retain { "Retain" } else { "Delete" }),
            Self::OwnPassword(own_one) => spec["passwordSecretRef"] = if own_one { own } else { Value::Null },
        }
    }
}
