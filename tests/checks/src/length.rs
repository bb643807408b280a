//! No file has more than 500 lines, and no function of what ships more than 60, without a reason: a comment that begins
//! with `long:`, at the top of the file or above the function.

use proc_macro2::Span;
use syn::spanned::Spanned;
use syn::visit::{self, Visit};
use syn::{Attribute, Block, ImplItemFn, ItemFn, Signature, TraitItemFn};

use crate::source::{File, Member};

const MAX_FILE_LINES: usize = 500;
/// From `fn` to the closing brace.
const MAX_FUNCTION_LINES: usize = 60;
const REASON: &str = "// long: ";
/// A file's reason stands in its first lines.
const TOP_LINES: usize = 30;

pub(crate) fn check(member: &Member) -> Vec<String> {
    let mut mistakes = Vec::new();
    for path in &member.files {
        let Ok(text) = std::fs::read_to_string(member.repository.join(path)) else {
            mistakes.push(format!("{} cannot be read", path.display()));
            continue;
        };
        let lines = text.lines().count();
        let has_reason = text.lines().take(TOP_LINES).any(|line| line.starts_with(REASON));
        if lines > MAX_FILE_LINES && !has_reason {
            mistakes.push(format!(
                "{} has {lines} lines, {MAX_FILE_LINES} at most",
                path.display()
            ));
        }
    }
    if member.is_production() {
        for file in member.targets.iter().flat_map(|target| &target.files) {
            let mut functions = Functions { file, long: Vec::new() };
            file.items.iter().for_each(|item| functions.visit_item(item));
            for (name, lines) in functions.long {
                let path = file.path.display();
                mistakes.push(format!(
                    "{name} in {path} has {lines} lines, {MAX_FUNCTION_LINES} at most, or a comment above it: {REASON}…"
                ));
            }
        }
    }
    mistakes
}

struct Functions<'a> {
    file: &'a File,
    long: Vec<(String, usize)>,
}

impl Functions<'_> {
    fn look(&mut self, attributes: &[Attribute], signature: &Signature, block: &Block) {
        let start = signature.fn_token.span().start().line;
        let lines = 1 + block.brace_token.span.close().end().line - start;
        let first = attributes.first().map_or(signature.span(), Spanned::span);
        if lines > MAX_FUNCTION_LINES && !self.has_reason(first, start) {
            self.long.push((signature.ident.to_string(), lines));
        }
    }

    /// Among its attributes, or in the comment right above them.
    fn has_reason(&self, first: Span, start: usize) -> bool {
        let lines: Vec<&str> = self.file.text.lines().map(str::trim_start).collect();
        let first = first.start().line.min(start);
        let comment = lines[..first - 1]
            .iter()
            .rev()
            .take_while(|line| line.starts_with("//"));
        comment
            .chain(&lines[first - 1..start - 1])
            .any(|line| line.starts_with(REASON))
    }
}

impl<'ast> Visit<'ast> for Functions<'_> {
    fn visit_item_fn(&mut self, item: &'ast ItemFn) {
        self.look(&item.attrs, &item.sig, &item.block);
        visit::visit_item_fn(self, item);
    }

    fn visit_impl_item_fn(&mut self, item: &'ast ImplItemFn) {
        self.look(&item.attrs, &item.sig, &item.block);
        visit::visit_impl_item_fn(self, item);
    }

    fn visit_trait_item_fn(&mut self, item: &'ast TraitItemFn) {
        if let Some(block) = &item.default {
            self.look(&item.attrs, &item.sig, block);
        }
        visit::visit_trait_item_fn(self, item);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::written;

    fn function(before: &str, lines: usize) -> String {
        format!("{before}fn f() {{\n{}}}\n", "    g();\n".repeat(lines - 2))
    }

    fn mistakes(text: &str) -> Vec<String> {
        let (_dir, member) = written(&[("lib.rs", text)]);
        check(&member)
    }

    #[test]
    fn a_long_function_needs_a_reason() {
        assert_eq!(mistakes(&function("", 60)), [""; 0]);
        assert!(mistakes(&function("", 61))[0].starts_with("f in a/src/lib.rs has 61 lines"));
        let reason = "// long: one match\n";
        for before in [reason.to_owned(), format!("{reason}/// Says.\n#[must_use]\npub ")] {
            assert_eq!(mistakes(&function(&before, 61)), [""; 0], "{before}");
        }
        assert_eq!(
            mistakes(&format!("{reason}\n{}", function("", 61))).len(),
            1,
            "not right above"
        );
        let method = format!("struct S;\nimpl S {{\n{}}}\n", function("", 61));
        assert_eq!(mistakes(&method).len(), 1);
        let test = format!("#[cfg(test)]\nmod tests {{\n{}}}\n", function("", 61));
        assert_eq!(mistakes(&test), [""; 0]);
    }

    #[test]
    fn a_long_file_needs_a_reason() {
        let text = "//! A file.\n".repeat(501);
        assert_eq!(mistakes(&text), ["a/src/lib.rs has 501 lines, 500 at most"]);
        assert_eq!(mistakes(&format!("// long: a table\n{text}")), [""; 0]);
    }
}
