//! The operator's binary.

use std::io::Write as _;
use std::process::ExitCode;

use clap::Parser as _;
use harbor_robot_operator::cli::{Cli, Command};
use harbor_robot_operator::{api, logging, run, uninstall};

fn main() -> ExitCode {
    match Cli::parse().command {
        Command::Crds => match std::io::stdout().write_all(api::crds::crds_yaml().as_bytes()) {
            Ok(()) => ExitCode::SUCCESS,
            Err(_) => ExitCode::FAILURE,
        },
        Command::Uninstall(args) => match uninstall::block_on(&args) {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => {
                eprintln!("error: {error}");
                ExitCode::FAILURE
            }
        },
        Command::Run(args) => {
            if let Err(error) = logging::init(args.log_format, args.log_level) {
                eprintln!("harbor-robot-operator: {error}");
                return ExitCode::FAILURE;
            }
            match run::block_on(*args) {
                Ok(()) => ExitCode::SUCCESS,
                Err(error) => {
                    tracing::error!(%error, "stopped");
                    ExitCode::FAILURE
                }
            }
        }
    }
}
