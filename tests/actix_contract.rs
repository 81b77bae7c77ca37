//! The facts about actix that the supervision tree rests on. An upgrade that changes a premise must fail here, loudly.

#![expect(clippy::unwrap_used, clippy::panic, reason = "tests")]

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use actix::prelude::*;

/// Runs `scene` in a system of its own and returns what it returns.
fn in_system<T: 'static>(scene: impl Future<Output = T> + 'static) -> T {
    System::new().block_on(scene)
}

#[derive(Message)]
#[rtype(result = "usize")]
struct Ping;

#[derive(Message)]
#[rtype(result = "()")]
struct Panic;

#[derive(Default)]
struct Fragile {
    starts: Arc<AtomicUsize>,
    handled: usize,
}

impl Actor for Fragile {
    type Context = Context<Self>;

    fn started(&mut self, _: &mut Self::Context) {
        self.starts.fetch_add(1, Ordering::SeqCst);
    }
}

impl Supervised for Fragile {}

impl Handler<Ping> for Fragile {
    type Result = usize;

    fn handle(&mut self, _: Ping, _: &mut Self::Context) -> usize {
        self.handled += 1;
        self.handled
    }
}

impl Handler<Panic> for Fragile {
    type Result = ();

    fn handle(&mut self, _: Panic, _: &mut Self::Context) {
        panic!("on purpose");
    }
}

#[test]
fn the_supervisor_of_actix_does_not_restart_an_actor_that_panics() {
    let starts = Arc::new(AtomicUsize::new(0));
    let seen = Arc::clone(&starts);
    in_system(async move {
        let arbiter = Arbiter::new();
        let address = Supervisor::start_in_arbiter(&arbiter.handle(), move |_| Fragile { starts: seen, handled: 0 });
        assert_eq!(address.send(Ping).await.unwrap(), 1);
        assert!(address.send(Panic).await.is_err(), "the panic is seen as a closed mailbox only");
        assert!(matches!(address.send(Ping).await, Err(MailboxError::Closed)), "nobody restarted it");
        arbiter.stop();
    });
    assert_eq!(starts.load(Ordering::SeqCst), 1);
}

#[test]
fn an_arbiter_outlives_a_panic_of_its_actor() {
    in_system(async {
        let arbiter = Arbiter::new();
        let first = Fragile::start_in_arbiter(&arbiter.handle(), |_| Fragile::default());
        assert!(first.send(Panic).await.is_err());
        let second = Fragile::start_in_arbiter(&arbiter.handle(), |_| Fragile::default());
        assert_eq!(second.send(Ping).await.unwrap(), 1);
        arbiter.stop();
    });
}

#[test]
fn mailbox_capacity_is_not_a_bound() {
    struct Small(usize);
    impl Actor for Small {
        type Context = Context<Self>;
        fn started(&mut self, ctx: &mut Self::Context) {
            ctx.set_mailbox_capacity(2);
        }
    }
    impl Handler<Ping> for Small {
        type Result = usize;
        fn handle(&mut self, _: Ping, _: &mut Self::Context) -> usize {
            self.0 += 1;
            self.0
        }
    }
    in_system(async {
        let address = Small(0).start();
        for _ in 0..1_000 {
            address.do_send(Ping);
        }
        assert_eq!(address.send(Ping).await.unwrap(), 1_001, "all thousand were queued");
    });
}

/// Pumps itself like a stage and writes down the order of pumps and commands.
struct Pumping {
    log: Arc<Mutex<Vec<&'static str>>>,
    pumps: usize,
}

#[derive(Message)]
#[rtype(result = "()")]
struct Pump;

#[derive(Message)]
#[rtype(result = "()")]
struct Command;

impl Actor for Pumping {
    type Context = Context<Self>;
}

impl Handler<Pump> for Pumping {
    type Result = ();

    fn handle(&mut self, _: Pump, ctx: &mut Self::Context) {
        self.log.lock().unwrap().push("pump");
        self.pumps += 1;
        if self.pumps == 1 {
            ctx.notify(Pump);
            ctx.address().do_send(Command);
        }
    }
}

impl Handler<Command> for Pumping {
    type Result = ();

    fn handle(&mut self, _: Command, ctx: &mut Self::Context) {
        self.log.lock().unwrap().push("command");
        ctx.run_later(Duration::from_millis(1), |_, _| System::current().stop());
    }
}

#[test]
fn a_command_overtakes_the_message_by_which_a_stage_pumps_itself() {
    let log = Arc::new(Mutex::new(Vec::new()));
    let seen = Arc::clone(&log);
    let system = System::new();
    system.block_on(async move {
        Pumping { log: seen, pumps: 0 }.start().do_send(Pump);
    });
    system.run().unwrap();
    assert_eq!(*log.lock().unwrap(), ["pump", "command", "pump"]);
}

#[test]
fn stopping_and_stopped_run_on_the_broken_value_while_it_unwinds() {
    struct Watched(Arc<Mutex<Vec<(&'static str, bool)>>>);
    impl Actor for Watched {
        type Context = Context<Self>;
        fn stopping(&mut self, _: &mut Self::Context) -> Running {
            self.0.lock().unwrap().push(("stopping", std::thread::panicking()));
            Running::Stop
        }
        fn stopped(&mut self, _: &mut Self::Context) {
            self.0.lock().unwrap().push(("stopped", std::thread::panicking()));
        }
    }
    impl Handler<Panic> for Watched {
        type Result = ();
        fn handle(&mut self, _: Panic, _: &mut Self::Context) {
            panic!("on purpose");
        }
    }
    let calls = Arc::new(Mutex::new(Vec::new()));
    let seen = Arc::clone(&calls);
    in_system(async move {
        let arbiter = Arbiter::new();
        let address = Watched::start_in_arbiter(&arbiter.handle(), move |_| Watched(seen));
        assert!(address.send(Panic).await.is_err());
        arbiter.stop();
        arbiter.join().unwrap();
    });
    assert_eq!(*calls.lock().unwrap(), [("stopping", true), ("stopped", true)], "so our hooks stay empty");
}
