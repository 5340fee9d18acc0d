//! What must hold in every world, after every turn, and where nothing can happen any more.

use super::client::Waits;
use super::{Rule, Setup, Violation, World, violated};
use crate::abi::{Pid, PtraceFlags};
use crate::kernel::{Keeper, Session};
use crate::machine::Report;
use crate::scenario::Act;
use crate::sim::{Doing, Look};

impl World {
    /// After every move.
    pub(super) fn check(&self, setup: &Setup) -> Result<(), Violation> {
        let stops = self.kernel.stops();
        for pid in self.sim().programs() {
            let Some(look) = self.sim().look(pid) else { continue };
            let keepers = stops.iter().find(|(other, _)| *other == pid).map(|(_, keepers)| keepers);
            self.check_stop(pid, &look, keepers)?;
        }
        for (n, party) in self.parties.iter().enumerate() {
            let Some(id) = party.id else { continue };
            for (pid, fd) in &party.handles {
                let Some(session) = self.kernel.session(id, *fd) else { continue };
                let due = self.ledger.due(*pid);
                if session.queued != due {
                    let rule = if session.queued < due { Rule::NoEventLost } else { Rule::NoEventInvented };
                    let name = self.name(*pid);
                    return violated(
                        rule,
                        format!("{name}: {due} records are due, {} queued", session.queued),
                    );
                }
            }
            self.check_wait(setup, n)?;
        }
        Ok(())
    }

    /// Machine, kernel and clients agree about who is stopped.
    fn check_stop(&self, pid: Pid, look: &Look, keepers: Option<&Vec<Keeper>>) -> Result<(), Violation> {
        let over = look.killed || matches!(look.doing, Doing::Ending(_) | Doing::Ended(_));
        let alive = |keeper: &Keeper| match keeper {
            Keeper::Client(id) => self.parties.iter().any(|party| party.id == Some(*id)),
            Keeper::Operation => true,
            Keeper::Nobody => false,
        };
        match (look.held, keepers) {
            (None, Some(_)) if !over => {
                violated(Rule::HeldIsHeld, format!("{} was let run by nobody", self.name(pid)))
            }
            (Some(_), None) if !self.sim().is_announced(pid) => {
                violated(Rule::NoOrphanStop, format!("{} was forgotten", self.name(pid)))
            }
            (Some(_), Some(keepers)) if !keepers.iter().any(alive) => {
                violated(Rule::NoOrphanStop, format!("{} is held by nobody who is left", self.name(pid)))
            }
            _ => Ok(()),
        }
    }

    fn check_wait(&self, setup: &Setup, n: usize) -> Result<(), Violation> {
        let party = &self.parties[n];
        let Waits::On(waiter) = party.waits else { return Ok(()) };
        if self.is_woken(setup, waiter) {
            return Ok(());
        }
        let client = &setup.scenario().clients[n];
        let Some(act) = client.acts.get(party.at) else { return Ok(()) };
        let Some(pid) = act.task().and_then(|task| self.task(task)) else { return Ok(()) };
        let could = match act {
            Act::Wait { .. } => self.kernel.has_status(pid),
            // Any stop of the task will do, and its end.
            Act::Regs { .. } => self.kernel.stops().iter().any(|(stopped, _)| *stopped == pid),
            _ => {
                let session = party.id.zip(party.handles.get(&pid));
                let session = session.and_then(|(id, fd)| self.kernel.session(id, *fd));
                let stop = |session: &Session| session.held && !party.queued;
                session.is_some_and(|session| session.queued > 0 || session.gone || stop(&session))
            }
        };
        if could {
            return violated(Rule::NoLostWakeUp, format!("client {}: `{act}`", client.name));
        }
        Ok(())
    }

    /// Where nothing can happen any more.
    pub fn check_end(&self, setup: &Setup) -> Result<(), Violation> {
        for (n, party) in self.parties.iter().enumerate() {
            let client = &setup.scenario().clients[n];
            if party.id.is_some()
                && party.waits != Waits::No
                && let Some(act) = client.acts.get(party.at)
            {
                return violated(Rule::NoHang, format!("client {}: `{act}`", client.name));
            }
        }
        Ok(())
    }

    /// After a turn: what the task did and its session asked for, is a stop.
    pub(super) fn told_of(&self, pid: Pid, before: &Look, after: &Look) -> Result<(), Violation> {
        let mask = self.ledger.mask(pid);
        let entered =
            matches!(before.doing, Doing::Program) && matches!(after.doing, Doing::Call(_) | Doing::Waits(_));
        let left = before.doing == Doing::Returns && after.doing == Doing::Returns;
        let signal = before.doing != after.doing && matches!(after.doing, Doing::Signal(_));
        let dies = matches!(before.doing, Doing::Ending(_)) && matches!(after.doing, Doing::Ending(_));
        let is = |report: fn(&Report) -> bool| after.held.as_ref().is_some_and(report);
        let passed = [
            (
                entered,
                PtraceFlags::STOP_PRE_SYSCALL,
                is(|r| matches!(r, Report::CallEntry)),
                "a call's entry",
            ),
            (left, PtraceFlags::STOP_POST_SYSCALL, is(|r| matches!(r, Report::CallExit)), "a call's exit"),
            (signal, PtraceFlags::STOP_SIGNAL, is(|r| matches!(r, Report::Signal)), "a signal"),
            (dies, PtraceFlags::STOP_EXIT, is(|r| matches!(r, Report::Exiting { .. })), "its end"),
        ];
        let lost = passed.iter().find(|(did, bit, told, _)| *did && mask.contains(*bit) && !told);
        match lost {
            Some((_, _, _, what)) => {
                violated(Rule::NoEventLost, format!("{} goes past {what}", self.name(pid)))
            }
            None => Ok(()),
        }
    }

    /// Sessions of everybody but this client.
    pub(super) fn others(&self, n: usize) -> Vec<(usize, Pid, Option<Session>)> {
        let others = self.parties.iter().enumerate().filter(|(other, _)| *other != n);
        let sessions = others.filter_map(|(other, party)| Some((other, party.id?, &party.handles)));
        let look = |(other, id, handles)| {
            let handles: &std::collections::BTreeMap<Pid, crate::scheme::Fd> = handles;
            handles.iter().map(move |(pid, fd)| (other, *pid, self.kernel.session(id, *fd)))
        };
        sessions.flat_map(look).collect()
    }

    /// And they are still the same.
    pub(super) fn unchanged(
        &self,
        setup: &Setup,
        n: usize,
        before: &[(usize, Pid, Option<Session>)],
    ) -> Result<(), Violation> {
        let after = self.others(n);
        match before.iter().zip(&after).find(|(before, after)| before != after) {
            Some(((other, pid, _), _)) => {
                let clients = &setup.scenario().clients;
                let (who, whose) = (&clients[n].name, &clients[*other].name);
                violated(
                    Rule::Independence,
                    format!("{who} changed {whose}'s session of {}", self.name(*pid)),
                )
            }
            None => Ok(()),
        }
    }
}
