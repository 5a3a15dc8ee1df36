//! `#[guarded]` and `policy!` of the crate `apiguard`.
//!
//! Three steps: `items` and `parse` read the settings with their spans into a `draft`, `check` finds what is wrong with them,
//! `expand` writes the function. `keys` is the table of settings, `arguments` tells what a body gives away, `block` takes an `impl` apart, `words` writes
//! a policy into the docs. `boxed` and `instrumented` know what `#[async_trait]` and `#[instrument]` leave when they come first.

#![forbid(unsafe_code)]

mod arguments;
mod block;
mod boxed;
mod check;
mod diag;
mod draft;
mod expand;
mod fields;
mod function;
mod instrumented;
mod items;
mod keys;
#[cfg(test)]
mod nonsense;
mod parse;
mod policy;
mod settings;
mod tokens;
mod words;

use proc_macro::TokenStream;

/// Guards an async function, or the methods of an `impl`: a rate limit, retries, a circuit breaker and timeouts around the
/// body.
///
/// ```
/// use apiguard::{Error, guarded};
///
/// #[guarded(rate = "100/s", retries = 3, breaker = 5, timeout = "10s")]
/// async fn lookup(id: u32) -> Result<String, Error<std::io::Error>> {
///     Ok(format!("user {id}"))
/// }
/// # #[tokio::main(flavor = "current_thread")] async fn main() {
/// assert_eq!(lookup(7).await.unwrap(), "user 7");
/// # }
/// ```
///
/// # Settings
///
/// | setting | forms | meaning | default |
/// |---|---|---|---|
/// | `name` | `"stripe.charges"` | the policy's name in the registry and in events; two functions, or two `impl`s of a type, of one name in one module need names of their own | `module::function` |
/// | `policy` | `STRIPE`, `self.policy` | use this policy: a place of type `Policy`, `&Policy` or `Arc<Policy>`. Its limits and breaker are shared; `name`, limits and `breaker` are its own and cannot stand beside it | a policy of its own |
/// | `rate` | `"100/s"`, `rate("100/s", burst = 20, max_wait = "2s")` | token bucket: never more than `burst + rate x t` attempts in any time `t` (timers that are late, by at most 2 ms, are made up for); a call waits its turn in the order of arrival, at most `max_wait`. Also a list of up to four: `["10/s", rate("100/m", burst = 20)]` | none; `burst = 1`, `max_wait = "30s"` |
/// | `quota` | `"5000/h"`, `quota("5000/h", max_wait = "2s")`, `["100/m", "5000/h"]` | never more than that many attempts in **any** window of that length, as fast as wanted until then | none; `max_wait = "30s"` |
/// | `concurrency` | `64`, `concurrency(64, max_wait = "2s")` | attempts in flight; a delay before a retry is none | none; `max_wait = "30s"` |
/// | `retries` | `3`, `retries(3, base = "1s", factor = 2, cap = "60s", jitter = 0.5, budget = "20%", statuses = [429, 500, 502..=504])` | attempts after the first. Delay n, from 1: `min(cap, base x factor^(n-1) x (1 + random x jitter))`; `jitter` may be `"full"`, `"equal"`, `"decorrelated"` or `"none"`; `budget` bounds the retries of all calls under the policy to this share of the attempts that work, or is `"off"` (`apiguard::Budget`) | none; as shown |
/// | `breaker` | `5`, `breaker(failures = 5, recovery = "60s", recovery_jitter = "10%", successes = 2, probes = 1)`; `breaker(failure_rate = "50%", window = "30s", min_calls = 20, slow_call = "2s", slow_rate = "80%", …)` | opens after that many failed attempts in a row; or when of at least `min_calls` in the window (a time, or the last so many calls: `window = 100`) `failure_rate` have failed or `slow_rate` took `slow_call` or longer. Open for `recovery` and up to `recovery_jitter` more, with `recovery_cap = "10m"` twice as long each time up to that; then `probes` attempts at a time, and `successes` good ones close it | none; as shown, but no call is slow and nothing grows, and `min_calls` is at most a window in calls |
/// | `timeout` | `"10s"` | bounds the whole call, waits and retries included; at most half of the time that is left is spent waiting for a turn | none |
/// | `attempt_timeout` | `"2s"` | bounds one attempt | none |
/// | `max_pause` | `"10m"` | bounds a pause that a server asks for: a 429 with `Retry-After` holds back all calls under the policy; `"0s"` ignores it | `"1h"` |
/// | `abandoned` | `"2s"` | how long an attempt has to have run to count as failed when its caller drops it; dropped earlier it says nothing | `"5s"` |
/// | `shadow` | `true` | watch and report only: a call runs once, at once and to its end, as if there were no guard; what would have been rejected, delayed or retried is counted (`Snapshot::shadow`) and reported. `classify`, `settle` and `fallback` work as ever | `false` |
/// | `cost` | an expression over the arguments, of type `u32` | the tokens of rates and quotas that each attempt takes; evaluated once per call. One above the burst or the quota is rejected with `Rejected::CostTooHigh` | 1 |
/// | `settle` | a path, a closure | `fn(&Output) -> u32`, `Output` being what the body returns: the tokens that the attempt has used. What it took and did not use is given back, what it used beyond is charged, for an hour's worth of the rate at most | what it took |
/// | `key` | an expression over the arguments, of a type that is `Hash` | limits and a breaker of their own for the calls of each key; evaluated once per call. Idle keys are dropped; see `Keyed` | one state for all |
/// | `classify` | a path, a closure | `fn(&Output) -> Verdict`, `Output` being what the body returns: what an outcome means | by its type, see `Verdict` |
/// | `fallback` | a path | a function, async or not, of the same arguments and the error, with the same return type: called when the call would return `Err`, be that an outcome or a rejection; it is not bound by the timeouts, and with it the arguments stay until it is needed | none |
/// | `clone` | `clone(order)` | arguments to clone for each attempt where the body's tokens do not show that it gives them away | by use |
/// | `doc` | `false` | whether the function's docs end with the policy in words | `true` |
/// | `skip` | `skip` | above a method of a guarded `impl`: leave it out | |
/// | `crate` | `crate = my::apiguard` | where apiguard is, when it was renamed | `::apiguard` |
///
/// Durations are whole numbers with units: `250ms`, `2s`, `1m30s`, `1h`, `1d`. Rates are `N/s`, `N/m`, `N/h`, `N/d`, or `N`
/// per any duration: `5/250ms`. Values may be constants instead: `rate = LIMIT` with `const LIMIT: Rate`, `retries = N` or the whole of it
/// (`retries = RETRY` with `const RETRY: Retry`, `breaker` and `concurrency` likewise),
/// `timeout = T` with `const T: Duration`; a constant out of range is a compile error, too. (They are values of a static: in
/// a method write the type's name instead of `Self`.)
///
/// Of several limits all hold: an attempt takes of all of them or of none, and waits for the latest, at most the shortest
/// `max_wait`. When a server wants fewer requests and says for how long (`Verdict::Throttled`), all calls under the policy wait
/// until then, at most `max_pause`; then one token is there, and what the rate regains.
///
/// # What it guards
///
/// Async functions and methods, those under `#[async_trait]` too, that return `Result<T, E>` with `E: From<apiguard::Rejected>`, or
/// `Result<T, apiguard::Error<E>>` for any `E`; the body is then written as if it returned `Result<T, E>`.
///
/// Above an `impl` it guards every async method whose return type is or may be a `Result` (one that has another name
/// included; the common types of the standard library and generic parameters are known to be none), with one policy for all of them, named
/// `module::Type`, or `module::Type::Trait` for the `impl` of a trait. A method can have settings of its calls for itself, and can
/// be left out; one that is another's fallback is:
///
/// ```
/// # use apiguard::{Error, guarded};
/// # type Answer<T> = Result<T, Error<std::io::Error>>;
/// # struct Shop;
/// #[guarded(rate("100/s", burst = 20), retries = 3, breaker = 5)]
/// impl Shop {
///     async fn stock(&self, item: &str) -> Answer<u32> {
///         Ok(item.len() as u32)
///     }
///
///     #[guarded(retries = 0)] // one attempt: an order must not be placed twice
///     async fn order(&self, item: &str) -> Answer<()> {
///         Ok(())
///     }
///
///     #[guarded(skip)]
///     async fn ping(&self) -> Result<(), std::io::Error> {
///         Ok(())
///     }
/// }
/// ```
///
/// With retries the body may run again: what it borrows is borrowed again, an argument that it gives away by name is cloned
/// at the start of each attempt and must be `Clone`, a `mut` argument starts each attempt with its original value. Without
/// retries nothing is cloned and everything may be moved (a fallback needs the arguments too, and counts as another attempt
/// here). A few things need a word then:
///
/// - A method that consumes its `self` looks like a borrow (`request.send()`), except those of an `Option` or a `Result`
///   and `into_…`: say `clone(request)` in the attribute.
/// - So does a field that is moved out of an argument (`order.name`): `clone(order)`.
/// - A `&mut` borrow of an argument cannot be returned; return an owned value, or set `retries = 0`. Beside `policy`
///   the body is taken to be retried unless `retries = 0` says otherwise.
/// - The future is `Send` only if what the body borrows of by-value arguments is `Sync`.
///
/// `#[tracing::instrument]` below the attribute makes one span of the call, above it one of each attempt.
///
/// # Errors
///
/// The function returns the last attempt's outcome as it is, or a `Rejected` when the guard did not run the body or gave up
/// on it.
///
/// # Panics
///
/// When a call has to wait in a tokio runtime without timers (`enable_time`). A panic of the body goes on to the caller.
///
/// # Cancel safety
///
/// Dropping the future at any point gives back what it holds: a place among the waiters, a token whose attempt has not
/// begun, a probe's place.
#[proc_macro_attribute]
pub fn guarded(settings: TokenStream, item: TokenStream) -> TokenStream {
    guard(settings.into(), item.into()).into()
}

fn guard(settings: proc_macro2::TokenStream, item: proc_macro2::TokenStream) -> proc_macro2::TokenStream {
    let mut diag = diag::Diagnostics::default();
    if settings.is_empty() {
        diag.error(
            proc_macro2::Span::call_site(),
            "`#[guarded]` without settings guards nothing; write for example `#[guarded(rate = \"100/s\", retries = 3, breaker = 5)]`",
        );
    }
    let place = if block::Block::is_one(&item) { check::Place::Block } else { check::Place::Function };
    let draft = parse::attribute(settings, place, &mut diag);
    check::check(&draft, place, &mut diag);
    let tokens = if place == check::Place::Block {
        block::Block::parse(&item).map(|block| block.guard(&draft, &mut diag))
    } else {
        syn::parse2::<function::Function>(item.clone())
            .map(|function| guard_function(&draft, function, &item, &mut diag))
    };
    // An item that cannot be read stays as it was typed, so that nothing else in the file breaks.
    let mut tokens = tokens.unwrap_or_else(|error| {
        diag.add(error);
        item
    });
    tokens.extend(diag.into_tokens());
    tokens
}

fn guard_function(
    draft: &draft::Draft,
    mut function: function::Function,
    item: &proc_macro2::TokenStream,
    diag: &mut diag::Diagnostics,
) -> proc_macro2::TokenStream {
    let is_guardable = function.check(diag);
    check::check_function(draft, &function, diag);
    if diag.is_empty() {
        return expand::function(draft, expand::Home::Function, function);
    }
    if !is_guardable {
        return item.clone();
    }
    // The body is written for the guard (`?` converts to the `E` of `Error<E>`): it stays in one that does nothing.
    let plain = draft::Draft { krate: draft.krate.clone(), ..draft::Draft::default() };
    expand::function(&plain, expand::Home::Function, function)
}

/// Declares policies that several functions share: statics that are listed in the registry.
///
/// ```
/// use apiguard::{Error, guarded};
///
/// apiguard::policy! {
///     /// What the vendor publishes.
///     pub static STRIPE = (rate("100/s", burst = 20), breaker = 5, name = "stripe");
/// }
///
/// #[guarded(policy = STRIPE, retries = 3)]
/// async fn charge(cents: u32) -> Result<u32, Error<std::io::Error>> {
///     Ok(cents)
/// }
///
/// # #[tokio::main(flavor = "current_thread")] async fn main() {
/// charge(5).await.unwrap();
/// assert_eq!(STRIPE.snapshot().calls, 1);
/// # }
/// ```
///
/// The settings are those of `#[guarded]` that say what a policy is: `name`, `rate`, `quota`, `concurrency`, `breaker`, `retries`, `timeout`,
/// `attempt_timeout`, `max_pause`, `abandoned`, `shadow`, and `doc` and `crate`. The default name is `module::NAME`.
#[proc_macro]
pub fn policy(policies: TokenStream) -> TokenStream {
    policy::policies(policies.into()).into()
}
