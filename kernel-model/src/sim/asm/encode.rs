//! One instruction to its bytes. Every form here is one that [`crate::sim`]'s processor runs, and no other is.
//!
//! Where x86-64 has several encodings for the same thing, one is chosen for ever: the length of an instruction is part
//! of the language. Immediates of arithmetic are always 32 bits wide, jumps always have 32-bit distances.

use super::parse::{Expr, Instruction, Operand};
use super::{Result, Scope, error};

/// Opcode of `op r/m64, r64`, and the digit of `op r/m64, imm32`.
const ARITHMETIC: [(&str, u8, u8); 6] = [
    ("add", 0x01, 0),
    ("or", 0x09, 1),
    ("and", 0x21, 4),
    ("sub", 0x29, 5),
    ("xor", 0x31, 6),
    ("cmp", 0x39, 7),
];

/// Second opcode byte of the conditional jumps.
const JUMPS: [(&str, u8); 12] = [
    ("jb", 0x82),
    ("jae", 0x83),
    ("je", 0x84),
    ("jne", 0x85),
    ("jbe", 0x86),
    ("ja", 0x87),
    ("js", 0x88),
    ("jns", 0x89),
    ("jl", 0x8c),
    ("jge", 0x8d),
    ("jle", 0x8e),
    ("jg", 0x8f),
];

/// Instructions without operands.
const PLAIN: [(&str, &[u8]); 6] = [
    ("ret", &[0xc3]),
    ("nop", &[0x90]),
    ("syscall", &[0x0f, 0x05]),
    ("int3", &[0xcc]),
    ("ud2", &[0x0f, 0x0b]),
    ("fsqrt", &[0xd9, 0xfa]),
];

/// Encodes one instruction that will be at `here`.
pub(super) fn instruction(instruction: &Instruction, here: u64, scope: &Scope<'_>) -> Result<Vec<u8>> {
    let mnemonic = instruction.mnemonic.as_str();
    if instruction.operands.is_empty()
        && let Some((_, bytes)) = PLAIN.iter().find(|(name, _)| *name == mnemonic)
    {
        return Ok(bytes.to_vec());
    }
    let coder = Coder { here, scope };
    use Operand::{Memory, Register, Value};
    match (mnemonic, &instruction.operands[..]) {
        ("mov", [Register(to), Value(value)]) => coder.load(*to, value),
        ("mov", [Register(to), Register(from)]) => Ok(registers(0x89, *from, *to)),
        ("mov", [Register(to), Memory { base, offset }]) => coder.memory(&[0x8b], true, *to, *base, offset),
        ("mov", [Memory { base, offset }, Register(from)]) => {
            coder.memory(&[0x89], true, *from, *base, offset)
        }
        ("lea", [Register(to), Memory { base, offset }]) => coder.memory(&[0x8d], true, *to, *base, offset),
        ("test", [Register(left), Register(right)]) => Ok(registers(0x85, *right, *left)),
        ("test", [Register(left), Value(value)]) => coder.immediate(0xf7, 0, *left, value),
        ("inc", [Register(register)]) => Ok(digit(0xff, 0, *register)),
        ("dec", [Register(register)]) => Ok(digit(0xff, 1, *register)),
        ("push", [Register(register)]) => Ok(short(0x50, *register)),
        ("pop", [Register(register)]) => Ok(short(0x58, *register)),
        ("jmp", [Value(target)]) => coder.relative(&[0xe9], target),
        ("call", [Value(target)]) => coder.relative(&[0xe8], target),
        ("fld", [Memory { base: Some(base), offset }]) => {
            coder.memory(&[0xdd], false, 0, Some(*base), offset)
        }
        ("fstp", [Memory { base: Some(base), offset }]) => {
            coder.memory(&[0xdd], false, 3, Some(*base), offset)
        }
        (_, [Register(left), right]) => match (ARITHMETIC.iter().find(|(name, ..)| *name == mnemonic), right)
        {
            (Some((_, opcode, _)), Register(right)) => Ok(registers(*opcode, *right, *left)),
            (Some((_, _, digit)), Value(value)) => coder.immediate(0x81, *digit, *left, value),
            _ => coder.refuse(mnemonic),
        },
        (_, [Value(target)]) => match JUMPS.iter().find(|(name, _)| *name == mnemonic) {
            Some((_, opcode)) => coder.relative(&[0x0f, *opcode], target),
            None => coder.refuse(mnemonic),
        },
        _ => coder.refuse(mnemonic),
    }
}

/// The prefix for 64-bit operands (`wide`) and for registers 8 to 15 in the two fields of the byte that follows.
fn rex(wide: bool, reg: u8, rm: u8) -> u8 {
    0x40 | u8::from(wide) << 3 | (reg >> 3) << 2 | rm >> 3
}

fn registers(opcode: u8, reg: u8, rm: u8) -> Vec<u8> {
    vec![rex(true, reg, rm), opcode, 0xc0 | (reg & 7) << 3 | rm & 7]
}

fn digit(opcode: u8, digit: u8, rm: u8) -> Vec<u8> {
    registers(opcode, digit, rm)
}

/// The register in the opcode itself, 64 bits wide without a prefix.
fn short(opcode: u8, register: u8) -> Vec<u8> {
    let mut out = if register < 8 { Vec::new() } else { vec![0x41] };
    out.push(opcode | register & 7);
    out
}

struct Coder<'a> {
    here: u64,
    scope: &'a Scope<'a>,
}

impl Coder<'_> {
    fn refuse(&self, mnemonic: &str) -> Result<Vec<u8>> {
        let known = ["mov", "lea", "test", "inc", "dec", "push", "pop", "jmp", "call", "fld", "fstp"]
            .contains(&mnemonic)
            || ARITHMETIC.iter().any(|(name, ..)| *name == mnemonic)
            || JUMPS.iter().any(|(name, _)| *name == mnemonic)
            || PLAIN.iter().any(|(name, _)| *name == mnemonic);
        if known {
            error(self.scope.line, format!("'{mnemonic}' does not take these operands"))
        } else {
            error(self.scope.line, format!("unknown instruction '{mnemonic}'"))
        }
    }

    fn narrow(&self, value: i64) -> Result<[u8; 4]> {
        match i32::try_from(value) {
            Ok(value) => Ok(value.to_le_bytes()),
            Err(_) => error(self.scope.line, format!("{value:#x} does not fit 32 bits")),
        }
    }

    /// 32 bits, sign-extended, for names and for numbers that fit; 64 bits for other numbers.
    fn load(&self, to: u8, value: &Expr) -> Result<Vec<u8>> {
        let number = self.scope.value(value)?;
        if value.is_number() && i32::try_from(number).is_err() {
            let mut out = vec![rex(true, 0, to), 0xb8 | to & 7];
            out.extend(number.to_le_bytes());
            return Ok(out);
        }
        self.immediate(0xc7, 0, to, value)
    }

    fn immediate(&self, opcode: u8, digit: u8, rm: u8, value: &Expr) -> Result<Vec<u8>> {
        let mut out = registers(opcode, digit, rm);
        out.extend(self.narrow(self.scope.value(value)?)?);
        Ok(out)
    }

    fn relative(&self, opcode: &[u8], target: &Expr) -> Result<Vec<u8>> {
        let mut out = opcode.to_vec();
        let next = self.here + out.len() as u64 + 4;
        out.extend(self.narrow(self.scope.value(target)?.wrapping_sub(next as i64))?);
        Ok(out)
    }

    /// `[base + offset]`, or `[offset]` relative to the next instruction.
    fn memory(&self, opcode: &[u8], wide: bool, reg: u8, base: Option<u8>, offset: &Expr) -> Result<Vec<u8>> {
        let value = self.scope.value(offset)?;
        let prefix = rex(wide, reg, base.unwrap_or(0));
        let mut out = if prefix == 0x40 { Vec::new() } else { vec![prefix] };
        out.extend(opcode);
        let reg = (reg & 7) << 3;
        let Some(base) = base else {
            out.push(reg | 5);
            let next = self.here + out.len() as u64 + 4;
            out.extend(self.narrow(value.wrapping_sub(next as i64))?);
            return Ok(out);
        };
        // With mode 0, base 5 would mean "relative to the program counter"; base 4 always needs a second byte.
        let mode = match i8::try_from(value) {
            _ if !offset.is_number() => 2,
            Ok(0) if base & 7 != 5 => 0,
            Ok(_) => 1,
            Err(_) => 2,
        };
        out.push(mode << 6 | reg | base & 7);
        if base & 7 == 4 {
            out.push(0x24);
        }
        match mode {
            0 => {}
            1 => out.push(value as u8),
            _ => out.extend(self.narrow(value)?),
        }
        Ok(out)
    }
}
