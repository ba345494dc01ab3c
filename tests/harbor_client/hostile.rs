//! Refusals, strange answers, slow answers, no answers.

use std::time::Duration;

use harbor_robot_operator::registry::harbor::{Client, ConfigError, Timeouts};
use harbor_robot_operator::registry::{Class, Error};
use serde_json::json;

use super::stub::{Act, Stub, answer, error, raw};
use super::{client, config, new_robot, update};

/// What a read and a write make of the same answer.
async fn both(act: Act) -> (Error, Error) {
    both_within(Duration::from_secs(10), act).await
}

async fn both_within(total: Duration, act: Act) -> (Error, Error) {
    let stub = Stub::always(act).await;
    let mut config = config(&format!("http://{}", stub.address));
    config.timeouts.total = total;
    let client = Client::new(config).unwrap();
    (client.get(7).await.unwrap_err(), client.refresh(7, None).await.unwrap_err())
}

fn bad(error: &Error) -> Option<bool> {
    match error {
        Error::BadAnswer { after_write, .. } => Some(*after_write),
        _ => None,
    }
}

#[tokio::test]
async fn an_answer_that_is_not_harbors_json_is_bad_and_after_a_write_it_may_have_happened() {
    let large = format!("{{\"x\":\"{}\"}}", "x".repeat(5 << 20));
    let chunked =
        format!("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n{:x}\r\n{large}\r\n0\r\n\r\n", large.len());
    for act in [
        answer(200, &[], "<html>welcome</html>"),
        answer(200, &[], ""),
        answer(200, &[], "[]"),
        answer(200, &[], r#"{"id":"7","secret":7}"#),
        answer(200, &[], r#"{"id":7,"name":"robot$x""#),
        answer(200, &[("Content-Encoding", "gzip")], "\u{1f}\u{b}"),
        answer(200, &[], &large),
        Act::Close(chunked.into_bytes()),
    ] {
        let (read, write) = both(act).await;
        assert_eq!((bad(&read), bad(&write)), (Some(false), Some(true)), "{read} / {write}");
        assert_eq!((read.class(), write.class()), (Class::Retry { after: None }, Class::Unknown));
    }
}

#[tokio::test]
async fn an_answer_of_two_mebibytes_is_read_and_one_byte_more_is_not() {
    let robot = |spaces: usize| {
        let json = super::row(7, "library", "ci").to_string();
        answer(200, &[], &format!("{json}{}", " ".repeat(spaces - json.len())))
    };
    let stub = Stub::script(vec![robot(2 << 20), robot((2 << 20) + 1)]).await;
    let client = client(&stub);
    assert!(client.get(7).await.unwrap().is_some());
    assert_eq!(bad(&client.get(7).await.unwrap_err()), Some(false));
}

#[tokio::test]
async fn what_is_short_in_harbor_is_not_read_further_than_that() {
    let long = "x".repeat(64 << 10);
    let stub = Stub::always(answer(200, &[], &json!({"sysadmin_flag": true, "comment": long}).to_string())).await;
    let client = client(&stub);
    assert!(matches!(client.info().await, Err(Error::BadAnswer { what, .. }) if what.contains("64 KiB")));
    assert!(matches!(client.catalogue().await, Err(Error::BadAnswer { .. })));
    assert!(matches!(client.settings().await, Err(Error::BadAnswer { .. })));
    assert!(matches!(client.create(&new_robot()).await, Err(Error::BadAnswer { after_write: true, .. })));
    assert!(matches!(client.refresh(7, None).await, Err(Error::BadAnswer { after_write: true, .. })));
    assert!(matches!(client.verify("robot$x", &"Secret12".into()).await, Err(Error::BadAnswer { .. })));
    // Of a refusal the status says enough.
    let stub = Stub::always(error(403, "FORBIDDEN", &long)).await;
    let refused = super::client(&stub).get(7).await;
    let what = "status 403 without Harbor's error text".to_owned();
    assert_eq!(refused, Err(Error::BadAnswer { what, after_write: false }));
}

#[tokio::test]
async fn three_bytes_of_json_do_not_become_a_hundred_of_memory() {
    let many = |item: &str| format!("[{}]", vec![item; 600_000].join(","));
    let robot = |permissions: &str| {
        let mut row = super::row(7, "library", "ci").to_string();
        let at = row.find("\"permissions\":").unwrap();
        row.truncate(at);
        // Keys come sorted, so that only the time of the update follows.
        format!("{row}\"permissions\":{permissions},\"update_time\":\"2026-07-11T13:47:44.261Z\"}}")
    };
    for (body, limit) in [
        (robot(&many("{}")), "scopes of a robot"),
        (robot(&format!("[{{\"access\":{}}}]", many("{}"))), "permissions in one scope"),
    ] {
        let error = client(&Stub::always(answer(200, &[], &body)).await).get(7).await.unwrap_err();
        assert!(matches!(&error, Error::BadAnswer { what, .. } if what.contains(limit)), "{error}");
    }
    let deep = robot(&format!("{}{}", "[".repeat(900_000), "]".repeat(900_000)));
    let error = client(&Stub::always(answer(200, &[], &deep)).await).get(7).await.unwrap_err();
    assert_eq!(bad(&error), Some(false), "{error}");
    let long = "x".repeat(5_000);
    let mut row = super::row(7, "library", "ci");
    row["description"] = json!(long);
    let error = client(&Stub::always(super::stub::json(200, &row)).await).get(7).await.unwrap_err();
    assert!(matches!(&error, Error::BadAnswer { what, .. } if what.contains("bytes in a text")), "{error}");
}

#[tokio::test]
async fn a_page_with_more_rows_than_were_asked_for_is_not_read() {
    let stub = Stub::start(|request| {
        if request.target.starts_with("/api/v2.0/projects") {
            return answer(200, &[], r#"{"project_id":1,"name":"library"}"#);
        }
        let rows: Vec<_> = (0..101).map(|id| super::row(id, "library", &format!("r{id}"))).collect();
        super::stub::json(200, &json!(rows))
    })
    .await;
    let error = client(&stub).list(&super::library()).await.unwrap_err();
    assert!(matches!(&error, Error::BadAnswer { what, .. } if what.contains("100 rows in a page")), "{error}");
}

#[tokio::test]
async fn long_answers_that_trickle_delay_long_ones_for_a_while_and_short_ones_not_at_all() {
    let page = |id: i64| {
        let mut row = super::row(id, "library", "ci");
        row["description"] = json!("y".repeat(1_000));
        json!([row]).to_string() + &" ".repeat(100 << 10)
    };
    let project = || answer(200, &[], r#"{"project_id":1,"name":"library"}"#);
    // 70 KiB of it come at once, the rest never.
    let hostile = Stub::start(move |request| {
        if request.target.starts_with("/api/v2.0/projects") {
            return project();
        }
        let bytes = raw(200, &[], &page(1));
        Act::Hang(bytes[..70 << 10].to_vec())
    })
    .await;
    let honest = Stub::start(move |request| match request.target.as_str() {
        "/api/v2.0/robots/7" => super::stub::json(200, &super::row(7, "library", "ci")),
        target if target.starts_with("/api/v2.0/projects") => project(),
        _ => answer(200, &[], &page(2)),
    })
    .await;
    let room = harbor_robot_operator::registry::harbor::Room::default();
    let client = |stub: &Stub| {
        let mut config = config(&format!("http://{}", stub.address));
        config.room = room.clone();
        Client::new(config).unwrap()
    };
    let (first, second, other) = (client(&hostile), client(&hostile), client(&honest));
    let library = super::library();
    let trickling = async { futures::join!(first.list(&library), second.list(&library)) };
    let served = async {
        // Both have their turn.
        while hostile.seen().iter().filter(|request| request.target.starts_with("/api/v2.0/robots?")).count() < 2 {
            tokio::task::yield_now().await;
        }
        let started = tokio::time::Instant::now();
        assert!(other.get(7).await.unwrap().is_some());
        assert!(started.elapsed() < Duration::from_secs(1), "{:?}", started.elapsed());
        let robots = other.list(&library).await.unwrap();
        assert!(started.elapsed() < Duration::from_secs(9), "{:?}", started.elapsed());
        robots
    };
    let ((a, b), robots) = futures::join!(trickling, served);
    assert_eq!(robots.len(), 1);
    for error in [a.unwrap_err(), b.unwrap_err()] {
        assert_eq!(error, Error::NoAnswer("timed out"));
    }
}

#[tokio::test]
async fn a_redirect_is_not_followed() {
    let other = Stub::always(answer(200, &[], "{}")).await;
    let location = format!("http://{}/api/v2.0/robots/7", other.address);
    for status in [301, 302, 303, 307, 308] {
        let (read, write) = both(answer(status, &[("Location", &location)], "")).await;
        assert_eq!((bad(&read), bad(&write)), (Some(false), Some(false)));
    }
    assert!(other.seen().is_empty());
}

#[tokio::test]
async fn every_status_has_its_meaning() {
    let text = |text: &str| text.to_owned();
    let cases = [
        (error(401, "UNAUTHORIZED", "unauthorized"), Error::Unauthorized),
        (answer(401, &[], ""), Error::Unauthorized),
        (error(403, "FORBIDDEN", "forbidden"), Error::Forbidden { needs: "robot:read", message: text("forbidden") }),
        (
            answer(403, &[], "<html>"),
            Error::BadAnswer { what: text("status 403 without Harbor's error text"), after_write: false },
        ),
        (error(403, "DENIED", "The system is in read only mode. Any modification is prohibited."), Error::ReadOnly),
        (error(403, "DENIED", "editing of legacy robot is not allowed"), Error::Legacy),
        (error(409, "CONFLICT", "robot account 1:library+ci already exists"), Error::Conflict),
        (error(400, "BAD_REQUEST", "bad request empty access"), Error::Invalid(text("bad request empty access"))),
        (error(422, "UNPROCESSABLE_ENTITY", "no"), Error::Invalid(text("no"))),
        (answer(500, &[], ""), Error::Server(500)),
        (error(500, "UNKNOWN", "internal server error"), Error::Server(500)),
        (answer(502, &[], "<html>bad gateway</html>"), Error::Server(502)),
        (answer(504, &[], ""), Error::Server(504)),
        (answer(503, &[], ""), Error::Busy(None)),
        (answer(429, &[("Retry-After", "soon")], ""), Error::Busy(None)),
    ];
    for (act, want) in cases {
        let (read, write) = both(act).await;
        assert_eq!(read, want);
        let want = match want {
            Error::Forbidden { message, .. } => Error::Forbidden { needs: "project:update", message },
            other => other,
        };
        assert_eq!(write, want);
    }
    for status in [405, 407, 408, 413, 418, 451] {
        let (read, write) = both(answer(status, &[], "")).await;
        assert_eq!((bad(&read), bad(&write)), (Some(false), Some(false)), "{status}");
    }
}

#[tokio::test]
async fn a_missing_robot_is_believed_from_harbor_alone() {
    let stub = Stub::always(error(404, "NOT_FOUND", "robot 7 not found")).await;
    let harbor = client(&stub);
    assert_eq!(harbor.get(7).await, Ok(None));
    assert_eq!(harbor.delete(7).await, Ok(()));
    assert_eq!(harbor.update(&update()).await, Err(Error::NotFound));
    let stub = Stub::always(answer(404, &[], "default backend - 404")).await;
    let proxy = client(&stub);
    assert_eq!(bad(&proxy.get(7).await.unwrap_err()), Some(false));
    assert_eq!(bad(&proxy.delete(7).await.unwrap_err()), Some(false));
}

#[tokio::test]
async fn a_page_of_a_proxy_does_not_pass_for_a_done_delete_or_update() {
    let stub = Stub::always(answer(200, &[], "<html>log in to the wifi</html>")).await;
    let client = client(&stub);
    assert_eq!(bad(&client.delete(7).await.unwrap_err()), Some(true));
    assert_eq!(bad(&client.update(&update()).await.unwrap_err()), Some(true));
    assert_eq!(bad(&client.verify("robot$x", &"Secret12".into()).await.unwrap_err()), Some(false));
}

#[tokio::test]
async fn a_server_that_asks_for_peace_is_left_alone() {
    let date = "Sun, 06 Nov 1994 08:49:07 GMT";
    let later = "Sun, 06 Nov 1994 08:49:37 GMT";
    for (status, headers) in [
        (429, vec![("Retry-After", "30")]),
        (503, vec![("Retry-After", "30")]),
        (429, vec![("Retry-After", later), ("Date", date)]),
    ] {
        let stub = Stub::always(answer(status, &headers, "")).await;
        let client = client(&stub);
        assert_eq!(client.asked_to_wait(), None);
        assert_eq!(client.get(7).await, Err(Error::Busy(Some(Duration::from_secs(30)))));
        let left = client.asked_to_wait().unwrap();
        assert!(left > Duration::from_secs(28) && left <= Duration::from_secs(30), "{left:?}");
        assert!(matches!(client.create(&new_robot()).await, Err(Error::Busy(Some(_)))));
        assert_eq!(stub.seen().len(), 1, "nothing more is sent");
    }
}

#[tokio::test]
async fn a_refused_connection_means_that_nothing_was_sent() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let client = Client::new(config(&format!("http://{address}"))).unwrap();
    let error = client.create(&new_robot()).await.unwrap_err();
    assert_eq!(error, Error::Unreachable("connection refused"));
    assert_eq!(error.class(), Class::Retry { after: None });
}

#[tokio::test]
async fn an_unknown_host_is_told_as_such() {
    let client = Client::new(config("http://no-such-host.invalid")).unwrap();
    assert_eq!(client.get(7).await, Err(Error::Unreachable("name not found")));
}

#[tokio::test]
async fn a_connection_that_never_stands_times_out_as_unreachable() {
    // The handshake of TLS gets no answer, which counts to the connection.
    let stub = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mut config = config(&format!("https://{}", stub.local_addr().unwrap()));
    config.timeouts = Timeouts { connect: Duration::from_millis(200), total: Duration::from_secs(5) };
    let client = Client::new(config).unwrap();
    assert_eq!(client.get(7).await, Err(Error::Unreachable("timed out while connecting")));
}

#[tokio::test]
async fn a_lost_or_late_answer_leaves_open_what_happened() {
    let half = |what: Vec<u8>| what[..what.len() - 5].to_vec();
    let robot = super::row(7, "library", "ci").to_string();
    let lost = Error::NoAnswer("connection lost");
    let late = Error::NoAnswer("timed out");
    for (act, want) in [
        (Act::Close(Vec::new()), &lost),
        (Act::Close(b"HTTP/1.1 200 OK\r\nContent-".to_vec()), &lost),
        (Act::Close(b"SSH-2.0-OpenSSH\r\n\r\n".to_vec()), &lost),
        (Act::Close(half(raw(200, &[], &robot))), &lost),
        (Act::Hang(Vec::new()), &late),
        (Act::Hang(half(raw(200, &[], &robot))), &late),
        (Act::Trickle(raw(200, &[], &robot), Duration::from_millis(50)), &late),
    ] {
        let (read, write) = both_within(Duration::from_millis(600), act).await;
        assert_eq!((&read, &write), (want, want));
        assert_eq!(write.class(), Class::Unknown);
    }
}

#[tokio::test]
async fn a_failing_status_counts_even_if_its_body_is_lost() {
    let stub = Stub::always(Act::Close(b"HTTP/1.1 502 Bad\r\nContent-Length: 100\r\n\r\n<ht".to_vec())).await;
    assert_eq!(client(&stub).get(7).await, Err(Error::Server(502)));
}

#[tokio::test]
async fn cookies_are_not_kept() {
    let robot = super::row(7, "library", "ci").to_string();
    let stub = Stub::always(answer(200, &[("Set-Cookie", "sid=abc; Path=/; HttpOnly")], &robot)).await;
    let client = client(&stub);
    for _ in 0..3 {
        client.get(7).await.unwrap();
    }
    assert!(stub.seen().iter().all(|request| request.header("cookie").is_none()));
}

#[tokio::test]
async fn the_clock_offset_comes_from_the_date_of_answers() {
    let robot = super::row(7, "library", "ci").to_string();
    let stub = Stub::always(answer(200, &[("Date", "Sun, 06 Nov 1994 08:49:37 GMT")], &robot)).await;
    let mut config = config(&format!("http://{}", stub.address));
    let ours: harbor_robot_operator::api::RegistryTime = "1994-11-06T08:48:37.500Z".parse().unwrap();
    config.clock = std::sync::Arc::new(move || ours);
    let client = Client::new(config).unwrap();
    assert_eq!(client.clock_offset(), jiff::SignedDuration::ZERO);
    client.get(7).await.unwrap();
    assert_eq!(client.clock_offset(), jiff::SignedDuration::from_secs(60));
}

#[tokio::test]
async fn the_rate_and_the_number_in_flight_are_kept() {
    let stub = Stub::always(Act::Trickle(raw(404, &[], "x"), Duration::from_millis(20))).await;
    let mut config = config(&format!("http://{}", stub.address));
    config.requests_per_second = 10;
    let client = Client::new(config).unwrap();
    let started = tokio::time::Instant::now();
    futures::future::join_all((0..25).map(|id| client.get(id))).await;
    assert!(started.elapsed() >= Duration::from_secs(2), "{:?}", started.elapsed());
    assert_eq!(stub.seen().len(), 25);
}

#[tokio::test]
async fn no_more_requests_are_in_flight_than_allowed() {
    let stub = Stub::always(Act::Hang(Vec::new())).await;
    let mut config = config(&format!("http://{}", stub.address));
    config.max_in_flight = 3;
    config.timeouts.total = Duration::from_millis(400);
    let client = Client::new(config).unwrap();
    let started = tokio::time::Instant::now();
    futures::future::join_all((0..9).map(|id| client.get(id))).await;
    assert!(started.elapsed() >= Duration::from_millis(1200), "{:?}", started.elapsed());
    assert_eq!(stub.seen().len(), 9);
}

#[tokio::test]
async fn a_url_with_more_than_a_host_and_an_authority_without_certificates_are_refused() {
    for url in ["ftp://h", "http://h/path", "http://h/?q", "http://h/#f", "http://u:p@h", "unix:/x"] {
        assert_eq!(Client::new(config(url)).err(), Some(ConfigError::Url), "{url}");
    }
    for bundle in ["", "no certificate", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"] {
        let config = harbor_robot_operator::registry::harbor::Config {
            roots: Some(bundle.into()),
            ..config("https://localhost")
        };
        assert_eq!(Client::new(config).err(), Some(ConfigError::Roots), "{bundle}");
    }
}

/// A server whose list of robots has no end: the rows of each page are of this id on.
async fn endless(first: impl Fn(i64) -> i64 + Send + Sync + 'static) -> Stub {
    Stub::start(move |request| {
        if request.target.starts_with("/api/v2.0/projects") {
            return answer(200, &[], r#"{"project_id":1,"name":"library"}"#);
        }
        let (_, page) = request.target.split_once("&page=").unwrap();
        let first = first(page.split('&').next().unwrap().parse().unwrap());
        let rows: Vec<_> = (first..first + 100).map(|id| super::row(id, "library", "ci")).collect();
        answer(200, &[("X-Total-Count", "99999999")], &json!(rows).to_string())
    })
    .await
}

fn hasty(stub: &Stub) -> Client {
    let mut config = config(&format!("http://{}", stub.address));
    config.requests_per_second = 100_000;
    Client::new(config).unwrap()
}

#[tokio::test]
async fn a_list_that_never_ends_is_given_up_and_says_so() {
    let stub = endless(|page| page * 100).await;
    let error = hasty(&stub).digests(&super::library(), &|_| None).await.unwrap_err();
    assert_eq!(error, Error::ListTooLong { what: "robots in one place", most: 100_000 });
    assert_eq!((error.class(), error.is_outage()), (Class::UserFix, false));
    assert_eq!(stub.seen().len(), 1001);
}

#[tokio::test]
async fn a_page_that_comes_again_and_again_is_given_up_at_once() {
    let stub = endless(|_| 0).await;
    assert_eq!(bad(&hasty(&stub).list(&super::library()).await.unwrap_err()), Some(false));
    assert_eq!(stub.seen().len(), 3);
}
