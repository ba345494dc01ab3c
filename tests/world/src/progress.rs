//! Says what takes long.

use std::io::Write;
use std::sync::mpsc;
use std::time::{Duration, Instant};

const TICK: Duration = Duration::from_secs(5);

/// Writes one line for a person to stderr, also where a test runner captures what `eprintln!` says.
pub fn note(line: &str) {
    let _ = writeln!(std::io::stderr(), "{line}");
}

/// Runs `work` and, while it takes longer than a few seconds, says `doing` with the seconds so far.
pub fn with_progress<T>(doing: &str, work: impl FnOnce() -> T) -> T {
    let started = Instant::now();
    let (finished, ended) = mpsc::channel::<()>();
    std::thread::scope(|scope| {
        scope.spawn(move || {
            while ended.recv_timeout(TICK) == Err(mpsc::RecvTimeoutError::Timeout) {
                note(&format!("  {doing} ({} s)", started.elapsed().as_secs()));
            }
        });
        let result = work();
        drop(finished);
        result
    })
}
