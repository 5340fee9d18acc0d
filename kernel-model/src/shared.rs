//! A kernel on a thread of its own, for clients in any thread. A call that waits parks its caller only.
//!
//! Requests go over a channel; the thread learns of them by [`Wake`] while it waits for its machine, and only then:
//! `asleep` says whether a ring is needed. A request that must wait stays with the thread until its waiter wakes.

use std::sync::Arc;

use crate::abi::{Errno, EventFlags, OpenFlags, Pid, Result, Signal, Stat, Status};
use crate::kernel::{ClientId, Kernel, Step, WaiterId};
use crate::machine::{Machine, Wait, Wake};
use crate::scheme::{Caller, Fd, Host, Program, Scheme};
use crate::sync::{
    AtomicBool, Condvar, Mutex, Ordering, Receiver, Sender, TryRecvError, start_thread, unbounded,
};

/// One try of an operation: `Some` is what to wait for before the next.
type Job<M> = Box<dyn FnMut(&mut Kernel<M>) -> Option<WaiterId> + Send>;

struct Server<M> {
    /// Taken on drop, so that the thread sees the channel closed before it is woken.
    jobs: Option<Sender<Job<M>>>,
    waker: Arc<dyn Wake>,
    asleep: Arc<AtomicBool>,
}

impl<M> Server<M> {
    fn ring(&self) {
        if self.asleep.swap(false, Ordering::SeqCst) {
            self.waker.wake();
        }
    }
}

impl<M> Drop for Server<M> {
    fn drop(&mut self) {
        self.jobs.take();
        self.ring();
    }
}

/// A kernel on its own thread. The thread ends with the last value that refers to it.
pub struct Shared<M: Machine + 'static> {
    server: Arc<Server<M>>,
}

impl<M: Machine + 'static> Shared<M> {
    /// Starts the thread and makes the kernel there: ptrace belongs to the thread that attaches.
    ///
    /// Errors: those of `make`, and of the machine's waker.
    pub fn start(make: impl FnOnce() -> Result<Kernel<M>> + Send + 'static) -> Result<Shared<M>> {
        let (jobs, inbox) = unbounded();
        let asleep = Arc::new(AtomicBool::new(false));
        let started = Arc::new(Reply::default());
        let (answer, flag) = (Answer(Arc::clone(&started)), Arc::clone(&asleep));
        start_thread("tracefd-kernel", move || {
            let made = make().and_then(|mut kernel| Ok((kernel.machine().waker()?, kernel)));
            match made {
                Ok((waker, kernel)) => {
                    answer.give(Ok(waker));
                    serve(kernel, &inbox, &flag);
                }
                Err(errno) => answer.give(Err(errno)),
            }
        })
        .map_err(|_| Errno::EAGAIN)?;
        let waker = started.wait()?;
        Ok(Shared { server: Arc::new(Server { jobs: Some(jobs), waker, asleep }) })
    }

    /// A new client.
    pub fn client(&self, caller: Caller) -> Result<Client<M>> {
        let server = Arc::clone(&self.server);
        let id = call(&server, move |kernel| Step::Done(Ok(kernel.client(caller))))?;
        Ok(Client { server, id })
    }
}

/// The thread: requests first, then whoever woke, then the machine.
fn serve<M: Machine>(mut kernel: Kernel<M>, inbox: &Receiver<Job<M>>, asleep: &AtomicBool) {
    let mut pending: Vec<(WaiterId, Job<M>)> = Vec::new();
    loop {
        loop {
            match inbox.try_recv() {
                Ok(mut job) => pending.extend(job(&mut kernel).map(|waiter| (waiter, job))),
                Err(TryRecvError::Empty) => break,
                Err(TryRecvError::Disconnected) => return,
            }
        }
        while let Some(n) = pending.iter().position(|(waiter, _)| kernel.is_woken(*waiter)) {
            let (waiter, mut job) = pending.swap_remove(n);
            let again = job(&mut kernel);
            kernel.finish(waiter);
            pending.extend(again.map(|waiter| (waiter, job)));
        }
        asleep.store(true, Ordering::SeqCst);
        // Once more: what came before the flag was set, the end included, rang no bell.
        match inbox.try_recv() {
            Ok(mut job) => pending.extend(job(&mut kernel).map(|waiter| (waiter, job))),
            Err(TryRecvError::Disconnected) => return,
            Err(TryRecvError::Empty) => match kernel.pump(Wait::Block) {
                Ok(_) | Err(Errno::EINTR) => {}
                // Nothing moves until somebody asks for something.
                Err(_) => match inbox.recv() {
                    Ok(mut job) => pending.extend(job(&mut kernel).map(|waiter| (waiter, job))),
                    Err(_) => return,
                },
            },
        }
        asleep.store(false, Ordering::SeqCst);
    }
}

/// Where a caller sleeps until its answer is there.
struct Reply<T> {
    value: Mutex<Option<Result<T>>>,
    ready: Condvar,
}

impl<T> Default for Reply<T> {
    fn default() -> Self {
        Reply { value: Mutex::new(None), ready: Condvar::default() }
    }
}

impl<T> Reply<T> {
    fn wait(&self) -> Result<T> {
        let mut value = self.value.lock();
        loop {
            match value.take() {
                Some(result) => return result,
                None => value = self.ready.wait(value),
            }
        }
    }
}

/// The other end of a [`Reply`]. Dropped without an answer (the thread ended), it answers ENODEV.
struct Answer<T>(Arc<Reply<T>>);

impl<T> Answer<T> {
    fn give(&self, result: Result<T>) {
        *self.0.value.lock() = Some(result);
        self.0.ready.notify_one();
    }
}

impl<T> Drop for Answer<T> {
    fn drop(&mut self) {
        // After an answer was taken, nobody looks any more.
        self.0.value.lock().get_or_insert(Err(Errno::ENODEV));
        self.0.ready.notify_one();
    }
}

fn call<M: Machine, T: Send + 'static>(
    server: &Server<M>,
    mut operation: impl FnMut(&mut Kernel<M>) -> Step<T> + Send + 'static,
) -> Result<T> {
    let reply = Arc::new(Reply::default());
    let answer = Answer(Arc::clone(&reply));
    let job: Job<M> = Box::new(move |kernel| match operation(kernel) {
        Step::Done(result) => {
            answer.give(result);
            None
        }
        Step::Wait(waiter) => Some(waiter),
    });
    server.jobs.as_ref().ok_or(Errno::ENODEV)?.send(job).map_err(|_| Errno::ENODEV)?;
    server.ring();
    reply.wait()
}

/// One client's view, usable from any thread, also while another of its calls waits.
pub struct Client<M: Machine + 'static> {
    server: Arc<Server<M>>,
    id: ClientId,
}

impl<M: Machine> Client<M> {
    fn call<T: Send + 'static>(
        &self,
        operation: impl FnMut(&mut Kernel<M>, ClientId) -> Step<T> + Send + 'static,
    ) -> Result<T> {
        let (id, mut operation) = (self.id, operation);
        call(&self.server, move |kernel| operation(kernel, id))
    }
}

impl<M: Machine> Scheme for Client<M> {
    fn open(&self, path: &str, flags: OpenFlags) -> Result<Fd> {
        let path = path.to_owned();
        self.call(move |kernel, id| kernel.open(id, &path, flags).into())
    }

    fn dup(&self, fd: Fd, path: &str) -> Result<Fd> {
        let path = path.to_owned();
        self.call(move |kernel, id| kernel.dup(id, fd, &path).into())
    }

    fn read(&self, fd: Fd, buf: &mut [u8]) -> Result<usize> {
        let mut own = vec![0; buf.len()];
        let bytes = self.call(move |kernel, id| match kernel.read(id, fd, &mut own) {
            Step::Done(Ok(n)) => Step::Done(Ok(own[..n].to_vec())),
            Step::Done(Err(errno)) => Step::Done(Err(errno)),
            Step::Wait(waiter) => Step::Wait(waiter),
        })?;
        buf[..bytes.len()].copy_from_slice(&bytes);
        Ok(bytes.len())
    }

    fn write(&self, fd: Fd, buf: &[u8]) -> Result<usize> {
        let own = buf.to_vec();
        self.call(move |kernel, id| kernel.write(id, fd, &own))
    }

    fn seek(&self, fd: Fd, offset: i64, whence: u32) -> Result<u64> {
        self.call(move |kernel, id| kernel.seek(id, fd, offset, whence).into())
    }

    fn fcntl(&self, fd: Fd, command: u32, argument: u64) -> Result<u64> {
        self.call(move |kernel, id| kernel.fcntl(id, fd, command, argument).into())
    }

    fn fevent(&self, fd: Fd, flags: EventFlags) -> Result<EventFlags> {
        self.call(move |kernel, id| kernel.fevent(id, fd, flags).into())
    }

    fn fstat(&self, fd: Fd) -> Result<Stat> {
        self.call(move |kernel, id| kernel.fstat(id, fd).into())
    }

    fn fpath(&self, fd: Fd, buf: &mut [u8]) -> Result<usize> {
        let mut own = vec![0; buf.len()];
        let bytes = self.call(move |kernel, id| {
            let read = kernel.fpath(id, fd, &mut own);
            read.map(|n| own[..n].to_vec()).into()
        })?;
        buf[..bytes.len()].copy_from_slice(&bytes);
        Ok(bytes.len())
    }

    fn close(&self, fd: Fd) -> Result<()> {
        self.call(move |kernel, id| kernel.close(id, fd).into())
    }
}

impl<M: Machine> Host for Client<M> {
    fn spawn(&self, program: &Program) -> Result<Pid> {
        let program = program.clone();
        self.call(move |kernel, id| kernel.spawn(id, &program).into())
    }

    fn wait(&self, pid: Pid, block: bool) -> Result<Option<Status>> {
        self.call(move |kernel, id| kernel.wait(id, pid, block))
    }

    fn kill(&self, pid: Pid, signal: Signal) -> Result<()> {
        self.call(move |kernel, id| kernel.kill(id, pid, signal).into())
    }
}

impl<M: Machine> Drop for Client<M> {
    fn drop(&mut self) {
        let _ = self.call(|kernel, id| {
            kernel.drop_client(id);
            Step::Done(Ok(()))
        });
    }
}
