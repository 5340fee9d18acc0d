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
    /// W5: what the tracer itself changed stays: a skipped call, a dropped signal.
    Changed,
    /// W6: a breakpoint that the tracer planted is met by nobody.
    Planted,
}

/// What lets a task go on.
const RESTARTS: [&str; 5] = ["CONT", "SYSCALL", "SINGLESTEP", "LISTEN", "DETACH"];

impl Window {
    /// All of them.
    pub(crate) const ALL: [Window; 5] =
        [Window::Interrupted, Window::Entered, Window::Step, Window::Changed, Window::Planted];

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
        (protocol == "calls" && broke_one(strike)).then_some(Window::Entered)
    }
}

/// Was a step the last that was asked of some task?
fn is_stepped(strike: &Strike<'_>) -> bool {
    let last = strike.log.made().rev().find(|(name, _)| RESTARTS.contains(name));
    last.is_some_and(|(name, _)| name == "SINGLESTEP")
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
