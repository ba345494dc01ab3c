//! The operator as a process.

use std::ffi::OsString;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, bail};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use crate::child::{self, Usage};
use crate::crypto::install_crypto_provider;
use crate::log::Log;
use crate::programs::{Profile, program};

const NAME: &str = "harbor-robot-operator";

/// Names the operator's program, in place of the one in this workspace.
const PROGRAM: &str = "HARBOR_ROBOT_OPERATOR";

/// How long the start, or the end after SIGTERM, may take.
const PATIENCE: Duration = Duration::from_mins(1);

/// How an operator is started.
#[derive(Clone, Debug, Default)]
pub struct OperatorOptions {
    /// How it reaches the API server.
    pub kubeconfig: PathBuf,
    /// Arguments after `run --allow-http --listen 127.0.0.1:0 --metrics-listen 127.0.0.1:0 --log-format json`.
    pub args: Vec<String>,
    /// Leave `--allow-http` out.
    pub https_only: bool,
    /// Further environment variables.
    pub env: Vec<(String, String)>,
    /// Whether the release build runs.
    pub release: bool,
    /// The program, when it is not the one in this workspace.
    pub binary: Option<PathBuf>,
    /// A file for its log, besides memory.
    pub log_file: Option<PathBuf>,
}

/// A running operator. Dropping it kills it; it also ends when this process does.
pub struct Operator {
    /// `host:port` of `/livez` and `/readyz`.
    pub address: String,
    /// `host:port` of `/metrics`.
    pub metrics_address: String,
    /// When the program was started.
    pub started: Instant,
    child: Child,
    log: Log,
    ended: Option<ExitStatus>,
}

impl Operator {
    /// The operator's program: the option, else `$HARBOR_ROBOT_OPERATOR`, else the one built here.
    pub fn binary(explicit: Option<&Path>, profile: Profile) -> Result<PathBuf> {
        match (explicit, std::env::var_os(PROGRAM)) {
            (Some(path), _) => Ok(path.to_path_buf()),
            (None, Some(path)) => Ok(path.into()),
            (None, None) => program(NAME, profile),
        }
    }

    /// Starts one. Blocks until it says that it serves.
    pub fn start(options: &OperatorOptions) -> Result<Self> {
        install_crypto_provider();
        let profile = if options.release { Profile::Release } else { Profile::Dev };
        let binary = Self::binary(options.binary.as_deref(), profile)?;
        let mut args: Vec<OsString> = vec![std::process::id().to_string().into(), binary.clone().into()];
        let listen = ["--listen", "127.0.0.1:0", "--metrics-listen", "127.0.0.1:0"];
        args.extend(["run", "--log-format", "json"].into_iter().chain(listen).map(OsString::from));
        args.extend((!options.https_only).then(|| "--allow-http".into()));
        args.extend(options.args.iter().map(OsString::from));
        let mut command = child::command(program("with-parent", profile)?, args);
        command.env("KUBECONFIG", &options.kubeconfig).envs(options.env.iter().map(|(key, value)| (key, value)));
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let file = options.log_file.as_ref().map(File::create).transpose()?;
        let started = Instant::now();
        let mut child = child::spawn(command)?;
        let log = Log::default();
        let second = file.as_ref().map(File::try_clone).transpose()?;
        log.follow(child.stdout.take().context("stdout is piped")?, file);
        log.follow(child.stderr.take().context("stderr is piped")?, second);
        let (address, metrics_address) = (String::new(), String::new());
        let mut operator = Self { address, metrics_address, started, child, log, ended: None };
        let serves = |what| operator.log.wait_for(PATIENCE, move |line: &str| serving(line, what));
        match (serves("probes"), serves("metrics")) {
            (Some(probes), Some(metrics)) => (operator.address, operator.metrics_address) = (probes, metrics),
            _ => bail!("{} does not serve; its log:\n{}", binary.display(), operator.log.text()),
        }
        Ok(operator)
    }

    /// The log so far, for waiting on lines.
    pub fn lines(&self) -> &Log {
        &self.log
    }

    /// The log so far as one text.
    pub fn log(&self) -> String {
        self.log.text()
    }

    /// Process id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Memory and processor time so far.
    pub fn usage(&self) -> Result<Usage> {
        Usage::of(self.pid())
    }

    /// From now on [`Usage::peak_rss`] is counted anew.
    pub fn forget_peak(&self) -> Result<()> {
        std::fs::write(format!("/proc/{}/clear_refs", self.pid()), "5").context("reset the peak of its memory")
    }

    /// Body of `/metrics`.
    pub async fn metrics(&self) -> Result<String> {
        let (status, body) = self.get_metrics(None).await?;
        if status == 200 { Ok(body) } else { Err(anyhow!("/metrics answered {status}: {body}")) }
    }

    /// Whether `/readyz` answers 200.
    pub async fn ready(&self) -> bool {
        matches!(self.get("/readyz").await, Ok((200, _)))
    }

    /// Status and body of a path of the operator's server of probes.
    pub async fn get(&self, path: &str) -> Result<(u16, String)> {
        fetch(&format!("http://{}{path}", self.address), None).await
    }

    /// Status and body of `/metrics`, with a bearer token.
    pub async fn get_metrics(&self, token: Option<&str>) -> Result<(u16, String)> {
        fetch(&format!("http://{}/metrics", self.metrics_address), token).await
    }

    /// Sends SIGTERM and waits for the end. Gives the status; an error when it takes longer than a minute.
    pub fn terminate(&mut self) -> Result<ExitStatus> {
        self.signal(Signal::TERM)?;
        // The output ends when the process does.
        if !self.log.wait_for_end(PATIENCE) {
            bail!("still running {PATIENCE:?} after SIGTERM; its log:\n{}", self.log.tail(50));
        }
        let status = self.child.wait()?;
        self.ended = Some(status);
        Ok(status)
    }

    /// Sends SIGKILL and waits for the end.
    pub fn kill(&mut self) -> Result<ExitStatus> {
        if self.ended.is_none() {
            self.child.kill()?;
            self.ended = Some(self.child.wait()?);
        }
        self.ended.context("it has just ended")
    }

    /// Sends SIGSTOP: it stands still until [`Operator::resume`].
    pub fn pause(&self) -> Result<()> {
        self.signal(Signal::STOP)
    }

    /// Sends SIGCONT.
    pub fn resume(&self) -> Result<()> {
        self.signal(Signal::CONT)
    }

    fn signal(&self, signal: Signal) -> Result<()> {
        if self.ended.is_some() {
            bail!("the operator has ended");
        }
        let pid = i32::try_from(self.pid()).ok().and_then(Pid::from_raw).context("process ids are positive")?;
        Ok(kill_process(pid, signal)?)
    }
}

async fn fetch(url: &str, token: Option<&str>) -> Result<(u16, String)> {
    let client = reqwest::Client::builder().no_proxy().tls_certs_only([]).timeout(PATIENCE).build()?;
    let mut request = client.get(url);
    if let Some(token) = token {
        request = request.bearer_auth(token);
    }
    let answer = request.send().await?;
    Ok((answer.status().as_u16(), answer.text().await?))
}

/// The address in the log line that says that the operator serves `what`.
fn serving(line: &str, what: &str) -> Option<String> {
    let line: Value = serde_json::from_str(line).ok()?;
    // tracing's JSON puts an event's fields aside unless told to flatten them.
    let fields = if line["fields"].is_object() { &line["fields"] } else { &line };
    (fields["message"] == "serving" && fields["what"] == what)
        .then(|| fields["address"].as_str().map(str::to_owned))
        .flatten()
}

impl Drop for Operator {
    fn drop(&mut self) {
        let _ = self.kill();
    }
}
