//! System calls on a small tree, one each: `probe DIR` prints what came back, `probe DIR refused` what the calls say that
//! `tracefd run` refuses, `probe DIR free` what those say that take no path. The same lines are expected for a real directory and for one that exists only through a mount.
//!
//! `probe DIR exec …` starts this program again in every way there is.

mod cases;
mod exec;

use std::collections::BTreeMap;
use std::fs;
use std::io::Write;
use std::os::fd::{AsRawFd, IntoRawFd};
use std::os::unix::fs::{MetadataExt, symlink};
use std::os::unix::net::{UnixDatagram, UnixListener, UnixStream};
use std::path::{Path, PathBuf};

use cases::{A, Abis, CASES, Case, Show};
use conformance::sys::Arena;
use conformance::unprobed::is_unprobed;
use userland::run::calls::{Rule, rows};

/// What calls are made in.
pub(crate) struct Probe {
    pub(crate) tree: PathBuf,
    pub(crate) arena: Arena,
    /// By ABI and name.
    pub(crate) numbers: BTreeMap<(usize, &'static str), i64>,
    /// Descriptors that stay open until the next case.
    kept: Vec<Box<dyn std::any::Any>>,
}

fn main() {
    let mut args = std::env::args().skip(1);
    let dir = args.next().expect("a directory");
    let rest: Vec<String> = args.collect();
    let mut probe = Probe {
        tree: Path::new(&dir).join("t"),
        arena: Arena::new().expect("memory below 4 GiB"),
        numbers: rows().map(|(abi, number, name, _)| ((abi, name), number as i64)).collect(),
        kept: Vec::new(),
    };
    match rest.first().map(String::as_str) {
        None => {
            for case in CASES {
                for abi in 0..2 {
                    probe.try_case(abi, case);
                }
            }
            exec::all(&mut probe);
        }
        Some("refused") => probe.refused(),
        Some("free") => probe.free(),
        Some("untouched") => probe.untouched(),
        Some("exec") => exec::one(&mut probe, &rest[1..]),
        Some(other) => panic!("no such list: {other}"),
    }
}

/// A line, at once: the next call may be the last.
pub(crate) fn line(text: &str) {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{text}").and_then(|()| out.flush()).expect("standard output");
}

/// `0`, or the errno's name.
pub(crate) fn status(result: i64) -> String {
    if result < 0 { format!("{:?}", nix::errno::Errno::from_raw(-result as i32)) } else { result.to_string() }
}

impl Probe {
    /// A new tree, and the current directory in it.
    pub(crate) fn prepare(&mut self) {
        self.kept.clear();
        self.arena.clear();
        let parent = self.tree.parent().expect("a directory above").to_owned();
        std::env::set_current_dir(&parent).expect("the directory is there");
        let _ = fs::remove_dir_all(&self.tree);
        let at = |name: &str| self.tree.join(name);
        let made: std::io::Result<()> = (|| {
            fs::create_dir_all(at("d"))?;
            fs::create_dir(at("e"))?;
            fs::write(at("f"), "hello\n")?;
            fs::write(at("d/g"), "deep\n")?;
            symlink("f", at("l"))?;
            symlink(at("d"), at("a"))?;
            symlink("d/..", at("u"))?;
            symlink("loop", at("loop"))
        })();
        made.expect("a tree");
        std::env::set_current_dir(&self.tree).expect("the tree is there");
        let path = self.arena.put(at("f").to_str().expect("UTF-8").as_bytes());
        let (name, value) = (self.arena.put(b"user.x"), self.arena.put(b"y"));
        self.arena.call(0, libc::SYS_setxattr, [path, name, value, 1, 0, 0]);
    }

    fn try_case(&mut self, abi: usize, (name, abis, args, show): &Case) {
        let wanted = matches!((abis, abi), (Abis::Both, _) | (Abis::Only64, 0) | (Abis::Only32, 1));
        let Some(&number) = self.numbers.get(&(abi, *name)).filter(|_| wanted) else { return };
        self.prepare();
        let mut words = [0; 6];
        for (word, arg) in words.iter_mut().zip(*args) {
            *word = self.word(abi, arg);
        }
        let result = self.arena.call(abi, number, words);
        let shown = self.show(*show, result, &words);
        line(&format!("{abi} {name} {args:?}: {shown}"));
    }

    pub(crate) fn path(&self, name: &str) -> String {
        self.tree.join(name).to_str().expect("a path in UTF-8").to_owned()
    }

    fn keep<T: AsRawFd + 'static>(&mut self, file: T) -> u64 {
        let fd = file.as_raw_fd() as u64;
        self.kept.push(Box::new(file));
        fd
    }

    /// An address; the socket that is to be there is.
    fn address(&mut self, name: &str) -> Vec<u8> {
        let path = self.path(name);
        if name.starts_with("dg") {
            let socket = UnixDatagram::bind(&path).expect("a socket");
            self.keep(socket);
        } else if name.starts_with("ls") {
            let socket = UnixListener::bind(&path).expect("a socket");
            self.keep(socket);
        }
        [&1u16.to_le_bytes()[..], path.as_bytes(), b"\0"].concat()
    }

    fn word(&mut self, abi: usize, arg: &A) -> u64 {
        let words = |list: &[u64], size: usize| -> Vec<u8> {
            list.iter().flat_map(|word| word.to_le_bytes()[..size].to_vec()).collect()
        };
        match *arg {
            A::N(number) => number as u64,
            A::P(name) => self.arena.put(self.path(name).as_bytes()),
            A::T(text) => self.arena.put(text.as_bytes()),
            A::Cwd => libc::AT_FDCWD as u64,
            A::Dir(name) | A::File(name) => {
                let file = fs::File::open(self.path(name)).expect("it is there");
                self.keep(file)
            }
            A::Out(size) => self.arena.put(&vec![0; size]),
            A::Words(list) => self.arena.put(&words(list, 8)),
            A::Words32(list) => {
                self.arena.put(&list.iter().flat_map(|word| word.to_le_bytes()).collect::<Vec<_>>())
            }
            A::Inotify => self.arena.call(0, libc::SYS_inotify_init1, [0; 6]) as u64,
            A::Fanotify => self.arena.call(0, libc::SYS_fanotify_init, [0; 6]) as u64,
            A::Stream => self.arena.call(0, libc::SYS_socket, [1, 1, 0, 0, 0, 0]) as u64,
            A::Datagram => {
                let socket = UnixDatagram::unbound().expect("a socket");
                self.keep(socket)
            }
            A::Listening(name) => {
                let path = self.path(name);
                let socket = UnixListener::bind(&path).expect("a socket");
                let client = UnixStream::connect(&path).expect("it listens");
                self.keep(client);
                self.keep(socket)
            }
            A::Connected(name) => {
                let path = self.path(name);
                let socket = UnixListener::bind(&path).expect("a socket");
                self.keep(socket);
                UnixStream::connect(&path).expect("it listens").into_raw_fd() as u64
            }
            A::Address(name) => {
                let address = self.address(name);
                self.arena.put(&address)
            }
            A::Length(name) => self.path(name).len() as u64 + 3,
            A::Message(name) => {
                let size = if abi == 0 { 8 } else { 4 };
                let message = self.message(name, size);
                self.arena.put(&words(&message, size))
            }
            A::Messages(names) => {
                let size = if abi == 0 { 8 } else { 4 };
                let all: Vec<u64> =
                    names.iter().flat_map(|name| self.message(name, size).into_iter().chain([0])).collect();
                self.arena.put(&words(&all, size))
            }
            A::Arguments(list) => {
                let list: Vec<u64> = list.iter().map(|arg| self.word(abi, arg)).collect();
                self.arena.put(&words(&list, 4))
            }
        }
    }

    /// The words of a `struct msghdr` for one byte to a socket of this name.
    fn message(&mut self, name: &str, size: usize) -> [u64; 7] {
        let address = self.address(name);
        let (at, byte) = (self.arena.put(&address), self.arena.put(b"x"));
        let vector: Vec<u8> = [byte, 1].iter().flat_map(|word| word.to_le_bytes()[..size].to_vec()).collect();
        [at, address.len() as u64, self.arena.put(&vector), 1, 0, 0, 0]
    }

    fn show(&mut self, show: Show, result: i64, words: &[u64; 6]) -> String {
        if result < 0 {
            return status(result);
        }
        let shown = match show {
            Show::Status => status(result),
            Show::Descriptor => "a descriptor".to_owned(),
            Show::Content => {
                let buffer = self.arena.put(&[0; 64]);
                let read = self.arena.call(0, libc::SYS_read, [result as u64, buffer, 64, 0, 0, 0]);
                self.arena.call(0, libc::SYS_close, [result as u64, 0, 0, 0, 0, 0]);
                let bytes = self.arena.get(buffer, read.max(0) as usize);
                format!("{} {:?}", status(read), String::from_utf8_lossy(&bytes))
            }
            Show::Text(at) => {
                let bytes = self.arena.get(words[at], result as usize);
                format!("{result} {:?}", String::from_utf8_lossy(&bytes))
            }
            Show::Name(_) | Show::ListedName => {
                let (at, length_at) = match show {
                    Show::Name(at) => (words[at], words[at + 1]),
                    _ => {
                        let list = self.arena.get(words[1] + 4, 8);
                        let word = |n: usize| u32::from_le_bytes(std::array::from_fn(|i| list[n + i]));
                        (word(0).into(), word(4).into())
                    }
                };
                let address = self.arena.get(at, 110);
                let length = self.arena.get(length_at, 4)[0];
                let path = address[2..].split(|&byte| byte == 0).next().unwrap_or_default();
                format!("{result} {length} {:?}", String::from_utf8_lossy(path))
            }
            Show::Tree => {
                let cwd = std::env::current_dir().map(|dir| dir.display().to_string());
                format!("{result} in {cwd:?}: {}", tree(&self.tree, ""))
            }
        };
        // Its own name is all in which two trees may differ.
        let dir = self.tree.parent().and_then(Path::to_str).expect("UTF-8");
        shown.replace(self.tree.to_str().expect("UTF-8"), "@").replace(dir, "@@")
    }

    /// What a call leaves behind in registers and memory.
    fn untouched(&mut self) {
        // The first paths are below the stack, later ones in memory of their own.
        for _ in 0..3 {
            self.prepare();
            let new = self.arena.put(self.path("new").as_bytes());
            let (file, none) =
                (self.arena.put(self.path("l").as_bytes()), self.arena.put(self.path("none").as_bytes()));
            let buffer = self.arena.put(&[0; 256]);
            let cwd = libc::AT_FDCWD as u64;
            for (name, args) in [
                ("openat", [cwd, file, 0, 4, 5, 6]),
                ("openat", [cwd, none, 0, 4, 5, 6]),
                ("newfstatat", [cwd, file, buffer, 0, 5, 6]),
                ("mkdirat", [cwd, new, 0o700, 4, 5, 6]),
                ("renameat", [cwd, new, cwd, none, 5, 6]),
                ("chdir", [none, 2, 3, 4, 5, 6]),
                ("execve", [new, 0, 0, 4, 5, 6]),
                ("readlink", [file, buffer, 256, 4, 5, 6]),
            ] {
                let (result, same) = self.arena.call_watched(self.numbers[&(0, name)], args);
                line(&format!("{name} {} {}", status(result), if same { "untouched" } else { "changed" }));
            }
        }
    }

    /// Every call that takes no path, with arguments that mean nothing.
    fn free(&self) {
        for (abi, number, name, rule) in rows() {
            if rule == Rule::NoPath && !is_unprobed(name) {
                let result = self.arena.call(abi, number as i64, [u64::MAX; 6]);
                // What it is that succeeds may be another number each time.
                line(&format!(
                    "{abi} {name}: {}",
                    if result < 0 { status(result) } else { "done".to_owned() }
                ));
            }
        }
    }

    /// Every call that is refused, with arguments that do nothing.
    fn refused(&mut self) {
        for (abi, number, name, rule) in rows() {
            if let Rule::Refused(..) = rule {
                let result = self.arena.call(abi, number as i64, [u64::MAX; 6]);
                line(&format!("{abi} {name}: {}", status(result)));
            }
        }
        for (abi, number) in [(0, 5000), (1, 5000), (0, 0x4000_0000 | 257)] {
            let result = self.arena.call(abi, number, [u64::MAX; 6]);
            line(&format!("{abi} {number}: {}", status(result)));
        }
    }
}

/// Names, types, sizes and modes, sorted.
fn tree(dir: &Path, prefix: &str) -> String {
    let mut out = String::new();
    let entries = fs::read_dir(dir).expect("a directory");
    let mut names: Vec<_> = entries.map(|entry| entry.expect("an entry").file_name()).collect();
    names.sort();
    for name in names {
        let path = dir.join(&name);
        let name = format!("{prefix}{}", name.to_string_lossy());
        let about = path.symlink_metadata().expect("it was listed");
        let size = if about.is_file() { about.len() } else { 0 };
        out.push_str(&format!("{name}:{:o}:{size} ", about.mode()));
        if about.is_dir() {
            out.push_str(&tree(&path, &format!("{name}/")));
        }
    }
    out
}
