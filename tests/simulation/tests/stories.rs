//! What simulated runs found, each as short as it could be made: the events of one run, after which everything has to settle
//! all the same.

// A simulated machine needs the C library of Linux.
#![cfg(target_os = "linux")]

use std::time::Duration;

use harbor_robot_simulation::actions::{Action, Damage, Edit, Event, Place, Spoil, Tamper};
use harbor_robot_simulation::run::{Settings, run};

/// A seed in whose world Secrets are not watched.
const UNWATCHED: u64 = 3;

/// Seconds and events.
fn settles(story: &[(u64, Action)]) {
    settles_in(1, story);
}

/// In the world of a seed.
fn settles_in(seed: u64, story: &[(u64, Action)]) {
    let event = |(at, action): &(u64, Action)| Event { at: Duration::from_secs(*at), action: action.clone() };
    let story: Vec<Event> = story.iter().map(event).collect();
    let outcome = run(&Settings { seed, trace: true, story: Some(story.clone()), ..Settings::default() });
    assert_eq!(outcome.happened.len(), story.len(), "every event happens");
    assert!(outcome.violations.is_empty(), "{:#?}\n{}", outcome.violations, outcome.log.join("\n"));
}

/// The watches ended in peace with the API server, and went on from versions that were ahead of the restored ones.
#[test]
fn an_account_that_a_restore_of_etcd_brought_back_gets_a_robot_again() {
    settles(&[(60, Action::BackUpCluster), (120, Action::Delete(0)), (150, Action::RestoreCluster)]);
}

/// The robot's update time was before its creation, and so before the one on record.
#[test]
fn a_secret_that_a_person_changed_after_harbors_clock_was_set_back_is_noticed() {
    settles(&[(60, Action::HarborClock(0, -3_600)), (120, Action::Robot(0, Tamper::Secret))]);
}

/// The clocks differed, so nothing was compared with the wish that the robot was made for.
#[test]
fn a_robot_that_retain_left_gets_the_shorter_life_that_is_asked_for_while_harbors_clock_is_ahead() {
    settles(&[
        (60, Action::HarborClock(0, 86_400)),
        (70, Action::Edit(0, Edit::Retain(true))),
        (80, Action::Delete(0)),
        (120, Action::Stop(0)),
        (130, Action::Edit(0, Edit::Lifetime(7))),
    ]);
}

/// The event showed it as it was, and a robot, a Secret and an entry in a ServiceAccount were made for it.
#[test]
fn nothing_is_made_for_an_account_that_is_gone_when_an_event_of_it_comes_late() {
    settles(&[
        (60, Action::ReadOnly(0, true)),
        (61, Action::Edit(0, Edit::Permissions(true))),
        (66, Action::Lag(60)),
        (67, Action::Edit(0, Edit::Lifetime(60))),
        (68, Action::Delete(0)),
        (69, Action::ReadOnly(0, false)),
    ]);
}

/// The last rotation lay an hour ahead.
#[test]
fn a_refresh_after_harbors_clock_was_set_back_is_served_at_once() {
    settles(&[(60, Action::HarborClock(0, -3_600)), (120, Action::Edit(0, Edit::Refresh(1)))]);
}

/// What accounts left at the other Harbor is deleted, or told of.
#[test]
fn a_registry_that_names_another_harbor_and_the_first_one_again_leaves_nothing_untold() {
    settles(&[(60, Action::Url(Place::Other, true)), (200, Action::Url(Place::Home, true)), (260, Action::Kill(0))]);
}

/// Whoever reads the message writes the mark back.
#[test]
fn a_robot_whose_mark_was_taken_away_while_no_operator_was_there_is_known_again_when_it_is_written_back() {
    settles(&[(60, Action::Stop(0)), (61, Action::Robot(0, Tamper::Unmark)), (62, Action::Start(0))]);
}

/// The account was made again under the name of a robot that lost its mark, and that its account therefore left.
#[test]
fn a_robot_without_a_mark_whose_account_is_gone_is_a_persons_to_delete() {
    settles(&[
        (60, Action::Stop(0)),
        (61, Action::Robot(3, Tamper::Unmark)),
        (62, Action::Delete(3)),
        (70, Action::Start(0)),
        (250, Action::Edit(3, Edit::Lifetime(7))),
    ]);
}

/// Of the first Harbor nobody had a session any more, so its robot was not deleted; it came back with the URL, and lived on for
/// an overlap.
#[test]
fn what_was_revoked_while_another_harbor_was_named_ends_when_the_first_is_named_again() {
    settles(&[
        (160, Action::Url(Place::Other, true)),
        (380, Action::Edit(1, Edit::Revoke(118))),
        (680, Action::Kill(0)),
        (683, Action::Password(0, false)),
        (690, Action::Start(0)),
    ]);
}

/// An operator that started found the rest as it should be, and went by the status.
#[test]
fn a_renewal_time_that_somebody_wrote_while_no_operator_was_there_is_put_right() {
    settles(&[(60, Action::Stop(0)), (61, Action::Damage(0, Damage::Renewal)), (70, Action::Start(0))]);
}

/// Each account tried again by itself, at last every ten minutes.
#[test]
fn whoever_waits_for_the_end_of_read_only_mode_is_served_within_a_minute() {
    settles(&[
        (60, Action::ReadOnly(0, true)),
        (61, Action::Edit(0, Edit::Permissions(true))),
        (1_500, Action::ReadOnly(0, false)),
    ]);
}

/// Its new life was counted from its creation: it was due at once, and nothing woke its account.
#[test]
fn a_robot_that_is_taken_back_with_an_own_password_is_not_overdue() {
    for in_place in [false, true] {
        settles(&[
            (50, Action::Edit(0, Edit::InPlace(in_place))),
            (60, Action::Edit(0, Edit::OwnPassword(true))),
            (65, Action::Edit(0, Edit::Lifetime(60))),
            (150, Action::HarborClock(0, 39 * 86_400)),
            (155, Action::Edit(0, Edit::Lifetime(7))),
            (240, Action::Edit(0, Edit::Retain(true))),
            (260, Action::Delete(0)),
            (300, Action::Edit(0, Edit::Retain(false))),
        ]);
    }
}

/// Secrets are not watched in this world, and what was recorded of their places was gone: the entries in ServiceAccounts beside
/// the copies stayed.
#[test]
fn an_account_whose_status_was_emptied_leaves_no_entry_of_its_copies() {
    settles_in(
        UNWATCHED,
        &[
            (60, Action::Stop(0)),
            (61, Action::Damage(4, Damage::Status)),
            (62, Action::Delete(4)),
            (63, Action::Start(0)),
        ],
    );
}

/// It was whole, and its robot untouched since the login that was on record, which another credential had made.
#[test]
fn an_older_copy_of_a_secret_that_is_put_back_is_replaced() {
    let story = |restart: &[(u64, Action)]| {
        let mut story = vec![
            (50, Action::Edit(0, Edit::InPlace(true))),
            (60, Action::Spoil(0, Spoil::Older)),
            (130, Action::Edit(0, Edit::Refresh(1))),
            (200, Action::Spoil(0, Spoil::Older)),
        ];
        story.extend_from_slice(restart);
        story.sort_by_key(|(at, _)| *at);
        settles(&story);
    };
    story(&[]);
    story(&[(195, Action::Stop(0)), (210, Action::Start(0))]);
}
