//! [`drive`]: a scenario played on a host, and what was observed.

use std::collections::BTreeMap;
use std::fmt;

use kernel_model::abi::{Errno, OpenFlags, Status};
use kernel_model::client::{EventQueue, Handle};
use kernel_model::scenario::text::way;
use kernel_model::scenario::{Children, Scenario};
use kernel_model::scheme::{Host, Program};

use super::machines::Calls;
use super::session::Session;

/// What a tracer and the world saw.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Observation {
    /// For each task, by its place in the family.
    pub tasks: BTreeMap<String, Vec<String>>,
    /// How the first one ended.
    pub status: String,
    /// What all of them wrote, each one's own lines in order.
    pub output: Vec<String>,
}

impl Observation {
    /// Lines of different tasks come in any order; their first letter says whose they are.
    pub fn set_output(&mut self, bytes: &[u8]) {
        self.output =
            String::from_utf8_lossy(bytes).split_inclusive('\n').map(|line| format!("{line:?}")).collect();
        self.output.sort_by_key(|line| line.chars().nth(1));
    }
}

impl fmt::Display for Observation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (task, lines) in &self.tasks {
            for line in lines {
                writeln!(f, "{task}: {line}")?;
            }
        }
        writeln!(f, "ended: {}", self.status)?;
        writeln!(f, "output: {}", self.output.join(" "))
    }
}

/// Plays it. An error is one of the tracer's own, not the tracee's.
pub fn drive(
    host: &dyn Host,
    calls: &Calls,
    scenario: &Scenario,
    program: &Program,
) -> Result<Observation, Errno> {
    let [tracer] = &scenario.clients[..] else { return Err(Errno::EINVAL) };
    let manner = tracer.manner;
    // Reads that wait for one task would starve the others.
    let queue = match manner.queue || manner.children == Children::Follow {
        true => Some(EventQueue::open(host, OpenFlags::empty())?),
        false => None,
    };
    let pid = host.spawn(program)?;
    let how = (manner.experimental, manner.exclusive);
    let mut sessions = vec![Session::open(host, calls, queue.as_ref(), pid, &tracer.main, how)?];
    while sessions.iter().any(|session| !session.is_done()) {
        let mut moved = false;
        for at in 0..sessions.len() {
            moved |= sessions[at].advance();
            for child in std::mem::take(&mut sessions[at].offered) {
                match manner.children {
                    Children::Release => {}
                    Children::Shut => {
                        Handle::open(host, &format!("proc:{child}/trace"), OpenFlags::O_RDWR)?.close()?;
                    }
                    Children::Follow => {
                        let queue = queue.as_ref();
                        sessions.push(Session::open(host, calls, queue, child, &tracer.child, how)?);
                    }
                }
            }
        }
        if let (false, Some(queue)) = (moved, &queue) {
            queue.next()?;
        }
    }
    let status = host.wait(pid, true)?;
    // Whether a core was dumped is not what is compared.
    let status = status.map_or("no status".into(), |status| match status.signal() {
        Some(signal) => way(Status::killed(signal)),
        None => way(status),
    });
    let tasks =
        sessions.into_iter().enumerate().map(|(n, session)| (format!("task {n}"), session.seen)).collect();
    Ok(Observation { tasks, status, output: Vec::new() })
}
