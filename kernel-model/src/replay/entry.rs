//! [`Entry`]: one thing that a machine reported, answered or was told, and its bytes.
//!
//! Register files are written as the 8-byte words that differ from what was last read of the same task: two of three
//! bytes of a recording would be registers otherwise.

use std::collections::HashMap;

use super::change::{put_change, take_change};
use super::descriptor::{put_descriptor, take_descriptor};
use super::header::SETS;
use super::wire::{Put, Take};
use crate::abi::{Errno, Pid, SigInfo, Signal, Status};
use crate::machine::{
    CallChange, CallValues, Demand, Detail, Error, Facts, Medium, RegSet, Report, Result, State, Task,
    Verdict, Which,
};
use zerocopy::{FromBytes, IntoBytes};

/// What a record can be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Entry {
    /// A program was started.
    Spawn { path: Vec<u8>, args: Vec<Vec<u8>>, answer: Result<(Task, Pid)> },
    /// Tracing of a task began.
    Attach { pid: Pid, answer: Result<Task> },
    /// A report; `pid` is the task's own, after it. `nanos` since the report before, `polls` that had none in between.
    Report { task: Task, report: Report, pid: Pid, nanos: u64, polls: u64 },
    /// A wait that failed.
    Failure { error: Error },
    /// A stopped task goes on, with this demand.
    Resume { task: Task, verdict: Verdict, demand: Demand },
    /// A demand was made.
    Demand { task: Task, demand: Demand },
    /// A task was left; the verdict matters if it was stopped.
    Detach { task: Task, verdict: Verdict },
    /// Something asked about a task's stop, or done to it.
    At { task: Task, ask: Ask, answer: Result<Answer> },
    /// Something asked about a task by its pid. `spare`: the recorder's own question.
    Of { pid: Pid, spare: bool, fact: Fact },
    /// Something asked about a descriptor of a task, by its pid.
    Descriptor { pid: Pid, ask: Ask, answer: Result<Answer> },
    /// Memory of a task was read; as many bytes as were asked for.
    Read { pid: Pid, start: u64, address: u64, length: u64, answer: Result<Vec<u8>> },
    /// Memory was written.
    Write { pid: Pid, start: u64, address: u64, bytes: Vec<u8>, answer: Result<()> },
    /// A signal was sent.
    Signal { pid: Pid, signal: Signal, answer: Result<()> },
    /// The clock was asked: nanoseconds since the recording began.
    Now { nanos: u64 },
    /// The recording is whole. `left`: its tasks went on.
    End { left: bool },
}

/// A question that needs a task.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Ask {
    Detail,
    Values,
    SigInfo,
    Name(Which),
    Medium(Which),
    Regs(RegSet),
    SetRegs(RegSet, Vec<u8>),
    SetCall(Box<CallChange>),
    Interrupt,
}

/// Its answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Answer {
    Done,
    Detail(Detail),
    Values(CallValues),
    SigInfo(Option<SigInfo>),
    Name(Option<Vec<u8>>),
    Medium(Option<Medium>),
    Bytes(Vec<u8>),
}

/// A question about a pid, with its answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Fact {
    All(Result<Facts>),
    Start(Result<u64>),
    Threads(Result<Vec<Pid>>),
    Exe(Result<Vec<u8>>),
}

/// Register files as they were last read.
#[derive(Default)]
pub(super) struct Known(HashMap<(Task, u64), Vec<u8>>);

const SPAWN: u8 = 1;
const ATTACH: u8 = 2;
const REPORT: u8 = 3;
const FAILURE: u8 = 4;
const RESUME: u8 = 5;
const DEMAND: u8 = 6;
const DETACH: u8 = 7;
const DETAIL: u8 = 8;
const REGS: u8 = 9;
const SET_REGS: u8 = 10;
const INTERRUPT: u8 = 11;
const FACTS: u8 = 12;
const START: u8 = 13;
const THREADS: u8 = 14;
const EXE: u8 = 15;
const READ: u8 = 16;
const WRITE: u8 = 17;
const SIGNAL: u8 = 18;
const END: u8 = 19;
const VALUES: u8 = 20;
const NOW: u8 = 21;
const SIGINFO: u8 = 22;
pub(super) const NAME: u8 = 23;
pub(super) const MEDIUM: u8 = 24;
pub(super) const SET_CALL: u8 = 25;

impl Entry {
    /// Appends the payload, and says which kind it is.
    pub(super) fn put(&self, out: &mut Vec<u8>, known: &mut Known) -> u8 {
        match self {
            Entry::Spawn { path, args, answer } => {
                out.put_bytes(path);
                out.put(args.len() as u64);
                args.iter().for_each(|arg| out.put_bytes(arg));
                put_result(out, answer, |out, (task, pid)| {
                    put_task(out, *task);
                    out.put(pid.0.into());
                });
                SPAWN
            }
            Entry::Attach { pid, answer } => {
                out.put(pid.0.into());
                put_result(out, answer, |out, task| put_task(out, *task));
                ATTACH
            }
            Entry::Report { task, report, pid, nanos, polls } => {
                put_task(out, *task);
                put_report(out, *report);
                out.put(pid.0.into());
                out.put(*nanos);
                out.put(*polls);
                if let Report::Gone { .. } = report {
                    known.0.retain(|(other, _), _| other != task);
                }
                REPORT
            }
            Entry::Failure { error } => {
                put_result(out, &Err::<(), _>(*error), |_, ()| {});
                FAILURE
            }
            Entry::Resume { task, verdict, demand } => {
                put_task(out, *task);
                out.put(u64::from(*verdict == Verdict::Skip));
                out.put(demand.bits().into());
                RESUME
            }
            Entry::Demand { task, demand } => {
                put_task(out, *task);
                out.put(demand.bits().into());
                DEMAND
            }
            Entry::Detach { task, verdict } => {
                put_task(out, *task);
                out.put(u64::from(*verdict == Verdict::Skip));
                DETACH
            }
            Entry::At { task, ask, answer } => {
                put_task(out, *task);
                put_ask(out, *task, ask, answer, known)
            }
            Entry::Of { pid, spare, fact } => {
                out.put(pid.0.into());
                out.put((*spare).into());
                put_fact(out, fact)
            }
            Entry::Descriptor { pid, ask, answer } => {
                out.put(pid.0.into());
                put_descriptor(out, ask, answer)
            }
            Entry::Read { pid, start, address, length, answer } => {
                [u64::from(pid.0), *start, *address].into_iter().for_each(|number| out.put(number));
                put_result(out, answer, |out, bytes| out.put_bytes(bytes));
                if answer.is_err() {
                    out.put(*length);
                }
                READ
            }
            Entry::Write { pid, start, address, bytes, answer } => {
                [u64::from(pid.0), *start, *address].into_iter().for_each(|number| out.put(number));
                out.put_bytes(bytes);
                put_result(out, answer, |_, ()| {});
                WRITE
            }
            Entry::Signal { pid, signal, answer } => {
                out.put(pid.0.into());
                out.put(signal.0.into());
                put_result(out, answer, |_, ()| {});
                SIGNAL
            }
            Entry::Now { nanos } => {
                out.put(*nanos);
                NOW
            }
            Entry::End { left } => {
                out.put((*left).into());
                END
            }
        }
    }

    /// `None`: the payload is not one of this kind.
    pub(super) fn take(kind: u8, payload: &[u8], known: &mut Known) -> Option<Entry> {
        let mut take = Take(payload);
        let entry = Entry::take_from(kind, &mut take, known)?;
        take.0.is_empty().then_some(entry)
    }

    fn take_from(kind: u8, take: &mut Take<'_>, known: &mut Known) -> Option<Entry> {
        Some(match kind {
            SPAWN => Entry::Spawn {
                path: take.bytes()?.to_vec(),
                args: take.list(|take| Some(take.bytes()?.to_vec()))?,
                answer: take_result(take, |take| Some((take_task(take)?, take_pid(take)?)))?,
            },
            ATTACH => Entry::Attach { pid: take_pid(take)?, answer: take_result(take, take_task)? },
            REPORT => {
                let (task, report) = (take_task(take)?, take_report(take)?);
                if let Report::Gone { .. } = report {
                    known.0.retain(|(other, _), _| *other != task);
                }
                let pid = take_pid(take)?;
                Entry::Report { task, report, pid, nanos: take.number()?, polls: take.number()? }
            }
            FAILURE => Entry::Failure { error: take_result(take, |_| Some(()))?.err()? },
            RESUME => {
                let (task, verdict) = (take_task(take)?, take_verdict(take)?);
                Entry::Resume { task, verdict, demand: Demand::from_bits(take.small()?)? }
            }
            DEMAND => Entry::Demand { task: take_task(take)?, demand: Demand::from_bits(take.small()?)? },
            DETACH => Entry::Detach { task: take_task(take)?, verdict: take_verdict(take)? },
            DETAIL | VALUES | SIGINFO | REGS | SET_REGS | SET_CALL | INTERRUPT => take_at(kind, take, known)?,
            FACTS | START | THREADS | EXE => {
                let (pid, spare) = (take_pid(take)?, take.flag()?);
                Entry::Of { pid, spare, fact: take_fact(kind, take)? }
            }
            NAME | MEDIUM => {
                let pid = take_pid(take)?;
                let (ask, answer) = take_descriptor(kind, take)?;
                Entry::Descriptor { pid, ask, answer }
            }
            READ => {
                let (pid, start, address) = (take_pid(take)?, take.number()?, take.number()?);
                let answer = take_result(take, |take| Some(take.bytes()?.to_vec()))?;
                let length = match &answer {
                    Ok(bytes) => bytes.len() as u64,
                    Err(_) => take.number()?,
                };
                Entry::Read { pid, start, address, length, answer }
            }
            WRITE => {
                let (pid, start, address) = (take_pid(take)?, take.number()?, take.number()?);
                let bytes = take.bytes()?.to_vec();
                Entry::Write { pid, start, address, bytes, answer: take_result(take, |_| Some(()))? }
            }
            SIGNAL => Entry::Signal {
                pid: take_pid(take)?,
                signal: Signal(take.byte()?),
                answer: take_result(take, |_| Some(()))?,
            },
            NOW => Entry::Now { nanos: take.number()? },
            END => Entry::End { left: take.flag()? },
            _ => return None,
        })
    }
}

fn put_task(out: &mut Vec<u8>, task: Task) {
    out.put(task.slot.into());
    out.put(task.generation.into());
}

fn take_task(take: &mut Take<'_>) -> Option<Task> {
    Some(Task { slot: take.small()?, generation: take.small()? })
}

pub(super) fn take_pid(take: &mut Take<'_>) -> Option<Pid> {
    take.small().map(Pid)
}

fn take_verdict(take: &mut Take<'_>) -> Option<Verdict> {
    Some(if take.flag()? { Verdict::Skip } else { Verdict::Proceed })
}

/// In the order of their numbers in a file, from 1.
const ERRORS: [Error; 9] = [
    Error::Gone,
    Error::Running,
    Error::Unstoppable,
    Error::Traced,
    Error::Denied,
    Error::Fault,
    Error::Invalid,
    Error::Interrupted,
    Error::Idle,
];

pub(super) fn put_result<T>(out: &mut Vec<u8>, result: &Result<T>, put: impl FnOnce(&mut Vec<u8>, &T)) {
    match result {
        Ok(value) => {
            out.put(0);
            put(out, value);
        }
        Err(Error::Other(Errno(errno))) => {
            out.put(ERRORS.len() as u64 + 1);
            out.put((*errno as u32).into());
        }
        Err(error) => {
            let at = ERRORS.iter().position(|known| known == error).unwrap_or(0);
            out.put(at as u64 + 1);
        }
    }
}

pub(super) fn take_result<T>(
    take: &mut Take<'_>,
    value: impl FnOnce(&mut Take<'_>) -> Option<T>,
) -> Option<Result<T>> {
    match take.number()? {
        0 => value(take).map(Ok),
        number => match ERRORS.get(usize::try_from(number - 1).ok()?) {
            Some(error) => Some(Err(*error)),
            None if number == ERRORS.len() as u64 + 1 => Some(Err(Error::Other(Errno(take.small()? as i32)))),
            None => None,
        },
    }
}

fn put_report(out: &mut Vec<u8>, report: Report) {
    out.put(report.kind().bits().trailing_zeros().into());
    match report {
        Report::Born { child, pid } => {
            put_task(out, child);
            out.put(pid.0.into());
        }
        Report::Image { former } => out.put(former.0.into()),
        Report::GroupStop { signal } => out.put(signal.0.into()),
        Report::Exiting { status } => out.put(status.0.into()),
        // 0: nobody can know.
        Report::Gone { status } => out.put(status.map_or(0, |status| u64::from(status.0) + 1)),
        _ => debug_assert!(Report::PLAIN.contains(&report), "{report:?} has more to say than its kind"),
    }
}

fn take_report(take: &mut Take<'_>) -> Option<Report> {
    let kind = Demand::from_bits(1u32.checked_shl(take.small()?)?)?;
    Some(match kind {
        Demand::EXITING => Report::Exiting { status: Status(take.small()?) },
        Demand::BORN => Report::Born { child: take_task(take)?, pid: take_pid(take)? },
        Demand::IMAGE => Report::Image { former: take_pid(take)? },
        Demand::GROUP_STOP => Report::GroupStop { signal: Signal(take.byte()?) },
        Demand::GONE => {
            let status = take.number()?.checked_sub(1);
            let status = status.map(|status| u32::try_from(status).map(Status)).transpose().ok()?;
            Report::Gone { status }
        }
        kind => *Report::PLAIN.iter().find(|plain| plain.kind() == kind)?,
    })
}

fn put_set(out: &mut Vec<u8>, set: RegSet) -> u64 {
    let number = SETS.iter().position(|known| *known == set).unwrap_or(0) as u64;
    out.put(number);
    number
}

fn put_ask(out: &mut Vec<u8>, task: Task, ask: &Ask, answer: &Result<Answer>, known: &mut Known) -> u8 {
    match ask {
        Ask::Detail => {
            put_result(out, answer, |out, answer| match answer {
                Answer::Detail(Detail::Call { number, id, abi }) => {
                    [1, *number, *id, *abi].into_iter().for_each(|number| out.put(number));
                }
                Answer::Detail(Detail::Signal { signal, handler }) => {
                    [2, signal.0.into(), *handler].into_iter().for_each(|number| out.put(number));
                }
                _ => out.put(0),
            });
            DETAIL
        }
        Ask::Values => {
            put_result(out, answer, |out, answer| {
                if let Answer::Values(CallValues { args, result, returns, word }) = answer {
                    args.iter().for_each(|arg| out.put(*arg));
                    out.put(result.is_some().into());
                    result.iter().for_each(|result| out.put(*result as u64));
                    out.put((*returns).into());
                    out.put((*word).into());
                }
            });
            VALUES
        }
        Ask::SigInfo => {
            put_result(out, answer, |out, answer| match answer {
                Answer::SigInfo(Some(info)) => {
                    out.put(1);
                    out.extend_from_slice(info.as_bytes());
                }
                _ => out.put(0),
            });
            SIGINFO
        }
        Ask::Name(_) | Ask::Medium(_) => put_descriptor(out, ask, answer),
        Ask::Regs(set) => {
            let set = put_set(out, *set);
            put_result(out, answer, |out, answer| {
                if let Answer::Bytes(bytes) = answer {
                    known.put(out, (task, set), bytes);
                }
            });
            REGS
        }
        Ask::SetRegs(set, bytes) => {
            put_set(out, *set);
            out.put_bytes(bytes);
            put_result(out, answer, |_, _| {});
            SET_REGS
        }
        Ask::SetCall(change) => put_change(out, change, answer),
        Ask::Interrupt => {
            put_result(out, answer, |_, _| {});
            INTERRUPT
        }
    }
}

fn take_at(kind: u8, take: &mut Take<'_>, known: &mut Known) -> Option<Entry> {
    let task = take_task(take)?;
    let (ask, answer) = match kind {
        DETAIL => {
            let detail = take_result(take, |take| {
                Some(match take.number()? {
                    0 => Detail::None,
                    1 => Detail::Call { number: take.number()?, id: take.number()?, abi: take.number()? },
                    2 => Detail::Signal { signal: Signal(take.byte()?), handler: take.number()? },
                    _ => return None,
                })
            })?;
            (Ask::Detail, detail.map(Answer::Detail))
        }
        VALUES => {
            let values = take_result(take, |take| {
                let mut args = [0; 6];
                for arg in &mut args {
                    *arg = take.number()?;
                }
                let result = if take.flag()? { Some(take.number()? as i64) } else { None };
                Some(CallValues { args, result, returns: take.flag()?, word: take.byte()? })
            })?;
            (Ask::Values, values.map(Answer::Values))
        }
        SIGINFO => {
            let info = take_result(take, |take| {
                let bytes = if take.flag()? { Some(take.raw(SigInfo::SIZE)?) } else { None };
                bytes
                    .map(|bytes| SigInfo::read_from_bytes(bytes).ok())
                    .map_or(Some(None), |info| info.map(Some))
            })?;
            (Ask::SigInfo, info.map(Answer::SigInfo))
        }
        REGS => {
            let number = take.number()?;
            let set = *SETS.get(usize::try_from(number).ok()?)?;
            let bytes = take_result(take, |take| known.take(take, (task, number)))?;
            (Ask::Regs(set), bytes.map(Answer::Bytes))
        }
        SET_REGS => {
            let set = *SETS.get(usize::try_from(take.number()?).ok()?)?;
            let bytes = take.bytes()?.to_vec();
            (Ask::SetRegs(set, bytes), take_result(take, |_| Some(Answer::Done))?)
        }
        SET_CALL => take_change(take)?,
        _ => (Ask::Interrupt, take_result(take, |_| Some(Answer::Done))?),
    };
    Some(Entry::At { task, ask, answer })
}

impl Known {
    /// Bytes of a word, and words that one mask can tell of.
    const WORD: usize = 8;
    const MOST: usize = 64;

    fn put(&mut self, out: &mut Vec<u8>, key: (Task, u64), bytes: &[u8]) {
        let old = self.0.entry(key).or_default();
        let differs =
            |at: usize, word: &[u8]| old.get(at * Known::WORD..(at + 1) * Known::WORD) != Some(word);
        let words = bytes.chunks_exact(Known::WORD).enumerate().take(Known::MOST);
        let changed = || words.clone().filter(|(at, word)| differs(*at, word));
        out.put(bytes.len() as u64);
        out.put(changed().fold(0, |mask, (at, _)| mask | 1 << at));
        changed().for_each(|(_, word)| out.extend_from_slice(word));
        let told = (bytes.len() / Known::WORD).min(Known::MOST) * Known::WORD;
        out.extend_from_slice(&bytes[told..]);
        bytes.clone_into(old);
    }

    fn take(&mut self, take: &mut Take<'_>, key: (Task, u64)) -> Option<Vec<u8>> {
        let length = take.small().filter(|length| *length <= 1 << 16)? as usize;
        let mask = take.number()?;
        let words = (length / Known::WORD).min(Known::MOST);
        let old = self.0.entry(key).or_default();
        let mut bytes = std::mem::take(old);
        bytes.resize(length, 0);
        for at in 0..words {
            if mask >> at & 1 == 1 {
                bytes[at * Known::WORD..][..Known::WORD].copy_from_slice(take.raw(Known::WORD)?);
            }
        }
        let told = words * Known::WORD;
        bytes[told..].copy_from_slice(take.raw(length - told)?);
        old.clone_from(&bytes);
        Some(bytes)
    }
}

/// In the order of their numbers in a file.
const STATES: [State; 5] =
    [State::Running, State::Uninterruptible, State::Stopped, State::Traced, State::Zombie];

fn put_fact(out: &mut Vec<u8>, fact: &Fact) -> u8 {
    let option = |pid: Option<Pid>| pid.map_or(0, |pid| u64::from(pid.0) + 1);
    match fact {
        Fact::All(facts) => {
            put_result(out, facts, |out, facts| {
                let state = STATES.iter().position(|state| *state == facts.state).unwrap_or(0);
                let numbers = [
                    facts.process.0.into(),
                    option(facts.parent),
                    facts.uid.into(),
                    facts.gid.into(),
                    state as u64,
                    facts.start,
                    option(facts.tracer),
                    facts.user.into(),
                ];
                numbers.into_iter().for_each(|number| out.put(number));
            });
            FACTS
        }
        Fact::Start(start) => {
            put_result(out, start, |out, start| out.put(*start));
            START
        }
        Fact::Threads(threads) => {
            put_result(out, threads, |out, threads| {
                out.put(threads.len() as u64);
                threads.iter().for_each(|pid| out.put(pid.0.into()));
            });
            THREADS
        }
        Fact::Exe(exe) => {
            put_result(out, exe, |out, exe| out.put_bytes(exe));
            EXE
        }
    }
}

fn take_fact(kind: u8, take: &mut Take<'_>) -> Option<Fact> {
    fn option(take: &mut Take<'_>) -> Option<Option<Pid>> {
        match take.number()?.checked_sub(1) {
            None => Some(None),
            Some(pid) => u32::try_from(pid).ok().map(|pid| Some(Pid(pid))),
        }
    }
    Some(match kind {
        FACTS => Fact::All(take_result(take, |take| {
            Some(Facts {
                process: take_pid(take)?,
                parent: option(take)?,
                uid: take.small()?,
                gid: take.small()?,
                state: *STATES.get(usize::try_from(take.number()?).ok()?)?,
                start: take.number()?,
                tracer: option(take)?,
                user: take.flag()?,
            })
        })?),
        START => Fact::Start(take_result(take, |take| take.number())?),
        THREADS => Fact::Threads(take_result(take, |take| take.list(take_pid))?),
        _ => Fact::Exe(take_result(take, |take| Some(take.bytes()?.to_vec()))?),
    })
}
