//! Random tokens for the attribute and for `policy!`: sound settings with words taken out, put in and moved.
//!
//! Whatever stands there, no reading panics, what is written is Rust, and what is not understood is told in messages of a sensible length.
//! A failing case prints its number: `APIGUARD_SEED=7` runs that one alone, `APIGUARD_NONSENSE=1000000` runs more of them.

use std::panic::{AssertUnwindSafe, catch_unwind};

use proc_macro2::{TokenStream, TokenTree};

use crate::{guard, policy};

const CASES: u64 = 4_000;
/// A value is shown by its beginning, and a message may name every setting.
const LONGEST_MESSAGE: usize = 1_000;

#[rustfmt::skip] // a word a line would be pages
#[allow(clippy::needless_raw_string_hashes)] // one form for all
const SETTINGS: &[&str] = &[
    r#"rate = "100/s" , retries = 3 , breaker = 5 , timeout = "10s""#,
    r#"rate ( "100/s" , burst = 20 , max_wait = "2s" ) , name = "stripe""#,
    r#"rate = [ "10/s" , rate ( "100/m" , burst = 20 ) ] , quota = [ "100/m" , "5000/h" ]"#,
    r#"quota ( "5000/h" , max_wait = "2s" ) , concurrency ( 64 , max_wait = "2s" ) , shadow = true"#,
    r#"retries ( 3 , base = "1s" , factor = 2 , cap = "60s" , jitter = 0.5 , budget = "20%" , statuses = [ 429 , 500 , 502 ..= 504 ] )"#,
    r#"retries ( N , jitter = "full" , budget = "off" ) , attempt_timeout = T , timeout = Self :: T"#,
    r#"breaker ( failures = 5 , recovery = "60s" , recovery_jitter = "10%" , recovery_cap = "10m" , successes = 2 , probes = 1 )"#,
    r#"breaker ( failure_rate = "50%" , window = 100 , min_calls = 20 , slow_call = "2s" , slow_rate = "80%" )"#,
    r#"policy = self . policy , retries = 0 , key = ( a , & b . c ) , cost = a . len ( ) as u32 , settle = | o | 1"#,
    r#"policy = STRIPE , classify = shop :: classify , fallback = Self :: cached , clone ( a , b ) , doc = false"#,
    r#"max_pause = "10m" , abandoned = "2s" , crate = my :: apiguard , skip"#,
];

#[rustfmt::skip] // a word a line would be pages
const ITEMS: &[&str] = &[
    "pub async fn f ( a : u32 , b : Order ) -> Result < u32 , Error < E > > { send ( b ) . await ? ; Ok ( a ) }",
    "async fn f < T : Into < String > > ( & self , mut a : T , ( b , c ) : ( A , B ) ) -> Result < impl Sized , E > where E : From < R > { return Ok ( a ) ; }",
    "impl Shop { async fn stock ( & self , a : & str ) -> Answer < u32 > { Ok ( 1 ) } # [ guarded ( retries = 0 ) ] async fn order ( & mut self , b : B ) -> Answer < ( ) > { x ( b ) } # [ guarded ( skip ) ] async fn ping ( & self ) -> Result < ( ) , E > { Ok ( ( ) ) } const N : u32 = 1 ; }",
    "impl < T > Trait for Shop < T > { async fn stock ( self : Box < Self > , a : T ) -> Result < T , E > { Ok ( a ) } }",
    "fn f < 'a > ( a : & 'a A ) -> Pin < Box < dyn Future < Output = Result < u32 , E > > + Send + 'a > > { Box :: pin ( async move { let a = a ; Ok ( 1 ) } ) }",
    "async fn f ( ) -> u32 { 1 }",
    "struct S { a : u32 }",
];

#[rustfmt::skip] // a word a line would be pages
const POLICIES: &[&str] = &[
    r#"/** docs */ pub static STRIPE = ( rate ( "100/s" , burst = 20 ) , breaker = 5 , name = "stripe" ) ;"#,
    r#"static A = ( timeout = "1s" ) ; # [ cfg ( x ) ] pub ( crate ) static B = ( quota = Q , retries = 3 ) ;"#,
];

#[rustfmt::skip] // a word a line would be pages
const WORDS: &[&str] = &[
    "rate", "quota", "concurrency", "breaker", "retries", "timeout", "attempt_timeout", "name", "policy", "key", "cost", "settle",
    "classify", "fallback", "clone", "doc", "skip", "crate", "shadow", "max_pause", "abandoned", "burst", "max_wait", "statuses", "retry",
    "rates", "limit", "self", "Self", "r#rate", "_", "async", "fn", "impl", "static", "pub", "mut", "return", "dyn", "'a", "await", "a",
    "b", "N", "\"\"", "\"10s\"", "\"0/s\"", "\"100/s\"", "\"50%\"", "\"é\"", "r\"x\"", "b\"x\"", "c\"x\"", "'x'", "0", "1", "-1", "3u8",
    "0x10", "1e3", "0.5", "99999999999999999999999", "429", "600", "true", "false", "=", "==", ",", ";", ":", "::", ".", "..", "..=", "&",
    "*", "!", "?", "|", "||", "=>", "->", "<", ">", "#", "$", "@", "( )", "[ ]", "{ }", "( a )", "[ 1 , 2 ]", "{ 1 }", "(", ")", "[", "]",
    "{", "}", "< T >", "format ! ( \"x\" )", "if a { b } else { c }", "async { }", "| a | a", "unsafe { }", "# [ doc = \"x\" ]",
];

/// xorshift64*: Vigna, 2016.
struct Dice(u64);

impl Dice {
    fn below(&mut self, n: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        ((self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 16) % n as u64) as usize
    }

    fn one_of<'a>(&mut self, of: &[&'a str]) -> &'a str {
        of[self.below(of.len())]
    }

    /// One of the texts, with some of its words changed; again until its brackets match.
    fn tokens(&mut self, texts: &[&str]) -> TokenStream {
        loop {
            let mut words: Vec<&str> = self.one_of(texts).split(' ').collect();
            if self.below(3) == 0 {
                let other = self.one_of(texts);
                words.push(",");
                words.extend(other.split(' '));
            }
            for _ in 0..self.below(6) {
                let at = self.below(words.len() + 1);
                let end = (at + 1 + self.below(4)).min(words.len());
                match self.below(5) {
                    0 => drop(words.drain(at..end)),
                    1 => words.insert(at, self.one_of(WORDS)),
                    2 if at < words.len() => words[at] = self.one_of(WORDS),
                    3 => {
                        let piece = words[at..end].to_vec();
                        let to = self.below(words.len() + 1);
                        words.splice(to..to, piece);
                    }
                    _ if at < words.len() => words.truncate(at),
                    _ => {}
                }
                if words.is_empty() {
                    break;
                }
            }
            if let Ok(tokens) = words.join(" ").parse() {
                return tokens;
            }
        }
    }
}

/// What is told by `compile_error!`.
fn messages(tokens: TokenStream, found: &mut Vec<String>) {
    let mut is_told = false;
    for token in tokens {
        match token {
            TokenTree::Ident(word) if word == "compile_error" => is_told = true,
            TokenTree::Group(group) if is_told => {
                found.push(group.stream().to_string());
                is_told = false;
            }
            TokenTree::Group(group) => messages(group.stream(), found),
            _ => {}
        }
    }
}

fn check(output: &TokenStream) -> Vec<String> {
    let mut found = Vec::new();
    messages(output.clone(), &mut found);
    for message in &found {
        assert!(message.len() > 4 && message.len() <= LONGEST_MESSAGE, "{} bytes: {message}", message.len());
    }
    found
}

fn is_rust(tokens: &TokenStream) -> bool {
    syn::parse2::<syn::File>(tokens.clone()).is_ok()
}

/// Whether something was told, for the attribute and for `policy!`.
fn run(dice: &mut Dice) -> (bool, bool) {
    let settings = dice.tokens(SETTINGS);
    // The item is Rust, or the compiler would not have come this far; now and then it is not.
    let item: TokenStream =
        if dice.below(4) == 0 { dice.tokens(ITEMS) } else { dice.one_of(ITEMS).parse().expect("these are tokens") };
    let output = guard(settings.clone(), item.clone());
    let told = check(&output);
    assert!(is_rust(&output) || !is_rust(&item), "`{settings}` above\n{item}\nis no Rust:\n{output}");
    let policies = dice.tokens(POLICIES);
    let output = policy::policies(policies.clone());
    assert!(is_rust(&output), "`{policies}` is no Rust:\n{output}");
    (!told.is_empty(), !check(&output).is_empty())
}

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}

#[test]
fn no_tokens_panic_and_what_is_written_is_rust() {
    let cases = match number("APIGUARD_SEED") {
        Some(seed) => seed..seed + 1,
        None => 1..1 + number("APIGUARD_NONSENSE").unwrap_or(CASES),
    };
    let (mut sound, mut told) = ([0_u64; 2], [0_u64; 2]);
    let is_one = cases.end - cases.start == 1;
    for case in cases {
        let mut dice = Dice(case.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1);
        let ran = catch_unwind(AssertUnwindSafe(|| run(&mut dice)));
        let (attribute, policy) = ran.unwrap_or_else(|_| panic!("APIGUARD_SEED={case} repeats it"));
        for (index, is_told) in [attribute, policy].into_iter().enumerate() {
            if is_told { told[index] += 1 } else { sound[index] += 1 }
        }
    }
    // Else the cases would show little.
    assert!(is_one || sound.iter().chain(&told).all(|count| *count > 100), "sound {sound:?}, told {told:?}");
}

#[test]
fn a_crate_that_is_named_by_a_type_is_told_and_what_is_written_stays_rust() {
    let item: TokenStream = ITEMS[3].parse().expect("these are tokens");
    let output = guard("rate = \"1/s\" , crate = Self".parse().expect("these are tokens"), item);
    assert_eq!(check(&output), ["\"`Self` leads to no crate; write `crate = my_crate::apiguard`\""]);
    assert!(is_rust(&output), "{output}");
}
