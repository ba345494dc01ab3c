//! Plays a group of rows against one operator.

use std::time::{Duration, Instant};

use futures::future::join_all;
use harbor_robot_world::poll;
use serde_json::json;

use super::Row;
use super::played::{Calls, NEW, OLD, Played, Said};
use super::world::{World, is_chosen};
use crate::scene::SOON;

/// How long it may take to say what is wrong: the longest call, and the pass that asked.
pub const SAID: Duration = Duration::from_secs(30);
/// How long it may take to serve a Harbor that tells the truth again.
const SERVED: Duration = Duration::from_mins(1);
/// After so long whoever fails waits longer and longer, and for so long calls are counted then: three polls.
const SETTLED: Duration = Duration::from_secs(10);
const LATE: Duration = Duration::from_secs(10);
/// What a tenant's Harbor is asked at most: at one time (ten calls per second, and what was on the way), and at the end, for
/// a registry that is looked at every three seconds and two accounts: below the hundred that the limit would allow.
const IN_A_SECOND: usize = 15;
const MOST_LATE: usize = 40;
/// The same for logins: each look tries ten times to get past a lockout.
const MOST_LOGINS: usize = 90;
const MOST_CHANGES: usize = 12;

/// A group that is being played.
pub struct Stage {
    pub world: World,
    pub rows: Vec<Played>,
}

/// Plays the rows, all at once.
///
/// # Panics
/// When something did not hold.
pub async fn play(group: &'static str, rows: Vec<Row>) {
    let rows: Vec<Row> = rows.into_iter().filter(|row| is_chosen(row.name)).collect();
    if rows.is_empty() {
        return;
    }
    let mut stage = Stage::set(group, rows).await;
    stage.lie().await;
    stage.world.remembers("while it was lied to");
    stage.world.kill().await;
    stage.rows.iter().for_each(|played| played.liar.forget());
    stage.world.start();
    are_asked_again(&mut stage.world, &stage.rows).await;
    stage.are_said("after a restart").await;
    stage.world.others_are_served("after a restart").await;
    stage.world.remembers("after a restart");
    stage.truth().await;
    stage.world.end();
}

impl Stage {
    pub async fn set(group: &'static str, rows: Vec<Row>) -> Self {
        let world = World::new(group, &[]).await;
        let scene = &world.scene;
        let mut played = Vec::new();
        for (number, row) in rows.into_iter().enumerate() {
            played.push(Played::new(scene, number, row).await);
        }
        let projects: Vec<String> = played.iter().map(|played| played.namespace.clone()).collect();
        scene.harbor.seed_projects(&projects).await.unwrap();
        let items: Vec<_> = played.iter().flat_map(|played| played.objects(scene)).collect();
        tokio::task::block_in_place(|| scene.apply(json!({"apiVersion": "v1", "kind": "List", "items": items})));
        let mut stage = Self { world, rows: played };
        stage.all(SOON, "before the lie", &[OLD], |_, said| said.served).await;
        stage.world.others_are_served("before the lie").await;
        // A renewal may come a minute after the last one.
        stage.world.scene.harbor.advance(61).await.unwrap();
        stage.world.count_memory();
        stage
    }

    /// Waits until it fits of each row.
    async fn all(&mut self, within: Duration, when: &str, accounts: &[&str], fits: impl Fn(&Row, &Said) -> bool) {
        let waits = self.rows.iter().map(|played| {
            let (scene, fits) = (&self.world.scene, &fits);
            poll(when, within, move || async move {
                let said = played.said(scene, accounts).await;
                if fits(&played.row, &said) { Ok(()) } else { Err(format!("{:?}", said.problems)) }
            })
        });
        for (played, result) in self.rows.iter().zip(join_all(waits).await) {
            if let Err(error) = result {
                self.world.failed(played.row.name, error);
            }
        }
    }

    async fn lie(&mut self) {
        join_all(self.rows.iter().map(|played| played.begin(&self.world.scene))).await;
        self.world.others_are_served("right after the lie").await;
        self.are_said("while lied to").await;
        // On a busy machine the lies, and the first tries, take their time: who has failed by now waits longer from here on.
        let begun = Instant::now();
        self.world.others_are_served("while lied to").await;
        tokio::time::sleep_until((begun + SETTLED).into()).await;
        let settled = Instant::now();
        tokio::time::sleep(LATE).await;
        for played in &self.rows {
            let calls = played.calls(settled);
            let said = played.said(&self.world.scene, &[OLD, NEW]).await.problems.join(", ");
            let Calls { all, in_a_second, late, late_logins, late_changes, late_by } = calls;
            eprintln!(
                "  {:<56} {all:>3} calls, at the end {late:>2}, {late_changes:>2} change {late_by:?}; {said}",
                played.row.name
            );
            let too_many = late > MOST_LATE || late_logins > MOST_LOGINS || late_changes > MOST_CHANGES;
            if in_a_second > IN_A_SECOND || too_many {
                let what = format!(
                    "{in_a_second} calls in a second; in {LATE:?} {late}, of which {late_changes} change: {late_by:?}"
                );
                self.world.failed(played.row.name, format!("is tried again in haste: {what}"));
            }
        }
    }

    async fn are_said(&mut self, when: &str) {
        self.all(SAID, &format!("says what is wrong {when}"), &[OLD, NEW], |row, said| said.fits(row)).await;
    }

    pub async fn truth(&mut self) {
        let begun = Instant::now();
        for played in &self.rows {
            played.liar.tell_the_truth();
        }
        let scene = &self.world.scene;
        // Repairs are paced by Harbor's clock, the third one two minutes after the second.
        scene.harbor.advance(121).await.unwrap();
        let served = self.rows.iter().map(|played| async move {
            let result = poll("served again", SERVED, || async {
                let said = played.said(scene, &[OLD, NEW]).await;
                if !said.served {
                    return Err(format!("{:?}", said.problems));
                }
                played.logs_in(scene, &[OLD, NEW]).await
            });
            (result.await, begun.elapsed())
        });
        for (played, (result, took)) in self.rows.iter().zip(join_all(served).await) {
            match result {
                Ok(()) => eprintln!("  {:<52} served after {took:.1?}", played.row.name),
                Err(error) => self.world.failed(played.row.name, error),
            }
        }
    }
}

/// Waits until each server was asked by the process that runs now, which then leads, and has lied to it.
pub async fn are_asked_again(world: &mut World, rows: &[Played]) {
    let waits = rows.iter().map(|played| {
        poll("asked after a restart", SAID, move || async move {
            if played.liar.calls().is_empty() { Err("not a call") } else { Ok(()) }
        })
    });
    for (played, result) in rows.iter().zip(join_all(waits).await) {
        if let Err(error) = result {
            world.failed(played.row.name, error);
        }
    }
}
