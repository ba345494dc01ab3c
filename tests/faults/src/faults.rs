//! What all doors share: the trace, the faults to come, and the gate that holds calls back.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::watch;

use crate::call::{Call, Point, Side, template};
use crate::forward::Answer;
use crate::stop::{Moment, Stop, Trap, Verdict};

/// What goes wrong with a call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The connection is closed before the server sees the call.
    Refuse,
    /// The server does it, then the connection is closed without an answer.
    LoseAnswer,
    /// It waits so long on its way to the server.
    Delay(Duration),
    /// Its answer waits so long on its way back.
    DelayAnswer(Duration),
    /// The server does not see it; the client gets this status and body.
    Answer(u16, String),
    /// The server does it, but the client gets this status and body.
    AnswerAfterwards(u16, String),
}

/// What is done with a call that has arrived.
#[derive(Debug)]
pub(crate) enum Rule {
    Pass,
    Fault(Fault),
    Trap(Trap),
    /// Answered as the first time since [`Faults::freeze`]; `None`: this is the first time.
    Frozen(Option<Answer>),
}

/// Says whether a call is meant.
pub type Fits = fn(&Call) -> bool;

/// The faults between the operator and its servers; clones are the same.
#[derive(Clone, Debug, Default)]
pub struct Faults {
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    state: Mutex<State>,
    gate: watch::Sender<Gate>,
    /// How often the watches were cut.
    cuts: watch::Sender<u64>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Gate {
    closed: bool,
    /// How often it was opened so that all who waited were dropped.
    dropped: u64,
}

#[derive(Debug, Default)]
struct State {
    trace: Vec<Call>,
    counts: HashMap<String, usize>,
    once: HashMap<Point, Planned>,
    next: Option<(Fits, Trap)>,
    always: HashMap<String, Fault>,
    /// Answers by operation, then by path and query.
    frozen: HashMap<String, HashMap<String, Answer>>,
}

#[derive(Debug)]
enum Planned {
    Fault(Fault),
    Trap(Trap),
}

impl Faults {
    /// None yet: everything passes.
    pub fn new() -> Self {
        Self::default()
    }

    /// All calls since [`Faults::forget`], in the order of their arrival.
    pub fn trace(&self) -> Vec<Call> {
        self.state().trace.clone()
    }

    /// Begins a new trace. Faults and stops stay; they count from here.
    pub fn forget(&self) {
        let mut state = self.state();
        state.trace.clear();
        state.counts.clear();
    }

    /// The world stands still at this call.
    pub fn stop_at(&self, point: Point, moment: Moment) -> Stop {
        let (stop, trap) = Stop::new(format!("{point}, {moment:?}"), moment, self.clone());
        self.state().once.insert(point, Planned::Trap(trap));
        stop
    }

    /// The world stands still at the next call that fits.
    pub fn stop_at_next(&self, fits: Fits, moment: Moment) -> Stop {
        let (stop, trap) = Stop::new(format!("the next such call, {moment:?}"), moment, self.clone());
        self.state().next = Some((fits, trap));
        stop
    }

    /// A fault at one call.
    pub fn once(&self, point: Point, fault: Fault) {
        self.state().once.insert(point, Planned::Fault(fault));
    }

    /// A fault at all calls of an operation, like `Harbor POST robots`, until [`Faults::clear`].
    pub fn always(&self, operation: &str, fault: Fault) {
        self.state().always.insert(operation.to_owned(), fault);
    }

    /// From now on reads of this operation, like `Harbor GET robots`, are answered as the first of them, until
    /// [`Faults::clear`]: a cache that lags behind.
    pub fn freeze(&self, operation: &str) {
        self.state().frozen.insert(operation.to_owned(), HashMap::new());
    }

    /// Ends every watch that is open: its client has to open another.
    pub fn cut_watches(&self) {
        self.shared.cuts.send_modify(|cuts| *cuts += 1);
    }

    /// Done at the next cut.
    pub(crate) fn cut(&self) -> impl Future<Output = ()> + Send + 'static {
        let mut cuts = self.shared.cuts.subscribe();
        async move {
            // Whoever drops the sender ends it, too.
            let _ = cuts.changed().await;
        }
    }

    /// Ends all faults, those to come included. Stops that were not reached never will be.
    pub fn clear(&self) {
        let mut state = self.state();
        state.once.clear();
        state.next = None;
        state.always.clear();
        state.frozen.clear();
    }

    /// Waits while the world stands still; false if the call is to be dropped.
    pub(crate) async fn pass_gate(&self) -> bool {
        let mut gate = self.shared.gate.subscribe();
        let before = gate.borrow_and_update().dropped;
        // The sender lives as long as this.
        gate.wait_for(|gate| !gate.closed).await.is_ok_and(|gate| gate.dropped == before)
    }

    pub(crate) fn close_gate(&self) {
        self.shared.gate.send_modify(|gate| gate.closed = true);
    }

    pub(crate) fn open_gate(&self, verdict: Verdict) {
        self.shared.gate.send_modify(|gate| {
            gate.closed = false;
            gate.dropped += u64::from(verdict == Verdict::Drop);
        });
    }

    /// Puts a call into the trace and says what is to be done with it.
    pub(crate) fn record(&self, side: Side, method: &str, path: &str, body: &[u8]) -> (Call, Rule) {
        let mut state = self.state();
        let bare = path.split('?').next().unwrap_or_default();
        let number = state.trace.len() + 1;
        let mut call = Call {
            number,
            side,
            method: method.to_owned(),
            template: template(side, bare),
            path: path.to_owned(),
            body: String::from_utf8_lossy(body).into_owned(),
            nth: 0,
        };
        let operation = call.operation();
        let count = state.counts.entry(operation.clone()).or_default();
        *count += 1;
        call.nth = *count;
        state.trace.push(call.clone());
        if let Some((_, trap)) = state.next.take_if(|(fits, _)| fits(&call)) {
            return (call, Rule::Trap(trap));
        }
        let rule = match state.once.remove(&call.point()) {
            Some(Planned::Trap(trap)) => Rule::Trap(trap),
            Some(Planned::Fault(fault)) => Rule::Fault(fault),
            None => match (state.always.get(&operation), state.frozen.get(&operation)) {
                (Some(fault), _) => Rule::Fault(fault.clone()),
                (None, Some(answers)) => Rule::Frozen(answers.get(path).cloned()),
                (None, None) => Rule::Pass,
            },
        };
        (call, rule)
    }

    /// Keeps the first answer to a frozen read.
    pub(crate) fn keep(&self, call: &Call, answer: &Answer) {
        if let Some(answers) = self.state().frozen.get_mut(&call.operation()) {
            answers.entry(call.path.clone()).or_insert_with(|| answer.clone());
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.shared.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
