//! Links the unwinder into the program. As a library of its own it is found, mapped, relocated and initialised at each start
//! (its constructor asks the processor what it can do, which in a virtual machine leaves that machine ten times): a twentieth
//! of what `tracefd run` takes to start a small command. Rust asks for `-lgcc_s`, so that name stands for the archives that
//! every gcc has.

use std::path::Path;

fn main() -> std::io::Result<()> {
    println!("cargo::rerun-if-changed=build.rs");
    let folder = std::env::var("OUT_DIR").expect("cargo says where to build");
    std::fs::write(Path::new(&folder).join("libgcc_s.so"), "INPUT(-lgcc_eh -lgcc)\n")?;
    println!("cargo::rustc-link-search=native={folder}");
    Ok(())
}
