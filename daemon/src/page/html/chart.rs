//! Two small charts as inline SVG. They stretch with the page; their words are HTML beside them, because text in an SVG
//! that stretches is squeezed.

use std::time::Duration;

use maud::{Markup, html};

use crate::page::history::HOURS;

const WIDTH: f64 = 480.0;
const HEIGHT: f64 = 96.0;
const DAY: f64 = 24.0 * 3600.0;

/// A bar for each hour; an hour that was not seen is a dot on the ground.
pub(super) fn bars(hours: &[Option<u64>; HOURS], label: &str) -> Markup {
    let top = hours.iter().flatten().copied().max().unwrap_or(0).max(1);
    let slot = WIDTH / HOURS as f64;
    let bar = |index: usize, count: u64| {
        // An hour with one message must be told from one with none.
        let height = match count {
            0 => 1.5,
            count => (count as f64 / top as f64 * (HEIGHT - 4.0)).max(4.0),
        };
        let class = if index + 1 == HOURS { "bar now" } else { "bar" };
        html! {
            rect class=(class) x=(tenths(index as f64 * slot + 2.0)) y=(tenths(HEIGHT - height))
                width=(tenths(slot - 4.0)) height=(tenths(height)) rx="2" {}
        }
    };
    let dot = |index: usize| {
        html! {
            rect class="unseen" x=(tenths((index as f64 + 0.5) * slot - 1.0)) y=(tenths(HEIGHT - 2.0)) width="2" height="2" {}
        }
    };
    let content = html! {
        @for (index, hour) in hours.iter().enumerate() {
            @match hour {
                Some(count) => (bar(index, *count)),
                None => (dot(index)),
            }
        }
    };
    chart("bars", label, &content)
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
    let line = line.join("L");
    let content = html! {
        @if let (Some((first, _)), Some((last, _))) = (points.first(), points.last()) {
            path class="fill" d=(format!("M{first:.1} {HEIGHT:.1}L{line}L{last:.1} {HEIGHT:.1}Z")) {}
            path class="line" d={ "M" (line) } {}
        }
    };
    chart("area", label, &content)
}

fn tenths(length: f64) -> String {
    format!("{length:.1}")
}

fn chart(class: &str, label: &str, content: &Markup) -> Markup {
    html! {
        svg class={ "chart " (class) } viewBox="0 0 480 96" preserveAspectRatio="none" role="img" aria-label=(label) {
            (content)
        }
    }
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
