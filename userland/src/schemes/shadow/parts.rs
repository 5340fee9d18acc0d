//! Contents of a lazy scheme: from the first byte on, as far as somebody is about to read, and a little further.
//!
//! What is there stays there: who has read it may read it again, so a failed transfer takes nothing back. The next part
//! goes on where it broke, if the file at the source is still the same.

use std::io::{Seek, SeekFrom};
use std::path::Path;
use std::sync::atomic::Ordering;

use kernel_model::abi::{Errno, OpenFlags, Result, SEEK_SET, Stat};
use kernel_model::scheme::Scheme;

use super::fill::{PIECE, keep_time, open_for_us, put};
use super::{Known, Shadow, There, Transfer, lock, place};
use crate::schemes::errors::errno;

/// Bytes that are transferred beyond those that are asked for, so that a reader does not wait for each piece. A file that has
/// no more is not worth a second thought: it is transferred when it is opened.
pub(super) const AHEAD: u64 = 1 << 20;

impl<S: Scheme + Send + Sync> Shadow<S> {
    /// Makes sure that the first `end` bytes of a file are there; all of it, where it has no more.
    pub(super) fn fill_part(&self, below: &Path, end: u64) -> Result<()> {
        loop {
            let there = self.look(below, false)?;
            if there.stat.size == Stat::UNKNOWN {
                return self.fill(below).map(drop);
            }
            if there.has(end) {
                return Ok(());
            }
            let mut work = lock(&there.content.work);
            // As in `fill`: what it is may have changed while this thread waited.
            match &*lock(&self.entry(below).known) {
                Known::There(now) if std::sync::Arc::ptr_eq(&now.content, &there.content) => {}
                _ => continue,
            }
            if there.has(end) {
                return Ok(());
            }
            let name = self.scheme_path(below);
            let mut transfer = match work.take() {
                Some(transfer) => transfer,
                None => self.begin(below, &there)?,
            };
            let result = self.go_on(&mut transfer, &there, end, &name);
            self.watch.ended(&name, result.map(drop));
            match result {
                Ok(false) => *work = Some(transfer),
                Ok(true) => {
                    self.scheme.close(transfer.fd)?;
                    place::set_attributes(&self.host(below), &there.stat).map_err(errno)?;
                    there.content.whole.store(true, Ordering::Release);
                }
                Err(cause) => {
                    let _ = self.scheme.close(transfer.fd);
                    return Err(cause);
                }
            }
            return Ok(());
        }
    }

    /// Opens both ends, behind what is there. Errors: ESTALE it is another file by now.
    fn begin(&self, below: &Path, there: &There) -> Result<Transfer> {
        let have = there.content.have.load(Ordering::Acquire);
        let fd = self.scheme.open(
            &self.scheme_path(below),
            OpenFlags::O_RDONLY | OpenFlags::O_NOFOLLOW | OpenFlags::O_CLOEXEC,
        )?;
        let opened = self.scheme.fstat(fd).and_then(|stat| {
            if !place::is_same_file(&there.stat, &stat) {
                return Err(Errno::ESTALE);
            }
            self.scheme.seek(fd, have as i64, SEEK_SET)?;
            let mut file = open_for_us(&self.host(below)).map_err(errno)?;
            file.seek(SeekFrom::Start(have)).map_err(errno)?;
            Ok(Transfer { fd, file })
        });
        if opened.is_err() {
            let _ = self.scheme.close(fd);
        }
        opened
    }

    /// Transfers. True: all of it is there.
    fn go_on(&self, transfer: &mut Transfer, there: &There, end: u64, name: &str) -> Result<bool> {
        let total = there.stat.size;
        let wanted = if end >= total || total <= AHEAD { u64::MAX } else { end.saturating_add(AHEAD) };
        let mut piece = vec![0; PIECE];
        loop {
            let have = there.content.have.load(Ordering::Acquire);
            self.watch.fetched(name, have, Some(total));
            if have >= wanted && have < total {
                return Ok(false);
            }
            let n = self.scheme.read(transfer.fd, &mut piece)?;
            if n == 0 {
                return if have == total { Ok(true) } else { Err(Errno::EIO) };
            }
            if have + n as u64 > total {
                return Err(Errno::EIO);
            }
            put(&mut transfer.file, &piece[..n]).map_err(errno)?;
            keep_time(&transfer.file, &there.stat).map_err(errno)?;
            there.content.have.store(have + n as u64, Ordering::Release);
        }
    }
}
