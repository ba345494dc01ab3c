//! The homes of a sweep: in which order they come, and what is told where one cannot be listed.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use super::super::Context;
use super::super::accounts::errors;
use super::super::index::AccountSlots;
use super::super::registries::{self, ServedRegistry};
use crate::domain::report::Failure;
use crate::domain::robot::{Home, Permissions};
use crate::registry::Error;

/// So many homes in a row without an answer end a sweep: the probe says whether Harbor is there at all.
pub(super) const SEVERAL: u32 = 3;

/// One that ended early goes on after this long, if the registry is usable and does not say itself when.
pub(super) const PAUSE: Duration = Duration::from_secs(10);

/// The homes in their order, beginning behind the one that the last sweep came to.
pub(super) fn from<T>(
    homes: BTreeMap<Arc<Home>, T>,
    swept_to: Option<&Home>,
) -> impl Iterator<Item = (Arc<Home>, T)> + use<T> {
    let (before, behind): (Vec<_>, Vec<_>) =
        homes.into_iter().partition(|(home, _)| swept_to.is_some_and(|last| **home <= *last));
    behind.into_iter().chain(before)
}

/// What its accounts are told of a home that cannot be listed.
pub(super) fn why_not_listed(state: &ServedRegistry, home: &Home, error: &Error) -> Failure {
    let place = registries::place_of(home);
    let failure = errors::failure(state, home, &Permissions::default(), error);
    let message = format!(
        "{}; the robots of {place} cannot be listed, so that nobody knows whether they are as they were left",
        failure.message
    );
    Failure { message, ..failure }
}

/// Accounts of a home that cannot be listed, or can be again, say so. None of that takes a call.
pub(super) fn tell(ctx: &Context, accounts: &[AccountSlots]) {
    for account in accounts {
        ctx.index.update(&account.key, |entry| entry.home_fails = true);
        ctx.recheck(&account.key);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sweep_goes_on_behind_where_the_last_one_ended() {
        let homes = || ["a", "b", "c"].map(|name| (Arc::new(Home::Project(name.to_owned())), ())).into();
        let order = |swept_to: Option<&str>| {
            let swept_to = swept_to.map(|name| Home::Project(name.to_owned()));
            let homes = from(homes(), swept_to.as_ref());
            let name = |home: &Home| match home {
                Home::Project(name) => name.clone(),
                Home::System => String::new(),
            };
            homes.map(|(home, ())| name(&home)).collect::<String>()
        };
        assert_eq!((order(None), order(Some("a")), order(Some("c"))), ("abc".into(), "bca".into(), "abc".into()));
        assert_eq!(order(Some("bb")), "cab", "one that has no accounts any more");
    }
}
