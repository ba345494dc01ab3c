//! Which objects a list or a watch is about.

use serde_json::Value;

use super::kinds::Kind;
use super::schema;
use super::status::Refusal;
use super::validate::{is_label_value, is_qualified};

/// The selectors of a call.
#[derive(Clone, Debug, Default)]
pub(super) struct Selectors {
    labels: Vec<Label>,
    fields: Vec<Field>,
}

/// What a label has to be.
#[derive(Clone, Debug)]
struct Label {
    key: String,
    /// One of these; `None`: anything.
    values: Option<Vec<String>>,
    /// The contrary is wanted; an object without the label fits.
    not: bool,
}

#[derive(Clone, Debug)]
struct Field {
    path: String,
    value: String,
    not: bool,
}

impl Selectors {
    /// Reads both selectors of a query.
    pub(super) fn parse(kind: &Kind, labels: &str, fields: &str) -> Result<Self, Refusal> {
        let labels = terms(labels)
            .into_iter()
            .map(|term| label(term).ok_or_else(|| Refusal::bad(format!("unable to parse requirement: {term:?}"))));
        let fields = terms(fields).into_iter().map(|term| {
            let field = field(term).ok_or_else(|| Refusal::bad(format!("invalid field selector: {term:?}")))?;
            let known = matches!(field.path.as_str(), "metadata.name" | "metadata.namespace")
                || (kind.name == "Secret" && field.path == "type")
                || schema::selectable(kind.name).iter().any(|path| path.trim_start_matches('.') == field.path);
            if known { Ok(field) } else { Err(Refusal::bad(format!("field label not supported: {}", field.path))) }
        });
        Ok(Self { labels: labels.collect::<Result<_, _>>()?, fields: fields.collect::<Result<_, _>>()? })
    }

    /// Nothing is left out.
    pub(super) fn is_empty(&self) -> bool {
        self.labels.is_empty() && self.fields.is_empty()
    }

    /// The object fits both.
    pub(super) fn fit(&self, object: &Value) -> bool {
        let labels = &object["metadata"]["labels"];
        self.labels.iter().all(|wanted| {
            let found = labels.get(&wanted.key).and_then(Value::as_str);
            let is_it = found.is_some_and(|found| {
                wanted.values.as_ref().is_none_or(|values| values.iter().any(|value| value == found))
            });
            is_it != wanted.not
        }) && self.fields.iter().all(|wanted| {
            let found = wanted.path.split('.').fold(object, |object, field| &object[field]);
            (found.as_str().unwrap_or_default() == wanted.value) != wanted.not
        })
    }
}

/// The parts between commas that are in no brackets.
fn terms(text: &str) -> Vec<&str> {
    let mut depth = 0_u32;
    let parts = text.split(|letter: char| {
        match letter {
            '(' => depth += 1,
            ')' => depth = depth.saturating_sub(1),
            _ => {}
        }
        letter == ',' && depth == 0
    });
    parts.map(str::trim).filter(|term| !term.is_empty()).collect()
}

fn label(term: &str) -> Option<Label> {
    let one = |key: &str, value: &str, not| (key.to_owned(), Some(vec![value.to_owned()]), not);
    let (key, values, not) = if let Some((key, value)) = term.split_once("!=") {
        one(key, value, true)
    } else if let Some((key, value)) = term.split_once("==").or_else(|| term.split_once('=')) {
        one(key, value, false)
    } else if let Some((key, set)) = term.split_once(" in ").or_else(|| term.split_once(" notin ")) {
        let set = set.trim().strip_prefix('(')?.strip_suffix(')')?;
        let values = set.split(',').map(|value| value.trim().to_owned()).collect();
        (key.to_owned(), Some(values), term.contains(" notin "))
    } else if let Some(key) = term.strip_prefix('!') {
        (key.to_owned(), None, true)
    } else {
        (term.to_owned(), None, false)
    };
    let key = key.trim().to_owned();
    let values = values.map(|values| values.iter().map(|value| value.trim().to_owned()).collect::<Vec<_>>());
    let fit = is_qualified(&key) && values.iter().flatten().all(|value| is_label_value(value));
    fit.then_some(Label { key, values, not })
}

fn field(term: &str) -> Option<Field> {
    let (path, value, not) = if let Some((path, value)) = term.split_once("!=") {
        (path, value, true)
    } else {
        let (path, value) = term.split_once("==").or_else(|| term.split_once('='))?;
        (path, value, false)
    };
    Some(Field { path: path.to_owned(), value: value.to_owned(), not })
}
