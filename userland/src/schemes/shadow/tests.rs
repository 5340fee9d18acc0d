//! A tree made for the purpose behind a [`Shadow`]: counted, failing, held back on demand.

use std::collections::BTreeMap;
use std::fs;
use std::io::{Cursor, Read};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};

use kernel_model::abi::{Errno, Result, Stat};

use super::{Backing, Habit, Intent, Shadow, Silent};
use crate::schemes::names::parent;
use crate::schemes::private::Private;
use crate::schemes::tree::{Files, Tree, lock};

#[derive(Clone)]
struct Node {
    stat: Stat,
    bytes: Vec<u8>,
    /// What is given instead of all of `bytes`: so many, then this.
    fails: Option<(usize, Errno)>,
}

#[derive(Default)]
struct Toy {
    nodes: Mutex<BTreeMap<String, Node>>,
    asked: Mutex<Vec<String>>,
    /// A transfer says that it begins, and waits for leave.
    gate: Mutex<Option<(Sender<()>, Receiver<()>)>>,
}

#[derive(Clone)]
struct Shared(Arc<Toy>);

fn stat(kind: u16, mode: u16, size: u64) -> Stat {
    Stat { mode: kind | mode, size, ino: 0, mtime: 1_000_000_000, mtime_nsec: 5 }
}

impl Toy {
    fn put(&self, path: &str, node: Node) {
        lock(&self.nodes).insert(path.into(), node);
    }

    fn dir(&self, path: &str) {
        self.put(path, Node { stat: stat(Stat::MODE_DIR, 0o755, 0), bytes: vec![], fails: None });
    }

    fn file(&self, path: &str, text: &str) {
        let stat = stat(Stat::MODE_FILE, 0o640, text.len() as u64);
        self.put(path, Node { stat, bytes: text.into(), fails: None });
    }

    fn change(&self, path: &str, change: impl FnOnce(&mut Node)) {
        change(lock(&self.nodes).get_mut(path).unwrap());
    }

    fn node(&self, what: &str, path: &str) -> Result<Node> {
        lock(&self.asked).push(format!("{what} {path}"));
        lock(&self.nodes).get(path).cloned().ok_or(Errno::ENOENT)
    }

    fn count(&self, question: &str) -> usize {
        lock(&self.asked).iter().filter(|asked| *asked == question).count()
    }
}

struct Failing(Errno);

impl Read for Failing {
    fn read(&mut self, _buf: &mut [u8]) -> std::io::Result<usize> {
        Err(self.0.into())
    }
}

impl Tree for Shared {
    fn stat(&self, path: &str) -> Result<Stat> {
        self.0.node("stat", path).map(|node| node.stat)
    }

    fn list(&self, path: &str) -> Result<Vec<String>> {
        self.0.node("list", path)?;
        let nodes = lock(&self.0.nodes);
        let inside = nodes.keys().filter(|name| parent(name) == Some(path));
        let mut names: Vec<String> = inside.map(|name| name.rsplit('/').next().unwrap().into()).collect();
        names.extend(["..", ".", "", "a\u{EF2F}b"].map(String::from)); // a hostile list
        Ok(names)
    }

    fn link(&self, path: &str) -> Result<String> {
        self.0.node("link", path).map(|node| String::from_utf8(node.bytes).unwrap())
    }

    fn content(&self, path: &str, from: u64) -> Result<Box<dyn Read + Send>> {
        let node = self.0.node("content", path)?;
        if let Some((begins, leave)) = &*lock(&self.0.gate) {
            begins.send(()).unwrap();
            leave.recv().unwrap();
        }
        let bytes = Cursor::new(node.bytes[from as usize..].to_vec());
        Ok(match node.fails {
            Some((so_many, errno)) => Box::new(bytes.take(so_many as u64).chain(Failing(errno))),
            None => Box::new(bytes),
        })
    }
}

type Toys = Shadow<Files<Shared>>;

fn toys(fresh: bool) -> (Arc<Toy>, Toys) {
    toys_of(Habit { fresh, at_once: 3, lazy: false })
}

fn toys_of(habit: Habit) -> (Arc<Toy>, Toys) {
    let toy = Arc::new(Toy::default());
    toy.dir("");
    toy.dir("d");
    toy.file("d/f", "hello");
    toy.file("g", "other");
    let private = Arc::new(Private::new().unwrap());
    let files = Files::new("toy", Shared(toy.clone()));
    (toy, Shadow::new(files, "toy", habit, &private, Arc::new(Silent)).unwrap())
}

fn at(shadow: &Toys, below: &str, intent: Intent) -> Result<std::path::PathBuf> {
    shadow.locate(Path::new(below), intent)
}

#[test]
fn a_placeholder_becomes_the_file_once_and_keeps_its_inode() {
    let (toy, shadow) = toys(false);
    assert!(!shadow.is_ready(Path::new("d/f"), Intent::Look));
    let path = at(&shadow, "d/f", Intent::Look).unwrap();
    let before = fs::metadata(&path).unwrap();
    assert_eq!((before.len(), before.blocks(), before.mode() & 0o7777), (5, 0, 0o640));
    assert_eq!((before.mtime(), before.mtime_nsec()), (1_000_000_000, 5));
    assert!(
        shadow.is_ready(Path::new("d/f"), Intent::Look) && !shadow.is_ready(Path::new("d/f"), Intent::Read)
    );
    std::thread::scope(|scope| {
        for _ in 0..16 {
            scope.spawn(|| {
                assert_eq!(fs::read_to_string(at(&shadow, "d/f", Intent::Read).unwrap()).unwrap(), "hello")
            });
        }
    });
    assert_eq!(toy.count("content d/f"), 1);
    let after = fs::metadata(&path).unwrap();
    assert_eq!(
        (before.ino(), before.mtime(), before.mtime_nsec()),
        (after.ino(), after.mtime(), after.mtime_nsec())
    );
    assert!(shadow.is_ready(Path::new("d/f"), Intent::Read));
    assert_eq!(shadow.name_of(&path).as_deref(), Some(Path::new("d/f")));
    let dir = fs::metadata(path.parent().unwrap()).unwrap();
    assert_eq!((dir.mtime(), dir.mode() & 0o777), (1_000_000_000, 0o755), "a new entry changes no time");
}

#[test]
fn a_directory_has_all_its_entries_and_no_others() {
    let (toy, shadow) = toys(false);
    let root = at(&shadow, "", Intent::List).unwrap();
    let mut names: Vec<_> = fs::read_dir(&root).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    names.sort();
    assert_eq!(names, ["d", "g"]);
    assert_eq!(fs::metadata(root.join("g")).unwrap().len(), 5);
    at(&shadow, "", Intent::List).unwrap();
    assert_eq!((toy.count("list "), toy.count("stat g")), (1, 1));
    assert_eq!(at(&shadow, "no", Intent::Look), Err(Errno::ENOENT));
    assert_eq!(at(&shadow, "no", Intent::Read), Err(Errno::ENOENT));
    assert_eq!(toy.count("stat no"), 1, "that it is not there is remembered");
    assert_eq!(at(&shadow, "g/x", Intent::Look), Err(Errno::ENOTDIR));
    for intent in [Intent::Change, Intent::Replace, Intent::Remove, Intent::Create] {
        assert_eq!(at(&shadow, "g", intent), Err(Errno::EROFS));
    }
    assert_eq!(at(&shadow, "d", Intent::Create), Err(Errno::EEXIST));
}

#[test]
fn a_slow_transfer_holds_up_nobody_else() {
    let (toy, shadow) = toys(false);
    let (begins, begun) = channel();
    let (leave, waits) = channel();
    at(&shadow, "g", Intent::Read).unwrap();
    *lock(&toy.gate) = Some((begins, waits));
    std::thread::scope(|scope| {
        let reader = scope.spawn(|| fs::read_to_string(at(&shadow, "d/f", Intent::Read).unwrap()).unwrap());
        begun.recv().unwrap();
        // The transfer of d/f hangs now; everything below answers.
        let seen = fs::metadata(at(&shadow, "d/f", Intent::Look).unwrap()).unwrap();
        assert_eq!((seen.len(), seen.mtime()), (5, 1_000_000_000));
        assert!(!shadow.is_ready(Path::new("d/f"), Intent::Read));
        assert!(shadow.is_ready(Path::new("d/f"), Intent::Look));
        at(&shadow, "", Intent::List).unwrap();
        at(&shadow, "d", Intent::List).unwrap();
        assert_eq!(fs::read_to_string(at(&shadow, "g", Intent::Read).unwrap()).unwrap(), "other");
        leave.send(()).unwrap();
        assert_eq!(reader.join().unwrap(), "hello");
    });
}

#[test]
fn a_failed_transfer_leaves_a_placeholder_and_may_be_tried_again() {
    let (toy, shadow) = toys(false);
    toy.change("g", |node| node.fails = Some((3, Errno::ETIMEDOUT)));
    let path = at(&shadow, "g", Intent::Look).unwrap();
    assert_eq!(at(&shadow, "g", Intent::Read), Err(Errno::ETIMEDOUT));
    let left = fs::metadata(&path).unwrap();
    assert_eq!((left.len(), left.blocks(), left.mtime()), (5, 0, 1_000_000_000));
    toy.change("g", |node| node.bytes.truncate(4));
    toy.change("g", |node| node.fails = None);
    assert_eq!(at(&shadow, "g", Intent::Read), Err(Errno::EIO), "shorter than fstat says");
    toy.change("g", |node| node.bytes = b"much more".to_vec());
    assert_eq!(at(&shadow, "g", Intent::Read), Err(Errno::EIO), "longer than fstat says");
    assert_eq!(fs::metadata(&path).unwrap().blocks(), 0);
    toy.file("g", "at last");
    assert_eq!(fs::read_to_string(at(&shadow, "g", Intent::Read).unwrap()).unwrap(), "at last");
}

#[test]
fn a_lazy_file_comes_in_parts_and_what_came_stays() {
    let (toy, shadow) = toys_of(Habit { fresh: false, at_once: 1, lazy: true });
    let text: Vec<u8> = (0..8_u32 << 20).map(|n| (n % 251) as u8 | 1).collect();
    toy.put("big", Node { stat: stat(Stat::MODE_FILE, 0o644, 8 << 20), bytes: text.clone(), fails: None });
    let path = at(&shadow, "big", Intent::Part(0)).unwrap();
    assert_eq!((fs::metadata(&path).unwrap().len(), fs::metadata(&path).unwrap().blocks()), (8 << 20, 0));
    assert_eq!(toy.count("content big"), 0, "to be open is not to be read");
    // The transfer breaks at 4 MiB; what is before that can be had, and is not transferred again.
    toy.change("big", |node| node.fails = Some((4 << 20, Errno::ETIMEDOUT)));
    at(&shadow, "big", Intent::Part(100)).unwrap();
    assert!(shadow.is_ready(Path::new("big"), Intent::Part(1 << 20)));
    assert!(!shadow.is_ready(Path::new("big"), Intent::Part(3 << 20)));
    assert!(fs::metadata(&path).unwrap().blocks() * 512 < 2 << 20, "not more than is read, and a little");
    assert_eq!(at(&shadow, "big", Intent::Part(5 << 20)), Err(Errno::ETIMEDOUT));
    at(&shadow, "big", Intent::Part(4 << 20)).unwrap();
    assert_eq!(&fs::read(&path).unwrap()[..4 << 20], &text[..4 << 20]);
    toy.change("big", |node| node.fails = None);
    let before = fs::metadata(&path).unwrap();
    at(&shadow, "big", Intent::Read).unwrap();
    let after = fs::metadata(&path).unwrap();
    assert!(fs::read(&path).unwrap() == text && toy.count("content big") == 2);
    assert_eq!((before.ino(), before.mtime()), (after.ino(), after.mtime()));
    // Another file under the same name: nothing is mixed.
    toy.put(
        "two",
        Node { stat: stat(Stat::MODE_FILE, 0o644, 8 << 20), bytes: text, fails: Some((4 << 20, Errno::EIO)) },
    );
    assert_eq!(at(&shadow, "two", Intent::Read), Err(Errno::EIO));
    toy.change("two", |node| node.stat.mtime += 1);
    assert_eq!(at(&shadow, "two", Intent::Read), Err(Errno::ESTALE));
}

#[test]
fn an_unknown_size_is_known_to_who_looks() {
    let (toy, shadow) = toys(false);
    toy.change("g", |node| node.stat.size = Stat::UNKNOWN);
    toy.change("g", |node| node.stat.mtime = Stat::UNKNOWN);
    assert_eq!(fs::metadata(at(&shadow, "g", Intent::Look).unwrap()).unwrap().len(), 5);
    at(&shadow, "g", Intent::Read).unwrap();
    assert_eq!(toy.count("content g"), 1);
}

#[test]
fn links_of_both_kinds_are_links() {
    let (toy, shadow) = toys(false);
    toy.change("g", |node| node.stat.ino = 9);
    let node = lock(&toy.nodes).get("g").cloned().unwrap();
    toy.put("d/same", node);
    let target = "../\u{EF0A}x"; // a newline in the target
    let link = stat(Stat::MODE_SYMLINK, 0o777, 5);
    toy.put("l", Node { stat: link, bytes: target.into(), fails: None });
    let both = ["g", "d/same"].map(|name| fs::metadata(at(&shadow, name, Intent::Look).unwrap()).unwrap());
    assert_eq!((both[0].ino(), both[1].nlink()), (both[1].ino(), 2));
    at(&shadow, "d/same", Intent::Read).unwrap();
    assert_eq!(fs::read_to_string(at(&shadow, "g", Intent::Read).unwrap()).unwrap(), "other");
    assert_eq!(toy.count("content g") + toy.count("content d/same"), 1);
    let link = at(&shadow, "l", Intent::Read).unwrap();
    assert_eq!(fs::read_link(&link).unwrap(), Path::new("../\nx"));
    assert_eq!(link.symlink_metadata().unwrap().mtime(), 1_000_000_000);
    assert_eq!(at(&shadow, "l/x", Intent::Look), Err(Errno::ENOTDIR), "links are followed by the caller");
}

#[test]
fn a_fresh_scheme_is_asked_each_time() {
    let (toy, shadow) = toys(true);
    let read = |name: &str| at(&shadow, name, Intent::Read).map(|path| fs::read_to_string(path).unwrap());
    assert_eq!((read("g"), read("g")), (Ok("other".into()), Ok("other".into())));
    assert_eq!(toy.count("content g"), 1, "the same is not fetched twice");
    let inode = || fs::metadata(at(&shadow, "g", Intent::Look).unwrap()).unwrap().ino();
    let before = inode();
    toy.file("g", "changed!");
    assert_ne!(before, inode(), "who has the old one open keeps it");
    assert_eq!(read("g"), Ok("changed!".into()));
    at(&shadow, "", Intent::List).unwrap();
    toy.file("new", "");
    lock(&toy.nodes).remove("g");
    let names: Vec<_> = fs::read_dir(at(&shadow, "", Intent::List).unwrap()).unwrap().collect();
    assert_eq!(names.len(), 2, "{names:?}");
    assert_eq!(read("g"), Err(Errno::ENOENT));
    lock(&toy.nodes).remove("d/f");
    lock(&toy.nodes).remove("d");
    toy.file("d", "now a file");
    assert_eq!(read("d"), Ok("now a file".into()));
    toy.dir("d");
    toy.file("d/f", "again");
    assert_eq!(read("d/f"), Ok("again".into()));
}

#[test]
fn nothing_stays_when_it_is_dropped() {
    let (_toy, shadow) = toys(false);
    let path = at(&shadow, "d/f", Intent::Read).unwrap();
    fs::set_permissions(path.parent().unwrap(), fs::Permissions::from_mode(0o555)).unwrap();
    let private = shadow.private.path().to_owned();
    drop(shadow);
    assert!(!private.exists());
}
