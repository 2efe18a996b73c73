#!/usr/bin/env python3
"""A plan that `troupe place` writes for this machine is a cluster that `troupe up -f` starts and that serves.

    place_test.py TROUPE

The model is the environment's TROUPE_TEST_MODEL; without one, exits 77.
"""
import json
import os
import subprocess
import sys
import tempfile
import time
import tomllib
import urllib.request

from live_cluster import Process
from ssh_server import free_port


def main():
    troupe, model = sys.argv[1], os.environ.get("TROUPE_TEST_MODEL", "")
    if not model or not os.path.exists(model):
        print("skipped: there is no model (TROUPE_TEST_MODEL)")
        return 77
    with tempfile.TemporaryDirectory() as folder:
        cluster, plan, cost = (os.path.join(folder, name) for name in ("cluster.toml", "plan.toml", "cost.json"))
        with open(cluster, "w") as file:
            file.write("[server]\nport = 0\n[cluster]\nlisten = \"127.0.0.1:0\"\n[worker]\nmax_num_seqs = 16\n[[node]]\nslots = 2\nthreads = 1\n")

        def place(*words):
            began = time.monotonic()
            out = subprocess.run([troupe, "place", "--model", model, "--cluster", cluster, "--lengths", "prompt=60,output=20", "--json", *words],
                                 capture_output=True, text=True, timeout=120)
            assert out.returncode == 0, out.stderr
            return json.loads(out.stdout), time.monotonic() - began

        # Far from what the model needs, so that it is possible on any machine.
        made, took = place("--slo", "ttft=20s,tpot=2s", "--save-cost", cost)
        assert "measured" in made["cost"] and made["goodput"] > 0, made
        print(f"measured and planned in {took:.1f} s: {made['goodput']:.1f} requests/s; {made['cost']}")
        # The phases apart, whatever is best on this machine: mixed steps that cost too much, by a file.
        with open(cost) as file:
            measured = json.load(file)
        measured["prompt"]["base_ms"] = 100 + measured["prompt"]["base_ms"] + measured["decoding"]["base_ms"]
        apart = os.path.join(folder, "apart.json")
        with open(apart, "w") as file:
            json.dump(measured, file)
        tpot_ms = 2 * (measured["decoding"]["base_ms"] + measured["decoding"]["per_sequence_ms"]) + 10
        made, _ = place("--slo", f"ttft=20s,tpot={tpot_ms}", "--cost", apart, "-o", plan)
        with open(plan, "rb") as file:
            nodes = tomllib.load(file)["node"]
        roles = sorted(node["roles"] for node in nodes for _ in range(node["slots"]))
        print(f"planned: {roles}")
        # A free port: `up` tells it to the nodes.
        with open(plan) as file:
            text = file.read()
        port = free_port()
        with open(plan, "w") as file:
            file.write(text.replace("127.0.0.1:0", f"127.0.0.1:{port}"))
        up = Process("up", [troupe, "up", "-f", plan])
        try:
            url = up.wait_for(r"ready .*url=(\S+)", 60).group(1)
            up.wait_for("the cluster is up", 60)
            out = subprocess.run([troupe, "status", "--join", f"127.0.0.1:{port}", "--json"], capture_output=True, text=True, timeout=20)
            assert sorted(node["roles"] for node in json.loads(out.stdout)["nodes"]) == roles, out.stdout
            name = json.load(urllib.request.urlopen(url + "/v1/models", timeout=10))["data"][0]["id"]
            body = json.dumps({"model": name, "prompt": "The sea", "max_tokens": 8, "temperature": 0}).encode()
            answer = json.load(urllib.request.urlopen(urllib.request.Request(url + "/v1/completions", body, {"content-type": "application/json"}), timeout=60))
            assert answer["usage"]["completion_tokens"] == 8, answer
        finally:
            up.end()
    print("the plan was started and served")
    return 0


if __name__ == "__main__":
    sys.exit(main())
