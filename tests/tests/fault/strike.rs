//! One death of the tracer: where it was, what became of the guest, and whether that is as promised.

use conformance::cell::Ended;
use conformance::harness::ensure;
use libtest_mimic::Failed;

use crate::Case;
use crate::windows::Window;

/// What the tracer wrote before it died.
pub(crate) struct Log {
    /// `before` or `after`.
    pub(crate) side: String,
    /// The number of the request that was struck.
    pub(crate) number: usize,
    /// Requests and the tasks that they were about; with `before`, the last was never made.
    text: Vec<(String, i32)>,
}

impl Log {
    pub(crate) fn read(text: &str) -> Result<Log, Failed> {
        let mut lines = text.lines().filter_map(|line| line.rsplit_once(' '));
        let (side, number) = lines.next().ok_or("an empty log")?;
        let text = lines.map(|(name, pid)| Ok((name.to_owned(), pid.parse::<i32>()?)));
        let text = text.collect::<Result<Vec<_>, std::num::ParseIntError>>()?;
        let log = Log { side: side.to_owned(), number: number.parse()?, text };
        ensure(log.text.len() == log.number + 1, || {
            format!("the log has holes: {text}", text = log.last(9))
        })?;
        Ok(log)
    }

    /// What was done, in order.
    pub(crate) fn made(&self) -> impl DoubleEndedIterator<Item = (&str, i32)> {
        let made = if self.side == "before" { self.number } else { self.number + 1 };
        self.text[..made].iter().map(|(name, pid)| (name.as_str(), *pid))
    }

    /// Was such a request made?
    pub(crate) fn has(&self, name: &str) -> bool {
        self.made().any(|(made, _)| made == name)
    }

    /// The last of these requests that was made about `pid`.
    pub(crate) fn last_of(&self, pid: i32, kinds: &[&str]) -> Option<&str> {
        self.made().rev().find(|(made, about)| *about == pid && kinds.contains(made)).map(|(made, _)| made)
    }

    /// The last `n` requests, for people.
    fn last(&self, n: usize) -> String {
        let from = self.text.len().saturating_sub(n);
        let last: Vec<String> = self.text[from..].iter().map(|(name, pid)| format!("{name} {pid}")).collect();
        last.join(", ")
    }
}

/// What is known of one death of the tracer.
pub(crate) struct Strike<'a> {
    pub(crate) case: Case,
    pub(crate) log: Log,
    pub(crate) ended: Ended,
    /// The guest alone.
    pub(crate) untraced: &'a Ended,
    /// The guest under a tracer that got through.
    pub(crate) traced: &'a Ended,
}

impl Strike<'_> {
    /// The window that explains what was seen, if it is not as promised.
    pub(crate) fn check(&self) -> Result<Option<(Window, String)>, Failed> {
        ensure(self.ended.said("left").is_empty(), || format!("left behind: {}", self.text()))?;
        if self.is_kept() {
            return Ok(None);
        }
        match Window::of(self) {
            Some(window) => Ok(Some((window, self.place()))),
            None => Err(format!("harmed: {}", self.text()).into()),
        }
    }

    /// Where it died.
    fn place(&self) -> String {
        let Case { protocol, act, how, from } = self.case;
        let Log { side, number, .. } = &self.log;
        format!("{from} {how} {protocol} {act}, killed {side} {number}: {}", self.log.last(6))
    }

    fn text(&self) -> String {
        let (ended, plain) = (self.ended.text(), self.untraced.text());
        format!("{}\n{ended}\n{:?}\n--- untraced\n{plain}", self.place(), self.ended.report)
    }

    /// Is the promise kept?
    fn is_kept(&self) -> bool {
        self.is_as(self.untraced)
            || (self.case.how == "kill" && (self.is_dead() || self.is_as(self.traced)))
            || (self.case.from == "spawn" && self.never_began())
    }

    /// A program that was not let go yet never runs.
    fn never_began(&self) -> bool {
        let adopted = self.ended.said("adopted");
        !self.log.has("release")
            && self.ended.stdout.is_empty()
            && adopted.iter().all(|end| end == "exited 127")
    }

    /// What the guest says alone, but for how its tracer ended.
    pub(crate) fn untraced_words(&self) -> String {
        words(self.untraced)
    }

    /// Did the guest end like this one, in words and status, as its parent saw it?
    pub(crate) fn is_as(&self, other: &Ended) -> bool {
        let status = match self.case.from {
            "attach" => self.ended.status == other.status,
            _ => self.guest_ended(&other.status) || self.is_reaped(),
        };
        self.ended.stdout == words(other) && self.ended.stderr == other.stderr && status
    }

    /// Did the guest die of its tracer's death?
    fn is_dead(&self) -> bool {
        self.guest_ended("killed 9") || self.is_reaped()
    }

    /// Had the tracer, as its parent, taken note of its end already?
    fn is_reaped(&self) -> bool {
        let guest = self.log.made().find(|(name, _)| *name == "release").map(|(_, pid)| pid);
        let last = guest.and_then(|pid| self.log.made().rev().find(|(_, about)| *about == pid));
        self.case.from == "spawn" && last.is_some_and(|(name, _)| name == "wait")
    }

    /// Did the guest end so?
    pub(crate) fn guest_ended(&self, end: &str) -> bool {
        match self.case.from {
            "attach" => self.ended.stdout.contains(&format!("the guest: {end}\n")),
            _ => self.ended.said("adopted").iter().any(|adopted| adopted == end),
        }
    }
}

fn words(ended: &Ended) -> String {
    ended.stdout.replace("the tracer: exited 0", "the tracer: killed 9")
}
