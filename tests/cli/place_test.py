#!/usr/bin/env python3
"""`troupe place` as a person meets it: plans for processors and for GPUs, what it writes, when it says to plan again, what it refuses.

    place_test.py TROUPE

Needs no model: sizes come from a config.json, costs from a file. What starts a plan is in tests/cluster/place_test.py.
"""
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import tomllib
import unittest

TROUPE = sys.argv[1]
DONE, USAGE = 0, 2

# 30 ms and 2.5 ms a prompt token, 10 ms and 3 ms a stream for a decode step: chunks of prompts are dear.
COST = {"prompt": {"base_ms": 30, "per_token_ms": 2.5, "per_token_squared_ms": 0}, "decoding": {"base_ms": 10, "per_context_ms": 0, "per_sequence_ms": 3}}
SMALL = {"num_hidden_layers": 30, "hidden_size": 576, "num_attention_heads": 9, "num_key_value_heads": 3, "vocab_size": 49152, "intermediate_size": 1536,
         "tie_word_embeddings": True}
LLAMA = {"num_hidden_layers": 32, "hidden_size": 4096, "num_attention_heads": 32, "vocab_size": 32000, "intermediate_size": 11008}
# Long prompts and a close target for the gaps between tokens: the phases had better be apart.
APART = ["--slo", "ttft=4.5s,tpot=30ms", "--lengths", "prompt=550,output=35,prompt-sigma=0.3"]
TOGETHER = ["--slo", "ttft=2s,tpot=120ms", "--lengths", "prompt=120,output=50,prompt-sigma=0.6,output-sigma=0.6"]


class Place(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)
        self.cost, self.small, self.llama = (self.write(name, json.dumps(what)) for name, what in
                                             (("cost.json", COST), ("small.json", SMALL), ("llama.json", LLAMA)))

    def write(self, name, text):
        (self.folder / name).write_text(text)
        return str(self.folder / name)

    def run_place(self, *words):
        clean = {name: value for name, value in os.environ.items() if not name.startswith("TROUPE_")}
        ran = subprocess.run([TROUPE, "place", *words], env=clean, text=True, capture_output=True, timeout=60)
        return ran.returncode, ran.stdout, ran.stderr

    def plan(self, *words):
        code, out, error = self.run_place("--json", *words)
        self.assertEqual(code, DONE, error)
        return json.loads(out)

    def here(self, *words):
        return self.plan("--model", self.small, "--cost", self.cost, "--local", "2", *words)

    def test_phases_apart_where_that_pays_and_together_where_not(self):
        apart, together = self.here(*APART), self.here(*TOGETHER)
        self.assertEqual([worker["roles"] for worker in apart["workers"]], ["prefill", "decode"])
        self.assertEqual([worker["roles"] for worker in together["workers"]], ["worker"])
        self.assertGreater(apart["goodput"], 0)
        self.assertLessEqual(apart["units"][0]["ttft_p90_s"], 4.5 * 1.1)
        self.assertTrue(apart["alternatives"])
        self.assertEqual(len({unit["unit"] for unit in apart["alternatives"] + apart["units"]}), len(apart["alternatives"]) + len(apart["units"]))

    def test_the_plan_is_a_file_for_up(self):
        cluster = self.write("cluster.toml", "[server]\nport = 8123\n[[node]]\nslots = 1\ndevices = 2\nthreads = 1\n")
        written = str(self.folder / "plan.toml")
        self.plan("--model", self.small, "--cost", self.cost, "--cluster", cluster, "-o", written, *APART)
        with open(written, "rb") as file:
            plan = tomllib.load(file)
        self.assertEqual(plan["server"]["port"], 8123)
        self.assertEqual([(node["roles"], node["slots"], node["threads"]) for node in plan["node"]], [("prefill", 1, 1), ("decode", 1, 1)])
        self.assertEqual((plan["plan"]["ttft_ms"], plan["plan"]["tpot_ms"], plan["plan"]["requests"]), (4500, 30, 2000))
        ran = subprocess.run([TROUPE, "config", "check", "--config", written], capture_output=True, text=True, timeout=20)
        self.assertEqual(ran.returncode, DONE, ran.stderr)
        # As a description of the same cluster it gives the same plan.
        again = self.plan("--model", self.small, "--cost", self.cost, "--cluster", written, *APART)
        self.assertEqual([worker["roles"] for worker in again["workers"]], ["prefill", "decode"])

    def test_planning_again(self):
        written = str(self.folder / "plan.toml")
        self.here("-o", written, *APART)
        same = self.here("--current", written, *APART)
        self.assertFalse(same["drifted"], same)
        self.assertNotIn("units", same)
        moved = self.here("--current", written, "--lengths", "prompt=120,output=50", "--slo", "ttft=2s,tpot=120ms")
        self.assertTrue(moved["drifted"])
        self.assertIn("prompt tokens", moved["why"])
        self.assertEqual(moved["change"], "1 x prefill, 1 x decode -> 2 x worker")
        few = self.here("--current", written, "--trace", self.write("few.csv", "prompt_tokens,output_tokens\n9,9\n"))
        self.assertIn("Too few", few["why"])

    def test_a_trace_and_its_rate(self):
        rows = "".join(f"{i * 0.5},{100 + i % 7},{20 + i % 5}\n" for i in range(300))
        trace = self.write("trace.csv", "arrival_s,context_tokens,generated_tokens\n" + rows)
        written = str(self.folder / "plan.toml")
        plan = self.here("--trace", trace, "--slo", "ttft=2000,tpot=120", "--rate", "0.5", "-o", written)
        self.assertTrue(plan["meets_rate"])
        self.assertEqual(plan["devices"], 1, plan)
        with open(written, "rb") as file:
            self.assertEqual(tomllib.load(file)["plan"]["rate"], 0.5)
        self.assertFalse(self.here("--trace", trace, "--slo", "ttft=2000,tpot=120", "--rate", "1000")["meets_rate"])

    def test_a_benchmarks_file_is_a_cost(self):
        rates = {"prefill_128": 400, "prefill_512": 390, "prefill_2048": 300, "decode_batch1_context16": 60, "decode_batch1_context2048": 40,
                 "decode_batch16_context128": 250, "decode_batch32_context128": 300}
        bench = self.write("bench.json", json.dumps([{"bench": "engine", "claims": [{"claim": name, "value": rate} for name, rate in rates.items()]}]))
        saved = str(self.folder / "saved.json")
        plan = self.plan("--model", self.small, "--cost", bench, "--local", "2", "--save-cost", saved, *TOGETHER)
        again = self.plan("--model", self.small, "--cost", saved, "--local", "2", *TOGETHER)
        self.assertAlmostEqual(plan["goodput"], again["goodput"])
        self.assertAlmostEqual(json.loads(pathlib.Path(saved).read_text())["prompt"]["per_token_ms"], 2.5, delta=0.3)

    def test_gpus(self):
        cluster = self.write("gpus.toml", "".join(f'[[node]]\nhost = "gpu-{i}"\ndevices = 4\nbetween_gb_s = 3.1\n' for i in (1, 2)))
        words = ["--model", self.llama, "--cluster", cluster, "--slo", "ttft=0.4s,tpot=40ms", "--lengths", "prompt=300,output=150", "--rate", "20"]
        for gpu in ("a100", "a40"):
            plan = self.plan("--cost", gpu, *words)
            self.assertTrue(plan["meets_rate"])
            self.assertIn("reckoned", plan["cost"])
        shared = os.environ.get("TROUPE_SHARED", "")
        table = os.path.join(shared, "data/vidur_profiles/compute_a100_llama-2-7b-hf.csv")
        if not os.path.exists(table):
            return
        network = os.path.join(shared, "data/vidur_profiles/net_a100_dgx_all_reduce.csv")
        measured = self.plan("--cost", "a100", "--profile", table, "--network", network, *words)
        self.assertIn("Vidur", measured["cost"])
        code, _, error = self.run_place("--cost", "a100", "--profile", table, "--local", "2", "--model", self.small, *TOGETHER)
        self.assertNotEqual(code, DONE)
        self.assertIn("n_embd", error)
        # Split workers are planned and written, and `up` says that it cannot start them.
        written = str(self.folder / "split.toml")
        big = self.write("big.json", json.dumps({**LLAMA, "num_hidden_layers": 80, "hidden_size": 8192, "num_attention_heads": 64, "intermediate_size": 28672}))
        self.plan("--cost", "a100", "--model", big, "--cluster", cluster, "--slo", "ttft=2s,tpot=100ms", "--lengths", "prompt=300,output=150", "--rate", "1", "-o", written)
        ran = subprocess.run([TROUPE, "up", "-f", written], capture_output=True, text=True, timeout=20)
        self.assertNotEqual(ran.returncode, DONE)
        self.assertIn("split", ran.stderr)

    def test_what_is_wrong_is_said(self):
        broken = self.write("broken.json", json.dumps({**SMALL, "hidden_size": "many"}))
        unlike = self.write("unlike.toml", '[[node]]\nhost = "a"\ndevices = 2\n[[node]]\nhost = "b"\ndevices = 3\n')
        bad_key = self.write("bad.toml", "[[node]]\nmemory_gib = -1\n")
        far = self.write("far.toml", '[[node]]\nhost = "far"\nslots = 2\n')
        headless = self.write("headless.csv", "a,b\n1,2\n")
        holes = self.write("holes.csv", "prompt_tokens,output_tokens\n10,5\n7,\n")
        usual = ["--model", self.small, "--cost", self.cost, "--local", "2"]
        for words, *parts in [
            (usual + TOGETHER[2:], "slo", "ttft"),
            (usual + ["--slo", "ttft=1s", *TOGETHER[2:]], "slo.tpot"),
            (usual + ["--slo", "ttft=1s,tpot=fast", *TOGETHER[2:]], "slo.tpot", "fast", "30ms"),
            (usual + ["--slo", "ttft=1s,tpot=20ms,attainment=2", *TOGETHER[2:]], "slo.attainment"),
            (usual + ["--slo", "ttft=1s,tpot=1ms", *TOGETHER[2:]], "slo.tpot", "fastest"),
            (usual + TOGETHER[:2], "trace", "--lengths"),
            (usual + TOGETHER[:2] + ["--lengths", "prompt=5"], "lengths", "output"),
            (usual + TOGETHER[:2] + ["--lengths", "prompt=0,output=1"], "lengths", "prompt=0"),
            (usual + TOGETHER[:2] + ["--trace", headless], "trace", "prompt_tokens"),
            (usual + TOGETHER[:2] + ["--trace", holes], "trace", "row 2", "output_tokens"),
            (usual + TOGETHER[:2] + ["--trace", "/nonexistent.csv"], "trace", "/nonexistent.csv"),
            (["--model", self.small, "--cost", self.cost, *TOGETHER], "cluster", "--local"),
            (["--model", self.small, "--cost", "h100", "--local", "2", *TOGETHER], "cost", "h100", "a100"),
            (["--model", self.small, "--local", "2", *TOGETHER], "cost", "GGUF"),
            (["--model", self.small, "--cost", self.small, "--local", "2", *TOGETHER], "cost", "prompt"),
            (["--model", broken, "--cost", self.cost, "--local", "2", *TOGETHER], "model", "hidden_size"),
            (["--model", self.small, "--cost", self.cost, "--cluster", unlike, *TOGETHER], "node.devices", "3"),
            (["--model", self.small, "--cost", self.cost, "--cluster", bad_key, *TOGETHER], ":2:", "memory_gib"),
            (["--model", self.small, "--cost", self.cost, "--cluster", far, *TOGETHER], "node.memory_gib"),
            (usual + TOGETHER + ["--current", self.write("no_plan.toml", "[server]\nport = 1\n")], "current", "[plan]"),
            (usual + TOGETHER + ["--current", self.write("half.toml", "[plan]\nttft_ms = 1\n")], "plan.tpot_ms"),
        ]:
            with self.subTest(words=words[-4:]):
                code, out, error = self.run_place(*words)
                self.assertEqual((code, out), (USAGE, ""), error)
                for part in parts:
                    self.assertIn(part, error)


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1])
