//! `with-parent PID PROGRAM ARGS…` becomes PROGRAM, which the kernel then ends together with the thread of process PID
//! that started it.

use std::os::unix::process::CommandExt;
use std::process::{Command, ExitCode};

fn main() -> ExitCode {
    let mut args = std::env::args_os().skip(1);
    let parent = args.next().and_then(|pid| pid.to_str()?.parse::<i32>().ok());
    let (Some(parent), Some(program)) = (parent, args.next()) else {
        eprintln!("usage: with-parent PID PROGRAM [ARGS…]");
        return ExitCode::from(2);
    };
    #[cfg(target_os = "linux")]
    if let Err(error) = rustix::process::set_parent_process_death_signal(Some(rustix::process::Signal::KILL)) {
        eprintln!("with-parent: {error}");
        return ExitCode::FAILURE;
    }
    // A parent that was gone before the kernel was told ends nobody.
    if rustix::process::getppid().map(|pid| pid.as_raw_nonzero().get()) != Some(parent) {
        return ExitCode::FAILURE;
    }
    let error = Command::new(&program).args(args).exec();
    eprintln!("with-parent: {}: {error}", program.display());
    ExitCode::FAILURE
}
