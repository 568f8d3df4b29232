//! A machine and the process on it: what the lanes of one run of it are, from its start to its end.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use provider::target::TargetPolicy;
use tokio::sync::{Notify, watch};
use tokio::task::JoinHandle;
use tokio::time::Instant;
use wire::{EndpointId, NodeId};
use workers::{Bounds, Context, LaneSupervisor};

use crate::chance::Luck;
use crate::faulty_lanes::FaultyLanes;
use crate::faulty_nodes::FaultyNodes;
use crate::network::Network;
use crate::oracle::SessionNumber;
use crate::plight::Plight;
use crate::simulation::{MachineClock, Simulation};

/// One run of a process, as the store and the network see it.
pub(crate) struct Run {
    /// Unlike that of any other run.
    pub(crate) number: u64,
    pub(crate) clock: Arc<MachineClock>,
    pub(crate) plight: Plight,
    is_alive: AtomicBool,
    may_drop_from: Mutex<Option<Instant>>,
    sessions: Mutex<HashMap<EndpointId, SessionNumber>>,
}

impl Run {
    pub(crate) fn is_alive(&self) -> bool {
        self.is_alive.load(Ordering::Relaxed)
    }

    /// It may leave requests in mid-flight: it is dead, or its time to stop is over.
    pub(crate) fn may_drop(&self) -> bool {
        let from = *self.may_drop_from.lock().unwrap_or_else(PoisonError::into_inner);
        !self.is_alive() || from.is_some_and(|from| from <= Instant::now())
    }

    /// Notes which owner's time with a lane has begun in this process.
    pub(crate) fn begin(&self, endpoint: EndpointId, session: SessionNumber) {
        self.sessions.lock().unwrap_or_else(PoisonError::into_inner).insert(endpoint, session);
    }

    pub(crate) fn session(&self, endpoint: EndpointId) -> Option<SessionNumber> {
        self.sessions.lock().unwrap_or_else(PoisonError::into_inner).get(&endpoint).copied()
    }
}

/// A machine, running or not.
pub(crate) struct Machine {
    simulation: Arc<Simulation>,
    pub(crate) clock: Arc<MachineClock>,
    process: Option<Process>,
}

struct Process {
    run: Arc<Run>,
    hint: Arc<Notify>,
    stop: watch::Sender<bool>,
    task: JoinHandle<()>,
}

impl Machine {
    pub(crate) fn new(simulation: &Arc<Simulation>) -> Machine {
        let clock = Arc::new(MachineClock::new(simulation.clone()));
        Machine { simulation: simulation.clone(), clock, process: None }
    }

    pub(crate) fn is_running(&self) -> bool {
        self.process.as_ref().is_some_and(|process| !process.task.is_finished())
    }

    /// Starts a process where none is; it knows nothing but the store.
    pub(crate) fn start(&mut self, number: u64, drain: Duration) {
        if self.is_running() {
            return;
        }
        let run = Arc::new(Run {
            number,
            clock: self.clock.clone(),
            plight: Plight::default(),
            is_alive: AtomicBool::new(true),
            may_drop_from: Mutex::default(),
            sessions: Mutex::default(),
        });
        let (stop, stopped) = watch::channel(false);
        let hint = Arc::new(Notify::new());
        let context = Context {
            lanes: Arc::new(FaultyLanes::new(self.simulation.clone(), run.clone())),
            egress: Arc::new(Network::new(self.simulation.clone(), run.clone())),
            targets: Arc::new(TargetPolicy::default()),
            clock: self.clock.clone(),
            chance: Arc::new(Luck::new(number)),
            hint: hint.clone(),
            bounds: Bounds::default(),
        };
        let mut node = [7; 16];
        node[..8].copy_from_slice(&number.to_be_bytes());
        let nodes = Arc::new(FaultyNodes::new(self.simulation.clone(), run.clone()));
        let supervisor = LaneSupervisor::new(context, NodeId::from_bytes(node), stopped);
        let supervisor = supervisor.among(nodes, format!("run {number}"));
        let (simulation, ended) = (self.simulation.clone(), run.clone());
        let task = tokio::spawn(async move {
            supervisor.run(drain).await;
            ended.is_alive.store(false, Ordering::Relaxed);
            simulation.oracle().excuse_all_of(ended.number, "its process had stopped");
        });
        self.process = Some(Process { run, hint, stop, task });
    }

    /// Ends the process as a power switch would. True where requests were in flight.
    pub(crate) fn crash(&mut self) -> Option<bool> {
        let process = self.process.take().filter(|process| !process.task.is_finished())?;
        process.run.is_alive.store(false, Ordering::Relaxed);
        process.task.abort();
        Some(self.simulation.oracle().excuse_all_of(process.run.number, "its process had died"))
    }

    /// Asks the process to stop within the time it was started with. False where there is none.
    pub(crate) fn stop(&mut self, drain: Duration) -> bool {
        let Some(process) = self.process.as_ref().filter(|process| !process.task.is_finished()) else { return false };
        let until = Instant::now() + drain;
        *process.run.may_drop_from.lock().unwrap_or_else(PoisonError::into_inner) = Some(until);
        process.stop.send(true).is_ok()
    }

    /// Lets something befall the process, where one runs.
    pub(crate) fn befall(&self, what: impl FnOnce(&Plight)) {
        if let Some(process) = &self.process {
            what(&process.run.plight);
        }
    }

    /// Tells the process that something may be due.
    pub(crate) fn poke(&self) {
        if let Some(process) = &self.process {
            process.hint.notify_one();
        }
    }
}
