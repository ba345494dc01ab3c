use jiff::SignedDuration;

use super::*;
use crate::api::conditions::SYNCED;
use crate::api::{PermissionRecord, RegistryKind};
use crate::domain::fixtures::{View, at, checksum, days, desired, others_mark, refresh, revoke, robot, secret_of};
use crate::domain::observed::SecretSeen;
use crate::domain::pace;
use crate::domain::plan::{self, Permit, Strategy};
use crate::domain::rotation;
use crate::domain::slots::Slot;

mod custom_password;

type Told = (AccountStatus, Option<RegistryTime>);

fn pinned() -> PinnedRegistry {
    PinnedRegistry { kind: RegistryKind::ClusterHarborRegistry, name: "main".into(), url: Some("https://h".into()) }
}

/// One pass: `view` is what it reads besides status, `outcome` what came of its plan.
fn pass(view: &View, status: &AccountStatus, wish: &Desired, outcome: impl FnOnce(&Plan) -> Outcome) -> Told {
    pass_by(plan::plan, view, status, wish, outcome)
}

/// The same with a plan of another kind.
fn pass_by(
    planned: fn(&plan::Situation) -> Plan,
    view: &View,
    status: &AccountStatus,
    wish: &Desired,
    outcome: impl FnOnce(&Plan) -> Outcome,
) -> Told {
    let view = View { recorded: recorded(status), ..view.clone() };
    let observed = view.observed();
    let plan = planned(&observed.situation(wish));
    let outcome = Outcome { checksum: Some(checksum()), ..outcome(&plan) };
    report(&Facts {
        status,
        generation: Some(3),
        namespace: "team-a",
        registry: pinned(),
        desired: wish,
        observed: &observed,
        plan: &plan,
        blocked_by: match plan.blocker {
            Some(Blocker::NotPermitted) => Some(("NotPermitted", "no grant".to_owned())),
            Some(Blocker::SecretNotOwned) => Some(("SecretNotOwned", foreign_secret("ci", "team-a", false))),
            Some(Blocker::RepairsPaused) => Some(("RepairsPaused", "helm".to_owned())),
            _ => None,
        },
        spread: None,
        outcome: &outcome,
        now: view.now + SignedDuration::from_secs(2),
    })
}

/// A pass in which all goes well; a robot that is made is made in the plan's slot as `created` seconds.
fn went_well(view: &View, created: i64) -> impl FnOnce(&Plan) -> Outcome + use<> {
    let robots = view.robots.clone();
    move |plan| Outcome {
        robot: match plan.current {
            Some(Target::Seen(slot)) => robots[slot.index()].clone(),
            Some(Target::New) => plan.steps.iter().find_map(|step| match step {
                plan::Step::Create(slot) => Some(robot(*slot, created)),
                _ => None,
            }),
            None => None,
        },
        published: plan.publishes(),
        ..Outcome::default()
    }
}

fn failed(reason: &'static str, permanent: bool) -> impl FnOnce(&Plan) -> Outcome {
    move |_| Outcome { failure: Some(Failure { reason, message: "it broke".into(), permanent }), ..Outcome::default() }
}

/// The status of an account whose robot in the first slot was made at 0 s.
fn settled_status() -> AccountStatus {
    let view = View { now: at(-1), ..View::fresh() };
    pass(&view, &AccountStatus::default(), &desired(), went_well(&view, 0)).0
}

/// The status after a rotation at 1000 s: `View::in_overlap` is what the next pass reads.
fn overlap_status() -> AccountStatus {
    let wish = Desired { tokens: refresh("t"), ..desired() };
    let view = View { now: at(1_000), ..View::settled() };
    pass(&view, &settled_status(), &wish, went_well(&view, 1_000)).0
}

/// `Ready Synced Stalled Reconciling` as `status/reason`.
fn conditions_of(status: &AccountStatus) -> [String; 4] {
    [kinds::READY, kinds::SYNCED, kinds::STALLED, kinds::RECONCILING].map(|kind| {
        conditions::find(&status.conditions, kind)
            .map_or_else(|| "-".to_owned(), |found| format!("{}/{}", found.status, found.reason))
    })
}

fn message_of(status: &AccountStatus, kind: &str) -> String {
    conditions::find(&status.conditions, kind).unwrap().message.clone()
}

const IN_ORDER: [&str; 4] = ["True/Published", "True/InSync", "-", "-"];

#[test]
fn the_first_pass_records_robot_tokens_and_what_is_in_effect() {
    let view = View { now: at(-1), ..View::fresh() };
    let wish = Desired { tokens: refresh("t"), ..desired() };
    let (status, wake) = pass(&view, &AccountStatus::default(), &wish, went_well(&view, 0));
    assert_eq!(conditions_of(&status), IN_ORDER);
    let made = status.robot.as_ref().unwrap();
    assert_eq!((made.id, made.creation_time, made.update_time), (100, at(0), Some(at(0))));
    let actions = vec!["pull".to_owned(), "push".to_owned()];
    let row = PermissionRecord { kind: None, project: None, resource: "repository".into(), actions };
    assert_eq!(status.permissions, [row]);
    assert_eq!(status.expires_after.as_deref(), Some("30d"));
    assert_eq!(status.handled_refresh.as_deref(), Some("t"));
    assert_eq!(status.secret_refs, [SecretRecord { namespace: "team-a".into(), name: "ci".into() }]);
    assert_eq!((status.observed_generation, status.last_rotation_time), (Some(3), None));
    assert_eq!(status.registry, Some(pinned()));
    assert!(status.renewal_time.is_some() && wake == status.renewal_time);
}

#[test]
fn a_second_pass_over_the_same_state_changes_nothing() {
    let every_hour = Desired {
        strategy: Strategy::InPlace,
        rotation: rotation::Rotation { interval: Some(SignedDuration::from_hours(1)), ..desired().rotation },
        tokens: refresh("t"),
        ..desired()
    };
    let rotated_in_place = {
        let mut view = View { now: at(4_000), ..View::settled() };
        view.first().update_time = at(4_001);
        (pass(&view, &settled_status(), &every_hour, went_well(&view, 0)).0, view.served(refresh("t")), every_hour)
    };
    let off = Desired { enabled: false, ..desired() };
    let disabled = {
        let mut view = View::settled();
        view.first().disabled = true;
        view.first().update_time = at(3_601);
        let outcome = |plan: &Plan| Outcome { proof: Some(false), ..went_well(&view, 0)(plan) };
        (pass(&View::settled(), &settled_status(), &off, outcome).0, view, off)
    };
    let cases = [
        (settled_status(), View::settled(), desired()),
        (overlap_status(), View::in_overlap(), desired()),
        (overlap_status(), View::in_overlap().served(refresh("t")), Desired { tokens: refresh("t"), ..desired() }),
        rotated_in_place,
        disabled,
    ];
    for (status, view, wish) in cases {
        let view = view.later(SignedDuration::from_secs(5));
        let (again, wake) = pass(&view, &status, &wish, |plan| {
            assert_eq!(plan.steps, []);
            went_well(&view, 0)(plan)
        });
        assert_eq!(again, status);
        assert!(wake.is_none_or(|wake| wake > view.now), "{wake:?}");
    }
}

#[test]
fn the_overlap_counts_from_the_publish_and_the_pass_wakes_at_its_end() {
    let status = overlap_status();
    let previous = status.previous.clone().unwrap();
    assert_eq!((previous.id, previous.revocation_time), (100, at(1_002 + days(1))));
    assert_eq!(status.last_rotation_time, Some(at(1_002)));
    assert_eq!(status.robot.as_ref().unwrap().creation_time, at(1_000));
    let view = View::in_overlap();
    let (_, wake) = pass(&view, &status, &desired(), went_well(&view, 0));
    assert_eq!(wake, Some(previous.revocation_time));
}

#[test]
fn an_overlap_ends_before_the_old_robot_expires_and_within_the_margin() {
    let wish = |rotation| Desired { tokens: refresh("t"), rotation, ..desired() };
    let view = View { now: at(1_000), ..View::settled() };
    let short = rotation::Rotation { renew_before: Some(SignedDuration::from_hours(2)), ..desired().rotation };
    let (status, _) = pass(&view, &settled_status(), &wish(short), went_well(&view, 1_000));
    assert_eq!(status.previous.unwrap().revocation_time, at(1_002 + 7_200));
    let late = View { now: at(days(30) - 100), ..View::settled() };
    let (status, _) = pass(&late, &settled_status(), &desired(), went_well(&late, days(30) - 100));
    assert_eq!(status.previous.unwrap().revocation_time, at(days(30)));
}

#[test]
fn a_crash_before_status_makes_the_overlap_longer_and_never_shorter() {
    let view = View { now: at(5_000), ..View::in_overlap() };
    let (status, _) = pass(&view, &settled_status(), &desired(), went_well(&view, 0));
    assert_eq!(status.robot.unwrap().creation_time, at(1_000));
    assert_eq!(status.previous.unwrap().revocation_time, at(5_002 + days(1)));
}

#[test]
fn the_end_of_a_running_overlap_stays_when_a_dead_robot_is_repaired() {
    let mut view = View::in_overlap();
    view.robots[1].as_mut().unwrap().update_time = at(1_005);
    view.login_works = Some(false);
    view.now = at(2_000);
    let (status, _) = pass(&view, &overlap_status(), &desired(), went_well(&view, 2_000));
    assert_eq!(status.robot.unwrap().creation_time, at(2_000));
    assert_eq!(status.previous.unwrap().revocation_time, at(1_002 + days(1)));
}

#[test]
fn a_revoke_token_leaves_the_older_robot_no_overlap_even_across_a_crash() {
    let wish = Desired { tokens: revoke("leak"), ..desired() };
    let view = View { now: at(1_000), ..View::settled() };
    let (status, wake) = pass(&view, &settled_status(), &wish, went_well(&view, 1_000));
    // When the new robot was made, which is before now: so it is told from an overlap that ran its time.
    assert_eq!(status.previous.unwrap().revocation_time, at(1_000));
    assert_eq!((status.handled_revoke.as_deref(), wake), (Some("leak"), Some(at(1_000))));
    let crashed = View::in_overlap().served(revoke("leak"));
    let (status, wake) = pass(&crashed, &settled_status(), &wish, went_well(&crashed, 0));
    assert_eq!(status.previous.unwrap().revocation_time, at(1_000));
    assert_eq!(status.handled_revoke.as_deref(), Some("leak"));
    assert!(wake.is_some_and(|at| at <= crashed.now + SignedDuration::from_secs(2)));
}

#[test]
fn an_older_robot_that_comes_back_with_its_harbor_gets_no_overlap_where_a_token_was_served_without_it() {
    // The robot on record is gone, and one that was made before it is there, though its overlap had ended.
    let view = View { now: at(5_000), robots: [Some(robot(Slot::A, 0)), None], ..View::in_overlap() };
    let ended = AccountStatus { previous: None, ..overlap_status() };
    let served = AccountStatus { handled_revoke: Some("leak".to_owned()), ..ended.clone() };
    let wish = Desired { tokens: revoke("leak"), ..desired() };
    let (status, wake) = pass(&view, &served, &wish, went_well(&view, 5_000));
    let previous = status.previous.clone().unwrap();
    assert_eq!((previous.id, previous.revocation_time, wake), (100, at(5_000), Some(at(5_000))));
    // Nobody was promised that nothing of it is left.
    let (status, _) = pass(&view, &ended, &desired(), went_well(&view, 5_000));
    assert_eq!(status.previous.unwrap().revocation_time, at(5_002 + days(1)));
    // One that is on record is in use.
    let promised = AccountStatus { handled_revoke: Some("leak".to_owned()), ..overlap_status() };
    let (status, _) = pass(&view, &promised, &wish, went_well(&view, 5_000));
    assert_eq!(status.previous.unwrap().revocation_time, at(5_002 + days(1)));
}

#[test]
fn a_served_token_is_mirrored_from_the_secret_after_a_crash() {
    let wish = Desired { tokens: refresh("t"), ..desired() };
    let view = View::in_overlap().served(refresh("t"));
    let (status, _) = pass(&view, &settled_status(), &wish, went_well(&view, 0));
    assert_eq!(status.handled_refresh.as_deref(), Some("t"));
    let other_wish = Desired { tokens: refresh("next"), ..desired() };
    let (status, wake) = pass(&view, &overlap_status(), &other_wish, went_well(&view, 0));
    assert_eq!(status.handled_refresh.as_deref(), Some("t"), "waits for its minute");
    assert_eq!(wake, Some(at(1_062)));
}

#[test]
fn the_update_time_is_recorded_only_after_a_login() {
    let touched = |login_works| {
        let mut view = View::settled();
        view.first().update_time = at(50);
        View { login_works, ..view }
    };
    let update_time = |view: &View, proof| {
        let outcome = |plan: &Plan| Outcome { proof, ..went_well(view, 0)(plan) };
        pass(view, &settled_status(), &desired(), outcome).0.robot.unwrap().update_time
    };
    assert_eq!(update_time(&touched(Some(true)), None), Some(at(50)));
    assert_eq!(update_time(&touched(None), None), Some(at(0)), "no login, no record");
    assert_eq!(update_time(&touched(Some(true)), Some(false)), Some(at(0)), "written since, and not proven");
    let mut disabled = touched(None);
    disabled.first().disabled = true;
    assert_eq!(update_time(&disabled, Some(true)), Some(at(50)), "no login before, but one after it was enabled");
}

#[test]
fn the_credential_is_recorded_only_after_a_login() {
    let former = "0123456789abcdef";
    let mut before = settled_status();
    before.robot.as_mut().unwrap().credential_checksum = Some(former.to_owned());
    let noted = |login_works| {
        let view = View { login_works, ..View::settled() };
        let (status, _) = pass(&view, &before, &desired(), went_well(&view, 0));
        status.robot.unwrap().credential_checksum.unwrap()
    };
    assert_eq!(noted(Some(true)), checksum().to_string());
    assert_eq!(noted(None), former);
}

#[test]
fn a_plan_dropped_after_its_publish_records_what_is_published_and_proves_nothing() {
    let wish = Desired { strategy: Strategy::InPlace, tokens: refresh("t"), ..desired() };
    let view = View::settled();
    let before = settled_status();
    let outcome = |plan: &Plan| Outcome { proof: Some(false), interrupted: true, ..went_well(&view, 0)(plan) };
    let (status, _) = pass(&view, &before, &wish, outcome);
    assert_eq!((status.handled_refresh.as_deref(), &status.conditions), (Some("t"), &before.conditions));
    assert_eq!(status.robot.unwrap().update_time, Some(at(0)));
}

#[test]
fn a_put_that_was_not_reached_after_the_publish_is_sent_by_the_next_pass() {
    let wish = Desired { strategy: Strategy::InPlace, ..desired() };
    let due = View { now: at(days(25)), ..View::settled() };
    let cut_off = |plan: &Plan| {
        assert_eq!(plan.steps.last(), Some(&Step::Update(Target::Seen(Slot::A), Purpose::Renew)));
        let failure = Some(Failure { reason: "NoAnswer", message: String::new(), permanent: false });
        Outcome { failure, proof: Some(false), ..went_well(&due, 0)(plan) }
    };
    let (status, _) = pass(&due, &settled_status(), &wish, cut_off);
    assert_eq!(status.expires_after, None, "the robot does not live as long as the wish says");
    let next = |plan: &Plan| {
        assert_eq!(plan.steps, [Step::Update(Target::Seen(Slot::A), Purpose::Align)]);
        went_well(&due, 0)(plan)
    };
    let (status, _) = pass(&due, &status, &wish, next);
    assert_eq!(status.expires_after.as_deref(), Some("30d"));
}

#[test]
fn a_paused_repair_does_not_wake_for_an_overlap_that_ended() {
    let status = overlap_status();
    let secret = SecretSeen::Absent;
    let ended = View { now: at(1_010 + days(2)), secret, ..View::in_overlap() };
    let (_, wake) = pass_by(|x| pace::defer(x, pace::Kind::Repair), &ended, &status, &desired(), went_well(&ended, 0));
    assert!(wake.is_none_or(|at| at > ended.now), "{wake:?} is over: the next pass would follow at once, for ever");
}

#[test]
fn an_expiry_moved_by_hand_is_not_forgotten_while_its_repair_has_to_wait() {
    let mut moved = View { may_update: false, ..View::settled() };
    moved.first().expiration_time = Some(at(days(3)));
    let wish = Desired { strategy: Strategy::InPlace, ..desired() };
    let (status, _) = pass(&moved, &settled_status(), &wish, went_well(&moved, 0));
    assert_eq!(conditions_of(&status)[1], "False/LoginCannotUpdate");
    assert_eq!(status.robot.as_ref().unwrap().expiration_time, Some(at(days(3))), "as Harbor has it");
    let later = View { recorded: recorded(&status), ..moved };
    assert!(later.situation(&wish).slots[0].unwrap().differs);
    let (again, _) = pass(&later, &status, &wish, went_well(&later, 0));
    assert_eq!(again, status, "and it is told once");
}

#[test]
fn each_blocker_stalls_with_its_reason_and_a_message_that_says_what_to_do() {
    let fresh = AccountStatus::default();
    let refused = View { permit: Permit::Refused, ..View::fresh() };
    let mut taken = View::fresh();
    taken.robots[0] = Some(robot(Slot::A, 0));
    taken.first().description = others_mark();
    let foreign = View { secret: SecretSeen::Foreign, ..View::fresh() };
    for (view, reason, text) in [
        (refused, "NotPermitted", "no grant"),
        (taken, "NameTaken", "a robot named ci (or ci.b) that this account does not own exists in Harbor"),
        (foreign, "SecretNotOwned", "a Secret ci is in namespace team-a that was not made for this account: delete it"),
    ] {
        let (status, _) = pass(&view, &fresh, &desired(), went_well(&view, 0));
        let (no, yes) = (format!("False/{reason}"), format!("True/{reason}"));
        assert_eq!(conditions_of(&status), [no.clone(), no, yes, "-".to_owned()]);
        assert!(message_of(&status, kinds::STALLED).starts_with(text), "{status:#?}");
        assert!(status.robot.is_none());
    }
}

#[test]
fn nobody_is_told_to_delete_a_secret_that_a_registry_uses() {
    let text = foreign_secret("login", "harbor-robots", true);
    assert!(text.contains("in namespace harbor-robots") && text.contains("has to stay"), "{text}");
    assert!(!text.contains("delete"), "{text}");
}

#[test]
fn a_login_that_may_not_update_stalls_in_place_rotation_but_the_credential_works() {
    let wish = Desired { strategy: Strategy::InPlace, tokens: refresh("t"), ..desired() };
    let view = View { may_update: false, ..View::settled() };
    let before = settled_status();
    let (status, _) = pass(&view, &before, &wish, went_well(&view, 0));
    let expected = ["True/Published", "False/LoginCannotUpdate", "True/LoginCannotUpdate", "-"];
    assert_eq!(conditions_of(&status), expected);
    assert_eq!((status.robot, status.handled_refresh), (before.robot, None));
}

#[test]
fn a_stranger_in_the_other_slot_leaves_ready_while_the_credential_works() {
    let mut view = View { now: at(days(25)), ..View::settled() };
    let mut stranger = robot(Slot::B, 5);
    stranger.description = others_mark();
    view.robots[1] = Some(stranger);
    let (status, wake) = pass(&view, &settled_status(), &desired(), went_well(&view, 0));
    assert_eq!(conditions_of(&status), ["True/Published", "False/NameTaken", "True/NameTaken", "-"]);
    assert_eq!(wake, Some(at(days(30))), "the renewal that is held up must not wake in a loop; the expiry does");
}

#[test]
fn a_stranger_in_the_slot_of_the_next_rotation_is_told_before_it_is_due() {
    let mut view = View::settled();
    let mut stranger = robot(Slot::B, 5);
    stranger.description = others_mark();
    view.robots[1] = Some(stranger);
    let told = |view: &View, wish: &Desired| {
        let (status, _) = pass(view, &settled_status(), wish, went_well(view, 0));
        conditions::find(&status.conditions, SYNCED).unwrap().message.clone()
    };
    assert!(told(&view, &desired()).contains("the next rotation needs its name"));
    let in_place = Desired { strategy: Strategy::InPlace, ..desired() };
    assert!(!told(&view, &in_place).contains("rotation"), "the other name is not needed");
}

#[test]
fn a_stranger_in_place_of_a_robot_that_is_gone_is_not_ready() {
    let mut view = View::settled();
    view.first().id += 1;
    view.first().description = others_mark();
    let before = settled_status();
    let mut second = view.first().clone();
    second.id += 1;
    view.robots[1] = Some(second);
    let (status, _) = pass(&view, &before, &desired(), went_well(&view, 0));
    assert_eq!(conditions_of(&status)[0], "False/NameTaken");
    assert_eq!(status.robot, before.robot, "what is known of the last robot stays");
}

#[test]
fn a_withdrawn_grant_is_not_ready_at_once_and_keeps_the_record_until_the_robots_are_gone() {
    let lapsing = View { permit: Permit::Lapsing, unreachable: true, robots: [None, None], ..View::settled() };
    let (status, wake) = pass(&lapsing, &settled_status(), &desired(), went_well(&lapsing, 0));
    assert_eq!(conditions_of(&status)[0], "False/NotPermitted");
    assert_eq!(status.robot, settled_status().robot);
    assert!(wake.is_none_or(|wake| wake > lapsing.now));
    let refused = View { permit: Permit::Refused, may_update: false, ..View::settled() };
    let (status, _) = pass(&refused, &settled_status(), &desired(), went_well(&refused, 0));
    assert!(status.robot.is_none() && status.previous.is_none() && status.renewal_time.is_none());
    let overdue = View { now: at(days(40)), unreachable: true, ..lapsing };
    let (_, wake) = pass(&overdue, &overlap_status(), &desired(), went_well(&overdue, 0));
    assert_eq!(wake, None, "nothing here is cured by time");
}

#[test]
fn a_failure_is_told_by_its_class_and_ready_says_what_was_found() {
    let view = View::settled();
    let (status, _) = pass(&view, &settled_status(), &desired(), failed("Unreachable", false));
    assert_eq!(
        conditions_of(&status),
        ["True/Published", "False/Unreachable", "-", "-"],
        "the spec was applied before"
    );
    let mut edited = settled_status();
    edited.conditions.iter_mut().for_each(|condition| condition.observed_generation = Some(0));
    let (status, _) = pass(&view, &edited, &desired(), failed("Unreachable", false));
    assert_eq!(
        conditions_of(&status),
        ["True/Published", "False/Unreachable", "-", "True/Unreachable"],
        "not this one"
    );
    let (status, _) = pass(&view, &settled_status(), &desired(), failed("PermissionUnknown", true));
    assert_eq!(conditions_of(&status), ["True/Published", "False/PermissionUnknown", "True/PermissionUnknown", "-"]);
    assert_eq!(message_of(&status, kinds::SYNCED), "it broke");
    let gone = View { robots: [None, None], ..view.clone() };
    let (status, _) = pass(&gone, &settled_status(), &desired(), failed("Unreachable", false));
    assert_eq!(conditions_of(&status)[0], "False/Unreachable");
    assert_eq!(status.robot, settled_status().robot);
    let mut disabled = view;
    disabled.first().disabled = true;
    let (status, _) = pass(&disabled, &settled_status(), &desired(), failed("Unreachable", false));
    assert_eq!(conditions_of(&status)[0], "False/Unreachable");
    let off = Desired { enabled: false, ..desired() };
    let (status, _) = pass(&disabled, &settled_status(), &off, failed("Conflict", false));
    assert_eq!(conditions_of(&status)[..2], ["True/Disabled", "False/Conflict"]);
}

#[test]
fn conditions_change_nothing_but_what_changed() {
    let first = settled_status();
    let view = View::settled();
    let (down, _) = pass(&view, &first, &desired(), failed("Unreachable", false));
    let (still_down, _) = pass(&view.clone().later(SignedDuration::from_hours(1)), &down, &desired(), |plan| {
        failed("Unreachable", false)(plan)
    });
    assert_eq!(still_down, down);
    let (up, _) = pass(&view, &down, &desired(), went_well(&view, 0));
    assert_eq!(conditions_of(&up), IN_ORDER);
    let since =
        |status: &AccountStatus, kind| conditions::find(&status.conditions, kind).unwrap().last_transition_time.0;
    assert_eq!(since(&up, kinds::READY), since(&first, kinds::READY));
    assert!(since(&up, kinds::SYNCED) > since(&first, kinds::SYNCED));
}

#[test]
fn a_settled_disabled_account_is_ready_and_has_no_timers() {
    let off = Desired { enabled: false, ..desired() };
    let mut view = View::settled();
    view.first().disabled = true;
    let (status, wake) = pass(&view, &settled_status(), &off, went_well(&view, 0));
    assert_eq!(conditions_of(&status), ["True/Disabled", "True/InSync", "-", "-"]);
    assert_eq!((status.renewal_time, wake), (None, None));
    let without_update = View { may_update: false, ..View::settled() };
    let (status, _) = pass(&without_update, &settled_status(), &off, went_well(&without_update, 0));
    assert_eq!(conditions_of(&status)[0], "True/Disabled");
    assert!(status.robot.is_none() && status.permissions.is_empty() && status.expires_after.is_none());
}

#[test]
fn a_renewal_an_hour_late_is_reported_and_not_before() {
    let due = settled_status().renewal_time.unwrap();
    let overdue = |now, wish: &Desired| {
        let view = View { now, ..View::settled() };
        let (status, wake) = pass(&view, &settled_status(), wish, failed("Unreachable", false));
        (conditions::is_true(&status.conditions, kinds::RENEWAL_OVERDUE), wake)
    };
    let hour = SignedDuration::from_hours(1);
    assert_eq!(overdue(due, &desired()), (false, Some(due + hour)));
    assert!(overdue(due + hour, &desired()).0);
    assert!(!overdue(due + hour, &Desired { enabled: false, ..desired() }).0);
}

#[test]
fn a_renewal_that_waits_for_an_overlap_wakes_at_its_end() {
    let mut view = View::in_overlap();
    view.robots[1].as_mut().unwrap().expiration_time = Some(at(1_500));
    let mut status = overlap_status();
    status.robot.as_mut().unwrap().expiration_time = Some(at(1_500));
    status.previous.as_mut().unwrap().revocation_time = at(1_410);
    view.now = at(1_400);
    let waits = |plan: &Plan| {
        assert!(plan.waits_for_overlap);
        went_well(&view, 0)(plan)
    };
    let (told, wake) = pass(&view, &status, &desired(), waits);
    assert_eq!(conditions_of(&told), IN_ORDER);
    assert_eq!((&told.previous, wake), (&status.previous, Some(at(1_410))));
    assert_eq!(told.renewal_time, Some(at(1_410)), "it will be replaced then");
    assert!(message_of(&told, kinds::SYNCED).contains("the renewal waits for the end of the overlap"));

    status.previous.as_mut().unwrap().revocation_time = at(90_000);
    let (told, wake) = pass(&view, &status, &desired(), waits);
    let cut = told.previous.as_ref().unwrap().revocation_time;
    assert!(at(1_400) < cut && cut < at(1_500), "time is left for the renewal: {cut}");
    assert_eq!(wake, Some(cut));
    assert!(message_of(&told, SYNCED).contains("the present credential has to be renewed before"));
}

#[test]
fn a_refresh_that_waits_says_for_what() {
    let wish = Desired { tokens: refresh("t"), ..desired() };
    for (paced_until, said) in
        [(None, "until the credential is a minute old"), (Some(at(900)), "until 2027-01-15T08:15:00Z, ")]
    {
        let view = View { now: at(30), paced_until, ..View::settled() };
        let (status, wake) = pass(&view, &settled_status(), &wish, went_well(&view, 0));
        let told = message_of(&status, kinds::SYNCED);
        assert!(told.contains(said), "{told}");
        assert_eq!(wake, Some(paced_until.unwrap_or(at(60))));
    }
}

#[test]
fn a_missing_service_account_is_a_note_and_no_failure() {
    let view = View::settled();
    let outcome = |plan: &Plan| Outcome {
        notes: vec!["ServiceAccount x does not exist yet".into()],
        ..went_well(&view, 0)(plan)
    };
    let (status, _) = pass(&view, &settled_status(), &desired(), outcome);
    assert_eq!(conditions_of(&status), IN_ORDER);
    assert_eq!(message_of(&status, kinds::SYNCED), "ServiceAccount x does not exist yet");
}

#[test]
fn a_lost_secret_shows_as_progress_until_it_is_published_again() {
    let view = View { secret: SecretSeen::Absent, ..View::settled() };
    let (status, _) = pass(&view, &settled_status(), &desired(), failed("Unreachable", false));
    assert_eq!(conditions_of(&status)[0], "False/Unreachable");
    let mut disabled = view;
    disabled.first().disabled = true;
    let (status, _) = pass(&disabled, &settled_status(), &desired(), |plan| {
        assert!(plan.look_again);
        went_well(&disabled, 0)(plan)
    });
    assert_eq!(conditions_of(&status), ["False/Progressing", "True/InSync", "-", "True/Progressing"]);
}

#[test]
fn the_permissions_in_effect_are_kept_while_a_blocker_stands_in_the_way() {
    let wish = Desired {
        strategy: Strategy::InPlace,
        permissions: crate::domain::fixtures::project(&["repository:pull"]),
        expires_after: "60d".into(),
        ..desired()
    };
    let view = View { may_update: false, secret: secret_of(&robot(Slot::A, 0)), ..View::settled() };
    let before = settled_status();
    let (status, _) = pass(&view, &before, &wish, went_well(&view, 0));
    assert_eq!((status.permissions, status.expires_after), (before.permissions, before.expires_after));
}

#[test]
fn without_a_grant_status_names_the_robot_that_is_left_since_its_secret_goes() {
    let view = View { permit: Permit::Refused, ..View::in_overlap() };
    let (status, wake) = pass(&view, &settled_status(), &desired(), went_well(&view, 0));
    assert_eq!(status.robot.unwrap().creation_time, at(1_000));
    assert!(status.renewal_time.is_none() && wake.is_none_or(|wake| wake > view.now));
}

#[test]
fn a_token_is_not_taken_as_seen_before_there_is_a_robot() {
    let wish = Desired { enabled: false, tokens: refresh("t"), ..desired() };
    let view = View { may_update: false, ..View::fresh() };
    let (status, _) = pass(&view, &AccountStatus::default(), &wish, went_well(&view, 0));
    assert_eq!(status.handled_refresh, None);
}

#[test]
fn a_robot_that_is_taken_over_is_not_renewed_for_its_age() {
    let mut view = View { may_adopt: true, secret: SecretSeen::Absent, ..View::settled() };
    view.first().description = "made by hand".to_owned();
    let view = view.later(SignedDuration::from_hours(29 * 24));
    let wish = Desired { adopt: true, ..desired() };
    let expiration_time = Some(view.now + SignedDuration::from_hours(30 * 24));
    let outcome = |plan: &Plan| {
        assert_eq!(plan.current, Some(Target::Seen(Slot::A)));
        let robot = view.robots[0].clone().map(|robot| Robot { expiration_time, ..robot });
        Outcome { robot, published: plan.publishes(), ..Outcome::default() }
    };
    let (status, _) = pass(&view, &AccountStatus::default(), &wish, outcome);
    assert_eq!(status.last_rotation_time, Some((view.now + SignedDuration::from_secs(2)).whole_second()));
    let renewal = status.renewal_time.expect("it expires");
    assert!(renewal > view.now + SignedDuration::from_hours(10 * 24), "{renewal:?}");
    let overdue = status
        .conditions
        .iter()
        .any(|condition| condition.type_ == kinds::RENEWAL_OVERDUE && condition.status == "True");
    assert!(!overdue);
}
