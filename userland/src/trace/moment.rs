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
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Clock {
    /// None.
    #[default]
    None,
    /// `-t`: time of day.
    Seconds,
    /// `-tt`: with microseconds.
    Micros,
    /// `-ttt`: seconds since 1970, with microseconds.
    Epoch,
}

/// What a line says of its time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Times {
    /// `-t`.
    pub clock: Clock,
    /// `-r`: since the line before.
    pub relative: bool,
    /// `-T`: in the call.
    pub spent: bool,
}

impl Times {
    /// Whether lines begin with a time.
    pub fn lead(self) -> bool {
        self.relative || self.clock != Clock::None
    }

    /// Whether moments are needed at all.
    pub fn any(self) -> bool {
        self.lead() || self.spent
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
        let zone = if matches!(times.clock, Clock::Seconds | Clock::Micros) {
            TimeZone::system()
        } else {
            TimeZone::UTC
        };
        Stamps { times, zone, last: None, second: None }
    }

    /// `12:34:56.123456 `, with what `-r` adds.
    pub fn put(&mut self, out: &mut Vec<u8>, now: Moment) {
        let (seconds, micros) = (now.wall.as_secs(), now.wall.subsec_micros());
        match self.times.clock {
            Clock::None => {}
            Clock::Seconds => put!(out, "{} ", self.time_of_day(seconds)),
            Clock::Micros => put!(out, "{}.{micros:06} ", self.time_of_day(seconds)),
            Clock::Epoch => put!(out, "{seconds}.{micros:06} "),
        }
        if self.times.relative {
            let since = self.last.replace(now.steady).map_or(Duration::ZERO, |last| now.steady - last);
            let (seconds, micros) = (since.as_secs(), since.subsec_micros());
            match self.times.clock {
                Clock::None => put!(out, "{seconds:>6}.{micros:06} "),
                _ => put!(out, "(+{seconds:>6}.{micros:06}) "),
            }
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
        let clock = |clock| Times { clock, ..Times::default() };
        assert_eq!(text(clock(Clock::Seconds), &[0, 1_000_001]), "23:59:59 00:00:00 ");
        assert_eq!(text(clock(Clock::Micros), &[7]), "23:59:59.000007 ");
        assert_eq!(text(clock(Clock::Epoch), &[7]), "86399.000007 ");
        let relative = Times { relative: true, ..Times::default() };
        assert_eq!(text(relative, &[5, 1_000_126]), "     0.000000      1.000121 ");
        let both = Times { clock: Clock::Seconds, ..relative };
        assert_eq!(text(both, &[0, 126]), "23:59:59 (+     0.000000) 23:59:59 (+     0.000126) ");
    }
}
