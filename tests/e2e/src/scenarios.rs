//! What is shown on an emulated board.

use anyhow::Result;

use crate::bench::Bench;
use crate::{life, network, pi, sizes};

type Scenario = fn(&Bench) -> Result<()>;

/// Eight starts in all, one of them no farther than the kernel's first line; the last is a Raspberry Pi's.
pub(crate) const ALL: &[(&str, Scenario)] = &[
    ("from the first start to the fourth", life::four_starts),
    (
        "a network that is wrong, and one without a cable",
        network::wrong_and_wireless,
    ),
    ("a Raspberry Pi 3 starts from its card", pi::start),
];

/// What is too long for every test run.
pub(crate) const CAMPAIGN: &[(&str, Scenario)] = &[
    ("the smallest card, of 2 GB", sizes::smallest),
    ("a card of 512 GB", sizes::huge),
];
