//! Links the program to no shared library and to fixed addresses. Libraries are found, mapped, relocated and initialised at
//! each start, as is a program that may lie anywhere (12,400 addresses of this one): together a fifth of what `tracefd run`
//! takes to start a small command. Rust asks for `-lc`, `-lm` and `-lgcc_s`, so those names stand for the archives that come
//! with the C library and gcc; where the linker's compiler lacks one, what would need it stays as Rust has it.

use std::path::{Path, PathBuf};
use std::process::Command;

fn main() -> std::io::Result<()> {
    println!("cargo::rerun-if-changed=build.rs");
    let said = |name: &str| std::env::var(name).unwrap_or_default();
    // The compiler that is asked below knows the host's archives; and who wants a static program from Rust itself gets that.
    if said("TARGET") != said("HOST")
        || said("CARGO_CFG_TARGET_ENV") != "gnu"
        || said("CARGO_CFG_TARGET_FEATURE").split(',').any(|feature| feature == "crt-static")
    {
        return Ok(());
    }
    let folder = PathBuf::from(std::env::var_os("OUT_DIR").expect("cargo says where to build"));
    let linker = std::env::var("RUSTC_LINKER").unwrap_or_else(|_| "cc".to_owned());
    // A name without a folder: it does not know.
    let known = |archive: &str| {
        let answer = Command::new(&linker).arg(format!("-print-file-name={archive}")).output().ok()?;
        let path = String::from_utf8(answer.stdout).ok()?.trim().to_owned();
        Path::new(&path).is_absolute().then_some(path)
    };
    if known("libgcc_eh.a").is_none() {
        return Ok(());
    }
    std::fs::write(folder.join("libgcc_s.so"), "INPUT(-lgcc_eh -lgcc)\n")?;
    println!("cargo::rustc-link-search=native={}", folder.display());
    let archives = known("libc.a").zip(known("libm.a"));
    if let Some((c, m)) = archives.filter(|(c, _)| looks_names_up(c)) {
        // Apart, because tests link this crate, too.
        let only = folder.join("static");
        std::fs::create_dir_all(&only)?;
        std::fs::write(only.join("libc.so"), format!("GROUP({c} -lgcc_eh -lgcc)\n"))?;
        std::fs::write(only.join("libm.so"), format!("INPUT({m})\n"))?;
        for arg in ["-static", "-no-pie", &format!("-L{}", only.display())] {
            println!("cargo::rustc-link-arg-bin=tracefd={arg}");
        }
    }
    Ok(())
}

/// Whether names of users and hosts need no shared library: glibc from 2.34 on.
fn looks_names_up(archive: &str) -> bool {
    let code = std::fs::read(archive).unwrap_or_default();
    let defines = |name: &[u8]| code.windows(name.len()).any(|bytes| bytes == name);
    defines(b"_nss_files_getpwnam_r\0") && defines(b"_nss_dns_gethostbyname4_r\0")
}
