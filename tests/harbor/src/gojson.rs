//! JSON as Go reads it: the first value of a body, with Go's words for what is wrong with it.
//!
//! Clients see these words in 422 answers, and Go stops at the end of the first value and matches keys whatever their case.

use serde_json::{Map, Value};

/// What is wrong with a body.
#[derive(Debug, PartialEq, Eq)]
pub enum BodyError {
    /// There is no value in it.
    Missing,
    /// Go's text.
    Bad(String),
}

/// Reads the first JSON value; bytes after it are ignored.
pub fn first_value(body: &[u8]) -> Result<Value, BodyError> {
    let mut scan = Scanner { bytes: body, at: 0 };
    scan.blanks();
    if scan.at == body.len() {
        return Err(BodyError::Missing);
    }
    let start = scan.at;
    scan.value().map_err(BodyError::Bad)?;
    let text = String::from_utf8_lossy(&body[start..scan.at]);
    serde_json::from_str(&text).map_err(|error| BodyError::Bad(error.to_string()))
}

struct Scanner<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl Scanner<'_> {
    fn blanks(&mut self) {
        while self.peek().is_some_and(|c| matches!(c, b' ' | b'\t' | b'\r' | b'\n')) {
            self.at += 1;
        }
    }

    fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    fn next(&mut self) -> Result<u8, String> {
        let c = self.peek().ok_or("unexpected EOF")?;
        self.at += 1;
        Ok(c)
    }

    fn value(&mut self) -> Result<(), String> {
        self.blanks();
        match self.next()? {
            b'{' => self.object(),
            b'[' => self.array(),
            b'"' => self.string(),
            b't' => self.literal("true"),
            b'f' => self.literal("false"),
            b'n' => self.literal("null"),
            c @ (b'-' | b'0'..=b'9') => self.number(c),
            c => Err(invalid(c, "looking for beginning of value")),
        }
    }

    fn object(&mut self) -> Result<(), String> {
        self.blanks();
        if self.peek() == Some(b'}') {
            self.at += 1;
            return Ok(());
        }
        loop {
            self.blanks();
            match self.next()? {
                b'"' => self.string()?,
                c => return Err(invalid(c, "looking for beginning of object key string")),
            }
            self.blanks();
            match self.next()? {
                b':' => self.value()?,
                c => return Err(invalid(c, "after object key")),
            }
            self.blanks();
            match self.next()? {
                b',' => {}
                b'}' => return Ok(()),
                c => return Err(invalid(c, "after object key:value pair")),
            }
        }
    }

    fn array(&mut self) -> Result<(), String> {
        self.blanks();
        if self.peek() == Some(b']') {
            self.at += 1;
            return Ok(());
        }
        loop {
            self.value()?;
            self.blanks();
            match self.next()? {
                b',' => {}
                b']' => return Ok(()),
                c => return Err(invalid(c, "after array element")),
            }
        }
    }

    fn string(&mut self) -> Result<(), String> {
        loop {
            match self.next()? {
                b'"' => return Ok(()),
                b'\\' => match self.next()? {
                    b'b' | b'f' | b'n' | b'r' | b't' | b'\\' | b'/' | b'"' => {}
                    b'u' => {
                        for _ in 0..4 {
                            let c = self.next()?;
                            if !c.is_ascii_hexdigit() {
                                return Err(invalid(c, "in \\u hexadecimal character escape"));
                            }
                        }
                    }
                    c => return Err(invalid(c, "in string escape code")),
                },
                c if c < 0x20 => return Err(invalid(c, "in string literal")),
                _ => {}
            }
        }
    }

    fn literal(&mut self, word: &str) -> Result<(), String> {
        for expected in word.bytes().skip(1) {
            let c = self.next()?;
            if c != expected {
                return Err(invalid(c, &format!("in literal {word} (expecting {})", quoted(expected))));
            }
        }
        Ok(())
    }

    fn number(&mut self, first: u8) -> Result<(), String> {
        let mut first = first;
        if first == b'-' {
            first = self.next()?;
            if !first.is_ascii_digit() {
                return Err(invalid(first, "in numeric literal"));
            }
        }
        if first != b'0' {
            self.digits();
        }
        if self.peek() == Some(b'.') {
            self.at += 1;
            self.digit("after decimal point in numeric literal")?;
        }
        if matches!(self.peek(), Some(b'e' | b'E')) {
            self.at += 1;
            if matches!(self.peek(), Some(b'+' | b'-')) {
                self.at += 1;
            }
            self.digit("in exponent of numeric literal")?;
        }
        Ok(())
    }

    fn digit(&mut self, place: &str) -> Result<(), String> {
        let c = self.next()?;
        if !c.is_ascii_digit() {
            return Err(invalid(c, place));
        }
        self.digits();
        Ok(())
    }

    fn digits(&mut self) {
        while self.peek().is_some_and(|c| c.is_ascii_digit()) {
            self.at += 1;
        }
    }
}

fn invalid(c: u8, place: &str) -> String {
    format!("invalid character {} {place}", quoted(c))
}

fn quoted(c: u8) -> String {
    match c {
        b'\'' => r"'\''".into(),
        b'"' => "'\"'".into(),
        b'\\' => r"'\\'".into(),
        b'\n' => r"'\n'".into(),
        b'\r' => r"'\r'".into(),
        b'\t' => r"'\t'".into(),
        c if c < 0x20 || c == 0x7f => format!("'\\x{c:02x}'"),
        c => format!("'{}'", char::from(c)),
    }
}

/// Where in Go's types a value is being read, for the words of a type error.
#[derive(Clone)]
pub struct Place {
    strukt: &'static str,
    path: String,
}

impl Place {
    /// The body itself, of Go type `models.<strukt>`.
    pub fn body(strukt: &'static str) -> Self {
        Self { strukt, path: String::new() }
    }

    /// An element of the array under `key`, whose Go type is `strukt`.
    pub fn element(&self, strukt: &'static str, key: &str) -> Self {
        Self { strukt, path: format!("{}{key}.", self.path) }
    }

    fn mismatch(&self, key: &str, got: &str, wanted: &str) -> String {
        format!("json: cannot unmarshal {got} into Go struct field {}.{}{key} of type {wanted}", self.strukt, self.path)
    }

    /// The object that a struct is read from; `null` reads as an empty one.
    pub fn object<'a>(&self, value: &'a Value) -> Result<Option<&'a Map<String, Value>>, String> {
        match value {
            Value::Null => Ok(None),
            Value::Object(map) => Ok(Some(map)),
            other if self.path.is_empty() => {
                Err(format!("json: cannot unmarshal {} into Go value of type models.{}", kind(other), self.strukt))
            }
            other => {
                Err(self.mismatch("", kind(other), &format!("models.{}", self.strukt)).replace(". of type", " of type"))
            }
        }
    }

    /// A text.
    pub fn text(&self, map: &Map<String, Value>, key: &str) -> Result<Option<String>, String> {
        match field(map, key) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text.clone())),
            Some(other) => Err(self.mismatch(key, kind(other), "string")),
        }
    }

    /// A whole number.
    pub fn int(&self, map: &Map<String, Value>, key: &str) -> Result<Option<i64>, String> {
        match field(map, key) {
            None => Ok(None),
            Some(Value::Number(number)) => match number.as_i64() {
                Some(int) => Ok(Some(int)),
                None => Err(self.mismatch(key, &format!("number {number}"), "int64")),
            },
            Some(other) => Err(self.mismatch(key, kind(other), "int64")),
        }
    }

    /// A truth value.
    pub fn flag(&self, map: &Map<String, Value>, key: &str) -> Result<Option<bool>, String> {
        match field(map, key) {
            None => Ok(None),
            Some(Value::Bool(flag)) => Ok(Some(*flag)),
            Some(other) => Err(self.mismatch(key, kind(other), "bool")),
        }
    }

    /// A list; `wanted` is its Go type.
    pub fn list<'a>(
        &self,
        map: &'a Map<String, Value>,
        key: &str,
        wanted: &str,
    ) -> Result<Option<&'a Vec<Value>>, String> {
        match field(map, key) {
            None => Ok(None),
            Some(Value::Array(list)) => Ok(Some(list)),
            Some(other) => Err(self.mismatch(key, kind(other), wanted)),
        }
    }
}

/// A key's value, whatever the case of the key; `null` counts as absent.
pub fn field<'a>(map: &'a Map<String, Value>, key: &str) -> Option<&'a Value> {
    map.get(key)
        .or_else(|| map.iter().find(|(name, _)| name.eq_ignore_ascii_case(key)).map(|(_, value)| value))
        .filter(|value| !value.is_null())
}

fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "bool",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fault(body: &str) -> String {
        match first_value(body.as_bytes()) {
            Err(BodyError::Bad(text)) => text,
            other => panic!("{body}: {other:?}"),
        }
    }

    #[test]
    fn broken_bodies_are_named_in_gos_words() {
        assert_eq!(fault("{\"name\":"), "unexpected EOF");
        assert_eq!(fault("{a"), "invalid character 'a' looking for beginning of object key string");
        assert_eq!(fault("{\"a\" 1}"), "invalid character '1' after object key");
        assert_eq!(fault("{\"a\":1]"), "invalid character ']' after object key:value pair");
        assert_eq!(fault("[1 2]"), "invalid character '2' after array element");
        assert_eq!(fault("\"a\nb\""), "invalid character '\\n' in string literal");
        assert_eq!(fault("\"\\x\""), "invalid character 'x' in string escape code");
        assert_eq!(fault("-a"), "invalid character 'a' in numeric literal");
        assert_eq!(fault("1.x"), "invalid character 'x' after decimal point in numeric literal");
        assert_eq!(fault("tru3"), "invalid character '3' in literal true (expecting 'e')");
    }

    #[test]
    fn only_the_first_value_counts() {
        assert_eq!(first_value(b" {\"a\":[1,{}]}}}"), Ok(serde_json::json!({"a": [1, {}]})));
        assert_eq!(first_value(b" \n"), Err(BodyError::Missing));
    }

    #[test]
    fn a_type_error_deep_inside_names_struct_and_path() {
        let access = Place::body("RobotCreate").element("RobotPermission", "permissions").element("Access", "access");
        let map = serde_json::json!({"resource": 5});
        assert_eq!(
            access.text(map.as_object().unwrap(), "resource").unwrap_err(),
            "json: cannot unmarshal number into Go struct field Access.permissions.access.resource of type string"
        );
    }
}
