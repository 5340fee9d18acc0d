//! [`Check`], [`Failure`], and the two macros by which a rule says what it expects. No panics: a rule that fails under its
//! quirk is a result, not noise.

use std::fmt::Display;
use std::panic::Location;

use kernel_model::abi::Errno;

/// Why a rule does not hold, with the line that found out.
#[derive(Debug)]
pub struct Failure(String);

impl Failure {
    /// At the caller's line.
    #[track_caller]
    pub fn new(text: impl Display) -> Failure {
        let at = Location::caller();
        Failure(format!("{}:{}: {text}", at.file(), at.line()))
    }
}

impl std::fmt::Display for Failure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl From<Errno> for Failure {
    #[track_caller]
    fn from(errno: Errno) -> Failure {
        Failure::new(format!("unexpected {errno:?}"))
    }
}

/// The outcome of a rule, and of the parts of one.
pub type Check<T = ()> = Result<T, Failure>;

/// Returns a [`Failure`] unless the condition holds.
#[macro_export]
macro_rules! ensure {
    ($condition:expr, $($text:tt)+) => {
        let holds: bool = $condition;
        if !holds {
            return Err($crate::rules::Failure::new(format!($($text)+)));
        }
    };
}

/// Returns a [`Failure`] unless both sides are equal.
#[macro_export]
macro_rules! same {
    ($left:expr, $right:expr) => {
        match (&$left, &$right) {
            (left, right) => {
                if left != right {
                    return Err($crate::rules::Failure::new(format!(
                        "{} is {left:?}, not {right:?}",
                        stringify!($left)
                    )));
                }
            }
        }
    };
}
