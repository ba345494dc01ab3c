//! Somebody else who keeps undoing what we put right: after a few times we stand back and say so, instead of taking
//! turns for ever.

use std::time::{Duration, Instant};

use super::plan::{self, Blocker, CustomPassword, Named, Permit, Plan, SecretView, Situation};
use crate::deadline;

/// So often within [`WINDOW`] is put down to an adversary rather than to a slip of the hand.
const LIMIT: usize = 3;
/// Long enough for a GitOps tool to show, short enough for a person who wants the repair.
const WINDOW: Duration = Duration::from_mins(10);

/// The last moments at which our work was undone.
#[derive(Clone, Debug, Default)]
pub struct Contest {
    undone: Vec<Instant>,
}

impl Contest {
    /// Our work was found undone once more. While we stand back that does not count, and afterwards the count starts
    /// anew: what is found then is what was left.
    pub fn note(&mut self, now: Instant) {
        if self.until(now).is_some() {
            return;
        }
        if self.undone.len() == LIMIT {
            self.undone.clear();
        }
        self.undone.retain(|at| deadline::after(*at, WINDOW) > now);
        self.undone.push(now);
    }

    /// Until when we stand back; `None` if we need not.
    pub fn until(&self, now: Instant) -> Option<Instant> {
        let first = self.undone.first().filter(|_| self.undone.len() == LIMIT)?;
        Some(deadline::after(*first, WINDOW)).filter(|&until| until > now)
    }
}

/// The plan of a pass that leaves a contested Secret alone: what would be done if the Secret were as wanted. A new
/// credential that is needed for another reason is published all the same.
pub fn back_off(x: &Situation) -> Plan {
    let usual = plan::plan(x);
    let Some(current) = x.current().filter(|_| !x.deleting && x.permit == Permit::Granted) else { return usual };
    let as_wanted = SecretView::Ours { names: Named::Alive(current), intact: true, current_form: true };
    // With what the Secret held, the sign went that the account's own password was changed.
    let own = if x.own == CustomPassword::Differs && !x.holds_credential_of(current) {
        CustomPassword::Published
    } else {
        x.own
    };
    let mut calm = plan::plan(&Situation { secret: as_wanted, own, ..*x });
    if x.secret == SecretView::Foreign || calm == usual || calm.publishes() {
        return usual;
    }
    calm.ready &= !usual.publishes();
    // Whether the credential works shows only after the PUT that enables its robot.
    calm.look_again |= x.enabled && x.may_update && x.ours(current).is_some_and(|robot| robot.disabled);
    calm.blocker = calm.blocker.or(Some(Blocker::SecretContested));
    calm
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::plan::{Age, Holder, Recorded, SlotView, Step, Strategy};
    use crate::domain::slots::Slot;

    #[test]
    fn we_stand_back_from_the_third_time_in_ten_minutes_until_the_first_is_ten_minutes_old() {
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let mut contest = Contest::default();
        contest.note(at(0));
        contest.note(at(100));
        assert_eq!(contest.until(at(100)), None);
        contest.note(at(200));
        assert_eq!(contest.until(at(200)), Some(at(600)));
        assert_eq!(contest.until(at(600)), None);
        for seconds in [600, 610] {
            contest.note(at(seconds));
            assert_eq!(contest.until(at(seconds)), None, "it starts anew");
        }
        contest.note(at(620));
        assert_eq!(contest.until(at(620)), Some(at(1200)));
    }

    #[test]
    fn slips_that_lie_apart_are_no_contest() {
        let start = Instant::now();
        let mut contest = Contest::default();
        for n in 0..10 {
            let now = start + Duration::from_secs(n * 400);
            contest.note(now);
            assert_eq!(contest.until(now), None);
        }
    }

    fn settled() -> Situation {
        let robot = SlotView {
            holder: Holder::Ours,
            differs: false,
            exceeds: false,
            disabled: false,
            retained: false,
            age: Age::Fresh,
        };
        Situation {
            slots: [Some(robot), None],
            second_is_newer: false,
            secret: SecretView::Ours { names: Named::Alive(Slot::A), intact: true, current_form: true },
            recorded: Recorded { current: Named::Alive(Slot::A), untouched: true, ..Recorded::default() },
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

    #[test]
    fn a_contested_form_is_left_and_the_credential_counts() {
        let secret = SecretView::Ours { names: Named::Alive(Slot::A), intact: true, current_form: false };
        let plan = back_off(&Situation { secret, ..settled() });
        assert_eq!((plan.steps, plan.blocker, plan.ready), (vec![], Some(Blocker::SecretContested), true));
    }

    #[test]
    fn a_contested_credential_gets_no_new_robot_and_the_account_is_not_ready() {
        for secret in
            [SecretView::Absent, SecretView::Ours { names: Named::Nothing, intact: false, current_form: true }]
        {
            for strategy in [Strategy::Overlap, Strategy::InPlace] {
                let plan = back_off(&Situation { secret, strategy, ..settled() });
                assert_eq!((plan.steps, plan.blocker, plan.ready), (vec![], Some(Blocker::SecretContested), false));
            }
        }
    }

    #[test]
    fn a_robot_disabled_by_hand_is_enabled_beside_a_contested_secret_and_looked_at_again() {
        for strategy in [Strategy::Overlap, Strategy::InPlace] {
            let secret = SecretView::Ours { names: Named::Alive(Slot::A), intact: true, current_form: false };
            let mut x = Situation { secret, strategy, ..settled() };
            x.slots[0] = x.slots[0].map(|robot| SlotView { disabled: true, ..robot });
            let plan = back_off(&x);
            assert_eq!(plan.steps, [Step::Update(plan::Target::Seen(Slot::A), plan::Purpose::Align)]);
            assert!(plan.look_again);
        }
    }

    #[test]
    fn a_secret_that_is_as_wanted_again_is_not_contested_any_more() {
        assert_eq!(back_off(&settled()), plan::plan(&settled()));
    }

    #[test]
    fn renewal_publishes_into_a_contested_secret() {
        let mut due = Situation { secret: SecretView::Absent, ..settled() };
        due.slots[0] = due.slots[0].map(|robot| SlotView { age: Age::Due, ..robot });
        let plan = back_off(&due);
        assert!(plan.publishes() && plan.blocker.is_none(), "{plan:?}");
    }

    #[test]
    fn an_own_password_is_published_into_a_contested_secret_only_if_it_changed() {
        let own = CustomPassword::Differs;
        let damaged = SecretView::Ours { names: Named::Nothing, intact: false, current_form: true };
        for secret in [SecretView::Absent, damaged] {
            let plan = back_off(&Situation { secret, own, ..settled() });
            assert_eq!((plan.steps, plan.blocker), (vec![], Some(Blocker::SecretContested)));
        }
        let reshaped = SecretView::Ours { names: Named::Alive(Slot::A), intact: true, current_form: false };
        assert!(back_off(&Situation { secret: reshaped, own, ..settled() }).publishes());
    }

    #[test]
    fn deletion_and_a_lost_grant_do_not_care() {
        let deleting = Situation { deleting: true, secret: SecretView::Absent, ..settled() };
        assert_eq!(back_off(&deleting).steps, [Step::Delete(Slot::A, plan::Why::AccountDeleted)]);
        let refused = Situation { permit: Permit::Refused, ..settled() };
        assert_eq!(back_off(&refused), plan::plan(&refused));
    }
}
