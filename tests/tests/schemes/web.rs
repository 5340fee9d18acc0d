//! `http:` against python3's server, which must look like the directory it serves, and against a server that misbehaves,
//! which must give an errno and nothing half.

use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use conformance::harness::{Outcome, Suite, ensure};
use conformance::needs::Need;
use kernel_model::abi::Errno;
use userland::run::backing::{Backing, Intent};
use userland::schemes::http::{Http, Options};
use userland::schemes::private::Private;
use userland::schemes::shadow::{Habit, Shadow, Silent};
use userland::schemes::tree::Files;

use super::compare::{Detail, same_tree, shadow};
use super::server::{Bad, Python, big_piece};

/// Adds the tests.
pub(crate) fn add(suite: &mut Suite) {
    suite.test("http_python_is_the_directory", &[Need::Program("python3")], python);
    suite.test("http_one_file_and_every_host", &[Need::Program("python3")], names);
    suite.test("http_bad_answers_are_errnos", &[], errnos);
    suite.test("http_broken_transfers_leave_nothing", &[], broken);
    suite.test("http_odd_but_right_answers_are_understood", &[], odd);
    suite.test("http_etag_is_asked_for", &[], etag);
    suite.test("http_big_file_is_stored_once", &[], big);
}

const DETAIL: Detail = Detail { mode: false, time: true, nanoseconds: false, directory_time: false };

fn fill(dir: &Path) -> std::io::Result<()> {
    let mut random = fastrand::Rng::with_seed(5);
    for (number, size) in [0, 1, 70_000, 2 << 20].into_iter().enumerate() {
        fs::create_dir_all(dir.join(format!("d{number}/e")))?;
        fs::write(dir.join(format!("d{number}/e/f")), (0..size).map(|_| random.u8(..)).collect::<Vec<_>>())?;
    }
    for name in [
        "käse und 日本",
        "a&b<c>\"d'",
        "100%",
        "q?x=1#y",
        "c:d",
        "line\nend",
        ".hidden",
        "+plus",
        "x;y",
        "~t",
        "[b]",
    ] {
        fs::write(dir.join(name), name)?;
        fs::create_dir_all(dir.join("odd").join(name))?;
        fs::write(dir.join("odd").join(name).join(name), "inside")?;
    }
    fs::create_dir(dir.join("empty"))?;
    let then = std::time::UNIX_EPOCH + Duration::from_secs(1_234_567_890);
    fs::File::options().write(true).open(dir.join("100%"))?.set_modified(then)
}

fn python() -> Outcome {
    let dir = tempfile::tempdir()?;
    fill(dir.path())?;
    let server = Python::serve(dir.path())?;
    let private = Arc::new(Private::new()?);
    let backing = shadow("http", Http::new(&server.url, Options::default())?, &private);
    same_tree(dir.path(), &backing, DETAIL)?;
    let mode = fs::metadata(backing.locate(Path::new("100%"), Intent::Look)?)?.mode();
    ensure(mode & 0o7777 == 0o644, || format!("mode {mode:o}"))?;
    ensure(backing.locate(Path::new("nothing"), Intent::Look) == Err(Errno::ENOENT), || "found".into())?;
    ensure(backing.locate(Path::new("100%/x"), Intent::Look) == Err(Errno::ENOTDIR), || "not ENOTDIR".into())
}

fn names() -> Outcome {
    let dir = tempfile::tempdir()?;
    fill(dir.path())?;
    let server = Python::serve(dir.path())?;
    let private = Arc::new(Private::new()?);
    let host = server.url.trim_start_matches("http://").trim_end_matches('/');
    let every = shadow("http", Http::new("http:", Options::default())?, &private);
    let path = every.locate(Path::new(host).join("odd/c:d/c:d").as_path(), Intent::Read)?;
    ensure(fs::read_to_string(path)? == "inside", || "another file".into())?;
    ensure(every.locate(Path::new(""), Intent::List)?.read_dir()?.count() <= 1, || {
        "hosts are listed".into()
    })?;
    let one = shadow("http", Http::new(&format!("{}d2/e/f", server.url), Options::default())?, &private);
    let path = one.locate(Path::new(""), Intent::Read)?;
    ensure(fs::read(path)? == fs::read(dir.path().join("d2/e/f"))?, || "another file".into())?;
    let part = shadow("http", Http::new(&format!("{}odd", server.url), Options::default())?, &private);
    same_tree(&dir.path().join("odd"), &part, DETAIL)
}

/// A mount of the bad server.
struct Mount {
    backing: Shadow<Files<Http>>,
    private: Arc<Private>,
}

impl Mount {
    fn of(url: &str, fresh: bool) -> Result<Mount, Box<dyn std::error::Error>> {
        Mount::with_patience(url, fresh, Duration::from_secs(120))
    }

    fn with_patience(
        url: &str,
        fresh: bool,
        patience: Duration,
    ) -> Result<Mount, Box<dyn std::error::Error>> {
        let private = Arc::new(Private::new()?);
        let http = Http::new(url, Options { fresh, patience, ..Options::default() })?;
        let habit = Habit { fresh, at_once: 1, lazy: false };
        let backing = Shadow::new(Files::new("http", http), "http", habit, &private, Arc::new(Silent))?;
        Ok(Mount { backing, private })
    }

    fn at(&self, below: &str, intent: Intent) -> Result<PathBuf, Errno> {
        self.backing.locate(Path::new(below), intent)
    }
}

fn errnos() -> Outcome {
    let server = Bad::serve()?;
    let mount = Mount::of(&server.url(), false)?;
    let expected = [
        ("400", Errno::EIO),
        ("401", Errno::EACCES),
        ("403", Errno::EACCES),
        ("404", Errno::ENOENT),
        ("410", Errno::ENOENT),
        ("429", Errno::EBUSY),
        ("500", Errno::EIO),
        ("503", Errno::EIO),
        ("504", Errno::ETIMEDOUT),
        ("circle", Errno::ELOOP),
        ("nonsense", Errno::EPROTO),
    ];
    for (path, errno) in expected {
        let found = mount.at(path, Intent::Look);
        ensure(found == Err(errno), || format!("/{path}: expected {errno:?}, found {found:?}"))?;
    }
    ensure(server.count("HEAD /circle") <= 20, || "it goes round and round".into())?;
    for path in ["nothing", "tls"] {
        let found = mount.at(path, Intent::Look);
        ensure(found.is_err(), || format!("/{path}: {found:?}"))?;
    }
    // A failure that may pass is asked about again; that a name is not there is remembered.
    mount.at("503", Intent::Look).err();
    mount.at("404", Intent::Look).err();
    ensure(server.count("HEAD /503") == 2 && server.count("HEAD /404") == 1, || "remembered wrongly".into())?;
    // Nobody listens there: the port was ours a moment ago.
    let free = TcpListener::bind("127.0.0.1:0")?.local_addr()?;
    let found = Mount::of(&format!("http://{free}/x"), false)?.at("", Intent::Look);
    ensure(found == Err(Errno::ECONNREFUSED), || format!("a closed port: {found:?}"))
}

fn broken() -> Outcome {
    let server = Bad::serve()?;
    let mount = Mount::of(&server.url(), false)?;
    let expected = [
        ("short", &[Errno::EIO][..]),
        ("lies", &[Errno::EIO]),
        // What was received before a reset may be thrown away with it.
        ("reset", &[Errno::ECONNRESET, Errno::EIO]),
        ("stall", &[Errno::ETIMEDOUT]),
    ];
    let impatient = Mount::with_patience(&server.url(), false, Duration::from_secs(2))?;
    for (path, errnos) in expected {
        let mount = if path == "stall" { &impatient } else { &mount };
        let placeholder = mount.at(path, Intent::Look)?;
        let found = mount.at(path, Intent::Read);
        ensure(found.as_ref().is_err_and(|errno| errnos.contains(errno)), || format!("/{path}: {found:?}"))?;
        let left = fs::metadata(placeholder)?;
        let size = if path == "lies" { 10 } else { 100 };
        ensure((left.len(), left.blocks()) == (size, 0), || format!("/{path} is half there: {left:?}"))?;
    }
    let found = mount.at("cut", Intent::Look);
    ensure(found.is_err(), || format!("/cut: {found:?}"))
}

fn odd() -> Outcome {
    let server = Bad::serve()?;
    let mount = Mount::of(&server.url(), false)?;
    let hundred = "0123456789".repeat(10);
    for path in ["resume", "moved", "nohead", "plain"] {
        let size = fs::metadata(mount.at(path, Intent::Look)?)?.len();
        ensure(size == 100, || format!("/{path}: {size} bytes"))?;
        let text = fs::read_to_string(mount.at(path, Intent::Read)?)?;
        ensure(text == hundred, || format!("/{path}: {text:?}"))?;
    }
    ensure(server.count("GET /resume bytes=50-") == 1, || "it was not taken up where it broke".into())?;
    let size = fs::metadata(mount.at("unsized", Intent::Look)?)?.len();
    ensure(size == 11, || format!("/unsized: {size} bytes"))
}

fn etag() -> Outcome {
    let server = Bad::serve()?;
    let mount = Mount::of(&server.url(), true)?;
    for _ in 0..3 {
        let text = fs::read_to_string(mount.at("etag", Intent::Read)?)?;
        ensure(text.len() == 100, || format!("{text:?}"))?;
    }
    ensure(server.count("GET /etag") == 1, || "what has not changed was fetched again".into())?;
    ensure(server.count("HEAD /etag") >= 3, || "it was not asked about".into())
}

/// A gigabyte: all of it is right, it is on the host once, and not in memory of ours.
fn big() -> Outcome {
    let pieces: u64 = 1 << 14;
    let server = Bad::serve()?;
    let mount = Mount::of(&format!("{}/big/{pieces}", server.url()), false)?;
    let path = mount.at("", Intent::Read)?;
    let stored = |dir: &Path| -> std::io::Result<u64> {
        let mut sum = 0;
        let mut left = vec![dir.to_owned()];
        while let Some(dir) = left.pop() {
            for entry in fs::read_dir(dir)? {
                let entry = entry?;
                let metadata = entry.metadata()?;
                if metadata.is_dir() { left.push(entry.path()) } else { sum += metadata.blocks() * 512 }
            }
        }
        Ok(sum)
    };
    let total = stored(mount.private.path())?;
    ensure(total <= (pieces << 16) + (1 << 20), || format!("{total} bytes are stored"))?;
    let mut file = fs::File::open(path)?;
    ensure(file.metadata()?.len() == pieces << 16, || "another size".into())?;
    let (mut buf, mut piece) = (vec![0; 1 << 16], Vec::new());
    for number in 0..pieces {
        std::io::Read::read_exact(&mut file, &mut buf)?;
        big_piece(number, &mut piece);
        ensure(buf == piece, || format!("piece {number} is another"))?;
    }
    Ok(())
}
