//! The register files of x86-64 as Redox lays them out. Only tools and machines look inside; the kernel passes bytes.

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// `regs/int`: 21 words, 168 bytes, in this order.
///
/// At a PRE stop `rax` is the call's number and may be changed; at a POST stop it is the result.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[expect(missing_docs, reason = "the field names are the registers' names")]
pub struct IntRegisters {
    pub r15: u64,
    pub r14: u64,
    pub r13: u64,
    pub r12: u64,
    pub rbp: u64,
    pub rbx: u64,
    pub r11: u64,
    pub r10: u64,
    pub r9: u64,
    pub r8: u64,
    pub rax: u64,
    pub rcx: u64,
    pub rdx: u64,
    pub rsi: u64,
    pub rdi: u64,
    pub rip: u64,
    pub cs: u64,
    pub rflags: u64,
    pub rsp: u64,
    pub ss: u64,
    pub fs: u64,
}

/// `regs/float`: the first 416 bytes of an FXSAVE area.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, FromBytes, IntoBytes, Immutable, KnownLayout)]
pub struct FloatRegisters {
    /// x87 control word.
    pub fcw: u16,
    /// x87 status word.
    pub fsw: u16,
    /// Abridged x87 tag word.
    pub ftw: u8,
    /// Reserved.
    pub reserved: u8,
    /// Last x87 opcode.
    pub fop: u16,
    /// Last x87 instruction pointer.
    pub fip: u64,
    /// Last x87 data pointer.
    pub fdp: u64,
    /// SSE control and status.
    pub mxcsr: u32,
    /// Bits of mxcsr that may be set.
    pub mxcsr_mask: u32,
    /// st0–st7, 80 bits each in 16 bytes.
    pub st: [[u8; 16]; 8],
    /// xmm0–xmm15.
    pub xmm: [[u8; 16]; 16],
}

/// `regs/env`: segment bases, 16 bytes.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, FromBytes, IntoBytes, Immutable, KnownLayout)]
pub struct EnvRegisters {
    /// Base of fs: thread-local storage.
    pub fsbase: u64,
    /// Base of gs.
    pub gsbase: u64,
}

impl Default for FloatRegisters {
    fn default() -> Self {
        zerocopy::FromZeros::new_zeroed()
    }
}
