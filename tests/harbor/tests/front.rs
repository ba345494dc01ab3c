//! `/v2/` in front of a registry, and TLS.

mod common;

use std::collections::HashMap;
use std::convert::Infallible;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use common::{ADMIN, Harbor, json_of, login_of};
use harbor_stand_in::Options;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper::{Method, Request, Response};
use hyper_util::rt::TokioIo;
use rustls::pki_types::pem::PemObject;
use serde_json::{Value, json};
use tokio::net::{TcpListener, TcpStream};

/// Something that keeps what is PUT and gives it back: as much of a registry as a front can tell.
#[derive(Default)]
struct Shelf {
    kept: HashMap<String, Bytes>,
    credentials_seen: bool,
}

type Registry = Arc<Mutex<Shelf>>;

async fn shelve(
    registry: Registry,
    base: String,
    request: Request<Incoming>,
) -> Result<Response<Full<Bytes>>, Infallible> {
    let (head, body) = request.into_parts();
    let body = body.collect().await.map(http_body_util::Collected::to_bytes).unwrap_or_default();
    let path = head.uri.path().to_owned();
    let mut shelf = registry.lock().expect("a working loopback");
    shelf.credentials_seen |= head.headers.contains_key("Authorization") || head.headers.contains_key("Cookie");
    let answer = Response::builder();
    let answer = match head.method {
        Method::PUT => {
            let answer = answer.status(201).header("Location", format!("{base}{path}"));
            shelf.kept.insert(path, body);
            answer.body(Full::default())
        }
        Method::POST => answer.status(202).header("Location", format!("{base}{path}some-id")).body(Full::default()),
        _ => match shelf.kept.get(&path) {
            Some(bytes) if head.headers.get("Range").is_some() => answer.status(206).body(Full::from(bytes.slice(..2))),
            Some(bytes) => answer.header("Docker-Content-Digest", "sha256:00").body(Full::from(bytes.clone())),
            None => answer.status(404).body(Full::default()),
        },
    };
    Ok(answer.expect("a well-formed answer"))
}

/// Starts a registry and a stand-in in front of it, with project `p` and a robot that may push and pull there.
async fn front() -> (Harbor, Registry, String) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a working loopback");
    let base = format!("http://{}", listener.local_addr().expect("a working loopback"));
    let registry = Registry::default();
    let (shelf, own) = (registry.clone(), base.clone());
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let (shelf, own) = (shelf.clone(), own.clone());
            let service = service_fn(move |request| shelve(shelf.clone(), own.clone(), request));
            tokio::spawn(hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service));
        }
    });
    let harbor = Harbor::with(Options { registry: Some(base), ..Options::default() }).await;
    harbor.control("POST", "seed", json!({"projects": ["p"]})).await;
    let body = json!({
        "name": "ci", "level": "project", "duration": 30,
        "permissions": [{"kind": "project", "namespace": "p", "access": [{"resource": "repository", "action": "push"}]}],
    });
    let robot = json_of(&harbor.api("POST", "/robots", Some(body)).await);
    (harbor, registry, login_of(&robot))
}

#[tokio::test]
async fn what_a_robot_pushes_it_can_pull_and_the_registry_never_sees_its_login() {
    let (harbor, registry, robot) = front().await;
    let path = "/v2/p/app/manifests/v1";
    let missing = harbor.call(&robot, "GET", path, None).await;
    assert_eq!(json_of(&missing)["errors"][0]["message"], "repository p/app not found");
    let pushed = harbor.call(&robot, "PUT", path, Some(json!({"layers": []}))).await;
    assert_eq!(pushed.status, 201);
    assert_eq!(pushed.headers["Location"], format!("{}{path}", harbor.stand_in.url()));
    let pulled = harbor.call(&robot, "GET", path, None).await;
    assert_eq!((pulled.status, pulled.text().as_str()), (200, "{\"layers\":[]}"));
    assert_eq!(pulled.headers["Docker-Content-Digest"], "sha256:00");
    assert_eq!(pulled.headers.get_all("Date").iter().count(), 1);
    let other = harbor.call(&robot, "GET", "/v2/p/app/manifests/v2", None).await;
    assert_eq!(json_of(&other)["errors"][0]["message"], "artifact p/app:v2 not found");
    assert!(!registry.lock().unwrap().credentials_seen);
}

#[tokio::test]
async fn an_upload_comes_back_through_the_front() {
    let (harbor, _, robot) = front().await;
    let begun = harbor.call(&robot, "POST", "/v2/p/app/blobs/uploads/", None).await;
    assert_eq!(begun.status, 202);
    assert_eq!(begun.headers["Location"], format!("{}/v2/p/app/blobs/uploads/some-id", harbor.stand_in.url()));
}

#[tokio::test]
async fn a_mount_needs_the_right_to_pull_from_the_other_repository() {
    let (harbor, _, robot) = front().await;
    harbor.control("POST", "seed", json!({"projects": ["other"]})).await;
    let mount = |from: &str| format!("/v2/p/app/blobs/uploads/?mount=sha256:00&from={from}/x");
    assert_eq!(harbor.call(&robot, "POST", &mount("p"), None).await.status, 202);
    assert_eq!(harbor.call(&robot, "POST", &mount("other"), None).await.status, 401);
}

#[tokio::test]
async fn a_project_with_repositories_is_not_deleted_except_by_the_control() {
    let (harbor, _, robot) = front().await;
    harbor.call(&robot, "PUT", "/v2/p/app/manifests/v1", Some(json!({}))).await;
    let refused = harbor.api("DELETE", "/projects/p", None).await;
    assert_eq!(refused.status, 412);
    let error = &json_of(&refused)["errors"][0];
    assert_eq!(error["code"], "PRECONDITION");
    assert_eq!(error["message"], "precondition failed: the project contains repositories, can not be deleted");
    assert_eq!(json_of(&harbor.api("GET", "/projects/p", None).await)["repo_count"], 1);
    harbor.control("DELETE", "projects/p", Value::Null).await;
    assert_eq!(harbor.api("GET", "/projects/p", None).await.status, 404);
    assert!(!harbor.logs_in(&robot).await);
}

#[tokio::test]
async fn a_token_is_no_good_for_a_project_that_was_made_after_it() {
    let (harbor, _, _) = front().await;
    harbor.control("POST", "seed", json!({"projects": ["open"], "public": true})).await;
    let ask = "/service/token?service=harbor-registry&scope=repository:open/app:pull";
    let token = json_of(&harbor.call(ADMIN, "GET", ask, None).await)["token"].as_str().unwrap().to_owned();
    let pull = async || harbor.bearer(&token, "GET", "/v2/open/app/manifests/v1").await.status;
    assert_eq!(pull().await, 404);
    harbor.control("DELETE", "projects/open", Value::Null).await;
    harbor.control("POST", "advance", json!({"seconds": 2})).await;
    harbor.control("POST", "seed", json!({"projects": ["open"], "public": true})).await;
    assert_eq!(pull().await, 401);
}

#[tokio::test]
async fn a_token_outlives_its_robot_but_not_its_half_hour() {
    let (harbor, _, robot) = front().await;
    let ask = "/service/token?service=harbor-registry&scope=repository:p/app:pull";
    let token = json_of(&harbor.call(&robot, "GET", ask, None).await)["token"].as_str().unwrap().to_owned();
    let pull = async || harbor.bearer(&token, "GET", "/v2/p/app/manifests/v1").await.status;
    harbor.control("POST", "advance", json!({"seconds": 30 * 60})).await;
    assert_eq!(pull().await, 404);
    harbor.control("POST", "advance", json!({"seconds": 62})).await;
    assert_eq!(pull().await, 401);
}

#[tokio::test]
async fn tls_is_served_by_a_certificate_of_its_own_authority() {
    let harbor = Harbor::with(Options { tls: true, ..Options::default() }).await;
    let url = harbor.stand_in.url().to_owned();
    let host = url.strip_prefix("https://").expect("https").to_owned();
    let connect = async |trusted: bool, name: &'static str| {
        let mut roots = rustls::RootCertStore::empty();
        if trusted {
            let pem = harbor.stand_in.ca_pem().expect("an authority");
            roots.add(rustls::pki_types::CertificateDer::from_pem_slice(pem.as_bytes()).unwrap()).unwrap();
        }
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = rustls::ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        let stream = TcpStream::connect(&host).await.unwrap();
        tokio_rustls::TlsConnector::from(Arc::new(config)).connect(name.try_into().unwrap(), stream).await
    };
    assert!(connect(false, "127.0.0.1").await.is_err());
    assert!(connect(true, "localhost").await.is_ok());
    let stream = connect(true, "127.0.0.1").await.unwrap();
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.unwrap();
    let connection = tokio::spawn(connection);
    let request = Request::get("/v2/").header("Host", &host).body(Full::<Bytes>::default()).unwrap();
    let answer = sender.send_request(request).await.unwrap();
    let challenge = answer.headers()["Www-Authenticate"].to_str().unwrap().to_owned();
    assert!(challenge.starts_with(&format!("Bearer realm=\"https://{host}/service/token\"")), "{challenge}");
    connection.abort();
}
