//! What the tree of an account says, for programs.

use harbor_robot_operator::api::{Account, RegistryTime};
use serde_json::{Value, json};

use super::gather::Around;
use super::next;
use crate::attention::{self, Need};
use crate::target::shown;

pub(super) fn of(account: &Account, around: &Around, now: RegistryTime) -> Value {
    let attention = attention::of(account);
    json!({
        "account": shown(account),
        "kind": account.kind(),
        "inOrder": attention.need == Need::Nothing,
        "reason": attention.reason,
        "message": attention.message,
        "status": account.status,
        "secrets": around.secrets,
        "events": around.events,
        "problems": around.problems,
        "next": next::steps(account, now),
    })
}
