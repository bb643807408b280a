//! `--bandwidth-limit`: every byte that goes over the wire is counted, and waits for its turn under a cap.

pub(super) mod metered;
mod throttle;
