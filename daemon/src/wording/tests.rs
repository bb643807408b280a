use std::collections::{BTreeMap, BTreeSet};

use super::table::Texts;
use super::*;

fn texts(language: Language) -> BTreeMap<String, &'static str> {
    let texts = language.wording().texts();
    let count = texts.len();
    let texts: BTreeMap<_, _> = texts.into_iter().collect();
    assert_eq!(texts.len(), count, "every key once");
    texts
}

fn places(text: &str) -> BTreeSet<&str> {
    let after = text.split('{').skip(1);
    after
        .map(|rest| rest.split_once('}').expect("a place that ends").0)
        .collect()
}

#[test]
fn languages_have_the_same_places_for_values() {
    let english = texts(Language::English);
    assert!(english.len() > 300, "{}", english.len());
    for language in Language::ALL {
        let texts = texts(language);
        assert!(texts.keys().eq(english.keys()), "{language:?}");
        for (key, text) in &texts {
            let (mut here, mut there) = (places(text), places(english[key]));
            if key.ends_with(".one") {
                // The number itself may be a word, or go without saying.
                here.remove("count");
                there.remove("count");
            }
            assert_eq!(here, there, "{key} in {language:?}: {text}");
            assert!(!text.trim().is_empty(), "{key} in {language:?}");
        }
    }
}

#[test]
fn one_and_many_have_the_same_places() {
    for language in Language::ALL {
        let texts = texts(language);
        for (key, one) in &texts {
            if let Some(many) = key.strip_suffix(".one").map(|key| texts[&format!("{key}.many")]) {
                let but_the_count = |text| &places(text) - &BTreeSet::from(["count"]);
                assert_eq!(but_the_count(one), but_the_count(many), "{key} in {language:?}");
            }
        }
    }
}

/// What is sent as a sentence ends like one, and what stands in a table or behind a name does not.
#[test]
fn sentences_end_and_labels_do_not() {
    for language in Language::ALL {
        let words = language.wording();
        words.faults.visit("faults", &mut |key, text| {
            let sentence = key.ends_with("meaning") || key.ends_with("fix");
            assert_eq!(
                text.ends_with('.'),
                sentence && !key.contains("column"),
                "{key}: {text}"
            );
        });
        for texts in [&words.details as &dyn Texts, &words.names] {
            texts.visit("", &mut |key, text| assert!(!text.ends_with('.'), "{key}: {text}"));
        }
    }
}

#[test]
fn a_template_takes_values_as_they_are() {
    let template = Template("{a} and {b}, {a}");
    assert_eq!(template.fill(&[("a", &"{b}"), ("b", &7)]), "{b} and 7, {b}");
    let counted = Counted {
        one: Template("one {thing}"),
        many: Template("{count} {thing}s"),
    };
    assert_eq!(counted.fill(1, &[("thing", &"x")]), "one x");
    assert_eq!(counted.fill(0, &[("thing", &"x")]), "0 xs");
}
