//! Mounts as people write them: `/data=tar:FILE`, or a line of a mount file.
//!
//! ```text
//! -b   POINT[,OPTION]...=SCHEME:WHAT
//! line POINT OPTIONS SCHEME:WHAT        # a comment
//! ```
//!
//! Fields of a line are separated by blanks and written as in fstab(5): a blank in POINT is `\040`, OPTIONS are separated by
//! commas, `-` is none; the rest of the line is what is mounted, blanks and all. With `deny` nothing is.

use std::path::{Path, PathBuf};

use thiserror::Error;

/// What may be done below a mount point.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rights {
    /// Look, list, read.
    pub read: bool,
    /// Change, make, remove.
    pub write: bool,
    /// Execute.
    pub execute: bool,
}

impl Rights {
    /// Everything.
    pub const ALL: Rights = Rights { read: true, write: true, execute: true };
    /// Everything but changes.
    pub const READ_ONLY: Rights = Rights { read: true, write: false, execute: true };
    /// Nothing: the mount hides what is there.
    pub const DENY: Rights = Rights { read: false, write: false, execute: false };
}

/// What is behind a mount point.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// Nothing: `deny`.
    Nothing,
    /// `dir:PATH`, `dir:PATH:ro`.
    Dir(PathBuf),
    /// `mem:`.
    Mem,
    /// `http://HOST/…`, `https://HOST/…`, or `http:` for every host by its name.
    Http(String),
    /// `tar:FILE`.
    Tar(PathBuf),
    /// `cmd:COMMAND`, for a shell.
    Cmd(String),
    /// `proc:`, the scheme of the kernel that runs the command.
    Proc,
    /// `overlay:LOWER:UPPER`, `overlay:[SPEC]:UPPER`; without UPPER changes are gone afterwards.
    Overlay(Box<Source>, Option<PathBuf>),
}

/// A mount that was asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Spec {
    /// Absolute, as it was written.
    pub point: PathBuf,
    /// What is there.
    pub source: Source,
    /// What may be done.
    pub rights: Rights,
    /// Were rights with `x` written? Files of `http:` have no mode of their own.
    pub executable: bool,
    /// `fresh`: ask again whenever somebody looks; `kept`: never; otherwise as the scheme's habit is.
    pub fresh: Option<bool>,
    /// `lazy`: of a file of `http:`, no more is fetched than is read.
    pub lazy: bool,
}

/// What is wrong with one.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum SpecError {
    /// No `=`.
    #[error("`{0}` is no mount: POINT=SCHEME:WHAT is wanted, as in /x=dir:/srv")]
    Form(String),
    /// Not absolute.
    #[error("mount point `{0}` must begin with `/`")]
    Point(String),
    /// No such word.
    #[error("unknown mount option `{0}`; there are r, w, x, ro, rw, deny, fresh, kept, lazy")]
    Option(String),
    /// No such scheme.
    #[error("unknown scheme in `{0}`; there are dir:, mem:, http:, https:, tar:, overlay:, cmd:, proc:")]
    Scheme(String),
    /// Something is needed after the scheme.
    #[error("`{0}` needs {1}")]
    Needs(String, &'static str),
    /// Nothing is behind it, or there is something.
    #[error("`deny` mounts nothing: leave `{0}` away")]
    Deny(String),
    /// There is nothing that could be put off.
    #[error("`lazy` is for http: and https: mounts, without `fresh`; `{0}` is none")]
    Lazy(String),
    /// In a file.
    #[error("{file}:{line}: {cause}")]
    Line {
        /// As it was given.
        file: String,
        /// From 1.
        line: usize,
        /// What is wrong there.
        cause: Box<SpecError>,
    },
}

impl Spec {
    /// `POINT[,OPTION]...=SCHEME:WHAT`, as after `-b`.
    pub fn parse(text: &str) -> Result<Spec, SpecError> {
        let (left, what) = match text.split_once('=') {
            Some((left, what)) => (left, what),
            None if text.ends_with(",deny") => (text, ""),
            None => return Err(SpecError::Form(text.into())),
        };
        let mut parts = left.split(',');
        let point = parts.next().unwrap_or_default();
        Spec::of(point.into(), parts, what)
    }

    fn of<'o>(point: PathBuf, options: impl Iterator<Item = &'o str>, what: &str) -> Result<Spec, SpecError> {
        if !point.has_root() {
            return Err(SpecError::Point(point.display().to_string()));
        }
        let (mut rights, mut fresh, mut deny, mut executable, mut lazy) = (None, None, false, false, false);
        for option in options {
            match option {
                "fresh" => fresh = Some(true),
                "kept" => fresh = Some(false),
                "lazy" => lazy = true,
                "ro" => rights = Some(Rights::READ_ONLY),
                "rw" => rights = Some(Rights { execute: false, ..Rights::ALL }),
                "deny" => deny = true,
                letters if !letters.is_empty() && letters.chars().all(|c| "rwx".contains(c)) => {
                    let has = |c| letters.contains(c);
                    executable = has('x');
                    rights = Some(Rights { read: has('r'), write: has('w'), execute: has('x') });
                }
                other => return Err(SpecError::Option(other.into())),
            }
        }
        if deny {
            let (source, rights) = (Source::Nothing, Rights::DENY);
            let spec = Spec { point, source, rights, executable: false, fresh, lazy: false };
            return if what.is_empty() { Ok(spec) } else { Err(SpecError::Deny(what.into())) };
        }
        let (source, read_only) = Source::parse(what)?;
        if lazy && (fresh == Some(true) || !matches!(source, Source::Http(_))) {
            return Err(SpecError::Lazy(what.into()));
        }
        let given = rights.unwrap_or(Rights::ALL);
        let rights = Rights { write: given.write && !read_only, ..given };
        Ok(Spec { point, source, rights, executable, fresh, lazy })
    }

    /// The lines of a mount file; `name` is for errors.
    pub fn parse_file(name: &str, text: &str) -> Result<Vec<Spec>, SpecError> {
        let mut specs = Vec::new();
        for (number, line) in text.lines().enumerate() {
            let line = line.trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let cause = match Spec::parse_line(line) {
                Ok(spec) => {
                    specs.push(spec);
                    continue;
                }
                Err(cause) => Box::new(cause),
            };
            return Err(SpecError::Line { file: name.into(), line: number + 1, cause });
        }
        Ok(specs)
    }

    fn parse_line(line: &str) -> Result<Spec, SpecError> {
        // A comment begins after a blank: addresses and commands may have a `#`.
        let line = line.find(" #").map_or(line, |end| &line[..end]).trim_end();
        let (point, rest) = line.split_once([' ', '\t']).ok_or_else(|| SpecError::Form(line.into()))?;
        let rest = rest.trim_start();
        let (options, what) = rest.split_once([' ', '\t']).unwrap_or((rest, ""));
        let options = options.split(',').filter(|option| *option != "-");
        Spec::of(unescape(point).into(), options, what.trim_start())
    }
}

/// `\040` and the other three that fstab(5) has.
fn unescape(point: &str) -> String {
    [(r"\040", " "), (r"\011", "\t"), (r"\012", "\n"), (r"\134", r"\")]
        .iter()
        .fold(point.to_owned(), |text, (code, c)| text.replace(code, c))
}

impl Source {
    /// `SCHEME:WHAT`; true if it says that it is read-only.
    fn parse(text: &str) -> Result<(Source, bool), SpecError> {
        let (scheme, what) = text.split_once(':').ok_or_else(|| SpecError::Scheme(text.into()))?;
        let needs =
            |need| if what.is_empty() { Err(SpecError::Needs(format!("{scheme}:"), need)) } else { Ok(()) };
        let source = match scheme {
            "dir" => {
                let (path, read_only) = what.strip_suffix(":ro").map_or((what, false), |path| (path, true));
                if path.is_empty() {
                    return Err(SpecError::Needs("dir:".into(), "a path, as in dir:/srv"));
                }
                return Ok((Source::Dir(path.into()), read_only));
            }
            "mem" if what.is_empty() => Source::Mem,
            "proc" if what.is_empty() => Source::Proc,
            "mem" | "proc" => return Err(SpecError::Needs(format!("{scheme}:"), "nothing after the colon")),
            // `http:URL` as well as the URL itself.
            "http" if what.starts_with("http:") || what.starts_with("https:") => return Source::parse(what),
            "http" => Source::Http(text.to_owned()),
            "https" => needs("a server").map(|()| Source::Http(text.to_owned()))?,
            "tar" => needs("an archive, as in tar:src.tar.gz").map(|()| Source::Tar(what.into()))?,
            "cmd" => needs("a command, as in cmd:./scheme.py").map(|()| Source::Cmd(what.to_owned()))?,
            "overlay" => return overlay(what).map(|source| (source, false)),
            _ => return Err(SpecError::Scheme(text.into())),
        };
        Ok((source, false))
    }
}

fn overlay(what: &str) -> Result<Source, SpecError> {
    let needs = || SpecError::Needs("overlay:".into(), "LOWER:UPPER, as in overlay:/usr:/tmp/changes");
    let (lower, upper) = match what.strip_prefix('[') {
        Some(rest) => {
            let end = rest.rfind(']').ok_or_else(needs)?;
            (Source::parse(&rest[..end])?.0, rest[end + 1..].strip_prefix(':').unwrap_or(&rest[end + 1..]))
        }
        None => {
            let (lower, upper) = what.split_once(':').ok_or_else(needs)?;
            if lower.is_empty() {
                return Err(needs());
            }
            (Source::Dir(lower.into()), upper)
        }
    };
    if lower == Source::Proc {
        return Err(SpecError::Needs("overlay:".into(), "a tree of files below: `proc:` has handles"));
    }
    let upper = match upper {
        "" | "mem:" => None,
        path => Some(Path::new(path.strip_prefix("dir:").unwrap_or(path)).to_owned()),
    };
    Ok(Source::Overlay(Box::new(lower), upper))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source(text: &str) -> Source {
        Spec::parse(&format!("/m={text}")).unwrap().source
    }

    #[test]
    fn each_scheme_is_understood() {
        assert_eq!(source("dir:/a b:c"), Source::Dir("/a b:c".into()));
        assert_eq!(source("mem:"), Source::Mem);
        assert_eq!(source("proc:"), Source::Proc);
        assert_eq!(source("http://h:8/p=q"), Source::Http("http://h:8/p=q".into()));
        assert_eq!(source("http:http://h/"), Source::Http("http://h/".into()));
        assert_eq!(source("http:"), Source::Http("http:".into()));
        assert_eq!(source("tar:x.tar"), Source::Tar("x.tar".into()));
        assert_eq!(source("cmd:python3 s.py '/a b'"), Source::Cmd("python3 s.py '/a b'".into()));
        let usr = || Box::new(Source::Dir("/usr".into()));
        assert_eq!(source("overlay:/usr:"), Source::Overlay(usr(), None));
        assert_eq!(source("overlay:/usr:mem:"), Source::Overlay(usr(), None));
        assert_eq!(source("overlay:/usr:/up"), Source::Overlay(usr(), Some("/up".into())));
        let tar = Source::Tar("a:b[1].tar".into());
        assert_eq!(
            source("overlay:[tar:a:b[1].tar]:/up"),
            Source::Overlay(Box::new(tar), Some("/up".into()))
        );
    }

    #[test]
    fn rights_are_what_was_written() {
        let rights = |text: &str| Spec::parse(text).unwrap().rights;
        assert_eq!(rights("/m=dir:/a"), Rights::ALL);
        assert_eq!(rights("/m=dir:/a:ro"), Rights::READ_ONLY);
        assert_eq!(rights("/m,ro=dir:/a"), Rights::READ_ONLY);
        assert_eq!(rights("/m,rw=dir:/a:ro"), Rights { read: true, write: false, execute: false });
        assert_eq!(rights("/m,x=dir:/a"), Rights { read: false, write: false, execute: true });
        assert_eq!(rights("/m,deny"), Rights::DENY);
        let spec = Spec::parse("/m,rx,fresh=http://h").unwrap();
        assert_eq!((spec.executable, spec.fresh), (true, Some(true)));
    }

    #[test]
    fn what_is_wrong_is_said_with_the_line() {
        let fails = |text: &str| Spec::parse(text).unwrap_err().to_string();
        assert_eq!(fails("/x"), "`/x` is no mount: POINT=SCHEME:WHAT is wanted, as in /x=dir:/srv");
        assert_eq!(fails("x=dir:/a"), "mount point `x` must begin with `/`");
        assert!(fails("/x=ftp:h").starts_with("unknown scheme in `ftp:h`"));
        assert!(fails("/x=/srv").starts_with("unknown scheme in `/srv`"));
        assert!(fails("/x,q=mem:").starts_with("unknown mount option `q`"));
        assert_eq!(fails("/x=tar:"), "`tar:` needs an archive, as in tar:src.tar.gz");
        assert_eq!(fails("/x,deny=mem:"), "`deny` mounts nothing: leave `mem:` away");
        assert!(fails("/x,lazy=mem:").starts_with("`lazy` is for http:"));
        assert!(fails("/x,lazy,fresh=http:").starts_with("`lazy` is for http:"));
        assert!(fails("/x=overlay:[proc:]:").contains("`proc:` has handles"));
        assert_eq!(fails("/x=proc:1"), "`proc:` needs nothing after the colon");
        assert!(fails("/x=overlay:/usr").contains("needs LOWER:UPPER"));

        let text = "# mounts\n\n/data  r  tar:my archive.tar.gz   # the data\n\t/my\\040dir - dir:/srv/a#b\n/s deny\n";
        let specs = Spec::parse_file("m", text).unwrap();
        assert_eq!(specs.len(), 3);
        assert_eq!(specs[0].source, Source::Tar("my archive.tar.gz".into()));
        assert_eq!(
            (specs[1].point.as_path(), &specs[1].source),
            (Path::new("/my dir"), &Source::Dir("/srv/a#b".into()))
        );
        assert_eq!(specs[2].source, Source::Nothing);
        let error = Spec::parse_file("mounts.txt", "/a - mem:\n\n/b - nfs:x\n").unwrap_err().to_string();
        assert!(error.starts_with("mounts.txt:3: unknown scheme in `nfs:x`"), "{error}");
        let error = Spec::parse_file("m", "/a\n").unwrap_err().to_string();
        assert!(error.starts_with("m:1: `/a` is no mount"), "{error}");
    }
}
