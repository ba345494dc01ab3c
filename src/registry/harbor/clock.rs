//! Harbor's clock against ours, from the `Date` header of its answers.

use std::sync::{Mutex, PoisonError};

use jiff::{SignedDuration, fmt::rfc2822::DateTimeParser};

use crate::api::{RegistryTime, registry_time::share};

/// `Date` names whole seconds, so one answer bounds the offset only to a second and the call's duration. Bounds of
/// several answers are intersected, which soon is far narrower; bounds that contradict them mean that a clock was set,
/// and replace them.
#[derive(Debug, Default)]
pub(super) struct Offset(Mutex<Option<Bounds>>);

#[derive(Clone, Copy, Debug)]
struct Bounds {
    low: SignedDuration,
    high: SignedDuration,
}

impl Offset {
    /// Takes in the `Date` of an answer whose request left at `sent` and whose head came at `received`, by our clock.
    pub(super) fn learn(&self, date: RegistryTime, sent: RegistryTime, received: RegistryTime) {
        if received < sent {
            return;
        }
        let low = date.duration_since(received);
        let high = date.duration_since(sent).saturating_add(SignedDuration::from_secs(1));
        let mut bounds = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        *bounds = Some(match *bounds {
            Some(old) if old.low <= high && low <= old.high => {
                Bounds { low: old.low.max(low), high: old.high.min(high) }
            }
            _ => Bounds { low, high },
        });
    }

    /// Harbor's clock minus ours; zero before the first answer.
    pub(super) fn get(&self) -> SignedDuration {
        let bounds = *self.0.lock().unwrap_or_else(PoisonError::into_inner);
        bounds.map_or(SignedDuration::ZERO, |Bounds { low, high }| {
            low.saturating_add(share(high.saturating_sub(low), 0.5))
        })
    }
}

/// An HTTP date (`Sun, 06 Nov 1994 08:49:37 GMT`).
pub(super) fn http_date(text: &str) -> Option<RegistryTime> {
    DateTimeParser::new().parse_timestamp(text.trim()).ok().map(RegistryTime::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ms(ms: i64) -> RegistryTime {
        RegistryTime::from_millisecond(1_700_000_000_000 + ms)
    }

    #[test]
    fn one_answer_gives_the_offset_to_half_a_second() {
        let offset = Offset::default();
        assert_eq!(offset.get(), SignedDuration::ZERO);
        offset.learn(ms(0), ms(200), ms(400));
        assert_eq!(offset.get(), SignedDuration::from_millis(200));
    }

    #[test]
    fn many_answers_narrow_the_offset_and_never_leave_the_truth_out() {
        let offset = Offset::default();
        let truth = 4_321_i64;
        for step in 0..50 {
            let (sent, received) = (step * 1_370, step * 1_370 + 4);
            let date = (sent + 2 + truth).div_euclid(1_000) * 1_000;
            offset.learn(ms(date), ms(sent), ms(received));
        }
        assert!((offset.get() - SignedDuration::from_millis(truth)).abs() < SignedDuration::from_millis(50));
    }

    #[test]
    fn a_clock_that_was_set_is_believed_at_once() {
        let offset = Offset::default();
        offset.learn(ms(0), ms(0), ms(10));
        offset.learn(ms(3_600_000), ms(20), ms(30));
        assert!((offset.get() - SignedDuration::from_hours(1)).abs() <= SignedDuration::from_millis(500));
        offset.learn(ms(0), ms(500), ms(400));
        assert!(offset.get() > SignedDuration::from_mins(59), "an answer before its request says nothing");
    }

    #[test]
    fn http_dates_are_read() {
        let text = "Sun, 06 Nov 1994 08:49:37 GMT";
        assert_eq!(http_date(text), Some("1994-11-06T08:49:37Z".parse().unwrap()));
        assert_eq!(http_date("tomorrow"), None);
    }
}
