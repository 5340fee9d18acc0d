//! Arguments as text: [`Args`] is what a decoder has to work with, [`begin`] shows what is known when a call is made,
//! [`finish`] the rest when it has returned.
//!
//! A decoder is a function over [`Args`] and an argument's word. Each family of calls has one file of them with a list at
//! its top; the call tables name them. Everything is written to one buffer that is used again and again, and memory is
//! read once per thing that is pointed to.

mod aio;
mod descriptor;
mod fd;
mod files;
mod interface;
mod ioctl;
mod ipc;
mod memory;
mod message;
mod misc;
mod poll;
mod prctl;
mod process;
mod results;
mod show;
mod signals;
mod sockets;
mod sockopt;
mod stat;
mod system;
mod text;
mod time;

use std::collections::HashMap;
use std::sync::OnceLock;

use kernel_model::abi::{Result, Signal};

pub use files::io_parts;
pub use results::{put_result, value};
pub use show::{Fds, Hex, Show};
pub use signals::{put_origin, sigreturn_result};
pub use text::{envp as put_variables, path as put_path, put_given};

use crate::numbers::{put_decimal, put_hex};
use crate::tables::flags::Names;
use crate::tables::{Call, Kind};

/// What decoders read of a tracee.
pub trait Memory {
    /// Reads at an address: all of `buf`, or an error.
    fn read(&mut self, address: u64, buf: &mut [u8]) -> Result<()>;

    /// The text of one of its files about descriptors, such as `fd/3`, if it can be had.
    fn descriptor(&mut self, path: &str) -> Option<Vec<u8>>;
}

/// Argument words, and the stack pointer after them, which tells sigreturn's frame.
pub type Words = [u64; 7];

/// Where the stack pointer stands in [`Words`].
pub const STACK: usize = 6;

/// Shows one argument.
#[derive(Clone, Copy)]
pub struct Decoder {
    /// What tables call it.
    pub name: &'static str,
    /// Does it.
    pub show: fn(&mut Args<'_>, u64),
}

impl PartialEq for Decoder {
    fn eq(&self, other: &Decoder) -> bool {
        self.name == other.name
    }
}

impl std::fmt::Debug for Decoder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name)
    }
}

/// Makes a file's list of decoders: its functions, by their own names.
macro_rules! decoders {
    ($($show:ident,)*) => {
        /// By the names that tables use.
        pub(super) const DECODERS: &[super::Decoder] =
            &[$(super::Decoder { name: stringify!($show), show: $show }),*];
    };
}
pub(crate) use decoders;

/// All of them, by family.
const FAMILIES: &[&[Decoder]] = &[
    aio::DECODERS,
    fd::DECODERS,
    files::DECODERS,
    ioctl::DECODERS,
    ipc::DECODERS,
    memory::DECODERS,
    message::DECODERS,
    misc::DECODERS,
    poll::DECODERS,
    prctl::DECODERS,
    process::DECODERS,
    signals::DECODERS,
    sockets::DECODERS,
    sockopt::DECODERS,
    stat::DECODERS,
    system::DECODERS,
    text::DECODERS,
    time::DECODERS,
];

/// The decoder of this name.
pub fn find(name: &str) -> Option<&'static Decoder> {
    static BY_NAME: OnceLock<HashMap<&str, &Decoder>> = OnceLock::new();
    let by_name = BY_NAME
        .get_or_init(|| FAMILIES.iter().copied().flatten().map(|decoder| (decoder.name, decoder)).collect());
    by_name.get(name).copied()
}

/// No list goes on in a line that is longer.
const MOST_TEXT: usize = 1 << 20;

/// What a decoder works with.
pub struct Args<'a> {
    /// The text so far.
    pub out: &'a mut Vec<u8>,
    /// The tracee's.
    pub memory: &'a mut dyn Memory,
    /// All argument words.
    pub words: &'a Words,
    /// 0: 64 bits; else 32.
    pub abi: u64,
    /// How much is shown.
    pub show: Show,
    /// Which argument this is.
    pub at: usize,
    /// What the call returned: negative for an error. None: it has not.
    pub result: Option<i64>,
    /// Set by a decoder that has more to say when the call has returned: it is asked again.
    pub deferred: bool,
    /// What one decoder keeps from the call's beginning to its end: a length that the call will change.
    pub saved: u64,
}

/// A call whose beginning was shown.
#[derive(Clone, Copy, Debug, Default)]
pub struct Begun {
    /// The first argument that was not.
    pub next: u8,
    /// See [`Args::saved`].
    pub saved: u64,
}

/// `name(argument, argument`, up to the first argument that only the call's end can tell.
pub fn begin(args: &mut Args<'_>, call: Option<&Call>, number: u64) -> Begun {
    let Some(call) = call else {
        put!(args.out, "syscall_{number:#x}(");
        for (at, &word) in args.words[..STACK].iter().enumerate() {
            args.out.extend_from_slice(if at > 0 { b", " } else { b"" });
            args.put_word(Kind::Hexl, word);
        }
        return Begun { next: u8::MAX, saved: 0 };
    };
    args.out.extend_from_slice(call.name.as_bytes());
    args.out.push(b'(');
    let next = show(args, call, 0);
    Begun { next: next as u8, saved: args.saved }
}

/// The arguments that [`begin`] left.
pub fn finish(args: &mut Args<'_>, call: &Call, begun: Begun) {
    args.saved = begun.saved;
    show(args, call, begun.next.into());
}

fn show(args: &mut Args<'_>, call: &Call, first: usize) -> usize {
    let ended = args.result.is_some();
    if args.show.raw {
        if !ended {
            put_raw(args, call.arguments.len());
        }
        return call.arguments.len();
    }
    if call.name == "rt_sigreturn" {
        signals::sigframe(args);
    }
    for (at, argument) in call.arguments.iter().enumerate().skip(first) {
        args.at = at;
        // The comma of the first late one was shown at the beginning.
        let resumed = ended && at == first;
        let comma = args.out.len();
        if at > 0 && !resumed {
            args.out.extend_from_slice(b", ");
        }
        let before = args.out.len();
        args.deferred = !ended && argument.kind.is_late();
        if !args.deferred {
            args.put(argument.kind, args.words[at]);
        }
        if args.deferred {
            args.saved = note(args, call, at);
            return at;
        }
        if args.out.len() == before && !resumed {
            args.out.truncate(comma); // not an argument of this form of the call
        }
    }
    call.arguments.len()
}

/// `-e raw=`: no word is more than a number.
fn put_raw(args: &mut Args<'_>, count: usize) {
    for at in 0..count {
        args.text(if at > 0 { ", " } else { "" });
        args.put_hex(args.words[at]);
    }
}

/// A length that the call is about to change, where that is shown.
fn note(args: &mut Args<'_>, call: &Call, from: usize) -> u64 {
    /// `msg_namelen` of struct msghdr, in words.
    const NAME_LENGTH: u64 = 1;
    for (at, argument) in call.arguments.iter().enumerate().skip(from) {
        let place = match argument.kind {
            Kind::Late(decoder) if decoder.name == "length_out" || decoder.name == "option_length" => {
                args.words[at]
            }
            Kind::Late(decoder) if decoder.name == "msg_received" => {
                args.words[at].wrapping_add(NAME_LENGTH * args.word_size() as u64)
            }
            Kind::Late(decoder) if decoder.name == "handle_out" => args.words[at],
            Kind::Late(decoder) if decoder.name == "msgs_received" => return time::timeout(args, call),
            Kind::By(decoder) if decoder.name == "ioctl_arg" && interface::is_list(args.words[1] as u32) => {
                args.words[at]
            }
            _ => continue,
        };
        return args.peek32(place).unwrap_or(0).into();
    }
    0
}

impl<'a> Args<'a> {
    /// At the first argument.
    pub fn new(
        out: &'a mut Vec<u8>,
        memory: &'a mut dyn Memory,
        words: &'a Words,
        abi: u64,
        show: Show,
        result: Option<i64>,
    ) -> Args<'a> {
        Args { out, memory, words, abi, show, at: 0, result, deferred: false, saved: 0 }
    }

    /// Whether words and pointers have 32 bits.
    pub fn is_narrow(&self) -> bool {
        self.abi != 0
    }

    /// Bytes of a word.
    pub fn word_size(&self) -> usize {
        if self.is_narrow() { 4 } else { 8 }
    }

    /// The argument after this one.
    pub fn next(&self) -> u64 {
        self.words[self.at + 1]
    }

    /// The call has returned an error.
    pub fn failed(&self) -> bool {
        self.result.is_some_and(|result| result < 0)
    }

    /// One argument.
    pub fn put(&mut self, kind: Kind, word: u64) {
        match kind {
            Kind::Str => text::path(self, word),
            Kind::Buf => text::buffer(self, word),
            Kind::Argv => text::argv(self, word),
            Kind::By(decoder) | Kind::Late(decoder) => (decoder.show)(self, word),
            Kind::Filled(_) if self.failed() => self.put_address(word),
            Kind::Filled(decoder) => (decoder.show)(self, word),
            Kind::Flags(names) => names.put_flags(self.out, word & 0xffff_ffff),
            Kind::LongFlags(names) => names.put_flags(self.out, word),
            Kind::Choice(names) => names.put_choice(self.out, word & 0xffff_ffff),
            kind => self.put_word(kind, word),
        }
    }

    /// A value that needs no memory.
    pub fn put_word(&mut self, kind: Kind, word: u64) {
        let narrow = word as u32;
        match kind {
            Kind::Int => put_decimal(self.out, i64::from(narrow as i32)),
            Kind::Fd => self.put_fd(word),
            Kind::Dirfd => self.put_dirfd(word),
            Kind::Uint => put_decimal(self.out, i64::from(narrow)),
            Kind::Hex if narrow == 0 => self.out.push(b'0'),
            Kind::Hex => put_hex(self.out, u64::from(narrow)),
            Kind::Long if self.is_narrow() => put!(self.out, "{}", narrow as i32),
            Kind::Long => put_decimal(self.out, word as i64),
            Kind::Ulong => put!(self.out, "{word}"),
            Kind::Hexl if word == 0 => self.out.push(b'0'),
            Kind::Hexl => put_hex(self.out, word),
            Kind::Oct => self.put_mode(u64::from(narrow & 0xffff)),
            Kind::Sig => self.put_signal(narrow),
            _ => self.put_address(word),
        }
    }

    /// Permission bits: at least three digits, in octal.
    pub fn put_mode(&mut self, mode: u64) {
        put!(self.out, "0{mode:02o}");
    }

    /// A signal by name, or a number that is none.
    pub fn put_signal(&mut self, number: u32) {
        match u8::try_from(number) {
            Ok(32) => self.text("SIGRTMIN"),
            Ok(number @ 1..=64) => put!(self.out, "{}", Signal(number)),
            _ => put!(self.out, "{}", number as i32),
        }
    }

    /// `NULL`, or hexadecimal.
    pub fn put_address(&mut self, address: u64) {
        if address == 0 {
            self.out.extend_from_slice(b"NULL");
        } else {
            put_hex(self.out, address);
        }
    }

    /// Bits in hexadecimal; zero has no `0x`.
    pub fn put_hex(&mut self, value: u64) {
        if value == 0 { self.out.push(b'0') } else { put_hex(self.out, value) }
    }

    /// As it is.
    pub fn text(&mut self, text: &str) {
        self.out.extend_from_slice(text.as_bytes());
    }

    /// Named bits.
    pub fn flags(&mut self, names: &Names, value: u64) {
        names.put_flags(self.out, value);
    }

    /// A named value.
    pub fn choice(&mut self, names: &Names, value: u64) {
        names.put_choice(self.out, value);
    }

    /// The bytes at an address; if there are none, shows the address.
    pub fn fetch<const N: usize>(&mut self, address: u64) -> Option<[u8; N]> {
        let mut bytes = [0; N];
        if self.fetch_into(address, &mut bytes) { Some(bytes) } else { None }
    }

    /// The same, into a buffer.
    pub fn fetch_into(&mut self, address: u64, bytes: &mut [u8]) -> bool {
        let read = address != 0 && self.memory.read(address, bytes).is_ok();
        if !read {
            self.put_address(address);
        }
        read
    }

    /// A word at an address, as wide as the ABI's, quietly.
    pub fn peek_word(&mut self, address: u64) -> Option<u64> {
        let mut bytes = [0; 8];
        let size = self.word_size();
        self.memory.read(address, &mut bytes[..size]).ok()?;
        Some(u64::from_le_bytes(bytes))
    }

    /// 32 bits at an address, quietly.
    pub fn peek32(&mut self, address: u64) -> Option<u32> {
        let mut bytes = [0; 4];
        if address == 0 {
            return None;
        }
        self.memory.read(address, &mut bytes).ok()?;
        Some(u32::from_le_bytes(bytes))
    }

    /// `[item, item]` of `count` items of `size` bytes, without `-v` at most `-s` of them; the address if there is nothing.
    pub fn array(
        &mut self,
        address: u64,
        count: u64,
        size: usize,
        mut item: impl FnMut(&mut Args<'_>, &[u8]),
    ) {
        /// A batch that is read at once.
        const BATCH: usize = 1024;
        if address == 0 {
            return self.put_address(address);
        }
        if count == 0 {
            return self.text("[]");
        }
        let shown = self.show.items(count);
        let mut bytes = [0; BATCH];
        let per_batch = BATCH / size;
        let mut done = 0;
        while done < shown && self.out.len() < MOST_TEXT {
            let here = per_batch.min(shown - done);
            let place = address.wrapping_add((done * size) as u64);
            if self.memory.read(place, &mut bytes[..here * size]).is_err() {
                match done {
                    0 => self.put_address(address),
                    _ => put!(self.out, ", ... /* {place:#x} */]"),
                }
                return;
            }
            for bytes in bytes[..here * size].chunks_exact(size) {
                self.text(if done == 0 { "[" } else { ", " });
                item(self, bytes);
                done += 1;
            }
        }
        self.text(match (done as u64 == count, done) {
            (true, _) => "]",
            (false, 0) => "[...]",
            (false, _) => ", ...]",
        });
    }
}

/// A time of two words, whatever its second one counts.
fn time_of(args: &mut Args<'_>, address: u64, nanoseconds: bool) {
    if nanoseconds { time::timespec(args, address) } else { time::timeval(args, address) }
}

/// 16 bits at an offset.
pub fn le16(bytes: &[u8], at: usize) -> u16 {
    u16::from_le_bytes([bytes[at], bytes[at + 1]])
}

/// 32 bits at an offset.
pub fn le32(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]])
}

/// 64 bits at an offset.
pub fn le64(bytes: &[u8], at: usize) -> u64 {
    u64::from(le32(bytes, at)) | u64::from(le32(bytes, at + 4)) << 32
}

/// The word with this index in a structure of words.
pub fn word(bytes: &[u8], index: usize, narrow: bool) -> u64 {
    if narrow { le32(bytes, index * 4).into() } else { le64(bytes, index * 8) }
}

#[cfg(test)]
mod tests;
