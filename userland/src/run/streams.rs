//! Calls on descriptors of a `proc:` mount: what is read and written goes through the handle that is behind the pipe.
//!
//! They stop only in runs with such a mount. A read that has to wait is made by the kernel on the pipe, and again when that
//! has a byte; so signals and job control are what they are for any read.

use kernel_model::abi::{Errno, Result};

use super::calls::Stream;
use super::entry::{Call, Plan};
use super::live::{Opened, Wanted};
use super::mounts::Rights;
use super::open::{O_CREAT, O_EXCL, O_TRUNC, WRITES};
use super::rewrite::Change;
use super::task::{After, word_size};
use super::walk::{EROFS, Found, Stop};
use super::{backing::Intent, look};

/// As much is read or written at a time; more is a short result.
const MOST: usize = 1 << 20;
/// IOV_MAX.
const MOST_PIECES: u64 = 1024;
const O_NONBLOCK: u64 = 0o4000;

/// A piece of the program's memory.
type Piece = (u64, usize);

impl Call<'_, '_> {
    /// Opens a file of a live mount.
    pub(super) fn open_live(
        &mut self,
        change: &mut Change,
        path: usize,
        found: &Found,
        mount: usize,
        below: &[u8],
        flags: u64,
    ) -> std::result::Result<(), Stop> {
        let host = self.host_of(found, Intent::Look)?;
        let exclusive = flags & (O_CREAT | O_EXCL) == O_CREAT | O_EXCL;
        if exclusive || !look::exists(&host) || look::is_directory(&host) {
            let intent = if look::is_directory(&host) { Intent::List } else { Intent::Look };
            return self.put(change, path, found, intent);
        }
        let rights = self.world.table.get(mount).rights;
        if flags & (WRITES | O_TRUNC) != 0 && !rights.contains(Rights::WRITE) {
            return Err(EROFS.into());
        }
        if flags & WRITES != 1 {
            self.host_of(found, Intent::Read)?; // whether the mount may be read
        }
        let below = std::str::from_utf8(below).map_err(|_| Errno::ENOENT)?;
        let wanted = Wanted { below, flags, asker: self.task.pid, virt: &found.virt, host: &host };
        let held = |pid| self.by_pid.contains_key(&pid);
        let Opened { path: opened, number } =
            self.live.open(&wanted, &self.world.scratch, self.ready, held)?;
        change.path(path, opened);
        change.after = number.map(After::Opened);
        Ok(())
    }

    /// A call whose descriptor may be of such a file.
    pub(super) fn stream(&mut self, stream: Stream) -> std::result::Result<Plan, Stop> {
        if self.live.is_empty() {
            return Ok(Plan::Go);
        }
        if let Stream::Unfit(descriptors) = stream {
            let live = descriptors.iter().any(|&argument| self.live_file(argument).is_some());
            return if live { Err(Errno::EINVAL.into()) } else { Ok(Plan::Go) };
        }
        let Some(file) = self.live_file(0) else { return Ok(Plan::Go) };
        let result = match stream {
            Stream::Read | Stream::Pread | Stream::Readv => self.read_live(file, stream),
            Stream::Write | Stream::Pwrite | Stream::Writev => self.write_live(file, stream),
            Stream::Seek => {
                let offset = self.argument(1);
                let offset = if self.abi == 0 { offset as i64 } else { i64::from(offset as u32 as i32) };
                self.live.seek(file, offset, self.argument(2) as u32)
            }
            Stream::Llseek => {
                let offset = self.argument(1) << 32 | self.argument(2) & 0xffff_ffff;
                let (result, whence) = (self.argument(3), self.argument(4) as u32);
                let at = self.live.seek(file, offset as i64, whence);
                at.and_then(|at| self.task.write(result, &at.to_le_bytes())).map(|()| 0)
            }
            Stream::Unfit(_) => Err(Errno::EINVAL),
        };
        match result {
            Ok(value) => Ok(Plan::Skip(value as i64)),
            Err(Errno::EAGAIN) if self.may_wait(file) => {
                let after = Some(After::Again);
                Ok(Plan::Change(Change { after, ..Change::default() }))
            }
            Err(errno) => Err(errno.into()),
        }
    }

    fn live_file(&self, argument: usize) -> Option<u64> {
        self.live.of_path(&self.descriptor(self.argument(argument) as i32)?)
    }

    /// Whether a read that finds nothing is to wait.
    fn may_wait(&self, file: u64) -> bool {
        let info = format!("/proc/{}/fdinfo/{}", self.task.pid, self.argument(0) as i32);
        let info = std::fs::read_to_string(info).unwrap_or_default();
        let flags = info.lines().find_map(|line| line.strip_prefix("flags:"));
        let flags = flags.and_then(|flags| u64::from_str_radix(flags.trim(), 8).ok());
        self.live.waits(file) && flags.is_some_and(|flags| flags & O_NONBLOCK == 0)
    }

    fn read_live(&mut self, file: u64, stream: Stream) -> Result<u64> {
        let pieces = self.pieces(stream)?;
        let mut bytes = vec![0; pieces.iter().map(|(_, length)| length).sum()];
        let n = self.live.read(file, &mut bytes, self.offset(stream))?;
        let mut rest = &bytes[..n];
        for (address, length) in pieces {
            let (piece, after) = rest.split_at(length.min(rest.len()));
            if !piece.is_empty() {
                self.task.write(address, piece)?;
            }
            rest = after;
        }
        Ok(n as u64)
    }

    fn write_live(&mut self, file: u64, stream: Stream) -> Result<u64> {
        let mut bytes = Vec::new();
        for (address, length) in self.pieces(stream)? {
            let start = bytes.len();
            bytes.resize(start + length, 0);
            self.task.read(address, &mut bytes[start..])?;
        }
        self.live.write(file, &bytes, self.offset(stream)).map(|n| n as u64)
    }

    fn offset(&self, stream: Stream) -> Option<i64> {
        let low = self.argument(3);
        let offset = if self.abi == 0 { low } else { self.argument(4) << 32 | low & 0xffff_ffff };
        matches!(stream, Stream::Pread | Stream::Pwrite).then_some(offset as i64)
    }

    /// Where the bytes are to go, or come from: not more than is done at a time.
    fn pieces(&mut self, stream: Stream) -> Result<Vec<Piece>> {
        let (at, count) = (self.argument(1), self.argument(2));
        let mut room = MOST;
        let mut take = |length: u64| {
            let taken = usize::try_from(length).unwrap_or(usize::MAX).min(room);
            room -= taken;
            taken
        };
        if !matches!(stream, Stream::Readv | Stream::Writev) {
            return Ok(vec![(at, take(count))]);
        }
        if count > MOST_PIECES {
            return Err(Errno::EINVAL);
        }
        let size = word_size(self.abi) as u64;
        let mut pieces = Vec::new();
        for n in 0..count {
            let piece = at + 2 * size * n;
            let (address, length) =
                (self.task.word(self.abi, piece)?, self.task.word(self.abi, piece + size)?);
            pieces.push((address, take(length)));
        }
        Ok(pieces)
    }
}
