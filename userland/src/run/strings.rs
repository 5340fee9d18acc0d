//! [`Strings`]: memory that a thread was given for the paths of its calls, and what is written there already.
//!
//! The first paths of a program are written below its stack pointer, where they have to be read before and put back after
//! the call. A thread whose calls have many is worth a mapping of its own: nothing of the program's is touched then, and a
//! path that it names again is still there. The program can read it only; what is written comes from outside.

use std::collections::HashMap;

/// Bytes of the mapping.
pub(super) const BYTES: u64 = 64 * 1024;
/// So many changed calls come before it.
pub(super) const PATIENCE: u32 = 16;

/// The mapping.
pub(super) struct Strings {
    at: u64,
    used: u64,
    known: HashMap<Vec<u8>, u64>,
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
    pub(super) fn new(at: u64) -> Strings {
        Strings { at, used: 0, known: HashMap::new() }
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

    /// Begins again, if all that a call needs does not fit any more. Only between calls: the kernel has read what an earlier one
    /// named.
    pub(super) fn make_room(&mut self, size: u64) {
        if size > BYTES - self.used {
            self.used = 0;
            self.known.clear();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_written_is_found_until_there_is_no_room() {
        let mut strings = Strings::new(0x1000);
        assert_eq!(strings.place(b"/a"), Some(Place::Unwritten(0x1000)));
        strings.written(b"/a".to_vec());
        assert_eq!(strings.place(b"/a"), Some(Place::Written(0x1000)));
        assert_eq!(strings.place(b"/b"), Some(Place::Unwritten(0x1008)));
        let large = vec![b'x'; BYTES as usize - 8];
        assert_eq!(strings.place(&large), Some(Place::Unwritten(0x1008)));
        strings.written(large.clone());
        assert_eq!(strings.place(b"/b"), None);
        strings.make_room(8);
        assert_eq!(strings.place(b"/b"), Some(Place::Unwritten(0x1000)));
        assert_eq!(strings.place(b"/a"), Some(Place::Unwritten(0x1000)));
        assert_eq!(strings.place(&[large, vec![0; 9]].concat()), None);
    }
}
