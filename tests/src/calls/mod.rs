//! Programs that make calls with fixed arguments and nothing else: no C library, so that a trace of one is the calls of its
//! family alone. [`Code`] assembles them by hand for both ABIs; the families are lists over it.

mod devices;
mod files;
mod kernel;
mod memory;
mod narrow;
mod network;
mod process;
mod signals;
mod sockets;
mod system;
mod time;

use std::io::Result;
use std::path::Path;

use crate::elf::{Class, Segment, write_executable};

const TEXT: u64 = 0x40_0000;
const DATA: u64 = 0x50_0000;

/// What a handler's address is: its code only returns.
pub const HANDLER: u64 = TEXT;
/// Where a handler returns to: it makes rt_sigreturn.
pub const RESTORER: u64 = TEXT + 1;

/// An argument.
#[derive(Clone, Copy, Debug)]
pub enum Arg {
    /// A number or an address.
    Value(u64),
    /// What stands at an address when the call is made.
    At(u64),
}

impl From<i32> for Arg {
    fn from(value: i32) -> Arg {
        Arg::Value(i64::from(value) as u64)
    }
}

impl From<i64> for Arg {
    fn from(value: i64) -> Arg {
        Arg::Value(value as u64)
    }
}

impl From<u32> for Arg {
    fn from(value: u32) -> Arg {
        Arg::Value(value.into())
    }
}

impl From<u64> for Arg {
    fn from(value: u64) -> Arg {
        Arg::Value(value)
    }
}

/// A program in the making.
pub struct Code {
    class: Class,
    text: Vec<u8>,
    data: Vec<u8>,
}

impl Code {
    fn new(class: Class) -> Code {
        Code { class, text: Vec::new(), data: Vec::new() }
    }

    /// Puts bytes into memory, aligned to 16, and answers where they are.
    pub fn bytes(&mut self, bytes: &[u8]) -> u64 {
        self.data.resize(self.data.len().next_multiple_of(16), 0);
        let at = DATA + self.data.len() as u64;
        self.data.extend_from_slice(bytes);
        at
    }

    /// Text with a NUL.
    pub fn text(&mut self, text: &str) -> u64 {
        self.bytes(&[text.as_bytes(), b"\0"].concat())
    }

    /// Words of 64 bits.
    pub fn words(&mut self, words: &[u64]) -> u64 {
        self.bytes(&words.iter().flat_map(|word| word.to_le_bytes()).collect::<Vec<_>>())
    }

    /// Words of 32 bits.
    pub fn words32(&mut self, words: &[u32]) -> u64 {
        self.bytes(&words.iter().flat_map(|word| word.to_le_bytes()).collect::<Vec<_>>())
    }

    /// Room.
    pub fn space(&mut self, length: usize) -> u64 {
        self.bytes(&vec![0; length])
    }

    /// A call; the answer is what it returned.
    pub fn call(&mut self, number: i64, args: &[Arg]) -> Arg {
        let result = self.space(8);
        match self.class {
            Class::Elf64 => self.call64(number, args, result),
            Class::Elf32 => self.call32(number, args, result),
        }
        Arg::At(result)
    }

    fn call64(&mut self, number: i64, args: &[Arg], result: u64) {
        // rdi, rsi, rdx, r10, r8, r9; eight and above take another prefix.
        const REGISTERS: [u8; 6] = [7, 6, 2, 10, 8, 9];
        for (&register, arg) in REGISTERS.iter().zip(args) {
            let (high, low) = (register >> 3, register & 7);
            match *arg {
                Arg::Value(value) => {
                    self.text.extend([0x48 | high, 0xb8 | low]);
                    self.text.extend(value.to_le_bytes());
                }
                Arg::At(address) => {
                    self.text.extend([0x48 | high << 2, 0x8b, 0x04 | low << 3, 0x25]);
                    self.text.extend((address as u32).to_le_bytes());
                }
            }
        }
        self.text.push(0xb8);
        self.text.extend((number as u32).to_le_bytes());
        self.text.extend([0x0f, 0x05, 0x48, 0x89, 0x04, 0x25]);
        self.text.extend((result as u32).to_le_bytes());
    }

    fn call32(&mut self, number: i64, args: &[Arg], result: u64) {
        // ebx, ecx, edx, esi, edi, ebp
        const REGISTERS: [u8; 6] = [3, 1, 2, 6, 7, 5];
        for (&register, arg) in REGISTERS.iter().zip(args) {
            let value = match *arg {
                Arg::Value(value) => {
                    self.text.push(0xb8 | register);
                    value
                }
                Arg::At(address) => {
                    self.text.extend([0x8b, 0x05 | register << 3]);
                    address
                }
            };
            self.text.extend((value as u32).to_le_bytes());
        }
        self.text.push(0xb8);
        self.text.extend((number as u32).to_le_bytes());
        self.text.extend([0xcd, 0x80, 0xa3]);
        self.text.extend((result as u32).to_le_bytes());
    }

    /// What only the child of the last call does: it gets zero in the result register.
    pub fn in_child(&mut self, child: impl FnOnce(&mut Code)) {
        if self.class == Class::Elf64 {
            self.text.push(0x48);
        }
        self.text.extend([0x85, 0xc0, 0x0f, 0x85]);
        let place = self.text.len();
        self.text.extend([0; 4]);
        child(self);
        let distance = (self.text.len() - place - 4) as u32;
        self.text[place..place + 4].copy_from_slice(&distance.to_le_bytes());
    }

    fn write(self, path: &Path) -> Result<()> {
        // The handler, and what follows it: ret; mov eax, 15; syscall.
        let stubs = [0xc3, 0xb8, 15, 0, 0, 0, 0x0f, 0x05];
        let entry = TEXT + stubs.len() as u64;
        let bytes = [&stubs[..], &self.text].concat();
        let text = Segment { address: TEXT, bytes, writable: false, executable: true };
        let data = Segment { address: DATA, bytes: self.data, writable: true, executable: false };
        write_executable(path, self.class, &[text, data], entry)
    }
}

/// A call by the name of its number in `libc`.
macro_rules! sys {
    ($code:expr, $number:ident $(, $arg:expr)* $(,)?) => {
        $code.call(libc::$number, &[$($crate::calls::Arg::from($arg)),*])
    };
}
pub(crate) use sys;

/// One family of calls.
#[derive(Clone, Copy)]
pub struct Family {
    /// What tests call it.
    pub name: &'static str,
    /// Runs as a 32-bit program.
    pub narrow: bool,
    make: fn(&mut Code),
}

const fn wide(name: &'static str, make: fn(&mut Code)) -> Family {
    Family { name, narrow: false, make }
}

impl Family {
    /// Writes its program to `path`: its calls, then exit_group(0).
    pub fn write(&self, path: &Path) -> Result<()> {
        let mut code = Code::new(if self.narrow { Class::Elf32 } else { Class::Elf64 });
        (self.make)(&mut code);
        let exit = if self.narrow { 252 } else { libc::SYS_exit_group };
        code.call(exit, &[Arg::Value(0)]);
        code.write(path)
    }
}

/// All of them.
pub fn families() -> Vec<Family> {
    let lists = [
        devices::FAMILIES,
        kernel::FAMILIES,
        network::FAMILIES,
        files::FAMILIES,
        memory::FAMILIES,
        process::FAMILIES,
        signals::FAMILIES,
        sockets::FAMILIES,
        system::FAMILIES,
        time::FAMILIES,
        narrow::FAMILIES,
    ];
    lists.concat()
}
