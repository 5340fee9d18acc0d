//! A program in a pseudo-terminal, driven by what it prints: text is typed when an answer is complete, never by the clock.

use std::fs::File;
use std::io::{Error, Read, Result, Write};
use std::os::fd::AsFd;
use std::process::{Child, Command, ExitStatus};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::pty::{Winsize, openpty};

use crate::sys;

/// Only a failure takes this long.
const LIMIT_MS: u16 = 60_000;

/// The terminal's other end, and all that it has shown.
pub struct Pty {
    master: File,
    child: Child,
    transcript: String,
    /// How much of the transcript has been waited for.
    seen: usize,
}

impl Pty {
    /// Starts `command` as leader of a session on a new terminal.
    pub fn spawn(mut command: Command) -> Result<Pty> {
        let size = Winsize { ws_row: 40, ws_col: 200, ws_xpixel: 0, ws_ypixel: 0 };
        let pty = openpty(&size, None)?;
        sys::on_terminal(&mut command, &pty.slave)?;
        let child = command.spawn()?;
        Ok(Pty { master: pty.master.into(), child, transcript: String::new(), seen: 0 })
    }

    /// Types.
    pub fn send(&mut self, text: &str) -> Result<()> {
        self.master.write_all(text.as_bytes())
    }

    /// Reads until `text` has come, after everything awaited before.
    pub fn expect(&mut self, text: &str) -> Result<()> {
        loop {
            if let Some(at) = self.transcript[self.seen..].find(text) {
                self.seen += at + text.len();
                return Ok(());
            }
            if !self.read_some()? {
                return Err(Error::other(format!("no {text:?}; the terminal shows:\n{}", self.transcript)));
            }
        }
    }

    /// Reads to the end and waits for the program. Answers all that was shown.
    pub fn finish(mut self) -> Result<(ExitStatus, String)> {
        while self.read_some()? {}
        Ok((self.child.wait()?, self.transcript.clone()))
    }

    /// False at the end, or when nothing comes any more.
    fn read_some(&mut self) -> Result<bool> {
        let mut fds = [PollFd::new(self.master.as_fd(), PollFlags::POLLIN)];
        if poll(&mut fds, PollTimeout::from(LIMIT_MS))? == 0 {
            return Ok(false);
        }
        let mut buf = [0; 4096];
        match self.master.read(&mut buf) {
            Ok(0) => Ok(false),
            Ok(n) => {
                self.transcript.push_str(&String::from_utf8_lossy(&buf[..n]));
                Ok(true)
            }
            // How Linux tells that the last process has closed the terminal.
            Err(error) if error.raw_os_error() == Some(libc::EIO) => Ok(false),
            Err(error) => Err(error),
        }
    }
}
