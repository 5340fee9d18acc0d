//! Where the arguments of a call in progress are: registers, by ABI.

use kernel_model::abi::IntRegisters;

pub use crate::decode::{Memory, Words};

/// The six argument words of a call in progress, and the stack pointer. The 32-bit ABI's are those of entry by int 0x80
/// (syscall(2)).
pub fn words(regs: &IntRegisters, abi: u64) -> Words {
    match abi {
        0 => [regs.rdi, regs.rsi, regs.rdx, regs.r10, regs.r8, regs.r9, regs.rsp],
        _ => [regs.rbx, regs.rcx, regs.rdx, regs.rsi, regs.rdi, regs.rbp, regs.rsp]
            .map(|word| word & 0xffff_ffff),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_32_bit_abi_has_its_own_registers_and_width() {
        let regs = IntRegisters { rbx: 0xffff_ffff_ffff_fff6, rcx: 2, rdi: 9, ..Default::default() };
        assert_eq!(words(&regs, 1), [0xffff_fff6, 2, 0, 0, 9, 0, 0]);
        let regs = IntRegisters { rdi: 1, r10: 4, rsp: 7, ..Default::default() };
        assert_eq!(words(&regs, 0), [1, 0, 0, 4, 0, 0, 7]);
    }
}
