//! [`Script`]: what a tracer does at each stop of a task: edits, then a mask. Its text is one line for a stop.
//!
//! Lines are used up one after the other; when there are no more, the last one's mask is written, without IGNORE.

use std::fmt;

use crate::abi::PtraceFlags;

/// What is done before the write.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Edit {
    /// The call's result becomes this (with IGNORE: the skipped call's).
    Result(u64),
    /// The call's one argument that may change becomes this.
    Argument(u64),
    /// Another harmless call is made.
    Number(u64),
    /// rbx becomes this.
    Rbx(u64),
    /// All registers are read and written.
    Rewrite,
    /// The word that programs test becomes this.
    Poke(u64),
    /// The same word is read.
    Peek,
    /// An int3 is written into the subroutine.
    Plant,
    /// And taken away.
    Restore,
    /// The descriptor is dup'ed, and the old one closed.
    Dup,
    /// Too short a write.
    Short,
    /// A write with a bit that nobody knows.
    Unknown,
    /// A read though nothing can have happened.
    Read,
    /// A signal is sent: number.
    Send(u64),
    /// The handle is closed instead of written to.
    Close,
    /// The handle is closed right after the write.
    CloseAfter,
}

/// At one stop.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Line {
    /// First these, in order.
    pub edits: Vec<Edit>,
    /// Then this is written.
    pub mask: PtraceFlags,
}

/// For one task.
pub type Script = Vec<Line>;

const WORDS: [(&str, PtraceFlags); 12] = [
    ("pre", PtraceFlags::STOP_PRE_SYSCALL),
    ("post", PtraceFlags::STOP_POST_SYSCALL),
    ("step", PtraceFlags::STOP_SINGLESTEP),
    ("signal", PtraceFlags::STOP_SIGNAL),
    ("break", PtraceFlags::STOP_BREAKPOINT),
    ("exit", PtraceFlags::STOP_EXIT),
    ("clone", PtraceFlags::EVENT_CLONE),
    ("image", PtraceFlags::EVENT_IMAGE),
    ("death", PtraceFlags::EVENT_DEATH),
    ("ignore", PtraceFlags::FLAG_IGNORE),
    ("interrupt", PtraceFlags::STOP_INTERRUPT),
    ("jobstop", PtraceFlags::EVENT_JOBSTOP),
];

/// The word of a cause.
pub fn word(cause: PtraceFlags) -> String {
    WORDS
        .iter()
        .find(|(_, bit)| *bit == cause)
        .map_or_else(|| format!("{cause:?}"), |(word, _)| (*word).into())
}

/// The bit of a word.
pub fn bit(word: &str) -> Option<PtraceFlags> {
    WORDS.iter().find(|(known, _)| *known == word).map(|(_, bit)| *bit)
}

impl fmt::Display for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("at")?;
        for edit in &self.edits {
            let text = format!("{edit:?}").to_lowercase();
            write!(f, " {}", text.replace('(', "=").replace(')', ""))?;
        }
        f.write_str(" write")?;
        for (word, _) in WORDS.iter().filter(|(_, bit)| self.mask.contains(*bit)) {
            write!(f, " {word}")?;
        }
        Ok(())
    }
}

impl Line {
    /// The reverse of its text.
    pub fn parse(text: &str) -> Result<Line, String> {
        let wrong = || format!("not a line of a script: {text}");
        let (edits, mask) =
            text.strip_prefix("at").and_then(|rest| rest.split_once(" write")).ok_or_else(wrong)?;
        let mask = mask.split_whitespace().map(|word| bit(word).ok_or_else(wrong));
        let edits = edits.split_whitespace().map(|text| {
            let (name, value) = text.split_once('=').unwrap_or((text, "0"));
            let value = value.parse().map_err(|_| wrong())?;
            Ok(match name {
                "result" => Edit::Result(value),
                "argument" => Edit::Argument(value),
                "number" => Edit::Number(value),
                "rbx" => Edit::Rbx(value),
                "rewrite" => Edit::Rewrite,
                "poke" => Edit::Poke(value),
                "peek" => Edit::Peek,
                "plant" => Edit::Plant,
                "restore" => Edit::Restore,
                "dup" => Edit::Dup,
                "short" => Edit::Short,
                "unknown" => Edit::Unknown,
                "read" => Edit::Read,
                "send" => Edit::Send(value),
                "close" => Edit::Close,
                "closeafter" => Edit::CloseAfter,
                _ => return Err(wrong()),
            })
        });
        Ok(Line { edits: edits.collect::<Result<_, _>>()?, mask: mask.collect::<Result<_, _>>()? })
    }
}
