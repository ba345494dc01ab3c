//! The deep search, `cargo xtask explore --deep`.

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::{Config, configurations, run};

/// Of one configuration, since the search keeps them in memory. All but four of them have fewer and are seen whole.
const MOST_STATES: usize = 20_000_000;

/// The configurations of the deep search whose names contain the value; without it all of them.
const ONLY: &str = "EXPLORE_ONLY";

#[test]
#[ignore = "the deep search: cargo xtask explore --deep"]
fn every_rule_holds_whatever_happens_four_times() {
    let only = std::env::var(ONLY).unwrap_or_default();
    let chosen: Vec<_> = configurations().into_iter().filter(|(name, _)| name.contains(&only)).collect();
    let count = chosen.len();
    assert!(count > 0, "no configuration is called {only:?}");
    let waiting = Mutex::new(chosen.into_iter());
    let (states, broken) = (AtomicUsize::new(0), AtomicUsize::new(0));
    let work = || {
        loop {
            let next = waiting.lock().expect("nobody panics with the lock").next();
            let Some((name, config)) = next else { return };
            let events = if config.old_leader { 3 } else { 4 };
            let report = run(&name, &Config { events, limit: MOST_STATES, ..config });
            states.fetch_add(report.states, Ordering::Relaxed);
            if let Some(violation) = report.violation {
                broken.fetch_add(1, Ordering::Relaxed);
                // At once: the rest can take an hour.
                println!("BROKEN: {name}\n{violation}\n");
            }
        }
    };
    std::thread::scope(|scope| {
        for _ in 0..std::thread::available_parallelism().map_or(1, usize::from).min(4) {
            scope.spawn(work);
        }
    });
    let (states, broken) = (states.into_inner(), broken.into_inner());
    println!("{states} states in {count} configurations, {broken} violations");
    assert_eq!(broken, 0, "the traces above are shortest ones");
}
