//! Getting what was missed from other nodes: by store resume after downtime, by store sync all the time.

pub mod gaps;
pub(crate) mod resume;
pub(crate) mod schedule;
