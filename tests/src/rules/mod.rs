//! [`rules`]: the semantics of RFCs 0002, 0005, 0006 and 0011 as code, one function for each sentence, and no word about machines.
//!
//! A rule starts its guest, drives it by file operations, and returns a [`Failure`] if the sentence does not hold. The
//! runner (`tests/tests/rules.rs`) runs it on every machine, and once more under the quirk that breaks it
//! ([`crate::quirk`]). Where a machine cannot obey, [`divergence`] says what it does instead.
//!
//! One file for each section of the RFC. Guests are simulator programs (RFC 0004).

mod acid;
mod attach;
mod bench;
mod breakpoint;
mod check;
mod clone;
pub mod divergence;
mod exec;
mod exit;
mod files;
mod flags;
mod flaws;
mod held;
mod log;
mod notify;
mod origins;
mod sets;
mod signals;
pub mod stage;
mod step;
mod syscalls;
mod told;
mod wait;

pub use acid::ACID;
pub use bench::{Access, BYSTANDER, Bench, Client, PLAIN_UID, Stage};
pub use check::{Check, Failure};

/// One sentence of an RFC, and how to find out whether it holds.
pub struct Rule {
    /// `R1`…, `F1`…; never reused.
    pub id: &'static str,
    /// As in the RFC's table; a test compares them.
    pub sentence: &'static str,
    /// The program it is tried on; `main` first.
    pub guest: &'static str,
    /// Finds out.
    pub run: fn(&Bench<'_>) -> Check,
}

/// Every rule, in the order of the RFCs.
pub fn rules() -> impl Iterator<Item = &'static Rule> {
    const SECTIONS: &[&[Rule]] = &[
        attach::RULES,
        held::RULES,
        flags::RULES,
        wait::RULES,
        syscalls::RULES,
        syscalls::WRITTEN,
        step::RULES,
        breakpoint::RULES,
        signals::RULES,
        clone::RULES,
        exec::RULES,
        exit::RULES,
        notify::RULES,
        files::RULES,
        flaws::RULES,
        sets::RULES,
        log::RULES,
        origins::RULES,
    ];
    SECTIONS.iter().copied().flatten()
}
