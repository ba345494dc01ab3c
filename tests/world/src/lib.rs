//! Starts the parts of a test world: the control plane made by `tests/rig`, the Harbor stand-in and the operator, each a
//! process of its own that ends with the one that started it.
//!
//! Starting is blocking (a few seconds for a control plane); the clients are async. [`ControlPlane::shared`] serves all
//! tests of one process, since a control plane of their own would cost each of them 3 s and 500 MB.

mod apply;
mod child;
mod control_plane;
mod crypto;
mod eventually;
mod harbor;
mod log;
mod operator;
mod programs;
mod progress;
mod rig;
mod scratch;
mod scripts;
mod target;

pub use anyhow::{Error, Result};
pub use apply::{apply_object, objects};
pub use child::{Output, Usage, run};
pub use control_plane::{AUDIT_LOGS, ControlPlane};
pub use crypto::install_crypto_provider;
pub use eventually::{eventually, poll};
pub use harbor::{Answer, Call, Calls, Harbor, HarborClient, HarborOptions, Login};
pub use log::Log;
pub use operator::{Operator, OperatorOptions};
pub use programs::{PROGRAMS, Profile, cargo, program};
pub use progress::{note, with_progress};
pub use rig::{build_rig, rig};
pub use scratch::scratch;
pub use scripts::path_with;
pub use target::{target_dir, workspace_root};
