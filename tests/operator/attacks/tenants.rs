//! Registries of a namespace: whoever makes one lets the operator connect to a server of their choice, from inside.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use harbor_robot_operator::api::HarborRegistry;
use harbor_robot_world::eventually;
use kube::api::Api;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

use super::Table;
use super::stage::Stage;
use crate::robot_login::{SEES_ITSELF, operator_robot};
use crate::scene::{LoginAs, SOON, Scene, Setting, condition, merge, system_robots_serve};

/// A robot's name, so that no session is opened before the first call.
const LOGIN: &str = "robot$tenant";

async fn stage(args: &[&str]) -> Stage {
    let setting = Setting {
        registry: json!({"pollInterval": "1h", "grants": []}),
        args: args.iter().chain(&["--tenant-registries=100"]).map(ToString::to_string).collect(),
        login: LoginAs::Person,
        all_namespaces: true,
        ..Setting::default()
    };
    let stage = Stage::new(Scene::new(setting).await).await;
    let login = json!({
        "metadata": {"labels": {"harbor-robots.io/use": "login"}},
        "stringData": {"username": LOGIN, "password": "Made-up-1"},
    });
    stage.attack(&stage.secret("own-login", login)).await;
    stage
}

/// A registry of a namespace; `spec` is merged over one with the attacker's login.
fn registry(stage: &Stage, namespace: &str, name: &str, spec: &Value) -> Value {
    let mut whole = json!({"url": "https://registry.invalid", "auth": {"secretRef": {"name": "own-login"}}});
    merge(&mut whole, spec);
    json!({
        "apiVersion": "harbor-robots.io/v1alpha1", "kind": "HarborRegistry",
        "metadata": {"name": name, "namespace": namespace, "labels": {"scene": stage.scene.registry}}, "spec": whole,
    })
}

/// Type, status, reason and message of all conditions once the registry was tried, without its name.
async fn told(stage: &Stage, name: &str) -> Value {
    let api: Api<HarborRegistry> = Api::namespaced(stage.scene.client.clone(), &stage.scene.namespace);
    let status = eventually(&format!("registry {name} was tried"), SOON, || async {
        let found = api.get(name).await.map_err(|error| error.to_string())?;
        let status = found.status.unwrap_or_default();
        let settled = status.observed_generation == found.metadata.generation
            && !status.conditions.iter().any(|condition| condition.reason == "RegistryNotReady");
        if settled && !status.conditions.is_empty() { Ok(status) } else { Err(format!("{status:?}")) }
    })
    .await;
    let key = format!("{}/{name}", stage.scene.namespace);
    let mut status = serde_json::to_value(status).unwrap();
    status.as_object_mut().unwrap().remove("observedGeneration");
    for condition in status["conditions"].as_array_mut().unwrap() {
        let message = condition["message"].as_str().unwrap().replace(&key, "…");
        condition["message"] = json!(message);
        for moment in ["lastTransitionTime", "observedGeneration"] {
            condition.as_object_mut().unwrap().remove(moment);
        }
    }
    // After a start accounts become known one by one.
    status
        .as_object_mut()
        .unwrap()
        .retain(|key, _| !["accountCount", "clusterName", "orphanCount", "unmanagedRobots"].contains(&key.as_str()));
    status
}

/// The one text for whatever is not a Harbor, or out of reach.
fn unreachable() -> Value {
    let message = "registry …: no Harbor answers at spec.url, or it may not be reached from here";
    json!({"conditions": [{"type": "Ready", "status": "False", "reason": "Unreachable", "message": message}]})
}

/// A server that answers every request with this text; counts connections.
pub(super) async fn server(answer: String) -> (u16, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let count = Arc::new(AtomicUsize::new(0));
    let seen = Arc::clone(&count);
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            seen.fetch_add(1, Ordering::Relaxed);
            let answer = answer.clone();
            tokio::spawn(async move {
                let _ = stream.read(&mut [0; 4096]).await;
                let _ = stream.write_all(answer.as_bytes()).await;
            });
        }
    });
    (port, count)
}

pub(super) fn answer(status: &str, headers: &str, body: &str) -> String {
    let length = body.len();
    format!("HTTP/1.1 {status}\r\nContent-Length: {length}\r\nConnection: close\r\n{headers}\r\n{body}")
}

/// How often the stand-in was asked with the attacker's login.
async fn asked_by_tenant(stage: &Stage) -> usize {
    stage.scene.harbor.calls().await.unwrap().calls.iter().filter(|call| call.login == LOGIN).count()
}

pub async fn out_of_reach() -> Table {
    let mut table = Table::default();
    let stage = stage(&[]).await;
    let (port, connections) = server(answer("200 OK", "", "{}")).await;
    let harbor = stage.scene.harbor.url.rsplit(':').next().unwrap().to_owned();
    let api_server = stage.scene.plane.server.clone();
    let inside = [
        // The machine that the operator runs on.
        format!("http://127.0.0.1:{harbor}"),
        format!("http://127.0.0.1:{port}"),
        format!("http://127.1:{port}"),
        format!("http://0x7f.1:{port}"),
        format!("http://0x7f000001:{port}"),
        format!("http://2130706433:{port}"),
        format!("http://0177.0.0.1:{port}"),
        format!("http://0:{port}"),
        format!("http://127.255.0.1:{port}"),
        format!("http://localhost:{port}"),
        format!("http://LocalHost:{port}"),
        format!("http://[::1]:{port}"),
        format!("http://[::]:{port}"),
        format!("http://[::ffff:127.0.0.1]:{port}"),
        format!("http://[::ffff:7f00:1]:{port}"),
        format!("http://[64:ff9b::127.0.0.1]:{port}"),
        format!("http://[2002:7f00:1::]:{port}"),
        // The API server, with the operator's own network position.
        api_server.clone(),
        api_server.replace("https://127.0.0.1", "https://localhost"),
        // Where clouds tell a machine its credentials.
        "http://169.254.169.254".to_owned(),
        "http://2852039166".to_owned(),
        "http://0xa9fea9fe".to_owned(),
        "http://[fd00:ec2::254]".to_owned(),
        "http://[::ffff:169.254.169.254]".to_owned(),
        "http://168.63.129.16".to_owned(),
        "http://100.100.100.200".to_owned(),
        // Private networks.
        "https://10.0.0.1".to_owned(),
        "https://172.16.0.1".to_owned(),
        "https://192.168.0.1".to_owned(),
        "https://[fd00::1]".to_owned(),
        "https://[fe80::1]".to_owned(),
        // What no address has.
        "https://no-such-name.invalid".to_owned(),
    ];
    for (n, url) in inside.iter().enumerate() {
        let name = format!("r{n}");
        stage.attack(&registry(&stage, &stage.scene.namespace, &name, &json!({"url": url}))).await;
    }
    for (n, url) in inside.iter().enumerate() {
        let shown = url.replace(&port.to_string(), "…").replace(&harbor, "…");
        table
            .row(format!("out of reach: {shown}"), async {
                assert_eq!(told(&stage, &format!("r{n}")).await, unreachable());
            })
            .await;
    }
    table
        .row("nothing out of reach has seen a connection", async {
            assert_eq!(connections.load(Ordering::Relaxed), 0);
            assert_eq!(asked_by_tenant(&stage).await, 0);
        })
        .await;
    table
}

pub async fn within_reach() -> Table {
    let mut table = Table::default();
    let allowed = ["--private-registry-hosts=127.0.0.1,localhost", "--tenant-poll-interval=1s"];
    let stage = stage(&allowed).await;
    other_servers(&mut table, &stage).await;
    table.row("a redirect leads nowhere", is_not_redirected(&stage)).await;
    table.row("the registry of another namespace by name", uses_the_victims(&stage)).await;
    table.row("the operator's login by its name", uses_the_operators_login(&stage)).await;
    table.row("a token of a ServiceAccount as CA is not told", token_as_ca(&stage)).await;
    table.row("a registry of a namespace is nobody's default", is_a_default(&stage)).await;
    table.row("a glob from Harbor itself as registry host", glob_from_harbor(&stage)).await;
    table.row("the operator's expired login is not named to tenants", login_expires()).await;
    table
}

/// Whoever learned why could map the network: every answer that is no Harbor's says the same.
async fn other_servers(table: &mut Table, stage: &Stage) {
    let of_harbor = |text: &str| json!({"errors": [{"code": "X", "message": text}]}).to_string();
    let huge = format!("[\"{}\"]", "x".repeat(8 << 20));
    let answers = [
        ("a page", answer("200 OK", "", "<html>intranet</html>")),
        ("JSON of something else", answer("200 OK", "", r#"["internal"]"#)),
        ("a huge answer", answer("200 OK", "", &huge)),
        ("no HTTP", "SSH-2.0-OpenSSH_9.9\r\n".to_owned()),
        ("nothing", String::new()),
        ("404", answer("404 Not Found", "", "no such page")),
        ("404 in Harbor's form", answer("404 Not Found", "", &of_harbor("internal"))),
        ("401", answer("401 Unauthorized", "WWW-Authenticate: Basic realm=\"internal\"\r\n", "")),
        ("401 in Harbor's form", answer("401 Unauthorized", "", &of_harbor("unauthorized"))),
        ("403 with a text", answer("403 Forbidden", "", r#"{"message": "internal"}"#)),
        ("403 in Harbor's form", answer("403 Forbidden", "", &of_harbor("internal"))),
        ("400 in Harbor's form", answer("400 Bad Request", "", &of_harbor("internal"))),
        ("409", answer("409 Conflict", "", "")),
        ("429 with a wait", answer("429 Too Many Requests", "Retry-After: 1\r\n", "")),
        ("503", answer("503 Service Unavailable", "", "")),
        ("500 in Harbor's form", answer("500 Internal Server Error", "", &of_harbor("internal"))),
        ("another time of day", answer("500 No", "Date: Thu, 01 Jan 2026 00:00:00 GMT\r\n", "")),
        ("another time of day with a page", answer("200 OK", "Date: Thu, 01 Jan 2026 00:00:00 GMT\r\n", "page")),
    ];
    let mut cases: Vec<(String, String)> = Vec::new();
    for (name, text) in answers {
        let (port, _) = server(text).await;
        cases.push((format!("a server that answers {name}"), format!("http://127.0.0.1:{port}")));
    }
    let closed = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap().port();
    cases.push(("a closed port".to_owned(), format!("http://127.0.0.1:{closed}")));
    cases.push(("a certificate of nobody's".to_owned(), stage.scene.plane.server.clone()));
    cases.push(("TLS where there is none".to_owned(), stage.scene.harbor.url.replace("http:", "https:")));
    cases.push(("an address that is not allowed".to_owned(), "https://10.0.0.1".to_owned()));
    for (n, (_, url)) in cases.iter().enumerate() {
        let manifest = registry(stage, &stage.scene.namespace, &format!("s{n}"), &json!({"url": url}));
        stage.attack(&manifest).await;
    }
    for (n, (name, _)) in cases.iter().enumerate() {
        let check = async { assert_eq!(told(stage, &format!("s{n}")).await, unreachable()) };
        table.row(format!("told nothing: {name}"), check).await;
    }
}

/// Not even to a host that is allowed itself.
async fn is_not_redirected(stage: &Stage) {
    let (target, connections) = server(answer("200 OK", "", "{}")).await;
    for (n, status) in ["301 Moved", "302 Found", "307 Temporary Redirect", "308 Permanent Redirect"].iter().enumerate()
    {
        let to = format!("Location: http://localhost:{target}/api/v2.0/users/current\r\n");
        let (port, asked) = server(answer(status, &to, "")).await;
        let name = format!("redirect-{n}");
        let spec = json!({"url": format!("http://127.0.0.1:{port}")});
        stage.attack(&registry(stage, &stage.scene.namespace, &name, &spec)).await;
        assert_eq!(told(stage, &name).await, unreachable());
        assert!(asked.load(Ordering::Relaxed) > 0, "the first server is allowed");
    }
    assert_eq!(connections.load(Ordering::Relaxed), 0, "a redirect was followed");
}

async fn uses_the_victims(stage: &Stage) {
    let login = json!({
        "apiVersion": "v1", "kind": "Secret",
        "metadata": {"name": "own-login", "namespace": stage.victim, "labels": {"harbor-robots.io/use": "login"}},
        "stringData": {"username": stage.scene.login.name, "password": stage.scene.login.secret},
    });
    stage.scene.apply(login);
    stage.scene.apply(registry(stage, &stage.victim, "victims", &json!({"url": stage.scene.harbor.url})));
    let api: Api<HarborRegistry> = Api::namespaced(stage.scene.client.clone(), &stage.victim);
    eventually("the victim's registry works", SOON, || async {
        let status = api.get("victims").await.map_err(|error| error.to_string())?.status.unwrap_or_default();
        let ready = status.conditions.iter().any(|c| c.type_ == "Ready" && c.status == "True");
        if ready { Ok(()) } else { Err(format!("{status:?}")) }
    })
    .await;
    let before = stage.look().await;
    let spec = json!({"registryRef": {"kind": "HarborRegistry", "name": "victims"}});
    stage.attack(&stage.account("thief", &spec)).await;
    let message = stage.says("thief", "Ready", "False", "RegistryNotFound").await;
    assert_eq!(message, "HarborRegistry victims does not exist in this namespace");
    stage.nothing_happened(&before).await;
}

/// The operator's own is `login`, in its namespace.
async fn uses_the_operators_login(stage: &Stage) {
    let spec = json!({"url": stage.scene.harbor.url, "auth": {"secretRef": {"name": "login"}}});
    let before = stage.look().await;
    stage.attack(&registry(stage, &stage.scene.namespace, "borrowed", &spec)).await;
    let status = told(stage, "borrowed").await.to_string();
    assert!(status.contains("CredentialsMissing"), "{status}");
    stage.tells_nothing(&status);
    stage.nothing_happened(&before).await;
}

async fn token_as_ca(stage: &Stage) {
    let annotations = json!({"kubernetes.io/service-account.name": "attacker"});
    let labels = json!({"harbor-robots.io/use": "ca"});
    let metadata = json!({"annotations": annotations, "labels": labels});
    let token = json!({"type": "kubernetes.io/service-account-token", "metadata": metadata});
    stage.scene.apply(stage.secret("sa-token", token));
    let filled = stage
        .scene
        .secret_is("filled", "sa-token", |secret| secret.data.as_ref().is_some_and(|data| data.contains_key("token")));
    let token = crate::hands::text(&filled.await, "token").unwrap();
    let source = json!({"caCertificatesRef": {"kind": "Secret", "name": "sa-token", "key": "token"}});
    let spec = json!({"url": "https://localhost:1", "tls": source});
    stage.attack(&registry(stage, &stage.scene.namespace, "token-ca", &spec)).await;
    let status = told(stage, "token-ca").await.to_string();
    assert!(token.split('.').all(|part| !status.contains(part)), "{status}");
    assert!(token.split('.').all(|part| !stage.scene.log().contains(part)), "the log holds a token");
}

/// Accounts of all namespaces that name no registry would use the attacker's.
async fn is_a_default(stage: &Stage) {
    let mut own = registry(stage, &stage.scene.namespace, "default", &json!({"url": stage.scene.harbor.url}));
    own["metadata"]["annotations"] = json!({"harbor-robots.io/is-default": "true"});
    stage.attack(&own).await;
    told(stage, "default").await;
    let before = asked_by_tenant(stage).await;
    stage.scene.apply(stage.account_in(&stage.victim, "defaulted", &json!({"registryRef": null})));
    // Another scene may have a default of the whole cluster: the attacker's is not it.
    let accounts: Api<harbor_robot_operator::api::RobotAccount> =
        Api::namespaced(stage.scene.client.clone(), &stage.victim);
    let account = eventually("the account is told something", SOON, || async {
        let account = accounts.get("defaulted").await.map_err(|error| error.to_string())?;
        if condition(&account, "Ready").is_some() { Ok(account) } else { Err(format!("{:?}", account.status)) }
    })
    .await;
    let (status, reason, message) = condition(&account, "Ready").unwrap();
    assert_eq!((status.as_str(), reason.as_str()), ("False", "RegistryNotFound"));
    assert!(!message.contains(&stage.scene.namespace), "{message}");
    let after = stage.scene.harbor.calls().await.unwrap().calls;
    let robots = after.iter().filter(|call| call.login == LOGIN && call.path.contains("robots")).count();
    assert_eq!(robots, 0, "{before}");
}

/// A kubelet would send the credential to any server.
async fn glob_from_harbor(stage: &Stage) {
    for (n, host) in ["*", "*.example", "registry.[a-z]xample", "https://x/y"].iter().enumerate() {
        let body = json!({"harbor_version": "v2.13.0-1", "registry_url": host, "sysadmin_flag": false}).to_string();
        let (port, _) = server(answer("200 OK", "Content-Type: application/json\r\n", &body)).await;
        let name = format!("glob-{n}");
        let spec = json!({"url": format!("http://127.0.0.1:{port}")});
        stage.attack(&registry(stage, &stage.scene.namespace, &name, &spec)).await;
        let status = told(stage, &name).await.to_string();
        assert!(status.contains("RegistryHostInvalid"), "{host}: {status}");
        let spec = json!({"registryRef": {"kind": "HarborRegistry", "name": name}});
        stage.attack(&stage.account(&format!("of-{name}"), &spec)).await;
        stage.says(&format!("of-{name}"), "Ready", "False", "RegistryHostInvalid").await;
        assert!(stage.scene.secret(&format!("of-{name}")).await.is_none());
    }
}

/// The registry's own status says which login it was and where it is; accounts of tenants do not.
async fn login_expires() {
    if !system_robots_serve() {
        return;
    }
    let setting = Setting { login: LoginAs::Robot, all_namespaces: true, ..Setting::default() };
    let mut scene = Scene::without_operator(setting).await;
    let brief = operator_robot(&scene, "brief-login", "", &SEES_ITSELF, 3).await;
    scene.write_login(&brief);
    scene.start();
    scene.registry_is("Ready", "True").await;
    scene.account("ci", json!({"expiresAfter": "90d"})).await;
    scene.settled("ci").await;
    scene.harbor.advance(4 * 86_400).await.unwrap();
    assert!(scene.registry_reason_is("CredentialsRejected").await.contains(&brief.name));
    // A change of the account is met by what stands in its way.
    scene.edit("ci", json!({"description": "again"})).await;
    let message = scene.reason_is("ci", "Synced", "False", "CredentialsRejected").await;
    assert!(!message.contains(&brief.name) && !message.contains("Secret login"), "{message}");
}
