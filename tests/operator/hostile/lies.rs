//! How lies are put together.

use std::sync::Arc;
use std::time::Duration;

use harbor_robot_faults::{Asked, Lie, Pace, Told};
use serde_json::Value;

/// Every answer is changed.
pub fn always(change: impl Fn(&mut Told) + Send + Sync + 'static) -> Lie {
    Lie::Alter(Arc::new(move |_: &Asked, told: &mut Told| change(told)))
}

/// The answers to one operation are changed, like `GET robots/{id}`.
pub fn to(operation: &'static str, change: impl Fn(&mut Told) + Send + Sync + 'static) -> Lie {
    Lie::Alter(Arc::new(move |asked: &Asked, told: &mut Told| {
        if asked.operation == operation {
            change(told);
        }
    }))
}

/// Every answer has this header.
pub fn header(name: &'static str, value: impl AsRef<[u8]> + Send + Sync + 'static) -> Lie {
    always(move |told| told.set_header(name, &value))
}

/// Every answer is this one.
pub fn answer(status: u16, body: impl Into<Vec<u8>> + Clone + Send + Sync + 'static) -> Lie {
    always(move |told| told.answer(status, body.clone()))
}

/// Every answer to one operation is this one, with status 200.
pub fn body(operation: &'static str, body: impl Into<Vec<u8>> + Clone + Send + Sync + 'static) -> Lie {
    to(operation, move |told| told.answer(200, body.clone()))
}

/// Every answer is these bytes, after which the connection ends.
pub fn bytes(bytes: impl Into<Vec<u8>> + Clone + Send + Sync + 'static) -> Lie {
    always(move |told| told.raw = Some(bytes.clone().into()))
}

/// Every answer comes at this pace.
pub fn pace(pace: Pace) -> Lie {
    always(move |told| told.pace = pace.clone())
}

/// Every answer has this header, and asks to wait.
pub fn wait(status: u16, retry_after: &'static str) -> Lie {
    always(move |told| {
        told.answer(status, "");
        told.set_header("Retry-After", retry_after);
    })
}

/// The clock is another one. The body comes a little later: the time has to be read before.
pub fn date(date: &'static str) -> Lie {
    always(move |told| {
        told.set_header("Date", date);
        told.pace = Pace::BodyAfter(Duration::from_millis(300));
    })
}

/// A field of every robot that is listed or read.
pub fn robot(field: &'static str, value: Value) -> Lie {
    robots(move |robot| robot[field] = value.clone())
}

/// Every robot that is listed or read.
pub fn robots(change: impl Fn(&mut Value) + Send + Sync + 'static) -> Lie {
    Lie::Alter(Arc::new(move |asked: &Asked, told: &mut Told| {
        if matches!(asked.operation.as_str(), "GET robots" | "GET robots/{id}") {
            json(told, |answer| match answer {
                Value::Array(robots) => robots.iter_mut().for_each(&change),
                robot @ Value::Object(_) if robot["id"].is_i64() => change(robot),
                _ => {}
            });
        }
    }))
}

/// A field of the answer to a robot's creation.
pub fn created(field: &'static str, value: Value) -> Lie {
    field_of("POST robots", field, value)
}

/// A field of the answer to one operation.
pub fn field_of(operation: &'static str, field: &'static str, value: Value) -> Lie {
    to(operation, move |told| {
        json(told, |answer| {
            if answer.is_object() && answer.get("errors").is_none() {
                answer[field] = value.clone();
            }
        });
    })
}

/// Changes an answer's JSON; what is none stays as it is.
pub fn json(told: &mut Told, change: impl Fn(&mut Value)) {
    let Ok(mut answer) = serde_json::from_slice::<Value>(&told.body) else { return };
    change(&mut answer);
    told.body = answer.to_string().replace(&format!("\"{RAW}"), "").replace(&format!("{RAW}\""), "").into_bytes();
}

/// Stands around what is JSON, but no value that this program can hold.
const RAW: &str = "~~~";

/// A number of any size, or anything else that is to stand in the answer as it is.
pub fn raw(text: &str) -> Value {
    Value::String(format!("{RAW}{text}{RAW}"))
}
