#!/usr/bin/env python3
"""How soon a cluster of processes on this machine is up, what it costs when idle, how soon it notices that a worker is gone,
and how long a stream stands still for it.

    bench/cluster.py TROUPE MODEL [--rounds N] [--json FILE]

Detection is from the signal to the head's log line; a stream's pause is the longest gap between tokens that a client sees
around it. The streams run alone, so that no gap is a queue.
"""
import argparse
import datetime
import os
import pathlib
import random
import signal
import subprocess
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "tests" / "cluster"))
from claims import limit, write  # noqa: E402
from live_cluster import Stream, live_cluster, wait_for_workers  # noqa: E402

NODE_FLAGS = ["--threads", "1", "--max-num-seqs", "8"]


def seconds_of(stamp):
    """A log's time, since 1970."""
    return datetime.datetime.fromisoformat(stamp).replace(tzinfo=datetime.timezone.utc).timestamp()


def start_up_s(troupe, model):
    """From the first process until a head and three workers can serve, as `troupe up` starts them: all at once."""
    with subprocess.Popen([troupe, "up", model, "--local", "3", "--port", "0", "--threads", "1"], stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          text=True, start_new_session=True) as up:
        began = time.time()
        try:
            for line in up.stdout:
                if "the cluster is up" in line:
                    return time.time() - began
            raise RuntimeError("troupe up ended before its cluster was up")
        finally:
            os.killpg(up.pid, signal.SIGTERM)
            up.wait(20)


def idle_share(pids, for_s):
    """Of one processor, of the busiest of these processes."""

    def ticks(pid):
        fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
        return int(fields[11]) + int(fields[12])

    before = [ticks(pid) for pid in pids]
    time.sleep(for_s)
    return max(ticks(pid) - b for pid, b in zip(pids, before)) / os.sysconf("SC_CLK_TCK") / for_s


def hurt_once(cluster, number):
    """A stream runs on some worker, which gets a signal at a random moment. Detection and pause in seconds."""
    stream = Stream(cluster.url, "Once upon a time there was a fox who", 150, seed=1)
    stream.start()
    assert stream.started.wait(30), stream.failure
    time.sleep(random.uniform(0.05, 0.25))
    victim = cluster.worker_name(next(worker["worker"] for worker in cluster.status()["workers"] if worker["requests"] > 0))
    process = cluster.nodes[victim]
    logged = len(cluster.head.log())
    hurt = time.time()
    process.signal(number)
    noticed = cluster.head.wait_for(r"(\S+)Z[^\n]*worker \d+ is gone", behind=logged).group(1)
    stream.join(60)
    assert stream.failure is None and len(stream.tokens) == 150, stream.failure
    if number == signal.SIGKILL:
        process.process.wait()
        process.end()
        cluster.start_node(victim)
    else:
        process.signal(signal.SIGCONT)
    wait_for_workers(cluster, len(cluster.nodes))
    return max(0.0, seconds_of(noticed) - hurt), stream.longest_gap()


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("troupe")
    parser.add_argument("model")
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--json")
    arguments = parser.parse_args()
    random.seed(3)
    claims = [limit("four processes are up", "s", [start_up_s(arguments.troupe, arguments.model) for _ in range(5)], 1.0)]
    with live_cluster(arguments.troupe, arguments.model, 3, node_flags=NODE_FLAGS) as cluster:
        time.sleep(1)
        pids = [cluster.head.pid, *(node.pid for node in cluster.nodes.values())]
        claims.append(limit("idle processor time of the busiest process", "%", [100 * idle_share(pids, 10)], 1.0))
        for what, number, rounds, detect_s in (("kill -9", signal.SIGKILL, arguments.rounds, 0.05), ("SIGSTOP", signal.SIGSTOP, arguments.rounds // 4, 1.2)):
            found = [hurt_once(cluster, number) for _ in range(rounds)]
            detection, pause = [list(samples) for samples in zip(*found)]
            claims.append(limit(f"{what}: noticed, p50", "ms", [1000 * s for s in detection]))
            claims.append(limit(f"{what}: noticed, p99", "ms", [1000 * sorted(detection)[round(0.99 * (rounds - 1))]], 1000 * detect_s))
            claims.append(limit(f"{what}: the stream's pause, longest", "ms", [1000 * max(pause)], 2000 + 1000 * detect_s))
            claims.append(limit(f"{what}: the stream's pause", "ms", [1000 * s for s in pause]))
    for made in claims:
        verdict = {None: "", True: "ok", False: "MISSED"}[made["ok"]]
        print(f"{made['claim']:50} {made['value']:10.4g} {made['unit']:4} {verdict}")
    if arguments.json:
        write(arguments.json, "cluster", claims)


if __name__ == "__main__":
    main()
