//! [`Cpu`]: the registers of one task, and [`Cpu::step`], which runs one instruction.
//!
//! Decode, then act. It knows exactly the encodings that the assembler makes; any other byte sequence is an illegal
//! instruction. An instruction that faults has changed nothing, so the program counter shows it.

use crate::abi::{EnvRegisters, FloatRegisters, IntRegisters, Signal};

use super::alu::{CARRY, CHANGEABLE, FIXED, TEST};
use super::fpu;
use super::memory::{Access, BadAddress, Memory};

/// The only code and stack segments.
const CS: u64 = 0x33;
const SS: u64 = 0x2b;

/// A task's register files.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Cpu {
    pub(super) int: IntRegisters,
    pub(super) float: FloatRegisters,
    pub(super) env: EnvRegisters,
}

/// What an instruction was, where others than the processor have to know.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ran {
    Plain,
    Call,
    Breakpoint,
}

/// Why an instruction could not be run: the signal it raises.
type Outcome = Result<Ran, Signal>;

impl From<BadAddress> for Signal {
    fn from(_: BadAddress) -> Signal {
        Signal::SEGV
    }
}

/// A decoded second operand.
#[derive(Clone, Copy)]
enum Place {
    Register(u8),
    Memory(u64),
}

impl Cpu {
    /// As a program starts.
    pub(super) fn new(rip: u64, rsp: u64) -> Cpu {
        let int = IntRegisters { rip, rsp, cs: CS, ss: SS, rflags: FIXED, ..IntRegisters::default() };
        Cpu { int, float: fpu::initial(), env: EnvRegisters::default() }
    }

    /// Takes over what a tracer or a signal frame says; `false` if no task can have such registers.
    pub(super) fn set_int(&mut self, mut int: IntRegisters) -> bool {
        if (int.cs, int.ss, int.fs) != (CS, SS, 0) {
            return false;
        }
        int.rflags = int.rflags & CHANGEABLE | FIXED;
        self.int = int;
        true
    }

    pub(super) fn get(&self, register: u8) -> u64 {
        let int = &self.int;
        let all = [
            int.rax, int.rcx, int.rdx, int.rbx, int.rsp, int.rbp, int.rsi, int.rdi, int.r8, int.r9, int.r10,
            int.r11, int.r12, int.r13, int.r14, int.r15,
        ];
        all[usize::from(register & 15)]
    }

    pub(super) fn set(&mut self, register: u8, value: u64) {
        let int = &mut self.int;
        *match register & 15 {
            0 => &mut int.rax,
            1 => &mut int.rcx,
            2 => &mut int.rdx,
            3 => &mut int.rbx,
            4 => &mut int.rsp,
            5 => &mut int.rbp,
            6 => &mut int.rsi,
            7 => &mut int.rdi,
            8 => &mut int.r8,
            9 => &mut int.r9,
            10 => &mut int.r10,
            11 => &mut int.r11,
            12 => &mut int.r12,
            13 => &mut int.r13,
            14 => &mut int.r14,
            _ => &mut int.r15,
        } = value;
    }

    /// Runs the instruction at the program counter.
    pub(super) fn step(&mut self, memory: &mut Memory) -> Outcome {
        let mut code = Code { memory, at: self.int.rip };
        let first = code.byte()?;
        let (prefix, opcode) = if first & 0xf0 == 0x40 { (first, code.byte()?) } else { (0, first) };
        let wide = prefix & 8 != 0;
        let (high_reg, high_rm) = ((prefix & 4) << 1, (prefix & 1) << 3);
        let mut ran = Ran::Plain;
        match (wide, opcode) {
            (true, 0x89 | 0x8b | 0x8d | 0xc7) => return self.mov(code, opcode, high_reg, high_rm),
            (true, 0xb8..=0xbf) => {
                let value = code.word()?;
                self.set(opcode & 7 | high_rm, value);
            }
            (true, 0x01 | 0x09 | 0x21 | 0x29 | 0x31 | 0x39 | 0x85) => {
                let (reg, Place::Register(rm)) = self.operands(&mut code, high_reg, high_rm, 0)? else {
                    return Err(Signal::ILL);
                };
                let digit = if opcode == 0x85 { TEST } else { opcode >> 3 };
                self.arithmetic(digit, rm, self.get(reg));
            }
            (true, 0x81 | 0xf7 | 0xff) => {
                let size = if opcode == 0xff { 0 } else { 4 };
                let (digit, Place::Register(rm)) = self.operands(&mut code, 0, high_rm, size)? else {
                    return Err(Signal::ILL);
                };
                match (opcode, digit) {
                    (0x81, 0 | 1 | 4..=7) => {
                        let value = code.narrow()?;
                        self.arithmetic(digit, rm, value);
                    }
                    (0xf7, 0) => {
                        let value = code.narrow()?;
                        self.arithmetic(TEST, rm, value);
                    }
                    (0xff, 0 | 1) => {
                        // inc and dec leave the carry alone.
                        let carry = self.int.rflags & CARRY;
                        self.arithmetic(if digit == 0 { 0 } else { 5 }, rm, 1);
                        self.int.rflags = self.int.rflags & !CARRY | carry;
                    }
                    _ => return Err(Signal::ILL),
                }
            }
            (false, 0x50..=0x57) => {
                let value = self.get(opcode & 7 | high_rm);
                let next = code.at;
                self.push(memory, value)?;
                self.int.rip = next;
                return Ok(ran);
            }
            (false, 0x58..=0x5f) => {
                let value = code.memory.read_word(self.int.rsp)?;
                self.int.rsp = self.int.rsp.wrapping_add(8);
                self.set(opcode & 7 | high_rm, value);
            }
            (false, 0xdd) => {
                let next = match self.operands(&mut code, 0, high_rm, 0)? {
                    (0, Place::Memory(address)) => {
                        fpu::load(&mut self.float, code.memory.read_word(address)?);
                        code.at
                    }
                    (3, Place::Memory(address)) => {
                        let mut after = self.float;
                        let next = code.at;
                        memory.write_word(address, fpu::pop(&mut after))?;
                        self.float = after;
                        next
                    }
                    _ => return Err(Signal::ILL),
                };
                self.int.rip = next;
                return Ok(ran);
            }
            (false, _) if prefix != 0 => return Err(Signal::ILL),
            (false, 0xd9) => match code.byte()? {
                0xfa => fpu::square_root(&mut self.float),
                _ => return Err(Signal::ILL),
            },
            (false, 0xe9) => {
                let distance = code.narrow()?;
                code.at = code.at.wrapping_add(distance);
            }
            (false, 0xe8) => {
                let distance = code.narrow()?;
                let next = code.at;
                self.push(memory, next)?;
                self.int.rip = next.wrapping_add(distance);
                return Ok(ran);
            }
            (false, 0xc3) => {
                code.at = code.memory.read_word(self.int.rsp)?;
                self.int.rsp = self.int.rsp.wrapping_add(8);
            }
            (false, 0x90) => {}
            (false, 0xcc) => ran = Ran::Breakpoint,
            (false, 0x0f) => match code.byte()? {
                0x05 => {
                    // What the hardware does itself: the way back is kept in two registers.
                    (self.int.rcx, self.int.r11) = (code.at, self.int.rflags);
                    ran = Ran::Call;
                }
                condition @ 0x80..=0x8f => {
                    let distance = code.narrow()?;
                    if self.holds(condition & 15)? {
                        code.at = code.at.wrapping_add(distance);
                    }
                }
                _ => return Err(Signal::ILL),
            },
            _ => return Err(Signal::ILL),
        }
        self.int.rip = code.at;
        Ok(ran)
    }

    fn mov(&mut self, mut code: Code<'_>, opcode: u8, high_reg: u8, high_rm: u8) -> Outcome {
        let size = if opcode == 0xc7 { 4 } else { 0 };
        let (reg, place) = self.operands(&mut code, high_reg, high_rm, size)?;
        match (opcode, place) {
            (0x89, Place::Register(to)) => self.set(to, self.get(reg)),
            (0x89, Place::Memory(address)) => {
                let value = self.get(reg);
                let next = code.at;
                code.memory.write_word(address, value)?;
                self.int.rip = next;
                return Ok(Ran::Plain);
            }
            (0x8b, Place::Memory(address)) => {
                let value = code.memory.read_word(address)?;
                self.set(reg, value);
            }
            (0x8d, Place::Memory(address)) => self.set(reg, address),
            (0xc7, Place::Register(to)) if reg == 0 => {
                let value = code.narrow()?;
                self.set(to, value);
            }
            _ => return Err(Signal::ILL),
        }
        self.int.rip = code.at;
        Ok(Ran::Plain)
    }

    fn push(&mut self, memory: &mut Memory, value: u64) -> Result<(), BadAddress> {
        let rsp = self.int.rsp.wrapping_sub(8);
        memory.write_word(rsp, value)?;
        self.int.rsp = rsp;
        Ok(())
    }

    /// The operand byte, and what follows it up to the immediate of `size` bytes.
    fn operands(&self, code: &mut Code<'_>, reg: u8, rm: u8, size: u64) -> Result<(u8, Place), Signal> {
        let byte = code.byte()?;
        let (mode, reg, low) = (byte >> 6, byte >> 3 & 7 | reg, byte & 7);
        if mode == 3 {
            return Ok((reg, Place::Register(low | rm)));
        }
        if mode == 0 && low == 5 {
            let distance = code.narrow()?;
            return Ok((reg, Place::Memory(code.at.wrapping_add(size).wrapping_add(distance))));
        }
        if low == 4 && code.byte()? != 0x24 {
            return Err(Signal::ILL);
        }
        let offset = match mode {
            0 => 0,
            1 => code.byte()? as i8 as u64,
            _ => code.narrow()?,
        };
        Ok((reg, Place::Memory(self.get(low | rm).wrapping_add(offset))))
    }
}

/// The instruction's bytes, one after the other.
struct Code<'a> {
    memory: &'a mut Memory,
    at: u64,
}

impl Code<'_> {
    fn bytes<const N: usize>(&mut self) -> Result<[u8; N], Signal> {
        let mut bytes = [0; N];
        self.memory.read(self.at, &mut bytes, Access::Execute)?;
        self.at = self.at.wrapping_add(N as u64);
        Ok(bytes)
    }

    fn byte(&mut self) -> Result<u8, Signal> {
        Ok(self.bytes::<1>()?[0])
    }

    /// 32 bits, sign-extended.
    fn narrow(&mut self) -> Result<u64, Signal> {
        Ok(i64::from(i32::from_le_bytes(self.bytes()?)) as u64)
    }

    fn word(&mut self) -> Result<u64, Signal> {
        Ok(u64::from_le_bytes(self.bytes()?))
    }
}
