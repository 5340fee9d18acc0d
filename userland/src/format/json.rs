//! JSON lines: one object per line, `"v": 1` in each. A call is one record, written when it is over.
//!
//! Numbers that may pass 2^53 are hexadecimal text: arguments, and nothing else. Times are microseconds since 1970 by the
//! wall clock, durations nanoseconds by the steady one. Text of a tracee is escaped as in C before it gets here, so
//! every record is valid whatever the tracee does; where bytes are not UTF-8 even so, U+FFFD stands for them.
//!
//! | `type` | fields beside `v`, `type`, `time_us`, `pid`, `tid` |
//! |---|---|
//! | `call` | `seq`, `abi`, `nr`, `name`, `raw`, `text`, `result`, `errno`, `result_text`, `start_us`, `duration_ns`, `status`, `injected` |
//! | `signal` | `signal`, `number`, `action` |
//! | `start`, `detach`, `leave` | |
//! | `birth` | `child`, `process` |
//! | `exec` | `program` |
//! | `superseded` | `by` |
//! | `stop` | `signal` |
//! | `exit` | `code`, `killed_by`, `core` |
//! | `note` | `text` |

use std::borrow::Cow;

use kernel_model::abi::Pid;
use serde::Serialize;

use super::announce;
use crate::decode::put_origin;
use crate::output::Output;
use crate::trace::view::{Ended, Happened, Joined, Needs, Outcome, View, What};

/// The version of the records.
pub const VERSION: u32 = 1;

/// The format.
pub struct Json {
    output: Output,
    line: Vec<u8>,
}

#[derive(Serialize)]
struct Record<'a> {
    v: u32,
    time_us: u64,
    /// The process; where that is not known, the task.
    pid: u32,
    tid: u32,
    #[serde(flatten)]
    what: Body<'a>,
}

#[derive(Serialize)]
#[serde(tag = "type", rename_all = "lowercase")]
enum Body<'a> {
    Start {
        attached: bool,
    },
    Call(Box<CallBody<'a>>),
    Signal {
        signal: String,
        number: u8,
        action: String,
        /// As text shows it; absent: unknown.
        #[serde(skip_serializing_if = "Option::is_none")]
        origin: Option<String>,
    },
    Birth {
        child: u32,
        process: Option<u32>,
    },
    Exec,
    Program {
        program: &'a str,
    },
    Superseded {
        by: Option<u32>,
    },
    Stop {
        signal: String,
    },
    Exit {
        code: Option<u8>,
        killed_by: Option<String>,
        core: bool,
    },
    Detach,
    Leave,
}

#[derive(Serialize)]
struct CallBody<'a> {
    seq: u64,
    abi: &'static str,
    nr: u64,
    name: &'a str,
    raw: Vec<String>,
    text: Cow<'a, str>,
    /// Absent: there is none.
    #[serde(skip_serializing_if = "Option::is_none")]
    result: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    errno: Option<String>,
    result_text: Cow<'a, str>,
    start_us: Option<u64>,
    duration_ns: Option<u64>,
    status: &'static str,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    injected: bool,
}

#[derive(Serialize)]
struct Note<'a> {
    v: u32,
    r#type: &'static str,
    text: &'a str,
}

impl Json {
    /// To this output.
    pub fn new(output: Output) -> Json {
        Json { output, line: Vec::new() }
    }

    fn put(&mut self, record: &impl Serialize) {
        self.line.clear();
        // A Vec takes everything, and no record has a map with keys that are not text.
        if serde_json::to_writer(&mut self.line, record).is_ok() {
            self.line.push(b'\n');
            self.output.put(&self.line);
        }
    }
}

fn call<'a>(ended: &'a Ended<'_>) -> CallBody<'a> {
    let (result, errno, status) = match ended.outcome {
        Outcome::Value(value) => (Some(value), None, "successful"),
        Outcome::Error(number) => (Some(-1), Some(error_name(number)), "failed"),
        Outcome::Never => (None, None, "unfinished"),
        Outcome::Unreadable => (None, None, "unavailable"),
    };
    let text = String::from_utf8_lossy(ended.call.text) + String::from_utf8_lossy(ended.rest);
    CallBody {
        seq: ended.call.id,
        abi: if ended.call.abi == 0 { "native" } else { "32-bit" },
        nr: ended.call.number,
        name: &ended.call.name,
        raw: ended.call.words.iter().map(|word| format!("{word:#x}")).collect(),
        text: if text.is_empty() { text } else { text + ")" },
        result,
        errno,
        result_text: String::from_utf8_lossy(ended.result),
        start_us: ended.began.map(|began| began.micros()),
        duration_ns: ended.spent.map(|spent| spent.as_nanos() as u64),
        status,
        injected: ended.injected,
    }
}

/// `ENOENT`; the private codes of restarts have names that no program sees.
pub(super) fn error_name(number: i32) -> String {
    let mut text = Vec::new();
    match crate::numbers::restart(number) {
        Some(restart) => text.extend_from_slice(restart.as_bytes()),
        None => crate::numbers::put_error(&mut text, number),
    }
    let text = String::from_utf8_lossy(&text);
    text.split(' ').next().unwrap_or_default().to_owned()
}

impl View for Json {
    fn needs(&self) -> Needs {
        Needs {
            arguments: true,
            joined: true,
            times: true,
            pc: false,
            origins: true,
            programs: true,
            ends: false,
        }
    }

    fn tell(&mut self, happened: &Happened<'_>) {
        let what = match &happened.what {
            What::Begins(_) => return, // told when it is over
            What::Joins(how) => {
                announce(&self.output, happened.who, *how);
                Body::Start { attached: *how == Joined::Attached }
            }
            What::Ends(ended) => Body::Call(Box::new(call(ended))),
            What::Signal { signal, handler, info } => Body::Signal {
                signal: signal.to_string(),
                number: signal.0,
                action: match handler {
                    0 => "default".to_owned(),
                    1 => "ignore".to_owned(),
                    _ => "handler".to_owned(),
                },
                origin: info.map(|info| {
                    let mut text = Vec::new();
                    put_origin(&mut text, info);
                    String::from_utf8_lossy(&text).into_owned()
                }),
            },
            What::Born { child, process } => {
                Body::Birth { child: child.0, process: process.map(|pid| pid.0) }
            }
            What::Image => Body::Exec,
            What::Program(program) => Body::Program { program },
            What::Superseded { by } => Body::Superseded { by: by.map(|pid| pid.0) },
            What::Stopped(signal) => Body::Stop { signal: signal.to_string() },
            What::Dies(status) => Body::Exit {
                code: status.and_then(|status| status.code()),
                killed_by: status.and_then(|status| status.signal()).map(|signal| signal.to_string()),
                core: status.is_some_and(|status| status.dumped()),
            },
            What::LetGo(_) => Body::Detach,
            What::Leaves => Body::Leave,
        };
        let Pid(tid) = happened.who.pid;
        let pid = happened.who.process.map_or(tid, |pid| pid.0);
        self.put(&Record { v: VERSION, time_us: happened.now.micros(), pid, tid, what });
    }

    fn note(&mut self, text: &str) {
        self.put(&Note { v: VERSION, r#type: "note", text });
    }

    fn idle(&mut self, _: usize) {
        self.output.idle();
    }
}
