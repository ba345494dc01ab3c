//! The stand-in as a program. It prints one line of JSON when it listens, and logs to stderr only what nobody expects.

use std::io;
use std::io::Write;

use clap::Parser;
use harbor_stand_in::version::Version;
use harbor_stand_in::{Options, StandIn};
use serde_json::json;
use tokio::net::TcpListener;

/// Stands in for Harbor's robot API and registry front.
#[derive(Parser)]
#[command(version)]
struct Arguments {
    /// Where to listen; port 0 takes a free one.
    #[arg(long, default_value = "127.0.0.1:0")]
    listen: String,
    /// The system administrator, as user:password.
    #[arg(long, default_value = "admin:Harbor12345")]
    admin: String,
    /// The distribution registry that /v2/ passes on to, as http://host:port.
    #[arg(long)]
    registry: Option<String>,
    /// What the stand-in calls itself in /systeminfo.
    #[arg(long)]
    external_url: Option<String>,
    /// Serve TLS with a certificate authority of its own, for 127.0.0.1 and localhost.
    #[arg(long)]
    tls: bool,
    /// Which Harbor to be, from 2.2 to 2.16.
    #[arg(long, default_value = "2.16")]
    harbor_version: Version,
    /// End when stdin does, so that the stand-in ends with its parent even if that is killed.
    #[arg(long)]
    exit_with_stdin: bool,
}

#[tokio::main]
async fn main() -> io::Result<()> {
    let arguments = Arguments::parse();
    let (admin, password) = arguments
        .admin
        .split_once(':')
        .ok_or_else(|| io::Error::new(io::ErrorKind::InvalidInput, "--admin must be user:password"))?;
    let options = Options {
        admin: admin.into(),
        password: password.into(),
        registry: arguments.registry,
        external_url: arguments.external_url,
        tls: arguments.tls,
        version: arguments.harbor_version,
    };
    let mut harbor = StandIn::serve(TcpListener::bind(&arguments.listen).await?, options)?;
    let mut line = json!({"url": harbor.url(), "admin": arguments.admin});
    if let Some(ca) = harbor.ca_pem() {
        line["ca"] = ca.into();
    }
    let mut out = io::stdout();
    writeln!(out, "{line}")?;
    out.flush()?;
    if arguments.exit_with_stdin {
        std::thread::spawn(exit_with_stdin);
    }
    harbor.wait().await;
    Ok(())
}

/// A thread of its own: a blocking read of stdin would keep the runtime from ending.
fn exit_with_stdin() {
    let _read = io::copy(&mut io::stdin(), &mut io::sink());
    std::process::exit(0);
}
