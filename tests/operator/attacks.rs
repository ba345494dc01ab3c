//! Grants under attack: what a tenant tries who may write `RobotAccount`, `HarborRegistry` and Secret objects in the own
//! namespace, and nothing else; and one who may write statuses, makes Secrets without reading any, is an admin of a project
//! in Harbor and runs servers. One row a case; a row holds if nothing was gained, nobody else's robot or Secret changed, and
//! Harbor was asked nothing for a refused request.

mod applied;
mod fenced;
mod later;
mod marks;
mod robots;
pub mod stage;
mod statuses;
mod tenants;
mod uses;

use std::panic::AssertUnwindSafe;

use futures::FutureExt as _;
pub use robots::checksum;

/// So many cases are promised: of the first attacker, and of the second.
const PROMISED: (usize, usize) = (120, 80);

/// What became of each case.
#[derive(Default)]
pub struct Table {
    rows: Vec<(String, Result<(), String>)>,
}

impl Table {
    /// Tries a case; a panic is a success of the attack, and the others are tried all the same.
    pub async fn row(&mut self, name: impl Into<String>, attack: impl Future<Output = ()>) {
        let result = AssertUnwindSafe(attack).catch_unwind().await.map_err(|panic| {
            let text = panic.downcast_ref::<String>().cloned();
            text.or_else(|| panic.downcast_ref::<&str>().map(ToString::to_string)).unwrap_or_default()
        });
        let name = name.into();
        println!("{} {name}", if result.is_ok() { "held" } else { "FELL" });
        self.rows.push((name, result));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn no_attack_of_a_tenant_succeeds() {
    let tables = [
        tokio::spawn(applied::cases()),
        tokio::spawn(fenced::cases()),
        tokio::spawn(robots::cases()),
        tokio::spawn(tenants::out_of_reach()),
        tokio::spawn(tenants::within_reach()),
        tokio::spawn(statuses::cases()),
        tokio::spawn(uses::cases()),
        tokio::spawn(marks::cases()),
    ];
    let mut rows = Vec::new();
    let mut first = 0;
    for (n, table) in futures::future::join_all(tables).await.into_iter().enumerate() {
        rows.extend(table.expect("a scene is set").rows);
        if n < 5 {
            first = rows.len();
        }
    }
    let failed: Vec<String> =
        rows.iter().filter_map(|(name, result)| Some(format!("{name}\n    {}", result.as_ref().err()?))).collect();
    assert!(failed.is_empty(), "{} of {} attacks succeeded:\n{}", failed.len(), rows.len(), failed.join("\n"));
    let cases = (first, rows.len() - first);
    assert!(cases.0 >= PROMISED.0 && cases.1 >= PROMISED.1, "only {cases:?} cases");
}
