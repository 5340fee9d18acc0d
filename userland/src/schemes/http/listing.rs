//! The links of an index page that name an entry of the very directory.
//!
//! Everything else on the page is left out: other servers, other directories, columns to sort by, "parent directory".

use std::collections::HashSet;

use html5gum::{Token, Tokenizer};
use percent_encoding::percent_decode_str;

use crate::schemes::names::{entry_name, to_text};

/// An entry of a directory.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) name: String,
    /// As the page writes it, without the slash of a directory.
    pub(super) link: String,
    pub(super) is_dir: bool,
}

/// The entries that the page at `url`, a directory, has links to; each once.
pub(super) fn entries(url: &str, page: &[u8]) -> Vec<Entry> {
    let mut entries = Vec::new();
    let mut seen = HashSet::new();
    for Ok(token) in Tokenizer::new(page) {
        let Token::StartTag(tag) = token else { continue };
        if *tag.name != b"a" {
            continue;
        }
        let Some(target) = tag.attributes.get(b"href".as_slice()) else { continue };
        let target = String::from_utf8_lossy(target).trim().to_owned();
        if let Some(entry) = entry(url, &target).filter(|entry| seen.insert(entry.name.clone())) {
            entries.push(entry);
        }
    }
    entries
}

fn entry(url: &str, target: &str) -> Option<Entry> {
    let target = target.split(['?', '#']).next()?;
    let origin_end = url.find("://").and_then(|at| url[at + 3..].find('/').map(|slash| at + 3 + slash))?;
    let (origin, dir) = url.split_at(origin_end);
    let dir = dir.split(['?', '#']).next()?;
    let dir = &dir[..=dir.rfind('/')?];
    let absolute = if has_scheme(target) { target.strip_prefix(origin)? } else { target };
    let relative = if absolute.starts_with("//") {
        return None;
    } else if absolute.starts_with('/') {
        absolute.strip_prefix(dir)?
    } else if has_scheme(target) {
        return None;
    } else {
        absolute.strip_prefix("./").unwrap_or(absolute)
    };
    let link = relative.strip_suffix('/').unwrap_or(relative);
    let name = to_text(&percent_decode_str(link).collect::<Vec<u8>>());
    entry_name(&name)?;
    Some(Entry { name, link: link.to_owned(), is_dir: relative.len() > link.len() })
}

/// `mailto:`, `https:`… RFC 3986, section 4.2: a relative name with a colon in it is written otherwise.
fn has_scheme(target: &str) -> bool {
    target.split_once(':').is_some_and(|(scheme, _)| {
        scheme.starts_with(|c: char| c.is_ascii_alphabetic())
            && scheme.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_in_the_directory_is_an_entry() {
        let page = br##"<!doctype html><h1>Index of /pub/</h1><a href="?C=N;O=D">Name</a><A HREF='../'>Parent</A>
            <a href="a.txt">a</a><a class=x href=b%20c/>b c</a><a href="./d:e">d</a><a href="/pub/f%2541">f</a>
            <a href="/pub/g/h">deeper</a><a href="/other/i">elsewhere</a><a href="http://host:8/pub/j/">j</a>
            <a href="http://else:8/pub/k">other</a><a href="//else/pub/l">other</a><a href="mailto:x@y">m</a>
            <a href="a.txt#again">a</a><a href="k&amp;&eacute;">entities</a><a name=anchor>none</a><a href="%2e%2e">up</a>
            <a href="n%2Fo">slash</a><a href="p%00">nul</a><a href="latin%E4">bytes</a><a href="/pub/">self</a><a href=q"##;
        let found: Vec<_> = entries("http://host:8/pub/", page)
            .into_iter()
            .map(|entry| format!("{}{}", entry.name, if entry.is_dir { "/" } else { "" }))
            .collect();
        assert_eq!(found, ["a.txt", "b c/", "d:e", "f%41", "j/", "k&é", "latin\u{EFE4}"]);
    }
}
