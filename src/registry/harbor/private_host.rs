//! Hosts that a client may connect to although their addresses are not on the internet.

use std::net::Ipv6Addr;
use std::str::FromStr;

use url::Host;

use crate::domain::patterns::fits;

/// A glob of hosts, with or without a port: `harbor.corp.example`, `*.corp.example:8443`, `10.1.*`, `fd00:1::*`,
/// `[fd00:1::7]:443`. `*` stands for any run of characters, dots included, so a pattern of names should end in one's own
/// domain. Names (in ASCII form), IPv4 and IPv6 addresses (in canonical text) are each fitted only by patterns of their
/// own kind, so that `10.*` is not `10.somebody.example`; `*` fits all. Without a port any port fits.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct PrivateHost {
    pattern: String,
    kind: Kind,
    port: Option<u16>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Kind {
    Any,
    Name,
    V4,
    V6,
}

/// What is wrong with a text that should be a [`PrivateHost`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PrivateHostError {
    /// Nothing is there, or nothing before the port.
    #[error("a host is missing: write a name or an address, like harbor.corp.example or 10.1.*")]
    Empty,
    /// A part of a URL that is neither host nor port.
    #[error("{0:?} is no host: leave out scheme, path, blanks and user name, like harbor.corp.example:8443")]
    NotAHost(String),
    /// What stands behind the last colon.
    #[error(
        "{0:?} is no port: write a number from 1 to 65535 after the colon, and IPv6 addresses in brackets, like [fd00::*]:443"
    )]
    Port(String),
}

impl FromStr for PrivateHost {
    type Err = PrivateHostError;

    fn from_str(text: &str) -> Result<Self, PrivateHostError> {
        let text = text.trim().to_ascii_lowercase();
        let (host, port) = match (text.strip_prefix('['), text.split_once(':')) {
            (Some(bracketed), _) => match bracketed.split_once(']') {
                Some((host, "")) => (host, None),
                Some((host, rest)) => (host, Some(rest.strip_prefix(':').ok_or(PrivateHostError::Port(rest.into()))?)),
                None => return Err(PrivateHostError::NotAHost(text)),
            },
            // More than one colon: an IPv6 address without brackets, and so without a port.
            (None, Some((host, port))) if !port.contains(':') => (host, Some(port)),
            (None, _) => (text.as_str(), None),
        };
        let port = match port.map(|port| (port, port.parse::<u16>())) {
            None => None,
            Some((_, Ok(port))) if port > 0 => Some(port),
            Some((port, _)) => return Err(PrivateHostError::Port(port.to_owned())),
        };
        // A dot at the end says that a name is whole, as it is here anyway.
        let host = host.trim_end_matches('.');
        if host.is_empty() {
            return Err(PrivateHostError::Empty);
        }
        let allowed = |c: char| c.is_alphanumeric() || matches!(c, '.' | '-' | '_' | '*' | ':');
        if !host.chars().all(allowed) {
            return Err(PrivateHostError::NotAHost(text.clone()));
        }
        let kind = if host.bytes().all(|b| b == b'*') {
            Kind::Any
        } else if host.contains(':') {
            Kind::V6
        } else if host.contains(|c: char| c.is_ascii_digit()) && host.chars().all(|c| "0123456789.*".contains(c)) {
            Kind::V4
        } else {
            Kind::Name
        };
        Ok(Self { pattern: host.to_owned(), kind, port })
    }
}

impl PrivateHost {
    /// Whether a URL's host and port fit.
    pub(super) fn fits(&self, host: &Host<&str>, port: u16) -> bool {
        let host_fits = match (self.kind, host) {
            (Kind::Any, _) => true,
            (Kind::Name, Host::Domain(name)) => fits(&self.pattern, name.to_ascii_lowercase().trim_end_matches('.')),
            (Kind::V4, Host::Ipv4(address)) => fits(&self.pattern, &address.to_string()),
            (Kind::V6, Host::Ipv6(address)) => {
                self.pattern.parse() == Ok::<Ipv6Addr, _>(*address) || fits(&self.pattern, &address.to_string())
            }
            _ => false,
        };
        host_fits && self.port.is_none_or(|wanted| wanted == port)
    }
}

#[cfg(test)]
mod tests {
    use url::Url;

    use super::*;

    #[test]
    fn a_pattern_fits_a_host_of_its_own_kind_in_either_case_and_any_port_unless_it_names_one() {
        for (pattern, url, expected) in [
            ("harbor.corp.example", "https://harbor.corp.example", true),
            ("harbor.corp.example", "https://HARBOR.corp.example.:8443", true),
            ("Harbor.Corp.Example.", "https://harbor.corp.example", true),
            ("harbor.corp.example:8443", "https://harbor.corp.example:8443", true),
            ("harbor.corp.example.:8443", "https://harbor.corp.example", false),
            ("harbor.corp.example:443", "https://harbor.corp.example", true),
            ("harbor.corp.example:80", "http://harbor.corp.example", true),
            ("harbor.corp.example:443", "http://harbor.corp.example", false),
            ("*.corp.example", "https://a.b.corp.example", true),
            ("*.corp.example:443", "https://a.b.corp.example:9090", false),
            ("*.corp.example", "https://corp.example", false),
            ("*.corp.example", "https://a.corp.example.evil.example", false),
            ("harbor.corp.example", "https://xharbor.corp.example", false),
            ("localhost", "http://localhost:8080", true),
            ("10.1.*", "http://10.1.2.3", true),
            ("10.1.*", "http://10.66051", true),
            ("10.1.*", "http://10.10.2.3", false),
            ("10.1.*", "http://10.1.somebody.example", false),
            ("10.1.*:8080", "http://10.1.2.3:8080", true),
            ("10.1.*:8080", "http://10.1.2.3:6443", false),
            ("10.0.0.1", "http://[::ffff:10.0.0.1]", false),
            ("fd00:1::*", "http://[fd00:1::7]", true),
            ("[FD00:1::7]", "http://[fd00:1:0::7]", true),
            ("[fd00:1::*]:8080", "http://[fd00:1::7]:8080", true),
            ("[fd00:1::*]:8080", "http://[fd00:1::7]", false),
            ("fd00:1:0:0::7", "http://[fd00:1::7]", true),
            ("fd*", "http://[fd00:1::7]", false),
            ("*.*", "http://10.0.0.1", false),
            ("**", "http://10.0.0.1", true),
            ("*:443", "https://10.0.0.1", true),
            ("*:443", "https://10.0.0.1:6443", false),
        ] {
            let url: Url = url.parse().unwrap();
            let pattern: PrivateHost = pattern.parse().unwrap();
            let port = url.port_or_known_default().unwrap();
            assert_eq!(pattern.fits(&url.host().unwrap(), port), expected, "{pattern:?} {url}");
        }
    }

    #[test]
    fn what_is_no_host_is_refused_with_what_to_write() {
        for (text, says) in [
            ("", "a host is missing"),
            (" ", "a host is missing"),
            (":443", "a host is missing"),
            ("[]:443", "a host is missing"),
            ("https://harbor.corp.example", "is no port"),
            ("harbor.corp.example/v2", "is no host"),
            ("user@harbor.corp.example", "is no host"),
            ("10.0.0.0/8", "is no host"),
            ("harbor.corp.example:0", "\"0\" is no port"),
            ("harbor.corp.example:65536", "\"65536\" is no port"),
            ("harbor.corp.example:https", "\"https\" is no port"),
            ("fd00:*", "\"*\" is no port"),
            ("[fd00::1", "is no host"),
            ("[fd00::1]443", "\"443\" is no port"),
        ] {
            let error = text.parse::<PrivateHost>().unwrap_err().to_string();
            assert!(error.contains(says), "{text}: {error}");
        }
    }
}
