//! Where a client may connect to.
//!
//! Whoever may name a registry makes this program connect to it from inside the network, behind its firewalls. For those
//! who may not look in there themselves, a client reaches the internet only. It checks the very addresses that it then
//! connects to, at every connection: a name that was checked before could mean another address by then. Redirects are
//! never followed, and no proxy is asked, which would resolve the name itself.

use std::io;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::sync::Arc;

use futures::future::BoxFuture;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use url::Host;

use super::config::ConfigError;
use super::internet::is_global;
use crate::domain::patterns::fits;

/// Which addresses a client connects to.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub enum Reach {
    /// Any; through a proxy where the environment names one.
    #[default]
    Anywhere,
    /// Globally routable ones alone (IANA's registries of special-purpose addresses), and never through a proxy.
    Internet {
        /// Hosts that may have any address, as globs of the URL's host in either case: `harbor.corp.example`,
        /// `*.corp.example`, `10.1.*`, `fd00:1::*`. `*` stands for any run of characters, dots included, so a pattern of
        /// names should end in one's own domain. Names (in ASCII form), IPv4 and IPv6 addresses (in canonical text) are
        /// each fitted only by patterns of their own kind, so that `10.*` is not `10.somebody.example`; `*` fits all.
        except: Vec<String>,
    },
}

impl Reach {
    /// What resolves the names of this host's connections. A literal address never is resolved, so it is checked here,
    /// once for all.
    pub(super) fn fence(&self, host: &Host<&str>, lookup: Lookup) -> Result<Fence, ConfigError> {
        match self {
            Self::Internet { except } if !except.iter().any(|pattern| fits_host(pattern, host)) => {}
            _ => return Ok(Fence { lookup, allows: None }),
        }
        let literal: Option<IpAddr> = match host {
            Host::Domain(_) => None,
            Host::Ipv4(address) => Some((*address).into()),
            Host::Ipv6(address) => Some((*address).into()),
        };
        if literal.is_some_and(|address| !is_global(address)) {
            return Err(ConfigError::Address);
        }
        Ok(Fence { lookup, allows: Some(is_global) })
    }
}

/// Whether a pattern of hosts fits.
fn fits_host(pattern: &str, host: &Host<&str>) -> bool {
    let pattern = pattern.trim().to_ascii_lowercase();
    let is_any = !pattern.is_empty() && pattern.bytes().all(|b| b == b'*');
    let is_v6 = pattern.contains(':');
    let is_v4 = pattern.contains(|c: char| c.is_ascii_digit()) && pattern.chars().all(|c| "0123456789.*".contains(c));
    let fits_this = match host {
        Host::Domain(name) => {
            // A dot at the end says that the name is whole, as it is here anyway.
            let name = name.to_ascii_lowercase();
            !is_v4 && !is_v6 && fits(pattern.trim_end_matches('.'), name.trim_end_matches('.'))
        }
        Host::Ipv4(address) => is_v4 && fits(&pattern, &address.to_string()),
        Host::Ipv6(address) => {
            let pattern = pattern.trim_matches(['[', ']']);
            is_v6 && (pattern.parse() == Ok::<Ipv6Addr, _>(*address) || fits(pattern, &address.to_string()))
        }
    };
    is_any || fits_this
}

/// A name that has no address that may be connected to.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("address not allowed")]
pub(super) struct NotAllowed;

/// Finds the addresses of a name.
pub(super) type Lookup = Arc<dyn Fn(String) -> BoxFuture<'static, io::Result<Vec<SocketAddr>>> + Send + Sync>;

/// Resolves names to allowed addresses.
pub(super) struct Fence {
    lookup: Lookup,
    /// `None` = all are.
    allows: Option<fn(IpAddr) -> bool>,
}

impl Resolve for Fence {
    fn resolve(&self, name: Name) -> Resolving {
        let (found, allows) = ((self.lookup)(name.as_str().to_owned()), self.allows);
        Box::pin(async move {
            let found = found.await?;
            let allowed = if let Some(allows) = allows { only(found, allows)? } else { found };
            Ok(Box::new(allowed.into_iter()) as Addrs)
        })
    }
}

/// The allowed ones of a name's addresses, of which there must be some.
fn only(found: Vec<SocketAddr>, allows: fn(IpAddr) -> bool) -> Result<Vec<SocketAddr>, NotAllowed> {
    let allowed: Vec<SocketAddr> = found.into_iter().filter(|address| allows(address.ip())).collect();
    if allowed.is_empty() { Err(NotAllowed) } else { Ok(allowed) }
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;
    use std::error::Error as StdError;
    use std::sync::Mutex;

    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::TcpListener;
    use url::Url;

    use super::*;

    fn internet(except: &[&str]) -> Reach {
        Reach::Internet { except: except.iter().map(ToString::to_string).collect() }
    }

    /// `Some(true)`: fenced, `Some(false)`: free, `None`: refused.
    fn fenced(reach: &Reach, url: &str) -> Option<bool> {
        let url: Url = url.parse().unwrap();
        let fence = reach.fence(&url.host().unwrap(), answers(&["127.0.0.1"]).0);
        fence.ok().map(|fence| fence.allows.is_some())
    }

    #[test]
    fn a_literal_address_is_checked_however_it_is_spelled() {
        let inside = "127.0.0.1 127.1 127.0.1 127.0.0.1. 0x7f.1 0X7F.0.0.0x1 0177.0.0.1 017700000001 2130706433 0x7f000001 \
                      0 0.0.0.0 %31%32%37.0.0.1 １２７.0.0.1 127。0。0。1 ①②⑦.⓪.⓪.① 10.1 192.168.257 172.1048577 \
                      2852039166 0xa9fea9fe 169.254.43518 100.100.100.200 168.63.129.16 [::1] [::] \
                      [0:0:0:0:0:0:0:1] [::ffff:127.0.0.1] [::FFFF:7F00:1] [::127.0.0.1] [::ffff:a9fe:a9fe] \
                      [64:ff9b::10.0.0.1] [2002:7f00:1::] [fd00:ec2::254] [fe80::1]";
        for host in inside.split_whitespace() {
            for url in [format!("http://{host}"), format!("https://{host}:8443")] {
                assert_eq!(fenced(&internet(&[]), &url), None, "{url}");
                assert_eq!(fenced(&internet(&["*.example", "*e*", "f*", "1*.example"]), &url), None, "{url}");
                assert_eq!(fenced(&Reach::Anywhere, &url), Some(false), "{url}");
                assert_eq!(fenced(&internet(&["*"]), &url), Some(false), "{url}");
            }
        }
        for host in ["8.8.8.8", "0x08080808", "134744072", "[2606:4700:4700::1111]", "registry.example", "localhost"] {
            assert_eq!(fenced(&internet(&[]), &format!("https://{host}")), Some(true), "{host}");
        }
    }

    #[test]
    fn a_pattern_fits_a_host_of_its_own_kind_in_either_case() {
        for (pattern, url, expected) in [
            ("harbor.corp.example", "https://harbor.corp.example", true),
            ("harbor.corp.example", "https://HARBOR.corp.example.:8443", true),
            ("Harbor.Corp.Example.", "https://harbor.corp.example", true),
            ("*.corp.example", "https://a.b.corp.example", true),
            ("*.corp.example", "https://corp.example", false),
            ("*.corp.example", "https://a.corp.example.evil.example", false),
            ("harbor.corp.example", "https://xharbor.corp.example", false),
            ("localhost", "http://localhost:8080", true),
            ("", "http://localhost", false),
            ("10.1.*", "http://10.1.2.3", true),
            ("10.1.*", "http://10.66051", true),
            ("10.1.*", "http://10.10.2.3", false),
            ("10.1.*", "http://10.1.somebody.example", false),
            ("10.0.0.1", "http://[::ffff:10.0.0.1]", false),
            ("fd00:1::*", "http://[fd00:1::7]", true),
            ("[FD00:1::7]", "http://[fd00:1:0::7]", true),
            ("fd00:1:0:0::7", "http://[fd00:1::7]", true),
            ("fd*", "http://[fd00:1::7]", false),
            ("*.*", "http://10.0.0.1", false),
            ("**", "http://10.0.0.1", true),
        ] {
            let url: Url = url.parse().unwrap();
            assert_eq!(fits_host(pattern, &url.host().unwrap()), expected, "{pattern} {url}");
        }
    }

    #[test]
    fn of_mixed_answers_the_global_ones_are_kept_in_their_order() {
        let addresses = |text: &[&str]| text.iter().map(|text| text.parse().unwrap()).collect::<Vec<SocketAddr>>();
        let mixed = addresses(&["10.0.0.1:0", "[2606:4700::1]:0", "[::1]:0", "8.8.8.8:0", "169.254.169.254:0"]);
        assert_eq!(only(mixed, is_global).unwrap(), addresses(&["[2606:4700::1]:0", "8.8.8.8:0"]));
        assert!(only(addresses(&["127.0.0.1:0", "[fd00::1]:0"]), is_global).is_err());
        assert!(only(Vec::new(), is_global).is_err());
    }

    /// A lookup that gives the next of these answers each time, and the last for ever.
    fn answers(ips: &[&str]) -> (Lookup, Arc<Mutex<Vec<String>>>) {
        let left: VecDeque<SocketAddr> = ips.iter().map(|ip| SocketAddr::new(ip.parse().unwrap(), 0)).collect();
        let (left, asked) = (Mutex::new(left), Arc::new(Mutex::new(Vec::new())));
        let note = Arc::clone(&asked);
        let lookup = move |name: String| -> BoxFuture<'static, _> {
            note.lock().unwrap().push(name);
            let mut left = left.lock().unwrap();
            let answer = if left.len() > 1 { left.pop_front() } else { left.front().copied() };
            Box::pin(std::future::ready(Ok(answer.into_iter().collect())))
        };
        (Arc::new(lookup), asked)
    }

    #[tokio::test]
    async fn a_name_that_means_another_address_later_is_checked_each_time() {
        let (lookup, asked) = answers(&["8.8.8.8", "127.0.0.1"]);
        let fence = Fence { lookup, allows: Some(is_global) };
        let first: Vec<SocketAddr> = fence.resolve("a.example".parse().unwrap()).await.unwrap().collect();
        assert_eq!(first, ["8.8.8.8:0".parse().unwrap()], "what was checked and nothing else");
        let second = fence.resolve("a.example".parse().unwrap()).await.err().unwrap();
        assert!(second.is::<NotAllowed>(), "{second}");
        assert_eq!(*asked.lock().unwrap(), ["a.example", "a.example"]);
    }

    #[tokio::test]
    async fn each_connection_goes_to_the_address_that_was_checked_for_it() {
        // Another test of this process may have done so.
        let _ = rustls::crypto::ring::default_provider().install_default();
        // Both are our own machine; the first plays an address of the internet.
        let server = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://rebinding.example:{}/", server.local_addr().unwrap().port());
        let (lookup, asked) = answers(&["127.0.0.1", "127.0.0.2"]);
        let fence = Fence { lookup, allows: Some(|ip| ip == IpAddr::from([127, 0, 0, 1])) };
        let client =
            reqwest::Client::builder().no_proxy().tls_certs_only([]).dns_resolver(Arc::new(fence)).build().unwrap();

        let serve = async {
            let (mut stream, _) = server.accept().await.unwrap();
            let _ = stream.read(&mut [0; 1024]).await.unwrap();
            let answer = b"HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n";
            stream.write_all(answer).await.unwrap();
        };
        let (first, ()) = tokio::join!(client.get(&url).send(), serve);
        assert_eq!(first.unwrap().status(), 204);
        assert_eq!(asked.lock().unwrap().len(), 1, "the address that was checked is not looked up once more");

        let refused = client.get(&url).send().await.unwrap_err();
        let mut cause: Option<&(dyn StdError + 'static)> = Some(&refused);
        while let Some(error) = cause.filter(|error| !error.is::<NotAllowed>()) {
            cause = error.source();
        }
        assert!(cause.is_some(), "{refused:?}");
    }
}
