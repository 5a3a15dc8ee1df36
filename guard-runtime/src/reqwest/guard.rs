//! What guards the requests of a client: a policy, and whether each host has a part of it for itself.

use std::borrow::Cow;
use std::fmt;
use std::ops::Deref;
use std::sync::Arc;

use ::reqwest::Url;

use super::repeat::Repeat;
use crate::{Breaker, InvalidSettings, Policy, PolicyName, Retry, Settings};

/// What holds where nothing else is said.
const DEFAULT: Settings = Settings::new().retries(Retry::new(3)).breaker(Breaker::consecutive(5));

/// Guards requests: for a [`Client`](super::Client), and as a middleware of `reqwest-middleware` (feature
/// `reqwest-middleware`).
///
/// | | |
/// |---|---|
/// | [`Guard::default()`] | for each host, 3 retries and a breaker that opens after 5 failures in a row; no rate |
/// | [`Guard::per_host(policy)`](Guard::per_host) | the limits and the breaker of a policy, for each host |
/// | [`Guard::shared(policy)`](Guard::shared) | the same, all hosts together |
///
/// The policy is a `&'static Policy`, an `Arc<Policy>`, or a `Policy` that nobody else needs. A host is a scheme, a name and
/// a port: that of the request, wherever the server redirects to. Hosts that are well cost nothing, however many there are; a
/// million at most have something of their own at a time. A server's `Retry-After` on one host holds back the calls to that
/// host. The retry budget, the counters and the settings are the policy's: those of all hosts together.
///
/// Cloning is cheap, and the clones share the state.
///
/// ```
/// use apiguard::reqwest::{Client, Guard};
/// use apiguard::{Breaker, Policy, Rate, Retry};
///
/// // 50 requests a second to each host.
/// let policy = Policy::builder("crawler")
///     .rate(Rate::per_second(50))
///     .retries(Retry::new(2))
///     .breaker(Breaker::consecutive(10))
///     .build()?;
/// let client = Client::guarded(reqwest::Client::new(), Guard::per_host(policy));
/// assert_eq!(client.policy().name(), "crawler");
/// # Ok::<(), apiguard::InvalidSettings>(())
/// ```
#[derive(Clone, Debug)]
pub struct Guard {
    policy: PolicyRef,
    per_host: bool,
    follows_no_redirects: bool,
}

impl Guard {
    /// Each host has the limits and the breaker of this policy for itself. (What calls without a key have, those of guarded functions
    /// under this policy for example, is apart from all of them.)
    pub fn per_host(policy: impl Into<PolicyRef>) -> Guard {
        Guard { policy: policy.into(), per_host: true, follows_no_redirects: false }
    }

    /// All hosts have the limits and the breaker of this policy together, and with the guarded functions under it.
    ///
    /// ```
    /// use apiguard::reqwest::{Client, Guard};
    ///
    /// apiguard::policy! {
    ///     /// What the vendor publishes.
    ///     static CRM = (rate("20/s", burst = 5), breaker = 5, retries = 3, timeout = "10s", name = "crm");
    /// }
    /// let client = Client::guarded(reqwest::Client::new(), Guard::shared(&CRM));
    /// assert_eq!(client.policy().snapshot().calls, 0);
    /// ```
    pub fn shared(policy: impl Into<PolicyRef>) -> Guard {
        Guard { policy: policy.into(), per_host: false, follows_no_redirects: false }
    }

    /// A policy of this name and these settings, for each host.
    ///
    /// # Errors
    /// Everything that is wrong with the settings.
    ///
    /// ```
    /// use apiguard::reqwest::Guard;
    /// use apiguard::{Rate, Settings};
    ///
    /// let wrong = Guard::from_settings("crm", Settings::new().rate(Rate::per_second(0))).unwrap_err();
    /// assert_eq!(wrong.to_string(), "`rate = \"0/s\"` never admits a call; write at least `1/s`");
    /// ```
    pub fn from_settings(name: impl Into<String>, settings: Settings) -> Result<Guard, InvalidSettings> {
        Ok(Guard::per_host(Policy::builder(name).settings(settings).build()?))
    }

    /// Says that the `reqwest::Client` follows no redirects (`redirect::Policy::none()`).
    ///
    /// A connection that could not be made is certain to have carried nothing then, so that a `POST` is sent again after it,
    /// too. Of a client that follows redirects nobody can know: the server may have accepted the `POST` and redirected to a
    /// host that is down.
    #[must_use]
    pub fn follows_no_redirects(mut self) -> Guard {
        self.follows_no_redirects = true;
        self
    }

    /// The policy: to look at ([`snapshot`](Policy::snapshot)), to change ([`configure`](Policy::configure)), to force open.
    pub fn policy(&self) -> &Policy {
        &self.policy
    }

    /// What a request to this URL is told apart by, if hosts are.
    pub(super) fn key<'u>(&self, url: &'u Url) -> Option<Cow<'u, str>> {
        self.per_host.then(|| origin(url))
    }

    /// When a request that must not be repeated is, all the same.
    pub(super) fn unmarked(&self) -> Repeat {
        if self.follows_no_redirects { Repeat::Unsent } else { Repeat::Never }
    }
}

/// `https://api.example.com`, `http://[::1]:8080`: how a URL begins, which has no default port in it, and upper case no more.
/// It is one piece of text, so that it is one to hash. (A URL without a host, which cannot be sent to, is its scheme.)
fn origin(url: &Url) -> Cow<'_, str> {
    let text = url.as_str();
    // Both are pieces of the text: where they begin is known, and need not be searched for.
    let place = |piece: &str| piece.as_ptr().addr().saturating_sub(text.as_ptr().addr());
    let authority = url.scheme().len() + "://".len();
    let end = place(url.path());
    let host = url.host_str().map_or(authority, place);
    // reqwest takes names and passwords out of most URLs.
    match text.get(host..end) {
        Some(named) if host > authority => format!("{}://{named}", url.scheme()).into(),
        _ => text.get(..end).unwrap_or(text).into(),
    }
}

/// [`per_host`](Guard::per_host), named `reqwest`: 3 retries (base 1 s, factor 2, cap 60 s, jitter 0.5, budget 20 %, for 429,
/// 500, 502, 503 and 504), a breaker that opens after 5 failures in a row for 60 s; no rate and no timeout.
impl Default for Guard {
    fn default() -> Guard {
        Guard::per_host(Policy::unchecked(PolicyName::new("reqwest"), &DEFAULT))
    }
}

/// A policy that a [`Guard`] holds on to: made from `&'static Policy`, `Arc<Policy>` or `Policy`.
#[derive(Clone)]
pub struct PolicyRef(Held);

#[derive(Clone)]
enum Held {
    Static(&'static Policy),
    Shared(Arc<Policy>),
}

impl Deref for PolicyRef {
    type Target = Policy;

    fn deref(&self) -> &Policy {
        match &self.0 {
            Held::Static(policy) => policy,
            Held::Shared(policy) => policy,
        }
    }
}

/// Its name.
impl fmt::Debug for PolicyRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.name(), f)
    }
}

impl From<&'static Policy> for PolicyRef {
    fn from(policy: &'static Policy) -> PolicyRef {
        PolicyRef(Held::Static(policy))
    }
}

impl From<Arc<Policy>> for PolicyRef {
    fn from(policy: Arc<Policy>) -> PolicyRef {
        PolicyRef(Held::Shared(policy))
    }
}

impl From<Policy> for PolicyRef {
    fn from(policy: Policy) -> PolicyRef {
        PolicyRef(Held::Shared(Arc::new(policy)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_defaults_are_settings_that_could_be_written() {
        DEFAULT.validate().unwrap();
    }

    #[test]
    fn a_host_is_a_scheme_a_name_and_a_port_and_nothing_of_the_rest() {
        let key = |url: &str| origin(&url.parse().unwrap()).into_owned();
        for same in ["http://a.example", "http://A.example:80/x@y?token=1@2#z@", "http://us%40er:se:cret@a.example?@"] {
            assert_eq!(key(same), "http://a.example", "{same}");
        }
        assert_eq!(key("https://u@a.example:8080/x"), "https://a.example:8080");
        assert_eq!(key("http://[0:0:0:0:0:0:0:1]:81/"), "http://[::1]:81");
        assert_eq!(key("http://user:p@[::1]/"), "http://[::1]");
        assert_eq!(key("http://:pass@A.example:8080?@/"), "http://a.example:8080");
        assert_eq!(key("http://:@a.example#@"), "http://a.example");
        assert_eq!(key("http://B\u{fc}cher.example"), "http://xn--bcher-kva.example");
        for (odd, scheme) in
            [("data:x", "data:"), ("mailto:a@b", "mailto:"), ("file:///x@y", "file://"), ("x:", "x:"), ("x:/y@z", "x:")]
        {
            assert_eq!(key(odd), scheme, "{odd}");
        }
        let shared = Guard::shared(Policy::unchecked(PolicyName::new("x"), &DEFAULT));
        assert_eq!(shared.key(&"http://a/".parse().unwrap()), None);
    }
}
