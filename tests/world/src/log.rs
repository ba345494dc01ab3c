//! What a child says, line by line.

use std::fs::File;
use std::io::{BufRead, BufReader, Read, Write};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

#[derive(Default)]
struct Lines {
    lines: Vec<String>,
    writers: usize,
}

/// The lines a child wrote so far; clones see the same.
#[derive(Clone, Default)]
pub struct Log {
    shared: Arc<(Mutex<Lines>, Condvar)>,
}

impl Log {
    /// Reads `source` to its end in a thread, keeps the lines and copies them to `file`.
    pub(crate) fn follow(&self, source: impl Read + Send + 'static, mut file: Option<File>) {
        self.lock().writers += 1;
        let log = self.clone();
        std::thread::spawn(move || {
            for line in BufReader::new(source).split(b'\n').map_while(std::result::Result::ok) {
                let line = String::from_utf8_lossy(&line).into_owned();
                if let Some(file) = &mut file {
                    let _ = writeln!(file, "{line}");
                }
                log.lock().lines.push(line);
                log.shared.1.notify_all();
            }
            log.lock().writers -= 1;
            log.shared.1.notify_all();
        });
    }

    /// The first line for which `wanted` gives something, waiting for it until `timeout` or the end of the output.
    pub fn wait_for<T>(&self, timeout: Duration, mut wanted: impl FnMut(&str) -> Option<T>) -> Option<T> {
        let deadline = Instant::now() + timeout;
        let mut seen = 0;
        let mut state = self.lock();
        loop {
            for line in &state.lines[seen..] {
                if let Some(found) = wanted(line) {
                    return Some(found);
                }
            }
            seen = state.lines.len();
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() || state.writers == 0 {
                return None;
            }
            state = self.shared.1.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// Waits for the end of the output; false when it has not come after `timeout`.
    pub fn wait_for_end(&self, timeout: Duration) -> bool {
        self.wait_for(timeout, |_| None::<()>);
        self.lock().writers == 0
    }

    /// All lines so far.
    pub fn text(&self) -> String {
        self.lock().lines.join("\n")
    }

    /// The last lines.
    pub fn tail(&self, count: usize) -> String {
        let state = self.lock();
        state.lines[state.lines.len().saturating_sub(count)..].join("\n")
    }

    fn lock(&self) -> MutexGuard<'_, Lines> {
        self.shared.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
