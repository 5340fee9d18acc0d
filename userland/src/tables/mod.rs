//! System calls: number, name, groups, result and arguments. [`Calls`] is what a machine has, by ABI and number.
//!
//! Linux's are two checked-in files that `userland/gen/syscalls.py` made from the kernel's headers and trace events. Other
//! machines have calls of the same names and their own numbers: [`Calls::renumbered`].

pub mod flags;

use std::ops::Deref;
use std::sync::OnceLock;

use crate::decode::{self, Decoder};
use crate::index::Index;
use flags::Names;

/// How an argument is shown. On the 32-bit ABI every kind is 32 bits wide.
#[derive(Clone, Copy, Debug, PartialEq)]
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
    /// 32 bits of named flags: `f.TABLE`.
    Flags(&'static Names),
    /// A word of them: `F.TABLE`.
    LongFlags(&'static Names),
    /// One of several names: `e.TABLE`.
    Choice(&'static Names),
    /// What a function of `decode` makes of it; in the tables, its name.
    By(&'static Decoder),
    /// The same, of what the call fills in: shown when it has returned, and only its address if it failed. `>NAME`.
    Filled(&'static Decoder),
    /// The same, shown when the call has returned, however. `~NAME`.
    Late(&'static Decoder),
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
            name => return Kind::parse_named(name),
        })
    }

    fn parse_named(name: &str) -> Option<Kind> {
        let (mark, rest) = name.split_at_checked(1)?;
        Some(match (mark, rest.strip_prefix('.')) {
            ("f", Some(table)) => Kind::Flags(flags::named(table)?),
            ("F", Some(table)) => Kind::LongFlags(flags::named(table)?),
            ("e", Some(table)) => Kind::Choice(flags::named(table)?),
            (">", _) => Kind::Filled(decode::find(rest)?),
            ("~", _) => Kind::Late(decode::find(rest)?),
            _ => Kind::By(decode::find(name)?),
        })
    }

    /// Whether it is shown when the call has returned.
    pub fn is_late(self) -> bool {
        matches!(self, Kind::Filled(_) | Kind::Late(_))
    }

    fn of_letter(letter: char) -> Kind {
        match letter {
            'd' => Kind::Long,
            'p' => Kind::Ptr,
            's' => Kind::Str,
            'b' => Kind::Buf,
            _ => Kind::Hexl,
        }
    }
}

/// How a result is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// A number.
    Number,
    /// An address or other bits.
    Hex,
    /// Permission bits.
    Oct,
    /// A descriptor, shown as a number.
    Fd,
    /// It depends on the command that fcntl was given.
    Fcntl,
    /// How many descriptors are ready, and which: poll.
    Poll,
    /// The same of select.
    Select,
    /// How many messages came, and how much of the time was left.
    Received,
    /// What of it was named by prctl's option.
    Prctl,
    /// The state of the clock: adjtimex.
    Clock,
    /// A scheduling policy.
    Policy,
    /// A signal's number.
    Signal,
    /// Seconds since 1970.
    Time,
    /// Bits of barriers, if they were asked for.
    Barriers,
    /// An execution domain.
    Persona,
    /// A priority of input and output.
    Ioprio,
}

impl Outcome {
    fn parse(name: &str) -> Option<Outcome> {
        Some(match name {
            "dec" => Outcome::Number,
            "hex" => Outcome::Hex,
            "oct" => Outcome::Oct,
            "fd" => Outcome::Fd,
            "fcntl" => Outcome::Fcntl,
            "poll" => Outcome::Poll,
            "select" => Outcome::Select,
            "received" => Outcome::Received,
            "prctl" => Outcome::Prctl,
            "clock" => Outcome::Clock,
            "policy" => Outcome::Policy,
            "signal" => Outcome::Signal,
            "time" => Outcome::Time,
            "barriers" => Outcome::Barriers,
            "persona" => Outcome::Persona,
            "ioprio" => Outcome::Ioprio,
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

/// The arguments of a call. Their text is read when somebody first looks: most calls of a table are never made.
#[derive(Debug)]
pub struct Arguments {
    text: &'static str,
    read: OnceLock<Box<[Argument]>>,
}

impl Arguments {
    fn known(all: Box<[Argument]>) -> Arguments {
        Arguments { text: "", read: OnceLock::from(all) }
    }
}

impl Deref for Arguments {
    type Target = [Argument];

    fn deref(&self) -> &[Argument] {
        self.read.get_or_init(|| parse_arguments(self.text))
    }
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
    /// How its result is shown.
    pub result: Outcome,
    /// At most six.
    pub arguments: Arguments,
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

/// All calls of one ABI. A row is read when somebody asks for its call: most are never made.
pub struct Table {
    rows: &'static Index,
    /// By number.
    calls: Vec<OnceLock<Option<Box<Call>>>>,
}

static X86_64: Index = Index::new(include_str!("x86_64.tsv"));
static I386: Index = Index::new(include_str!("i386.tsv"));
static NONE: Index = Index::new("");

impl Table {
    fn of(rows: &'static Index) -> Table {
        let mut calls = Vec::new();
        calls.resize_with(rows.numbers().last().map_or(0, |last| last + 1), OnceLock::new);
        Table { rows, calls }
    }

    fn insert(&mut self, call: Call) {
        let number = call.number as usize;
        if self.calls.len() <= number {
            self.calls.resize_with(number + 1, OnceLock::new);
        }
        self.calls[number] = OnceLock::from(Some(Box::new(call)));
    }

    /// The call of this number.
    pub fn get(&self, number: u64) -> Option<&Call> {
        let at = usize::try_from(number).ok()?;
        // Panics if the row is not what it should be; a test reads all.
        let read = || {
            let row = self.rows.get(at)?;
            let call = parse(number, row).unwrap_or_else(|| panic!("a bad line in a call table: {row}"));
            Some(Box::new(call))
        };
        self.calls.get(at)?.get_or_init(read).as_deref()
    }

    /// The numbers that calls have, ascending.
    pub fn numbers(&self) -> impl Iterator<Item = u64> {
        let known = |number: &usize| self.calls[*number].get().is_some_and(Option::is_some);
        let numbers = 0..self.calls.len();
        numbers.filter(move |number| self.rows.has(*number) || known(number)).map(|number| number as u64)
    }

    /// All of them, in the order of their numbers.
    pub fn iter(&self) -> impl Iterator<Item = &Call> {
        self.numbers().filter_map(|number| self.get(number))
    }
}

/// The call, from what follows the number in its row. None: not four fields, or one that is not what it should be.
fn parse(number: u64, row: &'static str) -> Option<Call> {
    let mut fields = row.split('\t');
    let mut field = || fields.next();
    let (name, groups, result, arguments) = (field()?, field()?, field()?, field()?);
    let arguments = Arguments { text: arguments, read: OnceLock::new() };
    Some(Call { number, name, groups, result: Outcome::parse(result)?, arguments })
}

/// Panics if one is not what it should be; a test reads those of all calls.
fn parse_arguments(text: &'static str) -> Box<[Argument]> {
    let parse = |argument: &'static str| {
        let (kind, name) = argument.split_once(':')?;
        Some(Argument { kind: Kind::parse(kind)?, name })
    };
    let all = text.split_whitespace().map(parse).collect::<Option<_>>();
    all.unwrap_or_else(|| panic!("bad arguments in a call table: {text}"))
}

/// The calls of a machine: one table per ABI, in the order of `PtraceEvent::f`: its own, then its 32-bit one.
pub struct Calls {
    tables: Vec<Table>,
}

impl Calls {
    /// Linux on x86-64.
    pub fn linux() -> Calls {
        Calls { tables: vec![Table::of(&X86_64), Table::of(&I386)] }
    }

    /// A machine with numbers of its own: (number, name, arguments). A name that Linux has, with as many arguments, is
    /// shown as there; else by one letter per argument: `d` number, `p` address, `s` text, `b` bytes whose count follows,
    /// anything else bits.
    pub fn renumbered(calls: impl IntoIterator<Item = (u64, &'static str, &'static str)>) -> Calls {
        let linux = Table::of(&X86_64);
        let mut table = Table::of(&NONE);
        for (number, name, letters) in calls {
            let model = linux.iter().find(|call| call.name == name);
            let arguments = match model {
                Some(model) if model.arguments.len() == letters.len() => Box::from(&*model.arguments),
                _ => letters
                    .chars()
                    .map(|letter| Argument { kind: Kind::of_letter(letter), name: "" })
                    .collect(),
            };
            let arguments = Arguments::known(arguments);
            let (groups, result) = model.map_or(("-", Outcome::Number), |call| (call.groups, call.result));
            table.insert(Call { number, name, groups, result, arguments });
        }
        Calls { tables: vec![table] }
    }

    /// The call of this number.
    pub fn get(&self, abi: u64, number: u64) -> Option<&Call> {
        self.tables.get(usize::try_from(abi).ok()?)?.get(number)
    }

    /// One table per ABI.
    pub fn tables(&self) -> &[Table] {
        &self.tables
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_tables_parse_and_know_old_and_new_calls() {
        let linux = Calls::linux();
        for (abi, number, name) in [
            (0, 0, "read"),
            (0, 257, "openat"),
            (0, 462, "mseal"),
            (1, 3, "read"),
            (1, 11, "execve"),
            (1, 469, "file_setattr"),
        ] {
            assert_eq!(linux.get(abi, number).map(|call| call.name), Some(name), "{abi} {number}");
        }
        assert!(linux.get(0, 100_000).is_none());
        assert!(linux.get(7, 0).is_none());
    }

    #[test]
    fn no_call_has_more_than_six_arguments_and_every_buffer_has_a_length() {
        for call in Calls::linux().tables().iter().flat_map(Table::iter) {
            assert!(call.arguments.len() <= 6, "{}", call.name);
            for (at, argument) in call.arguments.iter().enumerate() {
                if argument.kind == Kind::Buf {
                    let length = call.arguments.get(at + 1).map(|next| next.kind);
                    assert!(matches!(length, Some(Kind::Ulong | Kind::Uint)), "{}", call.name);
                }
            }
        }
    }

    #[test]
    fn another_machine_has_its_own_numbers() {
        let calls = Calls::renumbered([(1, "write", "dbd"), (2, "exit", "d"), (3, "own", "sd")]);
        let kinds =
            |number| calls.get(0, number).unwrap().arguments.iter().map(|a| a.kind).collect::<Vec<_>>();
        assert_eq!(kinds(1), [Kind::Fd, Kind::Buf, Kind::Ulong]);
        assert_eq!(kinds(3), [Kind::Str, Kind::Long]);
        assert!(calls.get(0, 2).unwrap().never_returns());
        assert!(calls.get(0, 0).is_none() && calls.get(1, 1).is_none());
    }
}
