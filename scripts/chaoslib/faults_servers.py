"""Faults of Kafka and HDFS, alone and together with those of the daemons."""

from .catalogue import fault

HDFS = ("hdfs",)


@fault("broker-kill", "kill -9 of the broker, and its start, twice")
def broker_kill(run):
    for _ in range(2):
        run.pause(1, 4)
        run.servers.kill("kafka")
        run.did("broker killed")
        run.pause(0.2, 5)
        run.servers.start("kafka")


@fault("broker-freeze", "the broker stands still for 2 to 15 s, twice")
def broker_freeze(run):
    for _ in range(2):
        run.pause(1, 4)
        run.servers.freeze("kafka")
        run.did("broker frozen")
        run.pause(2, 15)
        run.servers.thaw("kafka")


@fault("datanode-kill", "kill -9 of one DataNode, and its start, twice", storages=HDFS)
def datanode_kill(run):
    for _ in range(2):
        run.pause(1, 4)
        name = run.rng.choice(run.servers.datanodes)
        run.servers.kill(name)
        run.did("DataNode killed")
        run.pause(1, 8)
        run.servers.start(name)


@fault("datanode-freeze", "one DataNode stands still for 3 to 25 s", storages=HDFS)
def datanode_freeze(run):
    run.pause(1, 4)
    name = run.rng.choice(run.servers.datanodes)
    run.servers.freeze(name)
    run.did("DataNode frozen")
    run.pause(3, 25)
    run.servers.thaw(name)


@fault("datanodes-away", "all DataNodes are away for 5 to 30 s", storages=HDFS)
def datanodes_away(run):
    run.pause(1, 4)
    run.servers.kill(*run.servers.datanodes)
    run.did("all DataNodes killed")
    run.pause(5, 30)
    run.servers.start(*run.servers.datanodes)


@fault("namenode-freeze", "the NameNode stands still for 2 to 40 s", storages=HDFS)
def namenode_freeze(run):
    run.pause(1, 4)
    run.servers.freeze("namenode")
    run.did("NameNode frozen")
    run.pause(2, run.rng.choice((8, 40)))
    run.servers.thaw("namenode")


@fault("namenode-kill", "kill -9 of the NameNode, and its start into safe mode", storages=HDFS, needs_one_namenode=True)
def namenode_kill(run):
    run.pause(1, 4)
    run.servers.kill("namenode")
    run.did("NameNode killed")
    run.pause(0.5, 8)
    run.servers.start("namenode")


HA = {"storages": HDFS, "needs_ha": True, "recovery_seconds": 180}


@fault("failover", "the active NameNode hands over to the other, three times", **HA)
def failover(run):
    for _ in range(3):
        run.wait_progress()
        run.pause(0, 4)
        run.servers.fail_over(is_forced=False)
        run.did("handover")


@fault("failover-kill", "kill -9 of the active NameNode, the other takes over; twice", **HA)
def failover_kill(run):
    for _ in range(2):
        run.wait_progress()
        run.pause(0, 4)
        victim = run.servers.active
        run.servers.kill(victim)
        run.servers.fail_over(is_forced=True)
        run.did("failover")
        run.pause(1, 6)
        run.servers.start(victim)


@fault("failover-freeze", "the active NameNode stands still, is deposed, and goes on as if it were active; twice", **HA)
def failover_freeze(run):
    for _ in range(2):
        run.wait_progress()
        run.pause(0, 4)
        victim = run.servers.active
        run.servers.freeze(victim)
        run.pause(0.5, 4)
        run.servers.fail_over(is_forced=True)
        run.did("failover")
        run.pause(0, run.rng.choice((2, 20)))
        run.servers.thaw(victim)
        run.pause(2, 6)
        # Its journal refuses what it is asked for, if anybody still asks: a standby again after its next start.
        run.servers.kill(victim)
        run.servers.start(victim)


# ------------------------------------------------------------------------------------------ mixes


@fault("mix-broker", "the broker is restarted while the daemon is killed again and again")
def mix_broker(run):
    daemon = run.daemons[0]
    run.pause(0.5, 2)
    run.servers.kill("kafka")
    run.did("broker killed")
    run.servers.start("kafka", is_awaited=False)
    for _ in range(run.rng.randint(4, 7)):
        run.pause(0.2, 3)
        daemon.kill()
        run.did("kill")
        run.pause(0, 0.5)
        daemon.start()
    run.servers.start("kafka")


@fault("mix-datanode", "a DataNode is killed, and a second daemon joins", storages=HDFS)
def mix_datanode(run):
    name = run.rng.choice(run.servers.datanodes)
    run.pause(0.5, 2)
    second = run.add_daemon()
    second.start()
    run.did("join")
    run.pause(0, 2)
    run.servers.kill(name)
    run.did("DataNode killed")
    run.pause(1, 5)
    run.daemons[0].kill()
    run.did("kill")
    run.pause(0.5, 3)
    run.daemons[0].start()
    run.servers.start(name)


@fault("mix-rewind", "rewind and promotion at once, and kill -9 in the middle")
def mix_rewind(run):
    daemon = run.daemons[0]
    for _ in range(run.rng.randint(3, 5)):
        run.wait_progress()
        run.pause(0, 1)
        partition, head = run.rng.choice(sorted(run.lanes().items()) or [(0, 0)])
        commands = [
            ("promote",),
            ("rewind", f"{run.name}:{partition}", "--to", str(run.rng.randint(0, head)), "--reason", "chaos"),
        ]
        run.rng.shuffle(commands)
        asked = [daemon.begin(*command) for command in commands]
        run.did("rewind and promote")
        run.pause(0, 0.6)
        daemon.kill()
        run.did("kill")
        daemon.wait_answered(asked)
        daemon.start()
