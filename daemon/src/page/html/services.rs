//! The services, one row each.

use maud::{Markup, html};

use crate::page::texts;
use crate::page::view::View;
use crate::snapshot::{ServiceHealth, ServiceStateName, ServiceStatus};

pub(super) fn section(view: &View<'_>) -> Markup {
    html! {
        h2 { (texts::SERVICES) }
        @if view.snapshot.services.is_empty() {
            p class="empty" { (texts::NO_SERVICES) }
        } @else {
            ul class="rows" {
                @for service in &view.snapshot.services {
                    (row(service))
                }
            }
        }
    }
}

fn row(service: &ServiceStatus) -> Markup {
    html! {
        li {
            p class="top" {
                span class="name" { (service.name) }
                span class={ "badge " (tone(service)) } { (texts::service_state(service.state)) }
            }
            p class="detail" { (detail(service)) }
            @if let Some(reason) = &service.reason {
                p class="reason" { (reason) }
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

fn detail(service: &ServiceStatus) -> String {
    let mut parts = Vec::new();
    if service.state == ServiceStateName::Active {
        parts.push(texts::service_health(service.health).to_owned());
    }
    parts.extend(service.pid.map(texts::process));
    if service.state != ServiceStateName::Disabled {
        parts.push(texts::restarts(service.restarts));
    }
    parts.extend(service.last_exit.as_deref().map(texts::last_exit));
    parts.join(" \u{b7} ")
}
