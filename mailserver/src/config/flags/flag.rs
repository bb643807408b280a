//! What a flag is.

/// What may be written behind a flag.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// `true` or `false`; bare on the command line means true.
    Switch,
    One,
    /// May be given several times.
    Many,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Meaning {
    /// Does what it does in nwaku.
    Same,
    /// Ours, unknown to nwaku.
    Ours,
    /// Means something else than in nwaku; the description says what.
    Differs,
    /// nwaku knows it, nothing here answers to it: accepted with a warning that ends with this reason.
    Nothing(&'static str),
}

#[derive(Debug, Clone, Copy)]
pub struct Flag {
    pub name: &'static str,
    pub kind: Kind,
    /// As it would be written; empty means that there is none.
    pub default: &'static str,
    pub meaning: Meaning,
    pub description: &'static str,
    /// Its value is a secret, or carries one: no message may repeat it, since messages end up in logs.
    pub secret: bool,
}

impl Flag {
    pub(super) const fn new(
        name: &'static str,
        kind: Kind,
        default: &'static str,
        meaning: Meaning,
        description: &'static str,
    ) -> Self {
        Self {
            name,
            kind,
            default,
            meaning,
            description,
            secret: false,
        }
    }

    pub(super) const fn secret(self) -> Self {
        Self { secret: true, ..self }
    }

    /// What a message may show of a value.
    pub fn shown<'a>(&self, value: &'a str) -> &'a str {
        if self.secret { "…" } else { value }
    }
}
