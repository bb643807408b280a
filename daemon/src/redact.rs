//! Text that may leave the house: public addresses, whole peer IDs, node records and anything that could be a key are
//! taken out; what is left still says what happened.

use std::net::{IpAddr, SocketAddr};

use crate::address::is_private;

/// A node key, a message hash or a secret: 32 bytes in hex. Not told apart, so none is shown.
const HEX_SECRET: usize = 64;
/// What is left of a peer ID, enough to tell two apart.
const PEER_ID_SHOWN: usize = 12;

pub(crate) fn redact(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let end = rest
            .find(|letter| is_word(letter) != is_word(first))
            .unwrap_or(rest.len());
        let (run, later) = rest.split_at(end);
        if is_word(first) {
            word(run, &mut out)
        } else {
            out.push_str(run)
        }
        rest = later;
    }
    out
}

fn is_word(letter: char) -> bool {
    letter.is_ascii_alphanumeric() || matches!(letter, '.' | ':' | '-' | '_')
}

fn word(word: &str, out: &mut String) {
    // The sentence's own marks are not the address's.
    let bare = word.trim_end_matches(['.', ':', '-']);
    let address = bare
        .parse::<IpAddr>()
        .or_else(|_| bare.parse::<SocketAddr>().map(|socket| socket.ip()));
    let peer_id = ["16Uiu2", "12D3Koo", "Qm"].iter().any(|start| bare.starts_with(start)) && bare.len() > 40;
    if address.is_ok_and(|address| !is_private(address.to_canonical()) && !address.is_unspecified()) {
        out.push_str("[address]");
    } else if bare.starts_with("enr:") {
        out.push_str("[node record]");
    } else if bare.len() >= HEX_SECRET && bare.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        out.push_str("[hex]");
    } else if peer_id {
        out.push_str(bare.get(..PEER_ID_SHOWN).unwrap_or_default());
        out.push('\u{2026}');
    } else {
        out.push_str(bare);
    }
    out.push_str(&word[bare.len()..]);
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_must_not_leave() {
        let id = "16Uiu2HAmPLe7Mzm8TsYUubgCAW1aJoeFScxrLj8ppHFivPo97bUZ";
        for (text, left) in [
            ("dial 203.0.113.9:60000 failed.", "dial [address] failed."),
            ("from 203.0.113.9.", "from [address]."),
            ("/ip4/203.0.113.9/tcp/60000", "/ip4/[address]/tcp/60000"),
            ("[2001:db8::1]:443", "[[address]]:443"),
            ("peer=2001:db8::1", "peer=[address]"),
            (
                "on 192.168.1.20:8080 and 127.0.0.1",
                "on 192.168.1.20:8080 and 127.0.0.1",
            ),
            ("at 12:34:56, 0.0.0.0", "at 12:34:56, 0.0.0.0"),
            ("version 1.2.3", "version 1.2.3"),
            (&format!("/p2p/{id}\""), "/p2p/16Uiu2HAmPLe\u{2026}\""),
            (&format!("key={}", "ab".repeat(32)), "key=[hex]"),
            (
                "enr:-QESuEC1p_s3xJzAC_XlOuuNrhVUETmfhbm1wxRGis0f7DlqGSw2FM-p2Vn7gmfkTTnAe8Ys2cgGBN8ufJnvzKQFZqFMBgmlkgnY0",
                "[node record]",
            ),
            ("", ""),
        ] {
            assert_eq!(redact(text), left, "{text}");
        }
    }

    proptest! {
        #[test]
        fn a_public_address_never_stays(a in 11..100u8, b: u8, c: u8, d: u8, around in "[ ,=/(\"']{1,3}") {
            let address = format!("{a}.{b}.{c}.{d}");
            let text = format!("x{around}{address}{around}y");
            prop_assert!(!redact(&text).contains(&address));
        }

        #[test]
        fn any_text_is_taken(text in "\\PC{0,200}") {
            let _ = redact(&text);
        }
    }
}
