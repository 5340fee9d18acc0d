//! [`Pid`], [`Signal`] and [`Status`]: who, why, and how it ended.

use std::fmt;

/// A task's number: of a process, or of a thread where the machine has them.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct Pid(pub u32);

impl fmt::Display for Pid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A signal's number, as Redox numbers them.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct Signal(pub u8);

macro_rules! signals {
    ($($name:ident = $number:literal;)*) => {
        impl Signal {
            $(#[doc = concat!("SIG", stringify!($name))] pub const $name: Signal = Signal($number);)*

            /// The name with its SIG prefix, if the number has one.
            pub const fn name(self) -> Option<&'static str> {
                match self.0 { $($number => Some(concat!("SIG", stringify!($name))),)* _ => None }
            }

            /// Every signal with a name, in the order of its number.
            pub const ALL: &'static [Signal] = &[$(Signal::$name),*];
        }
    };
}

signals! {
    HUP = 1; INT = 2; QUIT = 3; ILL = 4; TRAP = 5; ABRT = 6; BUS = 7; FPE = 8; KILL = 9; USR1 = 10; SEGV = 11;
    USR2 = 12; PIPE = 13; ALRM = 14; TERM = 15; STKFLT = 16; CHLD = 17; CONT = 18; STOP = 19; TSTP = 20; TTIN = 21;
    TTOU = 22; URG = 23; XCPU = 24; XFSZ = 25; VTALRM = 26; PROF = 27; WINCH = 28; IO = 29; PWR = 30; SYS = 31;
}

impl fmt::Display for Signal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.name() {
            Some(name) => f.write_str(name),
            None if self.0 >= 32 => write!(f, "SIGRT_{}", self.0 - 32),
            None => write!(f, "SIG_{}", self.0),
        }
    }
}

/// A wait status: exit code in bits 8–15, or the signal that killed in bits 0–6 (bit 7: a core was dumped).
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Status(pub u32);

impl Status {
    /// Ended by exit with this code.
    pub const fn exited(code: u8) -> Status {
        Status((code as u32) << 8)
    }

    /// Ended by this signal.
    pub const fn killed(signal: Signal) -> Status {
        Status(signal.0 as u32)
    }

    /// The exit code, unless a signal ended it.
    pub const fn code(self) -> Option<u8> {
        if self.0 & 0x7f == 0 { Some((self.0 >> 8) as u8) } else { None }
    }

    /// The signal that ended it, if one did.
    pub const fn signal(self) -> Option<Signal> {
        if self.0 & 0x7f == 0 { None } else { Some(Signal((self.0 & 0x7f) as u8)) }
    }

    /// Whether a core was dumped.
    pub const fn dumped(self) -> bool {
        self.signal().is_some() && self.0 & 0x80 != 0
    }
}
