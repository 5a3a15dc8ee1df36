//! The words of each grammar, and what is near them.

#[rustfmt::skip] // one word a line would be pages
pub(crate) const TEXT: &[&str] = &[
    "0", "1", "7", "100", "365", "366", "1000000000", "31536000", "18446744073709551615", "d", "h", "m", "s", "ms", "us",
    "ns", "µs", "μs", "sec", "min", "hr", "days", "S", "M", "/", "//", "%", ".", ",", "-", "+", "e", "1e9", "NaN", "inf",
    "1m30s", "100/s", "5/250ms", "20%", "0.2", "12.5%", "full", "equal", "decorrelated", "none", "off", "false", "no", "fulll",
    " ", "\t", "\0", "\n", "`", "１", "٣", "\u{a0}", "é",
];

#[rustfmt::skip] // one word a line would be pages
pub(crate) const HEADERS: &[&str] = &[
    "\n", ": ", "retry-after: ", "retry-after-ms: ", "x-ms-retry-after-ms: ", "x-amz-retry-after: ", "ratelimit: ",
    "ratelimit-policy: ", "ratelimit-limit: ", "ratelimit-remaining: ", "ratelimit-reset: ", "x-ratelimit-limit: ",
    "x-ratelimit-remaining: ", "x-ratelimit-reset: ", "x-ratelimit-reset-after: ", "x-ratelimit-limit-requests: ",
    "x-ratelimit-remaining-requests: ", "x-ratelimit-reset-requests: ", "x-ratelimit-limit-tokens: ",
    "x-ratelimit-remaining-tokens: ", "x-ratelimit-reset-tokens: ", "x-rate-limit-limit: ", "x-rate-limit-remaining: ",
    "x-rate-limit-reset: ", "anthropic-ratelimit-requests-limit: ", "anthropic-ratelimit-requests-remaining: ",
    "anthropic-ratelimit-requests-reset: ", "anthropic-ratelimit-tokens-remaining: ", "anthropic-ratelimit-tokens-reset: ",
    "anthropic-ratelimit-input-tokens-remaining: ", "anthropic-ratelimit-input-tokens-reset: ",
    "anthropic-ratelimit-output-tokens-remaining: ", "anthropic-ratelimit-output-tokens-reset: ", "date: ", "x-other: ", "status: ",
    "Sun, 06 Nov 1994 08:49:37 GMT", "Sunday, 06-Nov-94 08:49:37 GMT", "Sun Nov  6 08:49:37 1994", "23:59:60", "GMT", "Feb", "29",
    "Thu, 01 Jan 1970 00:00:00 GMT", "Fri, 31 Dec 9999 23:59:59 GMT", "Wednesday", "1994-11-06T08:49:37Z", "+01:00", "-00:00",
    ".999999999999", "T", "Z", "t", "z", "0", "1", "-1", "0.5", "1e3", "1700000000", "1700000000000", "999999999", "9223372037",
    "18446744073709551615", "18446744073709551616", "1m30s", "6m0s", "12ms", "1h", "µs", "876000h0m0s", "default", "\"daily\"",
    ";r=0", ";t=60", ";q=100", ";w=3600", ";pk=:aGk=:", ";r=0;t=30", "limit=100, remaining=0, reset=50", ", ", ";", "=", "\"",
    "\\\"", "(", ")", "?1", ":", "*", "@1", " ", "\t", "-", "%", "\u{663}",
];

#[rustfmt::skip] // one word a line would be pages
pub(crate) const CONFIG: &[&str] = &[
    "[defaults]\n", "[policies.p]\n", "[policies.\"fuzz.a\"]\n", "[policies.'fuzz.b']\n", "[policies.fuzz-b]\n", "[policies]\n",
    "[[policies.p]]\n", "policies.p.", "policies.'fuzz.a'.", "rate = ", "quota = ", "concurrency = ", "breaker = ", "retries = ",
    "timeout = ", "attempt_timeout = ", "max_pause = ", "abandoned = ", "shadow = ", "retires = ", "rate_limit = ", "burst = ",
    "max_wait = ", "limit = ", "failures = ", "failure_rate = ", "window = ", "min_calls = ", "slow_call = ", "slow_rate = ",
    "recovery = ", "recovery_jitter = ", "recovery_cap = ", "successes = ", "probes = ", "max = ", "base = ", "factor = ", "cap = ",
    "jitter = ", "budget = ", "statuses = ", "'100/s'", "\"5000/h\"", "'10s'", "\"1m30s\"", "'250ms'", "'0s'", "'50%'", "'off'",
    "'full'", "'equal'", "'decorrelated'", "'none'", "'500..=504'", "'503..505'", "429", "true", "false", "0", "3", "-1", "0.5", "inf",
    "nan", "1e400", "0x10", "99999999999999999999", "1979-05-27", "{ ", " }", "[", "]", ", ", ".", "\n", "\r\n", "\"\"\"", "'''", "# ",
    "\u{feff}", "é", "\u{663}", "\\u0041", "\0", "\n----\n", "APIGUARD_P_RATE=", "APIGUARD_P_RETRIES=", "APIGUARD_FUZZ_B_TIMEOUT=",
    "APIGUARD_FUZZ_A_BREAKER=", "APIGUARD_", "{ max = 3, base = '200ms' }", "{ rate = '100/s', burst = 20 }",
];
