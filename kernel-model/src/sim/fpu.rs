//! The three x87 instructions of the language: load, square root, store and pop.
//!
//! Exact, with the 64-bit mantissas of the hardware, in integers: a float register compared across machines must be
//! equal to the last bit. What is unusual (denormals, infinities, not-a-number) becomes the hardware's "indefinite".

use crate::abi::FloatRegisters;

/// Quiet not-a-number with the sign set, which the hardware makes of invalid operations.
const INDEFINITE: (u16, u64) = (0xffff, 0xc000_0000_0000_0000);
const BIAS: i32 = 16383;

/// As after a program starts: exceptions masked, 64-bit precision, empty stack.
pub(super) fn initial() -> FloatRegisters {
    FloatRegisters { fcw: 0x37f, mxcsr: 0x1f80, mxcsr_mask: 0xffff, ..FloatRegisters::default() }
}

fn top(registers: &FloatRegisters) -> u16 {
    registers.fsw >> 11 & 7
}

fn set_top(registers: &mut FloatRegisters, top: u16) {
    registers.fsw = registers.fsw & !(7 << 11) | (top & 7) << 11;
}

fn get(registers: &FloatRegisters) -> (u16, u64) {
    let st = registers.st[0];
    let mut mantissa = [0; 8];
    mantissa.copy_from_slice(&st[..8]);
    (u16::from_le_bytes([st[8], st[9]]), u64::from_le_bytes(mantissa))
}

fn set(registers: &mut FloatRegisters, (head, mantissa): (u16, u64)) {
    registers.st[0] = [0; 16];
    registers.st[0][..8].copy_from_slice(&mantissa.to_le_bytes());
    registers.st[0][8..10].copy_from_slice(&head.to_le_bytes());
}

/// `fld qword`: pushes a double.
pub(super) fn load(registers: &mut FloatRegisters, bits: u64) {
    let new_top = top(registers).wrapping_sub(1) & 7;
    set_top(registers, new_top);
    registers.ftw |= 1 << new_top;
    registers.st.rotate_right(1);
    let sign = (bits >> 63 << 15) as u16;
    let fraction = bits & ((1 << 52) - 1);
    set(
        registers,
        match (bits >> 52 & 0x7ff) as i32 {
            0 if fraction == 0 => (sign, 0),
            0 | 0x7ff => INDEFINITE,
            exponent => (sign | (exponent - 1023 + BIAS) as u16, 1 << 63 | fraction << 11),
        },
    );
}

/// `fsqrt`: replaces the top of the stack.
pub(super) fn square_root(registers: &mut FloatRegisters) {
    let (head, mantissa) = get(registers);
    if mantissa == 0 {
        return;
    }
    if head & 0x8000 != 0 {
        return set(registers, INDEFINITE);
    }
    let exponent = i32::from(head) - BIAS;
    // mantissa × 2^(exponent−63) is a square of something with 64 bits once it has 127 or 128 of them.
    let square = u128::from(mantissa) << if exponent % 2 == 0 { 63 } else { 64 };
    let root = square.isqrt();
    let rounded = root + u128::from(square - root * root > root);
    set(registers, ((exponent.div_euclid(2) + BIAS) as u16, rounded as u64));
}

/// `fstp qword`: pops, rounding to a double.
pub(super) fn pop(registers: &mut FloatRegisters) -> u64 {
    let (head, mantissa) = get(registers);
    let old_top = top(registers);
    registers.ftw &= !(1 << old_top);
    set_top(registers, old_top + 1);
    registers.st.rotate_left(1);
    let sign = u64::from(head >> 15) << 63;
    let exponent = i32::from(head & 0x7fff) - BIAS + 1023;
    if mantissa == 0 {
        return sign;
    }
    if !(1..0x7fe).contains(&exponent) {
        return 0xfff8_0000_0000_0000;
    }
    let (kept, lost) = (mantissa >> 11, mantissa & 0x7ff);
    let up = lost > 0x400 || (lost == 0x400 && kept & 1 == 1);
    // Without the leading 1, and with room for the carry into the exponent.
    sign | (((exponent as u64) << 52) + (kept - (1 << 52)) + u64::from(up))
}
