#!/usr/bin/env python3
"""A cluster whose hosts are three network namespaces (head, prefill, decode): streamed requests give the tokens of a single
node, whatever dies, freezes or is cut off meanwhile. Frames between the hosts are sealed.

    namespaces_test.py TROUPE [--streams N] [--every SECONDS]

Needs root, `ip` and `nft`; the model is the environment's TROUPE_TEST_MODEL. Exits 77 when one is missing.
"""
import argparse
import contextlib
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "serve"))
from live_cluster import Cluster, Process, Stream, wait_for_workers  # noqa: E402
from live_server import live_server  # noqa: E402

TAG = f"trp{os.getpid() % 10000}"
HOSTS = {"head": "10.77.0.1", "prefill": "10.77.0.2", "decode": "10.77.0.3"}
CONCURRENT = 6


def run(*words, check=True):
    return subprocess.run(words, check=check, capture_output=True, text=True)


@contextlib.contextmanager
def namespaces():
    """Three hosts on one switch."""
    bridge = f"{TAG}br"
    try:
        run("ip", "link", "add", bridge, "type", "bridge")
        run("ip", "link", "set", bridge, "up")
        for name, address in HOSTS.items():
            ns, outer = f"{TAG}-{name}", f"{TAG}{name[0]}0"
            run("ip", "netns", "add", ns)
            run("ip", "link", "add", outer, "type", "veth", "peer", "name", "eth0", "netns", ns)
            run("ip", "link", "set", outer, "master", bridge, "up")
            run("ip", "-n", ns, "addr", "add", f"{address}/24", "dev", "eth0")
            run("ip", "-n", ns, "link", "set", "eth0", "up")
            run("ip", "-n", ns, "link", "set", "lo", "up")
        yield
    finally:
        for name in HOSTS:
            run("ip", "netns", "del", f"{TAG}-{name}", check=False)
        run("ip", "link", "del", bridge, check=False)


def inside(host):
    return ["ip", "netns", "exec", f"{TAG}-{host}"]


def cut(host):
    """Nothing passes any more, and nobody is told."""
    for rule in ("add table inet cut", "add chain inet cut in { type filter hook input priority 0; policy drop; }",
                 "add chain inet cut out { type filter hook output priority 0; policy drop; }"):
        run(*inside(host), "nft", rule)


def heal(host):
    run(*inside(host), "nft", "delete", "table", "inet", "cut")


class NamespaceCluster(Cluster):
    def __init__(self, troupe, model, secret):
        self.troupe, self.model = troupe, model
        self.shared = ["--cluster-secret-file", secret, "--threads", "1"]
        self.nodes = {}
        self.head = Process("head", [*inside("head"), troupe, "serve", model, "--host", HOSTS["head"], "--port", "8000", "--insecure-i-accept",
                                     "--served-model-name", "model", "--cluster-listen", f"{HOSTS['head']}:7100", "--no-local-worker", *self.shared])
        self.head.wait_for("ready ")
        self.url, self.address = f"http://{HOSTS['head']}:8000", f"{HOSTS['head']}:7100"

    def start_node(self, name, wait=True):
        self.nodes[name] = Process(name, [*inside(name), self.troupe, "node", self.model, "--join", self.address, "--node-name", name,
                                          "--roles", name, *self.shared])
        if wait:
            self.nodes[name].wait_for("joined number")

    def status_command(self):
        return [*inside("head"), self.troupe, "status", "--join", self.address, "--cluster-secret-file", self.shared[1], "--json"]


def make_streams(url, n):
    words = "river stone lamp window garden story number engine paper cloud".split()
    return [Stream(url, " ".join(random.Random(i).choices(words, k=4 + i % 40)), 60 + i % 60, seed=i, temperature=0.7 * (i % 3 == 0)) for i in range(n)]


def run_all(streams):
    """At most CONCURRENT at a time; returns when all have ended."""
    waiting = list(reversed(streams))
    lock = threading.Lock()

    def work():
        while True:
            with lock:
                if not waiting:
                    return
                stream = waiting.pop()
            stream.run()

    threads = [threading.Thread(target=work, daemon=True) for _ in range(CONCURRENT)]
    for thread in threads:
        thread.start()
    return threads


def check(streams, expected):
    for i, stream in enumerate(streams):
        assert stream.failure is None, f"stream {i} failed: {stream.failure}"
        assert stream.tokens == expected[i], f"stream {i} has other tokens: {stream.tokens} instead of {expected[i]}"


def wait_all(threads, what, limit_s=240):
    end = time.monotonic() + limit_s
    for thread in threads:
        thread.join(max(0.1, end - time.monotonic()))
        assert not thread.is_alive(), f"a stream hangs: {what}"


def check_rest(cluster):
    end = time.monotonic() + 15
    while True:
        workers = cluster.status()["workers"]
        if len(workers) == 2 and all(worker["kv_blocks_used"] == 0 and worker["requests"] == 0 for worker in workers):
            return
        assert time.monotonic() < end, f"left behind: {workers}"
        time.sleep(0.2)


def disturb(cluster, threads, hurt, every_s):
    """Hurts a random host at a random moment of each stretch of time while streams run; how often."""
    n = 0
    begin = time.monotonic()
    while any(thread.is_alive() for thread in threads):
        due = begin + every_s * (n + random.random())
        while any(thread.is_alive() for thread in threads) and time.monotonic() < due:
            time.sleep(0.02)
        if any(thread.is_alive() for thread in threads):
            hurt(cluster, random.choice(["prefill", "decode"]))
            n += 1
    return n


def kill(cluster, name):
    cluster.nodes[name].signal(signal.SIGKILL)
    cluster.nodes[name].process.wait()
    cluster.nodes[name].end()
    cluster.start_node(name)


def freeze(cluster, name):
    cluster.nodes[name].signal(signal.SIGSTOP)
    time.sleep(2.5)  # longer than a lease
    cluster.nodes[name].signal(signal.SIGCONT)


def partition(cluster, name):
    cut(name)
    time.sleep(2.5)
    heal(name)


def measure(arguments, model, expected):
    with tempfile.TemporaryDirectory() as folder:
        secret = os.path.join(folder, "secret")
        subprocess.run([arguments.troupe, "secret", secret], check=True)
        cluster = NamespaceCluster(arguments.troupe, model, secret)
        try:
            for name in ("prefill", "decode"):
                cluster.start_node(name)
            wait_for_workers(cluster, 2)
            for what, hurt in (("undisturbed", None), ("kill -9", kill), ("SIGSTOP", freeze), ("partition", partition)):
                streams = make_streams(cluster.url, arguments.streams)
                began = time.monotonic()
                threads = run_all(streams)
                n = disturb(cluster, threads, hurt, arguments.every) if hurt else 0
                wait_all(threads, what)
                check(streams, expected)
                wait_for_workers(cluster, 2, 20)
                check_rest(cluster)
                pause = max(stream.longest_gap() for stream in streams)
                print(f"{what}: {len(streams)} streams as on one node in {time.monotonic() - began:.1f} s, {n} times, longest gap {pause:.2f} s", flush=True)
        finally:
            cluster.end()


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("troupe")
    parser.add_argument("--streams", type=int, default=200)
    parser.add_argument("--every", type=float, default=10.0, help="seconds between two faults")
    arguments = parser.parse_args()
    model = os.environ.get("TROUPE_TEST_MODEL", "")
    if not model or not os.path.exists(model):
        print("skipped: there is no model (TROUPE_TEST_MODEL)")
        return 77
    if os.geteuid() != 0 or not shutil.which("ip") or not shutil.which("nft") or run("ip", "netns", "add", f"{TAG}-probe", check=False).returncode != 0:
        print("skipped: network namespaces cannot be made here (root, ip and nft are needed)")
        return 77
    run("ip", "netns", "del", f"{TAG}-probe")
    random.seed(11)
    with live_server(arguments.troupe, model, "--served-model-name", "model") as single:
        streams = make_streams(single.url, arguments.streams)
        wait_all(run_all(streams), "the single node")
        expected = [stream.tokens for stream in streams]
        assert all(stream.failure is None and stream.tokens for stream in streams)
    with namespaces():
        # Clients have to reach the head's address, so this machine gets one on the switch.
        run("ip", "addr", "add", "10.77.0.9/24", "dev", f"{TAG}br")
        measure(arguments, model, expected)
    return 0


if __name__ == "__main__":
    sys.exit(main())
