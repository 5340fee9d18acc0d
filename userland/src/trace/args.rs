//! Arguments as text: one function per kind of value, all writing to a buffer that is used again and again.
//!
//! Memory is asked for through [`Memory`], so that the text can be tested without a process.

use kernel_model::abi::{IntRegisters, Result, Signal};

use crate::tables::{Call, Kind};

/// Reading a tracee's memory: all of `buf`, or an error.
pub trait Memory {
    /// Reads at an address.
    fn read(&mut self, address: u64, buf: &mut [u8]) -> Result<()>;
}

/// The longest path that is shown whole: PATH_MAX of linux/limits.h.
const PATH_MAX: usize = 4096;
/// Divides every page size: a read inside one such block touches one page.
const BLOCK: u64 = 256;
/// openat(2): the current folder.
const AT_FDCWD: i32 = -100;

/// The six argument words of a call in progress. The 32-bit ABI's are those of entry by int 0x80 (syscall(2)).
pub fn words(regs: &IntRegisters, abi: u64) -> [u64; 6] {
    match abi {
        0 => [regs.rdi, regs.rsi, regs.rdx, regs.r10, regs.r8, regs.r9],
        _ => [regs.rbx, regs.rcx, regs.rdx, regs.rsi, regs.rdi, regs.rbp].map(|word| word & 0xffff_ffff),
    }
}

/// `name(argument, argument`, without the closing parenthesis: the call is not over. Strings longer than `limit` are cut,
/// paths are not.
pub fn put_call(
    out: &mut Vec<u8>,
    call: Option<&Call>,
    number: u64,
    words: &[u64; 6],
    abi: u64,
    memory: &mut dyn Memory,
    limit: usize,
) {
    let Some(call) = call else {
        put!(out, "syscall_{number:#x}(");
        for (at, &word) in words.iter().enumerate() {
            out.extend_from_slice(if at > 0 { b", " } else { b"" });
            put_word(out, Kind::Hexl, word, abi);
        }
        return;
    };
    out.extend_from_slice(call.name.as_bytes());
    out.push(b'(');
    for (at, argument) in call.arguments.iter().enumerate() {
        if at > 0 {
            out.extend_from_slice(b", ");
        }
        let word = words[at];
        match argument.kind {
            Kind::Str => put_text(out, word, PATH_MAX, memory),
            Kind::Buf => put_bytes(out, word, words.get(at + 1).copied().unwrap_or(0), limit, memory),
            Kind::Argv => put_list(out, word, abi, limit, memory),
            kind => put_word(out, kind, word, abi),
        }
    }
}

/// A value that needs no memory.
fn put_word(out: &mut Vec<u8>, kind: Kind, word: u64, abi: u64) {
    let narrow = word as u32;
    match kind {
        Kind::Int | Kind::Fd => put!(out, "{}", narrow as i32),
        Kind::Dirfd if narrow as i32 == AT_FDCWD => out.extend_from_slice(b"AT_FDCWD"),
        Kind::Dirfd => put!(out, "{}", narrow as i32),
        Kind::Uint => put!(out, "{narrow}"),
        Kind::Hex if narrow == 0 => out.push(b'0'),
        Kind::Hex => put!(out, "{narrow:#x}"),
        Kind::Long if abi != 0 => put!(out, "{}", narrow as i32),
        Kind::Long => put!(out, "{}", word as i64),
        Kind::Ulong => put!(out, "{word}"),
        Kind::Hexl if word == 0 => out.push(b'0'),
        Kind::Hexl => put!(out, "{word:#x}"),
        Kind::Oct => put!(out, "0{:o}", narrow & 0xffff),
        Kind::Sig => match u8::try_from(narrow) {
            Ok(number @ 1..=64) => put!(out, "{}", Signal(number)),
            _ => put!(out, "{}", narrow as i32),
        },
        Kind::Ptr | Kind::Str | Kind::Buf | Kind::Argv => put_address(out, word),
    }
}

/// `NULL`, or hexadecimal.
pub fn put_address(out: &mut Vec<u8>, address: u64) {
    if address == 0 {
        out.extend_from_slice(b"NULL");
    } else {
        put!(out, "{address:#x}");
    }
}

/// Text that ends with NUL, quoted; its address if it cannot be read; `"…"...` if it is longer than `limit`.
fn put_text(out: &mut Vec<u8>, address: u64, limit: usize, memory: &mut dyn Memory) {
    let start = out.len();
    let mut block = [0; BLOCK as usize];
    let mut length = 0;
    if address == 0 {
        return put_address(out, address);
    }
    out.push(b'"');
    while length <= limit {
        let at = address.wrapping_add(length as u64);
        let some = &mut block[..(BLOCK - at % BLOCK) as usize];
        if memory.read(at, some).is_err() {
            break;
        }
        let end = some.iter().position(|&byte| byte == 0);
        let here = end.unwrap_or(some.len()).min(limit - length);
        put_escaped(out, &some[..here]);
        match end {
            Some(end) if end == here => return out.push(b'"'),
            _ if here == limit - length => return out.extend_from_slice(b"\"..."),
            _ => length += here,
        }
    }
    if length == 0 {
        out.truncate(start);
        put_address(out, address);
    } else {
        // The text runs into memory that is not there.
        out.extend_from_slice(b"\"...");
    }
}

/// `length` bytes, quoted; their address if they cannot be read.
fn put_bytes(out: &mut Vec<u8>, address: u64, length: u64, limit: usize, memory: &mut dyn Memory) {
    let shown = limit.min(usize::try_from(length).unwrap_or(usize::MAX));
    let mut small = [0; BLOCK as usize];
    let mut large;
    let bytes = if shown <= small.len() {
        &mut small[..shown]
    } else {
        large = vec![0; shown]; // only with a large -s
        &mut large[..]
    };
    if address == 0 || memory.read(address, bytes).is_err() {
        return put_address(out, address);
    }
    out.push(b'"');
    put_escaped(out, bytes);
    out.push(b'"');
    if length > shown as u64 {
        out.extend_from_slice(b"...");
    }
}

/// `["ls", "-l"]`; its address if it cannot be read; at most `limit` texts.
fn put_list(out: &mut Vec<u8>, address: u64, abi: u64, limit: usize, memory: &mut dyn Memory) {
    let size = if abi == 0 { 8 } else { 4 };
    for at in 0..limit {
        let mut word = [0; 8];
        let place = address.wrapping_add((at * size) as u64);
        if address == 0 || memory.read(place, &mut word[..size]).is_err() {
            if at == 0 {
                put_address(out, address);
            } else {
                put!(out, ", ... /* {place:#x} */]");
            }
            return;
        }
        let text = u64::from_le_bytes(word);
        if at == 0 {
            out.push(b'[');
        }
        if text == 0 {
            return out.push(b']');
        }
        if at > 0 {
            out.extend_from_slice(b", ");
        }
        put_text(out, text, limit, memory);
    }
    out.extend_from_slice(if limit == 0 { b"[...]" } else { b", ...]" });
}

/// Bytes as a C string literal shows them; octal escapes are as short as what follows allows.
pub fn put_escaped(out: &mut Vec<u8>, bytes: &[u8]) {
    for (at, &byte) in bytes.iter().enumerate() {
        match byte {
            b'"' | b'\\' => out.extend_from_slice(&[b'\\', byte]),
            b' '..=b'~' => out.push(byte),
            b'\n' => out.extend_from_slice(b"\\n"),
            b'\t' => out.extend_from_slice(b"\\t"),
            b'\r' => out.extend_from_slice(b"\\r"),
            0x0b => out.extend_from_slice(b"\\v"),
            0x0c => out.extend_from_slice(b"\\f"),
            _ if bytes.get(at + 1).is_some_and(u8::is_ascii_digit) => put!(out, "\\{byte:03o}"),
            _ => put!(out, "\\{byte:o}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tables::Calls;
    use kernel_model::abi::Errno;

    /// Bytes at an address; whatever is outside cannot be read.
    struct At(u64, Vec<u8>);
    impl Memory for At {
        fn read(&mut self, address: u64, buf: &mut [u8]) -> Result<()> {
            let from = address.checked_sub(self.0).ok_or(Errno::EFAULT)? as usize;
            let bytes = self.1.get(from..from + buf.len()).ok_or(Errno::EFAULT)?;
            buf.copy_from_slice(bytes);
            Ok(())
        }
    }

    fn text(abi: u64, name: &str, words: [u64; 6], memory: &mut At, limit: usize) -> String {
        let linux = Calls::linux();
        let call = linux.tables()[abi as usize].iter().find(|call| call.name == name).unwrap();
        let mut out = Vec::new();
        put_call(&mut out, Some(call), call.number, &words, abi, memory, limit);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn paths_flags_and_the_current_folder() {
        let mut memory = At(0x1000, [b"/etc/pass\"wd\n\0".as_slice(), &[0; 4096]].concat());
        let at = -100i64 as u64;
        assert_eq!(
            text(0, "openat", [at, 0x1000, 0x8_0000, 0o644, 0, 0], &mut memory, 4),
            r#"openat(AT_FDCWD, "/etc/pass\"wd\n", 0x80000, 0644"#
        );
        assert_eq!(text(0, "openat", [5, 0x10, 0, 0, 0, 0], &mut memory, 32), "openat(5, 0x10, 0, 00");
        assert_eq!(text(0, "openat", [5, 0, 0, 0, 0, 0], &mut memory, 32), "openat(5, NULL, 0, 00");
    }

    #[test]
    fn a_path_is_whole_at_a_pages_end_and_across_blocks() {
        let long = vec![b'a'; 400];
        let mut bytes = vec![1; 4096 - 401];
        bytes.extend_from_slice(&long);
        bytes.push(0);
        let start = 0x2000 + 4096 - 401;
        let expected = format!("chdir(\"{}\"", "a".repeat(400));
        assert_eq!(text(0, "chdir", [start, 0, 0, 0, 0, 0], &mut At(0x2000, bytes), 32), expected);
        let unended = At(0x2000, vec![b'b'; 256]);
        let expected = format!("chdir(\"{}\"...", "b".repeat(256));
        assert_eq!(text(0, "chdir", [0x2000, 0, 0, 0, 0, 0], &mut { unended }, 32), expected);
    }

    #[test]
    fn buffers_are_cut_at_the_limit_and_escaped() {
        let mut memory = At(0x1000, b"ab\x01\x027\xffcdef".to_vec());
        assert_eq!(
            text(0, "write", [1, 0x1000, 6, 0, 0, 0], &mut memory, 32),
            r#"write(1, "ab\1\0027\377", 6"#
        );
        assert_eq!(text(0, "write", [1, 0x1000, 10, 0, 0, 0], &mut memory, 2), r#"write(1, "ab"..., 10"#);
        assert_eq!(text(0, "write", [1, 0x9000, 10, 0, 0, 0], &mut memory, 2), "write(1, 0x9000, 10");
        assert_eq!(text(0, "write", [1, 0x1000, 0, 0, 0, 0], &mut memory, 2), r#"write(1, "", 0"#);
    }

    #[test]
    fn exec_lists_its_arguments_on_both_abis() {
        let mut bytes = b"ls\0-l\0\0\0".to_vec();
        for word in [0x1000u64, 0x1003, 0] {
            bytes.extend_from_slice(&word.to_le_bytes());
        }
        for word in [0x1000u32, 0x1003, 0] {
            bytes.extend_from_slice(&word.to_le_bytes());
        }
        bytes.resize(4096, 0);
        let mut memory = At(0x1000, bytes);
        let wide = [0x1000, 0x1008, 0x1010, 0, 0, 0];
        assert_eq!(text(0, "execve", wide, &mut memory, 32), r#"execve("ls", ["ls", "-l"], 0x1010"#);
        assert_eq!(text(0, "execve", wide, &mut memory, 1), r#"execve("ls", ["l"..., ...], 0x1010"#);
        let narrow = [0x1000, 0x1020, 0, 0, 0, 0];
        assert_eq!(text(1, "execve", narrow, &mut memory, 32), r#"execve("ls", ["ls", "-l"], NULL"#);
        assert_eq!(text(0, "execve", [0x1000, 8, 0, 0, 0, 0], &mut memory, 32), r#"execve("ls", 0x8, NULL"#);
    }

    #[test]
    fn the_32_bit_abi_has_its_own_registers_and_width() {
        let regs = IntRegisters { rbx: 0xffff_ffff_ffff_fff6, rcx: 2, rdi: 9, ..Default::default() };
        let words = words(&regs, 1);
        assert_eq!(words, [0xffff_fff6, 2, 0, 0, 9, 0]);
        assert_eq!(text(1, "kill", words, &mut At(0, vec![]), 32), "kill(-10, SIGINT");
        let mut out = Vec::new();
        put_call(&mut out, None, 999, &words, 1, &mut At(0, vec![]), 32);
        assert_eq!(out, b"syscall_0x3e7(0xfffffff6, 0x2, 0, 0, 0x9, 0");
    }
}
