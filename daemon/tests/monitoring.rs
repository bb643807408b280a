//! What is shipped for monitoring, as those who read it read it: the alert rules are YAML in Prometheus's form
//! (prometheus.io, "Alerting rules"), the dashboard is Grafana's JSON, and every expression in them is PromQL.

#![allow(clippy::unwrap_used, reason = "a file that cannot be read fails the test")]

use std::collections::{BTreeMap, BTreeSet};

use promql_parser::parser;
use serde::Deserialize;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Alerts {
    groups: Vec<Group>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Group {
    name: String,
    rules: Vec<Rule>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Rule {
    alert: String,
    expr: String,
    r#for: Option<String>,
    labels: BTreeMap<String, String>,
    annotations: BTreeMap<String, String>,
}

/// An expression with Grafana's variables filled in, as Grafana would.
fn parses(expression: &str) {
    let filled = expression.replace("$instance", "box").replace("$__rate_interval", "5m");
    assert!(
        !filled.contains('$'),
        "{expression}: a variable that the dashboard has not"
    );
    if let Err(error) = parser::parse(&filled) {
        panic!("{expression}: {error}");
    }
}

#[test]
fn alert_rules() {
    let alerts: Alerts = serde_saphyr::from_str(include_str!("../monitoring/alerts.yml")).unwrap();
    let mut names = BTreeSet::new();
    for group in alerts.groups {
        assert!(!group.name.is_empty());
        for rule in group.rules {
            let name = rule.alert;
            parses(&rule.expr);
            if let Some(lasts) = rule.r#for {
                let (number, unit) = lasts.split_at(lasts.len() - 1);
                assert!(
                    number.parse::<u32>().is_ok() && "smhd".contains(unit),
                    "{name}: {lasts}"
                );
            }
            let severity = rule.labels["severity"].as_str();
            assert!(["warning", "critical"].contains(&severity), "{name}: {severity}");
            let summary = &rule.annotations["summary"];
            assert!(summary.contains("{{ $labels.instance }}"), "{name} says which box");
            assert_eq!(summary.matches("{{").count(), summary.matches("}}").count(), "{name}");
            assert!(names.insert(name), "a name twice");
        }
    }
    assert!(names.len() > 8, "{names:?}");
}

#[test]
fn dashboard() {
    let dashboard: serde_json::Value =
        serde_json::from_str(include_str!("../monitoring/grafana-dashboard.json")).unwrap();
    let panels = dashboard["panels"].as_array().unwrap();
    let (mut ids, mut taken) = (BTreeSet::new(), BTreeSet::new());
    for panel in panels {
        let title = panel["title"].as_str().unwrap();
        assert!(
            ids.insert(panel["id"].as_u64().unwrap()),
            "{title}: its number is another's"
        );
        assert_eq!(panel["datasource"]["uid"], "${datasource}", "{title}");
        for target in panel["targets"].as_array().unwrap() {
            parses(target["expr"].as_str().unwrap());
        }
        let at = |key: &str| panel["gridPos"][key].as_u64().unwrap();
        assert!(at("x") + at("w") <= 24, "{title} is wider than Grafana's grid");
        for x in at("x")..at("x") + at("w") {
            for y in at("y")..at("y") + at("h") {
                assert!(taken.insert((x, y)), "{title} lies over another panel");
            }
        }
    }
    assert!(panels.len() > 10);
}
