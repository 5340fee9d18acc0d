//! Finding and starting the command, as execvp(3) does, without its fallback to a shell; and saying why it cannot be.

use std::ffi::{CString, OsStr, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

use kernel_model::abi::{Errno, Pid};
use kernel_model::scheme::{Host, Program, User};

use crate::failure::Failure;

/// What execvp searches if PATH is not set (confstr(3), _CS_PATH).
const DEFAULT_PATH: &str = "/bin:/usr/bin";

/// What to start.
#[derive(Clone, Debug, Default)]
pub struct Command {
    /// Its name and arguments.
    pub words: Vec<OsString>,
    /// The value of PATH.
    pub search: Option<OsString>,
    /// Who it runs as; `None`: as the tool.
    pub user: Option<User>,
    /// Its whole environment as `NAME=value`; `None`: the tool's own.
    pub env: Option<Vec<Vec<u8>>>,
}

/// Starts the first file of that name in PATH that can be run; a name with a `/` is not searched for.
pub fn spawn(host: &dyn Host, command: &Command) -> Result<Pid, Failure> {
    first(command, |program| host.spawn(program))
}

/// The answer of the first file that is one.
pub fn first<T>(
    command: &Command,
    mut start: impl FnMut(&Program) -> Result<T, Errno>,
) -> Result<T, Failure> {
    let Some(name) = command.words.first() else {
        return Err(Failure::Usage("no command".to_owned()));
    };
    let mut refused = None;
    for file in candidates(name, command.search.clone()) {
        match start(&program(&file, command)) {
            Ok(started) => return Ok(started),
            // Not there, or not runnable there: a later folder may have it.
            Err(errno @ (Errno::ENOENT | ENOTDIR)) if !file.exists() => {
                refused.get_or_insert((errno, file));
            }
            Err(Errno::EACCES) => refused = Some((Errno::EACCES, file)),
            Err(errno) => return Err(explain(name, errno, &file)),
        }
    }
    match refused {
        Some((Errno::EACCES, file)) => Err(explain(name, Errno::EACCES, &file)),
        _ => Err(not_found(name)),
    }
}

/// A user by name, with all groups. The error says why not.
pub fn user(name: &str) -> Result<User, Failure> {
    let usage = |text: String| Failure::Usage(format!("-u {name}: {text}"));
    if !nix::unistd::geteuid().is_root() {
        return Err(usage("only root can start programs as somebody else".to_owned()));
    }
    let known = nix::unistd::User::from_name(name).map_err(|errno| usage(errno.desc().to_owned()))?;
    let known = known.ok_or_else(|| usage("there is no such user in /etc/passwd".to_owned()))?;
    let name = CString::new(name).map_err(|_| usage("that is no name".to_owned()))?;
    let groups =
        nix::unistd::getgrouplist(&name, known.gid).map_err(|errno| usage(errno.desc().to_owned()))?;
    let groups = groups.into_iter().map(|group| group.as_raw()).collect();
    Ok(User { uid: known.uid.as_raw(), gid: known.gid.as_raw(), groups })
}

/// The tool's environment with changes: `NAME=value` sets, `NAME` removes.
pub fn environment(changes: &[OsString]) -> Option<Vec<Vec<u8>>> {
    if changes.is_empty() {
        return None;
    }
    let entry = |name: &[u8], value: &[u8]| [name, b"=", value].concat();
    let mut all: Vec<_> =
        std::env::vars_os().map(|(name, value)| entry(name.as_bytes(), value.as_bytes())).collect();
    for change in changes.iter().map(|change| change.as_bytes()) {
        let name = change.split(|&byte| byte == b'=').next().unwrap_or(change);
        all.retain(|entry| !(entry.starts_with(name) && entry.get(name.len()) == Some(&b'=')));
        if name.len() < change.len() {
            all.push(change.to_vec());
        }
    }
    Some(all)
}

const ENOTDIR: Errno = Errno(20);

fn program(file: &Path, command: &Command) -> Program {
    let args = command.words.iter().map(|argument| argument.clone().into_vec()).collect();
    Program {
        path: file.as_os_str().as_bytes().to_vec(),
        args,
        env: command.env.clone(),
        user: command.user.clone(),
        ..Program::default()
    }
}

fn candidates(name: &OsStr, search: Option<OsString>) -> Vec<PathBuf> {
    if name.is_empty() || name.as_bytes().contains(&b'/') {
        return vec![PathBuf::from(name)];
    }
    let search = search.unwrap_or_else(|| OsString::from(DEFAULT_PATH));
    // An empty entry is the current folder. Files that are not there need no process to find that out.
    let folders = std::env::split_paths(&search);
    let folders =
        folders.map(|folder| if folder.as_os_str().is_empty() { PathBuf::from(".") } else { folder });
    folders.map(|folder| folder.join(name)).filter(|file| file.exists()).collect()
}

fn not_found(name: &OsStr) -> Failure {
    let remedy = if name.as_bytes().contains(&b'/') {
        "no such file; check the path".to_owned()
    } else {
        "no folder of PATH has it; check the spelling, or give a path with a `/`".to_owned()
    };
    Failure::NotFound { command: name.to_string_lossy().into_owned(), remedy }
}

fn explain(name: &OsStr, errno: Errno, file: &Path) -> Failure {
    let command = file.display().to_string();
    let directory = file.is_dir();
    let cause = match errno {
        _ if directory => "it is a directory; name a program in it".to_owned(),
        Errno::EACCES | Errno::EPERM => {
            format!(
                "it is not executable (permission denied); if it is a program, `chmod +x {command}`, and check the folders above it"
            )
        }
        Errno::ENOEXEC => {
            format!(
                "not a format that can be executed; if it is a script, start it with its interpreter: `sh {command}`"
            )
        }
        Errno::ENOENT if file.exists() => {
            let remedy = "the interpreter or loader that it names (`#!` line, or `file` shows it) does not exist; install it".to_owned();
            return Failure::NotFound { command, remedy };
        }
        Errno::ENOENT => return not_found(name),
        errno => errno.to_string(),
    };
    Failure::CannotRun { command, cause }
}
