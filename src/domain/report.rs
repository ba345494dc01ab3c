//! From what a pass did to the account's status and its next wake-up. Pure.

use crate::api::RegistryTime;

use super::conditions::{self, State, Verdict};
use super::desired::Desired;
use super::observed::{Checksum, PreviousRecord, Recorded, RobotRecord, RobotRef, Tokens, is_same_update};
use super::plan::{Blocker, Plan, Purpose, Step, Strategy, Target};
use super::robot::Robot;
use super::situation::{self, Observed};
use super::spread::{self, Row};
use crate::api::{AccountStatus, PinnedRegistry, PreviousRobot, SecretRecord, conditions as kinds};
pub use blocked::foreign_secret;
pub use unread::Unread;

/// A robot that is an hour past its renewal time is reported.
pub const OVERDUE_AFTER: jiff::SignedDuration = jiff::SignedDuration::from_hours(1);

/// What lies further ahead of clocks that agree was noted by another clock.
const AHEAD: jiff::SignedDuration = jiff::SignedDuration::from_mins(10);

/// What executing a plan came to.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Outcome {
    /// The robot of `plan.current` as it is now: made, read again after a write, or as seen.
    pub robot: Option<Robot>,
    /// The credential was written into the Secret.
    pub published: bool,
    /// Of the credential that is in the Secret now, if it is whole.
    pub checksum: Option<Checksum>,
    /// Whether a login has worked since `robot` was written to (PUT, PATCH); `None` if it was not.
    pub proof: Option<bool>,
    /// The picture changed under the plan after it had published: what comes of the rest is for the next pass to see.
    pub interrupted: bool,
    /// What stopped the plan.
    pub failure: Option<Failure>,
    /// Something a user should know that stops nothing (a ServiceAccount that is missing, …).
    pub notes: Vec<String>,
    /// Something was left undone that a person has to see to; everything else is as wanted.
    pub undone: Option<Failure>,
}

/// Why a pass could not do what it planned.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// From the table of reasons.
    pub reason: &'static str,
    /// What is wrong, where, and what to do.
    pub message: String,
    /// Needs a person: `Stalled`.
    pub permanent: bool,
}

impl Failure {
    /// What needs a person.
    pub fn lasting(reason: &'static str, message: impl Into<String>) -> Self {
        Self { reason, message: message.into(), permanent: true }
    }
}

/// Everything a report depends on.
pub struct Facts<'a> {
    /// The account's status before.
    pub status: &'a AccountStatus,
    /// `metadata.generation`.
    pub generation: Option<i64>,
    /// `metadata.namespace`.
    pub namespace: &'a str,
    /// The registry in use.
    pub registry: PinnedRegistry,
    /// What the account wants.
    pub desired: &'a Desired,
    /// What the pass read.
    pub observed: &'a Observed,
    /// What it planned.
    pub plan: &'a Plan,
    /// Reason, and text of what refuses the wish, who changes the Secret, or what to do about one that is in the way, for
    /// `plan.blocker`.
    pub blocked_by: Option<(&'static str, String)>,
    /// What became of a system account's Secret in each of its namespaces; `None` = they were not looked at.
    pub spread: Option<&'a [Row]>,
    /// What came of it.
    pub outcome: &'a Outcome,
    /// Registry time after the last step.
    pub now: RegistryTime,
}

/// What blocks the plan, as the status tells it.
pub fn hindrance(facts: &Facts<'_>) -> Option<Failure> {
    let (reason, message) = blocked::told(facts, facts.plan.blocker?);
    Some(Failure::lasting(reason, message))
}

/// The new status and the moment (registry time) to look again without an event.
pub fn report(facts: &Facts<'_>) -> (AccountStatus, Option<RegistryTime>) {
    let Facts { observed, plan, outcome, .. } = facts;
    let mut status = facts.status.clone();
    let settled = outcome.failure.is_none() && !observed.unreachable && plan.tells_the_current();
    // A robot that keeps its own password is renewed without being published again.
    let prolonged = plan.steps.iter().any(|step| matches!(step, Step::Update(_, Purpose::Renew)));
    // What is published of a robot that was there before is always a new secret.
    let was_there = matches!(plan.current, Some(Target::Seen(_)));
    let rotated = (outcome.published && (observed.recorded.current.is_some() || was_there)) || (prolonged && settled);
    status.observed_generation = facts.generation;
    status.legacy = blocked::by_legacy(facts).then_some(true);
    status.registry = Some(facts.registry.clone());
    status.projects.clone_from(&facts.desired.projects);
    if let Some(rows) = facts.spread {
        status.namespace_count = i32::try_from(rows.len()).ok();
        status.namespaces = spread::records(rows);
    }
    // One noted while Harbor's clock was ahead: until then nothing would be renewed by `interval`.
    let ahead = status.last_rotation_time.is_some_and(|at| at > facts.now.max(observed.later_clock) + AHEAD);
    if rotated || ahead {
        status.last_rotation_time = Some(facts.now.whole_second());
    }
    if settled || outcome.published {
        record(&mut status, facts);
    }
    if !outcome.interrupted {
        let verdicts = verdicts(facts, &status);
        status.conditions = conditions::apply(&status.conditions, &verdicts, facts.generation, facts.now);
    }
    let wake = wake(facts, &status);
    (status, wake)
}

fn record(status: &mut AccountStatus, facts: &Facts<'_>) {
    let Facts { desired, observed, plan, outcome, .. } = facts;
    let robot = outcome.robot.as_ref();
    let confirmed = outcome.proof.unwrap_or(plan.confirmed || outcome.published);
    let before = observed.recorded.current.as_ref();
    status.robot = robot.map(|robot| {
        let before = before.filter(|record| record.robot.is(robot));
        let known = before.and_then(|record| record.update_time);
        let (update_time, checksum) = if confirmed {
            (Some(settled_update_time(known, robot)), outcome.checksum)
        } else {
            (known, before.and_then(|record| record.checksum))
        };
        crate::api::RobotRecord {
            id: robot.id,
            name: robot.name.clone(),
            creation_time: robot.creation_time,
            update_time,
            credential_checksum: checksum.map(|checksum| checksum.to_string()),
            expiration_time: robot.expiration_time,
        }
    });
    let renewal = robot
        .filter(|_| desired.enabled && plan.blocker != Some(Blocker::NotPermitted))
        .and_then(|robot| situation::renewal_time(desired, &recorded(status), robot));
    let latest = overlap::latest_end(desired, renewal, robot);
    status.previous = plan.previous.and_then(|slot| observed.robot(slot)).map(|previous| PreviousRobot {
        id: previous.id,
        name: previous.name.clone(),
        creation_time: previous.creation_time,
        revocation_time: overlap::end(facts, previous, latest),
    });
    // Another robot is made only when the overlap that holds its slot is over.
    let slot_is_free = status.previous.as_ref().map(|previous| previous.revocation_time);
    status.renewal_time = renewal.map(|at| match (desired.strategy, slot_is_free) {
        (Strategy::Overlap, Some(free)) => at.max(free.whole_second()),
        _ => at,
    });
    if let Some(robot) = robot.filter(|_| plan.blocker.is_some()) {
        // What is in effect is what was in effect. The expiry is recorded as Harbor has it, so of one that somebody moved
        // nothing would tell any more but that the wish is not in effect.
        let moved = observed.lifetime_differs(desired, robot);
        status.expires_after.take_if(|wish| moved && *wish == desired.expires_after);
    } else if robot.is_some() {
        // Without a record of the wish that is in effect, the next pass sends the PUT that this one owes.
        status.expires_after = Some(desired.expires_after.clone()).filter(|_| !owes_update(facts));
        status.permissions = desired.permission_records();
        status.secret_refs = secret_refs(facts);
    } else {
        status.permissions.clear();
        status.expires_after = None;
    }
    let handled = handled(facts);
    status.handled_refresh = handled.refresh;
    status.handled_revoke = handled.revoke;
}

/// Where our Secrets are.
fn secret_refs(facts: &Facts<'_>) -> Vec<SecretRecord> {
    let copies = facts.spread.unwrap_or_default().iter();
    let ours = copies.filter(|row| row.problem.as_ref().is_none_or(|problem| problem.behind));
    let mut namespaces: Vec<&str> = ours.map(|row| row.name.as_str()).collect();
    // One pass that did not look keeps what is known.
    if facts.spread.is_none() {
        namespaces.extend(facts.status.secret_refs.iter().map(|known| known.namespace.as_str()));
    }
    namespaces.retain(|name| *name != facts.namespace);
    namespaces.insert(0, facts.namespace);
    namespaces.truncate(spread::SECRETS_TOLD);
    let name = &facts.desired.secret.name;
    namespaces
        .into_iter()
        .map(|namespace| SecretRecord { namespace: namespace.to_owned(), name: name.to_string() })
        .collect()
}

/// The plan was cut off, and a PUT to the published robot was, or may have been, among the steps that it did not reach.
fn owes_update(facts: &Facts<'_>) -> bool {
    let Facts { plan, outcome, .. } = facts;
    let cut_off = outcome.failure.is_some() || outcome.interrupted;
    cut_off && plan.steps.iter().any(|step| matches!(step, Step::Update(target, _) if plan.current == Some(*target)))
}

/// Keeps the recorded value while both mean "never updated", so that nothing is written for a millisecond.
fn settled_update_time(known: Option<RegistryTime>, robot: &Robot) -> RegistryTime {
    known.filter(|&known| is_same_update(known, robot)).unwrap_or(robot.update_time)
}

fn handled(facts: &Facts<'_>) -> Tokens {
    let before = &facts.observed.recorded.handled;
    let wished = &facts.desired.tokens;
    let restored = facts.observed.recorded.current.is_none() && facts.outcome.robot.is_some();
    // A token seen while status is empty (a restore) is recorded, not acted on.
    let all = facts.outcome.published || restored;
    // One that was taken away stays served.
    let handled = |of: fn(&Tokens) -> &Option<String>| {
        let in_secret = || facts.observed.secret.handled().is_some_and(|tokens| of(tokens) == of(wished));
        let wish = of(wished).as_ref().filter(|_| all || in_secret());
        wish.or(of(before).as_ref()).cloned()
    };
    Tokens { refresh: handled(|tokens| &tokens.refresh), revoke: handled(|tokens| &tokens.revoke) }
}

/// Status as the next pass will read it.
pub fn recorded(status: &AccountStatus) -> Recorded {
    let reference = |id, name: &String, creation_time| RobotRef { id, name: name.clone(), creation_time };
    Recorded {
        current: status.robot.as_ref().map(|robot| RobotRecord {
            robot: reference(robot.id, &robot.name, robot.creation_time),
            update_time: robot.update_time,
            checksum: robot.credential_checksum.as_deref().and_then(Checksum::read),
            expiration_time: robot.expiration_time,
        }),
        previous: status.previous.as_ref().map(|robot| PreviousRecord {
            robot: reference(robot.id, &robot.name, robot.creation_time),
            revocation_time: robot.revocation_time,
        }),
        handled: Tokens { refresh: status.handled_refresh.clone(), revoke: status.handled_revoke.clone() },
        expires_after: status.expires_after.clone(),
        last_rotation: status.last_rotation_time,
    }
}

fn verdicts(facts: &Facts<'_>, status: &AccountStatus) -> Vec<Verdict> {
    let Facts { desired, plan, outcome, observed, .. } = facts;
    let failure = match (&outcome.failure, plan.blocker) {
        (Some(failure), _) => failure.clone(),
        (None, Some(blocker)) => {
            let (reason, message) = blocked::told(facts, blocker);
            Failure { reason, message, permanent: blocker != Blocker::RepairsPaused }
        }
        (None, None) => return settled_verdicts(facts, status),
    };
    let situation = observed.situation(desired);
    let works = if plan.blocker == Some(Blocker::NotPermitted) {
        false
    } else if outcome.published {
        desired.enabled
    } else if observed.unreachable {
        let robot = facts.status.robot.as_ref();
        let alive = robot.is_some_and(|robot| robot.expiration_time.is_none_or(|expiry| expiry > observed.now));
        alive && conditions::is_true(&facts.status.conditions, kinds::READY)
    } else {
        // A plan that was cut off leaves the published credential as it was found.
        situation.credential_works()
    };
    let off = !desired.enabled && !observed.unreachable && situation.is_switched_off();
    let mut verdicts = vec![if works {
        Verdict::new(kinds::READY, State::True, "Published", published(facts, status))
    } else if off && plan.blocker != Some(Blocker::NotPermitted) {
        disabled()
    } else {
        Verdict::new(kinds::READY, State::False, failure.reason, failure.message.clone())
    }];
    verdicts.extend(out_of_sync(&failure, facts.status, facts.generation));
    verdicts.push(overdue(status, desired.enabled, facts.now));
    verdicts
}

/// What every failure says, whatever becomes of Ready. `status` = the account's before.
fn out_of_sync(failure: &Failure, status: &AccountStatus, generation: Option<i64>) -> [Verdict; 3] {
    let Failure { reason, message, permanent } = failure;
    let is = |kind, state| Verdict::new(kind, state, reason, message.clone());
    let applied = conditions::is_applied(&status.conditions, generation);
    let (stalled, reconciling) = match (*permanent, applied) {
        (true, _) => (is(kinds::STALLED, State::True), Verdict::absent(kinds::RECONCILING)),
        (false, false) => (Verdict::absent(kinds::STALLED), is(kinds::RECONCILING, State::True)),
        (false, true) => (Verdict::absent(kinds::STALLED), Verdict::absent(kinds::RECONCILING)),
    };
    [is(kinds::SYNCED, State::False), stalled, reconciling]
}

fn disabled() -> Verdict {
    Verdict::new(kinds::READY, State::True, "Disabled", "the account is disabled, as spec.disabled asks for")
}

fn settled_verdicts(facts: &Facts<'_>, status: &AccountStatus) -> Vec<Verdict> {
    let Facts { desired, plan, .. } = facts;
    let notes = [facts.outcome.notes.clone(), notes::of(facts, status)].concat();
    let ready = if !desired.enabled {
        disabled()
    } else if plan.ready {
        Verdict::new(kinds::READY, State::True, "Published", published(facts, status))
    } else {
        Verdict::new(kinds::READY, State::False, "Progressing", "a working credential is not published yet")
    };
    let (synced, stalled) = match &facts.outcome.undone {
        Some(Failure { reason, message, .. }) => (
            Verdict::new(kinds::SYNCED, State::False, reason, message.clone()),
            Verdict::new(kinds::STALLED, State::True, reason, message.clone()),
        ),
        None if notes.is_empty() => (
            Verdict::new(kinds::SYNCED, State::True, "InSync", "Harbor and the Secret are as the spec asks for"),
            Verdict::absent(kinds::STALLED),
        ),
        None => (Verdict::new(kinds::SYNCED, State::True, "InSync", notes.join("; ")), Verdict::absent(kinds::STALLED)),
    };
    let reconciling = if desired.enabled && !plan.ready {
        Verdict::new(kinds::RECONCILING, State::True, "Progressing", "a working credential is not published yet")
    } else {
        Verdict::absent(kinds::RECONCILING)
    };
    vec![ready, synced, reconciling, stalled, overdue(status, desired.enabled, facts.now)]
}

fn published(facts: &Facts<'_>, status: &AccountStatus) -> String {
    let login = status.robot.as_ref().map_or("the robot", |robot| robot.name.as_str());
    format!("Secret {} holds a working credential of {login}", facts.desired.secret.name)
}

/// When the renewal that status names is overdue (registry time).
pub fn overdue_from(status: &AccountStatus) -> Option<RegistryTime> {
    status.renewal_time.map(|at| at + OVERDUE_AFTER)
}

/// The condition `RenewalOverdue` at `now` (registry time).
pub fn overdue(status: &AccountStatus, enabled: bool, now: RegistryTime) -> Verdict {
    let late = overdue_from(status).is_some_and(|at| at <= now);
    if late && enabled {
        let message = "the credential should have been renewed over an hour ago; see Synced for what is in the way";
        Verdict::new(kinds::RENEWAL_OVERDUE, State::True, "RenewalOverdue", message)
    } else {
        Verdict::absent(kinds::RENEWAL_OVERDUE)
    }
}

/// The earliest of: renewal, an hour after it, end of the overlap, expiry, a refresh that came too early. A moment that
/// has passed was acted upon by this pass or is held up by something that time does not cure; only an overlap that
/// ended meanwhile is due at once.
fn wake(facts: &Facts<'_>, status: &AccountStatus) -> Option<RegistryTime> {
    let Facts { desired, observed, plan, .. } = facts;
    let renewal = status.renewal_time;
    let overdue = renewal.map(|at| at + OVERDUE_AFTER);
    let expiry = status.robot.as_ref().and_then(|robot| robot.expiration_time);
    let timers =
        [renewal, overdue, expiry, observed.refresh_allowed_at(desired)].into_iter().filter(|_| desired.enabled);
    let overlap_end = status.previous.as_ref().map(|previous| previous.revocation_time);
    // What is held back now has a moment of its own.
    let held = matches!(plan.blocker, Some(Blocker::NotPermitted | Blocker::RepairsPaused));
    let made = facts.outcome.robot.as_ref().map(|robot| robot.creation_time);
    let at_once = overlap_end.zip(made).is_some_and(|(end, made)| end <= made);
    let ends_now = overlap_end.filter(|_| plan.previous.is_some() && !held && (at_once || !observed.behind));
    let later = timers.chain([overlap_end]).flatten().filter(|&at| at > observed.now);
    later.chain(ends_now).min()
}

mod blocked;
mod notes;
mod overlap;
mod unread;

#[cfg(test)]
mod tests;
