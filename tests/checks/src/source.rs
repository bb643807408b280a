//! The files of a crate as the compiler takes them: from its root along `mod` lines. What is there for tests alone is
//! left out.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use quote::ToTokens;
use syn::{Attribute, Item};

/// A workspace member.
pub(crate) struct Member {
    pub(crate) name: String,
    /// Below the repository.
    pub(crate) folder: PathBuf,
    /// Its library and its programs.
    pub(crate) targets: Vec<Target>,
    /// Names by which its code knows what it depends on.
    pub(crate) dependencies: Vec<Dependency>,
    /// Every Rust file of it, tests and all.
    pub(crate) files: Vec<PathBuf>,
    pub(crate) repository: PathBuf,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Dependency {
    pub(crate) ident: String,
    pub(crate) for_tests: bool,
}

impl Member {
    /// What ships or makes what ships: not what only looks at it.
    pub(crate) fn is_production(&self) -> bool {
        !self.folder.starts_with("tests") && !self.folder.starts_with("fuzz")
    }
}

/// One crate in the compiler's sense: a library or a program.
pub(crate) struct Target {
    pub(crate) files: Vec<File>,
}

/// A file, and the module that it is.
pub(crate) struct File {
    /// Below the repository.
    pub(crate) path: PathBuf,
    pub(crate) module: Vec<String>,
    /// Without what is there for tests alone.
    pub(crate) items: Vec<Item>,
    pub(crate) text: String,
}

impl Target {
    /// Reads from `root` on, a path below `repository`.
    pub(crate) fn read(repository: &Path, root: &Path) -> Result<Target> {
        let mut files = Vec::new();
        let folder = root.parent().unwrap_or(Path::new("")).to_owned();
        read(repository, root.to_owned(), folder, Vec::new(), &mut files)?;
        Ok(Target { files })
    }
}

/// `folder` is where the modules that the file declares are.
fn read(repository: &Path, path: PathBuf, folder: PathBuf, module: Vec<String>, files: &mut Vec<File>) -> Result<()> {
    let text =
        std::fs::read_to_string(repository.join(&path)).with_context(|| format!("reading {}", path.display()))?;
    let mut items = syn::parse_file(&text)
        .with_context(|| format!("reading {}", path.display()))?
        .items;
    leave_out_tests(&mut items);
    let mut declared = Vec::new();
    declarations(&items, &folder, &module, &mut declared);
    files.push(File {
        path,
        module,
        items,
        text,
    });
    for (folder, name, module) in declared {
        let flat = folder.join(format!("{name}.rs"));
        let below = folder.join(&name);
        let path = match repository.join(&flat).is_file() {
            true => flat,
            false => below.join("mod.rs"),
        };
        read(repository, path, below, module, files)?;
    }
    Ok(())
}

/// Modules in files of their own: the folder, the name and the module's path.
fn declarations(items: &[Item], folder: &Path, module: &[String], found: &mut Vec<(PathBuf, String, Vec<String>)>) {
    for item in items {
        let Item::Mod(item) = item else { continue };
        let name = item.ident.to_string();
        let inner = [module, std::slice::from_ref(&name)].concat();
        match &item.content {
            None => found.push((folder.to_owned(), name, inner)),
            Some((_, items)) => declarations(items, &folder.join(&name), &inner, found),
        }
    }
}

fn leave_out_tests(items: &mut Vec<Item>) {
    items.retain(|item| !is_for_tests(attributes(item)));
    for item in items {
        if let Item::Mod(item) = item
            && let Some((_, items)) = &mut item.content
        {
            leave_out_tests(items);
        }
    }
}

fn is_for_tests(attributes: &[Attribute]) -> bool {
    attributes.iter().any(|attribute| {
        let text: String = attribute
            .meta
            .to_token_stream()
            .to_string()
            .split_whitespace()
            .collect();
        text == "cfg(test)" || text == "test"
    })
}

fn attributes(item: &Item) -> &[Attribute] {
    match item {
        Item::Const(item) => &item.attrs,
        Item::Enum(item) => &item.attrs,
        Item::Fn(item) => &item.attrs,
        Item::Impl(item) => &item.attrs,
        Item::Macro(item) => &item.attrs,
        Item::Mod(item) => &item.attrs,
        Item::Static(item) => &item.attrs,
        Item::Struct(item) => &item.attrs,
        Item::Trait(item) => &item.attrs,
        Item::Type(item) => &item.attrs,
        Item::Use(item) => &item.attrs,
        _ => &[],
    }
}

/// A crate in a folder of its own, for tests.
#[cfg(test)]
pub(crate) fn written(files: &[(&str, &str)]) -> (tempfile::TempDir, Member) {
    let dir = tempfile::tempdir().unwrap();
    for (path, text) in files {
        let path = dir.path().join("a/src").join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }
    let member = Member {
        name: "a".to_owned(),
        folder: "a".into(),
        targets: vec![Target::read(dir.path(), Path::new("a/src/lib.rs")).unwrap()],
        dependencies: Vec::new(),
        files: files.iter().map(|(path, _)| Path::new("a/src").join(path)).collect(),
        repository: dir.path().to_owned(),
    };
    (dir, member)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_found_along_their_modules_without_tests() {
        let (_dir, member) = written(&[
            (
                "lib.rs",
                "mod a; mod b; mod inner { mod deep; } #[cfg(test)] mod tests;",
            ),
            ("a.rs", "mod child;"),
            ("a/child.rs", ""),
            ("b/mod.rs", "mod child; #[cfg(test)] mod tests { use crate::a; }"),
            ("b/child.rs", ""),
            ("inner/deep.rs", ""),
            ("tests.rs", "this is not read"),
        ]);
        let mut files: Vec<(String, String)> = member.targets[0]
            .files
            .iter()
            .map(|file| (file.path.display().to_string(), file.module.join("::")))
            .collect();
        files.sort();
        let files: Vec<(&str, &str)> = files.iter().map(|(path, module)| (&**path, &**module)).collect();
        assert_eq!(
            files,
            [
                ("a/src/a.rs", "a"),
                ("a/src/a/child.rs", "a::child"),
                ("a/src/b/child.rs", "b::child"),
                ("a/src/b/mod.rs", "b"),
                ("a/src/inner/deep.rs", "inner::deep"),
                ("a/src/lib.rs", ""),
            ]
        );
        let b = member.targets[0]
            .files
            .iter()
            .find(|file| file.module == ["b"])
            .unwrap();
        assert_eq!(b.items.len(), 1);
    }
}
