//! Times and numbers at both ends of their types.

use harbor_robot_faults::Lie;
use serde_json::{Value, json};

use super::Row;
use super::lies::{created, date, field_of, header, raw, robot, wait};
use super::transport::NO_HARBOR;

/// The last moment that the operator's own type of times holds, and the first.
const LAST: &str = "9999-12-30T22:00:00.999Z";
const FIRST: &str = "-009999-01-02T01:59:59Z";
/// One that is later than that type holds.
const LATER: &str = "9999-12-31T23:59:59Z";
/// What Go writes for no time.
const NO_TIME: &str = "0001-01-01T00:00:00Z";

/// The robot that was made is not the one that is shown: it is made again, more and more slowly.
const PAUSED: &[&str] = &["RepairsPaused"];
/// No robot of that id is there, and the name is taken.
const CLASH: &[&str] = &["Conflict"];
/// What is told of a tenant's server that asks to wait depends on who was told to.
const WAITS: &[&str] = &["Unreachable", "RateLimited"];

/// Robots are looked for in another project, once the number that was asked for before is not remembered any more.
const ELSEWHERE: &[&str] = &["Conflict", "Refused"];

fn project_id(id: i64) -> Lie {
    field_of("GET projects/{project}", "project_id", json!(id))
}

fn text(text: &str) -> Value {
    json!(text)
}

pub fn rows() -> Vec<Row> {
    let row = Row::new;
    vec![
        row("creation_time is the last", robot("creation_time", text(LAST)), PAUSED),
        row("creation_time is the first", robot("creation_time", text(FIRST)), PAUSED),
        row("creation_time is too late for the type", robot("creation_time", text(LATER)), NO_HARBOR),
        row("creation_time is Go's none", robot("creation_time", text(NO_TIME)), PAUSED),
        row("creation_time is no time", robot("creation_time", text("yesterday")), NO_HARBOR),
        row("creation_time is a number", robot("creation_time", raw("1e308")), NO_HARBOR),
        row("update_time is the last", robot("update_time", text(LAST)), &[]),
        row("update_time is the first", robot("update_time", text(FIRST)), &[]),
        row("update_time is too late for the type", robot("update_time", text(LATER)), NO_HARBOR),
        row("expires_at is the largest", robot("expires_at", json!(i64::MAX)), &[]),
        row("expires_at is the smallest", robot("expires_at", json!(i64::MIN)), PAUSED),
        row("expires_at is the last moment", robot("expires_at", json!(253_402_207_200_i64)), &[]),
        row("expires_at is zero", robot("expires_at", json!(0)), PAUSED),
        row("expires_at is larger than the type", robot("expires_at", raw("1e400")), NO_HARBOR),
        row("expires_at is a text", robot("expires_at", text("never")), NO_HARBOR),
        row("duration is the largest", robot("duration", json!(i64::MAX)), &[]),
        row("duration is the smallest", robot("duration", json!(i64::MIN)), &[]),
        row("duration is zero", robot("duration", json!(0)), &[]),
        row("id is the largest", robot("id", json!(i64::MAX)), CLASH),
        row("id is the smallest", robot("id", json!(i64::MIN)), CLASH),
        row("id is larger than the type", robot("id", raw("9223372036854775808")), NO_HARBOR),
        row("all robots have the id 0", robot("id", json!(0)), CLASH),
        row("project_id is the largest", project_id(i64::MAX), ELSEWHERE).or_served(),
        row("project_id is negative", project_id(i64::MIN), ELSEWHERE).or_served(),
        row("a created robot has the last time", created("creation_time", text(LAST)), PAUSED),
        row("a created robot has the first time", created("creation_time", text(FIRST)), PAUSED),
        row("a created robot expires at the largest", created("expires_at", json!(i64::MAX)), &[]),
        row("a created robot expires at the smallest", created("expires_at", json!(i64::MIN)), &[]),
        row("a created robot has a negative id", created("id", json!(-7)), PAUSED),
        row("Date is the last", date("Thu, 30 Dec 9999 22:00:00 GMT"), &["ClockNotBelieved"]),
        row("Date is later than the type holds", date("Fri, 31 Dec 9999 23:59:59 GMT"), &[]),
        row("Date is the year 1", date("Mon, 01 Jan 0001 00:00:00 GMT"), &["ClockNotBelieved"]),
        row("Date is no date", date("tomorrow"), &[]),
        row("Retry-After is the largest", wait(503, "18446744073709551615"), WAITS),
        row("Retry-After is larger than the type", wait(429, "99999999999999999999999999"), WAITS),
        row("Retry-After is a week", wait(503, "604800"), WAITS),
        row("Retry-After is the last date", wait(429, "Thu, 30 Dec 9999 22:00:00 GMT"), WAITS),
        row("Retry-After is negative", wait(503, "-1"), WAITS),
        row("X-Total-Count is the largest", header("X-Total-Count", "18446744073709551615"), &[]),
        row("X-Total-Count is zero", header("X-Total-Count", "0"), &[]),
        row("X-Total-Count is no number", header("X-Total-Count", "-5 robots"), &[]),
    ]
}
