//! Settings as they are written in a file, in the words of the attribute.
//!
//! ```text
//! file -> Node (values with their places) -> Overlay (what each key says) -> Settings (over what the code declares)
//! Settings -> Node -> file
//! ```
//!
//! Every mistake is found in one reading and knows its place. A key is read whole: `rate = "100/s"` means what it means in
//! the attribute, a burst of 1 included, whatever a rate below it said.

mod impls;
mod keys;
mod node;
mod overlay;
mod read;
mod values;
mod write;

pub use keys::names;
pub use node::{Entry, Kind, Node};
pub use overlay::{Overlay, Place};
pub use read::Mistake;
