//! The binary's one unsafe block: where names of users and hosts are looked up.

#![expect(unsafe_code, reason = "the C library's function is in no crate")]

/// Users and groups in /etc/passwd and /etc/group, hosts in /etc/hosts and by DNS, whatever nsswitch.conf(5) says.
///
/// The program is linked to no shared library, and other services are shared libraries: loaded into such a program they
/// crash it (glibc's manual, "NSS Basics"; seen with libnss_systemd). As one linked to musl, it does without them.
pub(crate) fn look_names_up_in_files() {
    #[cfg(target_env = "gnu")]
    for (database, services) in
        [(c"passwd", c"files"), (c"group", c"files"), (c"initgroups", c"files"), (c"hosts", c"files dns")]
    {
        // SAFETY: two strings that end with a zero byte, which the C library reads (nss.h); no other thread looks a
        // name up yet.
        unsafe { __nss_configure_lookup(database.as_ptr(), services.as_ptr()) };
    }
}

#[cfg(target_env = "gnu")]
unsafe extern "C" {
    /// nss.h: 0, or −1 where it knows no such database.
    fn __nss_configure_lookup(
        database: *const std::ffi::c_char,
        services: *const std::ffi::c_char,
    ) -> std::ffi::c_int;
}
