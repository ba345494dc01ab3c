//! What a candidate does about the record it sees. Pure.

use std::time::Duration;

use k8s_openapi::api::coordination::v1::LeaseSpec;

use super::Takeover;

/// What a candidate does next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// There is no lease: create it.
    Create,
    /// Replace the record by one that names us.
    Take(Takeover),
    /// Another leads; its record runs out after this time if it does not change.
    Wait(Duration),
}

/// Decides by the record and by how long it has been seen unchanged, in local monotonic time. `default_duration` stands
/// in for a record without a sensible one.
pub fn decide(seen: Option<(&LeaseSpec, Duration)>, me: &str, default_duration: Duration) -> Action {
    let Some((record, unchanged)) = seen else { return Action::Create };
    match record.holder_identity.as_deref() {
        None | Some("") => Action::Take(Takeover::Clean),
        // Our own write whose answer was lost; what it replaced is forgotten, so assume the worse.
        Some(holder) if holder == me => Action::Take(Takeover::Unclean),
        Some(_) => {
            let seconds = record.lease_duration_seconds.and_then(|seconds| u64::try_from(seconds).ok());
            let duration = seconds.filter(|seconds| *seconds > 0).map_or(default_duration, Duration::from_secs);
            match duration.checked_sub(unchanged) {
                None | Some(Duration::ZERO) => Action::Take(Takeover::Unclean),
                Some(left) => Action::Wait(left),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(holder: Option<&str>, seconds: Option<i32>) -> LeaseSpec {
        LeaseSpec {
            holder_identity: holder.map(str::to_owned),
            lease_duration_seconds: seconds,
            ..LeaseSpec::default()
        }
    }

    #[test]
    fn a_candidate_takes_what_is_free_or_has_run_out_and_waits_otherwise() {
        let take = Action::Take;
        let wait = |seconds| Action::Wait(Duration::from_secs(seconds));
        for (holder, seconds, unchanged, action) in [
            (None, None, 0, take(Takeover::Clean)),
            (Some(""), Some(1), 0, take(Takeover::Clean)),
            (Some("me"), Some(15), 0, take(Takeover::Unclean)),
            (Some("other"), Some(15), 0, wait(15)),
            (Some("other"), Some(15), 14, wait(1)),
            (Some("other"), Some(15), 15, take(Takeover::Unclean)),
            (Some("other"), Some(15), 99, take(Takeover::Unclean)),
            (Some("other"), Some(60), 15, wait(45)),
            (Some("other"), None, 10, wait(10)),
            (Some("other"), Some(0), 10, wait(10)),
            (Some("other"), Some(-5), 20, take(Takeover::Unclean)),
        ] {
            let record = record(holder, seconds);
            let seen = Some((&record, Duration::from_secs(unchanged)));
            assert_eq!(decide(seen, "me", Duration::from_secs(20)), action, "{holder:?} {seconds:?} {unchanged}");
        }
        assert_eq!(decide(None, "me", Duration::from_secs(20)), Action::Create);
    }

    #[test]
    fn what_the_clock_of_the_other_wrote_does_not_matter() {
        let mut record = record(Some("other"), Some(15));
        record.renew_time = Some(k8s_openapi::apimachinery::pkg::apis::meta::v1::MicroTime(jiff::Timestamp::MIN));
        assert_eq!(
            decide(Some((&record, Duration::from_secs(1))), "me", Duration::from_secs(15)),
            Action::Wait(Duration::from_secs(14))
        );
    }
}
