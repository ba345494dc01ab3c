//! What a request carries to show who we are, and the texts in it that nobody may read.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use reqwest::header::{AUTHORIZATION, COOKIE, HeaderMap, HeaderName, HeaderValue, SET_COOKIE};
use secrecy::{ExposeSecret, SecretString};

/// The session's cookie. Harbor gives one to whoever brings none that it knows, logged in or not.
const SESSION_COOKIE: &str = "sid";
/// The cookie that the CSRF token belongs to.
const CSRF_COOKIE: &str = "_gorilla_csrf";
/// The token, in answers and on changing calls.
const CSRF_HEADER: HeaderName = HeaderName::from_static("x-harbor-csrf-token");
/// Harbor's are below 200 bytes. Longer ones would be sent with each call, so they are not taken.
const LONGEST_VALUE: usize = 4096;

/// `Authorization: Basic`. The value's base64 text is kept to recognise it in an echo.
pub(super) struct Basic {
    header: HeaderValue,
    password: SecretString,
    encoded: SecretString,
}

impl Basic {
    pub(super) fn new(username: &str, password: &SecretString) -> Self {
        let encoded = BASE64.encode(format!("{username}:{}", password.expose_secret()));
        let header = sensitive(&format!("Basic {encoded}")).expect("base64 is plain ASCII");
        Self { header, password: password.clone(), encoded: encoded.into() }
    }

    pub(super) fn password(&self) -> &SecretString {
        &self.password
    }

    pub(super) fn secrets(&self) -> impl Iterator<Item = &str> {
        [&self.password, &self.encoded].into_iter().map(ExposeSecret::expose_secret)
    }
}

/// A session's cookies and token. Token and CSRF cookie belong together; the token is another text in each answer, and
/// any of them serves again (`tests/contract/40-user-session.json`).
pub(super) struct Session {
    sid: Option<SecretString>,
    csrf: Csrf,
}

impl Session {
    /// What Harbor hands out before a login; `None` without a token, which means that there is no form login.
    pub(super) fn begun(handed: Handed) -> Option<Self> {
        Some(Self { sid: handed.sid, csrf: handed.csrf? })
    }

    /// The same with what an answer handed out in place of the old: after a login also another `sid`.
    pub(super) fn with(&self, handed: Handed) -> Self {
        let sid = handed.sid.or_else(|| self.sid.clone());
        Self { sid, csrf: handed.csrf.unwrap_or_else(|| self.csrf.clone()) }
    }

    pub(super) fn has_id(&self) -> bool {
        self.sid.is_some()
    }

    /// True if an answer gave another session: this one is unknown to the server.
    pub(super) fn is_replaced_by(&self, handed: &Handed) -> bool {
        let text = |sid: &Option<SecretString>| sid.as_ref().map(|sid| sid.expose_secret().to_owned());
        handed.sid.is_some() && text(&handed.sid) != text(&self.sid)
    }

    fn add_to(&self, headers: &mut HeaderMap, changing: bool) {
        let mut cookies = format!("{CSRF_COOKIE}={}", self.csrf.cookie.expose_secret());
        if let Some(sid) = &self.sid {
            cookies = format!("{SESSION_COOKIE}={}; {cookies}", sid.expose_secret());
        }
        headers.extend(sensitive(&cookies).map(|cookies| (COOKIE, cookies)));
        if changing {
            headers.extend(sensitive(self.csrf.token.expose_secret()).map(|token| (CSRF_HEADER, token)));
        }
    }

    fn secrets(&self) -> impl Iterator<Item = &str> {
        self.sid.iter().chain([&self.csrf.cookie, &self.csrf.token]).map(ExposeSecret::expose_secret)
    }
}

/// What one request carries.
#[derive(Clone, Copy)]
pub(super) enum Shown<'a> {
    Nothing,
    Basic(&'a Basic),
    Session(&'a Session),
}

impl<'a> Shown<'a> {
    /// `changing`: the request is one that Harbor wants the CSRF token with.
    pub(super) fn add_to(self, headers: &mut HeaderMap, changing: bool) {
        match self {
            Self::Nothing => {}
            Self::Basic(basic) => drop(headers.insert(AUTHORIZATION, basic.header.clone())),
            Self::Session(session) => session.add_to(headers, changing),
        }
    }

    /// The texts in it that must not come back in an error.
    pub(super) fn secrets(self) -> Vec<&'a str> {
        match self {
            Self::Nothing => Vec::new(),
            Self::Basic(basic) => basic.secrets().collect(),
            Self::Session(session) => session.secrets().collect(),
        }
    }
}

/// A header that no log shows.
fn sensitive(text: &str) -> Option<HeaderValue> {
    let mut header = HeaderValue::from_str(text).ok()?;
    header.set_sensitive(true);
    Some(header)
}

/// A CSRF cookie and a token for it.
#[derive(Clone)]
struct Csrf {
    cookie: SecretString,
    token: SecretString,
}

/// What an answer hands out to be brought again.
#[derive(Default)]
pub(super) struct Handed {
    sid: Option<SecretString>,
    csrf: Option<Csrf>,
}

impl Handed {
    /// Reads an answer's headers. A token without its cookie is a new text of the old one, and not taken: answers come in
    /// any order, and it might meet a newer cookie.
    pub(super) fn by(headers: &HeaderMap) -> Self {
        let token = headers.get(CSRF_HEADER).and_then(|token| value(token.to_str().ok()?));
        let csrf = cookie(headers, CSRF_COOKIE).zip(token).map(|(cookie, token)| Csrf { cookie, token });
        Self { sid: cookie(headers, SESSION_COOKIE), csrf }
    }

    /// Only the CSRF cookie and its token.
    pub(super) fn csrf(self) -> Option<Self> {
        self.csrf.is_some().then_some(Self { sid: None, csrf: self.csrf })
    }
}

fn cookie(headers: &HeaderMap, name: &str) -> Option<SecretString> {
    let lines = headers.get_all(SET_COOKIE).into_iter().filter_map(|line| line.to_str().ok());
    let mut pairs = lines.filter_map(|line| line.split(';').next()?.trim().split_once('='));
    pairs.rfind(|(key, _)| *key == name).and_then(|(_, text)| value(text))
}

/// A value that can be sent back as it is.
fn value(text: &str) -> Option<SecretString> {
    let plain = |byte: u8| byte.is_ascii_graphic() && !matches!(byte, b';' | b',' | b'"' | b'\\');
    (!text.is_empty() && text.len() <= LONGEST_VALUE && text.bytes().all(plain)).then(|| text.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn handed(lines: &[&str], token: Option<&str>) -> Handed {
        let mut headers = HeaderMap::new();
        for line in lines {
            headers.append(SET_COOKIE, line.parse().unwrap());
        }
        headers.extend(token.map(|token| (CSRF_HEADER, token.parse().unwrap())));
        Handed::by(&headers)
    }

    fn sent(session: &Session, changing: bool) -> (String, Option<String>) {
        let mut headers = HeaderMap::new();
        session.add_to(&mut headers, changing);
        assert!(headers.values().all(HeaderValue::is_sensitive));
        let text = |name| headers.get(name).map(|value| value.to_str().unwrap().to_owned());
        (text(COOKIE).unwrap(), text(CSRF_HEADER))
    }

    #[test]
    fn cookies_and_token_are_taken_over_and_only_changing_calls_carry_the_token() {
        let first = handed(&["sid=a; Path=/; HttpOnly", "_gorilla_csrf=c=; Path=/"], Some("t1=="));
        let begun = Session::begun(first).unwrap();
        let open = begun.with(handed(&["sid=b; Path=/", "other=x"], Some("t2")));
        assert_eq!(sent(&open, false), ("sid=b; _gorilla_csrf=c=".into(), None));
        assert_eq!(sent(&open, true).1.as_deref(), Some("t1=="), "a token alone may be of another cookie");
        let rotated = open.with(handed(&["_gorilla_csrf=d"], Some("t3")).csrf().unwrap());
        assert_eq!(sent(&rotated, true), ("sid=b; _gorilla_csrf=d".into(), Some("t3".into())));
        assert_eq!(rotated.secrets().collect::<Vec<_>>(), ["b", "d", "t3"]);
    }

    #[test]
    fn what_cannot_be_a_cookie_of_harbor_is_not_taken() {
        let long = format!("sid={}", "x".repeat(LONGEST_VALUE + 1));
        for line in [long.as_str(), "sid=", "sid=a b", "sid", "sid=\u{e9}", "Sid=a", "sid=a,b"] {
            assert!(handed(&[line], None).sid.is_none(), "{line}");
        }
        assert!(Session::begun(handed(&["sid=a", "_gorilla_csrf=c"], None)).is_none(), "no token");
        assert!(Session::begun(handed(&["sid=a"], Some("t"))).is_none(), "no cookie for the token");
    }

    #[test]
    fn another_session_id_in_an_answer_means_that_ours_is_unknown() {
        let session = Session::begun(handed(&["sid=a", "_gorilla_csrf=c"], Some("t"))).unwrap();
        assert!(!session.is_replaced_by(&handed(&[], None)));
        assert!(!session.is_replaced_by(&handed(&["sid=a"], None)));
        assert!(session.is_replaced_by(&handed(&["sid=b"], None)));
    }
}
