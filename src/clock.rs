//! The one place that reads the wall clock.

use std::time::Instant;

use jiff::{SignedDuration, Timestamp};

use crate::api::RegistryTime;

/// The time now, as the machine's clock has it: for what people and Kubernetes read.
#[expect(clippy::disallowed_methods, reason = "this is the clock that everything else is told to use")]
pub fn now() -> Timestamp {
    Timestamp::now()
}

/// A clock that nobody sets: what the machine's clock said at the start, and what has passed since. Harbor's clock is
/// compared with this one, and all deadlines of robots are judged by the two. So when the machine's clock is set (NTP that
/// comes late), no robot becomes a day older.
#[derive(Clone, Copy, Debug)]
pub struct Steady {
    wall: RegistryTime,
    started: Instant,
}

impl Steady {
    /// A clock that starts now.
    pub fn start() -> Self {
        Self { wall: now().into(), started: Instant::now() }
    }

    /// The time now.
    pub fn now(&self) -> RegistryTime {
        self.at(Instant::now())
    }

    fn at(&self, now: Instant) -> RegistryTime {
        let passed = now.saturating_duration_since(self.started);
        self.wall + SignedDuration::try_from(passed).unwrap_or(SignedDuration::MAX)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn only_what_has_passed_counts() {
        let (wall, started) = (RegistryTime::from_second(1_800_000_000), Instant::now());
        let clock = Steady { wall, started };
        assert_eq!(clock.at(started), wall);
        assert_eq!(clock.at(started + Duration::from_millis(90_250)), wall + SignedDuration::from_millis(90_250));
        let clock = Steady::start();
        let before = clock.now();
        assert!(clock.now() >= before);
    }
}
