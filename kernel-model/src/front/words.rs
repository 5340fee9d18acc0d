//! The words of a set: `read`, `39`, `1:20`, `@file`, `all`, `none`, `!close`, `inherit`; and a set as words.
//!
//! The last word that matches decides. A text that starts with a negated word starts from everything, any other from
//! nothing, and one without a word is everything.

use crate::abi::Signal;
use crate::core::Sets;
use crate::machine::CallName;
use crate::sets::{CallSet, SignalSet};

/// Which of a session's sets.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(super) enum Part {
    Entry,
    Exit,
    Signal,
}

/// Reads a text into one part of `sets`. `None`: a word means nothing; the set is then undefined.
pub(super) fn parse(text: &str, sets: &mut Sets, part: Part, names: &[CallName]) -> Option<()> {
    let words = text.split([' ', '\t', '\n', ',']).filter(|word| !word.is_empty());
    let inherit = words.clone().any(|word| word == "inherit");
    let words = words.filter(|word| *word != "inherit");
    match part {
        Part::Entry | Part::Exit => {
            let set = calls(words, names)?;
            if part == Part::Entry {
                (sets.filter.entry, sets.inherit.entry) = (set, inherit);
            } else {
                (sets.filter.exit, sets.inherit.exit) = (set, inherit);
            }
        }
        Part::Signal => {
            let mut set = SignalSet::ALL;
            for (n, (word, member)) in words.map(negation).enumerate() {
                if n == 0 && member {
                    set = SignalSet::NONE;
                }
                put_signal(word, member, &mut set)?;
            }
            (sets.filter.signal, sets.inherit.signal) = (set, inherit);
        }
    }
    Some(())
}

/// Words about calls as a set. `None`: one means nothing.
pub(super) fn calls<'t>(words: impl Iterator<Item = &'t str>, names: &[CallName]) -> Option<CallSet> {
    let mut set = CallSet::ALL;
    for (n, (word, member)) in words.map(negation).enumerate() {
        if n == 0 && member {
            set = CallSet::NONE;
        }
        put_calls(word, member, &mut set, names)?;
    }
    Some(set)
}

/// The word without its `!`, and whether it had none.
fn negation(word: &str) -> (&str, bool) {
    match word.strip_prefix('!') {
        Some(word) => (word, false),
        None => (word, true),
    }
}

/// Digits only: no sign.
pub(super) fn number(word: &str) -> Option<u64> {
    if word.bytes().all(|byte| byte.is_ascii_digit()) { word.parse().ok() } else { None }
}

fn put_calls(word: &str, member: bool, set: &mut CallSet, names: &[CallName]) -> Option<()> {
    match (word, word.split_once(':'), word.strip_prefix('@')) {
        ("all", ..) => *set = if member { CallSet::ALL } else { CallSet::NONE },
        ("none", ..) => *set = if member { CallSet::NONE } else { CallSet::ALL },
        (_, Some((abi, call)), _) => set.put(number(abi)?, number(call)?, member),
        (_, _, Some(group)) => {
            let (_, letter) = CallName::GROUPS.iter().find(|(name, _)| *name == group)?;
            for call in names.iter().filter(|call| call.groups.contains(*letter)) {
                set.put(call.abi, call.number, member);
            }
        }
        _ if word.starts_with(|first: char| first.is_ascii_digit()) => set.put(0, number(word)?, member),
        _ => {
            let mut known = false;
            for call in names.iter().filter(|call| call.name == word) {
                set.put(call.abi, call.number, member);
                known = true;
            }
            known.then_some(())?;
        }
    }
    Some(())
}

fn put_signal(word: &str, member: bool, set: &mut SignalSet) -> Option<()> {
    let named = |signal: &&Signal| {
        signal.name().is_some_and(|name| name == word || name.strip_prefix("SIG") == Some(word))
    };
    match word {
        "all" => *set = if member { SignalSet::ALL } else { SignalSet::NONE },
        "none" => *set = if member { SignalSet::NONE } else { SignalSet::ALL },
        _ => {
            let by_number =
                || number(word).filter(|number| (1..=64).contains(number)).map(|n| Signal(n as u8));
            set.put(Signal::ALL.iter().find(named).copied().or_else(by_number)?, member);
        }
    }
    Some(())
}

/// The canonical form: exceptions ascending, by name where all calls of that name are among them; `inherit` last; a line
/// end unless it is empty.
pub(super) fn text(sets: &Sets, part: Part, names: &[CallName]) -> String {
    let (others, mut words, inherit) = match part {
        Part::Entry => {
            let set = &sets.filter.entry;
            (set.has_others(), call_words(set, names), sets.inherit.entry)
        }
        Part::Exit => {
            let set = &sets.filter.exit;
            (set.has_others(), call_words(set, names), sets.inherit.exit)
        }
        Part::Signal => {
            let (others, words) = signal_words(sets.filter.signal);
            (others, words, sets.inherit.signal)
        }
    };
    if others {
        words.iter_mut().for_each(|word| word.insert(0, '!'));
    } else if words.is_empty() {
        words.push("none".into());
    }
    if inherit {
        words.push("inherit".into());
    }
    if words.is_empty() { String::new() } else { words.join(" ") + "\n" }
}

fn call_words(set: &CallSet, names: &[CallName]) -> Vec<String> {
    let listed = |abi, number| set.has(abi, number) != set.has_others();
    let mut words: Vec<String> = Vec::new();
    for (abi, number) in set.listed() {
        let name = names.iter().find(|call| (call.abi, call.number) == (abi, number)).map(|call| call.name);
        let whole = |name: &str| {
            names.iter().filter(|call| call.name == name).all(|call| listed(call.abi, call.number))
        };
        let word = match name.filter(|name| whole(name)) {
            Some(name) => name.into(),
            None if abi == 0 => number.to_string(),
            None => format!("{abi}:{number}"),
        };
        if abi == 0 || !words.contains(&word) {
            words.push(word);
        }
    }
    words
}

/// All but few, or few: whichever is shorter.
fn signal_words(set: SignalSet) -> (bool, Vec<String>) {
    let (inside, outside): (Vec<Signal>, Vec<Signal>) =
        (1..=64).map(Signal).partition(|signal| set.has(*signal));
    let others = outside.len() < inside.len();
    let word = |signal: Signal| signal.name().map_or_else(|| signal.0.to_string(), str::to_owned);
    (others, if others { outside } else { inside }.into_iter().map(word).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    const NAMES: [CallName; 5] = [
        CallName { abi: 0, number: 0, name: "read", groups: "d" },
        CallName { abi: 0, number: 2, name: "open", groups: "fd" },
        CallName { abi: 0, number: 9, name: "new", groups: "" },
        CallName { abi: 1, number: 3, name: "read", groups: "d" },
        CallName { abi: 1, number: 5, name: "open", groups: "fd" },
    ];

    fn again(words: &str) -> Option<String> {
        let mut sets = Sets::default();
        parse(words, &mut sets, Part::Entry, &NAMES)?;
        let canonical = text(&sets, Part::Entry, &NAMES);
        let mut same = Sets::default();
        parse(&canonical, &mut same, Part::Entry, &NAMES)?;
        assert_eq!(same, sets, "{words} -> {canonical}");
        Some(canonical)
    }

    #[test]
    fn texts_and_their_canonical_forms() {
        for (words, canonical) in [
            ("", ""),
            (" ,\n", ""),
            ("all", ""),
            ("!none", ""),
            ("none", "none\n"),
            ("!all", "none\n"),
            ("open,read", "read open\n"),
            ("0 2", "0 2\n"),
            ("0 1:3", "read\n"),
            ("1:3", "1:3\n"),
            ("7:77", "7:77\n"),
            ("new", "new\n"),
            ("@file", "open\n"),
            ("@desc !open", "read\n"),
            ("!read", "!read\n"),
            ("!@desc read", "!open\n"),
            ("read !read", "none\n"),
            ("!read all", ""),
            ("inherit", "inherit\n"),
            ("inherit none", "none inherit\n"),
            ("!open inherit", "!open inherit\n"),
        ] {
            assert_eq!(again(words).as_deref(), Some(canonical), "{words}");
        }
    }

    #[test]
    fn words_without_a_meaning() {
        for words in [
            "opne",
            "@fil",
            "-1",
            "+1",
            "0x1",
            "1:",
            ":1",
            "!!read",
            "!",
            "@",
            "!inherit",
            "99999999999999999999",
        ] {
            assert_eq!(again(words), None, "{words}");
        }
    }

    #[test]
    fn signals_by_name_and_number() {
        let mut sets = Sets::default();
        for (words, canonical) in
            [("", ""), ("INT SIGTERM 40", "SIGINT SIGTERM 40\n"), ("!CHLD", "!SIGCHLD\n"), ("none", "none\n")]
        {
            assert!(parse(words, &mut sets, Part::Signal, &NAMES).is_some());
            assert_eq!(text(&sets, Part::Signal, &NAMES), canonical);
        }
        for words in ["0", "65", "SIGSIGINT", "read", "1:2"] {
            assert!(parse(words, &mut sets, Part::Signal, &NAMES).is_none(), "{words}");
        }
    }
}
