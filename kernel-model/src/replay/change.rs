//! Bytes of what was made of a call: which registers, one bit each, and their new values.

use super::entry::{Answer, Ask, SET_CALL, put_result, take_result};
use super::wire::{Put, Take};
use crate::machine::{CallChange, Result};

/// The arguments, then the register of number and result.
const PLACES: usize = 7;
/// Of the mask: the arguments are lent.
const LENT: u64 = 1 << PLACES;

pub(super) fn put_change(out: &mut Vec<u8>, change: &CallChange, answer: &Result<Answer>) -> u8 {
    let lent = if change.lent { LENT } else { 0 };
    out.put(change.each().fold(lent, |mask, (place, _)| mask | 1 << place));
    change.each().for_each(|(_, value)| out.put(value));
    put_result(out, answer, |_, _| {});
    SET_CALL
}

pub(super) fn take_change(take: &mut Take<'_>) -> Option<(Ask, Result<Answer>)> {
    let mask = take.number()?;
    if mask >= LENT << 1 {
        return None;
    }
    let mut change = CallChange { lent: mask & LENT != 0, ..CallChange::default() };
    for place in (0..PLACES).filter(|place| mask >> place & 1 == 1) {
        *change.args.get_mut(place).unwrap_or(&mut change.register) = Some(take.number()?);
    }
    Some((Ask::SetCall(Box::new(change)), take_result(take, |_| Some(Answer::Done))?))
}
