//! Answers whose JSON is none, is another one, or says what cannot be.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use harbor_robot_faults::{Asked, Lie, Told};
use serde_json::{Value, json};

use super::Row;
use super::lies::{always, answer, body, created, field_of, json, robot, robots, to};
use super::transport::NO_HARBOR;

const INFO: &str = "GET systeminfo";
const LIST: &str = "GET robots";
const USER: &str = "GET users/current";
const SETTINGS: &str = "GET configurations";
const CREATE: &str = "POST robots";
const RENEW: &str = "PATCH robots/{id}";

pub fn rows() -> Vec<Row> {
    let row = Row::new;
    let in_place = json!({"rotation": {"strategy": "InPlace"}});
    vec![
        row("a page of a proxy", answer(200, "<html>log in to the network</html>"), NO_HARBOR),
        row("an empty body", answer(200, ""), NO_HARBOR),
        row("null", answer(200, "null"), NO_HARBOR),
        row("an empty list", answer(200, "[]"), NO_HARBOR),
        row("an empty object", answer(200, "{}"), NO_HARBOR),
        row("half of the JSON", always(|told| told.body.truncate(told.body.len() / 2)), NO_HARBOR),
        row("twice the JSON", always(|told| told.body = told.body.repeat(2)), NO_HARBOR),
        row("a hundred thousand brackets", answer(200, "[".repeat(100_000)), NO_HARBOR),
        row("every key twice", always(doubled), NO_HARBOR),
        row(
            "NUL and control characters in robots",
            robots(|robot| robot["name"] = json!("robot$\0\u{1b}[2J+\u{202e}")),
            NO_HARBOR,
        ),
        row("bytes that are no UTF-8", always(|told| told.body.iter_mut().for_each(|byte| *byte |= 0x80)), NO_HARBOR),
        row(
            "names of robots that lead elsewhere",
            robots(|robot| robot["name"] = json!("robot$../../x%2f+..")),
            NO_HARBOR,
        ),
        row(
            "robots of another project",
            robots(|robot| robot["permissions"][0]["namespace"] = json!("library")),
            NO_HARBOR,
        ),
        row("robots of another level", robot("level", json!("galaxy")), &[]),
        row(
            "robots that are not of this project",
            robots(|robot| robot["name"] = json!("robot$library+ci")),
            NO_HARBOR,
        ),
        row(
            "robots of an effect that nobody knows",
            robots(|robot| robot["permissions"][0]["access"][0]["effect"] = json!("deny")),
            &[],
        ),
        row("robots without permissions", robot("permissions", json!([])), &[]),
        row("no robot at all", body(LIST, "[]"), &["Conflict"]),
        row("every robot is disabled", robot("disable", json!(true)), &["Conflict"]),
        row("every robot is of the oldest kind", robot("editable", json!(false)), &[]),
        row("a description of a megabyte", robot("description", json!("d".repeat(1 << 20))), NO_HARBOR),
        row("marks of other clusters", robot("description", mark("u-1 other/team/ci")), &["NameTaken"]),
        row(
            "marks whose account has no possible name",
            robot("description", mark("u-1 hostile/team/a<")),
            &["NameTaken"],
        ),
        row("a mark of nothing but slashes", robot("description", mark("u-1 ////////")), &["NameTaken"]),
        row("another prefix in every name", robots(|robot| replace(robot, "name", "robot$", "bot~")), &[]),
        row(
            "another prefix in the settings",
            to(SETTINGS, |told| json(told, |all| all["robot_name_prefix"]["value"] = json!("x+"))),
            &[],
        ),
        row(
            "a prefix of a megabyte",
            to(SETTINGS, |told| json(told, |all| all["robot_name_prefix"]["value"] = json!("p".repeat(1 << 20)))),
            NO_HARBOR,
        ),
        row("a created robot has no secret", created("secret", json!("")), NO_HARBOR),
        row("a created robot has a secret of 900 KB", created("secret", json!("Aa1".repeat(300_000))), NO_HARBOR),
        row(
            "a created robot's secret has line ends and NUL",
            created("secret", json!("Aa1\r\nX: y\0\u{7}\"}")),
            NO_HARBOR,
        ),
        row("a created robot has the name of another", created("name", json!("robot$library+ci")), NO_HARBOR),
        row(
            "a created robot's name leads elsewhere",
            created("name", json!("robot$../../../etc+%2e%2e%2f")),
            NO_HARBOR,
        ),
        row("a created robot has no name", created("name", json!("")), NO_HARBOR),
        row(
            "a created robot is one of an hour ago",
            created("creation_time", json!("2020-01-01T00:00:00.000Z")),
            &["RepairsPaused"],
        ),
        row(
            "creation is said to clash",
            to(CREATE, |told| refuse(told, 409, "CONFLICT", "robot account exists")),
            &["Conflict"],
        ),
        row("creation is said to be done with nothing", body(CREATE, ""), NO_HARBOR),
        row("a renewal without a secret", body(RENEW, "{}"), NO_HARBOR).with(in_place.clone()),
        row("a renewal with a secret of 900 KB", field_of(RENEW, "secret", json!("Aa1".repeat(300_000))), NO_HARBOR)
            .with(in_place.clone()),
        row("a renewal that fails each time", to(RENEW, |told| told.answer(500, "")), NO_HARBOR).with(in_place),
        row(
            "the version is a megabyte",
            field_of(INFO, "harbor_version", json!("v2.16.0-".repeat(1 << 17))),
            NO_HARBOR,
        ),
        row("the version is none", field_of(INFO, "harbor_version", json!("v99999999999999999999.-1.x")), &[]),
        row(
            "registry_url is somebody else's",
            field_of(INFO, "registry_url", json!("ghcr.io")),
            &["RegistryHostChanged"],
        ),
        row("registry_url leads elsewhere", field_of(INFO, "registry_url", json!("https://user:pw@h/../x?y#z")), &[]),
        row("registry_url has line ends", field_of(INFO, "registry_url", json!("h\r\n\0h")), &[]),
        row("registry_url is a megabyte", field_of(INFO, "registry_url", json!("h".repeat(1 << 20))), NO_HARBOR),
        row("registry_url is empty", field_of(INFO, "registry_url", json!("")), &[]),
        row("registry_url is a list", field_of(INFO, "registry_url", json!(["h"])), NO_HARBOR),
        row("three hundred resources with permissions", body("GET permissions", catalogue(300)), &[]),
        row("no permissions at all", body("GET permissions", r#"{"system":[],"project":[]}"#), &[]),
        row("the login is a person in every other answer", every_other(USER, 412, ""), &[]),
        row("the login is refused in every other answer", every_other(LIST, 401, ""), &[]),
        row("the login is refused", answer(401, error("UNAUTHORIZED", "unauthorized")), NO_HARBOR),
        row("everything is forbidden", answer(403, error("FORBIDDEN", "forbidden")), NO_HARBOR),
        row("everything is missing", answer(404, error("NOT_FOUND", "path was not found")), NO_HARBOR),
        row("a refusal of a megabyte", answer(400, error("BAD_REQUEST", &"no ".repeat(350_000))), NO_HARBOR),
        row(
            "a refusal with a million errors",
            answer(400, format!("{{\"errors\":[{}{{}}]}}", "{},".repeat(1_000_000))),
            NO_HARBOR,
        ),
        row(
            "a refusal that repeats the password",
            answer(400, error("BAD_REQUEST", "Harbor12345 is your password")),
            NO_HARBOR,
        ),
        row(
            "a project that is gone",
            to("GET projects/{project}", |told| refuse(told, 404, "NOT_FOUND", "project x not found")),
            &["ProjectNotFound"],
        ),
        row("a project that is another", field_of("GET projects/{project}", "name", json!("../../x")), NO_HARBOR),
    ]
}

fn error(code: &str, message: &str) -> String {
    json!({"errors": [{"code": code, "message": message}]}).to_string()
}

fn refuse(told: &mut Told, status: u16, code: &str, message: &str) {
    told.answer(status, error(code, message));
}

fn mark(inside: &str) -> Value {
    json!(format!("x [harbor-robots.io/v1 {inside}]"))
}

fn replace(robot: &mut Value, field: &str, from: &str, by: &str) {
    robot[field] = json!(robot[field].as_str().unwrap_or_default().replace(from, by));
}

/// Says each key of each object again, with another value.
fn doubled(told: &mut Told) {
    let text = String::from_utf8_lossy(&told.body).replace("{\"", "{\"id\":0,\"name\":[],\"");
    told.body = text.into_bytes();
}

fn catalogue(resources: usize) -> String {
    let pairs: Vec<Value> = (0..resources)
        .flat_map(|n| {
            ["create", "delete", "list"].map(|action| json!({"resource": format!("resource-{n}"), "action": action}))
        })
        .collect();
    let known = vec![json!({"resource": "repository", "action": "pull"})];
    let project = [known, pairs.clone()].concat();
    json!({"system": pairs, "project": project}).to_string()
}

/// Every second answer to an operation is this one.
fn every_other(operation: &'static str, status: u16, body: &'static str) -> Lie {
    let count = AtomicU64::new(0);
    Lie::Alter(Arc::new(move |asked: &Asked, told: &mut Told| {
        if asked.operation == operation && count.fetch_add(1, Ordering::Relaxed).is_multiple_of(2) {
            told.answer(status, body);
        }
    }))
}
