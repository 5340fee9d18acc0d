//! Descriptors and pipes: `pipe`, `read`, `write`, `close`.
//!
//! A pipe is a queue of bytes. Nobody counts its ends: whether one is open is asked of all processes.

use std::collections::VecDeque;

use crate::abi::{Errno, Pid, Signal};

use super::Sim;
use super::calls::{Answer, Reply};
use super::memory::Access;
use super::process::Wait;

/// What a descriptor refers to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum File {
    /// Always at its end; takes nothing.
    Empty,
    /// Appends to the simulator's first or second output.
    Output(usize),
    PipeRead(u32),
    PipeWrite(u32),
}

impl File {
    /// What it is called where a path is expected.
    pub(super) fn name(self) -> String {
        match self {
            File::Empty => "null:".to_owned(),
            File::Output(output) => format!("output:{}", output + 1),
            File::PipeRead(pipe) | File::PipeWrite(pipe) => format!("pipe:[{pipe}]"),
        }
    }
}

/// Bytes that a pipe holds.
const ROOM: usize = 65536;
/// Bytes that one call moves at most.
const MOST: u64 = 1 << 20;
/// Not in the contract's table: only programs meet it.
const EPIPE: Errno = Errno(32);

impl Sim {
    pub(super) fn call_pipe(&mut self, pid: Pid, address: u64) -> Answer {
        let pipe = self.next_pipe;
        let process = self.process(pid);
        let mut free = (0..1024).filter(|fd| !process.files.contains_key(fd));
        let (Some(reader), Some(writer)) = (free.next(), free.next()) else { return Err(Errno::EMFILE) };
        let mut pair = [0; 8];
        pair[..4].copy_from_slice(&reader.to_le_bytes());
        pair[4..].copy_from_slice(&writer.to_le_bytes());
        process.memory.write(address, &pair, Access::Write).map_err(|_| Errno::EFAULT)?;
        process.files.insert(reader, File::PipeRead(pipe));
        process.files.insert(writer, File::PipeWrite(pipe));
        self.pipes.insert(pipe, VecDeque::new());
        self.next_pipe += 1;
        Ok(Reply::Done(0))
    }

    pub(super) fn call_read(&mut self, pid: Pid, fd: u64, address: u64, size: u64) -> Answer {
        let file = self.file(pid, fd)?;
        let pipe = match file {
            File::Empty => return Ok(Reply::Done(0)),
            File::Output(_) | File::PipeWrite(_) => return Err(Errno::EBADF),
            File::PipeRead(pipe) => pipe,
        };
        if size == 0 {
            return Ok(Reply::Done(0));
        }
        if !self.can_read(pipe) {
            return Ok(Reply::Wait(Wait::PipeFull(pipe)));
        }
        let Some(queue) = self.pipes.get(&pipe) else { return Ok(Reply::Done(0)) };
        let bytes: Vec<u8> = queue.iter().copied().take(size.min(MOST) as usize).collect();
        self.process(pid).memory.write(address, &bytes, Access::Write).map_err(|_| Errno::EFAULT)?;
        if let Some(queue) = self.pipes.get_mut(&pipe) {
            queue.drain(..bytes.len());
        }
        Ok(Reply::Done(bytes.len() as u64))
    }

    pub(super) fn call_write(&mut self, pid: Pid, fd: u64, address: u64, size: u64) -> Answer {
        let file = self.file(pid, fd)?;
        let room = match file {
            File::Empty | File::PipeRead(_) => return Err(Errno::EBADF),
            File::Output(_) => MOST as usize,
            File::PipeWrite(pipe) => {
                if !self.has_end(File::PipeRead(pipe)) {
                    self.post(pid, Signal::PIPE, pid);
                    return Err(EPIPE);
                }
                match self.space(pipe) {
                    0 if size > 0 => return Ok(Reply::Wait(Wait::PipeSpace(pipe))),
                    space => space,
                }
            }
        };
        let mut bytes = vec![0; room.min(usize::try_from(size).unwrap_or(room))];
        self.process(pid).memory.read(address, &mut bytes, Access::Read).map_err(|_| Errno::EFAULT)?;
        match file {
            File::Output(output) => self.output[output].extend(&bytes),
            File::PipeWrite(pipe) => self.pipes.entry(pipe).or_default().extend(&bytes),
            File::Empty | File::PipeRead(_) => {}
        }
        Ok(Reply::Done(bytes.len() as u64))
    }

    pub(super) fn call_close(&mut self, pid: Pid, fd: u64) -> Answer {
        self.file(pid, fd)?;
        self.process(pid).files.remove(&(fd as u32));
        self.forget_pipes();
        Ok(Reply::Done(0))
    }

    fn file(&mut self, pid: Pid, fd: u64) -> Result<File, Errno> {
        let fd = u32::try_from(fd).map_err(|_| Errno::EBADF)?;
        self.process(pid).files.get(&fd).copied().ok_or(Errno::EBADF)
    }

    fn has_end(&self, end: File) -> bool {
        self.processes.values().any(|process| process.files.values().any(|file| *file == end))
    }

    /// Whether a read of it would not wait.
    pub(super) fn can_read(&self, pipe: u32) -> bool {
        self.pipes.get(&pipe).is_some_and(|queue| !queue.is_empty()) || !self.has_end(File::PipeWrite(pipe))
    }

    /// Whether a write to it would not wait.
    pub(super) fn can_write(&self, pipe: u32) -> bool {
        self.space(pipe) > 0 || !self.has_end(File::PipeRead(pipe))
    }

    fn space(&self, pipe: u32) -> usize {
        ROOM - self.pipes.get(&pipe).map_or(0, VecDeque::len)
    }

    /// Drops the pipes that no process has an end of.
    pub(super) fn forget_pipes(&mut self) {
        let pipes: Vec<u32> = self.pipes.keys().copied().collect();
        for pipe in pipes {
            if !self.has_end(File::PipeRead(pipe)) && !self.has_end(File::PipeWrite(pipe)) {
                self.pipes.remove(&pipe);
            }
        }
    }
}
