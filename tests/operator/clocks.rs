//! Clocks that are wrong, and times from outside that make no sense: Harbor's clock jumps, a server lies about its own, a
//! margin does not fit into a life.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener};
use std::time::Duration;

use harbor_robot_operator::api::{HarborRegistry, RobotAccount};
use harbor_robot_world::eventually;
use jiff::SignedDuration;
use kube::api::{Api, PostParams};
use serde_json::{Value, json};

use crate::hands::changes;
use crate::rotation::{DAY, HOUR, expiry_of, note, status_of};
use crate::scene::{BOTH_LOGINS, LoginAs, SOON, Scene, Setting, condition};

/// A server whose clock is two hours before the last moment that can be told. The head of each answer comes two seconds
/// before its body, so that the moment passes while the operator waits.
fn year_9999() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let Ok(mut stream) = stream else { return };
            std::thread::spawn(move || {
                let mut request = Vec::new();
                let mut buffer = [0; 4096];
                while !request.windows(4).any(|end| end == b"\r\n\r\n") {
                    match stream.read(&mut buffer) {
                        Ok(count @ 1..) => request.extend_from_slice(&buffer[..count]),
                        _ => return,
                    }
                }
                let body = json!({"auth_mode": "db_auth", "harbor_version": "v2.16.0", "registry_url": "liar.example"});
                let body = body.to_string();
                let head = format!(
                    "HTTP/1.1 200 OK\r\nDate: Thu, 30 Dec 9999 22:00:00 GMT\r\nContent-Type: application/json\r\n\
                     Content-Length: {}\r\nConnection: close\r\n\r\n",
                    body.len()
                );
                let _ = stream.write_all(head.as_bytes());
                std::thread::sleep(Duration::from_secs(2));
                let _ = stream.write_all(body.as_bytes());
            });
        }
    });
    address
}

fn account(name: &str, namespace: &str, registry: Value, project: &str) -> RobotAccount {
    let account = json!({
        "apiVersion": "harbor-robots.io/v1alpha1", "kind": "RobotAccount",
        "metadata": {"name": name, "namespace": namespace},
        "spec": {"registryRef": registry, "project": project, "permissions": ["PullArtifacts"]},
    });
    serde_json::from_value(account).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_of_the_year_9999_stops_nobody() {
    let args = ["--private-registry-hosts=127.0.0.1", "--tenant-poll-interval=1s"].map(ToOwned::to_owned).to_vec();
    let mut scene = Scene::new(Setting { args, all_namespaces: true, ..Setting::default() }).await;
    let liar = scene.namespace_with("liar", &json!({}));
    scene.apply(json!({
        "apiVersion": "v1", "kind": "Secret",
        "metadata": {"name": "login", "namespace": liar, "labels": {"harbor-robots.io/use": "login"}},
        "stringData": {"username": "robot$liar", "password": "Secret-123456"},
    }));
    scene.apply(json!({
        "apiVersion": "harbor-robots.io/v1alpha1", "kind": "HarborRegistry",
        "metadata": {"name": "liar", "namespace": liar, "labels": {"scene": scene.registry}},
        "spec": {"url": format!("http://{}", year_9999()), "auth": {"secretRef": {"name": "login"}}, "pollInterval": "1s"},
    }));
    let registries: Api<HarborRegistry> = Api::namespaced(scene.client.clone(), &liar);
    let not_believed = || async {
        eventually("the registry says that its clock is not believed", SOON, || async {
            let status = registries.get("liar").await.map_err(|error| error.to_string())?.status.unwrap_or_default();
            let told = status.conditions.iter().any(|c| c.type_ == "ClockSkew" && c.reason == "ClockNotBelieved");
            if told { Ok(()) } else { Err(format!("{status:?}\n{}", scene.log())) }
        })
        .await;
    };
    not_believed().await;
    let accounts: Api<RobotAccount> = Api::namespaced(scene.client.clone(), &liar);
    let registry = json!({"kind": "HarborRegistry", "name": "liar"});
    accounts.create(&PostParams::default(), &account("ci", &liar, registry, "liar")).await.unwrap();
    eventually("the liar's account says what is wrong", SOON, || async {
        let account = accounts.get("ci").await.map_err(|error| error.to_string())?;
        let told = condition(&account, "Ready").is_some_and(|ready| ready.0 == "False");
        if told { Ok(()) } else { Err(format!("{:?}", account.status)) }
    })
    .await;
    scene.account("honest", json!({})).await;
    scene.settled("honest").await;

    assert!(scene.terminate().success(), "the process lives");
    scene.start();
    scene.account("later", json!({})).await;
    scene.settled("later").await;
    scene.logs_in("later").await;
    scene.sweeps(2).await;
    assert!(scene.terminate().success(), "and after a restart, too");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_default_margin_longer_than_a_life_makes_no_storm() {
    for strategy in ["InPlace", "Overlap"] {
        let rotation = json!({"rotation": {"strategy": strategy, "renewBefore": "10d"}});
        let scene = Scene::new(Setting { registry: json!({"defaults": rotation}), ..Setting::default() }).await;
        let names = ["a", "b", "c", "d"];
        for name in names {
            scene.account(name, json!({"expiresAfter": "1d"})).await;
        }
        for name in names {
            let account = scene.settled(name).await;
            let status = status_of(&account);
            let (due, made) = (status.renewal_time.unwrap(), status.robot.unwrap().creation_time);
            assert!(due >= made + SignedDuration::from_hours(15), "{strategy}: made at {made}, due at {due}");
            assert!(note(&account).contains("renewBefore"), "{}", note(&account));
        }
        // By the misfit margin all of them were due by now.
        scene.harbor.advance(15 * HOUR).await.unwrap();
        assert_eq!(changes(&scene.two_sweeps().await), 0);
        let former = scene.logs_in("a").await;
        scene.advance_to_renewal("a").await;
        scene.replaced("a", &former).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_life_given_by_a_clock_that_was_ahead_is_put_right() {
    for login in BOTH_LOGINS {
        for strategy in ["Overlap", "InPlace"] {
            let scene = Scene::new(Setting { login, ..Setting::default() }).await;
            let spec = json!({"expiresAfter": "1d", "rotation": {"strategy": strategy}});
            scene.account("ci", spec).await;
            scene.settled("ci").await;
            let former = scene.logs_in("ci").await;
            let jump = 200 * DAY;
            scene.harbor.advance(jump).await.unwrap();
            scene.replaced("ci", &former).await;
            scene.harbor.set_back(i64::try_from(jump).unwrap()).await.unwrap();
            eventually("its expiry is one that the spec allows", SOON, || async {
                let robot = scene.published("ci").await.ok_or("no robot")?;
                let left = expiry_of(&robot).ok_or("it never ends")?.duration_since(scene.harbor_now().await);
                let allowed = SignedDuration::ZERO..SignedDuration::from_hours(49);
                if allowed.contains(&left) {
                    Ok(())
                } else {
                    Err(format!("{login:?} {strategy}: {left:?} left: {robot}"))
                }
            })
            .await;
            scene.settled("ci").await;
            scene.logs_in("ci").await;
            if strategy == "InPlace" && login == LoginAs::Person {
                assert_eq!(scene.robots().await.len(), 1);
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_retry_after_of_a_week_costs_no_more_than_a_minute() {
    let scene = Scene::new(Setting::default()).await;
    let week = json!({"status": 503, "headers": {"Retry-After": "604800"}, "count": 0});
    scene.faults(json!([week])).await;
    scene.account("ci", json!({})).await;
    scene.account_is("not ready", "ci", |account| condition(account, "Ready").is_some_and(|c| c.0 == "False")).await;
    scene.faults(json!([])).await;
    eventually("it is Ready", Duration::from_mins(1), || async {
        let account = scene.get("ci").await;
        let ready = condition(&account, "Ready").is_some_and(|ready| ready.0 == "True");
        if ready { Ok(()) } else { Err(format!("{:?}", account.status)) }
    })
    .await;
    scene.logs_in("ci").await;
}
