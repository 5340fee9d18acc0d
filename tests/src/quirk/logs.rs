//! Quirks of `log`: records that are lost, falsified or miscounted; tables that are not heeded.

use kernel_model::abi::{Errno, LogCall, LogCapture, LogHeader, LogRecord, Result};
use kernel_model::scheme::Fd;

use super::reads::{set_word, word};
use super::{Inner, Quirky};

const HEAD: usize = size_of::<LogHeader>();
const ARGS: usize = HEAD + std::mem::offset_of!(LogCall, args);
const ID: usize = HEAD + std::mem::offset_of!(LogCall, id);
const CAPTURES: usize = HEAD + size_of::<LogCall>();
const KIND: usize = std::mem::offset_of!(LogHeader, kind);
const FLAGS: usize = std::mem::offset_of!(LogCapture, flags);

impl<I: Inner> Quirky<I> {
    pub(super) fn read_log(&self, fd: Fd, buf: &mut [u8]) -> Result<usize> {
        let n = match (self.rule, self.inner().read(fd, buf)) {
            ("R106", Err(Errno::EINVAL)) => return Ok(0),
            ("R108", Err(Errno::ESRCH)) => return Err(Errno::EDEADLK),
            (_, answer) => answer?,
        };
        let mut at = 0;
        while let Some((header, _, _)) = LogRecord::split(&buf[at..n]) {
            let length = header.length as usize;
            self.falsify_record(header.kind, &mut buf[at..][..length]);
            at += length;
        }
        Ok(n)
    }

    fn falsify_record(&self, kind: u16, record: &mut [u8]) {
        match (self.rule, kind) {
            ("R104", LogHeader::CALL) => {
                let (first, second) = (word(record, ARGS), word(record, ARGS + 8));
                set_word(record, ARGS, second);
                set_word(record, ARGS + 8, first);
            }
            ("R105", LogHeader::CALL) => set_word(record, ID, 0),
            ("R110", LogHeader::CALL) if record.len() > CAPTURES => record[CAPTURES + FLAGS] = 0,
            ("R112", LogHeader::DROP) => set_word(record, HEAD, word(record, HEAD) + 1),
            ("R114", LogHeader::IMAGE) | ("R115", LogHeader::SIGNAL) => record[KIND] = 0xff,
            _ => {}
        }
    }

    /// A table of which some is not heeded.
    pub(super) fn write_table(&self, fd: Fd, buf: &[u8]) -> Result<usize> {
        match self.rule {
            "R109" => return self.inner().write(fd, b"").map(|_| buf.len()),
            "R113" if buf == b"inherit" => return Ok(buf.len()),
            "R111" => {
                return match self.inner().write(fd, buf) {
                    Err(Errno::EINVAL) => self.inner().write(fd, b"").and(Err(Errno::EINVAL)),
                    answer => answer,
                };
            }
            _ => {}
        }
        self.inner().write(fd, buf)
    }
}
