//! What is below stays as it is, whatever is done; random changes are in the tests of the whole project.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use kernel_model::abi::Errno;

use super::Overlay;
use crate::run::backing::{Backing, Intent};
use crate::schemes::dir::Dir;
use crate::schemes::private::Private;

fn overlay(below: &Path, above: &Path, private: &Arc<Private>) -> Overlay {
    Overlay::new(Arc::new(Dir::new(below, true).unwrap()), above, private).unwrap()
}

fn names(overlay: &Overlay, below: &str) -> Vec<String> {
    let dir = overlay.locate(Path::new(below), Intent::List).unwrap();
    let mut names: Vec<_> =
        fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

/// As the interposer does it: where, the call, that it is done.
fn act<T>(
    overlay: &Overlay,
    below: &str,
    intent: Intent,
    call: impl FnOnce(PathBuf) -> std::io::Result<T>,
) -> Result<T, Errno> {
    let host = overlay.locate(Path::new(below), intent)?;
    let result = call(host);
    overlay.finished(Path::new(below), intent, result.is_ok());
    result.map_err(|error| Errno(error.raw_os_error().unwrap()))
}

#[test]
fn below_stays_as_it_is_and_above_remembers() {
    let temp = tempfile::tempdir().unwrap();
    let (below, above) = (temp.path().join("below"), temp.path().join("above"));
    fs::create_dir_all(below.join("d/e")).unwrap();
    for name in ["a", "b", "d/x", "d/e/y"] {
        fs::write(below.join(name), name).unwrap();
    }
    let private = Arc::new(Private::inside(temp.path()).unwrap());
    let over = overlay(&below, &above, &private);
    let read = |over: &Overlay, name: &str| act(over, name, Intent::Read, fs::read_to_string);
    act(&over, "a", Intent::Replace, |path| fs::write(path, "changed")).unwrap();
    act(&over, "b", Intent::Remove, fs::remove_file).unwrap();
    assert_eq!(act(&over, "d", Intent::Remove, fs::remove_dir), Err(Errno::ENOTEMPTY));
    assert_eq!(act(&over, "d", Intent::Create, fs::create_dir), Err(Errno::EEXIST));
    act(&over, "d/x", Intent::Remove, fs::remove_file).unwrap();
    act(&over, "d/e/y", Intent::Remove, fs::remove_file).unwrap();
    act(&over, "d/e", Intent::Remove, fs::remove_dir).unwrap();
    act(&over, "d/e", Intent::Create, fs::create_dir).unwrap();
    act(&over, "d/new", Intent::Create, |path| fs::write(path, "new")).unwrap();
    assert_eq!(act(&over, ".wh.z", Intent::Create, |path| fs::write(path, "")), Err(Errno::EPERM));
    let check = |over: &Overlay| {
        assert_eq!(
            (names(over, ""), names(over, "d"), names(over, "d/e").len()),
            (vec!["a".into(), "d".into()], vec!["e".into(), "new".into()], 0)
        );
        assert_eq!(read(over, "a"), Ok("changed".into()));
        assert_eq!(read(over, "b"), Err(Errno::ENOENT));
        assert_eq!(read(over, "d/e/y"), Err(Errno::ENOENT));
        assert_eq!(read(over, ".wh.b"), Err(Errno::ENOENT));
    };
    check(&over);
    drop(over);
    check(&overlay(&below, &above, &private)); // another run, with the same directory above
    for name in ["a", "b", "d/x", "d/e/y"] {
        assert_eq!(fs::read_to_string(below.join(name)).unwrap(), name);
    }
}

#[test]
fn directories_can_be_moved_and_open_ones_see_what_happens() {
    let temp = tempfile::tempdir().unwrap();
    let (below, above) = (temp.path().join("below"), temp.path().join("above"));
    fs::create_dir_all(below.join("d/e")).unwrap();
    fs::write(below.join("d/e/y"), "y").unwrap();
    let private = Arc::new(Private::inside(temp.path()).unwrap());
    let over = overlay(&below, &above, &private);
    let open = over.locate(Path::new(""), Intent::List).unwrap();
    let from = over.locate(Path::new("d"), Intent::Remove).unwrap();
    let to = over.locate(Path::new("moved"), Intent::Create).unwrap();
    fs::rename(from, to).unwrap();
    over.finished(Path::new("d"), Intent::Remove, true);
    over.finished(Path::new("moved"), Intent::Create, true);
    let seen: Vec<_> = fs::read_dir(&open).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(seen, ["moved"]);
    assert_eq!(fs::read_to_string(over.locate(Path::new("moved/e/y"), Intent::Read).unwrap()).unwrap(), "y");
    assert_eq!(over.locate(Path::new("d"), Intent::Look), Err(Errno::ENOENT));
    assert_eq!(over.name_of(&open.join("moved")).as_deref(), Some(Path::new("moved")));
    let file = over.locate(Path::new("moved/e/y"), Intent::Look).unwrap();
    assert_eq!(over.name_of(&file).as_deref(), Some(Path::new("moved/e/y")));
}
