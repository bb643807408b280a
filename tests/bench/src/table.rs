//! The figures as a table, and as JSON in the form that every `scripts/bench` shares: name, value, unit, goal, met.

use serde::Serialize;

#[derive(Clone, Debug, Serialize)]
pub(crate) struct Figure {
    pub(crate) name: &'static str,
    /// Ours.
    pub(crate) value: f64,
    pub(crate) unit: &'static str,
    /// `None` for a figure nobody set a goal for.
    pub(crate) goal: Option<String>,
    pub(crate) met: Option<bool>,
    pub(crate) envelopes: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) nwaku: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) go_waku: Option<f64>,
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
            "{:<52} {:>9} {:>10} {:>10} {:>10} {:<8} {:<28} met",
            "figure", "envelopes", "ours", "nwaku", "go-waku", "unit", "goal"
        );
    }

    pub(crate) fn with_goals(&self) -> usize {
        self.figures.iter().filter(|figure| figure.met.is_some()).count()
    }

    pub(crate) fn missed(&self) -> usize {
        self.figures.iter().filter(|figure| figure.met == Some(false)).count()
    }
}

fn print_figure(figure: &Figure) {
    println!(
        "{:<52} {:>9} {:>10} {:>10} {:>10} {:<8} {:<28} {}",
        figure.name,
        figure.envelopes,
        number(Some(figure.value)),
        number(figure.nwaku),
        number(figure.go_waku),
        figure.unit,
        figure.goal.as_deref().unwrap_or(""),
        match figure.met {
            Some(true) => "yes",
            Some(false) => "NO",
            None => "",
        }
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
