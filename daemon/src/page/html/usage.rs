//! How to use the box in the Status app: the steps, the address, and its QR code.

use maud::{Markup, html};

use super::parts::hint;
use super::qr;
use crate::page::view::View;

pub(super) fn section(view: &View<'_>) -> Markup {
    let addresses = &view.snapshot.mailserver.multiaddrs;
    html! {
        h2 { (view.words.page.usage) }
        @match best(addresses) {
            Some(best) => {
                div class="use" {
                    div {
                        ol class="steps" {
                            @for step in view.words.page.usage_steps {
                                li { (step) }
                            }
                        }
                        (address(view, best, addresses))
                    }
                    @if let Some(code) = qr::svg(best, view.words.page.qr) {
                        div { (code) }
                    }
                }
            }
            None => { p class="empty tall" { (view.words.page.no_address) } }
        }
    }
}

fn address(view: &View<'_>, best: &str, all: &[String]) -> Markup {
    html! {
        div class="address" {
            h3 { (view.words.page.address) }
            code id="address" { (best) }
            button type="button" data-copy="address" data-done=(view.words.page.copied) hidden { (view.words.page.copy) }
            (hint(view.words.page.usage_where))
            @if all.len() > 1 {
                details id="addresses" {
                    summary { (view.words.page.addresses) }
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
