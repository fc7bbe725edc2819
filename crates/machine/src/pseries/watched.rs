//! What happens in this machine, told to whoever watches ([`crate::observe`]). Nothing here changes the machine.

use super::{Pseries, Request};
use crate::Machine;
use crate::observe::{Observation, Observed};
use timebase_devices::xics;

impl Pseries {
    /// Looks at what has changed between two instructions.
    pub(super) fn look(&mut self) {
        if !self.observer.is_on() {
            return;
        }
        self.see_offers();
        self.board.devices.interrupts.observe(true);
        let (at, now) = (self.position(), self.now());
        let vcpus = self.board.cpu.iter().map(|slot| (&slot.vcpu, slot.activity.name()));
        self.observer.look(at, now, vcpus);
    }

    /// Something happened; `cpu` did it, or it happened to it.
    pub(super) fn see(&mut self, cpu: Option<usize>, what: impl FnOnce() -> Observation) {
        if self.observer.is_on() {
            let at = self.observer.place(self.position());
            let now = self.board.clock.at(at.count);
            self.observer.see(at, now, cpu.map(|n| n as u32), what);
        }
    }

    /// Something that `cpu` did, before its consequences, which were seen from `mark` on.
    pub(super) fn see_before(&mut self, mark: usize, cpu: usize, what: Observation) {
        let at = self.observer.place(self.position());
        let now = self.board.clock.at(at.count);
        self.observer.see_before(mark, Observed { at, now, cpu: Some(cpu as u32), what });
    }

    /// What the interrupt controller offered.
    pub(super) fn see_offers(&mut self) {
        let controller = &mut self.board.devices.interrupts;
        let offers = controller.take_routed();
        let xive = controller.xive().is_some();
        for routed in offers {
            // With XIVE each vCPU has a source of its own number.
            let ipi = if xive { routed.source < self.config.cpus } else { routed.source == xics::IPI };
            self.see(Some(routed.server as usize), || Observation::Offered { routed, ipi });
        }
    }

    /// What the guest asks of the machine as a whole.
    pub(super) fn see_request(&mut self) {
        if !self.observer.is_on() {
            return;
        }
        let request = match &self.board.request {
            Request::None => None,
            Request::Reset => Some(Observation::ResetRequest),
            Request::PowerOff => Some(Observation::PowerOff),
            Request::Panic(text) => Some(Observation::Panic(text.clone())),
        };
        let (at, now) = (self.position(), self.now());
        self.observer.request(at, now, request);
    }

    /// Whether any vCPU can run.
    pub(super) fn see_idle(&mut self, idle: bool) {
        if self.observer.is_on() {
            let (at, now) = (self.position(), self.now());
            self.observer.idle(at, now, idle);
        }
    }
}
