//! Times and numbers from one end of their types to the other, through everything that judges them: no input stops a pass.

use jiff::SignedDuration;
use proptest::prelude::*;

use super::desired::Desired;
use super::fixtures::{checksum, desired, reference, refresh, robot, secret_of};
use super::observed::{PreviousRecord, Recorded, RobotRecord, RobotRef, SecretSeen, Tokens};
use super::plan::{self, CustomPassword, Permit, Plan, Situation, Step, Strategy as Rotates, Target};
use super::report::{self, Facts, Outcome};
use super::robot::{Lifetime, Robot};
use super::rotation::Rotation;
use super::situation::Observed;
use super::slots::Slot;
use super::{contest, pace};
use crate::api::{AccountStatus, PinnedRegistry, RegistryKind, RegistryTime};

fn moments() -> impl Strategy<Value = RegistryTime> {
    prop_oneof![
        any::<i64>().prop_map(RegistryTime::from_second),
        Just(RegistryTime::MIN),
        Just(RegistryTime::MAX),
        (1_799_000_000_000..1_805_000_000_000_i64).prop_map(RegistryTime::from_millisecond),
        (1_799_000_000_000..1_805_000_000_000_i64).prop_map(RegistryTime::from_millisecond),
    ]
}

fn spans() -> impl Strategy<Value = SignedDuration> {
    prop_oneof![
        (0..i64::MAX).prop_map(SignedDuration::from_secs),
        Just(SignedDuration::MAX),
        (0..50_000_i64).prop_map(SignedDuration::from_mins),
    ]
}

fn lifetimes() -> impl Strategy<Value = Lifetime> {
    prop_oneof![Just(Lifetime::Never), any::<u32>().prop_map(Lifetime::Days), (0..60_u32).prop_map(Lifetime::Days)]
}

fn robots(slot: Slot) -> impl Strategy<Value = Option<Robot>> {
    let parts = (any::<i64>(), moments(), moments(), prop::option::of(moments()), lifetimes(), any::<[bool; 2]>());
    let robot =
        parts.prop_map(move |(id, creation_time, update_time, expiration_time, lifetime, [disabled, editable])| {
            Robot { id, lifetime, expiration_time, editable, disabled, creation_time, update_time, ..robot(slot, 0) }
        });
    prop::option::weighted(0.8, robot)
}

fn wishes() -> impl Strategy<Value = Desired> {
    let rotations = (prop::option::of(spans()), spans(), prop::option::of(spans()));
    (rotations, lifetimes(), any::<[bool; 4]>()).prop_map(
        |((renew_before, overlap, interval), lifetime, [enabled, in_place, token, retain])| Desired {
            enabled,
            retain,
            lifetime,
            strategy: if in_place { Rotates::InPlace } else { Rotates::Overlap },
            rotation: Rotation { renew_before, overlap, interval },
            tokens: if token { refresh("1") } else { Tokens::default() },
            ..desired()
        },
    )
}

/// Which robot a record means, and its times.
type Records = (Option<bool>, [RegistryTime; 3], [Option<RegistryTime>; 3]);

fn records() -> impl Strategy<Value = Records> {
    let maybe = || prop::option::of(moments());
    (any::<Option<bool>>(), [moments(), moments(), moments()], [maybe(), maybe(), maybe()])
}

fn recorded(robots: &[Option<Robot>; 2], records: &Records) -> Recorded {
    let &(which, [creation_time, previously, revocation_time], [update_time, expiration_time, last_rotation]) = records;
    let gone = |creation_time| RobotRef { id: 7, creation_time, name: "robot$team-a+ci".to_owned() };
    let named = |slot: bool, else_created| robots[usize::from(slot)].as_ref().map_or(gone(else_created), reference);
    Recorded {
        current: which.map(|slot| RobotRecord {
            robot: named(slot, creation_time),
            update_time,
            checksum: Some(checksum()),
            expiration_time,
        }),
        previous: which.map(|slot| PreviousRecord { robot: named(!slot, previously), revocation_time }),
        last_rotation,
        expires_after: Some("30d".to_owned()).filter(|_| update_time.is_some()),
        ..Recorded::default()
    }
}

fn outcome(plan: &Plan, robots: &[Option<Robot>; 2], born: &Robot) -> Outcome {
    let robot = match plan.current {
        Some(Target::Seen(slot)) => robots[slot.index()].clone(),
        Some(Target::New) => plan.steps.iter().find_map(|step| match step {
            Step::Create(slot) => Some(Robot { name: robot(*slot, 0).name, ..born.clone() }),
            _ => None,
        }),
        None => None,
    };
    Outcome { robot, published: plan.publishes(), checksum: Some(checksum()), ..Outcome::default() }
}

fn judge(wish: &Desired, observed: &Observed, status: &AccountStatus, born: &Robot, after: RegistryTime) {
    let planners: [fn(&Situation) -> Plan; 4] = [
        plan::plan,
        |x| pace::defer(x, pace::Kind::Repair),
        |x| pace::defer(x, pace::Kind::Renewal),
        contest::back_off,
    ];
    for planner in planners {
        let plan = planner(&observed.situation(wish));
        let outcome = outcome(&plan, &observed.robots, born);
        let (status, wake) = report::report(&Facts {
            status,
            generation: Some(1),
            namespace: "team-a",
            registry: PinnedRegistry { kind: RegistryKind::ClusterHarborRegistry, name: "main".into(), url: None },
            desired: wish,
            observed,
            plan: &plan,
            blocked_by: None,
            spread: None,
            outcome: &outcome,
            now: after,
        });
        assert!(wake.is_none_or(|at| at <= RegistryTime::MAX));
        let written = serde_json::to_string(&status).expect("Kubernetes can be told");
        let read: AccountStatus = serde_json::from_str(&written).expect("what was written is read");
        // Of conditions Kubernetes keeps whole seconds.
        assert_eq!(serde_json::to_string(&read).expect("Kubernetes can be told"), written);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, ..ProptestConfig::default() })]
    #[test]
    fn no_time_and_no_number_stops_a_pass(
        wish in wishes(),
        robots in (robots(Slot::A), robots(Slot::B)),
        records in records(),
        (now, later_clock, after, paced) in (moments(), moments(), moments(), prop::option::of(moments())),
        born in robots(Slot::A),
        [may_update, behind, lost] in any::<[bool; 3]>(),
    ) {
        let robots = [robots.0, robots.1];
        let recorded = recorded(&robots, &records);
        let current = records.0.and_then(|slot| robots[usize::from(slot)].as_ref()).filter(|_| !lost);
        let secret = current.map_or(SecretSeen::Absent, secret_of);
        let observed = Observed {
            now,
            later_clock,
            robots,
            secret,
            recorded,
            known: [true; 2],
            login_works: None,
            own: CustomPassword::NotWished,
            permit: Permit::Granted,
            may_adopt: false,
            may_update,
            deleting: false,
            finalizer: true,
            unsettled: false,
            unreachable: false,
            abandoned: false,
            own_login: String::new(),
            paced_until: paced,
            behind,
        };
        let born = born.unwrap_or_else(|| robot(Slot::A, 0));
        judge(&wish, &observed, &AccountStatus { renewal_time: paced, ..AccountStatus::default() }, &born, after);
    }
}
