//! The names of calls, for the kernel above: `calls.tsv`, which `gen/calls.sh` made.

use std::sync::LazyLock;

use kernel_model::machine::CallName;

/// Both ABIs, each by number.
pub(crate) static NAMES: LazyLock<Vec<CallName>> = LazyLock::new(|| {
    let lines = include_str!("calls.tsv").lines().filter(|line| !line.starts_with('#'));
    lines.filter_map(call).collect()
});

fn call(line: &'static str) -> Option<CallName> {
    let mut words = line.split('\t');
    let mut next = || words.next();
    Some(CallName {
        abi: next()?.parse().ok()?,
        number: next()?.parse().ok()?,
        name: next()?,
        groups: next().unwrap_or_default(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_line_is_a_call() {
        let lines = include_str!("calls.tsv").lines().filter(|line| !line.starts_with('#')).count();
        assert_eq!(NAMES.len(), lines);
        let of = |abi, name| NAMES.iter().find(|call| (call.abi, call.name) == (abi, name)).map(|c| c.number);
        assert_eq!((of(0, "openat"), of(1, "openat")), (Some(257), Some(295)));
        let known = |letter| CallName::GROUPS.iter().any(|(_, known)| *known == letter);
        assert!(NAMES.iter().all(|call| call.groups.chars().all(known)));
    }
}
