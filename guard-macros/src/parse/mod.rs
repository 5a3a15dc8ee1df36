//! Tokens -> settings with spans. Every mistake is noted and parsing goes on at the next comma.

mod values;

use guard_spec::{Jitter, Ratio, Settings, Statuses, parse as text};
use proc_macro2::{Delimiter, Group, Ident, TokenStream};
use quote::ToTokens;
use syn::ext::IdentExt;
use syn::parse::Parser;
use syn::{Expr, ExprLit, Lit, Token};

use self::values::{number, status};
use crate::check::Place;
use crate::diag::Diagnostics;
use crate::draft::{BreakerDraft, ConcurrencyDraft, Draft, Literal, QuotaDraft, RateDraft, RetryDraft, Value};
use crate::items::{Body, Item, items};
use crate::keys::{self, Key};
use crate::tokens::typed;

/// What the parentheses of a setting hold.
struct Parts {
    first: Option<Expr>,
    named: Vec<(Ident, Expr)>,
    /// Whether all of it could be read; otherwise what seems to be missing may be what could not.
    is_whole: bool,
}

/// The settings that stand somewhere.
pub(crate) fn attribute(tokens: TokenStream, place: Place, diag: &mut Diagnostics) -> Draft {
    let mut draft = Draft::default();
    for item in items(tokens, diag) {
        match item {
            Item::Named(name, body) => setting(&mut draft, &name, body, place, diag),
            Item::Broken => {}
            Item::Bare(Expr::Assign(assign)) => diag.error_at(
                &assign.left,
                format!("`{}` is not the name of a setting; write one such as `rate = \"100/s\"`", typed(&assign.left)),
            ),
            Item::Bare(value) => {
                diag.error_at(value, "expected a setting such as `rate = \"100/s\"`, found a value without a name");
            }
        }
    }
    draft
}

fn setting(draft: &mut Draft, name: &Ident, body: Body, place: Place, diag: &mut Diagnostics) {
    let text = name.unraw().to_string();
    let Some(key) = keys::find(&text) else {
        draft.skip |= guard_spec::nearest(&text, ["skip"]).is_some();
        return diag.error(name.span(), keys::unknown(&text, place));
    };
    if draft.keys.iter().any(|(given, _)| given.name == key.name) {
        return diag.error(name.span(), format!("`{text}` is set twice; remove one"));
    }
    draft.keys.push((key, name.span()));
    let mut fields = Fields { key, name, diag };
    match key.name {
        "name" => draft.name = fields.value(body).filter(|value| fields.is_name(value)),
        "policy" => draft.policy = fields.value(body).filter(|value| fields.is_policy(value)),
        "rate" => draft.rates = fields.list(body, Fields::rate),
        "quota" => draft.quotas = fields.list(body, Fields::quota),
        "concurrency" => draft.concurrency = fields.concurrency(body),
        "breaker" => draft.breaker = fields.breaker(body),
        "retries" => draft.retries = fields.retries(body),
        "timeout" => draft.timeout = fields.value(body).and_then(|value| fields.duration("timeout", value)),
        "max_pause" => {
            draft.max_pause = fields.value(body).and_then(|value| fields.duration("max_pause", value));
        }
        "abandoned" => {
            draft.abandoned = fields.value(body).and_then(|value| fields.duration("abandoned", value));
        }
        "shadow" => draft.shadow = fields.value(body).and_then(|value| fields.switch(&value)),
        "attempt_timeout" => {
            draft.attempt_timeout = fields.value(body).and_then(|value| fields.duration("attempt_timeout", value));
        }
        "key" => draft.key = fields.value(body).filter(|value| fields.stays(value)),
        "cost" => draft.cost = fields.value(body).filter(|value| fields.is_cost(value) && fields.stays(value)),
        "settle" => draft.settle = fields.value(body).filter(|value| fields.is_function(value)),
        "classify" => draft.classify = fields.value(body).filter(|value| fields.is_function(value)),
        "fallback" => draft.fallback = fields.value(body).filter(|value| fields.is_function(value)),
        "clone" => draft.clone = fields.names(body),
        "doc" => draft.doc = fields.value(body).and_then(|value| fields.switch(&value)),
        "skip" => {
            draft.skip = true;
            if !matches!(body, Body::Nothing) {
                fields.diag.error(name.span(), "`skip` takes no value; write `#[guarded(skip)]`");
                // That is said; where it stands need not be.
                draft.keys.pop();
            }
        }
        _ => match body {
            Body::Path(path) => draft.krate = Some(path),
            body => drop(fields.value(body)),
        },
    }
}

/// Reads the value of one key.
struct Fields<'a> {
    key: &'static Key,
    name: &'a Ident,
    diag: &'a mut Diagnostics,
}

impl Fields<'_> {
    fn wrong_form(&mut self) {
        self.diag.error(self.name.span(), format!("`{}` needs a value; write `{}`", self.key.name, self.key.form));
    }

    /// The value of `key = value`.
    fn value(&mut self, body: Body) -> Option<Expr> {
        match body {
            Body::Value(value) => return Some(value),
            Body::Group(group) if !group.stream().is_empty() => {
                let example = match syn::parse2::<Expr>(group.stream()) {
                    Ok(value) => format!("{} = {}", self.key.name, typed(&value)),
                    Err(_) => self.key.form.into(),
                };
                self.diag.error(group.span(), format!("`{}` takes no parentheses; write `{example}`", self.key.name));
            }
            _ => self.wrong_form(),
        }
        None
    }

    /// The parts of `key = value` or `key(value, inner = value, …)`: the first value, and the named ones.
    fn parts(&mut self, body: Body) -> Option<Parts> {
        let group = match body {
            Body::Value(value) => return Some(Parts { first: Some(value), named: Vec::new(), is_whole: true }),
            Body::Group(group) => group,
            Body::Nothing | Body::Path(_) => {
                self.wrong_form();
                return None;
            }
        };
        if group.stream().is_empty() {
            self.wrong_form();
            return None;
        }
        let mut parts = Parts { first: None, named: Vec::new(), is_whole: true };
        for (index, item) in items(group.stream(), self.diag).into_iter().enumerate() {
            match item {
                Item::Bare(value) if index == 0 => parts.first = Some(value),
                Item::Bare(value) => {
                    let forms: Vec<_> = self.key.inner.iter().map(|inner| format!("`{}`", inner.form)).collect();
                    self.diag.error_at(
                        value,
                        format!("expected a setting of `{}` with its name: {}", self.key.name, forms.join(", ")),
                    );
                }
                Item::Named(name, body) => {
                    let text = name.to_string();
                    let Some(inner) = self.key.find_inner(&text) else {
                        match body {
                            // A name alone is a constant in the first place.
                            Body::Nothing if index == 0 => parts.first = syn::parse2(name.into_token_stream()).ok(),
                            _ if text == self.key.name => {
                                self.diag.error(name.span(), format!("`{text}` is set twice; remove one"));
                            }
                            _ => {
                                parts.is_whole = false;
                                self.diag.error(name.span(), keys::unknown_inner(self.key, &text));
                            }
                        }
                        continue;
                    };
                    if parts.named.iter().any(|(given, _)| *given == name) {
                        self.diag.error(name.span(), format!("`{text}` is set twice; remove one"));
                    } else if let Body::Value(value) = body {
                        parts.named.push((name, value));
                    } else {
                        parts.is_whole = false;
                        self.diag.error(name.span(), format!("`{text}` needs a value; write `{}`", inner.form));
                    }
                }
                Item::Broken => parts.is_whole = false,
            }
        }
        Some(parts)
    }

    fn names(&mut self, body: Body) -> Vec<Ident> {
        let Body::Group(group) = body else {
            match body {
                Body::Value(value) => self
                    .diag
                    .error_at(&value, format!("`clone` takes names in parentheses; write `clone({})`", typed(&value))),
                _ => self.diag.error(self.name.span(), "`clone` needs the names of arguments; write `clone(order)`"),
            }
            return Vec::new();
        };
        if group.stream().is_empty() {
            self.diag.error(self.name.span(), "`clone()` names no argument; write `clone(order)`");
        }
        let parser = syn::punctuated::Punctuated::<Ident, Token![,]>::parse_terminated;
        match parser.parse2(group.stream()) {
            Ok(names) => names.into_iter().collect(),
            Err(error) => {
                self.diag.error(error.span(), "expected the names of arguments, as in `clone(order, customer)`");
                Vec::new()
            }
        }
    }

    /// One, or a list of them in brackets, each written as it would be alone.
    fn list<T>(&mut self, body: Body, one: fn(&mut Self, Body) -> Option<T>) -> Vec<T> {
        let Body::Value(Expr::Array(array)) = body else { return one(self, body).into_iter().collect() };
        let name = self.key.name;
        if array.elems.is_empty() {
            self.diag.error_at(&array, format!("`{name} = []` limits nothing; write `{}`", self.key.form));
        }
        if let Some(first) = array.elems.iter().nth(Settings::MOST_LIMITS) {
            self.diag.error_at(
                first,
                format!("`{name}` takes at most {} of them; remove those that others imply", Settings::MOST_LIMITS),
            );
        }
        let mut all = Vec::new();
        for element in array.elems.into_iter().take(Settings::MOST_LIMITS) {
            let body = match element {
                Expr::Call(call) if call.func.to_token_stream().to_string() == name => {
                    let arguments = call.args.to_token_stream();
                    let mut group = Group::new(Delimiter::Parenthesis, arguments);
                    group.set_span(call.paren_token.span.join());
                    Body::Group(group)
                }
                Expr::Array(_) => {
                    self.diag.error_at(element, format!("expected `{}`, found a list in the list", self.key.form));
                    continue;
                }
                element => Body::Value(element),
            };
            all.extend(one(self, body));
        }
        all
    }

    fn quota(&mut self, body: Body) -> Option<QuotaDraft> {
        let Parts { first, named, is_whole } = self.parts(body)?;
        let mut quota = None;
        if let Some(first) = first {
            quota = self.read("quota", "\"5000/h\"", first, |literal| match literal {
                Lit::Str(quota) => text::quota(&quota.value()).map_err(|error| error.to_string()),
                Lit::Int(count) => Err(format!(
                    "has no window; write `\"{0}/s\"`, `\"{0}/m\"`, `\"{0}/h\"` or `\"{0}/d\"`",
                    count.base10_digits()
                )),
                _ => Err("is not a quota; write one such as `\"5000/h\"` or `\"100/15m\"`".into()),
            });
        } else if is_whole {
            self.diag.error(self.name.span(), "`quota` needs a quota; write `quota(\"5000/h\", …)`");
        }
        let max_wait = named.into_iter().next().and_then(|(_, value)| self.duration("max_wait", value));
        Some(QuotaDraft { quota: quota?, max_wait })
    }

    fn concurrency(&mut self, body: Body) -> Option<ConcurrencyDraft> {
        let Parts { first, named, is_whole } = self.parts(body)?;
        let limit = if let Some(first) = first {
            self.count("concurrency", first)
        } else {
            if is_whole {
                self.diag.error(self.name.span(), "`concurrency` needs a number; write `concurrency(64, …)`");
            }
            None
        };
        let max_wait = named.into_iter().next().and_then(|(_, value)| self.duration("max_wait", value));
        Some(ConcurrencyDraft { limit: limit?, max_wait })
    }

    fn rate(&mut self, body: Body) -> Option<RateDraft> {
        let Parts { first, named, is_whole } = self.parts(body)?;
        let mut draft = (None, None, None);
        if let Some(first) = first {
            draft.0 = self.read("rate", "\"100/s\"", first, |literal| match literal {
                Lit::Str(rate) => text::rate(&rate.value()).map_err(|error| error.to_string()),
                Lit::Int(count) => Err(format!(
                    "has no period; write `\"{0}/s\"`, `\"{0}/m\"`, `\"{0}/h\"` or `\"{0}/d\"`",
                    count.base10_digits()
                )),
                _ => Err("is not a rate; write one such as `\"100/s\"`, `\"5000/h\"` or `\"5/250ms\"`".into()),
            });
        } else if is_whole {
            self.diag.error(self.name.span(), "`rate` needs a rate; write `rate(\"100/s\", …)`");
        }
        for (name, value) in named {
            if name == "burst" {
                draft.1 = self.count("burst", value);
            } else {
                draft.2 = self.duration("max_wait", value);
            }
        }
        Some(RateDraft { rate: draft.0?, burst: draft.1, max_wait: draft.2 })
    }

    fn breaker(&mut self, body: Body) -> Option<BreakerDraft> {
        let Parts { first, named, is_whole } = self.parts(body)?;
        let given: Vec<Ident> = named.iter().map(|(name, _)| name.clone()).collect();
        let mut failures = Vec::from_iter(first.map(|value| self.count("breaker", value)));
        let mut draft = BreakerDraft::default();
        for (name, value) in named {
            match name.to_string().as_str() {
                "failures" if !failures.is_empty() => {
                    self.diag.error(name.span(), "`failures` is set twice; remove one");
                }
                "failures" => failures.push(self.count("failures", value)),
                "failure_rate" => draft.failure_rate = self.share("failure_rate", value),
                "window" => draft.window = self.window(value),
                "min_calls" => draft.min_calls = self.count("min_calls", value),
                "slow_call" => draft.slow_call = self.duration("slow_call", value),
                "slow_rate" => draft.slow_rate = self.share("slow_rate", value),
                "recovery" => draft.recovery = self.duration("recovery", value),
                "recovery_jitter" => draft.recovery_jitter = self.share("recovery_jitter", value),
                "recovery_cap" => draft.recovery_cap = self.duration("recovery_cap", value),
                "successes" => draft.successes = self.count("successes", value),
                _ => draft.probes = self.count("probes", value),
            }
        }
        self.check_kind(&given, !failures.is_empty(), is_whole);
        if let Some(failures) = failures.pop() {
            // What does not go with it has been reported.
            let (failure_rate, window, min_calls, slow_call, slow_rate) = (None, None, None, None, None);
            let failures = Some(failures?);
            return Some(BreakerDraft { failures, failure_rate, window, min_calls, slow_call, slow_rate, ..draft });
        }
        draft.slow_rate = draft.slow_rate.filter(|_| draft.slow_call.is_some());
        (draft.failure_rate.is_some() || draft.slow_call.is_some()).then_some(draft)
    }

    /// Whether a breaker counts failures in a row or looks at a window, by the names that are given.
    fn check_kind(&mut self, given: &[Ident], counts_in_a_row: bool, is_whole: bool) {
        const WINDOWED: [&str; 5] = ["failure_rate", "window", "min_calls", "slow_call", "slow_rate"];
        let find = |wanted: &str| given.iter().find(|name| *name == wanted);
        if counts_in_a_row {
            let first = given.iter().find(|name| WINDOWED.iter().any(|windowed| *name == windowed));
            let Some(wrong) = find("failure_rate").or(first) else { return };
            let advice = if wrong == "failure_rate" {
                "remove one of the two".into()
            } else {
                format!("write `failure_rate = \"50%\"` instead of them, or remove `{wrong}`")
            };
            self.diag.error(wrong.span(), format!("`{wrong}` does not go with failures in a row; {advice}"));
        } else if let (Some(rate), None) = (find("slow_rate"), find("slow_call")) {
            if is_whole {
                self.diag.error(
                    rate.span(),
                    "`slow_rate` has no effect without `slow_call`; write from when on a call is slow, as in `slow_call = \"2s\"`",
                );
            }
        } else if find("failure_rate").or(find("slow_call")).is_none() && is_whole {
            self.diag.error(
                self.name.span(),
                "`breaker` needs a threshold; write `breaker(failures = 5, …)` or `breaker(failure_rate = \"50%\", …)`",
            );
        }
    }

    fn retries(&mut self, body: Body) -> Option<RetryDraft> {
        let Parts { first, named, is_whole } = self.parts(body)?;
        let max = if let Some(first) = first {
            self.count("retries", first)
        } else {
            if is_whole {
                self.diag.error(self.name.span(), "`retries` needs a number; write `retries(3, …)`");
            }
            None
        };
        let (mut base, mut factor, mut cap, mut jitter) = (None, None, None, None);
        let (mut budget, mut statuses) = (None, None);
        let mut inner = Vec::new();
        for (name, value) in named {
            match name.to_string().as_str() {
                "base" => base = self.duration("base", value),
                "factor" => {
                    factor = self.read("factor", "2", value, |literal| {
                        number(literal)
                            .map(Ratio::new)
                            .ok_or_else(|| "is not a number; write one such as `2` or `1.5`".into())
                    });
                }
                "cap" => cap = self.duration("cap", value),
                "jitter" => {
                    jitter = self.read("jitter", "0.5", value, |literal| match literal {
                        Lit::Str(name) => text::jitter(&name.value()).map_err(|error| error.to_string()),
                        other => number(other)
                            .map(Jitter::proportional)
                            .ok_or_else(|| "is no kind of jitter; write `0.5`, `\"full\"`, `\"equal\"`, `\"decorrelated\"` or `\"none\"`".into()),
                    });
                }
                "budget" => {
                    budget = self.read("budget", "\"20%\"", value, |literal| match literal {
                        Lit::Str(share) => text::budget(&share.value()).map_err(|error| error.to_string()),
                        Lit::Float(_) | Lit::Int(_)
                            if number(literal).is_some_and(|share| share > 0.0 && share < 1.0) =>
                        {
                            Err(format!("is a number; write `\"{}%\"`", number(literal).unwrap_or_default() * 100.0))
                        }
                        _ => Err("is no budget; write a share such as `\"20%\"`, or `\"off\"`".into()),
                    });
                }
                _ => statuses = self.statuses(value),
            }
            inner.push(name);
        }
        Some(RetryDraft { max: max?, base, factor, cap, jitter, budget, statuses, inner })
    }

    fn statuses(&mut self, value: Expr) -> Option<Value<Statuses>> {
        let Expr::Array(array) = &value else {
            let example = match &value {
                Expr::Lit(ExprLit { lit: Lit::Int(_), .. }) | Expr::Range(_) => format!("[{}]", typed(&value)),
                Expr::Lit(_) => "[429, 502..=504]".into(),
                _ => return Some(Value::Const(value)),
            };
            self.diag.error_at(&value, format!("`statuses = {}` is not a list; write `{example}`", typed(&value)));
            return None;
        };
        let mut set = Statuses::NONE;
        let mut wrong = false;
        for element in &array.elems {
            let single = status(element).map(|status| (status, status));
            let range = match element {
                Expr::Range(range) => {
                    let end = |inclusive: u16| {
                        if matches!(range.limits, syn::RangeLimits::Closed(_)) {
                            inclusive
                        } else {
                            inclusive.saturating_sub(1)
                        }
                    };
                    range.start.as_deref().and_then(status).zip(range.end.as_deref().and_then(status).map(end))
                }
                _ => None,
            };
            match single.or(range) {
                Some((first, last)) if first <= last && (100..=599).contains(&first) && (100..=599).contains(&last) => {
                    set = set.with_range(first, last);
                }
                Some((first, last)) if first > last => {
                    wrong = true;
                    self.diag.error_at(
                        element,
                        format!("`{}` is an empty range; write the smaller status first", typed(element)),
                    );
                }
                Some(_) => {
                    wrong = true;
                    self.diag.error_at(
                        element,
                        format!("`{}` is no HTTP status; write statuses in `100..=599`", typed(element)),
                    );
                }
                None => {
                    wrong = true;
                    self.diag.error_at(
                        element,
                        format!(
                            "`{}` is not a status; write numbers and ranges, as in `[429, 500, 502..=504]`",
                            typed(element)
                        ),
                    );
                }
            }
        }
        let literal = Literal { tokens: value.to_token_stream(), text: typed(&value) };
        (!wrong).then_some(Value::Known(set, literal))
    }
}
