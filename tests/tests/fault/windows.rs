//! The windows of RFC 0003: what a tracee may suffer when its tracer dies at a certain moment, by name. Each fits where the
//! log and the guest's words show that it was that moment and that harm, and nowhere else.

use crate::strike::Strike;

/// One row of RFC 0003.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Window {
    /// W1: an interrupt has ended a call of the list in L12, and nobody hides that.
    Interrupted,
    /// W2: at the entry of such a call.
    Entered,
    /// W3: a step was under way, or its trap not moved yet.
    Step,
    /// W4: a signal was held, and consumed, while the tracer looked for other reports.
    Consumed,
    /// W5: what the tracer itself changed stays: a skipped call, a dropped signal.
    Changed,
    /// W6: a breakpoint that the tracer planted is met by nobody.
    Planted,
}

/// What lets a task go on.
const RESTARTS: [&str; 5] = ["CONT", "SYSCALL", "SINGLESTEP", "LISTEN", "DETACH"];

impl Window {
    /// All of them.
    pub(crate) const ALL: [Window; 6] = [
        Window::Interrupted,
        Window::Entered,
        Window::Step,
        Window::Consumed,
        Window::Changed,
        Window::Planted,
    ];

    /// Which one explains what was seen, if one does.
    pub(crate) fn of(strike: &Strike<'_>) -> Option<Window> {
        let protocol = strike.case.protocol;
        if strike.case.how == "kill" {
            return None;
        }
        let changes = ["skip", "drop"].contains(&protocol);
        if changes && strike.is_as(strike.traced) {
            return Some(Window::Changed);
        }
        let trapped = strike.guest_ended("killed 5");
        if protocol == "planted" && trapped && strike.log.has("poke") {
            return Some(Window::Planted);
        }
        if trapped && is_stepped(strike) {
            return Some(Window::Step);
        }
        if is_interrupted(strike) && broke_one(strike) {
            return Some(Window::Interrupted);
        }
        if protocol == "calls" && broke_one(strike) {
            return Some(Window::Entered);
        }
        (is_consumed(strike) && lost_one(strike)).then_some(Window::Consumed)
    }
}

/// Was a step the last that was asked of some task?
fn is_stepped(strike: &Strike<'_>) -> bool {
    let last = strike.log.made().rev().find(|(name, _)| RESTARTS.contains(name));
    last.is_some_and(|(name, _)| name == "SINGLESTEP")
}

/// Is a task held whose stop was consumed?
fn is_consumed(strike: &Strike<'_>) -> bool {
    let kinds: Vec<&str> = RESTARTS.into_iter().chain(["wait"]).collect();
    strike.log.made().any(|(_, pid)| pid != 0 && strike.log.last_of(pid, &kinds) == Some("wait"))
}

/// Was a task interrupted, and not let go since?
fn is_interrupted(strike: &Strike<'_>) -> bool {
    let kinds: Vec<&str> = RESTARTS.into_iter().chain(["INTERRUPT"]).collect();
    strike.log.made().any(|(_, pid)| strike.log.last_of(pid, &kinds) == Some("INTERRUPT"))
}

/// Is a call of the list in L12 said to be interrupted, and all else as it should be?
fn broke_one(strike: &Strike<'_>) -> bool {
    let seen = &strike.ended.stdout;
    let healed = [("sigtimedwait: EINTR", "sigtimedwait: EAGAIN"), ("epoll_wait: EINTR", "epoll_wait: 0")];
    healed.iter().any(|(broken, whole)| seen.replace(broken, whole) == strike.untraced_words())
}

/// Is it a signal that is missing, and nothing else?
fn lost_one(strike: &Strike<'_>) -> bool {
    let (seen, plain) = (&strike.ended.stdout, strike.untraced_words());
    let differing: Vec<&str> =
        seen.lines().zip(plain.lines()).filter(|(one, other)| one != other).map(|(one, _)| one).collect();
    let counted = |line: &&str| {
        ["USR1 ", "USR2 ", "breakpoints handled: ", "exited 1", "the guest: exited 0"]
            .iter()
            .any(|start| line.starts_with(start))
    };
    seen.lines().count() == plain.lines().count() && differing.iter().all(counted)
}
