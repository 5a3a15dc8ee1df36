//! serde's traits for settings: what is written reads back as the same settings.

use ::serde::de::{Deserializer, Error as _};
use ::serde::ser::{Error as _, Serializer};
use ::serde::{Deserialize, Serialize};

use super::node::Node;
use super::overlay::Overlay;
use super::write;
use crate::{Breaker, Concurrency, Quota, Rate, Retry, Settings};

/// All mistakes in one text: serde's errors have one.
fn read<E: ::serde::de::Error>(overlay: Result<Overlay, Vec<super::Mistake>>) -> Result<Settings, E> {
    match overlay {
        Ok(overlay) => Ok(overlay.over(Settings::new())),
        Err(mistakes) => {
            let all: Vec<_> = mistakes.iter().map(ToString::to_string).collect();
            Err(E::custom(all.join("; ")))
        }
    }
}

/// In the words of the attribute, those that are set alone: `rate = "100/s"`, `retries = { max = 3, base = "200ms" }`.
impl Serialize for Settings {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.validate().map_err(S::Error::custom)?;
        write::settings(self).serialize(serializer)
    }
}

/// From the words of the attribute; the error says everything that is wrong.
impl<'de> Deserialize<'de> for Settings {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Settings, D::Error> {
        read(Overlay::read(&Node::deserialize(deserializer)?))
    }
}

macro_rules! one_setting {
    ($($type:ty, $key:literal, $write:path, $only:expr, $get:expr;)*) => {$(
        /// As in the words of the attribute.
        impl Serialize for $type {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                let only: fn($type) -> Settings = $only;
                only(*self).validate().map_err(S::Error::custom)?;
                $write(self).serialize(serializer)
            }
        }

        /// From the words of the attribute.
        impl<'de> Deserialize<'de> for $type {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<$type, D::Error> {
                let get: fn(&Settings) -> Option<$type> = $get;
                let settings = read(Overlay::read_one($key, &Node::deserialize(deserializer)?))?;
                get(&settings).ok_or_else(|| D::Error::custom(concat!("no ", $key)))
            }
        }
    )*};
}

one_setting! {
    Rate, "rate", write::rate, |rate| Settings::new().rate(rate), |settings| settings.rate_limit().copied();
    Quota, "quota", write::quota, |quota| Settings::new().quota(quota), |settings| settings.quotas().next().copied();
    Concurrency, "concurrency", write::concurrency, |limit| Settings::new().concurrency(limit), |settings| settings.concurrency;
    Breaker, "breaker", write::breaker, |breaker| Settings::new().breaker(breaker), |settings| settings.breaker;
    Retry, "retries", write::retries, |retry| Settings::new().retries(retry), |settings| settings.retries;
}

#[cfg(test)]
mod tests {
    use core::time::Duration;

    use crate::words::{Kind, Node, Overlay};
    use crate::{Breaker, Budget, Concurrency, Jitter, Quota, Rate, Ratio, Retry, Settings, Statuses};

    /// The next of a sequence that looks random (Knuth's MMIX constants).
    fn next(state: &mut u64, below: u64) -> u64 {
        *state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (*state >> 33) % below
    }

    fn random_settings(dice: &mut u64) -> Settings {
        let ms = |dice: &mut u64| Duration::from_nanos(1_000_000 + next(dice, 4_000_000_000));
        let ratio = |dice: &mut u64| Ratio::from_millionths(1 + next(dice, 1_000_000));
        let mut settings = Settings::new();
        for _ in 0..next(dice, 5) {
            settings =
                settings.and_rate(Rate::new(1 + next(dice, 99) as u32, ms(dice)).burst(1 + next(dice, 3) as u32));
        }
        for _ in 0..next(dice, 5) {
            settings = settings.and_quota(Quota::new(1 + next(dice, 99) as u32, ms(dice)).max_wait(ms(dice)));
        }
        if next(dice, 2) == 0 {
            settings = settings.concurrency(Concurrency::new(1 + next(dice, 99) as u32).max_wait(ms(dice)));
        }
        settings = match next(dice, 4) {
            0 => settings.breaker(Breaker::consecutive(1 + next(dice, 9) as u32).probes(1 + next(dice, 9) as u32)),
            1 => settings.breaker(Breaker::failure_rate_ratio(ratio(dice)).window_calls(1 + next(dice, 999) as u32)),
            2 => settings
                .breaker(Breaker::slow_calls(ms(dice)).slow_rate_ratio(ratio(dice)).recovery_jitter_ratio(ratio(dice))),
            _ => settings,
        };
        if next(dice, 2) == 0 {
            let factor = Ratio::from_millionths(1_000_000 + next(dice, 1_000_000_000_000 - 1_000_000));
            let (base, jitter) = (ms(dice), ratio(dice));
            let jitters =
                [Jitter::Proportional(jitter), Jitter::Full, Jitter::Equal, Jitter::Decorrelated, Jitter::None];
            let budgets = [Budget::Share(ratio(dice)), Budget::Off, Budget::DEFAULT];
            let mut statuses = Statuses::NONE;
            for _ in 0..next(dice, 300) {
                statuses = statuses.with(100 + next(dice, 500) as u16);
            }
            let retry = Retry::new(1 + next(dice, 9) as u32).base(base).cap(base * 7).factor_ratio(factor);
            let (jitter, budget) = (jitters[next(dice, 5) as usize], budgets[next(dice, 3) as usize]);
            settings = settings.retries(retry.jitter(jitter).budget(budget).statuses(statuses));
        }
        if next(dice, 2) == 0 {
            settings = settings.timeout(Duration::from_secs(1_000)).attempt_timeout(ms(dice));
        }
        if next(dice, 2) == 0 {
            settings = settings.max_pause(ms(dice)).abandoned(ms(dice)).shadow(next(dice, 2) == 0);
        }
        settings
    }

    #[test]
    fn what_is_written_reads_back_as_the_same_settings() {
        let mut dice = 7;
        for _ in 0..20_000 {
            let settings = random_settings(&mut dice);
            assert_eq!(settings.validate(), Ok(()));
            let written = super::write::settings(&settings);
            let read = Overlay::read(&written).map(|overlay| overlay.over(Settings::new()));
            assert_eq!(read, Ok(settings), "{written}");
        }
    }

    #[test]
    fn nothing_that_can_be_written_makes_the_reader_panic() {
        let atoms = [
            Kind::Switch(true),
            Kind::Whole(i128::MAX),
            Kind::Whole(i128::MIN),
            Kind::Whole(0),
            Kind::Whole(5),
            Kind::Float(f64::NAN),
            Kind::Float(-0.0),
            Kind::Float(f64::INFINITY),
            Kind::Float(f64::MAX),
            Kind::Text(String::new()),
            Kind::Text("\0".repeat(1_000)),
            Kind::Text("off".into()),
            Kind::Text("65535..=0".into()),
            Kind::Text("10..0".into()),
            Kind::Text("18446744073709551615d".into()),
            Kind::Text("4294967295/1ns".into()),
            Kind::Text("é%".into()),
            Kind::Other("nothing"),
            Kind::List(Vec::new()),
            Kind::Table(Vec::new()),
        ];
        let mut wrong = 0;
        for key in &super::super::keys::KEYS {
            for atom in &atoms {
                let node = Node::from(atom.clone());
                let list = Node::from(Kind::List(vec![node.clone(); 3]));
                for value in [&node, &list] {
                    wrong += usize::from(Overlay::read_one(key.name, value).is_err());
                    for inner in key.inner {
                        let entry = |key: &str, value: &Node| super::super::Entry {
                            key: key.to_owned(),
                            at: None,
                            value: value.clone(),
                        };
                        let table = Kind::Table(vec![entry(inner.name, value), entry("max", &Kind::Whole(3).into())]);
                        wrong += usize::from(Overlay::read_one(key.name, &table.into()).is_err());
                    }
                }
            }
        }
        assert!(wrong > 1_000, "{wrong}");
    }
}
