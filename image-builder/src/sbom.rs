//! What an image is made of: as SPDX 2.3 in JSON, for programs, and as a list of licences with their texts, for people.
//!
//! Debian's packages come from the package database of the root before it is cut, boot packages from their change
//! logs, the crates from `cargo tree`; so a component that is built into the image is in the list without anybody
//! having to remember it.

use std::collections::BTreeMap;
use std::fmt::Write;

use serde_json::{Value, json};

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Kind {
    /// A binary package of Debian.
    Debian,
    /// A crate that is linked into one of our programs.
    Crate,
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Component {
    pub(crate) kind: Kind,
    pub(crate) name: String,
    pub(crate) version: String,
    /// An SPDX licence expression, where whoever published it declared one.
    pub(crate) licence: Option<String>,
}

/// The installed packages of a dpkg database (dpkg-query(1), `status`).
pub(crate) fn debian_packages(status: &str) -> Vec<Component> {
    let mut found: Vec<Component> = status
        .split("\n\n")
        .filter_map(|paragraph| {
            let field = |name: &str| {
                let mut lines = paragraph.lines();
                lines.find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
            };
            field("Status")?.ends_with(" installed").then_some(())?;
            Some(debian(field("Package")?, field("Version")?))
        })
        .collect();
    found.sort();
    found
}

pub(crate) fn debian(name: &str, version: &str) -> Component {
    Component {
        kind: Kind::Debian,
        name: name.to_owned(),
        version: version.to_owned(),
        licence: None,
    }
}

/// The version in the first line of a Debian change log: `name (version) suite; urgency=…`.
pub(crate) fn version_of_changelog(text: &str) -> Option<&str> {
    let (_, rest) = text.lines().next()?.split_once(" (")?;
    Some(rest.split_once(')')?.0)
}

/// The lines of `cargo tree --prefix none --format '{p}|{l}'`, each crate once; our own are left out.
pub(crate) fn crates(tree: &str) -> Vec<Component> {
    let mut found: Vec<Component> = tree
        .lines()
        .filter_map(|line| {
            let (package, licence) = line.trim_end_matches(" (*)").split_once('|')?;
            let mut words = package.split(' ');
            let (name, version) = (words.next()?, words.next()?.strip_prefix('v')?);
            // Whatever follows is a path, for the crates of the repository itself, or a note such as "(proc-macro)".
            let ours = words.any(|word| word.starts_with("(/"));
            (!ours).then(|| Component {
                kind: Kind::Crate,
                name: name.to_owned(),
                version: version.to_owned(),
                // The old way to write a choice.
                licence: (!licence.is_empty()).then(|| licence.replace('/', " OR ")),
            })
        })
        .collect();
    found.sort();
    found.dedup();
    found
}

/// The SPDX document. `created` is a time as in `2026-01-31T23:59:59Z`; `digest` names this very image.
pub(crate) fn spdx(image: &str, version: &str, created: &str, digest: &str, components: &[Component]) -> Value {
    let mut packages = vec![json!({
        "SPDXID": "SPDXRef-image",
        "name": image,
        "versionInfo": version,
        "downloadLocation": "NOASSERTION",
        "filesAnalyzed": false,
        "checksums": [{"algorithm": "SHA256", "checksumValue": digest}],
        "licenseConcluded": "NOASSERTION",
        "licenseDeclared": "NOASSERTION",
        "copyrightText": "NOASSERTION",
    })];
    let mut relations = vec![json!({
        "spdxElementId": "SPDXRef-DOCUMENT",
        "relationshipType": "DESCRIBES",
        "relatedSpdxElement": "SPDXRef-image",
    })];
    for (number, component) in components.iter().enumerate() {
        let id = format!("SPDXRef-{number}");
        packages.push(spdx_package(&id, component));
        relations.push(json!({
            "spdxElementId": "SPDXRef-image",
            "relationshipType": "CONTAINS",
            "relatedSpdxElement": id,
        }));
    }
    json!({
        "spdxVersion": "SPDX-2.3",
        "dataLicense": "CC0-1.0",
        "SPDXID": "SPDXRef-DOCUMENT",
        "name": image,
        "documentNamespace": format!("https://spdx.org/spdxdocs/{image}-{digest}"),
        "creationInfo": {
            "created": created,
            "creators": [format!("Tool: pillarbox-image-{}", env!("CARGO_PKG_VERSION"))],
        },
        "packages": packages,
        "relationships": relations,
    })
}

fn spdx_package(id: &str, component: &Component) -> Value {
    let Component { name, version, .. } = component;
    let locator = match component.kind {
        Kind::Debian => format!(
            "pkg:deb/debian/{name}@{version}?arch=arm64&distro={}",
            crate::recipe::SUITE
        ),
        Kind::Crate => format!("pkg:cargo/{name}@{version}"),
    };
    json!({
        "SPDXID": id,
        "name": name,
        "versionInfo": version,
        "downloadLocation": "NOASSERTION",
        "filesAnalyzed": false,
        "licenseConcluded": "NOASSERTION",
        "licenseDeclared": component.licence.as_deref().unwrap_or("NOASSERTION"),
        "copyrightText": "NOASSERTION",
        "externalRefs": [{
            "referenceCategory": "PACKAGE-MANAGER",
            "referenceType": "purl",
            // A purl's version may hold any of these only in this form (package-url specification, rules).
            "referenceLocator": locator.replace('+', "%2B").replace(':', "%3A").replacen("pkg%3A", "pkg:", 1),
        }],
    })
}

/// The licences: of crates by their expressions, of Debian's packages by their copyright files, alike ones once.
pub(crate) fn licences(components: &[Component], copyright: impl Fn(&str) -> Option<String>) -> String {
    let mut text = String::from("What this image is made of, and under which licences.\n\nCrates\n\n");
    for component in components.iter().filter(|component| component.kind == Kind::Crate) {
        let licence = component.licence.as_deref().unwrap_or("see the crate");
        let _ = writeln!(text, "{} {}: {licence}", component.name, component.version);
    }
    let mut by_text: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for component in components.iter().filter(|component| component.kind == Kind::Debian) {
        let file = copyright(&component.name).unwrap_or_else(|| "no copyright file of its own\n".to_owned());
        let names = by_text.entry(file).or_default();
        names.push(format!("{} {}", component.name, component.version));
    }
    text.push_str(
        "\nPackages of Debian; a text under \"/usr/share/common-licenses\" is in Debian's package base-files.\n",
    );
    let mut sections: Vec<(Vec<String>, String)> = by_text.into_iter().map(|(file, names)| (names, file)).collect();
    sections.sort();
    for (names, file) in sections {
        let _ = write!(
            text,
            "\n{}\n{}\n\n{}",
            "=".repeat(80),
            names.join("\n"),
            file.trim_end()
        );
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debian_packages_are_those_that_are_installed() {
        let status = "Package: b\nStatus: install ok installed\nVersion: 1:2.0-3\nDescription: x\n Package: no\n\n\
                      Package: gone\nStatus: deinstall ok config-files\nVersion: 1\n\n\
                      Package: a\nStatus: install ok installed\nVersion: 1.0+deb13u1\n";
        assert_eq!(
            debian_packages(status),
            [debian("a", "1.0+deb13u1"), debian("b", "1:2.0-3")]
        );
        assert_eq!(
            version_of_changelog("u-boot (2025.01-3) unstable; urgency=low\n\n  * x"),
            Some("2025.01-3")
        );
        assert_eq!(version_of_changelog(""), None);
    }

    #[test]
    fn crates_are_listed_once_and_ours_not_at_all() {
        let tree = "pillarboxd v0.1.0 (/src/daemon)|Apache-2.0\nserde v1.0.1|MIT OR Apache-2.0\n\
                    serde_derive v1.0.1 (proc-macro)|MIT/Apache-2.0\nserde v1.0.1|MIT OR Apache-2.0 (*)\nodd v2.0.0|\n";
        let found = crates(tree);
        let names: Vec<(&str, Option<&str>)> = found.iter().map(|c| (c.name.as_str(), c.licence.as_deref())).collect();
        assert_eq!(
            names,
            [
                ("odd", None),
                ("serde", Some("MIT OR Apache-2.0")),
                ("serde_derive", Some("MIT OR Apache-2.0"))
            ]
        );
    }

    #[test]
    fn the_document_contains_every_component() {
        let mut components = crates("serde v1.0.1|MIT\n");
        components.push(debian("libc6", "2.41-12+deb13u1"));
        let document = spdx("pillarbox-x", "0.1.0", "2026-01-01T00:00:00Z", "abc", &components);
        assert_eq!(document["packages"].as_array().unwrap().len(), 3);
        assert_eq!(document["relationships"].as_array().unwrap().len(), 3);
        assert_eq!(document["packages"][1]["licenseDeclared"], "MIT");
        let locator = document["packages"][2]["externalRefs"][0]["referenceLocator"]
            .as_str()
            .unwrap();
        assert_eq!(
            locator,
            "pkg:deb/debian/libc6@2.41-12%2Bdeb13u1?arch=arm64&distro=trixie"
        );
    }

    /// SPDX 2.3, sections 6 (document), 7 (packages) and 11 (relationships): what must be there, and in which form.
    #[test]
    fn the_document_has_what_spdx_requires() {
        let mut components = crates("serde v1.0.1|MIT\nodd v2.0.0|\n");
        components.push(debian("libstdc++6", "1:14.2-19"));
        let document = spdx(
            "pillarbox-x",
            "0.1.0",
            "2026-01-01T00:00:00Z",
            &"ab".repeat(32),
            &components,
        );
        let text = |value: &Value, key: &str| {
            value[key]
                .as_str()
                .unwrap_or_else(|| panic!("no {key}: {value}"))
                .to_owned()
        };
        assert_eq!(text(&document, "spdxVersion"), "SPDX-2.3");
        assert_eq!(text(&document, "dataLicense"), "CC0-1.0");
        assert_eq!(text(&document, "SPDXID"), "SPDXRef-DOCUMENT");
        let namespace = text(&document, "documentNamespace");
        assert!(
            namespace.starts_with("https://") && !namespace.contains('#'),
            "{namespace}"
        );
        let creation = &document["creationInfo"];
        let created = text(creation, "created");
        assert!(created.len() == 20 && created.ends_with('Z'), "{created}");
        assert!(creation["creators"][0].as_str().unwrap().starts_with("Tool: "));

        let mut ids = std::collections::BTreeSet::from(["SPDXRef-DOCUMENT".to_owned()]);
        for package in document["packages"].as_array().unwrap() {
            let id = text(package, "SPDXID");
            let rest = id.strip_prefix("SPDXRef-").unwrap();
            assert!(
                rest.bytes()
                    .all(|byte| byte.is_ascii_alphanumeric() || b".-".contains(&byte)),
                "{id}"
            );
            assert!(ids.insert(id.clone()), "{id} stands twice");
            for key in [
                "name",
                "versionInfo",
                "downloadLocation",
                "licenseConcluded",
                "licenseDeclared",
                "copyrightText",
            ] {
                assert!(!text(package, key).is_empty(), "{id}: {key}");
            }
            // Without it, every file would have to be listed (section 7.8).
            assert_eq!(package["filesAnalyzed"], false, "{id}");
            for reference in package["externalRefs"].as_array().into_iter().flatten() {
                assert_eq!(text(reference, "referenceCategory"), "PACKAGE-MANAGER");
                let locator = text(reference, "referenceLocator");
                assert!(locator.starts_with("pkg:") && !locator.contains('+'), "{locator}");
            }
        }
        let sum = &document["packages"][0]["checksums"][0];
        assert_eq!(
            (text(sum, "algorithm").as_str(), text(sum, "checksumValue").len()),
            ("SHA256", 64)
        );
        let relations = document["relationships"].as_array().unwrap();
        for relation in relations {
            for key in ["spdxElementId", "relatedSpdxElement"] {
                assert!(ids.contains(&text(relation, key)), "{relation}");
            }
        }
        assert_eq!(
            relations[0]["relationshipType"], "DESCRIBES",
            "a document says what it is about"
        );
    }

    #[test]
    fn alike_licence_texts_stand_once() {
        let components = [debian("a", "1"), debian("b", "1"), debian("c", "2")];
        let text = licences(&components, |name| (name != "c").then(|| "the same\n".to_owned()));
        assert_eq!(text.matches("the same").count(), 1);
        assert!(
            text.contains("a 1\nb 1") && text.contains("c 2\n\nno copyright file"),
            "{text}"
        );
    }
}
