//! `-e inject=SET:…` and `-e fault=SET:…`: calls that are not made, with a result of our choosing, and signals sent at them.
//!
//! Or that are made late: the task is held before or after them ([`super::delay`]). A rule is counted per task. A result is written to the result register at PRE, and IGNORE in the write that resumes
//! makes the machine skip the call.

use std::collections::HashMap;
use std::time::Duration;

use kernel_model::abi::Signal;
use nix::errno::Errno;
use thiserror::Error;

use crate::qualify;
use crate::select::{BadExpression, Selection};
use crate::tables::Calls;

/// Why a rule is refused.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum BadRule {
    /// In its set.
    #[error(transparent)]
    Calls(#[from] BadExpression),
    /// It does nothing.
    #[error(
        "`{0}` does nothing to the calls: add :error=ERRNO, :retval=N, :signal=SIG, :delay_enter=TIME or :delay_exit=TIME"
    )]
    Nothing(String),
    /// `error` and `retval`.
    #[error("a call cannot have both an error and a result: `{0}`")]
    Both(String),
    /// What could be, and is not.
    #[error("`{0}` is not supported; there are error, retval, signal, delay_enter, delay_exit, when")]
    Unsupported(String),
    /// Anything else.
    #[error("`{word}` in `{rule}` is not understood: {why}")]
    Word {
        /// The whole rule.
        rule: String,
        /// The word.
        word: String,
        /// What it should be.
        why: &'static str,
    },
}

/// Which of a task's calls, counted from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct When {
    first: u64,
    last: u64,
    step: u64,
}

impl When {
    const ALWAYS: When = When { first: 1, last: u64::MAX, step: 1 };

    /// `FIRST`, `FIRST+`, `FIRST+STEP`, `FIRST..LAST`, `FIRST..LAST+STEP`.
    fn parse(text: &str) -> Option<When> {
        let number = |text: &str| text.parse::<u64>().ok().filter(|number| *number > 0);
        let (range, step) = match text.split_once('+') {
            Some((range, "")) => (range, Some(1)),
            Some((range, step)) => (range, Some(number(step)?)),
            None => (text, None),
        };
        let (first, last) = match range.split_once("..") {
            Some((first, last)) => (number(first)?, Some(number(last)?)),
            None => (number(range)?, None),
        };
        let last = last.unwrap_or(if step.is_some() { u64::MAX } else { first });
        (first <= last).then_some(When { first, last, step: step.unwrap_or(1) })
    }

    fn has(self, count: u64) -> bool {
        (self.first..=self.last).contains(&count) && (count - self.first).is_multiple_of(self.step)
    }
}

/// One rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rule {
    calls: Selection,
    action: Action,
    when: When,
}

/// What is done to a call.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Action {
    /// It is not made; this is its result register.
    pub result: Option<i64>,
    /// The task gets a signal at its entry.
    pub signal: Option<Signal>,
    /// It is held so long before the call.
    pub delay_enter: Option<Duration>,
    /// It is held so long after it.
    pub delay_exit: Option<Duration>,
}

impl Rule {
    /// Whether the call is in its set.
    pub fn is_about(&self, abi: u64, number: u64) -> bool {
        self.calls.has(abi, number)
    }

    /// `SET:error=…:when=…`.
    pub fn inject(text: &str, calls: &Calls) -> Result<Rule, BadRule> {
        let rule = Rule::parse(text, calls)?;
        if rule.action == Action::default() {
            return Err(BadRule::Nothing(text.to_owned()));
        }
        Ok(rule)
    }

    /// The same, and an error without being told which: ENOSYS.
    pub fn fault(text: &str, calls: &Calls) -> Result<Rule, BadRule> {
        let mut rule = Rule::parse(text, calls)?;
        if rule.action.result.is_some_and(|result| result >= 0) {
            let word = "retval".to_owned();
            return Err(BadRule::Word { rule: text.to_owned(), word, why: "a fault is an error" });
        }
        rule.action.result.get_or_insert(-(Errno::ENOSYS as i64));
        Ok(rule)
    }

    fn parse(text: &str, calls: &Calls) -> Result<Rule, BadRule> {
        let mut words = text.split(':');
        let set = words.next().unwrap_or_default();
        let mut rule =
            Rule { calls: Selection::of_set(set, calls)?, action: Action::default(), when: When::ALWAYS };
        for word in words {
            let bad = |why| BadRule::Word { rule: text.to_owned(), word: word.to_owned(), why };
            let (key, value) = word.split_once('=').unwrap_or((word, ""));
            match key {
                "error" | "retval" if rule.action.result.is_some() => {
                    return Err(BadRule::Both(text.to_owned()));
                }
                "error" => {
                    let number =
                        errno(value).ok_or_else(|| bad("an error's name, or a number from 1 to 4095"))?;
                    rule.action.result = Some(-i64::from(number));
                }
                "retval" => rule.action.result = Some(integer(value).ok_or_else(|| bad("a number from 0"))?),
                "signal" => {
                    let signal = qualify::signal(value).ok_or_else(|| bad("a signal's name or number"))?;
                    rule.action.signal = Some(signal);
                }
                "when" => {
                    let when =
                        When::parse(value).ok_or_else(|| bad("FIRST, FIRST+, FIRST+STEP or FIRST..LAST"))?;
                    rule.when = when;
                }
                "delay_enter" | "delay_exit" => {
                    let time = duration(value)
                        .ok_or_else(|| bad("microseconds, or a number with ns, us, ms or s after it"))?;
                    let delay = match key {
                        "delay_enter" => &mut rule.action.delay_enter,
                        _ => &mut rule.action.delay_exit,
                    };
                    *delay = Some(time);
                }
                "syscall" | "poke_enter" | "poke_exit" => {
                    return Err(BadRule::Unsupported(key.to_owned()));
                }
                _ => return Err(bad("there are error, retval, signal, delay_enter, delay_exit, when")),
            }
        }
        Ok(rule)
    }
}

/// A name, or a number that a result register can mean as an error (MAX_ERRNO, linux/err.h).
fn errno(text: &str) -> Option<i32> {
    match text.parse() {
        Ok(number @ 1..=4095) => Some(number),
        Ok(_) => None,
        // Names as Linux has them; 133 is the last.
        Err(_) => (1..=133).find(|&number| match text {
            "EWOULDBLOCK" => number == Errno::EAGAIN as i32,
            "EDEADLOCK" => number == Errno::EDEADLK as i32,
            "ENOTSUP" => number == Errno::EOPNOTSUPP as i32,
            _ => format!("{:?}", Errno::from_raw(number)) == text,
        }),
    }
}

/// `1500`, in microseconds; `1.5ms`.
fn duration(text: &str) -> Option<Duration> {
    let number = text.trim_end_matches(|letter: char| letter.is_ascii_alphabetic());
    let seconds = match &text[number.len()..] {
        "ns" => 1e-9,
        "us" | "" => 1e-6,
        "ms" => 1e-3,
        "s" => 1.0,
        _ => return None,
    };
    if !number.starts_with(|first: char| first.is_ascii_digit()) {
        return None;
    }
    Duration::try_from_secs_f64(number.parse::<f64>().ok()? * seconds).ok()
}

fn integer(text: &str) -> Option<i64> {
    match text.strip_prefix("0x") {
        Some(digits) => u64::from_str_radix(digits, 16).ok().map(|number| number as i64),
        None => text.parse().ok().filter(|number| *number >= 0),
    }
}

/// How often a task was about to make each call that rules are about: as in strace, a rule about many calls counts each of
/// them by itself.
#[derive(Clone, Debug, Default)]
pub struct Counts(HashMap<(u64, u64), u64>);

impl Counts {
    /// What is done to this call. Of rules that have it in their set, the last one counts.
    pub fn meet(&mut self, rules: &[Rule], abi: u64, number: u64) -> Action {
        let Some(rule) = rules.iter().rfind(|rule| rule.calls.has(abi, number)) else {
            return Action::default();
        };
        let count = self.0.entry((abi, number)).or_default();
        *count += 1;
        if rule.when.has(*count) { rule.action } else { Action::default() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn inject(text: &str) -> Result<Rule, BadRule> {
        Rule::inject(text, &Calls::linux())
    }

    #[test]
    fn results_signals_and_refusals() {
        let action = |text: &str| inject(text).unwrap().action;
        let nothing = Action::default();
        assert_eq!(action("close:error=EIO"), Action { result: Some(-5), ..nothing });
        assert_eq!(action("close:retval=0x10"), Action { result: Some(16), ..nothing });
        let signal = Action { signal: Some(Signal::USR1), ..nothing };
        assert_eq!(action("read,write:signal=USR1:when=2+"), signal);
        let (enter, exit) = (Some(Duration::from_micros(5)), Some(Duration::from_micros(1500)));
        let delays = Action { delay_enter: enter, delay_exit: exit, ..nothing };
        assert_eq!(action("close:delay_enter=5:delay_exit=1.5ms"), delays);
        assert_eq!(Rule::fault("close", &Calls::linux()).unwrap().action.result, Some(-38));
        for bad in [
            "close",
            "close:error=EFOO",
            "close:error=4096",
            "close:error=EIO:retval=1",
            "close:retval=-1",
            "close:when=0:error=EIO",
            "close:error=EIO:when=3..2",
            "close:delay_enter=",
            "close:delay_enter=-1",
            "close:delay_enter=5m",
            "close:delay_exit=1e300s",
            "clsoe:error=EIO",
            "close:x=1",
        ] {
            assert!(inject(bad).is_err(), "{bad}");
        }
        assert!(Rule::fault("close:retval=3", &Calls::linux()).is_err());
        assert!(inject("close:syscall=5").unwrap_err().to_string().contains("not supported"));
    }

    #[test]
    fn when_counts_from_one_per_task() {
        let met = |when: &str| {
            let rules = [inject(&format!("close:error=EIO:when={when}")).unwrap()];
            let mut counts = Counts::default();
            (1..=8).filter(|_| counts.meet(&rules, 0, 3) != Action::default()).count()
        };
        let which = |when: &str| {
            let rules = [inject(&format!("close:error=EIO:when={when}")).unwrap()];
            let mut counts = Counts::default();
            (1..=8).filter(|_| counts.meet(&rules, 0, 3).result.is_some()).collect::<Vec<u32>>()
        };
        assert_eq!(met("2"), 1);
        assert_eq!(which("2"), [2]);
        assert_eq!(which("7+"), [7, 8]);
        assert_eq!(which("2+3"), [2, 5, 8]);
        assert_eq!(which("2..4"), [2, 3, 4]);
        assert_eq!(which("1..6+2"), [1, 3, 5]);
    }

    #[test]
    fn each_call_of_a_set_is_counted_by_itself() {
        let rules = [inject("close,read:error=EIO:when=2").unwrap()];
        let mut counts = Counts::default();
        let mut meet = |number| counts.meet(&rules, 0, number).result;
        assert_eq!([3, 0, 3, 0, 3].map(&mut meet), [None, None, Some(-5), Some(-5), None]);
    }

    #[test]
    fn the_last_rule_that_has_the_call_counts() {
        let rules = [inject("close,read:error=EIO").unwrap(), inject("close:retval=1").unwrap()];
        let mut counts = Counts::default();
        assert_eq!(counts.meet(&rules, 0, 3).result, Some(1));
        assert_eq!(counts.meet(&rules, 0, 0).result, Some(-5));
        assert_eq!(counts.meet(&rules, 0, 1), Action::default());
    }
}
