//! An address as a QR code, small enough to be part of the page: one path, a run of dark modules a stroke.

use maud::{Markup, html};
use qrcode::{Color, EcLevel, QrCode};

/// Light modules that a reader needs around the code (ISO/IEC 18004, 9.1).
const QUIET: usize = 4;

/// Nothing if the text is too long for a QR code, which no address is.
pub(super) fn svg(text: &str, label: &str) -> Option<Markup> {
    let code = QrCode::with_error_correction_level(text, EcLevel::M).ok()?;
    let width = code.width();
    let colors = code.to_colors();
    let mut path = String::new();
    for (y, row) in colors.chunks(width).enumerate() {
        let mut x = 0;
        while x < width {
            let run = row[x..].iter().take_while(|color| **color == Color::Dark).count();
            if run > 0 {
                path.push_str(&format!("M{} {}h{run}v1h-{run}z", x + QUIET, y + QUIET));
            }
            x += run.max(1);
        }
    }
    let side = width + 2 * QUIET;
    Some(html! {
        svg class="qr" viewBox=(format!("0 0 {side} {side}")) role="img" aria-label=(label) shape-rendering="crispEdges" {
            rect class="paper" width="100%" height="100%" {}
            path class="ink" d=(path) {}
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_dark_module_is_drawn() {
        let text = "/ip4/192.168.1.20/tcp/60000/p2p/16Uiu2HAmPLe7Mzm8TsYUubgCAW1aJoeFScxrLj8ppHFivPo97bUZ";
        let html = svg(text, "x").unwrap().into_string();
        let code = QrCode::with_error_correction_level(text, EcLevel::M).unwrap();
        let dark = code.to_colors().iter().filter(|color| **color == Color::Dark).count();
        let drawn: usize = html
            .split('h')
            .filter_map(|part| part.split_once("v1").and_then(|(run, _)| run.parse::<usize>().ok()))
            .sum();
        assert_eq!(drawn, dark);
    }

    #[test]
    fn what_does_not_fit_is_left_out() {
        assert!(svg(&"x".repeat(5000), "x").is_none());
    }
}
