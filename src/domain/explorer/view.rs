//! What one pass of an operator reads.

use crate::domain::plan::{CustomPassword, Holder, Permit, Recorded, SecretView, Situation, SlotView, Strategy};
use crate::domain::slots::Slot;

use super::Config;
use super::names::{Mark, Name, Robot};
use super::operator::Stale;
use super::world::{Account, Secret, Status, World};

/// Secret and account, each as it is or as it was read ahead.
#[derive(Clone, Copy)]
pub(super) struct Reading {
    pub(super) secret: Stale<Option<Secret>>,
    pub(super) account: Stale<Account>,
}

impl Reading {
    pub(super) fn live(world: &World) -> Self {
        Self {
            secret: Stale { value: world.secret, fresh: true },
            account: Stale { value: world.account, fresh: true },
        }
    }

    /// Takes what was read ahead.
    pub(super) fn take(world: &mut World, number: usize) -> Self {
        let live = Self::live(world);
        let operator = &mut world.operators[number];
        Self {
            secret: operator.stale_secret.take().unwrap_or(live.secret),
            account: operator.stale_account.take().unwrap_or(live.account),
        }
    }

    pub(super) fn is_fresh(&self) -> bool {
        self.secret.fresh && self.account.fresh
    }

    /// The Secret is not as the last pass left it.
    pub(super) fn is_disturbed(&self) -> bool {
        self.secret.value.is_none_or(|secret| !secret.foreign && (!secret.intact || secret.reshaped))
    }

    pub(super) fn intact_secret(&self) -> Option<Secret> {
        self.secret.value.filter(|secret| !secret.foreign && secret.intact)
    }

    pub(super) fn secret_token(&self) -> u8 {
        self.secret.value.map_or(0, |secret| secret.token)
    }

    /// A token waits to be served; one seen while status is empty (a restore) is recorded, not acted on.
    pub(super) fn token(&self) -> bool {
        let Account { token, status, .. } = self.account.value;
        let served = [self.secret_token(), status.token].contains(&token);
        status.current != Name::Nothing && token != 0 && !served
    }
}

fn slot_view(robot: Robot, slot: Slot, account: &Account) -> SlotView {
    let Status { current, previous, .. } = account.status;
    let holder = match robot.mark {
        Mark::Ours => Holder::Ours,
        Mark::Nobody if [current, previous].contains(&Name::Alive(slot)) => Holder::Ours,
        Mark::Nobody => Holder::Unmarked,
        Mark::Other => Holder::Stranger,
    };
    SlotView {
        holder,
        differs: robot.permissions != account.permissions || robot.mark != Mark::Ours,
        exceeds: robot.permissions > account.permissions,
        disabled: robot.disabled,
        retained: robot.retained,
        age: robot.age,
    }
}

/// What the decision table sees.
pub(super) fn situation(config: &Config, world: &World, number: usize, reading: &Reading) -> Situation {
    let account = reading.account.value;
    let Account { status, deleted, finalizer, .. } = account;
    let permit = if deleted { Permit::Granted } else { world.permit };
    let token = reading.token();
    let mut situation = Situation {
        slots: [Slot::A, Slot::B].map(|slot| world.robot(slot).map(|robot| slot_view(robot, slot, &account))),
        second_is_newer: world.second_is_newer,
        secret: reading.secret.value.map_or(SecretView::Absent, |secret| {
            let Secret { foreign, credential, intact, reshaped, .. } = secret;
            if foreign {
                SecretView::Foreign
            } else {
                SecretView::Ours { names: credential.robot.seen(), intact, current_form: !reshaped }
            }
        }),
        recorded: Recorded {
            current: status.current.seen(),
            previous: status.previous.seen(),
            overlap_ended: status.overlap_ended,
            untouched: status.untouched,
        },
        login_works: None,
        token,
        revoke: token && config.revoke,
        enabled: account.enabled,
        permit,
        deleting: deleted,
        retain: config.retain,
        finalizer,
        may_update: !world.operators[number].cannot_update,
        may_adopt: config.adopt,
        strategy: if account.in_place { Strategy::InPlace } else { Strategy::Overlap },
        own: match reading.intact_secret() {
            _ if world.own == 0 => CustomPassword::NotWished,
            Some(secret) if secret.credential.own == world.own => CustomPassword::Published,
            _ => CustomPassword::Differs,
        },
        unsettled: world.late.is_some() || (world.leader == 1 && world.operators[0].is_busy()),
        unreachable: permit == Permit::Lapsing || (permit == Permit::Refused && !finalizer),
        abandoned: false,
        own_login: None,
    };
    if situation.unreachable {
        return Situation { slots: [None; 2], second_is_newer: false, secret: SecretView::Absent, ..situation };
    }
    let nothing_recorded = [status.current, status.previous] == [Name::Nothing; 2];
    if !finalizer && !deleted && nothing_recorded && reading.secret.value.is_none() {
        // A new account asks for no list. If there is something after all, POST says so.
        return Situation { slots: [None; 2], second_is_newer: false, ..situation };
    }
    if situation.wants_login() {
        situation.login_works = Some(reading.intact_secret().is_some_and(|secret| world.logs_in(secret.credential)));
    }
    situation
}
