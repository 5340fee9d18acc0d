//! The options of `run`, and the mounts that they mean.

use std::ffi::OsString;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::Args;

use super::mounts::{Mount, Rights, normal};
use super::restrict::Restrictions;
use crate::failure::Failure;
use crate::schemes;
use crate::schemes::dir::Dir;
use crate::schemes::progress::Progress;
use crate::schemes::shadow::Watch;
use crate::schemes::spec::{Spec, SpecError};
use crate::schemes::table::{Mounted, table};

/// Options of `run`. Where people know proot's, they are the same.
#[derive(Args, Debug)]
#[command(
    arg_required_else_help = true,
    override_usage = "tracefd run [OPTIONS] [--] CMD [ARG]...",
    after_help = "\
Examples:
  tracefd run -b /x=dir:/srv/tree -- ls -lR /x     a directory under another name
  tracefd run -b /x=dir:/srv/tree:ro -- make -C /x its files cannot be changed through it
  tracefd run -b /data=tar:data.tar.gz -- ls /data an archive as a directory
  tracefd run -b /http=http: -- cat /http/localhost:8000/index.html
  tracefd run -b /scheme/proc=proc: -- sh -c 'cat /scheme/proc/$$/status'
  tracefd run -r ./rootfs -b /proc=dir:/proc sh    a tree as the root directory
  tracefd run --deny ~/.ssh --ro ~/src -- ./tool   parts of the host hidden, or not to be changed

The command and all that it starts see the mounts; nobody else does. No privilege is needed. They die with tracefd.

^C goes to the command, as without tracefd; twice within two seconds, it ends tracefd and all of them."
)]
pub struct RunArgs {
    /// Mount something at POINT; may be given several times, and the longest POINT wins
    ///
    /// dir:PATH, dir:PATH:ro; tar:FILE, compressed or not; http://HOST/PATH, or http: for every host by its name (https:// if it was
    /// built with --features https); mem:, empty and gone afterwards; overlay:LOWER:UPPER, changes apart; cmd:COMMAND, a program that
    /// answers; proc:, the tracing of processes as files. Options after POINT: r, w, x, ro, rw, deny, fresh, kept; lazy, which fetches
    /// of a file of http: only what is read.
    #[arg(short = 'b', long = "bind", value_name = "POINT[,OPTION]=SCHEME:WHAT")]
    pub bind: Vec<String>,

    /// Mounts from a file, a line for each: POINT OPTIONS SCHEME:WHAT, with - for no options; `#` begins a comment
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
        let usage = |cause: SpecError| Failure::Usage(cause.to_string());
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
        let mut specs = Vec::new();
        for file in &self.mounts {
            let name = file.display().to_string();
            let text = std::fs::read_to_string(file)
                .map_err(|cause| Failure::Input { path: name.clone(), cause })?;
            specs.extend(Spec::parse_file(&name, &text).map_err(usage)?);
        }
        for bind in &self.bind {
            specs.push(Spec::parse(bind).map_err(usage)?);
        }
        let watch: Arc<dyn Watch> = Arc::new(Progress::new());
        let made = table(&specs, &watch).map_err(|failure| Failure::Input {
            path: format!("{}, to be mounted at {}", failure.what, failure.point.display()),
            cause: failure.cause,
        })?;
        mounts.extend(made.into_iter().map(|Mounted { point, backing, rights }| Mount {
            at: normal(point.as_os_str().as_bytes()),
            backing,
            rights: rights_of(rights),
        }));
        Ok(mounts)
    }
}

fn rights_of(rights: schemes::spec::Rights) -> Rights {
    let mut set = Rights::empty();
    set.set(Rights::READ, rights.read);
    set.set(Rights::WRITE, rights.write);
    set.set(Rights::EXECUTE, rights.execute);
    set
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
    let backing = Dir::new(tree, !rights.contains(Rights::WRITE))
        .map_err(|cause| Failure::Input { path: tree.display().to_string(), cause })?;
    Ok(Mount { at: normal(at), backing: Arc::new(backing), rights })
}
