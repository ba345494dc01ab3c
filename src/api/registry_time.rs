//! A moment by Harbor's clock, or one that is compared with such.

use std::fmt;
use std::ops::{Add, Sub};
use std::str::FromStr;

use jiff::{SignedDuration, Timestamp};
use schemars::json_schema;
use serde::{Deserialize, Deserializer, Serialize};

use super::schema::inline_schema;

/// A moment in registry time, from 1970 to 8999.
///
/// Such moments come from outside: Harbor's answers and its `Date` header, statuses and annotations that others may have
/// written. So every way in clamps, and all arithmetic saturates: no value can stop the operator, and each one can be
/// written with four digits for the year, as Kubernetes wants it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub struct RegistryTime(Timestamp);

impl RegistryTime {
    /// Long ago: earlier moments are this one.
    pub const MIN: Self = Self(Timestamp::UNIX_EPOCH);
    /// Nobody lives to see it: 9000-01-01, a thousand years before the last moment that can be written.
    pub const MAX: Self = Self(Timestamp::constant(221_845_392_000, 0));

    /// So many seconds after 1970 began.
    pub fn from_second(second: i64) -> Self {
        Timestamp::from_second(second).map_or_else(|_| Self::edge(second < 0), Self::from)
    }

    /// So many milliseconds after 1970 began.
    pub fn from_millisecond(millisecond: i64) -> Self {
        Timestamp::from_millisecond(millisecond).map_or_else(|_| Self::edge(millisecond < 0), Self::from)
    }

    /// Seconds since 1970 began.
    pub fn as_second(self) -> i64 {
        self.0.as_second()
    }

    /// Milliseconds since 1970 began.
    pub fn as_millisecond(self) -> i64 {
        self.0.as_millisecond()
    }

    /// Without the fraction of a second: people read it.
    pub fn whole_second(self) -> Self {
        Self::from_second(self.as_second())
    }

    /// For Kubernetes' own types.
    pub fn timestamp(self) -> Timestamp {
        self.0
    }

    /// How long this is after `earlier`; negative if it is before.
    pub fn duration_since(self, earlier: Self) -> SignedDuration {
        self.0.duration_since(earlier.0)
    }

    fn edge(early: bool) -> Self {
        if early { Self::MIN } else { Self::MAX }
    }
}

/// That part of a span, the whole of it for 1: the operators of spans panic where a product does not fit.
pub fn share(span: SignedDuration, part: f64) -> SignedDuration {
    SignedDuration::try_from_secs_f64(span.as_secs_f64() * part).unwrap_or_default()
}

impl From<Timestamp> for RegistryTime {
    fn from(moment: Timestamp) -> Self {
        Self(moment.clamp(Self::MIN.0, Self::MAX.0))
    }
}

impl Add<SignedDuration> for RegistryTime {
    type Output = Self;

    fn add(self, by: SignedDuration) -> Self {
        self.0.checked_add(by).map_or_else(|_| Self::edge(by.is_negative()), Self::from)
    }
}

impl Sub<SignedDuration> for RegistryTime {
    type Output = Self;

    fn sub(self, by: SignedDuration) -> Self {
        self.0.checked_sub(by).map_or_else(|_| Self::edge(by.is_positive()), Self::from)
    }
}

impl fmt::Display for RegistryTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Debug for RegistryTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for RegistryTime {
    type Err = jiff::Error;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        text.parse::<Timestamp>().map(Self::from)
    }
}

// Harbor counts milliseconds and the text keeps them; Kubernetes' own `Time` cuts them off.
inline_schema!(RegistryTime, json_schema!({"type": "string", "format": "date-time"}));

/// As RFC 3339 has it. Kubernetes also stores texts of that format that name no moment (`…T00:00:00+99:99`); whoever may
/// write a status must not make an object unreadable with one, so such a text is [`RegistryTime::MIN`].
impl<'de> Deserialize<'de> for RegistryTime {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Ok(text.parse().unwrap_or(Self::MIN))
    }
}

#[cfg(test)]
mod tests {
    use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
    use proptest::prelude::*;

    use super::*;

    fn moments() -> impl Strategy<Value = RegistryTime> {
        let edges =
            vec![i64::MIN, -1, 0, 1, 1_800_000_000, 221_845_391_999, 221_845_392_000, 253_402_207_200, i64::MAX];
        prop_oneof![prop::sample::select(edges), any::<i64>(), 0..4_000_000_000_i64].prop_map(RegistryTime::from_second)
    }

    fn spans() -> impl Strategy<Value = SignedDuration> {
        let edges = vec![SignedDuration::MIN, SignedDuration::ZERO, SignedDuration::MAX];
        prop_oneof![
            prop::sample::select(edges),
            (any::<i64>(), -999_999_999..999_999_999_i32).prop_map(|(seconds, nanos)| {
                SignedDuration::from_secs(seconds).saturating_add(SignedDuration::from_nanos(nanos.into()))
            }),
            (-10_000_000_000..10_000_000_000_i64).prop_map(SignedDuration::from_secs),
        ]
    }

    proptest! {
        #[test]
        fn no_arithmetic_leaves_the_range(start in moments(), spans in prop::collection::vec((spans(), any::<bool>()), 0..8)) {
            let mut moment = start;
            for (span, add) in spans {
                moment = if add { moment + span } else { moment - span };
                prop_assert!((RegistryTime::MIN..=RegistryTime::MAX).contains(&moment));
                prop_assert_eq!(start + moment.duration_since(start), moment);
            }
            let text = moment.to_string();
            prop_assert_eq!(text.find('-'), Some(4), "four digits for the year: {}", text);
            prop_assert_eq!(text.parse::<RegistryTime>().unwrap(), moment);
            let json = serde_json::to_string(&moment).unwrap();
            prop_assert_eq!(serde_json::to_string(&Time(moment.timestamp())).unwrap().len() <= json.len(), true);
            prop_assert_eq!(serde_json::from_str::<RegistryTime>(&json).unwrap(), moment);
        }

        #[test]
        fn arithmetic_keeps_the_order(moment in moments(), one in spans(), other in spans()) {
            let (less, more) = (one.min(other), one.max(other));
            prop_assert!(moment + less <= moment + more);
            prop_assert!(moment - more <= moment - less);
        }

        #[test]
        fn any_text_is_read(text in ".{0,40}") {
            let json = serde_json::to_string(&text).unwrap();
            let moment: RegistryTime = serde_json::from_str(&json).unwrap();
            prop_assert!((RegistryTime::MIN..=RegistryTime::MAX).contains(&moment));
        }
    }

    #[test]
    fn what_lies_outside_is_clamped() {
        assert_eq!(RegistryTime::from(Timestamp::MAX), RegistryTime::MAX);
        assert_eq!(RegistryTime::from(Timestamp::MIN), RegistryTime::MIN);
        assert_eq!(RegistryTime::from_millisecond(i64::MIN), RegistryTime::MIN);
        assert_eq!(RegistryTime::from_millisecond(i64::MAX), RegistryTime::MAX);
        assert_eq!(RegistryTime::MAX.to_string(), "9000-01-01T00:00:00Z");
        let read = |text: &str| serde_json::from_value::<RegistryTime>(text.into()).unwrap();
        assert_eq!(read("0001-01-01T00:00:00Z"), RegistryTime::MIN);
        assert_eq!(read("9999-12-30T22:00:00Z"), RegistryTime::MAX);
        assert_eq!(read("2026-01-01T00:00:00+99:99"), RegistryTime::MIN);
    }

    #[test]
    fn it_is_written_as_it_was_read() {
        let text = "\"2026-11-28T20:00:00.25Z\"";
        let moment: RegistryTime = serde_json::from_str(text).unwrap();
        assert_eq!(serde_json::to_string(&moment).unwrap(), text);
        assert_eq!(moment.whole_second().to_string(), "2026-11-28T20:00:00Z");
    }
}
