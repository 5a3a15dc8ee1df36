//! After which failures a request may be sent again (what means the same twice is said in `http/idempotent`), and what of it is kept
//! for that. Everything that sends through reqwest asks here.
//!
//! ```text
//! marked `idempotent(true)`                        after every failure
//! marked `idempotent(false)`                       as a POST
//! GET HEAD OPTIONS TRACE PUT DELETE                after every failure     (RFC 9110, 9.2.2)
//! any other with an Idempotency-Key                after every failure     (draft-ietf-httpapi-idempotency-key-header)
//! any other, where redirects are not followed      when no connection was made: nothing was sent
//! any other                                        never
//! a body that cannot be cloned (a stream)          never
//! ```

use std::time::Duration;

use ::http::{HeaderMap, Method, Version};
use ::reqwest::{Request, Url};

use crate::http::may_repeat;

/// Says of one request whether it may be sent again when it is not known whether the server has carried it out.
///
/// For [`RequestBuilder::idempotent`](super::RequestBuilder::idempotent), and as an extension of a request with
/// `reqwest-middleware`: `client.post(url).with_extension(Idempotent(true))`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Idempotent(
    /// Whether it may.
    pub bool,
);

/// After which failures a request may be sent again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Repeat {
    /// After all that may pass.
    Always,
    /// When no connection was made.
    Unsent,
    /// After none.
    Never,
}

impl Repeat {
    /// `unmarked` is for requests that must not be carried out twice.
    pub(crate) fn of(request: &Request, mark: Option<Idempotent>, unmarked: Repeat) -> Repeat {
        let mark = mark.map(|Idempotent(mark)| mark);
        if may_repeat(mark, request.method(), request.headers()) { Repeat::Always } else { unmarked }
    }
}

/// What a request is made of again.
///
/// `Request::try_clone` allocates four times for a request that has nothing but a URL; its parts take no allocation as long as the
/// URL is short and there are no headers. But only `try_clone` sees the extensions of a request, and shares its body: so the parts
/// are for requests that have neither.
pub(crate) enum Kept {
    Parts(Parts),
    Whole(Request),
}

pub(crate) struct Parts {
    method: Method,
    url: KeptUrl,
    headers: HeaderMap,
    version: Version,
    timeout: Option<Duration>,
}

impl Kept {
    /// Of a request that may have extensions, or not. `None` for a body that cannot be cloned.
    pub(crate) fn of(request: &Request, is_extensible: bool) -> Option<Kept> {
        if is_extensible || request.body().is_some() {
            return request.try_clone().map(Kept::Whole);
        }
        Some(Kept::Parts(Parts {
            method: request.method().clone(),
            url: KeptUrl::of(request.url()),
            // Most have none of their own: to clone nothing takes a hundred instructions.
            headers: if request.headers().is_empty() { HeaderMap::new() } else { request.headers().clone() },
            version: request.version(),
            timeout: request.timeout().copied(),
        }))
    }

    /// The request once more. (`None` if the URL were not one any more.)
    pub(crate) fn into_request(self) -> Option<Request> {
        match self {
            Kept::Whole(request) => Some(request),
            Kept::Parts(Parts { method, url, headers, version, timeout }) => {
                let mut request = Request::new(method, url.into_url()?);
                *request.headers_mut() = headers;
                *request.version_mut() = version;
                if timeout.is_some() {
                    *request.timeout_mut() = timeout;
                }
                Some(request)
            }
        }
    }
}

/// Most URLs are shorter.
const SHORT: usize = 127;

enum KeptUrl {
    Short([u8; SHORT], u8),
    Long(Box<Url>),
}

impl KeptUrl {
    fn of(url: &Url) -> KeptUrl {
        let text = url.as_str().as_bytes();
        let mut short = [0; SHORT];
        match (short.get_mut(..text.len()), u8::try_from(text.len())) {
            (Some(place), Ok(length)) => {
                place.copy_from_slice(text);
                KeptUrl::Short(short, length)
            }
            _ => KeptUrl::Long(Box::new(url.clone())),
        }
    }

    fn into_url(self) -> Option<Url> {
        match self {
            KeptUrl::Long(url) => Some(*url),
            KeptUrl::Short(short, length) => {
                let text = short.get(..usize::from(length))?;
                Url::parse(std::str::from_utf8(text).ok()?).ok()
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use ::reqwest::Body;

    use super::*;

    fn request(method: &str, headers: &[(&'static str, &'static str)]) -> Request {
        let mut request = Request::new(method.parse().unwrap(), "http://localhost/".parse().unwrap());
        for (name, value) in headers {
            request.headers_mut().insert(*name, value.parse().unwrap());
        }
        request
    }

    #[test]
    fn what_may_be_repeated_follows_from_method_key_and_mark() {
        for (method, key, mark, expected) in [
            ("GET", "", None, Repeat::Always),
            ("GET", "7", Some(Idempotent(false)), Repeat::Unsent),
            ("POST", "", None, Repeat::Unsent),
            ("POST", "7", None, Repeat::Always),
            ("POST", "", Some(Idempotent(true)), Repeat::Always),
        ] {
            let request = request(method, &[("idempotency-key", key)]);
            assert_eq!(Repeat::of(&request, mark, Repeat::Unsent), expected, "{method} {key} {mark:?}");
        }
    }

    #[test]
    fn a_kept_request_is_the_one_that_was_kept() {
        let long = format!("http://localhost/{}", "x".repeat(5_000));
        let edge = |length: usize| format!("http://localhost/{}", "x".repeat(length - 17));
        let odd = "http://xn--bcher-kva.example:8080/a%20b/..;/%2e%2e//?q=%F0%9F%92%A9&'|^`#frag ment";
        for url in ["http://a/", odd, "https://[::ffff:1.2.3.4]/", &long, &edge(SHORT), &edge(SHORT + 1)] {
            let mut request = request("PUT", &[("x", "1")]);
            *request.url_mut() = url.parse().unwrap();
            request.headers_mut().append("x", "2".parse().unwrap());
            *request.timeout_mut() = Some(Duration::from_secs(3));
            *request.version_mut() = Version::HTTP_10;
            for (is_extensible, body) in [(false, None), (true, None), (false, Some("body")), (true, Some("body"))] {
                *request.body_mut() = body.map(Into::into);
                let kept = Kept::of(&request, is_extensible).unwrap().into_request().unwrap();
                assert_eq!(kept.url(), request.url());
                assert_eq!((kept.method(), kept.headers()), (request.method(), request.headers()));
                assert_eq!(kept.body().and_then(Body::as_bytes), body.map(str::as_bytes));
                assert_eq!((kept.timeout(), kept.version()), (request.timeout(), request.version()));
            }
        }
    }

    #[test]
    fn a_secret_header_stays_marked_as_one() {
        let mut request = request("GET", &[("authorization", "canary")]);
        request.headers_mut().get_mut("authorization").unwrap().set_sensitive(true);
        let kept = Kept::of(&request, false).unwrap().into_request().unwrap();
        assert!(kept.headers()["authorization"].is_sensitive());
        assert!(!format!("{kept:?}").contains("canary"));
    }
}
