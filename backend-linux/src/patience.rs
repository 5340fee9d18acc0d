//! Whether to look again before a wait sleeps: the task that was just let go will stop soon, as a rule, and being woken on another
//! core takes several times as long as its whole stop.
//!
//! Between two looks the thread yields, so whoever shares its core runs: the task itself, most of all. Two things speak
//! against it, and after each of them the next waits sleep at once, the more of them the oftener it happens: looks that found
//! nothing, since the task computes or sleeps; and yields that took long, since somebody who computes on this core keeps it
//! for a whole time slice (yield_task_fair in kernel/sched/fair.c), where a wake-up would have got it back at once. Figures in RFC 0003.

use std::time::{Duration, Instant};

/// All looks of one wait take less than this, unless a yield gave the core away for long.
const SLICE: Duration = Duration::from_micros(500);
/// Once in so many waits it is looked how long they take.
const TIMED: u32 = 8;
/// Waits that sleep at once after looks that took long, the first time.
const AFTER_SLICE: u32 = 256;
/// How often either number is doubled, at most.
const DOUBLED: u32 = 7;

/// What a thread has learnt of its looks.
#[derive(Default)]
pub(crate) struct Patience {
    /// Waits that will sleep at once.
    sleepy: u32,
    /// How often in a row nothing was found, and how often it took long.
    missed: u32,
    slow: u32,
    /// Waits until the next one that is timed.
    untimed: u32,
}

/// The looks of one wait.
pub(crate) struct Looks(Option<Instant>);

impl Patience {
    /// A wait begins. `None`: it sleeps at once.
    pub(crate) fn begin(&mut self) -> Option<Looks> {
        if let Some(left) = self.sleepy.checked_sub(1) {
            self.sleepy = left;
            return None;
        }
        let timed = self.untimed == 0;
        self.untimed = self.untimed.checked_sub(1).unwrap_or(TIMED - 1);
        Some(Looks(timed.then(Instant::now)))
    }

    /// Its looks are over, and found something, or not.
    pub(crate) fn end(&mut self, looks: &Looks, found: bool) {
        self.judge(looks.0.map(|begin| begin.elapsed()), found);
    }

    fn judge(&mut self, took: Option<Duration>, found: bool) {
        match took {
            Some(took) if took > SLICE => {
                self.sleepy = AFTER_SLICE << self.slow;
                self.slow = (self.slow + 1).min(DOUBLED);
                self.untimed = 0; // the next one is not trusted
            }
            _ if found => {
                self.missed = 0;
                if took.is_some() {
                    self.slow = 0;
                }
            }
            _ => {
                self.sleepy = (1 << self.missed) - 1;
                self.missed = (self.missed + 1).min(DOUBLED);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FAST: Option<Duration> = Some(Duration::from_micros(5));
    const SLOW: Option<Duration> = Some(Duration::from_millis(3));

    /// Waits that look, of so many.
    fn looks(
        patience: &mut Patience,
        waits: u32,
        mut took: impl FnMut() -> Option<Duration>,
        found: bool,
    ) -> u32 {
        let mut count = 0;
        for _ in 0..waits {
            if let Some(looks) = patience.begin() {
                count += 1;
                let took = looks.0.and_then(|_| took());
                patience.judge(took, found);
            }
        }
        count
    }

    #[test]
    fn whoever_finds_goes_on_looking_and_is_timed_now_and_then() {
        let mut timed = 0;
        let mut patience = Patience::default();
        let took = || {
            timed += 1;
            FAST
        };
        assert_eq!(looks(&mut patience, 800, took, true), 800);
        assert_eq!(timed, 800 / TIMED);
    }

    #[test]
    fn whoever_finds_nothing_looks_ever_less_until_it_does() {
        let mut patience = Patience::default();
        assert!(looks(&mut patience, 10_000, || FAST, false) < 100);
        while patience.begin().is_none() {}
        patience.judge(None, true);
        assert_eq!(looks(&mut patience, 100, || FAST, true), 100);
    }

    #[test]
    fn a_core_that_is_wanted_by_others_is_hardly_given_away() {
        let mut patience = Patience::default();
        let given = looks(&mut patience, 1_000_000, || SLOW, true);
        assert!((20..60).contains(&given), "{given}");
        // They are gone: after the last pause all is as it was.
        looks(&mut patience, AFTER_SLICE << DOUBLED, || FAST, true);
        assert_eq!(looks(&mut patience, 100, || FAST, true), 100);
    }
}
