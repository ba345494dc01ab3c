//! What all clients of one kind of registries do together, so that no server's answers fill the memory and no name server
//! holds all threads.
//!
//! An answer of up to [`SMALL`] bytes is read by whoever asked for it: how many do that is bounded elsewhere. What is
//! larger, a page of a list nearly always, takes a turn, of which a client has one at a time and all clients together few.
//! They are given in the order of asking, and for a short time, so that a server that answers slowly delays the long
//! lists of others by a few seconds and their short answers not at all.

use std::io;
use std::net::{SocketAddr, ToSocketAddrs as _};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::egress::Lookup;
use crate::registry::Error;

/// An answer up to this size needs no turn.
pub(super) const SMALL: usize = 64 * 1024;
/// Larger answers that are under way at one time.
const LARGE_ANSWERS: usize = 2;
/// How long one may take once it has its turn.
pub(super) const LONGEST_TURN: Duration = Duration::from_secs(5);
/// How long one waits for its turn.
const LONGEST_WAIT: Duration = Duration::from_mins(1);
/// Names that are being resolved at one time: each holds a thread of a pool that others need, too, until the system gives up.
const LOOKUPS: usize = 32;
/// … by one client.
const LOOKUPS_OF_A_CLIENT: usize = 2;

/// Shared by the clients of one kind of registries.
#[derive(Clone, Debug)]
pub struct Room {
    answers: Arc<Semaphore>,
    lookups: Arc<Semaphore>,
}

impl Default for Room {
    fn default() -> Self {
        Self { answers: Arc::new(Semaphore::new(LARGE_ANSWERS)), lookups: Arc::new(Semaphore::new(LOOKUPS)) }
    }
}

/// One client's part of it.
#[derive(Debug)]
pub(super) struct OwnRoom {
    shared: Room,
    answers: Arc<Semaphore>,
    lookups: Arc<Semaphore>,
}

/// The turn of one large answer, until it was made use of.
#[derive(Debug)]
pub(super) struct Turn {
    _own: OwnedSemaphorePermit,
    _shared: OwnedSemaphorePermit,
}

impl OwnRoom {
    pub(super) fn new(shared: Room) -> Self {
        Self { shared, answers: Arc::new(Semaphore::new(1)), lookups: Arc::new(Semaphore::new(LOOKUPS_OF_A_CLIENT)) }
    }

    /// A turn, if there is one at once.
    pub(super) fn try_turn(&self) -> Option<Turn> {
        let own = Arc::clone(&self.answers).try_acquire_owned().ok()?;
        let shared = Arc::clone(&self.shared.answers).try_acquire_owned().ok()?;
        Some(Turn { _own: own, _shared: shared })
    }

    pub(super) async fn turn(&self) -> Result<Turn, Error> {
        let waiting = async {
            let own = Arc::clone(&self.answers).acquire_owned().await.ok()?;
            let shared = Arc::clone(&self.shared.answers).acquire_owned().await.ok()?;
            Some(Turn { _own: own, _shared: shared })
        };
        let turn = tokio::time::timeout(LONGEST_WAIT, waiting).await.ok().flatten();
        turn.ok_or(Error::Unreachable("too many long lists are being read at this time"))
    }

    /// Finds addresses as the system does.
    pub(super) fn lookup(&self) -> Lookup {
        let (own, shared) = (Arc::clone(&self.lookups), Arc::clone(&self.shared.lookups));
        Arc::new(move |name: String| {
            let (own, shared) = (Arc::clone(&own), Arc::clone(&shared));
            Box::pin(async move {
                let own = own.acquire_owned().await.map_err(io::Error::other)?;
                let shared = shared.acquire_owned().await.map_err(io::Error::other)?;
                let resolve = move || -> io::Result<Vec<SocketAddr>> {
                    // The system goes on after whoever asked gave up: only then is the thread free.
                    let _held = (own, shared);
                    Ok((name.as_str(), 0).to_socket_addrs()?.collect())
                };
                tokio::task::spawn_blocking(resolve).await.map_err(io::Error::other)?
            })
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_client_has_one_turn_and_all_together_have_few_in_the_order_of_asking() {
        let room = Room::default();
        let clients: Vec<OwnRoom> = (0..=LARGE_ANSWERS).map(|_| OwnRoom::new(room.clone())).collect();
        let mut turns: Vec<Turn> = clients[..LARGE_ANSWERS].iter().map(|client| client.try_turn().unwrap()).collect();
        assert!(clients[0].try_turn().is_none() && clients[LARGE_ANSWERS].try_turn().is_none());
        assert!(OwnRoom::new(Room::default()).try_turn().is_some(), "registries of another kind have their own");
        let waiting = clients[LARGE_ANSWERS].turn();
        let free = async {
            tokio::time::sleep(Duration::from_secs(5)).await;
            turns.pop();
        };
        let (turn, ()) = tokio::join!(waiting, free);
        assert!(turn.is_ok());
        let started = tokio::time::Instant::now();
        assert!(matches!(clients[0].turn().await, Err(Error::Unreachable(_))), "nobody waits for ever");
        assert_eq!(started.elapsed(), LONGEST_WAIT);
    }

    #[tokio::test(start_paused = true)]
    async fn a_client_whose_names_do_not_resolve_holds_few_threads() {
        let room = OwnRoom::new(Room::default());
        let held = Arc::clone(&room.lookups).acquire_many_owned(2).await.unwrap();
        let lookup = room.lookup();
        let waited = tokio::time::timeout(Duration::from_secs(5), lookup("localhost".to_owned())).await;
        assert!(waited.is_err(), "a third one waits");
        drop(held);
        assert!(lookup("localhost".to_owned()).await.is_ok());
    }

    #[tokio::test]
    async fn names_are_resolved() {
        let found = OwnRoom::new(Room::default()).lookup()("localhost".to_owned()).await.unwrap();
        assert!(found.iter().all(|address| address.ip().is_loopback()) && !found.is_empty());
    }
}
