//! Folders for data that nobody needs after the run.

use std::fs;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};

use anyhow::{Context, Result};

use crate::target::target_dir;

/// A new folder under `target/world`, named after this process. Folders of processes that are gone are removed first, so
/// that the logs of the last run can be read until the next.
pub fn scratch() -> Result<PathBuf> {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let base = target_dir().join("world");
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    if number == 0 {
        remove_stale(&base);
    }
    let folder = base.join(format!("{}-{number}", std::process::id()));
    fs::create_dir_all(&folder).with_context(|| format!("make {}", folder.display()))?;
    Ok(folder)
}

fn remove_stale(base: &std::path::Path) {
    let Ok(folders) = fs::read_dir(base) else { return };
    for folder in folders.flatten() {
        let name = folder.file_name();
        let pid = name.to_str().and_then(|name| name.split_once('-')).and_then(|(pid, _)| pid.parse::<i32>().ok());
        let Some(pid) = pid.and_then(rustix::process::Pid::from_raw) else { continue };
        if rustix::process::test_kill_process(pid) == Err(rustix::io::Errno::SRCH) {
            // Another test process may remove it at the same time.
            let _ = fs::remove_dir_all(folder.path());
        }
    }
}
