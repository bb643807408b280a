//! No file imports another that, directly or through others, imports it.
//!
//! A file may use the modules that it lies in: `mod.rs` is where a folder keeps what its files share. What a module only
//! passes on (`use a::Thing` in it) counts as an import of where the thing is.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use proc_macro2::{TokenStream, TokenTree};
use syn::visit::{self, Visit};
use syn::{ItemMod, ItemUse, Macro, Path, UseTree};

use crate::source::{File, Member, Target};

/// How far one import may be passed on from module to module.
const MAX_PASSED_ON: usize = 8;

type Segments = Vec<String>;

pub(crate) fn check(member: &Member) -> Vec<String> {
    let mut mistakes = Vec::new();
    for target in &member.targets {
        let imports = imports(target);
        let name = |index: usize| target.files[index].path.display().to_string();
        for circle in circles(&imports) {
            let way: Vec<String> = shortest(&imports, &circle).into_iter().map(name).collect();
            mistakes.push(format!(
                "{} files of {} import each other in a circle: {}",
                circle.len(),
                member.name,
                way.join(" → ")
            ));
        }
    }
    mistakes
}

/// For each file, the files that it imports.
fn imports(target: &Target) -> Vec<BTreeSet<usize>> {
    let scope = Scope::of(target);
    let edges = target.files.iter().enumerate().map(|(index, file)| {
        let found = Found::in_file(file);
        found
            .paths
            .iter()
            .filter_map(|(module, path)| scope.file_of(module, path))
            .filter(|to| *to != index && !file.module.starts_with(&target.files[*to].module))
            .collect()
    });
    edges.collect()
}

/// Which modules there are, in which file each is, and what each passes on.
struct Scope {
    modules: BTreeMap<Segments, usize>,
    passed_on: BTreeMap<(Segments, String), Segments>,
}

impl Scope {
    fn of(target: &Target) -> Scope {
        let mut scope = Scope {
            modules: BTreeMap::new(),
            passed_on: BTreeMap::new(),
        };
        for (index, file) in target.files.iter().enumerate() {
            let found = Found::in_file(file);
            for module in found.modules {
                scope.modules.insert(module, index);
            }
            for (module, name, path) in found.passed_on {
                scope.passed_on.insert((module, name), path);
            }
        }
        // Inline declarations of modules that are files of their own.
        for (index, file) in target.files.iter().enumerate() {
            scope.modules.insert(file.module.clone(), index);
        }
        scope
    }

    /// The file of what `path` names inside `module`; none for another crate's.
    fn file_of(&self, module: &Segments, path: &Segments) -> Option<usize> {
        let (mut module, mut path) = (module.clone(), path.clone());
        for _ in 0..MAX_PASSED_ON {
            let (within, rest) = self.resolve(&module, &path)?;
            let next = rest
                .first()
                .and_then(|name| self.passed_on.get(&(within.clone(), name.clone())));
            match next {
                Some(target) if self.resolve(&within, target).is_some() => {
                    path = target.iter().chain(&rest[1..]).cloned().collect();
                    module = within;
                }
                _ => return self.modules.get(&within).copied(),
            }
        }
        None
    }

    /// The module that a path leads to as far as it names modules, and what is left of it.
    fn resolve(&self, module: &Segments, path: &Segments) -> Option<(Segments, Segments)> {
        let mut at = module.clone();
        let mut rest = path.as_slice();
        match rest.first()?.as_str() {
            "crate" => {
                at.clear();
                rest = &rest[1..];
            }
            "self" => rest = &rest[1..],
            "super" => {
                while rest.first().is_some_and(|segment| segment == "super") {
                    at.pop()?;
                    rest = &rest[1..];
                }
            }
            first => {
                at.push(first.to_owned());
                self.modules.get(&at)?;
                rest = &rest[1..];
            }
        }
        while let Some(next) = rest.first() {
            at.push(next.clone());
            if !self.modules.contains_key(&at) {
                at.pop();
                break;
            }
            rest = &rest[1..];
        }
        Some((at, rest.to_vec()))
    }
}

/// What a file says of modules.
#[derive(Default)]
struct Found {
    module: Segments,
    modules: Vec<Segments>,
    /// Every path, with the module that it stands in.
    paths: Vec<(Segments, Segments)>,
    /// The module, a name in it, and where that is from.
    passed_on: Vec<(Segments, String, Segments)>,
}

impl Found {
    fn in_file(file: &File) -> Found {
        let mut found = Found {
            module: file.module.clone(),
            modules: vec![file.module.clone()],
            ..Found::default()
        };
        for item in &file.items {
            found.visit_item(item);
        }
        found
    }

    fn tree(&mut self, before: &Segments, tree: &UseTree) {
        let and = |segment: &syn::Ident| {
            let mut path = before.clone();
            if segment != "self" || before.is_empty() {
                path.push(segment.to_string());
            }
            path
        };
        let mut named = |name: String, path: Segments| {
            self.paths.push((self.module.clone(), path.clone()));
            self.passed_on.push((self.module.clone(), name, path));
        };
        match tree {
            UseTree::Path(tree) => self.tree(&and(&tree.ident), &tree.tree),
            UseTree::Name(tree) => {
                let path = and(&tree.ident);
                let name = path.last().cloned().unwrap_or_default();
                named(name, path);
            }
            UseTree::Rename(tree) => named(tree.rename.to_string(), and(&tree.ident)),
            UseTree::Glob(_) => self.paths.push((self.module.clone(), before.clone())),
            UseTree::Group(group) => group.items.iter().for_each(|tree| self.tree(before, tree)),
        }
    }

    /// Paths in what a macro is given, which is no syntax yet.
    fn tokens(&mut self, tokens: TokenStream) {
        let mut path = Segments::new();
        let mut colons = 0;
        for token in tokens {
            match token {
                TokenTree::Ident(ident) => {
                    if colons != 2 {
                        self.token_path(std::mem::take(&mut path));
                    }
                    path.push(ident.to_string());
                    colons = 0;
                }
                TokenTree::Punct(punct) if punct.as_char() == ':' => colons += 1,
                TokenTree::Group(group) => {
                    self.token_path(std::mem::take(&mut path));
                    colons = 0;
                    self.tokens(group.stream());
                }
                _ => {
                    self.token_path(std::mem::take(&mut path));
                    colons = 0;
                }
            }
        }
        self.token_path(path);
    }

    fn token_path(&mut self, path: Segments) {
        if path.len() > 1 {
            self.paths.push((self.module.clone(), path));
        }
    }
}

impl<'ast> Visit<'ast> for Found {
    fn visit_item_mod(&mut self, item: &'ast ItemMod) {
        self.module.push(item.ident.to_string());
        self.modules.push(self.module.clone());
        visit::visit_item_mod(self, item);
        self.module.pop();
    }

    fn visit_item_use(&mut self, item: &'ast ItemUse) {
        self.tree(&Segments::new(), &item.tree);
    }

    fn visit_path(&mut self, path: &'ast Path) {
        let segments: Segments = path.segments.iter().map(|segment| segment.ident.to_string()).collect();
        if segments.len() > 1 {
            self.paths.push((self.module.clone(), segments));
        }
        visit::visit_path(self, path);
    }

    fn visit_macro(&mut self, item: &'ast Macro) {
        self.tokens(item.tokens.clone());
        visit::visit_macro(self, item);
    }
}

/// Files that reach each other, more than one at a time.
fn circles(imports: &[BTreeSet<usize>]) -> Vec<BTreeSet<usize>> {
    let reached: Vec<BTreeSet<usize>> = (0..imports.len()).map(|from| reached(imports, from)).collect();
    let mut found: Vec<BTreeSet<usize>> = Vec::new();
    for from in 0..imports.len() {
        let mutual = |to: &usize| reached[from].contains(to) && reached[*to].contains(&from);
        let circle: BTreeSet<usize> = (0..imports.len()).filter(mutual).collect();
        if circle.len() > 1 && !found.contains(&circle) {
            found.push(circle);
        }
    }
    found
}

fn reached(imports: &[BTreeSet<usize>], from: usize) -> BTreeSet<usize> {
    let mut reached = BTreeSet::new();
    let mut waiting: Vec<usize> = imports[from].iter().copied().collect();
    while let Some(next) = waiting.pop() {
        if reached.insert(next) {
            waiting.extend(&imports[next]);
        }
    }
    reached
}

/// A shortest way round from the first file of the circle back to it.
fn shortest(imports: &[BTreeSet<usize>], circle: &BTreeSet<usize>) -> Vec<usize> {
    let Some(start) = circle.first().copied() else {
        return Vec::new();
    };
    let mut waiting = VecDeque::from([vec![start]]);
    let mut seen = BTreeSet::new();
    while let Some(way) = waiting.pop_front() {
        let Some(last) = way.last() else { continue };
        for next in &imports[*last] {
            let longer = [way.as_slice(), &[*next]].concat();
            if *next == start {
                return longer;
            }
            if circle.contains(next) && seen.insert(*next) {
                waiting.push_back(longer);
            }
        }
    }
    circle.iter().copied().collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::written;

    fn mistakes(files: &[(&str, &str)]) -> Vec<String> {
        let (_dir, member) = written(files);
        check(&member)
    }

    #[test]
    fn a_circle_is_named() {
        let files = [
            ("lib.rs", "mod a; mod b; mod c; mod d;"),
            ("a.rs", "use crate::b::B; pub struct A;"),
            ("b.rs", "pub struct B; fn f() -> Option<super::c::C> { None }"),
            ("c.rs", "pub struct C; fn f() { println!(\"{:?}\", crate::a::A) }"),
            ("d.rs", "use crate::a::A;"),
        ];
        assert_eq!(
            mistakes(&files),
            ["3 files of a import each other in a circle: a/src/a.rs → a/src/b.rs → a/src/c.rs → a/src/a.rs"]
        );
    }

    #[test]
    fn what_runs_one_way_is_no_circle() {
        let files = [
            ("lib.rs", "mod a; mod b; pub use a::A;"),
            (
                "a/mod.rs",
                "mod child; pub use child::Child; pub struct A; use crate::b::B;",
            ),
            ("a/child.rs", "use super::A; use crate::b::B; pub struct Child;"),
            (
                "b.rs",
                "use std::fmt; pub struct B; #[cfg(test)] mod tests { use crate::a::A; }",
            ),
        ];
        assert_eq!(mistakes(&files), [""; 0]);
    }

    /// The folder only passes on what b takes from it: b imports a's child, which imports b.
    #[test]
    fn what_is_passed_on_counts_where_it_is() {
        let files = [
            ("lib.rs", "mod a; mod b;"),
            ("a/mod.rs", "mod child; pub use child::Child;"),
            ("a/child.rs", "use crate::b; pub struct Child;"),
            ("b.rs", "use crate::a::Child;"),
        ];
        let found = mistakes(&files);
        assert_eq!(found.len(), 1);
        assert!(
            found[0].ends_with("a/src/a/child.rs → a/src/b.rs → a/src/a/child.rs"),
            "{found:?}"
        );
    }
}
