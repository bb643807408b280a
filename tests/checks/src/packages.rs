//! What Cargo knows of the workspace and of all that it is linked with on Linux: licences, sources, and crates that are
//! there in two versions; and that nothing which ships holds what is there for fuzzing.
//!
//! Advisories need a database from elsewhere; the public forge looks at them (`.github/workflows/advisories.yml`).

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};
use serde::Deserialize;

use crate::licence;
use crate::source::{Dependency, Member, Target};

const CRATES_IO: &str = "registry+https://github.com/rust-lang/crates.io-index";
/// The platform whose packages count.
const PLATFORM: &str = "x86_64-unknown-linux-gnu";

/// A licence that is not for everything, and why it is for this.
const LICENCES_OF_ONE: &[(&str, &str, &str)] = &[(
    "attohttpc",
    "MPL-2.0",
    "binds the crate's own files alone, which are not changed; igd-next speaks to routers with it",
)];

/// The feature of our libraries that only the fuzz crate may turn on.
const FOR_FUZZING: &str = "fuzzed";
const FUZZ_CRATE: &str = "pillarbox-fuzz";

/// Crates in two versions, by the reason why the older one is still there.
const DUPLICATES: &[(&str, &[&str])] = &[
    (
        "age, hpke, snow and soketto are of RustCrypto's former generation",
        &[
            "aead",
            "aes",
            "aes-gcm",
            "base16ct",
            "block-buffer",
            "chacha20",
            "cipher",
            "const-oid",
            "cpufeatures",
            "crypto-bigint",
            "crypto-common",
            "ctr",
            "curve25519-dalek",
            "der",
            "digest",
            "elliptic-curve",
            "ff",
            "getrandom",
            "ghash",
            "group",
            "hkdf",
            "hmac",
            "hybrid-array",
            "inout",
            "keccak",
            "polyval",
            "primeorder",
            "rand",
            "rand_core",
            "sec1",
            "sha2",
            "sha3",
            "universal-hash",
            "x25519-dalek",
        ],
    ),
    (
        "age, attohttpc (of igd-next), pem and soketto have not moved",
        &["base64"],
    ),
    (
        "libp2p-tls makes its certificate with an older rcgen",
        &["pem", "rcgen", "yasna"],
    ),
    ("x509-parser (of libp2p-tls) has not moved", &["nom", "synstructure"]),
    ("yasna, and proptest in tests", &["bit-vec"]),
    (
        "age's translations: i18n-embed, find-crate",
        &["thiserror", "thiserror-impl", "toml"],
    ),
    ("rtnetlink (of if-watch, of libp2p) has not moved", &["nix"]),
    ("promql-parser in tests", &["unicode-width"]),
    ("half of all macros have not moved; no program has it in it", &["syn"]),
];

#[derive(Debug, Deserialize)]
pub(crate) struct Metadata {
    packages: Vec<Package>,
    workspace_members: BTreeSet<String>,
    resolve: Resolve,
}

#[derive(Debug, Deserialize)]
struct Package {
    id: String,
    name: String,
    version: String,
    license: Option<String>,
    source: Option<String>,
    manifest_path: PathBuf,
    dependencies: Vec<Declared>,
    targets: Vec<DeclaredTarget>,
}

#[derive(Debug, Deserialize)]
struct Declared {
    name: String,
    rename: Option<String>,
    kind: Option<String>,
    features: Vec<String>,
}

#[derive(Debug, Deserialize)]
struct DeclaredTarget {
    kind: Vec<String>,
    src_path: PathBuf,
}

#[derive(Debug, Deserialize)]
struct Resolve {
    nodes: Vec<Node>,
}

#[derive(Debug, Deserialize)]
struct Node {
    id: String,
}

impl Metadata {
    pub(crate) fn of(repository: &Path) -> Result<Metadata> {
        let output = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
            .args(["metadata", "--locked", "--format-version=1"])
            .arg(format!("--filter-platform={PLATFORM}"))
            .current_dir(repository)
            .output()
            .context("starting cargo metadata")?;
        let said = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success(), "cargo metadata failed: {said}");
        serde_json::from_slice(&output.stdout).context("reading what cargo metadata says")
    }

    /// What is built on the platform, ours too.
    fn built(&self) -> impl Iterator<Item = &Package> {
        let ids: BTreeSet<&str> = self.resolve.nodes.iter().map(|node| node.id.as_str()).collect();
        self.packages
            .iter()
            .filter(move |package| ids.contains(package.id.as_str()))
    }

    pub(crate) fn members(&self, repository: &Path) -> Result<Vec<Member>> {
        let ours = self
            .packages
            .iter()
            .filter(|package| self.workspace_members.contains(&package.id));
        ours.map(|package| package.member(repository)).collect()
    }

    pub(crate) fn licences_and_sources(&self) -> Vec<String> {
        let mut mistakes = Vec::new();
        for package in self.built() {
            let Package { name, version, .. } = package;
            let licence = package.license.as_deref().unwrap_or_default();
            let of_one = |(of, allowed, _): &&(&str, &str, &str)| *of == *name && *allowed == licence;
            if !licence::is_allowed(licence) && !LICENCES_OF_ONE.iter().any(|entry| of_one(&entry)) {
                mistakes.push(format!(
                    "{name} {version} has a licence that is not allowed: {licence:?}"
                ));
            }
            // Without a source it is a folder of this repository.
            if let Some(source) = package.source.as_deref().filter(|source| *source != CRATES_IO) {
                mistakes.push(format!("{name} {version} is not from crates.io: {source}"));
            }
        }
        mistakes
    }

    pub(crate) fn features_for_fuzzing(&self) -> Vec<String> {
        let others = self.packages.iter().filter(|package| package.name != FUZZ_CRATE);
        let turned_on = others.flat_map(|package| package.dependencies.iter().map(move |declared| (package, declared)));
        turned_on
            .filter(|(package, declared)| {
                package.source.is_none() && declared.features.iter().any(|feature| feature == FOR_FUZZING)
            })
            .map(|(package, declared)| format!("{} turns on {FOR_FUZZING} of {}", package.name, declared.name))
            .collect()
    }

    pub(crate) fn duplicates(&self) -> Vec<String> {
        let mut versions: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
        for package in self.built() {
            versions.entry(&package.name).or_default().insert(&package.version);
        }
        versions.retain(|_, versions| versions.len() > 1);
        let excused: BTreeSet<&str> = DUPLICATES.iter().flat_map(|(_, names)| *names).copied().collect();
        let new = versions
            .iter()
            .filter(|(name, _)| !excused.contains(*name))
            .map(|(name, versions)| format!("{name} is there in versions {versions:?} (cargo tree --duplicates)"));
        let over = excused
            .iter()
            .filter(|name| !versions.contains_key(*name))
            .map(|name| format!("{name} is there once: take it out of DUPLICATES"));
        new.chain(over).collect()
    }
}

impl Package {
    fn member(&self, repository: &Path) -> Result<Member> {
        let below = |path: &Path| {
            path.strip_prefix(repository)
                .map(Path::to_owned)
                .context("it is not ours")
        };
        let folder = below(self.manifest_path.parent().context("a manifest lies in a folder")?)?;
        let is_built = |target: &&DeclaredTarget| {
            let built = ["lib", "bin", "proc-macro", "custom-build"];
            target.kind.iter().any(|kind| built.contains(&kind.as_str()))
        };
        let targets = self.targets.iter().filter(is_built);
        let targets = targets.map(|target| Target::read(repository, &below(&target.src_path)?));
        let mut files = Vec::new();
        rust_files(repository, &folder, &mut files)?;
        files.sort();
        let dependencies = self.dependencies.iter().map(|declared| Dependency {
            ident: declared.rename.as_ref().unwrap_or(&declared.name).replace('-', "_"),
            for_tests: declared.kind.as_deref() == Some("dev"),
        });
        Ok(Member {
            name: self.name.clone(),
            targets: targets.collect::<Result<_>>()?,
            dependencies: dependencies.collect(),
            files,
            folder,
            repository: repository.to_owned(),
        })
    }
}

fn rust_files(repository: &Path, folder: &Path, found: &mut Vec<PathBuf>) -> Result<()> {
    let here = repository.join(folder);
    for entry in std::fs::read_dir(&here).with_context(|| format!("listing {}", here.display()))? {
        let entry = entry.with_context(|| format!("listing {}", here.display()))?;
        let path = folder.join(entry.file_name());
        if entry.path().is_dir() {
            rust_files(repository, &path, found)?;
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn metadata(packages: &[(&str, &str, &str, Option<&str>)]) -> Metadata {
        let package = |(name, version, licence, source): &(&str, &str, &str, Option<&str>)| Package {
            id: format!("{name} {version}"),
            name: (*name).to_owned(),
            version: (*version).to_owned(),
            license: Some((*licence).to_owned()),
            source: source.map(str::to_owned),
            manifest_path: PathBuf::new(),
            dependencies: Vec::new(),
            targets: Vec::new(),
        };
        let packages: Vec<Package> = packages.iter().map(package).collect();
        let nodes = packages.iter().map(|package| Node { id: package.id.clone() }).collect();
        Metadata {
            packages,
            workspace_members: BTreeSet::new(),
            resolve: Resolve { nodes },
        }
    }

    #[test]
    fn licences_and_sources_that_are_not_allowed_are_named() {
        let git = Some("git+https://example.org/x");
        let found = metadata(&[
            ("ours", "0.1.0", "Apache-2.0", None),
            ("good", "1.0.0", "MIT", Some(CRATES_IO)),
            ("strict", "1.0.0", "GPL-3.0-only", Some(CRATES_IO)),
            ("attohttpc", "1.0.0", "MPL-2.0", Some(CRATES_IO)),
            ("other", "1.0.0", "MPL-2.0", Some(CRATES_IO)),
            ("elsewhere", "1.0.0", "MIT", git),
        ])
        .licences_and_sources();
        let named: Vec<&str> = found.iter().filter_map(|mistake| mistake.split(' ').next()).collect();
        assert_eq!(named, ["strict", "other", "elsewhere"]);
    }

    #[test]
    fn only_the_fuzz_crate_turns_on_what_is_for_fuzzing() {
        let mut found = metadata(&[
            (FUZZ_CRATE, "0.1.0", "Apache-2.0", None),
            ("daemon", "0.1.0", "Apache-2.0", None),
        ]);
        for package in &mut found.packages {
            package.dependencies.push(Declared {
                name: "board-configs".to_owned(),
                rename: None,
                kind: None,
                features: vec![FOR_FUZZING.to_owned()],
            });
        }
        assert_eq!(
            found.features_for_fuzzing(),
            ["daemon turns on fuzzed of board-configs"]
        );
    }

    #[test]
    fn a_second_version_needs_a_reason_and_a_reason_a_second_version() {
        let found = metadata(&[
            ("new", "1.0.0", "MIT", None),
            ("new", "2.0.0", "MIT", None),
            ("sha2", "1.0.0", "MIT", None),
            ("sha2", "2.0.0", "MIT", None),
        ])
        .duplicates();
        assert!(found[0].starts_with("new is there in versions"), "{found:?}");
        assert!(found.iter().all(|mistake| !mistake.starts_with("sha2 ")));
        assert!(found.contains(&"sha3 is there once: take it out of DUPLICATES".to_owned()));
    }
}
