//! Child processes that do not outlive this one.

use std::ffi::OsStr;
use std::io::Write;
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};
use std::sync::{OnceLock, mpsc};
use std::time::Duration;

use anyhow::{Context, Result, anyhow};

type Job = (Command, mpsc::Sender<std::io::Result<Child>>);

/// Starts a command from a thread that lives as long as this process. Linux ends a child that asked for it when the
/// *thread* that started it ends, and the thread of a test ends before others stop using what it started. The child gets
/// a process group of its own: Ctrl-C is this process's to act on.
pub(crate) fn spawn(mut command: Command) -> Result<Child> {
    static SPAWNER: OnceLock<mpsc::Sender<Job>> = OnceLock::new();
    command.process_group(0);
    let spawner = SPAWNER.get_or_init(|| {
        let (jobs, waiting) = mpsc::channel::<Job>();
        std::thread::spawn(move || {
            for (mut command, reply) in waiting {
                let _ = reply.send(command.spawn());
            }
        });
        jobs
    });
    let program = command.get_program().to_string_lossy().into_owned();
    let (reply, answer) = mpsc::channel();
    spawner.send((command, reply)).map_err(|_| anyhow!("the thread that starts children is gone"))?;
    answer.recv().context("the thread that starts children is gone")?.with_context(|| format!("start {program}"))
}

/// What a finished program said.
#[derive(Clone, Debug)]
pub struct Output {
    /// Whether it exited with 0.
    pub success: bool,
    /// What it exited with; `None` if it was not started, or a signal ended it.
    pub code: Option<i32>,
    /// What it wrote to stdout.
    pub stdout: String,
    /// What it wrote to stderr.
    pub stderr: String,
}

impl Output {
    /// What it wrote to stdout, or an error with what it wrote to stderr.
    pub fn ok(self) -> Result<String> {
        if self.success { Ok(self.stdout) } else { Err(anyhow!("{}{}", self.stderr, self.stdout)) }
    }
}

/// Runs a command to its end with `stdin` as its input. A program that cannot be started counts as one that failed.
pub fn run(mut command: Command, stdin: &[u8]) -> Output {
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let result = spawn(command).and_then(|mut child| {
        let mut input = child.stdin.take().context("stdin is piped")?;
        // Written aside, because a program may fill its output pipe before it reads all of its input; one that does not
        // want its input ends the pipe, which its exit status speaks for.
        let output = std::thread::scope(|scope| {
            scope.spawn(move || {
                let _ = input.write_all(stdin);
            });
            child.wait_with_output()
        })?;
        Ok(output)
    });
    match result {
        Ok(output) => Output {
            success: output.status.success(),
            code: output.status.code(),
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        },
        Err(error) => Output { success: false, code: None, stdout: String::new(), stderr: format!("{error:#}") },
    }
}

/// A command with arguments.
pub(crate) fn command<S: AsRef<OsStr>>(program: impl AsRef<OsStr>, args: impl IntoIterator<Item = S>) -> Command {
    let mut command = Command::new(program);
    command.args(args);
    command
}

/// What a process used so far, from Linux's `/proc`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Usage {
    /// Resident memory in bytes.
    pub rss: u64,
    /// The most resident memory it ever had, in bytes.
    pub peak_rss: u64,
    /// User and system time.
    pub cpu: Duration,
}

impl Usage {
    /// Reads the figures of a process.
    pub fn of(pid: u32) -> Result<Self> {
        let status = std::fs::read_to_string(format!("/proc/{pid}/status"))?;
        let kibibytes = |key: &str| -> Result<u64> {
            let line = status.lines().find_map(|line| line.strip_prefix(key)).with_context(|| format!("no {key}"))?;
            Ok(line.trim().trim_end_matches(" kB").parse::<u64>()? * 1024)
        };
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat"))?;
        // The second field is the program's name in parentheses, which may hold spaces; utime and stime are 14 and 15.
        let fields: Vec<&str> = stat.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
        let ticks =
            |index: usize| -> Result<u64> { Ok(fields.get(index).context("/proc/PID/stat is short")?.parse()?) };
        let per_second = rustix::param::clock_ticks_per_second();
        Ok(Self {
            rss: kibibytes("VmRSS:")?,
            peak_rss: kibibytes("VmHWM:")?,
            cpu: Duration::from_millis((ticks(11)? + ticks(12)?) * 1000 / per_second),
        })
    }
}
