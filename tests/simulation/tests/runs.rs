//! Runs of the first seeds, and that a run repeats itself. `cargo xtask simulate` runs more.

// A simulated machine needs the C library of Linux.
#![cfg(target_os = "linux")]

use std::path::Path;
use std::process::Command;

use harbor_robot_simulation::apart::run_apart;
use harbor_robot_simulation::run::{Outcome, Settings};

/// So many fit into a minute and a half of two cores.
const SEEDS: &str = "60";

const PROGRAM: &str = env!("CARGO_BIN_EXE_harbor-robot-simulation");

fn run(settings: &Settings) -> Outcome {
    run_apart(Path::new(PROGRAM), settings)
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
    let output = Command::new(PROGRAM)
        .args(["--seeds", SEEDS, "--failures", SEEDS, "--no-shrink"])
        .output()
        .expect("the program starts");
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(
        output.status.success(),
        "{text}\n`cargo xtask simulate --first N --seeds 1` makes the story of seed N short"
    );
    // Else nothing was tried.
    let words: Vec<&str> = text.split_whitespace().collect();
    let count = |what: &str| -> u64 {
        let at = words.iter().position(|word| word.trim_end_matches(',') == what).expect("the last line counts");
        words[at - 1].parse().expect("a number")
    };
    assert_eq!(count("runs").to_string(), SEEDS);
    assert!(count("misfortunes") > 40 * count("runs"), "{text}");
}
