//! The short examples as a stranger runs them: child processes that end by themselves and print what their story says.
//! Their times are real, since the story is in them; each takes four seconds at most.

#![allow(clippy::unwrap_used)] // the helpers of a test are a test

use std::process::Command;
use std::time::{Duration, Instant};

/// What an example printed. Cargo builds it, in this test's own profile and target directory.
fn printed(example: &str) -> String {
    let test = std::env::current_exe().unwrap();
    // <target>/<profile>/deps/examples-<hash>
    let profile = test.ancestors().nth(2).unwrap();
    let named = profile.file_name().unwrap().to_str().unwrap();
    let built = Command::new(env!("CARGO"))
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .args(["build", "--quiet", "--example", example])
        .args(["--profile", if named == "debug" { "dev" } else { named }])
        .arg("--target-dir")
        .arg(profile.parent().unwrap())
        .status();
    assert!(built.unwrap().success());
    let begin = Instant::now();
    let program = profile.join("examples").join(format!("{example}{}", std::env::consts::EXE_SUFFIX));
    let output = Command::new(program).output().unwrap();
    let (printed, errors) = (String::from_utf8(output.stdout).unwrap(), String::from_utf8(output.stderr).unwrap());
    assert_eq!((errors.as_str(), output.status.code()), ("", Some(0)), "{printed}");
    assert!(begin.elapsed() < Duration::from_secs(10), "it took {:?}", begin.elapsed());
    printed
}

/// That the text has these parts, in this order.
fn assert_story(text: &str, parts: &[&str]) {
    let mut rest = text;
    for part in parts {
        let at = rest.find(part);
        assert!(at.is_some(), "no `{part}` after what was before it, in\n{text}");
        rest = &rest[at.unwrap() + part.len()..];
    }
}

#[test]
fn a_policy_that_two_functions_share_rejects_one_for_what_the_other_has_seen() {
    assert_story(
        &printed("shared_policies"),
        &[
            "charge: 500 cents",
            "refund: 200 cents",
            "charge: failed after 3 attempts",
            "refund: not sent: circuit of policy `payments` is open",
            "refund: 200 cents",
            "charge: 500 cents",
            "payments: 6 calls, 7 attempts (4 good, 3 failed), 2 retries, 1 rejected (1 circuit open)",
        ],
    );
}

#[test]
fn a_greedy_and_a_broken_tenant_take_nothing_from_a_quiet_one() {
    let text = printed("tenants");
    let line = |tenant: &str| text.lines().find(|line| line.trim_start().starts_with(tenant)).unwrap().to_owned();
    let quiet = line("quiet");
    assert!(quiet.contains("good") && !quiet.contains("limited") && !quiet.contains("open"), "{quiet}");
    assert!(line("greedy").contains("rate limited"), "{text}");
    assert!(line("broken").contains("\"failed\": 3"), "{text}");
    assert_story(&text, &["without those that are idle: 1\n", "`broken`, whose breaker is open: circuit open"]);
}

#[test]
fn an_error_type_of_ones_own_says_what_is_retried_and_what_replaces_it() {
    assert_story(
        &printed("custom_errors"),
        &[
            "apple\n    attempt 1\n  costs 120\n",
            "pear\n    attempt 1\n    attempt 2\n  costs 140\n",
            "stone\n    attempt 1\n  error: there is no such thing as `stone`\n",
            "plum\n    attempt 1\n    (plum: the price list is broken; yesterday's price will do)\n  costs 99\n",
            "plum\n    (plum: not asked; yesterday's price will do)\n  costs 99\n",
        ],
    );
}

#[test]
fn tokens_are_settled_and_an_empty_account_is_left_alone_until_its_reset() {
    let text = printed("llm_tokens");
    let at = |n: u32| {
        let line = text.lines().find(|line| line.contains(&format!("request {n} "))).unwrap();
        line.trim_start().split(' ').next().unwrap().parse::<u64>().unwrap()
    };
    // The vendor's account is empty with the fourth request, for a second.
    assert!(at(5) - at(4) >= 1_000, "{text}");
    assert_story(&text, &["took 200 tokens and has used 150", "never admitted", "llm: 9 calls, 8 attempts (8 good)"]);
}

#[test]
fn a_service_sheds_load_while_its_upstream_is_down_and_tells_its_clients_when_to_come_back() {
    let text = printed("axum_upstream");
    assert_story(
        &text,
        &[
            "all is well, four requests at once\n    4 x 200 OK\n",
            "tried, and tried again\n    1 x 502 Bad Gateway\n",
            "the upstream is not asked at all\n    4 x 503 Service Unavailable, Retry-After: ",
            "a probe finds out\n    1 x 200 OK\n",
            "more at once than there is room for\n    8 x 200 OK; 12 x 503 Service Unavailable, Retry-After: 1\n",
            "more than its share\n    ",
            " 429 Too Many Requests, Retry-After: 1\n",
            "no business of the others\n    2 x 200 OK\n",
        ],
    );
}

#[test]
fn a_limit_is_changed_while_the_program_runs_and_a_mistake_changes_nothing() {
    let text = printed("reload");
    assert_story(
        &text,
        &[
            "applied: no setting changed",
            "applied: shop.orders.rate: \"20/s\" -> { rate = \"80/s\", burst = 5 }",
            "refused, the settings stay:",
            "has the unit `sec`; write `s`",
            "rate.bursts is no setting of `rate`; did you mean `burst`?",
            "applied: shop.orders.rate: { rate = \"80/s\", burst = 5 } -> \"40/s\"",
            "did you mean \"shop.orders\"?",
            "configured: shop.orders.rate: \"20/s\" -> \"40/s\"",
        ],
    );
    let seen =
        text.lines().filter_map(|line| line.trim().strip_prefix("the server sees ")?.split(' ').next()?.parse().ok());
    let seen: Vec<u32> = seen.collect();
    assert_eq!(seen.len(), 4, "{text}");
    // A machine that is busy sends fewer, and none sends more: 5 at once and one at either end.
    for (seen, most) in seen.into_iter().zip([20, 80, 80, 40]) {
        assert!(seen <= most + 14 && seen >= most / 2, "{text}");
    }
}
