//! Single values of settings: a literal is read here, anything else is left to `const` evaluation.

use std::time::Duration;

use guard_spec::{Ratio, parse as text};
use quote::ToTokens;
use syn::{Expr, ExprLit, Lit};

use super::Fields;
use crate::draft::{Literal, Value, Window};
use crate::tokens::{leaves, typed};

impl Fields<'_> {
    pub(super) fn count(&mut self, name: &str, value: Expr) -> Option<Value<u32>> {
        self.read(name, "5", value, |literal| match literal {
            Lit::Int(digits) => {
                digits.base10_parse::<u32>().map_err(|_| format!("is too large; write at most `{}`", u32::MAX))
            }
            Lit::Str(text) if text.value().parse::<u32>().is_ok() => {
                Err(format!("is a text; write `{}`", text.value()))
            }
            Lit::Str(share) if name == "breaker" && text::share(&share.value()).is_ok() => {
                Err(format!("is a share; write `breaker(failure_rate = {})`", typed(literal)))
            }
            _ => Err("is not a whole number; write one such as `5`".into()),
        })
    }

    pub(super) fn share(&mut self, name: &str, value: Expr) -> Option<Value<Ratio>> {
        self.read(name, "\"50%\"", value, |literal| match literal {
            Lit::Str(share) => text::share(&share.value()).map_err(|error| error.to_string()),
            other => match number(other) {
                Some(percent) if percent > 1.0 && percent <= 100.0 => {
                    Err(format!("is more than all; write `\"{}%\"`", typed(literal)))
                }
                Some(share) if share > 1.0 => Err("is more than all; write `\"0%\"` to `\"100%\"`".into()),
                Some(share) => Ok(Ratio::new(share)),
                None => Err("is not a share; write one such as `\"50%\"` or `0.5`".into()),
            },
        })
    }

    pub(super) fn window(&mut self, value: Expr) -> Option<Value<Window>> {
        self.read("window", "\"30s\"", value, |literal| match literal {
            Lit::Str(calls) if calls.value().parse::<u32>().is_ok() => {
                let calls = calls.value();
                Err(format!("is no window; write `{calls}` for the last {calls} calls, or `\"{calls}s\"` for a time"))
            }
            Lit::Str(time) => text::duration(&time.value()).map(Window::Time).map_err(|error| error.to_string()),
            Lit::Int(digits) if text::duration(&digits.to_string()).is_ok() => {
                Err(format!("has no quotes; write `\"{digits}\"`"))
            }
            Lit::Int(digits) => digits
                .base10_parse()
                .map(Window::Calls)
                .map_err(|_| "is outside 1..=10000 calls; write one such as `100`".into()),
            _ => Err("is no window; write a time such as `\"30s\"`, or a number of calls such as `100`".into()),
        })
    }

    pub(super) fn duration(&mut self, name: &str, value: Expr) -> Option<Value<Duration>> {
        self.read(name, "\"10s\"", value, |literal| match literal {
            Lit::Str(duration) => text::duration(&duration.value()).map_err(|error| error.to_string()),
            // `10s` is read as the number 10 with the suffix of a type `s`.
            Lit::Int(digits) if text::duration(&digits.to_string()).is_ok() => {
                Err(format!("has no quotes; write `\"{digits}\"`"))
            }
            Lit::Int(count) => Err(format!("has no unit; write `\"{0}s\"` or `\"{0}ms\"`", count.base10_digits())),
            _ => Err("is not a duration; write one such as `\"250ms\"`, `\"2s\"` or `\"1m30s\"`".into()),
        })
    }

    /// Whether this may be a name, as far as tokens tell.
    pub(super) fn is_name(&mut self, value: &Expr) -> bool {
        let Expr::Lit(ExprLit { lit, .. }) = value else { return true };
        let (wrong, example) = match lit {
            Lit::Str(name) if !name.value().is_empty() => return true,
            Lit::Str(_) => ("empty", "stripe.charges".into()),
            Lit::Char(letter) => ("not a text", letter.value().to_string()),
            Lit::Int(_) | Lit::Float(_) | Lit::Bool(_) => ("not a text", typed(lit)),
            _ => ("not a text", "stripe.charges".into()),
        };
        self.diag.error_at(lit, format!("`name = {}` is {wrong}; write a name such as `\"{example}\"`", typed(lit)));
        false
    }

    /// Whether this may be a policy, as far as tokens tell.
    pub(super) fn is_policy(&mut self, value: &Expr) -> bool {
        if let Expr::Lit(_) = value {
            self.diag.error_at(
                value,
                format!("`policy = {}` is not a policy; write the path of one, as in `policy = STRIPE`", typed(value)),
            );
            return false;
        }
        true
    }

    /// Whether this stays within the call: `?` and `return` would leave it past the fallback.
    pub(super) fn stays(&mut self, value: &Expr) -> bool {
        let Some(token) = leaves(value.to_token_stream()) else { return true };
        let name = self.key.name;
        self.diag.error_at(
            &token,
            format!("`{token}` cannot leave the call from `{name}`; write an expression that always has a value, such as a call of a function of yours"),
        );
        false
    }

    /// Whether this may be a number of tokens, as far as tokens tell.
    pub(super) fn is_cost(&mut self, value: &Expr) -> bool {
        let Expr::Lit(ExprLit { lit, .. }) = value else { return true };
        let advice = match lit {
            Lit::Int(digits) => match digits.base10_parse::<u32>() {
                Ok(0) => "takes nothing, so that nothing would limit it; write at least `1`".into(),
                Ok(tokens) if !matches!(digits.suffix(), "" | "u32") => format!("is no `u32`; write `{tokens}`"),
                Ok(_) => return true,
                Err(_) => format!("is too large; write at most `{}`", u32::MAX),
            },
            _ => "is no number of tokens; write a whole number such as `5`, or an expression of type `u32`".into(),
        };
        self.diag.error_at(lit, format!("`cost = {}` {advice}", typed(lit)));
        false
    }

    /// Whether this may be a function, as far as tokens tell.
    pub(super) fn is_function(&mut self, value: &Expr) -> bool {
        let name = self.key.name;
        let advice = match value {
            Expr::Lit(ExprLit { lit: Lit::Str(path), .. }) if syn::parse_str::<syn::Path>(&path.value()).is_ok() => {
                format!("is a text; write the path without quotes, `{name} = {}`", path.value())
            }
            Expr::Field(field) if field.base.to_token_stream().to_string() == "self" => {
                format!("is a field; write the path of a method, `{name} = Self::{}`", typed(&field.member))
            }
            Expr::Lit(_) => format!("is no function; write the path of one, as in `{}`", self.key.form),
            Expr::Call(call) => format!("calls the function; write its path alone, `{name} = {}`", typed(&call.func)),
            _ => return true,
        };
        self.diag.error_at(value, format!("`{name} = {}` {advice}", typed(value)));
        false
    }

    pub(super) fn switch(&mut self, value: &Expr) -> Option<bool> {
        if let Expr::Lit(ExprLit { lit: Lit::Bool(switch), .. }) = value {
            return Some(switch.value);
        }
        let name = self.key.name;
        let form = self.key.form;
        self.diag.error_at(value, format!("`{name} = {}` is no switch; write `{form}`", typed(value)));
        None
    }

    /// A literal, read; or any other expression, left to `const` evaluation.
    pub(super) fn read<T>(
        &mut self,
        name: &str,
        example: &str,
        value: Expr,
        read: impl FnOnce(&Lit) -> Result<T, String>,
    ) -> Option<Value<T>> {
        // A `$value:literal` of a `macro_rules!` comes wrapped.
        let mut value = value;
        while let Expr::Group(wrapped) = value {
            value = *wrapped.expr;
        }
        let result = match &value {
            Expr::Lit(ExprLit { lit, .. }) => read(lit),
            Expr::Unary(unary) if matches!((&unary.op, &*unary.expr), (syn::UnOp::Neg(_), Expr::Lit(_))) => {
                Err(format!("is negative; write one such as `{example}`"))
            }
            // `100/s` divides by a variable.
            Expr::Binary(binary) if name == "rate" && text::rate(&typed(binary).replace(' ', "")).is_ok() => {
                Err(format!("has no quotes; write `\"{}\"`", typed(binary).replace(' ', "")))
            }
            _ => return Some(Value::Const(value)),
        };
        let literal = Literal { tokens: value.to_token_stream(), text: typed(&value) };
        match result {
            Ok(known) => Some(Value::Known(known, literal)),
            Err(advice) => {
                self.diag.error_at(literal.tokens, format!("`{name} = {}` {advice}", literal.text));
                None
            }
        }
    }
}

/// The number of a literal; one that no float can hold is infinite, which no setting takes.
pub(super) fn number(literal: &Lit) -> Option<f64> {
    match literal {
        Lit::Int(digits) => digits.base10_parse().ok(),
        Lit::Float(digits) => digits.base10_parse().ok(),
        _ => None,
    }
}

pub(super) fn status(value: &Expr) -> Option<u16> {
    match value {
        // One that does not fit is out of range like any other that is no status.
        Expr::Lit(ExprLit { lit: Lit::Int(digits), .. }) => Some(digits.base10_parse().unwrap_or(u16::MAX)),
        _ => None,
    }
}
