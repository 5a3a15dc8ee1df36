//! Calls to the server that misbehaves.

use std::sync::Arc;
use std::time::Duration;

use apiguard::http::ResponseExt;
use apiguard::reqwest::Guard;
use apiguard::tower::GuardLayer;
use apiguard::{Error, guarded};
use http::Request;
use http_body_util::Full;
use hyper_util::client::legacy::Client as Hyper;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use tower::util::BoxCloneSyncService;
use tower::{Service, ServiceBuilder, ServiceExt};

use super::World;
use super::policies::{HOSTS, SERVICE, TENANTS, UPSTREAM};
use crate::random::Random;

/// Connections are let go of as soon as they are idle.
const POOL_IDLE: Duration = Duration::from_millis(300);

type Body = Full<&'static [u8]>;
type Layered = BoxCloneSyncService<Request<Body>, u16, Error<hyper_util::client::legacy::Error>>;

pub struct Clients {
    plain: reqwest::Client,
    guarded: apiguard::reqwest::Client,
    layered: Layered,
}

impl Clients {
    pub fn new() -> reqwest::Result<Clients> {
        let builder = || reqwest::Client::builder().pool_idle_timeout(POOL_IDLE).timeout(Duration::from_secs(3));
        let hyper = Hyper::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(POOL_IDLE)
            .build_http::<Body>();
        let layered = ServiceBuilder::new()
            .map_response(|response: http::Response<_>| response.status().as_u16())
            .layer(GuardLayer::new(&UPSTREAM).retrying())
            .service(hyper);
        Ok(Clients {
            plain: builder().build()?,
            guarded: apiguard::reqwest::Client::guarded(builder().build()?, Guard::per_host(&HOSTS)),
            layered: BoxCloneSyncService::new(layered),
        })
    }
}

#[guarded(policy = SERVICE)]
async fn fetch(client: &reqwest::Client, url: &str) -> Result<usize, apiguard::reqwest::Error> {
    Ok(client.get(url).send().await?.checked()?.text().await?.len())
}

pub async fn shared(world: Arc<World>, _: Random) -> bool {
    fetch(&world.clients.plain, &world.server.url(0)).await.is_ok()
}

struct Shop {
    client: reqwest::Client,
    attempts: u32,
}

impl Shop {
    #[guarded(
        rate("400/s", burst = 40, max_wait = "300ms"), quota("300/s", max_wait = "300ms"),
        breaker(failure_rate = "50%", window = "2s", min_calls = 20, recovery = "200ms", slow_call = "300ms", slow_rate = "80%"),
        retries(1, base = "20ms"), timeout = "2s", attempt_timeout = "400ms", max_pause = "200ms", cost = cost,
        settle = used, name = "shop"
    )]
    async fn ask(&mut self, url: String, cost: u32) -> Result<usize, Error<reqwest::Error>> {
        self.attempts += 1;
        Ok(self.client.get(url).send().await?.error_for_status()?.text().await?.len())
    }
}

/// A token less than was taken, or more.
fn used(outcome: &Result<usize, reqwest::Error>) -> u32 {
    outcome.as_ref().map_or(0, |length| *length as u32 % 4)
}

pub async fn own(world: Arc<World>, mut random: Random) -> bool {
    let mut shop = Shop { client: world.clients.plain.clone(), attempts: 0 };
    let outcome = shop.ask(world.server.url(1), 1 + random.below(3) as u32).await;
    assert!(shop.attempts <= 2, "{} attempts", shop.attempts);
    outcome.is_ok()
}

#[guarded(policy = TENANTS, key = tenant)]
async fn for_tenant(client: &reqwest::Client, url: &str, tenant: &str) -> Result<usize, apiguard::reqwest::Error> {
    Ok(client.get(url).header("x-tenant", tenant).send().await?.checked()?.text().await?.len())
}

pub async fn tenant(world: Arc<World>, mut random: Random) -> bool {
    let tenant = format!("tenant-{}", random.below(48));
    for_tenant(&world.clients.plain, &world.server.url(2), &tenant).await.is_ok()
}

pub async fn client(world: Arc<World>, mut random: Random) -> bool {
    let request = world.clients.guarded.get(world.server.url(random.below(3) as usize));
    let Ok(response) = request.send().await else { return false };
    let is_good = response.status().is_success();
    // A body that is not read to its end closes the connection.
    if random.chance(90) { response.text().await.is_ok() && is_good } else { is_good }
}

pub async fn tower_client(world: Arc<World>, mut random: Random) -> bool {
    let mut service = world.clients.layered.clone();
    let Ok(ready) = service.ready().await else { return false };
    if random.chance(5) {
        // Ready, and never called.
        return true;
    }
    let request = Request::get(world.server.url(0)).body(Body::default()).expect("a URL");
    ready.call(request).await.is_ok_and(|status| status == 200)
}
