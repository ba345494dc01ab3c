//! Between the operator and the two servers: how long a call takes, whether it arrives, and whether its answer does.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rand::RngExt as _;
use tokio::time::Instant;

use crate::chance::Chance;

/// What becomes of one call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// It arrives after a while, and so does its answer.
    Through(Duration),
    /// It arrives so late that the caller may have given up.
    Late(Duration),
    /// It never arrives.
    LostBefore(Duration),
    /// It arrives, and its answer does not.
    LostAfter(Duration),
    /// Something on the way, or the server in its distress, answers this status instead.
    Refused(Duration, u16),
}

impl fmt::Display for Fate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Through(_) => f.write_str("arrives"),
            Self::Late(after) => write!(f, "arrives {} s late", after.as_secs()),
            Self::LostBefore(_) => f.write_str("is lost on the way"),
            Self::LostAfter(_) => f.write_str("is done, and its answer is lost"),
            Self::Refused(_, status) => write!(f, "is answered {status}"),
        }
    }
}

/// Which server a call goes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Server {
    /// The API server.
    Kubernetes,
    /// A Harbor.
    Harbor,
}

/// What may go wrong, in thousandths.
#[derive(Clone, Copy, Debug)]
pub struct Weather {
    /// A call goes wrong.
    pub calls: u32,
    /// An event of a watch comes late.
    pub events: u32,
    /// A watch is cut off at an event.
    pub cuts: u32,
}

impl Weather {
    /// Nothing goes wrong.
    pub const CALM: Self = Self { calls: 0, events: 0, cuts: 0 };
}

/// One misfortune, by the name that a story keeps it under.
pub type Name = String;

struct Inner {
    chance: Chance,
    weather: Weather,
    /// Only these misfortunes happen.
    only: Option<BTreeSet<Name>>,
    happened: Vec<(Duration, Name, String)>,
    log: Option<Vec<String>>,
    digest: u64,
    calls: u64,
    writes: u64,
    broken: Vec<String>,
}

/// The network of one run.
#[derive(Clone)]
pub struct Network {
    inner: Arc<Mutex<Inner>>,
    began: Instant,
}

impl Network {
    /// A network in which everything goes through at first.
    pub fn new(seed: u64, only: Option<BTreeSet<Name>>, keep_log: bool) -> Self {
        let inner = Inner {
            chance: Chance::new(seed),
            weather: Weather::CALM,
            only,
            happened: Vec::new(),
            log: keep_log.then(Vec::new),
            digest: 0,
            calls: 0,
            writes: 0,
            broken: Vec::new(),
        };
        Self { inner: Arc::new(Mutex::new(inner)), began: Instant::now() }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// From now on so much goes wrong.
    pub fn set_weather(&self, weather: Weather) {
        self.lock().weather = weather;
    }

    /// The time since the start.
    pub fn time(&self) -> Duration {
        self.began.elapsed()
    }

    /// True if a misfortune of this name may happen; it is told then.
    pub fn happens(&self, name: &str, what: impl fmt::Display) -> bool {
        let mut inner = self.lock();
        if inner.only.as_ref().is_some_and(|only| !only.contains(name)) {
            return false;
        }
        let time = self.began.elapsed();
        inner.happened.push((time, name.to_owned(), what.to_string()));
        drop(inner);
        self.note(format_args!("!! {what}"));
        true
    }

    /// What becomes of a call; `line` says which.
    pub fn fate(&self, server: Server, line: &str) -> Fate {
        let mut inner = self.lock();
        inner.calls += 1;
        let (mut random, number) = inner.chance.next(line);
        let usual = Duration::from_micros(random.random_range(500..30_000));
        let goes_wrong = random.random_range(0..1_000) < inner.weather.calls;
        drop(inner);
        if !goes_wrong {
            return Fate::Through(usual);
        }
        let late = Duration::from_millis(match random.random_range(0..10) {
            0..6 => random.random_range(100..9_000),
            6..9 => random.random_range(9_000..30_000),
            _ => random.random_range(30_000..45_000),
        });
        let refusals: &[u16] = match server {
            Server::Kubernetes => &[429, 500, 503, 504],
            Server::Harbor => &[429, 500, 502, 503],
        };
        let fate = match random.random_range(0..10) {
            0..3 => Fate::Late(late),
            3..5 => Fate::LostBefore(usual),
            5..8 => Fate::LostAfter(usual),
            _ => Fate::Refused(usual, refusals[random.random_range(0..refusals.len())]),
        };
        let name = format!("{line} #{number}");
        if self.happens(&name, format_args!("{line} (number {number}) {fate}")) { fate } else { Fate::Through(usual) }
    }

    /// When an event of a watch comes; else the watch is cut off, and whether that looks like a peaceful end.
    pub fn event(&self, line: &str) -> Result<Duration, bool> {
        let mut inner = self.lock();
        let (mut random, number) = inner.chance.next(line);
        let usual = Duration::from_micros(random.random_range(200..5_000));
        let (late, cut) =
            (random.random_range(0..1_000) < inner.weather.events, random.random_range(0..1_000) < inner.weather.cuts);
        drop(inner);
        let name = format!("{line} #{number}");
        if cut && self.happens(&name, format_args!("{line} (number {number}) is cut off")) {
            return Err(random.random_range(0..2) == 0);
        }
        if late {
            let seconds = random.random_range(1..90);
            if self.happens(&name, format_args!("{line} (number {number}) comes {seconds} s late")) {
                return Ok(Duration::from_secs(seconds));
            }
        }
        Ok(usual)
    }

    /// Something happened that never may.
    pub fn broke(&self, what: impl fmt::Display) {
        self.note(format_args!("## {what}"));
        self.lock().broken.push(what.to_string());
    }

    /// What happened that never may.
    pub fn broken(&self) -> Vec<String> {
        self.lock().broken.clone()
    }

    /// Counts a change at a server.
    pub fn wrote(&self) {
        self.lock().writes += 1;
    }

    /// How many calls were made.
    pub fn calls(&self) -> u64 {
        self.lock().calls
    }

    /// How many changes were made by the operator, but for its Lease.
    pub fn writes(&self) -> u64 {
        self.lock().writes
    }

    /// One line of the log.
    pub fn note(&self, line: impl fmt::Display) {
        use std::hash::{DefaultHasher, Hash as _, Hasher as _};
        let line = format!("{:>11.3} {line}", self.time().as_secs_f64());
        let mut inner = self.lock();
        let mut hasher = DefaultHasher::new();
        (inner.digest, &line).hash(&mut hasher);
        inner.digest = hasher.finish();
        if let Some(log) = &mut inner.log {
            log.push(line);
        }
    }

    /// The log, if it was to be kept.
    pub fn log(&self) -> Vec<String> {
        self.lock().log.clone().unwrap_or_default()
    }

    /// A digest of the whole log, kept or not.
    pub fn digest(&self) -> u64 {
        self.lock().digest
    }

    /// The misfortunes that happened: when, by what name, in words.
    pub fn happened(&self) -> Vec<(Duration, Name, String)> {
        self.lock().happened.clone()
    }
}
