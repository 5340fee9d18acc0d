//! A kernel on the caller's own thread: the fastest form. A call that waits runs the machine until its waiter wakes.
//!
//! Not `Send`: ptrace belongs to the thread. While a call waits, every tracee of this kernel is served. Another thread
//! that has a message for this one [rings](Local::ringer): a call that waits, or the next one that would, answers EINTR.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;

use crate::abi::{Errno, EventFlags, OpenFlags, Pid, Result, Signal, Stat, Status};
use crate::kernel::{ClientId, Kernel, Step};
use crate::machine::{Machine, Wait, Wake};
use crate::scheme::{Caller, Fd, Host, Program, Scheme};

/// Reports served by a call that does not wait. Bounded: busy tracees could keep it for ever.
const MOST_SERVED: usize = 64;

/// A kernel that its clients share without threads.
pub struct Local<M: Machine>(Rc<RefCell<Kernel<M>>>);

impl<M: Machine> Local<M> {
    /// Owns `kernel`.
    pub fn new(kernel: Kernel<M>) -> Local<M> {
        Local(Rc::new(RefCell::new(kernel)))
    }

    /// A new client. It keeps the kernel alive.
    pub fn client(&self, caller: Caller) -> Client<M> {
        Client { id: self.0.borrow_mut().client(caller), kernel: Rc::clone(&self.0) }
    }

    /// What ends a wait of this kernel with EINTR, from any thread. A ring that comes before the wait ends it, too.
    ///
    /// Errors: those of the machine.
    pub fn ringer(&self) -> Result<Arc<dyn Wake>> {
        Ok(self.0.borrow_mut().machine().waker()?)
    }

    /// The machine, for those who made it.
    pub fn with_machine<R>(&self, act: impl FnOnce(&mut M) -> R) -> R {
        act(self.0.borrow_mut().machine())
    }
}

/// One client's view.
pub struct Client<M: Machine> {
    kernel: Rc<RefCell<Kernel<M>>>,
    id: ClientId,
}

impl<M: Machine> Client<M> {
    /// A second client with the same descriptors, as fork makes it.
    pub fn fork(&self, caller: Caller) -> Client<M> {
        Client { id: self.kernel.borrow_mut().fork_client(self.id, caller), kernel: Rc::clone(&self.kernel) }
    }

    /// What exec does to the descriptors.
    pub fn exec(&self) {
        self.kernel.borrow_mut().exec_client(self.id);
    }

    /// Tries until done.
    fn run<T>(&self, mut operation: impl FnMut(&mut Kernel<M>) -> Step<T>) -> Result<T> {
        let mut kernel = self.kernel.borrow_mut();
        let mut step = operation(&mut kernel);
        loop {
            let waiter = match step {
                Step::Done(result) => return result,
                Step::Wait(waiter) => waiter,
            };
            let mut pumped = Ok(true);
            while pumped == Ok(true) && !kernel.is_woken(waiter) {
                pumped = kernel.pump(Wait::Block);
            }
            step = match pumped {
                // Rung: what the caller waits for may be there all the same.
                Ok(false) => match operation(&mut kernel) {
                    Step::Wait(again) => {
                        kernel.finish(again);
                        Step::Done(Err(Errno::EINTR))
                    }
                    done => done,
                },
                Ok(true) => operation(&mut kernel),
                Err(errno) => Step::Done(Err(errno)),
            };
            kernel.finish(waiter);
        }
    }

    /// What never waits still serves reports that are there already where it needs them: `fevent` would otherwise never
    /// change for a client that only polls.
    fn serve(&self) -> Result<()> {
        let mut kernel = self.kernel.borrow_mut();
        for _ in 0..MOST_SERVED {
            if !kernel.pump(Wait::Poll)? {
                break;
            }
        }
        Ok(())
    }
}

impl<M: Machine> Scheme for Client<M> {
    fn open(&self, path: &str, flags: OpenFlags) -> Result<Fd> {
        self.kernel.borrow_mut().open(self.id, path, flags)
    }

    fn dup(&self, fd: Fd, path: &str) -> Result<Fd> {
        self.kernel.borrow_mut().dup(self.id, fd, path)
    }

    fn read(&self, fd: Fd, buf: &mut [u8]) -> Result<usize> {
        let first = self.run(|kernel| kernel.read(self.id, fd, buf));
        if first != Err(Errno::EAGAIN) {
            return first;
        }
        self.serve()?;
        self.run(|kernel| kernel.read(self.id, fd, buf))
    }

    fn write(&self, fd: Fd, buf: &[u8]) -> Result<usize> {
        self.run(|kernel| kernel.write(self.id, fd, buf))
    }

    fn seek(&self, fd: Fd, offset: i64, whence: u32) -> Result<u64> {
        self.kernel.borrow_mut().seek(self.id, fd, offset, whence)
    }

    fn fcntl(&self, fd: Fd, command: u32, argument: u64) -> Result<u64> {
        self.kernel.borrow_mut().fcntl(self.id, fd, command, argument)
    }

    fn fevent(&self, fd: Fd, flags: EventFlags) -> Result<EventFlags> {
        self.serve()?;
        self.kernel.borrow_mut().fevent(self.id, fd, flags)
    }

    fn fstat(&self, fd: Fd) -> Result<Stat> {
        self.kernel.borrow_mut().fstat(self.id, fd)
    }

    fn fpath(&self, fd: Fd, buf: &mut [u8]) -> Result<usize> {
        self.kernel.borrow_mut().fpath(self.id, fd, buf)
    }

    fn close(&self, fd: Fd) -> Result<()> {
        self.kernel.borrow_mut().close(self.id, fd)
    }
}

impl<M: Machine> Host for Client<M> {
    fn spawn(&self, program: &Program) -> Result<Pid> {
        self.kernel.borrow_mut().spawn(self.id, program)
    }

    fn wait(&self, pid: Pid, block: bool) -> Result<Option<Status>> {
        match self.run(|kernel| kernel.wait(self.id, pid, block)) {
            Ok(None) => {
                self.serve()?;
                self.run(|kernel| kernel.wait(self.id, pid, block))
            }
            done => done,
        }
    }

    fn kill(&self, pid: Pid, signal: Signal) -> Result<()> {
        self.kernel.borrow_mut().kill(self.id, pid, signal)
    }
}

impl<M: Machine> Drop for Client<M> {
    fn drop(&mut self) {
        self.kernel.borrow_mut().drop_client(self.id);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client::{EventQueue, Trace};
    use crate::kernel::Policy;
    use crate::sim::{Sim, SimConfig};

    #[test]
    fn a_ring_ends_one_wait_and_hides_nothing() {
        let mut sim = Sim::new(SimConfig::default());
        let names = sim.load("program p\n    sys exit, 0\n").expect("a program");
        let caller = Caller { pid: sim.owner(), uid: 0, gid: 0 };
        let local = Local::new(Kernel::new(sim, Policy::SameUser));
        let client = local.client(caller);
        let ringer = local.ringer().unwrap();
        let pid = client.spawn(&Program::new(names[0].as_str())).unwrap();
        let trace = Trace::open(&client, pid, OpenFlags::empty()).unwrap();
        let queue = EventQueue::open(&client, OpenFlags::empty()).unwrap();
        queue.watch(trace.handle().fd(), 7).unwrap();
        ringer.wake();
        ringer.wake();
        assert_eq!(queue.next().unwrap_err(), Errno::EINTR);
        trace.resume(crate::abi::PtraceFlags::STOP_EXIT).unwrap();
        assert_eq!(queue.next().unwrap().data, 7);
    }
}
