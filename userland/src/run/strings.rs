//! [`Strings`]: memory that a thread was given for the paths of its calls, and what is written there already.
//!
//! The first paths of a program are written below its stack pointer, where they have to be read before and put back after
//! the call. A thread whose calls have many is worth a mapping of its own: nothing of the program's is touched then, and a
//! path that it names again is still there. The program can read it only; what is written comes from outside. It is sealed
//! (mseal(2)), so nothing else can come to be at its addresses, and when its thread has ended another one gets it.

use std::collections::HashMap;

use kernel_model::abi::Pid;

use super::rewrite::{Change, New};
use super::task::After;

/// Bytes of the mapping.
pub(super) const BYTES: u64 = 64 * 1024;
/// Most that is written for one call: two paths and the `open_how` of an openat2, each with its end.
const MOST: u64 = 3 * (4096 + 8);
/// So many changed calls come before it.
pub(super) const PATIENCE: u32 = 16;

/// The mapping.
pub(super) struct Strings {
    pub(super) at: u64,
    /// Nothing is written to it before.
    pub(super) sealed: bool,
    home: Home,
    used: u64,
    known: HashMap<Vec<u8>, u64>,
    /// What the program calls some of them.
    named: HashMap<Vec<u8>, u64>,
}

/// A program in a process: where mappings stay what they are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Home {
    pub(super) process: Pid,
    /// [`Task::serial`](super::task::Task) of its first thread, and how many programs that has had.
    pub(super) program: (u64, u32),
}

/// Where bytes are.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// They are there.
    Written(u64),
    /// They have to be written.
    Unwritten(u64),
}

impl Strings {
    pub(super) fn new(at: u64, home: Home) -> Strings {
        Strings { at, sealed: false, home, used: 0, known: HashMap::new(), named: HashMap::new() }
    }

    /// Whether this is the first thread of its process.
    pub(super) fn is_of(&self, thread: Pid) -> bool {
        self.home.process == thread
    }

    /// A place for bytes that stays theirs for this call at least. `None`: they do not fit.
    pub(super) fn place(&mut self, bytes: &[u8]) -> Option<Place> {
        if let Some(at) = self.known.get(bytes) {
            return Some(Place::Written(*at));
        }
        let size = (bytes.len() as u64).next_multiple_of(8);
        (size <= BYTES - self.used).then(|| Place::Unwritten(self.at + self.used))
    }

    /// What [`place`](Self::place) named has been written.
    pub(super) fn written(&mut self, bytes: Vec<u8>) {
        let at = self.at + self.used;
        self.used += (bytes.len() as u64).next_multiple_of(8);
        self.known.insert(bytes, at);
    }

    /// Where the translation of a virtual path is, if one was [named](Self::name).
    pub(super) fn named(&self, virt: &[u8]) -> Option<u64> {
        self.named.get(virt).copied()
    }

    /// What is at an address is the translation of this virtual path.
    pub(super) fn name(&mut self, virt: Vec<u8>, at: u64) {
        self.named.insert(virt, at);
    }

    /// Begins again, unless all that a call can need fits. Only before a call is planned for: the kernel has read what an
    /// earlier one named, and what this one finds [named](Self::named) stays.
    pub(super) fn make_room(&mut self) {
        if MOST > BYTES - self.used {
            self.used = 0;
            self.known.clear();
            self.named.clear();
        }
    }
}

/// Mappings whose threads have ended, and whether there shall be more.
#[derive(Default)]
pub(super) struct Pool {
    free: HashMap<Home, Vec<Strings>>,
    /// The kernel, or somebody's filter, does not let them be sealed.
    unsealable: bool,
}

impl Pool {
    /// One for a thread of this program.
    pub(super) fn take(&mut self, home: Home) -> Option<Strings> {
        self.free.get_mut(&home).and_then(Vec::pop)
    }

    /// What makes one, unless there shall be none.
    pub(super) fn more(&self) -> Option<Change> {
        (!self.unsealable).then(map)
    }

    /// Its thread has ended. If its program has as well, [`forget`](Self::forget) comes with the end of the process.
    pub(super) fn give(&mut self, strings: Strings) {
        if strings.sealed {
            self.free.entry(strings.home).or_default().push(strings);
        }
    }

    /// This process has ended, or has another program.
    pub(super) fn forget(&mut self, process: Pid) {
        self.free.retain(|home, _| home.process != process);
    }

    /// One could not be sealed.
    pub(super) fn refuse(&mut self) {
        self.unsealable = true;
    }
}

/// mmap of memory that only the kernel reads, in the place of a call.
fn map() -> Change {
    /// PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS.
    const ARGUMENTS: [u64; 6] = [0, BYTES, 1, 0x22, u64::MAX, 0];
    const MMAP: u64 = 9;
    in_place_of_a_call(MMAP, &ARGUMENTS, After::Mapped)
}

/// mseal of it, in the place of the same call.
pub(super) fn seal(at: u64) -> Change {
    const MSEAL: u64 = 462;
    in_place_of_a_call(MSEAL, &[at, BYTES, 0], After::Sealed)
}

/// Another call in the place of one that is made after it.
pub(super) fn in_place_of_a_call(number: u64, arguments: &[u64], after: After) -> Change {
    let arguments = arguments.iter().enumerate().map(|(index, value)| (index, New::Value(*value))).collect();
    Change { arguments, number: Some(number), after: Some(after), ..Change::default() }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOME: Home = Home { process: Pid(1), program: (7, 0) };

    #[test]
    fn what_was_written_is_found_until_there_is_no_room() {
        let mut strings = Strings::new(0x1000, HOME);
        assert_eq!(strings.place(b"/a"), Some(Place::Unwritten(0x1000)));
        strings.written(b"/a".to_vec());
        assert_eq!(strings.place(b"/a"), Some(Place::Written(0x1000)));
        assert_eq!(strings.place(b"/b"), Some(Place::Unwritten(0x1008)));
        // What is named goes with what it names, and not while all that a call needs fits.
        strings.name(b"/m/a".to_vec(), 0x1000);
        let large = vec![b'x'; (BYTES - MOST - 8) as usize];
        assert_eq!(strings.place(&large), Some(Place::Unwritten(0x1008)));
        strings.written(large);
        strings.make_room();
        assert_eq!(strings.named(b"/m/a"), Some(0x1000));
        assert_eq!(strings.place(&[b'y'; MOST as usize + 1]), None);
        assert_eq!(strings.place(b"/b"), Some(Place::Unwritten(0x1000 + BYTES - MOST)));
        strings.written(b"/b".to_vec());
        strings.make_room();
        assert_eq!(strings.named(b"/m/a"), None);
        assert_eq!(strings.place(b"/a"), Some(Place::Unwritten(0x1000)));
    }

    #[test]
    fn mappings_are_used_again_in_their_program_only() {
        let sealed = |at| Strings { sealed: true, ..Strings::new(at, HOME) };
        let mut pool = Pool::default();
        pool.give(sealed(0x1000));
        pool.give(Strings::new(0x2000, HOME));
        for other in [Home { process: Pid(2), ..HOME }, Home { program: (7, 1), ..HOME }] {
            assert!(pool.take(other).is_none());
        }
        assert_eq!(pool.take(HOME).map(|strings| strings.at), Some(0x1000));
        assert!(pool.take(HOME).is_none() && pool.more().is_some());
        pool.give(sealed(0x1000));
        pool.forget(Pid(1));
        pool.refuse();
        assert!(pool.take(HOME).is_none() && pool.more().is_none());
    }
}
