//! A call at which the world stands still.

use std::time::Duration;

use tokio::sync::oneshot;

use crate::faults::Faults;

/// How long a stop may take to be reached.
const PATIENCE: Duration = Duration::from_secs(30);

/// Where in a call the world stands still.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Moment {
    /// The client has sent it, the server has not seen it.
    BeforeSending,
    /// The server has done it, the client does not know.
    Committed,
    /// The client has the answer and has sent nothing since.
    Answered,
}

/// What becomes of a call that is held.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// It goes on.
    Go,
    /// It never gets any further.
    Drop,
}

/// The door's end of a stop.
#[derive(Debug)]
pub(crate) struct Trap {
    pub(crate) moment: Moment,
    pub(crate) reached: oneshot::Sender<()>,
    pub(crate) verdict: oneshot::Receiver<Verdict>,
    /// The server's status, told when the call is over.
    pub(crate) status: oneshot::Sender<u16>,
}

/// A call to come at which everything the client sends is held back. Dropping it lets everything go on.
#[derive(Debug)]
pub struct Stop {
    what: String,
    faults: Faults,
    reached: oneshot::Receiver<()>,
    verdict: Option<oneshot::Sender<Verdict>>,
    status: Option<oneshot::Receiver<u16>>,
}

impl Stop {
    pub(crate) fn new(what: String, moment: Moment, faults: Faults) -> (Self, Trap) {
        let (reached, told) = oneshot::channel();
        let (decide, verdict) = oneshot::channel();
        let (status, over) = oneshot::channel();
        let stop = Self { what, faults, reached: told, verdict: Some(decide), status: Some(over) };
        (stop, Trap { moment, reached, verdict, status })
    }

    /// Waits until the call is there. From then on the client's further calls wait, too.
    ///
    /// # Panics
    /// When it does not come within 30 s.
    pub async fn reached(&mut self) {
        let reached = tokio::time::timeout(PATIENCE, &mut self.reached).await;
        assert!(matches!(reached, Ok(Ok(()))), "{}: the call does not come", self.what);
    }

    /// Lets the call and everything behind it go on.
    pub fn release(self) {}

    /// The client was killed: whatever it sent after the call is dropped. The call itself is in the caller's hands.
    pub fn client_is_dead(mut self) -> Held {
        self.faults.open_gate(Verdict::Drop);
        Held { verdict: self.verdict.take(), status: self.status.take() }
    }
}

impl Drop for Stop {
    fn drop(&mut self) {
        if let Some(verdict) = self.verdict.take() {
            // The call may be over, or may never have come.
            let _ = verdict.send(Verdict::Go);
            self.faults.open_gate(Verdict::Go);
        }
    }
}

/// A call of a client that is dead. Dropping it drops the call.
#[derive(Debug)]
pub struct Held {
    verdict: Option<oneshot::Sender<Verdict>>,
    status: Option<oneshot::Receiver<u16>>,
}

impl Held {
    /// Sends the call to the server after all, as a slow network would. Gives the status that the server answered.
    ///
    /// # Panics
    /// When the server does not answer within 30 s.
    pub async fn arrives_late(mut self) -> u16 {
        if let Some(verdict) = self.verdict.take() {
            let _ = verdict.send(Verdict::Go);
        }
        let status = self.status.take().expect("a call is sent once");
        let status = tokio::time::timeout(PATIENCE, status).await;
        status.ok().and_then(Result::ok).expect("the server answers")
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        if let Some(verdict) = self.verdict.take() {
            let _ = verdict.send(Verdict::Drop);
        }
    }
}
