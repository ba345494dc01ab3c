//! Grants under attack: what a tenant tries who may write `RobotAccount`, `HarborRegistry` and Secret objects in the own
//! namespace, and nothing else. One row a case; a row holds if nothing was gained, nobody else's robot or Secret changed,
//! and Harbor was asked nothing for a refused request.

mod applied;
mod fenced;
mod later;
mod robots;
pub mod stage;
mod tenants;

use std::panic::AssertUnwindSafe;

use futures::FutureExt as _;
pub use robots::checksum;

/// So many cases are promised.
const PROMISED: usize = 40;

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
        self.rows.push((name.into(), result));
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
    ];
    let mut rows = Vec::new();
    for table in futures::future::join_all(tables).await {
        rows.extend(table.expect("a scene is set").rows);
    }
    for (name, result) in &rows {
        println!("{} {name}", if result.is_ok() { "held" } else { "FELL" });
    }
    let failed: Vec<String> =
        rows.iter().filter_map(|(name, result)| Some(format!("{name}\n    {}", result.as_ref().err()?))).collect();
    assert!(failed.is_empty(), "{} of {} attacks succeeded:\n{}", failed.len(), rows.len(), failed.join("\n"));
    assert!(rows.len() >= PROMISED, "only {} cases", rows.len());
}
