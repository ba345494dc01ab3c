use proptest::prelude::*;

use super::*;

fn version(number: u32) -> Version {
    Version::numbered(number)
}

fn left(number: u32) -> Tracked {
    let mut tracked = Tracked::default();
    tracked.observe(version(number), Shown::Listed);
    tracked.accept();
    assert!(tracked.is_quiet());
    tracked
}

#[test]
fn our_own_writes_are_no_news_whenever_they_come_back() {
    let mut tracked = left(1);
    tracked.leave(version(2));
    tracked.leave(version(3));
    assert!(!tracked.observe(version(2), Shown::Event), "older than what was left");
    assert!(!tracked.observe(version(3), Shown::Event));
    assert!(tracked.observe(version(4), Shown::Event), "somebody else's");
    // Before the answer to the write itself.
    let mut tracked = left(1);
    tracked.observe(version(2), Shown::Event);
    tracked.leave(version(2));
    assert!(tracked.is_quiet());
}

#[test]
fn versions_that_run_back_are_news() {
    let mut tracked = left(500);
    assert!(tracked.observe(version(400), Shown::Listed), "etcd was restored");
    tracked.read(version(400), version(400));
    assert!(tracked.is_quiet());
    assert!(tracked.observe(version(401), Shown::Event), "and an edit after that");
    // What was left never comes by: a list begins anew.
    let mut tracked = left(500);
    tracked.leave(version(501));
    assert!(tracked.observe(version(400), Shown::Listed));
    assert!(tracked.observe(version(401), Shown::Event));
}

#[test]
fn what_comes_while_a_pass_reads_stays_news() {
    let mut tracked = left(1);
    assert!(tracked.observe(version(2), Shown::Event));
    let before = tracked.seen();
    assert!(tracked.observe(version(3), Shown::Event));
    tracked.read(version(2), before);
    assert!(!tracked.is_quiet(), "3 was not read");
    let before = tracked.seen();
    tracked.read(version(3), before);
    assert!(tracked.is_quiet());
}

/// A Secret of a former account of the same name, which the watch showed while that was there.
#[test]
fn what_goes_is_news_also_if_it_was_shown_before_anybody_kept_that() {
    let mut tracked = Tracked::default();
    tracked.read(version(1), tracked.seen());
    assert!(tracked.is_quiet());
    assert!(!tracked.observe(version(1), Shown::Event), "as it was read");
    assert!(tracked.observe(version(2), Shown::Deleted));
    let mut tracked = Tracked::default();
    tracked.read(version(1), tracked.seen());
    assert!(tracked.observe(version(2), Shown::Deleted));
}

#[test]
fn a_picture_is_the_latest_only_if_nothing_of_ours_is_still_to_come() {
    let mut tracked = left(1);
    tracked.observe(version(2), Shown::Event);
    assert!(tracked.is_latest(version(2)) && !tracked.is_latest(version(1)));
    tracked.leave(version(3));
    assert!(!tracked.is_latest(version(2)), "queued before our own write");
    tracked.observe(version(2), Shown::Event);
    assert!(!tracked.is_latest(version(2)), "delivered after it");
    tracked.observe(version(3), Shown::Event);
    tracked.observe(version(4), Shown::Event);
    assert!(tracked.is_latest(version(4)));
}

#[test]
fn what_is_gone_is_news_unless_nothing_was_left() {
    let mut tracked = left(1);
    assert!(tracked.observe(version(2), Shown::Deleted));
    tracked.read(Version::NONE, version(2));
    assert!(tracked.is_quiet() && !tracked.observe(version(2), Shown::Deleted));
    assert!(tracked.observe(version(3), Shown::Event), "it came back");
    // Deleted and made again by a pass.
    let mut tracked = left(1);
    tracked.leave(Version::NONE);
    tracked.leave(version(3));
    assert!(!tracked.observe(version(2), Shown::Deleted));
    assert!(!tracked.observe(version(3), Shown::Event));
}

/// What happens to an object in turn: others write, we read and write on what is there, the watch delivers, loses its
/// place, and etcd goes back to a former state.
#[derive(Clone, Debug)]
enum Turn {
    OthersWrite,
    WeRead,
    /// Reads and writes; the answer comes after so many events, and perhaps after somebody else's write.
    WeWrite {
        late: usize,
        others: bool,
    },
    Deliver(usize),
    List,
    Restore,
}

fn turns() -> impl Strategy<Value = Vec<Turn>> {
    let turn = prop_oneof![
        3 => Just(Turn::OthersWrite),
        3 => Just(Turn::WeRead),
        4 => (0..4_usize, any::<bool>()).prop_map(|(late, others)| Turn::WeWrite { late, others }),
        6 => (1..4_usize).prop_map(Turn::Deliver),
        1 => Just(Turn::List),
        1 => Just(Turn::Restore),
    ];
    proptest::collection::vec(turn, 0..60)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 4_096, ..ProptestConfig::default() })]

    /// Once all is delivered: quiet exactly if what is there is what we left; and no write of ours is ever news then.
    #[test]
    fn nothing_is_missed_and_nothing_of_ours_is_news(turns in turns()) {
        // Every version is another one, as if numbers were never used twice.
        let (mut next, mut now, mut queue) = (1, 1, std::collections::VecDeque::new());
        let mut tracked = left(1);
        let mut others_since_read = false;
        let deliver = |tracked: &mut Tracked, queue: &mut std::collections::VecDeque<u32>, count: usize| {
            for _ in 0..count {
                let Some(event) = queue.pop_front() else { return };
                let _ = tracked.observe(version(event), Shown::Event);
            }
        };
        for turn in turns {
            match turn {
                Turn::OthersWrite => {
                    next += 1;
                    now = next;
                    queue.push_back(now);
                    others_since_read = true;
                }
                Turn::WeRead => {
                    let before = tracked.seen();
                    tracked.read(version(now), before);
                    others_since_read = false;
                }
                Turn::WeWrite { late, others } => {
                    let before = tracked.seen();
                    tracked.read(version(now), before);
                    next += 1;
                    now = next;
                    queue.push_back(now);
                    let written = now;
                    if others {
                        next += 1;
                        now = next;
                        queue.push_back(now);
                    }
                    deliver(&mut tracked, &mut queue, late);
                    tracked.leave(version(written));
                    others_since_read = others;
                }
                Turn::Deliver(count) => deliver(&mut tracked, &mut queue, count),
                Turn::List => {
                    queue.clear();
                    let _ = tracked.observe(version(now), Shown::Listed);
                }
                Turn::Restore => {
                    next += 1;
                    now = next;
                    queue.clear();
                    let _ = tracked.observe(version(now), Shown::Listed);
                    others_since_read = true;
                }
            }
        }
        while let Some(event) = queue.pop_front() {
            let _ = tracked.observe(version(event), Shown::Event);
        }
        prop_assert_eq!(tracked.is_quiet(), !others_since_read);
    }
}
