//! `http:`: what a web server has, as a read-only tree. `https:` is a feature of the build.
//!
//! A name is looked at with HEAD and read with GET. What redirects to an address with a slash at its end is a directory, and
//! its entries are the links of the page there, as a server's own index has them. HTTP has no permissions and no links.

mod ask;
mod body;
mod listing;

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::Read;
use std::sync::Mutex;
use std::time::{Duration, UNIX_EPOCH};

use kernel_model::abi::{Errno, Result, Stat};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use self::ask::{Answer, Client};
use self::body::Body;
use super::names::to_bytes;
use super::tree::{Tree, lock};

/// How a server is asked.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// Let the server say whenever somebody looks whether what was seen is still right (If-None-Match, If-Modified-Since).
    pub fresh: bool,
    /// Permission bits of files.
    pub mode: u16,
    /// How long nothing may happen: name service, connection, one read.
    pub patience: Duration,
}

impl Default for Options {
    fn default() -> Self {
        Options { fresh: false, mode: 0o644, patience: Duration::from_secs(30) }
    }
}

/// Everything below an address.
pub struct Http {
    client: Client,
    /// Without a slash at its end. Empty: the first name of a path is the host.
    base: String,
    scheme: &'static str,
    options: Options,
    seen: Mutex<HashMap<String, Seen>>,
}

/// What a server said of a name.
#[derive(Clone)]
struct Seen {
    stat: Stat,
    /// Where it is, after redirects.
    url: String,
    validator: Validator,
}

/// What tells one version of a file from another.
#[derive(Clone, Default, PartialEq, Eq, Debug)]
struct Validator {
    etag: Option<String>,
    modified: Option<String>,
}

/// Everything that has a meaning in a path or after it, and everything that is not ASCII.
const IN_NAMES: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

impl Http {
    /// The tree at `url`, which begins with `http:` or `https:`. `http:` alone: every server, by its name.
    pub fn new(url: &str, options: Options) -> Result<Http> {
        let (scheme, rest) = match url.split_once(':') {
            Some(("http", rest)) => ("http", rest),
            Some(("https", rest)) if cfg!(feature = "https") => ("https", rest),
            Some(("https", _)) => return Err(Errno::EPROTONOSUPPORT),
            _ => return Err(Errno::EINVAL),
        };
        let rest = rest.trim_start_matches('/').trim_end_matches('/');
        let base = if rest.is_empty() { String::new() } else { format!("{scheme}://{rest}") };
        if base.contains(['?', '#', ' ']) {
            return Err(Errno::EINVAL);
        }
        Ok(Http { client: Client::new(options.patience), base, scheme, options, seen: Mutex::default() })
    }

    /// The address of a name; `None` where there is only a list of hosts that nobody has.
    fn url(&self, path: &str) -> Option<String> {
        let mut url = self.base.clone();
        let mut path = path;
        if url.is_empty() {
            let (host, rest) = path.split_once('/').unwrap_or((path, ""));
            if host.is_empty() {
                return None;
            }
            url = format!("{}://{host}", self.scheme);
            path = rest;
        }
        for name in path.split('/').filter(|name| !name.is_empty()) {
            url.push('/');
            match std::str::from_utf8(&to_bytes(name)) {
                Ok(name) => url.extend(utf8_percent_encode(name, IN_NAMES)),
                Err(_) => url.extend(to_bytes(name).iter().map(|byte| format!("%{byte:02X}"))),
            }
        }
        // The root of a server is a directory; what others are, it says itself.
        if path.is_empty() && url.matches('/').count() == 2 {
            url.push('/');
        }
        Some(url)
    }

    fn look(&self, path: &str) -> Result<Seen> {
        let known = lock(&self.seen).get(path).cloned();
        if let Some(seen) = known.as_ref().filter(|_| !self.options.fresh) {
            return Ok(seen.clone());
        }
        let Some(url) = self.url(path) else {
            return Ok(Seen {
                stat: directory(Stat::UNKNOWN),
                url: String::new(),
                validator: Validator::default(),
            });
        };
        let answer = self.client.look(&url, known.as_ref().map(|seen| &seen.validator))?;
        let seen = match (answer.status, known) {
            (304, Some(known)) => known,
            (status, _) => self.judge(&answer, status)?,
        };
        lock(&self.seen).insert(path.to_owned(), seen.clone());
        Ok(seen)
    }

    fn judge(&self, answer: &Answer, status: u16) -> Result<Seen> {
        let is_dir = answer.url.split(['?', '#']).next().is_some_and(|url| url.ends_with('/'));
        // A directory that may not be listed can still be walked through.
        if !(is_dir && status == 403) {
            ask::judge(status)?;
        }
        let date = answer.modified().and_then(|date| date.duration_since(UNIX_EPOCH).ok());
        let mtime = date.map_or(Stat::UNKNOWN, |since| since.as_secs());
        let validator = answer.validator();
        let stat = if is_dir {
            directory(mtime)
        } else {
            let size = answer.length().unwrap_or(Stat::UNKNOWN);
            let ino = if self.options.fresh { number(&answer.url, &validator) } else { 0 };
            Stat { mode: Stat::MODE_FILE | self.options.mode, size, mtime, ino, mtime_nsec: 0 }
        };
        Ok(Seen { stat, url: answer.url.clone(), validator })
    }
}

fn directory(mtime: u64) -> Stat {
    Stat { mode: Stat::MODE_DIR | 0o755, mtime, ..Stat::default() }
}

/// Another version has another number, so that what was kept of the old one is given up.
fn number(url: &str, validator: &Validator) -> u64 {
    let Some(etag) = &validator.etag else { return 0 };
    let mut hasher = DefaultHasher::new();
    (url, etag).hash(&mut hasher);
    hasher.finish().max(1)
}

impl Tree for Http {
    fn stat(&self, path: &str) -> Result<Stat> {
        self.look(path).map(|seen| seen.stat)
    }

    fn list(&self, path: &str) -> Result<Vec<String>> {
        let seen = self.look(path)?;
        if seen.url.is_empty() {
            return Ok(Vec::new());
        }
        let page = self.client.page(&seen.url)?;
        let entries = listing::entries(&page.url, &page.text);
        if !self.options.fresh {
            let mut known = lock(&self.seen);
            for entry in entries.iter().filter(|entry| entry.is_dir) {
                let below =
                    if path.is_empty() { entry.name.clone() } else { format!("{path}/{}", entry.name) };
                let url = format!("{}{}/", page.url, entry.link);
                let seen = Seen { stat: directory(Stat::UNKNOWN), url, validator: Validator::default() };
                known.entry(below).or_insert(seen);
            }
        }
        Ok(entries.into_iter().map(|entry| entry.name).collect())
    }

    fn link(&self, _path: &str) -> Result<String> {
        Err(Errno::EINVAL)
    }

    fn content(&self, path: &str, from: u64) -> Result<Box<dyn Read + Send>> {
        let seen = self.look(path)?;
        let body = Body::open(&self.client, &seen.url, &seen.validator, from);
        if let Err(Errno::ESTALE | Errno::ENOENT) = body {
            lock(&self.seen).remove(path); // so that the next who looks sees what is there now
        }
        Ok(Box::new(body?))
    }
}
