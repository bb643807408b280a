//! Values of any kind for SQLite's columns, one a line: `null`, `int N`, `now SECONDS` (from [`NOW`](super::NOW)), `real X`,
//! `text …`, `blob …`, `zeros N`. What is none of these is no value.

use rusqlite::types::Value;

use super::{NOW, SECOND};

/// What `zeros` makes at most: more than an envelope may be.
const MAX_ZEROS: usize = 1 << 21;

pub(crate) fn value(line: &[u8]) -> Option<Value> {
    let (kind, rest) = words(line);
    let text = || String::from_utf8_lossy(rest);
    Some(match kind {
        b"null" => Value::Null,
        b"int" => Value::Integer(text().parse().ok()?),
        b"now" => Value::Integer(NOW.saturating_add(text().parse::<i64>().ok()?.saturating_mul(SECOND))),
        b"real" => Value::Real(text().parse().ok()?),
        b"text" => Value::Text(text().into_owned()),
        b"blob" => Value::Blob(rest.to_vec()),
        b"zeros" => Value::Blob(vec![0; text().parse::<usize>().ok()?.min(MAX_ZEROS)]),
        _ => return None,
    })
}

/// The first word, and what comes after it.
pub(crate) fn words(line: &[u8]) -> (&[u8], &[u8]) {
    let end = line.iter().position(|byte| *byte == b' ').unwrap_or(line.len());
    (&line[..end], line.get(end + 1..).unwrap_or_default())
}

pub(crate) fn lines(bytes: &[u8]) -> impl Iterator<Item = &[u8]> {
    bytes.split(|byte| *byte == b'\n')
}
