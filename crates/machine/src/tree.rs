//! A live device tree (Devicetree Specification; IEEE 1275 for the client interface on it).

use alloc::{format, string::String, vec::Vec};
use timebase_state::State;

/// A node: an index. Its phandle is the index plus [`PHANDLE`].
pub(crate) type NodeId = u32;

/// Phandle of the root.
const PHANDLE: u32 = 0x1000;

#[derive(State, Clone, Default)]
struct Node {
    /// With unit address: `cpu@0`; empty for the root.
    name: String,
    parent: NodeId,
    children: Vec<NodeId>,
    properties: Vec<(String, Vec<u8>)>,
    removed: bool,
}

/// The tree.
#[derive(State, Clone, Default)]
pub(crate) struct Tree {
    nodes: Vec<Node>,
}

/// The root.
pub(crate) const ROOT: NodeId = 0;

impl Tree {
    /// A root without properties.
    pub fn new() -> Tree {
        Tree { nodes: alloc::vec![Node::default()] }
    }

    /// Adds a child.
    pub fn add(&mut self, parent: NodeId, name: &str) -> NodeId {
        let id = self.nodes.len() as NodeId;
        self.nodes.push(Node { name: name.into(), parent, ..Node::default() });
        self.nodes[parent as usize].children.push(id);
        id
    }

    /// Removes a node and all below it. Its number is not used again.
    pub fn remove(&mut self, node: NodeId) {
        let parent = self.nodes[node as usize].parent;
        self.nodes[parent as usize].children.retain(|&child| child != node);
        self.nodes[node as usize].removed = true;
    }

    /// The node of a phandle.
    pub fn by_phandle(&self, phandle: u32) -> Option<NodeId> {
        let id = phandle.wrapping_sub(PHANDLE);
        self.nodes.get(id as usize).filter(|node| !node.removed).map(|_| id)
    }

    /// The phandle of a node.
    pub fn phandle(&self, node: NodeId) -> u32 {
        node + PHANDLE
    }

    /// Sets a property.
    pub fn set(&mut self, node: NodeId, name: &str, value: &[u8]) {
        let properties = &mut self.nodes[node as usize].properties;
        match properties.iter_mut().find(|(n, _)| n == name) {
            Some((_, old)) => *old = value.into(),
            None => properties.push((name.into(), value.into())),
        }
    }

    /// Sets a string property.
    pub fn set_str(&mut self, node: NodeId, name: &str, value: &str) {
        self.set(node, name, format!("{value}\0").as_bytes());
    }

    /// Sets a property of 32-bit cells.
    pub fn set_cells(&mut self, node: NodeId, name: &str, cells: &[u32]) {
        let bytes: Vec<u8> = cells.iter().flat_map(|cell| cell.to_be_bytes()).collect();
        self.set(node, name, &bytes);
    }

    /// Sets a property of one 64-bit number.
    pub fn set_u64(&mut self, node: NodeId, name: &str, value: u64) {
        self.set(node, name, &value.to_be_bytes());
    }

    /// A property's value. `name` and `phandle` are made up where the client interface asks for them.
    pub fn get(&self, node: NodeId, name: &str) -> Option<Vec<u8>> {
        let here = self.nodes.get(node as usize)?;
        if let Some((_, value)) = here.properties.iter().find(|(n, _)| n == name) {
            return Some(value.clone());
        }
        match name {
            "name" => {
                let base = here.name.split('@').next().unwrap_or("");
                Some(format!("{base}\0").into_bytes())
            }
            "phandle" | "linux,phandle" => Some(self.phandle(node).to_be_bytes().into()),
            _ => None,
        }
    }

    /// The property after `name`, or the first for an empty name.
    pub fn next_property(&self, node: NodeId, name: &str) -> Option<&str> {
        let properties = &self.nodes.get(node as usize)?.properties;
        let next = if name.is_empty() { 0 } else { properties.iter().position(|(n, _)| n == name)? + 1 };
        properties.get(next).map(|(n, _)| n.as_str())
    }

    /// The parent; None for the root.
    pub fn parent(&self, node: NodeId) -> Option<NodeId> {
        (node != ROOT).then(|| self.nodes[node as usize].parent)
    }

    /// The first child.
    pub fn child(&self, node: NodeId) -> Option<NodeId> {
        self.nodes[node as usize].children.first().copied()
    }

    /// The next child of the same parent.
    pub fn peer(&self, node: NodeId) -> Option<NodeId> {
        let siblings = &self.nodes[self.parent(node)? as usize].children;
        let here = siblings.iter().position(|&sibling| sibling == node)?;
        siblings.get(here + 1).copied()
    }

    /// Finds a node by path or alias; unit addresses may be left out, arguments after `:` are ignored.
    pub fn find(&self, path: &str) -> Option<NodeId> {
        let path = path.split(':').next().unwrap_or("");
        if !path.starts_with('/') {
            let alias = path.split('/').next().unwrap_or("");
            let value = self.get(self.find("/aliases")?, alias)?;
            let target = String::from_utf8(value).ok()?;
            let target = target.trim_end_matches('\0');
            return target.starts_with('/').then(|| self.find(target)).flatten();
        }
        let mut node = ROOT;
        for part in path.split('/').filter(|part| !part.is_empty()) {
            let children = &self.nodes[node as usize].children;
            let exact = children.iter().find(|&&child| self.nodes[child as usize].name == part);
            let loose = || {
                children
                    .iter()
                    .find(|&&child| self.nodes[child as usize].name.split('@').next() == Some(part))
            };
            node = *exact.or_else(loose)?;
        }
        Some(node)
    }

    /// The path of a node.
    pub fn path(&self, node: NodeId) -> String {
        match self.parent(node) {
            None => "/".into(),
            Some(parent) => {
                let above = self.path(parent);
                let slash = if parent == ROOT { "" } else { "/" };
                format!("{above}{slash}{}", self.nodes[node as usize].name)
            }
        }
    }

    /// The flattened tree (Devicetree Specification chapter 5, version 17). Written here because the libraries hold
    /// to the specification's 31 characters for property names, and PAPR does not.
    ///
    /// `reserved`: ranges (address, length) that the kernel must not use.
    pub fn flatten(&self, reserved: &[(u64, u64)]) -> Vec<u8> {
        const HEADER: usize = 40;
        let mut flat = Flat::default();
        self.flatten_node(&mut flat, ROOT);
        flat.cell(9);
        // The reservation block comes right after the header and ends with an empty entry.
        let structure_at = HEADER + 16 * (reserved.len() + 1);
        let strings_at = structure_at + flat.structure.len();
        let total = strings_at + flat.strings.len();
        let header: [usize; 10] = [
            0xd00d_feed,
            total,
            structure_at,
            strings_at,
            HEADER,
            17,
            16,
            0,
            flat.strings.len(),
            flat.structure.len(),
        ];
        let mut out: Vec<u8> = header.iter().flat_map(|&cell| (cell as u32).to_be_bytes()).collect();
        for (address, length) in reserved.iter().chain([&(0, 0)]) {
            out.extend(address.to_be_bytes());
            out.extend(length.to_be_bytes());
        }
        out.extend(flat.structure);
        out.extend(flat.strings);
        out
    }

    fn flatten_node(&self, flat: &mut Flat, id: NodeId) {
        let node = &self.nodes[id as usize];
        flat.cell(1);
        flat.padded(node.name.as_bytes(), 1);
        for (name, value) in &node.properties {
            if name != "phandle" && name != "linux,phandle" && name != "name" {
                flat.property(name, value);
            }
        }
        flat.property("phandle", &self.phandle(id).to_be_bytes());
        for &child in &node.children {
            self.flatten_node(flat, child);
        }
        flat.cell(2);
    }
}

/// The growing blocks of a flattened tree.
#[derive(Default)]
struct Flat {
    structure: Vec<u8>,
    strings: Vec<u8>,
}

impl Flat {
    fn cell(&mut self, value: u32) {
        self.structure.extend(value.to_be_bytes());
    }

    /// Bytes, at least `zeros` zeros, up to the next cell.
    fn padded(&mut self, bytes: &[u8], zeros: usize) {
        self.structure.extend(bytes);
        let end = (self.structure.len() + zeros).next_multiple_of(4);
        self.structure.resize(end, 0);
    }

    fn property(&mut self, name: &str, value: &[u8]) {
        let text = format!("{name}\0");
        let known = self.strings.windows(text.len()).position(|window| window == text.as_bytes());
        let at = known.unwrap_or_else(|| {
            self.strings.extend(text.as_bytes());
            self.strings.len() - text.len()
        });
        self.cell(3);
        self.cell(value.len() as u32);
        self.cell(at as u32);
        self.padded(value, 0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nodes_are_found_by_path_with_and_without_unit_address() {
        let mut tree = Tree::new();
        let cpus = tree.add(ROOT, "cpus");
        let cpu = tree.add(cpus, "PowerPC,POWER9@0");
        tree.set_cells(cpu, "reg", &[0]);
        let aliases = tree.add(ROOT, "aliases");
        tree.set_str(aliases, "cpu0", "/cpus/PowerPC,POWER9@0");
        assert_eq!(tree.find("/cpus/PowerPC,POWER9"), Some(cpu));
        assert_eq!(tree.find("cpu0:args"), Some(cpu));
        assert_eq!(tree.path(cpu), "/cpus/PowerPC,POWER9@0");
        assert_eq!(tree.find("/nothing"), None);
        assert_eq!(tree.peer(cpus), Some(aliases));
        assert_eq!(tree.next_property(cpu, ""), Some("reg"));
        assert_eq!(tree.next_property(cpu, "reg"), None);
        let flat = tree.flatten(&[]);
        assert_eq!(&flat[..4], &[0xd0, 0x0d, 0xfe, 0xed]);
        tree.remove(cpu);
        assert_eq!(tree.find("/cpus/PowerPC,POWER9"), None);
    }
}
