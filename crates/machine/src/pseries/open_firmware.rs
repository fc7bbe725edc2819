//! The built-in open firmware: the client interface of IEEE 1275 on the live tree.
//!
//! The guest calls a stub of five instructions, which makes the private hcall 0xf005; the service itself runs here.
//! Left out: the Forth interpreter (`interpret` fails, as IEEE 1275 allows for a service that is missing).

use super::{Board, Pseries, rtas};
use crate::tree::{NodeId, Tree};
use alloc::{string::String, vec::Vec};
use timebase_cpu::bits::msr;
use timebase_memory::{Memory, PAGE, Writer};
use timebase_state::State;

/// Where the client interface is entered, in bytes from where the firmware is.
pub(super) const ENTRY: u64 = 0x1000;
/// Initial stack pointer, likewise: the top of a page with room for a frame.
pub(super) const STACK: u64 = 0xff00;
/// Bytes that the firmware keeps for itself while it lives, and what its address is a multiple of.
pub(super) const RESERVED: u64 = 0x1_0000;
/// The longest string or buffer that a service handles.
const LONGEST: u64 = 1 << 20;

/// The stub: `mr r4,r3; lis r3,0; ori r3,r3,0xf005; sc 1; blr`.
const STUB: [u32; 5] = [0x7c64_1b78, 0x3c60_0000, 0x6063_f005, 0x4400_0022, 0x4e80_0020];

/// State of the firmware.
#[derive(State, Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct OpenFirmware {
    /// Claimed ranges: start, end; sorted.
    claimed: Vec<(u64, u64)>,
    /// Open instances: the node; the ihandle is the index plus [`IHANDLE`]. 0 means closed, else the node plus 1.
    instances: Vec<u32>,
    quiesced: bool,
}

const IHANDLE: u32 = 1;
const FAIL: u32 = u32::MAX;

impl OpenFirmware {
    /// Nothing claimed, nothing open.
    pub fn cold() -> OpenFirmware {
        OpenFirmware::default()
    }

    /// Puts the stub into memory, from real address `base` on, claims what is taken, opens the console.
    pub fn install(&mut self, memory: &mut Memory, tree: &mut Tree, base: u64, taken: &[(u64, u64)]) {
        for (n, word) in STUB.iter().enumerate() {
            let _ = memory.store_u32(base + ENTRY + 4 * n as u64, *word, Writer::Other);
        }
        self.take(base, base + RESERVED);
        for &(start, end) in taken {
            if end > start {
                self.take(start, end);
            }
        }
        let Some(chosen) = tree.find("/chosen") else { return };
        if let Some(console) = tree.find("/vdevice/vty") {
            let handle = self.open(console);
            tree.set_cells(chosen, "stdout", &[handle]);
            tree.set_cells(chosen, "stdin", &[handle]);
        }
        if let Some(node) = tree.find("/memory") {
            let handle = self.open(node);
            tree.set_cells(chosen, "memory", &[handle]);
        }
        self.tell_available(memory, tree);
    }

    fn open(&mut self, node: NodeId) -> u32 {
        self.instances.push(node + 1);
        self.instances.len() as u32 - 1 + IHANDLE
    }

    fn instance(&self, handle: u32) -> Option<NodeId> {
        self.instances.get(handle.wrapping_sub(IHANDLE) as usize)?.checked_sub(1)
    }

    fn free(&self, start: u64, end: u64) -> bool {
        self.claimed.iter().all(|&(s, e)| end <= s || e <= start)
    }

    fn take(&mut self, start: u64, end: u64) {
        self.claimed.push((start, end));
        self.claimed.sort_unstable();
    }

    /// Claims `size` bytes: at `address` if `align` is 0, else anywhere so aligned, as low as possible.
    fn claim(&mut self, room: u64, address: u64, size: u64, align: u64) -> Option<u64> {
        let fits = |start: u64| start.checked_add(size).filter(|&end| end <= room && self.free(start, end));
        let start = if align == 0 {
            fits(address).map(|_| address)?
        } else {
            let align = align.checked_next_power_of_two()?.max(PAGE);
            let ends = self.claimed.iter().map(|&(_, end)| end.next_multiple_of(align));
            ends.filter(|&start| fits(start).is_some()).min()?
        };
        self.take(start, start + size);
        Some(start)
    }

    fn release(&mut self, address: u64, size: u64) {
        self.claimed.retain(|&(start, end)| !(start == address && end == address.wrapping_add(size)));
    }

    /// Brings /memory "available" up to date.
    fn tell_available(&self, memory: &Memory, tree: &mut Tree) {
        let Some(node) = tree.find("/memory") else { return };
        let mut cells = Vec::new();
        let mut at = 0;
        for &(start, end) in self.claimed.iter().chain([&(memory.bytes(), memory.bytes())]) {
            if start > at {
                cells.extend([
                    (at >> 32) as u32,
                    at as u32,
                    ((start - at) >> 32) as u32,
                    (start - at) as u32,
                ]);
            }
            at = at.max(end);
        }
        tree.set_cells(node, "available", &cells);
    }
}

/// A call of the client interface: cells at `address`: service name, number of arguments, of returns, then both.
struct Call {
    address: u64,
    name: String,
    args: Vec<u32>,
    returns: usize,
}

impl Board {
    fn string(&self, address: u32) -> Option<String> {
        let mut bytes = Vec::new();
        for n in 0..LONGEST {
            let mut byte = [0];
            self.memory.read(address as u64 + n, &mut byte).ok()?;
            if byte[0] == 0 {
                break;
            }
            bytes.push(byte[0]);
        }
        Some(String::from_utf8_lossy(&bytes).into_owned())
    }

    fn read_call(&self, address: u64) -> Option<Call> {
        let cell = |n: u64| self.memory.read_u32(address + 4 * n).ok();
        let (name, count, returns) = (self.string(cell(0)?)?, cell(1)?, cell(2)?);
        if count > 16 || returns > 16 {
            return None;
        }
        let args = (0..count as u64).map(|n| cell(3 + n)).collect::<Option<_>>()?;
        Some(Call { address, name, args, returns: returns as usize })
    }

    fn write_returns(&mut self, call: &Call, values: &[u32]) {
        let base = call.address + 4 * (3 + call.args.len() as u64);
        for (n, value) in values.iter().take(call.returns).enumerate() {
            let _ = self.memory.store_u32(base + 4 * n as u64, *value, Writer::Other);
        }
    }

    fn node(&self, call: &Call, n: usize) -> Option<NodeId> {
        self.tree.by_phandle(*call.args.get(n)?)
    }

    /// Copies up to `length` bytes to a guest buffer; gives the full length.
    fn copy_out(&mut self, bytes: &[u8], buffer: u32, length: u32) -> Option<u32> {
        let n = bytes.len().min(length as usize);
        self.memory.store(buffer as u64, &bytes[..n], Writer::Other).ok()?;
        Some(bytes.len() as u32)
    }

    fn phandle_of(&self, node: Option<NodeId>) -> u32 {
        node.map_or(0, |node| self.tree.phandle(node))
    }

    /// Services on the tree. None: this is none of them, or it failed.
    fn tree_service(&mut self, call: &Call) -> Option<u32> {
        let arg = |n: usize| call.args.get(n).copied();
        Some(match call.name.as_str() {
            "finddevice" => {
                let path = self.string(arg(0)?)?;
                self.tree.find(&path).map_or(FAIL, |node| self.tree.phandle(node))
            }
            "getproplen" => self.tree.get(self.node(call, 0)?, &self.string(arg(1)?)?)?.len() as u32,
            "getprop" => {
                let value = self.tree.get(self.node(call, 0)?, &self.string(arg(1)?)?)?;
                self.copy_out(&value, arg(2)?, arg(3)?)?
            }
            "nextprop" => {
                let previous = if arg(1)? == 0 { String::new() } else { self.string(arg(1)?)? };
                let next = self.tree.next_property(self.node(call, 0)?, &previous).map(String::from);
                let text = alloc::format!("{}\0", next.as_deref().unwrap_or(""));
                // IEEE 1275 names have at most 31 characters, PAPR has longer ones, and clients make room for them.
                self.copy_out(text.as_bytes(), arg(2)?, 64)?;
                next.is_some() as u32
            }
            "setprop" => {
                let node = self.node(call, 0)?;
                let name = self.string(arg(1)?)?;
                let length = arg(3)?;
                if length as u64 > LONGEST {
                    return None;
                }
                let mut value = alloc::vec![0; length as usize];
                self.memory.read(arg(2)? as u64, &mut value).ok()?;
                self.tree.set(node, &name, &value);
                length
            }
            "peer" if arg(0)? == 0 => self.phandle_of(Some(0)),
            "peer" => self.phandle_of(self.tree.peer(self.node(call, 0)?)),
            "child" => self.phandle_of(self.tree.child(self.node(call, 0)?)),
            "parent" => self.phandle_of(self.tree.parent(self.node(call, 0)?)),
            "package-to-path" => {
                let path = self.tree.path(self.node(call, 0)?);
                self.copy_out(path.as_bytes(), arg(1)?, arg(2)?)?
            }
            "instance-to-path" => {
                let path = self.tree.path(self.firmware.instance(arg(0)?)?);
                self.copy_out(path.as_bytes(), arg(1)?, arg(2)?)?
            }
            "instance-to-package" => {
                let node = self.firmware.instance(arg(0)?)?;
                self.tree.phandle(node)
            }
            "canon" => {
                let node = self.tree.find(&self.string(arg(0)?)?)?;
                let path = self.tree.path(node);
                self.copy_out(path.as_bytes(), arg(1)?, arg(2)?)?
            }
            _ => return None,
        })
    }

    /// Services on memory and instances.
    fn resource_service(&mut self, call: &Call) -> Option<u32> {
        let arg = |n: usize| call.args.get(n).copied();
        Some(match call.name.as_str() {
            "open" => {
                let path = self.string(arg(0)?)?;
                self.tree.find(&path).map_or(0, |node| self.firmware.open(node))
            }
            "close" => {
                let index = arg(0)?.wrapping_sub(IHANDLE) as usize;
                *self.firmware.instances.get_mut(index)? = 0;
                0
            }
            "claim" => {
                let room = self.memory.bytes().min(1 << 32);
                let claimed = self.firmware.claim(room, arg(0)? as u64, arg(1)? as u64, arg(2)? as u64)?;
                self.firmware.tell_available(&self.memory, &mut self.tree);
                claimed as u32
            }
            "release" => {
                self.firmware.release(arg(0)? as u64, arg(1)? as u64);
                self.firmware.tell_available(&self.memory, &mut self.tree);
                0
            }
            "test" | "test-method" => 0,
            "milliseconds" => (self.clock.at(self.count).ticks() / 512_000) as u32,
            _ => return None,
        })
    }

    /// `call-method`: the method's name, an instance, its arguments. Gives (catch result, first return).
    fn call_method(&mut self, call: &Call) -> Option<(u32, u32)> {
        let arg = |n: usize| call.args.get(n).copied();
        let method = self.string(arg(0)?)?;
        let node = self.firmware.instance(arg(1)?)?;
        match (self.tree.path(node).as_str(), method.as_str()) {
            ("/", "ibm,client-architecture-support") => {
                self.client_architecture_support(arg(2)? as u64).then_some((0, 0))
            }
            ("/rtas", "instantiate-rtas") => {
                let base = arg(2)? as u64;
                rtas::place(&mut self.memory, base);
                rtas::tell_base(&mut self.tree, base);
                Some((0, base as u32))
            }
            ("/memory@0", "claim") => {
                let room = self.memory.bytes().min(1 << 32);
                let base = self.firmware.claim(room, arg(4)? as u64, arg(3)? as u64, arg(2)? as u64)?;
                Some((0, base as u32))
            }
            _ => None,
        }
    }
}

impl Pseries {
    /// The private hcall of the client interface: r4 holds the call's address.
    pub(super) fn client_interface(&mut self, n: usize) -> u64 {
        // Cells have 32 bits, and so have addresses.
        let address = self.board.cpu[n].vcpu.regs.gpr[4] & 0xffff_ffff;
        let Some(call) = self.board.read_call(address) else { return u64::MAX };
        match call.name.as_str() {
            "write" => return self.of_write(&call),
            "read" => return self.of_read(&call),
            "quiesce" => {
                self.board.firmware.quiesced = true;
                return 0;
            }
            "exit" | "enter" => {
                self.board.request = super::Request::PowerOff;
                return 0;
            }
            "boot" => {
                self.board.request = super::Request::Reset;
                return 0;
            }
            "start-cpu" => {
                if let [phandle, entry, r3] = call.args[..] {
                    self.of_start_cpu(phandle, entry as u64, r3 as u64);
                }
                return 0;
            }
            "call-method" => {
                let (catch, value) = self.board.call_method(&call).unwrap_or((FAIL, 0));
                self.board.write_returns(&call, &[catch, value]);
                return 0;
            }
            "interpret" => {
                self.board.write_returns(&call, &[FAIL]);
                return 0;
            }
            _ => {}
        }
        let result = self.board.tree_service(&call).or_else(|| self.board.resource_service(&call));
        self.board.write_returns(&call, &[result.unwrap_or(FAIL)]);
        const KNOWN: [&str; 4] = ["getprop", "getproplen", "nextprop", "claim"];
        if result.is_some() || KNOWN.contains(&call.name.as_str()) { 0 } else { u64::MAX }
    }

    fn is_console(&self, call: &Call) -> bool {
        let node = call.args.first().and_then(|&handle| self.board.firmware.instance(handle));
        node.is_some() && node == self.board.tree.find("/vdevice/vty")
    }

    fn of_write(&mut self, call: &Call) -> u64 {
        let mut written = FAIL;
        if let (true, [_, buffer, length]) = (self.is_console(call), &call.args[..])
            && *length as u64 <= LONGEST
        {
            let mut bytes = alloc::vec![0; *length as usize];
            if self.board.memory.read(*buffer as u64, &mut bytes).is_ok() {
                self.emit(crate::chassis::CONSOLE, &bytes);
                written = *length;
            }
        }
        self.board.write_returns(call, &[written]);
        0
    }

    fn of_read(&mut self, call: &Call) -> u64 {
        let mut read = FAIL;
        if let (true, [_, buffer, length]) = (self.is_console(call), &call.args[..]) {
            let mut bytes = self.board.devices.vty.get();
            bytes.truncate(*length as usize);
            if self.board.memory.store(*buffer as u64, &bytes, Writer::Other).is_ok() {
                read = bytes.len() as u32;
            }
        }
        self.board.write_returns(call, &[read]);
        0
    }

    fn of_start_cpu(&mut self, phandle: u32, entry: u64, r3: u64) {
        let node = self.board.tree.by_phandle(phandle);
        let reg = node.and_then(|node| self.board.tree.get(node, "reg"));
        if let Some(&[a, b, c, d]) = reg.as_deref() {
            let n = u32::from_be_bytes([a, b, c, d]);
            self.start_cpu(n, entry, r3, msr::SF | msr::ME);
        }
    }
}
