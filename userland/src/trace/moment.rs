//! When things happen: [`Moment`], both clocks at once, and what `-t`, `-r` make of it.
//!
//! A moment is taken when the tool reads an event. The kernel's queue has no times of its own, so a call's duration
//! holds what the tool did meanwhile, as it does in every tracer that stops its tracees.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use jiff::tz::TimeZone;
use jiff::{Timestamp, Zoned};

/// One moment.
#[derive(Clone, Copy, Debug)]
pub struct Moment {
    /// For durations.
    pub steady: Instant,
    /// For people: since 1970.
    pub wall: Duration,
}

impl Moment {
    /// This one.
    pub fn now() -> Moment {
        let wall = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Moment { steady: Instant::now(), wall }
    }

    /// Microseconds since 1970: below 2^53, so that every reader of JSON keeps them.
    pub fn micros(&self) -> u64 {
        self.wall.as_micros() as u64
    }
}

/// The clock that begins a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Clock {
    /// The time of day.
    Day,
    /// Seconds since 1970.
    Epoch,
}

/// How fine a time is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    /// Whole seconds.
    S,
    /// Three digits more.
    Ms,
    /// Six.
    Us,
    /// Nine.
    Ns,
}

impl Unit {
    /// Adds what a time has below a second, after a point.
    pub fn put_fraction(self, out: &mut Vec<u8>, nanos: u32) {
        match self {
            Unit::S => {}
            Unit::Ms => put!(out, ".{:03}", nanos / 1_000_000),
            Unit::Us => put!(out, ".{:06}", nanos / 1_000),
            Unit::Ns => put!(out, ".{nanos:09}"),
        }
    }
}

/// What a line says of its time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Times {
    /// `-t`.
    pub clock: Option<(Clock, Unit)>,
    /// `-r`: since the line before.
    pub relative: Option<Unit>,
    /// `-T`: in the call.
    pub spent: Option<Unit>,
}

impl Times {
    /// Whether lines begin with a time.
    pub fn lead(self) -> bool {
        self.relative.is_some() || self.clock.is_some()
    }

    /// Whether moments are needed at all.
    pub fn any(self) -> bool {
        self.lead() || self.spent.is_some()
    }
}

/// Writes the beginnings of lines.
pub struct Stamps {
    times: Times,
    zone: TimeZone,
    last: Option<Instant>,
    /// The second that was formatted last: most lines share it with the one before.
    second: Option<(u64, String)>,
}

impl Stamps {
    /// In the time zone of this process.
    pub fn new(times: Times) -> Stamps {
        let zone = match times.clock {
            Some((Clock::Day, _)) => TimeZone::system(),
            _ => TimeZone::UTC,
        };
        Stamps { times, zone, last: None, second: None }
    }

    /// `12:34:56.123456 `, with what `-r` adds.
    pub fn put(&mut self, out: &mut Vec<u8>, now: Moment) {
        let seconds = now.wall.as_secs();
        if let Some((clock, unit)) = self.times.clock {
            match clock {
                Clock::Day => out.extend_from_slice(self.time_of_day(seconds).as_bytes()),
                Clock::Epoch => put!(out, "{seconds}"),
            }
            unit.put_fraction(out, now.wall.subsec_nanos());
            out.push(b' ');
        }
        if let Some(unit) = self.times.relative {
            let since = self.last.replace(now.steady).map_or(Duration::ZERO, |last| now.steady - last);
            let (before, after) = if self.times.clock.is_some() { ("(+", ") ") } else { ("", " ") };
            put!(out, "{before}{:>6}", since.as_secs());
            unit.put_fraction(out, since.subsec_nanos());
            out.extend_from_slice(after.as_bytes());
        }
    }

    fn time_of_day(&mut self, seconds: u64) -> &str {
        if self.second.as_ref().is_none_or(|(known, _)| *known != seconds) {
            let at = Timestamp::from_second(seconds as i64).unwrap_or_default();
            let text = Zoned::new(at, self.zone.clone()).strftime("%H:%M:%S").to_string();
            self.second = Some((seconds, text));
        }
        self.second.as_ref().map_or("", |(_, text)| text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(times: Times, steps: &[u64]) -> String {
        let mut stamps = Stamps::new(times);
        stamps.zone = TimeZone::UTC;
        let mut out = Vec::new();
        let start = Instant::now();
        for &micros in steps {
            let step = Duration::from_micros(micros);
            stamps.put(&mut out, Moment { steady: start + step, wall: Duration::from_secs(86_399) + step });
        }
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn clocks_and_differences_have_straces_form() {
        let clock = |clock, unit| Times { clock: Some((clock, unit)), ..Times::default() };
        assert_eq!(text(clock(Clock::Day, Unit::S), &[0, 1_000_001]), "23:59:59 00:00:00 ");
        assert_eq!(text(clock(Clock::Day, Unit::Us), &[7]), "23:59:59.000007 ");
        assert_eq!(text(clock(Clock::Epoch, Unit::Us), &[7]), "86399.000007 ");
        assert_eq!(text(clock(Clock::Epoch, Unit::Ns), &[7]), "86399.000007000 ");
        assert_eq!(text(clock(Clock::Day, Unit::Ms), &[7_000]), "23:59:59.007 ");
        let relative = Times { relative: Some(Unit::Us), ..Times::default() };
        assert_eq!(text(relative, &[5, 1_000_126]), "     0.000000      1.000121 ");
        let both = Times { clock: Some((Clock::Day, Unit::S)), ..relative };
        assert_eq!(text(both, &[0, 126]), "23:59:59 (+     0.000000) 23:59:59 (+     0.000126) ");
    }
}
