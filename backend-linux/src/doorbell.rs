//! The doorbell: a sleeping process of our own, traced like the others. Sending it a signal stops it, which ends a wait.
//!
//! No descriptor becomes readable at a ptrace stop, and a signal to the waiting thread can come just before it waits.
//! A stop is level-triggered: it is there until it is looked at. No handler and no mask of the host's is involved.

use std::os::fd::OwnedFd;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use kernel_model::machine::{Result, Wake};

use crate::facts::request_error;
use crate::stop::Raw;
use crate::sys::{self, Target};

/// Shared with whoever rings.
struct Cord {
    /// Set before the signal, cleared by the wait that it ends: rings before that are one.
    rung: AtomicBool,
    /// The sleeper, by pidfd: it may have died, and its pid be somebody else's.
    sleeper: Mutex<OwnedFd>,
}

impl Wake for Cord {
    fn wake(&self) {
        if !self.rung.swap(true, Ordering::SeqCst) {
            let sleeper = self.sleeper.lock().unwrap_or_else(PoisonError::into_inner);
            // It was killed: its end is a change of a tracee, too, and ends the wait as well.
            let _ = sys::pidfd_signal(&sleeper, libc::SIGUSR1);
        }
    }
}

/// The machine's end of it; empty until somebody wants to ring.
#[derive(Default)]
pub(crate) struct Bell {
    cord: Option<Arc<Cord>>,
    pid: Option<i32>,
}

impl Bell {
    /// What rings, made on first use.
    pub(crate) fn cord(&mut self) -> Result<Arc<dyn Wake>> {
        let cord = match &self.cord {
            Some(cord) => cord,
            None => {
                let (pid, fd) = sleeper().map_err(request_error)?;
                self.pid = Some(pid);
                self.cord.insert(Arc::new(Cord { rung: AtomicBool::new(false), sleeper: Mutex::new(fd) }))
            }
        };
        let cord: Arc<Cord> = Arc::clone(cord);
        Ok(cord)
    }

    pub(crate) fn pid(&self) -> Option<i32> {
        self.pid
    }

    /// Whether it was rung; once per ring.
    pub(crate) fn take_ring(&self) -> bool {
        self.cord
            .as_ref()
            .is_some_and(|cord| cord.rung.load(Ordering::Relaxed) && cord.rung.swap(false, Ordering::SeqCst))
    }

    /// Takes a change of the sleeper, if it is that. Whatever signal it was: it must sleep on.
    pub(crate) fn answers(&mut self, pid: i32, raw: Raw) -> bool {
        if self.pid != Some(pid) {
            return false;
        }
        if matches!(raw, Raw::End(_)) {
            let _ = sys::wait(Target::One(pid), false, true);
            self.replace();
        } else {
            let _ = sys::restart(libc::PTRACE_CONT, pid, 0);
        }
        true
    }

    /// Somebody killed it.
    fn replace(&mut self) {
        self.pid = None;
        let (Some(cord), Ok((pid, fd))) = (&self.cord, sleeper()) else { return };
        self.pid = Some(pid);
        *cord.sleeper.lock().unwrap_or_else(PoisonError::into_inner) = fd;
    }

    /// Ends and reaps it.
    pub(crate) fn remove(&mut self) {
        let Some(pid) = self.pid.take() else { return };
        let _ = sys::kill(pid, libc::SIGKILL);
        while let Ok(Some(change)) = sys::wait(Target::One(pid), true, true) {
            if matches!(Raw::decode(change), Raw::End(_)) {
                break;
            }
        }
    }
}

/// A sleeper, traced, with every signal unblocked: each one stops it, none reaches it.
fn sleeper() -> sys::Result<(i32, OwnedFd)> {
    let pid = sys::sleeper()?;
    let ready = sys::seize(pid, libc::PTRACE_O_EXITKILL)
        .and_then(|()| sys::interrupt(pid))
        .and_then(|()| sys::wait(Target::One(pid), true, true))
        .and_then(|_| sys::set_signal_mask(pid, 0))
        .and_then(|()| sys::restart(libc::PTRACE_CONT, pid, 0))
        .and_then(|()| sys::pidfd(pid));
    if ready.is_err() {
        let _ = sys::kill(pid, libc::SIGKILL);
        let _ = sys::wait(Target::One(pid), true, true);
    }
    ready.map(|fd| (pid, fd))
}
