//! One run: a seed decides the world's misfortunes, then all is put right, and it has to settle.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::ops::Range;
use std::sync::Once;
use std::time::Duration;

use rand::RngExt as _;
use rand::rngs::SmallRng;
use serde::{Deserialize, Serialize};
use tokio::time::{Instant, sleep, sleep_until};

use crate::actions::{self, Action, Event};
use crate::chance;
use crate::check::Violation;
use crate::logins::Login;
use crate::machine::Machine;
use crate::network::{Name, Network, Reached, Weather};
use crate::peace;
use crate::world::{ORPHAN_AFTER, PATROL, World};

/// After the last repair everything is as it should be within so long and a poll.
const SETTLE: Duration = Duration::from_mins(1);
/// How often a person looks whether everything is as it should be, and does again what people do.
const LOOK_AGAIN: Duration = Duration::from_secs(10);
/// What the operator learned by trying is tried again once in so long.
pub(crate) const LESSONS: Duration = Duration::from_mins(62);
/// What `Retry-After` says is believed up to this, and a poll comes after it.
pub(crate) const LONGEST_REST: Duration = Duration::from_mins(25);
/// What somebody changed three times in a row is left alone for so long.
const CONTESTED: Duration = Duration::from_mins(10);
/// Then nothing is written for so long.
const QUIET: Duration = Duration::from_mins(15);
/// The same in most runs that poll often.
const SHORT_QUIET: Duration = Duration::from_mins(3);
/// At most so many times as long is waited for what is due.
const LONGEST_OVERLAPS: u32 = 8;
/// Of both replicas: what polls, sweeps and leases cost, and not more.
const CALLS_IN_PEACE: u64 = 1_500;
/// Before the first misfortune.
const PROLOGUE: Duration = Duration::from_secs(20);
/// How often the API server's controllers have a look, in milliseconds.
const COLLECT: Range<u64> = 50..3_000;

/// How often what must hold at any time is looked at.
const LOOK: Duration = Duration::from_secs(5);

/// What one run is made of.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Settings {
    /// Which run.
    pub seed: u64,
    /// Only these misfortunes happen; `None`: all that the seed draws.
    pub only: Option<BTreeSet<Name>>,
    /// Keep the log.
    pub trace: bool,
    /// What happens instead of what the seed draws; then the network is calm.
    #[serde(skip)]
    pub story: Option<Vec<Event>>,
}

/// How a run ended.
#[derive(Debug, Serialize, Deserialize)]
pub struct Outcome {
    /// What did not hold.
    pub violations: Vec<Violation>,
    /// What went wrong on purpose: when, under which name, in words.
    pub happened: Vec<(Duration, Name, String)>,
    /// The log, where it was asked for.
    pub log: Vec<String>,
    /// A digest of the whole log.
    pub digest: u64,
    /// Calls of the operator.
    pub calls: u64,
    /// Simulated time.
    pub time: Duration,
    /// What of the operator was reached.
    pub reached: Reached,
    /// What must not be in its log.
    pub passwords: BTreeSet<String>,
}

impl Outcome {
    /// Of a run that did not come to an end.
    pub fn ended_by(violation: Violation) -> Self {
        let violations = vec![violation];
        let (reached, passwords, time) = (Reached::default(), BTreeSet::new(), Duration::ZERO);
        Self { violations, happened: Vec::new(), log: Vec::new(), digest: 0, calls: 0, time, reached, passwords }
    }
}

/// Runs in a thread of its own, since a simulated machine is a thread.
///
/// # Panics
/// If the simulation itself does.
pub fn run(settings: &Settings) -> Outcome {
    let settings = settings.clone();
    let seed = settings.seed;
    note_panics();
    let thread = std::thread::Builder::new().name(format!("seed {seed}")).spawn(move || {
        let machine = Machine::start(seed);
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .start_paused(true)
            .build()
            .expect("a runtime without input and output can be made");
        runtime.block_on(async {
            machine.follow_tokio();
            one(&machine, settings).await
        })
    });
    thread.expect("there is room for a thread").join().unwrap_or_else(|panic| {
        let text = panic.downcast_ref::<String>().cloned();
        let text = text.or_else(|| panic.downcast_ref::<&str>().map(ToString::to_string)).unwrap_or_default();
        Outcome::ended_by(format!("h: a panic outside of a pass: {text}"))
    })
}

thread_local! {
    static PANICS: RefCell<Vec<String>> = const { RefCell::new(Vec::new()) };
}

/// tokio catches what panics in a task, and so does the operator: each panic of a run's thread is kept, whoever catches it.
fn note_panics() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let usual = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |panic| {
            PANICS.with_borrow_mut(|panics| panics.push(panic.to_string()));
            usual(panic);
        }));
    });
}

/// What panicked since it was asked last.
fn panics() -> impl Iterator<Item = Violation> {
    PANICS.take().into_iter().map(|panic| format!("h: {panic}"))
}

/// How bad it gets: half of the runs know only what people do, since what a network does hides their faults.
fn weather(random: &mut SmallRng) -> Weather {
    let grades: [(u32, u32, u32); 6] = [(0, 0, 0), (0, 0, 0), (0, 60, 10), (20, 20, 5), (100, 50, 20), (300, 150, 60)];
    let (calls, events, cuts) = grades[random.random_range(0..grades.len())];
    Weather { calls, events, cuts }
}

async fn one(machine: &Machine, settings: Settings) -> Outcome {
    let network = Network::new(settings.seed, settings.only, settings.trace);
    let mut random = chance::of(settings.seed, "events", 0);
    let (longest, most) = if peace::is_long(settings.seed) { (300, 12) } else { (1_800, 60) };
    let storm = Duration::from_secs(random.random_range(60..longest));
    let count = random.random_range(3..most);
    let weather = weather(&mut random);
    let two = random.random_range(0..3) == 0;
    // More than one page of them.
    let robots = if random.random_range(0..6) == 0 { 110 } else { 2 };
    let login = if random.random_range(0..3) == 0 { Login::Robot } else { Login::Administrator };
    let mut world = World::new(network.clone(), settings.seed, login, robots);
    let drawn = actions::draw(&mut random, world.wishes.len(), count, storm);
    let (events, weather, two) = match settings.story {
        Some(story) => (story, Weather::CALM, false),
        None => (drawn, weather, two),
    };
    let storm = events.last().map_or(storm, |last| storm.max(last.at));

    let cluster = world.cluster.clone();
    let mut at_will = chance::of(settings.seed, "collector", 0);
    let controllers = tokio::spawn(async move {
        loop {
            sleep(Duration::from_millis(at_will.random_range(COLLECT))).await;
            cluster.store().collect(|| at_will.random_range(0..3) > 0);
        }
    });
    world.replicas[0].start();
    if two {
        world.replicas[1].start();
    }
    let began = Instant::now();
    let mut violations = Vec::new();
    sleep(PROLOGUE).await;
    network.set_weather(weather);
    // A call that is refused teaches something, too.
    world.mistaught = weather.calls > 0;
    for (number, Event { at, action }) in events.into_iter().enumerate() {
        watch_until(&mut world, began + PROLOGUE + at, &mut violations).await;
        if !violations.is_empty() {
            break;
        }
        if network.happens(&format!("event {number}"), &action) {
            action.run(&mut world, machine).await;
        }
        violations.extend(world.always().into_iter().chain(panics()));
        if !violations.is_empty() {
            break;
        }
    }
    if violations.is_empty() {
        watch_until(&mut world, began + PROLOGUE + storm, &mut violations).await;
    }
    if violations.is_empty() {
        violations = calm(&mut world, machine).await;
    }
    violations.extend(panics());
    controllers.abort();
    for replica in &mut world.replicas {
        replica.kill();
    }
    Outcome {
        violations,
        happened: network.happened(),
        log: network.log(),
        digest: network.digest(),
        calls: network.calls(),
        time: network.time(),
        reached: network.reached(),
        passwords: world.all_passwords(),
    }
}

/// Looks every few seconds whether what must hold at any time does.
async fn watch_until(world: &mut World, until: Instant, violations: &mut Vec<Violation>) {
    loop {
        world.note_published();
        violations.extend(world.always().into_iter().chain(panics()));
        if !violations.is_empty() || Instant::now() >= until {
            return;
        }
        sleep_until(until.min(Instant::now() + LOOK)).await;
    }
}

/// The malice is over: what only people can put right is put right, and the operator has to do the rest.
async fn calm(world: &mut World, machine: &Machine) -> Vec<Violation> {
    let network = world.network.clone();
    network.set_weather(Weather::CALM);
    network.note("-- calm");
    network.bring_back();
    for action in [Action::CutOff(0, false), Action::CutOff(1, false), Action::Start(0), Action::Repair] {
        action.run(world, machine).await;
    }
    if world.asked_to_rest {
        sleep(LONGEST_REST).await;
    }
    // What is learned by trying, and what is left at another Harbor, has its own time.
    let patience = if world.told_hourly || world.mistaught || world.has_moved() { LESSONS } else { Duration::ZERO };
    let begun = Instant::now();
    let mut repaired = begun;
    loop {
        sleep(LOOK_AGAIN).await;
        let mut wrong = world.settled();
        let is_settled = wrong.is_empty();
        if is_settled {
            wrong = stirs(world).await;
        }
        if wrong.is_empty() {
            break;
        }
        for wrong in &wrong {
            network.note(format_args!("-- not yet: {wrong}"));
        }
        // What belongs to nobody is deleted after a while, if it is still there at a second look. Where no account is, the
        // first look is a patrol's.
        let orphans = wrong.iter().all(|wrong| wrong.starts_with("a: robots at "));
        let orphans = if orphans { PATROL + ORPHAN_AFTER + world.poll } else { Duration::ZERO };
        let settled_on = wrong.iter().all(|wrong| world.is_settled_on_less(wrong));
        let settled_on = if settled_on { LESSONS } else { Duration::ZERO };
        let contested = if world.is_contested() { CONTESTED } else { Duration::ZERO };
        let late = repaired.max(network.deaf_until())
            + SETTLE
            + world.poll
            + patience.max(orphans).max(contested)
            + settled_on;
        if Instant::now() > late || (is_settled && patience.is_zero()) || begun.elapsed() > LESSONS * 3 {
            return wrong;
        }
        // A namespace on its way out is made again once it is gone, and what is missing in Git's eyes is applied.
        let version = world.cluster.store().version();
        world.restore_order();
        world.apply_all();
        if world.cluster.store().version() > version || world.a_namespace_ends() {
            repaired = Instant::now();
        }
    }
    peace::serves_at_once(world, machine).await
}

/// What does not stay as it is once everything has settled. What comes about by itself, a renewal or the end of an overlap,
/// is no unrest.
async fn stirs(world: &World) -> Vec<Violation> {
    let network = &world.network;
    network.note("-- settled");
    // What sweeps count is told by the next one.
    sleep_until(network.deaf_until().max(Instant::now()) + world.poll + LOOK_AGAIN).await;
    let quiet = if world.poll > SHORT_QUIET || world.seed.is_multiple_of(5) { QUIET } else { SHORT_QUIET };
    for _ in 0..LONGEST_OVERLAPS {
        if !world.something_is_due_within(quiet) {
            break;
        }
        sleep(QUIET).await;
    }
    let due = world.something_is_due_within(quiet);
    let calls = network.calls();
    drop(network.take_writes());
    sleep(quiet).await;
    let mut wrong = world.settled();
    wrong.extend(world.miscounted());
    let writes = network.take_writes();
    if !due && !writes.is_empty() {
        let minutes = quiet.as_secs() / 60;
        let some = writes.iter().take(5).map(String::as_str).collect::<Vec<_>>().join(", ");
        wrong.push(format!("k: {} writes in {minutes} minutes of quiet: {some}", writes.len()));
    }
    let calls = network.calls() - calls;
    network.note(format_args!("-- {calls} calls in peace"));
    if calls > CALLS_IN_PEACE {
        wrong.push(format!("k: {calls} calls in {} minutes of quiet", quiet.as_secs() / 60));
    }
    wrong
}
