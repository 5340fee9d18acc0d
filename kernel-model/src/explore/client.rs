//! [`Party`]: a client's place in its script; and what it does next, as the kernel sees it or as a [`Quirk`] bends it.
//! Operations that wait are in [`super::reads`].

use std::collections::BTreeMap;

use super::quirk::Quirk;
use super::{Setup, Violation, World};
use crate::abi::{Errno, OpenFlags, Pid, PtraceFlags, Result as Answer};
use crate::kernel::{ClientId, Keeper, Session, Step, WaiterId};
use crate::scenario::Act;
use crate::scheme::{Fd, Program};

/// What a client's operation waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Waits {
    No,
    On(WaiterId),
    /// Only under F8: for nothing.
    ForEver,
}

/// A client.
#[derive(Clone, Debug, Hash)]
pub(super) struct Party {
    /// `None`: it has died.
    pub(super) id: Option<ClientId>,
    /// Acts done.
    pub(super) at: usize,
    pub(super) waits: Waits,
    /// `serve`: the stop was read, and the mask is next.
    pub(super) writes: bool,
    /// Only under F19: the task was let go, and the mask is next.
    pub(super) let_go: bool,
    /// Its `trace` handles, by task.
    pub(super) handles: BTreeMap<Pid, Fd>,
    /// Its `event:` handle, if it waits by one.
    pub(super) queue: Option<Fd>,
    /// Its `regs/int` handle, while it is used.
    pub(super) regs: Option<Fd>,
    /// What it waits for is a report of `queue`.
    pub(super) queued: bool,
}

impl Party {
    pub(super) fn new(id: ClientId) -> Party {
        let (handles, queue, regs) = (BTreeMap::new(), None, None);
        let (writes, let_go, queued) = (false, false, false);
        Party { id: Some(id), at: 0, waits: Waits::No, writes, let_go, handles, queue, regs, queued }
    }
}

impl World {
    /// Whether the client's next act, or the one that waits, can be tried.
    pub(super) fn can_act(&self, setup: &Setup, n: usize) -> bool {
        let party = &self.parties[n];
        if party.id.is_none() {
            return false;
        }
        match party.waits {
            Waits::No => {}
            Waits::On(waiter) => return self.is_woken(setup, waiter),
            Waits::ForEver => return false,
        }
        let Some(act) = setup.scenario().clients[n].acts.get(party.at) else { return true };
        // F9: the table of handles is locked by whoever sleeps in a read.
        let sleeps = |other: &Party| match other.waits {
            Waits::On(waiter) => !self.is_woken(setup, waiter),
            Waits::ForEver => true,
            Waits::No => false,
        };
        let of_handles = !matches!(act, Act::Spawn { .. } | Act::Kill { .. } | Act::Wait { .. });
        if setup.breaks(Quirk::F9) && of_handles && self.parties.iter().any(sleeps) {
            return false;
        }
        match act {
            Act::Spawn { .. } | Act::Die => true,
            act => {
                let known = |task| self.task(task).is_some_and(|pid| !self.is_unheard_of(pid));
                act.task().is_none_or(known)
            }
        }
    }

    /// Whether the kernel still has to learn that this task was born: nobody can know its pid by then.
    fn is_unheard_of(&self, pid: Pid) -> bool {
        if self.heard.contains(&pid) {
            return false;
        }
        let held = self.sim().look(pid).is_some_and(|look| look.held.is_some());
        held && self.sim().is_announced(pid) && self.kernel.stops().iter().all(|(other, _)| *other != pid)
    }

    pub(super) fn is_woken(&self, setup: &Setup, waiter: WaiterId) -> bool {
        self.kernel.is_woken(waiter) && !setup.breaks(Quirk::Deaf)
    }

    /// What is next in the client's script. Says what came of it.
    pub(super) fn act(&mut self, setup: &Setup, n: usize) -> Result<String, Violation> {
        let client = &setup.scenario().clients[n];
        let Some(id) = self.parties[n].id else { return Ok(String::new()) };
        let Some(act) = client.acts.get(self.parties[n].at) else {
            self.die(setup, n);
            return Ok("its handles close".into());
        };
        let woken = std::mem::replace(&mut self.parties[n].waits, Waits::No);
        let task = act.task().and_then(|task| self.task(task));
        let answer = match (act, task) {
            (Act::Spawn { program, task }, _) => {
                let answer = self.kernel.spawn(id, &Program::new(program.as_str()));
                if let Ok(pid) = answer {
                    self.heard.insert(pid);
                    self.call_it(pid, task);
                }
                self.next(n, answer.map(drop))
            }
            (Act::Die, _) => {
                self.die(setup, n);
                "its handles close".into()
            }
            (Act::Await, _) => self.await_queue(n),
            // Passed before they are met: see below.
            (Act::Goto { .. } | Act::Label { .. }, _) => self.next(n, Ok(())),
            (_, None) => self.next(n, Err(Errno::ESRCH)),
            (Act::Open { flags, .. }, Some(pid)) => self.open(setup, n, pid, *flags),
            (Act::Write { mask, .. }, Some(pid)) => self.write(setup, n, pid, *mask),
            (Act::Close { .. }, Some(pid)) => self.close(setup, n, pid),
            (Act::Kill { signal, .. }, Some(pid)) => {
                let answer = self.kernel.kill(id, pid, *signal);
                self.next(n, answer)
            }
            (Act::Wait { .. }, Some(pid)) => match self.kernel.wait(id, pid, true) {
                Step::Wait(waiter) => self.park(n, Waits::On(waiter)),
                Step::Done(answer) => self.next(n, answer.map(drop)),
            },
            (Act::Regs { .. }, Some(pid)) => self.regs(n, pid),
            (Act::Read { .. }, Some(pid)) => self.read(setup, n, pid, woken)?,
            (Act::Take { none, gone, .. }, Some(pid)) => {
                self.take(setup, n, pid, (none.as_deref(), gone.as_deref()))?
            }
            (Act::Serve { mask, .. }, Some(pid)) => self.serve(setup, n, pid, *mask, woken)?,
        };
        if let Waits::On(waiter) = woken {
            self.kernel.finish(waiter);
        }
        self.settle(setup, n);
        Ok(answer)
    }

    /// Labels and gotos are no moves of their own.
    pub(super) fn settle(&mut self, setup: &Setup, n: usize) {
        let acts = &setup.scenario().clients[n];
        let party = &mut self.parties[n];
        party.at = acts.settle(party.at).unwrap_or(acts.acts.len());
    }

    pub(super) fn next(&mut self, n: usize, answer: Answer<()>) -> String {
        let party = &mut self.parties[n];
        (party.at, party.writes, party.let_go) = (party.at + 1, false, false);
        match answer {
            Ok(()) => "done".into(),
            Err(errno) => format!("{errno:?}"),
        }
    }

    pub(super) fn park(&mut self, n: usize, waits: Waits) -> String {
        self.parties[n].waits = waits;
        "waits".into()
    }

    pub(super) fn handle(&self, n: usize, pid: Pid) -> Answer<(ClientId, Fd)> {
        let party = &self.parties[n];
        party.id.zip(party.handles.get(&pid).copied()).ok_or(Errno::EBADF)
    }

    fn open(&mut self, setup: &Setup, n: usize, pid: Pid, flags: OpenFlags) -> String {
        let manner = setup.scenario().clients[n].manner;
        let op = if manner.experimental { "trace.x" } else { "trace" };
        let mut more = if manner.exclusive { OpenFlags::O_EXCL } else { OpenFlags::empty() };
        more.set(OpenFlags::O_NONBLOCK, manner.queue);
        let Some(id) = self.parties[n].id else { return String::new() };
        let answer = self.kernel.open(id, &format!("proc:{pid}/{op}"), flags | more);
        if let Ok(fd) = answer {
            self.parties[n].handles.insert(pid, fd);
            if manner.queue {
                self.watch(n, id, fd);
            }
            let held = self.kernel.session(id, fd).is_some_and(|session| session.held);
            self.ledger.open(pid, flags.contains(OpenFlags::O_TRUNC) && !held);
        }
        self.next(n, answer.map(drop))
    }

    pub(super) fn write(&mut self, setup: &Setup, n: usize, pid: Pid, mask: PtraceFlags) -> String {
        let (id, fd) = match self.handle(n, pid) {
            Ok(handle) => handle,
            Err(errno) => return self.next(n, Err(errno)),
        };
        let half = setup.breaks(Quirk::F19) && !self.parties[n].let_go;
        self.parties[n].let_go = half;
        let written = if half { PtraceFlags::empty() } else { mask };
        match self.kernel.write(id, fd, &written.bits().to_ne_bytes()) {
            // Whoever began to write the mask may count on it.
            Step::Done(Ok(_)) => self.ledger.write(pid, mask),
            Step::Done(Err(errno)) => return self.next(n, Err(errno)),
            Step::Wait(waiter) => return self.park(n, Waits::On(waiter)),
        }
        if half { "the task is let go".into() } else { self.next(n, Ok(())) }
    }

    fn close(&mut self, setup: &Setup, n: usize, pid: Pid) -> String {
        let (id, fd) = match self.handle(n, pid) {
            Ok(handle) => handle,
            Err(errno) => return self.next(n, Err(errno)),
        };
        self.forget_births(setup, pid);
        self.share_close(setup, n);
        let answer = self.kernel.close(id, fd);
        self.parties[n].handles.remove(&pid);
        self.ledger.close(pid);
        self.next(n, answer)
    }

    /// A client's end: its operation is given up, and everything of it closes.
    pub(super) fn die(&mut self, setup: &Setup, n: usize) {
        let Some(id) = self.parties[n].id.take() else { return };
        if let Waits::On(waiter) = std::mem::replace(&mut self.parties[n].waits, Waits::No) {
            self.kernel.finish(waiter);
        }
        let handles = std::mem::take(&mut self.parties[n].handles);
        for pid in handles.keys() {
            self.forget_births(setup, *pid);
            self.ledger.close(*pid);
        }
        self.kernel.drop_client(id);
        // Where it stood means nothing any more.
        let party = &mut self.parties[n];
        (party.at, party.writes, party.let_go) = (0, false, false);
        (party.queue, party.regs, party.queued) = (None, None, false);
    }

    /// F5: children whose birth was not read stay with a holder that does nothing.
    fn forget_births(&mut self, setup: &Setup, pid: Pid) {
        if !setup.breaks(Quirk::F5) {
            return;
        }
        for child in self.ledger.unread_births(pid) {
            let caller = World::caller(&mut self.kernel);
            let nobody = *self.nobody.get_or_insert_with(|| self.kernel.client(caller));
            let _ = self.kernel.open(nobody, &format!("proc:{child}/trace"), OpenFlags::O_RDWR);
        }
    }

    /// `SHARED`: others' sessions let go, too.
    fn share_close(&mut self, setup: &Setup, n: usize) {
        if !setup.breaks(Quirk::Shared) {
            return;
        }
        let others: Vec<(ClientId, Fd)> = (0..self.parties.len())
            .filter(|other| *other != n)
            .filter_map(|other| self.parties[other].id.map(|id| (id, &self.parties[other].handles)))
            .flat_map(|(id, handles)| handles.values().map(move |fd| (id, *fd)))
            .collect();
        for (id, fd) in others {
            let _ = self.kernel.write(id, fd, &[0; 8]);
        }
    }

    /// The session that somebody here has on a task.
    pub(super) fn session_of(&self, pid: Pid) -> Option<Session> {
        let mine = |party: &Party| party.id.zip(party.handles.get(&pid).copied());
        let found = self.parties.iter().find_map(mine);
        found.and_then(|(id, fd)| self.kernel.session(id, fd))
    }

    pub(super) fn keeper_text(&self, setup: &Setup, keeper: Keeper) -> String {
        let client = |id| self.parties.iter().position(|party| party.id == Some(id));
        match keeper {
            Keeper::Client(id) => match client(id) {
                Some(n) => setup.scenario().clients[n].name.clone(),
                None => "nobody".into(),
            },
            Keeper::Operation => "an operation".into(),
            Keeper::Nobody => "nobody".into(),
        }
    }
}
