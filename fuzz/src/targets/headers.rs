//! Response headers: lines of `name: value`, as a server may send them.
//!
//! A number is what decimal digits say, a date what its words say, and nothing else is read; no wait is longer than the longest; what
//! is said has been said by a header that is there; lines of other names, and their order, change nothing.

use std::time::{Duration, UNIX_EPOCH};

use apiguard::http::{Feedback, ResponseExt, RetryAfter, StatusError};
use apiguard::{Classify, Verdict};
use http::header::{DATE, RETRY_AFTER};
use http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode};

use crate::driver::{Seen, size};

const MOST_LIMITS: usize = 8;

pub(crate) fn run(input: &[u8], seen: &mut Seen) {
    let lines: Vec<_> = input.split(|byte| *byte == b'\n').filter_map(line).collect();
    for (name, value) in &lines {
        let read = RetryAfter::parse(value.as_bytes());
        check_retry_after(value.as_bytes(), read);
        if *name == RETRY_AFTER {
            mark(seen, "retry-after", read.map(|read| read.delay_from(UNIX_EPOCH)));
        }
    }
    let headers: HeaderMap = lines.iter().cloned().collect();
    let feedback = Feedback::from_headers(&headers);
    check(&feedback, &headers, seen);
    check_order(&lines, &feedback, &headers);
    check_response(&headers, seen);
    let after = RetryAfter::from_headers(&headers);
    assert!(after.is_none_or(|delay| delay <= RetryAfter::LONGEST));
    let is_any = headers.get_all(RETRY_AFTER).iter().any(|value| RetryAfter::parse(value).is_some());
    assert_eq!(after.is_some(), is_any);
}

/// `name: value`, as far as it can be a header.
fn line(line: &[u8]) -> Option<(HeaderName, HeaderValue)> {
    let colon = line.iter().position(|byte| *byte == b':')?;
    let value = line[colon + 1..].strip_prefix(b" ").unwrap_or(&line[colon + 1..]);
    Some((HeaderName::from_bytes(&line[..colon]).ok()?, HeaderValue::from_bytes(value).ok()?))
}

fn mark(seen: &mut Seen, what: &str, delay: Option<Duration>) {
    seen.mark((what, delay.map(|delay| size(delay.as_nanos() as u64))));
}

/// By hand: a number, or a date that `httpdate` reads and that is written as one is.
fn check_retry_after(value: &[u8], read: Option<RetryAfter>) {
    let shown = String::from_utf8_lossy(value);
    let text = std::str::from_utf8(value).unwrap_or("\u{fffd}").trim_matches([' ', '\t']);
    let is_short = text.len() <= 64;
    let digits = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    let (whole, part) = text.split_once('.').unwrap_or((text, "0"));
    match read {
        Some(RetryAfter::Delay(delay)) => {
            assert!(digits(whole) && digits(part) && is_short, "{shown:?} is no number");
            let (number, exact) = nanos(whole, part);
            let longest = RetryAfter::LONGEST.as_nanos();
            let expected = number.saturating_add(u128::from(!exact)).min(longest);
            assert_eq!(delay.as_nanos(), expected, "{shown:?}");
        }
        Some(RetryAfter::At(at)) => {
            assert!(text.starts_with(|c: char| c.is_ascii_alphabetic()) && is_short, "{shown:?} is no date");
            assert_eq!(httpdate::parse_http_date(&text.replace(":60", ":59")).ok().map(|date| at >= date), Some(true));
            let again = httpdate::fmt_http_date(at);
            assert_eq!(RetryAfter::parse(&again), read, "{shown:?} is {again}");
        }
        None => {
            let is_number = digits(whole) && digits(part) && is_short;
            assert!(!is_number, "{shown:?} is a number");
            assert!(httpdate::parse_http_date(text).is_err() || !is_canonical(text), "{shown:?} is a date");
        }
        // No other form is known here.
        Some(_) => panic!("{shown:?}"),
    }
}

/// Whether a date is written as all dates should be.
fn is_canonical(text: &str) -> bool {
    httpdate::parse_http_date(text).is_ok_and(|date| httpdate::fmt_http_date(date) == text)
}

/// Nanoseconds, rounded down, and whether that is all.
fn nanos(whole: &str, part: &str) -> (u128, bool) {
    let seconds = whole.trim_start_matches('0');
    let seconds = if seconds.len() > 20 { u128::MAX } else { seconds.parse().unwrap_or(0) };
    let kept: String = part.chars().chain(std::iter::repeat('0')).take(9).collect();
    let exact = part.bytes().skip(9).all(|digit| digit == b'0');
    (seconds.saturating_mul(1_000_000_000).saturating_add(kept.parse().unwrap_or(0)), exact)
}

fn check(feedback: &Feedback, headers: &HeaderMap, seen: &mut Seen) {
    let limits: Vec<_> = feedback.limits().collect();
    assert!(limits.len() <= MOST_LIMITS);
    for limit in &limits {
        assert!(limit.reset.is_none_or(|reset| reset <= RetryAfter::LONGEST), "{limit:?}");
        assert!(limit.limit.is_some() || limit.remaining.is_some() || limit.reset.is_some(), "{limit:?} says nothing");
        assert!(headers.contains_key(limit.header), "{limit:?} comes from nowhere");
        let sizes = [limit.limit, limit.remaining].map(|number| number.map(size));
        seen.mark((limit.header, sizes.map(|size| size.map(|size| size / 16))));
        mark(seen, limit.header, limit.reset);
    }
    let latest = limits.iter().filter(|limit| limit.remaining == Some(0)).filter_map(|limit| limit.reset).max();
    if limits.len() < MOST_LIMITS {
        assert_eq!(feedback.exhausted(), latest);
    } else {
        assert!(feedback.exhausted() >= latest, "those that are not kept count, too");
    }
    let wait = feedback.wait();
    assert_eq!(wait.map(|(delay, _)| delay), feedback.retry_after().or(feedback.exhausted()));
    if let Some((delay, header)) = wait {
        assert!(delay <= RetryAfter::LONGEST);
        assert!(headers.contains_key(header), "{header} is not there");
        seen.mark(("wait", header));
        mark(seen, "wait", Some(delay));
    }
}

/// Headers of other names stand in any order, and those that say nothing of waiting change nothing.
fn check_order(lines: &[(HeaderName, HeaderValue)], feedback: &Feedback, headers: &HeaderMap) {
    // By the server's clock, or two readings would differ by the time between them.
    if headers.get_all(DATE).iter().count() != 1 || RetryAfter::parse(&headers[DATE]).is_none_or(is_no_date) {
        return;
    }
    let mut sorted = lines.to_vec();
    sorted.sort_by(|(a, _), (b, _)| b.as_str().cmp(a.as_str()));
    sorted.insert(0, (HeaderName::from_static("x-request-id"), HeaderValue::from_static("7")));
    let sorted: HeaderMap = sorted.into_iter().collect();
    assert_eq!(&Feedback::from_headers(&sorted), feedback);
}

fn is_no_date(read: RetryAfter) -> bool {
    !matches!(read, RetryAfter::At(_))
}

/// What a response means, and what its error says: nothing of its headers but the names.
fn check_response(headers: &HeaderMap, seen: &mut Seen) {
    let status = headers.get("status").and_then(|value| StatusCode::from_bytes(value.as_bytes()).ok());
    let status = status.unwrap_or(StatusCode::TOO_MANY_REQUESTS);
    let mut response = Response::new(());
    (*response.status_mut(), *response.headers_mut()) = (status, headers.clone());
    let verdict = response.classify();
    let asked = match verdict {
        Verdict::Transient { retry_after } | Verdict::Throttled { retry_after } => retry_after,
        _ => None,
    };
    assert!(asked.is_none_or(|asked| asked <= RetryAfter::LONGEST), "{verdict:?}");
    mark(seen, verdict_name(verdict), asked);
    let error = StatusError::from_headers(status, headers);
    let texts = [error.to_string(), format!("{error:?}")];
    for value in headers.values() {
        let Ok(value) = value.to_str() else { continue };
        // Long enough to be no word of ours, and with what no number, name or duration has.
        if value.len() >= 12 && value.contains(['"', '=', '<', '%']) {
            assert!(texts.iter().all(|text| !text.contains(value)), "{value:?} in {texts:?}");
        }
    }
    // Some servers answer beyond 599.
    let fails = status.as_u16() >= 400;
    assert_eq!(response.checked().err().map(|error| error.status()), fails.then_some(status));
}

fn verdict_name(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Success => "success",
        Verdict::Permanent => "permanent",
        Verdict::Failure => "failure",
        Verdict::Transient { .. } => "transient",
        Verdict::Throttled { .. } => "throttled",
        _ => "other",
    }
}
