//! Keeps accounts: one pass is gather → plan → execute → report.

mod ending;
pub(super) mod errors;
mod events;
mod execute;
mod foresee;
mod gather;
mod own_login;
mod pass;
mod prepare;
mod remember;
mod restart;
mod wish;

pub use foresee::{Foreseen, SUSPENDED, foresee};
use pass::Pass;
pub use pass::pass;
pub use remember::{gone, observe};
pub use restart::is_settled;
