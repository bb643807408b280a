//! The figures as a table, and as JSON.

use serde::Serialize;

#[derive(Clone, Debug, Serialize)]
pub(crate) struct Figure {
    pub(crate) name: &'static str,
    pub(crate) envelopes: u64,
    pub(crate) ours: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) nwaku: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) go_waku: Option<f64>,
    pub(crate) goal: String,
    pub(crate) met: bool,
}

#[derive(Default, Serialize)]
pub(crate) struct Table {
    pub(crate) figures: Vec<Figure>,
}

impl Table {
    pub(crate) fn add(&mut self, figure: Figure) {
        print_figure(&figure);
        self.figures.push(figure);
    }

    pub(crate) fn head() {
        println!(
            "{:<52} {:>9} {:>10} {:>10} {:>10}  {:<28} met",
            "figure", "envelopes", "ours", "nwaku", "go-waku", "goal"
        );
    }

    pub(crate) fn missed(&self) -> usize {
        self.figures.iter().filter(|figure| !figure.met).count()
    }
}

fn print_figure(figure: &Figure) {
    println!(
        "{:<52} {:>9} {:>10} {:>10} {:>10}  {:<28} {}",
        figure.name,
        figure.envelopes,
        number(Some(figure.ours)),
        number(figure.nwaku),
        number(figure.go_waku),
        figure.goal,
        if figure.met { "yes" } else { "NO" }
    );
}

fn number(value: Option<f64>) -> String {
    match value {
        None => "-".into(),
        Some(value) if value >= 1000.0 => format!("{value:.0}"),
        Some(value) if value >= 10.0 => format!("{value:.1}"),
        Some(value) => format!("{value:.3}"),
    }
}
