//! Between the operator and the two servers: how long a call takes, whether it arrives, and whether its answer does.

mod kept;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rand::RngExt as _;
use tokio::time::Instant;

use crate::chance::Chance;
use kept::Kept;
pub use kept::Reached;

/// What becomes of one call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fate {
    /// So long it is under way.
    pub wait: Duration,
    /// The server gets it, and does it.
    pub arrives: bool,
    /// What its caller hears.
    pub answer: Answer,
}

/// What the caller of a call hears.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// What the server says.
    Own,
    /// That the connection is lost.
    Lost,
    /// This status, from something on the way or from the server in its distress.
    Status(u16),
    /// What the server says, but for the second half of its body.
    Half,
    /// Nothing, ever.
    Silence,
    /// Nothing, since its process dies.
    Death,
}

impl fmt::Display for Fate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let arrives = if self.arrives { "arrives" } else { "never arrives" };
        match self.answer {
            Answer::Own => write!(f, "{arrives} {} s late", self.wait.as_secs()),
            Answer::Lost => write!(f, "{arrives}, and its connection is lost"),
            Answer::Status(status) => write!(f, "{arrives}, and is answered {status}"),
            Answer::Half => write!(f, "{arrives}, and half of its answer comes"),
            Answer::Silence => write!(f, "{arrives}, and is never answered"),
            Answer::Death => write!(f, "{arrives}, and its process dies"),
        }
    }
}

/// How a watch ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cut {
    /// In peace.
    End,
    /// The connection is reset.
    Reset,
    /// Nothing is ever heard of it.
    Silence,
}

/// In so long the operator gives up a watch of which nothing is heard.
const DEAD_WATCH: Duration = Duration::from_secs(150);

/// The API server's name.
pub const KUBERNETES: &str = "kubernetes";

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
    kept: Kept,
    /// Until when nothing gets to a server: `KUBERNETES`, or a Harbor's host.
    away: BTreeMap<String, Instant>,
    /// Until when no watch tells anything.
    held: Option<Instant>,
    /// When what was held back was lost.
    lost: Option<Instant>,
    /// Until when every call takes its time.
    slow: Option<Instant>,
    /// Objects of this kind the operator may neither list nor watch.
    forbidden: Option<&'static str>,
    /// Until when a watch may be dead without that anybody knows, or an event under way.
    deaf_until: Instant,
}

impl Inner {
    /// Some watch may not tell of what happens within that time before it has passed.
    fn is_deaf_for(&mut self, time: Duration) {
        self.deaf_until = self.deaf_until.max(Instant::now() + time);
    }
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
            kept: Kept::default(),
            away: BTreeMap::new(),
            held: None,
            lost: None,
            slow: None,
            forbidden: None,
            deaf_until: Instant::now(),
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

    /// For so long nothing gets to a server.
    pub fn take_away(&self, server: &str, time: Duration) {
        self.lock().away.insert(server.to_owned(), Instant::now() + time);
    }

    /// For so long what watches have to tell is held back.
    pub fn hold_events(&self, time: Duration) {
        let mut inner = self.lock();
        inner.held = Some(Instant::now() + time);
        inner.is_deaf_for(time);
    }

    /// What is held back never comes, and the watches end instead.
    pub fn lose_held(&self) {
        self.lock().lost = Some(Instant::now());
    }

    /// True if what was to come at this moment was lost since.
    pub fn is_lost(&self, since: Instant) -> bool {
        self.lock().lost.is_some_and(|lost| lost >= since)
    }

    /// Everything gets to every server again, and watches tell at once.
    pub fn bring_back(&self) {
        let mut inner = self.lock();
        inner.away.clear();
        inner.held = None;
        inner.slow = None;
    }

    /// For so long every call takes up to two seconds.
    pub fn slow_down(&self, time: Duration) {
        self.lock().slow = Some(Instant::now() + time);
    }

    /// From now on the operator may neither list nor watch objects of this kind.
    pub fn forbid(&self, kind: Option<&'static str>) {
        self.lock().forbidden = kind;
    }

    /// True if the operator may neither list nor watch objects of this kind.
    pub fn is_forbidden(&self, kind: &str) -> bool {
        self.lock().forbidden == Some(kind)
    }

    /// Until when a watch that fell silent may not have been given up.
    pub fn deaf_until(&self) -> Instant {
        self.lock().deaf_until
    }

    /// True if nothing gets to a server now.
    pub fn is_away(&self, server: &str) -> bool {
        self.lock().away.get(server).is_some_and(|until| *until > Instant::now())
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
    pub fn fate(&self, server: Server, line: &str, is_write: bool) -> Fate {
        let mut inner = self.lock();
        inner.kept.call(line);
        let (mut random, number) = inner.chance.next(line);
        let mut usual = Duration::from_micros(random.random_range(500..30_000));
        if inner.slow.is_some_and(|until| until > Instant::now()) {
            usual *= 66;
        }
        let goes_wrong = random.random_range(0..1_000) < inner.weather.calls;
        drop(inner);
        let well = Fate { wait: usual, arrives: true, answer: Answer::Own };
        if !goes_wrong {
            return well;
        }
        let late = Duration::from_millis(match random.random_range(0..10) {
            0..6 => random.random_range(100..9_000),
            6..9 => random.random_range(9_000..30_000),
            _ => random.random_range(30_000..45_000),
        });
        let statuses: &[u16] = match server {
            Server::Kubernetes if is_write => &[409, 429, 500, 503, 504],
            Server::Kubernetes => &[429, 500, 503, 504],
            Server::Harbor if is_write => &[400, 401, 403, 409, 422, 429, 500, 502, 503],
            Server::Harbor => &[401, 429, 500, 502, 503],
        };
        let status = statuses[random.random_range(0..statuses.len())];
        // One in three, where it is up to chance. What is refused for its own sake is not done.
        let (coin, rarely) = (random.random_range(0..2) == 0, random.random_range(0..3) == 0);
        let fate = match random.random_range(0..20) {
            0..5 => Fate { wait: late, ..well },
            5..8 => Fate { arrives: false, answer: Answer::Lost, ..well },
            8..12 => Fate { answer: Answer::Lost, ..well },
            12 => Fate { answer: if server == Server::Harbor { Answer::Half } else { Answer::Lost }, ..well },
            13..18 => Fate { arrives: status >= 500 && rarely, answer: Answer::Status(status), ..well },
            18 => Fate { arrives: coin, answer: Answer::Silence, ..well },
            _ => Fate { arrives: coin, answer: Answer::Death, ..well },
        };
        let name = format!("{line} #{number}");
        if self.happens(&name, format_args!("{line} (number {number}) {fate}")) { fate } else { well }
    }

    /// When an event of a watch comes, unless the watch is over.
    pub fn event(&self, line: &str) -> Result<Duration, Cut> {
        let mut inner = self.lock();
        let (mut random, number) = inner.chance.next(line);
        let usual = Duration::from_micros(random.random_range(200..5_000));
        let (late, cut) =
            (random.random_range(0..1_000) < inner.weather.events, random.random_range(0..1_000) < inner.weather.cuts);
        let held = inner.held.map(|until| until.saturating_duration_since(Instant::now())).unwrap_or_default();
        drop(inner);
        let name = format!("{line} #{number}");
        if cut {
            let cut = [Cut::End, Cut::Reset, Cut::Silence][random.random_range(0..3)];
            if self.happens(&name, format_args!("{line} (number {number}) is cut off: {cut:?}")) {
                if matches!(cut, Cut::Silence) {
                    self.lock().is_deaf_for(DEAD_WATCH);
                }
                return Err(cut);
            }
        }
        if late {
            let seconds = random.random_range(1..90);
            if self.happens(&name, format_args!("{line} (number {number}) comes {seconds} s late")) {
                let late = Duration::from_secs(seconds);
                self.lock().is_deaf_for(late);
                return Ok(late);
            }
        }
        Ok(usual.max(held))
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
