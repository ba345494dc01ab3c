//! Which projects there are.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicUsize, Ordering};

use harbor_robot_operator::domain::robot::{Home, Scope};
use harbor_robot_operator::registry::Error;
use harbor_robot_operator::registry::harbor::Client;
use serde_json::{Value, json};

use super::stand_in::Harbor;
use super::stub::{Act, Stub, answer, error, json as json_answer};
use super::{client, client_of, config};

fn names(names: &[&str]) -> BTreeSet<String> {
    names.iter().map(ToString::to_string).collect()
}

/// A page of projects `p<id>` with its `X-Total-Count`.
fn page(total: usize, ids: impl IntoIterator<Item = i64>) -> Act {
    let rows: Vec<Value> =
        ids.into_iter().map(|id| json!({"project_id": id, "name": format!("p{id}"), "repo_count": 0})).collect();
    answer(200, &[("X-Total-Count", &total.to_string())], &json!(rows).to_string())
}

/// What a robot hears of `/users/current`.
fn is_robot() -> Act {
    error(412, "PRECONDITION", "get current user not available for security context: robot")
}

#[tokio::test]
async fn two_thousand_projects_are_read_page_by_page_and_their_ids_kept() {
    let harbor = Harbor::new().await;
    harbor.control("POST", "seed", json!({"projects": 2000, "robotsPerProject": 0})).await;
    harbor.calls().await;
    let projects = harbor.admin.projects().await.unwrap();
    assert!(projects.len() >= 2000, "{}", projects.len());
    let all: BTreeSet<String> = (0..2000).map(|at| format!("project-{at:05}")).collect();
    assert!(projects.is_superset(&all));
    let calls = harbor.calls().await;
    let pages = projects.len().div_ceil(100);
    assert_eq!(calls["GET /api/v2.0/projects"], pages, "{calls}");
    assert_eq!(calls["GET /api/v2.0/users/current"], 2, "{calls}");

    for project in ["project-00000", "project-01999"] {
        assert_eq!(harbor.admin.list(&Home::Project(project.into())).await, Ok(vec![]));
    }
    let calls = harbor.calls().await;
    assert_eq!(calls["GET /api/v2.0/robots"], 2);
    assert_eq!(calls.as_object().unwrap().len(), 1, "no project was asked for: {calls}");
}

#[tokio::test]
async fn projects_are_read_by_id_and_one_moved_to_the_next_page_counts_once() {
    let stub = Stub::start(|request| match request.target.rsplit_once("&page=") {
        None => is_robot(),
        Some((_, "1&page_size=100")) => page(201, 1..=100),
        Some((_, "2&page_size=100")) => page(202, 100..=199),
        Some(_) => page(202, 200..=201),
    })
    .await;
    assert_eq!(client(&stub).projects().await.unwrap(), (1..=201).map(|id| format!("p{id}")).collect());
    let list = "GET /api/v2.0/projects?with_detail=false&sort=project_id";
    let mut want = vec!["GET /api/v2.0/users/current".to_owned()];
    want.extend((1..=3).map(|page| format!("{list}&page={page}&page_size=100")));
    want.push(want[0].clone());
    assert_eq!(stub.lines(), want);
}

#[tokio::test]
async fn the_projects_are_read_anew_when_one_vanished_meanwhile() {
    let stub = Stub::script(vec![
        is_robot(),
        page(102, 1..=100),
        // One of the first page is gone, and the one that was first here is there now.
        page(101, [102]),
        page(101, 2..=101),
        page(101, [102]),
        is_robot(),
    ])
    .await;
    assert_eq!(client(&stub).projects().await.unwrap(), (2..=102).map(|id| format!("p{id}")).collect());
    assert_eq!(stub.seen().len(), 6);
}

#[tokio::test]
async fn a_list_of_projects_that_shrinks_for_ever_is_taken_the_third_time() {
    let total = AtomicUsize::new(900);
    let stub = Stub::start(move |request| match request.target.split_once("&page=") {
        None => is_robot(),
        Some((_, rest)) => {
            let first = 100 * rest.split('&').next().unwrap().parse::<i64>().unwrap();
            page(total.fetch_sub(100, Ordering::SeqCst), first..first + 100)
        }
    })
    .await;
    let found = client(&stub).projects().await.unwrap();
    assert_eq!((found.len(), stub.seen().len()), (300, 2 + 2 + 2 + 3), "{:?}", stub.lines());
}

#[tokio::test]
async fn a_list_of_projects_that_never_ends_is_given_up_and_says_so() {
    // Short names by their number, and long ones by their bytes.
    for (length, pages) in [(6, 321), (250, 84)] {
        let stub = Stub::start(move |request| {
            let Some((_, rest)) = request.target.split_once("&page=") else { return is_robot() };
            let page: i64 = rest.split('&').next().unwrap().parse().unwrap();
            let rows =
                (page * 100..(page + 1) * 100).map(|id| json!({"project_id": id, "name": format!("{id:0length$}")}));
            answer(200, &[("X-Total-Count", "99999999")], &json!(rows.collect::<Vec<_>>()).to_string())
        })
        .await;
        let mut config = config(&format!("http://{}", stub.address));
        config.requests_per_second = 100_000;
        let error = Client::new(config).unwrap().projects().await.unwrap_err();
        assert!(matches!(&error, Error::ListTooLong { what: "projects", .. }), "{error}");
        assert_eq!(stub.seen().len(), 1 + pages);
    }
}

#[tokio::test]
async fn a_login_sees_its_own_projects_and_the_public_ones_and_all_with_a_right_on_all() {
    let harbor = Harbor::new().await;
    harbor.seed(&["mine", "hidden"], &["shop-window"]).await;
    let all = harbor.admin.projects().await.unwrap();
    assert!(all.is_superset(&names(&["mine", "hidden", "shop-window"])));

    let own = (Scope::Project("mine".into()), "repository:pull");
    let (own, _) = harbor.robot("own", &[own]).await;
    let seen = own.projects().await.unwrap();
    assert!(seen.contains("mine") && seen.contains("shop-window") && !seen.contains("hidden"), "{seen:?}");
    for scope in [(Scope::AllProjects, "repository:pull"), (Scope::System, "project:list")] {
        let name = if scope.0 == Scope::System { "lister" } else { "star" };
        let (robot, _) = harbor.robot(name, &[scope]).await;
        assert_eq!(robot.projects().await.as_ref(), Ok(&all), "{name}");
    }
    let person = harbor.person("ann", &["hidden"]).await;
    let seen = person.projects().await.unwrap();
    assert!(seen.contains("hidden") && seen.contains("shop-window") && !seen.contains("mine"), "{seen:?}");
}

#[tokio::test]
async fn a_login_that_is_not_accepted_sees_no_projects_rather_than_the_public_ones() {
    let harbor = Harbor::new().await;
    harbor.seed(&["mine"], &["shop-window"]).await;
    for name in ["robot$nobody", "admin"] {
        assert_eq!(client_of(harbor.url(), name, "Wrong123").projects().await, Err(Error::Unauthorized), "{name}");
    }
    let (robot, id) = harbor.robot("own", &[(Scope::Project("mine".into()), "repository:pull")]).await;
    assert!(robot.projects().await.unwrap().contains("mine"));
    harbor.admin.delete(id).await.unwrap();
    assert_eq!(robot.projects().await, Err(Error::Unauthorized));

    // It was accepted before the list was read, and no more after.
    let stub = Stub::script(vec![is_robot(), page(1, [1]), error(401, "UNAUTHORIZED", "unauthorized")]).await;
    assert_eq!(client(&stub).projects().await, Err(Error::Unauthorized));
    assert_eq!(stub.seen().len(), 3);
}

#[tokio::test]
async fn every_login_is_told_whether_a_project_exists() {
    let harbor = Harbor::new().await;
    harbor.seed(&["mine", "hidden", "007"], &[]).await;
    let (robot, _) = harbor.robot("own", &[(Scope::Project("mine".into()), "repository:pull")]).await;
    let person = harbor.person("ann", &[]).await;
    for login in [&harbor.admin, &robot, &person] {
        for (project, exists) in [("mine", true), ("hidden", true), ("007", true), ("7", false), ("min", false)] {
            assert_eq!(login.project_exists(project).await, Ok(exists), "{project}");
        }
    }
    harbor.control("DELETE", "projects/hidden", json!({})).await;
    assert_eq!(robot.project_exists("hidden").await, Ok(false));
    assert_eq!(client_of(harbor.url(), "robot$no", "Wrong123").project_exists("mine").await, Err(Error::Unauthorized));
}

#[tokio::test]
async fn a_project_is_missing_only_if_harbor_itself_says_so() {
    let head = "HEAD /api/v2.0/projects?project_name=library";
    let get = "GET /api/v2.0/projects/library";
    let missing = || answer(404, &[], "");
    let ask = |acts: Vec<Act>| async {
        let stub = Stub::script(acts).await;
        let answer = client(&stub).project_exists("library").await;
        (answer, stub.lines())
    };
    assert_eq!(ask(vec![answer(200, &[], "")]).await, (Ok(true), vec![head.to_owned()]));
    for second in [error(404, "NOT_FOUND", "project library not found"), error(403, "FORBIDDEN", "forbidden")] {
        let (answer, lines) = ask(vec![missing(), second]).await;
        assert_eq!((answer, lines), (Ok(false), vec![head.to_owned(), get.to_owned()]));
    }
    let made = json_answer(200, &json!({"project_id": 1, "name": "library"}));
    assert_eq!(ask(vec![missing(), made]).await.0, Ok(true), "it was made in between");
    let (away, _) = ask(vec![missing(), answer(404, &[], "default backend - 404")]).await;
    assert!(matches!(away, Err(Error::BadAnswer { after_write: false, .. })), "{away:?}");
}

#[tokio::test]
async fn a_name_that_no_project_can_have_is_not_asked_for() {
    let stub = Stub::always(answer(200, &[], "")).await;
    let client = client(&stub);
    for project in ["", "../users", "a b", "A", "a&page=1", "é", &"a".repeat(256)] {
        assert_eq!(client.project_exists(project).await, Ok(false), "{project}");
    }
    assert!(stub.seen().is_empty());
}
