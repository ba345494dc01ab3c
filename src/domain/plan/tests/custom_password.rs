//! An own password: set by PATCH, so a login that may not update publishes nothing.

use super::*;

fn wished(own: CustomPassword, x: Situation) -> Situation {
    Situation { own, ..x }
}

/// The wish, whatever is published.
fn published(x: Situation) -> Situation {
    wished(CustomPassword::Published, x)
}

fn changed(x: Situation) -> Situation {
    wished(CustomPassword::Differs, x)
}

#[test]
fn a_new_robot_gets_the_own_password_before_it_is_published() {
    let steps = [Create(A), Refresh(New), Publish(New)];
    expect(changed(fresh()), &steps);
    expect(changed(in_place(fresh())), &steps);
    let off = [Create(A), Refresh(New), Update(New, Purpose::Disable), Publish(New)];
    expect(changed(switched_off(fresh())), &off);
    expect(changed(with_a(expired(), settled())), &[&[Fence, Delete(A, Why::Dead)], &steps[..]].concat());
}

#[test]
fn a_changed_own_password_goes_to_the_other_slot_and_the_old_one_lives_on() {
    let steps = [Create(B), Refresh(New), Publish(New)];
    let plan = expect(changed(settled()), &steps);
    assert_eq!((plan.previous, plan.retire_now), (Some(A), false));
    let retired = [&[Delete(B, Why::Retired)], &steps[..]].concat();
    expect(changed(in_overlap()), &retired);
    let orphan = [&[Fence, Delete(B, Why::Orphan)], &steps[..]].concat();
    expect(changed(cut_off()), &orphan);
}

#[test]
fn a_changed_own_password_in_place_is_patched_and_published() {
    let longer = [Refresh(Seen(A)), Publish(Seen(A)), Update(Seen(A), Purpose::Renew)];
    expect(changed(in_place(settled())), &longer);
    expect(changed(in_place(with_a(due(), settled()))), &longer);
}

#[test]
fn a_renewal_makes_a_robot_with_the_same_password_or_only_moves_the_expiry() {
    expect(published(with_a(due(), settled())), &[Create(B), Refresh(New), Publish(New)]);
    let renew = Update(Seen(A), Purpose::Renew);
    for robot in [due(), expired(), SlotView { differs: true, ..due() }, SlotView { disabled: true, ..due() }] {
        let plan = expect(published(in_place(with_a(robot, settled()))), &[renew]);
        assert!(plan.ready && plan.blocker.is_none());
    }
    expect(published(in_place(with_a(due(), cut_off()))), &[renew, Fence, Delete(B, Why::Orphan)]);
    let both = [Refresh(Seen(A)), Publish(Seen(A)), renew];
    for x in [lost(settled()), with_token(settled()), refused(settled())] {
        expect(published(in_place(with_a(due(), x))), &both);
    }
}

#[test]
fn a_published_own_password_needs_no_call_whatever_the_login_may() {
    for x in [settled(), in_place(settled()), in_overlap()] {
        for x in [published(x), cannot_update(published(x))] {
            let plan = expect(x, &[]);
            assert_eq!((plan.blocker, plan.ready), (None, true));
        }
    }
}

#[test]
fn a_dropped_own_password_changes_nothing() {
    expect(wished(CustomPassword::NotWished, settled()), &[]);
    expect(wished(CustomPassword::NotWished, with_a(due(), settled())), &[Create(B), Publish(New)]);
}

#[test]
fn a_login_that_may_not_update_makes_no_call_for_an_own_password() {
    for x in [fresh(), Situation { recorded: Recorded::default(), ..lost(cut_off()) }] {
        let plan = expect(cannot_update(changed(x)), &[]);
        assert_eq!((plan.blocker, plan.ready, plan.current), (Some(Blocker::LoginCannotUpdate), false, None));
    }
    for strategy in [Strategy::Overlap, Strategy::InPlace] {
        let blocked = |x, ready| {
            let plan = expect(cannot_update(Situation { strategy, ..x }), &[]);
            assert_eq!((plan.blocker, plan.ready), (Some(Blocker::LoginCannotUpdate), ready), "{x:#?}");
        };
        blocked(changed(settled()), true);
        blocked(published(with_token(settled())), true);
        blocked(published(with_a(due(), settled())), true);
        blocked(published(with_a(differing(), settled())), true);
        blocked(changed(lost(settled())), false);
        blocked(published(refused(settled())), false);
        blocked(published(with_a(expired(), settled())), false);
        blocked(published(with_a(disabled(), settled())), false);
    }
}

#[test]
fn a_login_that_may_not_update_still_does_what_needs_no_patch() {
    let blocked = |x, steps: &[Step]| {
        let plan = expect(cannot_update(changed(x)), steps);
        assert_eq!(plan.blocker, Some(Blocker::LoginCannotUpdate));
    };
    blocked(cut_off(), &[Fence, Delete(B, Why::Orphan)]);
    let ended = Recorded { overlap_ended: true, ..in_overlap().recorded };
    blocked(Situation { recorded: ended, ..in_overlap() }, &[Delete(B, Why::OverlapEnded)]);
    blocked(in_overlap(), &[]);
    expect(cannot_update(changed(switched_off(settled()))), &[Fence, Delete(A, Why::Disabled)]);
    let deleted = Situation { deleting: true, ..cannot_update(changed(settled())) };
    expect(deleted, &[Delete(A, Why::AccountDeleted)]);
}

#[test]
fn a_changed_own_password_waits_until_the_account_is_enabled() {
    expect(changed(switched_off(with_a(disabled(), settled()))), &[]);
    let lost = lost(with_a(disabled(), settled()));
    let replaced =
        [Fence, Delete(A, Why::Disabled), Create(A), Refresh(New), Update(New, Purpose::Disable), Publish(New)];
    expect(changed(switched_off(lost)), &replaced);
}

#[test]
fn an_adopted_robot_gets_the_own_password() {
    let x = with_a(held_by(Holder::Unmarked), Situation { may_adopt: true, ..fresh() });
    expect(changed(x), &[Update(Seen(A), Purpose::Adopt), Refresh(Seen(A)), Publish(Seen(A))]);
}
