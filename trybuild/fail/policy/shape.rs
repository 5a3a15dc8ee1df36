//! Policies that are not declared as `static NAME = (settings);`.

use apiguard::policy;

policy! {}

policy! {
    static FIRST = (rate = "10/s");
    const SECOND = (rate = "10/s");
    static THIRD = rate = "10/s";
    static FOURTH: Policy = (rate = "10/s");
    pub FIFTH = (rate = "10/s");
    static mut SIXTH = (rate = "10/s");
    static SEVENTH = (rate = "0/s");
    static EIGHTH;
    static NINTH = ();
}

fn main() {
    for policy in [&FIRST, &SEVENTH] {
        println!("{}", policy.name());
    }
}
