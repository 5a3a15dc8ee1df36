//! The testing kit and what stands on policies: the layer, the client and the configuration act on those of the scope.

#![allow(clippy::unwrap_used)] // the helpers of a test are a test

use std::sync::Arc;
use std::time::Duration;

use apiguard::config::Config;
use apiguard::reqwest::{Client, Guard};
use apiguard::testing::{self, Fault, Script, isolated};
use apiguard::tower::GuardLayer;
use apiguard::{Policy, Rate, Retry, Settings, guarded, registry};
use tower::{Layer, Service, ServiceExt, service_fn};

mod support;
use support::{Answer, Server};

/// A service that does as a script says, at once.
fn scripted(
    script: Script<u32>,
) -> impl Service<u32, Response = u32, Error = Fault, Future: Send> + Clone + Send + 'static {
    service_fn(move |_: u32| {
        let script = script.clone();
        async move { script.call().await }
    })
}

#[tokio::test(start_paused = true)]
async fn a_layer_is_under_the_policy_of_the_scope_and_its_settings_there() {
    static POLICY: Policy = Policy::new(
        "adapters.tower",
        Settings::new().rate(Rate::per_hour(1).burst(3).max_wait(Duration::ZERO)).retries(Retry::new(1)),
    );
    let arc = Arc::new(Policy::builder("adapters.arc").settings(POLICY.settings()).build().unwrap());
    for _ in 0..3 {
        isolated(async {
            testing::no_jitter();
            let script = Script::<u32>::new().fail(2).otherwise(|| Ok(7));
            let seen = testing::record(&POLICY);
            POLICY.configure(POLICY.settings().retries(Retry::new(2))).unwrap();
            let layered =
                GuardLayer::new(&POLICY).errors_only().retrying_if(|_: &u32| true).layer(scripted(script.clone()));
            assert_eq!(layered.clone().oneshot(1).await.unwrap(), 7, "with the two retries of this scope: {seen}");
            assert_eq!(seen.delays(), [1, 2].map(Duration::from_secs), "{seen}");
            layered.oneshot(1).await.unwrap_err();
            assert_eq!((seen.attempts(), seen.rejections().len()), (3, 1), "{seen}");

            let layered = GuardLayer::new(Arc::clone(&arc)).errors_only().layer(scripted(script));
            let mut tasks = tokio::task::JoinSet::new();
            for _ in 0..5 {
                tasks.spawn(layered.clone().oneshot(1));
            }
            assert_eq!(tasks.join_all().await.iter().filter(|outcome| outcome.is_ok()).count(), 3);
            layered.oneshot(1).await.unwrap_err();
            assert_eq!(arc.snapshot().calls, 6);
        })
        .await;
    }
    assert_eq!((POLICY.snapshot().calls, arc.snapshot().calls), (0, 0));
}

#[tokio::test(start_paused = true)]
async fn a_client_is_under_the_policy_of_the_scope_host_by_host_and_its_settings_there() {
    static POLICY: Policy =
        Policy::new("adapters.client", Settings::new().rate(Rate::per_hour(1).burst(2).max_wait(Duration::ZERO)));
    let client = Client::guarded(reqwest::Client::new(), Guard::per_host(&POLICY));
    for _ in 0..2 {
        isolated(async {
            testing::no_jitter();
            let seen = testing::record(&POLICY);
            POLICY.configure(POLICY.settings().retries(Retry::new(1))).unwrap();
            let server = Server::scripted([Answer::new(503)], Answer::new(200)).await;
            assert_eq!(client.get(&server.url).send().await.unwrap().status(), 200, "{seen}");
            client.get(&server.url).send().await.unwrap_err();
            assert_eq!(
                (server.requests(), seen.delays(), seen.attempts()),
                (2, vec![Duration::from_secs(1)], 2),
                "{seen}"
            );
            let another = Server::always(Answer::new(200)).await;
            client.get(&another.url).send().await.unwrap();
            assert_eq!(POLICY.snapshot().keys, 2);
        })
        .await;
    }
    assert_eq!((POLICY.snapshot().calls, POLICY.snapshot().keys), (0, 0));
}

#[guarded(rate("1/h", burst = 2, max_wait = "0s"), name = "adapters.configured")]
async fn configured() -> Result<u32, apiguard::Error<Fault>> {
    Ok(1)
}

#[tokio::test(start_paused = true)]
async fn a_configuration_is_applied_to_the_policies_of_the_scope() {
    let burst = |n: u32| {
        format!(
            "[policies.'adapters.nobody']\nrate = '1/s'\n[policies.'adapters.configured']\nrate = {{ rate = '1/h', burst = {n}, max_wait = '0s' }}"
        )
    };
    let policy = registry().get("adapters.configured").unwrap();
    let admitted = async || {
        let mut admitted = 0;
        for _ in 0..10 {
            admitted += u32::from(configured().await.is_ok());
        }
        admitted
    };
    for n in [3, 5] {
        isolated(async {
            let config: Config = burst(n).parse().unwrap();
            assert_eq!(registry().apply(&config).unwrap().changes().len(), 1);
            let check = registry().check();
            assert_eq!((check.overridden.len(), check.warnings.len()), (1, 1), "{check}");
            policy.reset();
            assert_eq!(policy.settings().rate_limit().unwrap().capacity(), n);
            assert_eq!(registry().apply(&config).unwrap().changes().len(), 0, "it is there");
            // The second of the scopes leaves it as it is.
            if n == 3 {
                let back = registry().apply(Config::from_toml("").unwrap()).unwrap();
                assert_eq!(back.changes().len(), 1, "back to what the code declares");
            }
            assert_eq!(admitted().await, if n == 3 { 2 } else { n });
        })
        .await;
        let check = registry().check();
        assert!(check.overridden.is_empty() && check.warnings.is_empty(), "{check}");
    }
    assert!(registry().apply(Config::from_toml("").unwrap()).unwrap().changes().is_empty());
    assert_eq!(policy.settings().rate_limit().unwrap(), &Rate::per_hour(1).burst(2).max_wait(Duration::ZERO));
    assert_eq!(policy.snapshot().calls, 0);
}
