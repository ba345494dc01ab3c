//! What can go wrong, and the exit code that tells it to a script.

use std::io;
use std::process::ExitCode;

use harbor_robot_operator::{cluster, uninstall};

/// Why a command ended early.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// There is no cluster to talk to.
    #[error("no access to a Kubernetes API server: {0}")]
    NoCluster(String),
    /// A call to the API server failed.
    #[error("{0}: {1}")]
    Kubernetes(String, cluster::Error),
    /// What was asked for is not there, or cannot be done.
    #[error("{0}")]
    Refused(String),
    /// Some accounts are not as was asked for.
    #[error("{0}")]
    Unfinished(String),
    /// Accounts were waited for in vain.
    #[error("{0}")]
    TimedOut(String),
    /// See there.
    #[error(transparent)]
    Uninstall(#[from] uninstall::Error),
    /// Nobody reads what it says.
    #[error("cannot write: {0}")]
    Output(#[from] io::Error),
}

impl Error {
    /// 1: it failed. 3: some accounts need somebody. 4: accounts were waited for in vain. (2, a wrong command line, is clap's.)
    pub(crate) fn code(&self) -> ExitCode {
        match self {
            Self::Unfinished(_) => 3.into(),
            Self::TimedOut(_) => 4.into(),
            _ => ExitCode::FAILURE,
        }
    }
}
