//! Formats of `trace`: each is a [`View`](crate::trace::view::View) that makes text of what it is told.
//!
//! [`text`] is for people and [`json`] for programs; [`chrome`], [`mermaid`], [`states`] and [`xv6`] are pictures.
//! [`people`] is what the pictures share: who made whom, and who sent which signal; [`processes`] what the last two do.
//!
//! What a format has put into its [`Output`] is valid at every record's end, because the tool may
//! be ended at any moment; what can be said only at the end is left with `Output::at_end`.

pub mod chrome;
pub mod json;
pub mod mermaid;
pub mod people;
pub mod processes;
pub mod states;
#[cfg(test)]
mod tests;
pub mod text;
pub mod xv6;

use people::process;

use crate::output::Output;
use crate::trace::view::{Joined, Who};

/// Tells who waits for it that a process is traced now; not where that would stand in the middle of a format.
fn announce(output: &Output, who: Who, how: Joined) {
    if how == Joined::Attached && process(who) == who.pid && output.is_file() {
        put!(&mut std::io::stderr(), "tracefd: process {} attached\n", who.pid);
    }
}
