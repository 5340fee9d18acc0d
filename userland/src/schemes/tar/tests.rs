//! Hostile and damaged archives. What GNU tar makes is compared with the disk in the tests of the whole project.

use std::io::Read;
use std::sync::Arc;

use kernel_model::abi::{Errno, Stat};
use tar::{Builder, EntryType, Header};

use super::Tar;
use crate::schemes::private::Private;
use crate::schemes::tree::Tree;

/// An entry whose name no library would write.
fn entry(builder: &mut Builder<Vec<u8>>, kind: EntryType, name: &str, link: &str, bytes: &[u8]) {
    let mut header = Header::new_ustar();
    header.as_old_mut().name[..name.len()].copy_from_slice(name.as_bytes());
    header.as_old_mut().linkname[..link.len()].copy_from_slice(link.as_bytes());
    header.set_entry_type(kind);
    header.set_size(bytes.len() as u64);
    header.set_mode(0o644);
    header.set_mtime(1);
    header.set_cksum();
    builder.append(&header, bytes).unwrap();
}

fn open(bytes: &[u8]) -> (Tar, tempfile::TempDir) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("x.tar");
    std::fs::write(&path, bytes).unwrap();
    (Tar::new(&path, &Arc::new(Private::inside(dir.path()).unwrap())).unwrap(), dir)
}

fn text(tar: &Tar, path: &str) -> Result<String, Errno> {
    let mut text = String::new();
    tar.content(path, 0)?.read_to_string(&mut text).unwrap();
    Ok(text)
}

#[test]
fn no_name_leaves_the_tree() {
    let mut builder = Builder::new(Vec::new());
    entry(&mut builder, EntryType::Regular, "../above", "", b"x");
    entry(&mut builder, EntryType::Regular, "a/../../above", "", b"x");
    entry(&mut builder, EntryType::Regular, "/etc/passwd", "", b"inside");
    entry(&mut builder, EntryType::Symlink, "out", "/etc", b"");
    entry(&mut builder, EntryType::Regular, "out/shadow", "", b"also inside");
    entry(&mut builder, EntryType::Link, "hard", "../../etc/passwd", b"");
    entry(&mut builder, EntryType::Link, "hard2", "/etc/passwd", b"");
    entry(&mut builder, EntryType::Block, "disk", "", b"");
    entry(&mut builder, EntryType::Regular, "", "", b"no name");
    entry(&mut builder, EntryType::Regular, "./b//c", "", b"c");
    let (tar, _dir) = open(&builder.into_inner().unwrap());
    assert_eq!(tar.list("").unwrap(), ["b", "etc", "hard2", "out"]);
    assert_eq!(text(&tar, "etc/passwd").unwrap(), "inside");
    assert_eq!(tar.stat("hard2").unwrap(), tar.stat("etc/passwd").unwrap());
    assert!(
        tar.stat("out").unwrap().is_dir(),
        "what is written through a link makes it a directory of the tree"
    );
    assert_eq!(text(&tar, "out/shadow").unwrap(), "also inside");
    assert_eq!(tar.stat("b/c/d"), Err(Errno::ENOTDIR));
    assert_eq!(tar.stat("b/x/d"), Err(Errno::ENOENT));
    assert_eq!(tar.stat("").unwrap().mode, Stat::MODE_DIR | 0o755);
}

#[test]
fn the_last_word_counts() {
    let mut builder = Builder::new(Vec::new());
    entry(&mut builder, EntryType::Regular, "a", "", b"old");
    entry(&mut builder, EntryType::Regular, "d/x/y", "", b"y");
    entry(&mut builder, EntryType::Regular, "a", "", b"newer");
    entry(&mut builder, EntryType::Regular, "d", "", b"a file now");
    let (tar, _dir) = open(&builder.into_inner().unwrap());
    assert_eq!(text(&tar, "a").unwrap(), "newer");
    assert_eq!(text(&tar, "d").unwrap(), "a file now");
    assert_eq!(tar.stat("d/x"), Err(Errno::ENOTDIR));
}

#[test]
fn a_cut_archive_is_an_error_not_an_end() {
    let mut builder = Builder::new(Vec::new());
    entry(&mut builder, EntryType::Regular, "a", "", &[7; 5000]);
    let bytes = builder.into_inner().unwrap();
    let (tar, _dir) = open(&bytes[..3000]);
    // Whether the index can be made or not: nobody is told of 5000 bytes and given fewer.
    if tar.stat("a").is_ok() {
        let mut all = Vec::new();
        assert!(tar.content("a", 0).unwrap().read_to_end(&mut all).is_err());
    }
    let (noise, _dir) = open(&[0x55; 4096]);
    assert_eq!(noise.stat(""), Err(Errno::EIO));
    let (bad, _dir) = open(&[0x1f, 0x8b, 8, 0, 1, 2, 3, 4]);
    assert_eq!(bad.stat(""), Err(Errno::EIO));
    let (empty, _dir) = open(&[]);
    assert_eq!(empty.list(""), Ok(vec![]));
}
