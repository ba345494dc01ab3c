//! An own password in status.

use super::*;
use crate::api::SecretKeyRef;
use crate::domain::plan::CustomPassword;

fn wish(strategy: Strategy) -> Desired {
    let own_password = Some(SecretKeyRef { name: "chosen".into(), key: "password".into() });
    Desired { strategy, own_password, ..desired() }
}

#[test]
fn a_login_that_may_not_set_an_own_password_stalls_and_says_what_to_do() {
    let blocked = View { may_update: false, own: CustomPassword::Differs, ..View::settled() };
    for (strategy, advice) in
        [(Strategy::Overlap, "or drop passwordSecretRef"), (Strategy::InPlace, "strategy: Overlap")]
    {
        let (status, _) = pass(&blocked, &settled_status(), &wish(strategy), went_well(&blocked, 0));
        let stuck = "False/LoginCannotUpdate";
        assert_eq!(conditions_of(&status), ["True/Published", stuck, "True/LoginCannotUpdate", "-"]);
        let message = message_of(&status, kinds::STALLED);
        assert!(message.contains("spec.passwordSecretRef needs") && message.ends_with(advice), "{message}");
    }
    let fresh = View { may_update: false, own: CustomPassword::Differs, ..View::fresh() };
    let (status, _) = pass(&fresh, &AccountStatus::default(), &wish(Strategy::Overlap), went_well(&fresh, 0));
    assert_eq!(conditions_of(&status)[0], "False/LoginCannotUpdate");
    assert_eq!(status.robot, None);
}

/// Else its life would be counted from ever longer ago, and it would be due at every look in the end.
#[test]
fn a_robot_that_keeps_its_password_is_renewed_once_per_lifetime() {
    let wish = wish(Strategy::InPlace);
    let mut status = settled_status();
    let mut view = View { own: CustomPassword::Published, ..View::settled() };
    for _ in 0..20 {
        view.now = status.renewal_time.unwrap();
        let now = view.now;
        let renewed =
            Robot { update_time: now, expiration_time: Some(now + rotation::DAY * 30), ..view.first().clone() };
        let outcome = |plan: &Plan| {
            assert_eq!(plan.steps, [plan::Step::Update(Target::Seen(Slot::A), plan::Purpose::Renew)]);
            Outcome { robot: Some(renewed.clone()), ..Outcome::default() }
        };
        status = pass(&view, &status, &wish, outcome).0;
        view.robots[0] = Some(renewed);
        let life = status.renewal_time.unwrap().duration_since(now);
        assert!(life > rotation::DAY * 19 && life < rotation::DAY * 24, "{life}");
        assert!(status.last_rotation_time > Some(now));
    }
}

/// What is taken back has no record of a rotation: its life would be counted from its creation, in vain.
#[test]
fn a_robot_that_is_taken_back_with_its_password_is_renewed_at_once_and_lives_from_then_on() {
    let mut view = View { own: CustomPassword::Published, now: at(0) + rotation::DAY * 29, ..View::settled() };
    let now = view.now;
    view.first().expiration_time = Some(at(0) + rotation::DAY * 30);
    let renewed = Robot { update_time: now, expiration_time: Some(now + rotation::DAY * 7), ..view.first().clone() };
    let outcome = |plan: &Plan| {
        let renews = |step: &plan::Step| matches!(step, plan::Step::Update(_, plan::Purpose::Renew));
        assert!(plan.steps.iter().any(renews), "{:?}", plan.steps);
        Outcome { robot: Some(renewed.clone()), ..Outcome::default() }
    };
    let (status, wake) = pass(&view, &AccountStatus::default(), &wish(Strategy::InPlace), outcome);
    assert!(status.renewal_time > Some(now) && wake == status.renewal_time, "{:?}", status.renewal_time);
    assert!(conditions::find(&status.conditions, kinds::RENEWAL_OVERDUE).is_none());
}
