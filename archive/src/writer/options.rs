//! What its opener says of an archive.

use std::time::Duration;

use crate::segment::schema;

/// No durability window is longer.
const MAX_DURABILITY: Duration = Duration::from_secs(2);

/// How an archive is opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Options {
    /// Holds while there is no policy file.
    pub retention: Duration,
    /// How long an acknowledged envelope may be lost to a power cut; at most 2 s.
    pub durability: Duration,
    /// The page size of segments that are made from now on: a power of two from 512 to 65,536. The default is what was
    /// measured to be best.
    pub page_bytes: u32,
}

impl Options {
    pub(crate) fn within_bounds(self) -> Options {
        Options {
            durability: self.durability.min(MAX_DURABILITY),
            ..self
        }
    }
}

impl Default for Options {
    fn default() -> Self {
        Options {
            retention: Duration::from_secs(86_400),
            durability: MAX_DURABILITY,
            page_bytes: schema::PAGE_BYTES,
        }
    }
}
