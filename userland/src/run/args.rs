//! The options of `run`, and the mounts that they mean.

use std::ffi::OsString;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::Args;

use super::mounts::{HostDir, Mount, Rights, normal};
use super::restrict::Restrictions;
use crate::failure::Failure;

/// Options of `run`. Where people know proot's, they are the same.
#[derive(Args, Debug)]
#[command(
    arg_required_else_help = true,
    override_usage = "tracefd run [OPTIONS] [--] CMD [ARG]...",
    after_help = "\
Examples:
  tracefd run -b /x=dir:/srv/tree -- ls -lR /x     a directory under another name
  tracefd run -b /x=dir:/srv/tree:ro -- make -C /x its files cannot be changed through it
  tracefd run -r ./rootfs -b /proc=dir:/proc sh    a tree as the root directory
  tracefd run --deny ~/.ssh --ro ~/src -- ./tool   parts of the host hidden, or not to be changed

The command and all that it starts see the mounts; nobody else does. No privilege is needed. They die with tracefd.

^C goes to the command, as without tracefd; twice within two seconds, it ends tracefd and all of them."
)]
pub struct RunArgs {
    /// Mount: POINT=dir:PATH, or dir:PATH:ro; may be given several times. The longest POINT wins
    #[arg(short = 'b', long = "bind", value_name = "POINT=SCHEME:WHAT")]
    pub bind: Vec<OsString>,

    /// Mounts from a file, one per line as for -b; `#` begins a comment
    #[arg(short = 'm', long = "mounts", value_name = "FILE")]
    pub mounts: Vec<PathBuf>,

    /// The directory that is `/`
    #[arg(short = 'r', long = "root", value_name = "DIR")]
    pub root: Option<PathBuf>,

    /// Where the command begins, a path among the mounts
    #[arg(short = 'w', long = "cwd", value_name = "DIR")]
    pub cwd: Option<PathBuf>,

    /// A path of the host that cannot be changed
    #[arg(long, value_name = "PATH")]
    pub ro: Vec<PathBuf>,

    /// A path of the host that cannot be reached
    #[arg(long, value_name = "PATH")]
    pub deny: Vec<PathBuf>,

    /// Tell of calls that are refused because they could reach names of the host in ways that are not understood
    #[arg(long)]
    pub warn_unknown: bool,

    /// The command
    #[arg(trailing_var_arg = true, allow_hyphen_values = true, required = true, value_name = "CMD")]
    pub command: Vec<OsString>,
}

impl RunArgs {
    /// All mounts, those that were named last at the end.
    pub fn mounts(&self) -> Result<Vec<Mount>, Failure> {
        let mut mounts = Vec::new();
        if let Some(root) = &self.root {
            mounts.push(host_tree(b"/", root, Rights::all())?);
        }
        for (paths, rights) in [(&self.ro, Rights::READ | Rights::EXECUTE), (&self.deny, Rights::empty())] {
            for path in paths {
                // Below another root there is no name of the host's to hide.
                if self.root.is_none() {
                    let at = path.canonicalize().unwrap_or_else(|_| path.clone());
                    mounts.push(host_tree(at.as_os_str().as_bytes(), path, rights)?);
                }
            }
        }
        for bind in &self.bind {
            mounts.push(bound(bind)?);
        }
        Ok(mounts)
    }
}

impl RunArgs {
    /// What the kernel is to hold, besides the mounts.
    pub fn restrictions(&self) -> Result<Restrictions, Failure> {
        let canonical = |paths: &[PathBuf]| {
            let one = |path: &PathBuf| {
                path.canonicalize()
                    .map_err(|cause| Failure::Input { path: path.display().to_string(), cause })
            };
            paths.iter().map(one).collect::<Result<_, _>>()
        };
        Ok(Restrictions { read_only: canonical(&self.ro)?, denied: canonical(&self.deny)? })
    }
}

fn host_tree(at: &[u8], tree: &Path, rights: Rights) -> Result<Mount, Failure> {
    let writable = rights.contains(Rights::WRITE);
    let backing = HostDir::new(tree, writable)
        .map_err(|cause| Failure::Input { path: tree.display().to_string(), cause })?;
    Ok(Mount { at: normal(at), backing: Arc::new(backing), rights })
}

fn bound(spec: &OsString) -> Result<Mount, Failure> {
    let usage = |what: &str| Failure::Usage(format!("-b {}: {what}", spec.to_string_lossy()));
    let bytes = spec.as_bytes();
    let equals =
        bytes.iter().position(|&byte| byte == b'=').ok_or_else(|| usage("POINT=SCHEME:WHAT is wanted"))?;
    let (point, what) = (&bytes[..equals], &bytes[equals + 1..]);
    if !point.starts_with(b"/") {
        return Err(usage("the mount point must begin with `/`"));
    }
    let tree = what.strip_prefix(b"dir:").ok_or_else(|| usage("no such scheme; there is: dir"))?;
    let (tree, rights) = match tree.strip_suffix(b":ro") {
        Some(tree) => (tree, Rights::READ | Rights::EXECUTE),
        None => (tree, Rights::all()),
    };
    host_tree(point, super::mounts::path_of(tree), rights)
}
