//! Two small charts as inline SVG. They stretch with the page; their words are HTML beside them, because text in an SVG
//! that stretches is squeezed.

use std::time::Duration;

use super::history::HOURS;
use super::markup::{Markup, put};

const WIDTH: f64 = 480.0;
const HEIGHT: f64 = 96.0;
const DAY: f64 = 24.0 * 3600.0;

/// A bar an hour; an hour that was not seen is a dot on the ground.
pub(super) fn bars(hours: &[Option<u64>; HOURS], label: &str) -> Markup {
    let top = hours.iter().flatten().copied().max().unwrap_or(0).max(1);
    let slot = WIDTH / HOURS as f64;
    let mut out = start("bars", label);
    for (index, hour) in hours.iter().enumerate() {
        let x = index as f64 * slot + 2.0;
        match hour {
            Some(count) => {
                // An hour with one envelope must be told from one with none.
                let height = if *count == 0 {
                    1.5
                } else {
                    (*count as f64 / top as f64 * (HEIGHT - 4.0)).max(4.0)
                };
                let class = if index + 1 == HOURS { "bar now" } else { "bar" };
                put!(out, "<rect class=\"", &class, "\" x=\"", &format!("{x:.1}"), "\" y=\"");
                put!(
                    out,
                    &format!("{:.1}", HEIGHT - height),
                    "\" width=\"",
                    &format!("{:.1}", slot - 4.0)
                );
                put!(out, "\" height=\"", &format!("{height:.1}"), "\" rx=\"2\"/>");
            }
            None => {
                put!(
                    out,
                    "<rect class=\"unseen\" x=\"",
                    &format!("{:.1}", x + slot / 2.0 - 3.0),
                    "\" y=\""
                );
                put!(out, &format!("{:.1}", HEIGHT - 2.0), "\" width=\"2\" height=\"2\"/>");
            }
        }
    }
    put!(out, "</svg>");
    out
}

/// A size over 24 hours, the present at the right edge.
pub(super) fn area(sizes: &[(Duration, u64)], label: &str) -> Markup {
    let top = sizes.iter().map(|(_, bytes)| *bytes).max().unwrap_or(0).max(1) as f64;
    let point = |(before, bytes): &(Duration, u64)| {
        let x = WIDTH * (1.0 - (before.as_secs_f64() / DAY).min(1.0));
        let y = HEIGHT - *bytes as f64 / top * (HEIGHT - 8.0);
        (x, y)
    };
    let mut points: Vec<(f64, f64)> = sizes.iter().map(point).collect();
    if let Some(first) = points.first_mut() {
        // The first moments are no wider than a line; they shall be seen.
        first.0 = first.0.min(WIDTH - 6.0);
    }
    let line: Vec<String> = points.iter().map(|(x, y)| format!("{x:.1} {y:.1}")).collect();
    let mut out = start("area", label);
    if let (Some((first, _)), Some((last, _))) = (points.first(), points.last()) {
        let line = line.join("L");
        put!(
            out,
            "<path class=\"fill\" d=\"M",
            &format!("{first:.1} {HEIGHT:.1}L{line}L{last:.1} {HEIGHT:.1}Z"),
            "\"/>"
        );
        put!(out, "<path class=\"line\" d=\"M", &line, "\"/>");
    }
    put!(out, "</svg>");
    out
}

fn start(class: &str, label: &str) -> Markup {
    let mut out = Markup::new();
    put!(
        out,
        "<svg class=\"chart ",
        &class,
        "\" viewBox=\"0 0 480 96\" preserveAspectRatio=\"none\" role=\"img\""
    );
    put!(out, " aria-label=\"", &label, "\">");
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bar_an_hour_and_a_dot_for_what_was_not_seen() {
        let mut hours = [None; HOURS];
        hours[22] = Some(0);
        hours[23] = Some(10);
        let html = bars(&hours, "x").into_string();
        assert_eq!(html.matches("unseen").count(), 22);
        assert_eq!(html.matches("class=\"bar").count(), 2);
        assert!(html.contains("height=\"92.0\""), "the highest fills the chart: {html}");
    }

    #[test]
    fn an_area_of_nothing_or_of_one_moment() {
        assert!(!area(&[], "x").into_string().contains("path"));
        let html = area(&[(Duration::ZERO, 0)], "x").into_string();
        assert!(!html.contains("NaN"), "{html}");
    }
}
