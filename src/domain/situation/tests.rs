use super::*;
use crate::domain::fixtures::{
    View, at, days, desired, others_mark, predecessors_mark, project, record, refresh, revoke, robot, secret_of,
};
use crate::domain::plan::Strategy;

fn seconds(count: i64) -> SignedDuration {
    SignedDuration::from_secs(count)
}

fn holder_in(view: &View) -> Holder {
    view.situation(&desired()).slots[0].unwrap().holder
}

#[test]
fn an_account_at_rest_has_nothing_to_do() {
    let x = View::settled().situation(&desired());
    assert_eq!(x.current(), Some(Slot::A));
    let robot = x.slots[0].unwrap();
    assert!(robot.holder == Holder::Ours && !robot.differs && !robot.exceeds && !robot.disabled);
    assert_eq!(robot.age, Age::Fresh);
    assert!(x.recorded.untouched && !x.token && !x.revoke && !x.wants_login() && x.credential_works());
    assert_eq!(x.strategy, Strategy::Overlap);
    assert_eq!(plan::plan(&x).steps, []);
}

#[test]
fn a_robot_is_ours_by_mark_by_our_former_life_or_by_status() {
    let with = |description: &str, recorded: bool| {
        let mut view = View::settled();
        view.first().description = description.to_owned();
        if !recorded {
            view.recorded = Recorded::default();
        }
        view
    };
    assert_eq!(holder_in(&with(&desired().description(), false)), Holder::Ours);
    assert_eq!(holder_in(&with(&predecessors_mark(), false)), Holder::Ours);
    assert_eq!(holder_in(&with("edited by a person", true)), Holder::Ours);
    assert_eq!(holder_in(&with("edited by a person", false)), Holder::Unmarked);
    // Whoever may write status may put any robot on record: without a mark it is ours only if it was seen with one.
    let unknown = View { known: [false; 2], ..with("edited by a person", true) };
    assert_eq!(holder_in(&unknown), Holder::Unmarked);
    assert_eq!(holder_in(&View { known: [false; 2], ..with(&desired().description(), true) }), Holder::Ours);
    assert_eq!(holder_in(&with(&others_mark(), true)), Holder::Stranger);
    assert_eq!(holder_in(&with("[harbor-robots.io/v2 new format]", true)), Holder::Stranger);
}

#[test]
fn a_mark_that_was_edited_away_is_put_back_and_a_predecessors_is_rewritten() {
    for description in ["edited by a person".to_owned(), predecessors_mark()] {
        let mut view = View::settled();
        view.first().description = description;
        assert!(view.situation(&desired()).slots[0].unwrap().differs);
    }
}

#[test]
fn a_robot_of_another_level_or_project_or_of_an_old_harbor_is_a_stranger() {
    let mut elsewhere = View::settled();
    elsewhere.first().home = super::super::robot::Home::Project("team-b".into());
    assert_eq!(holder_in(&elsewhere), Holder::Stranger);
    let mut system = View::settled();
    system.first().home = super::super::robot::Home::System;
    assert_eq!(holder_in(&system), Holder::Stranger);
    let mut legacy = View::settled();
    legacy.first().editable = false;
    legacy.first().id += 1;
    legacy.first().description = String::new();
    assert_eq!(holder_in(&legacy), Holder::Stranger, "Harbor does not edit it, so it cannot be adopted");
}

#[test]
fn a_robot_of_ours_that_lost_its_secret_in_harbor_can_never_log_in_again() {
    let mut view = View::settled();
    view.first().editable = false;
    let robot = view.situation(&desired()).slots[0].unwrap();
    assert_eq!((robot.holder, robot.age), (Holder::Ours, Age::Expired));
}

#[test]
fn a_record_names_a_robot_by_id_and_creation_time_together() {
    let mut view = View::settled();
    view.first().creation_time = at(1);
    let x = view.situation(&desired());
    assert_eq!((x.recorded.current, x.current()), (Named::Gone(Slot::A), None));
    assert_eq!(x.secret, SecretView::Ours { names: Named::Gone(Slot::A), intact: true, current_form: true });
    let mut other_id = View::settled();
    other_id.first().id += 1;
    assert_eq!(other_id.situation(&desired()).recorded.current, Named::Gone(Slot::A));
}

#[test]
fn a_robot_that_is_gone_is_remembered_by_its_slot() {
    let mut view = View::in_overlap();
    view.robots[1] = None;
    let x = view.situation(&desired());
    assert_eq!((x.recorded.current, x.recorded.previous), (Named::Gone(Slot::B), Named::Alive(Slot::A)));
}

#[test]
fn the_newer_robot_is_the_one_made_later_then_the_one_with_the_larger_id() {
    let view = View::in_overlap();
    assert!(view.situation(&desired()).second_is_newer);
    let mut restored = view.clone();
    restored.robots[1].as_mut().unwrap().id = 1;
    assert!(restored.situation(&desired()).second_is_newer, "ids run back when a Harbor is restored");
    let mut same = view;
    same.robots[1].as_mut().unwrap().creation_time = at(0);
    assert!(same.situation(&desired()).second_is_newer);
    same.robots[1].as_mut().unwrap().id = 1;
    assert!(!same.situation(&desired()).second_is_newer);
}

#[test]
fn permissions_are_compared_as_sets_and_an_effect_of_others_differs() {
    let view = |change: fn(&mut Robot)| {
        let mut view = View::settled();
        change(view.first());
        view.situation(&desired()).slots[0].unwrap()
    };
    let fewer = view(|robot| robot.permissions = project(&["repository:pull"]));
    assert!(fewer.differs && !fewer.exceeds);
    let more = view(|robot| robot.permissions = project(&["repository:pull", "repository:push", "tag:create"]));
    assert!(more.differs && more.exceeds);
    let elsewhere = view(|robot| {
        let access = robot.permissions.values().next().unwrap().clone();
        robot.permissions.insert(super::super::robot::Scope::AllProjects, access);
    });
    assert!(elsewhere.differs && elsewhere.exceeds);
    assert!(view(|robot| robot.foreign_effect = true).differs);
    let off = view(|robot| robot.disabled = true);
    assert!(!off.differs && off.disabled);
}

#[test]
fn a_lifetime_differs_by_wish_or_by_a_moved_expiry() {
    let differs =
        |view: &View, wish: &Desired| view.observed().lifetime_differs(wish, view.robots[0].as_ref().unwrap());
    let wish = |text: &str, lifetime| Desired { expires_after: text.into(), lifetime, ..desired() };
    let view = View::settled();
    assert!(!differs(&view, &desired()));
    assert!(differs(&view, &wish("60d", Lifetime::Days(60))));
    assert!(differs(&view, &wish("10d", Lifetime::Days(10))));
    assert!(differs(&view, &wish("Never", Lifetime::Never)));
    let mut moved = view.clone();
    moved.first().expiration_time = Some(at(days(31)));
    assert!(differs(&moved, &desired()));
    moved.first().expiration_time = Some(at(days(30) + 1));
    assert!(!differs(&moved, &desired()), "Harbor's own rounding");
    let mut for_ever = view.clone();
    for_ever.first().expiration_time = None;
    assert!(differs(&for_ever, &desired()) && !differs(&for_ever, &wish("Never", Lifetime::Never)));
}

#[test]
fn a_lifetime_that_was_renewed_in_place_stays_as_wished() {
    // Harbor counts from creation: 20 days old and renewed for 30 makes a duration of 50.
    let mut view = View::settled();
    view.now = at(days(20));
    view.first().lifetime = Lifetime::Days(50);
    view.first().expiration_time = Some(at(days(50)));
    view.recorded.current = Some(record(view.robots[0].as_ref().unwrap()));
    let robot = view.robots[0].clone().unwrap();
    assert!(!view.observed().lifetime_differs(&desired(), &robot));
    view.recorded = Recorded::default();
    assert!(!view.observed().lifetime_differs(&desired(), &robot), "status wiped: longer than wished is no reason");
    view.first().lifetime = Lifetime::Days(10);
    let shorter = view.robots[0].clone().unwrap();
    assert!(view.observed().lifetime_differs(&desired(), &shorter));
}

#[test]
fn a_robot_is_due_between_its_renewal_time_and_its_expiry() {
    let age = |now| View { now, ..View::settled() }.situation(&desired()).slots[0].unwrap().age;
    let due = View::settled().observed().renewal_time(&desired(), &robot(Slot::A, 0)).unwrap();
    assert!(due >= at(days(20)) && due <= at(days(20) + days(10) / 3));
    assert_eq!((age(due - seconds(1)), age(due)), (Age::Fresh, Age::Due));
    assert_eq!((age(at(days(30)) - seconds(1)), age(at(days(30)))), (Age::Due, Age::Expired));
}

#[test]
fn nobody_touched_a_robot_whose_update_time_is_the_recorded_one() {
    let untouched = |change: fn(&mut View)| {
        let mut view = View::settled();
        change(&mut view);
        view.situation(&desired()).recorded.untouched
    };
    assert!(untouched(|_| {}));
    assert!(untouched(|view| view.first().update_time = at(0) + SignedDuration::from_millis(10)));
    assert!(!untouched(|view| view.first().update_time = at(0) + SignedDuration::from_millis(11)));
    assert!(!untouched(|view| view.recorded.current.as_mut().unwrap().update_time = None));
    assert!(!untouched(|view| view.recorded.current.as_mut().unwrap().checksum = None));
    assert!(!untouched(|view| view.first().id += 1));
    let mut later = View::settled();
    later.first().update_time = at(5);
    later.recorded.current.as_mut().unwrap().update_time = Some(at(5));
    assert!(later.situation(&desired()).recorded.untouched);
    later.first().update_time = at(5) + SignedDuration::from_millis(1);
    assert!(!later.situation(&desired()).recorded.untouched);
}

#[test]
fn a_token_is_served_once_whether_the_secret_or_status_says_so() {
    let wish = Desired { tokens: refresh("t"), ..desired() };
    let token = |view: &View| view.situation(&wish).token;
    assert!(token(&View::settled()));
    assert!(token(&View::settled().served(refresh("older"))));
    assert!(!token(&View::settled().served(refresh("t"))));
    let mut recorded = View::settled();
    recorded.recorded.handled = refresh("t");
    assert!(!token(&recorded));
    recorded.secret = SecretSeen::Absent;
    assert!(!token(&recorded));
    assert!(!View::settled().situation(&desired()).token, "an absent annotation never rotates");
}

#[test]
fn a_token_seen_while_status_is_empty_is_not_acted_upon() {
    let restored = View { recorded: Recorded::default(), ..View::settled() };
    for tokens in [refresh("t"), revoke("t")] {
        let x = restored.situation(&Desired { tokens, ..desired() });
        assert!(!x.token && !x.revoke);
    }
}

#[test]
fn a_refresh_does_not_wait_for_a_clock_that_was_set_back_to_come_to_the_last_rotation_again() {
    let wish = Desired { tokens: refresh("t"), ..desired() };
    let mut view = View { now: at(-30), ..View::settled() };
    assert!(!view.situation(&wish).token, "two clocks are never quite the same");
    view.now = at(-3_600);
    assert!(view.situation(&wish).token);
    assert_eq!(view.observed().refresh_allowed_at(&wish), None);
}

#[test]
fn a_refresh_waits_until_the_last_rotation_is_a_minute_old_and_a_revoke_does_not() {
    let wish = |tokens| Desired { tokens, ..desired() };
    let mut view = View { now: at(59), ..View::settled() };
    assert!(!view.situation(&wish(refresh("t"))).token);
    assert_eq!(view.observed().refresh_allowed_at(&wish(refresh("t"))), Some(at(60)));
    assert_eq!(view.observed().refresh_allowed_at(&desired()), None);
    let revoked = view.situation(&wish(revoke("t")));
    assert!(revoked.token && revoked.revoke);
    view.now = at(60);
    assert!(view.situation(&wish(refresh("t"))).token);
    assert_eq!(view.observed().refresh_allowed_at(&wish(refresh("t"))), None);
    view.recorded.last_rotation = Some(at(30));
    assert!(!view.situation(&wish(refresh("t"))).token, "rotated in place");
    view.recorded.last_rotation = Some(at(-days(1)));
    assert!(view.situation(&wish(refresh("t"))).token);
}

#[test]
fn the_end_of_an_overlap_is_judged_in_registry_time() {
    let view = View::in_overlap();
    assert!(!view.situation(&desired()).recorded.overlap_ended);
    let end = at(1_002 + days(1));
    assert!(!View { now: end - seconds(1), ..view.clone() }.situation(&desired()).recorded.overlap_ended);
    assert!(View { now: end, ..view }.situation(&desired()).recorded.overlap_ended);
}

#[test]
fn a_recorded_previous_counts_only_while_status_names_the_other_robot() {
    let view = View::in_overlap();
    let old = view.robots[0].clone().unwrap();
    assert!(view.observed().recorded_previous(&old).is_some());
    assert!(view.observed().recorded_previous(&robot(Slot::A, 7)).is_none());
    let mut moved_on = view.clone();
    moved_on.robots[1] = Some(robot(Slot::B, 2_000));
    assert!(moved_on.observed().recorded_previous(&old).is_none());
    let mut itself = view;
    itself.recorded.current = Some(record(&old));
    assert!(itself.observed().recorded_previous(&old).is_none());
}

#[test]
fn adoption_needs_the_wish_and_the_grant() {
    let may = |adopt, granted| {
        View { may_adopt: granted, ..View::fresh() }.situation(&Desired { adopt, ..desired() }).may_adopt
    };
    assert!(may(true, true) && !may(true, false) && !may(false, true));
}

#[test]
fn what_stands_in_a_secret_of_others_is_not_read() {
    let view = View { secret: SecretSeen::Foreign, ..View::settled() };
    let x = view.situation(&desired());
    assert!(x.secret == SecretView::Foreign && !x.credential_works());
}

#[test]
fn a_credential_works_if_its_robot_lives_and_nobody_refused_it() {
    let works = |change: fn(&mut View)| {
        let mut view = View::settled();
        change(&mut view);
        view.situation(&desired()).credential_works()
    };
    assert!(works(|_| {}));
    assert!(works(|view| (view.first().update_time, view.login_works) = (at(9), Some(true))));
    assert!(!works(|view| (view.first().update_time, view.login_works) = (at(9), Some(false))));
    assert!(!works(|view| view.first().disabled = true));
    assert!(!works(|view| view.now = at(days(30))));
    assert!(!works(|view| view.robots[0] = None));
    assert!(!works(|view| view.secret = secret_of(&robot(Slot::B, 1))));
}

/// Made an hour of Harbor's 200 days ahead of now, for the usual 30 days.
fn born_ahead() -> View {
    let mut view = View::settled();
    let (creation_time, expiration_time) = (at(days(200)), Some(at(days(230))));
    view.robots[0] = Some(Robot { creation_time, expiration_time, update_time: creation_time, ..robot(Slot::A, 0) });
    view.secret = secret_of(view.robots[0].as_ref().unwrap());
    view.recorded.current = Some(record(view.robots[0].as_ref().unwrap()));
    view
}

#[test]
fn a_robot_that_was_made_while_harbors_clock_was_ahead_is_replaced() {
    let (view, wish) = (born_ahead(), desired());
    let plan = plan::plan(&view.situation(&wish));
    let steps: Vec<_> = plan.steps.iter().map(|step| step.name()).collect();
    assert_eq!(
        plan.steps[0],
        plan::Step::Create(Slot::B),
        "with an overlap, and no PUT, which could not shorten it: {steps:?}"
    );
    let in_place = Desired { strategy: Strategy::InPlace, ..desired() };
    let plan = plan::plan(&view.situation(&in_place));
    assert!(plan.steps.contains(&plan::Step::Create(Slot::A)) && plan.publishes(), "{:?}", plan.steps);
    // Harbor's clock is behind, and by ours the robot is not from the future.
    let behind = Observed { later_clock: at(days(200)), ..view.observed() };
    assert_eq!(plan::plan(&behind.situation(&wish)).steps, []);
}

#[test]
fn what_replaced_a_robot_from_ahead_counts_as_the_newer_one() {
    let mut view = born_ahead();
    let ahead = view.robots[0].clone().unwrap();
    let new = robot(Slot::B, 3_590);
    view.robots[1] = Some(new.clone());
    view.secret = secret_of(&new);
    // The process ended between Secret and status.
    assert_eq!(view.situation(&desired()).current(), Some(Slot::B));
    view.recorded.current = Some(record(&new));
    view.recorded.previous = Some(super::super::observed::PreviousRecord {
        robot: super::super::fixtures::reference(&ahead),
        revocation_time: at(days(1)),
    });
    assert_eq!(plan::plan(&view.situation(&desired())).steps, [], "the former has its overlap and is no orphan");
}

#[test]
fn a_life_that_was_prolonged_while_harbors_clock_was_ahead_is_shortened() {
    let mut view = View::settled();
    view.first().expiration_time = Some(at(days(396)));
    view.first().lifetime = Lifetime::Days(396);
    view.recorded.current = Some(record(view.robots[0].as_ref().unwrap()));
    let align = [plan::Step::Update(plan::Target::Seen(Slot::A), plan::Purpose::Align)];
    assert_eq!(plan::plan(&view.situation(&desired())).steps, align);
    let behind = Observed { later_clock: at(days(366)), ..view.observed() };
    assert_eq!(plan::plan(&behind.situation(&desired())).steps, [], "a clock that is behind shortens no life");
}
