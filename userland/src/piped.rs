//! `-o '|COMMAND'`: text goes to the standard input of a command of the shell, whose end is waited for.
//!
//! The command is started and waited for by a thread of its own: the tool's thread waits for all its children at once, and
//! would take this one's end for a traced process's.

use std::io::{self, Write};
use std::process::{ChildStdin, Command, Stdio};
use std::sync::mpsc::channel;
use std::thread::{Builder, JoinHandle};

use crate::output::Target;
use crate::signals;

/// The pipe to it.
pub struct Piped {
    stdin: Option<ChildStdin>,
    waiter: Option<JoinHandle<()>>,
}

impl Piped {
    /// Starts it. Errors: those of fork and of execve of the shell.
    pub fn start(command: &str) -> io::Result<Piped> {
        let mut shell = Command::new("/bin/sh");
        shell.args(["-c", command]).stdin(Stdio::piped());
        let (started, told) = channel();
        let waiter = Builder::new().name("output".to_owned()).spawn(move || {
            let mut child = signals::as_started(|| shell.spawn());
            let _ = started.send(match &mut child {
                Ok(child) => Ok(child.stdin.take()),
                Err(cause) => Err(io::Error::from(cause.kind())),
            });
            let _ = child.and_then(|mut child| child.wait());
        })?;
        let stdin = told.recv().unwrap_or_else(|_| Err(io::ErrorKind::Other.into()))?;
        Ok(Piped { stdin, waiter: Some(waiter) })
    }
}

impl Write for Piped {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.stdin.as_mut().map_or(Ok(0), |stdin| stdin.write(bytes))
    }
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Target for Piped {
    fn cut(&mut self, _: u64) {}
}

impl Drop for Piped {
    fn drop(&mut self) {
        self.stdin = None;
        let _ = self.waiter.take().map(JoinHandle::join);
    }
}
