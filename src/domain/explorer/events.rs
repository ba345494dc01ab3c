//! What people, time and other programs do to the world, at any moment: also between what a pass reads and each of its
//! steps.

use crate::domain::plan::Permit;
use crate::domain::slots::Slot;

use super::names::{Credential, Mark, Name, Robot};
use super::operator::Stale;
use super::world::{EDITED, Patience, Secret, Status, World};

#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(super) enum Event {
    ChangePermissions,
    ToggleEnabled,
    SetToken,
    DeleteSecret,
    DamageSecret,
    ForgeAnnotation,
    WipeStatus,
    ToggleGrant,
    DeleteAccount,
    DeleteRobot(Slot),
    DisableRobot(Slot),
    EnableRobot(Slot),
    ResecretRobot(Slot),
    EditRobot(Slot),
    RobotAges(Slot),
    StrangerTakes(Slot),
    StrangerLeaves,
    ToggleLoginRights,
    ChangeStrategy,
    /// Another password in the user's Secret; the first time: `spec.passwordSecretRef` is set.
    ChangeOwnPassword,
    DropOwnPassword,
    /// Somebody takes our mark out of the description.
    EraseMark(Slot),
    /// Somebody changes labels, hosts or formats of our Secret, or the spec asks for others.
    ReshapeSecret,
    /// A Secret of that name that is not ours, also in place of ours.
    ForeignSecretComes,
    ForeignSecretGoes,
    /// The operators have had enough of those who keep changing the Secret, or who keep breaking the credential.
    ContestBegins,
    RepairsPause,
    /// What the next pass will take for the Secret or the account is read now.
    ReadsSecretAhead,
    ReadsAccountAhead,
    BackUpHarbor,
    RestoreHarbor,
    /// Free: these happen by themselves.
    OverlapEnds,
    GrantLapses,
    PatienceEnds,
}

/// Events that are explored together.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Kind {
    /// In every configuration.
    Core,
    LoginRights,
    Strategy,
    Own,
    Mark,
    Secret,
    Stale,
    Restore,
}

use Event::{
    BackUpHarbor, ChangeOwnPassword, ChangePermissions, ChangeStrategy, ContestBegins, DamageSecret, DeleteAccount,
    DeleteRobot, DeleteSecret, DisableRobot, DropOwnPassword, EditRobot, EnableRobot, EraseMark, ForeignSecretComes,
    ForeignSecretGoes, ForgeAnnotation, GrantLapses, OverlapEnds, PatienceEnds, ReadsAccountAhead, ReadsSecretAhead,
    RepairsPause, ResecretRobot, ReshapeSecret, RestoreHarbor, RobotAges, SetToken, StrangerLeaves, StrangerTakes,
    ToggleEnabled, ToggleGrant, ToggleLoginRights, WipeStatus,
};

pub(super) const ALL: [Event; 42] = [
    ChangePermissions,
    ToggleEnabled,
    SetToken,
    DeleteSecret,
    DamageSecret,
    ForgeAnnotation,
    WipeStatus,
    ToggleGrant,
    DeleteAccount,
    DeleteRobot(Slot::A),
    DeleteRobot(Slot::B),
    DisableRobot(Slot::A),
    DisableRobot(Slot::B),
    EnableRobot(Slot::A),
    EnableRobot(Slot::B),
    ResecretRobot(Slot::A),
    ResecretRobot(Slot::B),
    EditRobot(Slot::A),
    EditRobot(Slot::B),
    RobotAges(Slot::A),
    RobotAges(Slot::B),
    StrangerTakes(Slot::A),
    StrangerTakes(Slot::B),
    StrangerLeaves,
    ToggleLoginRights,
    ChangeStrategy,
    ChangeOwnPassword,
    DropOwnPassword,
    EraseMark(Slot::A),
    EraseMark(Slot::B),
    ReshapeSecret,
    ForeignSecretComes,
    ForeignSecretGoes,
    ContestBegins,
    RepairsPause,
    ReadsSecretAhead,
    ReadsAccountAhead,
    BackUpHarbor,
    RestoreHarbor,
    OverlapEnds,
    GrantLapses,
    PatienceEnds,
];

impl Event {
    pub(super) fn kind(self) -> Kind {
        match self {
            ToggleLoginRights => Kind::LoginRights,
            ChangeStrategy => Kind::Strategy,
            ChangeOwnPassword | DropOwnPassword => Kind::Own,
            EraseMark(_) => Kind::Mark,
            ReshapeSecret | ForeignSecretComes | ForeignSecretGoes | ContestBegins | RepairsPause => Kind::Secret,
            ReadsSecretAhead | ReadsAccountAhead => Kind::Stale,
            BackUpHarbor | RestoreHarbor => Kind::Restore,
            _ => Kind::Core,
        }
    }

    fn robot(self) -> Option<Slot> {
        match self {
            DeleteRobot(slot) | DisableRobot(slot) | EnableRobot(slot) | ResecretRobot(slot) | EditRobot(slot)
            | RobotAges(slot) | EraseMark(slot) => Some(slot),
            _ => None,
        }
    }
}

/// The world afterwards; `None` if the event cannot happen or changes nothing.
pub(super) fn happen(before: &World, event: Event) -> Option<World> {
    let mut world = *before;
    if world.is_gone() {
        return None;
    }
    if let OverlapEnds | GrantLapses | PatienceEnds = event {
        return by_itself(&mut world, event).then_some(world);
    }
    world.events_left = world.events_left.checked_sub(1)?;
    declare(&mut world, event);
    if let Some(slot) = event.robot() {
        if !world.is_ours(slot) {
            return None;
        }
        world.disturb(slot);
    }
    if !apply(&mut world, event) {
        return None;
    }
    match event {
        ChangePermissions | ToggleEnabled | SetToken | WipeStatus | DeleteAccount | ChangeStrategy
        | DropOwnPassword => world.account_changes(None),
        DeleteSecret | DamageSecret | ForgeAnnotation | ReshapeSecret | ForeignSecretComes | ForeignSecretGoes => {
            world.secret_changes(None);
        }
        _ => {}
    }
    world.ghost.excused |= before.works() && !world.works();
    Some(world)
}

fn by_itself(world: &mut World, event: Event) -> bool {
    match event {
        OverlapEnds => {
            let status = &mut world.account.status;
            let running = status.previous != Name::Nothing && !status.overlap_ended;
            let former_running = world.ghost.former.robot != Name::Nothing && !world.ghost.former_ended;
            status.overlap_ended = status.previous != Name::Nothing;
            world.ghost.former_ended = world.ghost.former.robot != Name::Nothing;
            running || former_running
        }
        GrantLapses => {
            let lapsing = world.permit == Permit::Lapsing;
            if lapsing {
                world.permit = Permit::Refused;
            }
            lapsing
        }
        _ => world.patience.take().is_some(),
    }
}

/// Declared double faults: the only record of what was published goes, so nothing can tell it from a rotation that was
/// cut off. One renewal with a gap is allowed then.
fn declare(world: &mut World, event: Event) {
    let current = world.account.status.current;
    let named = world.secret.map_or(Name::Nothing, |secret| secret.credential.robot);
    let ghost = &mut world.ghost;
    if matches!(event, DeleteSecret | ForgeAnnotation | ForeignSecretComes) && current != named {
        ghost.published = Credential::default();
        if current != ghost.former.robot {
            ghost.former = Credential::default();
        }
    }
    let named_by_secret =
        world.secret.is_some_and(|secret| secret.intact && secret.credential.robot == ghost.published.robot);
    if event == WipeStatus && !named_by_secret {
        (ghost.published, ghost.former) = (Credential::default(), Credential::default());
    }
}

fn apply(world: &mut World, event: Event) -> bool {
    let deleted = world.account.deleted;
    match event {
        ChangePermissions => world.account.permissions ^= 1,
        ToggleEnabled => world.account.enabled = !world.account.enabled,
        SetToken => world.account.token += 1,
        ChangeStrategy => world.account.in_place = !world.account.in_place,
        ChangeOwnPassword => world.own = if world.own == 1 { 2 } else { 1 },
        DropOwnPassword if world.own != 0 => world.own = 0,
        DeleteSecret | DamageSecret | ForgeAnnotation | ReshapeSecret | ForeignSecretComes | ForeignSecretGoes => {
            return apply_to_secret(world, event);
        }
        WipeStatus if world.account.status != Status::default() => world.account.status = Status::default(),
        ToggleGrant => {
            world.permit = if world.permit == Permit::Granted { Permit::Lapsing } else { Permit::Granted };
        }
        DeleteAccount if !deleted => {
            world.account.deleted = true;
            if !world.account.finalizer && world.secret.is_some_and(|secret| !secret.foreign) {
                world.secret = None;
            }
        }
        DeleteRobot(_) | DisableRobot(_) | EnableRobot(_) | ResecretRobot(_) | EditRobot(_) | EraseMark(_)
        | RobotAges(_) | StrangerTakes(_) | StrangerLeaves => return apply_to_robots(world, event),
        ToggleLoginRights => {
            world.may_update = !world.may_update;
            world.operators.iter_mut().for_each(|operator| operator.cannot_update = false);
        }
        ContestBegins if world.patience.is_none() => world.patience = Some(Patience::Contest),
        RepairsPause if world.patience.is_none() => world.patience = Some(Patience::Pace),
        ReadsSecretAhead if world.operators[world.leader].stale_secret.is_none() => {
            let read = Stale { value: world.secret, fresh: true };
            world.operators[world.leader].stale_secret = Some(read);
        }
        ReadsAccountAhead if world.operators[world.leader].stale_account.is_none() => {
            let read = Stale { value: world.account, fresh: true };
            world.operators[world.leader].stale_account = Some(read);
        }
        BackUpHarbor if world.backup.is_none() => world.back_up(),
        RestoreHarbor => {
            let Some(backup) = world.backup else { return false };
            let before = *world;
            world.restore(backup);
            forget_what_no_record_names(world, &before);
        }
        _ => return false,
    }
    // The spec of an account that is being deleted makes no difference any more.
    let of_spec = matches!(event, ChangePermissions | ToggleEnabled | SetToken | ChangeStrategy);
    !(deleted && of_spec) && world.account.token <= 2
}

/// Declared: what a restore of Harbor brings back is in no record. Either both records name robots that went with it. Or,
/// after two rotations in a row that were cut off between Secret and status, the robot in the Secret went with it, status
/// still names the one before both, and the one in between looks like a rotation that was cut off. To spare it would cost
/// the robot that status names whenever somebody puts an older copy of the Secret back, which looks the same.
fn forget_what_no_record_names(world: &mut World, before: &World) {
    let lives = |name: Name| matches!(name, Name::Alive(_));
    let named = |world: &World| world.secret.map_or(Name::Nothing, |secret| secret.credential.robot);
    let Status { current, previous, .. } = world.account.status;
    let (named_before, named) = (named(before), named(world));
    let on_record = |credential: Credential| [named, current, previous].contains(&credential.robot);
    let ghost = &mut world.ghost;
    let neither = !lives(named) && !lives(current);
    if neither && !on_record(ghost.published) {
        ghost.published = Credential::default();
    }
    if (neither || (lives(named_before) && !lives(named))) && !on_record(ghost.former) {
        ghost.former = Credential::default();
    }
}

fn apply_to_robots(world: &mut World, event: Event) -> bool {
    match event {
        DeleteRobot(slot) => world.kill(slot),
        DisableRobot(slot) | EnableRobot(slot) => {
            let disable = matches!(event, DisableRobot(_));
            let robot = world.robot_mut(slot);
            if robot.disabled == disable {
                return false;
            }
            robot.disabled = disable;
            world.touch(slot);
            world.operators.iter_mut().for_each(|operator| operator.revived[slot.index()] |= !disable);
        }
        ResecretRobot(slot) => world.resecret(slot, 0),
        EditRobot(slot) => {
            world.robot_mut(slot).permissions = EDITED;
            world.touch(slot);
        }
        EraseMark(slot) if world.robot(slot).is_some_and(|robot| robot.mark == Mark::Ours) => {
            world.robot_mut(slot).mark = Mark::Nobody;
            world.touch(slot);
        }
        RobotAges(slot) => return world.ages(slot),
        StrangerTakes(slot) if world.robot(slot).is_none() => world.born(slot, Robot::new(Mark::Other, 0)),
        StrangerLeaves => {
            let held = |slot: &Slot| world.robot(*slot).is_some_and(|robot| !robot.ours);
            let Some(slot) = Slot::BOTH.into_iter().find(held) else { return false };
            world.kill(slot);
        }
        _ => return false,
    }
    true
}

fn apply_to_secret(world: &mut World, event: Event) -> bool {
    let (there, foreign) = (world.secret.is_some(), world.secret.is_some_and(|secret| secret.foreign));
    let ours = world.secret.as_mut().filter(|secret| !secret.foreign);
    match (event, ours) {
        (DeleteSecret, Some(_)) => world.secret = None,
        (DamageSecret, Some(secret)) if secret.intact => {
            (secret.credential.right, secret.credential.kept, secret.intact) = (false, false, false);
        }
        (ForgeAnnotation, Some(secret)) if secret.intact => {
            let Name::Alive(slot) = secret.credential.robot else { return false };
            secret.credential = Credential { robot: Name::Gone(slot), ..Credential::default() };
            secret.intact = false;
        }
        (ReshapeSecret, Some(secret)) if !secret.reshaped => secret.reshaped = true,
        (ForeignSecretComes, _) if !foreign => {
            world.secret = Some(Secret { foreign: true, ..Secret::default() });
        }
        (ForeignSecretGoes, None) if there => world.secret = None,
        _ => return false,
    }
    true
}
