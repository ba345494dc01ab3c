//! A Kubernetes control plane with a registry beside it.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, OnceLock, PoisonError};
use std::time::Duration;

use anyhow::{Context, Result, anyhow, bail};
use kube::config::{KubeConfigOptions, Kubeconfig};
use serde::Deserialize;

use crate::apply::Applier;
use crate::child::{self, Output};
use crate::crypto::install_crypto_provider;
use crate::log::Log;
use crate::rig::rig;
use crate::scratch::scratch;
use crate::target::workspace_root;

/// A running control plane: API server, etcd, controller manager (garbage collection, namespaces, ServiceAccounts) and
/// the distribution registry. Dropping it ends them.
pub struct ControlPlane {
    /// A kubeconfig with the administrator's token.
    pub kubeconfig: PathBuf,
    /// The API server's URL.
    pub server: String,
    /// The administrator's token.
    pub token: String,
    /// File with the API server's certificate authority.
    pub ca: PathBuf,
    /// URL of the registry, which asks nobody for a login.
    pub registry: String,
    /// Folder with the servers' logs; `up.log` says why one of them ended early.
    pub dir: PathBuf,
    /// Process ids of the servers by name.
    pub pids: BTreeMap<String, u32>,
    rig: PathBuf,
    applier: OnceLock<Applier>,
    pid: u32,
    running: Mutex<Running>,
}

struct Running {
    child: Child,
    stdin: Option<ChildStdin>,
}

#[derive(Deserialize)]
struct Started {
    kubeconfig: PathBuf,
    server: String,
    token: String,
    ca: PathBuf,
    registry: String,
    pids: BTreeMap<String, u32>,
}

/// Names a folder in which each control plane logs what ServiceAccounts asked of it.
pub const AUDIT_LOGS: &str = "HARBOR_ROBOT_AUDIT_LOGS";

/// A file that no other control plane writes to.
fn audit_log(folder: &Path) -> Result<PathBuf> {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    std::fs::create_dir_all(folder).with_context(|| format!("make {}", folder.display()))?;
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    Ok(folder.join(format!("{}-{number}.log", std::process::id())))
}

async fn client_of(kubeconfig: PathBuf) -> Result<kube::Client> {
    let kubeconfig = Kubeconfig::read_from(kubeconfig)?;
    let config = kube::Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await?;
    Ok(kube::Client::try_from(config)?)
}

impl ControlPlane {
    /// Starts one that keeps its files in `dir`, and builds the rig before if need be. Blocks until all answer.
    pub fn start(dir: &Path) -> Result<Self> {
        Self::start_with(dir, &["--ephemeral"], true)
    }

    /// The same, but what etcd stores stays in `dir/etcd` when it ends, and is there again for the next one.
    pub fn start_keeping(dir: &Path) -> Result<Self> {
        Self::start_with(dir, &[], true)
    }

    /// Starts one in a new scratch folder that does not log what is asked of it: for operators that lose their rights, as they do
    /// when they are uninstalled.
    pub fn unaudited() -> Result<Self> {
        Self::start_with(&scratch()?, &["--ephemeral"], false)
    }

    fn start_with(dir: &Path, flags: &[&str], audited: bool) -> Result<Self> {
        install_crypto_provider();
        let rig = rig()?;
        let mut command = child::command(&rig, ["up", "--dir"]);
        command.arg(dir).args(flags);
        if let Some(folder) = std::env::var_os(AUDIT_LOGS).filter(|_| audited) {
            command.arg("--audit-log").arg(audit_log(Path::new(&folder))?);
        }
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = child::spawn(command)?;
        let stdin = child.stdin.take();
        let log = Log::default();
        let file = std::fs::create_dir_all(dir).and_then(|()| File::create(dir.join("up.log")))?;
        log.follow(child.stderr.take().context("stderr is piped")?, Some(file));
        let mut line = String::new();
        BufReader::new(child.stdout.take().context("stdout is piped")?).read_line(&mut line)?;
        if line.is_empty() {
            log.wait_for_end(Duration::from_secs(5));
            child.wait()?;
            bail!("the control plane did not start: {}", log.text());
        }
        let started: Started = serde_json::from_str(&line).with_context(|| format!("rig up said {line}"))?;
        Ok(Self {
            kubeconfig: started.kubeconfig,
            server: started.server,
            token: started.token,
            ca: started.ca,
            registry: started.registry,
            dir: dir.to_path_buf(),
            pids: started.pids,
            rig,
            applier: OnceLock::new(),
            pid: child.id(),
            running: Mutex::new(Running { child, stdin }),
        })
    }

    /// Starts one in a new scratch folder.
    pub fn scratch() -> Result<Self> {
        Self::start(&scratch()?)
    }

    /// The one of this process, started at the first call. It ends with the process.
    ///
    /// # Panics
    /// When it cannot be started.
    pub fn shared() -> &'static Self {
        static SHARED: OnceLock<std::result::Result<ControlPlane, String>> = OnceLock::new();
        match SHARED.get_or_init(|| Self::scratch().map_err(|error| format!("{error:#}"))) {
            Ok(plane) => plane,
            Err(error) => panic!("{error}"),
        }
    }

    /// A client with the administrator's rights. Make one in each test: its connections belong to the test's runtime.
    pub async fn client(&self) -> Result<kube::Client> {
        client_of(self.kubeconfig.clone()).await
    }

    /// A kubeconfig like the administrator's, with another token.
    pub fn kubeconfig_with(&self, token: &str) -> Result<PathBuf> {
        let config = std::fs::read_to_string(&self.kubeconfig)?.replace(&self.token, token);
        let path = scratch()?.join("kubeconfig");
        std::fs::write(&path, config)?;
        Ok(path)
    }

    /// Runs kubectl as the administrator.
    pub fn kubectl<S: AsRef<OsStr>>(&self, args: impl IntoIterator<Item = S>) -> Output {
        self.kubectl_stdin(args, "")
    }

    /// Runs kubectl as the administrator with `stdin` as its input, as in `kubectl apply -f -`.
    pub fn kubectl_stdin<S: AsRef<OsStr>>(&self, args: impl IntoIterator<Item = S>, stdin: &str) -> Output {
        child::run(self.rig_command("kubectl", args), stdin.as_bytes())
    }

    /// Applies a manifest as `kubectl apply --server-side` does, with the server's own messages. Blocks until it is done.
    pub fn apply(&self, manifest: &str) -> Result<()> {
        let applier = if let Some(applier) = self.applier.get() {
            applier
        } else {
            let made = Applier::new(client_of(self.kubeconfig.clone()))?;
            self.applier.get_or_init(|| made)
        };
        applier.apply(manifest)
    }

    /// Applies `crds/`, and waits until the kinds are served.
    pub fn apply_kinds(&self) -> Result<()> {
        let crds = workspace_root().join("crds");
        let crds = crds.to_string_lossy();
        self.kubectl(["apply", "--server-side", "-f", &crds]).ok().context("apply crds/")?;
        self.kubectl(["wait", "--for=condition=Established", "--timeout=60s", "-f", &crds]).ok()?;
        Ok(())
    }

    /// Runs a command of the rig (`kubectl`, `crane`, `push`, `pull`) to its end.
    pub fn rig<S: AsRef<OsStr>>(&self, command: &str, args: impl IntoIterator<Item = S>, stdin: &str) -> Output {
        child::run(self.rig_command(command, args), stdin.as_bytes())
    }

    /// Pulls an image as kubelet does for a pod that names these Secrets, or, without any, for one whose ServiceAccount
    /// `default` names some. Gives the digest, or kubelet's error.
    pub fn pull(&self, namespace: &str, secrets: &[&str], image: &str) -> Result<String> {
        let mut args = vec!["--namespace", namespace, "--image", image];
        for secret in secrets {
            args.extend(["--secret", secret]);
        }
        let output = self.rig("pull", args, "");
        if output.success { Ok(output.stdout.trim().to_owned()) } else { Err(anyhow!("{}", output.stderr.trim())) }
    }

    /// The command of [`ControlPlane::rig`], for callers that want to add to it.
    pub fn rig_command<S: AsRef<OsStr>>(&self, command: &str, args: impl IntoIterator<Item = S>) -> Command {
        let mut command = child::command(&self.rig, [command]);
        command.args(args).env("KUBECONFIG", &self.kubeconfig);
        command
    }

    /// Process id of the program that holds the servers.
    pub fn pid(&self) -> u32 {
        self.pid
    }

    /// Ends the servers, and returns when they have ended.
    pub fn end(&self) {
        let mut running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        drop(running.stdin.take());
        let _ = running.child.wait();
    }
}

impl Drop for ControlPlane {
    fn drop(&mut self) {
        self.end();
    }
}
