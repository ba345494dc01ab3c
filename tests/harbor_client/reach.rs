//! Clients that reach the internet only.

use std::process::Command;

use harbor_robot_operator::registry::harbor::{Client, Config, ConfigError, Reach};
use harbor_robot_operator::registry::{Class, Error};

use super::stub::{Stub, json as json_answer};
use super::{config, row};

fn fenced(url: &str, except: &[&str]) -> Result<Client, ConfigError> {
    let reach =
        Reach::Internet { except: except.iter().map(|text| text.parse().unwrap()).collect(), denied: Vec::new() };
    Client::new(Config { reach, ..config(url) })
}

async fn robot_server() -> Stub {
    Stub::always(json_answer(200, &row(7, "library", "ci"))).await
}

#[tokio::test]
async fn a_literal_address_inside_is_refused_when_the_client_is_made_and_allowed_by_a_pattern() {
    let stub = robot_server().await;
    let port = stub.address.port();
    for host in ["127.0.0.1", "127.1", "0x7f.1", "2130706433", "[::1]", "[::ffff:127.0.0.1]", "169.254.169.254"] {
        let refused = fenced(&format!("http://{host}:{port}"), &["*.corp.example"]).err().unwrap();
        assert_eq!(refused, ConfigError::Address, "{host}");
        assert_eq!(refused.to_string(), "the URL's address is not allowed");
    }
    for pattern in ["127.0.0.1", "127.*", "*"] {
        let client = fenced(&format!("http://127.1:{port}"), &[pattern]).unwrap();
        assert!(client.get(7).await.unwrap().is_some(), "{pattern}");
    }
    assert!(Client::new(config(&format!("http://127.1:{port}"))).unwrap().get(7).await.is_ok());
    assert!(fenced("https://8.8.8.8", &[]).is_ok());
}

#[tokio::test]
async fn a_name_of_an_address_inside_is_never_connected_to_unless_a_pattern_allows_it() {
    let stub = robot_server().await;
    let url = format!("http://localhost:{}", stub.address.port());
    let client = fenced(&url, &["*.corp.example", "127.*"]).unwrap();
    let error = client.get(7).await.unwrap_err();
    assert_eq!(error, Error::Unreachable("address not allowed"));
    assert_eq!(error.to_string(), "Harbor cannot be reached: address not allowed");
    assert_eq!((error.class(), client.refresh(7, None).await.err()), (Class::Retry { after: None }, Some(error)));
    assert!(stub.seen().is_empty());

    let client = fenced(&url, &["*.corp.example", "LOCAL*"]).unwrap();
    assert!(client.get(7).await.unwrap().is_some());
    assert_eq!(stub.seen().len(), 1);
}

#[tokio::test]
async fn an_unknown_name_is_told_as_such_within_the_fence_as_well() {
    let client = fenced("http://no-such-host.invalid", &[]).unwrap();
    assert_eq!(client.get(7).await, Err(Error::Unreachable("name not found")));
}

/// Runs itself once more, since the environment of a running process is nobody's to change.
#[tokio::test]
async fn a_proxy_of_the_environment_is_used_anywhere_but_not_within_the_fence() {
    const CHILD: &str = "TEST_BEHIND_A_PROXY";
    if std::env::var_os(CHILD).is_some() {
        let anywhere = Client::new(config("http://no-such-host.invalid")).unwrap();
        assert!(anywhere.get(7).await.unwrap().is_some(), "by the proxy");
        for except in [&[][..], &["*"]] {
            let client = fenced("http://no-such-host.invalid", except).unwrap();
            assert_eq!(client.get(7).await, Err(Error::Unreachable("name not found")));
        }
        return;
    }
    let proxy = robot_server().await;
    let mut child = Command::new(std::env::current_exe().unwrap());
    child.args(["reach::a_proxy_of_the_environment_is_used_anywhere_but_not_within_the_fence", "--exact"]);
    child.env(CHILD, "1").env("http_proxy", format!("http://{}", proxy.address));
    child.env_remove("no_proxy").env_remove("NO_PROXY");
    let output = tokio::task::spawn_blocking(move || child.output()).await.unwrap().unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && said.contains("1 passed"), "{said}");
    assert_eq!(proxy.lines(), ["GET http://no-such-host.invalid/api/v2.0/robots/7"]);
}
