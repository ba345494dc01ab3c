//! Answers that are no HTTP, or no whole one, or HTTP that nobody asked for.

use std::time::Duration;

use harbor_robot_faults::{Lie, Pace};

use super::Row;
use super::lies::{always, answer, bytes, header, pace};

/// All that is told of a tenant's server that does not answer as a Harbor does.
pub const NO_HARBOR: &[&str] = &["Unreachable"];

pub fn rows() -> Vec<Row> {
    let row = Row::new;
    let many = |count: usize, line: &'static str| {
        always(move |told| {
            let (name, value) = line.split_once(": ").expect("a header");
            let bomb = (0..count).map(|n| (name.replace('#', &n.to_string()), value.as_bytes().to_vec()));
            told.headers.extend(bomb);
        })
    };
    vec![
        row("each connection is reset", Lie::Reset, NO_HARBOR),
        row("the connection is reset after the call", pace(Pace::ResetAt(0)), NO_HARBOR),
        row("the connection is reset in the head", pace(Pace::ResetAt(5)), NO_HARBOR),
        row("the connection is reset in the body", pace(Pace::ResetAt(95)), NO_HARBOR),
        row("the connection ends after the call", pace(Pace::CloseAt(0)), NO_HARBOR),
        row("the connection ends in the body", pace(Pace::CloseAt(97)), NO_HARBOR),
        row("nothing comes", pace(Pace::HangAt(0)), NO_HARBOR),
        row("nothing comes after the head", pace(Pace::HangAt(90)), NO_HARBOR),
        row("a byte a second", pace(Pace::ByteBy(Duration::from_secs(1))), NO_HARBOR),
        row("each answer takes nine seconds", pace(Pace::After(Duration::from_secs(9))), &[]),
        row("a body without an end", without_end("Transfer-Encoding: chunked", b"400\r\n", b"\r\n"), NO_HARBOR),
        row("a body of the largest length", without_end("Content-Length: 18446744073709551615", b"", b""), NO_HARBOR),
        row("a chunk of the largest size", bytes(chunk("ffffffffffffffff")), NO_HARBOR),
        row("a chunk size that is none", bytes(chunk("-1")), NO_HARBOR),
        row("a length that is too short", header("Content-Length", "1"), NO_HARBOR),
        row("two lengths", bytes("HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 9\r\n\r\n{}"), NO_HARBOR),
        row("HTTP/1.0", always(|told| told.version = "HTTP/1.0"), &[]),
        row("another protocol", bytes("SSH-2.0-OpenSSH_9.9\r\n"), NO_HARBOR),
        row("HTTP/9.9", always(|told| told.version = "HTTP/9.9"), NO_HARBOR),
        row("100 for ever", informational("100 Continue"), NO_HARBOR),
        row("103 for ever", informational("103 Early Hints"), NO_HARBOR),
        row("101", answer(101, ""), NO_HARBOR),
        row("204", answer(204, ""), NO_HARBOR),
        row("206", answer(206, "{}"), NO_HARBOR),
        row("304", answer(304, ""), NO_HARBOR),
        row("status 999", answer(999, ""), NO_HARBOR),
        row("418", answer(418, "I'm a teapot"), NO_HARBOR),
        row("500", answer(500, ""), NO_HARBOR),
        row("502 of a proxy", answer(502, "<html>Bad Gateway</html>"), NO_HARBOR),
        row("503", answer(503, ""), NO_HARBOR),
        row("507", answer(507, "{}"), NO_HARBOR),
        row("a redirect to itself", redirect("/"), NO_HARBOR),
        row("a redirect to the metadata service", redirect("http://169.254.169.254/latest/"), NO_HARBOR),
        row("a redirect to a file", redirect("file:///etc/passwd"), NO_HARBOR),
        row("ten thousand headers", many(10_000, "X-#: y"), NO_HARBOR),
        row("a header of a megabyte", header("X-Large", vec![b'x'; 1 << 20]), NO_HARBOR),
        row("ninety cookies", many(90, "Set-Cookie: sid=#; Path=/"), &[]),
        row("cookies of 4 KiB", header("Set-Cookie", [b"sid=".to_vec(), vec![b'c'; 4_000]].concat()), &[]),
        row("a CSRF token that is none", header("X-Harbor-CSRF-Token", "\u{e9}\u{7}; a=b"), NO_HARBOR),
        row("a CSRF token of 60 KB", header("X-Harbor-CSRF-Token", vec![b't'; 60_000]), &[]),
        row("headers that are no text", header("Date", vec![0xff, 0xfe, 0x80]), &[]),
        row("another type of content", header("Content-Type", "video/mp4"), &[]),
        row("compressed as said, and not", header("Content-Encoding", "gzip"), &[]),
    ]
}

/// A body in pieces of a kilobyte.
fn without_end(length: &'static str, before: &'static [u8], after: &'static [u8]) -> Lie {
    always(move |told| {
        let head = format!("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n{length}\r\n\r\n");
        told.raw = Some(head.into_bytes());
        told.pace = Pace::WithoutEnd([before, &[b' '; 1_024], after].concat());
    })
}

fn chunk(size: &str) -> String {
    format!("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n{size}\r\n{{}}\r\n0\r\n\r\n")
}

fn informational(status: &'static str) -> Lie {
    always(move |told| {
        told.raw = Some(Vec::new());
        told.pace = Pace::WithoutEnd(format!("HTTP/1.1 {status}\r\nX-More: to come\r\n\r\n").into_bytes());
    })
}

fn redirect(to: &'static str) -> Lie {
    always(move |told| {
        told.answer(307, "");
        told.set_header("Location", to);
    })
}
