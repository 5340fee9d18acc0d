//! [`Live`]: files of a `proc:` mount that the program has open. Each is a handle of the kernel that runs the command, and a
//! named pipe that stands for it among the program's descriptors.
//!
//! The pipe makes dup, fork, exec and close the host's business: whose descriptor it is tells its name in `/proc`, and
//! inotify tells when somebody has closed it. What is read and written is served at the call's stop (`streams`). A pipe with a
//! byte in it is a handle with something to read: so poll waits natively, and so does a read that has to, with signals.

use std::collections::{BTreeMap, HashMap};
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, Sender, channel};

use kernel_model::abi::{Errno, EventFlags, OpenFlags, Pid, Result, SEEK_CUR, SEEK_SET};
use kernel_model::client::Handle;
use kernel_model::scheme::Host;
use nix::sys::inotify::{AddWatchFlags, InitFlags, Inotify};
use nix::sys::stat::Mode;

use super::look;
use super::mounts::path_of;
use super::scratch::Scratch;
use crate::ready::Ready;
use crate::schemes::errors::errno;
use crate::trace::delay::Ringer;

/// Keys of the loop's queue from here on are files of ours.
const KEYS: usize = 1 << (usize::BITS - 2);

/// Files that are text, taken when they are opened (RFC 0001).
const TEXT: [&str; 4] = ["features", "exe", "status", "threads"];
/// Files that a read waits for.
const WAITING: [&str; 3] = ["trace", "trace.x", "log"];

/// Its write waits, whatever the flags: nobody else would be served meanwhile.
const HOLDS_UP: &str = "trace.g2";
const EOPNOTSUPP: Errno = Errno(95);

/// O_TRUNC and O_EXCL of fcntl.h.
const O_EXCL: u64 = 0o200;
const O_TRUNC: u64 = 0o1000;
/// O_ACCMODE.
const ACCESS: u64 = 0o3;

/// What the program asks for.
pub(super) struct Wanted<'w> {
    /// The path of the scheme, without `proc:`.
    pub(super) below: &'w str,
    /// Of open(2).
    pub(super) flags: u64,
    /// Who asks.
    pub(super) asker: Pid,
    /// What the program calls it.
    pub(super) virt: &'w [u8],
    /// The placeholder.
    pub(super) host: &'w [u8],
}

/// What was opened.
pub(super) struct Opened {
    /// What the program's open is to open.
    pub(super) path: Vec<u8>,
    /// To be told of whether that went well.
    pub(super) number: Option<u64>,
}

struct Open<'h> {
    handle: Handle<'h>,
    pipe: File,
    path: PathBuf,
    waits: bool,
    /// It is on a task that this tool itself holds.
    held: bool,
}

/// See the module.
pub(super) struct Live<'h> {
    host: &'h dyn Host,
    ringer: &'h Ringer<'h>,
    dir: Option<PathBuf>,
    open: BTreeMap<u64, Open<'h>>,
    opened: u64,
    closed: (Sender<u64>, Receiver<u64>),
}

impl<'h> Live<'h> {
    pub(super) fn new(host: &'h dyn Host, ringer: &'h Ringer<'h>) -> Live<'h> {
        Live { host, ringer, dir: None, open: BTreeMap::new(), opened: 0, closed: channel() }
    }

    /// Whether nothing is open: then no call can be about it.
    pub(super) fn is_empty(&self) -> bool {
        self.open.is_empty()
    }

    /// The file whose readiness a key of the loop's queue tells.
    pub(super) fn of_key(key: usize) -> Option<u64> {
        key.checked_sub(KEYS).map(|number| number as u64)
    }

    /// The file that a host path stands for.
    pub(super) fn of_path(&self, host: &[u8]) -> Option<u64> {
        let name = path_of(host).strip_prefix(self.dir.as_ref()?).ok()?;
        let number = name.to_str()?.parse().ok()?;
        self.open.contains_key(&number).then_some(number)
    }

    /// Opens one. `held` says whether this tool itself traces a task of the command's tree.
    ///
    /// Errors in order: EACCES the asker is another user, or text is to be written · EBUSY a second session on a task of the
    /// tree, or sets of the first · EOPNOTSUPP `trace.g2` · those of the scheme's open · of making a pipe.
    pub(super) fn open(
        &mut self,
        wanted: &Wanted<'_>,
        scratch: &Scratch,
        ready: &Ready<'h>,
        held: impl Fn(Pid) -> bool,
    ) -> Result<Opened> {
        if user_of(wanted.asker) != Some(nix::unistd::geteuid().as_raw()) {
            return Err(Errno::EACCES);
        }
        let name = wanted.below.split_once('/').map_or(wanted.below, |(_, name)| name);
        let path = format!("proc:{}", wanted.below);
        if TEXT.contains(&name) {
            if wanted.flags & (ACCESS | O_TRUNC) != 0 {
                return Err(Errno::EACCES);
            }
            let text = Handle::open(self.host, &path, OpenFlags::O_RDONLY)?.read_to_end()?;
            renew(path_of(wanted.host), &text).map_err(errno)?;
            return Ok(Opened { path: wanted.host.to_vec(), number: None });
        }
        let pid = wanted.below.split('/').next().and_then(|pid| pid.parse().ok()).map(Pid);
        let held = pid.is_some_and(held);
        if held && (name.starts_with("trace") || name.starts_with("sets/")) {
            return Err(Errno::EBUSY);
        }
        if name == HOLDS_UP {
            return Err(EOPNOTSUPP);
        }
        let mut flags = OpenFlags::O_RDWR | OpenFlags::O_NONBLOCK | OpenFlags::O_CLOEXEC;
        flags.set(OpenFlags::O_TRUNC, wanted.flags & O_TRUNC != 0);
        flags.set(OpenFlags::O_EXCL, wanted.flags & O_EXCL != 0);
        let handle = Handle::open(self.host, &path, flags)?;
        let number = self.opened;
        let (pipe, path) = self.pipe(scratch, number).map_err(errno)?;
        self.opened += 1;
        let waits = WAITING.contains(&name);
        if waits {
            ready.watch(handle.fd(), KEYS + number as usize)?;
        }
        scratch.called(&path, wanted.virt);
        let bytes = path.as_os_str().as_bytes().to_vec();
        self.open.insert(number, Open { handle, pipe, path, waits, held });
        Ok(Opened { path: bytes, number: Some(number) })
    }

    /// A new pipe. Held open for both directions: no open of it ever waits.
    fn pipe(&mut self, scratch: &Scratch, number: u64) -> io::Result<(File, PathBuf)> {
        let dir = match &self.dir {
            Some(dir) => dir,
            None => {
                let dir = scratch.directory()?;
                self.watch(&dir)?;
                self.dir.insert(dir)
            }
        };
        let path = dir.join(number.to_string());
        nix::unistd::mkfifo(&path, Mode::S_IRUSR | Mode::S_IWUSR)?;
        let flags = nix::libc::O_NONBLOCK;
        let pipe = OpenOptions::new().read(true).write(true).custom_flags(flags).open(&path);
        Ok((pipe.inspect_err(|_| drop(fs::remove_file(&path)))?, path))
    }

    /// Starts a thread that passes on which files somebody has closed; it ends with the directory.
    fn watch(&self, dir: &Path) -> io::Result<()> {
        let inotify = Inotify::init(InitFlags::IN_CLOEXEC)?;
        inotify.add_watch(dir, AddWatchFlags::IN_CLOSE | AddWatchFlags::IN_DELETE_SELF)?;
        let (closed, ring) = (self.closed.0.clone(), (self.ringer)());
        let work = move || {
            while let Ok(events) = inotify.read_events() {
                if events.iter().any(|event| event.mask.contains(AddWatchFlags::IN_IGNORED)) {
                    return;
                }
                let names = events.into_iter().filter_map(|event| event.name);
                for number in names.filter_map(|name| name.to_str()?.parse().ok()) {
                    if closed.send(number).is_err() {
                        return;
                    }
                }
                if let Some(ring) = &ring {
                    ring();
                }
            }
        };
        std::thread::Builder::new().name("closed".to_owned()).spawn(work).map(drop)
    }

    /// Closes what nobody has open any more; `tasks` are those that could.
    pub(super) fn sweep(&mut self, scratch: &Scratch, tasks: &HashMap<Pid, usize>) {
        while !self.is_empty()
            && let Ok(number) = self.closed.1.try_recv()
        {
            let Some(open) = self.open.get(&number) else { continue };
            if !tasks.keys().any(|pid| has_open(*pid, &open.path)) {
                self.close(scratch, number);
            }
        }
    }

    /// Closes one, and so its session. One that is closed already stays so.
    pub(super) fn close(&mut self, scratch: &Scratch, number: u64) {
        if let Some(open) = self.open.remove(&number) {
            let _ = fs::remove_file(&open.path);
            scratch.forgotten(&open.path);
        }
    }

    /// Whether a read of it that finds nothing waits.
    pub(super) fn waits(&self, number: u64) -> bool {
        self.open.get(&number).is_some_and(|open| open.waits)
    }

    /// read; `at`: at this offset, and the cursor stays.
    pub(super) fn read(&mut self, number: u64, buf: &mut [u8], at: Option<i64>) -> Result<usize> {
        let result = self.get(number)?.at(self.host, at, |handle| handle.read(buf));
        self.show(number);
        result
    }

    /// write, as `read`.
    ///
    /// Errors: EBUSY other registers for a task of the command's tree, which may be in a call that was changed.
    pub(super) fn write(&mut self, number: u64, bytes: &[u8], at: Option<i64>) -> Result<usize> {
        let open = self.get(number)?;
        let is_memory = || open.handle_path(self.host).is_some_and(|path| path.ends_with(b"/mem"));
        if open.held && !open.waits && !is_memory() {
            return Err(Errno::EBUSY);
        }
        let result = open.at(self.host, at, |handle| handle.write(bytes));
        self.show(number);
        result
    }

    /// lseek.
    pub(super) fn seek(&self, number: u64, offset: i64, whence: u32) -> Result<u64> {
        self.host.seek(self.get(number)?.handle.fd(), offset, whence).map_err(no_cursor)
    }

    fn get(&self, number: u64) -> Result<&Open<'h>> {
        self.open.get(&number).ok_or(Errno::EBADF)
    }

    /// Makes the pipe say whether there is something to read.
    pub(super) fn show(&mut self, number: u64) {
        let Some(open) = self.open.get_mut(&number).filter(|open| open.waits) else { return };
        let readable = self.host.fevent(open.handle.fd(), EventFlags::READ);
        let mut old = [0; 64];
        while open.pipe.read(&mut old).is_ok_and(|n| n > 0) {}
        if readable.is_ok_and(|flags| flags.contains(EventFlags::READ)) {
            let _ = open.pipe.write(&[0]);
        }
    }
}

impl Open<'_> {
    fn at<T>(
        &self,
        host: &dyn Host,
        at: Option<i64>,
        mut act: impl FnMut(&Handle<'_>) -> Result<T>,
    ) -> Result<T> {
        // Somebody has rung for the loop, which looks when this call is done.
        let mut act = || loop {
            match act(&self.handle) {
                Err(Errno::EINTR) => {}
                result => return result,
            }
        };
        let Some(offset) = at else { return act() };
        let fd = self.handle.fd();
        let before = host.seek(fd, 0, SEEK_CUR).map_err(no_cursor)?;
        host.seek(fd, offset, SEEK_SET)?;
        let result = act();
        host.seek(fd, before as i64, SEEK_SET)?;
        result
    }

    fn handle_path(&self, host: &dyn Host) -> Option<Vec<u8>> {
        let mut path = vec![0; 64];
        let n = host.fpath(self.handle.fd(), &mut path).ok()?;
        path.truncate(n);
        Some(path)
    }
}

/// What lseek says of a pipe.
fn no_cursor(errno: Errno) -> Errno {
    const ESPIPE: Errno = Errno(29);
    if errno == Errno::EBADF { ESPIPE } else { errno }
}

/// The effective user of a task.
fn user_of(pid: Pid) -> Option<u32> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    status.lines().find_map(|line| line.strip_prefix("Uid:")?.split_whitespace().nth(1)?.parse().ok())
}

/// Whether a descriptor of a task is this file.
fn has_open(pid: Pid, path: &Path) -> bool {
    let descriptors = fs::read_dir(format!("/proc/{pid}/fd")).into_iter().flatten().flatten();
    let mut links =
        descriptors.filter_map(|entry| look::link(&entry.path().into_os_string().into_vec()).ok());
    links.any(|link| link == path.as_os_str().as_bytes())
}

/// Gives a placeholder its text. It stays the file that it is: who looks and who opens see one inode.
fn renew(path: &Path, text: &[u8]) -> io::Result<()> {
    if fs::read(path)? == text {
        return Ok(());
    }
    use std::os::unix::fs::PermissionsExt;
    let before = fs::metadata(path)?.permissions();
    fs::set_permissions(path, fs::Permissions::from_mode(0o600))?;
    let written = fs::write(path, text);
    fs::set_permissions(path, before)?;
    written
}
