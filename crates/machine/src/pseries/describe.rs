//! The device tree of the machine, before negotiation (LoPAR, "Open Firmware Device Tree"; Linux
//! Documentation/arch/powerpc/).

use super::{HPT_BASE, IRQ_EPOW, IRQ_HOTPLUG, IRQ_NVRAM, IRQ_VTY, hpt_shift, rtas};
use crate::Config;
use crate::tree::{NodeId, ROOT, Tree};
use alloc::{format, string::String, vec::Vec};
use timebase_cpu::Model;
use timebase_devices::nvram;
use timebase_devices::xive::{self, THREAD_OS_PAGE, THREAD_USER_PAGE};
use timebase_state::time::TICKS_PER_SECOND;

const _: u64 = HPT_BASE;

/// Unit address of the console, as every guest expects it.
pub(super) const VTY: u32 = 0x7100_0000;
const NVRAM: u32 = 0x7100_0001;

/// LoPAR "ibm,pa-features": attributes of the processor architecture; 66 or 74 bytes of them.
const PA_FEATURES_300: [u8; 66] = pa_features();
const PA_FEATURES_310: [u8; 74] = {
    let old = PA_FEATURES_300;
    let mut new = [0; 74];
    let mut n = 0;
    while n < old.len() {
        new[n] = old[n];
        n += 1;
    }
    // Bytes 64, 68 and 72: DEXCR-less prefix instructions, BHRB filtering, MMA.
    new[64] = 0x80;
    new[68] = 0xce;
    new[72] = 0x80;
    new
};

const fn pa_features() -> [u8; 66] {
    let mut features = [0; 66];
    let head = [0xf6, 0x3f, 0xc7, 0xc0, 0x00, 0xf0, 0x80];
    let mut n = 0;
    while n < head.len() {
        features[n] = head[n];
        n += 1;
    }
    // Bytes of one feature each: 16 vector, 18 VSX, 20 vector XOR, 24 large decrementer, 26 64-bit FTRs, 28 PM FTRs,
    // 32 LE atomics, 36..: copy, radix, PM, PC relative addressing, scv, SIMD, quad precision, strings, decimal,
    // SHA, near-memory atomics, random numbers.
    let ones = [12, 16, 18, 22, 24, 26, 30, 36, 40, 42, 44, 46, 48, 50, 52, 54, 56, 58, 60];
    let mut n = 0;
    while n < ones.len() {
        features[ones[n]] = 0x80;
        n += 1;
    }
    features[34] = 0xc0;
    features
}

/// The tree; `initrd`: address and length, 0 if there is none.
pub(super) fn tree(config: &Config, initrd: (u64, u64)) -> Tree {
    let mut tree = Tree::new();
    root(&mut tree);
    chosen(&mut tree, config, initrd);
    rtas::describe(&mut tree);
    event_sources(&mut tree);
    cpus(&mut tree, config);
    memory(&mut tree, config);
    virtual_devices(&mut tree);
    interrupt_controller(&mut tree, false, config.cpus);
    let node = tree.add(ROOT, "hypervisor");
    tree.set_str(node, "compatible", "linux,kvm");
    let aliases = tree.add(ROOT, "aliases");
    tree.set_str(aliases, "hvterm", &format!("/vdevice/vty@{VTY:x}"));
    tree.add(ROOT, "options");
    let node = tree.add(ROOT, "openprom");
    tree.set_str(node, "model", "timebase");
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
    let (name, features): (&str, &[u8]) = match model {
        Model::Power9 => ("PowerPC,POWER9", &PA_FEATURES_300),
        Model::Power10 => ("PowerPC,POWER10", &PA_FEATURES_310),
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
    let mut value: Vec<u8> = alloc::vec![features.len() as u8, 0];
    value.extend_from_slice(features);
    tree.set(node, "ibm,pa-features", &value);
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
    tree.set_str(store, "compatible", "timebase,nvram");
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

/// A property list of strings.
pub(super) fn strings(list: &[&str]) -> Vec<u8> {
    let mut text = String::new();
    for item in list {
        text.push_str(item);
        text.push('\0');
    }
    text.into_bytes()
}
