//! [`Cmd`]: a scheme that somebody else's program is. Its messages are lines of JSON, with bytes after those that have some.
//!
//! We write a request, `{"id":1,"op":"open","path":"a/b","flags":65536}`, and the program answers
//! `{"id":1,"ok":3}` or `{"id":1,"errno":2}`; an answer to `read` is `{"id":1,"data":5}`, a newline, and 5 bytes. RFC 0010
//! has all of it. Several requests may be under way; the program may answer them in any order.

use std::collections::HashMap;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::os::unix::process::CommandExt;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

use kernel_model::abi::{Errno, EventFlags, OpenFlags, Result, Stat};
use kernel_model::scheme::{Fd, Scheme};
use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use serde::Deserialize;
use serde_json::{Value, json};

use super::tree::lock;

/// No answer is longer than this, and no line of one either.
const MOST: u64 = 16 << 20;
/// How long a program may take to end after its stdin was closed.
const GRACE: Duration = Duration::from_secs(1);

/// A program at the other end of two pipes.
pub struct Cmd {
    stdin: Mutex<Option<ChildStdin>>,
    pending: Arc<Pending>,
    next: Mutex<u64>,
    child: Arc<Mutex<Option<Child>>>,
    /// Starts the program, hands out its answers, and waits for its end.
    keeper: Option<JoinHandle<()>>,
}

/// Requests without an answer yet; `None`: there will be no more answers.
type Pending = Mutex<Option<HashMap<u64, Sender<Reply>>>>;

#[derive(Deserialize)]
struct Head {
    id: u64,
    errno: Option<i32>,
    ok: Option<u64>,
    data: Option<u64>,
    stat: Option<Attributes>,
}

#[derive(Deserialize)]
struct Attributes {
    mode: u16,
    size: Option<u64>,
    mtime: Option<f64>,
    ino: Option<u64>,
}

struct Reply {
    head: Head,
    data: Vec<u8>,
}

impl Cmd {
    /// Starts `command` by a shell. Its stderr is ours.
    pub fn start(command: &str) -> io::Result<Cmd> {
        let (tell, told) = channel();
        let pending = Arc::new(Mutex::new(Some(HashMap::new())));
        let child = Arc::new(Mutex::new(None));
        let (command, answers, kept) = (command.to_owned(), pending.clone(), child.clone());
        // A thread of its own starts it and outlives it: who traces waits for every child of his thread, and would take
        // this one's end for a tracee's.
        let keeper = std::thread::Builder::new().name("cmd".into()).spawn(move || {
            let mut shell = Command::new("/bin/sh");
            shell.arg("-c").arg(&command).stdin(Stdio::piped()).stdout(Stdio::piped());
            // ^C is meant for the traced command; and what the shell starts must end with it.
            shell.process_group(0);
            let mut child = match shell.spawn() {
                Ok(child) => child,
                Err(error) => return drop(tell.send(Err(error))),
            };
            let (stdin, stdout) = (child.stdin.take(), child.stdout.take());
            *lock(&kept) = Some(child);
            let _ = tell.send(stdin.ok_or_else(|| io::Error::other("no pipe")));
            let _ = stdout.map(|stdout| receive(stdout, &answers)).transpose();
            *lock(&answers) = None; // whoever waits hears that there is no answer
            if let Some(mut child) = lock(&kept).take() {
                // Nothing it says is understood any more.
                kill(&child);
                let _ = child.wait();
            }
        })?;
        let stdin = told.recv().map_err(|_| io::Error::other("not started"))??;
        let (stdin, next) = (Mutex::new(Some(stdin)), Mutex::new(1));
        Ok(Cmd { stdin, pending, next, child, keeper: Some(keeper) })
    }

    /// Sends a request and waits for its answer.
    fn ask(&self, op: &str, mut request: Value, data: &[u8]) -> Result<Reply> {
        let id = {
            let mut next = lock(&self.next);
            *next += 1;
            *next - 1
        };
        request["id"] = id.into();
        request["op"] = op.into();
        let (tell, told) = channel();
        lock(&self.pending).as_mut().ok_or(Errno::EIO)?.insert(id, tell);
        let mut message = request.to_string().into_bytes();
        message.push(b'\n');
        message.extend_from_slice(data);
        lock(&self.stdin).as_mut().ok_or(Errno::EIO)?.write_all(&message).map_err(|_| Errno::EIO)?;
        let reply = told.recv().map_err(|_| Errno::EIO)?;
        match reply.head.errno {
            Some(0) | None => Ok(reply),
            Some(number) => Err(Errno(number)),
        }
    }

    fn number(&self, op: &str, request: Value) -> Result<u64> {
        self.ask(op, request, &[])?.head.ok.ok_or(Errno::EPROTO)
    }
}

/// Ends it with all that it started. It was not waited for, so its number is still its own.
fn kill(child: &Child) {
    if let Ok(pid) = i32::try_from(child.id()) {
        let _ = killpg(Pid::from_raw(pid), Signal::SIGKILL); // ESRCH: all have ended
    }
}

/// Hands out answers until there are no more, or one is none.
fn receive(stdout: ChildStdout, pending: &Pending) -> io::Result<()> {
    let mut stdout = BufReader::new(stdout);
    let mut line = Vec::new();
    loop {
        line.clear();
        if (&mut stdout).take(MOST).read_until(b'\n', &mut line)? == 0 {
            return Ok(());
        }
        let head: Head = serde_json::from_slice(&line)?;
        let mut data = Vec::new();
        if let Some(length) = head.data
            && (length > MOST || (&mut stdout).take(length).read_to_end(&mut data)? as u64 != length)
        {
            return Err(io::ErrorKind::InvalidData.into());
        }
        let waiting = lock(pending).as_mut().and_then(|pending| pending.remove(&head.id));
        let waiting = waiting.ok_or(io::ErrorKind::InvalidData)?;
        let _ = waiting.send(Reply { head, data }); // who asked may have gone
    }
}

impl Scheme for Cmd {
    fn open(&self, path: &str, flags: OpenFlags) -> Result<Fd> {
        let below = path.strip_prefix("cmd:").ok_or(Errno::ENODEV)?;
        let fd = self.number("open", json!({ "path": below, "flags": flags.bits() }))?;
        u32::try_from(fd).map(Fd).map_err(|_| Errno::EPROTO)
    }

    fn dup(&self, fd: Fd, path: &str) -> Result<Fd> {
        let fd = self.number("dup", json!({ "fd": fd.0, "path": path }))?;
        u32::try_from(fd).map(Fd).map_err(|_| Errno::EPROTO)
    }

    fn read(&self, fd: Fd, buf: &mut [u8]) -> Result<usize> {
        let count = buf.len().min(MOST as usize);
        let data = self.ask("read", json!({ "fd": fd.0, "count": count }), &[])?.data;
        buf.get_mut(..data.len()).ok_or(Errno::EPROTO)?.copy_from_slice(&data);
        Ok(data.len())
    }

    fn write(&self, fd: Fd, buf: &[u8]) -> Result<usize> {
        let reply = self.ask("write", json!({ "fd": fd.0, "data": buf.len() }), buf)?;
        let n = usize::try_from(reply.head.ok.ok_or(Errno::EPROTO)?).unwrap_or(usize::MAX);
        if n > buf.len() { Err(Errno::EPROTO) } else { Ok(n) }
    }

    fn seek(&self, fd: Fd, offset: i64, whence: u32) -> Result<u64> {
        self.number("seek", json!({ "fd": fd.0, "offset": offset, "whence": whence }))
    }

    fn fcntl(&self, fd: Fd, command: u32, argument: u64) -> Result<u64> {
        self.number("fcntl", json!({ "fd": fd.0, "command": command, "argument": argument }))
    }

    fn fevent(&self, fd: Fd, flags: EventFlags) -> Result<EventFlags> {
        let ready = self.number("fevent", json!({ "fd": fd.0, "flags": flags.bits() }))?;
        Ok(EventFlags::from_bits_truncate(ready as usize))
    }

    fn fstat(&self, fd: Fd) -> Result<Stat> {
        let stat = self.ask("fstat", json!({ "fd": fd.0 }), &[])?.head.stat.ok_or(Errno::EPROTO)?;
        let time = stat.mtime.and_then(|time| Duration::try_from_secs_f64(time).ok());
        Ok(Stat {
            // The values of Linux and those of Redox are the same for the three types there are here.
            mode: stat.mode,
            size: stat.size.unwrap_or(Stat::UNKNOWN),
            ino: stat.ino.unwrap_or(0),
            mtime: time.map_or(Stat::UNKNOWN, |time| time.as_secs()),
            mtime_nsec: time.map_or(0, |time| time.subsec_nanos()),
        })
    }

    fn fpath(&self, fd: Fd, buf: &mut [u8]) -> Result<usize> {
        let path = self.ask("fpath", json!({ "fd": fd.0 }), &[])?.data;
        let n = path.len().min(buf.len());
        buf[..n].copy_from_slice(&path[..n]);
        Ok(n)
    }

    fn close(&self, fd: Fd) -> Result<()> {
        self.ask("close", json!({ "fd": fd.0 }), &[]).map(drop)
    }
}

impl Drop for Cmd {
    fn drop(&mut self) {
        *lock(&self.stdin) = None; // the program's loop ends
        let Some(keeper) = self.keeper.take() else { return };
        let (tell, told) = channel::<()>();
        let joined = std::thread::spawn(move || {
            let _ = keeper.join();
            drop(tell);
        });
        if told.recv_timeout(GRACE).is_err_and(|error| error == std::sync::mpsc::RecvTimeoutError::Timeout)
            && let Some(child) = &*lock(&self.child)
        {
            kill(child);
        }
        let _ = joined.join();
    }
}
