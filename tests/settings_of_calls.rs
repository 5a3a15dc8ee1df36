//! `classify` and `cost`: what a call says of itself.

use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

use apiguard::{Error, Rejected, Verdict, guarded, registry};

type Outcome = Result<u32, String>;
type Answer = Result<u32, Error<String>>;

fn verdict(outcome: &Outcome) -> Verdict {
    match outcome {
        Ok(0) => Verdict::TRANSIENT,
        Ok(_) => Verdict::Success,
        Err(text) if text == "no" => Verdict::Permanent,
        Err(_) => Verdict::Failure,
    }
}

#[guarded(retries(3, base = "1ms"), classify = verdict)]
async fn judged(count: &AtomicU32, answers: &[Outcome]) -> Answer {
    answers[count.fetch_add(1, Relaxed) as usize].clone()
}

struct Judge;

impl Judge {
    fn anything<T, E>(_: &Result<T, E>) -> Verdict {
        Verdict::Permanent
    }

    // Under a name of its own: the function above has the other.
    #[guarded(name = "settings_of_calls.judge", retries(3, base = "1ms"), classify = Self::anything::<u32, String>)]
    async fn judged(&self, count: &AtomicU32) -> Answer {
        count.fetch_add(1, Relaxed);
        Err(String::new())
    }
}

#[guarded(retries(3, base = "1ms"), classify = |outcome| if outcome.is_err() { Verdict::Failure } else { Verdict::Success })]
async fn by_closure(count: &AtomicU32) -> Result<impl Iterator<Item = u32> + use<>, Error<String>> {
    if count.fetch_add(1, Relaxed) == 0 {
        return Err(String::new());
    }
    Ok(std::iter::once(1))
}

#[tokio::test(start_paused = true)]
async fn a_function_decides_what_is_retried_even_a_good_outcome() {
    let count = AtomicU32::new(0);
    assert_eq!(judged(&count, &[Ok(0), Ok(0), Ok(7)]).await.unwrap(), 7);
    assert_eq!(count.swap(0, Relaxed), 3);
    judged(&count, &[Err("no".into())]).await.unwrap_err();
    count.store(0, Relaxed);
    judged(&count, &[Ok(0), Err("broken".into())]).await.unwrap_err();
    count.store(0, Relaxed);
    Judge.judged(&count).await.unwrap_err();
    assert_eq!(count.swap(0, Relaxed), 1);
    assert!(by_closure(&count).await.is_err());
    assert_eq!(by_closure(&count).await.unwrap().count(), 1);
    let snapshot = registry().get("settings_of_calls::judged").unwrap().snapshot();
    let outcomes = &snapshot.outcomes;
    assert_eq!((outcomes.successes, outcomes.permanent, outcomes.failures), (1, 1, 4));
    // Two of the first call, of which the last was the good one, and one of the third.
    assert_eq!((snapshot.calls, snapshot.retries), (3, 3));
}

static EVALUATED: AtomicU32 = AtomicU32::new(0);

fn tokens(items: &[u8]) -> u32 {
    EVALUATED.fetch_add(1, Relaxed);
    u32::try_from(items.len()).unwrap_or(u32::MAX)
}

#[guarded(rate("10/s", burst = 10, max_wait = "2s"), retries(2, base = "1ms"), cost = tokens(items))]
async fn batch(tenant: &str, items: &[u8]) -> Answer {
    if tenant == "down" { Err("down".into()) } else { Ok(u32::from(items[0])) }
}

#[tokio::test(start_paused = true)]
async fn each_attempt_pays_the_cost_which_is_evaluated_once() {
    let policy = registry().get("settings_of_calls::batch").unwrap();
    assert_eq!(batch("a", &[5; 4]).await.unwrap(), 5);
    assert_eq!(policy.snapshot().tokens, Some(6));
    let begun = tokio::time::Instant::now();
    batch("down", &[5; 4]).await.unwrap_err();
    assert_eq!(EVALUATED.load(Relaxed), 2);
    let waited = begun.elapsed().as_millis();
    assert!((600..=604).contains(&waited), "6 tokens were there, 12 were taken: {waited} ms");
    let never = batch("a", &[5; 11]).await.unwrap_err();
    assert!(matches!(never, Error::Rejected(Rejected::CostTooHigh { cost: 11, burst: 10, .. })), "{never:?}");
}

#[guarded(rate("1000/s", burst = 9), timeout = "1s", cost = tokens)]
async fn hangs(tokens: u32) -> Answer {
    tokio::time::sleep(std::time::Duration::from_secs(60)).await;
    Ok(tokens)
}

#[tokio::test(start_paused = true)]
async fn a_call_that_says_what_it_costs_has_an_end_as_any_other() {
    let ended = hangs(2).await.unwrap_err();
    assert!(matches!(ended, Error::Rejected(Rejected::TimedOut { .. })), "{ended:?}");
}
