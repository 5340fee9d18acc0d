//! [`Kernel`]: descriptors around the fronts. One value serves many clients; it never blocks and knows no thread.
//!
//! Every operation takes the client first and answers a [`Step`]. [`crate::local`] and [`crate::shared`] turn steps into
//! calls that wait; each client of theirs is a [`crate::scheme::Host`].

mod audit;

use slab::Slab;

use crate::abi::{
    Errno, EventFlags, F_DUPFD, F_GETFD, F_GETFL, F_SETFD, F_SETFL, OpenFlags, Pid, Result, Signal, Stat,
    Status,
};
pub use crate::core::{ClientId, Keeper, Policy, Session, WaiterId};
use crate::core::{Core, On};
pub use crate::front::Step;
use crate::front::{self, Ctx, Node, Queues};
use crate::machine::{Machine, Wait};
use crate::scheme::{Caller, Fd, Program};

/// As many descriptors as a client may have.
const MOST_DESCRIPTORS: usize = 1 << 20;

#[derive(Clone, Debug)]
struct Client {
    caller: Caller,
    descriptors: Slab<Descriptor>,
}

#[derive(Clone, Debug)]
struct Descriptor {
    description: usize,
    close_on_exec: bool,
}

#[derive(Clone, Debug)]
struct Description {
    path: String,
    flags: OpenFlags,
    references: usize,
    node: Node,
}

/// One kernel over one machine.
#[derive(Clone)]
pub struct Kernel<M> {
    core: Core<M>,
    policy: Policy,
    queues: Queues,
    clients: Slab<Client>,
    descriptions: Slab<Description>,
}

impl<M: Machine> Kernel<M> {
    /// A kernel with nobody in it.
    pub fn new(machine: M, policy: Policy) -> Kernel<M> {
        Kernel {
            core: Core::new(machine),
            policy,
            queues: Queues::default(),
            clients: Slab::new(),
            descriptions: Slab::new(),
        }
    }

    /// What is below, for those who made it.
    pub fn machine(&mut self) -> &mut M {
        self.core.machine()
    }

    /// A new client with an empty table.
    pub fn client(&mut self, caller: Caller) -> ClientId {
        self.clients.insert(Client { caller, descriptors: Slab::new() })
    }

    /// A copy of a client, as fork makes it: the same descriptors for the same descriptions (R57).
    pub fn fork_client(&mut self, client: ClientId, caller: Caller) -> ClientId {
        let descriptors = self.clients[client].descriptors.clone();
        for (_, descriptor) in &descriptors {
            self.descriptions[descriptor.description].references += 1;
        }
        self.clients.insert(Client { caller, descriptors })
    }

    /// What exec does to a client: its O_CLOEXEC descriptors close.
    pub fn exec_client(&mut self, client: ClientId) {
        let closing = |(fd, d): (usize, &Descriptor)| d.close_on_exec.then_some(Fd(fd as u32));
        let fds: Vec<Fd> = self.clients[client].descriptors.iter().filter_map(closing).collect();
        for fd in fds {
            let _ = self.close(client, fd);
        }
    }

    /// A client's death: all its descriptors close.
    pub fn drop_client(&mut self, client: ClientId) {
        let fds: Vec<Fd> = self.clients[client].descriptors.iter().map(|(fd, _)| Fd(fd as u32)).collect();
        for fd in fds {
            let _ = self.close(client, fd);
        }
        self.core.forget_client(client);
        self.clients.remove(client);
    }

    /// Looks for one report. False: none came; with [`Wait::Block`]: the machine was woken.
    ///
    /// Errors: EINTR; EDEADLK nothing is there that could end the wait.
    pub fn pump(&mut self, wait: Wait) -> Result<bool> {
        let came = self.core.pump(wait)?;
        self.spread();
        Ok(came)
    }

    /// Whether an operation that answered [`Step::Wait`] is to be tried again.
    pub fn is_woken(&self, waiter: WaiterId) -> bool {
        self.core.is_woken(waiter)
    }

    /// Every waiter is given back, after its operation was tried again or given up.
    pub fn finish(&mut self, waiter: WaiterId) {
        self.core.finish(waiter);
    }

    /// [`crate::scheme::Scheme::open`]
    pub fn open(&mut self, client: ClientId, path: &str, flags: OpenFlags) -> Result<Fd> {
        if self.clients[client].descriptors.len() >= MOST_DESCRIPTORS {
            return Err(Errno::EMFILE);
        }
        let node = front::open(&mut self.ctx(client), path, flags)?;
        let kept = flags - OpenFlags::O_CLOEXEC;
        let description =
            self.descriptions.insert(Description { path: path.to_owned(), flags: kept, references: 1, node });
        Ok(self.describe(client, description, flags.contains(OpenFlags::O_CLOEXEC)))
    }

    /// [`crate::scheme::Scheme::dup`]
    pub fn dup(&mut self, client: ClientId, fd: Fd, path: &str) -> Result<Fd> {
        let description = self.description(client, fd)?;
        if path.is_empty() {
            self.descriptions[description].references += 1;
            return Ok(self.describe(client, description, false));
        }
        let old = &self.descriptions[description];
        let pid = old.node.pid(&self.core).ok_or(Errno::EINVAL)?;
        let flags = old.flags;
        self.open(client, &format!("proc:{pid}/{path}"), flags)
    }

    /// [`crate::scheme::Scheme::read`]
    pub fn read(&mut self, client: ClientId, fd: Fd, buf: &mut [u8]) -> Step<usize> {
        let description = match self.description(client, fd) {
            Ok(description) => description,
            Err(errno) => return Step::Done(Err(errno)),
        };
        let caller = self.clients[client].caller;
        let Description { node, flags, .. } = &mut self.descriptions[description];
        let (core, queues, policy) = (&mut self.core, &mut self.queues, self.policy);
        node.read(&mut Ctx { core, queues, policy, caller, client }, *flags, buf)
    }

    /// [`crate::scheme::Scheme::write`]
    pub fn write(&mut self, client: ClientId, fd: Fd, buf: &[u8]) -> Step<usize> {
        let description = match self.description(client, fd) {
            Ok(description) => description,
            Err(errno) => return Step::Done(Err(errno)),
        };
        if let Node::Events(queue) = self.descriptions[description].node {
            return self.subscribe(client, queue, buf).into();
        }
        let caller = self.clients[client].caller;
        let Description { node, flags, .. } = &mut self.descriptions[description];
        let (core, queues, policy) = (&mut self.core, &mut self.queues, self.policy);
        node.write(&mut Ctx { core, queues, policy, caller, client }, *flags, buf)
    }

    /// [`crate::scheme::Scheme::seek`]
    pub fn seek(&mut self, client: ClientId, fd: Fd, offset: i64, whence: u32) -> Result<u64> {
        let description = self.description(client, fd)?;
        self.descriptions[description].node.seek(offset, whence)
    }

    /// [`crate::scheme::Scheme::fcntl`]
    pub fn fcntl(&mut self, client: ClientId, fd: Fd, command: u32, argument: u64) -> Result<u64> {
        let description = self.description(client, fd)?;
        let descriptor = &mut self.clients[client].descriptors[fd.0 as usize];
        let flags = &mut self.descriptions[description].flags;
        let argument = OpenFlags::from_bits_truncate(argument as u32);
        match command {
            F_DUPFD => self.dup(client, fd, "").map(|fd| u64::from(fd.0)),
            F_GETFD => Ok(if descriptor.close_on_exec { u64::from(OpenFlags::O_CLOEXEC.bits()) } else { 0 }),
            F_SETFD => {
                descriptor.close_on_exec = argument.contains(OpenFlags::O_CLOEXEC);
                Ok(0)
            }
            F_GETFL => Ok(u64::from(flags.bits())),
            F_SETFL => {
                flags.set(OpenFlags::O_NONBLOCK, argument.contains(OpenFlags::O_NONBLOCK));
                Ok(0)
            }
            _ => Err(Errno::EINVAL),
        }
    }

    /// [`crate::scheme::Scheme::fevent`]
    pub fn fevent(&mut self, client: ClientId, fd: Fd, flags: EventFlags) -> Result<EventFlags> {
        let description = self.description(client, fd)?;
        let node = self.descriptions[description].node.clone();
        Ok(node.fevent(&self.ctx(client), flags))
    }

    /// [`crate::scheme::Scheme::fstat`]
    pub fn fstat(&mut self, client: ClientId, fd: Fd) -> Result<Stat> {
        let description = self.description(client, fd)?;
        let node = self.descriptions[description].node.clone();
        Ok(node.fstat(&self.ctx(client)))
    }

    /// [`crate::scheme::Scheme::fpath`]
    pub fn fpath(&mut self, client: ClientId, fd: Fd, buf: &mut [u8]) -> Result<usize> {
        let description = self.description(client, fd)?;
        let path = self.descriptions[description].path.as_bytes();
        let n = path.len().min(buf.len());
        buf[..n].copy_from_slice(&path[..n]);
        Ok(n)
    }

    /// [`crate::scheme::Scheme::close`]
    pub fn close(&mut self, client: ClientId, fd: Fd) -> Result<()> {
        let description = self.description(client, fd)?;
        self.clients[client].descriptors.remove(fd.0 as usize);
        let entry = &mut self.descriptions[description];
        entry.references -= 1;
        if let Some(seat) = entry.node.seat() {
            self.queues.forget_fd(client, fd, seat);
        }
        if self.descriptions[description].references == 0 {
            let Description { node, .. } = self.descriptions.remove(description);
            node.close(&mut self.core, &mut self.queues);
        }
        Ok(())
    }

    /// [`crate::scheme::Host::spawn`]
    pub fn spawn(&mut self, client: ClientId, program: &Program) -> Result<Pid> {
        Ok(self.core.spawn(client, program)?)
    }

    /// [`crate::scheme::Host::wait`]
    pub fn wait(&mut self, client: ClientId, pid: Pid, block: bool) -> Step<Option<Status>> {
        match self.core.reap(client, pid) {
            None => Step::Done(Err(Errno::ECHILD)),
            Some(None) if block => Step::Wait(self.core.wait_on(On::Child(pid))),
            Some(status) => Step::Done(Ok(status)),
        }
    }

    /// [`crate::scheme::Host::kill`]
    pub fn kill(&mut self, client: ClientId, pid: Pid, signal: Signal) -> Result<()> {
        let caller = self.clients[client].caller;
        let facts = self.core.machine().facts(pid)?;
        if caller.uid != 0 && caller.uid != facts.uid {
            return Err(Errno::EPERM);
        }
        Ok(self.core.machine().signal(pid, signal)?)
    }

    fn ctx(&mut self, client: ClientId) -> Ctx<'_, M> {
        let caller = self.clients[client].caller;
        Ctx { core: &mut self.core, queues: &mut self.queues, policy: self.policy, caller, client }
    }

    fn subscribe(&mut self, client: ClientId, queue: usize, buf: &[u8]) -> Result<usize> {
        let caller = self.clients[client].caller;
        let (clients, descriptions) = (&self.clients, &self.descriptions);
        let seat_of = |fd: Fd| {
            let descriptor = clients[client].descriptors.get(fd.0 as usize).ok_or(Errno::EBADF)?;
            Ok(descriptions[descriptor.description].node.seat())
        };
        let (core, queues, policy) = (&mut self.core, &mut self.queues, self.policy);
        front::subscribe(&mut Ctx { core, queues, policy, caller, client }, queue, buf, seat_of)
    }

    fn description(&self, client: ClientId, fd: Fd) -> Result<usize> {
        self.clients[client].descriptors.get(fd.0 as usize).map(|d| d.description).ok_or(Errno::EBADF)
    }

    fn describe(&mut self, client: ClientId, description: usize, close_on_exec: bool) -> Fd {
        Fd(self.clients[client].descriptors.insert(Descriptor { description, close_on_exec }) as u32)
    }

    /// Tells the event queues which seats became readable.
    fn spread(&mut self) {
        let queues = &mut self.queues;
        self.core.take_readable(|core, seat| queues.fire(seat, |queue| core.wake(On::Front(queue))));
    }
}
