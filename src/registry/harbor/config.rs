//! What a client is made of, and the HTTP client under it.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use crate::api::RegistryTime;
use futures::TryFutureExt as _;
use futures::future::BoxFuture;
use reqwest::{Certificate, Request, Response, redirect, retry, tls};
use secrecy::SecretString;
use url::{Host, Url};

use super::config_error::ConfigError;
use super::egress::Reach;
use super::failure;
use super::room::{OwnRoom, Room};
use crate::gate::Gate;
use crate::registry::Error;

/// Reads the present time; `run` is the only place that knows the real clock.
pub type Clock = Arc<dyn Fn() -> RegistryTime + Send + Sync>;

/// Told of every request: which (`robot_list`, …), how it ended (`ok` or the error's reason), how long Harbor took.
pub type Observer = Arc<dyn Fn(&'static str, &'static str, Duration) + Send + Sync>;

/// Limits in time of one request.
#[derive(Clone, Copy, Debug)]
pub struct Timeouts {
    /// Until the connection stands, TLS included.
    pub connect: Duration,
    /// Until the last byte of the answer.
    pub total: Duration,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self { connect: Duration::from_secs(5), total: Duration::from_secs(10) }
    }
}

/// A Harbor and our login to it. Made anew when any of it changes.
#[derive(Clone)]
pub struct Config {
    /// Scheme (`http` or `https`), host and port.
    pub url: Url,
    /// The login's full name.
    pub username: String,
    /// Its password or robot secret.
    pub password: SecretString,
    /// PEM certificates that alone are trusted; the system's are if absent.
    pub roots: Option<Vec<u8>>,
    /// Which addresses the URL may lead to.
    pub reach: Reach,
    /// Requests in any one second, at least 1.
    pub requests_per_second: u32,
    /// Requests at the same time, at least 1.
    pub max_in_flight: usize,
    /// What it shares with the clients of other registries of its kind.
    pub room: Room,
    /// Limits in time.
    pub timeouts: Timeouts,
    /// `User-Agent`.
    pub user_agent: String,
    /// The present time.
    pub clock: Clock,
    /// For metrics.
    pub observer: Option<Observer>,
    /// Where requests that change something leave.
    pub gate: Gate,
    /// What carries the requests; HTTP if absent.
    pub carrier: Option<Arc<dyn Carrier>>,
}

/// Carries one request to Harbor, and the answer back: HTTP over TCP and TLS, or whatever a simulation puts in its place.
pub trait Carrier: Send + Sync {
    /// Sends a request; resolves when the head of the answer is there. It may take [`Timeouts::total`] until the last byte of
    /// the answer, and ends with an error then.
    fn carry(&self, request: Request) -> BoxFuture<'_, Result<Response, Error>>;
}

impl Carrier for reqwest::Client {
    fn carry(&self, request: Request) -> BoxFuture<'_, Result<Response, Error>> {
        Box::pin(self.execute(request).map_err(|error| failure::no_answer(&error)))
    }
}

impl fmt::Debug for Config {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Config")
            .field("url", &self.url.origin().ascii_serialization())
            .field("username", &self.username)
            .field("reach", &self.reach)
            .field("requests_per_second", &self.requests_per_second)
            .field("max_in_flight", &self.max_in_flight)
            .field("timeouts", &self.timeouts)
            .finish_non_exhaustive()
    }
}

/// The HTTP client for a configuration: no redirects, cookies or retries of its own.
pub(super) fn http_client(config: &Config, room: &OwnRoom) -> Result<reqwest::Client, ConfigError> {
    let url = &config.url;
    let plain = url.path() == "/"
        && url.query().is_none()
        && url.fragment().is_none()
        && url.username().is_empty()
        && url.password().is_none();
    let host = url.host().filter(|_| matches!(url.scheme(), "http" | "https") && plain).ok_or(ConfigError::Url)?;
    let port = url.port_or_known_default().ok_or(ConfigError::Url)?;
    let fence = config.reach.fence(&host, port, room.lookup())?;
    let mut builder = reqwest::Client::builder()
        .user_agent(config.user_agent.clone())
        .redirect(redirect::Policy::none())
        // A lost answer is told to the caller, who looks what happened before the next write.
        .retry(retry::never())
        .referer(false)
        .tls_version_min(tls::Version::TLS_1_2)
        .connect_timeout(config.timeouts.connect)
        .timeout(config.timeouts.total)
        .dns_resolver(Arc::new(fence))
        // Below the 60 s or more after which proxies close idle connections, so that a request rarely meets one closing.
        .pool_idle_timeout(Duration::from_secs(30));
    if let Some(roots) = &config.roots {
        let roots = Certificate::from_pem_bundle(roots).map_err(|_| ConfigError::Roots)?;
        if roots.is_empty() {
            return Err(ConfigError::Roots);
        }
        builder = builder.tls_certs_only(roots);
    } else if url.scheme() == "http" {
        // No TLS will be spoken (redirects are not followed): do not load or require the system's certificates.
        builder = builder.tls_certs_only([]);
    }
    // A proxy would resolve the name itself, to whatever it likes.
    if is_loopback(&host) || config.reach != Reach::Anywhere {
        builder = builder.no_proxy();
    }
    builder.build().map_err(|_| if config.roots.is_some() { ConfigError::Roots } else { ConfigError::Setup })
}

/// `HTTP_PROXY`, `HTTPS_PROXY` and `NO_PROXY` apply as everywhere, but not to our own machine.
fn is_loopback(host: &Host<&str>) -> bool {
    match host {
        Host::Domain(name) => *name == "localhost" || name.ends_with(".localhost"),
        Host::Ipv4(ip) => ip.is_loopback(),
        Host::Ipv6(ip) => ip.is_loopback(),
    }
}
