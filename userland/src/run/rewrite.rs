//! Changing a call's arguments: new strings are written below the red zone of the task's stack, and what was there before,
//! and the argument registers, come back when the call is over. Or they are in [`Strings`](super::strings), and the registers
//! are lent (R222), so that most such calls need no second stop of ours.
//!
//! The memory below the red zone (128 bytes, System V ABI for x86-64, 3.2.2) belongs to nobody while a task is in a call,
//! except on stacks that lie close to other data, as Go's do: hence it is restored.

use kernel_model::abi::{CallRecord, IntRegisters, Result};

use super::backing::Intent;
use super::strings::Place;
use super::task::{After, Before, EFAULT, Task, Undo, set_argument, word_size};

/// The red zone, and as much again.
const DISTANCE: u64 = 256;

/// A new value of an argument.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum New {
    /// This one.
    Value(u64),
    /// The address of these bytes.
    Bytes(Vec<u8>),
    /// The address of a list of pointers that ends with NULL.
    List(Vec<Item>),
    /// The address of a structure that begins with a pointer to the second bytes.
    Struct(Vec<u8>, Vec<u8>),
}

/// One pointer of a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Item {
    /// As it was.
    Old(u64),
    /// To this text.
    Text(Vec<u8>),
}

/// Bytes of the program's own that are others for the length of a call.
#[derive(Clone, Debug)]
pub(super) struct Poke {
    /// Where they are.
    pub(super) at: u64,
    /// A pointer there is to point to these.
    pub(super) to: Option<Vec<u8>>,
    /// What is there, or follows the pointer.
    pub(super) then: Vec<u8>,
}

/// What is to be changed for a call.
#[derive(Clone, Debug, Default)]
pub(super) struct Change {
    /// By the index of the argument.
    pub(super) arguments: Vec<(usize, New)>,
    /// Changes of structures that cannot be copied, since the kernel answers in them.
    pub(super) pokes: Vec<Poke>,
    /// The number of another call to make instead.
    pub(super) number: Option<u64>,
    /// What mounts are told when it is over.
    pub(super) told: Vec<(usize, Vec<u8>, Intent)>,
    pub(super) after: Option<After>,
    /// The virtual path whose translation the one new path is for as long as no link is on its way.
    pub(super) name: Option<Vec<u8>>,
}

impl Change {
    /// An argument becomes a path.
    pub(super) fn path(&mut self, argument: usize, mut path: Vec<u8>) {
        path.push(0);
        self.arguments.reserve_exact(1);
        self.arguments.push((argument, New::Bytes(path)));
    }

    /// Whether the call is as it was.
    pub(super) fn is_nothing(&self) -> bool {
        self.arguments.is_empty() && self.pokes.is_empty() && self.after.is_none() && self.told.is_empty()
    }

    /// Room that the new strings need.
    pub(super) fn bytes(&self) -> usize {
        let item = |item: &Item| match item {
            Item::Old(_) => 0,
            Item::Text(text) => text.len() + 8,
        };
        let of = |new: &New| match new {
            New::Value(_) => 0,
            New::Bytes(bytes) => bytes.len() + 8,
            New::Struct(head, bytes) => head.len() + bytes.len() + 16,
            New::List(items) => items.iter().map(item).sum::<usize>() + 8 * items.len() + 16,
        };
        let poked = self.pokes.iter().flat_map(|poke| &poke.to).map(|bytes| bytes.len() + 8);
        self.arguments.iter().map(|(_, new)| of(new)).chain(poked).sum()
    }
}

/// Bytes that will be at an address.
struct Block {
    at: u64,
    bytes: Vec<u8>,
}

impl Block {
    /// Adds bytes, aligned to words; their address.
    fn add(&mut self, bytes: &[u8]) -> u64 {
        let address = self.at + self.bytes.len() as u64;
        self.bytes.extend_from_slice(bytes);
        self.bytes.resize(self.bytes.len().next_multiple_of(8), 0);
        address
    }

    fn add_list(&mut self, items: &[Item], abi: u64) -> u64 {
        let pointers: Vec<u64> = items
            .iter()
            .map(|item| match item {
                Item::Old(pointer) => *pointer,
                Item::Text(text) => self.add(text),
            })
            .chain([0])
            .collect();
        let size = word_size(abi);
        let list: Vec<u8> =
            pointers.iter().flat_map(|pointer| pointer.to_le_bytes()[..size].to_vec()).collect();
        self.add(&list)
    }
}

/// Whether a 32-bit call's strings cannot be on the stack, because its program is a 64-bit one.
pub(super) fn needs_low_memory(regs: &IntRegisters, abi: u64, change: &Change) -> bool {
    abi != 0 && regs.rsp > u64::from(u32::MAX) && change.bytes() > 0
}

impl Change {
    /// Nothing but arguments, each a number or the address of bytes: then no other register matters.
    pub(super) fn is_plain(&self) -> bool {
        let plain = |(_, new): &(usize, New)| matches!(new, New::Value(_) | New::Bytes(_));
        let after = matches!(
            self.after,
            None | Some(After::Nothing | After::Moved | After::In(_) | After::Opened(_))
        );
        self.arguments.iter().all(plain) && self.pokes.is_empty() && self.number.is_none() && after
    }
}

impl Task<'_> {
    /// Changes the call it is stopped before, without memory of the program's. False: that cannot be done.
    pub(super) fn change_plainly(&mut self, old: &CallRecord, change: &mut Change) -> Result<bool> {
        let ready = self.strings.as_ref().is_some_and(|strings| strings.sealed);
        if old.abi != 0 || !change.is_plain() || change.bytes() > 0 && !ready {
            return Ok(false);
        }
        let mut record = *old;
        for (index, new) in &change.arguments {
            record.args[*index] = match new {
                New::Value(value) => *value,
                New::Bytes(bytes) => match self.string(bytes) {
                    Some(at) => {
                        if let (Some(virt), Some(strings)) = (change.name.take(), &mut self.strings) {
                            strings.name(virt, at);
                        }
                        at
                    }
                    // They do not fit, or the kernel had no page for them.
                    None => return Ok(false),
                },
                New::List(_) | New::Struct(..) => return Ok(false),
            };
        }
        if record != *old {
            self.lend(&record)?;
        }
        let (told, after) = (std::mem::take(&mut change.told), change.after.take().unwrap_or(After::Nothing));
        if !told.is_empty() || after != After::Nothing {
            self.undo = Some(Undo { before: Before::Lent, abi: old.abi, memory: vec![], told, after });
        }
        Ok(true)
    }

    /// Where these bytes are now.
    fn string(&mut self, bytes: &[u8]) -> Option<u64> {
        match self.strings.as_mut()?.place(bytes)? {
            Place::Written(at) => Some(at),
            Place::Unwritten(at) => {
                self.write(at, bytes).ok()?;
                self.strings.as_mut()?.written(bytes.to_vec());
                Some(at)
            }
        }
    }

    /// Changes the call it is stopped before.
    pub(super) fn change(&mut self, old: &IntRegisters, abi: u64, change: Change) -> Result<()> {
        let mut regs = *old;
        let size = change.bytes() as u64;
        let at = match self.low {
            Some(low) if needs_low_memory(old, abi, &change) => low,
            _ => old.rsp.checked_sub(DISTANCE + size).ok_or(EFAULT)? & !15,
        };
        let mut block = Block { at, bytes: Vec::with_capacity(size as usize) };
        for (index, new) in &change.arguments {
            let value = match new {
                New::Value(value) => *value,
                New::Bytes(bytes) => block.add(bytes),
                New::List(items) => block.add_list(items, abi),
                New::Struct(head, bytes) => {
                    let (mut head, size) = (head.clone(), word_size(abi));
                    head[..size].copy_from_slice(&block.add(bytes).to_le_bytes()[..size]);
                    block.add(&head)
                }
            };
            set_argument(&mut regs, abi, *index, value);
        }
        if let Some(number) = change.number {
            regs.rax = number;
        }
        let pokes: Vec<(u64, Vec<u8>)> = change
            .pokes
            .into_iter()
            .map(|poke| {
                let pointer = poke.to.map(|bytes| block.add(&bytes).to_le_bytes());
                let pointer = pointer.iter().flat_map(|pointer| &pointer[..word_size(abi)]);
                (poke.at, pointer.copied().chain(poke.then).collect())
            })
            .collect();
        let mut memory = Vec::new();
        if !block.bytes.is_empty() {
            let mut before = vec![0; block.bytes.len()];
            self.read(at, &mut before)?;
            self.write(at, &block.bytes)?;
            memory.push((at, before));
        }
        for (at, bytes) in pokes {
            let mut before = vec![0; bytes.len()];
            let poked = self.read(at, &mut before).and_then(|()| self.write(at, &bytes));
            memory.push((at, before));
            if let Err(errno) = poked {
                // The last one did not happen, or not all of it.
                for (at, before) in &memory {
                    let _ = self.write(*at, before);
                }
                return Err(errno);
            }
        }
        if regs != *old {
            self.set_registers(&regs)?;
        }
        let (told, after) = (change.told, change.after.unwrap_or(After::Nothing));
        let before = Before::Registers(Box::new(*old));
        self.undo = Some(Undo { before, abi, memory, told, after });
        Ok(())
    }

    /// The call is over, and is made once more.
    pub(super) fn again(&mut self, undo: &Undo) {
        /// Bytes of `int 0x80`, and of `syscall`.
        const CALL_BYTES: u64 = 2;
        if let Before::Registers(regs) = &undo.before {
            let _ = self.set_registers(&IntRegisters { rip: regs.rip - CALL_BYTES, ..**regs });
        }
    }

    /// The call is over: everything is as it would be. Its result, and what is left to do.
    pub(super) fn restore(&mut self, undo: &Undo) -> Result<i64> {
        for (address, bytes) in &undo.memory {
            self.write(*address, bytes)?;
        }
        let before = match &undo.before {
            Before::Registers(before) => before,
            Before::Lent => return Ok(self.call()?.result),
        };
        let now = self.registers()?;
        let mut regs = now;
        for index in 0..6 {
            let old = match undo.abi {
                0 => [before.rdi, before.rsi, before.rdx, before.r10, before.r8, before.r9],
                _ => [before.rbx, before.rcx, before.rdx, before.rsi, before.rdi, before.rbp],
            };
            set_argument(&mut regs, undo.abi, index, old[index]);
        }
        if regs != now {
            self.set_registers(&regs)?;
        }
        Ok(if undo.abi == 0 { regs.rax as i64 } else { i64::from(regs.rax as u32 as i32) })
    }
}
