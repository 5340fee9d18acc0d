//! Calls on descriptors that stop only in runs with certain mounts. Of a `proc:` mount: what is read and written goes through the
//! handle that is behind the pipe. Of a lazy one: the call waits for what it is about to read, and is the kernel's then.
//!
//! A read of a handle that has to wait is made by the kernel on the pipe, and again when that
//! has a byte; so signals and job control are what they are for any read.

use std::os::unix::ffi::OsStrExt;

use kernel_model::abi::{Errno, Result};

use super::backing::{Intent, Manner};
use super::calls::Stream;
use super::entry::{Call, Plan};
use super::live::{Opened, Wanted};
use super::look;
use super::mounts::{Rights, path_of};
use super::open::{O_CREAT, O_EXCL, O_TRUNC, WRITES};
use super::rewrite::Change;
use super::task::{After, word_size};
use super::walk::{Asker, EROFS, Found, Stop};

/// As much is read or written at a time; more is a short result.
const MOST: usize = 1 << 20;
/// IOV_MAX.
const MOST_PIECES: u64 = 1024;
const O_NONBLOCK: u64 = 0o4000;
/// MAP_ANONYMOUS of sys/mman.h.
const MAP_ANONYMOUS: u64 = 0x20;

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
        self.need_parts(stream)?;
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
            Stream::Unfit(_) | Stream::Map | Stream::OldMap => return Ok(Plan::Go),
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

    /// Waits for what a call is about to read of a file that is fetched in parts.
    fn need_parts(&mut self, stream: Stream) -> std::result::Result<(), Stop> {
        if !self.world.table.has(Manner::Parts) {
            return Ok(());
        }
        let all = |fd: u64| (fd as i32, None);
        let wanted: Vec<(i32, Option<i64>)> = match stream {
            Stream::Write | Stream::Pwrite | Stream::Writev | Stream::Llseek => vec![],
            // The cursor, or SEEK_DATA and SEEK_HOLE: those ask where something is.
            Stream::Seek if self.argument(2) < 3 => vec![],
            Stream::Read | Stream::Pread | Stream::Readv => {
                vec![(self.argument(0) as i32, Some(self.offset(stream).unwrap_or(-1)))]
            }
            Stream::Seek => vec![all(self.argument(0))],
            Stream::Unfit(descriptors) => {
                descriptors.iter().map(|&index| all(self.argument(index))).collect()
            }
            Stream::Map if self.argument(3) & MAP_ANONYMOUS != 0 => vec![],
            Stream::Map => vec![all(self.argument(4))],
            Stream::OldMap => self.task.word(1, self.argument(0) + 16).map(all).into_iter().collect(),
        };
        for (fd, from) in wanted {
            let Some(host) = self.descriptor(fd) else { continue };
            let Some((mount, below)) = self.world.table.in_parts(path_of(&host)) else { continue };
            let end = match from {
                None => u64::MAX,
                Some(offset) => {
                    let at =
                        if offset < 0 { self.descriptor_info(fd, "pos:", 10) } else { Some(offset as u64) };
                    let length: usize = self
                        .pieces(stream, usize::MAX)?
                        .iter()
                        .fold(0, |sum: usize, (_, length)| sum.saturating_add(*length));
                    at.unwrap_or(0).saturating_add(length as u64)
                }
            };
            let asker = Asker { tid: self.task.pid.0, answers: &self.task.answers };
            self.world.locate(asker, mount, below.as_os_str().as_bytes(), Intent::Part(end))?;
        }
        Ok(())
    }

    /// A number that `/proc` tells of a descriptor.
    fn descriptor_info(&self, fd: i32, field: &str, radix: u32) -> Option<u64> {
        let info = std::fs::read_to_string(format!("/proc/{}/fdinfo/{fd}", self.task.pid)).ok()?;
        let value = info.lines().find_map(|line| line.strip_prefix(field))?;
        u64::from_str_radix(value.trim(), radix).ok()
    }

    fn live_file(&self, argument: usize) -> Option<u64> {
        self.live.of_path(&self.descriptor(self.argument(argument) as i32)?)
    }

    /// Whether a read that finds nothing is to wait.
    fn may_wait(&self, file: u64) -> bool {
        let flags = self.descriptor_info(self.argument(0) as i32, "flags:", 8);
        self.live.waits(file) && flags.is_some_and(|flags| flags & O_NONBLOCK == 0)
    }

    fn read_live(&mut self, file: u64, stream: Stream) -> Result<u64> {
        let pieces = self.pieces(stream, MOST)?;
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
        for (address, length) in self.pieces(stream, MOST)? {
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

    /// Where the bytes are to go, or come from: not more than there is room for.
    fn pieces(&mut self, stream: Stream, mut room: usize) -> Result<Vec<Piece>> {
        let (at, count) = (self.argument(1), self.argument(2));
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
