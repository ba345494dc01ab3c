//! Breadth-first search over everything that can happen, so that the first trace of a violation is a shortest one.

use std::collections::{HashSet, VecDeque};
use std::hash::{BuildHasherDefault, Hash, Hasher};

use crate::domain::plan::Step;

use super::Config;
use super::events::{self, Event};
use super::names::{Mark, Robot};
use super::operator::{Move, Operator};
use super::pass::{Violation, gather};
use super::settle::{settle, undisturbed};
use super::steps::advance;
use super::trace::trace;
use super::world::World;

/// Fast and good enough: sixty-four bits over a few million states. A world is hundreds of small values, so they are mixed
/// eight at a time.
#[derive(Default)]
struct Mixer {
    mixed: u64,
    waiting: u64,
    count: u32,
}

impl Mixer {
    fn mix(&mut self, value: u64) {
        let mixed = (self.mixed ^ value).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        self.mixed = mixed ^ (mixed >> 32);
    }
}

impl Hasher for Mixer {
    fn finish(&self) -> u64 {
        let last = self.waiting ^ (u64::from(self.count) << 60);
        let mixed = (self.mixed ^ last).wrapping_mul(0xd6e8_feb8_6659_fd93);
        mixed ^ (mixed >> 32)
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.write_u8(*byte);
        }
    }

    fn write_u8(&mut self, value: u8) {
        self.waiting = (self.waiting << 8) | u64::from(value);
        self.count += 1;
        if self.count == 8 {
            self.mix(self.waiting);
            (self.waiting, self.count) = (0, 0);
        }
    }

    fn write_usize(&mut self, value: usize) {
        self.write_u8(u8::try_from(value).expect("lengths and the leader are small"));
    }

    fn write_isize(&mut self, value: isize) {
        self.write_u8(u8::try_from(value).expect("so are discriminants"));
    }
}

type Seen = HashSet<u64, BuildHasherDefault<Identity>>;

/// The keys are hashes already.
#[derive(Default)]
struct Identity(u64);

impl Hasher for Identity {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, _: &[u8]) {
        unreachable!("keys are u64")
    }

    fn write_u64(&mut self, value: u64) {
        self.0 = value;
    }
}

fn key(world: &World) -> u64 {
    let mut hash = Mixer::default();
    world.hash(&mut hash);
    hash.finish()
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Transition {
    Start,
    Happens(Event),
    Gathers(usize),
    /// A step, and its answer arrives.
    Steps(usize),
    /// A step that commits, and then the operator crashes: the answer is lost.
    StepsAndCrashes(usize),
    CrashesBefore(usize),
    /// A POST whose answer does not come in time and that Harbor has not committed yet.
    TimesOut(usize),
    LatePostCommits,
    LatePostIsDropped,
    LeaderChanges,
}

/// What a search found.
#[derive(Debug, Default)]
pub(super) struct Report {
    pub(super) states: usize,
    pub(super) transitions: usize,
    /// The whole space was explored.
    pub(super) complete: bool,
    /// The first trace that breaks a rule.
    pub(super) violation: Option<String>,
}

type Next = (Transition, World, Violation);

pub(super) fn after(config: &Config, world: &World) -> Vec<Next> {
    let mut next = Vec::with_capacity(32);
    for event in events::ALL.into_iter().filter(|event| config.allows(*event)) {
        if let Some(world) = events::happen(world, event) {
            next.push((Transition::Happens(event), world, None));
        }
    }
    if let Some((slot, permissions)) = world.late {
        let dropped = World { late: None, ..*world };
        next.push((Transition::LatePostIsDropped, dropped, None));
        if world.robot(slot).is_none() {
            let mut committed = dropped;
            committed.born(slot, Robot::new(Mark::Ours, permissions));
            next.push((Transition::LatePostCommits, committed, None));
        }
    }
    if config.old_leader && world.leader == 0 {
        next.push((Transition::LeaderChanges, World { leader: 1, ..*world }, None));
    }
    for number in 0..2 {
        operate(config, world, number, &mut next);
    }
    for (_, world, violation) in &mut next {
        world.normalise();
        *violation = violation.or_else(|| check(config, world));
    }
    next
}

fn operate(config: &Config, world: &World, number: usize, next: &mut Vec<Next>) {
    let Some(step) = world.operators[number].moves[0] else {
        if world.leader == number && !world.is_gone() {
            let mut planned = *world;
            let (busy, violation) = gather(config, &mut planned, number);
            if busy || violation.is_some() || planned != *world {
                next.push((Transition::Gathers(number), planned, violation));
            }
        }
        return;
    };
    let mut done = *world;
    let (_, violation) = advance(config, &mut done, number);
    next.push((Transition::Steps(number), done, violation));
    let mut crashed = done;
    if crashed.operators[number].is_busy() {
        crashed.operators[number] = Operator::default();
        next.push((Transition::StepsAndCrashes(number), crashed, violation));
    }
    let mut crashed = *world;
    crashed.operators[number] = Operator::default();
    next.push((Transition::CrashesBefore(number), crashed, None));
    if let Move::Take(Step::Create(slot)) = step
        && config.late_posts
        && world.late.is_none()
        && world.robot(slot).is_none()
    {
        let mut waiting = *world;
        waiting.late = Some((slot, world.operators[number].permissions));
        waiting.operators[number].forget();
        next.push((Transition::TimesOut(number), waiting, None));
    }
}

fn check(config: &Config, world: &World) -> Violation {
    // Declared: a backup brings robots back that nobody could see any more; they are counted as orphans.
    if world.is_gone() && !config.retain && !world.ghost.restored_too_late && world.ours().next().is_some() {
        return Some("g: the account is gone and a robot of it is left");
    }
    let ghost = &world.ghost;
    if ghost.ever_published && !ghost.excused && !world.works() {
        return Some("b1: the published credential does not work and nothing outside explains it");
    }
    None
}

/// Explores until a rule is broken, all is seen, or the limit is reached.
pub(super) fn explore(config: &Config) -> Report {
    let start = World::start(config);
    let mut seen = Seen::default();
    let mut settled = Seen::default();
    let mut history: Vec<(u32, Transition)> = vec![(0, Transition::Start)];
    let mut waiting = VecDeque::from([(0_u32, start)]);
    seen.insert(key(&start));
    let mut report = Report { states: 1, complete: true, ..Report::default() };
    while let Some((number, world)) = waiting.pop_front() {
        let calm = undisturbed(&world);
        if world.late.is_none()
            && !world.is_gone()
            && settled.insert(key(&calm))
            && let Err(what) = settle(config, &calm)
        {
            report.violation = Some(format!("{}then undisturbed: {what}", trace(config, &history, number, None)));
            return report;
        }
        for (transition, next, violation) in after(config, &world) {
            report.transitions += 1;
            if let Some(rule) = violation {
                let text = trace(config, &history, number, Some(transition));
                report.violation = Some(format!("{text}breaks {rule}"));
                return report;
            }
            let hash = key(&next);
            if report.states >= config.limit {
                report.complete &= seen.contains(&hash);
            } else if seen.insert(hash) {
                report.states += 1;
                history.push((number, transition));
                waiting.push_back((u32::try_from(history.len() - 1).expect("the limit is far below"), next));
            }
        }
    }
    report
}
