//! Bad inputs: settings, texts, names and keys that nobody in their right mind would write.

use std::time::Duration;

use apiguard::config::Config;
use apiguard::{
    Breaker, CircuitBreaker, Concurrency, Jitter, Keyed, Policy, Quota, Rate, Retry, RetryBudget, Settings, Statuses,
    TokenBucket, Window, guarded, registry,
};

use crate::tools::{Answer, Case, Measured, bad, good, paused, poll};

pub(crate) const CASES: &[Case] = &[
    Case { id: "B10", what: "hostile settings of a breaker", bound: "0 panics, 0 accepted, each named", run: b10 },
    Case { id: "L13", what: "hostile settings of limits", bound: "0 panics, 0 accepted, each named", run: l13 },
    Case {
        id: "R11",
        what: "hostile settings of retries and timeouts",
        bound: "0 panics, 0 accepted, each named",
        run: r11,
    },
    Case {
        id: "I01",
        what: "settings as text: a file, the environment; some of them 1 MB long",
        bound: "0 panics, 0 nonsense accepted, messages below 1 KB",
        run: i01,
    },
    Case {
        id: "I02",
        what: "hostile names of policies, and keys",
        bound: "0 panics; each its own; 0 control characters in what is shown",
        run: i02,
    },
];

const NO_SHARE: [f64; 9] = [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, -0.0, 5e-324, -1.0, 0.0, 1e308, 1.000_001];
const NO_TIME: [Duration; 4] =
    [Duration::ZERO, Duration::from_nanos(1), Duration::MAX, Duration::from_secs(200 * 365 * 86_400)];

/// Settings that must be refused, each with the field that is wrong: through a policy that is made, and one that is changed.
fn refused(hostile: &[(Settings, &str)]) -> Measured {
    let policy = Policy::builder("sound").rate(Rate::per_second(5)).build().unwrap();
    let (before, mut accepted, mut misnamed) = (policy.settings(), 0, Vec::new());
    for (settings, field) in hostile {
        accepted += usize::from(policy.configure(*settings).is_ok());
        match Policy::builder("hostile").settings(*settings).build() {
            Ok(_) => {
                accepted += 1;
                misnamed.push(format!("{field} in `{settings}`"));
            }
            Err(invalid) => {
                let text = invalid.to_string();
                let is_named = invalid.problems()[0].field().name() == *field
                    && (text.contains("write") || text.contains("remove"));
                if !is_named || text.len() > 1_000 {
                    misnamed.push(text);
                }
            }
        }
    }
    let holds = accepted == 0 && misnamed.is_empty() && policy.settings() == before;
    if !holds {
        eprintln!("{misnamed:#?}");
    }
    Measured::new(holds, format!("{accepted} accepted, {} not named, of {}", misnamed.len(), hostile.len()))
}

fn b10() -> Measured {
    let row = || Breaker::consecutive(3);
    let share = || Breaker::failure_rate(0.5);
    let mut hostile = vec![
        (Breaker::consecutive(0), "breaker"),
        (share().window_calls(0), "breaker.window"),
        (share().window_calls(u32::MAX), "breaker.window"),
        (share().min_calls(0), "breaker.min_calls"),
        (share().window_calls(10).min_calls(11), "breaker.min_calls"),
        (row().min_calls(5), "breaker.min_calls"),
        (row().window_calls(5), "breaker.window"),
        (row().slow_call(Duration::from_secs(1)), "breaker.slow_call"),
        (row().successes(0), "breaker.successes"),
        (row().successes(u32::MAX), "breaker.successes"),
        (row().probes(0), "breaker.probes"),
        (row().probes(u32::MAX), "breaker.probes"),
        (row().recovery_cap(Duration::from_secs(1)), "breaker.recovery_cap"),
        (row().recovery_cap(Duration::MAX), "breaker.recovery_cap"),
    ];
    for number in NO_SHARE {
        hostile.push((Breaker::failure_rate(number), "breaker.failure_rate"));
        hostile.push((share().slow_call(Duration::from_secs(1)).slow_rate(number), "breaker.slow_rate"));
        // No jitter at all is one.
        if number.is_nan() || number.abs() > 1e-300 {
            hostile.push((row().recovery_jitter(number), "breaker.recovery_jitter"));
        }
    }
    for time in NO_TIME {
        hostile.push((row().recovery(time), "breaker.recovery"));
        hostile.push((share().window(time), "breaker.window"));
        hostile.push((share().slow_call(time), "breaker.slow_call"));
    }
    let alone = hostile.iter().filter(|(breaker, _)| CircuitBreaker::new(*breaker).is_ok()).count();
    let hostile: Vec<_> =
        hostile.into_iter().map(|(breaker, field)| (Settings::new().breaker(breaker), field)).collect();
    // Extreme, and allowed.
    let extreme = [
        Breaker::consecutive(u32::MAX).recovery(Duration::from_secs(365 * 86_400)).successes(1_000).probes(1_000),
        Breaker::failure_rate(0.000_001).window_calls(10_000).min_calls(1).recovery(Duration::from_millis(1)),
    ];
    for breaker in extreme {
        let policy = Policy::builder("extreme").breaker(breaker).build().unwrap();
        paused(async {
            let _ = (good(&policy).await, bad(&policy).await);
        });
    }
    let measured = refused(&hostile);
    Measured { holds: measured.holds && alone == 0, ..measured }
}

fn l13() -> Measured {
    let second = Duration::from_secs(1);
    let mut hostile = vec![
        (Settings::new().rate(Rate::per_second(0)), "rate"),
        (Settings::new().rate(Rate::new(u32::MAX, Duration::from_nanos(1))), "rate"),
        (Settings::new().rate(Rate::per_second(1).burst(0)), "rate.burst"),
        (Settings::new().rate(Rate::per_second(1).burst(u32::MAX)), "rate.burst"),
        (Settings::new().rate(Rate::per_second(1).max_wait(Duration::MAX)), "rate.max_wait"),
        (Settings::new().quota(Quota::per_second(0)), "quota"),
        (Settings::new().quota(Quota::new(1, second).max_wait(Duration::MAX)), "quota.max_wait"),
        (Settings::new().concurrency(Concurrency::new(0)), "concurrency"),
        (Settings::new().concurrency(Concurrency::new(1).max_wait(Duration::MAX)), "concurrency.max_wait"),
    ];
    for time in NO_TIME {
        // A rate of one in a nanosecond is one.
        if time != Duration::from_nanos(1) {
            hostile.push((Settings::new().rate(Rate::new(1, time)), "rate"));
        }
        hostile.push((Settings::new().quota(Quota::new(1, time)), "quota"));
    }
    let alone = [
        TokenBucket::new(0, 1).is_ok(),
        TokenBucket::new(1, 0).is_ok(),
        TokenBucket::new(u32::MAX, 1).is_ok(),
        TokenBucket::with_rate(Rate::new(1, Duration::MAX)).is_ok(),
        Window::new(0, second).is_ok(),
        Window::new(1, Duration::ZERO).is_ok(),
        Window::new(u32::MAX, Duration::MAX).is_ok(),
    ];
    let measured = refused(&hostile);
    Measured { holds: measured.holds && alone == [false; 7], ..measured }
}

fn r11() -> Measured {
    let retries = || Retry::new(3);
    let mut hostile: Vec<(Settings, &str)> = Vec::new();
    for number in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, -0.5, -1.0, 5e-324, 0.0, -0.0, 1e308, 0.999_999] {
        hostile.push((Settings::new().retries(retries().factor(number)), "retries.factor"));
    }
    for number in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, -1.0, 1e308, 1.000_001] {
        hostile.push((Settings::new().retries(retries().jitter(Jitter::proportional(number))), "retries.jitter"));
    }
    for percent in [0, 101, u32::MAX] {
        let budget = apiguard::Budget::percent(percent);
        hostile.push((Settings::new().retries(retries().budget(budget)), "retries.budget"));
        assert!(RetryBudget::new(budget).is_err(), "{percent}");
    }
    for status in [0, 99, 600, u16::MAX] {
        let statuses = Statuses::RETRIED.with(status);
        hostile.push((Settings::new().retries(retries().statuses(statuses)), "retries.statuses"));
    }
    for time in NO_TIME {
        hostile.push((Settings::new().retries(retries().base(time)), "retries.base"));
        hostile.push((Settings::new().retries(retries().base(Duration::from_millis(1)).cap(time)), "retries.cap"));
        hostile.push((Settings::new().timeout(time), "timeout"));
        hostile.push((Settings::new().attempt_timeout(time), "attempt_timeout"));
        // No pause at all is one.
        if time > Duration::from_secs(1) {
            hostile.push((Settings::new().max_pause(time), "max_pause"));
        }
        hostile.push((Settings::new().abandoned(time), "abandoned"));
    }
    hostile.push((Settings::new().retries(retries().base(Duration::from_secs(61))), "retries.base"));
    hostile.push((Settings::new().retries(retries()).timeout(Duration::from_secs(1)), "timeout"));
    refused(&hostile)
}

#[guarded(name = "i01", rate = "5/s", quota = "9/m", concurrency = 3, breaker = 3, retries = 3, timeout = "20s")]
async fn configured() -> Answer<()> {
    Ok(())
}

/// No rate, duration, share or count; written between quotes, so it is one text.
fn texts() -> Vec<String> {
    let long = [
        "9".repeat(1_000_000),
        "x".repeat(1_000_000),
        "\u{661}".repeat(300_000),
        format!("10/{}", "s".repeat(1_000_000)),
    ];
    let short = [
        "",
        " ",
        "10",
        "/s",
        "10/",
        "10/fortnight",
        "1e9/s",
        "-1/s",
        "NaN/s",
        "inf/s",
        "10/s/s",
        "10.5/s",
        "0/s",
        "+1/s",
        "1_0/s",
        "\u{ff11}\u{ff10}/s",
        "\u{663}/s",
        "10/\u{441}",
        "10\\u0000/s",
        "10/0s",
        "10/-1s",
        "10/1e9s",
        "4294967296/s",
        "18446744073709551616/s",
        "10/18446744073709551616s",
        "10/200y",
        "10/s; drop",
        "<script>",
        "%00",
        "\u{202e}s/01",
        "\\u001b[31m10/s",
    ];
    short.into_iter().map(str::to_owned).chain(long).collect()
}

fn i01() -> Measured {
    paused(async {
        let policy = registry().get("i01").unwrap();
        let before = policy.settings();
        let (mut tried, mut accepted, mut longest, mut nonsense) = (0, 0, 0, Vec::new());
        for text in texts() {
            for key in ["rate", "quota", "concurrency", "breaker", "retries", "timeout", "attempt_timeout", "max_pause"]
            {
                // Some are what another key may be; these are a count.
                let is_count = text == "10" && matches!(key, "concurrency" | "breaker" | "retries");
                let file = format!("[policies.i01]\n{key} = \"{text}\"\n");
                let shown: String = text.chars().take(20).collect();
                let by_file = file.parse::<Config>().and_then(|config| registry().apply(config));
                let variable = (format!("APIGUARD_I01_{}", key.to_uppercase()), text.replace("\\u0000", "\u{1}"));
                let by_env = Config::from_toml("").unwrap().with_vars([variable]);
                for (result, counts) in [(by_file, false), (registry().apply(by_env), is_count)] {
                    tried += 1;
                    match result {
                        Ok(_) if counts => {}
                        Ok(report) => {
                            accepted += 1;
                            nonsense.push(format!("{key} = {shown:?}: {report}"));
                        }
                        Err(error) => longest = longest.max(error.to_string().len()),
                    }
                    let _ = registry().apply(Config::from_toml("").unwrap()).unwrap();
                }
            }
        }
        configured().await.unwrap();
        if accepted > 0 {
            eprintln!("{nonsense:#?}");
        }
        let holds = accepted == 0 && longest < 1_000 && policy.settings() == before;
        Measured::new(holds, format!("{accepted} accepted of {tried}; the longest message has {longest} bytes"))
    })
}

fn names() -> Vec<String> {
    let short = [
        "",
        "<script>alert(1)</script>",
        "\"",
        "\\",
        "a\nb",
        "a\r\nb: c",
        "%0d%0a",
        "\u{1b}[31mred",
        "\u{202e}gnp.exe",
        "../../etc/passwd",
        "a{b=\"c\"}",
        "\0",
        "\u{7f}",
        "\u{9b}31m",
        "\u{2028}",
        "e\u{301}",
    ];
    short.into_iter().map(str::to_owned).chain(["n".repeat(1_000_000), "\u{1b}".repeat(1_000)]).collect()
}

/// Controls, and what turns the direction of a text round.
pub(crate) fn controls(text: &str) -> usize {
    text.chars().filter(|char| char.is_control() && *char != '\n' || matches!(*char, '\u{2028}'..='\u{202e}')).count()
}

fn i02() -> Measured {
    paused(async {
        let keyed = Keyed::<String, TokenBucket>::new();
        let (mut wrong, mut shown) = (0, 0);
        for name in names() {
            let settings = Settings::new().rate(Rate::per_hour(1).max_wait(Duration::ZERO));
            let policy = Policy::builder(&*name).settings(settings).build().unwrap();
            let mut events = policy.subscribe();
            wrong += usize::from(policy.name() != name || good(&policy).await.is_err());
            let rejected = good(&policy).await.unwrap_err();
            let event = events.try_recv().unwrap();
            for text in [
                rejected.rejected().unwrap().to_string(),
                event.to_string(),
                format!("{}", policy.snapshot()),
                format!("{rejected:?}{event:?}{policy:?}"),
            ] {
                shown += controls(&text);
            }
            // A key of each name has its own bucket.
            let call = || Box::pin(policy.call_keyed(&name, async || Ok::<_, std::io::Error>(())));
            wrong += usize::from(poll(&mut call()).is_pending());
            let bucket = keyed.get_or_insert_with(&name, || TokenBucket::new(1, 1).unwrap());
            wrong += usize::from(bucket.try_acquire(1).is_err() || bucket.try_acquire(1).is_ok());
            let table = format!("[policies.{name:?}]\nrate = '1/s'");
            if let Ok(config) = table.parse::<Config>() {
                let report = registry().apply(config).map(|report| format!("{:?}", report.warnings()));
                wrong += usize::from(report.is_err());
            }
        }
        let count = names().len();
        Measured::new(wrong == 0 && shown == 0, format!("{wrong} wrong, {shown} shown as they are, of {count}"))
    })
}
