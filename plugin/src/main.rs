//! `kubectl robots`: see, renew and end the robot accounts of a cluster, with the rights of whoever runs it.
//!
//! One file for each command; what they share is in `cli` (flags), `cluster` (the API server), `output` (what is printed)
//! and `error` (what went wrong, and the exit code).

#![warn(unreachable_pub)]

mod actions;
mod attention;
mod bootstrap;
mod cli;
mod cluster;
mod complete;
mod doctor;
mod error;
mod export;
mod fleet;
mod harbor;
mod import;
mod list;
mod output;
mod plan;
mod status;
mod target;
mod times;
mod tree;

use std::io::{self, ErrorKind};
use std::process::ExitCode;

use clap::{CommandFactory as _, Parser as _};
use harbor_robot_operator::uninstall;

use actions::Action;
use cli::{Cli, Command};
use cluster::Cluster;
use error::Error;

fn main() -> ExitCode {
    if complete::is_asked_for() {
        return complete::run();
    }
    match block_on(&Cli::parse()) {
        Ok(code) => code,
        // Whoever reads has read enough, as `head` does.
        Err(Error::Output(error)) if error.kind() == ErrorKind::BrokenPipe => ExitCode::SUCCESS,
        Err(error) => {
            for (number, line) in error.to_string().lines().enumerate() {
                eprintln!("{}{}", if number == 0 { "error: " } else { "" }, output::printable(line));
            }
            error.code()
        }
    }
}

fn block_on(cli: &Cli) -> Result<ExitCode, Error> {
    if let Command::Completion { shell } = cli.command {
        clap_complete::generate(shell, &mut Cli::command(), "kubectl-robots", &mut io::stdout());
        return Ok(ExitCode::SUCCESS);
    }
    let _ = rustls::crypto::ring::default_provider().install_default();
    tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(run(cli))
}

async fn run(cli: &Cli) -> Result<ExitCode, Error> {
    let cluster = Cluster::connect(&cli.connection).await?;
    match &cli.command {
        Command::List(args) => list::run(&cluster, args).await,
        Command::Status(args) => status::run(&cluster, args).await,
        Command::Refresh(args) => actions::run(&cluster, &Action::Refresh, args).await,
        Command::Revoke(args) => {
            let action = Action::Revoke { reason: args.reason.clone() };
            actions::run(&cluster, &action, &args.accounts).await
        }
        Command::Suspend(args) => actions::run(&cluster, &Action::Suspend, args).await,
        Command::Resume(args) => actions::run(&cluster, &Action::Resume, args).await,
        Command::Plan(args) => plan::run(&cluster, args).await,
        Command::Export(args) => export::run(&cluster, args).await,
        Command::Fleet(args) => fleet::run(&cluster, args).await,
        Command::Import(args) => import::run(&cluster, args).await,
        Command::Doctor(args) => doctor::run(&cluster, args).await,
        Command::Bootstrap(args) => bootstrap::run(&cluster, args).await,
        Command::Uninstall(args) => {
            uninstall::run(cluster.client, args, io::stdout()).await?;
            Ok(ExitCode::SUCCESS)
        }
        Command::Completion { .. } => Ok(ExitCode::SUCCESS),
    }
}
