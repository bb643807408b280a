//! A light as it blinks now, drawn in SVG: the same steps that the LED plays, as an animation, and as a strip that says
//! them without moving (for who has asked for less motion, and for who wants to count).

use super::markup::{Markup, put};
use crate::indicator::Step;

/// How much of the light remains in darkness, so that a dark lamp is still a lamp.
const DARK: &str = "0.08";

/// The animation's attributes for a part that is only there while the light is on. A constant light has none.
pub(super) fn blink(steps: &[Step]) -> Markup {
    let mut out = Markup::new();
    let round_ms: u32 = steps.iter().map(|step| step.ms).sum();
    if steps.len() < 2 || round_ms == 0 {
        return out;
    }
    let mut values = Vec::new();
    let mut times = Vec::new();
    let mut at_ms = 0;
    for step in steps {
        values.push(if step.lit { "1" } else { DARK });
        times.push(format!("{:.4}", f64::from(at_ms) / f64::from(round_ms)));
        at_ms += step.ms;
    }
    put!(
        out,
        "<animate attributeName=\"opacity\" calcMode=\"discrete\" repeatCount=\"indefinite\" dur=\""
    );
    put!(
        out,
        &round_ms,
        "ms\" values=\"",
        &values.join(";"),
        "\" keyTimes=\"",
        &times.join(";"),
        "\"/>"
    );
    out
}

/// What a light that does not move looks like: its first step.
pub(super) fn opacity(steps: &[Step]) -> &'static str {
    if steps.iter().any(|step| step.lit) { "1" } else { DARK }
}

/// One round from left to right, lit stretches as bars.
pub(super) fn strip(steps: &[Step]) -> Markup {
    const WIDTH: f64 = 240.0;
    let round_ms: u32 = steps.iter().map(|step| step.ms).sum();
    let scale = WIDTH / f64::from(round_ms.max(1));
    let mut out = Markup::new();
    put!(
        out,
        "<svg class=\"strip\" viewBox=\"0 0 240 8\" preserveAspectRatio=\"none\" aria-hidden=\"true\">"
    );
    put!(out, "<rect class=\"dark\" width=\"240\" height=\"8\" rx=\"4\"/>");
    let mut at_ms = 0;
    for step in steps {
        if step.lit {
            let (x, width) = (f64::from(at_ms) * scale, f64::from(step.ms) * scale);
            put!(
                out,
                "<rect class=\"lit\" x=\"",
                &format!("{x:.1}"),
                "\" width=\"",
                &format!("{width:.1}")
            );
            put!(out, "\" height=\"8\" rx=\"2\"/>");
        }
        at_ms += step.ms;
    }
    put!(out, "</svg>");
    out
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
        assert_eq!(blink(&Pattern::Off.steps()), Markup::new());
        assert_eq!(opacity(&Pattern::Off.steps()), DARK);
    }

    #[test]
    fn the_strip_has_a_bar_for_each_flash() {
        let html = strip(&Pattern::Failed(3).steps()).into_string();
        assert_eq!(html.matches("class=\"lit\"").count(), 4);
    }
}
