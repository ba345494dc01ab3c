//! Whatever bytes a server sends, every call ends with an answer or an error, and no error quotes a secret.

use std::time::Duration;

use harbor_robot_operator::registry::harbor::{Client, Timeouts};
use harbor_robot_operator::registry::{Digest, Error};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;
use serde_json::json;

use super::stub::{Act, Stub};
use super::test_properties::{answers, bytes, config as cases, text};
use super::{PASSWORD, config, library, new_robot, row, update};

const HEADERS: &[&str] = &[
    "Date",
    "Retry-After",
    "X-Total-Count",
    "Content-Length",
    "Content-Type",
    "Content-Encoding",
    "Transfer-Encoding",
    "Set-Cookie",
    "X-Harbor-Csrf-Token",
    "Location",
    "Connection",
    "Upgrade",
    "Trailer",
    "",
];

/// An answer's bytes: mostly HTTP.
fn whole() -> impl Strategy<Value = Vec<u8>> {
    let status = prop_oneof![4 => Just("200".to_owned()), 2 => (100..1_000_u16).prop_map(|status| status.to_string()), 1 => text()];
    let value = prop_oneof![
        text().prop_map(String::into_bytes),
        bytes(),
        any::<u64>().prop_map(|n| n.to_string().into_bytes())
    ];
    let headers = vec((select(HEADERS), value), 0..5);
    let body = prop_oneof![
        answers(row(7, "library", "ci")),
        answers(json!([row(7, "library", "ci")])),
        answers(json!({"errors": [{"code": "DENIED", "message": format!("{PASSWORD} is wrong")}]})),
    ];
    let http = (select(vec!["HTTP/1.1", "HTTP/1.0", "HTTP/2", ""]), status, headers, body).prop_map(
        |(version, status, headers, body)| {
            let mut bytes = format!("{version} {status} Status\r\n").into_bytes();
            for (name, value) in headers {
                bytes.extend([name.as_bytes(), b": ", &value, b"\r\n"].concat());
            }
            [bytes, b"\r\n".to_vec(), body].concat()
        },
    );
    prop_oneof![8 => http, 1 => bytes()]
}

/// What every call makes of the same bytes.
async fn calls(client: &Client) -> Vec<Error> {
    let home = library();
    let digest = |robot: &harbor_robot_operator::domain::robot::Robot| {
        Some(Digest { name: robot.name.clone().into(), whole: 0, renamed_from: None, owner: None, beyond: None })
    };
    let (robot, update) = (new_robot(), update());
    let errors = [
        client.info().await.err(),
        client.is_harbor().await.err(),
        client.catalogue().await.err(),
        client.settings().await.err(),
        client.projects().await.err(),
        client.project_exists("library").await.err(),
        client.login_robot("robot$op").await.err(),
        client.get(7).await.err(),
        client.find(&home, &["ci"]).await.err(),
        client.digests(&home, &digest).await.err(),
        client.create(&robot).await.err(),
        client.update(&update).await.err(),
        client.refresh(7, None).await.err(),
        client.delete(7).await.err(),
        client.verify("robot$x", &"Secret12".into()).await.err(),
    ];
    errors.into_iter().flatten().collect()
}

proptest! {
    #![proptest_config(cases(200))]

    #[test]
    fn every_call_ends_whatever_the_server_sends(bytes in whole()) {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        let errors = runtime.block_on(async {
            let stub = Stub::always(Act::Close(bytes)).await;
            let mut config = config(&format!("http://{}", stub.address));
            config.requests_per_second = 10_000;
            config.timeouts = Timeouts { connect: Duration::from_secs(1), total: Duration::from_secs(2) };
            let client = Client::new(config).unwrap();
            let all = tokio::time::timeout(Duration::from_mins(1), calls(&client)).await.expect("every call ends");
            // Arithmetic with what was learned must not fail, either.
            let _learned = (client.clock_offset(), client.asked_to_wait(), client.name_prefix());
            all
        });
        for error in errors {
            prop_assert!(error.to_string().len() < 2_000, "{error}");
            prop_assert!(!format!("{error} {error:?}").contains(PASSWORD), "{error:?}");
        }
    }
}
