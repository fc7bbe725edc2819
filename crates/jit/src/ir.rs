//! The intermediate representation: a list of 64-bit values, each made from earlier ones.
//!
//! Writes of registers are no nodes: the lifter keeps them in a log (see [`crate::lift`]). Constants are folded while
//! nodes are made, and the patterns that matter to Power code are simplified: rotates that are shifts or extensions,
//! masks of what is narrow anyway.

use core::cell::{Cell, RefCell};
use core::ops::{Add, BitAnd, BitOr, BitXor, Mul, Not, Shl, Shr, Sub};
use timebase_isa::{Binary, Condition, N, Reg, Relation, Unary, Value};

/// Number of a node.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Id(pub u32);

impl Id {
    /// No node.
    pub const NONE: Id = Id(u32::MAX);

    /// As an index.
    pub fn at(self) -> usize {
        self.0 as usize
    }
}

/// Two operands.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Arithmetic {
    /// a + b
    Add,
    /// a - b
    Sub,
    /// a * b
    Mul,
    /// a & b
    And,
    /// a | b
    Or,
    /// a ^ b
    Xor,
    /// a << (b & 63)
    Shl,
    /// a >> (b & 63)
    Shr,
    /// As the ISA's bodies name it.
    Other(Binary),
}

/// How bytes in storage make a value.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Width {
    /// Bytes: 1, 2, 4, 8.
    pub size: u8,
    /// The value is sign-extended.
    pub signed: bool,
    /// The first byte is the most significant.
    pub big: bool,
}

/// What a node does. `k` is its constant.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Op {
    /// k
    Const,
    /// Effective address of the page's start + k.
    Here,
    /// Register word k, as it was where the node stands.
    Get,
    /// Of a.
    Unary(Unary),
    /// Of a and b.
    Binary(Arithmetic),
    /// a ? b, inverted if k is 1.
    Test(Relation),
    /// Whether a & k is not 0; inverted if the top bit of k is set.
    Bit,
    /// 8 if a < b, 4 if a > b, 2 if equal; signed if k is 1; or c if there is one.
    Order,
    /// c ? a : b
    Select,
    /// Value at address a. k: the point of failure.
    Load(Width),
    /// The first of two doublewords at address a; the next node is the second.
    LoadPair(Width),
    /// The second.
    Second,
    /// b to address a.
    Store(Width),
    /// b and then c to address a.
    StorePair(Width),
    /// k, point; fails as an access of so many bytes would at address a.
    Probe {
        /// Bytes.
        bytes: u8,
        /// A store.
        write: bool,
    },
    /// 128 bytes at address a, a multiple of that, become 0. k: the point of failure.
    Zero,
    /// Reserves k bytes at address a, which have just been loaded.
    Reserve,
    /// Stores the first k bytes of b at address a, which can be stored to, if they are reserved. 1 if so.
    Conditional,
    /// Leaves by point k if a holds.
    Exit,
    /// Leaves by point k unless this bit of MSR is as it says.
    Require {
        /// Its number, from the least significant.
        bit: u8,
        /// Set.
        set: bool,
    },
    /// The doubleword k bytes from the start of the vCPU, as it is where the node stands.
    Spr,
    /// Stores a there.
    SetSpr,
    /// The time base at instruction k of the segment, counted from 0.
    TimeBase,
    /// Calls the named function of call k.
    Call,
    /// Two doublewords a and b of a vector.
    Pair,
    /// The first doubleword of the bytes of the pairs a and b that the bytes of the pair c name, from the left or from
    /// the right; the next node is the second.
    Permute {
        /// From the right.
        right: bool,
    },
    /// The first doubleword of what the host's floating point makes of the pairs a, b and c; the next node is the
    /// second. What that cannot do exactly, call k does.
    Float(Float),
}

/// What the host's floating point does to vectors, element by element.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Float {
    /// What.
    pub op: FloatOp,
    /// Two doubles; otherwise four singles.
    pub double: bool,
}

/// An operation of floating point.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum FloatOp {
    /// a + b
    Add,
    /// a - b
    Sub,
    /// a * b
    Mul,
    /// a / b
    Div,
    /// a * c + b, or - b, or the negative of that.
    Fused {
        /// b is subtracted.
        subtract: bool,
        /// The sign is changed in the end.
        negate: bool,
    },
}

/// Top bit of a [`Op::Bit`]'s constant: inverted.
pub const INVERTED: u64 = 1 << 63;

impl Op {
    /// Nothing is gained by keeping it in a register before it is needed.
    pub fn is_lazy(self) -> bool {
        matches!(self, Op::Test(_) | Op::Bit | Op::Order | Op::Pair)
    }

    /// It is made anew wherever it is needed.
    pub fn is_leaf(self) -> bool {
        matches!(self, Op::Const | Op::Here)
    }

    /// It is an access at address a.
    pub fn has_address(self) -> bool {
        matches!(self, Op::Load(_) | Op::Store(_) | Op::LoadPair(_) | Op::StorePair(_) | Op::Zero)
    }

    /// It happens whether or not its value is used.
    pub fn has_effect(self) -> bool {
        matches!(
            self,
            Op::Load(_)
                | Op::LoadPair(_)
                | Op::Second
                | Op::Store(_)
                | Op::StorePair(_)
                | Op::Probe { .. }
                | Op::Zero
                | Op::Reserve
                | Op::Conditional
                | Op::Exit
                | Op::Require { .. }
                | Op::SetSpr
                | Op::Call
                | Op::Float(_)
                | Op::Permute { .. }
        )
    }
}

/// A value.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Node {
    /// What it does.
    pub op: Op,
    /// First operand.
    pub a: Id,
    /// Second operand.
    pub b: Id,
    /// Third operand.
    pub c: Id,
    /// Its constant.
    pub k: u64,
}

/// Nodes being made.
#[derive(Default)]
pub struct Ir {
    nodes: RefCell<Vec<Node>>,
    /// Where the segment begins that nodes are made for.
    segment: Cell<usize>,
}

fn compute(op: Arithmetic, a: u64, b: u64) -> u64 {
    let (a, b) = (N(a), N(b));
    match op {
        Arithmetic::Add => a + b,
        Arithmetic::Sub => a - b,
        Arithmetic::Mul => a * b,
        Arithmetic::And => a & b,
        Arithmetic::Or => a | b,
        Arithmetic::Xor => a ^ b,
        Arithmetic::Shl => a << b,
        Arithmetic::Shr => a >> b,
        Arithmetic::Other(op) => a.binary(op, b),
    }
    .0
}

impl Ir {
    /// The nodes made so far, to be read.
    pub fn into_nodes(self) -> Vec<Node> {
        self.nodes.into_inner()
    }

    /// Starts with memory that was used before.
    pub fn with(mut nodes: Vec<Node>) -> Ir {
        nodes.clear();
        Ir { nodes: RefCell::new(nodes), segment: Cell::new(0) }
    }

    /// Begins anew.
    pub fn clear(&self) {
        self.nodes.borrow_mut().clear();
        self.segment.set(0);
    }

    /// A segment begins: another way may have led there than by the nodes made last.
    pub fn begin_segment(&self) {
        self.segment.set(self.nodes.borrow().len());
    }

    /// How many nodes there are.
    pub fn count(&self) -> u32 {
        self.nodes.borrow().len() as u32
    }

    /// The node `id`.
    pub fn node(&self, id: Id) -> Node {
        self.nodes.borrow()[id.at()]
    }

    /// A new node.
    pub fn add(&self, op: Op, a: Id, b: Id, c: Id, k: u64) -> Id {
        let mut nodes = self.nodes.borrow_mut();
        nodes.push(Node { op, a, b, c, k });
        Id(nodes.len() as u32 - 1)
    }

    /// A constant.
    pub fn constant(&self, k: u64) -> Id {
        self.add(Op::Const, Id::NONE, Id::NONE, Id::NONE, k)
    }

    /// An address in terms of the page's.
    pub fn here(&self, k: u64) -> Id {
        self.add(Op::Here, Id::NONE, Id::NONE, Id::NONE, k)
    }

    /// The value of a constant.
    pub fn value(&self, id: Id) -> Option<u64> {
        let node = self.node(id);
        matches!(node.op, Op::Const).then_some(node.k)
    }

    /// The distance of an address from the page's.
    pub fn distance(&self, id: Id) -> Option<u64> {
        let node = self.node(id);
        matches!(node.op, Op::Here).then_some(node.k)
    }

    /// Bits that may be set in a node, as far as its operation tells.
    fn possible(&self, id: Id) -> u64 {
        let node = self.node(id);
        match node.op {
            Op::Const => node.k,
            Op::Load(Width { signed: false, size, .. }) if size < 8 => (1 << (8 * size)) - 1,
            Op::Binary(Arithmetic::And) => self.value(node.b).unwrap_or(u64::MAX),
            Op::Binary(Arithmetic::Other(Binary::Rotl32)) => 0xffff_ffff,
            Op::Binary(Arithmetic::Shr) => {
                self.value(node.b).map_or(u64::MAX, |count| u64::MAX >> (count & 63))
            }
            Op::Binary(Arithmetic::Or | Arithmetic::Xor) => self.possible(node.a) | self.possible(node.b),
            Op::Test(_) | Op::Bit | Op::Conditional => 1,
            Op::Order => 15,
            // Bits of XER and fields of CR, each in a word of its own.
            Op::Get if (Reg::CA.0..=Reg::SO.0).contains(&(node.k as u8)) => 1,
            Op::Get if (Reg::cr(0).0..=Reg::cr(7).0).contains(&(node.k as u8)) => 15,
            _ => u64::MAX,
        }
    }

    fn binary(&self, op: Arithmetic, a: Id, b: Id) -> Id {
        use Arithmetic::*;
        let (known_a, known_b) = (self.value(a), self.value(b));
        if let (Some(x), Some(y)) = (known_a, known_b) {
            return self.constant(compute(op, x, y));
        }
        let commutes = matches!(op, Add | Mul | And | Or | Xor | Other(Binary::MulHu | Binary::MulHs));
        let (a, b, known_b) = if commutes && known_a.is_some() { (b, a, known_a) } else { (a, b, known_b) };
        if let Some(k) = known_b
            && let Some(id) = self.with_constant(op, a, b, k)
        {
            return id;
        }
        // Shifts look at six bits of the number only.
        if matches!(op, Shl | Shr | Other(Binary::Sar | Binary::Rotl))
            && let Some(count) = self.masked(b, 63)
        {
            return self.binary(op, a, count);
        }
        match op {
            And | Or if a == b => return a,
            Xor | Sub if a == b => return self.constant(0),
            // As `subfe` of a register and itself makes of a carry a mask.
            Add | Xor if self.is_inverse(a, b) || self.is_inverse(b, a) => return self.constant(u64::MAX),
            // CR := order | SO is one value.
            Or => {
                for (order, other) in [(a, b), (b, a)] {
                    let node = self.node(order);
                    if matches!(node.op, Op::Order) && node.c == Id::NONE && self.possible(other) == 1 {
                        return self.add(Op::Order, node.a, node.b, other, node.k);
                    }
                }
            }
            _ => {}
        }
        // Indexed accesses to one address, a load and a store above all, are to share its translation.
        if op == Add
            && known_b.is_none()
            && let Some(id) = self.sum_made_lately(a, b)
        {
            return id;
        }
        self.add(Op::Binary(op), a, b, Id::NONE, 0)
    }

    /// One of the nodes made last in this segment, if it is this sum.
    fn sum_made_lately(&self, a: Id, b: Id) -> Option<Id> {
        const LATELY: usize = 24;
        let nodes = self.nodes.borrow();
        let first = nodes.len().saturating_sub(LATELY).max(self.segment.get());
        let is_sum =
            |node: &Node| node.a == a && node.b == b && matches!(node.op, Op::Binary(Arithmetic::Add));
        let found = nodes[first..].iter().rposition(is_sum)?;
        Some(Id((first + found) as u32))
    }

    /// `a` is `!b`.
    fn is_inverse(&self, a: Id, b: Id) -> bool {
        let node = self.node(a);
        node.a == b && matches!(node.op, Op::Binary(Arithmetic::Xor)) && self.value(node.b) == Some(u64::MAX)
    }

    /// What `id` is the lower bits of, if it is some value of which `mask` and no others are taken.
    fn masked(&self, id: Id, mask: u64) -> Option<Id> {
        let node = self.node(id);
        let masked = matches!(node.op, Op::Binary(Arithmetic::And)) && self.value(node.b) == Some(mask);
        masked.then_some(node.a)
    }

    /// Simplifies `a op k`.
    fn with_constant(&self, op: Arithmetic, a: Id, b: Id, k: u64) -> Option<Id> {
        use Arithmetic::*;
        let node = self.node(a);
        let inner = self.value(if node.b == Id::NONE { a } else { node.b });
        Some(match (op, k) {
            (Add | Sub | Or | Xor | Shl | Shr | Other(Binary::Sar | Binary::Rotl), 0) => a,
            (And, u64::MAX) => a,
            (And | Mul, 0) => self.constant(0),
            (Mul, 1) => a,
            (Mul, _) if k.is_power_of_two() => self.binary(Shl, a, self.constant(k.trailing_zeros() as u64)),
            (Sub, _) => self.binary(Add, a, self.constant(k.wrapping_neg())),
            (Add, _) if matches!(node.op, Op::Here) => self.here(node.k.wrapping_add(k)),
            // Pages begin at multiples of 4 KiB.
            (And, _) if matches!(node.op, Op::Here) && !k & !0xfff == 0 => self.here(node.k & k),
            (Add, _) if matches!(node.op, Op::Binary(Add)) => {
                let sum = self.constant(inner?.wrapping_add(k));
                self.binary(Add, node.a, sum)
            }
            (And, _) if self.possible(a) & !k == 0 => a,
            (And, _) if matches!(node.op, Op::Binary(And)) => {
                self.binary(And, node.a, self.constant(inner? & k))
            }
            // A rotated word stands in both halves: only one is looked at.
            (And, _) if k >> 32 == 0 && matches!(node.op, Op::Binary(Or)) => {
                let shifted = self.node(node.b);
                let twice =
                    shifted.op == Op::Binary(Shl) && shifted.a == node.a && self.value(shifted.b) == Some(32);
                if !twice {
                    return None;
                }
                self.binary(And, node.a, b)
            }
            (And, _) if matches!(node.op, Op::Binary(Other(Binary::Rotl))) => {
                self.rotated(node.a, inner? & 63, 64, k)?
            }
            (And, _) if matches!(node.op, Op::Binary(Other(Binary::Rotl32))) && k >> 32 == 0 => {
                self.rotated(node.a, inner? & 31, 32, k)?
            }
            _ => return None,
        })
    }

    /// `mask` of the lower `bits` bits of `a`, rotated left by `count`: a shift, if what comes in on the other side is not
    /// taken.
    fn rotated(&self, a: Id, count: u64, bits: u64, mask: u64) -> Option<Id> {
        use Arithmetic::*;
        let id = if count == 0 {
            self.binary(And, a, self.constant(mask))
        } else if mask == u64::MAX << count {
            self.binary(Shl, a, self.constant(count))
        } else if mask & ((1 << count) - 1) == 0 {
            self.binary(Shl, self.binary(And, a, self.constant(mask >> count)), self.constant(count))
        } else if mask >> count == 0 {
            let shifted = self.binary(Shr, a, self.constant(bits - count));
            self.binary(And, shifted, self.constant(mask))
        } else {
            return None;
        };
        Some(id)
    }

    fn unary(&self, op: Unary, a: Id) -> Id {
        if let Some(k) = self.value(a) {
            return self.constant(N(k).unary(op).0);
        }
        let node = self.node(a);
        let narrow = match node.op {
            Op::Unary(Unary::Sext32) => op == Unary::Sext32,
            Op::Load(Width { signed: true, size, .. }) => op == Unary::Sext32 && size <= 4,
            _ => false,
        };
        let positive = match op {
            Unary::Sext8 => 0x7f,
            Unary::Sext16 => 0x7fff,
            Unary::Sext32 => 0x7fff_ffff,
            _ => 0,
        };
        let narrow = narrow || positive != 0 && self.possible(a) & !positive == 0;
        if narrow { a } else { self.add(Op::Unary(op), a, Id::NONE, Id::NONE, 0) }
    }

    fn test(&self, relation: Relation, a: Id, b: Id) -> Id {
        if let (Some(x), Some(y)) = (self.value(a), self.value(b)) {
            return self.constant(N(x).test(relation, N(y)) as u64);
        }
        if a == b {
            return self.constant((relation == Relation::Eq) as u64);
        }
        if relation == Relation::LtU && (self.value(a) == Some(u64::MAX) || self.value(b) == Some(0)) {
            return self.constant(0);
        }
        if relation == Relation::Eq && self.value(b) == Some(0) {
            // Is a bit, or a truth value, 0?
            let node = self.node(a);
            if matches!(node.op, Op::Test(_) | Op::Bit) {
                return self.not(a);
            }
            if matches!(node.op, Op::Binary(Arithmetic::And))
                && let Some(mask) = self.value(node.b)
            {
                return self.bit(node.a, mask, true);
            }
        }
        self.add(Op::Test(relation), a, b, Id::NONE, 0)
    }

    /// a & mask != 0, or == 0.
    fn bit(&self, a: Id, mask: u64, inverted: bool) -> Id {
        let node = self.node(a);
        // The bit looked at may have been shifted down.
        if matches!(node.op, Op::Binary(Arithmetic::Shr))
            && let Some(count) = self.value(node.b)
            && mask.leading_zeros() as u64 >= count
        {
            return self.bit(node.a, mask << count, inverted);
        }
        // A bit of the order of two values is a comparison, unless something else may set it.
        if matches!(node.op, Op::Order) {
            let (less, equal) = (if node.k == 1 { Relation::LtS } else { Relation::LtU }, Relation::Eq);
            let plain = |relation, a, b| {
                let id = self.test(relation, a, b);
                if inverted { self.not(id) } else { id }
            };
            match mask {
                8 => return plain(less, node.a, node.b),
                4 => return plain(less, node.b, node.a),
                2 => return plain(equal, node.a, node.b),
                1 if node.c == Id::NONE => return self.constant(inverted as u64),
                1 => return self.bit(node.c, 1, inverted),
                _ => {}
            }
        }
        if let Some(k) = self.value(a) {
            return self.constant(((k & mask != 0) != inverted) as u64);
        }
        if mask & INVERTED != 0 {
            let masked = self.binary(Arithmetic::And, a, self.constant(mask));
            return self.add(Op::Test(Relation::Eq), masked, self.constant(0), Id::NONE, !inverted as u64);
        }
        self.add(Op::Bit, a, Id::NONE, Id::NONE, mask | if inverted { INVERTED } else { 0 })
    }

    fn not(&self, condition: Id) -> Id {
        let node = self.node(condition);
        match node.op {
            Op::Const => self.constant(node.k ^ 1),
            Op::Test(_) => self.add(node.op, node.a, node.b, node.c, node.k ^ 1),
            Op::Bit => self.add(node.op, node.a, node.b, node.c, node.k ^ INVERTED),
            _ => self.binary(Arithmetic::Xor, condition, self.constant(1)),
        }
    }

    fn select(&self, condition: Id, yes: Id, no: Id) -> Id {
        match self.value(condition) {
            Some(0) => no,
            Some(_) => yes,
            None => self.add(Op::Select, yes, no, condition, 0),
        }
    }
}

/// A value of a reader that makes nodes.
#[derive(Clone, Copy)]
pub struct V<'b>(pub Id, pub &'b Ir);

/// A truth value: 0 or 1.
#[derive(Clone, Copy)]
pub struct C<'b>(pub Id, pub &'b Ir);

macro_rules! operator {
    ($($type:ident: $trait:ident $method:ident $op:ident;)*) => {$(
        impl<'b> $trait for $type<'b> {
            type Output = $type<'b>;
            fn $method(self, other: $type<'b>) -> $type<'b> {
                $type(self.1.binary(Arithmetic::$op, self.0, other.0), self.1)
            }
        }
    )*};
}

macro_rules! operator_with_constant {
    ($($trait:ident $method:ident $op:ident;)*) => {$(
        impl<'b> $trait<u64> for V<'b> {
            type Output = V<'b>;
            fn $method(self, k: u64) -> V<'b> {
                V(self.1.binary(Arithmetic::$op, self.0, self.1.constant(k)), self.1)
            }
        }
    )*};
}

operator! {
    V: Add add Add;
    V: Sub sub Sub;
    V: Mul mul Mul;
    V: BitAnd bitand And;
    V: BitOr bitor Or;
    V: BitXor bitxor Xor;
    V: Shl shl Shl;
    V: Shr shr Shr;
    C: BitAnd bitand And;
    C: BitOr bitor Or;
    C: BitXor bitxor Xor;
}

operator_with_constant! {
    Add add Add;
    Sub sub Sub;
    Mul mul Mul;
    BitAnd bitand And;
    BitOr bitor Or;
    BitXor bitxor Xor;
    Shl shl Shl;
    Shr shr Shr;
}

impl<'b> Not for V<'b> {
    type Output = V<'b>;
    fn not(self) -> V<'b> {
        self ^ u64::MAX
    }
}

impl<'b> Not for C<'b> {
    type Output = C<'b>;
    fn not(self) -> C<'b> {
        C(self.1.not(self.0), self.1)
    }
}

impl<'b> Value for V<'b> {
    type Condition = C<'b>;
    fn unary(self, op: Unary) -> V<'b> {
        V(self.1.unary(op, self.0), self.1)
    }
    fn binary(self, op: Binary, other: V<'b>) -> V<'b> {
        V(self.1.binary(Arithmetic::Other(op), self.0, other.0), self.1)
    }
    fn test(self, relation: Relation, other: V<'b>) -> C<'b> {
        C(self.1.test(relation, self.0, other.0), self.1)
    }
    fn order(self, signed: bool, other: V<'b>) -> V<'b> {
        V(self.1.add(Op::Order, self.0, other.0, Id::NONE, signed as u64), self.1)
    }
}

impl<'b> Condition for C<'b> {
    type Value = V<'b>;
    fn bit(self) -> V<'b> {
        V(self.0, self.1)
    }
    fn select(self, yes: V<'b>, no: V<'b>) -> V<'b> {
        V(self.1.select(self.0, yes.0, no.0), self.1)
    }
}
