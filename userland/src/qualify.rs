//! The `-e` options together: [`Qualifiers::parse`] reads what `trace=`, `signal=`, `status=`, `inject=` and `fault=` say.

use std::fmt::Display;

use kernel_model::abi::Signal;
use thiserror::Error;

use crate::select::{BadExpression, Selection};
use crate::tables::Calls;
use crate::trace::inject::{BadRule, Rule};

/// Why an option is refused.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum BadQualifier {
    /// In a set of calls.
    #[error(transparent)]
    Calls(#[from] BadExpression),
    /// In `inject=` or `fault=`.
    #[error(transparent)]
    Rule(#[from] BadRule),
    /// In `signal=`.
    #[error("no signal is named `{0}`; write SIGUSR1, USR1 or 10")]
    Signal(String),
    /// In `read=` or `write=`.
    #[error("`{0}` is not a descriptor; write numbers, `all` or `none`")]
    Descriptor(String),
    /// In `quiet=`.
    #[error("nothing to be quiet about is named `{0}`; there are {names}, all, none", names = QUIETS.join(", "))]
    Quiet(String),
    /// In `status=`.
    #[error("no status is named `{0}`; there are successful, failed, unfinished, unavailable, detached")]
    Status(String),
}

/// How a call can end, as `-e status=` names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// With a result that is no error.
    Successful,
    /// With an error.
    Failed,
    /// It does not return.
    Unfinished,
    /// It returned, but its result cannot be read.
    Unavailable,
    /// The tool left before.
    Detached,
}

const ENDINGS: [(&str, Ending); 5] = [
    ("successful", Ending::Successful),
    ("failed", Ending::Failed),
    ("unfinished", Ending::Unfinished),
    ("unavailable", Ending::Unavailable),
    ("detached", Ending::Detached),
];

const QUIET_NAMES: [&str; 4] = ["quiet", "silent", "silence", "q"];

/// What `-e quiet=` can name, as strace spells it.
const QUIETS: [&str; 8] = [
    "attach",
    "exit",
    "path-resolution",
    "personality",
    "thread-execve",
    "superseded",
    "path-resolve",
    "exits",
];

/// What is not said.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Quiet {
    /// That a process joins.
    pub joins: bool,
    /// That it ends.
    pub ends: bool,
    /// That another thread's exec took its place.
    pub superseded: bool,
}

impl Quiet {
    /// `-q`, `-qq`, `-qqq`.
    pub fn times(count: u8) -> Quiet {
        Quiet { joins: count > 0, ends: count > 1, superseded: count > 2 }
    }

    /// `attach,exit`, `all`. What this tool never says may be named, too.
    fn parse(text: &str) -> Result<Quiet, BadQualifier> {
        let mut quiet = Quiet::default();
        for word in text.split(',').filter(|word| !word.is_empty()) {
            match word {
                "all" => quiet = Quiet::times(3),
                "none" => quiet = Quiet::default(),
                "attach" => quiet.joins = true,
                "exit" | "exits" => quiet.ends = true,
                "thread-execve" | "superseded" => quiet.superseded = true,
                word if QUIETS.contains(&word) => {}
                _ => return Err(BadQualifier::Quiet(word.to_owned())),
            }
        }
        Ok(quiet)
    }
}

/// A set of small numbers, with strace's notation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Set(u128);

impl Set {
    /// Everything.
    pub const ALL: Set = Set(u128::MAX);
    /// Nothing.
    pub const NONE: Set = Set(0);

    /// `a,b`, `!a,b`, `all`, `none`.
    fn parse<E>(text: &str, number: impl Fn(&str) -> Result<u32, E>) -> Result<Set, E> {
        let (negated, words) = match text.strip_prefix('!') {
            Some(rest) => (true, rest),
            None => (false, text),
        };
        let mut bits = 0;
        for word in words.split(',').filter(|word| !word.is_empty()) {
            match word {
                "all" => bits = u128::MAX,
                "none" => {}
                word => bits |= 1 << (number(word)? & 127),
            }
        }
        Ok(Set(if negated { !bits } else { bits }))
    }

    /// The statuses of `text`.
    pub fn endings(text: &str) -> Result<Set, BadQualifier> {
        Set::parse(text, |word| {
            let found = ENDINGS.iter().find(|(name, _)| *name == word);
            found.map(|(_, ending)| *ending as u32).ok_or_else(|| BadQualifier::Status(word.to_owned()))
        })
    }

    /// The signals of `text`.
    pub fn signals(text: &str) -> Result<Set, BadQualifier> {
        Set::parse(text, |word| {
            signal(word).map(|signal| u32::from(signal.0)).ok_or(BadQualifier::Signal(word.to_owned()))
        })
    }

    /// The descriptors of `text`; none is above 127.
    pub fn descriptors(text: &str) -> Result<Set, BadQualifier> {
        Set::parse(text, |word| {
            let number = word.parse().ok().filter(|number| *number < u128::BITS);
            number.ok_or_else(|| BadQualifier::Descriptor(word.to_owned()))
        })
    }

    /// Whether a descriptor is in it.
    pub fn has_descriptor(self, number: u64) -> bool {
        number < u64::from(u128::BITS) && self.0 >> number & 1 != 0
    }

    /// Whether a call's end is in it.
    pub fn has_ending(self, ending: Ending) -> bool {
        self.0 >> (ending as u32) & 1 != 0
    }

    /// Whether a signal is in it.
    pub fn has_signal(self, signal: Signal) -> bool {
        self.0 >> (signal.0 & 127) & 1 != 0
    }
}

/// `SIGUSR1`, `usr1`, `10`.
pub fn signal(word: &str) -> Option<Signal> {
    if let Ok(number @ 1..=64) = word.parse() {
        return Some(Signal(number));
    }
    let name = word.to_ascii_uppercase();
    let name = name.strip_prefix("SIG").unwrap_or(&name);
    Signal::ALL
        .iter()
        .copied()
        .find(|signal| signal.name().is_some_and(|known| &known[3..] == name))
        .or_else(|| Signal(name.strip_prefix("RT_")?.parse::<u8>().ok()?.checked_add(32)?).into())
}

/// What all `-e` options said. A later one of the same kind replaces an earlier one; rules add up.
#[derive(Clone, Debug)]
pub struct Qualifiers {
    /// Calls that are shown.
    pub trace: Selection,
    /// Signals that are shown.
    pub signals: Set,
    /// Ends of calls that are shown.
    pub endings: Set,
    /// What is done to calls.
    pub rules: Vec<Rule>,
    /// Calls whose structures are abbreviated, if that was said.
    pub abbreviated: Option<Selection>,
    /// Calls whose arguments are shown as plain words.
    pub raw: Selection,
    /// Descriptors of which all that is read is shown.
    pub read: Set,
    /// The same of what is written.
    pub written: Set,
}

impl Qualifiers {
    /// Everything is shown, nothing is done.
    pub fn none() -> Qualifiers {
        Qualifiers {
            trace: Selection::all(),
            signals: Set::ALL,
            endings: Set::ALL,
            rules: Vec::new(),
            abbreviated: None,
            raw: Selection::none(),
            read: Set::NONE,
            written: Set::NONE,
        }
    }

    /// What of them says what is not said; the last one counts. Bad ones are [`parse`](Self::parse)'s business.
    pub fn parse_quiet(expressions: &[String]) -> Option<Quiet> {
        let words = expressions.iter().filter_map(|expression| expression.split_once('='));
        let quiet = words.filter(|(name, _)| QUIET_NAMES.contains(name));
        quiet.filter_map(|(_, set)| Quiet::parse(set).ok()).next_back()
    }

    /// Reads them. One without a `=` is a set of calls.
    pub fn parse(
        expressions: &[impl AsRef<str> + Display],
        calls: &Calls,
    ) -> Result<Qualifiers, BadQualifier> {
        let mut all = Qualifiers::none();
        for expression in expressions {
            match expression.as_ref().split_once('=') {
                Some(("signal" | "signals" | "s", set)) => all.signals = Set::signals(set)?,
                Some(("status", set)) => all.endings = Set::endings(set)?,
                Some(("inject", rule)) => all.rules.push(Rule::inject(rule, calls)?),
                Some(("fault", rule)) => all.rules.push(Rule::fault(rule, calls)?),
                Some(("abbrev" | "a", set)) => all.abbreviated = Some(Selection::of_set(set, calls)?),
                Some(("raw" | "x", set)) => all.raw = Selection::of_set(set, calls)?,
                Some(("read" | "reads" | "r", set)) => all.read = Set::descriptors(set)?,
                Some(("write" | "writes" | "w", set)) => all.written = Set::descriptors(set)?,
                Some((name, set)) if QUIET_NAMES.contains(&name) => {
                    Quiet::parse(set)?;
                }
                _ => all.trace = Selection::parse(expression.as_ref(), calls)?,
            }
        }
        Ok(all)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signals_by_name_and_number() {
        assert_eq!(signal("SIGUSR1"), Some(Signal::USR1));
        assert_eq!(signal("usr1"), Some(Signal::USR1));
        assert_eq!(signal("10"), Some(Signal::USR1));
        assert_eq!(signal("SIGRT_3"), Some(Signal(35)));
        assert_eq!(signal("0"), None);
        assert_eq!(signal("SIGWHAT"), None);
        let but = Set::signals("!USR1,chld").unwrap();
        assert!(
            !but.has_signal(Signal::USR1) && !but.has_signal(Signal::CHLD) && but.has_signal(Signal::TERM)
        );
        assert!(!Set::signals("none").unwrap().has_signal(Signal::TERM));
        assert!(Set::signals("usr1,WHAT").is_err());
    }

    #[test]
    fn the_last_of_a_kind_wins_and_rules_add_up() {
        let calls = Calls::linux();
        let words = ["trace=read", "status=failed", "write", "inject=close:error=EIO", "fault=read"];
        let all = Qualifiers::parse(&words, &calls).unwrap();
        assert!(all.trace.has(0, 1) && !all.trace.has(0, 0));
        assert!(all.endings.has_ending(Ending::Failed) && !all.endings.has_ending(Ending::Successful));
        assert_eq!(all.rules.len(), 2);
        assert!(Qualifiers::parse(&["status=good"], &calls).unwrap_err().to_string().contains("unavailable"));
        assert!(Qualifiers::parse(&["verbose=all"], &calls).is_err());
    }

    #[test]
    fn what_is_dumped_shown_raw_and_not_said() {
        let calls = Calls::linux();
        let all =
            Qualifiers::parse(&["write=1,2", "read=all", "raw=read", "abbrev=none", "quiet=exit"], &calls);
        let all = all.unwrap();
        assert!(
            all.written.has_descriptor(2) && !all.written.has_descriptor(3) && all.read.has_descriptor(99)
        );
        assert!(!all.written.has_descriptor(1 << 40));
        assert!(all.raw.has(0, 0) && !all.raw.has(0, 1));
        assert_eq!(all.abbreviated.map(|set| set.has(0, 0)), Some(false));
        let quiet = |words: &[&str]| {
            Qualifiers::parse_quiet(&words.iter().map(|&word| word.to_owned()).collect::<Vec<_>>())
        };
        assert_eq!(quiet(&["read", "q=exit"]), Some(Quiet { ends: true, ..Quiet::default() }));
        assert_eq!(quiet(&["q=all"]), Some(Quiet::times(3)));
        assert_eq!(quiet(&["read"]), None);
        for bad in ["write=x", "write=128", "quiet=what", "raw=opne"] {
            assert!(Qualifiers::parse(&[bad], &calls).is_err(), "{bad}");
        }
    }
}
