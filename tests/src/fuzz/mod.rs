//! Hostile input for every decoder: one function over bytes for each, in [`TARGETS`].
//!
//! A function panics if what it finds is wrong; that is all an engine needs. There are two engines: `tests/tests/fuzz.rs`
//! replays the kept inputs and seeded mutations of them with the stable compiler ([`mutate`]); `tests/fuzz/` is the same
//! functions under cargo-fuzz. Both use `tests/fuzz/corpus/`; an input that found something stays there.
//!
//! What arrives at the file boundary: [`files`] (masks, paths, sets), [`registers`]. What people write: [`texts`]. What a
//! tool reads: [`decoders`] (memory and arguments), [`events`] (everything a host can answer).

pub mod bytes;
pub mod decoders;
pub mod events;
pub mod files;
pub mod mutate;
pub mod registers;
pub mod texts;

/// A decoder, or a family of them.
pub struct Target {
    /// Of its corpus, too.
    pub name: &'static str,
    /// Panics if what this input leads to is wrong.
    pub run: fn(&[u8]),
    /// How many cases take as long as one of the quickest target's.
    pub cost: usize,
    /// Words that mean something to it; mutations put them in.
    pub words: &'static [&'static str],
}

/// All of them.
pub const TARGETS: &[Target] = &[
    Target { name: "masks", run: files::masks, cost: 1, words: &[] },
    Target { name: "paths", run: files::paths, cost: 1, words: files::PATH_WORDS },
    Target { name: "sets", run: files::sets, cost: 1, words: files::SET_WORDS },
    Target { name: "registers", run: registers::registers, cost: 2, words: &[] },
    Target { name: "programs", run: texts::programs, cost: 1, words: texts::PROGRAM_WORDS },
    Target { name: "scenarios", run: texts::scenarios, cost: 1, words: texts::SCENARIO_WORDS },
    Target { name: "expressions", run: texts::expressions, cost: 6, words: texts::EXPRESSION_WORDS },
    Target { name: "decoders", run: decoders::decoders, cost: 2, words: &[] },
    Target { name: "events", run: events::events, cost: 10, words: &[] },
];

/// Runs one by name, as cargo-fuzz's targets do.
pub fn run(name: &str, input: &[u8]) {
    let target = TARGETS.iter().find(|target| target.name == name);
    (target.unwrap_or_else(|| panic!("no target is named {name}")).run)(input);
}
