//! A module without a prelude, in which every name of it means something else.

#![deny(warnings)]

#[no_implicit_prelude]
mod bare {
    #![allow(dead_code, non_camel_case_types)]

    struct Some;
    struct None;
    struct Ok;
    struct Err;
    struct Option;
    struct Vec;
    struct String;
    struct Box;
    trait Clone {}
    trait Send {}
    trait From {}
    trait Future {}
    mod std {}
    mod core {}
    type u32 = ();
    type u64 = ();

    ::apiguard::policy! {
        pub static POLICY = (rate("10/s", burst = 2), retries = 3);
    }

    #[::apiguard::guarded(
        rate("10/s", burst = 2, max_wait = "1s"),
        retries(3, base = "1s", factor = 2, cap = "5s", jitter = 0.5, statuses = [503]),
        breaker(5, recovery = "1s", successes = 1, probes = 1),
        timeout = "10s",
        attempt_timeout = "1s"
    )]
    pub async fn all(text: ::std::string::String) -> ::std::result::Result<usize, ::apiguard::Error<::std::io::Error>> {
        let text = text;
        ::std::result::Result::Ok(text.len())
    }

    #[::apiguard::guarded(policy = POLICY, timeout = "10s")]
    pub async fn shared() -> ::std::result::Result<(), ::apiguard::Error<::std::io::Error>> {
        ::std::result::Result::Ok(())
    }

    pub struct Client;

    type Answer = ::std::result::Result<usize, ::apiguard::Error<::std::io::Error>>;

    fn verdict(_: &::std::result::Result<usize, ::std::io::Error>) -> ::apiguard::Verdict {
        ::apiguard::Verdict::Success
    }

    fn used(_: &::std::result::Result<usize, ::std::io::Error>) -> ::std::primitive::u32 {
        1
    }

    #[::apiguard::guarded(
        rate = ["10/s", rate("20/m", burst = 5)],
        quota = ["50/h", quota("500/d", max_wait = "1s")],
        concurrency(5, max_wait = "1s"),
        retries = 2,
        key = 5_u8,
        cost = 1,
        settle = used,
        classify = verdict
    )]
    impl Client {
        #[guarded(fallback = Self::later, timeout = "10s")]
        pub async fn get(&self, text: ::std::string::String) -> Answer {
            ::std::result::Result::Ok(text.len())
        }

        #[guarded(fallback = Self::none, retries = 0)]
        pub async fn put(&mut self, text: ::std::string::String) -> Answer {
            ::std::result::Result::Ok(text.into_bytes().len())
        }

        async fn later(&self, _: ::std::string::String, error: ::apiguard::Error<::std::io::Error>) -> Answer {
            ::std::result::Result::Err(error)
        }

        fn none(&mut self, _: ::std::string::String, error: ::apiguard::Error<::std::io::Error>) -> Answer {
            ::std::result::Result::Err(error)
        }
    }
}

fn main() {
    drop(bare::Client.get(String::new()));
    drop((&mut bare::Client).put(String::new()));
    drop(bare::all(String::new()));
    drop(bare::shared());
}
