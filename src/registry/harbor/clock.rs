//! Harbor's clock against ours, from the `Date` header of its answers.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use jiff::{SignedDuration, fmt::rfc2822::DateTimeParser};

use crate::api::{RegistryTime, registry_time::share};

/// Nobody's clock is further off by mistake: a `Date` of the year 9999 says nothing of when robots expire.
const BELIEVABLE: Duration = Duration::from_hours(5 * 366 * 24);

/// Calls are given up long before.
const LONGEST_CALL: Duration = Duration::from_mins(10);

/// `Date` names whole seconds, so one answer bounds the offset only to a second and the call's duration. Bounds of
/// several answers are intersected, which soon is far narrower; bounds that contradict them mean that a clock was set,
/// and replace them.
#[derive(Debug, Default)]
pub(super) struct Offset(Mutex<Known>);

#[derive(Clone, Copy, Debug, Default)]
struct Known {
    bounds: Option<Bounds>,
    /// The last `Date` was not believed.
    absurd: bool,
}

#[derive(Clone, Copy, Debug)]
struct Bounds {
    low: SignedDuration,
    high: SignedDuration,
}

impl Offset {
    /// Takes in the `Date` of an answer whose request left at `sent` and whose head came at `received`, by our clock.
    pub(super) fn learn(&self, date: RegistryTime, sent: RegistryTime, received: RegistryTime) {
        // What is known after so long is known less well than by any other answer.
        if received < sent || received.duration_since(sent).unsigned_abs() > LONGEST_CALL {
            return;
        }
        let low = date.duration_since(received);
        let high = date.duration_since(sent).saturating_add(SignedDuration::from_secs(1));
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        known.absurd = low.unsigned_abs() > BELIEVABLE;
        if known.absurd {
            return;
        }
        known.bounds = Some(match known.bounds {
            Some(old) if old.low <= high && low <= old.high => {
                Bounds { low: old.low.max(low), high: old.high.min(high) }
            }
            _ => Bounds { low, high },
        });
    }

    /// Harbor's clock minus ours; zero before the first answer.
    pub(super) fn get(&self) -> SignedDuration {
        let bounds = self.0.lock().unwrap_or_else(PoisonError::into_inner).bounds;
        let middle = |Bounds { low, high }| low.saturating_add(share(high.saturating_sub(low), 0.5));
        bounds.map_or(SignedDuration::ZERO, middle)
    }

    /// True if the last `Date` was too far from our clock to be believed.
    pub(super) fn is_absurd(&self) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).absurd
    }
}

/// An HTTP date (`Sun, 06 Nov 1994 08:49:37 GMT`).
pub(super) fn http_date(text: &str) -> Option<RegistryTime> {
    DateTimeParser::new().parse_timestamp(text.trim()).ok().map(RegistryTime::from)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

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

    #[test]
    fn a_date_that_is_years_off_is_not_believed_and_the_next_one_is() {
        let offset = Offset::default();
        offset.learn(ms(60_000), ms(0), ms(10));
        let known = offset.get();
        for absurd in [http_date("Thu, 30 Dec 9999 22:00:00 GMT").unwrap(), RegistryTime::MIN, RegistryTime::MAX] {
            offset.learn(absurd, ms(20), ms(30));
            assert_eq!((offset.get(), offset.is_absurd()), (known, true));
        }
        offset.learn(ms(3_600_000), ms(40), ms(50));
        assert!(!offset.is_absurd() && offset.get() > SignedDuration::from_mins(59));
    }

    proptest! {
        #[test]
        fn no_clock_stops_it(answers in prop::collection::vec((any::<i64>(), any::<i64>(), any::<i64>()), 0..6)) {
            let offset = Offset::default();
            for (date, sent, received) in answers {
                let [date, sent, received] = [date, sent, received].map(RegistryTime::from_millisecond);
                offset.learn(date, sent, received);
                prop_assert!(offset.get().unsigned_abs() <= BELIEVABLE + LONGEST_CALL);
                let _ = sent + offset.get();
            }
        }

        #[test]
        fn any_header_is_read_or_left(text in "[ -~]{0,40}") {
            let _ = http_date(&text);
        }
    }
}
