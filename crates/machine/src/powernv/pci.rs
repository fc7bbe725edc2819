//! The PCI host bridges of a chip: which there are, and where their units are in XSCOM (POWER9 and POWER10 register
//! specifications, PBCQ and PCI chiplets; skiboot, doc/device-tree/pbcq).
//!
//! A chip has several PCI Express controllers (PEC), each with up to three stacks; a stack is a host bridge. Here all lanes
//! of a controller are of its first stack, the others are not there: an empty bridge more is only time for whoever looks.

use crate::tree::{NodeId, Tree};
use alloc::format;
use timebase_cpu::Model;
use timebase_devices::phb::{Generation, Unit};

/// A host bridge of a chip.
pub(super) struct Bridge {
    controller: u32,
    stack: u32,
    /// Its number on the chip.
    number: u32,
}

const fn bridge(controller: u32, stack: u32, number: u32) -> Bridge {
    Bridge { controller, stack, number }
}

const BRIDGES_9: [Bridge; 3] = [bridge(0, 0, 0), bridge(1, 0, 1), bridge(2, 0, 3)];
const BRIDGES_10: [Bridge; 2] = [bridge(0, 0, 0), bridge(1, 0, 3)];

/// The host bridges of a chip.
pub(super) fn bridges(model: Model) -> &'static [Bridge] {
    match model {
        Model::Power9 => &BRIDGES_9,
        Model::Power10 => &BRIDGES_10,
    }
}

pub(super) fn generation(model: Model) -> Generation {
    match model {
        Model::Power9 => Generation::Phb4,
        Model::Power10 => Generation::Phb5,
    }
}

/// Controllers of a chip.
fn controllers(model: Model) -> u32 {
    match model {
        Model::Power9 => 3,
        Model::Power10 => 2,
    }
}

/// XSCOM numbers of a controller's units: in the nest, in the PCI chiplet, the latter's configuration.
fn bases(model: Model, controller: u32) -> [u32; 3] {
    const CHIPLET: u32 = 0x100_0000;
    match model {
        Model::Power9 => [
            0x401_0c00 + 0x400 * controller,
            0xd01_0800 + CHIPLET * controller,
            0xd00_0009 + CHIPLET * controller,
        ],
        Model::Power10 => [
            0x301_1800 - CHIPLET * controller,
            0x801_0800 + CHIPLET * controller,
            0x800_0009 + CHIPLET * controller,
        ],
    }
}

/// The bridge that an XSCOM register belongs to, by its place among those of the chip, the unit and the number there.
pub(super) fn stack_register(model: Model, register: u32) -> Option<(usize, Unit, u32)> {
    const STACK: u32 = 0x40;
    const INDIRECT: u32 = 0x100;
    bridges(model).iter().enumerate().find_map(|(n, bridge)| {
        let [nest, pci, _] = bases(model, bridge.controller);
        let own = |base: u32| register.checked_sub(base).filter(|&number| number < STACK);
        let (stack, next) = (STACK * bridge.stack, STACK * (bridge.stack + 1));
        None.or_else(|| own(nest + next).map(|number| (n, Unit::Nest, number)))
            .or_else(|| own(pci + next).map(|number| (n, Unit::Pci, number)))
            .or_else(|| own(pci + INDIRECT + stack).map(|number| (n, Unit::Indirect, number)))
    })
}

/// Whether the register is one of a controller as a whole that keeps what is written; Some(false): it is one that says how
/// lanes are divided among stacks.
pub(super) fn controller_register(model: Model, register: u32) -> Option<bool> {
    (0..controllers(model)).find_map(|controller| {
        let [nest, pci, configuration] = bases(model, controller);
        if register == configuration {
            return Some(false);
        }
        (register.wrapping_sub(nest) <= 8 || register.wrapping_sub(pci) <= 2).then_some(true)
    })
}

/// Describes the controllers of a chip.
pub(super) fn describe(tree: &mut Tree, xscom: NodeId, model: Model, generation: &str) {
    for controller in 0..controllers(model) {
        let [nest, pci, _] = bases(model, controller);
        let node = tree.add(xscom, &format!("pbcq@{nest:x}"));
        tree.set_str(node, "compatible", &format!("ibm,{generation}-pbcq"));
        tree.set_cells(node, "reg", &[nest, 0x100, pci, 0x200]);
        tree.set_cells(node, "#address-cells", &[1]);
        tree.set_cells(node, "#size-cells", &[0]);
        tree.set_cells(node, "ibm,pec-index", &[controller]);
        for bridge in bridges(model).iter().filter(|bridge| bridge.controller == controller) {
            let stack = tree.add(node, &format!("stack@{}", bridge.stack));
            tree.set_str(stack, "compatible", &format!("ibm,{generation}-phb-stack"));
            tree.set_cells(stack, "reg", &[bridge.stack]);
            tree.set_cells(stack, "ibm,phb-index", &[bridge.number]);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn registers_belong_to_the_bridge_whose_stack_they_are_in() {
        let of = |model, register| stack_register(model, register);
        assert_eq!(of(Model::Power9, 0x401_1052), Some((1, Unit::Nest, 0x12)));
        assert_eq!(of(Model::Power9, 0xf01_084a), Some((2, Unit::Pci, 0xa)));
        assert_eq!(of(Model::Power10, 0x901_0901), Some((1, Unit::Indirect, 1)));
        assert_eq!(of(Model::Power9, 0x401_0c00), None);
        assert_eq!(controller_register(Model::Power9, 0x401_0c07), Some(true));
        assert_eq!(controller_register(Model::Power10, 0x900_0009), Some(false));
        assert_eq!(controller_register(Model::Power10, 0x401_0c07), None);
    }
}
