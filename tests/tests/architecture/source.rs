//! The files of the workspace, and Rust text without its comments and strings.

use std::fs;
use std::path::{Path, PathBuf};

/// The workspace.
pub(crate) fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the package is in the workspace")
}

/// A file of the workspace.
pub(crate) struct Source {
    /// Relative to the workspace.
    pub(crate) path: String,
    /// Its text.
    pub(crate) text: String,
}

impl Source {
    /// The text without comments, strings and characters.
    pub(crate) fn code(&self) -> String {
        code(&self.text)
    }
}

/// All files below `dir` with this ending, sorted; what cargo and git keep is left out.
pub(crate) fn files(dir: &str, ending: &str) -> Vec<Source> {
    let mut found = Vec::new();
    walk(&root().join(dir), ending, &mut found);
    found.sort();
    let read = |path: PathBuf| {
        let text = fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        Source { path: path.strip_prefix(root()).expect("below the root").display().to_string(), text }
    };
    found.into_iter().map(read).collect()
}

fn walk(dir: &Path, ending: &str, found: &mut Vec<PathBuf>) {
    let Ok(entries) = fs::read_dir(dir) else { return };
    for entry in entries.filter_map(Result::ok) {
        let (path, name) = (entry.path(), entry.file_name().to_string_lossy().into_owned());
        if path.is_dir() {
            if name != "target" && name != ".git" {
                walk(&path, ending, found);
            }
        } else if name.ends_with(ending) {
            found.push(path);
        }
    }
}

/// Rust text with comments, strings and character literals blanked; line breaks stay.
pub(crate) fn code(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let skipped = comment(rest).or_else(|| raw_string(rest)).or_else(|| quoted(rest));
        match skipped {
            Some(len) => {
                out.extend(rest[..len].chars().filter(|&c| c == '\n'));
                out.push(' ');
                rest = &rest[len..];
            }
            None => {
                out.push(first);
                rest = &rest[first.len_utf8()..];
            }
        }
    }
    out
}

/// Length of a comment at the start.
fn comment(text: &str) -> Option<usize> {
    if text.starts_with("//") {
        return Some(text.find('\n').unwrap_or(text.len()));
    }
    text.starts_with("/*").then(|| text.find("*/").map_or(text.len(), |at| at + 2))
}

/// Length of `r"…"`, `br#"…"#` and so on.
fn raw_string(text: &str) -> Option<usize> {
    let after_r =
        text.strip_prefix("br").or_else(|| text.strip_prefix("cr")).or_else(|| text.strip_prefix('r'))?;
    let hashes = after_r.len() - after_r.trim_start_matches('#').len();
    let body = after_r[hashes..].strip_prefix('"')?;
    let end = format!("\"{}", "#".repeat(hashes));
    let start = text.len() - body.len();
    Some(body.find(&end).map_or(text.len(), |at| start + at + end.len()))
}

/// Length of `"…"` or `'c'`; lifetimes are none.
fn quoted(text: &str) -> Option<usize> {
    let quote = text.chars().next().filter(|c| matches!(c, '"' | '\''))?;
    let mut chars = text.char_indices().skip(1);
    let mut len = 0;
    while let Some((at, c)) = chars.next() {
        len += 1;
        match c {
            '\\' => drop(chars.next()),
            _ if c == quote => return Some(at + 1),
            _ if quote == '\'' && len > 1 && !text[1..].starts_with('\\') => return None,
            _ => {}
        }
    }
    None
}

/// The words of a piece of code that are names.
pub(crate) fn names(code: &str) -> impl Iterator<Item = &str> {
    code.split(|c: char| !c.is_alphanumeric() && c != '_').filter(|word| !word.is_empty())
}

/// Every path that starts with `krate`, as `krate::first`, also from `use krate::{first, …}`.
pub(crate) fn modules_used(code: &str, krate: &str) -> Vec<String> {
    let start = format!("{krate}::");
    let mut found = Vec::new();
    for (at, _) in code.match_indices(&start) {
        let rest = &code[at + start.len()..];
        if let Some(group) = rest.strip_prefix('{') {
            let mut depth = 0;
            let mut item = String::new();
            for c in group.chars() {
                match c {
                    '{' => depth += 1,
                    '}' if depth == 0 => break,
                    '}' => depth -= 1,
                    ',' if depth == 0 => found.push(std::mem::take(&mut item)),
                    c if depth == 0 => item.push(c),
                    _ => {}
                }
            }
            found.push(item);
        } else {
            found.push(rest.to_owned());
        }
    }
    found.iter().filter_map(|path| names(path).next().map(str::to_owned)).collect()
}

/// Does this very file's reader work? A checker that sees nothing finds nothing.
pub(crate) fn self_check() -> Result<(), String> {
    let text = "use a::{b, c::{d, e}, f}; // unsafe\nlet s = \"unsafe \\\" x\"; let c = '\"'; fn g<'a>(x: &'a u8) { a::h() }\
                \nr#\"unsafe\"#; /* unsafe */ b\"un\";";
    let code = code(text);
    let found = modules_used(&code, "a");
    let expected = ["b", "c", "f", "h"];
    if found != expected || names(&code).any(|name| name == "unsafe") || !names(&code).any(|name| name == "g")
    {
        return Err(format!("the reader sees {found:?} in {code:?}"));
    }
    Ok(())
}
