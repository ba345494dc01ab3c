//! What is learned of a registry by trying, kept as long as the login is the same.

use std::collections::BTreeSet;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};

use crate::domain::robot::Home;

/// What was learned by trying, kept as long as the login is the same.
#[derive(Debug, Default)]
pub struct Learned {
    project_updates: AtomicU8,
    system_updates: AtomicU8,
    /// Pairs that Harbor refused as unknown, `resource:action`, and its version then.
    unknown_pairs: Mutex<(Option<String>, BTreeSet<String>)>,
    /// Projects that system accounts name and that are not there.
    missing_projects: Mutex<BTreeSet<String>>,
    /// Projects are listed by one at a time.
    pub(super) listing: tokio::sync::Mutex<()>,
    sweeping: AtomicBool,
}

/// A sweep is under way as long as this lives.
pub struct Sweeping<'a>(&'a AtomicBool);

impl Drop for Sweeping<'_> {
    fn drop(&mut self) {
        self.0.store(false, Ordering::Relaxed);
    }
}

const UNKNOWN: u8 = 0;
const MAY: u8 = 1;
const MAY_NOT: u8 = 2;

impl Learned {
    fn cell(&self, home: &Home) -> &AtomicU8 {
        match home {
            Home::System => &self.system_updates,
            Home::Project(_) => &self.project_updates,
        }
    }

    /// Whether Harbor accepts PUT and PATCH from the login; `None` if not tried yet.
    pub fn may_update(&self, home: &Home) -> Option<bool> {
        match self.cell(home).load(Ordering::Relaxed) {
            MAY => Some(true),
            MAY_NOT => Some(false),
            _ => None,
        }
    }

    /// Notes the answer of a try.
    pub fn set_may_update(&self, home: &Home, may: bool) {
        self.cell(home).store(if may { MAY } else { MAY_NOT }, Ordering::Relaxed);
    }

    /// Notes a pair that a Harbor of this version refused as unknown; true if that is news.
    pub fn set_unknown(&self, version: Option<&str>, pair: &str) -> bool {
        let mut told = self.unknown_pairs.lock().expect("nothing panics while it holds the set");
        if told.0.as_deref() != version {
            *told = (version.map(ToOwned::to_owned), BTreeSet::new());
        }
        told.1.insert(pair.to_owned())
    }

    /// The pairs that a Harbor of this version refused as unknown.
    pub fn unknown_pairs(&self, version: Option<&str>) -> BTreeSet<String> {
        let told = self.unknown_pairs.lock().expect("nothing panics while it holds the set");
        if told.0.as_deref() == version { told.1.clone() } else { BTreeSet::new() }
    }

    /// Notes that a project does not exist; true if that is news.
    pub fn set_project_missing(&self, project: &str) -> bool {
        self.missing_projects.lock().expect("nothing panics while it holds the set").insert(project.to_owned())
    }

    /// Notes that a project exists again.
    pub fn set_project_found(&self, project: &str) {
        self.missing_projects.lock().expect("nothing panics while it holds the set").remove(project);
    }

    /// The projects that do not exist.
    pub fn missing_projects(&self) -> BTreeSet<String> {
        self.missing_projects.lock().expect("nothing panics while it holds the set").clone()
    }

    /// Notes that a sweep begins.
    pub fn begin_sweep(&self) -> Sweeping<'_> {
        self.sweeping.store(true, Ordering::Relaxed);
        Sweeping(&self.sweeping)
    }

    /// True while a sweep is under way: one that is asked for now would only do the same again.
    pub fn is_swept_now(&self) -> bool {
        self.sweeping.load(Ordering::Relaxed)
    }

    /// PUT and PATCH are worth another try.
    pub(super) fn forget_updates(&self) {
        self.project_updates.store(UNKNOWN, Ordering::Relaxed);
        self.system_updates.store(UNKNOWN, Ordering::Relaxed);
    }
}
