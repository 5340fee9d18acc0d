//! [`Filter`]: which calls and signals, of those that a demand asks for, are wanted at all (RFC 0005).
//!
//! A set is "all but these" or "only these". That is closed under union, so a kernel can tell its machine what all its
//! parties want together, and it holds for numbers that nobody has thought of yet.

use std::cmp::Ordering;

use crate::abi::Signal;

/// System calls, each by the ABI and the number of [`crate::machine::Detail::Call`].
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct CallSet {
    /// Whether calls that are not listed are in it.
    others: bool,
    /// ABI and number of those for which the opposite holds, ascending. A list, since sets are copied and joined more often
    /// than changed.
    but: Vec<(u64, u64)>,
}

impl CallSet {
    /// Every call.
    pub const ALL: CallSet = CallSet { others: true, but: Vec::new() };
    /// No call.
    pub const NONE: CallSet = CallSet { others: false, but: Vec::new() };

    fn new(others: bool, calls: impl IntoIterator<Item = (u64, u64)>) -> CallSet {
        let mut but: Vec<_> = calls.into_iter().collect();
        but.sort_unstable();
        but.dedup();
        CallSet { others, but }
    }

    /// Only these: ABI and number of each.
    pub fn only(calls: impl IntoIterator<Item = (u64, u64)>) -> CallSet {
        CallSet::new(false, calls)
    }

    /// All but these.
    pub fn all_but(calls: impl IntoIterator<Item = (u64, u64)>) -> CallSet {
        CallSet::new(true, calls)
    }

    /// Whether no call is in it.
    #[inline]
    pub fn is_empty(&self) -> bool {
        !self.others && self.but.is_empty()
    }

    /// Whether a call is in it.
    #[inline]
    pub fn has(&self, abi: u64, number: u64) -> bool {
        self.others != (!self.but.is_empty() && self.but.binary_search(&(abi, number)).is_ok())
    }

    /// Whether calls that are not [`listed`](Self::listed) are in it.
    pub fn has_others(&self) -> bool {
        self.others
    }

    /// The exceptions, ascending: its members, or if it [has others](Self::has_others), what is not in it.
    pub fn listed(&self) -> impl Iterator<Item = (u64, u64)> + '_ {
        self.but.iter().copied()
    }

    /// Puts a call in or out.
    pub fn put(&mut self, abi: u64, number: u64, member: bool) {
        match (self.but.binary_search(&(abi, number)), member == self.others) {
            (Ok(at), true) => drop(self.but.remove(at)),
            (Err(at), false) => self.but.insert(at, (abi, number)),
            _ => {}
        }
    }

    /// What is in either.
    #[must_use]
    pub fn union(&self, other: &CallSet) -> CallSet {
        let (others, mut but) = (self.others || other.others, Vec::new());
        let mut keep = |call, in_self: bool, in_other: bool| {
            if (in_self || in_other) != others {
                but.push(call);
            }
        };
        // Both ascend: whichever call is less comes next, and stands in both lists if they begin with the same.
        let (mut ours, mut theirs) = (self.but.as_slice(), other.but.as_slice());
        loop {
            let order = match (ours.first(), theirs.first()) {
                (None, None) => return CallSet { others, but },
                (Some(a), Some(b)) => a.cmp(b),
                (Some(_), None) => Ordering::Less,
                (None, Some(_)) => Ordering::Greater,
            };
            let call = if order.is_le() { ours[0] } else { theirs[0] };
            keep(call, self.others != order.is_le(), other.others != order.is_ge());
            ours = &ours[usize::from(order.is_le())..];
            theirs = &theirs[usize::from(order.is_ge())..];
        }
    }

    /// Whether all that is in this is in `wider`.
    pub fn is_within(&self, wider: &CallSet) -> bool {
        match (self.others, wider.others) {
            (false, _) => self.but.iter().all(|&(abi, number)| wider.has(abi, number)),
            (true, true) => wider.but.iter().all(|call| self.but.binary_search(call).is_ok()),
            (true, false) => false,
        }
    }
}

/// Signals 1 to 64.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct SignalSet(u64);

impl SignalSet {
    /// Every signal.
    pub const ALL: SignalSet = SignalSet(u64::MAX);
    /// No signal.
    pub const NONE: SignalSet = SignalSet(0);

    fn bit(signal: Signal) -> u64 {
        u64::from(signal.0).checked_sub(1).and_then(|bit| 1u64.checked_shl(bit as u32)).unwrap_or(0)
    }

    /// Whether a signal is in it.
    pub fn has(self, signal: Signal) -> bool {
        self.0 & SignalSet::bit(signal) != 0
    }

    /// Puts a signal in or out.
    pub fn put(&mut self, signal: Signal, member: bool) {
        if member {
            self.0 |= SignalSet::bit(signal);
        } else {
            self.0 &= !SignalSet::bit(signal);
        }
    }

    /// What is in either.
    #[must_use]
    pub fn union(self, other: SignalSet) -> SignalSet {
        SignalSet(self.0 | other.0)
    }
}

/// What of the demanded stops is wanted.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Filter {
    /// Calls whose entry is.
    pub entry: CallSet,
    /// Calls whose exit is.
    pub exit: CallSet,
    /// Signals that are.
    pub signal: SignalSet,
}

impl Filter {
    /// Everything.
    pub const ALL: Filter = Filter { entry: CallSet::ALL, exit: CallSet::ALL, signal: SignalSet::ALL };
    /// Nothing.
    pub const NONE: Filter = Filter { entry: CallSet::NONE, exit: CallSet::NONE, signal: SignalSet::NONE };

    /// What either wants.
    #[must_use]
    pub fn union(&self, other: &Filter) -> Filter {
        Filter {
            entry: self.entry.union(&other.entry),
            exit: self.exit.union(&other.exit),
            signal: self.signal.union(other.signal),
        }
    }

    /// Calls of which anything is wanted.
    pub fn calls(&self) -> CallSet {
        self.entry.union(&self.exit)
    }
}

impl Default for Filter {
    fn default() -> Filter {
        Filter::ALL
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every set over four calls, in both forms.
    fn every() -> Vec<CallSet> {
        let calls = [(0, 1), (0, 2), (1, 1), (1, 7)];
        let subset = |bits: usize| calls.into_iter().enumerate().filter(move |(n, _)| bits >> n & 1 == 1);
        (0..16)
            .flat_map(|bits| {
                let members = || subset(bits).map(|(_, call)| call);
                [CallSet::only(members()), CallSet::all_but(members())]
            })
            .collect()
    }

    #[test]
    fn union_and_order_are_those_of_the_members() {
        let asked = [(0, 1), (0, 2), (1, 1), (1, 7), (0, 99), (7, 1)];
        for a in every() {
            for b in every() {
                let union = a.union(&b);
                for (abi, number) in asked {
                    assert_eq!(
                        union.has(abi, number),
                        a.has(abi, number) || b.has(abi, number),
                        "{a:?} {b:?}"
                    );
                }
                let within = asked.iter().all(|&(abi, number)| !a.has(abi, number) || b.has(abi, number));
                assert_eq!(a.is_within(&b), within, "{a:?} {b:?}");
            }
        }
    }

    #[test]
    fn put_is_the_last_word() {
        for mut set in every() {
            for member in [true, false, true] {
                set.put(0, 1, member);
                assert_eq!(set.has(0, 1), member);
            }
        }
        let mut signals = SignalSet::ALL;
        signals.put(Signal(64), false);
        signals.put(Signal(0), true);
        assert!(!signals.has(Signal(64)) && signals.has(Signal(1)) && !signals.has(Signal(0)));
    }
}
