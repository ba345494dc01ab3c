//! When a credential is renewed, how long the old one lives on, and what Harbor counts.

use jiff::SignedDuration;

use crate::api::{RegistryTime, registry_time::share};

use super::robot::Lifetime;

/// Seconds of a day as Harbor counts them (its clock runs in UTC).
pub const DAY: SignedDuration = SignedDuration::from_hours(24);
/// `spec.rotation.overlap` when nothing is said.
pub const DEFAULT_OVERLAP: SignedDuration = SignedDuration::from_hours(24);

/// `spec.rotation` and the registry's defaults, as one wish.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rotation {
    /// Renew this long before expiry; `None` = a third of the lifetime.
    pub renew_before: Option<SignedDuration>,
    /// The previous credential stays valid this long, as far as it can.
    pub overlap: SignedDuration,
    /// Rotate at least this often.
    pub interval: Option<SignedDuration>,
}

impl Default for Rotation {
    fn default() -> Self {
        Self { renew_before: None, overlap: DEFAULT_OVERLAP, interval: None }
    }
}

/// A number in [0, 1) that is always the same for an account: spreads accounts made together.
pub fn spread(uid: &str) -> f64 {
    // FNV-1a: stable over versions and processes, which std's hasher is not.
    let hash = uid
        .bytes()
        .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3));
    #[expect(clippy::cast_precision_loss, reason = "53 bits are plenty for spreading")]
    let share = (hash >> 11) as f64 / (1_u64 << 53) as f64;
    share
}

/// At least this part of a life passes before its renewal, whatever margin was asked for.
const LEAST_SHARE: f64 = 0.1;
/// `spec.rotation.interval` is at least this, also in an object from before the rule that says so.
pub const SHORTEST_INTERVAL: SignedDuration = SignedDuration::from_hours(1);

/// The margin before expiry: `renewBefore`, or a third of the life where nothing is said or where what is said does not
/// fit into it. Account and registry are not compared when they are written, and "always due" would be a storm.
fn margin(rotation: &Rotation, life: SignedDuration) -> SignedDuration {
    rotation.renew_before.filter(|wish| *wish < life).unwrap_or_else(|| share(life, 1.0 / 3.0))
}

/// False if `renewBefore` does not fit into the life that was asked for; see [`renewal_time`].
pub fn margin_fits(rotation: &Rotation, wanted: Lifetime) -> bool {
    match (rotation.renew_before, wanted) {
        (Some(margin), Lifetime::Days(count)) => margin < days(count),
        (None, _) | (_, Lifetime::Never) => true,
    }
}

/// So many days.
pub fn days(count: u32) -> SignedDuration {
    DAY.saturating_mul(i32::try_from(count).unwrap_or(i32::MAX))
}

/// When the robot is due for renewal, in registry time: spread by the UID over [expiry − renewBefore,
/// expiry − ⅔ renewBefore], or `interval` after it was made, whichever comes first. `None` = never.
///
/// Never before a tenth of the life has passed since the last rotation, or an hour where `interval` says when: otherwise
/// each pass would make another credential.
pub fn renewal_time(
    rotation: &Rotation,
    creation_time: RegistryTime,
    last_rotation: RegistryTime,
    expiration_time: Option<RegistryTime>,
    uid: &str,
) -> Option<RegistryTime> {
    // A robot renewed in place lives on: its life starts at the last rotation. One after the expiry was told by a clock
    // that has been set back since.
    let rotated = Some(last_rotation).filter(|&at| expiration_time.is_none_or(|expiry| at < expiry));
    let since = rotated.unwrap_or(creation_time).max(creation_time);
    let before_expiry = expiration_time.map(|expiry| {
        let life = expiry.duration_since(since).max(SignedDuration::ZERO);
        let margin = margin(rotation, life);
        (expiry - margin + share(margin, spread(uid) / 3.0)).max(since + share(life, LEAST_SHARE))
    });
    let by_interval = rotation.interval.map(|interval| since + interval.max(SHORTEST_INTERVAL));
    let due = before_expiry.into_iter().chain(by_interval).min();
    // Whole seconds: people read it.
    due.map(RegistryTime::whole_second)
}

/// What ends an overlap before its time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cut {
    /// `renewBefore` is shorter.
    RenewBefore,
    /// `interval` is shorter.
    Interval,
    /// The old robot expires first.
    OldExpires,
    /// The new robot would come too close to its own expiry: its renewal needs the old one's slot.
    NewExpires,
}

/// The overlap as it can be kept from `now` on, and what cuts it: never past the old robot's expiry, no longer than
/// `renewBefore` and `interval`, and not past `latest` (see [`latest_overlap_end`]).
pub fn overlap(
    rotation: &Rotation,
    old_expiry: Option<RegistryTime>,
    latest: Option<RegistryTime>,
    now: RegistryTime,
) -> (SignedDuration, Option<Cut>) {
    let until = |at: Option<RegistryTime>| at.map(|at| at.duration_since(now).max(SignedDuration::ZERO));
    let limits = [
        (until(old_expiry), Cut::OldExpires),
        (rotation.renew_before, Cut::RenewBefore),
        (rotation.interval, Cut::Interval),
        (until(latest), Cut::NewExpires),
    ];
    let shorter = limits.into_iter().filter_map(|(limit, cut)| Some((limit.filter(|l| *l < rotation.overlap)?, cut)));
    shorter.min_by_key(|(limit, _)| *limit).map_or((rotation.overlap, None), |(limit, cut)| (limit, Some(cut)))
}

/// A renewal waits for the end of a running overlap, which holds the slot it needs. Half of the time between renewal
/// and expiry is kept for the renewal itself.
pub fn latest_overlap_end(
    renewal: Option<RegistryTime>,
    expiration_time: Option<RegistryTime>,
) -> Option<RegistryTime> {
    let (renewal, expiry) = (renewal?, expiration_time?);
    // Whole seconds: what was rounded once is not cut again by the next pass.
    Some((renewal + share(expiry.duration_since(renewal), 0.5)).whole_second())
}

/// The `duration` to PUT so that a robot lives for `wanted` from now on: Harbor counts days from creation.
pub fn lifetime_from_now(wanted: Lifetime, creation_time: RegistryTime, now: RegistryTime) -> Lifetime {
    match wanted {
        Lifetime::Never => Lifetime::Never,
        Lifetime::Days(days) => {
            let age = now.duration_since(creation_time).max(SignedDuration::ZERO);
            let full_days = age.as_secs() / DAY.as_secs();
            let begun = age.as_secs() % DAY.as_secs() > 0 || age.subsec_nanos() > 0;
            let age_days = full_days + i64::from(begun);
            Lifetime::Days(days.saturating_add(u32::try_from(age_days).unwrap_or(u32::MAX)).min(MAX_DAYS))
        }
    }
}

/// Harbor refuses more (`duration` < 2³¹ − 1).
const MAX_DAYS: u32 = 2_147_483_646;

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> RegistryTime {
        RegistryTime::from_second(1_800_000_000 + seconds)
    }

    fn rotation() -> Rotation {
        Rotation { renew_before: None, overlap: DEFAULT_OVERLAP, interval: None }
    }

    #[test]
    fn renewal_is_spread_over_the_first_third_of_the_margin() {
        let expiry = at(30 * 86_400);
        for n in 0..200 {
            let due = renewal_time(&rotation(), at(0), at(0), Some(expiry), &format!("uid-{n}")).unwrap();
            let before = expiry.duration_since(due);
            assert!(before <= DAY * 10 && before >= (DAY * 10) * 2 / 3, "{before:?}");
        }
    }

    #[test]
    fn the_spread_fills_its_range() {
        let values: Vec<f64> = (0..1000).map(|n| spread(&format!("2d1c1a3e-0000-4000-8000-{n:012}"))).collect();
        assert!(values.iter().all(|v| (0.0..1.0).contains(v)));
        assert!(values.iter().copied().fold(1.0, f64::min) < 0.05 && values.iter().copied().fold(0.0, f64::max) > 0.95);
    }

    #[test]
    fn an_interval_rotates_robots_that_live_longer_or_for_ever() {
        let weekly = Rotation { interval: Some(DAY * 7), ..rotation() };
        assert_eq!(renewal_time(&weekly, at(0), at(0), None, "u"), Some(at(7 * 86_400)));
        assert_eq!(renewal_time(&weekly, at(0), at(0), Some(at(90 * 86_400)), "u"), Some(at(7 * 86_400)));
        assert_eq!(renewal_time(&rotation(), at(0), at(0), None, "u"), None);
    }

    #[test]
    fn an_overlap_is_cut_by_expiry_margin_and_interval_and_never_negative() {
        let r = Rotation { renew_before: Some(DAY / 2), ..rotation() };
        assert_eq!(overlap(&r, Some(at(86_400)), None, at(0)), (DAY / 2, Some(Cut::RenewBefore)));
        let r = Rotation { interval: Some(DAY / 4), ..r };
        assert_eq!(overlap(&r, Some(at(86_400)), None, at(0)), (DAY / 4, Some(Cut::Interval)));
        let hour = SignedDuration::from_hours(1);
        assert_eq!(overlap(&rotation(), Some(at(3_600)), None, at(0)), (hour, Some(Cut::OldExpires)));
        assert_eq!(overlap(&rotation(), Some(at(-5)), None, at(0)), (SignedDuration::ZERO, Some(Cut::OldExpires)));
        assert_eq!(overlap(&rotation(), None, Some(at(3_600)), at(0)), (hour, Some(Cut::NewExpires)));
        assert_eq!(overlap(&rotation(), None, Some(at(86_400)), at(0)), (DEFAULT_OVERLAP, None));
    }

    #[test]
    fn an_overlap_leaves_half_of_the_margin_to_the_renewal_that_waits_for_it() {
        let (renewal, expiry) = (at(20 * 86_400), at(30 * 86_400));
        assert_eq!(latest_overlap_end(Some(renewal), Some(expiry)), Some(at(25 * 86_400)));
        assert_eq!(latest_overlap_end(Some(renewal), None), None);
        assert_eq!(latest_overlap_end(Some(at(0)), Some(at(3))), Some(at(1)), "what is rounded stays as it is");
    }

    #[test]
    fn a_lifetime_from_now_adds_the_age_rounded_up() {
        let days = |n| Lifetime::Days(n);
        assert_eq!(lifetime_from_now(days(30), at(0), at(0)), days(30));
        assert_eq!(lifetime_from_now(days(30), at(0), at(1)), days(31));
        assert_eq!(lifetime_from_now(days(30), at(0), at(40 * 86_400)), days(70));
        assert_eq!(lifetime_from_now(days(30), at(0), at(-100)), days(30));
        assert_eq!(lifetime_from_now(Lifetime::Never, at(0), at(5)), Lifetime::Never);
        assert_eq!(lifetime_from_now(days(u32::MAX), at(0), at(5)), days(MAX_DAYS));
    }

    #[test]
    fn a_margin_that_does_not_fit_the_life_falls_back_to_a_third_of_it() {
        // Ten days before the end of a single one, as a registry's defaults may say.
        let misfit = Rotation { renew_before: Some(DAY * 10), ..rotation() };
        for n in 0..200 {
            let uid = format!("uid-{n}");
            let due = renewal_time(&misfit, at(0), at(0), Some(at(86_400)), &uid);
            assert_eq!(due, renewal_time(&rotation(), at(0), at(0), Some(at(86_400)), &uid));
            assert!(due.unwrap() >= at(57_600), "{due:?}");
        }
        assert!(!margin_fits(&misfit, Lifetime::Days(1)) && !margin_fits(&misfit, Lifetime::Days(10)));
        assert!(margin_fits(&misfit, Lifetime::Days(11)) && margin_fits(&misfit, Lifetime::Never));
        assert!(margin_fits(&rotation(), Lifetime::Days(1)));
    }

    #[test]
    fn a_rotation_by_a_clock_that_was_set_back_does_not_hold_the_renewal_until_expiry() {
        let due = renewal_time(&rotation(), at(0), at(395 * 86_400), Some(at(30 * 86_400)), "u").unwrap();
        assert_eq!(Some(due), renewal_time(&rotation(), at(0), at(0), Some(at(30 * 86_400)), "u"));
    }
}

#[cfg(test)]
mod properties {
    use proptest::prelude::*;

    use super::*;

    /// Moments from one end of the type to the other, most of them near one another.
    fn moments() -> impl Strategy<Value = RegistryTime> {
        prop_oneof![
            any::<i64>().prop_map(RegistryTime::from_second),
            Just(RegistryTime::MIN),
            Just(RegistryTime::MAX),
            (1_800_000_000_000..1_900_000_000_000_i64).prop_map(RegistryTime::from_millisecond),
        ]
    }

    fn spans() -> impl Strategy<Value = SignedDuration> {
        prop_oneof![
            (0..i64::MAX).prop_map(SignedDuration::from_secs),
            Just(SignedDuration::ZERO),
            Just(SignedDuration::MAX),
            (0..100_000_i64).prop_map(SignedDuration::from_mins),
        ]
    }

    fn rotations() -> impl Strategy<Value = Rotation> {
        (prop::option::of(spans()), spans(), prop::option::of(spans()))
            .prop_map(|(renew_before, overlap, interval)| Rotation { renew_before, overlap, interval })
    }

    fn second() -> SignedDuration {
        SignedDuration::from_secs(1)
    }

    proptest! {
        /// Whatever Harbor answers to a renewal at `now`, the next one is a share of that life away.
        #[test]
        fn nothing_undercuts_the_least_time_between_two_renewals(
            rotation in rotations(), created in moments(), now in moments(), expiry in prop::option::of(moments()), uid: u64,
        ) {
            let (in_place, anew) = ((created.min(now), now), (now, now));
            for (created, rotated) in [in_place, anew] {
                let Some(due) = renewal_time(&rotation, created, rotated, expiry, &uid.to_string()) else { continue };
                // One that is dead at birth is for `pace` to hold.
                let life = expiry.map(|expiry| expiry.duration_since(now)).filter(jiff::SignedDuration::is_positive);
                prop_assume!(expiry.is_none() || life.is_some());
                let least = life.map_or(SHORTEST_INTERVAL, |life| share(life, LEAST_SHARE).min(SHORTEST_INTERVAL));
                // Moments end somewhere, and are told in whole seconds.
                prop_assert!(due >= (now + least) - second(), "{} is due at {} already", now, due);
            }
        }

        #[test]
        fn a_credential_is_renewed_before_it_ends(
            rotation in rotations(), created in moments(), rotated in moments(), expiry in moments(), uid: u64,
        ) {
            let due = renewal_time(&rotation, created, rotated, Some(expiry), &uid.to_string());
            prop_assert!(due.is_some_and(|due| due <= expiry.max(created)));
        }

        #[test]
        fn no_input_stops_the_rest(
            rotation in rotations(), one in prop::option::of(moments()), other in prop::option::of(moments()), now in moments(),
            count: u32,
        ) {
            let (span, cut) = overlap(&rotation, one, other, now);
            prop_assert!(span <= rotation.overlap);
            prop_assert!(cut.is_some() || span == rotation.overlap);
            prop_assert!(now + span >= now);
            if let (Some(renewal), Some(expiry)) = (one, other) {
                let end = latest_overlap_end(one, other).unwrap();
                prop_assert!(end >= renewal.min(expiry) && end <= renewal.max(expiry));
            }
            for created in [one, other].into_iter().flatten() {
                let Lifetime::Days(days) = lifetime_from_now(Lifetime::Days(count), created, now) else { panic!() };
                prop_assert!(days >= count.min(MAX_DAYS) && days <= MAX_DAYS);
            }
        }
    }
}
