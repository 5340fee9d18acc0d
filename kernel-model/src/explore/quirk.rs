//! [`Quirk`]: what can be broken, so that the explorer can be seen to find it.
//!
//! The defects of Redox's kernel go by their numbers in RFC 0002. Two of them are the machine's ([`Quirks`]); the others are
//! broken where a client meets the kernel, so that the kernel itself has no switch: `client.rs` and `reads.rs` say how.

use std::fmt;
use std::str::FromStr;

use crate::sim::Quirks;

/// A rule to break.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Quirk {
    /// A session that is closed forgets the births that were not read: those children stay stopped (F5).
    F5,
    /// A read that is issued after the end sleeps (F8).
    F8,
    /// A read that waits locks everybody's handles (F9).
    F9,
    /// A write lets the task go before it stores the mask (F19).
    F19,
    /// A read gives its records in reverse.
    Lifo,
    /// A read gives every record twice.
    Twice,
    /// Nobody who waits is woken.
    Deaf,
    /// Who closes a session lets go of everybody's stops.
    Shared,
    /// One of the machine's, F7 and F11 among them.
    Machine(Quirks),
}

const NAMES: [(&str, Quirk); 10] = [
    ("F5", Quirk::F5),
    ("F7", Quirk::Machine(Quirks::RUNS_WHILE_HELD)),
    ("F8", Quirk::F8),
    ("F9", Quirk::F9),
    ("F11", Quirk::Machine(Quirks::STALE_STEP)),
    ("F19", Quirk::F19),
    ("LIFO", Quirk::Lifo),
    ("TWICE", Quirk::Twice),
    ("DEAF", Quirk::Deaf),
    ("SHARED", Quirk::Shared),
];

impl Quirk {
    /// The names there are.
    pub fn names() -> impl Iterator<Item = &'static str> {
        let machine = Quirks::all().iter_names().map(|(name, _)| name);
        NAMES.iter().map(|(name, _)| *name).chain(machine)
    }
}

impl FromStr for Quirk {
    type Err = String;

    fn from_str(text: &str) -> Result<Quirk, String> {
        let own = NAMES.iter().find(|(name, _)| *name == text).map(|(_, quirk)| *quirk);
        let found = own.or_else(|| Quirks::from_name(text).map(Quirk::Machine));
        found.ok_or_else(|| {
            format!("there is no quirk `{text}`: {}", Quirk::names().collect::<Vec<_>>().join(" "))
        })
    }
}

impl fmt::Display for Quirk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (NAMES.iter().find(|(_, quirk)| quirk == self), self) {
            (Some((name, _)), _) => f.write_str(name),
            (None, Quirk::Machine(quirks)) => quirks.iter_names().try_for_each(|(name, _)| f.write_str(name)),
            (None, other) => write!(f, "{other:?}"),
        }
    }
}
