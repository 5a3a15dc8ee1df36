//! Constants as values of settings: each function takes one type and gives it back, and says of any other what to write.
//!
//! What comes back is named by way of the trait: of a type that is not it the compiler then knows nothing more, and has
//! nothing more to say.

use core::time::Duration;

use guard_spec::{Breaker, Budget, Concurrency, Jitter, Quota, Rate, Ratio, Retry, Statuses};

#[diagnostic::on_unimplemented(
    message = "expected a `Rate`, found `{Self}`",
    label = "not a `Rate`",
    note = "write a text such as `\"100/s\"`, or a constant such as `const LIMIT: Rate = Rate::per_second(100)`"
)]
pub trait IsRate {
    type Value;
}

#[diagnostic::do_not_recommend]
impl IsRate for Rate {
    type Value = Rate;
}

#[inline]
pub const fn rate<T: IsRate<Value = T>>(value: T) -> <T as IsRate>::Value {
    value
}

#[diagnostic::on_unimplemented(
    message = "expected a `Quota`, found `{Self}`",
    label = "not a `Quota`",
    note = "write a text such as `\"5000/h\"`, or a constant such as `const QUOTA: Quota = Quota::per_hour(5000)`"
)]
pub trait IsQuota {
    type Value;
}

#[diagnostic::do_not_recommend]
impl IsQuota for Quota {
    type Value = Quota;
}

#[inline]
pub const fn quota<T: IsQuota<Value = T>>(value: T) -> <T as IsQuota>::Value {
    value
}

#[diagnostic::on_unimplemented(
    message = "expected a `u32`, found `{Self}`",
    label = "not a `u32`",
    note = "write a whole number such as `5`, or a constant of type `u32`"
)]
pub trait IsCount {
    type Value;
}

#[diagnostic::do_not_recommend]
impl IsCount for u32 {
    type Value = u32;
}

#[inline]
pub const fn count<T: IsCount<Value = T>>(value: T) -> <T as IsCount>::Value {
    value
}

#[diagnostic::on_unimplemented(
    message = "expected a `Duration`, found `{Self}`",
    label = "not a `Duration`",
    note = "write a text such as `\"10s\"`, or a constant such as `const TIME: Duration = Duration::from_secs(10)`"
)]
pub trait IsDuration {
    type Value;
}

#[diagnostic::do_not_recommend]
impl IsDuration for Duration {
    type Value = Duration;
}

#[inline]
pub const fn duration<T: IsDuration<Value = T>>(value: T) -> <T as IsDuration>::Value {
    value
}

#[diagnostic::on_unimplemented(
    message = "expected an `f64`, found `{Self}`",
    label = "not an `f64`",
    note = "write a number such as `2`, or a constant of type `f64`"
)]
pub trait IsFactor {
    type Value;
}

#[diagnostic::do_not_recommend]
impl IsFactor for f64 {
    type Value = f64;
}

#[inline]
pub const fn factor<T: IsFactor<Value = T>>(value: T) -> <T as IsFactor>::Value {
    value
}

#[diagnostic::on_unimplemented(
    message = "expected an `f64` or a `Ratio`, found `{Self}`",
    label = "neither an `f64` nor a `Ratio`",
    note = "write a text such as `\"50%\"`, a number such as `0.5`, or a constant of type `f64` or `Ratio`"
)]
pub trait IsShare {
    type Value;
}

#[diagnostic::do_not_recommend]
impl IsShare for f64 {
    type Value = Share<f64>;
}

#[diagnostic::do_not_recommend]
impl IsShare for Ratio {
    type Value = Share<Ratio>;
}

/// A share of either type.
#[derive(Debug)]
pub struct Share<T>(T);

#[inline]
pub const fn share<T: IsShare<Value = Share<T>>>(value: T) -> <T as IsShare>::Value {
    Share(value)
}

impl Share<f64> {
    #[inline]
    pub const fn ratio(self) -> Ratio {
        Ratio::new(self.0)
    }
}

impl Share<Ratio> {
    #[inline]
    pub const fn ratio(self) -> Ratio {
        self.0
    }
}

#[diagnostic::on_unimplemented(
    message = "expected a `Duration` or a `u32`, found `{Self}`",
    label = "neither a `Duration` nor a `u32`",
    note = "write a time such as `\"30s\"`, a number of calls such as `100`, or a constant of type `Duration` or `u32`"
)]
pub trait IsWindow {
    type Value;
}

#[diagnostic::do_not_recommend]
impl IsWindow for Duration {
    type Value = Window<Duration>;
}

#[diagnostic::do_not_recommend]
impl IsWindow for u32 {
    type Value = Window<u32>;
}

/// A window of either kind.
#[derive(Debug)]
pub struct Window<T>(T);

#[inline]
pub const fn window<T: IsWindow<Value = Window<T>>>(value: T) -> <T as IsWindow>::Value {
    Window(value)
}

impl Window<Duration> {
    #[inline]
    pub const fn of(self, breaker: Breaker) -> Breaker {
        breaker.window(self.0)
    }
}

impl Window<u32> {
    #[inline]
    pub const fn of(self, breaker: Breaker) -> Breaker {
        breaker.window_calls(self.0)
    }
}

#[diagnostic::on_unimplemented(
    message = "expected a `Jitter`, found `{Self}`",
    label = "not a `Jitter`",
    note = "write `0.5`, `\"full\"`, `\"equal\"`, `\"decorrelated\"` or `\"none\"`, or a constant such as `Jitter::proportional(0.5)`"
)]
pub trait IsJitter {
    type Value;
}

#[diagnostic::do_not_recommend]
impl IsJitter for Jitter {
    type Value = Jitter;
}

#[inline]
pub const fn jitter<T: IsJitter<Value = T>>(value: T) -> <T as IsJitter>::Value {
    value
}

#[diagnostic::on_unimplemented(
    message = "expected a `Budget`, found `{Self}`",
    label = "not a `Budget`",
    note = "write a share such as `\"20%\"`, or `\"off\"`, or a constant such as `Budget::percent(20)`"
)]
pub trait IsBudget {
    type Value;
}

#[diagnostic::do_not_recommend]
impl IsBudget for Budget {
    type Value = Budget;
}

#[inline]
pub const fn budget<T: IsBudget<Value = T>>(value: T) -> <T as IsBudget>::Value {
    value
}

#[diagnostic::on_unimplemented(
    message = "expected `Statuses`, found `{Self}`",
    label = "not `Statuses`",
    note = "write a list such as `[429, 502..=504]`, or a constant such as `Statuses::RETRIED.with(408)`"
)]
pub trait IsStatuses {
    type Value;
}

#[diagnostic::do_not_recommend]
impl IsStatuses for Statuses {
    type Value = Statuses;
}

#[inline]
pub const fn statuses<T: IsStatuses<Value = T>>(value: T) -> <T as IsStatuses>::Value {
    value
}

#[diagnostic::on_unimplemented(
    message = "expected a `&'static str`, found `{Self}`",
    label = "not a `&'static str`",
    note = "write a text such as `\"stripe\"`, or a constant of type `&str`"
)]
pub trait IsName {
    type Value;
}

#[diagnostic::do_not_recommend]
impl IsName for &'static str {
    type Value = &'static str;
}

#[inline]
pub const fn name<T: IsName<Value = T>>(value: T) -> <T as IsName>::Value {
    value
}

#[diagnostic::on_unimplemented(
    message = "expected a `u32` or a `Retry`, found `{Self}`",
    label = "neither a `u32` nor a `Retry`",
    note = "write a whole number such as `5`, or a constant of type `u32` or `Retry` such as `Retry::new(3)`"
)]
pub trait IsRetries {
    type Value;
}

#[diagnostic::do_not_recommend]
impl IsRetries for u32 {
    type Value = Retries<u32>;
}

#[diagnostic::do_not_recommend]
impl IsRetries for Retry {
    type Value = Retries<Retry>;
}

/// The number, or the whole of it.
#[derive(Debug)]
pub struct Retries<T>(T);

#[inline]
pub const fn retries<T: IsRetries<Value = Retries<T>>>(value: T) -> <T as IsRetries>::Value {
    Retries(value)
}

impl Retries<u32> {
    #[inline]
    pub const fn retry(self) -> Retry {
        Retry::new(self.0)
    }
}

impl Retries<Retry> {
    #[inline]
    pub const fn retry(self) -> Retry {
        self.0
    }
}

#[diagnostic::on_unimplemented(
    message = "expected a `u32` or a `Breaker`, found `{Self}`",
    label = "neither a `u32` nor a `Breaker`",
    note = "write a whole number such as `5`, or a constant of type `u32` or `Breaker` such as `Breaker::consecutive(5)`"
)]
pub trait IsBreaker {
    type Value;
}

#[diagnostic::do_not_recommend]
impl IsBreaker for u32 {
    type Value = Failures<u32>;
}

#[diagnostic::do_not_recommend]
impl IsBreaker for Breaker {
    type Value = Failures<Breaker>;
}

/// The number, or the whole of it.
#[derive(Debug)]
pub struct Failures<T>(T);

#[inline]
pub const fn breaker<T: IsBreaker<Value = Failures<T>>>(value: T) -> <T as IsBreaker>::Value {
    Failures(value)
}

impl Failures<u32> {
    #[inline]
    pub const fn breaker(self) -> Breaker {
        Breaker::consecutive(self.0)
    }
}

impl Failures<Breaker> {
    #[inline]
    pub const fn breaker(self) -> Breaker {
        self.0
    }
}

#[diagnostic::on_unimplemented(
    message = "expected a `u32` or a `Concurrency`, found `{Self}`",
    label = "neither a `u32` nor a `Concurrency`",
    note = "write a whole number such as `5`, or a constant of type `u32` or `Concurrency` such as `Concurrency::new(64)`"
)]
pub trait IsConcurrency {
    type Value;
}

#[diagnostic::do_not_recommend]
impl IsConcurrency for u32 {
    type Value = InFlight<u32>;
}

#[diagnostic::do_not_recommend]
impl IsConcurrency for Concurrency {
    type Value = InFlight<Concurrency>;
}

/// The number, or the whole of it.
#[derive(Debug)]
pub struct InFlight<T>(T);

#[inline]
pub const fn concurrency<T: IsConcurrency<Value = InFlight<T>>>(value: T) -> <T as IsConcurrency>::Value {
    InFlight(value)
}

impl InFlight<u32> {
    #[inline]
    pub const fn concurrency(self) -> Concurrency {
        Concurrency::new(self.0)
    }
}

impl InFlight<Concurrency> {
    #[inline]
    pub const fn concurrency(self) -> Concurrency {
        self.0
    }
}
