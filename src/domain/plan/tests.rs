//! One case or more per row of the decision table.

use super::Step::{
    AddFinalizer, Create, Delete, DeleteSecret, Fence, Publish, Reform, Refresh, ReleaseSecret, RemoveFinalizer, Update,
};
use super::Target::{New, Seen};
use super::*;
use Slot::{A, B};

mod custom_password;

fn ours() -> SlotView {
    SlotView { holder: Holder::Ours, differs: false, exceeds: false, disabled: false, retained: false, age: Age::Fresh }
}

fn disabled() -> SlotView {
    SlotView { disabled: true, ..ours() }
}

fn differing() -> SlotView {
    SlotView { differs: true, ..ours() }
}

fn due() -> SlotView {
    SlotView { age: Age::Due, ..ours() }
}

fn expired() -> SlotView {
    SlotView { age: Age::Expired, ..ours() }
}

fn held_by(holder: Holder) -> SlotView {
    SlotView { holder, ..ours() }
}

fn secret_naming(names: Named) -> SecretView {
    SecretView::Ours { names, intact: true, current_form: true }
}

/// A new account that may have a robot and has none.
fn fresh() -> Situation {
    Situation {
        slots: [None, None],
        second_is_newer: false,
        secret: SecretView::Absent,
        recorded: Recorded::default(),
        login_works: None,
        token: false,
        revoke: false,
        enabled: true,
        permit: Permit::Granted,
        deleting: false,
        retain: false,
        finalizer: true,
        may_update: true,
        may_adopt: false,
        strategy: Strategy::Overlap,
        own: CustomPassword::NotWished,
        unsettled: false,
        unreachable: false,
        abandoned: false,
        own_login: None,
    }
}

/// An account at rest: its robot is in the first slot, published and on record.
fn settled() -> Situation {
    Situation {
        slots: [Some(ours()), None],
        secret: secret_naming(Named::Alive(A)),
        recorded: Recorded { current: Named::Alive(A), untouched: true, ..Recorded::default() },
        ..fresh()
    }
}

/// As `settled`, with the robot that was replaced still alive in the second slot.
fn in_overlap() -> Situation {
    let recorded = Recorded { previous: Named::Alive(B), ..settled().recorded };
    Situation { slots: [Some(ours()), Some(ours())], recorded, ..settled() }
}

/// As `settled`, with a newer robot in the second slot that no record names.
fn cut_off() -> Situation {
    Situation { slots: [Some(ours()), Some(ours())], second_is_newer: true, ..settled() }
}

fn with_a(robot: SlotView, x: Situation) -> Situation {
    Situation { slots: [Some(robot), x.slots[1]], ..x }
}

fn with_b(robot: SlotView, x: Situation) -> Situation {
    Situation { slots: [x.slots[0], Some(robot)], ..x }
}

fn cannot_update(x: Situation) -> Situation {
    Situation { may_update: false, ..x }
}

fn in_place(x: Situation) -> Situation {
    Situation { strategy: Strategy::InPlace, ..x }
}

fn lost(x: Situation) -> Situation {
    Situation { secret: SecretView::Absent, ..x }
}

fn refused(x: Situation) -> Situation {
    Situation { recorded: Recorded { untouched: false, ..x.recorded }, login_works: Some(false), ..x }
}

fn with_token(x: Situation) -> Situation {
    Situation { token: true, ..x }
}

fn switched_off(x: Situation) -> Situation {
    Situation { enabled: false, ..x }
}

#[track_caller]
fn expect(x: Situation, steps: &[Step]) -> Plan {
    let plan = plan(&x);
    assert_eq!(plan.steps, steps, "{x:#?}");
    plan
}

#[test]
fn row_1_a_deleted_account_takes_its_robots_along_and_the_finalizer_goes_when_none_is_seen() {
    let deleted = |x| Situation { deleting: true, ..x };
    let first = [Delete(A, Why::AccountDeleted), Delete(B, Why::AccountDeleted)];
    assert!(expect(deleted(in_overlap()), &first).look_again);
    let empty = Situation { slots: [None, None], ..deleted(settled()) };
    assert!(!expect(empty, &[RemoveFinalizer]).look_again);
    expect(Situation { unsettled: true, ..empty }, &[]);
    expect(Situation { finalizer: false, ..empty }, &[]);
    expect(with_b(held_by(Holder::Stranger), empty), &[RemoveFinalizer]);
}

#[test]
fn row_1_an_outage_holds_the_finalizer_until_the_account_is_abandoned() {
    let away = Situation { deleting: true, unreachable: true, ..fresh() };
    expect(away, &[]);
    expect(Situation { abandoned: true, ..away }, &[RemoveFinalizer]);
    expect(Situation { abandoned: true, retain: true, ..away }, &[ReleaseSecret, RemoveFinalizer]);
}

#[test]
fn row_1_the_operators_own_login_goes_last_and_the_account_with_it() {
    let deleted = |x| Situation { deleting: true, ..x };
    for (login, other) in [(A, B), (B, A)] {
        let both = Situation { own_login: Some(login), ..in_overlap() };
        let gone = |slot| Delete(slot, Why::AccountDeleted);
        expect(deleted(both), &[gone(other), gone(login), RemoveFinalizer]);
        expect(deleted(Situation { unsettled: true, ..both }), &[gone(other)]);
    }
}

#[test]
fn row_2_retain_keeps_the_current_robot_and_the_secret() {
    let retained = |x| Situation { deleting: true, retain: true, ..x };
    let plan = expect(retained(in_overlap()), &[Update(Seen(A), Purpose::Retain), Delete(B, Why::AccountDeleted)]);
    assert!(plan.look_again);
    let marked = with_a(SlotView { retained: true, ..ours() }, settled());
    expect(retained(marked), &[ReleaseSecret, RemoveFinalizer]);
    expect(cannot_update(retained(settled())), &[ReleaseSecret, RemoveFinalizer]);
    let unnamed = Situation { recorded: Recorded::default(), ..lost(cut_off()) };
    expect(retained(unnamed), &[Delete(A, Why::AccountDeleted), Update(Seen(B), Purpose::Retain)]);
    expect(Situation { unreachable: true, ..retained(fresh()) }, &[ReleaseSecret, RemoveFinalizer]);
}

#[test]
fn row_3_a_request_that_was_never_permitted_does_nothing() {
    let x = Situation { permit: Permit::Refused, finalizer: false, ..fresh() };
    assert_eq!(expect(x, &[]).blocker, Some(Blocker::NotPermitted));
}

#[test]
fn row_4_a_withdrawn_grant_disables_or_deletes_after_the_delay_and_keeps_the_finalizer() {
    let withdrawn = |permit, x| Situation { permit, ..x };
    let waiting = expect(withdrawn(Permit::Lapsing, in_overlap()), &[]);
    assert_eq!((waiting.blocker, waiting.ready), (Some(Blocker::NotPermitted), false));
    let disable = |slot| Update(Seen(slot), Purpose::Disable);
    expect(withdrawn(Permit::Refused, in_overlap()), &[disable(A), disable(B), DeleteSecret]);
    let delete = |slot| Delete(slot, Why::NotPermitted);
    let gone = expect(cannot_update(withdrawn(Permit::Refused, in_overlap())), &[delete(A), delete(B), DeleteSecret]);
    assert_eq!(gone.current, None);
    expect(withdrawn(Permit::Refused, lost(with_a(disabled(), settled()))), &[]);
}

#[test]
fn row_5_the_finalizer_comes_first_in_the_same_plan() {
    let x = Situation { finalizer: false, ..fresh() };
    expect(x, &[AddFinalizer, Create(A), Publish(New)]);
    expect(Situation { finalizer: false, ..settled() }, &[AddFinalizer]);
}

#[test]
fn row_5_a_blocked_account_that_owns_a_robot_gets_its_finalizer_back() {
    let stranger = with_b(held_by(Holder::Stranger), with_a(due(), settled()));
    let plan = expect(Situation { finalizer: false, ..stranger }, &[AddFinalizer]);
    assert_eq!(plan.blocker, Some(Blocker::NameTaken));
    let nothing_of_ours = with_a(held_by(Holder::Stranger), fresh());
    expect(Situation { finalizer: false, ..nothing_of_ours }, &[]);
}

#[test]
fn row_6_a_disabled_account_whose_login_may_not_update_has_no_robots() {
    let x = cannot_update(switched_off(with_token(in_overlap())));
    let plan = expect(x, &[Fence, Delete(A, Why::Disabled), Delete(B, Why::Disabled)]);
    assert_eq!((plan.current, plan.previous, plan.ready), (None, None, false));
    expect(Situation { slots: [None, None], ..x }, &[]);
}

#[test]
fn row_7_a_disabled_account_keeps_its_current_robot_disabled_and_loses_the_previous() {
    let align = Update(Seen(A), Purpose::Align);
    expect(switched_off(in_overlap()), &[align, Fence, Delete(B, Why::Disabled)]);
    expect(switched_off(with_token(with_a(SlotView { age: Age::Due, ..disabled() }, settled()))), &[]);
    let replaced = [Fence, Delete(A, Why::Disabled), Create(A), Update(New, Purpose::Disable), Publish(New)];
    assert!(!expect(switched_off(lost(with_a(disabled(), settled()))), &replaced).ready);
}

#[test]
fn row_8_the_first_robot_takes_the_first_slot() {
    let plan = expect(fresh(), &[Create(A), Publish(New)]);
    assert_eq!((plan.current, plan.ready, plan.confirmed), (Some(New), true, true));
    let off = expect(switched_off(fresh()), &[Create(A), Update(New, Purpose::Disable), Publish(New)]);
    assert!(!off.ready);
}

#[test]
fn row_9_a_robot_that_is_gone_is_made_again_in_its_slot_and_the_other_one_stays() {
    let named_gone = Recorded { current: Named::Gone(B), ..Recorded::default() };
    let x = Situation { secret: secret_naming(Named::Gone(B)), recorded: named_gone, ..fresh() };
    expect(x, &[Create(B), Publish(New)]);
    assert_eq!(expect(with_a(ours(), x), &[Create(B), Publish(New)]).previous, Some(A));
    let taken = with_b(held_by(Holder::Stranger), x);
    expect(taken, &[Create(A), Publish(New)]);
}

#[test]
fn row_10_an_unnamed_newest_robot_in_the_named_slot_is_replaced() {
    let recorded = Recorded { current: Named::Gone(B), ..Recorded::default() };
    let x = Situation { recorded, ..lost(cut_off()) };
    let plan = expect(x, &[Fence, Delete(B, Why::Dead), Create(B), Publish(New)]);
    assert_eq!(plan.previous, Some(A));
}

#[test]
fn row_10_what_a_restore_of_harbor_brings_back_goes_before_the_previous_on_record() {
    for gone in [A, B] {
        let recorded = Recorded { current: Named::Gone(A), previous: Named::Alive(B), ..Recorded::default() };
        let x = Situation { secret: secret_naming(Named::Gone(gone)), recorded, ..cut_off() };
        let plan = expect(x, &[Fence, Delete(A, Why::Dead), Create(A), Publish(New)]);
        assert_eq!(plan.previous, Some(B));
    }
}

#[test]
fn row_11_with_both_records_gone_the_newest_is_replaced_and_the_older_is_left_alone() {
    let x = Situation { recorded: Recorded::default(), ..lost(cut_off()) };
    let plan = expect(x, &[Fence, Delete(B, Why::Dead), Create(B), Publish(New)]);
    assert_eq!(plan.previous, Some(A));
    let off = [Fence, Delete(A, Why::Disabled), Delete(B, Why::Dead), Create(B), Update(New, Purpose::Disable)];
    expect(switched_off(x), &[&off[..], &[Publish(New)]].concat());
}

#[test]
fn row_12_an_unmarked_robot_is_taken_over_where_that_is_allowed() {
    let x = with_a(held_by(Holder::Unmarked), Situation { may_adopt: true, ..fresh() });
    let adopt = [Update(Seen(A), Purpose::Adopt), Refresh(Seen(A)), Publish(Seen(A))];
    expect(x, &adopt);
    assert_eq!(expect(cannot_update(x), &[]).blocker, Some(Blocker::NameTaken));
    assert_eq!(expect(Situation { may_adopt: false, ..x }, &[]).blocker, Some(Blocker::NameTaken));
    expect(with_b(ours(), x), &[Fence, Delete(B, Why::Dead), Create(B), Publish(New)]);
}

#[test]
fn row_13_a_first_slot_of_somebody_else_is_never_touched() {
    for holder in [Holder::Stranger, Holder::Unmarked] {
        let plan = expect(with_a(held_by(holder), fresh()), &[]);
        assert_eq!((plan.blocker, plan.current), (Some(Blocker::NameTaken), None));
    }
}

#[test]
fn row_14_a_robot_disabled_by_hand_is_enabled_before_anything_is_judged() {
    let align = Update(Seen(A), Purpose::Align);
    for x in [settled(), lost(settled()), with_token(settled())] {
        assert!(expect(with_a(disabled(), x), &[align]).look_again);
    }
    let dead = [Fence, Delete(A, Why::Dead), Create(A), Publish(New)];
    expect(cannot_update(with_a(disabled(), settled())), &dead);
}

#[test]
fn row_15_a_dead_current_is_replaced_in_its_own_slot() {
    let replace = [Fence, Delete(A, Why::Dead), Create(A), Publish(New)];
    for x in [with_a(expired(), in_overlap()), refused(in_overlap())] {
        assert_eq!(expect(x, &replace).previous, Some(B));
    }
    let orphan_first = [Fence, Delete(B, Why::Orphan), Delete(A, Why::Dead), Create(A), Publish(New)];
    expect(with_a(expired(), cut_off()), &orphan_first);
    let stranger = lost(with_b(held_by(Holder::Stranger), settled()));
    assert_eq!(expect(stranger, &replace).previous, None);
}

#[test]
fn row_16_a_new_credential_is_the_other_robot() {
    let other = [Create(B), Publish(New)];
    let needed = [
        lost(settled()),
        with_a(due(), settled()),
        with_token(settled()),
        cannot_update(with_a(differing(), settled())),
        Situation { secret: secret_naming(Named::Gone(A)), ..settled() },
        Situation {
            secret: SecretView::Ours { names: Named::Alive(A), intact: false, current_form: true },
            ..settled()
        },
    ];
    for x in needed {
        let plan = expect(x, &other);
        assert_eq!((plan.current, plan.previous, plan.retire_now), (Some(New), Some(A), false));
    }
}

#[test]
fn row_16_revoke_and_rights_that_shrink_leave_no_overlap() {
    let revoke = Situation { revoke: true, ..with_token(settled()) };
    let shrink = cannot_update(with_a(SlotView { exceeds: true, ..differing() }, settled()));
    for x in [revoke, shrink] {
        let plan = expect(x, &[Create(B), Publish(New)]);
        assert!(plan.retire_now && plan.look_again && plan.previous == Some(A));
    }
}

#[test]
fn row_24_a_previous_on_record_keeps_its_overlap_although_harbors_clock_was_set_back_since_it_was_made() {
    let set_back = Situation { second_is_newer: !in_overlap().second_is_newer, ..in_overlap() };
    let recorded = in_overlap().recorded;
    assert_eq!(expect(set_back, &[]).previous, expect(in_overlap(), &[]).previous);
    let ended = Situation { recorded: Recorded { overlap_ended: true, ..recorded }, ..set_back };
    assert!(matches!(plan(&ended).steps[..], [Delete(_, Why::OverlapEnded)]));
    // Of a robot that no record names nothing was promised.
    let unrecorded = Situation { recorded: Recorded { previous: Named::Nothing, ..recorded }, ..set_back };
    assert!(plan(&unrecorded).steps.contains(&Delete(B, Why::Orphan)));
}

#[test]
fn row_17_an_orphan_makes_room() {
    let steps = [Fence, Delete(B, Why::Orphan), Create(B), Publish(New)];
    expect(with_token(cut_off()), &steps);
    expect(lost(cut_off()), &steps);
}

#[test]
fn row_18_the_previous_makes_room_for_what_a_person_caused() {
    let steps = [Delete(B, Why::Retired), Create(B), Publish(New)];
    for x in [with_token(in_overlap()), lost(in_overlap()), cannot_update(with_a(differing(), in_overlap()))] {
        assert_eq!(expect(x, &steps).previous, Some(A));
    }
}

#[test]
fn row_19_a_renewal_waits_for_the_end_of_the_overlap() {
    let x = with_a(due(), in_overlap());
    let plan = expect(x, &[]);
    assert!(plan.waits_for_overlap && plan.ready && plan.previous == Some(B));
    let ended = Recorded { overlap_ended: true, ..x.recorded };
    expect(Situation { recorded: ended, ..x }, &[Delete(B, Why::OverlapEnded), Create(B), Publish(New)]);
}

#[test]
fn row_19_a_change_does_not_wait_with_the_renewal() {
    expect(with_a(SlotView { differs: true, ..due() }, in_overlap()), &[Update(Seen(A), Purpose::Align)]);
}

#[test]
fn row_20_a_stranger_in_the_other_slot_stops_rotation_but_not_the_credential() {
    let x = with_b(held_by(Holder::Stranger), with_a(due(), settled()));
    let plan = expect(x, &[]);
    assert_eq!((plan.blocker, plan.ready), (Some(Blocker::NameTaken), true));
    expect(with_a(SlotView { differs: true, ..due() }, x), &[Update(Seen(A), Purpose::Align)]);
    assert_eq!(expect(with_b(held_by(Holder::Stranger), settled()), &[]).blocker, None);
}

#[test]
fn row_21_in_place_nothing_stands_between_patch_and_publish() {
    let replace = [Refresh(Seen(A)), Publish(Seen(A)), Update(Seen(A), Purpose::Renew)];
    expect(in_place(with_token(settled())), &replace);
    expect(in_place(lost(settled())), &replace);
    expect(in_place(refused(settled())), &replace);
    expect(in_place(with_a(due(), settled())), &replace);
    expect(in_place(with_a(expired(), settled())), &replace);
    expect(in_place(with_token(with_a(differing(), settled()))), &replace);
    assert_eq!(expect(in_place(with_token(in_overlap())), &replace).previous, Some(B));
    let orphan = [&[Fence, Delete(B, Why::Orphan)], &replace[..]].concat();
    assert_eq!(expect(in_place(with_token(cut_off())), &orphan).previous, None);
}

#[test]
fn row_21_revoke_in_place_retires_the_older_robot() {
    let x = Situation { revoke: true, ..in_place(with_token(in_overlap())) };
    assert!(expect(x, &[Refresh(Seen(A)), Publish(Seen(A)), Update(Seen(A), Purpose::Renew)]).retire_now);
}

#[test]
fn row_22_in_place_needs_a_login_that_may_update() {
    for x in [with_token(settled()), with_a(due(), settled()), with_a(differing(), settled())] {
        let plan = expect(in_place(cannot_update(x)), &[]);
        assert_eq!((plan.blocker, plan.ready), (Some(Blocker::LoginCannotUpdate), true));
    }
    let replace = [Fence, Delete(A, Why::Dead), Create(A), Publish(New)];
    for x in [lost(settled()), with_a(expired(), settled()), with_a(disabled(), settled())] {
        expect(in_place(cannot_update(x)), &replace);
    }
}

#[test]
fn row_23_a_change_is_a_put_where_the_login_may() {
    for x in [settled(), in_place(settled()), in_overlap()] {
        let plan = expect(with_a(differing(), x), &[Update(Seen(A), Purpose::Align)]);
        assert!(plan.ready && plan.blocker.is_none());
    }
}

#[test]
fn row_24_what_is_left_over_is_tidied_and_then_nothing_is_done() {
    expect(cut_off(), &[Fence, Delete(B, Why::Orphan)]);
    expect(in_overlap(), &[]);
    let ended = Recorded { overlap_ended: true, ..in_overlap().recorded };
    assert_eq!(expect(Situation { recorded: ended, ..in_overlap() }, &[Delete(B, Why::OverlapEnded)]).previous, None);
    let unrecorded = Recorded { previous: Named::Nothing, ..ended };
    assert_eq!(expect(Situation { recorded: unrecorded, ..in_overlap() }, &[]).previous, Some(B));
    let old_form = SecretView::Ours { names: Named::Alive(A), intact: true, current_form: false };
    expect(Situation { secret: old_form, ..settled() }, &[Reform]);
    expect(switched_off(Situation { secret: old_form, ..with_a(disabled(), settled()) }), &[Reform]);
    let plan = expect(settled(), &[]);
    assert!(plan.ready && plan.confirmed && !plan.look_again && plan.blocker.is_none());
}

#[test]
fn a_recorded_previous_counts_only_while_status_names_the_current_robot() {
    let crashed = Situation {
        secret: secret_naming(Named::Alive(A)),
        recorded: Recorded {
            current: Named::Alive(B),
            previous: Named::Alive(B),
            overlap_ended: true,
            untouched: true,
        },
        login_works: Some(true),
        ..in_overlap()
    };
    assert_eq!(expect(crashed, &[]).previous, Some(B));
}

#[test]
fn current_is_the_newest_living_robot_that_a_record_names() {
    let x = Situation { secret: secret_naming(Named::Alive(B)), ..cut_off() };
    assert_eq!(x.current(), Some(B));
    assert_eq!(Situation { second_is_newer: false, ..x }.current(), Some(A));
    assert_eq!(Situation { slots: [Some(ours()), Some(held_by(Holder::Stranger))], ..x }.current(), Some(A));
    assert_eq!(fresh().current(), None);
}

#[test]
fn a_secret_of_others_is_never_written_but_the_account_can_be_disabled() {
    let foreign = |x| Situation { secret: SecretView::Foreign, ..x };
    for x in [fresh(), settled(), with_token(cut_off())] {
        assert_eq!(expect(foreign(x), &[]).blocker, Some(Blocker::SecretNotOwned));
    }
    let disable = [Update(Seen(A), Purpose::Disable), Update(Seen(B), Purpose::Disable)];
    expect(foreign(switched_off(in_overlap())), &disable);
    expect(cannot_update(foreign(switched_off(settled()))), &[Delete(A, Why::Disabled)]);
}

#[test]
fn a_login_is_asked_for_only_where_it_proves_something() {
    let touched = refused(settled());
    assert!(touched.wants_login());
    let dark = [with_a(disabled(), touched), with_a(expired(), touched)];
    for x in [settled(), lost(touched), dark[0], dark[1], Situation { deleting: true, ..touched }] {
        assert!(!x.wants_login(), "{x:#?}");
    }
    assert!(!expect(dark[0], &[Update(Seen(A), Purpose::Align)]).confirmed);
}
