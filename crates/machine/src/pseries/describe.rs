//! The device tree of the machine, before negotiation (LoPAR, "Open Firmware Device Tree"; Linux
//! Documentation/arch/powerpc/).

use super::{IRQ_EPOW, IRQ_HOTPLUG, IRQ_NVRAM, IRQ_VTY, hpt_shift, rtas};
use crate::image::Program;
use crate::tree::{NodeId, ROOT, Tree};
use crate::{Config, Firmware};
use alloc::{format, string::String, vec::Vec};
use timebase_cpu::Model;
use timebase_devices::nvram;
use timebase_devices::xive::{self, THREAD_OS_PAGE, THREAD_USER_PAGE};
use timebase_state::time::TICKS_PER_SECOND;

/// Unit address of the console, as every guest expects it.
pub(super) const VTY: u32 = 0x7100_0000;
const NVRAM: u32 = 0x7100_0001;

/// Attributes of the processor architecture (LoPAR "ibm,pa-features", type 0): byte and what it says, those that
/// are not zero. Absent: transactional memory (byte 22), copy and paste (38).
const PA_FEATURES_300: [(usize, u8); 26] = [
    // MMU, FPU, SLB, RUN, DABR, no-execute; fri*, SPRG3, SLB 0, PP 110; ISA 2.02 to 2.06; large and unaligned
    // accesses; storage order; ISA 2.07.
    (0, 0xf6),
    (1, 0x3f),
    (2, 0xc7),
    (3, 0xc0),
    (5, 0xf0),
    (6, 0x80),
    // Vector, vector-scalar, vector exclusive or.
    (16, 0x80),
    (18, 0x80),
    (20, 0x80),
    // Extended decrementer, 64-bit and performance monitor features, little-endian atomics, event-based branches.
    (24, 0x80),
    (26, 0x80),
    (28, 0x80),
    (32, 0x80),
    (34, 0xc0),
    // Radix MMU, performance monitor, PC-relative addressing, `scv`, SIMD, quad precision, strings, decimal
    // floating point, decimal integers, SHA, atomics near memory, random numbers.
    (40, 0x80),
    (42, 0x80),
    (44, 0x80),
    (46, 0x80),
    (48, 0x80),
    (50, 0x80),
    (52, 0x80),
    (54, 0x80),
    (56, 0x80),
    (58, 0x80),
    (60, 0x80),
    (62, 0x80),
];

/// What POWER10 adds: DAWR1, aspects of DEXCR, hash instructions.
const PA_FEATURES_310: [(usize, u8); 3] = [(64, 0x80), (68, 0xce), (72, 0x80)];

/// "ibm,pa-features": the number of bytes, the type, the bytes.
fn pa_features(model: Model) -> Vec<u8> {
    let (length, newer): (u8, &[(usize, u8)]) = match model {
        Model::Power9 => (66, &[]),
        Model::Power10 => (74, &PA_FEATURES_310),
    };
    let mut bytes = alloc::vec![0; length as usize];
    for &(byte, bits) in PA_FEATURES_300.iter().chain(newer) {
        bytes[byte] = bits;
    }
    [&[length, 0], &bytes[..]].concat()
}

/// The tree; `initrd`: address and length, 0 if there is none.
pub(super) fn tree(config: &Config, initrd: (u64, u64)) -> Tree {
    let mut tree = Tree::new();
    root(&mut tree);
    chosen(&mut tree, config, initrd);
    rtas::describe(&mut tree, config);
    event_sources(&mut tree);
    cpus(&mut tree, config);
    memory(&mut tree, config);
    virtual_devices(&mut tree);
    interrupt_controller(&mut tree, false, config.cpus);
    let node = tree.add(ROOT, "hypervisor");
    tree.set_str(node, "compatible", "linux,kvm");
    // Firmware in the guest makes these itself.
    if config.firmware != Firmware::Image {
        let aliases = tree.add(ROOT, "aliases");
        tree.set_str(aliases, "hvterm", &format!("/vdevice/vty@{VTY:x}"));
        tree.add(ROOT, "options");
        let node = tree.add(ROOT, "openprom");
        tree.set_str(node, "model", "timebase");
    }
    tree
}

fn root(tree: &mut Tree) {
    tree.set_cells(ROOT, "#address-cells", &[2]);
    tree.set_cells(ROOT, "#size-cells", &[2]);
    tree.set_str(ROOT, "device_type", "chrp");
    tree.set_str(ROOT, "model", "IBM pSeries (emulated by timebase)");
    tree.set_str(ROOT, "compatible", "timebase,pseries");
    tree.set_str(ROOT, "system-id", "0");
}

fn chosen(tree: &mut Tree, config: &Config, initrd: (u64, u64)) {
    let node = tree.add(ROOT, "chosen");
    tree.set_str(node, "bootargs", &config.append);
    tree.set_str(node, "stdout-path", &format!("/vdevice/vty@{VTY:x}"));
    tree.set_str(node, "linux,stdout-path", &format!("/vdevice/vty@{VTY:x}"));
    if initrd.1 != 0 {
        tree.set_u64(node, "linux,initrd-start", initrd.0);
        tree.set_u64(node, "linux,initrd-end", initrd.0 + initrd.1);
    }
    // Byte pairs (byte of option vector 5, what the platform offers): 23 interrupt controller: either;
    // 24 MMU: radix or hash; 25 hash: no segment tables; 26 radix: guest translation shootdown.
    tree.set(node, "ibm,arch-vec-5-platform-support", &[23, 0x80, 24, 0xc0, 25, 0x00, 26, 0x40]);
    tree.set(node, "ibm,architecture-vec-5", &[0, 0]);
    let mut random = config.seed;
    let seed: Vec<u8> = (0..4)
        .flat_map(|_| {
            random = random.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(0x1405_7b7e_f767_814f);
            (random ^ random >> 29).to_be_bytes()
        })
        .collect();
    tree.set(node, "rng-seed", &seed);
}

fn event_sources(tree: &mut Tree) {
    let node = tree.add(ROOT, "event-sources");
    tree.set(node, "interrupt-controller", &[]);
    tree.set_cells(node, "#interrupt-cells", &[2]);
    tree.set_cells(node, "interrupt-ranges", &[IRQ_EPOW, 1, IRQ_HOTPLUG, 1]);
    let epow = tree.add(node, "epow-events");
    tree.set_cells(epow, "interrupts", &[IRQ_EPOW, 0]);
    let hotplug = tree.add(node, "hot-plug-events");
    tree.set_cells(hotplug, "interrupts", &[IRQ_HOTPLUG, 0]);
}

fn cpus(tree: &mut Tree, config: &Config) {
    let model = Model::named(&config.cpu).unwrap_or(Model::Power9);
    let node = tree.add(ROOT, "cpus");
    tree.set_cells(node, "#address-cells", &[1]);
    tree.set_cells(node, "#size-cells", &[0]);
    for n in 0..config.cpus {
        cpu(tree, node, config, model, n);
    }
}

fn cpu(tree: &mut Tree, parent: NodeId, config: &Config, model: Model, n: u32) {
    let name = match model {
        Model::Power9 => "PowerPC,POWER9",
        Model::Power10 => "PowerPC,POWER10",
    };
    let node = tree.add(parent, &format!("{name}@{n:x}"));
    tree.set_str(node, "device_type", "cpu");
    tree.set_str(node, "status", "okay");
    for (name, cells) in [
        ("reg", [n]),
        ("cpu-version", [model.pvr()]),
        ("d-cache-block-size", [128]),
        ("d-cache-line-size", [128]),
        ("i-cache-block-size", [128]),
        ("i-cache-line-size", [128]),
        ("d-cache-size", [0x8000]),
        ("i-cache-size", [0x8000]),
        ("timebase-frequency", [TICKS_PER_SECOND as u32]),
        ("clock-frequency", [1_000_000_000]),
        ("slb-size", [32]),
        ("ibm,slb-size", [32]),
        ("ibm,purr", [1]),
        ("ibm,spurr", [1]),
        ("ibm,vmx", [2]),
        ("ibm,dfp", [1]),
        ("ibm,dec-bits", [56]),
        ("ibm,chip-id", [0]),
        ("ibm,ppc-interrupt-server#s", [n]),
    ] {
        tree.set_cells(node, name, &cells);
    }
    tree.set(node, "64-bit", &[]);
    tree.set_cells(node, "ibm,ppc-interrupt-gserver#s", &[n, 0]);
    tree.set_cells(node, "ibm,processor-segment-sizes", &[28, 40, u32::MAX, u32::MAX]);
    // Base page 4 KiB with 4 KiB, 64 KiB and 16 MiB pages; base 64 KiB with 64 KiB and 16 MiB; 16 MiB.
    let sizes = [12, 0, 3, 12, 0, 16, 7, 24, 0x38, 16, 0x110, 2, 16, 1, 24, 8, 24, 0x100, 1, 24, 0];
    tree.set_cells(node, "ibm,segment-page-sizes", &sizes);
    // AP encoding in the top three bits, log2 of the page size below.
    tree.set_cells(node, "ibm,processor-radix-AP-encodings", &[12, 5 << 29 | 16, 1 << 29 | 21, 2 << 29 | 30]);
    tree.set_cells(node, "ibm,pft-size", &[0, hpt_shift(config.memory_bytes) as u32]);
    tree.set(node, "ibm,pa-features", &pa_features(model));
    tree.set(node, "ibm,pi-features", &[1, 0, 0]);
}

fn memory(tree: &mut Tree, config: &Config) {
    let node = tree.add(ROOT, "memory@0");
    tree.set_str(node, "device_type", "memory");
    let bytes = config.memory_bytes;
    tree.set_cells(node, "reg", &[0, 0, (bytes >> 32) as u32, bytes as u32]);
    tree.set_cells(node, "ibm,associativity", &[4, 0, 0, 0, 0]);
}

fn virtual_devices(tree: &mut Tree) {
    let node = tree.add(ROOT, "vdevice");
    tree.set_str(node, "device_type", "vdevice");
    tree.set_str(node, "compatible", "IBM,vdevice");
    tree.set_cells(node, "#address-cells", &[1]);
    tree.set_cells(node, "#size-cells", &[0]);
    tree.set_cells(node, "#interrupt-cells", &[2]);
    tree.set(node, "interrupt-controller", &[]);
    let vty = tree.add(node, &format!("vty@{VTY:x}"));
    tree.set_str(vty, "device_type", "serial");
    tree.set_str(vty, "compatible", "hvterm1");
    tree.set_cells(vty, "reg", &[VTY]);
    // Level-sensitive.
    tree.set_cells(vty, "interrupts", &[IRQ_VTY, 1]);
    let store = tree.add(node, &format!("nvram@{NVRAM:x}"));
    tree.set_str(store, "device_type", "nvram");
    // The name that SLOF looks for.
    tree.set_str(store, "compatible", "qemu,spapr-nvram");
    tree.set_cells(store, "reg", &[NVRAM]);
    tree.set_cells(store, "#bytes", &[nvram::BYTES as u32]);
    tree.set_cells(store, "interrupts", &[IRQ_NVRAM, 1]);
}

/// Describes the interrupt controller that was chosen, in place of the one that stands there.
pub(super) fn interrupt_controller(tree: &mut Tree, xive: bool, cpus: u32) {
    if let Some(old) = tree.find("/interrupt-controller") {
        tree.remove(old);
    }
    let name = if xive {
        format!("interrupt-controller@{THREAD_USER_PAGE:x}")
    } else {
        "interrupt-controller".into()
    };
    let node = tree.add(ROOT, &name);
    tree.set(node, "interrupt-controller", &[]);
    tree.set_cells(node, "#interrupt-cells", &[2]);
    if xive {
        tree.set_str(node, "device_type", "power-ivpe");
        tree.set_str(node, "compatible", "ibm,power-ivpe");
        let page = |address: u64| [(address >> 32) as u32, address as u32, 0, xive::PAGE as u32];
        tree.set_cells(node, "reg", &[page(THREAD_USER_PAGE), page(THREAD_OS_PAGE)].concat());
        // log2 of the event queue size that goes with pages of 64 KiB.
        tree.set_cells(node, "ibm,xive-eq-sizes", &[16]);
        tree.set_cells(node, "ibm,xive-lisn-ranges", &[0, cpus]);
        // Priorities that the platform keeps: first and count.
        let reserved = xive::RESERVED_PRIORITY as u32;
        tree.set_cells(ROOT, "ibm,plat-res-int-priorities", &[reserved, 0xff - reserved]);
    } else {
        tree.set_str(node, "device_type", "PowerPC-External-Interrupt-Presentation");
        tree.set_str(node, "compatible", "IBM,ppc-xicp");
        tree.set_cells(node, "ibm,interrupt-server-ranges", &[0, cpus]);
    }
}

/// Tells firmware in the guest that there is a kernel in memory. The names are SLOF's.
pub(super) fn boot_kernel(tree: &mut Tree, kernel: &Program) {
    if let Some(chosen) = tree.find("/chosen") {
        let bytes = kernel.end.saturating_sub(kernel.entry);
        tree.set(chosen, "qemu,boot-kernel", &[kernel.entry.to_be_bytes(), bytes.to_be_bytes()].concat());
        if kernel.little_endian {
            tree.set(chosen, "qemu,boot-kernel-le", &[]);
        }
    }
}

/// A property list of strings.
pub(super) fn strings(list: &[&str]) -> Vec<u8> {
    let mut text = String::new();
    for item in list {
        text.push_str(item);
        text.push('\0');
    }
    text.into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hex(text: &str) -> Vec<u8> {
        let digits: Vec<u8> =
            text.bytes().filter_map(|c| (c as char).to_digit(16)).map(|d| d as u8).collect();
        digits.chunks(2).map(|pair| pair[0] << 4 | pair[1]).collect()
    }

    /// What the peer tells of the same CPUs.
    #[test]
    fn processor_features_are_those_of_the_cpu() {
        let power9 = "4200f63f c7c000f0 80000000 00000000 00008000 80008000 00008000 80008000 00008000 c0000000 \
                      00008000 80008000 80008000 80008000 80008000 80008000 80000000";
        assert_eq!(pa_features(Model::Power9), hex(power9));
        let power10 = "4a00f63f c7c000f0 80000000 00000000 00008000 80008000 00008000 80008000 00008000 c0000000 \
                       00008000 80008000 80008000 80008000 80008000 80008000 80008000 0000ce00 00008000";
        assert_eq!(pa_features(Model::Power10), hex(power10));
    }
}
