//! Random changes through a backing and to a directory of the host: every call has the same result, and nothing differs
//! in between or at the end. Every call goes the way of the interposer: locate, the call itself, finished.
//!
//! `FSX_OPERATIONS` and `FSX_SEED` make it longer, and repeat a run.

use std::collections::HashMap;
use std::fs::{self, File};
use std::io;
use std::os::unix::fs::{FileExt, MetadataExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use conformance::harness::{Outcome, Suite};
use fastrand::Rng;
use kernel_model::abi::Errno;
use userland::run::backing::{Backing, Intent};
use userland::schemes::dir::Dir;
use userland::schemes::overlay::Overlay;
use userland::schemes::private::Private;

use super::compare::{Detail, same_tree};

const OPERATIONS: usize = 100_000;

/// Adds the tests.
pub(crate) fn add(suite: &mut Suite) {
    suite.test("fsx_dir", &[], || run(|below, _| Ok(Arc::new(Dir::new(below, false)?))));
    suite.test("fsx_mem", &[], || run(|_, private| Ok(Arc::new(Dir::memory(private)?))));
    suite.test("fsx_overlay", &[], || {
        run(|below, private| {
            let lower = Arc::new(Dir::new(below, true)?);
            Ok(Arc::new(Overlay::new(lower, &private.unused(), private)?))
        })
    });
}

fn setting(name: &str, default: u64) -> u64 {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(default)
}

fn run(make: impl FnOnce(&Path, &Arc<Private>) -> io::Result<Arc<dyn Backing>>) -> Outcome {
    let memory = Path::new("/dev/shm");
    let temp = if memory.is_dir() { tempfile::tempdir_in(memory)? } else { tempfile::tempdir()? };
    let [below, real] = ["below", "real"].map(|name| temp.path().join(name));
    let (seed, operations) = (setting("FSX_SEED", 1), setting("FSX_OPERATIONS", OPERATIONS as u64));
    let private = Arc::new(Private::inside(temp.path())?);
    for dir in [&below, &real] {
        fs::create_dir(dir)?;
    }
    let backing = make(&below, &private)?;
    // `mem:` begins empty; the others have the same as the directory that they are compared with.
    let is_empty = backing.locate(Path::new(""), Intent::List)?.read_dir()?.next().is_none();
    let begins_below = is_empty && backing.name_of(&below.canonicalize()?).is_some();
    if begins_below {
        for dir in [&below, &real] {
            seed_tree(dir)?;
        }
    }
    let mut fsx = Fsx { real, backing: &*backing, random: Rng::with_seed(seed), open: HashMap::new() };
    for number in 0..operations {
        let step = fsx.random.u32(0..100);
        fsx.step(step).map_err(|message| format!("seed {seed}, operation {number}: {message}"))?;
    }
    fsx.open.clear();
    // Times are the two calls' own.
    same_tree(
        &fsx.real,
        fsx.backing,
        Detail { mode: true, time: false, nanoseconds: false, directory_time: false },
    )
}

fn seed_tree(dir: &Path) -> io::Result<()> {
    for name in NAMES {
        fs::create_dir(dir.join(format!("s{name}")))?;
        fs::write(dir.join(format!("s{name}/a")), name.repeat(5000))?;
        fs::write(dir.join(format!("s{name}/b")), name)?;
        symlink("a", dir.join(format!("s{name}/c")))?;
    }
    Ok(())
}

const NAMES: [&str; 4] = ["a", "b", "c", "d"];

struct Fsx<'b> {
    real: PathBuf,
    backing: &'b dyn Backing,
    random: Rng,
    /// Descriptors that stay open: what was opened goes on to be the same file.
    open: HashMap<u8, (File, File)>,
}

/// What is compared of a call.
type Said = Result<String, i32>;

fn said<T>(result: io::Result<T>, show: impl FnOnce(T) -> String) -> Said {
    result.map(show).map_err(|error| error.raw_os_error().unwrap_or(-1))
}

impl Fsx<'_> {
    /// A name without links on its way: the interposer has followed those.
    fn name(&mut self) -> PathBuf {
        loop {
            let name = self.any_name();
            if !name.ancestors().skip(1).any(|above| self.real.join(above).is_symlink()) {
                return name;
            }
        }
    }

    fn any_name(&mut self) -> PathBuf {
        let mut path = PathBuf::new();
        if self.random.u8(0..4) > 0 {
            let prefix = if self.random.bool() { "s" } else { "t" };
            path.push(format!("{prefix}{}", NAMES[self.random.usize(0..4)]));
        }
        if self.random.u8(0..12) == 0 {
            path.push("deeper");
        }
        path.push(NAMES[self.random.usize(0..4)]);
        path
    }

    /// One call on both sides.
    fn both(
        &self,
        what: &str,
        below: &Path,
        intent: Intent,
        call: impl Fn(&Path) -> Said,
    ) -> Result<(), String> {
        let expected = call(&self.real.join(below));
        let found = match self.backing.locate(below, intent) {
            Ok(host) => {
                let said = call(&host);
                if !matches!(intent, Intent::Look | Intent::List | Intent::Read) {
                    self.backing.finished(below, intent, said.is_ok());
                }
                said
            }
            Err(errno) => Err(errno.0),
        };
        self.same(what, below, &expected, &found)
    }

    fn same(&self, what: &str, below: &Path, expected: &Said, found: &Said) -> Result<(), String> {
        // Which of several reasons is named first is not compared where POSIX leaves it open.
        let loose = |said: &Said| match said {
            Err(17 | 39) => Err(39),
            other => other.clone(),
        };
        if loose(expected) == loose(found) {
            Ok(())
        } else {
            Err(format!("{what} {below:?}: expected {expected:?}, found {found:?}"))
        }
    }

    fn step(&mut self, step: u32) -> Result<(), String> {
        let below = self.name();
        let below = below.as_path();
        // What follows a last link is told of its target: nothing to compare.
        let follows = (18..=34).contains(&step) || (52..=55).contains(&step);
        if follows && self.real.join(below).is_symlink() {
            return Ok(());
        }
        match step {
            0..=17 => self.write(below),
            18..=34 => self.both("read", below, Intent::Read, |path| {
                said(
                    File::open(path).and_then(|file| {
                        let mut text = String::new();
                        io::Read::read_to_string(&mut &file, &mut text).map(|_| text)
                    }),
                    |text| text,
                )
            }),
            35..=41 => self.keep(below),
            42..=51 => self.use_kept(),
            52..=55 => {
                let size = self.random.u64(0..60_000);
                self.both("truncate", below, Intent::Change, |path| {
                    said(File::options().write(true).open(path).and_then(|file| file.set_len(size)), |()| {
                        String::new()
                    })
                })
            }
            56..=63 => self.both("unlink", below, Intent::Remove, |path| {
                said(fs::remove_file(path), |()| String::new())
            }),
            64..=68 => self.both(
                "mkdir",
                below.parent().filter(|dir| dir.file_name().is_some()).unwrap_or(below),
                Intent::Create,
                |path| said(fs::create_dir(path), |()| String::new()),
            ),
            69..=71 => self.both(
                "rmdir",
                below.parent().filter(|dir| dir.file_name().is_some()).unwrap_or(below),
                Intent::Remove,
                |path| said(fs::remove_dir(path), |()| String::new()),
            ),
            72..=80 => self.rename(below),
            81..=82 => self
                .both("symlink", below, Intent::Create, |path| said(symlink("a", path), |()| String::new())),
            83..=85 => {
                let mode = (self.random.u32(0..8) * 0o011) | 0o700; // its owner keeps a directory
                self.both("chmod", below, Intent::Change, |path| {
                    // Not through a link: the interposer has followed it.
                    if path.is_symlink() {
                        return Err(40);
                    }
                    said(fs::set_permissions(path, fs::Permissions::from_mode(mode)), |()| String::new())
                })
            }
            86..=91 => self.both("list", below.parent().unwrap_or(below), Intent::List, |path| {
                said(
                    fs::read_dir(path).and_then(|entries| {
                        let mut names = entries
                            .map(|entry| {
                                entry.and_then(|entry| {
                                    Ok(format!("{:?} {:?}", entry.file_name(), entry.file_type()?))
                                })
                            })
                            .collect::<io::Result<Vec<_>>>()?;
                        names.sort();
                        Ok(names.join("\n"))
                    }),
                    |names| names,
                )
            }),
            92..=93 => self.link(below),
            _ => self.both("stat", below, Intent::Look, |path| {
                said(path.symlink_metadata(), |metadata| {
                    let size = if metadata.is_dir() { 0 } else { metadata.len() };
                    format!("{:?} {size} {:o}", metadata.file_type(), metadata.mode())
                })
            }),
        }
    }

    /// open(O_CREAT | O_WRONLY), maybe O_TRUNC, then a piece somewhere.
    fn write(&mut self, below: &Path) -> Result<(), String> {
        let (at, length, fill) =
            (self.random.u64(0..50_000), self.random.usize(0..9000), self.random.alphanumeric() as u8);
        let truncate = self.random.bool();
        // As open(2) follows a link that is there: the interposer has done so, and a name that is free is made.
        if self.real.join(below).is_symlink() {
            return Ok(());
        }
        self.both("write", below, Intent::Create, |path| {
            let mut options = File::options();
            let file = options.write(true).create(true).truncate(truncate).open(path);
            said(file.and_then(|file| file.write_all_at(&vec![fill; length], at)), |()| String::new())
        })
    }

    fn keep(&mut self, below: &Path) -> Result<(), String> {
        if self.real.join(below).is_symlink() {
            return Ok(());
        }
        let open = |path: &Path| File::options().read(true).write(true).open(path);
        let expected = open(&self.real.join(below));
        let found =
            self.backing.locate(below, Intent::Change).map_err(io::Error::from).and_then(|host| open(&host));
        self.backing.finished(below, Intent::Change, found.is_ok());
        let slot = self.random.u8(0..8);
        match (expected, found) {
            (Ok(real), Ok(other)) => drop(self.open.insert(slot, (real, other))),
            (expected, found) => {
                let expected = said(expected, |_| "opened".into());
                self.same("open", below, &expected, &said(found, |_| "opened".into()))?;
            }
        }
        Ok(())
    }

    fn use_kept(&mut self) -> Result<(), String> {
        let slot = self.random.u8(0..8);
        let (at, length, fill) =
            (self.random.u64(0..50_000), self.random.usize(0..5000), self.random.alphanumeric() as u8);
        let writes = self.random.bool();
        let Some((real, other)) = self.open.get(&slot) else { return Ok(()) };
        let act = |file: &File| -> io::Result<String> {
            if writes {
                file.write_all_at(&vec![fill; length], at)?;
            }
            let mut buf = vec![0; length];
            let n = file.read_at(&mut buf, at)?;
            Ok(format!("{} {} {:?}", file.metadata()?.len(), file.metadata()?.nlink(), &buf[..n]))
        };
        let (expected, found) = (said(act(real), |text| text), said(act(other), |text| text));
        if expected == found {
            Ok(())
        } else {
            Err(format!("descriptor {slot} at {at}, {length} bytes: differs"))
        }
    }

    /// Two names: both are located before the call, and finished after it.
    fn two(
        &mut self,
        what: &str,
        from: (&Path, Intent),
        to: &Path,
        call: impl Fn(&Path, &Path) -> io::Result<()>,
    ) -> Result<(), String> {
        let expected = said(call(&self.real.join(from.0), &self.real.join(to)), |()| String::new());
        let located = || {
            Ok::<_, Errno>((self.backing.locate(from.0, from.1)?, self.backing.locate(to, Intent::Create)?))
        };
        let found = match located() {
            Ok((old, new)) => {
                let found = said(call(&old, &new), |()| String::new());
                self.backing.finished(from.0, from.1, found.is_ok());
                self.backing.finished(to, Intent::Create, found.is_ok());
                found
            }
            Err(errno) => Err(errno.0),
        };
        // Which of two bad names is complained of first is not the same.
        if expected.is_err() && found.is_err() { Ok(()) } else { self.same(what, to, &expected, &found) }
    }

    fn rename(&mut self, from: &Path) -> Result<(), String> {
        let to = self.name();
        let whole = self.random.u8(0..6) == 0;
        let dir =
            |path: &Path| path.parent().filter(|dir| dir.file_name().is_some()).unwrap_or(path).to_owned();
        let (from, to) = if whole { (dir(from), dir(&to)) } else { (from.to_owned(), to) };
        // One below the other is EINVAL whatever is there.
        if from.starts_with(&to) || to.starts_with(&from) {
            return Ok(());
        }
        self.two("rename", (&from, Intent::Remove), &to, |old, new| fs::rename(old, new))
    }

    fn link(&mut self, from: &Path) -> Result<(), String> {
        let to = self.name();
        if self.real.join(from).is_symlink() {
            return Ok(());
        }
        self.two("link", (from, Intent::Change), &to, |old, new| fs::hard_link(old, new))
    }
}
