//! Names as text: Redox paths are UTF-8, file names are bytes, and a directory's names are separated by newlines.
//!
//! A byte that has no place in such text becomes the character U+EF00 + byte, in the private use area; so does every byte
//! of a character of that range. The way back is therefore exact, and names that are text look as they are.

use std::borrow::Cow;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

const FIRST: u32 = 0xEF00;
const LAST: u32 = 0xEFFF;

fn escaped(byte: u8) -> char {
    char::from_u32(FIRST + u32::from(byte)).unwrap_or(char::REPLACEMENT_CHARACTER)
}

/// The text of a name or path.
pub fn to_text(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len());
    for chunk in bytes.utf8_chunks() {
        for c in chunk.valid().chars() {
            if c == '\n' || (FIRST..=LAST).contains(&u32::from(c)) {
                text.extend(c.encode_utf8(&mut [0; 4]).bytes().map(escaped));
            } else {
                text.push(c);
            }
        }
        text.extend(chunk.invalid().iter().copied().map(escaped));
    }
    text
}

/// The bytes that [`to_text`] made this of.
pub fn to_bytes(text: &str) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(text.len());
    for c in text.chars() {
        match u32::from(c) {
            code @ FIRST..=LAST => bytes.push((code - FIRST) as u8),
            _ => bytes.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes()),
        }
    }
    bytes
}

/// The text of a relative host path.
pub fn path_text(path: &Path) -> String {
    to_text(path.as_os_str().as_bytes())
}

/// A path under `dir`, without the slash that `join` adds for an empty one.
pub fn under(dir: &Path, below: &Path) -> PathBuf {
    const MORE: usize = 8; // what callers append: a slash, a dot, a NUL
    let mut path = PathBuf::with_capacity(dir.as_os_str().len() + below.as_os_str().len() + MORE);
    path.push(dir);
    if !below.as_os_str().is_empty() {
        path.push(below);
    }
    path
}

/// The host name of a directory's entry; `None` for what cannot be one, whoever said it.
pub fn entry_name(text: &str) -> Option<PathBuf> {
    let bytes = to_bytes(text);
    let odd = bytes.is_empty() || bytes == b"." || bytes == b".." || bytes.len() > 255;
    if odd || bytes.iter().any(|byte| matches!(byte, b'/' | 0)) {
        return None;
    }
    Some(PathBuf::from(OsStr::from_bytes(&bytes)))
}

/// A path of a tree without leading, trailing or doubled slashes and without `.`; `None` if it has `..` or a NUL.
pub fn clean(path: &str) -> Option<Cow<'_, str>> {
    let parts = || path.split('/').filter(|part| !part.is_empty() && *part != ".");
    if parts().any(|part| part == "..") || path.contains('\0') {
        return None;
    }
    let clean = parts().collect::<Vec<_>>().join("/");
    Some(if clean == path { Cow::Borrowed(path) } else { Cow::Owned(clean) })
}

/// The directory a path is in; `None` for the root.
pub fn parent(path: &str) -> Option<&str> {
    if path.is_empty() {
        return None;
    }
    Some(path.rsplit_once('/').map_or("", |(parent, _)| parent))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_survives() {
        let mut random = fastrand::Rng::with_seed(7);
        let plain = ["a", "käse", "日本", " ", "%2F", "a\tb"];
        for name in plain {
            assert_eq!(to_text(name.as_bytes()), name, "plain names look as they are");
        }
        for _ in 0..20_000 {
            let name: Vec<u8> = (0..random.usize(0..12)).map(|_| random.u8(..)).collect();
            let text = to_text(&name);
            assert!(!text.contains('\n'));
            assert_eq!(to_bytes(&text), name, "{text:?}");
        }
        let tricky = "x\u{EF0A}\u{EFFF}\n\u{EEFF}\u{F000}";
        assert_eq!(to_bytes(&to_text(tricky.as_bytes())), tricky.as_bytes());
    }

    #[test]
    fn what_is_no_name_is_refused() {
        for bad in ["", ".", "..", "a/b", "a\0b", "\u{EF2F}", &"x".repeat(256)] {
            assert_eq!(entry_name(bad), None, "{bad:?}");
        }
        assert_eq!(entry_name("..."), Some("...".into()));
        assert_eq!(clean("/a//./b/").as_deref(), Some("a/b"));
        assert_eq!(clean("a/../b"), None);
        assert_eq!((parent("a/b"), parent("a"), parent("")), (Some("a"), Some(""), None));
    }
}
