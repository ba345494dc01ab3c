//! Under which hosts images are pulled: what the registry object says, what Harbor says, and what is kept of that.
//!
//! Harbor names its host in each answer, and every Secret of the registry is written for it. Whoever answers in Harbor's
//! place, or a setting changed by mistake, could so rewrite all of them at once, and no pod pulls any more. So the first
//! host that is named at a URL is kept (pinned) until the registry's owner confirms another one by annotation, names one in
//! `spec.registryHost`, or changes `spec.url`.
//!
//! The pin is an annotation on the registry object and not a part of its status: whoever may write the object may name a
//! host anyway, while the right to write statuses alone gives nobody a say. A status that is wiped or forged changes
//! nothing but what people read until the next look. A pin that is taken away is put back by the running operator, and
//! learned anew after a restart.

use std::fmt;

use super::ServedRegistry;
use crate::api::keys;
use crate::cluster::secret_template::Endpoint;

/// Kubernetes' own limit of names; Harbor's answer can be of any length.
const LONGEST: usize = 253;
/// So much of a host that cannot be used is told.
const TOLD: usize = 64;

/// A host as the key of a docker configuration: a name or an address in lower case, with or without a port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ImageHost {
    /// IPv6 addresses in brackets.
    host: String,
    port: Option<u16>,
}

impl ImageHost {
    /// Reads `host` or `host:port`. A kubelet reads the keys of a docker configuration as globs, and a scheme or path
    /// changes what they match: neither is one. An IPv6 address needs its port, since a kubelet takes `[…]` for a glob
    /// where no port follows, and then finds no login.
    pub fn parse(text: &str) -> Option<Self> {
        let text = text.to_ascii_lowercase();
        let (host, port) = match text.rsplit_once(':') {
            Some((host, port)) if !port.ends_with(']') => (host, Some(port)),
            _ => (text.as_str(), None),
        };
        let port = match port {
            Some(port) if port.bytes().all(|b| b.is_ascii_digit()) => Some(port.parse().ok().filter(|&port| port > 0)?),
            Some(_) => return None,
            None => None,
        };
        let fits = if let Some(rest) = host.strip_prefix('[') {
            let address = rest.strip_suffix(']')?;
            address.parse::<std::net::Ipv6Addr>().is_ok() && !host.contains('.') && port.is_some()
        } else {
            let plain = |b: u8| b.is_ascii_alphanumeric() || b == b'.' || b == b'-';
            !host.is_empty()
                && host.len() <= LONGEST
                && host.bytes().all(plain)
                && !host.starts_with(['-', '.'])
                && !host.ends_with(['-', '.'])
        };
        fits.then(|| Self { host: host.to_owned(), port })
    }

    /// The spellings that images may use for it. A kubelet compares ports as text, so a host with its scheme's own port is
    /// another one to it than the host without.
    fn spellings(&self, default_port: u16) -> impl Iterator<Item = String> + use<> {
        let other = match self.port {
            None => Some(Self { host: self.host.clone(), port: Some(default_port) }),
            Some(port) if port == default_port && !self.host.starts_with('[') => {
                Some(Self { host: self.host.clone(), port: None })
            }
            Some(_) => None,
        };
        [Some(self.to_string()), other.map(|other| other.to_string())].into_iter().flatten()
    }
}

impl fmt::Display for ImageHost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.host)?;
        self.port.map_or(Ok(()), |port| write!(f, ":{port}"))
    }
}

/// A host that is kept, and the URL at which Harbor named it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Pin {
    host: ImageHost,
    url: String,
}

impl Pin {
    fn parse(text: &str) -> Option<Self> {
        let (host, url) = text.split_once(' ')?;
        Some(Self { host: ImageHost::parse(host)?, url: url.to_owned() })
    }

    /// As the annotation has it.
    pub(super) fn text(&self) -> String {
        format!("{} {}", self.host, self.url)
    }
}

impl ServedRegistry {
    /// The keys of the docker configuration: the host of images, then `spec.additionalHosts`, each in all its spellings.
    pub fn hosts(&self) -> Option<Vec<String>> {
        let spec = &self.object.spec;
        let default_port = if spec.url.starts_with("http://") { 80 } else { 443 };
        let further = spec.additional_hosts.iter().flatten().filter_map(|host| ImageHost::parse(host));
        let mut keys = Vec::new();
        for host in std::iter::once(self.image_host()?).chain(further) {
            for key in host.spellings(default_port) {
                if !keys.contains(&key) {
                    keys.push(key);
                }
            }
        }
        Some(keys)
    }

    /// Where clients find it; `None` before the host of images is known.
    pub fn endpoint(&self) -> Option<Endpoint> {
        Some(Endpoint { hosts: self.hosts()?, url: self.object.spec.url.clone() })
    }

    /// The host that images are pulled from.
    pub fn image_host(&self) -> Option<ImageHost> {
        match &self.object.spec.registry_host {
            Some(host) => ImageHost::parse(host),
            None => self.pin().map(|pin| pin.host).or_else(|| self.said_host()),
        }
    }

    /// The host that is kept for the present URL.
    fn pin(&self) -> Option<Pin> {
        let here = |pin: &Pin| pin.url == self.object.spec.url;
        self.pinned.clone().filter(here).or_else(|| self.written_pin().filter(here))
    }

    /// The pin that the object carries, of whatever URL.
    pub(super) fn written_pin(&self) -> Option<Pin> {
        Pin::parse(self.annotation(keys::ANNOTATION_PINNED_HOST)?)
    }

    /// What the Harbor at the present URL says, if it can be used.
    fn said_host(&self) -> Option<ImageHost> {
        let info = self.session.info.as_ref().filter(|_| self.session.url == self.object.spec.url)?;
        ImageHost::parse(info.registry_host.as_deref()?)
    }

    /// Keeps the host that Harbor named first at this URL, or another one that the owner confirmed.
    pub(super) fn keep_host(&mut self) {
        // Written down at another URL by a process before this one.
        if let Some(Pin { url, .. }) = self.written_pin().filter(|pin| pin.url != self.object.spec.url) {
            self.leave(&url, None);
        }
        let Some(said) = self.said_host() else { return };
        let confirmed = self.annotation(keys::ANNOTATION_CONFIRM_HOST).and_then(ImageHost::parse);
        let kept = match self.pin() {
            Some(pin) if confirmed.as_ref() != Some(&said) => pin,
            _ => Pin { host: said, url: self.object.spec.url.clone() },
        };
        self.pinned = Some(kept);
    }

    /// What the object should carry as its pin, if it does not.
    pub(super) fn unwritten_pin(&self) -> Option<Pin> {
        let kept = self.pinned.clone().filter(|pin| pin.url == self.object.spec.url)?;
        (self.written_pin().as_ref() != Some(&kept)).then_some(kept)
    }

    /// The host that is kept and the other one that Harbor names now, if nobody has said yet which is right.
    pub(super) fn unconfirmed_host(&self) -> Option<(ImageHost, ImageHost)> {
        if self.object.spec.registry_host.is_some() {
            return None;
        }
        self.pin().map(|pin| pin.host).zip(self.said_host()).filter(|(kept, said)| kept != said)
    }

    /// Why there is no host, and what to do.
    pub(super) fn no_host(&self) -> String {
        let quoted = |text: &str| {
            let cut: String = text.chars().filter(|c| !c.is_control()).take(TOLD).collect();
            format!("{cut:?}")
        };
        let name = &self.key;
        if let Some(host) = &self.object.spec.registry_host {
            return format!("registry {name}: spec.registryHost {} is no host of images; correct it", quoted(host));
        }
        let said = self.session.info.as_ref().and_then(|info| info.registry_host.as_deref());
        let said = said.map_or("no registry host".to_owned(), |said| {
            format!("{} as its registry host, which is none that a Secret can be written for", quoted(said))
        });
        format!(
            "registry {name}: Harbor names {said}; set spec.registryHost to the host[:port] that images are pulled from (an \
             IPv6 address in brackets and with its port)"
        )
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use serde_json::{Value, json};

    use super::super::served::tests::registry;
    use super::*;
    use crate::registry::{LoginKind, ServerInfo};

    fn says(mut state: ServedRegistry, host: &str) -> ServedRegistry {
        state.session.info = Some(ServerInfo {
            version: None,
            read_only: false,
            registry_host: Some(host.to_owned()),
            login: LoginKind::Robot,
        });
        state.session.url.clone_from(&state.object.spec.url);
        state
    }

    fn annotated(mut state: ServedRegistry, annotations: &Value) -> ServedRegistry {
        let mut object = (*state.object).clone();
        object.metadata.annotations = serde_json::from_value(annotations.clone()).unwrap();
        state.object = object.into();
        state
    }

    #[test]
    fn hosts_are_names_and_addresses_in_lower_case_and_never_patterns() {
        for (text, read) in [
            ("harbor.example.com", Some("harbor.example.com")),
            ("Harbor.Example.COM:443", Some("harbor.example.com:443")),
            ("localhost:5000", Some("localhost:5000")),
            ("10.0.0.1", Some("10.0.0.1")),
            ("[FD00::7]:5000", Some("[fd00::7]:5000")),
            ("[::1]", None),
            ("[::1]:", None),
            ("[::ffff:1.2.3.4]:443", None),
            ("[a-z]:443", None),
            ("fd00::7", None),
            ("*.example.com", None),
            ("harbor.example.com:0", None),
            ("harbor.example.com:65536", None),
            ("harbor.example.com:+80", None),
            ("https://harbor.example.com", None),
            ("harbor.example.com/x", None),
            ("-a.example", None),
            ("a.example.", None),
            ("", None),
            (":443", None),
        ] {
            assert_eq!(ImageHost::parse(text).map(|host| host.to_string()).as_deref(), read, "{text:?}");
        }
    }

    #[test]
    fn a_host_with_its_schemes_own_port_is_written_with_and_without_it() {
        for (url, first, further, keys) in [
            ("https://h", "h.example", json!([]), vec!["h.example", "h.example:443"]),
            ("https://h", "h.example:443", json!([]), vec!["h.example:443", "h.example"]),
            ("https://h", "h.example:80", json!([]), vec!["h.example:80"]),
            ("http://h", "h.example:80", json!([]), vec!["h.example:80", "h.example"]),
            (
                "https://h",
                "h.example:5000",
                json!(["M.example", "h.example:5000"]),
                vec!["h.example:5000", "m.example", "m.example:443"],
            ),
            ("https://h", "[fd00::7]:443", json!([]), vec!["[fd00::7]:443"]),
        ] {
            let state = registry(false, &json!({"url": url, "registryHost": first, "additionalHosts": further}));
            assert_eq!(state.hosts().unwrap(), keys, "{url} {first}");
        }
    }

    #[test]
    fn the_first_host_is_kept_until_the_owner_says_otherwise() {
        for namespaced in [true, false] {
            let mut state = says(registry(namespaced, &json!({})), "first.example");
            state.keep_host();
            assert_eq!(state.unwritten_pin().unwrap().text(), "first.example https://h");
            state = annotated(state, &json!({keys::ANNOTATION_PINNED_HOST: "first.example https://h"}));
            assert_eq!(state.unwritten_pin(), None);

            state = says(state, "evil.example");
            state.keep_host();
            assert_eq!(state.image_host().unwrap().to_string(), "first.example");
            let (kept, said) = state.unconfirmed_host().unwrap();
            assert_eq!((kept.to_string(), said.to_string()), ("first.example".into(), "evil.example".into()));
            // After a restart the object alone tells; without it, the process that knows puts it back.
            state.pinned = None;
            assert_eq!(state.image_host().unwrap().to_string(), "first.example");
            state.keep_host();
            state = annotated(state, &json!({}));
            assert_eq!(state.unwritten_pin().unwrap().text(), "first.example https://h");

            for (annotations, host) in [
                (json!({keys::ANNOTATION_CONFIRM_HOST: "other.example"}), "first.example"),
                (json!({keys::ANNOTATION_CONFIRM_HOST: "Evil.example"}), "evil.example"),
            ] {
                state = annotated(state, &annotations);
                state.keep_host();
                assert_eq!(state.image_host().unwrap().to_string(), host, "{annotations}");
            }
            assert_eq!(state.unconfirmed_host(), None);
        }
    }

    #[test]
    fn a_status_has_no_say_and_another_url_begins_anew() {
        let mut state = says(registry(false, &json!({})), "first.example");
        let mut object = (*state.object).clone();
        object.status = serde_json::from_value(json!({"registryHost": "forged.example"})).unwrap();
        state.object = object.into();
        assert_eq!(state.image_host().unwrap().to_string(), "first.example");
        state.keep_host();
        let mut object = (*state.object).clone();
        object.spec.url = "https://other".to_owned();
        state.object = object.into();
        state = says(state, "second.example");
        state.keep_host();
        assert_eq!(state.image_host().unwrap().to_string(), "second.example");
        assert_eq!(state.unwritten_pin().unwrap().text(), "second.example https://other");
    }

    #[test]
    fn a_host_that_cannot_be_used_is_quoted_short_and_printable() {
        let state = says(registry(false, &json!({})), "*.example.com");
        assert!(state.no_host().contains("Harbor names \"*.example.com\" as its registry host"), "{}", state.no_host());
        let state = says(registry(false, &json!({})), &format!("\u{1b}[2J{}", "x".repeat(10_000)));
        assert!(state.no_host().len() < 400 && !state.no_host().contains('\u{1b}'), "{}", state.no_host());
        assert!(registry(false, &json!({})).no_host().contains("names no registry host"));
        let state = registry(false, &json!({"registryHost": "[:::]:5"}));
        assert!(state.hosts().is_none() && state.no_host().contains("spec.registryHost \"[:::]:5\""));
    }

    #[test]
    fn what_one_harbor_says_is_no_host_at_another_url() {
        let mut state = says(registry(false, &json!({})), "images.example.com");
        assert_eq!(state.hosts().unwrap()[0], "images.example.com");
        let mut object = (*state.object).clone();
        object.spec.url = "https://other.example.com".to_owned();
        state.object = Arc::new(object);
        assert_eq!(state.hosts(), None, "also while the login at the new one cannot be read");
    }
}
