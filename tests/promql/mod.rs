//! As much of `PromQL` as the dashboard and the alert rules use, over two scrapes: a rate is what a series has grown by in between, for each
//! second. Series that only one scrape has have none.

#![allow(clippy::unwrap_used, clippy::panic, clippy::float_cmp)] // a part of tests, whose numbers are whole

use std::collections::BTreeMap;

pub(crate) type Labels = BTreeMap<String, String>;
pub(crate) type Vector = BTreeMap<Labels, f64>;

/// What a target shows: each name with its series.
pub(crate) type Scrape = BTreeMap<String, Vector>;

/// Two scrapes, five minutes apart.
pub(crate) struct Scrapes {
    pub(crate) before: Scrape,
    pub(crate) after: Scrape,
}

const SECONDS: f64 = 300.0;

/// Reads what an exporter renders, as of these targets, and adds it.
pub(crate) fn scrape(rendered: &str, instances: &[&str]) -> Scrape {
    let mut scrape = Scrape::new();
    for line in rendered.lines().filter(|line| !line.is_empty() && !line.starts_with('#')) {
        let (series, value) = line.rsplit_once(' ').unwrap();
        let (name, labels) = series.trim_end_matches('}').split_once('{').unwrap();
        let pair = |pair: &str| {
            let (label, value) = pair.split_once('=').unwrap();
            (label.to_owned(), value.trim_matches('"').to_owned())
        };
        let labels: Labels = labels.split(',').map(pair).collect();
        for instance in instances {
            let of_target = [("job", "app"), ("instance", instance)].map(|(label, value)| (label.into(), value.into()));
            let labels = labels.clone().into_iter().chain(of_target).collect();
            scrape.entry(name.to_owned()).or_default().insert(labels, value.parse().unwrap());
        }
    }
    scrape
}

/// The parts of a query: names, numbers, texts in their quotes, signs.
pub(crate) fn parts(query: &str) -> Vec<&str> {
    let mut parts = Vec::new();
    let mut rest = query.trim_start();
    while let Some(first) = rest.chars().next() {
        let is_in_name = |c: char| c.is_alphanumeric() || c == '_' || c == '$';
        let is_in_number = |c: char| c.is_alphanumeric() || c == '.';
        let until = |is_in: &dyn Fn(char) -> bool| rest.find(|c| !is_in(c)).unwrap_or(rest.len());
        let end = match first {
            '"' => rest[1..].find('"').expect("a quote that is closed") + 2,
            '0'..='9' => until(&is_in_number),
            '=' if rest.starts_with("==") => 2,
            c if is_in_name(c) => until(&is_in_name),
            c => c.len_utf8(),
        };
        let (part, after) = rest.split_at(end);
        parts.push(part);
        rest = after.trim_start();
    }
    parts
}

enum Value {
    Number(f64),
    Vector(Vector),
}

/// The value of a query.
pub(crate) fn value(query: &str, scrapes: &Scrapes) -> Vector {
    let parts = parts(query);
    let mut reader = Reader { parts: &parts, scrapes };
    let value = reader.operations(0);
    assert!(reader.parts.is_empty(), "{:?} is left of `{query}`", reader.parts);
    match value {
        Value::Vector(vector) => vector,
        Value::Number(_) => panic!("`{query}` is a number"),
    }
}

struct Reader<'q> {
    parts: &'q [&'q str],
    scrapes: &'q Scrapes,
}

/// From those that bind least.
const OPERATORS: [&[&str]; 5] = [&["or"], &["and", "unless"], &["==", ">", "<"], &["+", "-"], &["*", "/"]];

impl<'q> Reader<'q> {
    fn next(&mut self) -> &'q str {
        let (first, rest) = self.parts.split_first().expect("an end too early");
        self.parts = rest;
        first
    }

    fn take(&mut self, part: &str) -> bool {
        let is_next = self.parts.first() == Some(&part);
        self.parts = &self.parts[usize::from(is_next)..];
        is_next
    }

    fn expect(&mut self, part: &str) {
        assert!(self.take(part), "no `{part}` before {:?}", self.parts);
    }

    fn operations(&mut self, level: usize) -> Value {
        let Some(operators) = OPERATORS.get(level) else { return self.operand() };
        let mut left = self.operations(level + 1);
        while let Some(operator) = self.parts.first().filter(|part| operators.contains(*part)) {
            self.next();
            left = apply(operator, left, self.operations(level + 1));
        }
        left
    }

    fn operand(&mut self) -> Value {
        let first = self.next();
        if let Ok(number) = first.parse() {
            return Value::Number(number);
        }
        match first {
            "(" => {
                let inner = self.operations(0);
                self.expect(")");
                inner
            }
            "sum" | "min" | "max" => {
                let by = if self.take("by") { self.names() } else { Vec::new() };
                self.expect("(");
                let inner = self.operations(0);
                self.expect(")");
                Value::Vector(aggregate(first, &by, inner))
            }
            "vector" => {
                self.expect("(");
                let number = self.next().parse().unwrap();
                self.expect(")");
                Value::Vector(Vector::from([(Labels::new(), number)]))
            }
            "rate" | "increase" => {
                self.expect("(");
                let name = self.next();
                let (before, after) = self.select(name);
                self.expect("[");
                self.next();
                self.expect("]");
                self.expect(")");
                let seconds = if first == "rate" { SECONDS } else { 1.0 };
                let grown = |(labels, now): (Labels, f64)| {
                    let grown = (now - before.get(&labels)?) / seconds;
                    Some((labels, grown))
                };
                Value::Vector(after.into_iter().filter_map(grown).collect())
            }
            name => Value::Vector(self.select(name).1),
        }
    }

    fn names(&mut self) -> Vec<&'q str> {
        self.expect("(");
        let mut names = Vec::new();
        while !self.take(")") {
            names.push(self.next());
            self.take(",");
        }
        names
    }

    /// The series of a name and its labels in both scrapes. A variable of the dashboard stands for every value.
    fn select(&mut self, name: &str) -> (Vector, Vector) {
        let mut wanted = Vec::new();
        if self.take("{") {
            while !self.take("}") {
                let label = self.next();
                self.expect("=");
                self.take("~");
                wanted.push((label, self.next().trim_matches('"')));
                self.take(",");
            }
        }
        let is_wanted = |labels: &Labels| {
            wanted.iter().all(|(label, values)| {
                values.starts_with('$')
                    || labels.get(*label).is_some_and(|is| values.split('|').any(|value| value == is))
            })
        };
        let of = |scrape: &Scrape| {
            let series = scrape.get(name).into_iter().flatten();
            series.filter(|(labels, _)| is_wanted(labels)).map(|(labels, value)| (labels.clone(), *value)).collect()
        };
        (of(&self.scrapes.before), of(&self.scrapes.after))
    }
}

fn aggregate(how: &str, by: &[&str], of: Value) -> Vector {
    let Value::Vector(of) = of else { panic!("{how} of a number") };
    let mut groups = Vector::new();
    for (mut labels, value) in of {
        labels.retain(|label, _| by.contains(&label.as_str()));
        let both = |so_far: f64| match how {
            "sum" => so_far + value,
            "min" => so_far.min(value),
            _ => so_far.max(value),
        };
        groups.entry(labels).and_modify(|so_far| *so_far = both(*so_far)).or_insert(value);
    }
    groups
}

fn apply(operator: &str, left: Value, right: Value) -> Value {
    let number = |left: f64, right: f64| match operator {
        "+" => Some(left + right),
        "-" => Some(left - right),
        "*" => Some(left * right),
        "/" => Some(left / right),
        "==" => (left == right).then_some(left),
        ">" => (left > right).then_some(left),
        _ => (left < right).then_some(left),
    };
    let each = |vector: Vector, number: &dyn Fn(f64) -> Option<f64>| {
        vector.into_iter().filter_map(|(labels, value)| Some((labels, number(value)?))).collect()
    };
    Value::Vector(match (operator, left, right) {
        ("or", Value::Vector(left), Value::Vector(mut right)) => {
            right.extend(left);
            right
        }
        ("and" | "unless", Value::Vector(mut left), Value::Vector(right)) => {
            left.retain(|labels, _| right.contains_key(labels) == (operator == "and"));
            left
        }
        (_, Value::Vector(left), Value::Vector(right)) => {
            let pair = |(labels, value): (Labels, f64)| {
                let other = *right.get(&labels)?;
                Some((labels, number(value, other)?))
            };
            left.into_iter().filter_map(pair).collect()
        }
        (_, Value::Vector(left), Value::Number(right)) => each(left, &|left| number(left, right)),
        (_, Value::Number(left), Value::Vector(right)) => each(right, &|right| number(left, right)),
        (_, Value::Number(_), Value::Number(_)) => panic!("{operator} of two numbers"),
    })
}

/// What of `PromQL` decides which alerts there are: by its documents on operators and on their precedence.
mod tests {
    use super::{Scrapes, scrape, value};

    fn values(query: &str) -> Vec<f64> {
        let scrapes = Scrapes {
            before: scrape("calls{policy=\"a\"} 0\ncalls{policy=\"b\"} 600", &["one"]),
            after: scrape(
                "calls{policy=\"a\"} 300\ncalls{policy=\"b\"} 600\nis{policy=\"a\",s=\"x\"} 1\nis{policy=\"b\",s=\"y\"} 2",
                &["one", "two"],
            ),
        };
        value(query, &scrapes).into_values().collect()
    }

    #[test]
    fn queries_have_the_values_that_prometheus_gives_them() {
        assert_eq!(values("rate(calls[5m])"), [1.0, 0.0], "the second target has been scraped once");
        assert_eq!(values("increase(calls{policy=\"a\"}[5m])"), [300.0]);
        assert_eq!(values("sum(is)"), [6.0]);
        assert_eq!(values("sum(max by (policy) (is))"), [3.0]);
        assert_eq!(values("min by (instance) (is{s=~\"x|y|z\"})"), [1.0, 1.0]);
        assert_eq!(values("1 + 2 * is{s=\"y\", policy=~\"$policy\"} > 4.5"), [5.0, 5.0]);
        assert_eq!(values("sum(is{s=\"z\"}) or vector(0)"), [0.0]);
        assert_eq!(values("sum by (policy) (is) == 4"), [4.0]);
        assert_eq!(values("sum by (policy) (is) > 0 and sum by (policy) (rate(calls[5m])) > 0"), [2.0]);
        assert_eq!(values("sum by (policy) (is) unless sum by (policy) (rate(calls[5m])) > 0"), [4.0]);
        assert_eq!(values("is / is{s=\"x\"}"), [1.0, 1.0]);
    }
}
