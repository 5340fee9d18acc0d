//! Starting programs: scripts name their interpreter, and programs their loader, by virtual paths that the kernel would
//! look up on the host.
//!
//! A script of a mount, or one whose interpreter is in a mount, is replaced by its interpreter with the arguments that the
//! kernel would have made (load_script in fs/binfmt_script.c). A program whose loader is in a mount is replaced by a copy
//! that names the loader's host path; arguments, auxiliary vector and `/proc/self/exe` stay what they are.

use std::cell::RefCell;
use std::collections::HashMap;
use std::fs::File;
use std::io::Read;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{MetadataExt, PermissionsExt};

use kernel_model::abi::Errno;
use object::Endianness;
use object::elf::{FileHeader32, FileHeader64, PT_INTERP};
use object::read::elf::{FileHeader, ProgramHeader};

use super::backing::Intent;
use super::entry::{Call, Plan};
use super::mounts::{Place, Rights, path_of};
use super::rewrite::{Change, Item, New};
use super::task::word_size;
use super::walk::{Asker, EACCES, ELOOP, ENOENT, Found, Scope, Start, Stop, World};

/// As much of a file as the kernel looks at to tell what it is, and room for program headers.
const HEAD: usize = 4096;
/// BINPRM_BUF_SIZE of linux/binfmts.h.
const LINE: usize = 256;
/// Scripts whose interpreter is a script: as deep as exec_binprm in fs/exec.c goes.
const DEPTH: usize = 5;
/// More arguments than the kernel takes.
const MOST_ARGUMENTS: usize = 1 << 20;
/// AT_EMPTY_PATH and AT_SYMLINK_NOFOLLOW.
const EMPTY_PATH: u64 = 0x1000;
const NOFOLLOW: u64 = 0x100;

const ENOEXEC: Errno = Errno(8);

/// Copies with another loader, by the file that they are copies of.
pub(super) type Copies = RefCell<HashMap<Version, Vec<u8>>>;

/// A file as it was.
#[derive(Clone, PartialEq, Eq, Hash)]
pub(super) struct Version {
    device: u64,
    inode: u64,
    size: u64,
    modified: (i64, i64),
    loader: Vec<u8>,
}

/// What the kernel is to execute.
pub(super) struct Image {
    /// Its host path.
    pub(super) host: Vec<u8>,
    /// Arguments that take the place of the first one.
    pub(super) arguments: Vec<Vec<u8>>,
    /// Nothing has to be another than the program says.
    pub(super) native: bool,
}

/// What a file says that it needs.
enum Needs {
    Interpreter { path: Vec<u8>, argument: Option<Vec<u8>> },
    Loader(Vec<u8>),
    Nothing,
}

impl World {
    /// How a program that was found is started; `given` is what a script is told of its own name.
    pub(super) fn image(
        &self,
        asker: Asker<'_>,
        start: &Start,
        found: Found,
        given: &[u8],
    ) -> Result<Image, Stop> {
        let mut found = found;
        let mut given = given.to_vec();
        let mut image = Image { host: Vec::new(), arguments: Vec::new(), native: true };
        for _ in 0..=DEPTH {
            image.native &= found.native;
            let host = self.executable(asker, &found)?;
            match needs(&host) {
                Needs::Interpreter { path, argument } => {
                    // The kernel's order: interpreter, its argument, the script.
                    let mut front = vec![path.clone()];
                    front.extend(argument);
                    front.push(given);
                    image.arguments.splice(..image.arguments.len().min(1), front);
                    given = path.clone();
                    found = self.walk(asker, start, &path, true, Scope::default())?;
                }
                Needs::Loader(path) => {
                    let loader = self.walk(asker, start, &path, true, Scope::default())?;
                    image.native &= loader.native;
                    image.host = match loader.native {
                        true => host,
                        false => {
                            let loader = self.executable(asker, &loader)?;
                            if loader == path { host } else { self.copy(&host, &found.virt, &loader)? }
                        }
                    };
                    return Ok(image);
                }
                Needs::Nothing => {
                    image.host = host;
                    return Ok(image);
                }
            }
        }
        Err(ELOOP.into())
    }

    /// Its host path, if the mount lets it be executed; the file's own mode is the kernel's business.
    fn executable(&self, asker: Asker<'_>, found: &Found) -> Result<Vec<u8>, Stop> {
        if let Place::Mount(mount, _) = self.table.place(&found.virt)
            && !self.table.get(mount).rights.contains(Rights::EXECUTE)
        {
            return Err(EACCES.into());
        }
        self.host_of(asker, &found.virt, Intent::Read)
    }

    /// A copy of a program that names this loader.
    fn copy(&self, host: &[u8], virt: &[u8], loader: &[u8]) -> Result<Vec<u8>, Stop> {
        let io = |error: std::io::Error| Stop::Errno(Errno(error.raw_os_error().unwrap_or(ENOENT.0)));
        let file = std::fs::metadata(path_of(host)).map_err(io)?;
        let version = Version {
            device: file.dev(),
            inode: file.ino(),
            size: file.size(),
            modified: (file.mtime(), file.mtime_nsec()),
            loader: loader.to_vec(),
        };
        if let Some(copy) = self.copies.borrow().get(&version) {
            return Ok(copy.clone());
        }
        let name = virt.rsplit(|&byte| byte == b'/').next().unwrap_or(virt);
        let mut content = std::fs::read(path_of(host)).map_err(io)?;
        name_loader(&mut content, loader).ok_or(Stop::Errno(ENOEXEC))?;
        let place = self.scratch.place_for(name, virt).map_err(io)?;
        std::fs::write(&place, content).map_err(io)?;
        let mode = std::fs::Permissions::from_mode(file.mode() & 0o777 | 0o400);
        std::fs::set_permissions(&place, mode).map_err(io)?;
        let copy = place.as_os_str().as_bytes().to_vec();
        self.copies.borrow_mut().insert(version, copy.clone());
        Ok(copy)
    }
}

/// Looks into a file. One that cannot be read needs nothing that could be seen.
fn needs(host: &[u8]) -> Needs {
    let mut head = Vec::with_capacity(HEAD);
    let read = File::open(path_of(host)).and_then(|file| file.take(HEAD as u64).read_to_end(&mut head));
    if read.is_err() {
        return Needs::Nothing;
    }
    if let Some(line) = head.strip_prefix(b"#!") {
        let line = &line[..line.len().min(LINE - 2)];
        let line = line.split(|&byte| byte == b'\n').next().unwrap_or(line).trim_ascii();
        let end = line.iter().position(|byte| matches!(byte, b' ' | b'\t')).unwrap_or(line.len());
        if end == 0 {
            return Needs::Nothing;
        }
        let argument = line[end..].trim_ascii();
        let argument = (!argument.is_empty()).then(|| argument.to_vec());
        return Needs::Interpreter { path: line[..end].to_vec(), argument };
    }
    let loader = loader_of::<FileHeader64<Endianness>>(&head)
        .or_else(|| loader_of::<FileHeader32<Endianness>>(&head))
        .or_else(|| far_loader(host, &head));
    loader.map_or(Needs::Nothing, |(_, path)| Needs::Loader(path))
}

/// Programs that were changed after they were linked may have their headers, or the loader's name, far from the beginning.
fn far_loader(host: &[u8], head: &[u8]) -> Option<(usize, Vec<u8>)> {
    if !head.starts_with(b"\x7fELF") || head.len() < HEAD {
        return None;
    }
    let all = std::fs::read(path_of(host)).ok()?;
    loader_of::<FileHeader64<Endianness>>(&all).or_else(|| loader_of::<FileHeader32<Endianness>>(&all))
}

/// Where the program header of the loader is in a file, and the loader's path.
fn loader_of<H: FileHeader<Endian = Endianness>>(data: &[u8]) -> Option<(usize, Vec<u8>)> {
    let header = H::parse(data).ok()?;
    let endian = header.endian().ok()?;
    let headers = header.program_headers(endian, data).ok()?;
    let (at, interp) = headers.iter().enumerate().find(|(_, header)| header.p_type(endian) == PT_INTERP)?;
    let path = interp.interpreter(endian, data).ok()??.to_vec();
    let offset: u64 = header.e_phoff(endian).into();
    Some((offset as usize + at * size_of::<H::ProgramHeader>(), path))
}

/// Makes a program name another loader: the name goes to the end of the file, where the kernel finds it by its offset. The
/// loader's own name in memory stays, since the loader compares it with what libraries need.
fn name_loader(content: &mut Vec<u8>, loader: &[u8]) -> Option<()> {
    let wide = loader_of::<FileHeader64<Endianness>>(content);
    let (at, word, offset_at, size_at) = match wide {
        Some((at, _)) => (at, 8, 8, 32),
        None => (loader_of::<FileHeader32<Endianness>>(content)?.0, 4, 4, 16),
    };
    let offset = content.len() as u64;
    content.extend_from_slice(loader);
    content.push(0);
    let size = loader.len() as u64 + 1;
    for (field, value) in [(offset_at, offset), (size_at, size), (size_at + word, size)] {
        content[at + field..at + field + word].copy_from_slice(&value.to_le_bytes()[..word]);
    }
    Some(())
}

impl Call<'_, '_> {
    pub(super) fn exec(&mut self, path: usize) -> Result<Plan, Stop> {
        let flags = if path == 0 { 0 } else { self.argument(4) };
        let Some(text) = self.task.path(self.argument(path)) else { return Ok(Plan::Go) };
        let dir = path.checked_sub(1).map(|index| self.argument(index) as i32).unwrap_or(-100);
        let (found, given) = if text.is_empty() {
            // fexecve: the file is open already, only what it needs may have to be found.
            if flags & EMPTY_PATH == 0 {
                return Ok(Plan::Go);
            }
            let Some(host) = self.descriptor(dir) else { return Ok(Plan::Go) };
            let Some((virt, native)) = self.world.name_of(&host) else { return Ok(Plan::Go) };
            (
                Found { virt, native, slash: false, dot: false, host: None },
                format!("/dev/fd/{dir}").into_bytes(),
            )
        } else {
            let follow = flags & NOFOLLOW == 0;
            let Some(found) = self.resolve_text(dir, &text, follow, Scope::default())? else {
                return Ok(Plan::Go);
            };
            let given = match dir {
                -100 => text,
                _ if text.starts_with(b"/") => text,
                dir => [format!("/dev/fd/{dir}/").as_bytes(), &text].concat(),
            };
            (found, given)
        };
        let start = match self.cwd()? {
            Some(cwd) => Start { virt: cwd.virt, native: cwd.native, host: None },
            None => Start { virt: Vec::new(), native: true, host: None },
        };
        let asker = Asker { tid: self.task.pid.0, answers: &self.task.answers };
        let image = self.world.image(asker, &start, found, &given)?;
        if image.native {
            return Ok(Plan::Go);
        }
        let mut change = Change::default();
        change.path(path, image.host);
        if path == 1 {
            change.arguments.push((4, New::Value(flags & !EMPTY_PATH)));
        }
        if !image.arguments.is_empty() {
            let list = self.arguments_of_program(self.argument(path + 1))?;
            let text = |mut text: Vec<u8>| {
                text.push(0);
                Item::Text(text)
            };
            let front = image.arguments.into_iter().map(text);
            let items = front.chain(list.into_iter().skip(1).map(Item::Old)).collect();
            change.arguments.push((path + 1, New::List(items)));
        }
        Ok(Plan::Change(change))
    }

    /// The pointers of an argument list.
    fn arguments_of_program(&mut self, at: u64) -> Result<Vec<u64>, Stop> {
        let size = word_size(self.abi) as u64;
        let mut list = Vec::new();
        while at != 0 && list.len() < MOST_ARGUMENTS {
            match self.task.word(self.abi, at + list.len() as u64 * size)? {
                0 => break,
                pointer => list.push(pointer),
            }
        }
        Ok(list)
    }
}
