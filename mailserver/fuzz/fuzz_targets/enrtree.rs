//! Entries of a node list in DNS (EIP-1459).
#![no_main]

use libfuzzer_sys::fuzz_target;
use pillarbox_mailserver::discovery::tree::{Entry, EntryName, Root, Url};

/// The list of the Status fleet: its key is as good as any.
const URL: &str = "enrtree://AMOJVZX4V6EXP7NTJPMAYJYST2QP6AJXYW76IU6VGJS7UVSNDYZG4@boot.prod.status.nodes.status.im";

fuzz_target!(|data: &[u8]| {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let _ = text.parse::<Url>();
    let url: Url = URL.parse().expect("a list that exists");
    let _ = Root::parse(text, &url.key);
    if let Some((name, entry)) = text.split_once(' ')
        && let Some(name) = EntryName::parse(name)
    {
        let _ = Entry::parse(&name, entry);
    }
});
