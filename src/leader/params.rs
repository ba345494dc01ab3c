//! The times of an election, and what they leave for a call.

use std::time::Duration;

/// No call takes longer: each is given up then, whoever makes it.
const LONGEST_CALL: Duration = Duration::from_secs(10);

/// The times of an election. What a claim grants for a call is worked out from them, so that it is never more than a lease
/// can hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Params {
    pub(super) lease_duration: Duration,
    pub(super) renew_deadline: Duration,
    pub(super) retry_period: Duration,
}

/// Times with which no election works.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidParams {
    /// A leader would go on after others took over.
    #[error("the renew deadline ({0:?}) has to be shorter than the lease duration ({1:?})")]
    Deadline(Duration, Duration),
    /// One failed renewal would end the lead.
    #[error("the retry period ({0:?}) has to be shorter than the renew deadline ({1:?})")]
    Retry(Duration, Duration),
    /// The record holds whole seconds, at least one, in 32 bits.
    #[error("the lease duration ({0:?}) has to be whole seconds, from one second to a day")]
    Lease(Duration),
}

impl Params {
    /// `lease_duration`: how long a record that does not change keeps others away. `renew_deadline`: a leader that could not
    /// renew for so long gives up; it renews twice as often. `retry_period`: the wait after a failed try.
    pub fn new(
        lease_duration: Duration,
        renew_deadline: Duration,
        retry_period: Duration,
    ) -> Result<Self, InvalidParams> {
        let whole = lease_duration.subsec_nanos() == 0;
        if !whole || lease_duration.is_zero() || lease_duration > Duration::from_hours(24) {
            return Err(InvalidParams::Lease(lease_duration));
        }
        if renew_deadline >= lease_duration {
            return Err(InvalidParams::Deadline(renew_deadline, lease_duration));
        }
        if retry_period.is_zero() || retry_period >= renew_deadline {
            return Err(InvalidParams::Retry(retry_period, renew_deadline));
        }
        Ok(Self { lease_duration, renew_deadline, retry_period })
    }

    /// The leader renews this often.
    pub fn renew_every(&self) -> Duration {
        part(self.renew_deadline, 2)
    }

    /// A renewal is given up after this, so that two tries fit into the deadline even if the first is never answered.
    pub(super) fn longest_renewal(&self) -> Duration {
        part(self.renew_deadline, 4)
    }

    /// A candidate's try is given up after this.
    pub(super) fn longest_attempt(&self) -> Duration {
        part(self.renew_deadline, 2)
    }

    /// How long a changing call may take: it ends before anybody else can lead. What a renewal grants is more, however late its
    /// answer comes, so whoever waits for this much waits for one renewal.
    pub fn call_time(&self) -> Duration {
        self.lease_duration.saturating_sub(self.renew_every()).min(LONGEST_CALL)
    }
}

fn part(whole: Duration, of: u32) -> Duration {
    whole.checked_div(of).unwrap_or(whole)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn params(lease: u64, deadline: u64, retry: u64) -> Result<Params, InvalidParams> {
        let [lease, deadline, retry] = [lease, deadline, retry].map(Duration::from_millis);
        Params::new(lease, deadline, retry)
    }

    #[test]
    fn times_that_cannot_work_are_refused() {
        assert!(params(15_000, 10_000, 2_000).is_ok() && params(1_000, 600, 100).is_ok());
        assert!(matches!(params(10_000, 10_000, 2_000), Err(InvalidParams::Deadline(..))));
        assert!(matches!(params(15_000, 2_000, 2_000), Err(InvalidParams::Retry(..))));
        assert!(matches!(params(15_000, 10_000, 0), Err(InvalidParams::Retry(..))));
        for lease in [0, 1_500, 86_401_000] {
            assert!(matches!(params(lease, 10, 1), Err(InvalidParams::Lease(_))), "{lease}");
        }
    }

    proptest! {
        #[test]
        fn every_renewal_grants_a_whole_call(lease in 1..=86_400_u64, deadline in 1..86_400_000_u64, retry in 1..86_400_000_u64) {
            let Ok(params) = params(lease * 1000, deadline, retry) else { return Ok(()) };
            let left = params.lease_duration.saturating_sub(params.longest_renewal());
            prop_assert!(params.call_time() < left && !params.call_time().is_zero());
            prop_assert!(params.call_time() <= LONGEST_CALL);
        }
    }
}
