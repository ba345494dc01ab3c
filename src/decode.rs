//! Objects as the API server sends them, read one by one: one that does not fit its type is a value that says so, not the
//! end of the list or the watch that it is in.
//!
//! What a list holds is written by many: somebody who may edit one object of a kind can put a date into its
//! `managedFields` that the API server stores and no client in Rust can hold. Read as a whole, the list would fail for
//! everybody. So `managedFields` are passed over but for who wrote, and of an object that still cannot be read its name is
//! kept, with the place where reading stopped. A field that is null is a field that is not there.

use std::borrow::Cow;
use std::fmt;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::Resource;
use serde::de::{DeserializeOwned, DeserializeSeed, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::{Map, Value};

/// The longest text about what could not be read.
const LONGEST_DETAIL: usize = 200;

/// What of an object is read: no field that anybody uses is nested deeper.
const DEEPEST: usize = 40;

/// Most of many objects, in which nobody looks for anything but the last writer.
const MANAGED_FIELDS: &str = "managedFields";

/// An object, or why it could not be read. Stands for the object in every list, watch and answer.
#[derive(Clone)]
pub struct Lenient<K>(Result<K, Box<Unreadable>>);

/// An object that does not fit its type.
#[derive(Clone, PartialEq)]
pub struct Unreadable {
    /// The object's `apiVersion`.
    pub api_version: String,
    /// The object's kind.
    pub kind: String,
    /// What could be read of its metadata.
    pub metadata: ObjectMeta,
    /// The field at which reading stopped, like `status.robot.id`.
    pub path: String,
    /// What is wrong with it. May quote the field: not for Secrets.
    pub detail: String,
}

impl Unreadable {
    /// `namespace/name`, or the name alone.
    pub fn name(&self) -> String {
        let name = self.metadata.name.as_deref().unwrap_or_default();
        match &self.metadata.namespace {
            Some(namespace) => format!("{namespace}/{name}"),
            None => name.to_owned(),
        }
    }
}

impl fmt::Display for Unreadable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} cannot be read at {}", self.kind, self.name(), self.path)
    }
}

// Neither an object nor a detail is for the log: either may be a Secret's.
impl fmt::Debug for Unreadable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl<K> fmt::Debug for Lenient<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Ok(_) => f.write_str("an object"),
            Err(unreadable) => fmt::Display::fmt(unreadable, f),
        }
    }
}

impl<K> Lenient<K> {
    /// An object of ours, to be sent.
    pub fn new(object: K) -> Self {
        Self(Ok(object))
    }

    /// The object, or why it could not be read.
    pub fn into_result(self) -> Result<K, Box<Unreadable>> {
        self.0
    }

    /// See [`Self::into_result`].
    pub fn as_result(&self) -> Result<&K, &Unreadable> {
        self.0.as_ref().map_err(|unreadable| &**unreadable)
    }
}

impl<K: Resource<DynamicType = ()> + DeserializeOwned> Lenient<K> {
    fn read(object: &Value) -> Self {
        match K::deserialize(object) {
            Ok(read) => Self(Ok(read)),
            // Where it stopped is found out only now: to note each step takes longer than the steps.
            Err(error) => {
                let path = serde_path_to_error::deserialize::<_, K>(object).err().map(|error| error.path().to_string());
                Self(Err(Box::new(Unreadable {
                    api_version: K::api_version(&()).into_owned(),
                    kind: K::kind(&()).into_owned(),
                    metadata: readable_metadata(object.get("metadata")),
                    path: cut(&path.unwrap_or_default()),
                    detail: cut(&error.to_string()),
                })))
            }
        }
    }
}

/// Field by field, so that one that cannot be read costs no other.
fn readable_metadata(metadata: Option<&Value>) -> ObjectMeta {
    let fields = metadata.and_then(Value::as_object).into_iter().flatten();
    let alone = |(name, value): (&String, &Value)| {
        let field = Value::Object(Map::from_iter([(name.clone(), value.clone())]));
        ObjectMeta::deserialize(&field).is_ok().then_some((name.clone(), value.clone()))
    };
    ObjectMeta::deserialize(Value::Object(fields.filter_map(alone).collect())).unwrap_or_default()
}

fn cut(text: &str) -> String {
    text.chars().take(LONGEST_DETAIL).collect()
}

impl<'de, K: Resource<DynamicType = ()> + DeserializeOwned> Deserialize<'de> for Lenient<K> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Raw::deserialize(deserializer).map(|Raw(object)| Self::read(&object))
    }
}

/// An object of any shape, without what is passed over in every object.
pub struct Raw(pub Value);

impl<'de> Deserialize<'de> for Raw {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Tree { depth: DEEPEST }.deserialize(deserializer).map(Self)
    }
}

/// The metadata of an object of any kind, as far as it can be read.
pub struct Metadata(pub ObjectMeta);

impl<'de> Deserialize<'de> for Metadata {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Raw::deserialize(deserializer).map(|Raw(object)| Self(readable_metadata(object.get("metadata"))))
    }
}

impl<K: Serialize> Serialize for Lenient<K> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match &self.0 {
            Ok(object) => object.serialize(serializer),
            Err(unreadable) => Err(serde::ser::Error::custom(unreadable)),
        }
    }
}

impl<K: Resource> Resource for Lenient<K> {
    type DynamicType = K::DynamicType;
    type Scope = K::Scope;

    fn metadata_api() -> bool {
        K::metadata_api()
    }

    fn kind(dt: &Self::DynamicType) -> Cow<'_, str> {
        K::kind(dt)
    }

    fn group(dt: &Self::DynamicType) -> Cow<'_, str> {
        K::group(dt)
    }

    fn version(dt: &Self::DynamicType) -> Cow<'_, str> {
        K::version(dt)
    }

    fn plural(dt: &Self::DynamicType) -> Cow<'_, str> {
        K::plural(dt)
    }

    fn meta(&self) -> &ObjectMeta {
        match &self.0 {
            Ok(object) => object.meta(),
            Err(unreadable) => &unreadable.metadata,
        }
    }

    fn meta_mut(&mut self) -> &mut ObjectMeta {
        match &mut self.0 {
            Ok(object) => object.meta_mut(),
            Err(unreadable) => &mut unreadable.metadata,
        }
    }
}

/// Reads any JSON down to a depth; what is nested deeper is passed over, where a parser would give the whole list up.
#[derive(Clone, Copy)]
struct Tree {
    depth: usize,
}

impl<'de> DeserializeSeed<'de> for Tree {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Tree {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let Some(depth) = self.depth.checked_sub(1) else {
            return IgnoredAny.visit_seq(items).map(|_| Value::Null);
        };
        let mut list = Vec::new();
        while let Some(item) = items.next_element_seed(Tree { depth })? {
            list.push(item);
        }
        Ok(list.into())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut fields: A) -> Result<Value, A::Error> {
        let Some(depth) = self.depth.checked_sub(1) else {
            return IgnoredAny.visit_map(fields).map(|_| Value::Null);
        };
        let mut map = Map::new();
        while let Some(name) = fields.next_key::<String>()? {
            let value = if name == MANAGED_FIELDS {
                writers(&fields.next_value_seed(Tree { depth: 2 })?)
            } else {
                fields.next_value_seed(Tree { depth })?
            };
            if !value.is_null() {
                map.insert(name, value);
            }
        }
        Ok(map.into())
    }
}

/// Of `managedFields`: who wrote to the object, and when, as far as that can be read.
fn writers(entries: &Value) -> Value {
    let entries = entries.as_array().into_iter().flatten();
    let readable = entries.filter_map(|entry| {
        let (manager, time) = (entry.get("manager")?.as_str()?, entry.get("time")?.as_str()?);
        time.parse::<jiff::Timestamp>().ok()?;
        Some(serde_json::json!({"manager": manager, "time": time}))
    });
    readable.collect()
}

#[cfg(test)]
#[path = "decode_tests.rs"]
mod tests;
