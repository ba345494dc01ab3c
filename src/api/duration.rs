//! The spellings of a span of time in our kinds.
//!
//! All stay strings in the types: an object stored under an older schema must still be readable, so parsing is a
//! separate step that can fail.

use std::time::Duration;

use kube::core::Rule;
use schemars::{Schema, json_schema};
use serde::{Deserialize, Serialize};

use super::schema::inline_schema;

/// A span of time: a whole number of at most five digits and one unit, `d`, `h`, `m` or `s`. `36h`, not `1d12h`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct DurationString(pub String);

/// A lifetime in whole days, which is how Harbor counts, or `Never`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ExpiresAfter(pub String);

/// A span of time as [`DurationString`] has it, or `Never`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Interval(pub String);

/// A span of time as [`DurationString`] has it, or `0s`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Delay(pub String);

/// A text that is not in the grammar of its field.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is not {expected}")]
pub struct InvalidDuration {
    text: String,
    expected: &'static str,
}

const DURATION: &str = "a duration: write a whole number and one unit (d, h, m or s), like 30d, 36h, 10m or 90s";
const INTERVAL: &str = "an interval: write a whole number and one unit (d, h, m or s), like 30d or 36h, or Never";
const DELAY: &str = "a delay: write a whole number and one unit (d, h, m or s), like 10m or 90s, or 0s for none";
const EXPIRES_AFTER: &str = "a lifetime: write whole days, like 30d, or Never";

impl DurationString {
    /// The span of time. Fails on a text outside the grammar.
    pub fn parse(&self) -> Result<Duration, InvalidDuration> {
        read(&self.0, DURATION, span)
    }
}

impl Interval {
    /// The span of time, `None` for `Never`. Fails on a text outside the grammar.
    pub fn parse(&self) -> Result<Option<Duration>, InvalidDuration> {
        if self.0 == "Never" {
            return Ok(None);
        }
        read(&self.0, INTERVAL, span).map(Some)
    }
}

impl Delay {
    /// The span of time, which may be none. Fails on a text outside the grammar.
    pub fn parse(&self) -> Result<Duration, InvalidDuration> {
        read(&self.0, DELAY, |text| if text == "0s" { Some(Duration::ZERO) } else { span(text) })
    }
}

impl ExpiresAfter {
    /// Whole days, `None` for `Never`. Fails on a text outside the grammar.
    pub fn days(&self) -> Result<Option<u32>, InvalidDuration> {
        if self.0 == "Never" {
            return Ok(None);
        }
        read(&self.0, EXPIRES_AFTER, |text| text.strip_suffix('d').and_then(number)).map(Some)
    }
}

fn read<T>(text: &str, expected: &'static str, grammar: impl Fn(&str) -> Option<T>) -> Result<T, InvalidDuration> {
    grammar(text).ok_or_else(|| InvalidDuration { text: text.to_owned(), expected })
}

/// `[1-9][0-9]{0,4}(d|h|m|s)`.
fn span(text: &str) -> Option<Duration> {
    let seconds = match text.chars().last()? {
        'd' => 86_400,
        'h' => 3_600,
        'm' => 60,
        's' => 1,
        _ => return None,
    };
    Some(Duration::from_secs(u64::from(number(&text[..text.len() - 1])?) * seconds))
}

/// `[1-9][0-9]{0,4}`.
fn number(digits: &str) -> Option<u32> {
    let plain = digits.len() <= 5 && !digits.starts_with('0') && digits.bytes().all(|b| b.is_ascii_digit());
    if plain { digits.parse().ok() } else { None }
}

/// A CEL expression that is true unless `text` is a span of time. `Never` is none, nor is a text that the rule of its
/// own field refuses.
pub(super) fn is_no_span(text: &str) -> String {
    format!("!{text}.matches('^[0-9]{{1,5}}[dhms]$')")
}

/// A CEL expression for the seconds of a span of time. CEL's own `duration()` knows no `d`.
pub(super) fn seconds(text: &str) -> String {
    format!(
        "int({text}.substring(0, size({text}) - 1)) \
         * {{'d': 86400, 'h': 3600, 'm': 60, 's': 1}}[{text}.substring(size({text}) - 1)]"
    )
}

/// A CEL expression that compares two texts as spans of time. True if either is none.
pub(super) fn compared(left: &str, operator: &str, right: &str) -> String {
    format!("{} || {} || {} {operator} {}", is_no_span(left), is_no_span(right), seconds(left), seconds(right))
}

fn text_schema(pattern: &str, expected: &str) -> Schema {
    let mut schema = json_schema!({"type": "string", "maxLength": 6});
    let rule = Rule::new(format!("self.matches('{pattern}')")).message(format!("must be {expected}").as_str());
    kube::core::validate(&mut schema, rule).expect("the schema is an object without rules");
    schema
}

inline_schema!(DurationString, text_schema("^[1-9][0-9]{0,4}(d|h|m|s)$", DURATION));
inline_schema!(Interval, text_schema("^([1-9][0-9]{0,4}(d|h|m|s)|Never)$", INTERVAL));
inline_schema!(Delay, text_schema("^([1-9][0-9]{0,4}(d|h|m|s)|0s)$", DELAY));
inline_schema!(ExpiresAfter, text_schema("^([1-9][0-9]{0,4}d|Never)$", EXPIRES_AFTER));

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_duration_is_a_whole_number_and_one_unit() {
        let seconds = |text: &str| DurationString(text.into()).parse().map(|d| d.as_secs()).ok();
        for (text, expected) in [("1s", 1), ("90s", 90), ("10m", 600), ("24h", 86_400), ("30d", 2_592_000)] {
            assert_eq!(seconds(text), Some(expected), "{text}");
        }
        assert_eq!(seconds("99999d"), Some(99_999 * 86_400));
        for text in ["", "d", "0s", "01h", "1d12h", "100000s", "1w", "1 h", "-1h", "+1h", "1.5h", "5", "1é", "é", "１h"]
        {
            assert_eq!(seconds(text), None, "{text}");
        }
    }

    #[test]
    fn a_lifetime_is_whole_days_or_never() {
        let days = |text: &str| ExpiresAfter(text.into()).days().ok();
        assert_eq!(days("Never"), Some(None));
        assert_eq!(days("1d"), Some(Some(1)));
        assert_eq!(days("99999d"), Some(Some(99_999)));
        for text in ["", "never", "0d", "d", "24h", "-1d", "100000d", "1d "] {
            assert_eq!(days(text), None, "{text}");
        }
    }

    #[test]
    fn an_interval_may_be_never_and_a_delay_none() {
        let interval = |text: &str| Interval(text.into()).parse().ok();
        assert_eq!((interval("Never"), interval("1h")), (Some(None), Some(Some(Duration::from_hours(1)))));
        assert_eq!((interval("0s"), interval("never"), interval("")), (None, None, None));
        let delay = |text: &str| Delay(text.into()).parse().ok();
        assert_eq!((delay("0s"), delay("5m")), (Some(Duration::ZERO), Some(Duration::from_mins(5))));
        assert_eq!((delay("0m"), delay("Never"), delay("00s")), (None, None, None));
    }

    #[test]
    fn an_error_says_what_to_write() {
        let error = DurationString("1w".into()).parse().unwrap_err();
        assert!(error.to_string().contains("like 30d, 36h"), "{error}");
    }
}
