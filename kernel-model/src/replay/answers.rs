//! What was read of a recording and not asked for yet: [`Line`], the stops of a task, each with its answers ([`Stop`]);
//! [`Series`], answers about a pid as they changed.
//!
//! A question that is asked in the order of the recording gets the answer of that moment, the same question twice both
//! answers. One that is asked out of order gets an answer of the same stop, if there is one.

use std::collections::VecDeque;

use super::UNRECORDED;
use super::entry::{Answer, Ask};
use crate::abi::Pid;
use crate::machine::{Demand, Error, Report, Result, Verdict};

/// One answer.
#[derive(Debug)]
pub(super) enum Noted {
    At(Ask, Result<Answer>),
    Read { start: u64, address: u64, length: u64, answer: Result<Vec<u8>> },
    Write { start: u64, address: u64, bytes: Vec<u8>, answer: Result<()> },
}

impl Noted {
    /// After it, the task is not what it was.
    fn changes(&self) -> bool {
        matches!(
            self,
            Noted::At(Ask::SetRegs(..) | Ask::SetCall(_), Ok(_)) | Noted::Write { answer: Ok(()), .. }
        )
    }
}

/// From one report of a task to the next.
#[derive(Debug, Default)]
pub(super) struct Stop {
    /// Each with the number of changes that had been made.
    answers: Vec<(u32, Noted)>,
    /// Changes in `answers`.
    changes: u32,
    /// Changes that were asked for.
    done: u32,
    /// Where the next question is expected.
    next: usize,
    /// How it was resumed.
    pub(super) resumed: Option<Verdict>,
    /// What was demanded meanwhile.
    pub(super) demand: Demand,
    /// How it was left.
    pub(super) left: Option<Verdict>,
}

impl Stop {
    pub(super) fn add(&mut self, noted: Noted) {
        let changes = noted.changes();
        self.answers.push((self.changes, noted));
        self.changes += u32::from(changes);
    }

    /// Nobody holds the task any more.
    pub(super) fn is_over(&self) -> bool {
        self.resumed.is_some() || self.left.is_some()
    }

    /// The next answer that fits, in the order of the recording; not in order: any that does.
    pub(super) fn find(&mut self, in_order: bool, fits: impl Fn(&Noted) -> bool) -> Option<&Noted> {
        let range =
            if in_order { self.next..self.answers.len() } else { 0..self.next.min(self.answers.len()) };
        let at = range.into_iter().find(|&at| {
            let (changes, noted) = &self.answers[at];
            *changes == self.done && fits(noted)
        })?;
        self.next = at + 1;
        let noted = &self.answers[at].1;
        self.done += u32::from(noted.changes());
        Some(noted)
    }

    /// Bytes put together from all that was read; or the fault that was found in their range.
    pub(super) fn memory(&self, start: u64, address: u64, buf: &mut [u8]) -> Result<()> {
        let end = address.saturating_add(buf.len() as u64);
        let mut covered = vec![false; buf.len()];
        for (changes, noted) in &self.answers {
            let Noted::Read { start: of, address: from, length, answer } = noted else { continue };
            if *changes != self.done || *of != start {
                continue;
            }
            let until = from.saturating_add(*length);
            match answer {
                Ok(bytes) => {
                    let (low, high) = (address.max(*from), end.min(until));
                    if low < high {
                        let (to, at, count) =
                            ((low - address) as usize, (low - from) as usize, (high - low) as usize);
                        buf[to..to + count].copy_from_slice(&bytes[at..at + count]);
                        covered[to..to + count].fill(true);
                    }
                }
                Err(Error::Fault) if *from >= address && until <= end => return Err(Error::Fault),
                Err(_) => {}
            }
        }
        if covered.iter().all(|covered| *covered) { Ok(()) } else { Err(UNRECORDED) }
    }
}

/// A report that was read and not delivered.
#[derive(Debug)]
pub(super) struct Next {
    /// Counts the reports of the recording.
    pub(super) index: u64,
    pub(super) report: Report,
    /// The task's, after it.
    pub(super) pid: Pid,
    /// When, since the recording began.
    pub(super) nanos: u64,
    /// Looks in vain before it.
    pub(super) polls: u64,
    /// Which tracing of the task it belongs to.
    pub(super) session: u32,
    /// It came although nobody had resumed the task: it was killed.
    pub(super) unasked: bool,
    pub(super) stop: Stop,
}

/// A task of the recording.
#[derive(Debug)]
pub(super) struct Line {
    pub(super) pid: Pid,
    pub(super) spawned: bool,
    /// Tracings that were read, that the kernel above has begun, and the last that it has ended.
    pub(super) sessions: u32,
    pub(super) session: u32,
    pub(super) ended: u32,
    pub(super) running: bool,
    pub(super) demand: Demand,
    pub(super) now: Stop,
    pub(super) ahead: VecDeque<Next>,
    /// The report that can be delivered.
    pub(super) ready: Option<u64>,
}

impl Line {
    pub(super) fn new(pid: Pid) -> Line {
        Line {
            pid,
            spawned: false,
            sessions: 1,
            session: 0,
            ended: 0,
            running: false,
            demand: Demand::empty(),
            now: Stop::default(),
            ahead: VecDeque::new(),
            ready: None,
        }
    }

    pub(super) fn is_traced(&self) -> bool {
        self.session > self.ended
    }

    /// The stop that was read last.
    pub(super) fn last(&mut self) -> &mut Stop {
        match self.ahead.back_mut() {
            Some(next) => &mut next.stop,
            None => &mut self.now,
        }
    }

    /// Finds the report that can be delivered now; drops those that nobody will ask for.
    pub(super) fn settle(&mut self) -> Option<u64> {
        let (session, ended, spawned) = (self.session, self.ended, self.spawned);
        let over = |next: &Next| {
            let past = next.session <= ended || next.session < session;
            past && !(spawned && matches!(next.report, Report::Gone { .. }))
        };
        while self.ahead.front().is_some_and(over) {
            self.now = self.ahead.pop_front().map(|next| next.stop).unwrap_or_default();
        }
        let next = self.ahead.front()?;
        let may = if self.is_traced() {
            next.session <= session && (self.running || next.unasked)
        } else {
            session > 0 && matches!(next.report, Report::Gone { .. })
        };
        may.then_some(next.index)
    }
}

/// Answers to one question about one pid, by the number of reports before each.
#[derive(Debug)]
pub(super) struct Series<T> {
    answers: VecDeque<(u64, bool, Result<T>)>,
    last: Option<Result<T>>,
}

impl<T> Default for Series<T> {
    fn default() -> Self {
        Series { answers: VecDeque::new(), last: None }
    }
}

impl<T: Clone> Series<T> {
    /// `spare`: nobody above has asked this.
    pub(super) fn add(&mut self, at: u64, spare: bool, answer: Result<T>) {
        self.answers.push_back((at, spare, answer));
    }

    fn forward(&mut self, now: u64, stays: impl Fn(u64, bool) -> bool) {
        while let Some((at, spare, _)) = self.answers.front()
            && *at <= now
            && !stays(*at, *spare)
        {
            self.last = self.answers.pop_front().map(|(_, _, answer)| answer);
        }
    }

    /// The answer of this moment, the next one if there are several.
    pub(super) fn exact(&mut self, now: u64) -> Option<Result<T>> {
        self.forward(now, |at, spare| at == now && !spare);
        match self.answers.front() {
            Some((at, false, _)) if *at == now => {
                self.last = self.answers.pop_front().map(|(_, _, answer)| answer);
                self.last.clone()
            }
            _ => None,
        }
    }

    /// What was answered last, up to this moment.
    pub(super) fn latest(&mut self, now: u64) -> Option<Result<T>> {
        self.forward(now, |_, _| false);
        self.last.clone()
    }

    /// The same, once.
    pub(super) fn take_latest(&mut self, now: u64) -> Option<Result<T>> {
        self.forward(now, |_, _| false);
        self.last.take()
    }
}
