//! The state of one small world, and the changes that its laws know.

use crate::domain::plan::{Age, Permit, Step};
use crate::domain::slots::Slot;

use super::Config;
use super::names::{Backup, Copied, Credential, Mark, Name, Robot};
use super::operator::{Move, Operator, Stale};

/// Permissions as nobody's spec ever had them.
pub(super) const EDITED: u8 = 9;

#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub(super) struct Secret {
    /// Of that name, and not ours.
    pub(super) foreign: bool,
    pub(super) credential: Credential,
    /// The credential is the one that was written.
    pub(super) intact: bool,
    pub(super) token: u8,
    /// Labels, hosts or formats are not as wanted.
    pub(super) reshaped: bool,
}

#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub(super) struct Status {
    pub(super) current: Name,
    pub(super) previous: Name,
    pub(super) overlap_ended: bool,
    pub(super) token: u8,
    pub(super) untouched: bool,
    /// `untouched` holds for the robot in the backup of Harbor.
    pub(super) untouched_in_backup: bool,
    /// Ready, for a credential that logs in.
    pub(super) ready: bool,
}

/// What one read of the account tells.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(super) struct Account {
    pub(super) status: Status,
    pub(super) permissions: u8,
    pub(super) token: u8,
    pub(super) enabled: bool,
    pub(super) in_place: bool,
    pub(super) deleted: bool,
    pub(super) finalizer: bool,
}

/// What the operators hold back for some minutes.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(super) enum Patience {
    /// Writes to a Secret that others keep changing.
    Contest,
    /// Repairs of a credential that is lost again and again.
    Pace,
}

/// What the invariants know and no operator sees.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub(super) struct Ghost {
    /// The credential published last.
    pub(super) published: Credential,
    /// The one published before it.
    pub(super) former: Credential,
    pub(super) former_ended: bool,
    /// Something outside explains that the published credential does not work.
    pub(super) excused: bool,
    pub(super) ever_published: bool,
    /// Harbor was restored after the last list of an account that is being deleted.
    pub(super) restored_too_late: bool,
    pub(super) token: u8,
}

#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(super) struct World {
    pub(super) robots: [Option<Robot>; 2],
    pub(super) second_is_newer: bool,
    pub(super) backup: Option<Backup>,
    pub(super) secret: Option<Secret>,
    pub(super) account: Account,
    /// The password that the account wishes; 0 = Harbor draws one.
    pub(super) own: u8,
    pub(super) permit: Permit,
    pub(super) may_update: bool,
    /// The operators hold back what others keep undoing.
    pub(super) patience: Option<Patience>,
    pub(super) operators: [Operator; 2],
    /// Which operator leads.
    pub(super) leader: usize,
    /// A POST whose client gave up and that Harbor may still commit.
    pub(super) late: Option<(Slot, u8)>,
    pub(super) ghost: Ghost,
    pub(super) events_left: u8,
}

impl World {
    pub(super) fn start(config: &Config) -> Self {
        let unmarked = config.unmarked.then(|| Robot::new(Mark::Nobody, 0));
        let account = Account {
            status: Status::default(),
            permissions: 0,
            token: 0,
            enabled: true,
            in_place: config.in_place,
            deleted: false,
            finalizer: false,
        };
        let mut world = Self {
            robots: [unmarked, None],
            second_is_newer: false,
            backup: None,
            secret: None,
            account,
            own: config.own.into(),
            permit: Permit::Granted,
            may_update: config.may_update,
            patience: None,
            operators: [Operator::default(); 2],
            leader: 0,
            late: None,
            ghost: Ghost::default(),
            events_left: config.events,
        };
        world.normalise();
        world
    }

    pub(super) fn robot(&self, slot: Slot) -> Option<Robot> {
        self.robots[slot.index()]
    }

    pub(super) fn robot_mut(&mut self, slot: Slot) -> &mut Robot {
        self.robots[slot.index()].as_mut().expect("the caller saw it alive")
    }

    pub(super) fn is_ours(&self, slot: Slot) -> bool {
        self.robot(slot).is_some_and(|robot| robot.ours)
    }

    /// Its mark or status says that it is ours.
    pub(super) fn is_known(&self, slot: Slot) -> bool {
        let Status { current, previous, .. } = self.account.status;
        let recorded = [current, previous].contains(&Name::Alive(slot));
        self.robot(slot).is_some_and(|robot| robot.ours && (robot.mark == Mark::Ours || recorded))
    }

    /// Robots of ours that are known as such.
    pub(super) fn ours(&self) -> impl Iterator<Item = Robot> + '_ {
        Slot::BOTH.into_iter().filter(|&slot| self.is_known(slot)).filter_map(|slot| self.robot(slot))
    }

    /// The account is gone from the API server.
    pub(super) fn is_gone(&self) -> bool {
        self.account.deleted && !self.account.finalizer
    }

    pub(super) fn logs_in(&self, credential: Credential) -> bool {
        let Credential { robot: Name::Alive(slot), right: true, .. } = credential else { return false };
        self.robot(slot).is_some_and(Robot::can_log_in)
    }

    /// A pod that uses the Secret now can pull.
    pub(super) fn works(&self) -> bool {
        self.secret.is_some_and(|secret| secret.intact && self.logs_in(secret.credential))
    }

    pub(super) fn former_works(&self) -> bool {
        self.logs_in(self.ghost.former) && !self.ghost.former_ended
    }

    fn each_credential(&mut self, change: &mut dyn FnMut(&mut Credential)) {
        self.secret.iter_mut().for_each(|secret| change(&mut secret.credential));
        change(&mut self.ghost.published);
        change(&mut self.ghost.former);
        for operator in &mut self.operators {
            change(&mut operator.made);
            if let Some(Stale { value: Some(secret), .. }) = &mut operator.stale_secret {
                change(&mut secret.credential);
            }
        }
    }

    fn each_status(&mut self, change: &mut dyn FnMut(&mut Status)) {
        change(&mut self.account.status);
        for operator in &mut self.operators {
            change(&mut operator.status);
            operator.stale_account.iter_mut().for_each(|stale| change(&mut stale.value.status));
        }
    }

    fn each_name(&mut self, change: &mut dyn FnMut(&mut Name)) {
        self.each_credential(&mut |credential| change(&mut credential.robot));
        self.each_status(&mut |status| {
            change(&mut status.current);
            change(&mut status.previous);
        });
        for operator in &mut self.operators {
            operator.seen.iter_mut().for_each(&mut *change);
        }
    }

    /// The robot disappears.
    pub(super) fn kill(&mut self, slot: Slot) {
        self.robots[slot.index()] = None;
        let copied = self.backup.as_mut().and_then(|backup| backup.robots[slot.index()].as_mut());
        let kept = copied.is_some_and(|copied| std::mem::take(&mut copied.same));
        let dead = if kept { Name::Kept(slot) } else { Name::Gone(slot) };
        self.each_name(&mut |name| {
            if *name == Name::Alive(slot) {
                *name = dead;
            }
        });
        self.each_credential(&mut Credential::normalise);
    }

    pub(super) fn born(&mut self, slot: Slot, robot: Robot) {
        self.robots[slot.index()] = Some(robot);
        self.second_is_newer = slot == Slot::B;
    }

    /// Harbor's update time of the robot moves.
    pub(super) fn touch(&mut self, slot: Slot) {
        self.each_status(&mut |status| status.untouched &= status.current != Name::Alive(slot));
        for operator in &mut self.operators {
            if operator.current.is_some_and(|current| operator.resolve(current) == Name::Alive(slot)) {
                operator.confirmed = false;
            }
        }
        if let Some(copied) = self.backup.as_mut().and_then(|backup| backup.robots[slot.index()].as_mut()) {
            copied.untouched &= !copied.same;
        }
    }

    /// The Secret holds another credential of this robot than the one that a status knows to have logged in.
    pub(super) fn publish_what_no_status_knows(&mut self, robot: Name) {
        self.each_status(&mut |status| {
            if status.current == robot {
                (status.untouched, status.untouched_in_backup) = (false, false);
            }
        });
    }

    /// The robot gets another password: one of the account's own, or (0) one that nobody else holds.
    pub(super) fn resecret(&mut self, slot: Slot, own: u8) {
        self.each_credential(&mut |credential| {
            if credential.robot == Name::Alive(slot) {
                credential.right = own != 0 && credential.own == own;
            }
        });
        self.touch(slot);
    }

    /// Somebody writes to the Secret: what others prepared against the version before is refused.
    pub(super) fn secret_changes(&mut self, by: Option<usize>) {
        for (number, operator) in self.operators.iter_mut().enumerate() {
            operator.secret_fresh &= by == Some(number);
            operator.stale_secret.iter_mut().for_each(|stale| stale.fresh = false);
        }
    }

    /// As `secret_changes`, for the account. An operator knows the version that it left, so it reads again what is older.
    pub(super) fn account_changes(&mut self, by: Option<usize>) {
        for (number, operator) in self.operators.iter_mut().enumerate() {
            operator.account_fresh &= by == Some(number);
            operator.stale_account.iter_mut().for_each(|stale| stale.fresh = false);
            if by == Some(number) {
                operator.stale_account = None;
            }
        }
    }

    pub(super) fn disturb(&mut self, slot: Slot) {
        for operator in &mut self.operators {
            operator.disturbed |= operator.concerns(Name::Alive(slot));
        }
    }

    pub(super) fn back_up(&mut self) {
        let robots = self.robots.map(|robot| robot.map(|robot| Copied { robot, same: true, untouched: true }));
        self.backup = Some(Backup { robots, second_is_newer: self.second_is_newer });
        self.each_credential(&mut |credential| credential.kept = credential.right);
        self.each_status(&mut |status| status.untouched_in_backup = status.untouched);
    }

    /// Harbor is as it was when it was backed up; what was made since is gone for good, and its ids run again.
    pub(super) fn restore(&mut self, backup: Backup) {
        self.backup = None;
        for slot in Slot::BOTH {
            let copied = backup.robots[slot.index()];
            let live = self.robot(slot);
            if live.is_some() && !copied.is_some_and(|copied| copied.same) {
                self.kill(slot);
            }
            self.robots[slot.index()] = copied.map(|Copied { robot, untouched, .. }| {
                let age = live.filter(|_| untouched).map_or(robot.age, |live| live.age);
                Robot { age, ..robot }
            });
        }
        self.second_is_newer = backup.second_is_newer;
        self.each_name(&mut |name| {
            if let Name::Kept(slot) = *name {
                *name = Name::Alive(slot);
            }
        });
        self.each_credential(&mut |credential| credential.right = std::mem::take(&mut credential.kept));
        self.each_status(&mut |status| status.untouched = std::mem::take(&mut status.untouched_in_backup));
        for operator in &mut self.operators {
            (operator.disturbed, operator.confirmed) = (true, false);
            (operator.restored, operator.revived) = (true, [true; 2]);
        }
        self.late = None;
        let removes = Move::Take(Step::RemoveFinalizer);
        self.ghost.restored_too_late |= self.operators.iter().any(|operator| operator.moves.contains(&Some(removes)));
    }

    /// Forgets what no longer makes a difference.
    pub(super) fn normalise(&mut self) {
        if self.robots.iter().any(Option::is_none) {
            self.second_is_newer = self.robots[1].is_some();
        }
        for operator in self.operators.iter_mut().filter(|operator| !operator.is_busy()) {
            operator.forget();
        }
        self.each_credential(&mut Credential::normalise);
        let ghost = &mut self.ghost;
        if !ghost.published.robot.may_live() {
            ghost.published = Credential::default();
        }
        if !ghost.former.robot.may_live() {
            (ghost.former, ghost.former_ended) = (Credential::default(), false);
        }
        self.each_status(&mut |status| status.overlap_ended &= status.previous != Name::Nothing);
        let Account { enabled, deleted, .. } = self.account;
        let wanted = enabled && self.permit == Permit::Granted && !deleted;
        self.ghost.excused = !wanted || (self.ghost.excused && !self.works());
    }

    /// Whether some robot expired or is about to.
    pub(super) fn ages(&mut self, slot: Slot) -> bool {
        let robot = self.robot_mut(slot);
        robot.age = match robot.age {
            Age::Fresh => Age::Due,
            Age::Due => Age::Expired,
            Age::Expired => return false,
        };
        true
    }
}
