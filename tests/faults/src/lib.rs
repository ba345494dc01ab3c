//! Stands between the operator and its two servers, Harbor and the Kubernetes API server, and makes the network as bad
//! as it can be.
//!
//! A [`Door`] is a proxy in front of one server. All doors of one [`Faults`] share a numbered trace of calls, so that a
//! test first records what an undisturbed operation does, and then repeats it with a fault at each call of the trace:
//!
//! ```text
//! let call = &faults.trace()[3];
//! faults.forget();
//! let mut stop = faults.stop_at(call.point(), Moment::Committed);
//! …                                  // begin the operation
//! stop.reached().await;              // the server has done it, its answer is not on the way yet
//! operator.kill();
//! let held = stop.client_is_dead();  // nothing else that it had sent arrives any more
//! ```
//!
//! Besides: answers that are lost, replaced or late ([`Fault`]), and reads that are answered as they once were
//! ([`Faults::freeze`]). Watches are streamed through.
//!
//! A [`Liar`] is a proxy of another kind: the network is fine, and the server behind it is a hostile one.

mod call;
mod door;
mod faults;
mod forward;
mod liar;
mod stop;
mod told;

pub use call::{Call, Point, Side};
pub use door::{Door, Server};
pub use faults::{Fault, Faults, Fits};
pub use liar::{Asked, Liar, Lie};
pub use stop::{Held, Moment, Stop};
pub use told::{Pace, Told};
