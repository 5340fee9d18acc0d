//! Arithmetic, the flags it leaves, and the jumps that read them.

use crate::abi::Signal;

use super::cpu::Cpu;

pub(super) const CARRY: u64 = 1 << 0;
const PARITY: u64 = 1 << 2;
const ADJUST: u64 = 1 << 4;
const ZERO: u64 = 1 << 6;
const SIGN: u64 = 1 << 7;
const OVERFLOW: u64 = 1 << 11;
/// What arithmetic changes.
const STATUS: u64 = CARRY | PARITY | ADJUST | ZERO | SIGN | OVERFLOW;
/// A debug trap follows each instruction that is begun with it.
pub(super) const TRAP: u64 = 1 << 8;
/// What a program, or a tracer, may change: the above, and the direction flag.
pub(super) const CHANGEABLE: u64 = STATUS | TRAP | 1 << 10;
/// Always set: interrupts on, and a bit that is always 1.
pub(super) const FIXED: u64 = 1 << 9 | 1 << 1;
/// Not a digit of the hardware: `and` that keeps only the flags.
pub(super) const TEST: u8 = 8;

impl Cpu {
    /// `register = register op value`, by the digit of the operation in machine code.
    pub(super) fn arithmetic(&mut self, digit: u8, register: u8, value: u64) {
        let left = self.get(register);
        let (result, carry, overflow) = match digit {
            0 => (
                left.wrapping_add(value),
                left.checked_add(value).is_none(),
                (left as i64).checked_add(value as i64).is_none(),
            ),
            5 | 7 => {
                (left.wrapping_sub(value), left < value, (left as i64).checked_sub(value as i64).is_none())
            }
            1 => (left | value, false, false),
            6 => (left ^ value, false, false),
            _ => (left & value, false, false),
        };
        let adjust = matches!(digit, 0 | 5 | 7) && (left ^ value ^ result) & 0x10 != 0;
        if digit != 7 && digit != TEST {
            self.set(register, result);
        }
        let mut flags = 0;
        for (set, flag) in [
            (carry, CARRY),
            ((result as u8).count_ones().is_multiple_of(2), PARITY),
            (adjust, ADJUST),
            (result == 0, ZERO),
            (result >> 63 == 1, SIGN),
            (overflow, OVERFLOW),
        ] {
            if set {
                flags |= flag;
            }
        }
        self.int.rflags = self.int.rflags & !STATUS | flags;
    }

    /// A jump's condition; the lowest bit negates.
    pub(super) fn holds(&self, condition: u8) -> Result<bool, Signal> {
        let flag = |flag| self.int.rflags & flag != 0;
        let less = flag(SIGN) != flag(OVERFLOW);
        let truth = match condition >> 1 {
            1 => flag(CARRY),
            2 => flag(ZERO),
            3 => flag(CARRY) || flag(ZERO),
            4 => flag(SIGN),
            6 => less,
            7 => less || flag(ZERO),
            _ => return Err(Signal::ILL),
        };
        Ok(truth != (condition & 1 == 1))
    }
}
