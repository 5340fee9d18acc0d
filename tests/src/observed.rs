//! Two observers of one program, of whom one reads at once and one falls behind: what they were told, compared record by
//! record. Shared by a test and a benchmark, which differ in how long the program is.

use std::collections::VecDeque;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Mutex;
use std::sync::mpsc::channel;

use kernel_model::abi::{Errno, LOG_MOST, LogHeader, LogRecord, OpenFlags, Pid, Status};
use kernel_model::client::{Handle, Trace};
use kernel_model::scheme::Host;

use crate::rules::{Bench, Check, Failure};
use crate::{ensure, same};

/// Records that the slow one leaves between two of its reads, and the room it has for them.
const PAUSE: u64 = 1000;
const SLOW: &str = "room 65536";

/// A program of so many calls, and its exit.
pub fn guest(calls: u64) -> String {
    format!(
        "program main\n.text\n    mov rbx, {calls}\nagain:\n    sys getppid\n    dec rbx\n    jne again\n    sys exit, 0\n"
    )
}

/// What both were told.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    /// Records of the fast one.
    pub fast: u64,
    /// Records of the slow one, without those that count drops.
    pub slow: u64,
    /// What it was told that it lost.
    pub lost: u64,
    /// In how many places.
    pub gaps: u64,
}

/// What one has told and the other has not yet. It remembers no more than that.
#[derive(Default)]
struct Comparison {
    totals: Totals,
    /// Of the fast one's records, their hashes.
    truth: VecDeque<u64>,
    /// Of the slow one.
    claims: VecDeque<Claim>,
    /// Id of the last call.
    last: u64,
}

enum Claim {
    Record(u64),
    Lost(u64),
}

impl Comparison {
    fn fast(&mut self, bytes: &[u8]) -> Check {
        each(bytes, |header, record, bytes| {
            if let LogRecord::Call(call, _) = record {
                same!(call.id, self.last + 1);
                self.last = call.id;
            }
            ensure!(!matches!(record, LogRecord::Drop(_)), "the fast one lost something: {header:?}");
            self.totals.fast += 1;
            self.truth.push_back(hash(bytes));
            Ok(())
        })?;
        self.settle()
    }

    fn slow(&mut self, bytes: &[u8]) -> Check {
        each(bytes, |_, record, bytes| {
            if let LogRecord::Drop(drop) = record {
                self.totals.gaps += 1;
                self.totals.lost += drop.count;
                self.claims.push_back(Claim::Lost(drop.count));
            } else {
                self.totals.slow += 1;
                self.claims.push_back(Claim::Record(hash(bytes)));
            }
            Ok(())
        })?;
        self.settle()
    }

    /// Every claim is about the oldest records that none before it was about.
    fn settle(&mut self) -> Check {
        while let (Some(claim), false) = (self.claims.front_mut(), self.truth.is_empty()) {
            match claim {
                Claim::Record(hash) => {
                    ensure!(Some(*hash) == self.truth.pop_front(), "not the same: {:?}", self.totals);
                    self.claims.pop_front();
                }
                Claim::Lost(count) => {
                    let known = (*count).min(self.truth.len() as u64);
                    self.truth.drain(..known as usize);
                    *count -= known;
                    if *count == 0 {
                        self.claims.pop_front();
                    }
                }
            }
        }
        Ok(())
    }

    /// Everything was told, and everything that was lost was counted.
    fn end(self, calls: u64) -> Check<Totals> {
        same!((self.truth.len(), self.claims.len()), (0, 0));
        // The calls, the exit among them, and the death.
        same!((self.last, self.totals.fast), (calls + 1, calls + 2));
        same!(self.totals.slow + self.totals.lost, self.totals.fast);
        Ok(self.totals)
    }
}

fn each(mut bytes: &[u8], mut act: impl FnMut(LogHeader, LogRecord<'_>, &[u8]) -> Check) -> Check {
    while !bytes.is_empty() {
        let Some((header, record, rest)) = LogRecord::split(bytes) else {
            return Err(Failure::new("not a whole record"));
        };
        act(header, record, &bytes[..bytes.len() - rest.len()])?;
        bytes = rest;
    }
    Ok(())
}

fn hash(bytes: &[u8]) -> u64 {
    let mut hasher = DefaultHasher::new();
    bytes.hash(&mut hasher);
    hasher.finish()
}

fn open<'h>(host: &'h dyn Host, pid: Pid, table: &str) -> Check<Handle<'h>> {
    let log = Handle::open(host, &format!("proc:{pid}/log"), OpenFlags::O_RDWR)?;
    log.write(table.as_bytes())?;
    Ok(log)
}

/// One read. False: everybody has ended.
fn read(log: &Handle<'_>, buf: &mut [u8], told: impl FnOnce(&[u8]) -> Check) -> Check<bool> {
    match log.read(buf) {
        Ok(n) => told(&buf[..n]).map(|()| true),
        Err(Errno::ESRCH) => Ok(false),
        Err(errno) => Err(errno.into()),
    }
}

/// On one thread: the slow one reads once whenever the fast one has been told of so many more.
pub fn in_turn(b: &Bench<'_>, calls: u64) -> Check<Totals> {
    let pid = b.start()?;
    let (fast, slow) = (open(b.host, pid, "")?, open(b.host, pid, SLOW)?);
    Trace::open(b.host, pid, OpenFlags::empty())?.close()?;
    let mut comparison = Comparison::default();
    let mut buf = vec![0; LOG_MOST];
    let mut next = PAUSE;
    while read(&fast, &mut buf, |bytes| comparison.fast(bytes))? {
        if comparison.totals.fast >= next {
            next += PAUSE;
            read(&slow, &mut buf, |bytes| comparison.slow(bytes))?;
        }
    }
    while read(&slow, &mut buf, |bytes| comparison.slow(bytes))? {}
    same!(b.ended(pid)?, Status::exited(0));
    comparison.end(calls)
}

/// On a thread each, as fast as they get to run. The fast one has room for everything, so that nothing here hangs on who
/// runs when; the slow one reads when the other has been told of so many more.
pub fn at_once(b: &Bench<'_>, calls: u64) -> Check<Totals> {
    let comparison = Mutex::new(Comparison::default());
    let told = || comparison.lock().expect("nobody panics with it");
    b.shared(&mut |host| {
        let pid = b.start_on(host)?;
        let (fast, slow) = (open(host, pid, "room 1073741824")?, open(host, pid, SLOW)?);
        Trace::open(host, pid, OpenFlags::empty())?.close()?;
        let (tick, ticks) = channel();
        let (fast, slow) = (fast.fd(), slow.fd());
        let take = |fd, side: fn(&mut Comparison, &[u8]) -> Check| -> Check<bool> {
            let mut buf = vec![0; LOG_MOST];
            match host.read(fd, &mut buf) {
                Ok(n) => side(&mut told(), &buf[..n]).map(|()| true),
                Err(Errno::ESRCH) => Ok(false),
                Err(errno) => Err(errno.into()),
            }
        };
        std::thread::scope(|scope| {
            let second = scope.spawn(move || {
                while ticks.recv().is_ok() {
                    take(slow, Comparison::slow)?;
                }
                while take(slow, Comparison::slow)? {}
                Check::Ok(())
            });
            let mut next = PAUSE;
            while take(fast, Comparison::fast)? {
                if told().totals.fast >= next {
                    next += PAUSE;
                    let _ = tick.send(());
                }
            }
            drop(tick);
            second.join().unwrap_or_else(|_| Err(Failure::new("the slow one panicked")))
        })?;
        same!(host.wait(pid, true)?, Some(Status::exited(0)));
        Ok(())
    })?;
    comparison.into_inner().expect("nobody panics with it").end(calls)
}
