#!/usr/bin/env python3
"""Workers of a cluster die and freeze in the middle of streams: no stream ends, no token differs, nothing leaks.

    recovery_test.py TROUPE

The model is the environment's TROUPE_TEST_MODEL; without one, exits 77.
"""
import os
import random
import signal
import sys
import time

from live_cluster import Stream, live_cluster, wait_for_workers

PROMPTS = ["The history of the sea begins", "A recipe for bread:", "Once upon a time there was a fox who", "In 1905 a clerk in Bern wrote",
           "To sort a list in C++ one", "The rules of chess are simple:"]
MAX_TOKENS = 160


def undisturbed(url):
    streams = [Stream(url, prompt, MAX_TOKENS, seed=i, temperature=0.8 * (i % 2)) for i, prompt in enumerate(PROMPTS)]
    for stream in streams:
        stream.start()
        stream.join()
        assert stream.failure is None and len(stream.tokens) == MAX_TOKENS, (stream.failure, len(stream.tokens))
    return [stream.tokens for stream in streams]


def run_streams(url, disturb):
    streams = [Stream(url, prompt, MAX_TOKENS, seed=i, temperature=0.8 * (i % 2)) for i, prompt in enumerate(PROMPTS)]
    for stream in streams:
        stream.start()
    for stream in streams:
        assert stream.started.wait(30), stream.failure
    disturb()
    for stream in streams:
        stream.join(60)
        assert not stream.is_alive(), "a stream hangs"
    return streams


def check(streams, expected, longest_pause_s):
    for i, stream in enumerate(streams):
        assert stream.failure is None, f"stream {i} failed: {stream.failure}"
        assert stream.tokens == expected[i], f"stream {i} differs at {next(k for k, (a, b) in enumerate(zip(stream.tokens, expected[i])) if a != b)}"
        assert stream.finish == "length", stream.finish
    pause = max(stream.longest_gap() for stream in streams)
    assert pause < longest_pause_s, f"a stream stood still for {pause:.2f} s"
    return pause


def check_no_leak(cluster):
    end = time.monotonic() + 10
    while True:
        workers = cluster.status()["workers"]
        if all(worker["kv_blocks_used"] == 0 and worker["requests"] == 0 for worker in workers):
            return
        assert time.monotonic() < end, f"blocks or requests are left behind: {workers}"
        time.sleep(0.1)


def main():
    troupe = sys.argv[1]
    model = os.environ.get("TROUPE_TEST_MODEL", "")
    if not model or not os.path.exists(model):
        print("skipped: there is no model (TROUPE_TEST_MODEL)")
        return 77
    random.seed(7)
    with live_cluster(troupe, model, 2, node_flags=["--threads", "1", "--max-num-seqs", "16"]) as cluster:
        expected = undisturbed(cluster.url)
        pause = check(run_streams(cluster.url, lambda: None), expected, 5)
        print(f"undisturbed: longest gap {pause * 1000:.0f} ms")
        for round_ in range(2):
            victim = random.choice(list(cluster.nodes.values()))

            def kill():
                time.sleep(random.uniform(0, 0.3))
                victim.signal(signal.SIGKILL)
                victim.process.wait()

            pause = check(run_streams(cluster.url, kill), expected, 3)
            print(f"kill -9 of {victim.name}: longest gap {pause * 1000:.0f} ms")
            victim.end()
            cluster.start_node(victim.name)
            wait_for_workers(cluster, 2)
            check_no_leak(cluster)
        victim = cluster.nodes["node-1"]
        pause = check(run_streams(cluster.url, lambda: victim.signal(signal.SIGSTOP)), expected, 4)
        print(f"SIGSTOP of {victim.name}: longest gap {pause * 1000:.0f} ms")
        victim.signal(signal.SIGCONT)
        victim.wait_for(r"(?s)the head is lost.*joined number")
        wait_for_workers(cluster, 2)
        check_no_leak(cluster)
        pause = check(run_streams(cluster.url, lambda: None), expected, 5)
        print("after all that: the same tokens")
    return 0


if __name__ == "__main__":
    sys.exit(main())
