//! A policy that is being typed.

use apiguard::policy;

policy! {
    static DONE = (rate = "10/s");
    static STRIPE = (rate = )
}

policy! {
    static GITHUB = (rate = "10/s")
    static GITLAB = (rate = "10/s");
}

policy! {
    pub static
}

fn main() {
    for policy in [&DONE, &STRIPE, &GITHUB, &GITLAB] {
        println!("{}", policy.name());
    }
}
