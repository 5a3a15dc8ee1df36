//! apiguard beside its peers, in one table: `cargo run --release --manifest-path benches/peers/Cargo.toml`, four to eight minutes.
//! It starts itself again under valgrind, where that is installed, and `benches/compile_time`.
//!
//! Every row does the same work for all that can do it; "-" where a library cannot. Machines are noisy: compare within
//! a row, and with the floor.

mod call;
mod client;
mod compile;
mod keys;
mod measure;
mod parts;
mod quota;
mod table;
mod waiters;

fn main() {
    if client::is_child() {
        return;
    }
    let mut table = table::Table::default();
    call::rows(&mut table);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    {
        // tower's rate wants a timer. Not in a task: tokio would have it pause after so many calls.
        let _entered = runtime.enter();
        parts::rows(&mut table);
    }
    // They become idle while others wait.
    let keys = keys::Keys::live();
    runtime.block_on(async {
        waiters::rows(&mut table).await;
        quota::rows(&mut table).await;
    });
    keys.rows(&mut table);
    client::rows(&mut table);
    compile::rows(&mut table);
    println!("{}\n\n{}", table::head(), table.to_markdown());
}
