//! The gauges of the metrics that are computed when somebody asks.

use std::collections::BTreeMap;

use super::Context;
use super::index::{State, Told};
use super::registries::{Counts, ServedRegistry, Unmanaged};
use crate::api::RegistryTime;
use crate::api::registry_time::share;
use crate::domain::report::OVERDUE_AFTER;
use crate::metrics::RegistryFigures;

/// A credential expires soon when less than this part of the time between its renewal and its expiry is left.
const LAST_PART: f64 = 0.25;

/// Brings the gauges up to date.
pub fn refresh(ctx: &Context) {
    let mut accounts = Accounts::default();
    let now = ctx.now();
    ctx.index.each_told(|told| accounts.count(told, now));
    accounts.measure(ctx);
    let (namespaced, of_cluster): (Vec<_>, Vec<_>) =
        ctx.registries.all().into_iter().partition(|state| state.is_tenants());
    // A name of a namespace's registry is nothing for whoever reads the metrics.
    let of_cluster = of_cluster.iter().map(|state| (state.key.to_string(), of_registry(state, now)));
    ctx.metrics.registries(&of_cluster.collect());
    let ready = namespaced.iter().filter(|state| state.trouble.is_none()).count();
    let counts = namespaced.iter().filter_map(|state| state.swept.counts.as_deref());
    let orphans = counts.map(Counts::orphans).sum();
    ctx.metrics.namespaced_registries(ready, namespaced.len() - ready, orphans);
    ctx.gaps.measure(&ctx.metrics);
    let counts = ctx.queues.counts();
    for (label, count) in [
        ("queued", counts.queued),
        ("in_progress", counts.in_progress),
        ("backing_off", counts.backing_off),
        ("parked", counts.parked),
        ("timers", counts.timers),
    ] {
        ctx.metrics.queue(label, count);
    }
}

/// `now` is ours.
fn of_registry(state: &ServedRegistry, now: RegistryTime) -> RegistryFigures {
    let counts = state.swept.counts.as_deref();
    let unmanaged = counts.map(Counts::unmanaged);
    let next = unmanaged.as_ref().and_then(|unmanaged| unmanaged.next(state.registry_now(now)));
    RegistryFigures {
        up: state.probed.then_some(state.trouble.is_none()),
        login_expiry: state.session.login_expiry().map(RegistryTime::as_second),
        orphans: counts.map(Counts::orphans),
        unmanaged: unmanaged.as_ref().map(Unmanaged::count),
        unmanaged_expiry: next.map(|(at, _)| at.as_second()),
    }
}

/// All accounts in a few numbers.
#[derive(Debug, Default, PartialEq)]
struct Accounts {
    ready: usize,
    suspended: usize,
    /// By reason.
    not_ready: BTreeMap<&'static str, usize>,
    earliest_expiry: Option<RegistryTime>,
    overdue: usize,
    expiring: usize,
}

impl Accounts {
    /// Clocks of registries differ from ours by minutes at most, or a condition says so: `now` is ours.
    fn count(&mut self, told: &Told, now: RegistryTime) {
        match told.state {
            State::Ready => self.ready += 1,
            State::Suspended => self.suspended += 1,
            State::NotReady(reason) => *self.not_ready.entry(reason).or_default() += 1,
        }
        let known = self.earliest_expiry.into_iter();
        self.earliest_expiry = known.chain(told.expires).min();
        let Some(renews) = told.renews else { return };
        // What is suspended is not renewed, as somebody asks for, and expires all the same.
        if told.state != State::Suspended && renews + OVERDUE_AFTER <= now {
            self.overdue += 1;
        }
        if told.expires.is_some_and(|end| end - share(end.duration_since(renews), LAST_PART) <= now) {
            self.expiring += 1;
        }
    }

    fn measure(&self, ctx: &Context) {
        ctx.metrics.accounts("ready", self.ready);
        ctx.metrics.accounts("suspended", self.suspended);
        ctx.metrics.accounts("not_ready", self.not_ready.values().sum());
        ctx.metrics.not_ready(&self.not_ready);
        ctx.metrics.earliest_expiry(self.earliest_expiry.map(RegistryTime::as_second));
        ctx.metrics.overdue(self.overdue);
        ctx.metrics.expiring(self.expiring);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Renewed after 800 s of 1,000.
    fn told(state: State) -> Told {
        let at = RegistryTime::from_second;
        Told { state, expires: Some(at(10_000)), renews: Some(at(2_000)) }
    }

    fn counted(told: &[Told], now: i64) -> Accounts {
        let mut accounts = Accounts::default();
        for one in told {
            accounts.count(one, RegistryTime::from_second(now));
        }
        accounts
    }

    #[test]
    fn an_hour_after_its_renewal_a_credential_is_overdue_and_in_the_last_quarter_it_expires_soon() {
        for (now, overdue, expiring) in [(5_599, 0, 0), (5_600, 1, 0), (7_999, 1, 0), (8_000, 1, 1), (11_000, 1, 1)] {
            let found = counted(&[told(State::Ready)], now);
            assert_eq!((found.overdue, found.expiring), (overdue, expiring), "{now}");
        }
    }

    #[test]
    fn what_is_suspended_expires_but_is_not_overdue_and_what_never_expires_is_neither() {
        let never = Told { expires: None, renews: None, ..told(State::Ready) };
        let by_interval = Told { expires: None, ..told(State::Ready) };
        let found = counted(&[told(State::Suspended), never, by_interval], 20_000);
        assert_eq!((found.ready, found.suspended, found.overdue, found.expiring), (2, 1, 1, 1));
        assert_eq!(found.earliest_expiry, Some(RegistryTime::from_second(10_000)));
    }

    #[test]
    fn those_that_are_not_ready_are_counted_by_reason() {
        let not_ready = |reason| Told { expires: None, renews: None, ..told(State::NotReady(reason)) };
        let found = counted(&[not_ready("NameTaken"), not_ready("NotPermitted"), not_ready("NameTaken")], 0);
        assert_eq!(found.not_ready, BTreeMap::from([("NameTaken", 2), ("NotPermitted", 1)]));
        assert_eq!(counted(&[], 0), Accounts::default());
    }
}
