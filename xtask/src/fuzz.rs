//! `cargo xtask fuzz`: the property tests with other cases than `cargo test` tries, for as long as wanted.

use std::hash::{BuildHasher as _, Hasher as _, RandomState};
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

/// Property tests are in modules whose names end so.
const TESTS: &str = "_properties::";
/// Cases of each property in one round: a round takes about half a minute.
const CASES: u32 = 2_000;

#[derive(clap::Args)]
pub(crate) struct Options {
    /// Go on for so long; the round that is under way then is brought to its end
    #[arg(long, value_name = "N", default_value_t = 10)]
    minutes: u64,
    /// Only the properties whose names contain this text
    #[arg(long, value_name = "TEXT")]
    only: Option<String>,
    /// Begin with this seed, which makes a run that was interrupted or failed the same again
    #[arg(long, value_name = "NUMBER")]
    seed: Option<u64>,
}

pub(crate) fn run(options: &Options) -> Result<()> {
    let begun = Instant::now();
    let time = Duration::from_secs(options.minutes * 60);
    let only = options.only.as_deref().unwrap_or(TESTS);
    let mut seed = options.seed.unwrap_or_else(any_seed);
    let mut rounds = 0_u64;
    loop {
        println!("=== round {}, seed {seed}, {CASES} cases of each property", rounds + 1);
        if !tests(only, seed).status().context("run cargo")?.success() {
            bail!(
                "a property does not hold: the smallest case that shows it is above, after `minimal failing input`.\n\
                 Once more: PROPTEST_RNG_SEED={seed} PROPTEST_CASES={CASES} cargo test --package harbor-robot-operator --lib \
                 --test harbor_client {only}\nThen add that case to the tests of what it broke."
            );
        }
        rounds += 1;
        if begun.elapsed() >= time {
            break;
        }
        println!("=== {} of {} minutes", begun.elapsed().as_secs() / 60, options.minutes);
        seed = seed.wrapping_add(1);
    }
    println!("=== {rounds} rounds: every property holds");
    Ok(())
}

fn tests(only: &str, seed: u64) -> Command {
    let mut cargo = harbor_robot_world::cargo();
    cargo.args(["test", "--package", "harbor-robot-operator", "--lib", "--test", "harbor_client", "--quiet", only]);
    cargo.env("PROPTEST_RNG_SEED", seed.to_string()).env("PROPTEST_CASES", CASES.to_string());
    cargo
}

/// Another one for each run.
fn any_seed() -> u64 {
    RandomState::new().build_hasher().finish()
}
