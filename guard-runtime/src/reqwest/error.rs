//! Why a guarded call through reqwest failed, without its URL; and what reqwest's errors mean to the guard.

use std::error::Error as StdError;
use std::fmt;
use std::io;
use std::time::Duration;

use ::http::StatusCode;

use crate::http::StatusError;
use crate::verdict::{chain, holds_rejection};
use crate::{Classify, Rejected, Verdict};

/// Why a guarded call through reqwest failed.
///
/// `?` converts a rejection, a failing status of [`checked`](crate::http::ResponseExt::checked) and reqwest's own error.
///
/// # What it shows
///
/// It displays as what it holds, and its [`source`](StdError::source) is the source of that: one level. URLs often carry
/// secrets, and reqwest's errors show theirs: the conversion takes it off, neither `Display` nor `Debug` show one even in
/// an error that was put here without converting, and an error with a URL further down has no `source`. What is shown
/// of a body that could not be decoded is what the decoder says of it.
///
/// ```
/// use apiguard::reqwest::Error;
///
/// let error = Error::from(reqwest::Client::new().get("file:///secret").build().expect_err("no host"));
/// assert_eq!(error.to_string(), "cannot build the request");
/// assert!(!format!("{error:?}").contains("secret"));
/// ```
#[non_exhaustive]
pub enum Error {
    /// The guard did not run the call, or gave up on it.
    Rejected(Rejected),
    /// The server answered with a failing status.
    Status(StatusError),
    /// There is no answer, or none that could be read. Without a URL when it was converted by `?` or `From`.
    Transport(::reqwest::Error),
}

impl Error {
    /// The status, if the server answered with a failing one.
    pub fn status(&self) -> Option<StatusCode> {
        match self {
            Error::Rejected(_) => None,
            Error::Status(error) => Some(error.status()),
            Error::Transport(error) => error.status(),
        }
    }

    /// When to come back: as the guard says ([`Rejected::retry_after`]) or as the server did
    /// ([`StatusError::retry_after`]).
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Error::Rejected(rejected) => rejected.retry_after(),
            Error::Status(error) => error.retry_after(),
            Error::Transport(_) => None,
        }
    }

    /// The rejection, if the guard did not run the call or gave up on it.
    pub fn rejected(&self) -> Option<&Rejected> {
        match self {
            Error::Rejected(rejected) => Some(rejected),
            Error::Status(_) | Error::Transport(_) => None,
        }
    }

    /// Whether a timeout ended the call: the policy's, the client's or the connection's.
    pub fn is_timeout(&self) -> bool {
        match self {
            Error::Rejected(rejected) => matches!(rejected, Rejected::TimedOut { .. }),
            Error::Status(_) => false,
            Error::Transport(error) => error.is_timeout(),
        }
    }
}

impl From<Rejected> for Error {
    fn from(rejected: Rejected) -> Error {
        Error::Rejected(rejected)
    }
}

impl From<StatusError> for Error {
    fn from(error: StatusError) -> Error {
        Error::Status(error)
    }
}

/// Takes off the URL. The error of reqwest's `error_for_status` becomes [`Error::Status`]; what the server said of
/// waiting is not in it, so prefer [`checked`](crate::http::ResponseExt::checked).
impl From<::reqwest::Error> for Error {
    fn from(error: ::reqwest::Error) -> Error {
        match error.status() {
            Some(status) => Error::Status(StatusError::new(status, None)),
            None => Error::Transport(error.without_url()),
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::Rejected(rejected) => rejected.fmt(f),
            Error::Status(error) => error.fmt(f),
            Error::Transport(error) => f.write_str(summary(error)),
        }
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::Rejected(rejected) => f.debug_tuple("Rejected").field(rejected).finish(),
            Error::Status(error) => f.debug_tuple("Status").field(error).finish(),
            Error::Transport(error) if shows_url(error) => f.debug_tuple("Transport").field(&summary(error)).finish(),
            Error::Transport(error) => f.debug_tuple("Transport").field(error).finish(),
        }
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        match self {
            Error::Rejected(rejected) => rejected.source(),
            Error::Status(error) => error.source(),
            Error::Transport(error) => error.source().filter(|source| !shows_url(*source)),
        }
    }
}

/// What failed, in words of our own: reqwest's would show the URL.
fn summary(error: &::reqwest::Error) -> &'static str {
    if error.is_timeout() {
        return "request timed out";
    }
    #[cfg(not(target_arch = "wasm32"))]
    if error.is_connect() {
        return "cannot connect";
    }
    if error.is_builder() {
        "cannot build the request"
    } else if error.is_redirect() {
        "cannot follow the redirect"
    } else if error.is_status() {
        "server answered with a failing status"
    } else if error.is_decode() {
        if body_is_missing(error) { "cannot read the response body" } else { "cannot decode the response body" }
    } else if error.is_body() {
        "cannot transfer the body"
    } else if error.is_upgrade() {
        "cannot upgrade the connection"
    } else {
        "cannot send the request"
    }
}

/// Whether one of the chain's errors is reqwest's and still has its URL: that of a redirect that is refused holds another.
fn shows_url(error: &(dyn StdError + 'static)) -> bool {
    chain(error).any(|error| error.downcast_ref::<::reqwest::Error>().is_some_and(|error| error.url().is_some()))
}

/// Whether a decoding error comes from the connection, not from what the body says. reqwest reports a body that breaks
/// off as a decoding error over a body error.
fn body_is_missing(error: &::reqwest::Error) -> bool {
    chain(error).any(|error| {
        error.is::<io::Error>() || error.downcast_ref::<::reqwest::Error>().is_some_and(::reqwest::Error::is_body)
    })
}

/// Whether the request's own body broke off while it was sent: a stream of the caller's, of which the server knows nothing.
fn own_body_failed(error: &::reqwest::Error) -> bool {
    let is_body = |source: &::reqwest::Error| source.is_body();
    error.is_request() && chain(error).skip(1).any(|source| source.downcast_ref().is_some_and(is_body))
}

/// By status when it has one. Otherwise requests that cannot be built, redirects that are not followed and bodies that
/// say something else than expected are permanent; connections, timeouts and bodies that break off are transient. A body
/// of the request that its sender breaks off is permanent, and so is what a guard inside (of a resolver, a connector or a body) has
/// rejected: the service has not failed.
impl Classify for ::reqwest::Error {
    fn classify(&self) -> Verdict {
        if let Some(status) = self.status() {
            return status.classify();
        }
        let permanent = self.is_builder() || self.is_redirect() || (self.is_decode() && !body_is_missing(self));
        // A timeout that passes through a redirect or a decoder is still one.
        let permanent = permanent && !self.is_timeout() || own_body_failed(self) || holds_rejection(self);
        if permanent { Verdict::Permanent } else { Verdict::TRANSIENT }
    }

    fn status(&self) -> Option<u16> {
        self.status().map(|status| status.as_u16())
    }
}

/// As what it holds: a rejection is permanent, a status by its code, reqwest's error by its kind.
impl Classify for Error {
    fn classify(&self) -> Verdict {
        match self {
            Error::Rejected(rejected) => rejected.classify(),
            Error::Status(error) => error.classify(),
            Error::Transport(error) => error.classify(),
        }
    }

    fn status(&self) -> Option<u16> {
        match self {
            Error::Rejected(_) => None,
            Error::Status(error) => Classify::status(error),
            Error::Transport(error) => Classify::status(error),
        }
    }

    fn retry_after(&self) -> Option<Duration> {
        match self {
            Error::Status(error) => error.retry_after(),
            Error::Rejected(_) | Error::Transport(_) => None,
        }
    }

    fn pause(&self) -> Option<Duration> {
        match self {
            Error::Status(error) => error.pause(),
            Error::Rejected(_) | Error::Transport(_) => None,
        }
    }

    fn header(&self) -> Option<&'static str> {
        match self {
            Error::Status(error) => error.header(),
            Error::Rejected(_) | Error::Transport(_) => None,
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::net::SocketAddr;
    use std::sync::Arc;

    use ::reqwest::redirect::Policy;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;

    use super::*;
    use crate::PolicyName;
    use crate::http::ResponseExt;
    use crate::verdict::{Judged, judge_chain};

    const WAIT: Option<Duration> = Some(Duration::from_secs(9));

    fn client() -> ::reqwest::Client {
        ::reqwest::Client::builder().no_proxy().build().unwrap()
    }

    fn url(server: SocketAddr) -> String {
        format!("http://canary:canary@{server}/canary?token=canary#canary")
    }

    /// A server that gives the same answer to every connection and closes it.
    async fn server(answer: &'static str) -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move {
            while let Ok((mut connection, _)) = listener.accept().await {
                let mut request = Vec::new();
                while !request.ends_with(b"\r\n\r\n") {
                    request.push(connection.read_u8().await.unwrap());
                }
                connection.write_all(answer.as_bytes()).await.unwrap();
            }
        });
        address
    }

    async fn closed_port() -> SocketAddr {
        TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap()
    }

    /// What anyone can print of the error: itself both ways and its sources both ways.
    fn printed(error: &Error) -> String {
        let sources = chain(error).fold(String::new(), |all, error| format!("{all}{error}\n{error:?}\n{error:#?}\n"));
        assert!(!sources.contains("canary"), "{sources}");
        sources
    }

    #[tokio::test]
    async fn a_refused_connection_is_transient_and_does_not_show_its_url() {
        let refused = client().get(url(closed_port().await)).send().await.unwrap_err();
        assert!(format!("{refused} {refused:?}").contains("canary"), "the test's own premise");
        assert_eq!(refused.classify(), Verdict::TRANSIENT);
        let error = Error::from(refused);
        assert_eq!(error.to_string(), "cannot connect");
        assert!(printed(&error).contains("refused"), "the cause is still there");
        assert_eq!(Judged::of(&error), Judged::UNKNOWN);
        assert_eq!((error.status(), error.retry_after(), error.is_timeout()), (None, None, false));
    }

    #[tokio::test]
    async fn an_error_put_in_without_converting_does_not_show_its_url_either() {
        let refused = client().get(url(closed_port().await)).send().await.unwrap_err();
        let error = Error::Transport(refused);
        printed(&error);
        let error = Error::Transport(client().get("file:///canary?token=canary").build().unwrap_err());
        printed(&error);
    }

    #[tokio::test]
    async fn a_url_inside_a_sources_source_is_not_shown() {
        let server = server("HTTP/1.1 302 Found\r\nlocation: /canary\r\ncontent-length: 0\r\n\r\n").await;
        // As reqwest's own refusal of an `https` to `http` redirect: an error with a URL in an error with a URL.
        let policy = Policy::custom(|attempt| {
            let inner = client().get("file:///canary?token=canary").build().unwrap_err();
            attempt.error(inner)
        });
        let client = ::reqwest::Client::builder().no_proxy().redirect(policy).build().unwrap();
        let refused = client.get(url(server)).send().await.unwrap_err();
        assert!(refused.is_redirect());
        assert_eq!(refused.classify(), Verdict::Permanent);
        let error = Error::from(refused);
        assert!(matches!(&error, Error::Transport(error) if error.url().is_none() && shows_url(error)));
        assert_eq!(error.to_string(), "cannot follow the redirect");
        assert!(error.source().is_none());
        printed(&error);
    }

    #[tokio::test]
    async fn a_redirect_loop_is_permanent() {
        let server =
            server("HTTP/1.1 302 Found\r\nlocation: /canary\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
        let error = Error::from(client().get(url(server.await)).send().await.unwrap_err());
        assert_eq!(error.classify(), Verdict::Permanent);
        assert_eq!(error.to_string(), "cannot follow the redirect");
        printed(&error);
    }

    #[test]
    fn a_request_that_cannot_be_built_is_permanent() {
        for wrong in ["canary", "file:///canary?token=canary", "http://canary:canary@/:0", "data:canary"] {
            let error = Error::from(client().get(wrong).build().unwrap_err());
            assert_eq!(error.classify(), Verdict::Permanent, "{wrong}");
            printed(&error);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_timeout_is_transient_and_known_as_one() {
        // The kernel accepts the connection, nobody answers, and the paused clock jumps to the timeout.
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let request = client().get(url(listener.local_addr().unwrap())).timeout(Duration::from_secs(5));
        let error = Error::from(request.send().await.unwrap_err());
        assert!(error.is_timeout());
        assert_eq!(error.classify(), Verdict::TRANSIENT);
        assert_eq!(error.to_string(), "request timed out");
        printed(&error);
    }

    #[tokio::test]
    async fn a_connection_that_closes_without_an_answer_is_transient() {
        let error = Error::from(client().get(url(server("").await)).send().await.unwrap_err());
        assert_eq!(error.classify(), Verdict::TRANSIENT);
        assert_eq!(error.to_string(), "cannot send the request");
        printed(&error);
    }

    #[tokio::test]
    async fn a_body_that_breaks_off_is_transient_and_one_that_says_something_else_is_permanent() {
        let broken = server("HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n{\"a\":").await;
        let request = || client().get(url(broken));
        let errors = [
            request().send().await.unwrap().text().await.unwrap_err(),
            request().send().await.unwrap().bytes().await.unwrap_err(),
            request().send().await.unwrap().json::<u8>().await.unwrap_err(),
        ];
        for error in errors.map(Error::from) {
            assert!(matches!(&error, Error::Transport(error) if error.is_decode()));
            assert_eq!(error.classify(), Verdict::TRANSIENT);
            assert_eq!(error.to_string(), "cannot read the response body");
            printed(&error);
        }
        let wrong = server("HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\n{\"a\":").await;
        let error = Error::from(client().get(url(wrong)).send().await.unwrap().json::<u8>().await.unwrap_err());
        assert_eq!(error.classify(), Verdict::Permanent);
        assert_eq!(error.to_string(), "cannot decode the response body");
        assert!(error.source().is_some());
        printed(&error);
    }

    #[tokio::test]
    async fn a_failing_status_becomes_a_status_error_either_way() {
        let busy = server("HTTP/1.1 429 canary\r\nretry-after: 9\r\ncontent-length: 6\r\n\r\ncanary").await;
        let send = || client().get(url(busy)).send();
        let response = send().await.unwrap();
        assert_eq!(response.classify(), Verdict::Throttled { retry_after: WAIT });
        assert_eq!(Judged::of(&response).status, Some(429));

        let checked = Error::from(response.checked().unwrap_err());
        assert_eq!(checked.classify(), Verdict::Throttled { retry_after: WAIT });
        assert_eq!((checked.status(), checked.retry_after()), (Some(StatusCode::TOO_MANY_REQUESTS), WAIT));
        assert_eq!(checked.to_string(), "server answered 429 Too Many Requests");
        printed(&checked);

        let theirs = send().await.unwrap().error_for_status().unwrap_err();
        assert_eq!(theirs.classify(), Verdict::Throttled { retry_after: None });
        assert_eq!(Classify::status(&theirs), Some(429));
        let converted = Error::from(theirs);
        assert!(matches!(converted, Error::Status(_)));
        assert_eq!((converted.status(), converted.retry_after()), (Some(StatusCode::TOO_MANY_REQUESTS), None));
        printed(&converted);

        let unconverted = Error::Transport(send().await.unwrap().error_for_status().unwrap_err());
        assert_eq!(Judged::of(&unconverted).status, Some(429));
        printed(&unconverted);
    }

    #[tokio::test]
    async fn a_good_response_passes_the_check_with_its_body() {
        let good = server("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok").await;
        let response = client().get(url(good)).send().await.unwrap();
        assert_eq!(response.classify(), Verdict::Success);
        assert_eq!(response.checked().unwrap().text().await.unwrap(), "ok");
    }

    #[test]
    fn a_rejection_stays_one() {
        let policy = PolicyName::new("stripe");
        let limited = Rejected::RateLimited { policy: policy.clone(), retry_after: Duration::from_secs(9) };
        let error = Error::from(limited.clone());
        assert_eq!(error.rejected(), Some(&limited));
        assert_eq!((error.status(), error.retry_after(), error.is_timeout()), (None, WAIT, false));
        assert_eq!(error.to_string(), limited.to_string());
        assert_eq!(error.classify(), Verdict::Permanent);
        let late = Error::from(Rejected::TimedOut { policy, after: Duration::from_secs(9) });
        assert!(late.is_timeout());
        assert_eq!(late.retry_after(), None);
    }

    #[tokio::test]
    async fn each_is_found_in_a_chain_of_sources() {
        #[derive(Debug, thiserror::Error)]
        #[error("outer")]
        struct Outer<E: StdError + 'static>(#[source] E);

        let status = StatusError::new(StatusCode::SERVICE_UNAVAILABLE, WAIT);
        let busy = Judged::of(&status);
        assert_eq!(busy.verdict, Verdict::Transient { retry_after: WAIT });
        let built = || client().get("canary").build().unwrap_err();
        let permanent = Judged::by(Verdict::Permanent);
        let cases: [(Box<dyn StdError + Send + Sync>, Judged); 12] = [
            (Box::new(status.clone()), busy),
            (Box::new(Outer(status.clone())), busy),
            (Box::new(Outer(Outer(Error::from(status.clone())))), busy),
            (Box::new(Outer(Box::new(status.clone()))), busy),
            (Box::new(Outer(Arc::new(Error::from(status.clone())))), busy),
            (Box::new(io::Error::other(Outer(status.clone()))), busy),
            (Box::new(built()), permanent),
            (Box::new(Outer(built())), permanent),
            (Box::new(Outer(Arc::new(built()))), permanent),
            (Box::new(io::Error::other(built())), permanent),
            (Box::new(Outer(Error::from(built()))), permanent),
            (Box::new(Outer(Error::from(Rejected::Saturated { policy: PolicyName::new("a") }))), permanent),
        ];
        for (error, judged) in &cases {
            assert_eq!(judge_chain(error.as_ref()), *judged, "{error:?}");
        }
    }
}
