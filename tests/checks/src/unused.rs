//! Every dependency is used, and what only tests use is a dependency of tests.
//!
//! A crate is used where its name stands in front of `::` or behind `use`.

use std::collections::BTreeSet;

use proc_macro2::{TokenStream, TokenTree};
use quote::ToTokens;

use crate::source::{Dependency, Member};

pub(crate) fn check(member: &Member) -> Vec<String> {
    let mut shipped = BTreeSet::new();
    for file in member.targets.iter().flat_map(|target| &target.files) {
        for item in &file.items {
            names(item.to_token_stream(), &mut shipped);
        }
    }
    let mut anywhere = shipped.clone();
    for path in &member.files {
        let text = std::fs::read_to_string(member.repository.join(path)).unwrap_or_default();
        if let Ok(tokens) = text.parse() {
            names(tokens, &mut anywhere);
        }
    }
    let mut mistakes = Vec::new();
    for Dependency { ident, for_tests } in &member.dependencies {
        if !anywhere.contains(ident) {
            mistakes.push(format!("{} does not use its dependency {ident}", member.name));
        } else if !for_tests && !shipped.contains(ident) {
            mistakes.push(format!(
                "only tests of {} use {ident}: move it to dev-dependencies",
                member.name
            ));
        }
    }
    mistakes
}

/// Crates, and whatever else stands where a crate's name would.
fn names(tokens: TokenStream, found: &mut BTreeSet<String>) {
    let tokens: Vec<TokenTree> = tokens.into_iter().collect();
    let is_colon = |index: usize| matches!(tokens.get(index), Some(TokenTree::Punct(punct)) if punct.as_char() == ':');
    for (index, token) in tokens.iter().enumerate() {
        match token {
            TokenTree::Group(group) => names(group.stream(), found),
            TokenTree::Ident(ident) => {
                let is_first = index < 2 || !(is_colon(index - 1) && is_colon(index - 2));
                let is_path = is_colon(index + 1) && is_colon(index + 2);
                let after_use = matches!(index.checked_sub(1).map(|before| &tokens[before]),
                    Some(TokenTree::Ident(before)) if before == "use" || before == "crate");
                if is_first && (is_path || after_use) {
                    found.insert(ident.to_string());
                }
            }
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::written;

    #[test]
    fn what_nothing_names_is_unused() {
        let (_dir, mut member) = written(&[(
            "lib.rs",
            "use used::X; use renamed as r; fn f() { let idle = 1; format!(\"{}\", inside::y()); other::idle::z() }\n\
             // idle::x\n#[cfg(test)] mod tests { use tested::T; }",
        )]);
        let dependency = |ident: &str, for_tests| Dependency {
            ident: ident.to_owned(),
            for_tests,
        };
        member.dependencies = vec![
            dependency("used", false),
            dependency("renamed", false),
            dependency("inside", false),
            dependency("other", false),
            dependency("idle", false),
            dependency("tested", false),
            dependency("tested", true),
            dependency("absent", true),
        ];
        assert_eq!(
            check(&member),
            [
                "a does not use its dependency idle",
                "only tests of a use tested: move it to dev-dependencies",
                "a does not use its dependency absent",
            ]
        );
    }
}
