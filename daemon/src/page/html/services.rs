//! The services, one row each.

use maud::{Markup, html};

use super::names;
use super::parts::detail;
use crate::page::view::View;
use crate::snapshot::{ServiceHealth, ServiceStateName, ServiceStatus};
use crate::wording::Wording;

pub(super) fn section(view: &View<'_>) -> Markup {
    html! {
        h2 { (view.words.page.services) }
        @if view.snapshot.services.is_empty() {
            p class="empty" { (view.words.page.no_services) }
        } @else {
            ul class="rows" {
                @for service in &view.snapshot.services {
                    (row(view, service))
                }
            }
        }
    }
}

fn row(view: &View<'_>, service: &ServiceStatus) -> Markup {
    html! {
        li {
            p class="top" {
                span class="name" { (service.name) }
                span class={ "badge " (tone(service)) } { (names::service_state(service.state, view.words)) }
            }
            p class="detail" { (facts(service, view.words)) }
            @if let Some(reason) = &service.reason {
                p class="reason" { (detail(view, reason)) }
            }
        }
    }
}

fn tone(service: &ServiceStatus) -> &'static str {
    match (service.state, service.health) {
        (ServiceStateName::Active, Some(ServiceHealth::Failing)) => "tone-warn",
        (ServiceStateName::Active, _) => "tone-good",
        (ServiceStateName::Activating | ServiceStateName::Deactivating, _) => "tone-busy",
        (ServiceStateName::Backoff, _) => "tone-warn",
        (ServiceStateName::Failed, _) => "tone-bad",
        (ServiceStateName::Disabled | ServiceStateName::Inactive, _) => "tone-off",
    }
}

fn facts(service: &ServiceStatus, wording: &Wording) -> String {
    let words = &wording.page;
    let mut parts = Vec::new();
    if service.state == ServiceStateName::Active {
        parts.push(names::service_health(service.health, wording).to_owned());
    }
    parts.extend(service.pid.map(|pid| words.process.fill(&[("pid", &pid)])));
    if service.state != ServiceStateName::Disabled {
        parts.push(match service.restarts {
            0 => words.never_restarted.to_owned(),
            restarts => words.restarted.fill(restarts, &[]),
        });
    }
    let last_exit = service.last_exit.as_ref();
    parts.extend(last_exit.map(|exit| words.last_exit.fill(&[("exit", exit)])));
    parts.join(" \u{b7} ")
}
