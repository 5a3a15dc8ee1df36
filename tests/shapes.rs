//! Every shape of function that the attribute takes: each compiles, is `Send`, and makes the right number of attempts.

#![allow(unsafe_code)] // `unsafe fn` is a shape, too
#![allow(clippy::useless_vec, clippy::unused_async)] // written out for the shape

use std::cell::Cell;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use apiguard::{Error, Policy, Rejected, Retry, guarded};

type R<T> = Result<T, Error<io::Error>>;

#[derive(Debug, thiserror::Error)]
enum AppError {
    #[error("guard")]
    Guard(#[from] Rejected),
    #[error("io")]
    Io(#[from] io::Error),
    #[error("number")]
    Number(#[from] std::num::ParseIntError),
}

fn reset() -> io::Error {
    io::ErrorKind::ConnectionReset.into()
}

thread_local! {
    // Each test has a thread of its own.
    static ATTEMPTS: Cell<u32> = const { Cell::new(0) };
}

/// Fails the first two times.
fn fail_twice<T>(value: T) -> Result<T, io::Error> {
    let before = ATTEMPTS.replace(ATTEMPTS.get() + 1);
    if before < 2 { Err(reset()) } else { Ok(value) }
}

macro_rules! guard { ($($t:tt)*) => { #[guarded(retries(2, base = "1ms"))] $($t)* } }

#[guarded(retries(2, base = "1ms"))]
async fn no_arguments() -> R<u32> {
    fail_twice(1)
}

#[guarded(retries(2, base = "1ms"))]
async fn several_strs(a: &str, b: &str) -> R<usize> {
    fail_twice(a.len() + b.len())
}

#[guarded(retries(2, base = "1ms"))]
async fn gives_a_string_away(s: String) -> R<Vec<String>> {
    let v = vec![s];
    fail_twice(v)
}

#[guarded(retries(2, base = "1ms"))]
async fn impl_trait_arguments(f: impl Fn(u32) -> u32, d: impl std::fmt::Display) -> R<String> {
    let x = f(2);
    fail_twice(format!("{x}{d}"))
}

#[guarded(retries(2, base = "1ms"))]
async fn const_generic<const K: usize>(a: [u8; K]) -> R<usize> {
    fail_twice(a.len() + K)
}

#[guarded(retries(2, base = "1ms"))]
async fn named_lifetimes<'a, 'b: 'a>(a: &'a str, b: &'b str) -> R<&'a str> {
    if a.len() > b.len() { fail_twice(a) } else { fail_twice(b) }
}

#[guarded(retries(2, base = "1ms"))]
async fn patterns((a, mut b): (u32, u32), [c, ..]: [u32; 3], _: u8, Pt { x, y: z }: Pt) -> R<u32> {
    b += 1;
    fail_twice(a + b + c + x + z)
}
#[derive(Clone, Copy)]
struct Pt {
    x: u32,
    y: u32,
}

#[guarded(retries(2, base = "1ms"))]
async fn options(a: Option<String>, b: Result<String, u32>, c: Option<&str>) -> R<usize> {
    let length = if a.is_some() { a.unwrap_or_default().len() } else { 0 };
    fail_twice(length + b.map_or(0, |b| b.len()) + c.map_or(0, str::len))
}

#[guarded(retries(2, base = "1ms"))]
async fn raw_identifiers(r#type: u32, r#async: &str) -> R<u32> {
    fail_twice(r#type + u32::try_from(r#async.len()).unwrap_or(0))
}

#[guarded(retries(2, base = "1ms"))]
async fn arguments_with_cfg(#[cfg(unix)] a: u32, #[cfg(not(unix))] b: u32) -> R<u32> {
    #[cfg(unix)]
    let v = a;
    #[cfg(not(unix))]
    let v = b;
    fail_twice(v)
}

#[guarded(retries(2, base = "1ms"))]
async fn arguments_named_like_ours(__call: u32, __policy: u32, __outcome: u32, __judged: u32, __pause: u32) -> R<u32> {
    fail_twice(__call + __policy + __outcome + __judged + __pause)
}

#[guarded(retries(2, base = "1ms"))]
async fn question_marks() -> Result<u32, AppError> {
    let n: u32 = "7".parse()?;
    fail_twice(0)?;
    let v = vec![n, "8".parse::<u32>()?];
    Ok(v.iter().sum())
}

#[guarded(retries(2, base = "1ms"))]
async fn early_returns(n: u32) -> Result<u32, AppError> {
    match n {
        0 => return Ok(1),
        1 => {
            fail_twice(0)?;
        }
        _ => {}
    }
    if n > 5 {
        return Err(reset().into());
    }
    Ok(n)
}

#[guarded(retries(2, base = "1ms"))]
async fn labelled_loops(n: u32) -> R<u32> {
    let mut i = 0;
    'outer: loop {
        loop {
            i += 1;
            if i > n {
                break 'outer;
            }
            if i % 2 == 0 {
                continue 'outer;
            }
        }
    }
    fail_twice(i)
}

#[guarded(retries(2, base = "1ms"))]
async fn inner_closures_and_blocks(v: Vec<u32>) -> R<u32> {
    let f = |x: &u32| -> Result<u32, std::num::ParseIntError> {
        let y: u32 = "1".parse()?;
        Ok(x + y)
    };
    let s: u32 = v.iter().filter_map(|x| f(x).ok()).sum();
    let b = async {
        let z: u32 = "2".parse()?;
        Ok::<u32, std::num::ParseIntError>(z)
    };
    fail_twice(s + b.await.unwrap_or(0))
}

#[guarded(retries(2, base = "1ms"))]
async fn spawns(s: String) -> R<usize> {
    let h = tokio::spawn(async move { s.len() });
    let n = h.await.unwrap_or(0);
    fail_twice(n)
}

#[guarded(retries(2, base = "1ms"))]
async fn opaque_output(v: Vec<u32>) -> Result<impl Iterator<Item = u32>, AppError> {
    fail_twice(0)?;
    Ok(v.into_iter())
}

#[guarded(retries(2, base = "1ms"))]
async fn boxed_error() -> Result<u32, Box<dyn std::error::Error + Send + Sync>> {
    fail_twice(0)?;
    Ok(1)
}

#[guarded(retries(2, base = "1ms"))]
async fn anyhow_error() -> anyhow::Result<u32> {
    fail_twice(0)?;
    Ok(1)
}

#[guarded(retries(2, base = "1ms"))]
async fn recursion(n: u32) -> R<u32> {
    if n == 0 {
        return fail_twice(0);
    }
    match Box::pin(recursion(n - 1)).await {
        Ok(x) => Ok(x + 1),
        Err(_) => Err(reset()),
    }
}

#[guarded(retries(2, base = "1ms"))]
async fn generics<T: Clone + Send, E>(t: T, f: impl Fn(T) -> Result<T, E>) -> Result<T, Error<E>> {
    f(t)
}

#[guarded(retries(2, base = "1ms"))]
async fn mutable_reference(v: &mut Vec<u32>) -> R<usize> {
    v.push(1);
    fill(v);
    fail_twice(v.len())
}
fn fill(v: &mut Vec<u32>) {
    v.push(2);
}

#[guarded(retries(2, base = "1ms"))]
#[must_use]
pub(crate) async fn attributed() -> R<u32> {
    fail_twice(1)
}

#[guarded(retries(2, base = "1ms"))]
async unsafe fn marked_unsafe(p: &[u32]) -> R<u32> {
    fail_twice(p[0])
}
/// docs

#[tracing::instrument(err(Debug), ret)]
#[guarded(retries(2, base = "1ms"))]
async fn instrumented_above_error(s: String) -> R<usize> {
    fail_twice(0)?;
    Ok(s.len())
}

#[guarded(retries(2, base = "1ms"))]
#[tracing::instrument(skip_all)]
async fn instrumented_below(s: String) -> R<usize> {
    fail_twice(s.len())
}
#[tracing::instrument(skip_all)]
#[guarded(retries(2, base = "1ms"))]
async fn instrumented_above(s: String) -> Result<usize, AppError> {
    fail_twice(0)?;
    Ok(s.len())
}
guard! { async fn inside_a_macro(a: u32) -> R<u32> { fail_twice(a) } }

#[guarded(breaker = 1)]
async fn never_typed(b: bool) -> R<u32> {
    if b { std::process::exit(1) } else { Ok(2) }
}

#[guarded(breaker = 5)]
async fn mut_borrow_once(v: &mut Vec<u32>) -> R<&mut u32> {
    v.push(1);
    v.last_mut().ok_or_else(reset)
}
struct Shop {
    count: u32,
    name: String,
    policy: Policy,
    shared: Arc<Policy>,
}
impl Shop {
    #[guarded(retries(2, base = "1ms"))]
    async fn borrowed(&self) -> R<&str> {
        fail_twice(self.name.as_str())
    }
    #[guarded(retries(2, base = "1ms"))]
    async fn mutable(&mut self, by: u32) -> R<u32> {
        self.count += by;
        fail_twice(self.count)
    }
    #[guarded(retries(2, base = "1ms"))]
    async fn owned(self) -> R<usize> {
        fail_twice(self.name.len())
    }
    #[guarded(retries(2, base = "1ms"))]
    async fn in_an_arc(self: Arc<Self>) -> R<usize> {
        let this = Arc::clone(&self);
        fail_twice(this.name.len() + self.name.len())
    }
    #[guarded(policy = self.policy)]
    async fn by_its_policy(&self) -> R<u32> {
        fail_twice(self.count)
    }
    #[guarded(policy = self.shared)]
    async fn by_a_shared_policy(&mut self) -> R<u32> {
        self.count += 1;
        fail_twice(self.count)
    }
}
trait Api {
    async fn get(&self, id: u32) -> R<u32>;
    #[guarded(retries(2, base = "1ms"))]
    async fn default_body(&self) -> R<u32>
    where
        Self: Sync,
    {
        fail_twice(3)
    }
}
impl Api for Shop {
    #[guarded(retries(2, base = "1ms"))]
    async fn get(&self, id: u32) -> R<u32> {
        fail_twice(self.count + id)
    }
}

#[async_trait::async_trait]
trait Boxed {
    async fn borrows(&self, item: &str) -> R<usize>;
    async fn changes(&mut self, by: u32, list: &mut Vec<u32>) -> R<u32>;
    async fn gives_away(&self, item: String, mut list: Vec<u32>, (a, b): (u32, u32)) -> Result<usize, AppError>;
    async fn consumes(self: Box<Self>) -> R<String>;
}

/// `async_trait` comes first.
#[async_trait::async_trait]
impl Boxed for Shop {
    #[guarded(retries(2, base = "1ms"))]
    async fn borrows(&self, item: &str) -> R<usize> {
        fail_twice(item.len() + self.name.len())
    }

    #[guarded(retries(2, base = "1ms"), timeout = "10s", breaker = 9)]
    async fn changes(&mut self, by: u32, list: &mut Vec<u32>) -> R<u32> {
        self.count += by;
        fill(list);
        fail_twice(self.count)
    }

    #[guarded(retries(2, base = "1ms"))]
    async fn gives_away(&self, item: String, mut list: Vec<u32>, (a, b): (u32, u32)) -> Result<usize, AppError> {
        list.push(a + b);
        let all = (item, list);
        fail_twice(0)?;
        Ok(all.0.len() + all.1.len())
    }

    #[guarded(breaker = 5)]
    async fn consumes(self: Box<Self>) -> R<String> {
        fail_twice(self.name)
    }
}

#[async_trait::async_trait]
trait BoxedByDefault: Sync {
    /// `async_trait` comes first here, too.
    #[guarded(retries(2, base = "1ms"))]
    async fn has_a_body(&self, item: String) -> R<usize> {
        fail_twice(item.len())
    }
}

#[async_trait::async_trait]
impl BoxedByDefault for Shop {}

/// `Send`, not `Sync`: only read here, through `&mut`.
struct NotSync(Cell<u32>);

impl NotSync {
    #[guarded(retries(2, base = "1ms"))]
    async fn reads(&mut self, other: &mut NotSync) -> R<u32> {
        tokio::task::yield_now().await;
        fail_twice(self.0.get() + other.0.get())
    }
}

macro_rules! fragments {
    ($name:ident, $item:ident, $base:literal, $body:block) => {
        #[guarded(retries(2, base = $base))]
        async fn $name($item: String) -> R<usize> $body
    };
}

fragments!(from_fragments, item, "1ms", { fail_twice(item.len()) });

fn is_send<T: Send>(value: T) -> T {
    value
}

/// The call is `Send` and succeeds at the third attempt.
macro_rules! third_time {
    ($call:expr) => {{
        ATTEMPTS.set(0);
        let outcome = is_send($call).await;
        assert!(outcome.is_ok(), "{}", stringify!($call));
        assert_eq!(ATTEMPTS.get(), 3, "{}", stringify!($call));
    }};
}

#[tokio::test(start_paused = true)]
async fn arguments_of_every_kind() {
    third_time!(no_arguments());
    third_time!(several_strs("a", "b"));
    third_time!(gives_a_string_away("x".into()));
    third_time!(impl_trait_arguments(|x| x + 1, 5));
    third_time!(const_generic([0; 4]));
    third_time!(named_lifetimes("a", "bb"));
    third_time!(patterns((1, 2), [1, 2, 3], 0, Pt { x: 1, y: 2 }));
    third_time!(options(Some("a".into()), Ok("b".into()), None));
    third_time!(raw_identifiers(1, "x"));
    third_time!(arguments_with_cfg(1));
    third_time!(arguments_named_like_ours(1, 2, 3, 4, 5));
    third_time!(generics(1, fail_twice));
    let mut list = Vec::new();
    third_time!(mutable_reference(&mut list));
    assert_eq!(list, [1, 2, 1, 2, 1, 2]);
}

#[tokio::test(start_paused = true)]
async fn bodies_of_every_kind() {
    third_time!(question_marks());
    third_time!(early_returns(1));
    third_time!(labelled_loops(4));
    third_time!(inner_closures_and_blocks(vec![1, 2]));
    third_time!(spawns("abc".into()));
    third_time!(recursion(0));
    assert_eq!(never_typed(false).await.unwrap(), 2);
}

#[tokio::test(start_paused = true)]
async fn outputs_of_every_kind() {
    third_time!(opaque_output(vec![1]));
    third_time!(boxed_error());
    third_time!(anyhow_error());
    let mut list = vec![];
    *mut_borrow_once(&mut list).await.unwrap() += 1;
    assert_eq!(list, [2]);
}

#[tokio::test(start_paused = true)]
async fn functions_with_other_attributes_and_from_macros() {
    third_time!(attributed());
    third_time!(unsafe { marked_unsafe(&[1]) });
    third_time!(instrumented_below("a".into()));
    third_time!(instrumented_above("a".into()));
    third_time!(instrumented_above_error("a".into()));
    third_time!(inside_a_macro(1));
    third_time!(from_fragments("a".into()));
}

#[tokio::test(start_paused = true)]
async fn methods_of_every_kind() {
    let retries = Retry::new(2).base(Duration::from_millis(1));
    let policy = || Policy::builder("shop").retries(retries).build().unwrap();
    let shop = || Shop { count: 1, name: "abc".into(), policy: policy(), shared: Arc::new(policy()) };
    let mut one = shop();
    third_time!(one.borrowed());
    third_time!(one.mutable(1));
    third_time!(shop().owned());
    third_time!(Arc::new(shop()).in_an_arc());
    third_time!(one.by_its_policy());
    third_time!(one.by_a_shared_policy());
    third_time!(one.get(1));
    third_time!(one.default_body());
    let (mut a, mut b) = (NotSync(Cell::new(1)), NotSync(Cell::new(2)));
    third_time!(a.reads(&mut b));
}

#[tokio::test(start_paused = true)]
async fn methods_that_async_trait_has_boxed() {
    let policy = || Policy::builder("shop").build().unwrap();
    let shop = || Shop { count: 1, name: "abc".into(), policy: policy(), shared: Arc::new(policy()) };
    let mut one = shop();
    third_time!(one.borrows("x"));
    let mut list = Vec::new();
    third_time!(one.changes(2, &mut list));
    assert_eq!((one.count, list.len()), (7, 3));
    third_time!(one.gives_away("x".into(), vec![1], (1, 2)));
    assert_eq!(one.gives_away("x".into(), vec![1], (1, 2)).await.unwrap(), 3);
    third_time!(one.has_a_body("x".into()));
    assert_eq!(Box::new(shop()).consumes().await.unwrap(), "abc");
    let object: &dyn BoxedByDefault = &one;
    assert_eq!(object.has_a_body("xy".into()).await.unwrap(), 2);
}
