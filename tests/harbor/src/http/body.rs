//! The bodies of the robot calls, read as Go reads them.

use serde_json::Value;

use crate::gojson::{Place, field};
use crate::state::grants::{Access, Requested};
use crate::state::update::{CreateBody, UpdateBody};

fn permissions(place: &Place, map: &serde_json::Map<String, Value>) -> Result<Vec<Requested>, String> {
    let Some(list) = place.list(map, "permissions", "[]*models.RobotPermission")? else { return Ok(Vec::new()) };
    let inner = place.element("RobotPermission", "permissions");
    list.iter().map(|value| permission(&inner, value)).collect()
}

fn permission(place: &Place, value: &Value) -> Result<Requested, String> {
    let Some(map) = place.object(value)? else { return Ok(Requested { null: true, ..Requested::default() }) };
    let mut group = Requested {
        kind: place.text(map, "kind")?.unwrap_or_default(),
        namespace: place.text(map, "namespace")?.unwrap_or_default(),
        ..Requested::default()
    };
    let inner = place.element("Access", "access");
    for value in place.list(map, "access", "[]*models.Access")?.into_iter().flatten() {
        let Some(map) = inner.object(value)? else {
            group.null_access = true;
            continue;
        };
        group.access.push(Access {
            resource: inner.text(map, "resource")?.unwrap_or_default(),
            action: inner.text(map, "action")?.unwrap_or_default(),
            effect: inner.text(map, "effect")?.unwrap_or_default(),
        });
    }
    Ok(group)
}

/// Go type `RobotCreate`.
pub fn create(value: &Value) -> Result<CreateBody, String> {
    let place = Place::body("RobotCreate");
    let Some(map) = place.object(value)? else { return Ok(CreateBody::default()) };
    place.flag(map, "disable")?;
    place.text(map, "secret")?;
    Ok(CreateBody {
        name: place.text(map, "name")?.unwrap_or_default(),
        description: place.text(map, "description")?.unwrap_or_default(),
        level: place.text(map, "level")?.unwrap_or_default(),
        duration: place.int(map, "duration")?.unwrap_or_default(),
        permissions: permissions(&place, map)?,
    })
}

/// Go type `Robot`: what is read only must still be of its type.
pub fn update(value: &Value) -> Result<UpdateBody, String> {
    let place = Place::body("Robot");
    let Some(map) = place.object(value)? else { return Ok(UpdateBody::default()) };
    for key in ["id", "expires_at", "creator_ref"] {
        place.int(map, key)?;
    }
    for key in ["secret", "creator_type"] {
        place.text(map, key)?;
    }
    place.flag(map, "editable")?;
    for key in ["creation_time", "update_time"] {
        if let Some(value) = field(map, key) {
            moment(value)?;
        }
    }
    Ok(UpdateBody {
        name: place.text(map, "name")?.unwrap_or_default(),
        description: place.text(map, "description")?.unwrap_or_default(),
        level: place.text(map, "level")?.unwrap_or_default(),
        duration: place.int(map, "duration")?,
        disable: place.flag(map, "disable")?.unwrap_or_default(),
        permissions: permissions(&place, map)?,
    })
}

fn moment(value: &Value) -> Result<(), String> {
    let Some(text) = value.as_str() else {
        return Err("json: cannot unmarshal number into Go value of type string".into());
    };
    let fits = text.is_empty()
        || text.parse::<jiff::Timestamp>().is_ok()
        || text.parse::<jiff::civil::DateTime>().is_ok()
        || text.parse::<jiff::civil::Date>().is_ok();
    if fits {
        return Ok(());
    }
    Err(format!("parsing time \"{text}\" as \"2006-01-02\": cannot parse \"{text}\" as \"2006\""))
}

/// Go type `RobotSec`.
pub fn secret(value: &Value) -> Result<String, String> {
    let place = Place::body("RobotSec");
    let Some(map) = place.object(value)? else { return Ok(String::new()) };
    Ok(place.text(map, "secret")?.unwrap_or_default())
}
