//! How robots are listed and found, and how the project ids that this takes are learnt.

use std::time::Duration;

use harbor_robot_operator::domain::robot::Home;
use harbor_robot_operator::registry::Error;
use serde_json::json;

use super::stub::{Act, Stub, answer, error, json as json_answer};
use super::{client, library, new_robot, row};

/// A page of rows with its `X-Total-Count`.
fn page(total: usize, rows: &[serde_json::Value]) -> Act {
    answer(200, &[("X-Total-Count", &total.to_string())], &json!(rows).to_string())
}

fn project(id: i64, name: &str) -> Act {
    json_answer(200, &json!({"project_id": id, "name": name}))
}

#[tokio::test]
async fn a_list_is_read_page_by_page_by_id_and_counts_a_robot_once() {
    let stub = Stub::start(|request| match request.target.rsplit_once("&page=") {
        None => project(11, "library"),
        Some((_, "1&page_size=100")) => {
            page(201, &(0..100).map(|id| row(id, "library", &format!("r{id}"))).collect::<Vec<_>>())
        }
        // The last robot of the page before again, as when one was made meanwhile.
        Some((_, "2&page_size=100")) => {
            page(202, &(99..199).map(|id| row(id, "library", &format!("r{id}"))).collect::<Vec<_>>())
        }
        Some(_) => page(202, &[row(199, "library", "r199"), row(200, "library", "r200")]),
    })
    .await;
    let robots = client(&stub).list(&library()).await.unwrap();
    assert_eq!(robots.iter().map(|robot| robot.id).collect::<Vec<_>>(), (0..=200).collect::<Vec<_>>());
    let list = "GET /api/v2.0/robots?q=Level%3Dproject%2CProjectID%3D11&sort=id";
    let mut want = vec!["GET /api/v2.0/projects/library".to_owned()];
    want.extend((1..=3).map(|page| format!("{list}&page={page}&page_size=100")));
    assert_eq!(stub.lines(), want);
    assert_eq!(stub.seen()[0].header("x-is-resource-name"), Some("true"));
}

#[tokio::test]
async fn a_list_is_begun_anew_when_a_robot_vanished_while_it_was_read() {
    let system = |id: i64| {
        let mut row = row(id, "library", "x");
        row["level"] = json!("system");
        row["name"] = json!(format!("robot$s{id}"));
        row
    };
    let first: Vec<_> = (0..100).map(system).collect();
    let after: Vec<_> = (1..101).map(system).collect();
    let stub =
        Stub::script(vec![page(102, &first), page(101, &[system(101)]), page(101, &after), page(101, &[system(101)])]);
    let stub = stub.await;
    let robots = client(&stub).list(&Home::System).await.unwrap();
    assert_eq!(robots.len(), 101);
    assert_eq!(stub.lines()[0], "GET /api/v2.0/robots?sort=id&page=1&page_size=100");
}

#[tokio::test]
async fn a_list_of_system_robots_leaves_out_the_others_that_old_versions_mix_in() {
    let mut system = row(1, "library", "x");
    system["level"] = json!("system");
    let stub = Stub::always(page(2, &[system, row(2, "library", "y")])).await;
    let robots = client(&stub).list(&Home::System).await.unwrap();
    assert_eq!(robots.iter().map(|robot| robot.id).collect::<Vec<_>>(), [1]);
}

#[tokio::test]
async fn robots_too_large_for_a_page_of_a_hundred_are_read_by_tens() {
    let stub = Stub::start(|request| {
        if request.target.ends_with("page_size=100") {
            answer(200, &[], &format!("[\"{}\"]", "x".repeat(5 << 20)))
        } else if request.target.starts_with("/api/v2.0/projects") {
            project(11, "library")
        } else {
            page(1, &[row(1, "library", "ci")])
        }
    })
    .await;
    assert_eq!(client(&stub).list(&library()).await.unwrap().len(), 1);
}

/// Lets time pass for the client alone.
async fn pass(seconds: u64) {
    tokio::time::pause();
    tokio::time::advance(Duration::from_secs(seconds)).await;
    tokio::time::resume();
}

#[tokio::test]
async fn a_project_id_is_asked_for_once_and_after_a_while_again_when_its_list_is_empty() {
    let made_again = Stub::script(vec![
        project(11, "library"),
        page(0, &[]),
        page(1, &[row(1, "library", "ci")]),
        page(0, &[]),
        project(12, "library"),
        page(1, &[row(2, "library", "ci")]),
        page(0, &[]),
        project(12, "library"),
    ])
    .await;
    let client = client(&made_again);
    for (want, calls) in [(vec![], 2), (vec![1], 3), (vec![2], 6), (vec![], 8)] {
        let robots = client.list(&library()).await.unwrap();
        assert_eq!(robots.iter().map(|robot| robot.id).collect::<Vec<_>>(), want);
        assert_eq!(made_again.seen().len(), calls, "{:?}", made_again.lines());
        if calls > 2 {
            pass(11).await;
        }
    }
}

#[tokio::test]
async fn a_conflict_makes_the_client_look_for_the_project_anew() {
    let stub = Stub::script(vec![
        project(11, "library"),
        page(0, &[]),
        error(409, "CONFLICT", "robot account 12:library+ci already exists"),
        project(12, "library"),
        page(1, &[row(1, "library", "ci")]),
    ])
    .await;
    let client = client(&stub);
    assert_eq!(client.find(&library(), &["ci"]).await, Ok(vec![]));
    assert_eq!(client.create(&new_robot()).await.unwrap_err(), Error::Conflict);
    assert_eq!(client.find(&library(), &["ci"]).await.unwrap().len(), 1);
}

#[tokio::test]
async fn accounts_of_one_project_that_start_together_ask_for_its_id_once() {
    let stub = Stub::start(|request| {
        let asks_project = request.target.starts_with("/api/v2.0/projects");
        if asks_project { project(11, "library") } else { page(1, &[row(1, "library", "ci")]) }
    })
    .await;
    let (client, home) = (client(&stub), library());
    futures::future::join_all((0..20).map(|_| client.find(&home, &["ci"]))).await;
    assert_eq!(stub.lines().iter().filter(|line| line.starts_with("GET /api/v2.0/projects")).count(), 1);
}

#[tokio::test]
async fn the_ids_of_many_projects_come_from_the_list() {
    let projects: Vec<_> = (0..250).map(|id| json!({"project_id": id, "name": format!("p{id}")})).collect();
    let stub = Stub::start(move |request| {
        let id_of = |name: &str| name.trim_start_matches('p').parse::<i64>().unwrap();
        match (
            request.target.strip_prefix("/api/v2.0/projects/"),
            request.target.split_once("projects?with_detail=false&sort=project_id&page="),
        ) {
            (Some(name), _) => project(id_of(name), name),
            (_, Some((_, rest))) => {
                let page: usize = rest.split('&').next().unwrap().parse().unwrap();
                json_answer(200, &json!(projects.chunks(100).nth(page - 1).unwrap()))
            }
            _ => page(0, &[]),
        }
    })
    .await;
    let client = client(&stub);
    for id in 0..250 {
        assert_eq!(client.list(&Home::Project(format!("p{id}"))).await, Ok(vec![]));
    }
    assert_eq!(stub.seen().len(), 250 + 15 + 3);
}

#[tokio::test]
async fn a_project_id_that_now_means_another_project_is_asked_for_anew() {
    // As after a restore of Harbor's database.
    let stub = Stub::script(vec![
        project(11, "library"),
        page(1, &[row(1, "library", "ci")]),
        page(1, &[row(1, "other", "ci")]),
        project(3, "library"),
        page(1, &[row(9, "library", "ci")]),
    ])
    .await;
    let client = client(&stub);
    client.list(&library()).await.unwrap();
    assert_eq!(client.list(&library()).await.unwrap()[0].id, 9);
}

#[tokio::test]
async fn a_project_id_that_harbor_takes_for_none_is_not_kept() {
    let stub = Stub::script(vec![
        project(i64::MIN, "library"),
        error(422, "UNPROCESSABLE_ENTITY", "ProjectID must be a positive number"),
        project(3, "library"),
        page(1, &[row(9, "library", "ci")]),
    ])
    .await;
    assert_eq!(client(&stub).list(&library()).await.unwrap()[0].id, 9);
}

#[tokio::test]
async fn a_project_that_cannot_be_read_is_looked_for_in_the_list_and_then_by_head() {
    let forbidden = || error(403, "FORBIDDEN", "forbidden");
    let rows = |rows: serde_json::Value| json_answer(200, &rows);
    let listed = Stub::script(vec![
        forbidden(),
        rows(json!([{"project_id": 5, "name": "library2"}, {"project_id": 11, "name": "library"}])),
        page(1, &[row(1, "library", "ci")]),
    ])
    .await;
    assert_eq!(client(&listed).list(&library()).await.unwrap().len(), 1);
    assert_eq!(listed.lines()[1], "GET /api/v2.0/projects?q=name%3Dlibrary&page_size=100&with_detail=false");

    let head = |status| async move {
        let stub = Stub::script(vec![forbidden(), rows(json!([])), answer(status, &[], "")]).await;
        let error = client(&stub).list(&library()).await.unwrap_err();
        assert_eq!(stub.lines()[2], "HEAD /api/v2.0/projects?project_name=library");
        error
    };
    assert_eq!(head(200).await, Error::CannotListProjects("library".into()));
    assert_eq!(head(404).await, Error::ProjectNotFound("library".into()));

    let missing = Stub::always(error(404, "NOT_FOUND", "project library not found")).await;
    let error = client(&missing).list(&library()).await.unwrap_err();
    assert_eq!(error, Error::ProjectNotFound("library".into()));
}

#[tokio::test]
async fn names_that_harbor_cannot_have_are_never_sent() {
    let stub = Stub::always(page(0, &[])).await;
    let client = client(&stub);
    for project in ["../users", "a,Level=system", "A", ""] {
        let home = Home::Project(project.into());
        assert_eq!(client.list(&home).await, Err(Error::ProjectNotFound(project.into())));
    }
    assert_eq!(client.find(&Home::System, &["a} b", "x,Level=project", ""]).await, Ok(vec![]));
    assert!(stub.seen().is_empty());
}

#[tokio::test]
async fn robots_are_found_by_stored_name_in_one_call() {
    let stub = Stub::start(|request| {
        if request.target.starts_with("/api/v2.0/projects") {
            project(11, "library")
        } else {
            page(2, &[row(1, "library", "ci"), row(2, "library", "not-asked-for")])
        }
    })
    .await;
    let client = client(&stub);
    assert_eq!(client.name_prefix(), None);
    let robots = client.find(&library(), &["ci", "ci.b", "ci"]).await.unwrap();
    assert_eq!(robots.iter().map(|robot| robot.id).collect::<Vec<_>>(), [1]);
    assert_eq!(client.name_prefix().as_deref(), Some("robot$"));
    let names = "name%3D%7Blibrary%252Bci+library%252Bci.b%7D";
    let want =
        format!("GET /api/v2.0/robots?q=Level%3Dproject%2CProjectID%3D11%2C{names}&sort=id&page=1&page_size=100");
    assert_eq!(stub.lines()[1], want);
}
