//! A bounded, exhaustive search that runs the shipped [`plan`] against a small world: one account with its two slots,
//! Secret, status, finalizer and grant, and everything that people, time, other programs, crashes, lost answers, lagging
//! reads and a former leader can do to it, in any order.
//!
//! Rules: **b1** the published credential works unless something outside explains it; **b2** the operator never kills
//! the published credential while it works; **b3** the previous credential is never revoked before its overlap ended;
//! **b4** the only working credential is never retired; **c** only robots of ours are touched; **d** from every state
//! undisturbed passes come to rest at what the spec asks for, Ready says what is true, and each pass but the first has a
//! cause; **e** no call is made that is known to be in vain; **f** one rotation per token; **g** when the finalizer is
//! gone, so are the robots.
//!
//! Declared, each beside the rule that it bends:
//! - b2, b3: what the user asked for (disable, delete, a grant withdrawn), a stranger in the other slot, and the gap that
//!   `InPlace` means, whose PATCH also ends what an overlap promised for that robot before the strategy was changed
//!   (`judge_loss`);
//! - b2, b3: a robot that a person or a backup brings back to life between the list that showed it dead and its DELETE,
//!   since Harbor's DELETE takes no condition (`judge_loss`);
//! - b1, b2: double faults, since nothing on record tells them from a rotation that was cut off: the Secret goes (deleted,
//!   forged, replaced) while status does not name its robot, or status goes while the Secret does not (`declare`); a new
//!   robot vanishes before it is published over the only record of the former (`publish`); Harbor is restored to before
//!   every robot on record (`forget_what_no_record_names`);
//! - b3: a triple fault: two rotations in a row are cut off between Secret and status, and Harbor is restored to before
//!   the second: the robot of the first then looks like a rotation that was cut off before its Secret
//!   (`forget_what_no_record_names`);
//! - b1, b2: two leaders that write to one robot at once, in place (`refresh`, `update`);
//! - d: of a robot whose mark was erased while no status named it nobody knows that it is ours (`ready_is_true`, `goal`);
//!   an own password and a login that may not update: nothing is repaired until a person chooses (`goal`);
//! - g: Harbor restored after the last list of an account that is being deleted: its robots come back as orphans
//!   (`check`).
//!
//! A read that lags (`Kind::Stale`) may show the Secret or the account as it was at any earlier moment; what is then
//! written to it is refused. The Secret may even lag behind our own writes. The account may not: an operator knows the
//! version that it left and reads again what is older; and whatever a plan destroys on the word of an event is looked at
//! again first. Else a status from before the last write together with a deleted Secret would look like the double fault
//! above.
//!
//! Left out: ids that run again after a restore within one pass (between two passes a robot is told by id and creation
//! time, which `Named` stands for); a PUT of somebody else that takes back our PATCH, which to us is a robot re-secreted
//! by hand; several namespaces.

mod deep_tests;
mod events;
mod names;
mod operator;
mod pass;
mod search;
mod settle;
mod steps;
mod trace;
mod view;
mod world;
mod wrong_plans;

use super::contest;
use super::pace;
use super::plan::{Plan, Situation, plan};
use events::{Event, Kind};
use search::{Report, explore};

/// The world to explore and the plan to explore it with.
#[derive(Clone, Copy)]
struct Config {
    plan: fn(&Situation) -> Plan,
    /// The plan while others keep changing the Secret.
    back_off: fn(&Situation) -> Plan,
    /// The plan while repairs are paused.
    hold: fn(&Situation) -> Plan,
    may_update: bool,
    in_place: bool,
    /// The account wishes its own password from the start.
    own: bool,
    retain: bool,
    adopt: bool,
    /// A robot without a mark is in the first slot at the start.
    unmarked: bool,
    /// Tokens are revoke tokens.
    revoke: bool,
    /// A POST may commit after its client gave up.
    late_posts: bool,
    /// A second operator takes over at any moment, and the first goes on with what it had planned.
    old_leader: bool,
    events: u8,
    /// What can happen besides `Kind::Core`.
    also: &'static [Kind],
    limit: usize,
}

impl Config {
    fn allows(&self, event: Event) -> bool {
        event.kind() == Kind::Core || self.also.contains(&event.kind())
    }
}

const BASE: Config = Config {
    plan,
    back_off: contest::back_off,
    hold: |x| pace::defer(x, pace::Kind::Repair),
    may_update: true,
    in_place: false,
    own: false,
    retain: false,
    adopt: false,
    unmarked: false,
    revoke: false,
    late_posts: false,
    old_leader: false,
    events: 3,
    also: &[],
    limit: usize::MAX,
};

fn run(name: &str, config: &Config) -> Report {
    let report = explore(config);
    let (states, transitions) = (report.states, report.transitions);
    let whole = if report.complete { "" } else { ", cut off" };
    println!("{name}: {states} states, {transitions} transitions{whole}");
    report
}

/// Everything that is explored.
fn configurations() -> Vec<(String, Config)> {
    let mut all = Vec::new();
    for (may_update, in_place) in [(true, false), (true, true), (false, false), (false, true)] {
        let base = Config { may_update, in_place, ..BASE };
        let mut add = |what: &str, config| {
            all.push((format!("may_update={may_update} in_place={in_place} {what}"), config));
        };
        add("", Config { ..base });
        add("late posts", Config { late_posts: true, ..base });
        add("retain", Config { retain: true, ..base });
        add("adopt", Config { adopt: true, unmarked: true, ..base });
        add("unmarked", Config { unmarked: true, ..base });
        add("revoke", Config { revoke: true, ..base });
        add("login rights come and go", Config { also: &[Kind::LoginRights], ..base });
        add("strategy changes", Config { also: &[Kind::Strategy], ..base });
        add("own password", Config { own: true, also: &[Kind::Own], ..base });
        add("own password comes", Config { also: &[Kind::Own, Kind::Strategy], ..base });
        add("own password, login rights", Config { own: true, also: &[Kind::Own, Kind::LoginRights], ..base });
        add("own password, late posts", Config { own: true, late_posts: true, also: &[Kind::Own], ..base });
        add("marks are erased", Config { also: &[Kind::Mark], ..base });
        add("the Secret is fought over", Config { also: &[Kind::Secret], ..base });
        add("stale reads", Config { also: &[Kind::Stale], ..base });
        add("Harbor is restored", Config { also: &[Kind::Restore], ..base });
        add("former leader", Config { old_leader: true, ..base });
        add("former leader, own password", Config { own: true, old_leader: true, also: &[Kind::Own], ..base });
        add("former leader, stale reads", Config { old_leader: true, also: &[Kind::Stale, Kind::Strategy], ..base });
    }
    all
}

/// Every configuration of a login and a strategy; one test for each, so that they run side by side.
fn every_rule_holds_for(may_update: bool, in_place: bool) {
    let these = |config: &Config| (config.may_update, config.in_place) == (may_update, in_place);
    for (name, config) in configurations().into_iter().filter(|(_, config)| these(config)) {
        let events = match config.also {
            // A former leader squares the states; with one event more they are part of the deep search.
            [_, ..] if config.old_leader => 1,
            // A backup, a new secret, and the backup is restored.
            [Kind::Restore] if config.in_place => 3,
            _ => 2,
        };
        let report = run(&name, &Config { events, ..config });
        assert!(report.violation.is_none(), "{name}\n{}", report.violation.unwrap_or_default());
        assert!(report.complete, "{name} was cut off");
    }
}

#[test]
fn every_rule_holds_with_overlap_and_a_login_that_may_update() {
    every_rule_holds_for(true, false);
}

#[test]
fn every_rule_holds_in_place_and_with_a_login_that_may_update() {
    every_rule_holds_for(true, true);
}

#[test]
fn every_rule_holds_with_overlap_and_a_login_that_may_not_update() {
    every_rule_holds_for(false, false);
}

#[test]
fn every_rule_holds_in_place_and_with_a_login_that_may_not_update() {
    every_rule_holds_for(false, true);
}
