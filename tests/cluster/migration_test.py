#!/usr/bin/env python3
"""Running requests move between workers: by `troupe migrate`, by `troupe drain`, and from prefill to decode workers. Every
token is that of an undisturbed run, and nothing is left behind.

    migration_test.py TROUPE

The model is the environment's TROUPE_TEST_MODEL; without one, exits 77.
"""
import os
import subprocess
import sys
import time

from live_cluster import Stream, live_cluster
from recovery_test import MAX_TOKENS, PROMPTS, check, check_no_leak, run_streams, undisturbed


def command(cluster, *words):
    out = subprocess.run([cluster.troupe, *words, "--join", cluster.address], capture_output=True, text=True, timeout=20)
    assert out.returncode == 0, out.stderr
    return out.stdout


def moves(cluster, where):
    """Moves every running request to the worker that does not have it, again and again."""
    for _ in range(4):
        status = cluster.status()
        names = {node["number"]: node["name"] for node in status["nodes"]}
        for request in status["requests"]:
            others = [name for number, name in names.items() if number != request.get("worker")]
            if "worker" in request:
                subprocess.run([cluster.troupe, "migrate", str(request["request"]), others[0], "--join", cluster.address], capture_output=True, timeout=20)
        where.append({request["request"]: request.get("worker") for request in status["requests"]})


def main():
    troupe = sys.argv[1]
    model = os.environ.get("TROUPE_TEST_MODEL", "")
    if not model or not os.path.exists(model):
        print("skipped: there is no model (TROUPE_TEST_MODEL)")
        return 77
    flags = ["--threads", "1", "--max-num-seqs", "16"]
    with live_cluster(troupe, model, 2, node_flags=flags) as cluster:
        expected = undisturbed(cluster.url)
        where = []
        pause = check(run_streams(cluster.url, lambda: moves(cluster, where)), expected, 3)
        changed = sum(any(a.get(key) != b.get(key) for a, b in zip(where, where[1:])) for key in where[0])
        print(f"migrated to and fro: {changed} of {len(where[0])} requests changed their worker, longest gap {pause * 1000:.0f} ms")
        assert changed > 0, where
        check_no_leak(cluster)

        def drain():
            command(cluster, "drain", "node-1")

        pause = check(run_streams(cluster.url, drain), expected, 3)
        print(f"drained: longest gap {pause * 1000:.0f} ms")
        check_no_leak(cluster)
        status = cluster.status()
        assert [node["condition"] for node in status["nodes"] if node["name"] == "node-1"] == ["draining"], status
    with live_cluster(troupe, model, 0, node_flags=flags) as cluster:
        cluster.start_node("prefill", "--roles", "prefill")
        cluster.start_node("decode", "--roles", "decode")
        pause = check(run_streams(cluster.url, lambda: None), expected, 5)
        status = cluster.status()
        print(f"handed off: longest gap {pause * 1000:.0f} ms")
        check_no_leak(cluster)
        long = Stream(cluster.url, "tell me more " * 150, 40)
        long.start()
        long.join(60)
        assert long.failure is None and len(long.tokens) == 40, long.failure
        decode_log = cluster.nodes["decode"].log()
        assert "error" not in decode_log, decode_log
    return 0


if __name__ == "__main__":
    sys.exit(main())
