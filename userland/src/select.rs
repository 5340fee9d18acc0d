//! `-e trace=SET`: which calls are shown. [`Selection::parse`] reads the set, [`Selection::has`] answers per call.

use thiserror::Error;

use crate::tables::{Call, Calls, GROUPS, Table};

/// Why an expression is refused.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum BadExpression {
    /// `-e write=…` and the like.
    #[error("`{0}=` is not supported; there are trace, signal, status, inject, fault")]
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
    #[error("no group is named `%{0}`; the groups are %file, %desc, %process, %network, %signal, %memory")]
    Group(String),
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

    /// `trace=SET` or `SET`: names, `%groups`, `all`, `none`, separated by commas; a leading `!` means all but these;
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
        let size = |table: &Table| table.iter().last().map_or(0, |call| call.number + 1) as usize;
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

fn mark(chosen: &mut [Vec<bool>], calls: &Calls, word: &str, value: bool) -> Result<(), BadExpression> {
    let (optional, word) = match word.strip_prefix('?') {
        Some(rest) => (true, rest),
        None => (false, word),
    };
    let wanted: Box<dyn Fn(&Call) -> bool> = match (word, word.strip_prefix('%')) {
        ("none", _) => return Ok(()),
        ("all", _) => Box::new(|_| true),
        (_, Some(group)) => {
            let letter = GROUPS.iter().find(|(name, _)| *name == group).map(|(_, letter)| *letter);
            match letter {
                Some(letter) => Box::new(move |call| call.groups.contains(letter)),
                None => return Err(BadExpression::Group(group.to_owned())),
            }
        }
        (name, None) => Box::new(move |call| call.name == name),
    };
    let mut found = false;
    for (marks, table) in chosen.iter_mut().zip(calls.tables()) {
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
    fn a_bad_name_is_named_with_its_near_miss() {
        let text = |expression: &str| parse(expression).unwrap_err().to_string();
        assert_eq!(text("trace=opneat"), "no system call is named `opneat`; did you mean `openat`?");
        assert_eq!(text("trace=qqqqqqqqq"), "no system call is named `qqqqqqqqq`");
        assert!(text("trace=%flie").contains("%file"));
        assert!(text("write=1").contains("`write=`"));
        assert!(parse("trace=?opneat").is_ok());
    }
}
