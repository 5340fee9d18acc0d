//! [`Ledger`]: what each session is owed, worked out beside the kernel from the machine's reports and the masks that were
//! written, so that there is something to hold the kernel's answers against.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use super::{Rule, Violation, violated};
use crate::abi::{Pid, PtraceEvent, PtraceFlags};
use crate::front::bit_of;
use crate::machine::Report;
use crate::scenario::script::word;

/// A record that is due: cause and its first number.
type Due = (u64, u64);

/// One session.
#[derive(Clone, Debug, Default, Hash)]
struct Account {
    /// As the client knows it.
    mask: PtraceFlags,
    due: VecDeque<Due>,
    /// A stop was asked for: quietly (`false`), or to be told of.
    asked: Option<bool>,
}

/// Every session's account, and every death.
#[derive(Clone, Debug, Default, Hash)]
pub(super) struct Ledger {
    accounts: BTreeMap<Pid, Account>,
    dead: BTreeSet<Pid>,
}

impl Ledger {
    pub(super) fn open(&mut self, pid: Pid, stops: bool) {
        let asked = stops.then_some(false);
        self.accounts.insert(pid, Account { asked, ..Account::default() });
    }

    pub(super) fn close(&mut self, pid: Pid) {
        self.accounts.remove(&pid);
    }

    pub(super) fn write(&mut self, pid: Pid, mask: PtraceFlags) {
        if let Some(account) = self.accounts.get_mut(&pid) {
            account.mask = mask;
            account.asked = mask.contains(PtraceFlags::STOP_INTERRUPT).then_some(true);
        }
    }

    /// The mask that a task's session has.
    pub(super) fn mask(&self, pid: Pid) -> PtraceFlags {
        self.accounts.get(&pid).map_or(PtraceFlags::empty(), |account| account.mask)
    }

    /// Records that are due.
    pub(super) fn due(&self, pid: Pid) -> usize {
        self.accounts.get(&pid).map_or(0, |account| account.due.len())
    }

    /// Children whose birth this session was told of and has not read.
    pub(super) fn unread_births(&self, pid: Pid) -> Vec<Pid> {
        let births =
            |(cause, value): &Due| (*cause == PtraceFlags::EVENT_CLONE.bits()).then_some(Pid(*value as u32));
        self.accounts
            .get(&pid)
            .into_iter()
            .flat_map(|account| account.due.iter().filter_map(births))
            .collect()
    }

    /// A report is on its way to the kernel; `held` is whether the session holds its task by now.
    pub(super) fn report(
        &mut self,
        pid: Pid,
        name: &str,
        held: bool,
        report: Report,
    ) -> Result<(), Violation> {
        if self.dead.contains(&pid) {
            return violated(Rule::OneDeath, format!("{name} has ended before"));
        }
        if matches!(report, Report::Gone { .. }) {
            self.dead.insert(pid);
        } else if held && !matches!(report, Report::Exiting { .. }) {
            // SIGKILL ends a stop, and nothing else does (R43).
            return violated(Rule::HeldIsHeld, format!("{name} reports {report:?}"));
        }
        let Some(account) = self.accounts.get_mut(&pid) else { return Ok(()) };
        let bit = match report {
            Report::Interrupt => PtraceFlags::empty(), // told only to who asked: below
            _ => bit_of(report.kind()),
        };
        let value = match report {
            Report::Exiting { status } => status.0.into(),
            Report::Born { pid, .. } => pid.0.into(),
            Report::Image { former } => former.0.into(),
            Report::GroupStop { signal } => signal.0.into(),
            Report::Gone { status } => status.map_or(u64::MAX, |status| status.0.into()),
            _ => 0,
        };
        if matches!(report, Report::Interrupt | Report::GroupStop { .. })
            && account.asked.take() == Some(true)
        {
            account.due.push_back((PtraceFlags::STOP_INTERRUPT.bits(), 0));
        }
        if !bit.is_empty() && account.mask.contains(bit) {
            account.due.push_back((bit.bits(), value));
            if bit.bits() & PtraceFlags::STOP_MASK != 0 {
                account.asked = None;
            }
        }
        Ok(())
    }

    /// A read gave these.
    pub(super) fn read(&mut self, pid: Pid, name: &str, records: &[PtraceEvent]) -> Result<(), Violation> {
        let Some(account) = self.accounts.get_mut(&pid) else { return Ok(()) };
        for (place, event) in records.iter().enumerate() {
            // Of a signal the report itself does not say which.
            let signal = event.cause() == PtraceFlags::STOP_SIGNAL;
            let record = (event.cause, if signal { 0 } else { event.a });
            let said = word(event.cause());
            match account.due.front() {
                Some(first) if *first == record => drop(account.due.pop_front()),
                Some((first, _)) if account.due.contains(&record) => {
                    let first = word(PtraceFlags::from_bits_retain(*first));
                    return violated(Rule::Fifo, format!("{name}: {said} is told before {first}"));
                }
                _ => {
                    return violated(Rule::NoEventInvented, format!("{name}: record {place} is {said}"));
                }
            }
        }
        match account.due.front() {
            Some((first, _)) if records.is_empty() => {
                let first = word(PtraceFlags::from_bits_retain(*first));
                violated(Rule::NoEventLost, format!("{name}: {first} is due, and nothing is told"))
            }
            _ => Ok(()),
        }
    }

    /// A read said that there is nothing, and will be nothing before something happens.
    pub(super) fn nothing_due(&mut self, pid: Pid, name: &str) -> Result<(), Violation> {
        self.read(pid, name, &[])
    }
}
