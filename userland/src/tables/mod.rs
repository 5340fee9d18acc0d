//! Linux system calls: number, name, groups, result and arguments, for both ABIs of x86-64.
//!
//! The data are two checked-in files that `userland/gen/syscalls.py` made from the kernel's headers and trace events.
//! They are parsed once, on first use (some 50 µs); [`table`] then answers by number.

use std::sync::LazyLock;

/// How an argument is shown. On the 32-bit ABI every kind is 32 bits wide.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// 32 bits, signed.
    Int,
    /// 32 bits, unsigned.
    Uint,
    /// 32 bits of flags.
    Hex,
    /// A word, signed.
    Long,
    /// A word, unsigned: lengths.
    Ulong,
    /// A word of flags, or one that may be anything.
    Hexl,
    /// Permission bits.
    Oct,
    /// A descriptor.
    Fd,
    /// A descriptor, or "the current folder".
    Dirfd,
    /// An address.
    Ptr,
    /// The address of text that ends with NUL.
    Str,
    /// The address of bytes; the next argument says how many.
    Buf,
    /// The address of a list of texts that ends with NULL.
    Argv,
    /// A signal's number.
    Sig,
}

impl Kind {
    fn parse(name: &str) -> Option<Kind> {
        Some(match name {
            "int" => Kind::Int,
            "uint" => Kind::Uint,
            "hex" => Kind::Hex,
            "long" => Kind::Long,
            "ulong" => Kind::Ulong,
            "hexl" => Kind::Hexl,
            "oct" => Kind::Oct,
            "fd" => Kind::Fd,
            "dirfd" => Kind::Dirfd,
            "ptr" => Kind::Ptr,
            "str" => Kind::Str,
            "buf" => Kind::Buf,
            "argv" => Kind::Argv,
            "sig" => Kind::Sig,
            _ => return None,
        })
    }
}

/// One argument.
#[derive(Clone, Copy, Debug)]
pub struct Argument {
    /// How it is shown.
    pub kind: Kind,
    /// What the kernel's source calls it.
    pub name: &'static str,
}

/// One system call.
#[derive(Debug)]
pub struct Call {
    /// Its number.
    pub number: u64,
    /// Its name.
    pub name: &'static str,
    /// One letter per group it is in; [`GROUPS`] names them.
    pub groups: &'static str,
    /// Whether its result is an address.
    pub address_result: bool,
    /// At most six.
    pub arguments: Box<[Argument]>,
}

impl Call {
    /// Whether control never comes back from it with a result: there is no POST, whatever happens.
    pub fn never_returns(&self) -> bool {
        matches!(self.name, "exit" | "exit_group" | "rt_sigreturn" | "sigreturn")
    }

    /// Whether it replaces the program, and then has no POST.
    pub fn is_exec(&self) -> bool {
        matches!(self.name, "execve" | "execveat")
    }
}

/// Names of groups (`%file`) and the letters that stand for them in the tables.
pub const GROUPS: &[(&str, char)] = &[
    ("file", 'f'),
    ("desc", 'd'),
    ("process", 'p'),
    ("network", 'n'),
    ("net", 'n'),
    ("signal", 's'),
    ("memory", 'm'),
];

/// All calls of one ABI.
pub struct Table {
    /// Index: the number.
    calls: Vec<Option<Call>>,
}

impl Table {
    fn parse(text: &'static str) -> Table {
        let mut calls = Vec::new();
        for line in text.lines().filter(|line| !line.starts_with('#')) {
            let call = parse_line(line).unwrap_or_else(|| panic!("a bad line in a call table: {line}"));
            let slot = call.number as usize;
            if calls.len() <= slot {
                calls.resize_with(slot + 1, || None);
            }
            calls[slot] = Some(call);
        }
        Table { calls }
    }

    /// The call of this number.
    pub fn get(&self, number: u64) -> Option<&Call> {
        self.calls.get(usize::try_from(number).ok()?)?.as_ref()
    }

    /// All of them, in the order of their numbers.
    pub fn iter(&self) -> impl Iterator<Item = &Call> {
        self.calls.iter().flatten()
    }
}

/// None: not five fields, or a field that is not what it should be.
fn parse_line(line: &'static str) -> Option<Call> {
    let mut fields = line.split('\t');
    let mut field = || fields.next();
    let (number, name, groups, result, arguments) = (field()?, field()?, field()?, field()?, field()?);
    let arguments = arguments
        .split_whitespace()
        .map(|argument| {
            let (kind, name) = argument.split_once(':')?;
            Some(Argument { kind: Kind::parse(kind)?, name })
        })
        .collect::<Option<Box<[_]>>>()?;
    Some(Call { number: number.parse().ok()?, name, groups, address_result: result == "hex", arguments })
}

/// ABIs that have a table: 0 is the machine's own, 1 its 32-bit one, as in `PtraceEvent::f`.
pub const ABIS: u64 = 2;

/// The calls of an ABI; an unknown ABI has none.
pub fn table(abi: u64) -> &'static Table {
    static X86_64: LazyLock<Table> = LazyLock::new(|| Table::parse(include_str!("x86_64.tsv")));
    static I386: LazyLock<Table> = LazyLock::new(|| Table::parse(include_str!("i386.tsv")));
    static NONE: Table = Table { calls: Vec::new() };
    match abi {
        0 => &X86_64,
        1 => &I386,
        _ => &NONE,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_tables_parse_and_know_old_and_new_calls() {
        for (abi, number, name) in [
            (0, 0, "read"),
            (0, 257, "openat"),
            (0, 462, "mseal"),
            (1, 3, "read"),
            (1, 11, "execve"),
            (1, 469, "file_setattr"),
        ] {
            assert_eq!(table(abi).get(number).map(|call| call.name), Some(name), "{abi} {number}");
        }
        assert!(table(0).get(100_000).is_none());
        assert!(table(7).get(0).is_none());
    }

    #[test]
    fn no_call_has_more_than_six_arguments_and_every_buffer_has_a_length() {
        for abi in 0..ABIS {
            for call in table(abi).iter() {
                assert!(call.arguments.len() <= 6, "{}", call.name);
                for (at, argument) in call.arguments.iter().enumerate() {
                    if argument.kind == Kind::Buf {
                        let length = call.arguments.get(at + 1).map(|next| next.kind);
                        assert!(matches!(length, Some(Kind::Ulong | Kind::Uint)), "{}", call.name);
                    }
                }
            }
        }
    }
}
