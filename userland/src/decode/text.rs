//! Strings, buffers and lists of strings: cut where the user wants it, escaped as in C.

use super::{Args, MOST_TEXT, decoders, word};

decoders! { string, envp, buffer_returned, hex_returned, string_returned, }

/// The longest path that is shown whole: PATH_MAX of linux/limits.h.
const PATH_MAX: usize = 4096;
/// Divides every page size: a read inside one such block touches one page.
const BLOCK: u64 = 256;

/// A path: whole.
pub fn path(args: &mut Args<'_>, address: u64) {
    put_text(args, address, PATH_MAX);
}

/// Other text that ends with NUL: cut.
pub(super) fn string(args: &mut Args<'_>, address: u64) {
    put_text(args, address, args.show.limit);
}

/// Text that ends with NUL, quoted; its address if it cannot be read; `"…"...` if it is longer than `limit`.
pub(super) fn put_text(args: &mut Args<'_>, address: u64, limit: usize) {
    let mut block = [0; BLOCK as usize];
    let mut text = Vec::new(); // of what is longer than a block
    if address == 0 {
        return args.put_address(address);
    }
    loop {
        let at = address.wrapping_add(text.len() as u64);
        let some = &mut block[..(BLOCK - at % BLOCK) as usize];
        if args.memory.read(at, some).is_err() {
            break;
        }
        let end = some.iter().position(|&byte| byte == 0);
        let here = end.unwrap_or(some.len()).min(limit - text.len());
        let is_whole = end == Some(here);
        if is_whole || text.len() + here == limit {
            if text.is_empty() {
                args.put_string(&some[..here]);
            } else {
                text.extend_from_slice(&some[..here]);
                args.put_string(&text);
            }
            return args.text(if is_whole { "" } else { "..." });
        }
        text.extend_from_slice(some);
    }
    if text.is_empty() {
        args.put_address(address);
    } else {
        // The text runs into memory that is not there.
        args.put_string(&text);
        args.text("...");
    }
}

/// Bytes whose count is the next argument.
pub(super) fn buffer(args: &mut Args<'_>, address: u64) {
    let length = args.next();
    put_bytes(args, address, length, false);
}

/// As many bytes as the call returned.
fn buffer_returned(args: &mut Args<'_>, address: u64) {
    let length = args.result.unwrap_or(0).max(0) as u64;
    put_bytes(args, address, length, false);
}

/// The same of bytes that are no text.
fn hex_returned(args: &mut Args<'_>, address: u64) {
    let length = args.result.unwrap_or(0).max(0) as u64;
    put_bytes(args, address, length, true);
}

/// What the call returned the length of, its NUL included: getcwd.
fn string_returned(args: &mut Args<'_>, address: u64) {
    put_text(args, address, PATH_MAX);
}

/// `length` bytes, quoted; their address if they cannot be read.
pub(super) fn put_bytes(args: &mut Args<'_>, address: u64, length: u64, hex: bool) {
    let shown = args.show.limit.min(usize::try_from(length).unwrap_or(usize::MAX));
    let mut small = [0; BLOCK as usize];
    let mut large;
    let bytes = if shown <= small.len() {
        &mut small[..shown]
    } else {
        large = vec![0; shown]; // only with a large -s
        &mut large[..]
    };
    if !args.fetch_into(address, bytes) {
        return;
    }
    if hex {
        args.put_hex_string(bytes);
    } else {
        args.put_string(bytes);
    }
    if length > shown as u64 {
        args.text("...");
    }
}

/// Text that the tool has, cut and quoted like what is read.
pub fn put_given(args: &mut Args<'_>, text: &[u8]) {
    let shown = text.len().min(args.show.limit);
    args.put_string(&text[..shown]);
    args.text(if shown < text.len() { "..." } else { "" });
}

impl Args<'_> {
    /// In quotes, in the form that `-x` asks for.
    pub fn put_string(&mut self, bytes: &[u8]) {
        if self.show.hex.applies(bytes) {
            return self.put_hex_string(bytes);
        }
        self.text("\"");
        put_escaped(self.out, bytes, b"\"");
        self.text("\"");
    }

    /// In quotes, in hexadecimal: bytes that are no text.
    pub fn put_hex_string(&mut self, bytes: &[u8]) {
        self.text("\"");
        put_hex(self.out, bytes);
        self.text("\"");
    }

    /// Bytes of a fixed field, up to its NUL, in quotes.
    pub fn put_field(&mut self, bytes: &[u8]) {
        let length = bytes.iter().position(|&byte| byte == 0).unwrap_or(bytes.len());
        self.put_string(&bytes[..length]);
    }
}

pub(super) fn put_hex(out: &mut Vec<u8>, bytes: &[u8]) {
    for byte in bytes {
        put!(out, "\\x{byte:02x}");
    }
}

/// `["ls", "-l"]`; its address if it cannot be read; without `-v` at most as many texts as a string has bytes.
pub(super) fn argv(args: &mut Args<'_>, address: u64) {
    let (size, most) = (args.word_size(), args.show.items(u64::MAX));
    for at in 0..most {
        if args.out.len() > MOST_TEXT {
            break;
        }
        let place = address.wrapping_add((at * size) as u64);
        let text = if address == 0 { None } else { args.peek_word(place) };
        let Some(text) = text else {
            match at {
                0 => args.put_address(address),
                _ => put!(args.out, ", ... /* {place:#x} */]"),
            }
            return;
        };
        if at == 0 {
            args.out.push(b'[');
        }
        if text == 0 {
            return args.out.push(b']');
        }
        if at > 0 {
            args.text(", ");
        }
        put_text(args, text, args.show.limit);
    }
    args.text(if most == 0 { "[...]" } else { ", ...]" });
}

/// `0x… /* 34 vars */`: how many words there are before the NULL; with `-v` the texts.
pub fn envp(args: &mut Args<'_>, address: u64) {
    /// More than any exec takes: execve(2), "Limits on size", leaves 6 MiB, and each takes 9 bytes. A list without an end
    /// must not keep us for ever.
    const MOST: u64 = 1 << 20;
    if args.show.full {
        return argv(args, address);
    }
    args.put_address(address);
    if address == 0 {
        return;
    }
    let size = args.word_size();
    let mut block = [0; BLOCK as usize];
    let mut count = 0;
    while count < MOST {
        let at = address.wrapping_add(count * size as u64);
        // Whole words up to the end of a block: what is mapped is mapped by the page.
        let length = ((BLOCK - at % BLOCK) as usize / size).max(1) * size;
        if args.memory.read(at, &mut block[..length]).is_err() {
            return put!(args.out, " /* {count} vars, unterminated */");
        }
        let words = length / size;
        let end = (0..words).position(|index| word(&block, index, size == 4) == 0);
        count += end.unwrap_or(words) as u64;
        if end.is_some() {
            return put!(args.out, " /* {count} var{} */", if count == 1 { "" } else { "s" });
        }
    }
    put!(args.out, " /* over {count} vars */");
}

/// Bytes as a C string literal shows them; octal escapes are as short as what follows allows. What `quotes` has gets a
/// backslash, or an octal escape if it is no quotation mark.
pub(super) fn put_escaped(out: &mut Vec<u8>, bytes: &[u8], quotes: &[u8]) {
    for (at, &byte) in bytes.iter().enumerate() {
        match byte {
            b'"' if quotes.contains(&byte) => out.extend_from_slice(b"\\\""),
            b'\\' => out.extend_from_slice(b"\\\\"),
            b' '..=b'~' if !quotes.contains(&byte) => out.push(byte),
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
