//! HTML that cannot be injected into: only literals of this program enter it as they are, every value is escaped.

use std::fmt::{self, Display, Write};

/// A piece of finished HTML.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Markup(String);

impl Markup {
    pub(super) fn new() -> Markup {
        Markup::default()
    }

    pub(super) fn raw(&mut self, html: &'static str) {
        self.0.push_str(html);
    }

    pub(super) fn into_string(self) -> String {
        self.0
    }
}

/// What can be put between two literals of [`put!`].
pub(super) trait Put {
    fn put_into(&self, out: &mut Markup);
}

impl Put for Markup {
    fn put_into(&self, out: &mut Markup) {
        out.0.push_str(&self.0);
    }
}

impl<T: Display + ?Sized> Put for &T {
    fn put_into(&self, out: &mut Markup) {
        write!(Escaping(&mut out.0), "{self}").expect("a String takes everything");
    }
}

struct Escaping<'a>(&'a mut String);

impl Write for Escaping<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for character in text.chars() {
            match character {
                '&' => self.0.push_str("&amp;"),
                '<' => self.0.push_str("&lt;"),
                '>' => self.0.push_str("&gt;"),
                '"' => self.0.push_str("&quot;"),
                '\'' => self.0.push_str("&#39;"),
                // Not allowed in HTML, and what a terminal would make of them is nobody's business.
                control if control.is_control() && control != '\n' && control != '\t' => self.0.push('\u{fffd}'),
                other => self.0.push(other),
            }
        }
        Ok(())
    }
}

/// `put!(out, "<b>", &value, "</b>")`: literals enter as they are, references to anything that displays are escaped,
/// and [`Markup`] enters whole.
macro_rules! put {
    ($out:expr $(,)?) => {};
    ($out:expr, $literal:literal $(, $($rest:tt)*)?) => {
        $out.raw($literal);
        $($crate::page::markup::put!($out, $($rest)*);)?
    };
    ($out:expr, $value:expr $(, $($rest:tt)*)?) => {
        $crate::page::markup::Put::put_into(&$value, &mut $out);
        $($crate::page::markup::put!($out, $($rest)*);)?
    };
}
pub(super) use put;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_escaped_and_markup_is_not() {
        let evil = "<script>alert('x')</script> \"&\u{1b}[31m";
        let mut inner = Markup::new();
        put!(inner, "<i>", &evil, "</i>");
        let mut out = Markup::new();
        put!(out, "<b title=\"", &evil, "\">", inner, &7, "</b>");
        let html = out.into_string();
        assert!(!html.contains("<script") && !html.contains('\u{1b}'), "{html}");
        assert_eq!(html.matches('"').count(), 2, "{html}");
        assert!(html.contains("<i>&lt;script&gt;") && html.ends_with("7</b>"), "{html}");
    }
}
