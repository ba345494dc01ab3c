//! Runs simulations and tells of those that fail.

use std::collections::BTreeSet;
use std::process::ExitCode;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use clap::Parser;
use harbor_robot_operator::domain::reasons::OF_ACCOUNTS;
use harbor_robot_simulation::apart::{CHILD, answer, run_apart};
use harbor_robot_simulation::network::Reached;
use harbor_robot_simulation::run::{Outcome, Settings};
use harbor_robot_simulation::shrink::shrink;

/// Simulate the operator, Kubernetes and Harbor, with everything that can go wrong.
#[derive(Parser)]
#[command(name = "cargo xtask simulate")]
struct Options {
    /// How many runs.
    #[arg(long, default_value_t = 500)]
    seeds: u64,
    /// Run for so long instead.
    #[arg(long, conflicts_with = "seeds")]
    minutes: Option<u64>,
    /// The first seed.
    #[arg(long, default_value_t = 1)]
    first: u64,
    /// One run only.
    #[arg(long)]
    seed: Option<u64>,
    /// Of that run, only these misfortunes, separated by ';'.
    #[arg(long, requires = "seed", value_delimiter = ';')]
    only: Vec<String>,
    /// Show everything that happens in it.
    #[arg(long, requires = "seed")]
    trace: bool,
    /// Show what was reached, and which reasons no account came to.
    #[arg(long)]
    coverage: bool,
    /// Do not make the stories of failures short.
    #[arg(long)]
    no_shrink: bool,
    /// Runs at the same time.
    #[arg(long, default_value_t = std::thread::available_parallelism().map_or(1, usize::from))]
    threads: usize,
    /// Stop after so many failures.
    #[arg(long, default_value_t = 1)]
    failures: usize,
}

fn main() -> ExitCode {
    if std::env::args().nth(1).as_deref() == Some(CHILD) {
        return match answer() {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => {
                eprintln!("error: {error:#}");
                ExitCode::FAILURE
            }
        };
    }
    let options = Options::parse();
    if cfg!(not(target_os = "linux")) {
        eprintln!("error: the simulation needs Linux, whose C library it stands in for");
        return ExitCode::FAILURE;
    }
    let program = std::env::current_exe().expect("a program knows where it is");
    let run = |settings: &Settings| run_apart(&program, settings);
    if let Some(seed) = options.seed {
        return single(&options, seed, run);
    }
    let begun = Instant::now();
    let (next, calls, events) = (AtomicU64::new(options.first), AtomicU64::new(0), AtomicU64::new(0));
    let (done, simulated) = (AtomicU64::new(0), AtomicU64::new(0));
    let failed = Mutex::new(Vec::new());
    let reached = Mutex::new(Reached::default());
    let last = options.minutes.is_none().then(|| options.first + options.seeds);
    let shown = Mutex::new(Instant::now());
    std::thread::scope(|scope| {
        for _ in 0..options.threads {
            scope.spawn(|| {
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    let over = match (options.minutes, last) {
                        (Some(minutes), _) => begun.elapsed() > Duration::from_secs(60 * minutes),
                        (None, last) => last.is_some_and(|last| seed >= last),
                    };
                    if over || failed.lock().unwrap_or_else(PoisonError::into_inner).len() >= options.failures {
                        break;
                    }
                    let mut outcome = run(&Settings { seed, ..Settings::default() });
                    let news = std::mem::take(&mut outcome.reached);
                    reached.lock().unwrap_or_else(PoisonError::into_inner).extend(news);
                    calls.fetch_add(outcome.calls, Ordering::Relaxed);
                    events.fetch_add(outcome.happened.len() as u64, Ordering::Relaxed);
                    simulated.fetch_add(outcome.time.as_secs(), Ordering::Relaxed);
                    let done = done.fetch_add(1, Ordering::Relaxed) + 1;
                    if !outcome.violations.is_empty() {
                        println!("seed {seed}: {}", outcome.violations.join("\n  "));
                        failed.lock().unwrap_or_else(PoisonError::into_inner).push((seed, outcome));
                    }
                    let mut shown = shown.lock().unwrap_or_else(PoisonError::into_inner);
                    if shown.elapsed() > Duration::from_secs(5) {
                        *shown = Instant::now();
                        eprintln!("  {done} runs, {} s", begun.elapsed().as_secs());
                    }
                }
            });
        }
    });
    let seconds = begun.elapsed().as_secs();
    let [done, calls, events, simulated] = [done, calls, events, simulated].map(AtomicU64::into_inner);
    println!(
        "{done} runs, {calls} calls, {events} misfortunes, {} simulated hours in {seconds} s ({} times as fast as life)",
        simulated / 3_600,
        simulated / seconds.max(1)
    );
    let reached = reached.into_inner().unwrap_or_else(PoisonError::into_inner);
    let missing: Vec<&str> = OF_ACCOUNTS.into_iter().filter(|reason| !reached.reasons.contains(*reason)).collect();
    println!(
        "reached: {} of {} reasons of accounts, {} of registries, {} kinds of events, {} kinds of calls",
        OF_ACCOUNTS.len() - missing.len(),
        OF_ACCOUNTS.len(),
        reached.registries.len(),
        reached.events.len(),
        reached.calls.len()
    );
    if options.coverage {
        println!("no account came to {}", missing.join(", "));
        println!("registries: {}", reached.registries.iter().map(String::as_str).collect::<Vec<_>>().join(", "));
        println!("calls: {}", reached.calls.iter().map(String::as_str).collect::<Vec<_>>().join("\n  "));
        println!("events: {}", reached.events.iter().map(String::as_str).collect::<Vec<_>>().join(", "));
    }
    let failed = failed.into_inner().unwrap_or_else(PoisonError::into_inner);
    for (seed, outcome) in &failed {
        if options.no_shrink {
            continue;
        }
        let settings = Settings { seed: *seed, ..Settings::default() };
        let (only, outcome) = shrink(&settings, outcome, run, |left| eprintln!("  {left} left"));
        println!("\nseed {seed}:");
        for (at, _, what) in &outcome.happened {
            println!("  {:>8.1} s  {what}", at.as_secs_f64());
        }
        for violation in &outcome.violations {
            println!("  => {violation}");
        }
        let only: Vec<String> = only.into_iter().collect();
        println!("  --seed {seed} --trace --only '{}'", only.join(";"));
    }
    if failed.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn single(options: &Options, seed: u64, run: impl Fn(&Settings) -> Outcome) -> ExitCode {
    let only = (!options.only.is_empty()).then(|| options.only.iter().cloned().collect::<BTreeSet<String>>());
    let outcome = run(&Settings { seed, only, trace: options.trace, story: None });
    for line in &outcome.log {
        println!("{line}");
    }
    println!("{} calls, {} misfortunes, digest {:016x}", outcome.calls, outcome.happened.len(), outcome.digest);
    for violation in &outcome.violations {
        println!("=> {violation}");
    }
    if outcome.violations.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
