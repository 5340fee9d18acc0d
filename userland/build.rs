//! Links the unwinder into the program. As a library of its own it is found, mapped, relocated and initialised at each start
//! (its constructor asks the processor what it can do, which in a virtual machine leaves that machine ten times): a twentieth
//! of what `tracefd run` takes to start a small command. Rust asks for `-lgcc_s`, so that name stands for the archives that
//! come with gcc; where the linker's compiler has none, it stays what it is.

use std::path::Path;
use std::process::Command;

fn main() -> std::io::Result<()> {
    println!("cargo::rerun-if-changed=build.rs");
    let folder = std::env::var("OUT_DIR").expect("cargo says where to build");
    let linker = std::env::var("RUSTC_LINKER").unwrap_or_else(|_| "cc".to_owned());
    let answer = Command::new(linker).arg("-print-file-name=libgcc_eh.a").output();
    // A name without a folder: it does not know.
    let known = |path: &[u8]| Path::new(String::from_utf8_lossy(path).trim()).is_absolute();
    if answer.is_ok_and(|answer| answer.status.success() && known(&answer.stdout)) {
        std::fs::write(Path::new(&folder).join("libgcc_s.so"), "INPUT(-lgcc_eh -lgcc)\n")?;
        println!("cargo::rustc-link-search=native={folder}");
    }
    Ok(())
}
