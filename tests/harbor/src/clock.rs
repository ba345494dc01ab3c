//! The stand-in's clock: real time plus what the tests moved it by.

use jiff::Timestamp;

/// A clock that runs with the machine's and can be set.
#[derive(Debug, Default)]
pub struct Clock {
    ahead_ms: i64,
}

impl Clock {
    /// Now, in milliseconds since 1970.
    #[expect(clippy::disallowed_methods, reason = "this is the clock that everything else in the stand-in is handed")]
    pub fn now_ms(&self) -> i64 {
        Timestamp::now().as_millisecond() + self.ahead_ms
    }

    /// How far it is ahead of the machine's clock, in milliseconds.
    pub fn ahead_ms(&self) -> i64 {
        self.ahead_ms
    }

    /// Moves the clock forward, or back.
    pub fn advance(&mut self, seconds: i64) {
        self.ahead_ms += seconds.saturating_mul(1000);
    }
}

fn utc(ms: i64) -> jiff::Zoned {
    Timestamp::from_millisecond(ms).unwrap_or_default().to_zoned(jiff::tz::TimeZone::UTC)
}

/// RFC 3339 with milliseconds, the form of every time in Harbor's JSON.
pub fn rfc3339_ms(ms: i64) -> String {
    utc(ms).strftime("%Y-%m-%dT%H:%M:%S%.3fZ").to_string()
}

/// RFC 3339 with whole seconds, the form of the token service.
pub fn rfc3339_s(ms: i64) -> String {
    utc(ms).strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

/// The form of an HTTP `Date` header.
pub fn http_date(ms: i64) -> String {
    utc(ms).strftime("%a, %d %b %Y %H:%M:%S GMT").to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_have_the_forms_that_harbor_sends() {
        let ms = 1_720_705_664_261;
        assert_eq!(rfc3339_ms(ms), "2024-07-11T13:47:44.261Z");
        assert_eq!(rfc3339_ms(1_720_705_664_000), "2024-07-11T13:47:44.000Z");
        assert_eq!(rfc3339_s(ms), "2024-07-11T13:47:44Z");
        assert_eq!(http_date(ms), "Thu, 11 Jul 2024 13:47:44 GMT");
    }

    #[test]
    fn a_clock_that_was_moved_runs_ahead() {
        let mut moved = Clock::default();
        moved.advance(86_400);
        let ahead = moved.now_ms() - Clock::default().now_ms();
        assert!((86_399_000..=86_401_000).contains(&ahead), "{ahead}");
    }
}
