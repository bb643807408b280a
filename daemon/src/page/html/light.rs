//! A light as it blinks now, drawn in SVG: the same steps that the LED plays, as an animation, and as a strip that says
//! them without moving (for people who asked for less motion, and for those who want to count).

use maud::{Markup, html};

use crate::indicator::Step;

/// How much of the light remains in darkness, so that a dark lamp is still a lamp.
const DARK: &str = "0.08";

/// A pillar box, with the box's light on its top.
pub(super) fn pillar_box(steps: &[Step]) -> Markup {
    html! {
        svg class="box" viewBox="0 0 120 172" aria-hidden="true" {
            rect class="socket" x="52" y="25" width="16" height="10" rx="2" {}
            (glass(["60", "18"], ["9", "17"], steps))
            path class="cap" d="M20 58C20 40 37 32 60 32s40 8 40 26z" {}
            rect class="body" x="24" y="64" width="72" height="88" {}
            path class="shade" d="M78 64h18v88H78zM78 34.5C91 38 100 46 100 58H78z" {}
            rect class="rim" x="14" y="56" width="92" height="9" rx="4.5" {}
            rect class="slot" x="36" y="75" width="48" height="7" rx="3.5" {}
            rect class="plate" x="40" y="94" width="40" height="32" rx="3" {}
            path class="letter" d="M47 101h26v18H47zM47 102l13 10 13-10" {}
            rect class="foot" x="18" y="150" width="84" height="14" rx="4" {}
        }
    }
}

/// A lamp alone.
pub(super) fn lamp(steps: &[Step]) -> Markup {
    html! {
        svg class="lamp" viewBox="0 0 24 24" aria-hidden="true" {
            (glass(["12", "12"], ["6", "11"], steps))
        }
    }
}

/// The glass, and the light in it: moving, and still for people who asked for less motion. Radii are the glass's and the halo's.
fn glass([x, y]: [&str; 2], [radius, halo]: [&str; 2], steps: &[Step]) -> Markup {
    let circle = |class: &str, radius: &str| {
        html! {
            circle class=(class) cx=(x) cy=(y) r=(radius) {}
        }
    };
    let lit = html! { (circle("halo", halo)) (circle("glow", radius)) };
    html! {
        g class="lamp" {
            (circle("glass", radius))
            g class="moving" opacity=(opacity(steps)) { (lit) (blink(steps)) }
            g class="still" opacity=(opacity(steps)) { (lit) }
        }
    }
}

/// The animation of a part that is only there while the light is on. A constant light has none.
fn blink(steps: &[Step]) -> Markup {
    let round_ms: u32 = steps.iter().map(|step| step.ms).sum();
    if steps.len() < 2 || round_ms == 0 {
        return Markup::default();
    }
    let mut values = Vec::new();
    let mut times = Vec::new();
    let mut at_ms = 0;
    for step in steps {
        values.push(if step.lit { "1" } else { DARK });
        times.push(format!("{:.4}", f64::from(at_ms) / f64::from(round_ms)));
        at_ms += step.ms;
    }
    html! {
        animate attributeName="opacity" calcMode="discrete" repeatCount="indefinite"
            dur={ (round_ms) "ms" } values=(values.join(";")) keyTimes=(times.join(";")) {}
    }
}

/// What a light that does not move looks like: lit if it ever is.
fn opacity(steps: &[Step]) -> &'static str {
    if steps.iter().any(|step| step.lit) { "1" } else { DARK }
}

/// One round from left to right, lit stretches as bars.
pub(super) fn strip(steps: &[Step]) -> Markup {
    const WIDTH: f64 = 240.0;
    let round_ms: u32 = steps.iter().map(|step| step.ms).sum();
    let scale = WIDTH / f64::from(round_ms.max(1));
    let starts = steps.iter().scan(0, |at_ms, step| {
        let start = *at_ms;
        *at_ms += step.ms;
        Some(start)
    });
    let tenths = |ms: u32| format!("{:.1}", f64::from(ms) * scale);
    html! {
        svg class="strip" viewBox="0 0 240 8" preserveAspectRatio="none" aria-hidden="true" {
            rect class="dark" width="240" height="8" rx="4" {}
            @for (step, start_ms) in steps.iter().zip(starts).filter(|(step, _)| step.lit) {
                rect class="lit" x=(tenths(start_ms)) width=(tenths(step.ms)) height="8" rx="2" {}
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::indicator::Pattern;

    #[test]
    fn the_animation_has_the_patterns_own_times() {
        let html = blink(&Pattern::Ok.steps()).into_string();
        assert!(
            html.contains("dur=\"2000ms\"") && html.contains("keyTimes=\"0.0000;0.9250\""),
            "{html}"
        );
        assert!(html.contains("values=\"1;0.08\""), "{html}");
        let code = blink(&Pattern::Failed(3).steps()).into_string();
        assert_eq!(
            code.matches(";1;").count(),
            3,
            "three short flashes after the long one: {code}"
        );
        assert_eq!(blink(&Pattern::Off.steps()).into_string(), "");
        assert_eq!(opacity(&Pattern::Off.steps()), DARK);
    }

    #[test]
    fn the_strip_has_a_bar_for_each_flash() {
        let html = strip(&Pattern::Failed(3).steps()).into_string();
        assert_eq!(html.matches("class=\"lit\"").count(), 4);
    }
}
