//! A hostile world: what is done × what must hold. A row is a Harbor that lies in its own way, each with a namespace, a
//! registry and accounts of its own; the rows of a group are hostile at the same time. Beside it are damaged objects of
//! every watched kind.
//!
//! What must hold is always the same:
//!
//! - the process lives, also after a restart in the middle of it
//! - a new account of another namespace and another registry is Ready within 5 s
//! - peak memory grows by no more than 16 MB
//! - the hostile registry or its accounts say what is wrong
//! - nothing is tried again in haste
//! - once the truth is told, its accounts are served within a minute without an edit
//!
//! `HOSTILE=text` plays only the rows whose names contain the text. With `--nocapture` each group prints what its rows
//! said and cost.

mod bodies;
mod damaged;
mod lies;
mod memory;
mod numbers;
mod played;
mod slow;
mod stage;
mod transport;
mod world;
mod wreck;

use harbor_robot_faults::Lie;
use serde_json::{Value, json};

/// A lie and what is to be said of it.
pub struct Row {
    /// What is done.
    name: &'static str,
    lie: Lie,
    /// The reasons that may be given, in any condition of the registry or its accounts. None: there is nothing to be said,
    /// the accounts are served all the same.
    says: &'static [&'static str],
    /// Whether the accounts may as well be served, as by what was asked before the lie.
    may_be_served: bool,
    /// Merged over the spec of the account that was there before.
    spec: Value,
}

impl Row {
    fn new(name: &'static str, lie: Lie, says: &'static [&'static str]) -> Self {
        Self { name, lie, says, may_be_served: says.is_empty(), spec: json!({}) }
    }

    fn or_served(self) -> Self {
        Self { may_be_served: true, ..self }
    }

    fn with(self, spec: Value) -> Self {
        Self { spec, ..self }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn no_time_or_number_of_a_harbor_hurts_anybody_else() {
    stage::play("numbers", numbers::rows()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn no_answer_that_is_hardly_one_hurts_anybody_else() {
    stage::play("transport", transport::rows()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_that_a_harbor_says_hurts_anybody_else() {
    stage::play("bodies", bodies::rows()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn no_answer_costs_much_memory() {
    memory::play().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn slow_servers_hold_nobody_else_up() {
    slow::play().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn no_damaged_object_hurts_anybody_else() {
    wreck::wreck().await;
}
