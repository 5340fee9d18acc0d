//! What can be asked of a [`Kernel`] by those who check it, and its [`Hash`].

use std::hash::{Hash, Hasher};

use super::{ClientId, Keeper, Kernel, Session};
use crate::front::Node;
use crate::machine::{Machine, Pid};
use crate::scheme::Fd;

impl<M: Machine> Kernel<M> {
    /// What is below, for those who look.
    pub fn machine_ref(&self) -> &M {
        self.core.machine_ref()
    }

    /// The session that a client's descriptor refers to.
    pub fn session(&self, client: ClientId, fd: Fd) -> Option<Session> {
        let descriptor = self.clients.get(client)?.descriptors.get(fd.0 as usize)?;
        self.descriptions[descriptor.description].node.seat().map(|seat| self.core.session(seat))
    }

    /// Every task that is stopped, as far as this kernel knows, and who keeps it so; clients that are no more are nobody.
    pub fn stops(&self) -> Vec<(Pid, Vec<Keeper>)> {
        let mut stops = self.core.stops();
        for keeper in stops.iter_mut().flat_map(|(_, keepers)| keepers) {
            if matches!(keeper, Keeper::Client(client) if !self.clients.contains(*client)) {
                *keeper = Keeper::Nobody;
            }
        }
        stops
    }

    /// Whether a wait for this spawned process would not wait.
    pub fn has_status(&self, pid: Pid) -> bool {
        self.core.has_status(pid)
    }
}

/// Kernels that hash alike have the same future, but for the numbers that new descriptors get.
impl<M: Machine + Hash> Hash for Kernel<M> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        let Kernel { core, policy, queues, clients, descriptions } = self;
        (core, policy, queues).hash(state);
        (clients.len(), descriptions.len()).hash(state);
        for (place, client) in clients {
            (place, client.caller, client.descriptors.len()).hash(state);
            for (fd, descriptor) in &client.descriptors {
                (fd, descriptor.description, descriptor.close_on_exec).hash(state);
            }
        }
        for (place, description) in descriptions {
            (place, &description.path, description.flags, description.references).hash(state);
            description.node.hash(state);
            // Whether the session that a set belongs to is still that one.
            if let Node::Set(set) = &description.node {
                set.pid(core).hash(state);
            }
        }
    }
}
