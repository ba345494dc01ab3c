//! The variables of a scenario and the places in it that they fill.

use std::collections::HashMap;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::{Value, json};

/// What a URL keeps as it is.
const QUOTED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// Base64 of a text.
pub fn base64(text: &str) -> String {
    STANDARD.encode(text)
}

fn quoted(text: &str) -> String {
    utf8_percent_encode(text, QUOTED).to_string()
}

/// Variables by name.
pub struct Variables {
    values: HashMap<String, Value>,
}

fn text_of(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

impl Variables {
    /// The given ones, with a fresh suffix.
    pub fn new(url: &str, (user, password): (&str, &str)) -> Self {
        let suffix: String =
            (0..8).map(|at| char::from(b'a' + rand::random_range(0..if at < 2 { 26 } else { 25 }))).collect();
        let host = url.split_once("://").map_or(url, |(_, host)| host);
        let given = [
            ("sfx", suffix.as_str()),
            ("url", url),
            ("host", host),
            ("admin.user", user),
            ("admin.password", password),
        ];
        Self { values: given.into_iter().map(|(name, value)| (name.to_owned(), json!(value))).collect() }
    }

    /// Keeps a value.
    pub fn set(&mut self, name: &str, value: Value) {
        self.values.insert(name.to_owned(), value);
    }

    /// A value.
    pub fn get(&self, name: &str) -> Result<&Value, String> {
        self.values.get(name).ok_or_else(|| format!("variable {name} was never captured"))
    }

    /// A value as text.
    pub fn text(&self, name: &str) -> Result<String, String> {
        self.get(name).map(text_of)
    }

    /// What stands between `${` and `}`: a name and filters.
    fn lookup(&self, expression: &str) -> Result<Value, String> {
        let mut parts = expression.split('|').map(str::trim);
        let mut value = self.get(parts.next().unwrap_or_default())?.clone();
        for filter in parts {
            let text = text_of(&value);
            value = json!(match filter {
                "s" => text,
                "q" => quoted(&text),
                "qq" => quoted(&quoted(&text)),
                "b64" => base64(&text),
                other => return Err(format!("unknown filter {other}")),
            });
        }
        Ok(value)
    }

    /// Fills a text's places, each passed through `change`.
    pub fn fill_text(&self, text: &str, change: impl Fn(&str) -> String) -> Result<String, String> {
        let (mut filled, mut rest) = (String::new(), text);
        while let Some((before, after)) = rest.split_once("${") {
            let (expression, after) = after.split_once('}').ok_or_else(|| format!("unclosed place in {text}"))?;
            filled.push_str(before);
            filled.push_str(&change(&text_of(&self.lookup(expression)?)));
            rest = after;
        }
        filled.push_str(rest);
        Ok(filled)
    }

    /// Fills a value's places. A text that is one place alone takes the variable's type.
    pub fn fill(&self, value: &Value) -> Result<Value, String> {
        match value {
            Value::String(text) => {
                let alone =
                    text.strip_prefix("${").and_then(|rest| rest.strip_suffix('}')).filter(|name| !name.contains('}'));
                match alone {
                    Some(expression) => self.lookup(expression),
                    None => self.fill_text(text, str::to_owned).map(Value::String),
                }
            }
            Value::Array(list) => list.iter().map(|value| self.fill(value)).collect(),
            Value::Object(map) if map.len() == 1 && map.contains_key("$var") => {
                self.get(map["$var"].as_str().unwrap_or_default()).cloned()
            }
            Value::Object(map) if map.len() == 1 && map.contains_key("$repeat") => {
                let count = map["$repeat"][1].as_u64().and_then(|count| usize::try_from(count).ok());
                let text = self.fill(&map["$repeat"][0])?;
                Ok(json!(text_of(&text).repeat(count.ok_or("$repeat needs a count")?)))
            }
            Value::Object(map) if map.len() == 1 && map.contains_key("$concat") => {
                let parts = map["$concat"].as_array().into_iter().flatten();
                let texts: Result<String, String> =
                    parts.map(|part| self.fill(part).map(|part| text_of(&part))).collect();
                texts.map(Value::String)
            }
            Value::Object(map) => map
                .iter()
                .map(|(key, value)| Ok((key.clone(), self.fill(value)?)))
                .collect::<Result<_, String>>()
                .map(Value::Object),
            other => Ok(other.clone()),
        }
    }
}
