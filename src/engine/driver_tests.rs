use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};

use tokio::sync::{Semaphore, mpsc};
use tokio::task::JoinHandle;

use super::*;

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Id(usize);

impl Key for Id {
    type Group = ();

    fn group(&self) {}
}

const SETTLED: Outcome = Outcome::Settled { wake: None };
const DRAIN: Duration = Duration::from_secs(30);

/// A run whose passes report themselves, wait for a permit of the gate and settle.
struct Gated {
    handle: Handle<Id, u32>,
    gate: Arc<Semaphore>,
    started: mpsc::UnboundedReceiver<(Id, Option<u32>, Cause)>,
    peak: Arc<AtomicUsize>,
    shutdown: CancellationToken,
    run: JoinHandle<Result<Stopped, Error>>,
}

fn gated(concurrency: usize) -> Gated {
    let handle = Handle::new(Config::default());
    let (gate, shutdown) = (Arc::new(Semaphore::new(0)), CancellationToken::new());
    let (report, started) = mpsc::unbounded_channel();
    let (now, peak) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let handler = {
        let (gate, peak) = (Arc::clone(&gate), Arc::clone(&peak));
        move |key: Id, payload, cause| {
            let (gate, now, peak, report) = (Arc::clone(&gate), Arc::clone(&now), Arc::clone(&peak), report.clone());
            async move {
                peak.fetch_max(now.fetch_add(1, SeqCst) + 1, SeqCst);
                report.send((key, payload, cause)).expect("the test listens");
                gate.acquire().await.expect("the gate stays").forget();
                now.fetch_sub(1, SeqCst);
                SETTLED
            }
        }
    };
    let run = tokio::spawn(run(handle.clone(), concurrency, handler, |_| {}, shutdown.clone(), DRAIN));
    Gated { handle, gate, started, peak, shutdown, run }
}

#[tokio::test(start_paused = true)]
async fn no_more_passes_than_allowed_are_in_flight_and_all_keys_have_theirs() {
    let mut world = gated(4);
    for n in 0..100 {
        world.handle.change(Id(n), None);
    }
    world.gate.add_permits(100);
    for _ in 0..100 {
        world.started.recv().await.expect("a pass");
    }
    assert!(world.peak.load(SeqCst) <= 4);
    world.shutdown.cancel();
    assert_eq!(world.run.await.expect("no panic").expect("no error"), Stopped { cut_off: 0 });
    assert_eq!(world.handle.counts(), Counts::default());
}

#[tokio::test(start_paused = true)]
async fn a_timer_wakes_an_idle_run_at_its_time() {
    let mut world = gated(1);
    let start = tokio::time::Instant::now();
    world.handle.wake_at(Id(1), (start + Duration::from_hours(1)).into_std());
    world.handle.wake_at(Id(2), (start + Duration::from_secs(5)).into_std());
    world.gate.add_permits(2);
    assert_eq!(world.started.recv().await, Some((Id(2), None, Cause::Timer)));
    assert_eq!(start.elapsed().as_secs(), 5);
    assert_eq!(world.started.recv().await, Some((Id(1), None, Cause::Timer)));
    assert_eq!(start.elapsed().as_secs(), 3600);
}

#[tokio::test(start_paused = true)]
async fn a_due_timer_waits_without_spinning_while_all_passes_are_in_use() {
    let mut world = gated(1);
    world.handle.change(Id(1), Some(7));
    assert_eq!(world.started.recv().await, Some((Id(1), Some(7), Cause::Change)));
    world.handle.wake_at(Id(2), now() + Duration::from_secs(1));
    // With a spinning run the paused clock would never get here.
    tokio::time::sleep(Duration::from_mins(1)).await;
    world.gate.add_permits(1);
    assert_eq!(world.started.recv().await, Some((Id(2), None, Cause::Timer)));
}

#[tokio::test(start_paused = true)]
async fn shutdown_hands_out_nothing_more_and_waits_for_what_is_in_flight() {
    let mut world = gated(1);
    world.handle.change(Id(1), None);
    world.handle.change(Id(2), None);
    world.started.recv().await.expect("the first pass");
    world.shutdown.cancel();
    tokio::time::sleep(DRAIN / 2).await;
    world.gate.add_permits(2);
    assert_eq!(world.run.await.expect("no panic").expect("no error"), Stopped { cut_off: 0 });
    assert!(world.started.recv().await.is_none(), "the second never started");
}

#[tokio::test(start_paused = true)]
async fn a_pass_that_outlasts_the_drain_is_cut_off_and_counted() {
    let mut world = gated(2);
    world.handle.change(Id(1), None);
    world.started.recv().await.expect("the pass");
    let start = tokio::time::Instant::now();
    world.shutdown.cancel();
    assert_eq!(world.run.await.expect("no panic").expect("no error"), Stopped { cut_off: 1 });
    assert_eq!(start.elapsed(), DRAIN);
}

#[tokio::test(start_paused = true)]
async fn a_pass_that_panics_backs_off_and_hurts_nobody_else() {
    let handle = Handle::<Id, ()>::new(Config::default());
    let (report, mut passes) = mpsc::unbounded_channel();
    let (counted, shutdown) = (Arc::new(Mutex::new(Vec::new())), CancellationToken::new());
    let handler = move |Id(n), _, cause| {
        let report = report.clone();
        async move {
            report.send((n, cause)).expect("the test listens");
            tokio::task::yield_now().await;
            assert_ne!(n, 1, "a bug");
            SETTLED
        }
    };
    let count = {
        let counted = Arc::clone(&counted);
        move |Id(n): &Id| counted.lock().unwrap().push(*n)
    };
    let running = tokio::spawn(run(handle.clone(), 1, handler, count, shutdown.clone(), DRAIN));
    handle.change(Id(1), None);
    assert_eq!(passes.recv().await, Some((1, Cause::Change)));
    handle.change(Id(2), None);
    assert_eq!(passes.recv().await, Some((2, Cause::Change)), "another key has its pass right after");
    let start = tokio::time::Instant::now();
    let mut waits = Vec::new();
    for _ in 0..4 {
        assert_eq!(passes.recv().await, Some((1, Cause::Retry)));
        waits.push(start.elapsed());
    }
    assert!(waits[0] >= Duration::from_millis(700) && waits[3] > Duration::from_secs(8), "{waits:?}");
    shutdown.cancel();
    assert_eq!(running.await.expect("no panic").expect("no error"), Stopped { cut_off: 0 });
    assert_eq!(*counted.lock().unwrap(), [1; 5]);
}

/// A panic under the lock of the queue is no pass's own matter: the run itself ends by it.
#[tokio::test(start_paused = true)]
async fn a_broken_queue_ends_the_run() {
    let handle = Handle::<Id, ()>::new(Config::default());
    handle.change(Id(1), None);
    let handler = {
        let handle = handle.clone();
        move |_, _, _| {
            let handle = handle.clone();
            async move {
                handle.push(|_| panic!("a bug in the queue"));
                SETTLED
            }
        }
    };
    let ended = tokio::spawn(run(handle, 1, handler, |_| {}, CancellationToken::new(), DRAIN)).await;
    assert!(ended.is_err_and(|error| error.is_panic()));
}

#[tokio::test(start_paused = true)]
async fn a_handler_may_push_to_its_own_queue() {
    let handle = Handle::<Id, ()>::new(Config::default());
    let shutdown = CancellationToken::new();
    handle.change(Id(0), None);
    let handler = {
        let (handle, shutdown) = (handle.clone(), shutdown.clone());
        move |Id(n), _, _| {
            if n < 3 {
                handle.hint(Id(n + 1), None);
            } else {
                shutdown.cancel();
            }
            async { SETTLED }
        }
    };
    assert!(run(handle, 1, handler, |_| {}, shutdown, DRAIN).await.is_ok());
}
