//! What happens to machines: the operator's, the API server's, clocks, backups, outages.

use std::time::Duration;

use rand::RngExt as _;
use rand::rngs::SmallRng;
use tokio::time::Instant;

use super::{Action, any};
use crate::machine::Machine;
use crate::network::KUBERNETES;
use crate::world::{HOSTS, World};

/// No younger backup of etcd is restored.
const NEWEST_BACKUP: Duration = Duration::from_mins(1);

pub(super) fn draw(random: &mut SmallRng, harbor: usize) -> Action {
    let coin = random.random_range(0..2) == 0;
    let replica = usize::from(random.random_range(0..3) == 0);
    match random.random_range(0..24) {
        0..3 => Action::KubernetesAway(any(random, &[5, 30, 200]), coin),
        3..5 => Action::HarborAway(harbor, any(random, &[5, 60, 400])),
        5 => Action::OurClock(any(random, &[-3_600, 3_600, 86_400])),
        6 => Action::BackUpCluster,
        7 => Action::RestoreCluster,
        8 => Action::Compact,
        9 => Action::CutWatches,
        10 => Action::Lag(any(random, &[5, 30, 90])),
        11..14 => Action::Kill(replica),
        14..16 => Action::Stop(replica),
        16..21 => Action::Start(replica),
        _ => Action::CutOff(replica, coin),
    }
}

pub(super) async fn run(action: &Action, world: &mut World, machine: &Machine) {
    match *action {
        Action::OurClock(seconds) => {
            machine.set_clock(seconds);
            world.our_clock_was_set = true;
            // The Harbors' own clocks stay; the API server's is ours.
            for number in 0..HOSTS.len() {
                world.harbor(number).state().clock.advance(-seconds);
            }
        }
        Action::BackUpCluster => world.backup = Some((Instant::now(), world.cluster.store().backup())),
        Action::RestoreCluster => {
            // Nobody restores what is seconds old, and the operator asks twice a minute whether somebody did.
            if let Some((_, backup)) = world.backup.as_ref().filter(|(made, _)| made.elapsed() > NEWEST_BACKUP) {
                (world.excused, world.lost_records) = (true, true);
                world.forgot_former = true;
                // What is asked for is asked for no longer.
                world.published.clear();
                world.cluster.store().restore(backup);
            }
        }
        Action::Compact => {
            let mut store = world.cluster.store();
            store.compact();
            store.cut_watches();
        }
        Action::CutWatches => world.cluster.store().cut_watches(),
        Action::Lag(seconds) => world.network.hold_events(Duration::from_secs(seconds)),
        Action::KubernetesAway(seconds, forgets) => {
            world.network.take_away(KUBERNETES, Duration::from_secs(seconds));
            world.cluster.store().cut_watches();
            if forgets {
                let cluster = world.cluster.clone();
                tokio::spawn(async move {
                    tokio::time::sleep(Duration::from_secs(seconds)).await;
                    cluster.store().compact();
                });
            }
        }
        Action::HarborAway(harbor, seconds) => {
            world.network.take_away(HOSTS[harbor], Duration::from_secs(seconds));
        }
        Action::Kill(replica) => world.replicas[replica].kill(),
        Action::Stop(replica) => world.replicas[replica].stop().await,
        Action::Start(replica) => world.replicas[replica].start(),
        Action::CutOff(replica, cut_off) => world.replicas[replica].set_cut_off(cut_off),
        _ => unreachable!("{action} is of another part"),
    }
}
