//! Spans of time as people read them.

use harbor_robot_operator::api::RegistryTime;
use jiff::SignedDuration;

/// Largest first, with how many of the next smaller one make it worth being told in that.
const UNITS: [(&str, i64); 4] = [("d", 86_400), ("h", 3_600), ("m", 60), ("s", 1)];

/// `29d`, `36h`, `5m`, `90s`, as kubectl tells ages: two digits are enough for anybody.
pub(crate) fn span(span: SignedDuration) -> String {
    let seconds = span.as_secs().max(0);
    let fits = |(_, unit): &&(&str, i64)| seconds >= 2 * unit || *unit == 1;
    let (name, unit) = UNITS.iter().find(fits).unwrap_or(&("s", 1));
    format!("{}{name}", seconds / unit)
}

/// How long ago a moment was.
pub(crate) fn age(moment: RegistryTime, now: RegistryTime) -> String {
    span(now.duration_since(moment))
}

/// How long it is until a moment; what to say once it has passed.
pub(crate) fn until(moment: RegistryTime, now: RegistryTime, passed: &str) -> String {
    let left = moment.duration_since(now);
    if left.is_positive() { span(left) } else { passed.to_owned() }
}

/// `2026-12-22T04:43:02Z (in 29d)`, or `(5h ago)`.
pub(crate) fn moment(moment: RegistryTime, now: RegistryTime) -> String {
    let left = moment.duration_since(now);
    let near = if left.is_negative() { format!("{} ago", span(-left)) } else { format!("in {}", span(left)) };
    format!("{} ({near})", moment.whole_second())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_have_one_unit() {
        for (seconds, expected) in [
            (-5, "0s"),
            (0, "0s"),
            (119, "119s"),
            (120, "2m"),
            (7_199, "119m"),
            (7_200, "2h"),
            (172_799, "47h"),
            (172_800, "2d"),
            (86_400 * 400, "400d"),
        ] {
            assert_eq!(span(SignedDuration::from_secs(seconds)), expected, "{seconds}");
        }
        assert_eq!(span(SignedDuration::MAX), "106751991167300d");
    }

    #[test]
    fn a_moment_says_how_near_it_is() {
        let now = RegistryTime::from_second(1_800_000_000);
        let at = |seconds| now + SignedDuration::from_secs(seconds);
        assert_eq!(moment(at(86_400 * 3), now), "2027-01-18T08:00:00Z (in 3d)");
        assert_eq!(moment(at(-600), now), "2027-01-15T07:50:00Z (10m ago)");
        assert_eq!((until(at(5), now, "due"), until(at(0), now, "due")), ("5s".into(), "due".into()));
        assert_eq!(age(at(-90_000), now), "25h");
    }
}
