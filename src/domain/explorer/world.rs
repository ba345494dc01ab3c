//! The state of one small world. Robots, secrets and versions are kept as relations ("the robot now in this slot", "one
//! that was there"), so that states are finite and equal worlds are equal values.

use crate::domain::plan::{
    Age, Holder, Named, Permit, Recorded, SecretView, Situation, SlotView, Step, Strategy, Target,
};
use crate::domain::slots::Slot;

use super::Config;

/// Permissions as nobody's spec ever had them.
pub(super) const EDITED: u8 = 9;
/// More moves than any plan has.
const MOST_MOVES: usize = 10;

#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(super) struct Robot {
    pub(super) holder: Holder,
    /// Which version of the spec's permissions.
    pub(super) permissions: u8,
    pub(super) disabled: bool,
    pub(super) retained: bool,
    pub(super) age: Age,
}

impl Robot {
    pub(super) fn new(holder: Holder, permissions: u8) -> Self {
        Self { holder, permissions, disabled: false, retained: false, age: Age::Fresh }
    }

    fn can_log_in(self) -> bool {
        !self.disabled && self.age < Age::Expired
    }
}

#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(super) struct Secret {
    pub(super) names: Named,
    /// The password is the one that the named robot has.
    pub(super) right: bool,
    pub(super) intact: bool,
    pub(super) token: u8,
}

#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub(super) struct Status {
    pub(super) current: Named,
    pub(super) previous: Named,
    pub(super) overlap_ended: bool,
    pub(super) token: u8,
    pub(super) untouched: bool,
    /// Ready, for a credential that logs in.
    pub(super) ready: bool,
}

/// What a pass does, one after the other.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(super) enum Move {
    Take(Step),
    /// GET and a login, after PUT or PATCH on the published robot.
    Confirm,
    WriteStatus,
}

/// An operator in the middle of a plan. Its memory is lost in a crash.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub(super) struct Operator {
    pub(super) moves: [Option<Move>; MOST_MOVES],
    /// The robots it saw in the slots are there no more.
    pub(super) gone: [bool; 2],
    /// The robot it made or gave a new secret.
    pub(super) made: Named,
    /// The secret it holds is still that robot's.
    pub(super) holds: bool,
    /// Somebody else laid hands on a robot of this plan.
    pub(super) disturbed: bool,
    pub(super) permissions: u8,
    pub(super) token: u8,
    pub(super) disable: bool,
    /// Nobody wrote to the Secret or the account since it read them.
    pub(super) secret_fresh: bool,
    pub(super) account_fresh: bool,
    pub(super) current: Option<Target>,
    pub(super) previous: Option<Slot>,
    pub(super) ready: bool,
    pub(super) confirmed: bool,
    pub(super) ends_overlap: bool,
    pub(super) keeps_overlap: bool,
    /// Status names the robots of the plan afterwards; else they stay as they were.
    pub(super) records: bool,
    pub(super) status_token: u8,
    pub(super) published: bool,
    pub(super) interrupted: bool,
    pub(super) look_again: bool,
    /// A gap was declared for this plan: in place, or no other slot to go to.
    pub(super) gap_declared: bool,
    /// Learned from a 403; survives the plan.
    pub(super) cannot_update: bool,
}

impl Operator {
    pub(super) fn is_busy(&self) -> bool {
        self.moves[0].is_some()
    }

    pub(super) fn next(&mut self) -> Option<Move> {
        let next = self.moves[0];
        self.moves.rotate_left(1);
        self.moves[MOST_MOVES - 1] = None;
        next
    }

    pub(super) fn forget(&mut self) {
        *self = Self { cannot_update: self.cannot_update, ..Self::default() };
    }

    pub(super) fn resolve(&self, target: Target) -> Named {
        match target {
            Target::New => self.made,
            Target::Seen(slot) if self.gone[slot.index()] => Named::Gone(slot),
            Target::Seen(slot) => Named::Alive(slot),
        }
    }

    fn concerns(&self, robot: Named) -> bool {
        let touches = |target: Target| self.resolve(target) == robot;
        self.made == robot
            || self.moves.iter().flatten().any(|next| match next {
                Move::Take(Step::Refresh(target) | Step::Update(target, _) | Step::Publish(target)) => touches(*target),
                _ => false,
            })
    }
}

/// What the invariants know and no operator sees.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub(super) struct Ghost {
    /// The robot published last, and whether that credential is still right.
    pub(super) published: Named,
    pub(super) published_right: bool,
    /// The one published before it.
    pub(super) former: Named,
    pub(super) former_right: bool,
    pub(super) former_ended: bool,
    /// Something outside explains that the published credential does not work.
    pub(super) excused: bool,
    pub(super) ever_published: bool,
    pub(super) token: u8,
}

#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(super) struct World {
    pub(super) robots: [Option<Robot>; 2],
    pub(super) second_is_newer: bool,
    pub(super) secret: Option<Secret>,
    pub(super) status: Status,
    pub(super) permissions: u8,
    pub(super) token: u8,
    pub(super) enabled: bool,
    pub(super) granted: bool,
    pub(super) deleted: bool,
    pub(super) finalizer: bool,
    pub(super) may_update: bool,
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
        let unmarked = config.unmarked.then(|| Robot::new(Holder::Unmarked, 0));
        let mut world = Self {
            robots: [unmarked, None],
            second_is_newer: false,
            secret: None,
            status: Status::default(),
            permissions: 0,
            token: 0,
            enabled: true,
            granted: true,
            deleted: false,
            finalizer: false,
            may_update: config.may_update,
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
        self.robot(slot).is_some_and(|robot| robot.holder == Holder::Ours)
    }

    pub(super) fn ours(&self) -> impl Iterator<Item = Robot> + '_ {
        self.robots.iter().flatten().copied().filter(|robot| robot.holder == Holder::Ours)
    }

    /// The account is gone from the API server.
    pub(super) fn is_gone(&self) -> bool {
        self.deleted && !self.finalizer
    }

    pub(super) fn logs_in(&self, robot: Named, right: bool) -> bool {
        matches!(robot, Named::Alive(slot) if right && self.robot(slot).is_some_and(Robot::can_log_in))
    }

    /// A pod that uses the Secret now can pull.
    pub(super) fn works(&self) -> bool {
        self.secret.is_some_and(|secret| secret.intact && self.logs_in(secret.names, secret.right))
    }

    pub(super) fn former_works(&self) -> bool {
        self.logs_in(self.ghost.former, self.ghost.former_right) && !self.ghost.former_ended
    }

    /// What one pass of an operator reads.
    pub(super) fn situation(&self, config: &Config, operator: usize) -> Situation {
        let secret_token = self.secret.map_or(0, |secret| secret.token);
        let served = [secret_token, self.status.token].contains(&self.token);
        let token = self.status.current != Named::Nothing && self.token != 0 && !served;
        let mut situation = Situation {
            slots: self.robots.map(|robot| {
                robot.map(|robot| SlotView {
                    holder: robot.holder,
                    differs: robot.permissions != self.permissions,
                    exceeds: robot.permissions > self.permissions,
                    disabled: robot.disabled,
                    retained: robot.retained,
                    age: robot.age,
                })
            }),
            second_is_newer: self.second_is_newer,
            secret: self.secret.map_or(SecretView::Absent, |secret| SecretView::Ours {
                names: secret.names,
                intact: secret.intact,
                current_form: true,
            }),
            recorded: Recorded {
                current: self.status.current,
                previous: self.status.previous,
                overlap_ended: self.status.overlap_ended,
                untouched: self.status.untouched,
            },
            login_works: None,
            token,
            revoke: token && config.revoke,
            enabled: self.enabled,
            permit: if self.granted { Permit::Granted } else { Permit::Refused },
            deleting: self.deleted,
            retain: config.retain,
            finalizer: self.finalizer,
            may_update: !self.operators[operator].cannot_update,
            may_adopt: config.adopt,
            strategy: if config.in_place { Strategy::InPlace } else { Strategy::Overlap },
            unsettled: self.late.is_some() || (self.leader == 1 && self.operators[0].is_busy()),
            unreachable: false,
            abandoned: false,
        };
        if situation.wants_login() {
            situation.login_works = Some(self.works());
        }
        situation
    }

    /// The robot disappears; its id is never used again.
    pub(super) fn kill(&mut self, slot: Slot) {
        self.robots[slot.index()] = None;
        let names =
            [&mut self.status.current, &mut self.status.previous, &mut self.ghost.published, &mut self.ghost.former];
        let secret = self.secret.as_mut().map(|secret| &mut secret.names);
        let made = self.operators.iter_mut().map(|operator| {
            operator.gone[slot.index()] = true;
            &mut operator.made
        });
        for name in names.into_iter().chain(secret).chain(made) {
            if *name == Named::Alive(slot) {
                *name = Named::Gone(slot);
            }
        }
    }

    pub(super) fn born(&mut self, slot: Slot, robot: Robot) {
        self.robots[slot.index()] = Some(robot);
        self.second_is_newer = slot == Slot::B;
    }

    /// Harbor's update time of the robot moves.
    pub(super) fn touch(&mut self, slot: Slot) {
        if self.status.current == Named::Alive(slot) {
            self.status.untouched = false;
        }
        for operator in &mut self.operators {
            if operator.current.is_some_and(|current| operator.resolve(current) == Named::Alive(slot)) {
                operator.confirmed = false;
            }
        }
    }

    /// The robot gets another secret, which only `by` holds.
    pub(super) fn resecret(&mut self, slot: Slot, by: Option<usize>) {
        let robot = Named::Alive(slot);
        if let Some(secret) = self.secret.as_mut().filter(|secret| secret.names == robot) {
            secret.right = false;
        }
        if self.ghost.published == robot {
            self.ghost.published_right = false;
        }
        if self.ghost.former == robot {
            self.ghost.former_right = false;
        }
        for (number, operator) in self.operators.iter_mut().enumerate() {
            if by != Some(number) && operator.made == robot {
                operator.holds = false;
            }
        }
        self.touch(slot);
    }

    pub(super) fn disturb(&mut self, slot: Slot) {
        for operator in &mut self.operators {
            operator.disturbed |= operator.concerns(Named::Alive(slot));
        }
    }

    /// Forgets what no longer makes a difference.
    pub(super) fn normalise(&mut self) {
        if self.robots.iter().any(Option::is_none) {
            self.second_is_newer = self.robots[1].is_some();
        }
        for operator in &mut self.operators {
            if !operator.is_busy() {
                operator.forget();
            }
        }
        if !matches!(self.ghost.published, Named::Alive(_)) {
            (self.ghost.published, self.ghost.published_right) = (Named::Nothing, false);
        }
        if !matches!(self.ghost.former, Named::Alive(_)) {
            (self.ghost.former, self.ghost.former_right, self.ghost.former_ended) = (Named::Nothing, false, false);
        }
        if self.status.previous == Named::Nothing {
            self.status.overlap_ended = false;
        }
        if let Some(secret) = self.secret.as_mut().filter(|secret| !matches!(secret.names, Named::Alive(_))) {
            secret.right = false;
        }
        let wanted = self.enabled && self.granted && !self.deleted;
        self.ghost.excused = !wanted || (self.ghost.excused && !self.works());
    }
}
