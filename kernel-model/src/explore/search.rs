//! [`explore`]: all worlds, breadth first. What is kept of a world that was gone through is its digest and how it came to be.

use std::collections::{HashSet, VecDeque};
use std::hash::{BuildHasherDefault, Hasher};

use super::{Move, Setup, Violation, World};

/// How far a search is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Progress {
    /// Worlds seen, each once.
    pub states: usize,
    /// Moves made.
    pub moves: usize,
    /// Worlds that were seen and not gone through.
    pub waiting: usize,
    /// Moves from the beginning to the latest of them.
    pub depth: usize,
}

/// What a search found.
#[derive(Clone, Debug)]
pub struct Found {
    /// How far it came.
    pub progress: Progress,
    /// Whether that is all there is.
    pub exhausted: bool,
    /// The first rule that did not hold, and a shortest way to it.
    pub violation: Option<(Violation, Vec<Move>)>,
}

/// A digest needs no hashing.
#[derive(Default)]
struct Digests(u64);

impl Hasher for Digests {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, _: &[u8]) {
        unreachable!("digests are u64");
    }

    fn write_u64(&mut self, digest: u64) {
        self.0 = digest;
    }
}

/// Calls of `tell` come every so many worlds.
const OFTEN: usize = 1024;

/// Goes through all worlds of a setup, as many as `most`, or until `tell` says no.
pub fn explore(setup: &Setup, most: usize, mut tell: impl FnMut(&Progress) -> bool) -> Found {
    let first = World::new(setup);
    let mut seen: HashSet<u64, BuildHasherDefault<Digests>> = HashSet::default();
    seen.insert(first.digest());
    // How each world came to be: from which, by what.
    let mut ways: Vec<(u32, Move)> = vec![(0, Move::Report)];
    let mut waiting = VecDeque::from([(0_u32, 0_usize, first)]);
    let mut progress = Progress { states: 1, ..Progress::default() };
    let found = |progress, exhausted, violation| Found { progress, exhausted, violation };
    while let Some((index, depth, world)) = waiting.pop_front() {
        progress.depth = depth;
        let moves = world.moves(setup);
        if moves.is_empty()
            && let Err(violation) = world.check_end(setup)
        {
            return found(progress, false, Some((violation, way(&ways, index, None))));
        }
        for chosen in moves {
            let mut next = world.clone();
            progress.moves += 1;
            if let Err(violation) = next.make(setup, chosen, &mut Vec::new()) {
                return found(progress, false, Some((violation, way(&ways, index, Some(chosen)))));
            }
            if seen.insert(next.digest()) {
                let place = ways.len() as u32;
                ways.push((index, chosen));
                waiting.push_back((place, depth + 1, next));
                progress.states += 1;
                progress.waiting = waiting.len();
                if progress.states.is_multiple_of(OFTEN) && !tell(&progress) {
                    return found(progress, false, None);
                }
            }
        }
        progress.waiting = waiting.len();
        if progress.states >= most && !waiting.is_empty() {
            return found(progress, false, None);
        }
    }
    found(progress, true, None)
}

/// The moves from the beginning to a world, and one more.
fn way(ways: &[(u32, Move)], mut index: u32, last: Option<Move>) -> Vec<Move> {
    let mut moves: Vec<Move> = last.into_iter().collect();
    while index != 0 {
        let (before, chosen) = ways[index as usize];
        moves.push(chosen);
        index = before;
    }
    moves.reverse();
    moves
}
