//! The one form with a file in it (multipart/form-data, RFC 7578): a backup that is to be restored.

use std::collections::BTreeMap;

use bytes::Bytes;
use multer::{Constraints, Multipart, SizeLimit};

use super::form;
use crate::backup::MAX_SEALED_BYTES;

/// The whole body: the file, and what a form without one may have.
pub(super) const MOST_BYTES: usize = MAX_SEALED_BYTES + form::MOST_BYTES;
const FILE: &str = "file";
const FIELDS: [&str; 4] = ["csrf", "passphrase", "identity", "sure"];

#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Upload {
    pub(crate) fields: BTreeMap<String, String>,
    pub(crate) file: Bytes,
}

/// Nothing when it is not that form: a field that is none of it, one that comes twice, no file, or broken bytes.
pub(crate) async fn read(content_type: &str, body: Bytes) -> Option<Upload> {
    let boundary = multer::parse_boundary(content_type).ok()?;
    let limits = SizeLimit::new()
        .whole_stream(MOST_BYTES as u64)
        .per_field(form::MOST_BYTES as u64)
        .for_field(FILE, MAX_SEALED_BYTES as u64);
    let allowed = FIELDS.into_iter().chain([FILE]).collect();
    let constraints = Constraints::new().allowed_fields::<&str>(allowed).size_limit(limits);
    let whole = futures::stream::iter([Ok::<_, std::convert::Infallible>(body)]);
    let mut parts = Multipart::with_constraints(whole, boundary, constraints);
    let (mut fields, mut file) = (BTreeMap::new(), None);
    while let Some(part) = parts.next_field().await.ok()? {
        let name = part.name()?.to_owned();
        let content = part.bytes().await.ok()?;
        let before = if name == FILE {
            file.replace(content).is_some()
        } else {
            let text = String::from_utf8(content.to_vec()).ok()?;
            fields.insert(name, text).is_some()
        };
        if before {
            return None;
        }
    }
    Some(Upload { fields, file: file? })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const KIND: &str = "multipart/form-data; boundary=XX";

    fn part(name: &str, content: &str) -> String {
        format!("--XX\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{content}\r\n")
    }

    fn of(body: String) -> Option<Upload> {
        read_now(KIND, body.into_bytes())
    }

    fn read_now(kind: &str, body: Vec<u8>) -> Option<Upload> {
        futures::executor::block_on(read(kind, Bytes::from(body)))
    }

    #[test]
    fn forms() {
        let end = "--XX--\r\n";
        let good = part("csrf", "s") + &part("passphrase", "a b+%\u{e4}") + &part("file", "\0age") + end;
        let upload = of(good).unwrap();
        assert_eq!(upload.file, &b"\0age"[..]);
        assert_eq!(upload.fields["passphrase"], "a b+%\u{e4}", "as it was typed");
        for bad in [
            String::new(),
            part("csrf", "s") + end,
            part("file", "x") + &part("file", "y") + end,
            part("csrf", "x") + &part("csrf", "y") + &part("file", "x") + end,
            part("other", "x") + &part("file", "x") + end,
            part("file", "x"),
            part("csrf", &"x".repeat(form::MOST_BYTES + 1)) + &part("file", "x") + end,
            part("file", &"x".repeat(MAX_SEALED_BYTES + 1)) + end,
        ] {
            assert_eq!(of(bad.clone()), None, "{bad:.200}");
        }
        for kind in ["multipart/form-data", "text/plain", ""] {
            assert_eq!(read_now(kind, b"--XX--".to_vec()), None);
        }
    }

    proptest! {
        #[test]
        fn no_body_panics(before in ".{0,80}", content in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = read_now(KIND, [part("file", &before).as_bytes(), b"--XX", &content].concat());
            let _ = read_now(KIND, content);
        }
    }
}
