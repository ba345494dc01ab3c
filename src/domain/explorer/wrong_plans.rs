//! Shows that the search bites: each plan here breaks a rule on purpose and is caught with a shortest trace.

use super::{BASE, Config, Kind, run};
use crate::domain::plan::{
    Age, CustomPassword, Holder, Named, Permit, Plan, Recorded, SecretView, Situation, SlotView, Step, Strategy,
    Target, plan,
};

#[track_caller]
fn caught(wrong: fn(&Situation) -> Plan, config: Config, rule: &str) {
    let violation = run(rule, &Config { plan: wrong, ..config }).violation.expect("a wrong plan is caught");
    println!("{violation}");
    assert!(violation.contains(rule), "{violation}");
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
fn a_plan_that_ends_an_overlap_since_the_strategy_was_changed_is_caught() {
    let tidy = |x: &Situation| {
        let ended = x.strategy == Strategy::InPlace || x.recorded.overlap_ended;
        let plan = plan(&Situation { recorded: Recorded { overlap_ended: ended, ..x.recorded }, ..*x });
        Plan { look_again: true, ..plan }
    };
    caught(tidy, Config { events: 2, also: &[Kind::Strategy], ..BASE }, "b3");
}

#[test]
fn a_plan_that_trusts_a_list_while_a_post_may_still_commit_is_caught() {
    let impatient = |x: &Situation| plan(&Situation { unsettled: false, ..*x });
    caught(impatient, Config { events: 1, late_posts: true, ..BASE }, "g");
}

fn open(x: &Situation) -> Plan {
    let mut plan = plan(x);
    plan.steps.retain(|step| *step != Step::Fence);
    plan
}

#[test]
fn a_plan_that_does_not_fence_off_a_former_leader_is_caught() {
    caught(open, Config { events: 2, old_leader: true, may_update: false, ..BASE }, "b");
}

#[test]
fn a_plan_that_deletes_on_the_word_of_a_stale_secret_is_caught() {
    caught(open, Config { events: 3, also: &[Kind::Stale], ..BASE }, "b");
}

#[test]
fn a_plan_that_leaves_work_without_a_cause_for_another_pass_is_caught() {
    let silent = |x: &Situation| Plan { look_again: false, ..plan(x) };
    caught(silent, Config { events: 1, ..BASE }, "nothing calls for");
}

#[test]
fn a_plan_that_believes_status_more_than_the_secret_is_caught() {
    let forgetful = |x: &Situation| {
        let SecretView::Ours { intact, current_form, .. } = x.secret else { return plan(x) };
        let names = x.recorded.current;
        plan(&Situation { secret: SecretView::Ours { names, intact, current_form }, ..*x })
    };
    caught(forgetful, Config { events: 2, ..BASE }, "b");
}

#[test]
fn a_plan_that_trusts_remembered_ids_after_a_restore_of_harbor_is_caught() {
    let trusting = |x: &Situation| {
        let same_id = |named: Named| match named {
            Named::Gone(slot) if x.slots[slot.index()].is_some() => Named::Alive(slot),
            other => other,
        };
        let current = same_id(x.recorded.current);
        let untouched = x.recorded.untouched || current != x.recorded.current;
        let secret = match x.secret {
            SecretView::Ours { names, intact, current_form } => {
                SecretView::Ours { names: same_id(names), intact, current_form }
            }
            other => other,
        };
        plan(&Situation { secret, recorded: Recorded { current, untouched, ..x.recorded }, ..*x })
    };
    caught(trusting, Config { events: 3, also: &[Kind::Restore], ..BASE }, "d: settled, but");
}

#[test]
fn a_plan_that_publishes_before_the_own_password_is_set_is_caught() {
    let eager = |x: &Situation| {
        let mut plan = plan(x);
        let set = |step: &Step| *step == Step::Refresh(Target::New);
        if let Some(at) = plan.steps.iter().position(set) {
            let step = plan.steps.remove(at);
            plan.steps.push(step);
        }
        plan
    };
    caught(eager, Config { events: 0, own: true, ..BASE }, "b2");
}

#[test]
fn a_plan_that_patches_before_it_asks_whether_the_login_may_is_caught() {
    let bold = |x: &Situation| plan(&Situation { may_update: true, ..*x });
    let own = Config { events: 0, own: true, may_update: false, ..BASE };
    caught(bold, own, "e: a robot is made although");
    caught(bold, Config { events: 1, own: false, in_place: true, ..own }, "e: PUT or PATCH");
}

#[test]
fn a_plan_that_forgets_a_changed_own_password_is_caught() {
    let deaf = |x: &Situation| match x.own {
        CustomPassword::Differs if x.current().is_some() => plan(&Situation { own: CustomPassword::Published, ..*x }),
        _ => plan(x),
    };
    caught(deaf, Config { events: 1, own: true, also: &[Kind::Own], ..BASE }, "the own password is not published");
}

#[test]
fn a_plan_that_takes_a_secret_of_others_for_none_is_caught() {
    let greedy = |x: &Situation| match x.secret {
        SecretView::Foreign => plan(&Situation { secret: SecretView::Absent, ..*x }),
        _ => plan(x),
    };
    caught(greedy, Config { events: 1, also: &[Kind::Secret], ..BASE }, "c: a Secret of others");
}

#[test]
fn a_plan_that_takes_whatever_is_in_its_slot_for_its_own_is_caught() {
    let grasping = |x: &Situation| {
        let ours = |robot: SlotView| SlotView { holder: Holder::Ours, ..robot };
        plan(&Situation { slots: x.slots.map(|robot| robot.map(ours)), ..*x })
    };
    caught(grasping, Config { events: 1, ..BASE }, "c: DELETE");
}

#[test]
fn a_plan_that_never_renews_is_caught() {
    let ageless = |x: &Situation| {
        let young =
            |robot: SlotView| SlotView { age: if robot.age == Age::Due { Age::Fresh } else { robot.age }, ..robot };
        plan(&Situation { slots: x.slots.map(|robot| robot.map(young)), ..*x })
    };
    caught(ageless, Config { events: 1, ..BASE }, "the renewal was forgotten");
}

#[test]
fn a_plan_that_says_ready_while_a_grant_lapses_is_caught() {
    let lenient = |x: &Situation| match x.permit {
        Permit::Lapsing => Plan { blocker: None, ready: true, ..plan(x) },
        _ => plan(x),
    };
    caught(lenient, Config { events: 1, ..BASE }, "Ready is not what is true");
}
