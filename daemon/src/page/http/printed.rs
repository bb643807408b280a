//! The last page of each language that was made for browsers without a session, so that it is made once per second however
//! often it is requested.

use std::sync::Arc;

use bytes::Bytes;

use crate::snapshot::Snapshot;
use crate::wording::Language;

#[derive(Default)]
pub(super) struct Printed([Option<Page>; Language::ALL.len()]);

struct Page {
    made_of: MadeOf,
    body: Bytes,
}

/// All that makes a difference to what such a browser sees, but for the language.
#[derive(Clone)]
pub(super) struct MadeOf {
    pub(super) snapshot: Arc<Snapshot>,
    pub(super) host: String,
    pub(super) unix_time: i64,
}

impl MadeOf {
    fn is_same(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.snapshot, &other.snapshot) && self.host == other.host && self.unix_time == other.unix_time
    }
}

impl Printed {
    /// The page, if it would be made of the same again.
    pub(super) fn same(&self, language: Language, wanted: &MadeOf) -> Option<Bytes> {
        let page = self.0[language as usize].as_ref()?;
        page.made_of.is_same(wanted).then(|| page.body.clone())
    }

    pub(super) fn keep(&mut self, language: Language, made_of: MadeOf, body: Bytes) {
        self.0[language as usize] = Some(Page { made_of, body });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_is_kept_by_its_language_and_what_it_is_made_of() {
        let snapshot = Arc::new(Snapshot::at_start("dev"));
        let made_of = MadeOf {
            snapshot: snapshot.clone(),
            host: "box".to_owned(),
            unix_time: 1,
        };
        let mut printed = Printed::default();
        printed.keep(Language::English, made_of.clone(), Bytes::from_static(b"english"));
        assert_eq!(printed.same(Language::German, &made_of), None);
        printed.keep(Language::German, made_of.clone(), Bytes::from_static(b"deutsch"));
        assert_eq!(printed.same(Language::English, &made_of).unwrap(), "english");
        assert_eq!(printed.same(Language::German, &made_of).unwrap(), "deutsch");
        let later = MadeOf {
            unix_time: 2,
            ..made_of.clone()
        };
        let elsewhere = MadeOf {
            host: "localhost".to_owned(),
            ..made_of.clone()
        };
        let changed = MadeOf {
            snapshot: Arc::new(Snapshot::clone(&snapshot)),
            ..made_of
        };
        for other in [later, elsewhere, changed] {
            assert_eq!(printed.same(Language::German, &other), None);
        }
    }
}
