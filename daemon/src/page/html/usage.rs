//! How to use the box in the Status app: the steps, the address, and its QR code.

use maud::{Markup, html};

use super::parts::hint;
use super::qr;
use crate::page::texts;
use crate::page::view::View;

pub(super) fn section(view: &View<'_>) -> Markup {
    let addresses = &view.snapshot.mailserver.multiaddrs;
    html! {
        h2 { (texts::USE) }
        @match best(addresses) {
            Some(best) => {
                div class="use" {
                    div {
                        ol class="steps" {
                            @for step in texts::USE_STEPS {
                                li { (step) }
                            }
                        }
                        (address(best, addresses))
                    }
                    @if let Some(code) = qr::svg(best, texts::QR) {
                        div { (code) }
                    }
                }
            }
            None => { p class="empty tall" { (texts::NO_ADDRESS) } }
        }
    }
}

fn address(best: &str, all: &[String]) -> Markup {
    html! {
        div class="address" {
            h3 { (texts::ADDRESS) }
            code id="address" { (best) }
            button type="button" data-copy="address" data-done=(texts::COPIED) hidden { (texts::COPY) }
            (hint(texts::USE_WHERE))
            @if all.len() > 1 {
                details id="addresses" {
                    summary { (texts::ADDRESSES) }
                    ul {
                        @for address in all {
                            li { code { (address) } }
                        }
                    }
                }
            }
        }
    }
}

/// The address that a Status app on the LAN can use: plain TCP, not the host itself, IPv4 first.
fn best(addresses: &[String]) -> Option<&String> {
    addresses.iter().min_by_key(|address| {
        let own = ["/ip4/127.", "/ip4/0.0.0.0/", "/ip6/::1/", "/ip6/::/"]
            .iter()
            .any(|start| address.starts_with(start));
        let web = address.contains("/ws");
        let v6 = address.starts_with("/ip6/");
        (own, web, v6)
    })
}
