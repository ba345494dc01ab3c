//! Random histories against a naive account of what each key is owed.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::time::{Duration, Instant};

use proptest::prelude::*;

use super::*;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
struct Id(u8);

impl Key for Id {
    type Group = Team;

    fn group(&self) -> Team {
        Team(self.0 % 3)
    }
}

/// Two of the three wait on the same server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Team(u8);

impl Group for Team {
    type Pool = u8;

    fn pool(&self) -> u8 {
        self.0 % 2
    }

    fn class(&self) -> usize {
        usize::from(self.pool())
    }
}

/// How a queue is limited.
fn limits() -> impl Strategy<Value = Config> {
    let limit = || prop_oneof![Just(usize::MAX), 1..4_usize];
    (limit(), limit(), limit(), limit()).prop_map(|(group_limit, slots, first, second)| Config {
        group_limit,
        slots,
        class_limits: [first, second, usize::MAX],
        ..Config::default()
    })
}

#[derive(Clone, Copy, Debug)]
enum Op {
    Change(u8, Option<u32>),
    Hint(u8, Option<u32>),
    WakeIn(u8, u64),
    Pop,
    Done(usize, End),
    Release(u64),
    Forget(u8),
    Pass(u64),
}

#[derive(Clone, Copy, Debug)]
enum End {
    Settled(Option<u64>),
    Again,
    Failed(Option<u64>),
    Parked(u64, Option<u64>),
    Gone,
}

fn op() -> impl Strategy<Value = Op> {
    let millis = prop_oneof![0..50_u64, 0..5_000_u64];
    let end = prop_oneof![
        proptest::option::of(millis.clone()).prop_map(End::Settled),
        Just(End::Again),
        proptest::option::of(millis.clone()).prop_map(End::Failed),
        (0..2_u64, proptest::option::of(millis.clone())).prop_map(|(tag, after)| End::Parked(tag, after)),
        Just(End::Gone),
    ];
    prop_oneof![
        2 => (0..6_u8, any::<Option<u32>>()).prop_map(|(key, payload)| Op::Change(key, payload)),
        2 => (0..6_u8, any::<Option<u32>>()).prop_map(|(key, payload)| Op::Hint(key, payload)),
        2 => (0..6_u8, millis.clone()).prop_map(|(key, delay)| Op::WakeIn(key, delay)),
        5 => Just(Op::Pop),
        5 => (any::<usize>(), end).prop_map(|(which, end)| Op::Done(which, end)),
        1 => (0..2_u64).prop_map(Op::Release),
        1 => (0..6_u8).prop_map(Op::Forget),
        2 => millis.prop_map(Op::Pass),
    ]
}

/// What one key is owed, told only from what was done to it.
#[derive(Clone, Debug, Default)]
struct Owed {
    running: bool,
    /// Forgotten during the pass that runs, and not heard of since.
    forgotten: bool,
    change: bool,
    hint: bool,
    again: bool,
    released: bool,
    retry: bool,
    timers: BTreeSet<u64>,
    payload: Option<u32>,
    not_before: u64,
    parked: Option<u64>,
    parked_until: Option<u64>,
    /// Released during the pass that runs.
    missed: BTreeSet<u64>,
    failures: u32,
    agains: u32,
}

impl Owed {
    fn nothing(&self) -> bool {
        !(self.change || self.hint || self.again || self.released || self.retry) && self.timers.is_empty()
    }
}

struct Check {
    queue: Queue<Id, u32>,
    epoch: Instant,
    now: u64,
    keys: BTreeMap<Id, Owed>,
    passed_over: bool,
}

impl Check {
    fn new(config: Config) -> Self {
        let epoch = Instant::now();
        let queue = Queue::new(config, epoch);
        Self { queue, epoch, now: 0, keys: BTreeMap::new(), passed_over: false }
    }

    fn at(&self, millis: u64) -> Instant {
        self.epoch + Duration::from_millis(millis)
    }

    fn apply(&mut self, op: Op) {
        let now = self.at(self.now);
        match op {
            Op::Change(key, payload) => {
                self.queue.change(Id(key), payload, now);
                let owed = self.keys.entry(Id(key)).or_default();
                let timers = if owed.running { std::mem::take(&mut owed.timers) } else { BTreeSet::new() };
                let (running, payload) = (owed.running, payload.or(owed.payload));
                let missed = std::mem::take(&mut owed.missed);
                *owed = Owed { running, payload, timers, missed, change: true, ..Owed::default() };
            }
            Op::Hint(key, payload) => {
                self.queue.hint(Id(key), payload, now);
                let owed = self.keys.entry(Id(key)).or_default();
                owed.payload = payload.or(owed.payload);
                (owed.hint, owed.forgotten) = (true, false);
            }
            Op::WakeIn(key, delay) => {
                let at = self.now + delay;
                self.queue.wake_at(Id(key), self.at(at));
                self.keys.entry(Id(key)).or_default().timers.insert(at);
            }
            Op::Pop => _ = self.pop(),
            Op::Done(which, end) => {
                let running: Vec<Id> = self.keys.iter().filter(|(_, owed)| owed.running).map(|(id, _)| *id).collect();
                if !running.is_empty() {
                    self.done(running[which % running.len()], end);
                }
            }
            Op::Release(tag) => {
                self.look_at_parked();
                let parked = self.keys.values_mut().filter(|owed| owed.parked == Some(tag));
                let count =
                    parked.map(|owed| (owed.parked, owed.parked_until, owed.released) = (None, None, true)).count();
                assert_eq!(self.queue.release(tag, now), count);
                self.keys.values_mut().filter(|owed| owed.running).for_each(|owed| _ = owed.missed.insert(tag));
            }
            Op::Forget(key) => {
                self.queue.forget(&Id(key));
                let owed = self.keys.entry(Id(key)).or_default();
                let (running, missed) = (owed.running, std::mem::take(&mut owed.missed));
                *owed = Owed { running, forgotten: running, missed, ..Owed::default() };
            }
            Op::Pass(millis) => self.now += millis,
        }
    }

    /// How many passes of keys that fit are under way.
    fn running(&self, fits: impl Fn(Team) -> bool) -> usize {
        self.keys.iter().filter(|(id, owed)| owed.running && fits(id.group())).count()
    }

    /// Whether a pass of this group may start.
    fn has_room(&self, team: Team) -> bool {
        let Config { group_limit, slots, class_limits, .. } = self.queue.config;
        let (of_group, of_pool) = (self.running(|other| other == team), self.running(|o| o.pool() == team.pool()));
        let of_class = self.running(|other| other.class() == team.class());
        let free = slots - self.running(|_| true);
        of_group < group_limit
            && of_class < class_limits[team.class()]
            && of_pool < free.min(class_limits[team.class()] - of_class)
    }

    /// Whoever waits for a tag no longer than until now waits no more.
    fn look_at_parked(&mut self) {
        for owed in self.keys.values_mut() {
            if let Some(until) = owed.parked_until.take_if(|until| *until <= self.now) {
                owed.parked = None;
                owed.timers.insert(until);
            }
        }
    }

    fn pop(&mut self) -> Option<Id> {
        self.look_at_parked();
        let change_waits = self.keys.values().any(|owed| owed.change && !owed.running);
        let room: Vec<bool> = (0..3).map(|team| self.has_room(Team(team))).collect();
        let Some((id, payload, cause)) = self.queue.pop(self.at(self.now)) else {
            let waits = |(id, owed): (&Id, &Owed)| {
                let due = owed.change || owed.again || owed.released;
                due && !owed.running && room[usize::from(id.group().0)]
            };
            assert!(!self.keys.iter().any(waits), "what may run is handed out");
            return None;
        };
        assert!(room[usize::from(id.group().0)], "{id:?} has no room");
        let owed = self.keys.get_mut(&id).expect("a key nobody pushed");
        assert!(!owed.running, "two at once for {id:?}");
        assert_eq!(payload, owed.payload);
        assert_eq!(cause == Cause::Change, owed.change);
        assert_eq!(owed.parked, None, "parked");
        assert!(self.now >= owed.not_before, "{id:?} runs {} ms early", owed.not_before - self.now);
        match cause {
            Cause::Change => {}
            Cause::Again => assert!(owed.again),
            Cause::Hint => assert!(owed.hint),
            Cause::Released => assert!(owed.released),
            Cause::Retry => assert!(owed.retry),
            Cause::Timer => assert!(owed.timers.first().is_some_and(|at| *at <= self.now), "a timer fires early"),
        }
        let passes_over = change_waits && !matches!(cause, Cause::Change | Cause::Again);
        let unlimited = Config { backoff: self.queue.config.backoff, ..Config::default() };
        assert!(!(passes_over && self.passed_over && self.queue.config == unlimited), "changes go first");
        self.passed_over = passes_over;
        let (failures, agains) = (owed.failures, owed.agains);
        *owed = Owed { running: true, failures, agains, ..Owed::default() };
        Some(id)
    }

    fn done(&mut self, id: Id, end: End) {
        let (now, from_now) = (self.now, |millis: u64| self.epoch + Duration::from_millis(self.now + millis));
        let outcome = match end {
            End::Settled(wake) => Outcome::Settled { wake: wake.map(from_now) },
            End::Again => Outcome::Again,
            End::Failed(after) => Outcome::Failed { not_before: after.map(from_now) },
            End::Parked(tag, after) => Outcome::Parked(tag, after.map(from_now)),
            End::Gone => Outcome::Gone,
        };
        self.queue.done(&id, outcome, self.at(now));
        let owed = self.keys.get_mut(&id).expect("it ran");
        owed.running = false;
        let missed = std::mem::take(&mut owed.missed);
        if std::mem::take(&mut owed.forgotten) || owed.change {
            (owed.failures, owed.agains) = (0, 0);
            return;
        }
        let failed = |owed: &mut Owed, after: u64| {
            owed.failures += 1;
            owed.agains = 0;
            let shortest = (750 << (owed.failures - 1).min(20)).min(450_000);
            owed.not_before = now + shortest.max(after);
            owed.retry = true;
        };
        match end {
            End::Settled(wake) => {
                owed.timers.extend(wake.map(|wake| now + wake));
                (owed.failures, owed.agains) = (0, 0);
            }
            End::Again if owed.agains == 4 => failed(owed, 0),
            End::Again => {
                owed.agains += 1;
                owed.again = true;
            }
            End::Failed(after) => failed(owed, after.unwrap_or(0)),
            End::Parked(tag, _) if missed.contains(&tag) => {
                (owed.released, owed.agains) = (true, 0);
            }
            End::Parked(tag, after) => {
                (owed.parked, owed.parked_until, owed.agains) = (Some(tag), after.map(|after| now + after), 0);
            }
            End::Gone if owed.hint => (owed.failures, owed.agains) = (0, 0),
            End::Gone => *owed = Owed { timers: std::mem::take(&mut owed.timers), ..Owed::default() },
        }
    }

    /// Lets everything run to its end: whatever is owed has to come.
    fn drain(&mut self) {
        let running: Vec<Id> = self.keys.iter().filter(|(_, owed)| owed.running).map(|(id, _)| *id).collect();
        for id in running {
            self.done(id, End::Settled(None));
        }
        for tag in 0..2 {
            self.apply(Op::Release(tag));
        }
        self.now += 24 * 3600 * 1000;
        while let Some(id) = self.pop() {
            self.done(id, End::Settled(None));
        }
        for (id, owed) in &self.keys {
            assert!(owed.nothing(), "{id:?} is still owed {owed:?}");
        }
        assert_eq!(self.queue.counts(), Counts::default());
        assert_eq!(self.queue.entries.len(), 0);
        assert_eq!(self.queue.ready.groups(), 0);
        assert_eq!(self.queue.next_wake(), None);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, ..ProptestConfig::default() })]

    #[test]
    fn every_history_hands_out_what_is_owed_once_at_its_time_and_leaves_nothing(
        limits in limits(),
        ops in proptest::collection::vec(op(), 1..120),
    ) {
        let mut check = Check::new(limits);
        for op in ops {
            check.apply(op);
            let counts = check.queue.counts();
            let states = counts.queued + counts.in_progress + counts.backing_off + counts.parked + counts.timers;
            prop_assert_eq!(states, check.queue.entries.len(), "each key is in one state: {:?}", counts);
            prop_assert!(check.queue.entries.len() <= check.keys.len());
        }
        check.drain();
    }

    #[test]
    fn however_many_slow_servers_there_are_the_first_pass_for_another_finds_room(
        backlogs in proptest::collection::vec(1..200_usize, 1..32),
    ) {
        let now = Instant::now();
        let mut queue = Queue::<Named, ()>::new(Config { slots: 32, ..Config::default() }, now);
        for (server, backlog) in backlogs.iter().enumerate() {
            (0..*backlog).for_each(|n| queue.change(Named(server, n), None, now));
        }
        // None of them ends.
        let mut started = HashMap::new();
        while let Some((Named(server, _), ..)) = queue.pop(now) {
            *started.entry(server).or_insert(0) += 1;
        }
        let most = 32_usize.div_ceil(backlogs.len() + 1);
        prop_assert!(started.len() == backlogs.len(), "each has a pass: {started:?}");
        prop_assert!(backlogs.iter().any(|backlog| *backlog < most) || started.values().all(|n| *n <= most), "{started:?}");
        queue.change(Named(backlogs.len(), 0), None, now);
        prop_assert_eq!(queue.pop(now).map(|(key, ..)| key), Some(Named(backlogs.len(), 0)));
    }

    #[test]
    fn a_group_with_one_item_is_served_within_as_many_turns_as_there_are_groups(
        sizes in proptest::collection::vec(1..40_usize, 2..12),
        already in 0..30_usize,
        lane in 0..3_u8,
    ) {
        let now = Instant::now();
        let mut queue = Queue::<Named, ()>::new(Config::default(), now);
        let push = |queue: &mut Queue<Named, ()>, group: usize, n: usize| match lane {
            0 => queue.change(Named(group, n), None, now),
            1 => queue.hint(Named(group, n), None, now),
            _ => queue.wake_at(Named(group, n), now),
        };
        for (group, size) in sizes.iter().enumerate() {
            (0..*size).for_each(|n| push(&mut queue, group, n));
        }
        for _ in 0..already {
            queue.pop(now);
        }
        let newcomer = sizes.len();
        push(&mut queue, newcomer, 0);
        let mut served = HashMap::new();
        for turn in 1.. {
            let (Named(group, _), ..) = queue.pop(now).expect("the newcomer waits");
            *served.entry(group).or_insert(0) += 1;
            if group == newcomer {
                prop_assert!(turn <= sizes.len() + 1);
                break;
            }
        }
        prop_assert!(served.values().all(|times| *times == 1), "no group goes twice before it: {:?}", served);
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Named(usize, usize);

impl Key for Named {
    type Group = usize;

    fn group(&self) -> usize {
        self.0
    }
}
