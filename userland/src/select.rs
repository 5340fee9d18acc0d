//! `-e trace=SET`: which calls are shown. [`Selection::parse`] reads the set, [`Selection::has`] answers per call.

use thiserror::Error;

use crate::tables::{Call, Calls, GROUPS, Table};

/// Why an expression is refused.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum BadExpression {
    /// `-e write=…` and the like.
    #[error(
        "`{0}=` is not supported; there are trace, signal, status, inject, fault, abbrev, raw, read, write, quiet"
    )]
    Qualifier(String),
    /// No call of this name, on any ABI.
    #[error("no system call is named `{name}`{}", near_miss(.near))]
    Call {
        /// What was given.
        name: String,
        /// What it may have meant.
        near: Option<String>,
    },
    /// No group of this name.
    #[error(
        "no group is named `%{0}`; the groups are %file, %desc, %process, %network, %signal, %memory, %creds, %clock, \
         %ipc, %stat, %lstat, %fstat, %%stat, %statfs, %fstatfs, %%statfs, %pure"
    )]
    Group(String),
    /// After a `/`.
    #[error("`{0}` is not a regular expression: {1}")]
    Pattern(String, String),
}

fn near_miss(near: &Option<String>) -> String {
    near.as_ref().map(|near| format!("; did you mean `{near}`?")).unwrap_or_default()
}

/// A set of calls.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Selection {
    /// By ABI, then number; `None`: all. Empty vectors select nothing.
    chosen: Option<Vec<Vec<bool>>>,
    /// What holds for numbers outside the tables.
    others: bool,
}

impl Selection {
    /// Every call.
    pub fn all() -> Selection {
        Selection { chosen: None, others: true }
    }

    /// No call.
    pub fn none() -> Selection {
        Selection { chosen: Some(Vec::new()), others: false }
    }

    /// `trace=SET` or `SET`: names, `%groups`, `/patterns`, numbers, `all`, `none`, each with `@64` or `@32` for one ABI, separated by commas; a leading `!` means all but these;
    /// `?name` is not an error if there is no such call.
    pub fn parse(expression: &str, calls: &Calls) -> Result<Selection, BadExpression> {
        let set = match expression.split_once('=') {
            Some(("trace" | "t", set)) => set,
            Some((qualifier, _)) => return Err(BadExpression::Qualifier(qualifier.to_owned())),
            None => expression,
        };
        let (negated, set) = match set.strip_prefix('!') {
            Some(rest) => (true, rest),
            None => (false, set),
        };
        let size = |table: &Table| table.numbers().last().map_or(0, |number| number + 1) as usize;
        let mut chosen: Vec<_> = calls.tables().iter().map(|table| vec![negated; size(table)]).collect();
        for word in set.split(',').filter(|word| !word.is_empty()) {
            mark(&mut chosen, calls, word, !negated)?;
        }
        if !negated && set == "all" {
            return Ok(Selection::all());
        }
        Ok(Selection { chosen: Some(chosen), others: negated && set != "all" })
    }

    /// The same without `trace=`: `-e inject=SET:…` names sets, too.
    pub fn of_set(set: &str, calls: &Calls) -> Result<Selection, BadExpression> {
        match set.split_once('=') {
            Some((qualifier, _)) => Err(BadExpression::Qualifier(qualifier.to_owned())),
            None => Selection::parse(set, calls),
        }
    }

    /// Whether the call is in the set.
    #[inline]
    pub fn has(&self, abi: u64, number: u64) -> bool {
        match &self.chosen {
            None => true,
            Some(chosen) => {
                let marks =
                    chosen.get(abi as usize).and_then(|marks| marks.get(usize::try_from(number).ok()?));
                marks.copied().unwrap_or(self.others)
            }
        }
    }

    /// Whether every call is in the set.
    pub fn is_all(&self) -> bool {
        self.chosen.is_none()
    }
}

/// Whether a call is meant.
type Wanted<'a> = Box<dyn Fn(&Call) -> bool + 'a>;

/// Groups that are lists of names.
const LISTS: &[(&str, &[&str])] = &[
    (
        "creds",
        &[
            "getuid",
            "getgid",
            "geteuid",
            "getegid",
            "setuid",
            "setgid",
            "setreuid",
            "setregid",
            "getgroups",
            "setgroups",
            "setresuid",
            "getresuid",
            "setresgid",
            "getresgid",
            "setfsuid",
            "setfsgid",
            "capget",
            "capset",
            "prctl",
        ],
    ),
    (
        "clock",
        &[
            "stime",
            "time",
            "gettimeofday",
            "settimeofday",
            "adjtimex",
            "clock_settime",
            "clock_gettime",
            "clock_getres",
            "clock_adjtime",
        ],
    ),
    (
        "ipc",
        &[
            "ipc",
            "shmget",
            "shmat",
            "shmctl",
            "shmdt",
            "semget",
            "semop",
            "semctl",
            "semtimedop",
            "msgget",
            "msgsnd",
            "msgrcv",
            "msgctl",
        ],
    ),
    ("stat", &["stat", "stat64", "oldstat"]),
    ("lstat", &["lstat", "lstat64", "oldlstat"]),
    ("fstat", &["fstat", "fstat64", "oldfstat", "fstatat64", "newfstatat"]),
    (
        "%stat",
        &[
            "stat",
            "stat64",
            "oldstat",
            "lstat",
            "lstat64",
            "oldlstat",
            "fstat",
            "fstat64",
            "oldfstat",
            "fstatat64",
            "newfstatat",
            "statx",
        ],
    ),
    ("statfs", &["statfs", "statfs64"]),
    ("fstatfs", &["fstatfs", "fstatfs64"]),
    ("%statfs", &["statfs", "statfs64", "fstatfs", "fstatfs64", "ustat"]),
    ("pure", &["getpid", "getppid", "gettid", "getuid", "getgid", "geteuid", "getegid", "getpgrp"]),
];

/// Some names of one call on the 32-bit ABI end with the width of an argument (uid) or of the time.
fn plain(name: &str) -> &str {
    let name = name.strip_suffix("_time64").unwrap_or(name);
    let name = name.strip_suffix("32").unwrap_or(name);
    if name.starts_with("clock_") { name.strip_suffix("64").unwrap_or(name) } else { name }
}

fn group_of(group: &str) -> Option<Wanted<'static>> {
    if let Some((_, letter)) = GROUPS.iter().find(|(name, _)| *name == group) {
        return Some(Box::new(move |call| call.groups.contains(*letter)));
    }
    let (_, names) = LISTS.iter().find(|(name, _)| *name == group)?;
    Some(Box::new(move |call| names.contains(&plain(call.name))))
}

fn mark(chosen: &mut [Vec<bool>], calls: &Calls, word: &str, value: bool) -> Result<(), BadExpression> {
    let (optional, word) = match word.strip_prefix('?') {
        Some(rest) => (true, rest),
        None => (false, word),
    };
    let (word, only) = match word.rsplit_once('@') {
        Some((word, "64")) => (word, Some(0)),
        Some((word, "32")) => (word, Some(1)),
        Some((_, "x32")) => return Ok(()), // an ABI that none of the machines has
        _ => (word, None),
    };
    let wanted: Wanted<'_> = match (word, word.strip_prefix('%')) {
        ("none", _) => return Ok(()),
        ("all", _) => Box::new(|_| true),
        (_, Some(group)) => group_of(group).ok_or_else(|| BadExpression::Group(group.to_owned()))?,
        (name, None) => match name.strip_prefix('/') {
            Some(pattern) => {
                let bad =
                    |error: regex_lite::Error| BadExpression::Pattern(pattern.to_owned(), error.to_string());
                let pattern = regex_lite::Regex::new(pattern).map_err(bad)?;
                Box::new(move |call| pattern.is_match(call.name))
            }
            // As strace has it, six groups may do without their sign.
            None => match GROUPS.iter().find(|(group, _)| *group == name) {
                Some((_, letter)) => Box::new(move |call| call.groups.contains(*letter)),
                None => match name.parse::<u64>() {
                    Ok(number) => Box::new(move |call| call.number == number),
                    Err(_) => Box::new(move |call| call.name == name),
                },
            },
        },
    };
    let mut found = false;
    let tables = chosen.iter_mut().zip(calls.tables()).enumerate();
    for (_, (marks, table)) in tables.filter(|(abi, _)| only.is_none_or(|only| only == *abi)) {
        for call in table.iter().filter(|call| wanted(call)) {
            marks[call.number as usize] = value;
            found = true;
        }
    }
    if found || optional { Ok(()) } else { Err(unknown_call(calls, word)) }
}

fn unknown_call(calls: &Calls, word: &str) -> BadExpression {
    let names = calls.tables().iter().flat_map(Table::iter).map(|call| call.name);
    let near = names
        .map(|name| (strsim::osa_distance(word, name), name))
        .min()
        .filter(|(distance, name)| *distance <= 1 + name.len() / 4)
        .map(|(_, name)| name.to_owned());
    BadExpression::Call { name: word.to_owned(), near }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(expression: &str) -> Result<Selection, BadExpression> {
        Selection::parse(expression, &Calls::linux())
    }

    #[test]
    fn names_groups_and_negation() {
        let open = parse("trace=openat,close").unwrap();
        assert!(open.has(0, 257) && open.has(0, 3) && !open.has(0, 0));
        assert!(
            open.has(1, 295) && open.has(1, 6) && !open.has(1, 3),
            "numbers of the 32-bit ABI are its own"
        );
        let but = parse("trace=!openat").unwrap();
        assert!(!but.has(0, 257) && but.has(0, 3) && but.has(0, 9999));
        let file = parse("%file").unwrap();
        assert!(file.has(0, 257) && file.has(0, 59) && !file.has(0, 0));
        assert!(!parse("trace=none").unwrap().has(0, 0));
        assert!(parse("trace=all").unwrap().is_all());
        assert!(parse("trace=!none").unwrap().has(0, 0));
        assert!(!parse("trace=!all").unwrap().has(0, 9999));
    }

    #[test]
    fn groups_by_name_patterns_and_groups_without_their_sign() {
        let set = |text: &str| parse(text).unwrap();
        assert_eq!(set("network"), set("%network"));
        assert!(set("%%stat").has(0, 4) && set("%%stat").has(0, 332) && !set("%stat").has(0, 332));
        assert!(set("%creds").has(0, 102) && set("%creds").has(1, 199), "getuid32");
        assert!(set("%clock").has(0, 228) && set("%clock").has(1, 403), "clock_gettime64");
        assert!(set("%ipc").has(0, 29) && set("%pure").has(0, 39) && set("%statfs").has(0, 137));
        let pattern = set("/^open");
        assert!(pattern.has(0, 2) && pattern.has(0, 257) && pattern.has(0, 437) && !pattern.has(0, 0));
        assert!(!set("!/^open").has(0, 2) && set("!/^open").has(0, 0));
        assert!(matches!(parse("/(").unwrap_err(), BadExpression::Pattern(..)));
        assert!(parse("/nothing").is_err());
    }

    #[test]
    fn numbers_and_single_abis() {
        let close = parse("3").unwrap();
        assert!(close.has(0, 3) && close.has(1, 3) && !close.has(0, 0));
        let wide = parse("close@64,%creds@32").unwrap();
        assert!(wide.has(0, 3) && !wide.has(1, 6) && wide.has(1, 199) && !wide.has(0, 102));
        assert!(!parse("close@x32").unwrap().has(0, 3));
        assert!(parse("close@31").is_err() && parse("99999").is_err());
    }

    #[test]
    fn a_bad_name_is_named_with_its_near_miss() {
        let text = |expression: &str| parse(expression).unwrap_err().to_string();
        assert_eq!(text("trace=opneat"), "no system call is named `opneat`; did you mean `openat`?");
        assert_eq!(text("trace=qqqqqqqqq"), "no system call is named `qqqqqqqqq`");
        assert!(text("trace=%flie").contains("%file"));
        assert!(text("verbose=1").contains("`verbose=`"));
        assert!(parse("trace=?opneat").is_ok());
    }
}
