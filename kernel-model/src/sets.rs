//! [`Filter`]: which calls and signals, of those that a demand asks for, are wanted at all (RFC 0005).
//!
//! A set is "all but these" or "only these". That is closed under union, so a kernel can tell its machine what all its
//! parties want together, and it holds for numbers that nobody has thought of yet.

use std::cmp::Ordering;

use crate::abi::Signal;

/// ABIs whose calls are bits.
const ABIS: usize = 2;
/// Words of bits for each.
const WORDS: usize = 8;

/// System calls, each by the ABI and the number of [`crate::machine::Detail::Call`].
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct CallSet {
    /// Whether calls that are listed nowhere are in it.
    others: bool,
    /// The calls that there are, a bit each, since membership is asked at every stop: those below 512 of the first ABIs.
    common: [[u64; WORDS]; ABIS],
    /// ABI and number of any others for which the opposite of `others` holds, ascending.
    but: Vec<(u64, u64)>,
}

impl CallSet {
    /// Every call.
    pub const ALL: CallSet = CallSet { others: true, common: [[u64::MAX; WORDS]; ABIS], but: Vec::new() };
    /// No call.
    pub const NONE: CallSet = CallSet { others: false, common: [[0; WORDS]; ABIS], but: Vec::new() };

    /// Only these: ABI and number of each.
    pub fn only(calls: impl IntoIterator<Item = (u64, u64)>) -> CallSet {
        let mut set = CallSet::NONE;
        calls.into_iter().for_each(|(abi, number)| set.put(abi, number, true));
        set
    }

    /// All but these.
    pub fn all_but(calls: impl IntoIterator<Item = (u64, u64)>) -> CallSet {
        let mut set = CallSet::ALL;
        calls.into_iter().for_each(|(abi, number)| set.put(abi, number, false));
        set
    }

    /// Whether no call is in it.
    pub fn is_empty(&self) -> bool {
        *self == CallSet::NONE
    }

    /// Whether a call is in it.
    #[inline]
    pub fn has(&self, abi: u64, number: u64) -> bool {
        match self.common.get(abi as usize).and_then(|words| words.get((number / 64) as usize)) {
            Some(word) => word >> (number % 64) & 1 == 1,
            None => self.others != self.but.binary_search(&(abi, number)).is_ok(),
        }
    }

    /// Whether calls that are not [`listed`](Self::listed) are in it.
    pub fn has_others(&self) -> bool {
        self.others
    }

    /// The exceptions, ascending: its members, or if it [has others](Self::has_others), what is not in it.
    pub fn listed(&self) -> impl Iterator<Item = (u64, u64)> + '_ {
        let bits = |abi: usize| {
            (0..64 * WORDS as u64)
                .map(move |number| (abi as u64, number))
                .filter(|&(abi, number)| self.has(abi, number) != self.others)
        };
        // Those of an ABI that are no bits have higher numbers than those that are.
        let second = self.but.partition_point(|&(abi, _)| abi < 1);
        let (first, rest) = self.but.split_at(second);
        bits(0).chain(first.iter().copied()).chain(bits(1)).chain(rest.iter().copied())
    }

    /// Puts a call in or out.
    pub fn put(&mut self, abi: u64, number: u64, member: bool) {
        if let Some(word) =
            self.common.get_mut(abi as usize).and_then(|words| words.get_mut((number / 64) as usize))
        {
            *word = *word & !(1 << (number % 64)) | u64::from(member) << (number % 64);
            return;
        }
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
        let mut common = self.common;
        for (word, more) in common.as_flattened_mut().iter_mut().zip(other.common.as_flattened()) {
            *word |= more;
        }
        let mut keep = |call, in_self: bool, in_other: bool| {
            if (in_self || in_other) != others {
                but.push(call);
            }
        };
        // Both ascend: whichever call is less comes next, and stands in both lists if they begin with the same.
        let (mut ours, mut theirs) = (self.but.as_slice(), other.but.as_slice());
        loop {
            let order = match (ours.first(), theirs.first()) {
                (None, None) => return CallSet { others, common, but },
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
        let mut words = self.common.as_flattened().iter().zip(wider.common.as_flattened());
        words.all(|(word, wider)| word & !wider == 0)
            && match (self.others, wider.others) {
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
        let calls = [(0, 1), (0, 600), (1, 1), (7, 7)];
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
        let asked = [(0, 1), (0, 600), (1, 1), (7, 7), (0, 99), (0, 601), (1, 511), (7, 1)];
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
    fn a_set_is_its_exceptions_in_order() {
        for set in every() {
            let listed: Vec<_> = set.listed().collect();
            assert!(listed.is_sorted(), "{listed:?}");
            let again = if set.has_others() { CallSet::all_but(listed) } else { CallSet::only(listed) };
            assert_eq!(again, set);
            assert_eq!(set.is_empty(), set.listed().next().is_none() && !set.has_others());
        }
    }

    #[test]
    fn put_is_the_last_word() {
        for mut set in every() {
            for (abi, number) in [(0, 1), (0, 511), (0, 512), (1, 600), (2, 1), (u64::MAX, u64::MAX)] {
                for member in [true, false, true] {
                    set.put(abi, number, member);
                    assert_eq!(set.has(abi, number), member);
                }
            }
        }
        let mut signals = SignalSet::ALL;
        signals.put(Signal(64), false);
        signals.put(Signal(0), true);
        assert!(!signals.has(Signal(64)) && signals.has(Signal(1)) && !signals.has(Signal(0)));
    }
}
