//! strace's long options that say by a value what short ones say by being repeated: `--decode-fds=all` is `-yy`. [`Longs`] has
//! them for the command line; what they mean is asked of it, with the counts of the short ones.

use std::str::FromStr;

use clap::Args;

use crate::decode::{Fds, Hex};
use crate::trace::moment::{Clock, Unit};

/// Values of long options; hidden, since the short ones are what help shows.
#[derive(Args, Debug)]
pub struct Longs {
    /// -y, -yy
    #[arg(long, value_name = "SET", hide = true, num_args = 0..=1, require_equals = true, default_missing_value = "path", conflicts_with = "fds")]
    pub decode_fds: Option<Details>,
    /// -x, -xx
    #[arg(long, value_name = "WHICH", hide = true, num_args = 0..=1, require_equals = true, default_missing_value = "all", conflicts_with = "hex")]
    pub strings_in_hex: Option<Strings>,
    /// -t, -tt, -ttt
    #[arg(long, value_name = "FORMAT", hide = true, num_args = 0..=1, require_equals = true, default_missing_value = "time", conflicts_with = "times")]
    pub absolute_timestamps: Option<Stamp>,
    /// -r
    #[arg(long, value_name = "UNIT", hide = true, num_args = 0..=1, require_equals = true, default_missing_value = "us", conflicts_with = "relative")]
    pub relative_timestamps: Option<Unit>,
    /// -T
    #[arg(long, value_name = "UNIT", hide = true, num_args = 0..=1, require_equals = true, default_missing_value = "us", conflicts_with = "spent")]
    pub syscall_times: Option<Unit>,
    /// What makes -ff of -f
    #[arg(long, hide = true)]
    pub output_separately: bool,
}

impl Longs {
    /// What is said of descriptors.
    pub fn fds(&self, count: u8) -> Fds {
        match (&self.decode_fds, count) {
            (Some(Details(fds)), _) => *fds,
            (None, 0) => Fds::Numbers,
            (None, 1) => Fds::Paths,
            (None, _) => Fds::Details,
        }
    }

    /// Which strings are in hexadecimal.
    pub fn hex(&self, count: u8) -> Hex {
        match (&self.strings_in_hex, count) {
            (Some(Strings(hex)), _) => *hex,
            (None, 0) => Hex::None,
            (None, 1) => Hex::NotText,
            (None, _) => Hex::All,
        }
    }

    /// The clock that begins a line.
    pub fn clock(&self, count: u8) -> Option<(Clock, Unit)> {
        match (&self.absolute_timestamps, count) {
            (Some(Stamp(clock)), _) => *clock,
            (None, 0) => None,
            (None, 1) => Some((Clock::Day, Unit::S)),
            (None, 2) => Some((Clock::Day, Unit::Us)),
            (None, _) => Some((Clock::Epoch, Unit::Us)),
        }
    }

    /// The time since the line before.
    pub fn relative(&self, short: bool) -> Option<Unit> {
        self.relative_timestamps.or(short.then_some(Unit::Us))
    }

    /// The time in the call.
    pub fn spent(&self, short: bool) -> Option<Unit> {
        self.syscall_times.or(short.then_some(Unit::Us))
    }
}

/// Of `--decode-fds=`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Details(Fds);

impl FromStr for Details {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Details, Self::Err> {
        match text {
            "none" => Ok(Details(Fds::Numbers)),
            "path" => Ok(Details(Fds::Paths)),
            "all" => Ok(Details(Fds::Details)),
            _ => Err("there are path, all and none; details without paths are not supported"),
        }
    }
}

/// Of `--strings-in-hex=`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Strings(Hex);

impl FromStr for Strings {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Strings, Self::Err> {
        match text {
            "none" => Ok(Strings(Hex::None)),
            "non-ascii" => Ok(Strings(Hex::NotText)),
            "all" => Ok(Strings(Hex::All)),
            _ => Err("there are all, non-ascii and none"),
        }
    }
}

/// Of `--absolute-timestamps=`: a form and a unit, in any order, with their names or without.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stamp(Option<(Clock, Unit)>);

impl FromStr for Stamp {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Stamp, Self::Err> {
        let (mut clock, mut unit) = (Some(Clock::Day), Unit::S);
        for word in text.split(',') {
            match word.strip_prefix("format:").unwrap_or(word) {
                "none" => clock = None,
                "time" => clock = Some(Clock::Day),
                "unix" => clock = Some(Clock::Epoch),
                word => {
                    unit = word.strip_prefix("precision:").unwrap_or(word).parse().map_err(
                        |_: Self::Err| "there are none, time and unix, and s, ms, us and ns after a comma",
                    )?;
                }
            }
        }
        Ok(Stamp(clock.map(|clock| (clock, unit))))
    }
}

impl FromStr for Unit {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Unit, Self::Err> {
        match text {
            "s" => Ok(Unit::S),
            "ms" => Ok(Unit::Ms),
            "us" => Ok(Unit::Us),
            "ns" => Ok(Unit::Ns),
            _ => Err("there are s, ms, us and ns"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forms_and_units_in_any_order() {
        let stamp = |text: &str| text.parse().map(|Stamp(clock)| clock);
        assert_eq!(stamp("time"), Ok(Some((Clock::Day, Unit::S))));
        assert_eq!(stamp("ns"), Ok(Some((Clock::Day, Unit::Ns))));
        assert_eq!(stamp("us,unix"), Ok(Some((Clock::Epoch, Unit::Us))));
        assert_eq!(stamp("format:unix,precision:ms"), Ok(Some((Clock::Epoch, Unit::Ms))));
        assert_eq!(stamp("none"), Ok(None));
        assert!(stamp("day").is_err() && stamp("").is_err());
    }
}
