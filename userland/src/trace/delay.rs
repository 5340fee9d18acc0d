//! Tasks that are held for a time: `-e inject=SET:delay_enter=…` and `delay_exit=`. Others go on meanwhile.
//!
//! Who waits for events cannot wait for a time as well, so a thread of its own sleeps until the next task is due, and then
//! ends that wait ([`Ringer`]). A ring is never lost: one that comes before the wait ends it, too.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread;
use std::time::{Duration, Instant};

/// Makes something that ends a wait for events, from any thread. `None`: that cannot be done here.
pub type Ringer<'a> = dyn Fn() -> Option<Box<dyn Fn() + Send>> + 'a;

/// Who is held until when: by key, with a number that tells two tasks of one key apart.
#[derive(Default)]
pub struct Delays {
    due: BinaryHeap<Reverse<(Instant, usize, u64)>>,
    /// Dropped with the loop, which ends the thread.
    alarm: Option<Sender<Instant>>,
}

impl Delays {
    /// Adds one. Answers whether there is somebody to say when it is over.
    pub fn add(&mut self, time: Duration, key: usize, serial: u64, ringer: Option<&Ringer<'_>>) -> bool {
        let Some(at) = Instant::now().checked_add(time) else { return false };
        if self.alarm.is_none() {
            let Some(ring) = ringer.and_then(|ringer| ringer()) else { return false };
            self.alarm = start(ring);
        }
        let told = self.alarm.as_ref().is_some_and(|alarm| alarm.send(at).is_ok());
        if told {
            self.due.push(Reverse((at, key, serial)));
        }
        told
    }

    /// Whether nobody is held.
    pub fn is_empty(&self) -> bool {
        self.due.is_empty()
    }

    /// One whose time is over.
    pub fn take(&mut self) -> Option<(usize, u64)> {
        let &Reverse((at, key, serial)) = self.due.peek()?;
        if at > Instant::now() {
            return None;
        }
        self.due.pop();
        Some((key, serial))
    }
}

/// The thread: sleeps until the earliest of the moments it was sent, and rings. `None`: no thread could be made.
fn start(ring: Box<dyn Fn() + Send>) -> Option<Sender<Instant>> {
    let (alarm, moments) = channel();
    let thread = thread::Builder::new().name("alarm".to_owned());
    thread.spawn(move || sleep(&moments, &*ring)).ok().map(|_| alarm)
}

fn sleep(moments: &Receiver<Instant>, ring: &dyn Fn()) {
    let mut waiting = BinaryHeap::new();
    loop {
        let Some(&Reverse(next)) = waiting.peek() else {
            match moments.recv() {
                Ok(moment) => waiting.push(Reverse(moment)),
                Err(_) => return,
            }
            continue;
        };
        match moments.recv_timeout(next.saturating_duration_since(Instant::now())) {
            Ok(moment) => waiting.push(Reverse(moment)),
            Err(RecvTimeoutError::Timeout) => {
                waiting.pop();
                ring();
            }
            Err(RecvTimeoutError::Disconnected) => return,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_earliest_is_due_first_and_rung_for() {
        let (rung, rings) = channel();
        let ringer = move || {
            let rung = rung.clone();
            Some(Box::new(move || rung.send(()).unwrap_or_default()) as Box<dyn Fn() + Send>)
        };
        let mut delays = Delays::default();
        assert!(delays.add(Duration::from_secs(3600), 1, 10, Some(&ringer)));
        assert!(delays.add(Duration::from_millis(1), 2, 20, Some(&ringer)));
        rings.recv().unwrap();
        assert_eq!(delays.take(), Some((2, 20)));
        assert_eq!(delays.take(), None);
        assert!(!Delays::default().add(Duration::ZERO, 1, 1, None), "nobody would end it");
        assert!(!delays.add(Duration::MAX, 1, 1, Some(&ringer)));
    }
}
