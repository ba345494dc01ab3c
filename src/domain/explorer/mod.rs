//! A bounded, exhaustive search that runs the shipped [`plan`] against a small world: one account with its two slots,
//! Secret, status, finalizer and grant, and everything that people, time, other programs, crashes, lost answers and a
//! former leader can do to it, in any order.
//!
//! Rules: **b1** the published credential works unless something outside explains it; **b2** the operator never kills
//! the published credential while it works; **b3** the previous credential is never revoked before its overlap ended;
//! **b4** the only working credential is never retired; **c** only robots of ours are touched; **d** from every state
//! undisturbed passes come to rest at what the spec asks for, and each pass but the first has a cause; **f** one
//! rotation per token; **g** when the finalizer is gone, so are the robots.

mod events;
mod pass;
mod search;
mod settle;
mod world;

use super::plan::{Plan, Recorded, Situation, Step, plan};
use events::Event;
use search::{Report, explore};

/// The world to explore and the plan to explore it with.
#[derive(Clone, Copy)]
struct Config {
    plan: fn(&Situation) -> Plan,
    may_update: bool,
    in_place: bool,
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
    events_allowed: fn(Event) -> bool,
    limit: usize,
}

const BASE: Config = Config {
    plan,
    may_update: true,
    in_place: false,
    retain: false,
    adopt: false,
    unmarked: false,
    revoke: false,
    late_posts: false,
    old_leader: false,
    events: 3,
    events_allowed: |event| event != Event::ToggleLoginRights,
    limit: usize::MAX,
};

fn run(name: &str, config: &Config) -> Report {
    let report = explore(config);
    let (states, transitions) = (report.states, report.transitions);
    println!("{name}: {states} states, {transitions} transitions");
    report
}

#[track_caller]
fn holds(name: &str, config: &Config) {
    let report = run(name, config);
    assert!(report.violation.is_none(), "{name}\n{}", report.violation.unwrap_or_default());
    assert!(report.complete, "{name} was cut off");
}

/// Everything that is explored, with its number of events.
fn configurations(events: u8) -> Vec<(String, Config)> {
    let mut all = Vec::new();
    for may_update in [true, false] {
        for in_place in [false, true] {
            let base = Config { may_update, in_place, events, ..BASE };
            let mut add = |what: &str, config| {
                all.push((format!("may_update={may_update} in_place={in_place} {what}"), config));
            };
            add("", Config { ..base });
            add("late posts", Config { late_posts: true, ..base });
            add("retain", Config { retain: true, ..base });
            add("adopt", Config { adopt: true, unmarked: true, ..base });
            add("unmarked", Config { unmarked: true, ..base });
            add("revoke", Config { revoke: true, ..base });
            add("login rights come and go", Config { events_allowed: |_| true, ..base });
            add("former leader", Config { old_leader: true, ..base });
        }
    }
    all
}

/// Two events, in every configuration; one test for each kind of login, so that they run side by side.
fn every_rule_holds_for(may_update: bool) {
    for (name, config) in configurations(2).into_iter().filter(|(_, config)| config.may_update == may_update) {
        holds(&name, &config);
    }
}

#[test]
fn every_rule_holds_with_a_login_that_may_update() {
    every_rule_holds_for(true);
}

#[test]
fn every_rule_holds_with_a_login_that_may_not_update() {
    every_rule_holds_for(false);
}

#[test]
#[ignore = "ten minutes and 4 GB with --release"]
fn every_rule_holds_whatever_happens_four_times() {
    let mut states = 0;
    for (name, config) in configurations(4) {
        let events = if config.old_leader { 3 } else { 4 };
        let report = run(&name, &Config { events, limit: 12_000_000, ..config });
        assert!(report.violation.is_none(), "{name}\n{}", report.violation.unwrap_or_default());
        states += report.states;
    }
    println!("{states} states");
}

/// A plan that breaks one rule on purpose must be caught; gives the trace.
#[track_caller]
fn caught(wrong: fn(&Situation) -> Plan, config: Config, rule: &str) -> String {
    let violation = run(rule, &Config { plan: wrong, ..config }).violation.expect("a wrong plan is caught");
    println!("{violation}");
    assert!(violation.contains(rule), "{violation}");
    violation
}

#[test]
fn a_plan_that_does_not_wait_for_the_end_of_an_overlap_is_caught() {
    let hasty = |x: &Situation| {
        let plan = plan(&Situation { recorded: Recorded { overlap_ended: true, ..x.recorded }, ..*x });
        Plan { look_again: true, ..plan }
    };
    caught(hasty, Config { events: 1, ..BASE }, "b3");
}

#[test]
fn a_plan_that_trusts_a_list_while_a_post_may_still_commit_is_caught() {
    let impatient = |x: &Situation| plan(&Situation { unsettled: false, ..*x });
    caught(impatient, Config { events: 1, late_posts: true, ..BASE }, "g");
}

#[test]
fn a_plan_that_does_not_fence_off_a_former_leader_is_caught() {
    let open = |x: &Situation| {
        let mut plan = plan(x);
        plan.steps.retain(|step| *step != Step::Fence);
        plan
    };
    caught(open, Config { events: 2, old_leader: true, may_update: false, ..BASE }, "b");
}

#[test]
fn a_plan_that_leaves_work_without_a_cause_for_another_pass_is_caught() {
    let silent = |x: &Situation| Plan { look_again: false, ..plan(x) };
    caught(silent, Config { events: 1, ..BASE }, "nothing calls for");
}
