//! Numbers as people read them: [`crate::figures`], under the page's own name for it.

pub(crate) use crate::figures::{bytes, count, span};
