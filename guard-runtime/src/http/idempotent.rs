//! Which requests may be sent again after an attempt that failed in an unknown way.
//!
//! Nobody knows whether a request whose answer was lost has been carried out. A method that is idempotent (RFC 9110, section
//! 9.2.2: GET, HEAD, OPTIONS, TRACE, PUT, DELETE) means the same once and twice; any other request does if its sender has
//! given it an `Idempotency-Key` (draft-ietf-httpapi-idempotency-key-header), by which the server knows it again. Who sends it may
//! know better, and marks it. The only place that decides so, for reqwest and for tower.

use ::http::{HeaderMap, Method};

const IDEMPOTENCY_KEY: &str = "idempotency-key";

/// Whether a request with this method and these headers means the same when it is sent twice. A method that is not known
/// does not, and an empty key is none. What its sender has marked it as goes before both.
pub(crate) fn may_repeat(mark: Option<bool>, method: &Method, headers: &HeaderMap) -> bool {
    mark.unwrap_or_else(|| method.is_idempotent() || has_key(headers))
}

fn has_key(headers: &HeaderMap) -> bool {
    headers.get(IDEMPOTENCY_KEY).is_some_and(|key| !key.as_bytes().trim_ascii().is_empty())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn headers(key: Option<&'static [u8]>) -> HeaderMap {
        let key = key.map(|key| ::http::HeaderValue::from_bytes(key).unwrap());
        key.into_iter().map(|key| (::http::HeaderName::from_static(IDEMPOTENCY_KEY), key)).collect()
    }

    #[test]
    fn idempotent_methods_are_repeated_and_others_only_with_a_key() {
        for (method, repeated) in [
            ("GET", true),
            ("HEAD", true),
            ("OPTIONS", true),
            ("TRACE", true),
            ("PUT", true),
            ("DELETE", true),
            ("POST", false),
            ("PATCH", false),
            ("CONNECT", false),
            ("get", false),
            ("PURGE", false),
        ] {
            let method = Method::from_bytes(method.as_bytes()).unwrap();
            assert_eq!(may_repeat(None, &method, &headers(None)), repeated, "{method}");
            for key in [b"8e03978e-40d5".as_slice(), b"\xff"] {
                assert!(may_repeat(None, &method, &headers(Some(key))), "{method}");
                assert!(!may_repeat(Some(false), &method, &headers(Some(key))), "{method}");
            }
            assert!(may_repeat(Some(true), &method, &headers(None)), "{method}");
            for empty in [b"".as_slice(), b" \t"] {
                assert_eq!(may_repeat(None, &method, &headers(Some(empty))), repeated, "{method}");
            }
        }
    }
}
