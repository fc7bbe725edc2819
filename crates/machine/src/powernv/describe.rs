//! The device tree that the service processor hands to skiboot ("skiboot: device tree requirements", doc/device-tree of
//! its sources): root, chosen, processors, memory, one XSCOM node per chip with what it reaches, the LPC bus.

use super::chip::{I2C, I2C_ENGINES, I2C_OF_MODULE, LPC, XSCOM, chip_base};
use super::pci;
use super::topology::Topology;
use crate::Config;
use crate::tree::{NodeId, ROOT, Tree};
use alloc::format;
use alloc::vec::Vec;
use timebase_cpu::Model;
use timebase_devices::{bmc, i2c, occ};
use timebase_state::time::TICKS_PER_SECOND;

/// Attributes of the processor (the number of bytes, type 0, the bytes): those of POWER9, and what POWER10 adds.
const FEATURES_9: [u8; 68] = [
    66, 0, 0xf6, 0x3f, 0xc7, 0xc0, 0, 0xf0, 0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x80, 0, 0x80, 0, 0x80, 0, 0x80,
    0, 0x80, 0, 0x80, 0, 0x80, 0, 0, 0, 0x80, 0, 0xc0, 0, 0, 0, 0x80, 0, 0x80, 0, 0x80, 0, 0x80, 0, 0x80, 0,
    0x80, 0, 0x80, 0, 0x80, 0, 0x80, 0, 0x80, 0, 0x80, 0, 0x80, 0, 0x80, 0, 0, 0,
];
const NEWER_10: [(usize, u8); 3] = [(64, 0x80), (68, 0xce), (72, 0x80)];

/// The tree; the areas of the on-chip controllers begin at `occ`.
pub(super) fn tree(
    config: &Config,
    model: Model,
    topology: Topology,
    occ: u64,
    initrd: Option<(u64, u64)>,
) -> Tree {
    let mut tree = Tree::new();
    let (machine, generation) = match model {
        Model::Power9 => ("qemu,powernv9", "power9"),
        Model::Power10 => ("qemu,powernv10", "power10"),
    };
    tree.set_cells(ROOT, "#address-cells", &[2]);
    tree.set_cells(ROOT, "#size-cells", &[2]);
    tree.set_str(ROOT, "model", "IBM PowerNV (emulated by timebase)");
    // skiboot knows the platform, and what a simulated chip lacks, by this name.
    tree.set(ROOT, "compatible", format!("{machine}\0ibm,powernv\0").as_bytes());
    let opal = tree.add(ROOT, "ibm,opal");
    let management = tree.add(opal, "power-mgt");
    tree.set_cells(management, "ibm,enabled-stop-levels", &[0xc000_0000]);
    chosen(&mut tree, config, initrd);
    processors(&mut tree, model, topology);
    memory(&mut tree, config, topology);
    reserved(&mut tree, occ, topology);
    for chip in 0..topology.chips {
        xscom(&mut tree, model, generation, chip);
    }
    // The bus of POWER10 is that of POWER9.
    lpc(&mut tree, "power9");
    tree
}

fn chosen(tree: &mut Tree, config: &Config, initrd: Option<(u64, u64)>) {
    let node = tree.add(ROOT, "chosen");
    tree.set_str(node, "bootargs", &config.append);
    if let Some((start, end)) = initrd {
        tree.set_u64(node, "linux,initrd-start", start);
        tree.set_u64(node, "linux,initrd-end", end);
    }
}

fn processors(tree: &mut Tree, model: Model, topology: Topology) {
    let node = tree.add(ROOT, "cpus");
    tree.set_cells(node, "#address-cells", &[1]);
    tree.set_cells(node, "#size-cells", &[0]);
    for first in (0..topology.cpus()).step_by(topology.threads as usize) {
        core(tree, node, model, topology, first);
    }
}

/// The core whose first thread is vCPU `first`.
fn core(tree: &mut Tree, parent: NodeId, model: Model, topology: Topology, first: u32) {
    let name = match model {
        Model::Power9 => "PowerPC,POWER9",
        Model::Power10 => "PowerPC,POWER10",
    };
    let pir = topology.pir(first);
    let node = tree.add(parent, &format!("{name}@{pir:x}"));
    tree.set_str(node, "device_type", "cpu");
    tree.set_str(node, "status", "okay");
    for (name, value) in [
        ("reg", pir),
        ("ibm,pir", pir),
        ("ibm,chip-id", topology.place(first).0),
        ("cpu-version", model.pvr()),
        ("d-cache-block-size", 128),
        ("d-cache-line-size", 128),
        ("i-cache-block-size", 128),
        ("i-cache-line-size", 128),
        ("d-cache-size", 0x8000),
        ("i-cache-size", 0x8000),
        ("timebase-frequency", TICKS_PER_SECOND as u32),
        ("clock-frequency", 1_000_000_000),
        ("ibm,slb-size", 32),
        ("ibm,vmx", 2),
        ("ibm,dfp", 1),
    ] {
        tree.set_cells(node, name, &[value]);
    }
    tree.set(node, "64-bit", &[]);
    tree.set(node, "ibm,purr", &[]);
    tree.set_cells(node, "ibm,processor-segment-sizes", &[28, 40, u32::MAX, u32::MAX]);
    let sizes = [12, 0, 3, 12, 0, 16, 7, 24, 0x38, 16, 0x110, 2, 16, 1, 24, 8, 24, 0x100, 1, 24, 0];
    tree.set_cells(node, "ibm,segment-page-sizes", &sizes);
    let radix = [12, 5 << 29 | 16, 1 << 29 | 21, 2 << 29 | 30];
    tree.set_cells(node, "ibm,processor-radix-AP-encodings", &radix);
    let servers: Vec<u32> = (0..topology.threads).map(|n| pir + n).collect();
    tree.set_cells(node, "ibm,ppc-interrupt-server#s", &servers);
    let mut features = FEATURES_9.to_vec();
    if model == Model::Power10 {
        features[0] = 74;
        features.resize(76, 0);
        for (byte, bits) in NEWER_10 {
            features[byte + 2] = bits;
        }
    }
    tree.set(node, "ibm,pa-features", &features);
}

fn memory(tree: &mut Tree, config: &Config, topology: Topology) {
    for (chip, part) in (0..).zip(topology.memory(config.memory_bytes).windows(2)) {
        let [base, bytes] = [part[0], part[1] - part[0]];
        let node = tree.add(ROOT, &format!("memory@{base:x}"));
        tree.set_str(node, "device_type", "memory");
        tree.set_cells(node, "ibm,chip-id", &[chip]);
        tree.set_cells(node, "reg", &[(base >> 32) as u32, base as u32, (bytes >> 32) as u32, bytes as u32]);
    }
}

/// What of memory is the on-chip controllers'.
fn reserved(tree: &mut Tree, occ: u64, topology: Topology) {
    let homers = (0..topology.chips)
        .map(|chip| ("ibm,homer-image", occ::homer_address(occ, chip), occ::HOMER_BYTES))
        .chain([("ibm,occ-common-area", occ::common_address(occ), occ::COMMON_BYTES)]);
    let (mut names, mut ranges) = (Vec::new(), Vec::new());
    for (name, base, bytes) in homers {
        names.extend(name.bytes().chain([0]));
        ranges.extend([base, bytes].map(u64::to_be_bytes).as_flattened());
    }
    tree.set(ROOT, "reserved-names", &names);
    tree.set(ROOT, "reserved-ranges", &ranges);
}

fn cells_of(address: u64) -> [u32; 2] {
    [(address >> 32) as u32, address as u32]
}

fn xscom(tree: &mut Tree, model: Model, generation: &str, chip: u32) {
    let base = chip_base(model, XSCOM, chip);
    let node = tree.add(ROOT, &format!("xscom@{base:x}"));
    let [high, low] = cells_of(base);
    tree.set_cells(node, "reg", &[high, low, 4, 0]);
    tree.set(node, "compatible", format!("ibm,{generation}-xscom\0ibm,xscom\0").as_bytes());
    tree.set_cells(node, "#address-cells", &[1]);
    tree.set_cells(node, "#size-cells", &[1]);
    tree.set_cells(node, "ibm,chip-id", &[chip]);
    tree.set_cells(node, "ibm,primary-topology-index", &[chip]);
    tree.set(node, "scom-controller", &[]);
    if chip == 0 {
        tree.set(node, "primary", &[]);
    }
    let (psi, xive, xive_bytes) = match model {
        Model::Power9 => (0x501_2900, 0x501_3000, 0x300),
        Model::Power10 => (0x301_1d00, 0x201_0800, 0x400),
    };
    let child = tree.add(node, &format!("psihb@{psi:x}"));
    tree.set_cells(child, "reg", &[psi, 0x100]);
    tree.set(child, "compatible", format!("ibm,{generation}-psihb-x\0ibm,psihb-x\0").as_bytes());
    let child = tree.add(node, &format!("xive@{xive:x}"));
    tree.set_cells(child, "reg", &[xive, xive_bytes]);
    tree.set_str(child, "compatible", &format!("ibm,{generation}-xive-x"));
    let child = tree.add(node, "chiptod@40000");
    tree.set_cells(child, "reg", &[0x4_0000, 0x31]);
    tree.set(child, "compatible", format!("ibm,power-chiptod\0ibm,{generation}-chiptod\0").as_bytes());
    if chip < 2 {
        tree.set(child, if chip == 0 { "primary" } else { "secondary" }, &[]);
    }
    pci::describe(tree, node, model, generation);
    for engine in 0..I2C_ENGINES {
        i2c_master(tree, node, generation, engine);
    }
}

/// An I2C master of a chip, with two buses. What is on them is for whoever looks, but for the memory of the module.
fn i2c_master(tree: &mut Tree, xscom: NodeId, generation: &str, engine: u32) {
    const PORTS: u32 = 2;
    const LOCAL_BUS_HERTZ: u32 = 116_625_000;
    let base = I2C + engine * i2c::NUMBERS;
    let master = tree.add(xscom, &format!("i2cm@{base:x}"));
    tree.set(master, "compatible", format!("ibm,power8-i2cm\0ibm,{generation}-i2cm\0").as_bytes());
    tree.set_cells(master, "reg", &[base, i2c::NUMBERS]);
    tree.set_cells(master, "#address-cells", &[1]);
    tree.set_cells(master, "#size-cells", &[0]);
    tree.set_cells(master, "chip-engine#", &[engine]);
    tree.set_cells(master, "clock-frequency", &[LOCAL_BUS_HERTZ]);
    for port in 0..PORTS {
        let bus = tree.add(master, &format!("i2c-bus@{port:x}"));
        let ports = format!("ibm,opal-i2c\0ibm,power8-i2c-port\0ibm,{generation}-i2c-port\0");
        tree.set(bus, "compatible", ports.as_bytes());
        tree.set_cells(bus, "reg", &[port]);
        tree.set_cells(bus, "#address-cells", &[1]);
        tree.set_cells(bus, "#size-cells", &[0]);
        tree.set_cells(bus, "bus-frequency", &[400_000]);
        if engine == I2C_OF_MODULE && port == 0 {
            let memory = tree.add(bus, "eeprom@50");
            tree.set_str(memory, "compatible", "atmel,24c128");
            tree.set_cells(memory, "reg", &[0x50]);
            tree.set_str(memory, "label", "module");
            tree.set(memory, "read-only", &[]);
        }
    }
}

fn lpc(tree: &mut Tree, generation: &str) {
    let base = LPC;
    let opb = tree.add(ROOT, &format!("lpcm-opb@{base:x}"));
    let [high, low] = cells_of(base);
    tree.set_cells(opb, "reg", &[high, low, 1, 0]);
    tree.set(opb, "compatible", format!("ibm,{generation}-lpcm-opb\0simple-bus\0").as_bytes());
    tree.set_cells(opb, "#address-cells", &[1]);
    tree.set_cells(opb, "#size-cells", &[1]);
    tree.set_cells(opb, "ibm,chip-id", &[0]);
    tree.set_cells(opb, "ranges", &[0, high, low, 1 << 31, 1 << 31, high, low | 1 << 31, 1 << 31]);
    for (name, at, bytes, compatible) in [
        ("opb-master", 0xc001_0000, 0x60, "opb-master"),
        ("opb-arbitrer", 0xc001_1000, 8, "opb-arbiter"),
        ("lpc-controller", 0xc001_2000, 0x100, "lpc-controller"),
    ] {
        let node = tree.add(opb, &format!("{name}@{at:x}"));
        tree.set_cells(node, "reg", &[at, bytes]);
        let prefix = if compatible.starts_with("opb") { "lpcm-" } else { "" };
        tree.set_str(node, "compatible", &format!("ibm,{generation}-{prefix}{compatible}"));
    }
    let bus = tree.add(opb, "lpc@0");
    tree.set(bus, "compatible", format!("ibm,{generation}-lpc\0ibm,lpc\0").as_bytes());
    tree.set_cells(bus, "#address-cells", &[2]);
    tree.set_cells(bus, "#size-cells", &[1]);
    tree.set(bus, "primary", &[]);
    let ranges =
        [0, 0, 0xe000_0000, 0x1000_0000, 1, 0, 0xd001_0000, 0x1_0000, 3, 0, 0xf000_0000, 0x1000_0000];
    tree.set_cells(bus, "ranges", &ranges);
    let uart = tree.add(bus, "isa-serial@i3f8");
    tree.set_str(uart, "device_type", "serial");
    tree.set(uart, "compatible", b"ns16550\0pnpPNP,501\0");
    tree.set_cells(uart, "reg", &[1, timebase_devices::lpc::UART_PORT, 8]);
    tree.set_cells(uart, "interrupts", &[4]);
    tree.set_cells(uart, "clock-frequency", &[1_843_200]);
    tree.set_cells(uart, "current-speed", &[115_200]);
    let bmc = tree.add(bus, "isa-ipmi-bt@ie4");
    tree.set(bmc, "compatible", b"bt\0ipmi-bt\0");
    tree.set_cells(bmc, "reg", &[1, bmc::PORT, 3]);
    tree.set_cells(bmc, "interrupts", &[bmc::IRQ]);
    // For the firmware alone.
    tree.set_str(bmc, "status", "reserved");
    let parent = tree.phandle(bus);
    for node in [uart, bmc] {
        tree.set_cells(node, "interrupt-parent", &[parent]);
    }
}
