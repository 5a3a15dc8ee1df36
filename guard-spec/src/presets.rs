//! Limits that vendors publish, and retries and breakers that well-known libraries make.
//!
//! **They are hints, and they rot.** A vendor's limit depends on the account, the plan and the endpoint, and changes without
//! notice: Stripe's page alone has had three generations. Each constant names the page that it is from; all were read in November
//! 2026. Compare the one that you use with that page, and with what your account says. What a server answers goes before all of
//! this: a `429` with `Retry-After` pauses the policy, whatever the preset said.
//!
//! A limit is one for each account, token, workspace or store of yours: where there are several, add a `key`. Take a part of it
//! where several processes share it. X and those who sell language models are not here: their limits depend on the endpoint, or on the account.
//!
//! ```
//! use apiguard::{Error, guarded, presets, registry};
//!
//! #[guarded(name = "charge", rate = presets::stripe::LIVE, retries(2, budget = presets::finagle::BUDGET))]
//! async fn charge(cents: u32) -> Result<u32, Error<std::io::Error>> {
//!     Ok(cents)
//! }
//!
//! let policy = registry().get("charge").unwrap();
//! assert_eq!(policy.settings().rate_limit(), Some(&presets::stripe::LIVE));
//! ```
//!
//! A [`Rate`], a [`Quota`], a [`Retry`], a [`Breaker`] and a [`Budget`] are values in the attribute and in `policy!`; what is beside one
//! of them changes it: `retries(presets::aws::STANDARD, cap = "5s")`. Whole [`Settings`] make a `Policy`, which functions then share.
//! (One that is made by hand is not in the registry.)
//!
//! ```
//! use apiguard::{Error, Policy, guarded, presets};
//!
//! static GITHUB: Policy = Policy::new("github", presets::github::REST.retries(presets::aws::STANDARD));
//!
//! #[guarded(policy = GITHUB)]
//! async fn stars() -> Result<u32, Error<std::io::Error>> {
//!     Ok(7)
//! }
//!
//! assert_eq!(GITHUB.settings().retry(), Some(&presets::aws::STANDARD));
//! ```

use core::time::Duration;

use crate::{Breaker, Budget, Concurrency, Jitter, Quota, Rate, Retry, Settings, Statuses};

/// Stripe's limits for each account: <https://docs.stripe.com/rate-limits>.
///
/// The page speaks of requests per second and does not say how they are counted: these are evenly spaced, which fits however
/// it is done. It has limits of requests at a time too, without numbers. A `429` of Stripe's says nothing of waiting.
pub mod stripe {
    use super::Rate;

    /// All requests in live mode: 100 per second. (Older texts: 100 for reading and 100 for writing.)
    ///
    /// [Source](https://docs.stripe.com/rate-limits), read in November 2026.
    pub const LIVE: Rate = Rate::per_second(100);

    /// All requests in a sandbox: 25 per second.
    ///
    /// [Source](https://docs.stripe.com/rate-limits), read in November 2026.
    pub const SANDBOX: Rate = Rate::per_second(25);

    /// One endpoint that has no limit of its own: 25 per second. It counts in [`LIVE`], too.
    ///
    /// [Source](https://docs.stripe.com/rate-limits), read in November 2026.
    pub const ENDPOINT: Rate = Rate::per_second(25);

    /// Files: 20 per second for reading, and 20 for writing.
    ///
    /// [Source](https://docs.stripe.com/rate-limits), read in November 2026.
    pub const FILES: Rate = Rate::per_second(20);

    /// Search: 20 per second.
    ///
    /// [Source](https://docs.stripe.com/rate-limits), read in November 2026.
    pub const SEARCH: Rate = Rate::per_second(20);
}

/// GitHub's limits of its REST API: <https://docs.github.com/en/rest/using-the-rest-api/rate-limits-for-the-rest-api>.
///
/// GitHub counts hours that end at an instant of its own (`x-ratelimit-reset`), these quotas count any hour: stricter, never laxer.
/// It limits CPU time, too (90 s in 60 s), which nobody outside can count. A `403` can mean a limit there: `statuses = [403, 429, 500, 502..=504]`
/// retries it.
pub mod github {
    use super::{Concurrency, Quota, Settings};

    /// Without a token: 60 an hour for each address.
    ///
    /// [Source](https://docs.github.com/en/rest/using-the-rest-api/rate-limits-for-the-rest-api), read in November 2026.
    pub const ANONYMOUS: Quota = Quota::per_hour(60);

    /// With a token: 5000 an hour for each user. (An installation of an app has 5000 to 12 500, by its size.)
    ///
    /// [Source](https://docs.github.com/en/rest/using-the-rest-api/rate-limits-for-the-rest-api), read in November 2026.
    pub const TOKEN: Quota = Quota::per_hour(5_000);

    /// For an app of an organization on GitHub Enterprise Cloud: 15 000 an hour.
    ///
    /// [Source](https://docs.github.com/en/rest/using-the-rest-api/rate-limits-for-the-rest-api), read in November 2026.
    pub const ENTERPRISE_APP: Quota = Quota::per_hour(15_000);

    /// With the `GITHUB_TOKEN` of a workflow: 1000 an hour for each repository.
    ///
    /// [Source](https://docs.github.com/en/rest/using-the-rest-api/rate-limits-for-the-rest-api), read in November 2026.
    pub const ACTIONS: Quota = Quota::per_hour(1_000);

    /// The secondary limit of one endpoint: 900 points a minute. What reads costs 1, what writes 5: `cost = 5` there.
    ///
    /// [Source](https://docs.github.com/en/rest/using-the-rest-api/rate-limits-for-the-rest-api), read in November 2026.
    pub const POINTS: Quota = Quota::per_minute(900);

    /// [`TOKEN`] and 100 requests at a time (those to GraphQL count with them).
    ///
    /// [Source](https://docs.github.com/en/rest/using-the-rest-api/rate-limits-for-the-rest-api), read in November 2026.
    pub const REST: Settings = Settings::new().quota(TOKEN).concurrency(Concurrency::new(100));
}

/// Slack's limits for each method, workspace and app: <https://docs.slack.dev/apis/web-api/rate-limits>.
///
/// The page says "1+", "20+": at least so many, with bursts that it does not count. These are evenly spaced. Each method's own
/// page says its tier. With more than one workspace: `key = workspace`.
pub mod slack {
    use super::Rate;

    /// Tier 1: one a minute.
    ///
    /// [Source](https://docs.slack.dev/apis/web-api/rate-limits), read in November 2026.
    pub const TIER_1: Rate = Rate::per_minute(1);

    /// Tier 2: 20 a minute.
    ///
    /// [Source](https://docs.slack.dev/apis/web-api/rate-limits), read in November 2026.
    pub const TIER_2: Rate = Rate::per_minute(20);

    /// Tier 3: 50 a minute.
    ///
    /// [Source](https://docs.slack.dev/apis/web-api/rate-limits), read in November 2026.
    pub const TIER_3: Rate = Rate::per_minute(50);

    /// Tier 4: 100 a minute.
    ///
    /// [Source](https://docs.slack.dev/apis/web-api/rate-limits), read in November 2026.
    pub const TIER_4: Rate = Rate::per_minute(100);

    /// `chat.postMessage`: about one a second in each channel (`key = channel`); a workspace has a limit beside it that is not
    /// published.
    ///
    /// [Source](https://docs.slack.dev/apis/web-api/rate-limits), read in November 2026.
    pub const POST_MESSAGE: Rate = Rate::per_second(1);
}

/// Shopify's limits for each app and store (`key = store`), which are leaky buckets.
///
/// Pages: <https://shopify.dev/docs/api/admin-rest/usage/rate-limits> for REST, which is legacy since October 2024, and
/// <https://shopify.dev/docs/apps/build/apis/graphql-admin/rate-limits>. The bursts are the smallest that
/// the pages speak of; a store of a larger plan has a larger bucket.
pub mod shopify {
    use super::Rate;

    /// REST, standard plans: 2 a second, 40 at once.
    ///
    /// [Source](https://shopify.dev/docs/api/admin-rest/usage/rate-limits), read in November 2026.
    pub const REST: Rate = Rate::per_second(2).burst(40);

    /// REST, Advanced Shopify: 4 a second.
    ///
    /// [Source](https://shopify.dev/docs/api/admin-rest/usage/rate-limits), read in November 2026.
    pub const REST_ADVANCED: Rate = Rate::per_second(4).burst(40);

    /// REST, Shopify Plus: 20 a second.
    ///
    /// [Source](https://shopify.dev/docs/api/admin-rest/usage/rate-limits), read in November 2026.
    pub const REST_PLUS: Rate = Rate::per_second(20).burst(40);

    /// GraphQL, standard plans: 100 points a second. `cost` is what a query asks for, `settle` its `actualQueryCost`. 1000 is the
    /// most that one query may cost. (Older texts: 50 points.)
    ///
    /// [Source](https://shopify.dev/docs/apps/build/apis/graphql-admin/rate-limits), read in November 2026.
    pub const GRAPHQL: Rate = Rate::per_second(100).burst(1_000);

    /// GraphQL, Advanced Shopify: 200 points a second.
    ///
    /// [Source](https://shopify.dev/docs/apps/build/apis/graphql-admin/rate-limits), read in November 2026.
    pub const GRAPHQL_ADVANCED: Rate = Rate::per_second(200).burst(1_000);

    /// GraphQL, Shopify Plus: 1000 points a second.
    ///
    /// [Source](https://shopify.dev/docs/apps/build/apis/graphql-admin/rate-limits), read in November 2026.
    pub const GRAPHQL_PLUS: Rate = Rate::per_second(1_000).burst(1_000);
}

/// Discord's limit for each bot: <https://docs.discord.com/developers/topics/rate-limits>.
///
/// The page asks not to write limits of single routes into programs: they come in headers, which
/// `apiguard::http::Feedback` reads. It bans for 10 000 answers of 401, 403 or 429 in 10 minutes, which is one more reason for a
/// breaker.
pub mod discord {
    use super::Rate;

    /// All requests: 50 per second.
    ///
    /// [Source](https://docs.discord.com/developers/topics/rate-limits), read in November 2026.
    pub const GLOBAL: Rate = Rate::per_second(50);
}

/// How the SDKs of AWS retry: <https://docs.aws.amazon.com/sdkref/latest/guide/feature-retry-behavior.html>.
pub mod aws {
    use super::{Budget, Duration, Jitter, Retry};

    /// The mode "standard" with the values of 2026: three attempts, delays of 0 to `50 ms x 2^(n-1)`, at most 20 s.
    ///
    /// What differs: after throttling the SDKs begin with 1 s instead of 50 ms (here the server's `Retry-After` or
    /// `x-amz-retry-after` decides, else 50 ms). Their quota is 500 tokens, of which such a retry takes 14 and an attempt that works
    /// gives back 1: one retry for 14 good attempts is this budget of 7 %, but the reserve is 35 retries there and 10 here.
    /// What AWS throttles often comes as a 400 with a code in its body: that needs `classify`. Some services have values of their own.
    ///
    /// [Source](https://docs.aws.amazon.com/sdkref/latest/guide/feature-retry-behavior.html), read in November 2026.
    pub const STANDARD: Retry = Retry::new(2)
        .base(Duration::from_millis(50))
        .cap(Duration::from_secs(20))
        .jitter(Jitter::Full)
        .budget(Budget::percent(7));
}

/// How gRPC retries: <https://github.com/grpc/proposal/blob/master/A6-client-retries.md>.
pub mod grpc {
    use super::{Budget, Duration, Jitter, Retry, Statuses};

    /// The example of proposal A6: four attempts, delays of 0 to `100 ms x 2^(n-1)`, at most 1 s, throttled with a `tokenRatio` of
    /// 0.1.
    ///
    /// The statuses are those that gRPC takes for `UNAVAILABLE` when HTTP answers instead of gRPC. What differs: there each
    /// failure takes a token, here each retry; there retries end at half of 10 tokens, here at none of 10; and
    /// `grpc-retry-pushback-ms` is not read.
    ///
    /// [Source](https://github.com/grpc/proposal/blob/master/A6-client-retries.md), read in November 2026.
    pub const A6: Retry = Retry::new(3)
        .base(Duration::from_millis(100))
        .cap(Duration::from_secs(1))
        .jitter(Jitter::Full)
        .budget(Budget::percent(10))
        .statuses(Statuses::NONE.with(429).with_range(502, 504));
}

/// How Finagle bounds retries: <https://finagle.github.io/blog/2016/02/08/retry-budgets>.
pub mod finagle {
    use super::Budget;

    /// 20 % of the requests, which is the default here, too.
    ///
    /// What differs: Finagle counts all requests where this counts those that work, so that it goes on retrying in an outage; and
    /// it allows ten retries a second beside, where this has ten that come back in 50 minutes. There deposits expire after 10 s, here they
    /// fade in about that time.
    ///
    /// [Source](https://finagle.github.io/blog/2016/02/08/retry-budgets), read in November 2026.
    pub const BUDGET: Budget = Budget::percent(20);
}

/// The breaker of resilience4j with its defaults: <https://resilience4j.readme.io/docs/circuitbreaker>.
pub mod resilience4j {
    use super::{Breaker, Duration};

    /// Half of the last 100 calls, or all of them slower than 60 s; open for 60 s.
    ///
    /// What differs: half-open it lets ten calls pass and closes unless half of them fail; here the first that fails opens it again.
    ///
    /// [Source](https://resilience4j.readme.io/docs/circuitbreaker), read in November 2026.
    pub const BREAKER: Breaker = Breaker::failure_rate(0.5)
        .window_calls(100)
        .min_calls(100)
        .slow_call(Duration::from_secs(60))
        .slow_rate(1.0)
        .recovery(Duration::from_secs(60))
        .recovery_jitter(0.0)
        .successes(10)
        .probes(10);
}

/// The breaker of Polly 8 with its defaults: <https://www.pollydocs.org/strategies/circuit-breaker>.
pub mod polly {
    use super::{Breaker, Duration};

    /// A tenth of at least 100 calls in 30 s; open for 5 s, then one good call closes it.
    ///
    /// [Source](https://www.pollydocs.org/strategies/circuit-breaker), read in November 2026.
    pub const BREAKER: Breaker = Breaker::failure_rate(0.1)
        .window(Duration::from_secs(30))
        .min_calls(100)
        .recovery(Duration::from_secs(5))
        .recovery_jitter(0.0)
        .successes(1)
        .probes(1);
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn every_preset_can_be_used() {
        let new = Settings::new;
        let all = vec![
            new().rate(stripe::LIVE),
            new().rate(stripe::SANDBOX),
            new().rate(stripe::ENDPOINT),
            new().rate(stripe::FILES),
            new().rate(stripe::SEARCH),
            new().quota(github::ANONYMOUS),
            new().quota(github::TOKEN),
            new().quota(github::ENTERPRISE_APP),
            new().quota(github::ACTIONS),
            new().quota(github::POINTS),
            github::REST,
            new().rate(slack::TIER_1),
            new().rate(slack::TIER_2),
            new().rate(slack::TIER_3),
            new().rate(slack::TIER_4),
            new().rate(slack::POST_MESSAGE),
            new().rate(shopify::REST),
            new().rate(shopify::REST_ADVANCED),
            new().rate(shopify::REST_PLUS),
            new().rate(shopify::GRAPHQL),
            new().rate(shopify::GRAPHQL_ADVANCED),
            new().rate(shopify::GRAPHQL_PLUS),
            new().rate(discord::GLOBAL),
            new().retries(aws::STANDARD),
            new().retries(grpc::A6),
            new().retries(Retry::new(1).budget(finagle::BUDGET)),
            new().breaker(resilience4j::BREAKER),
            new().breaker(polly::BREAKER),
        ];
        let presets = all.len();
        for settings in all {
            assert!(settings.problems().is_empty(), "{settings}: {:?}", settings.validate());
            assert_ne!(settings, new(), "it says something");
        }
        // None is left out of the list above.
        let declared =
            include_str!("presets.rs").lines().filter(|line| line.trim_start().starts_with("pub const ")).count();
        assert_eq!(presets, declared);
    }

    #[test]
    fn every_preset_says_where_it_is_from_and_when_that_was_read() {
        let source = include_str!("presets.rs").split("#[cfg(test)]").next().unwrap();
        let mut before = "";
        for line in source.lines().map(str::trim_start) {
            if line.starts_with("pub const ") {
                assert!(before.starts_with("/// [Source](https://") && before.contains(", read in "), "{line}");
            }
            before = line;
        }
    }
}
