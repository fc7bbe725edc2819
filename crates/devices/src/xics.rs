//! XICS: the interrupt presentation and source layers of PAPR (LoPAR chapter "Interrupt Controller").
//!
//! A source sends its interrupt to the presentation controller of one server (vCPU). That holds at most one
//! interrupt; a better one pushes it back to its source, which sends it again when the server's priority allows.
//! Priorities: 0 is the most favoured, 0xff is masked.
//!
//! Left out: global servers (ibm,ppc-interrupt-gserver#s), which no guest of this machine is told of.

use crate::controller::Routed;
use alloc::{collections::BTreeMap, vec, vec::Vec};
use timebase_state::State;

/// The interrupt number of an inter-processor interrupt.
pub const IPI: u32 = 2;
/// The priority that masks.
pub const MASKED: u8 = 0xff;
const NUMBER: u32 = 0x00ff_ffff;

/// Presentation controller of one server.
#[derive(State, Clone, Debug, Default, PartialEq, Eq)]
struct Presentation {
    /// Current processor priority in the top byte, presented interrupt in the other three.
    xirr: u32,
    /// Priority of the presented interrupt.
    pending: u8,
    /// Most favoured request: the priority of an IPI.
    mfrr: u8,
}

impl Presentation {
    const COLD: Presentation = Presentation { xirr: 0, pending: MASKED, mfrr: MASKED };

    fn cppr(&self) -> u8 {
        (self.xirr >> 24) as u8
    }
    fn presented(&self) -> u32 {
        self.xirr & NUMBER
    }
    fn present(&mut self, number: u32, priority: u8) {
        self.xirr = self.xirr & !NUMBER | number;
        self.pending = priority;
    }
}

/// An interrupt source.
#[derive(State, Clone, Debug, Default, PartialEq, Eq)]
struct Source {
    level: bool,
    server: u32,
    priority: u8,
    /// What `ibm,int-on` restores.
    saved_priority: u8,
    /// The line of a level source.
    asserted: bool,
    /// A level source has sent its interrupt and not seen its end.
    sent: bool,
    /// A message source's interrupt was pushed back.
    rejected: bool,
    /// A message source was triggered while masked.
    pending: bool,
}

/// What `ibm,get-xive` tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Xive {
    /// Server the source sends to.
    pub server: u32,
    /// Its priority.
    pub priority: u8,
}

/// No such source or server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NoSuch;

/// The controller.
#[derive(State, Clone, Debug, Default, PartialEq, Eq)]
pub struct Xics {
    presentations: Vec<Presentation>,
    sources: BTreeMap<u32, Source>,
    #[cache("for an observer, if there is one")]
    pub(crate) routed: Option<Vec<Routed>>,
}

impl Xics {
    /// Power-on state for `servers` vCPUs, with level and message sources of these numbers, masked.
    pub fn cold(servers: u32, level: &[u32], message: &[u32]) -> Xics {
        let source = |level| Source { level, priority: MASKED, saved_priority: MASKED, ..Source::default() };
        let of =
            |numbers: &[u32], level| numbers.iter().map(move |&n| (n, source(level))).collect::<Vec<_>>();
        Xics {
            presentations: vec![Presentation::COLD; servers as usize],
            sources: of(level, true).into_iter().chain(of(message, false)).collect(),
            routed: None,
        }
    }

    /// The external interrupt line of `server`.
    pub fn line(&self, server: u32) -> bool {
        self.presentations.get(server as usize).is_some_and(|p| p.presented() != 0)
    }

    fn presentation(&mut self, server: u32) -> Option<&mut Presentation> {
        self.presentations.get_mut(server as usize)
    }

    /// Drives the line of a level source; triggers a message source when `value`.
    pub fn set(&mut self, number: u32, value: bool) {
        let Some(source) = self.sources.get_mut(&number) else { return };
        if source.level {
            source.asserted = value;
            self.send_level(number);
        } else if value {
            if source.priority == MASKED {
                source.pending = true;
            } else {
                self.deliver(number);
            }
        }
    }

    fn send_level(&mut self, number: u32) {
        let Some(source) = self.sources.get_mut(&number) else { return };
        if source.priority != MASKED && source.asserted && !source.sent {
            source.sent = true;
            self.deliver(number);
        }
    }

    /// Offers a source's interrupt to its server.
    fn deliver(&mut self, number: u32) {
        let Some(source) = self.sources.get(&number) else { return };
        let (server, priority) = (source.server, source.priority);
        let Some(presentation) = self.presentation(server) else { return self.reject(number) };
        let presented = presentation.presented();
        if priority >= presentation.cppr() || presented != 0 && presentation.pending <= priority {
            return self.reject(number);
        }
        presentation.present(number, priority);
        self.tell(number, server, priority);
        self.push_back(presented, server);
    }

    /// What was presented to `server` goes back to its source, which may belong to another server by now.
    fn push_back(&mut self, number: u32, server: u32) {
        self.reject(number);
        if self.sources.get(&number).is_some_and(|source| source.server != server) {
            self.resend_source(number);
        }
    }

    /// Pushes an interrupt back to its source. IPIs stay in MFRR.
    fn reject(&mut self, number: u32) {
        if let Some(source) = self.sources.get_mut(&number) {
            if source.level {
                source.sent = false;
            } else {
                source.rejected = true;
            }
        }
    }

    fn check_ipi(&mut self, server: u32) {
        let Some(presentation) = self.presentation(server) else { return };
        let presented = presentation.presented();
        if presentation.mfrr >= presentation.cppr()
            || presented != 0 && presentation.pending <= presentation.mfrr
        {
            return;
        }
        let mfrr = presentation.mfrr;
        presentation.present(IPI, mfrr);
        self.tell(IPI, server, mfrr);
        self.push_back(presented, server);
    }

    /// Tells an observer what is presented.
    fn tell(&mut self, source: u32, server: u32, priority: u8) {
        if let Some(routed) = &mut self.routed {
            routed.push(Routed { source, server, priority, event: None });
        }
    }

    /// Everything that waits for `server` is offered again.
    fn resend(&mut self, server: u32) {
        self.check_ipi(server);
        let waiting: Vec<u32> =
            self.sources.iter().filter(|(_, source)| source.server == server).map(|(&n, _)| n).collect();
        for number in waiting {
            self.resend_source(number);
        }
    }

    fn resend_source(&mut self, number: u32) {
        let Some(source) = self.sources.get_mut(&number) else { return };
        if source.level {
            self.send_level(number);
        } else if source.rejected && source.priority != MASKED {
            source.rejected = false;
            self.deliver(number);
        }
    }

    /// H_CPPR: sets the priority below which `server` accepts.
    pub fn set_cppr(&mut self, server: u32, cppr: u8) {
        let Some(presentation) = self.presentation(server) else { return };
        let old = presentation.cppr();
        presentation.xirr = presentation.xirr & NUMBER | (cppr as u32) << 24;
        if cppr < old {
            if presentation.presented() != 0 && cppr <= presentation.pending {
                let pushed = presentation.presented();
                presentation.present(0, MASKED);
                self.push_back(pushed, server);
            }
        } else if presentation.presented() == 0 {
            self.resend(server);
        }
    }

    /// H_IPI: requests an inter-processor interrupt of `server`.
    pub fn set_mfrr(&mut self, server: u32, mfrr: u8) -> Result<(), NoSuch> {
        self.presentation(server).ok_or(NoSuch)?.mfrr = mfrr;
        self.check_ipi(server);
        Ok(())
    }

    /// H_XIRR: accepts what is presented to `server`.
    pub fn accept(&mut self, server: u32) -> u32 {
        let Some(presentation) = self.presentation(server) else { return 0 };
        let xirr = presentation.xirr;
        if xirr & NUMBER != 0 {
            presentation.xirr = (presentation.pending as u32) << 24;
            presentation.pending = MASKED;
        }
        xirr
    }

    /// H_IPOLL: XIRR and MFRR of `server`, without effect.
    pub fn poll(&self, server: u32) -> Result<(u32, u8), NoSuch> {
        self.presentations.get(server as usize).map(|p| (p.xirr, p.mfrr)).ok_or(NoSuch)
    }

    /// H_EOI: `xirr` is what H_XIRR gave.
    pub fn end_of_interrupt(&mut self, server: u32, xirr: u32) {
        if let Some(source) = self.sources.get_mut(&(xirr & NUMBER)) {
            source.sent = false;
        }
        if let Some(presentation) = self.presentation(server) {
            presentation.xirr = presentation.xirr & NUMBER | xirr & !NUMBER;
            if presentation.presented() == 0 {
                self.resend(server);
            }
        }
        // The source may belong to another server by now.
        self.send_level(xirr & NUMBER);
    }

    /// `ibm,set-xive`.
    pub fn set_xive(&mut self, number: u32, server: u32, priority: u8) -> Result<(), NoSuch> {
        if server as usize >= self.presentations.len() {
            return Err(NoSuch);
        }
        self.configure(number, server, priority, priority)
    }

    /// `ibm,int-off`: masks, remembering the priority.
    pub fn mask(&mut self, number: u32) -> Result<(), NoSuch> {
        let source = self.sources.get(&number).ok_or(NoSuch)?;
        self.configure(number, source.server, MASKED, source.priority)
    }

    /// `ibm,int-on`: the priority that masking remembered.
    pub fn unmask(&mut self, number: u32) -> Result<(), NoSuch> {
        let source = self.sources.get(&number).ok_or(NoSuch)?;
        self.configure(number, source.server, source.saved_priority, source.saved_priority)
    }

    fn configure(
        &mut self,
        number: u32,
        server: u32,
        priority: u8,
        saved_priority: u8,
    ) -> Result<(), NoSuch> {
        let source = self.sources.get_mut(&number).ok_or(NoSuch)?;
        (source.server, source.priority, source.saved_priority) = (server, priority, saved_priority);
        if source.level {
            self.send_level(number);
        } else if priority != MASKED && (source.pending || source.rejected) {
            (source.pending, source.rejected) = (false, false);
            self.deliver(number);
        }
        Ok(())
    }

    /// `ibm,get-xive`.
    pub fn xive(&self, number: u32) -> Result<Xive, NoSuch> {
        self.sources.get(&number).map(|s| Xive { server: s.server, priority: s.priority }).ok_or(NoSuch)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn controller() -> Xics {
        let mut xics = Xics::cold(2, &[0x1100], &[0x1000]);
        xics.set_cppr(0, 0xff);
        xics.set_cppr(1, 0xff);
        xics
    }

    #[test]
    fn a_level_source_is_presented_again_until_its_line_falls() {
        let mut xics = controller();
        xics.set_xive(0x1100, 0, 5).unwrap();
        xics.set(0x1100, true);
        assert!(xics.line(0));
        let xirr = xics.accept(0);
        assert_eq!(xirr & 0xff_ffff, 0x1100);
        assert!(!xics.line(0), "accepted");
        xics.end_of_interrupt(0, xirr);
        assert!(xics.line(0), "the line is still up");
        let xirr = xics.accept(0);
        xics.set(0x1100, false);
        xics.end_of_interrupt(0, xirr);
        assert!(!xics.line(0));
    }

    #[test]
    fn a_masked_message_is_kept_and_a_better_one_pushes_it_back() {
        let mut xics = controller();
        xics.set(0x1000, true);
        assert!(!xics.line(1));
        xics.set_xive(0x1000, 1, 6).unwrap();
        assert!(xics.line(1));
        xics.set_mfrr(1, 4).unwrap();
        let ipi = xics.accept(1);
        assert_eq!(ipi & 0xff_ffff, IPI);
        xics.set_mfrr(1, 0xff).unwrap();
        assert!(!xics.line(1), "priority 6 does not interrupt priority 4");
        xics.end_of_interrupt(1, ipi);
        assert_eq!(xics.accept(1) & 0xff_ffff, 0x1000, "it was sent again");
    }

    #[test]
    fn raising_the_priority_takes_back_what_was_presented() {
        let mut xics = controller();
        xics.set_xive(0x1000, 0, 5).unwrap();
        xics.set(0x1000, true);
        xics.set_cppr(0, 5);
        assert!(!xics.line(0));
        xics.set_cppr(0, 6);
        assert!(xics.line(0));
    }

    #[test]
    fn int_off_and_on_keep_the_priority() {
        let mut xics = controller();
        xics.set_xive(0x1000, 1, 7).unwrap();
        xics.mask(0x1000).unwrap();
        assert_eq!(xics.xive(0x1000), Ok(Xive { server: 1, priority: MASKED }));
        xics.set(0x1000, true);
        assert!(!xics.line(1));
        xics.unmask(0x1000).unwrap();
        assert_eq!(xics.xive(0x1000), Ok(Xive { server: 1, priority: 7 }));
        assert!(xics.line(1));
        assert_eq!(xics.set_xive(0x1000, 2, 0), Err(NoSuch));
        assert_eq!(xics.xive(9), Err(NoSuch));
    }

    const SOURCES: [u32; 4] = [0x1000, 0x1001, 0x1100, 0x1101];

    fn is_level(n: usize) -> bool {
        n >= 2
    }

    /// Two servers, two message and two level sources; per source how often it was triggered, how often it was
    /// taken, and whether something happened after it was last taken.
    struct Watched {
        xics: Xics,
        triggered: [u32; 4],
        taken: [u32; 4],
        unseen: [bool; 4],
        /// A handler that has been interrupted by a better one ends later: its XIRR, by server.
        stacked: [Vec<u32>; 2],
    }

    impl Watched {
        fn trigger(&mut self, n: usize) {
            self.triggered[n] += 1;
            self.unseen[n] = true;
            self.xics.set(SOURCES[n], true);
        }

        fn take(&mut self, server: u32) {
            let xirr = self.xics.accept(server);
            if xirr & NUMBER == 0 {
                return;
            }
            let n = SOURCES.iter().position(|&number| number == xirr & NUMBER).unwrap();
            self.taken[n] += 1;
            assert!(self.taken[n] <= self.triggered[n], "{:#x} came without a cause", SOURCES[n]);
            self.unseen[n] = false;
            if is_level(n) {
                self.xics.set(SOURCES[n], false);
            }
            self.stacked[server as usize].push(xirr);
        }

        fn end(&mut self, server: u32) {
            if let Some(xirr) = self.stacked[server as usize].pop() {
                self.xics.end_of_interrupt(server, xirr);
            }
        }
    }

    #[derive(Clone, Debug)]
    enum Step {
        Trigger(usize),
        Take(u32),
        End(u32),
        Aim(usize, u32, u8),
        Mask(usize),
        Unmask(usize),
    }

    fn step() -> impl Strategy<Value = Step> {
        prop_oneof![
            3 => (0..4usize).prop_map(Step::Trigger),
            3 => (0..2u32).prop_map(Step::Take),
            3 => (0..2u32).prop_map(Step::End),
            1 => (0..4usize, 0..2u32, 3..6u8).prop_map(|(n, server, priority)| Step::Aim(n, server, priority)),
            1 => (0..4usize).prop_map(Step::Mask),
            1 => (0..4usize).prop_map(Step::Unmask),
        ]
    }

    proptest! {
        #[test]
        fn no_interrupt_is_lost_and_none_comes_without_a_cause(steps in prop::collection::vec(step(), 1..300)) {
            let mut xics = Xics::cold(2, &SOURCES[2..], &SOURCES[..2]);
            for number in SOURCES {
                xics.set_xive(number, 0, 5).unwrap();
            }
            xics.set_cppr(0, 0xff);
            xics.set_cppr(1, 0xff);
            let mut watched =
                Watched { xics, triggered: [0; 4], taken: [0; 4], unseen: [false; 4], stacked: [vec![], vec![]] };
            for step in steps {
                match step {
                    // A level that is up already tells nothing new.
                    Step::Trigger(n) if is_level(n) && watched.unseen[n] => {}
                    Step::Trigger(n) => watched.trigger(n),
                    Step::Take(server) => watched.take(server),
                    Step::End(server) => watched.end(server),
                    Step::Aim(n, server, priority) => {
                        watched.xics.set_xive(SOURCES[n], server, priority).unwrap();
                    }
                    Step::Mask(n) => watched.xics.mask(SOURCES[n]).unwrap(),
                    Step::Unmask(n) => watched.xics.unmask(SOURCES[n]).unwrap(),
                }
            }
            // Only what is masked is touched: everything else must come by itself.
            for number in SOURCES {
                if watched.xics.xive(number).unwrap().priority == MASKED {
                    watched.xics.set_xive(number, 1, 5).unwrap();
                }
            }
            for _ in 0..64 {
                for server in 0..2 {
                    watched.take(server);
                    watched.end(server);
                }
            }
            prop_assert_eq!(watched.unseen, [false; 4]);
            prop_assert!(!watched.xics.line(0) && !watched.xics.line(1));
        }
    }
}
