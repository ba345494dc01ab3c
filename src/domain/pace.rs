//! Repairs and refreshes of one account are paced: the first is immediate, each further one waits longer, so that
//! whoever keeps undoing them, or asks again and again, cannot make a storm of robots. Renewals by timer are paced as
//! well: a Harbor whose robots are dead at birth, or whose clock jumps to and fro, makes every credential look old.

use jiff::SignedDuration;

use super::plan::{self, Age, Blocker, CustomPassword, Permit, Plan, Purpose, Situation, Step};
use super::slots::Slot;
use crate::api::RegistryTime;

/// The wait after the first replacement; it doubles with each further one.
const FIRST: SignedDuration = SignedDuration::from_mins(1);
/// The longest wait.
const LIMIT: SignedDuration = SignedDuration::from_hours(1);

/// Why a credential is replaced, where that is paced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// It does not work, or a person asked for another one.
    Repair,
    /// It is as old as it may become.
    Renewal,
}

impl Kind {
    /// So long after a wait was over the count starts anew. `spec.rotation.interval` may be an hour, and such renewals
    /// never wait.
    fn quiet(self) -> SignedDuration {
        match self {
            Self::Repair => SignedDuration::from_mins(10),
            Self::Renewal => SignedDuration::from_mins(50),
        }
    }
}

/// How often and when last a credential was replaced. Kept in memory only: a restart allows one more immediate
/// replacement.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Pace {
    last: Option<(RegistryTime, u8)>,
}

impl Pace {
    /// The credential was replaced (registry time).
    pub fn note(&mut self, kind: Kind, now: RegistryTime) {
        let lately = |&(at, count): &(RegistryTime, u8)| at <= now + FIRST && now < at + wait(count) + kind.quiet();
        let before = self.last.filter(lately).map_or(0, |(_, count)| count);
        self.last = Some((now, before.saturating_add(1)));
    }

    /// When the next replacement may be made (registry time); `None` = at once.
    pub fn until(&self, now: RegistryTime) -> Option<RegistryTime> {
        // One in the future was noted by a clock that has been set back since.
        self.last.filter(|&(at, _)| at <= now + FIRST).map(|(at, count)| at + wait(count)).filter(|&until| until > now)
    }
}

fn wait(count: u8) -> SignedDuration {
    let doublings = u32::from(count.saturating_sub(1)).min(6);
    FIRST.saturating_mul(2_i32.saturating_pow(doublings)).min(LIMIT)
}

/// How a plan that replaces the credential is paced: not at all for a first one, which replaces nothing, nor for a
/// revocation or an own password.
pub fn kind(x: &Situation) -> Option<Kind> {
    let had_one = x.recorded.current != plan::Named::Nothing;
    let paced = had_one && !x.revoke && x.own != CustomPassword::Differs;
    paced.then(|| if is_due(x) { Kind::Renewal } else { Kind::Repair })
}

fn is_due(x: &Situation) -> bool {
    x.current().and_then(|slot| x.ours(slot)).is_some_and(|robot| robot.age >= Age::Due)
}

/// True if the plan gives the account another credential, or the same one another life.
pub fn replaces(plan: &Plan) -> bool {
    plan.publishes() || plan.steps.iter().any(|step| matches!(step, Step::Update(_, Purpose::Renew)))
}

/// The plan of a pass that comes before a further replacement of this kind is allowed: nothing is changed. What is not
/// one goes on as usual.
pub fn defer(x: &Situation, what: Kind) -> Plan {
    let usual = plan::plan(x);
    if x.deleting || x.permit != Permit::Granted || !x.enabled || !replaces(&usual) || kind(x) != Some(what) {
        return usual;
    }
    let steps = usual.steps.into_iter().filter(|step| *step == Step::AddFinalizer).collect();
    let current = x.current();
    Plan {
        steps,
        blocker: Some(Blocker::RepairsPaused),
        current: current.map(plan::Target::Seen),
        previous: current.map(Slot::other).filter(|&other| x.ours(other).is_some() && !x.is_newer(other)),
        ready: x.credential_works(),
        ..Plan::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::fixtures::{View, desired};
    use crate::domain::plan::{Named, SecretView, SlotView};

    fn settled() -> Situation {
        View::settled().situation(&desired())
    }

    fn at(seconds: i64) -> RegistryTime {
        RegistryTime::from_second(1_800_000_000 + seconds)
    }

    #[test]
    fn the_first_repair_is_immediate_and_waits_double_up_to_an_hour() {
        for kind in [Kind::Repair, Kind::Renewal] {
            let mut pace = Pace::default();
            let mut now = at(0);
            assert_eq!(pace.until(now), None);
            let mut waits = Vec::new();
            for _ in 0..9 {
                pace.note(kind, now);
                let until = pace.until(now).expect("the next one waits");
                waits.push(until.duration_since(now).as_secs() / 60);
                assert_eq!(pace.until(until), None);
                now = until;
            }
            assert_eq!(waits, [1, 2, 4, 8, 16, 32, 60, 60, 60]);
        }
    }

    #[test]
    fn some_quiet_minutes_after_the_wait_it_starts_anew() {
        let mut pace = Pace::default();
        pace.note(Kind::Repair, at(0));
        pace.note(Kind::Repair, at(61));
        pace.note(Kind::Repair, at(61 + 120 + 599));
        assert_eq!(pace.until(at(780)), Some(at(780 + 240)));
        pace.note(Kind::Repair, at(780 + 240 + 600));
        assert_eq!(pace.until(at(1620)), Some(at(1680)));
    }

    #[test]
    fn a_clock_that_is_set_back_does_not_hold_repairs_for_ever() {
        let mut pace = Pace::default();
        pace.note(Kind::Repair, at(86_400));
        assert_eq!(pace.until(at(0)), None);
        pace.note(Kind::Repair, at(0));
        assert_eq!(pace.until(at(0)), Some(at(60)));
    }

    #[test]
    fn an_hourly_rotation_never_waits_and_a_clock_that_jumps_every_twenty_minutes_does() {
        let waits = |every: i64| {
            let mut pace = Pace::default();
            let waits = (0..20).map(|n| at(n * every * 60)).filter(|&now| {
                let held = pace.until(now).is_some();
                if !held {
                    pace.note(Kind::Renewal, now);
                }
                held
            });
            waits.count()
        };
        assert_eq!(waits(60), 0);
        // In the end one an hour.
        assert_eq!(waits(20), 9);
    }

    #[test]
    fn a_lost_credential_waits_without_a_step() {
        let x = Situation { secret: SecretView::Absent, ..settled() };
        assert!(plan::plan(&x).publishes());
        let plan = defer(&x, Kind::Repair);
        assert_eq!((plan.steps, plan.blocker, plan.ready), (vec![], Some(Blocker::RepairsPaused), false));
        assert_eq!(plan.current, Some(plan::Target::Seen(Slot::A)));
    }

    #[test]
    fn a_robot_that_is_gone_waits_without_a_step() {
        let gone = Named::Gone(Slot::A);
        let secret = SecretView::Ours { names: gone, intact: true, current_form: true };
        let recorded = plan::Recorded { current: gone, ..settled().recorded };
        let x = Situation { slots: [None, None], secret, recorded, ..settled() };
        assert!(plan::plan(&x).publishes());
        assert_eq!(defer(&x, Kind::Repair), Plan { blocker: Some(Blocker::RepairsPaused), ..Plan::default() });
    }

    #[test]
    fn renewal_revocation_an_own_password_and_a_first_credential_do_not_wait() {
        let mut due = settled();
        due.slots[0] = due.slots[0].map(|robot| SlotView { age: Age::Due, ..robot });
        let revoked = Situation { token: true, revoke: true, ..settled() };
        let chosen = Situation { own: CustomPassword::Differs, ..settled() };
        let fresh = Situation {
            slots: [None, None],
            secret: SecretView::Absent,
            recorded: plan::Recorded::default(),
            ..settled()
        };
        for x in [due, revoked, chosen, fresh] {
            let plan = defer(&x, Kind::Repair);
            assert!(plan.publishes() && plan.blocker.is_none(), "{x:?}");
            assert_ne!(kind(&x), Some(Kind::Repair), "{x:?}");
        }
    }

    #[test]
    fn a_renewal_right_after_another_waits_and_a_repair_does_not_wait_for_it() {
        let mut due = settled();
        due.slots[0] = due.slots[0].map(|robot| SlotView { age: Age::Expired, ..robot });
        let plan = defer(&due, Kind::Renewal);
        assert_eq!((plan.steps, plan.blocker), (vec![], Some(Blocker::RepairsPaused)));
        let prolonged = Situation { own: CustomPassword::Published, strategy: plan::Strategy::InPlace, ..due };
        assert!(replaces(&plan::plan(&prolonged)) && !plan::plan(&prolonged).publishes());
        assert_eq!(defer(&prolonged, Kind::Renewal).blocker, Some(Blocker::RepairsPaused));
        let lost = Situation { secret: SecretView::Absent, ..settled() };
        assert_eq!(defer(&lost, Kind::Renewal), plan::plan(&lost));
    }

    #[test]
    fn what_is_no_repair_goes_on() {
        let deleting = Situation { deleting: true, secret: SecretView::Absent, ..settled() };
        assert_eq!(defer(&deleting, Kind::Repair), plan::plan(&deleting));
        assert_eq!(defer(&settled(), Kind::Repair), plan::plan(&settled()));
    }
}
