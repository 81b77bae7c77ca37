"""Faults of the daemons themselves, and of what they are sent."""

from .catalogue import fault
from .common import until
from .run import PARTITIONS, SESSION_SECONDS


def drain(run, daemon):
    """SIGTERM. What cannot be committed in time is left, and said so by the code: that the machine was too busy is no fault."""
    run.did("SIGTERM" if daemon.terminate(codes=(0, 75)) == 0 else "SIGTERM, overdue")


@fault("calm", "nothing at all: what the other runs are measured against")
def calm(run):
    run.pause(5, 10)


@fault("daemon-kill", "kill -9 of the daemon at random times, 8 to 14 times")
def daemon_kill(run):
    (daemon,) = run.daemons
    for _ in range(run.rng.randint(8, 14)):
        # The start and the recovery are killed too, and not only a daemon at work.
        if run.rng.random() < 0.6:
            run.wait_progress()
            run.pause(0, 1.5)
        else:
            run.pause(0.05, 2)
        if daemon.kill():
            run.did("kill")
        run.pause(0, 0.5)
        daemon.start()


@fault("daemon-term", "SIGTERM under load, 3 to 6 times: the daemon drains and ends with 0")
def daemon_term(run):
    (daemon,) = run.daemons
    for _ in range(run.rng.randint(3, 6)):
        if run.rng.random() < 0.7:
            run.wait_progress()
        run.pause(0, 2)
        drain(run, daemon)
        daemon.start()


@fault("daemon-freeze", "SIGSTOP past the session timeout: a second daemon takes over, then SIGCONT", daemons=2)
def daemon_freeze(run):
    for _ in range(2):
        victim = run.rng.choice(run.daemons)
        run.pause(0.5, 3)
        victim.freeze()
        run.did("freeze")
        run.pause(SESSION_SECONDS + 1, SESSION_SECONDS + 6)
        victim.thaw()


@fault("members", "three daemons join and leave, by SIGTERM and by kill -9", daemons=3)
def members(run):
    for _ in range(run.rng.randint(6, 10)):
        run.pause(0.2, 3)
        daemon = run.rng.choice(run.daemons)
        if not daemon.is_running:
            daemon.start()
            run.did("join")
        elif run.rng.random() < 0.5:
            drain(run, daemon)
        else:
            daemon.kill()
            run.did("kill")


@fault("rebalance-kill", "a second daemon joins; the first is killed as soon as it has given up partitions, and comes back")
def rebalance_kill(run):
    (first,) = run.daemons
    run.pause(0.5, 2)
    before = len(first.events("kafka.rebalanced"))
    second = run.add_daemon()
    second.start()
    run.did("join")
    # Between giving up and asking for the rest: the others wait for what nobody will hand on.
    gives_up = lambda: any(line["revoked"] for line in first.events("kafka.rebalanced")[before:])
    until("partitions are given up", gives_up, 60, every=0.01)
    run.pause(0, 0.3)
    first.kill()
    run.did("kill")
    first.start()


@fault("duplicate-instance", "a second daemon with the same group.instance.id: one of the two ends, and no data is hurt")
def duplicate_instance(run):
    (first,) = run.daemons
    run.pause(1, 3)
    second = run.add_daemon(instance=1)
    # One of the two is told to go by Kafka; the exit code says that a person has to look.
    first.is_wanted = False
    second.start()
    second.is_wanted = False
    run.did("second daemon")
    until("one of the two ends", lambda: not (first.is_running and second.is_running), 60)
    loser, winner = (second, first) if first.is_running else (first, second)
    loser.wait_end((78,), 5)
    run.pause(1, 3)
    drain(run, winner)
    second.is_retired = True
    first.start()
    until("the first one works again", first.status, 30)


@fault("partitions-added", "the topic gets more Kafka partitions, twice")
def partitions_added(run):
    total = run.producer.partitions
    for _ in range(2):
        run.pause(1, 3)
        total += run.rng.randint(1, 3)
        run.servers.add_partitions(run.name, total)
        run.did("partitions added")
        # Until the producer has heard of them.
        run.pause(3, 4)
        run.producer.partitions = total
    run.pause(1, 3)


@fault("descriptors", "the daemon may open no further file for 2 to 8 s, twice")
def descriptors(run):
    (daemon,) = run.daemons
    for _ in range(2):
        run.wait_progress()
        run.pause(0, 2)
        allowed = daemon.limit_descriptors(daemon.now["descriptors"] + run.rng.choice((-20, 0, 3)))
        run.did("descriptors limited")
        run.pause(2, 8)
        daemon.limit_descriptors(allowed)


@fault("aborts", "transactions, a third of them aborted, and kill -9 meanwhile", load={"in_transactions": True})
def aborts(run):
    for _ in range(4):
        run.wait_progress()
        run.pause(0, 2)
        run.daemons[0].kill()
        run.did("kill")
        run.daemons[0].start()
    run.did("abort", sum(state == "aborted" for state in run.producer.transactions.values()))


@fault("poison", "a tenth of the messages are bombs, 100,000 levels, 11 MiB, noise", load={"poison_share": 0.1})
def poison(run):
    run.producer.rate /= 3
    run.pause(8, 15)
    run.did("poison", sum(len(sent.message.payload or b"") > 10_000 for sent in run.producer.sent))


@fault("steering", "pause, resume and rewind under load, and kill -9 right behind them")
def steering(run):
    daemon = run.daemons[0]
    for _ in range(run.rng.randint(4, 7)):
        run.wait_progress()
        run.pause(0, 1)
        partition = run.rng.randrange(PARTITIONS)
        lane = f"{run.name}:{partition}"
        order = run.rng.choice(("pause", "rewind", "rewind"))
        if order == "pause":
            daemon.ask("pause", lane)
            run.pause(0.2, 2)
            daemon.ask("resume", lane)
        else:
            head = run.lanes().get(partition, 0)
            answer = daemon.ask("rewind", lane, "--to", str(run.rng.randint(0, head)), "--reason", "chaos")
            order = "rewind" if answer.returncode == 0 else f"rewind refused ({answer.returncode})"
        run.did(order)
        if run.rng.random() < 0.5:
            run.pause(0, 0.3)
            daemon.kill()
            run.did("kill")
            daemon.start()
            until("the daemon answers", daemon.status, 30)
    daemon.ask("resume")
