//! Keeps accounts: one pass is gather → plan → execute → report.

mod ending;
pub(super) mod errors;
mod events;
mod execute;
mod gather;
mod letting_go;
mod pass;
mod prepare;
mod projects;
mod remember;
mod restart;
mod unknown_permissions;

use pass::Pass;
pub use pass::pass;
pub use remember::{gone, observe};
pub use restart::is_settled;
