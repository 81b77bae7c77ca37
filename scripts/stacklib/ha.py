"""Two NameNodes that share their journal by three JournalNodes, without ZooKeeper: who is active is for `failover` to say.

The JournalNodes themselves keep an old active NameNode out: the new one takes a higher epoch, and a write of the old one
is refused, at which it ends itself. So nothing has to be killed for a failover, and the fencing command does nothing.
"""

import time

from .common import HOST, StackError, run_once

NAMESERVICE = "stack"
NAMENODES = ["namenode", "namenode-2"]
JOURNALNODES = [f"journalnode-{n}" for n in range(1, 4)]
TOOL = "org.apache.hadoop.hdfs.tools.DFSHAAdmin"
# What a NameNode itself says; one that does not answer says nothing.
ACTIVE, STANDBY = "active", "standby"


def settings(stack):
    """What everybody has to know, clients too. The NameNodes are called as their processes are."""
    found = {
        "dfs.nameservices": NAMESERVICE,
        f"dfs.ha.namenodes.{NAMESERVICE}": ",".join(NAMENODES),
        f"dfs.client.failover.proxy.provider.{NAMESERVICE}": "org.apache.hadoop.hdfs.server.namenode.ha.ConfiguredFailoverProxyProvider",
        "dfs.ha.fencing.methods": "shell(/bin/true)",
    }
    for name in NAMENODES:
        found[f"dfs.namenode.rpc-address.{NAMESERVICE}.{name}"] = f"{HOST}:{stack.ports[name]}"
        found[f"dfs.namenode.http-address.{NAMESERVICE}.{name}"] = f"{HOST}:{stack.ports[f'{name}.http']}"
    return found


def namenode_settings(stack, name):
    journals = ";".join(f"{HOST}:{stack.ports[journal]}" for journal in JOURNALNODES)
    return {
        "dfs.ha.namenode.id": name,
        "dfs.namenode.shared.edits.dir": f"qjournal://{journals}/{NAMESERVICE}",
        # A standby is at most so far behind, so that a failover does not begin with minutes of reading. It reads only parts of
        # the journal that are ended: one that was started anew would stay in safe mode until then.
        "dfs.ha.tail-edits.period": "1s",
        "dfs.ha.log-roll.period": "5s",
    }


def journalnode_settings(stack, name):
    return {
        "dfs.journalnode.edits.dir": stack.dir / name / "data",
        "dfs.journalnode.rpc-address": f"{HOST}:{stack.ports[name]}",
        "dfs.journalnode.http-address": f"{HOST}:{stack.ports[f'{name}.http']}",
    }


def state(stack, name):
    """What a NameNode says it is: active or standby; none while it does not answer."""
    if stack.pid(name)[1] in (None, "T"):
        return None
    return stack.jmx(name, "NameNode", "NameNodeStatus").get("State")


def active(stack):
    return next((name for name in NAMENODES if state(stack, name) == ACTIVE), None)


def ensure_active(stack, seconds):
    """Makes the first NameNode that answers the active one, when none is: after the first start, and when all were down."""
    deadline = time.monotonic() + seconds
    while not any((states := {name: state(stack, name) for name in NAMENODES}).values()):
        if time.monotonic() > deadline:
            raise StackError(f"no NameNode answers after {seconds} s; see `scripts/stack logs namenode`")
        time.sleep(0.2)
    if ACTIVE not in states.values():
        make_active(stack, next(name for name, says in states.items() if says))


def make_active(stack, name):
    """Asks nobody else: for when the one that was active is gone, or does not answer."""
    run_once(stack.hadoop_tool() + [TOOL, "-transitionToActive", "--forceactive", name], f"make {name} active")


def failover(stack, to, is_forced, seconds):
    """Makes another NameNode active; gives its name and how long that took. Forced: without asking the active one."""
    if not stack.is_ha:
        raise StackError("this stack has one NameNode: `scripts/stack up --ha` makes one with two")
    now = active(stack)
    to = to or next((name for name in NAMENODES if name != now and state(stack, name)), None)
    if not to:
        raise StackError(f"no NameNode that could take over answers; active is {now or 'none'}")
    if to == now:
        raise StackError(f"{to} is active already")
    if not now and not is_forced:
        raise StackError("no NameNode that answers is active: `scripts/stack failover --force` asks none")
    if not state(stack, to):
        raise StackError(f"{to} does not answer, so that it cannot become active")
    started = time.monotonic()
    if is_forced:
        make_active(stack, to)
    else:
        run_once(stack.hadoop_tool() + [TOOL, "-failover", now, to], f"hand over from {now} to {to}")
    stack.wait_ready([to], seconds)
    return to, time.monotonic() - started
