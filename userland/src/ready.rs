//! [`Ready`]: which of its tasks a tool reads from next: one `event:` queue over all handles, and while there is one task
//! only, that one's handle directly, whose read then waits. That spares a read at every stop.

use kernel_model::abi::{Errno, F_SETFL, OpenFlags};
use kernel_model::client::EventQueue;
use kernel_model::scheme::{Fd, Host};

/// Handles are opened with O_NONBLOCK and watched here. The queue keeps what it is not asked for.
pub struct Ready<'h> {
    host: &'h dyn Host,
    queue: EventQueue<'h>,
    /// The task whose reads wait, and its handle.
    alone: Option<(usize, Fd)>,
}

impl<'h> Ready<'h> {
    /// Over nothing. Errors: EMFILE.
    pub fn new(host: &'h dyn Host) -> Result<Ready<'h>, Errno> {
        Ok(Ready { host, queue: EventQueue::open(host, OpenFlags::empty())?, alone: None })
    }

    /// From now on `key` is told when there is something to read from `fd`.
    pub fn watch(&self, fd: Fd, key: usize) -> Result<(), Errno> {
        self.queue.watch(fd, key as u64)
    }

    /// The key of a task to read from; `only` is the one task there is, if its read may wait.
    ///
    /// Errors: those of reading a queue: EINTR, EDEADLK.
    pub fn next(&mut self, only: Option<(usize, Fd)>) -> Result<usize, Errno> {
        if only != self.alone {
            for (task, flags) in [(self.alone, OpenFlags::O_NONBLOCK), (only, OpenFlags::empty())] {
                if let Some((_, fd)) = task {
                    self.host.fcntl(fd, F_SETFL, flags.bits().into())?;
                }
            }
            self.alone = only;
        }
        match only {
            Some((key, _)) => Ok(key),
            None => self.queue.next().map(|report| report.data as usize),
        }
    }

    /// Whether the next read of the task that was answered may wait: one is enough then.
    pub fn may_wait(&self) -> bool {
        self.alone.is_some()
    }

    /// The handle of this task is about to close; key and descriptor will be another's.
    pub fn forget(&mut self, key: usize) {
        self.alone = self.alone.filter(|(alone, _)| *alone != key);
    }
}
