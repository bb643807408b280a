//! Figures, each beside its goal, as a table and as JSON.
#![expect(clippy::print_stdout, reason = "the table is what it is for")]

use std::path::Path;

use anyhow::Context;
use serde::Serialize;

/// In bytes.
pub const MIB: f64 = 1024.0 * 1024.0;

#[derive(Debug, Serialize)]
struct Figure {
    name: String,
    value: f64,
    unit: &'static str,
    goal: Option<String>,
    met: Option<bool>,
}

/// The figures of a run, in the order in which they came.
#[derive(Debug, Default, Serialize)]
pub struct Report {
    figures: Vec<Figure>,
}

impl Report {
    /// A figure that meets its goal when it is no larger.
    pub fn at_most(&mut self, name: &str, value: f64, unit: &'static str, goal: f64) {
        self.add(name, value, unit, Some((format!("≤ {goal}"), value <= goal)));
    }

    /// A figure that meets its goal when it is no smaller.
    pub fn at_least(&mut self, name: &str, value: f64, unit: &'static str, goal: f64) {
        self.add(name, value, unit, Some((format!("≥ {goal}"), value >= goal)));
    }

    /// A figure nobody set a goal for.
    pub fn note(&mut self, name: &str, value: f64, unit: &'static str) {
        self.add(name, value, unit, None);
    }

    fn add(&mut self, name: &str, value: f64, unit: &'static str, goal: Option<(String, bool)>) {
        let (goal, met) = goal.unzip();
        self.figures.push(Figure {
            name: name.to_owned(),
            value,
            unit,
            goal,
            met,
        });
    }

    /// The table, on stdout.
    pub fn print(&self) {
        println!("{:<48} {:>10} {:<6} {:>8}  met", "figure", "value", "unit", "goal");
        for figure in &self.figures {
            let met = match figure.met {
                Some(true) => "yes",
                Some(false) => "NO",
                None => "",
            };
            let goal = figure.goal.as_deref().unwrap_or("");
            println!(
                "{:<48} {:>10.1} {:<6} {:>8}  {met}",
                figure.name, figure.value, figure.unit, goal
            );
        }
    }

    /// The JSON.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn write(&self, path: &Path) -> anyhow::Result<()> {
        let text = serde_json::to_vec_pretty(self)?;
        std::fs::write(path, text).with_context(|| format!("writing {}", path.display()))
    }
}
