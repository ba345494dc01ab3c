//! Answers that are as large as the operator reads, or become larger than they are. One row at a time: what each of them
//! costs is measured.

use harbor_robot_faults::{Lie, Pace, Told};
use serde_json::{Value, json};

use std::time::{Duration, Instant};

use super::Row;
use super::lies::{always, answer, body, field_of, json as change, robot, to};
use super::played::{NEW, OLD, Played};
use super::stage::{SAID, Stage};
use super::transport::NO_HARBOR;
use super::world::is_chosen;
use harbor_robot_world::poll;

/// The most of an answer that is read, and a little less.
const LARGEST: usize = (4 << 20) - 4_096;

/// How long each lie lasts at least.
const TWO_POLLS: Duration = Duration::from_secs(6);

/// So many of a text that they fill an answer.
fn full_of(text: &str, share: usize) -> String {
    text.repeat(LARGEST / share / text.len())
}

fn array_of(text: &str) -> String {
    format!("[{}{text}]", full_of(&format!("{text},"), 1))
}

pub fn rows() -> Vec<Row> {
    let row = Row::new;
    let list = "GET robots";
    let permissions = || {
        to(list, |told| {
            change(told, |robots| {
                if let Some(robot) = robots.get_mut(0) {
                    robot["permissions"] = super::lies::raw(&array_of("{}"));
                }
            });
        })
    };
    vec![
        row("a robot with a million empty permissions", permissions(), NO_HARBOR),
        row("a robot with a million empty pairs", pairs("{}"), NO_HARBOR),
        row("a robot with a hundred thousand pairs", pairs(r#"{"resource":"a","action":"b"}"#), NO_HARBOR),
        row(
            "a page with forty thousand robots",
            Lie::Alter(std::sync::Arc::new(|asked, told| {
                if asked.operation == "GET robots" {
                    told.answer(200, robots(40_000, 0));
                }
            })),
            NO_HARBOR,
        ),
        row(
            "a list without an end",
            Lie::Alter(std::sync::Arc::new(|asked, told| {
                if asked.operation == "GET robots" {
                    let page = asked.path.split("&page=").nth(1).and_then(|rest| rest.split('&').next()?.parse().ok());
                    told.answer(200, robots(100, page.unwrap_or(0)));
                    told.set_header("X-Total-Count", "99999999");
                }
            })),
            // A thousand pages take longer than a row is played, and the accounts are served meanwhile.
            &[],
        ),
        row("an array of a million nothings", body(list, array_of("null")), NO_HARBOR),
        row("an array of a million arrays", body(list, array_of("[]")), NO_HARBOR),
        row(
            "permissions of four megabytes",
            body(
                "GET permissions",
                format!(
                    r#"{{"system":[],"project":[{{"resource":"repository","action":"pull"}},{}"#,
                    &array_of(r#"{"resource":"a","action":"b"}"#)[1..]
                ),
            ),
            &[],
        ),
        row("permissions that all differ", body("GET permissions", differing()), &[]),
        row(
            "a version of four megabytes",
            field_of("GET systeminfo", "harbor_version", json!(full_of("v2", 1))),
            NO_HARBOR,
        ),
        row("a user of four megabytes", field_of("GET users/current", "comment", json!(full_of("u", 1))), NO_HARBOR),
        row(
            "settings of four megabytes",
            to("GET configurations", |told| change(told, |all| all["x"] = json!(full_of("s", 1)))),
            NO_HARBOR,
        ),
        row(
            "a million settings",
            body("GET configurations", format!("{{{}\"z\":1}}", full_of("\"a\":{},", 1))),
            NO_HARBOR,
        ),
        row("a description of four megabytes", robot("description", json!(full_of("d", 1))), NO_HARBOR),
        row("a refusal of four megabytes", answer(400, format!("{{\"errors\":{}}}", array_of("{}"))), NO_HARBOR),
        row("four megabytes for each call, all at once", always(hold_back), NO_HARBOR),
        row("a header of four megabytes", always(|told| told.set_header("X-Large", full_of("h", 1))), NO_HARBOR),
    ]
}

/// Almost whole, and then nothing: what came stays in memory until the call is given up.
fn hold_back(told: &mut Told) {
    told.answer(200, format!("[\"{}\"]", full_of("x", 1)));
    told.pace = Pace::HangAt(99);
}

fn pairs(pair: &'static str) -> Lie {
    to("GET robots", move |told| {
        change(told, |robots| {
            if let Some(robot) = robots.get_mut(0) {
                robot["permissions"][0]["access"] = super::lies::raw(&array_of(pair));
            }
        });
    })
}

fn robots(count: usize, page: usize) -> String {
    let row = |n: usize| {
        json!({"id": page * 1_000 + n, "name": "robot$x+y", "level": "project", "creation_time": "2026-01-01T00:00:00Z",
               "permissions": [], "editable": false})
    };
    Value::from((0..count).map(row).collect::<Vec<_>>()).to_string()
}

fn differing() -> String {
    let known = json!({"resource": "repository", "action": "pull"});
    let pairs: Vec<Value> =
        (0..100_000).map(|n| json!({"resource": format!("r{n}"), "action": "a"})).chain([known]).collect();
    json!({"system": [], "project": pairs}).to_string()
}

/// Plays the rows one after the other.
///
/// # Panics
/// When something did not hold.
pub async fn play() {
    let rows: Vec<Row> = rows().into_iter().filter(|row| is_chosen(row.name)).collect();
    if rows.is_empty() {
        return;
    }
    let mut stage = Stage::set("memory", rows).await;
    for at in 0..stage.rows.len() {
        stage.world.count_memory();
        let Stage { world, rows } = &mut stage;
        let played: &Played = &rows[at];
        let begun = Instant::now();
        played.begin(&world.scene).await;
        let scene = &world.scene;
        let said = poll("says what is wrong", SAID, || async {
            let said = played.said(scene, &[OLD, NEW]).await;
            if said.fits(&played.row) { Ok(()) } else { Err(format!("{:?}", said.problems)) }
        });
        let said = said.await;
        // Whatever was said first, lists are asked for as well.
        tokio::time::sleep_until((begun + TWO_POLLS).into()).await;
        let (name, problems) = (played.row.name, played.said(scene, &[OLD, NEW]).await.problems);
        if let Err(error) = said {
            world.failed(name, error);
        }
        world.remembers(&format!("{name}; {}", problems.join(", ")));
        world.others_are_served(name).await;
        played.liar.tell_the_truth();
    }
    stage.truth().await;
    stage.world.end();
}
