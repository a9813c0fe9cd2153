//! Lines of JSON objects. Values are kept as they were written: a decimal would lose its last digits as a float.

use std::{
    borrow::Cow,
    collections::HashMap,
    fmt,
    io::{BufRead as _, BufReader, Read},
    path::Path,
};

use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, Visitor};
use serde_json::value::RawValue;

use super::{Cell, MAX_ROW_BYTES, RawRow, cutter::too_long};
use crate::{IngestError, file, receivers::depth};

const MAX_DEPTH: usize = 128;
/// Half of a sign that takes two, for one.
const BAD_TEXT: &str = "holds text that is none";
const TOO_DEEP: &str = "is nested deeper than 128 levels";

/// The union of the keys of all rows, in order of appearance: one more pass, so that no key is ever lost.
pub(crate) fn columns(path: &Path, reader: Box<dyn Read + Send + '_>) -> Result<Vec<String>, IngestError> {
    let mut reader = BufReader::with_capacity(1 << 18, reader);
    let mut columns = Columns::default();
    let mut bytes = Vec::new();
    loop {
        bytes.clear();
        let read = reader
            .by_ref()
            .take(MAX_ROW_BYTES + 1)
            .read_until(b'\n', &mut bytes)
            .map_err(|error| IngestError::file(path, None, file::describe_read_error(&error)))?;
        if read == 0 {
            return Ok(columns.names);
        }
        if bytes.len() as u64 > MAX_ROW_BYTES {
            return Err(IngestError::file(path, None, too_long()));
        }
        let known = columns.names.len();
        let mut reader = serde_json::Deserializer::from_slice(&bytes);
        let found = Keys(&mut columns).deserialize(&mut reader).and_then(|()| reader.end());
        if found.is_err() {
            // A line that is no object has no keys.
            columns.truncate(known);
        }
    }
}

/// Adds the keys of an object to those that are known.
struct Keys<'k>(&'k mut Columns);

impl<'de> DeserializeSeed<'de> for Keys<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Keys<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let mut expected = 0;
        while let Some(Name(key)) = map.next_key::<Name<'de>>()? {
            match self.0.place(expected, &key) {
                Some(at) => expected = at + 1,
                None => self.0.add(&key),
            }
            map.next_value::<IgnoredAny>()?;
        }
        Ok(())
    }
}

/// Columns, and where each of them stands.
#[derive(Debug, Default)]
pub(crate) struct Columns {
    names: Vec<String>,
    places: HashMap<String, usize>,
}

impl Columns {
    pub(crate) fn new(names: &[String]) -> Self {
        let mut columns = Self::default();
        names.iter().for_each(|name| columns.add(name));
        columns
    }

    pub(crate) fn names(&self) -> &[String] {
        &self.names
    }

    fn add(&mut self, name: &str) {
        self.places.insert(name.to_owned(), self.names.len());
        self.names.push(name.to_owned());
    }

    fn truncate(&mut self, known: usize) {
        for name in self.names.drain(known..) {
            self.places.remove(&name);
        }
    }

    /// Rows have their keys in the same order, as a rule.
    fn place(&self, expected: usize, key: &str) -> Option<usize> {
        match self.names.get(expected) {
            Some(column) if column == key => Some(expected),
            _ => self.places.get(key).copied(),
        }
    }
}

/// A name, borrowed where nothing in it is escaped.
#[derive(serde::Deserialize)]
struct Name<'a>(#[serde(borrow)] Cow<'a, str>);

/// One line.
pub(super) fn row<'c, 'r>(
    line: u64,
    columns: &Columns,
    bytes: &'c [u8],
    cells: &'r mut Vec<Cell<'c>>,
) -> RawRow<'c, 'r> {
    let broken = |reason: String| RawRow::Broken {
        line,
        text: String::from_utf8_lossy(bytes).into_owned(),
        reason,
    };
    let text = match std::str::from_utf8(bytes) {
        Ok(text) => text,
        Err(error) => return broken(format!("is not JSON: {error}")),
    };
    cells.clear();
    cells.resize(columns.names.len(), None);
    let mut reader = serde_json::Deserializer::from_str(text);
    match (Cells { columns, cells })
        .deserialize(&mut reader)
        .and_then(|()| reader.end())
    {
        Ok(()) => RawRow::Cells { line, cells },
        Err(error) if error.to_string().starts_with(TOO_DEEP) => broken(TOO_DEEP.to_owned()),
        Err(error) if error.to_string().starts_with(BAD_TEXT) => broken(error.to_string()),
        Err(error) if error.is_data() => broken("is JSON but not an object".to_owned()),
        Err(error) => broken(format!("is not JSON: {error}")),
    }
}

/// Puts the values of an object into their places.
struct Cells<'k, 'c> {
    columns: &'k Columns,
    cells: &'k mut [Cell<'c>],
}

impl<'c> DeserializeSeed<'c> for Cells<'_, 'c> {
    type Value = ();

    fn deserialize<D: Deserializer<'c>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'c> Visitor<'c> for Cells<'_, 'c> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON object")
    }

    fn visit_map<A: MapAccess<'c>>(self, mut map: A) -> Result<(), A::Error> {
        let mut expected = 0;
        while let Some(Name(key)) = map.next_key::<Name<'c>>()? {
            let value = map.next_value::<&'c RawValue>()?;
            if is_too_deep(value.get()) {
                return Err(serde::de::Error::custom(TOO_DEEP));
            }
            if let Some(at) = self.columns.place(expected, &key) {
                self.cells[at] =
                    cell(value).map_err(|error| serde::de::Error::custom(format!("{BAD_TEXT}: {error}")))?;
                expected = at + 1;
            }
        }
        Ok(())
    }
}

/// Whoever reads the text later may do so by recursion.
fn is_too_deep(raw: &str) -> bool {
    let opens = || {
        memchr::memchr2_iter(b'{', b'[', raw.as_bytes())
            .take(MAX_DEPTH + 1)
            .count()
    };
    raw.starts_with(['{', '[']) && opens() > MAX_DEPTH && depth(raw) > MAX_DEPTH
}

fn cell(value: &RawValue) -> Result<Cell<'_>, serde_json::Error> {
    let raw = value.get();
    Ok(match raw.as_bytes() {
        b"null" | b"\"\"" => None,
        [b'"', inner @ .., b'"'] if memchr::memchr(b'\\', inner).is_none() => {
            Some(Cow::Borrowed(&raw[1..raw.len() - 1]))
        }
        [b'"', ..] => {
            let text: String = serde_json::from_str(raw)?;
            Some(text).filter(|text| !text.is_empty()).map(Cow::Owned)
        }
        // 1e3 is 1000: who reads decimals knows no exponents.
        [b'-' | b'0'..=b'9', rest @ ..] if rest.iter().any(|byte| matches!(byte, b'e' | b'E')) => {
            let number = serde_json::from_str::<serde_json::Value>(raw).ok();
            Some(Cow::Owned(
                number.map_or_else(|| raw.to_owned(), |number| number.to_string()),
            ))
        }
        _ => Some(Cow::Borrowed(raw)),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(line: &str, columns: &[&str]) -> String {
        let names: Vec<String> = columns.iter().map(|name| (*name).to_owned()).collect();
        let columns = Columns::new(&names);
        let mut cells = Vec::new();
        match row(7, &columns, line.as_bytes(), &mut cells) {
            RawRow::Cells { line: 7, cells } => format!("{cells:?}"),
            RawRow::Cells { line, .. } => format!("line {line}"),
            RawRow::Broken { reason, .. } => reason,
        }
    }

    #[test]
    fn values_are_what_was_written() {
        let line = r#"{"b":"x\n","a":90071992547409.93,"d":{"k": [1, 2]},"c":"","e":null,"f":1e3,"a":2.50}"#;
        assert_eq!(
            read(line, &["a", "b", "c", "d", "e", "f"]),
            r#"[Some("2.50"), Some("x\n"), None, Some("{\"k\": [1, 2]}"), None, Some("1000.0")]"#
        );
        assert!(read("{\"a\":", &["a"]).starts_with("is not JSON"));
        assert!(read("{} x", &["a"]).starts_with("is not JSON"));
        assert_eq!(read("[1]", &["a"]), "is JSON but not an object");
        let deep = |levels: usize| format!("{{\"a\":{}{}}}", "[".repeat(levels), "]".repeat(levels));
        assert_eq!(read(&deep(129), &["a"]), "is nested deeper than 128 levels");
        assert!(read(&deep(128), &["a"]).starts_with("[Some"));
        assert!(read(r#"{"a":"x\ud83d"}"#, &["a"]).starts_with("holds text that is none"));
        // Many, but side by side.
        let wide = format!("{{\"a\":[{}1]}}", "[],".repeat(500));
        assert!(read(&wide, &["a"]).starts_with("[Some"));
    }

    #[test]
    fn keys_are_those_of_all_rows_in_their_order() {
        let lines = b"{\"a\":1,\"b\":{\"z\":1}}\n{\"bad\":1,\n{\"c\":1,\"a\":2}\n7\n";
        let found = columns(Path::new("x"), Box::new(&lines[..])).unwrap();
        assert_eq!(found, ["a", "b", "c"]);
    }
}
