#!/usr/bin/env python3
"""A head starts and stops workers as there is more or less to do; nothing is lost, and nothing is left behind.

    scaling_test.py TROUPE

The model is the environment's TROUPE_TEST_MODEL; without one, exits 77.
"""
import os
import signal
import stat
import subprocess
import sys
import tempfile
import time

from live_cluster import Stream, live_cluster
from recovery_test import PROMPTS, check, check_no_leak
from ssh_server import has_ssh, ssh_server

MAX_TOKENS = 400
FIRST_LOOK_S = 3  # a head gives workers so long to join before it starts more
# 256 MiB are 728 blocks. Six streams leave each about 110, one that is idle has all of them.
KV = ["--kv-cache-mib", "256", "--max-num-seqs", "16", "--threads", "1", "--dead-ms", "5000"]
SCALING = ["--max-workers", "2", "--scale-every-ms", "150", "--scale-up-below", "200", "--scale-down-above", "700",
           "--rescheduling", "llumnix", "--migrate-below", "300", "--migrate-above", "300"]


def run(url, n, meanwhile=lambda: None):
    streams = [Stream(url, PROMPTS[i], MAX_TOKENS, seed=i, temperature=0.8 * (i % 2)) for i in range(n)]
    for stream in streams:
        stream.start()
    meanwhile()
    for stream in streams:
        stream.join(120)
        assert not stream.is_alive(), "a stream hangs"
    return streams


def wait_for(what, test, wait_s=20, why=lambda: ""):
    end = time.monotonic() + wait_s
    while not (found := test()):
        assert time.monotonic() < end, f"{what}: not within {wait_s} s {why()}"
        time.sleep(0.05)
    return found


def node_named(cluster, name):
    return next((node for node in cluster.status()["nodes"] if node["name"] == name), None)


def is_alive(process):
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    return True


def served_by(cluster, number):
    return any(request.get("worker") == number for request in cluster.status()["requests"])


def test_up_and_down(troupe, model):
    """Six streams want a second worker and one of them moves there; with nothing to do it is gone again. Twice."""
    with live_cluster(troupe, model, 1, head_flags=[*KV, *SCALING], node_flags=KV) as cluster:
        time.sleep(FIRST_LOOK_S)
        expected = []
        for round_ in range(2):
            began = time.monotonic()
            seen = {}

            def second_joins():
                node = wait_for("a second worker", lambda: node_named(cluster, "auto-1"))
                seen["process"], seen["after"] = node["process"], time.monotonic() - began
                wait_for("a request there", lambda: served_by(cluster, node["number"]))

            streams = run(cluster.url, 6, second_joins)
            for stream in streams:
                assert stream.failure is None and len(stream.tokens) == MAX_TOKENS, (stream.failure, len(stream.tokens))
            if round_ == 0:
                expected = [stream.tokens for stream in streams]
            check(streams, expected, 5)
            ended = time.monotonic()
            wait_for("one worker again", lambda: node_named(cluster, "auto-1") is None)
            wait_for("its process is gone", lambda: not is_alive(seen["process"]))
            check_no_leak(cluster)
            print(f"a second worker joined after {seen['after']:.2f} s and was gone {time.monotonic() - ended:.2f} s after the last token")
        assert node_named(cluster, "node-1"), "a worker that the head did not start is never stopped"


def test_the_heads_end(troupe, model):
    """Whichever way the head ends, what it started ends with it."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        with live_cluster(troupe, model, 0, head_flags=[*KV, *SCALING, "--min-workers", "2"], node_flags=KV) as cluster:
            nodes = [wait_for("two workers", lambda name=name: node_named(cluster, name)) for name in ("auto-1", "auto-2")]
            cluster.head.signal(number)
            cluster.head.process.wait(20)
            for node in nodes:
                wait_for(f"{node['name']} ends with its head ({number.name})", lambda node=node: not is_alive(node["process"]), 10)
    print("with the head its workers end")


def test_hosts(troupe, model):
    """Further workers on another host, two of which have room; the third that is wanted is not started."""
    if not has_ssh():
        print("skipped: hosts over ssh (openssh-server and root are needed)")
        return
    with tempfile.TemporaryDirectory() as folder, ssh_server(folder) as ssh:
        hosts = os.path.join(folder, "hosts")
        with open(hosts, "w") as file:
            file.write("0.0.0.0 slots=2 threads=1\n")
        flags = [*KV, *SCALING[2:], "--max-workers", "3", "--min-workers", "3", "--scale-hostfile", hosts, "--scale-ssh", ssh]
        with live_cluster(troupe, model, 0, head_flags=flags, node_flags=KV) as cluster:
            nodes = [wait_for("two workers", lambda name=name: node_named(cluster, name)) for name in ("auto-1", "auto-2")]
            cluster.head.wait_for("no host has room")
            assert run(cluster.url, 1)[0].failure is None
            cluster.head.signal(signal.SIGKILL)
            cluster.head.process.wait(20)
            for node in nodes:
                wait_for(f"{node['name']} ends with its head", lambda node=node: not is_alive(node["process"]), 10)
    print("workers were started over ssh, and ended with their head")


HOOK = """#!/bin/sh
echo "$1 $2" >> "{folder}/calls"
if [ "$1" = up ]; then
  # Told by its environment, and let go: the hook returns.
  setsid {troupe} node {model} --threads 1 --kv-cache-mib 256 --max-num-seqs 16 --dead-ms 5000 --log-file "{folder}/$2.log" < /dev/null > /dev/null 2>&1 &
fi
"""


def test_hook(troupe, model):
    with tempfile.TemporaryDirectory() as folder:
        hook = os.path.join(folder, "hook")
        with open(hook, "w") as script:
            script.write(HOOK.format(folder=folder, troupe=troupe, model=model))
        os.chmod(hook, stat.S_IRWXU)

        def calls():
            with open(os.path.join(folder, "calls")) as log:
                return log.read().split("\n")[:-1]

        with live_cluster(troupe, model, 1, head_flags=[*KV, *SCALING, "--scale-hook", hook], node_flags=KV) as cluster:
            time.sleep(FIRST_LOOK_S)
            streams = run(cluster.url, 6, lambda: wait_for("a second worker", lambda: node_named(cluster, "auto-1")))
            assert all(stream.failure is None and len(stream.tokens) == MAX_TOKENS for stream in streams)
            wait_for("one worker again", lambda: node_named(cluster, "auto-1") is None)
            wait_for("the hook has been told", lambda: len(calls()) % 2 == 0, why=lambda: (calls(), cluster.head.log()))
            told = calls()
            assert told[0] == "up auto-1" and {call[3:] for call in told if call.startswith("up ")} == {call[5:] for call in told if call.startswith("down ")}, told
    print("a hook was called for a worker that came and went")


def test_policies(troupe, model):
    def say(cluster, *words):
        out = subprocess.run([troupe, "policy", *words, "--join", cluster.address], capture_output=True, text=True, timeout=20)
        return out.returncode, out.stdout, out.stderr

    flags = ["--dispatch", "llumnix", "--scheduler", "jitserve", "--rescheduling", "llumnix", "--tenant-weights", "a=2,b=1"]
    with live_cluster(troupe, model, 1, head_flags=[*KV, *flags], node_flags=[*KV, *flags]) as cluster:
        assert say(cluster, "show")[1].split() == "dispatch llumnix scheduler jitserve rescheduling llumnix".split()
        before = run(cluster.url, 2)

        def change():
            assert all(stream.failure is None for stream in before)
            for kind, name in (("dispatch", "hexgen_text2sql"), ("scheduler", "sjf"), ("rescheduling", "none")):
                code, out, error = say(cluster, "set", kind, name)
                assert code == 0 and name in out, error

        after = run(cluster.url, 2, change)
        assert [s.tokens for s in before] == [s.tokens for s in after]
        assert say(cluster, "show")[1].split() == "dispatch hexgen_text2sql scheduler sjf rescheduling none".split()
        for kind, name, *said in (("dispatch", "random", "random", "least_memory"), ("scheduler", "random", "jitserve"),
                                  ("rescheduling", "random", "llumnix"), ("placement", "distserve", "rescheduling")):
            code, _, error = say(cluster, "set", kind, name)
            assert code != 0 and all(part in error for part in said), error
    print("policies were changed while streams ran")


def main():
    troupe = sys.argv[1]
    model = os.environ.get("TROUPE_TEST_MODEL", "")
    if not model or not os.path.exists(model):
        print("skipped: there is no model (TROUPE_TEST_MODEL)")
        return 77
    wanted = sys.argv[2:]
    for test in (test_policies, test_up_and_down, test_the_heads_end, test_hosts, test_hook):
        if not wanted or test.__name__ in wanted:
            test(troupe, model)
    return 0


if __name__ == "__main__":
    sys.exit(main())
