//! An answer that a liar is about to send.

use std::time::Duration;

/// How fast an answer is sent, and how far. Shares are hundredths of all bytes, head included.
#[derive(Clone, Debug)]
pub enum Pace {
    /// Whole.
    AtOnce,
    /// Whole, this late.
    After(Duration),
    /// The head at once, the body this late.
    BodyAfter(Duration),
    /// One byte in so much time.
    ByteBy(Duration),
    /// The connection ends after that share.
    CloseAt(usize),
    /// The connection is reset after that share.
    ResetAt(usize),
    /// Nothing more comes after that share, and the connection stays.
    HangAt(usize),
    /// Whole, and then these bytes for ever.
    WithoutEnd(Vec<u8>),
}

/// An answer, in parts that a lie may change.
#[derive(Clone, Debug)]
pub struct Told {
    /// What the status line begins with.
    pub version: &'static str,
    /// HTTP status.
    pub status: u16,
    /// In the order that they are sent in; of the body's length only if a lie says one.
    pub headers: Vec<(String, Vec<u8>)>,
    /// The body.
    pub body: Vec<u8>,
    /// How it is sent.
    pub pace: Pace,
    /// Sent in place of all the above.
    pub raw: Option<Vec<u8>>,
}

impl Told {
    /// An answer that is sent as it is.
    pub(crate) fn new(status: u16, headers: Vec<(String, Vec<u8>)>, body: Vec<u8>) -> Self {
        let headers = headers.into_iter().filter(|(name, _)| !name.eq_ignore_ascii_case("content-length")).collect();
        Self { version: "HTTP/1.1", status, headers, body, pace: Pace::AtOnce, raw: None }
    }

    /// Says this in a header, whatever was said in it before.
    pub fn set_header(&mut self, name: &str, value: impl AsRef<[u8]>) {
        self.headers.retain(|(other, _)| !other.eq_ignore_ascii_case(name));
        self.headers.push((name.to_owned(), value.as_ref().to_vec()));
    }

    /// Another status and body; the headers stay.
    pub fn answer(&mut self, status: u16, body: impl Into<Vec<u8>>) {
        self.status = status;
        self.body = body.into();
    }

    /// The bytes, how they are sent, and whether the connection can go on after them.
    pub(crate) fn into_bytes(self) -> (Vec<u8>, Pace, bool) {
        if let Some(raw) = self.raw {
            return (raw, self.pace, false);
        }
        let mut bytes = format!("{} {} Status\r\n", self.version, self.status).into_bytes();
        let says = |name: &str| self.headers.iter().any(|(other, _)| other.eq_ignore_ascii_case(name));
        let bodiless = matches!(self.status, 100..=199 | 204 | 304);
        // A lie about the length leaves nobody knowing where the next answer begins.
        let own_length = says("content-length") || says("transfer-encoding");
        let goes_on = !own_length && !bodiless && self.version == "HTTP/1.1";
        for (name, value) in &self.headers {
            bytes.extend_from_slice(name.as_bytes());
            bytes.extend_from_slice(b": ");
            bytes.extend_from_slice(value);
            bytes.extend_from_slice(b"\r\n");
        }
        if !own_length && !bodiless {
            bytes.extend_from_slice(format!("Content-Length: {}\r\n", self.body.len()).as_bytes());
        }
        bytes.extend_from_slice(b"\r\n");
        bytes.extend_from_slice(&self.body);
        (bytes, self.pace, goes_on)
    }
}
