//! Runs of the first seeds, and that a run repeats itself. `cargo xtask simulate` runs more.

// A simulated machine needs the C library of Linux.
#![cfg(target_os = "linux")]

use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use harbor_robot_simulation::apart::run_apart;
use harbor_robot_simulation::run::{Outcome, Settings};

/// So many fit into a minute of two cores.
const SEEDS: u64 = 60;

fn run(settings: &Settings) -> Outcome {
    run_apart(Path::new(env!("CARGO_BIN_EXE_harbor-robot-simulation")), settings)
}

#[test]
fn the_same_seed_is_the_same_run_to_the_last_byte() {
    let settings = |seed| Settings { seed, trace: true, ..Settings::default() };
    // The second has both replicas and a bad network.
    for seed in [2, 3, 11] {
        let (one, other) = (run(&settings(seed)), run(&settings(seed)));
        let differs = one.log.iter().zip(&other.log).position(|(one, other)| one != other);
        if let Some(line) = differs {
            panic!("seed {seed} differs at line {line}:\n{}\n{}", one.log[line], other.log[line]);
        }
        assert_eq!((one.log.len(), one.digest), (other.log.len(), other.digest), "seed {seed}");
        assert!(one.calls > 500, "seed {seed} makes {} calls", one.calls);
    }
    assert_ne!(run(&settings(2)).digest, run(&settings(3)).digest);
}

#[test]
fn everything_settles_whatever_happens() {
    let (next, misfortunes) = (AtomicU64::new(1), AtomicU64::new(0));
    let failed = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..std::thread::available_parallelism().map_or(1, usize::from) {
            scope.spawn(|| {
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed > SEEDS {
                        break;
                    }
                    let outcome = run(&Settings { seed, ..Settings::default() });
                    misfortunes.fetch_add(outcome.happened.len() as u64, Ordering::Relaxed);
                    if !outcome.violations.is_empty() {
                        let text = format!("seed {seed}: {}", outcome.violations.join("; "));
                        failed.lock().unwrap_or_else(PoisonError::into_inner).push(text);
                    }
                }
            });
        }
    });
    let failed = failed.into_inner().unwrap_or_else(PoisonError::into_inner);
    assert!(
        failed.is_empty(),
        "{}\n`cargo xtask simulate --first N --seeds 1` makes the story of seed N short",
        failed.join("\n")
    );
    // Else nothing was tried.
    assert!(misfortunes.into_inner() > 40 * SEEDS);
}
