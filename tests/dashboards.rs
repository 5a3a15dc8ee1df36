//! The dashboard and the alert rules ask for what is published: every name and label in their queries is compared with those that a
//! recorder is given while a policy goes through everything that can happen to it.

#![allow(clippy::unwrap_used, clippy::panic)] // the helpers of a test are a test

mod promql;

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::time::Duration;

use apiguard::http::StatusError;
use apiguard::metrics::{describe, publish_policy, time_attempts};
use apiguard::{Breaker, Concurrency, Jitter, Policy, Rate, Retry, Settings};
use metrics_exporter_prometheus::PrometheusBuilder;
use promql::{Scrapes, parts, scrape, value};
use serde_json::Value;
use tokio::time::advance;

const DASHBOARD: &str = include_str!("../dashboards/apiguard.json");
const ALERTS: &str = include_str!("../dashboards/alerts.yml");
const DOCS: &str = include_str!("../guard-runtime/src/telemetry/metrics/mod.rs");
const PAGE: &str = include_str!("../docs/telemetry.md");

/// The labels of each series by its name, with the values that they had.
type Series = BTreeMap<String, BTreeMap<String, BTreeSet<String>>>;

/// What Prometheus puts beside the labels of a program.
const OF_TARGETS: [&str; 2] = ["job", "instance"];

fn secs(count: u64) -> Duration {
    Duration::from_secs(count)
}

/// Drives policies through everything, twice, and gives what was published after each time.
async fn rendered() -> [String; 2] {
    let recorder = PrometheusBuilder::new().build_recorder();
    let _local = metrics::set_default_local_recorder(&recorder);
    describe();
    // And never false again, since the tests of this file run at once.
    time_attempts(true);
    let settings = Settings::new()
        .rate(Rate::per_second(1).max_wait(secs(5)))
        .concurrency(Concurrency::new(2))
        .retries(Retry::new(1).jitter(Jitter::None))
        .attempt_timeout(secs(1));
    let everything = settings.breaker(Breaker::consecutive(3).successes(1).recovery_jitter(0.0));
    let windowed = Settings::new().breaker(Breaker::failure_rate(0.5));
    let forced = Settings::new().shadow(true);
    let policy = |name: &str, settings| Policy::builder(name).settings(settings).build().unwrap();
    let (everything, windowed, forced) =
        (policy("everything", everything), policy("windowed", windowed), policy("forced", forced));
    // Waits for a turn, is told to wait, hangs, opens the breaker, probes in vain and not in vain.
    let good = async || everything.call(async || Ok::<_, io::Error>(())).await;
    let fail = async || everything.call(async || Err::<(), _>(io::Error::from(io::ErrorKind::TimedOut))).await;
    let publish = || {
        for policy in [&everything, &windowed, &forced] {
            publish_policy(policy);
        }
        recorder.handle().render()
    };
    let throttled = async || Err::<(), _>(StatusError::new(http::StatusCode::TOO_MANY_REQUESTS, Some(secs(2))));
    let mut rendered = [const { String::new() }; 2];
    for rendered in &mut rendered {
        good().await.unwrap();
        good().await.unwrap();
        everything.call(throttled).await.unwrap_err();
        everything.call(std::future::pending::<Result<(), io::Error>>).await.unwrap_err();
        fail().await.unwrap_err();
        good().await.unwrap_err();
        advance(secs(61)).await;
        fail().await.unwrap_err();
        advance(secs(61)).await;
        good().await.unwrap();
        forced.force_closed();
        publish_policy(&forced);
        forced.force_open();
        *rendered = publish();
    }
    rendered
}

async fn published() -> Series {
    let mut series = Series::new();
    for (name, of) in scrape(&rendered().await[1], &["one"]) {
        let labels = series.entry(name).or_default();
        for (label, value) in of.into_keys().flatten().filter(|(label, _)| !OF_TARGETS.contains(&label.as_str())) {
            labels.entry(label).or_default().insert(value);
        }
    }
    series
}

/// Everything that is wrong with a query, and the names that are in it.
fn check(query: &str, published: &Series, used: &mut BTreeSet<String>, wrong: &mut Vec<String>) {
    let parts = parts(query);
    let ours: Vec<_> = parts.iter().filter(|part| part.starts_with("apiguard_")).collect();
    if ours.is_empty() {
        wrong.push(format!("no metric in `{query}`"));
    }
    let mut labels: BTreeSet<&str> = OF_TARGETS.into();
    for name in ours {
        used.insert((*name).to_owned());
        match published.get(*name) {
            Some(of) => labels.extend(of.keys().map(String::as_str)),
            None => wrong.push(format!("`{name}` is not published")),
        }
    }
    for (at, part) in parts.iter().enumerate() {
        let closing = |close| parts[at + 1..].iter().position(|part| *part == close).unwrap() + at + 1;
        if part.starts_with("apiguard_") && parts.get(at + 1) == Some(&"{") {
            let known = published.get(*part).cloned().unwrap_or_default();
            for pair in parts[at + 2..closing("}")].split(|part| *part == ",") {
                let (label, value) = (pair[0], pair[pair.len() - 1].trim_matches('"'));
                let Some(values) = known.get(label) else {
                    wrong.push(format!("`{part}` has no label `{label}`"));
                    continue;
                };
                let unknown = |value: &&str| !value.starts_with('$') && !values.contains(*value);
                wrong.extend(value.split('|').filter(unknown).map(|v| format!("`{part}` has no {label} `{v}`")));
            }
        }
        if ["by", "on", "ignoring", "without", "group_left"].contains(part) {
            let named = parts[at + 2..closing(")")].iter().filter(|part| **part != ",");
            wrong
                .extend(named.filter(|label| !labels.contains(**label)).map(|label| format!("`{label}` in `{query}`")));
        }
    }
}

/// What is at a key anywhere in a JSON value.
fn all<'a>(value: &'a Value, key: &str, found: &mut Vec<&'a Value>) {
    match value {
        Value::Object(fields) => {
            found.extend(fields.get(key));
            fields.values().for_each(|value| all(value, key, found));
        }
        Value::Array(values) => values.iter().for_each(|value| all(value, key, found)),
        _ => {}
    }
}

/// The queries of the dashboard, with their legends.
fn queries(dashboard: &Value) -> Vec<(String, String)> {
    let mut targets = Vec::new();
    all(dashboard, "targets", &mut targets);
    let text = |target: &Value, key: &str| target[key].as_str().unwrap().to_owned();
    let of = |targets: &Value| -> Vec<_> {
        targets.as_array().unwrap().iter().map(|t| (text(t, "expr"), text(t, "legendFormat"))).collect()
    };
    targets.into_iter().flat_map(of).collect()
}

#[tokio::test(start_paused = true)]
async fn dashboard_and_alerts_ask_for_what_is_published_and_for_all_of_it() {
    let published = published().await;
    let dashboard: Value = serde_json::from_str(DASHBOARD).unwrap();
    let (mut used, mut wrong) = (BTreeSet::new(), Vec::new());
    let queries = queries(&dashboard);
    assert!(queries.len() > 20);
    for (query, legend) in &queries {
        check(query, &published, &mut used, &mut wrong);
        for label in legend.split("{{").skip(1).map(|rest| rest.split_once("}}").unwrap().0) {
            let grouped = query.split("by (").skip(1).any(|rest| rest.split(')').next().unwrap().contains(label));
            if !grouped {
                wrong.push(format!("the legend `{legend}` of `{query}`"));
            }
        }
    }
    let alerts: Vec<_> = ALERTS.lines().filter_map(|line| line.trim().strip_prefix("expr: ")).collect();
    assert_eq!(alerts.len(), ALERTS.matches("- alert:").count(), "each rule has its query on one line");
    for query in alerts {
        check(query, &published, &mut used, &mut wrong);
    }
    let variable = dashboard["templating"]["list"][1]["definition"].as_str().unwrap();
    check(variable.trim_start_matches("label_values"), &published, &mut used, &mut wrong);
    assert!(wrong.is_empty(), "{wrong:#?}");
    // The sum and the count of a histogram are one metric; its quantiles have the bare name.
    let metric = |name: &String| name.trim_end_matches("_sum").trim_end_matches("_count").to_owned();
    let shown: BTreeSet<_> = used.iter().map(metric).collect();
    let exist: BTreeSet<_> = published.keys().map(metric).collect();
    assert_eq!(shown, exist, "what is published is on the dashboard");
}

#[tokio::test(start_paused = true)]
async fn every_query_of_the_dashboard_has_a_value() {
    let [before, after] = rendered().await.map(|rendered| scrape(&rendered, &["one", "two"]));
    let scrapes = Scrapes { before, after };
    for (query, _) in queries(&serde_json::from_str(DASHBOARD).unwrap()) {
        assert!(!value(&query, &scrapes).is_empty(), "{query}");
    }
}

/// Policies to which something happens between two scrapes of two processes.
async fn five_minutes() -> Scrapes {
    let recorder = PrometheusBuilder::new().build_recorder();
    let _local = metrics::set_default_local_recorder(&recorder);
    let policy = |name: &str, settings: Settings| Policy::builder(name).settings(settings).build().unwrap();
    let call = async |policy: &Policy, is_good: bool| {
        let outcome = || if is_good { Ok(()) } else { Err(io::Error::from(io::ErrorKind::ConnectionReset)) };
        policy.call(async || outcome()).await.is_ok()
    };
    let broken = Settings::new().breaker(Breaker::consecutive(1).recovery(secs(3_600)));
    let [down, shadow, forgotten] = [("down", broken), ("shadow", broken.shadow(true)), ("forgotten", broken)]
        .map(|(name, settings)| policy(name, settings));
    let limit = |burst| Settings::new().rate(Rate::per_hour(1).burst(burst).max_wait(Duration::ZERO));
    let [limited, seldom] = [("limited", 20), ("seldom", 400)].map(|(name, burst)| policy(name, limit(burst)));
    let unlucky = policy("unlucky", Settings::new().retries(Retry::new(1).jitter(Jitter::None)));
    let scraped = || {
        [&down, &shadow, &forgotten, &limited, &seldom, &unlucky].into_iter().for_each(publish_policy);
        scrape(&recorder.handle().render(), &["one", "two"])
    };
    for policy in [&down, &shadow, &forgotten] {
        call(policy, false).await;
    }
    let before = scraped();
    for _ in 0..21 {
        assert!(!call(&down, true).await && call(&shadow, true).await);
        call(&limited, true).await;
        call(&unlucky, false).await;
    }
    for _ in 0..401 {
        call(&seldom, true).await;
    }
    assert_eq!((limited.snapshot().rejections.total(), seldom.snapshot().rejections.total()), (1, 1));
    assert!(unlucky.snapshot().over_budget > 0);
    Scrapes { before, after: scraped() }
}

#[tokio::test(start_paused = true)]
async fn alerts_name_the_policies_that_are_in_trouble_and_no_others() {
    let scrapes = Box::pin(five_minutes()).await;
    let lines: Vec<_> = ALERTS.lines().map(str::trim).collect();
    let names = lines.iter().filter_map(|line| line.strip_prefix("- alert: "));
    let queries = lines.iter().filter_map(|line| line.strip_prefix("expr: "));
    let alerts: Vec<_> = names
        .zip(queries)
        .map(|(name, query)| {
            let policies: BTreeSet<_> =
                value(query, &scrapes).into_keys().map(|labels| labels["policy"].clone()).collect();
            (name, policies.into_iter().collect::<Vec<_>>().join(", "))
        })
        .collect();
    let alerts: Vec<_> = alerts.iter().map(|(name, policies)| (*name, policies.as_str())).collect();
    assert_eq!(
        alerts,
        [
            ("ApiguardBreakerOpen", "down"),
            ("ApiguardRetryBudgetExhausted", "unlucky"),
            ("ApiguardRejections", "down, limited"),
        ]
    );
}

/// What the first query of a panel shows.
fn panel(title: &str, scrapes: &Scrapes) -> promql::Vector {
    let dashboard: Value = serde_json::from_str(DASHBOARD).unwrap();
    let panels = dashboard["panels"].as_array().unwrap();
    let panel = panels.iter().find(|panel| panel["title"] == title).unwrap();
    value(panel["targets"][0]["expr"].as_str().unwrap(), scrapes)
}

#[tokio::test(start_paused = true)]
async fn a_policy_without_a_breaker_has_no_line_among_the_states_and_the_others_have_theirs() {
    let states = panel("State", &Box::pin(five_minutes()).await);
    let states: BTreeSet<_> = states
        .iter()
        .map(|(labels, state)| (labels["policy"].as_str(), labels["instance"].as_str(), *state as u8))
        .collect();
    let open = |policy| ["one", "two"].map(|instance| (policy, instance, 2));
    assert_eq!(states, ["down", "shadow", "forgotten"].into_iter().flat_map(open).collect());
}

#[tokio::test(start_paused = true)]
async fn the_summary_adds_up_what_processes_have_each_and_not_what_they_share() {
    let scrapes = Box::pin(five_minutes()).await;
    let stat = |title: &str| {
        let of = panel(title, &scrapes);
        assert_eq!(of.len(), 1, "{title}");
        of.into_values().next().unwrap()
    };
    let each = [21.0, 21.0, 21.0, 21.0, 401.0];
    let calls = each.iter().sum::<f64>();
    let near = |is: f64, expected: f64| assert!((is - expected).abs() < 1e-9, "{is} and not {expected}");
    near(stat("Calls per second"), 2.0 * calls / 300.0);
    near(stat("Rejected"), 23.0 / calls);
    near(stat("Breakers that are not closed"), 6.0);
    near(stat("Policies in shadow"), 1.0);
}

#[test]
fn mistakes_in_queries_are_found() {
    let labels =
        [("policy", "a"), ("state", "open")].map(|(label, value)| (label.to_owned(), [value.to_owned()].into()));
    let published = Series::from([("apiguard_x".to_owned(), labels.into())]);
    let wrong = |query| {
        let mut wrong = Vec::new();
        check(query, &published, &mut BTreeSet::new(), &mut wrong);
        wrong.len()
    };
    assert_eq!(wrong("sum by (policy, job) (rate(apiguard_x{policy=~\"$policy\", state=\"open\"}[5m])) > 0"), 0);
    assert_eq!(wrong("sum(apiguard_y)"), 1);
    assert_eq!(wrong("sum(apiguard_x{status=\"open\"})"), 1);
    assert_eq!(wrong("sum(apiguard_x{state=~\"open|ajar\"})"), 1);
    assert_eq!(wrong("sum by (reason) (apiguard_x)"), 1);
    assert_eq!(wrong("sum(up)"), 1);
}

/// What Grafana needs to import it: panels apart from each other with ids of their own, and data from the chosen source.
#[test]
fn the_dashboard_can_be_imported() {
    let dashboard: Value = serde_json::from_str(DASHBOARD).unwrap();
    let panels = dashboard["panels"].as_array().unwrap();
    let rows: Vec<_> = panels.iter().filter(|panel| panel["type"] == "row").map(|row| row["title"].clone()).collect();
    assert_eq!(rows, ["Summary", "Rate", "Breaker", "Retry", "In flight"]);
    let mut taken = BTreeSet::new();
    for panel in panels {
        let at = |key: &str| panel["gridPos"][key].as_u64().unwrap();
        assert!(at("x") + at("w") <= 24, "{}", panel["title"]);
        for x in at("x")..at("x") + at("w") {
            for y in at("y")..at("y") + at("h") {
                assert!(taken.insert((x, y)), "`{}` is on another panel", panel["title"]);
            }
        }
        if panel["type"] != "row" {
            assert_eq!(panel["datasource"]["uid"], "${datasource}");
        }
    }
    let ids: BTreeSet<_> = panels.iter().map(|panel| panel["id"].as_u64().unwrap()).collect();
    assert_eq!(ids.len(), panels.len());
    let variables = dashboard["templating"]["list"].as_array().unwrap();
    assert_eq!(variables.iter().map(|v| v["name"].as_str().unwrap()).collect::<Vec<_>>(), ["datasource", "policy"]);
}

#[tokio::test(start_paused = true)]
async fn the_docs_have_a_line_for_every_metric_that_is_published_and_its_labels() {
    let published = published().await;
    for (name, labels) in published {
        let metric = name.trim_end_matches("_sum").trim_end_matches("_count").to_owned();
        let line = DOCS.lines().find(|line| line.starts_with("//! |") && line.contains(&format!("`{metric}`")));
        let line = line.unwrap_or_else(|| panic!("no line for {metric}"));
        assert!(PAGE.contains(&format!("`{metric}`")), "{metric} is not on the page");
        for (label, values) in labels.iter().filter(|(label, _)| !["policy", "quantile"].contains(&label.as_str())) {
            assert!(line.contains(&format!("`{label}`")), "{metric}: {label}");
            let is_bounded = !["source", "from", "to"].contains(&label.as_str()) && !metric.contains("duration");
            for value in values.iter().filter(|_| is_bounded) {
                assert!(line.contains(&format!("`{value}`")), "{metric}: {label}={value}");
            }
        }
    }
}
