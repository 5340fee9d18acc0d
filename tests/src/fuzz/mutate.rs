//! The engine for stable compilers: [`mutate`] makes inputs out of kept ones, the same for the same seed.

use fastrand::Rng;

/// Longer inputs only take time.
const LONGEST: usize = 4096;
/// Edges of everything that is a number.
const EDGES: [u64; 12] = [
    0,
    1,
    0x7f,
    0xff,
    0x7fff_ffff,
    0xffff_ffff,
    1 << 32,
    i64::MAX as u64,
    1 << 63,
    u64::MAX,
    u64::MAX - 1,
    0xfff,
];

/// A neighbour of one of `kept`.
pub fn mutate(rng: &mut Rng, kept: &[Vec<u8>], words: &[&str]) -> Vec<u8> {
    let mut input = rng.choice(kept).cloned().unwrap_or_default();
    for _ in 0..rng.usize(1..8) {
        change(rng, &mut input, kept, words);
    }
    input.truncate(LONGEST);
    input
}

fn change(rng: &mut Rng, input: &mut Vec<u8>, kept: &[Vec<u8>], words: &[&str]) {
    let at = rng.usize(0..=input.len());
    let end = (at + rng.usize(0..32)).min(input.len());
    match rng.u8(0..9) {
        0 if at < input.len() => input[at] ^= 1 << rng.u8(0..8),
        1 if at < input.len() => input[at] = rng.u8(..),
        2 => insert(input, at, &[rng.u8(..)]),
        3 => drop(input.drain(at..end)),
        4 => {
            let copy = input[at..end].to_vec();
            let to = rng.usize(0..=input.len());
            insert(input, to, &copy);
        }
        5 => {
            // Half of this one and half of another.
            let other = rng.choice(kept).cloned().unwrap_or_default();
            input.truncate(at);
            input.extend_from_slice(&other[rng.usize(0..=other.len())..]);
        }
        6 => {
            let edge = rng.choice(EDGES).unwrap_or(0).to_le_bytes();
            let size = 1 << rng.u8(0..4);
            for (place, byte) in input[at..].iter_mut().zip(&edge[..size]) {
                *place = *byte;
            }
        }
        _ => match rng.choice(words) {
            Some(word) => insert(input, at, word.as_bytes()),
            None => insert(input, at, &rng.u64(..).to_le_bytes()[..rng.usize(0..=8)]),
        },
    }
}

fn insert(input: &mut Vec<u8>, at: usize, bytes: &[u8]) {
    input.splice(at..at, bytes.iter().copied());
}
