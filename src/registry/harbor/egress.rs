//! Where a client may connect to.
//!
//! Whoever may name a registry makes this program connect to it from inside the network, behind its firewalls. For those
//! who may not look in there themselves, a client reaches the internet only. It checks the very addresses that it then
//! connects to, at every connection: a name that was checked before could mean another address by then. Redirects are
//! never followed, and no proxy is asked, which would resolve the name itself.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use futures::future::BoxFuture;
use ipnet::IpNet;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use url::Host;

use super::config_error::ConfigError;
use super::global_addresses::{is_global, is_in};
use super::private_host::PrivateHost;

/// Which addresses a client connects to.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub enum Reach {
    /// Any; through a proxy where the environment names one.
    #[default]
    Anywhere,
    /// Globally routable ones alone (IANA's registries of special-purpose addresses), and never through a proxy.
    Internet {
        /// Hosts that may have any address, also a denied one.
        except: Vec<PrivateHost>,
        /// Blocks that are not of the internet although their numbers say so: public addresses of this cluster's own nodes
        /// and pods.
        denied: Vec<IpNet>,
    },
}

impl Reach {
    /// What resolves the names of this host's connections. A literal address never is resolved, so it is checked here,
    /// once for all.
    pub(super) fn fence(&self, host: &Host<&str>, port: u16, lookup: Lookup) -> Result<Fence, ConfigError> {
        let denied = match self {
            Self::Internet { except, denied } if !except.iter().any(|private| private.fits(host, port)) => {
                denied.clone()
            }
            _ => return Ok(Fence { lookup, allows: None }),
        };
        let allows = move |address| is_global(address) && !is_in(&denied, address);
        let literal: Option<IpAddr> = match host {
            Host::Domain(_) => None,
            Host::Ipv4(address) => Some((*address).into()),
            Host::Ipv6(address) => Some((*address).into()),
        };
        if literal.is_some_and(|address| !allows(address)) {
            return Err(ConfigError::Address);
        }
        Ok(Fence { lookup, allows: Some(Arc::new(allows)) })
    }
}

/// A name that has no address that may be connected to.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("address not allowed")]
pub(super) struct NotAllowed;

/// Finds the addresses of a name.
pub(super) type Lookup = Arc<dyn Fn(String) -> BoxFuture<'static, io::Result<Vec<SocketAddr>>> + Send + Sync>;

type Allows = Arc<dyn Fn(IpAddr) -> bool + Send + Sync>;

/// Resolves names to allowed addresses.
pub(super) struct Fence {
    lookup: Lookup,
    /// `None` = all are.
    allows: Option<Allows>,
}

impl Resolve for Fence {
    fn resolve(&self, name: Name) -> Resolving {
        let (found, allows) = ((self.lookup)(name.as_str().to_owned()), self.allows.clone());
        Box::pin(async move {
            let found = found.await?;
            let allowed = if let Some(allows) = allows { only(found, &*allows)? } else { found };
            Ok(Box::new(allowed.into_iter()) as Addrs)
        })
    }
}

/// The allowed ones of a name's addresses, of which there must be some.
fn only(found: Vec<SocketAddr>, allows: &dyn Fn(IpAddr) -> bool) -> Result<Vec<SocketAddr>, NotAllowed> {
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

    fn private(except: &[&str]) -> Vec<PrivateHost> {
        except.iter().map(|text| text.parse().unwrap()).collect()
    }

    fn internet(except: &[&str]) -> Reach {
        Reach::Internet { except: private(except), denied: Vec::new() }
    }

    /// `Some(true)`: fenced, `Some(false)`: free, `None`: refused.
    fn fenced(reach: &Reach, url: &str) -> Option<bool> {
        let url: Url = url.parse().unwrap();
        let (host, port) = (url.host().unwrap(), url.port_or_known_default().unwrap());
        let fence = reach.fence(&host, port, answers(&["127.0.0.1"]).0);
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
    fn a_denied_block_is_out_of_reach_by_address_and_by_name_but_for_a_host_that_is_let_in() {
        let denied: Vec<IpNet> = vec!["52.0.0.0/8".parse().unwrap(), "2600:1f00::/24".parse().unwrap()];
        let reach = |except: &[&str]| Reach::Internet { except: private(except), denied: denied.clone() };
        for (url, expected) in [
            ("https://52.1.2.3", None),
            ("https://[2600:1f42::1]", None),
            ("https://[64:ff9b::52.1.2.3]", None),
            ("https://53.1.2.3", Some(true)),
            ("https://harbor.example", Some(true)),
        ] {
            assert_eq!(fenced(&reach(&[]), url), expected, "{url}");
        }
        assert_eq!(fenced(&reach(&["52.1.2.3:443"]), "https://52.1.2.3"), Some(false));
        assert_eq!(fenced(&reach(&["52.1.2.3:443"]), "https://52.1.2.3:6443"), None, "another port");
        let url: Url = "https://harbor.example".parse().unwrap();
        let fence = reach(&[]).fence(&url.host().unwrap(), 443, answers(&["127.0.0.1"]).0).ok().unwrap();
        let found = ["52.1.2.3:0", "8.8.8.8:0", "10.0.0.1:0"].map(|text| text.parse().unwrap()).to_vec();
        assert_eq!(only(found, &*fence.allows.unwrap()).unwrap(), ["8.8.8.8:0".parse().unwrap()]);
    }

    #[test]
    fn of_mixed_answers_the_global_ones_are_kept_in_their_order() {
        let addresses = |text: &[&str]| text.iter().map(|text| text.parse().unwrap()).collect::<Vec<SocketAddr>>();
        let mixed = addresses(&["10.0.0.1:0", "[2606:4700::1]:0", "[::1]:0", "8.8.8.8:0", "169.254.169.254:0"]);
        assert_eq!(only(mixed, &is_global).unwrap(), addresses(&["[2606:4700::1]:0", "8.8.8.8:0"]));
        assert!(only(addresses(&["127.0.0.1:0", "[fd00::1]:0"]), &is_global).is_err());
        assert!(only(Vec::new(), &is_global).is_err());
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
        let fence = Fence { lookup, allows: Some(Arc::new(is_global)) };
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
        let fence = Fence { lookup, allows: Some(Arc::new(|ip| ip == IpAddr::from([127, 0, 0, 1]))) };
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
