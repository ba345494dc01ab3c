//! Whether an answer is the one that was recorded: exact JSON, and `$`-matchers where the recording is looser.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use regex::Regex;
use serde_json::{Map, Value, json};

use super::variables::Variables;

/// Seconds that a moment may be off unless the scenario says otherwise.
const TOLERANCE: f64 = 5.0;

/// Compares at one moment.
pub struct Matcher<'a> {
    /// What places are filled with.
    pub variables: &'a Variables,
    /// Unix seconds.
    pub now: f64,
}

type Checked = Result<(), String>;

fn fault(path: &str, text: impl std::fmt::Display) -> Checked {
    let path = if path.is_empty() { "/" } else { path };
    Err(format!("at {path}: {text}"))
}

fn list(value: &Value) -> &[Value] {
    value.as_array().map(Vec::as_slice).unwrap_or_default()
}

fn object<'v>(got: &'v Value, path: &str) -> Result<&'v Map<String, Value>, String> {
    got.as_object().ok_or_else(|| format!("at {path}/: expected an object, got {got}"))
}

fn same(wanted: &Value, got: &Value, path: &str) -> Checked {
    let numbers = wanted.as_f64().zip(got.as_f64());
    #[expect(clippy::float_cmp, reason = "the contract asks for equal numbers")]
    if wanted == got || numbers.is_some_and(|(wanted, got)| wanted == got) {
        return Ok(());
    }
    fault(path, format_args!("expected {wanted}, got {got}"))
}

impl Matcher<'_> {
    /// Whether `got` fits `wanted`, with the place and the reason if it does not.
    pub fn check(&self, wanted: &Value, got: &Value, path: &str) -> Checked {
        match wanted {
            Value::Object(map) if map.keys().any(|key| key.starts_with('$')) => self.special(wanted, map, got, path),
            Value::Object(map) => self.exact_object(map, object(got, path)?, path),
            Value::Array(elements) => {
                if !got.is_array() || list(got).len() != elements.len() {
                    return fault(path, format_args!("expected {wanted}, got {got}"));
                }
                let mut pairs = elements.iter().zip(list(got)).enumerate();
                pairs.try_for_each(|(at, (wanted, got))| self.check(wanted, got, &format!("{path}/{at}")))
            }
            Value::String(_) => same(&self.variables.fill(wanted)?, got, path),
            _ => same(wanted, got, path),
        }
    }

    fn exact_object(&self, wanted: &Map<String, Value>, got: &Map<String, Value>, path: &str) -> Checked {
        let missing: Vec<&String> = wanted.keys().filter(|key| !got.contains_key(*key)).collect();
        let extra: Vec<&String> = got.keys().filter(|key| !wanted.contains_key(*key)).collect();
        if !missing.is_empty() || !extra.is_empty() {
            return fault(path, format_args!("keys differ: missing {missing:?}, unexpected {extra:?}"));
        }
        wanted.iter().try_for_each(|(key, wanted)| self.check(wanted, &got[key], &format!("{path}/{key}")))
    }

    fn special(&self, wanted: &Value, map: &Map<String, Value>, got: &Value, path: &str) -> Checked {
        let has = |key: &str| map.contains_key(key);
        if has("$var") || has("$repeat") || has("$concat") {
            return same(&self.variables.fill(wanted)?, got, path);
        }
        if let Some(unwanted) = map.get("$not") {
            return match self.check(unwanted, got, path) {
                Ok(()) => fault(path, format_args!("must not be {unwanted}, is {got}")),
                Err(_) => Ok(()),
            };
        }
        if let Some(any) = map.get("$anyof") {
            let fits = list(any).iter().any(|wanted| self.check(wanted, got, path).is_ok());
            return if fits { Ok(()) } else { fault(path, format_args!("none of {any} fits {got}")) };
        }
        if let Some(partial) = map.get("$partial") {
            return self.partial(object(partial, path)?, object(got, path)?, path);
        }
        if let Some(elements) = map.get("$unordered") {
            return self.unordered(list(elements), got, path);
        }
        if ["$contains", "$lacks", "$each", "$length", "$minlength"].into_iter().any(has) {
            return self.elements(map, got, path);
        }
        match map.get("$match").and_then(Value::as_str) {
            Some(kind) => self.by_kind(kind, map, got, path),
            None => fault(path, format_args!("unknown matcher {wanted}")),
        }
    }

    fn partial(&self, wanted: &Map<String, Value>, got: &Map<String, Value>, path: &str) -> Checked {
        for (key, wanted) in wanted {
            match (wanted.get("$absent") == Some(&json!(true)), got.get(key)) {
                (true, None) => {}
                (true, Some(got)) => return fault(path, format_args!("{key} must be absent, is {got}")),
                (false, None) => return fault(path, format_args!("{key} is missing")),
                (false, Some(got)) => self.check(wanted, got, &format!("{path}/{key}"))?,
            }
        }
        Ok(())
    }

    fn unordered(&self, wanted: &[Value], got: &Value, path: &str) -> Checked {
        let mut rest: Vec<&Value> = list(got).iter().collect();
        if !got.is_array() || rest.len() != wanted.len() {
            return fault(path, format_args!("expected {} elements, got {got}", wanted.len()));
        }
        for wanted in wanted {
            match rest.iter().position(|got| self.check(wanted, got, path).is_ok()) {
                Some(at) => drop(rest.remove(at)),
                None => return fault(path, format_args!("no element fits {wanted} in {got}")),
            }
        }
        Ok(())
    }

    fn elements(&self, map: &Map<String, Value>, got: &Value, path: &str) -> Checked {
        if !got.is_array() {
            return fault(path, format_args!("expected an array, got {got}"));
        }
        let elements = list(got);
        let count = |key: &str| map.get(key).and_then(Value::as_u64);
        let length = elements.len() as u64;
        if count("$length").is_some_and(|wanted| wanted != length)
            || count("$minlength").is_some_and(|wanted| wanted > length)
        {
            return fault(path, format_args!("{length} elements"));
        }
        let fits = |wanted: &Value| elements.iter().any(|got| self.check(wanted, got, path).is_ok());
        let matchers = |key: &str| map.get(key).map(list).unwrap_or_default();
        if let Some(missing) = matchers("$contains").iter().find(|wanted| !fits(wanted)) {
            return fault(path, format_args!("no element fits {missing} in {got}"));
        }
        if let Some(unwanted) = matchers("$lacks").iter().find(|unwanted| fits(unwanted)) {
            return fault(path, format_args!("an element fits {unwanted} in {got}"));
        }
        map.get("$each").map_or(Ok(()), |wanted| elements.iter().try_for_each(|got| self.check(wanted, got, path)))
    }

    fn by_kind(&self, kind: &str, map: &Map<String, Value>, got: &Value, path: &str) -> Checked {
        let fits = match kind {
            "any" => true,
            "bool" => got.is_boolean(),
            "string" => got.is_string(),
            "int" => got.as_i64().is_some_and(|got| {
                let bound = |key: &str| map.get(key).and_then(Value::as_i64);
                bound("min").is_none_or(|min| got >= min) && bound("max").is_none_or(|max| got <= max)
            }),
            "unix" => match got.as_i64() {
                #[expect(clippy::cast_precision_loss, reason = "tolerances are seconds")]
                Some(seconds) => self.is_near(map, seconds as f64)?,
                None => false,
            },
            "rfc3339" => match got.as_str().and_then(seconds_of) {
                Some(seconds) => {
                    let after = map.get("after").and_then(Value::as_str).map(|after| self.moment(after)).transpose()?;
                    self.is_near(map, seconds)? && after.is_none_or(|after| seconds > after)
                }
                None => false,
            },
            "secret32" => got.as_str().is_some_and(is_drawn_secret),
            "regex" => {
                let pattern = self.variables.fill_text(text(map, "pattern"), regex::escape)?;
                let regex = Regex::new(&format!("(?s)^(?:{pattern})$")).map_err(|error| error.to_string())?;
                got.as_str().is_some_and(|got| regex.is_match(got))
            }
            "startswith" | "contains" => {
                let part = self.variables.fill_text(text(map, "value"), str::to_owned)?;
                got.as_str()
                    .is_some_and(|got| if kind == "contains" { got.contains(&part) } else { got.starts_with(&part) })
            }
            "jwt" => return self.token(map, got, path),
            other => return fault(path, format_args!("unknown matcher {other}")),
        };
        if fits { Ok(()) } else { fault(path, format_args!("expected {}, got {got}", json!(map))) }
    }

    fn token(&self, map: &Map<String, Value>, got: &Value, path: &str) -> Checked {
        let parts: Vec<&str> = got.as_str().unwrap_or_default().split('.').collect();
        let part = |at: usize| -> Option<Value> {
            let bytes = URL_SAFE_NO_PAD.decode(parts.get(at)?).ok()?;
            serde_json::from_slice(&bytes).ok()
        };
        let (3, Some(header), Some(claims)) = (parts.len(), part(0), part(1)) else {
            return fault(path, format_args!("not a token: {got}"));
        };
        for (name, got) in [("header", header), ("claims", claims)] {
            if let Some(wanted) = map.get(name) {
                self.check(wanted, &got, &format!("{path}({name})"))?;
            }
        }
        Ok(())
    }

    fn is_near(&self, map: &Map<String, Value>, seconds: f64) -> Result<bool, String> {
        let Some(near) = map.get("near").and_then(Value::as_str) else { return Ok(true) };
        let tolerance = map.get("tolerance_s").and_then(Value::as_f64).unwrap_or(TOLERANCE);
        Ok((seconds - self.moment(near)?).abs() <= tolerance)
    }

    /// `now` or a variable, with so many seconds, minutes, hours or days more or less.
    fn moment(&self, expression: &str) -> Result<f64, String> {
        let form = Regex::new(r"^(.+?)\s*(?:([+-])\s*(\d+)\s*([smhd]))?$").map_err(|error| error.to_string())?;
        let parts = form.captures(expression).ok_or_else(|| format!("no moment: {expression}"))?;
        let base = match &parts[1] {
            "now" => self.now,
            name => {
                let value = self.variables.get(name)?;
                let seconds = value.as_f64().or_else(|| value.as_str().and_then(seconds_of));
                seconds.ok_or_else(|| format!("no moment: {name} is {value}"))?
            }
        };
        let Some(count) = parts.get(3) else { return Ok(base) };
        let count: f64 = count.as_str().parse().map_err(|_| format!("no moment: {expression}"))?;
        let unit = match &parts[4] {
            "s" => 1.0,
            "m" => 60.0,
            "h" => 3600.0,
            _ => 86_400.0,
        };
        Ok(if &parts[2] == "+" { base + count * unit } else { base - count * unit })
    }
}

fn text<'m>(map: &'m Map<String, Value>, key: &str) -> &'m str {
    map.get(key).and_then(Value::as_str).unwrap_or_default()
}

fn seconds_of(text: &str) -> Option<f64> {
    let moment: jiff::Timestamp = text.parse().ok()?;
    Some(moment.as_duration().as_secs_f64())
}

fn is_drawn_secret(text: &str) -> bool {
    let has = |class: fn(&char) -> bool| text.chars().any(|c| class(&c));
    text.len() == 32
        && text.chars().all(|c| c.is_ascii_alphanumeric())
        && has(char::is_ascii_lowercase)
        && has(char::is_ascii_uppercase)
        && has(char::is_ascii_digit)
}
