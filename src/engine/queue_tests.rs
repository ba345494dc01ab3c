use std::sync::Arc;
use std::time::{Duration, Instant};

use super::*;

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Id(u8, Arc<str>, Arc<str>);

impl Key for Id {
    type Group = Arc<str>;

    fn group(&self) -> Arc<str> {
        Arc::clone(&self.1)
    }
}

fn key(name: &str) -> Id {
    let (namespace, name) = name.split_once('/').unwrap_or(("a", name));
    Id(0, namespace.into(), name.into())
}

/// A queue with its own clock.
struct Bench {
    queue: Queue<Id, u32>,
    now: Instant,
}

impl Bench {
    fn new() -> Self {
        Self::with(Config::default())
    }

    fn with(config: Config) -> Self {
        let now = Instant::now();
        Self { queue: Queue::new(config, now), now }
    }

    fn change(&mut self, name: &str) {
        self.queue.change(key(name), None, self.now);
    }

    fn hint(&mut self, name: &str) {
        self.queue.hint(key(name), None, self.now);
    }

    fn wake_in(&mut self, name: &str, seconds: u64) {
        self.queue.wake_at(key(name), self.now + Duration::from_secs(seconds));
    }

    fn pop(&mut self) -> Option<(String, Cause)> {
        self.queue.pop(self.now).map(|(Id(_, namespace, name), _, cause)| (format!("{namespace}/{name}"), cause))
    }

    fn done(&mut self, name: &str, outcome: Outcome) {
        self.queue.done(&key(name), outcome, self.now);
    }

    fn settled(&mut self, name: &str) {
        self.done(name, Outcome::Settled { wake: None });
    }

    fn failed(&mut self, name: &str) {
        self.done(name, Outcome::Failed { not_before: None });
    }

    fn pass(&mut self, seconds: u64) {
        self.now += Duration::from_secs(seconds);
    }

    fn one(&mut self, cause: Cause) {
        assert_eq!(self.pop(), Some(("a/x".to_owned(), cause)));
    }
}

#[test]
fn a_key_in_progress_is_not_handed_out_again_and_a_change_meanwhile_runs_right_after() {
    let mut bench = Bench::new();
    bench.change("x");
    bench.one(Cause::Change);
    bench.queue.change(key("x"), Some(7), bench.now);
    assert_eq!(bench.pop(), None);
    bench.failed("x");
    assert_eq!(bench.queue.pop(bench.now), Some((key("x"), Some(7), Cause::Change)));
}

#[test]
fn the_latest_payload_wins_and_is_handed_out_once() {
    let mut bench = Bench::new();
    bench.queue.change(key("x"), Some(1), bench.now);
    bench.queue.hint(key("x"), Some(2), bench.now);
    bench.queue.hint(key("x"), None, bench.now);
    assert_eq!(bench.queue.pop(bench.now), Some((key("x"), Some(2), Cause::Change)));
    bench.done("x", Outcome::Again);
    assert_eq!(bench.queue.pop(bench.now), Some((key("x"), None, Cause::Again)));
}

#[test]
fn a_hint_keeps_its_payload_but_does_not_shorten_a_backoff() {
    let mut bench = Bench::new();
    bench.change("x");
    for _ in 0..6 {
        assert!(bench.pop().is_some());
        bench.failed("x");
        bench.queue.hint(key("x"), Some(9), bench.now);
        assert_eq!(bench.pop(), None, "still backing off");
        bench.now = bench.queue.next_wake().expect("the retry");
    }
    assert_eq!(bench.queue.pop(bench.now), Some((key("x"), Some(9), Cause::Retry)));
}

#[test]
fn a_hint_during_a_failing_pass_does_not_shorten_its_backoff() {
    let mut bench = Bench::new();
    bench.change("x");
    bench.one(Cause::Change);
    bench.hint("x");
    bench.failed("x");
    assert_eq!(bench.pop(), None);
    assert_eq!(bench.queue.counts().backing_off, 1);
}

#[test]
fn a_change_ends_the_backoff_and_starts_it_anew() {
    let mut bench = Bench::new();
    bench.change("x");
    for _ in 0..8 {
        bench.pop().expect("due");
        bench.failed("x");
        bench.now = bench.queue.next_wake().expect("the retry");
    }
    bench.pop().expect("due");
    bench.failed("x");
    bench.change("x");
    bench.one(Cause::Change);
    bench.failed("x");
    let wait = bench.queue.next_wake().expect("the retry") - bench.now;
    assert!(wait <= Duration::from_millis(1001), "{wait:?}");
}

#[test]
fn a_failure_waits_as_long_as_the_other_side_asks() {
    let mut bench = Bench::new();
    bench.change("x");
    bench.one(Cause::Change);
    bench.done("x", Outcome::Failed { not_before: Some(bench.now + Duration::from_secs(90)) });
    bench.pass(89);
    assert_eq!(bench.pop(), None);
    bench.pass(1);
    bench.one(Cause::Retry);
}

#[test]
fn the_fifth_again_in_a_row_is_a_failure() {
    let mut bench = Bench::new();
    bench.change("x");
    bench.one(Cause::Change);
    for _ in 0..4 {
        bench.done("x", Outcome::Again);
        bench.one(Cause::Again);
    }
    bench.done("x", Outcome::Again);
    assert_eq!(bench.pop(), None);
    assert_eq!(bench.queue.counts().backing_off, 1);
}

#[test]
fn a_parked_key_waits_for_its_tag_or_a_change() {
    let mut bench = Bench::new();
    for name in ["a/x", "b/y", "c/z"] {
        bench.change(name);
        bench.pop().expect("due");
    }
    bench.done("a/x", Outcome::Parked(1, None));
    bench.done("b/y", Outcome::Parked(1, None));
    bench.done("c/z", Outcome::Parked(2, None));
    bench.hint("a/x");
    bench.wake_in("a/x", 1);
    bench.pass(1000);
    assert_eq!(bench.pop(), None);
    bench.change("c/z");
    assert_eq!(bench.pop(), Some(("c/z".to_owned(), Cause::Change)));
    assert_eq!(bench.queue.release(1, bench.now), 2);
    assert_eq!(bench.pop(), Some(("a/x".to_owned(), Cause::Released)));
    assert_eq!(bench.pop(), Some(("b/y".to_owned(), Cause::Released)));
    assert_eq!(bench.queue.counts().parked, 0);
}

#[test]
fn a_key_that_is_parked_until_a_time_runs_then_or_when_its_tag_is_released() {
    let mut bench = Bench::new();
    for name in ["a/x", "b/y"] {
        bench.change(name);
        bench.pop().expect("due");
        bench.done(name, Outcome::Parked(1, Some(bench.now + Duration::from_secs(100))));
    }
    assert_eq!((bench.queue.counts().parked, bench.queue.counts().timers), (2, 0));
    bench.hint("a/x");
    assert_eq!(bench.pop(), None);
    assert_eq!(bench.queue.release(1, bench.now), 2);
    let mut both = [bench.pop(), bench.pop()];
    both.sort();
    assert_eq!(both, ["a/x", "b/y"].map(|name| Some((name.to_owned(), Cause::Released))));
    bench.done("a/x", Outcome::Parked(1, Some(bench.now + Duration::from_secs(100))));
    bench.done("b/y", Outcome::Gone);
    bench.pass(99);
    assert_eq!(bench.pop(), None);
    bench.pass(1);
    assert_eq!(bench.pop(), Some(("a/x".to_owned(), Cause::Timer)));
    bench.done("a/x", Outcome::Gone);
    assert_eq!(bench.queue.entries.len(), 0);
    assert_eq!(bench.queue.next_wake(), None, "nothing is left of former times");
}

#[test]
fn a_key_whose_tag_is_released_during_its_pass_runs_again() {
    let mut bench = Bench::new();
    bench.change("x");
    bench.one(Cause::Change);
    assert_eq!(bench.queue.release(1, bench.now), 0);
    bench.done("x", Outcome::Parked(1, None));
    bench.one(Cause::Released);
    bench.queue.release(2, bench.now);
    bench.done("x", Outcome::Parked(1, None));
    assert_eq!(bench.pop(), None, "what was released before it ran is in its picture, another tag is nothing to it");
    assert_eq!(bench.queue.release(1, bench.now), 1);
}

#[test]
fn the_earliest_timer_wins_and_never_fires_early() {
    let mut bench = Bench::new();
    bench.wake_in("x", 50);
    bench.wake_in("x", 20);
    bench.wake_in("x", 30);
    bench.queue.wake_at(key("x"), bench.now + Duration::from_nanos(19_000_000_001));
    bench.pass(19);
    assert_eq!(bench.pop(), None);
    bench.now += Duration::from_millis(1);
    bench.one(Cause::Timer);
    bench.settled("x");
    assert_eq!(bench.queue.next_wake(), None, "the pass supersedes the timers before it");
}

#[test]
fn a_timer_set_during_a_pass_survives_it_and_outlives_the_object() {
    let mut bench = Bench::new();
    for outcome in [Outcome::Settled { wake: Some(bench.now + Duration::from_mins(1)) }, Outcome::Gone] {
        bench.change("x");
        bench.one(Cause::Change);
        bench.wake_in("x", 5);
        bench.done("x", outcome);
        bench.pass(5);
        bench.one(Cause::Timer);
        bench.settled("x");
    }
}

#[test]
fn a_settled_pass_with_a_hint_meanwhile_runs_again() {
    let mut bench = Bench::new();
    bench.change("x");
    bench.one(Cause::Change);
    bench.hint("x");
    bench.settled("x");
    bench.one(Cause::Hint);
}

#[test]
fn changes_go_before_hints_and_hints_before_timers() {
    let mut bench = Bench::new();
    bench.wake_in("a/timer", 0);
    bench.hint("a/hint");
    bench.change("a/change");
    let causes: Vec<_> = std::iter::from_fn(|| bench.pop()).map(|(_, cause)| cause).collect();
    assert_eq!(causes, [Cause::Change, Cause::Hint, Cause::Timer]);
}

#[test]
fn a_flood_of_changes_does_not_starve_timers() {
    let mut bench = Bench::new();
    bench.wake_in("b/renewal", 0);
    for turn in 0..20 {
        bench.change(&format!("a/{turn}"));
        bench.change(&format!("a/{turn}-too"));
        if bench.pop().expect("due").0 == "b/renewal" {
            return;
        }
    }
    panic!("the timer never had its turn");
}

#[test]
fn one_tenants_thousands_do_not_delay_anothers_one() {
    let mut bench = Bench::new();
    for n in 0..9_000 {
        bench.change(&format!("a/{n}"));
    }
    for _ in 0..100 {
        bench.pop().expect("due");
    }
    bench.change("b/one");
    let waited = std::iter::from_fn(|| bench.pop()).position(|(name, _)| name == "b/one");
    assert!(waited.is_some_and(|others| others <= 1), "{waited:?}");
}

#[test]
fn a_group_at_its_limit_leaves_room_and_goes_on_when_a_pass_ends() {
    let mut bench = Bench::with(Config { group_limit: 2, ..Config::default() });
    for n in 0..5 {
        bench.change(&format!("a/{n}"));
    }
    bench.change("b/0");
    let first: Vec<_> = std::iter::from_fn(|| bench.pop()).map(|(name, _)| name).collect();
    assert_eq!(first, ["a/0", "b/0", "a/1"]);
    bench.settled("a/0");
    assert_eq!(bench.pop(), Some(("a/2".to_owned(), Cause::Change)));
    assert_eq!(bench.pop(), None);
}

/// Keys that say themselves on whose server they wait.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Waiting {
    server: &'static str,
    namespace: usize,
    number: usize,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct AtServer {
    server: &'static str,
    namespace: usize,
}

impl Key for Waiting {
    type Group = AtServer;

    fn group(&self) -> AtServer {
        AtServer { server: self.server, namespace: self.namespace }
    }
}

impl Group for AtServer {
    type Pool = &'static str;

    fn pool(&self) -> &'static str {
        self.server
    }

    fn class(&self) -> usize {
        usize::from(self.server.starts_with("own"))
    }
}

fn started(queue: &mut Queue<Waiting, ()>, now: Instant) -> Vec<Waiting> {
    std::iter::from_fn(|| queue.pop(now)).map(|(key, ..)| key).collect()
}

#[test]
fn a_slow_server_comes_to_half_of_all_passes_and_its_namespaces_take_turns() {
    let now = Instant::now();
    let mut queue = Queue::new(Config { slots: 32, ..Config::default() }, now);
    for number in 0..9_000 {
        queue.change(Waiting { server: "slow", namespace: number % 3, number }, None, now);
    }
    let of_slow = started(&mut queue, now);
    assert_eq!(of_slow.len(), 16);
    let of_first = of_slow.iter().filter(|key| key.namespace == 0).count();
    assert!((5..=6).contains(&of_first), "{of_first}");
    queue.change(Waiting { server: "quick", namespace: 9, number: 0 }, None, now);
    assert_eq!(started(&mut queue, now).len(), 1);
    queue.done(&of_slow[0], Outcome::Settled { wake: None }, now);
    assert_eq!(started(&mut queue, now).len(), 1, "half of what the other leaves");
}

#[test]
fn a_class_of_servers_leaves_places_to_the_others_however_many_servers_it_has() {
    let now = Instant::now();
    let class_limits = [usize::MAX, 24, usize::MAX];
    let mut queue = Queue::new(Config { slots: 32, class_limits, ..Config::default() }, now);
    let names = (0..40).map(|n| &*Box::leak(format!("own-{n}").into_boxed_str()));
    for server in names {
        (0..9).for_each(|number| queue.change(Waiting { server, namespace: 0, number }, None, now));
    }
    assert_eq!(started(&mut queue, now).len(), 24);
    for number in 0..9 {
        queue.change(Waiting { server: "shared", namespace: 0, number }, None, now);
    }
    assert_eq!(started(&mut queue, now).len(), 4, "half of the eight that are left");
}

#[test]
fn what_a_key_waits_on_is_asked_whenever_it_is_queued() {
    use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
    let (now, server) = (Instant::now(), Arc::new(AtomicUsize::new(1)));
    let asked = Arc::clone(&server);
    let group_of = move |_: &Id, _: Option<&u32>| -> Arc<str> { asked.load(Relaxed).to_string().into() };
    let mut queue = Queue::grouped(Config { slots: 2, ..Config::default() }, Box::new(group_of), now);
    for name in ["x", "y", "z"] {
        queue.change(key(name), None, now);
    }
    assert_eq!(queue.pop(now).map(|(key, ..)| key), Some(key("x")));
    assert_eq!(queue.pop(now), None, "one of two, since both wait on one server");
    server.store(2, Relaxed);
    queue.forget(&key("y"));
    queue.change(key("y"), None, now);
    assert_eq!(queue.pop(now).map(|(key, ..)| key), Some(key("y")), "another server by now");
}

#[test]
fn a_forgotten_key_leaves_nothing_behind_even_if_its_pass_fails_later() {
    let mut bench = Bench::new();
    bench.change("x");
    bench.one(Cause::Change);
    bench.queue.forget(&key("x"));
    bench.failed("x");
    assert_eq!(bench.queue.entries.len(), 0);
    bench.change("x");
    bench.queue.forget(&key("x"));
    assert_eq!(bench.pop(), None);
    bench.wake_in("x", 1);
    bench.queue.forget(&key("x"));
    assert_eq!(bench.queue.entries.len(), 0);
    assert_eq!(bench.queue.next_wake(), None);
}

#[test]
fn a_key_made_again_during_the_pass_of_its_forgotten_namesake_runs() {
    let mut bench = Bench::new();
    bench.change("x");
    bench.one(Cause::Change);
    bench.queue.forget(&key("x"));
    bench.change("x");
    bench.done("x", Outcome::Gone);
    bench.one(Cause::Change);
}

#[test]
fn keys_with_nothing_to_wait_for_cost_nothing() {
    let mut bench = Bench::new();
    bench.change("x");
    bench.one(Cause::Change);
    bench.settled("x");
    assert_eq!(bench.queue.entries.len(), 0);
    assert_eq!(bench.queue.counts(), Counts::default());
}

#[test]
fn a_key_at_rest_costs_less_than_200_bytes() {
    const KEYS: usize = 50_000;
    let mut bench = Bench::new();
    for n in 0..KEYS {
        bench.wake_in(&format!("team-{}/robot-{n}", n / 5), 86_400 + n as u64);
    }
    let queue = &bench.queue;
    // A B-tree's nodes are at least half full, and rising times fill them half.
    let timers = 2 * KEYS * size_of::<(Millis, u32)>();
    let each = (queue.entries.bytes() + queue.ready.bytes() + timers) / KEYS;
    println!("{each} bytes for a key at rest, {} of them in its slot", size_of::<Option<(Id, Entry<u32>)>>());
    assert!(each < 200, "{each} bytes");
}

/// Run it alone: `cargo test --lib -- --ignored --nocapture resident`.
#[test]
#[ignore = "a measurement of the process"]
fn resident_memory_of_50_000_keys_at_rest() {
    fn resident() -> usize {
        let statm = std::fs::read_to_string("/proc/self/statm").expect("Linux");
        statm.split_whitespace().nth(1).and_then(|pages| pages.parse::<usize>().ok()).expect("pages") * 4096
    }
    let keys: Vec<Id> = (0..50_000).map(|n| key(&format!("team-{}/robot-{n}", n / 5))).collect();
    let mut bench = Bench::new();
    let before = resident();
    for (n, key) in keys.iter().enumerate() {
        bench.queue.wake_at(key.clone(), bench.now + Duration::from_secs(86_400 + n as u64));
    }
    println!("{} bytes a key", (resident() - before) / keys.len());
    for key in &keys {
        bench.queue.hint(key.clone(), None, bench.now);
    }
    while let Some((key, ..)) = bench.queue.pop(bench.now) {
        bench.queue.done(&key, Outcome::Settled { wake: Some(bench.now + Duration::from_hours(24)) }, bench.now);
    }
    println!("{} bytes a key after each had a pass", (resident() - before) / keys.len());
}
