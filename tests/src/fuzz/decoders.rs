//! userland's decoders on memory and arguments that a program chose to harm whoever looks: they never fail, never read
//! without end, and never make text without end.

use kernel_model::abi::{Errno, Result};
use userland::decode::{Begun, Fds, Hex, Memory, Show};
use userland::tables::Calls;
use userland::trace::call::{InCall, put_call, put_rest, put_result};

use super::bytes::Bytes;

/// Where the input's own memory begins.
const BASE: u64 = 0x1000;
/// Far more reads than any call needs: a decoder that walks memory must end somewhere.
const MOST_READS: usize = 100_000;
/// Far more text than any line has.
const MOST_TEXT: usize = 4 << 20;

/// Memory of the input's choosing.
struct Hostile<'a> {
    bytes: &'a [u8],
    /// Every address can be read, again and again the same bytes: what has no end never ends.
    endless: bool,
    reads: usize,
}

impl Memory for Hostile<'_> {
    fn read(&mut self, address: u64, buf: &mut [u8]) -> Result<()> {
        self.reads += 1;
        assert!(self.reads < MOST_READS, "a decoder reads without end");
        if self.endless && !self.bytes.is_empty() {
            let mut from = (address % self.bytes.len() as u64) as usize;
            let mut rest = buf;
            while !rest.is_empty() {
                let n = rest.len().min(self.bytes.len() - from);
                let (now, later) = rest.split_at_mut(n);
                now.copy_from_slice(&self.bytes[from..from + n]);
                (from, rest) = (0, later);
            }
            return Ok(());
        }
        let from = address.checked_sub(BASE).ok_or(Errno::EFAULT)? as usize;
        let end = from.checked_add(buf.len()).ok_or(Errno::EFAULT)?;
        buf.copy_from_slice(self.bytes.get(from..end).ok_or(Errno::EFAULT)?);
        Ok(())
    }

    /// Names and facts are texts of somebody else's choosing, too.
    fn descriptor(&mut self, path: &str) -> Option<Vec<u8>> {
        self.reads += 1;
        (!path.ends_with('7')).then(|| self.bytes.iter().copied().take(64).collect())
    }
}

/// One call from its beginning to its end; memory may change in between.
pub fn decoders(input: &[u8]) {
    thread_local! {
        static LINUX: Calls = Calls::linux();
    }
    let mut bytes = Bytes::new(input);
    let abi = u64::from(bytes.byte() & 1);
    let shape = bytes.byte();
    let number = u64::from(bytes.byte()) | u64::from(bytes.byte() & 3) << 8;
    let limit = [0, 1, 32, 300][bytes.below(4)];
    let words = std::array::from_fn(|at| match shape >> at & 1 {
        // Near the memory, or a small number, or anything.
        0 => BASE.wrapping_add_signed(i64::from(bytes.byte() as i8)),
        _ => bytes.word(),
    });
    let register = if shape & 0x80 == 0 { u64::from(bytes.byte()) } else { bytes.word() };
    let endless = bytes.byte() & 3 == 3;
    let form = bytes.byte();
    let show = Show {
        limit,
        full: form & 1 != 0,
        hex: [Hex::None, Hex::NotText, Hex::All, Hex::None][usize::from(form >> 1 & 3)],
        fds: [Fds::Numbers, Fds::Paths, Fds::Details, Fds::Numbers][usize::from(form >> 3 & 3)],
        raw: form & 0xe0 == 0xe0,
    };
    let half = bytes.byte();
    let rest = bytes.rest();
    let (first, second) = if half & 1 == 0 { (rest, rest) } else { rest.split_at(rest.len() / 2) };
    LINUX.with(|calls| {
        let call = calls.get(abi, number);
        let mut out = Vec::new();
        let mut memory = Hostile { bytes: first, endless, reads: 0 };
        let begun: Begun = put_call(&mut out, call, number, &words, abi, &mut memory, show);
        let began = InCall { id: 1, number, abi, words, begun };
        let mut memory = Hostile { bytes: second, endless, reads: 0 };
        put_rest(&mut out, call, &began, register, &mut memory, show);
        put_result(&mut out, call, &words, abi, register, &mut memory, show);
        assert!(out.len() < MOST_TEXT, "{} bytes of text for call {number}", out.len());
        assert!(!out.is_empty());
        assert!(!out.contains(&b'\n') && !out.contains(&0), "{}", String::from_utf8_lossy(&out));
    });
}
