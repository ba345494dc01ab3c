//! Conditions as a function of the state: no times, counters or ids in them, so an unchanged state writes nothing.

use crate::api::{RegistryTime, conditions as kinds};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};

/// The status of a condition. `Absent` conditions are removed: `Reconciling` and `Stalled` exist only while true.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// `True`.
    True,
    /// `False`.
    False,
    /// Not listed.
    Absent,
}

/// One condition as it should read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// One of `api::conditions`.
    pub kind: &'static str,
    /// Its status.
    pub state: State,
    /// A short PascalCase word from the table in the docs.
    pub reason: &'static str,
    /// What is wrong, on which object, and what to do.
    pub message: String,
}

impl Verdict {
    /// A condition with a reason and a message.
    pub fn new(kind: &'static str, state: State, reason: &'static str, message: impl Into<String>) -> Self {
        Self { kind, state, reason, message: message.into() }
    }

    /// A condition that is not listed.
    pub fn absent(kind: &'static str) -> Self {
        Self::new(kind, State::Absent, "", "")
    }
}

/// Kubernetes accepts longer messages; nobody reads them.
const MESSAGE_LIMIT: usize = 1024;

/// Applies verdicts to the conditions that are there. Others are kept; a transition time moves only with the status.
pub fn apply(
    conditions: &[Condition],
    verdicts: &[Verdict],
    generation: Option<i64>,
    now: RegistryTime,
) -> Vec<Condition> {
    let mut result: Vec<Condition> = conditions.to_vec();
    for verdict in verdicts {
        let status = match verdict.state {
            State::True => "True",
            State::False => "False",
            State::Absent => {
                result.retain(|condition| condition.type_ != verdict.kind);
                continue;
            }
        };
        let existing = result.iter().position(|condition| condition.type_ == verdict.kind);
        let since = existing.map(|at| &result[at]).filter(|old| old.status == status);
        let condition = Condition {
            type_: verdict.kind.to_owned(),
            status: status.to_owned(),
            reason: verdict.reason.to_owned(),
            message: cut(&verdict.message),
            observed_generation: generation,
            last_transition_time: since.map_or(Time(now.timestamp()), |old| old.last_transition_time.clone()),
        };
        match existing {
            Some(at) => result[at] = condition,
            None => result.push(condition),
        }
    }
    result
}

fn cut(message: &str) -> String {
    message.chars().filter(|c| !c.is_control() || *c == '\n').take(MESSAGE_LIMIT).collect()
}

/// The condition of that type.
pub fn find<'a>(conditions: &'a [Condition], kind: &str) -> Option<&'a Condition> {
    conditions.iter().find(|condition| condition.type_ == kind)
}

/// True if the condition of that type is `True`.
pub fn is_true(conditions: &[Condition], kind: &str) -> bool {
    find(conditions, kind).is_some_and(|condition| condition.status == "True")
}

/// True if the object was once as its spec of this generation asks for, whatever became of that since. What is tried again
/// then is a repair: whoever waits for the spec to be applied, as `helm --wait` and Flux do, has nothing to wait for.
pub fn is_applied(before: &[Condition], generation: Option<i64>) -> bool {
    let Some(synced) = find(before, kinds::SYNCED).filter(|synced| synced.observed_generation == generation) else {
        return false;
    };
    synced.status == "True" || [kinds::RECONCILING, kinds::STALLED].iter().all(|kind| find(before, kind).is_none())
}

/// Since when the condition has had its status, if its reason is `reason`.
pub fn since(conditions: &[Condition], kind: &str, reason: &str) -> Option<RegistryTime> {
    find(conditions, kind)
        .filter(|condition| condition.reason == reason)
        .map(|condition| condition.last_transition_time.0.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> RegistryTime {
        RegistryTime::from_second(seconds)
    }

    #[test]
    fn a_spec_is_applied_once_it_was_in_sync_at_its_generation() {
        let verdict = |kind, state| Verdict::new(kind, state, "R", "m");
        let (synced, reconciling) = (kinds::SYNCED, kinds::RECONCILING);
        assert!(!is_applied(&[], Some(1)));
        let waiting = [verdict(synced, State::False), verdict(reconciling, State::True)];
        let first = apply(&[], &waiting, Some(1), at(10));
        assert!(!is_applied(&first, Some(1)));
        let done = apply(&first, &[verdict(synced, State::True), verdict(reconciling, State::Absent)], Some(1), at(20));
        assert!(is_applied(&done, Some(1)) && !is_applied(&done, Some(2)), "an edit is to be applied");
        let outage = apply(&done, &[verdict(synced, State::False)], Some(1), at(30));
        assert!(is_applied(&outage, Some(1)) && !is_applied(&outage, Some(2)));
        let stalled =
            apply(&[], &[verdict(synced, State::False), verdict(kinds::STALLED, State::True)], Some(1), at(40));
        assert!(!is_applied(&stalled, Some(1)), "never");
    }

    #[test]
    fn a_transition_time_moves_only_with_the_status() {
        let first = apply(&[], &[Verdict::new("Ready", State::True, "Published", "m")], Some(1), at(10));
        let same = apply(&first, &[Verdict::new("Ready", State::True, "Disabled", "n")], Some(2), at(20));
        assert_eq!(same[0].last_transition_time.0, at(10).timestamp());
        assert_eq!((same[0].reason.as_str(), same[0].observed_generation), ("Disabled", Some(2)));
        let turned = apply(&same, &[Verdict::new("Ready", State::False, "NameTaken", "o")], Some(2), at(30));
        assert_eq!(turned[0].last_transition_time.0, at(30).timestamp());
    }

    #[test]
    fn absent_verdicts_remove_and_foreign_conditions_stay() {
        let both = apply(
            &[],
            &[Verdict::new("Stalled", State::True, "NameTaken", ""), Verdict::new("Foreign", State::True, "X", "")],
            None,
            at(1),
        );
        let left = apply(&both, &[Verdict::absent("Stalled")], None, at(2));
        assert_eq!(left.iter().map(|c| c.type_.as_str()).collect::<Vec<_>>(), ["Foreign"]);
    }

    #[test]
    fn applying_the_same_verdicts_again_changes_nothing() {
        let verdicts = [Verdict::new("Ready", State::True, "Published", "m"), Verdict::absent("Stalled")];
        let once = apply(&[], &verdicts, Some(1), at(1));
        assert_eq!(apply(&once, &verdicts, Some(1), at(99)), once);
    }
}
