//! `-e read=` and `-e write=`: all bytes that a call moved through a descriptor, below its line.

use crate::decode::{Memory, Words, io_parts};
use crate::tables::Call;

/// Bytes in one line.
const ROW: usize = 16;
/// Bytes fetched at once.
const BATCH: usize = 4096;

/// Which way bytes go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// Into the process.
    Read,
    /// Out of it.
    Written,
}

/// Whether a call moves bytes by its first argument, and whether they are in parts.
pub fn way(call: &Call) -> Option<(Way, bool)> {
    Some(match call.name {
        "read" | "pread64" | "recv" | "recvfrom" => (Way::Read, false),
        "write" | "pwrite64" | "send" | "sendto" => (Way::Written, false),
        "readv" | "preadv" | "preadv2" => (Way::Read, true),
        "writev" | "pwritev" | "pwritev2" => (Way::Written, true),
        _ => return None,
    })
}

/// The lines. `moved`: what the call returned.
pub fn put(out: &mut Vec<u8>, memory: &mut dyn Memory, words: &Words, abi: u64, in_parts: bool, moved: u64) {
    if !in_parts {
        return put_bytes(out, memory, words[1], moved);
    }
    let mut left = moved;
    for (at, (base, length)) in io_parts(memory, words[1], words[2], abi).into_iter().enumerate() {
        let here = length.min(left);
        if here == 0 {
            break;
        }
        put!(out, " * {here} bytes in buffer {at}\n");
        put_bytes(out, memory, base, here);
        left -= here;
    }
}

fn put_bytes(out: &mut Vec<u8>, memory: &mut dyn Memory, address: u64, length: u64) {
    let mut batch = [0; BATCH];
    let mut done = 0;
    while done < length {
        let here = (length - done).min(BATCH as u64) as usize;
        if memory.read(address.wrapping_add(done), &mut batch[..here]).is_err() {
            return;
        }
        for row in batch[..here].chunks(ROW) {
            put_row(out, done, row);
            done += row.len() as u64;
        }
    }
}

/// ` | 00000  68 65 6c 6c 6f                                    hello            |`
fn put_row(out: &mut Vec<u8>, offset: u64, row: &[u8]) {
    put!(out, " | {offset:05x} ");
    for at in 0..ROW {
        out.extend_from_slice(if at % 8 == 0 { b" " } else { b"" });
        match row.get(at) {
            Some(byte) => put!(out, "{byte:02x} "),
            None => out.extend_from_slice(b"   "),
        }
    }
    out.push(b' ');
    for at in 0..ROW {
        out.push(match row.get(at) {
            Some(byte @ b' '..=b'~') => *byte,
            Some(_) => b'.',
            None => b' ',
        });
    }
    out.extend_from_slice(b" |\n");
}

#[cfg(test)]
mod tests {
    use super::*;
    use kernel_model::abi::{Errno, Result};

    struct At(u64, Vec<u8>);
    impl Memory for At {
        fn read(&mut self, address: u64, buf: &mut [u8]) -> Result<()> {
            let from = address.checked_sub(self.0).ok_or(Errno::EFAULT)? as usize;
            buf.copy_from_slice(self.1.get(from..from + buf.len()).ok_or(Errno::EFAULT)?);
            Ok(())
        }
        fn descriptor(&mut self, _: &str) -> Option<Vec<u8>> {
            None
        }
    }

    fn text(memory: Vec<u8>, words: [u64; 3], in_parts: bool, moved: u64) -> String {
        let (mut out, [a, b, c]) = (Vec::new(), words);
        put(&mut out, &mut At(0x1000, memory), &[a, b, c, 0, 0, 0, 0], 0, in_parts, moved);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn rows_of_sixteen_and_parts() {
        let bytes: Vec<u8> = (b'a'..=b'q').chain([0]).collect();
        assert_eq!(
            text(bytes, [1, 0x1000, 99], false, 18),
            " | 00000  61 62 63 64 65 66 67 68  69 6a 6b 6c 6d 6e 6f 70  abcdefghijklmnop |\n \
             | 00010  71 00                                             q.               |\n"
        );
        let mut memory = Vec::new();
        for word in [0x1000u64, 2, 0x1001, 5] {
            memory.extend_from_slice(&word.to_le_bytes());
        }
        let parts = text(memory.clone(), [1, 0x1000, 2], true, 3);
        assert!(parts.starts_with(" * 2 bytes in buffer 0\n | 00000  00 10 "), "{parts}");
        assert!(parts.contains(" * 1 bytes in buffer 1\n | 00000  10 "), "{parts}");
        assert_eq!(text(memory, [1, 0x1, 2], false, 3), "", "unreadable");
    }
}
