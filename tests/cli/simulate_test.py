#!/usr/bin/env python3
"""troupe simulate as a person meets it: the table, the files it writes, what it says of a wrong scenario.

    simulate_test.py TROUPE TESTS_DATA
"""
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import unittest
import xml.dom.minidom

TROUPE, DATA = sys.argv[1], pathlib.Path(sys.argv[2]).resolve()
DONE, USAGE, CONFIGURATION = 0, 2, 78

SCENARIO = """
title = "small & <quick>"
[[instances]]
count = 2
cost = "llama-7b-a10"
blocks = 100
max_context = 1024
[[workload]]
kind = "chat"
rate = 8
prompt_tokens = { shape = "lognormal", tokens = 60, sigma = 0.5, longest = 400 }
answer_tokens = 20
ttft_ms = 500
tpot_ms = 60
[[workload]]
kind = "replayed"
trace = { file = "%s", format = "azure", scale = 0.5 }
ttlt_ms = 20000
[run]
seeds = 2
requests = 40
sweep = { key = "rate", values = [5, 20] }
[[run.compare]]
label = "one / by one"
dispatch = "round_robin"
[[run.compare]]
label = "llumnix"
dispatch = "llumnix"
""" % (DATA / "traces" / "azure.csv")


class Simulate(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)
        self.scenario = self.folder / "scenario.toml"
        self.scenario.write_text(SCENARIO)

    def simulate(self, *words):
        clean = {name: value for name, value in os.environ.items() if not name.startswith("TROUPE_")}
        ran = subprocess.run([TROUPE, "simulate", str(self.scenario), *words], env=clean, text=True, capture_output=True, timeout=100)
        return ran.returncode, ran.stdout, ran.stderr

    def results(self, *words):
        file = self.folder / "results.json"
        code, out, error = self.simulate("--json", str(file), *words)
        self.assertEqual((code, error), (DONE, ""))
        return out, json.loads(file.read_text())

    def hashes(self, results):
        return [seed["trace_hash"] for case in results["cases"] for seed in case["seeds"]]

    def test_the_same_seed_gives_the_same_however_many_run_at_once(self):
        out, first = self.results("--threads", "3")
        _, second = self.results("--threads", "1")
        self.assertEqual(self.hashes(first), self.hashes(second))
        self.assertEqual(len(set(self.hashes(first))), len(self.hashes(first)))
        self.assertIn("small & <quick>", out)
        self.assertIn("TTFT p99 s", out)
        self.assertIn(" an hour", out)
        self.assertEqual([(case["label"], case["value"]) for case in first["cases"]],
                         [("one / by one", "5"), ("one / by one", "20"), ("llumnix", "5"), ("llumnix", "20")])
        case = first["cases"][0]
        self.assertEqual(case["seeds"][0]["all"]["programs"], 40)
        self.assertEqual(case["seeds"][0]["all"]["failed"], 0)
        self.assertEqual(set(case["seeds"][0]["kinds"]), {"chat", "replayed"})
        ttft = [seed["all"]["ttft_p99_s"] for seed in case["seeds"]]
        self.assertAlmostEqual(case["means"]["ttft_p99_s"]["mean"], sum(ttft) / 2)
        # Student's t of one degree of freedom.
        self.assertAlmostEqual(case["means"]["ttft_p99_s"]["half_width_95"], 12.706 * abs(ttft[0] - ttft[1]) / 2, places=6)
        self.assertEqual(first["requests_simulated"], 320)

    def test_flags_beat_the_file(self):
        _, results = self.results("--seeds", "3", "--requests", "20", "--set", "cluster.scheduler=sjf", "--set", "instances[0].count=1")
        self.assertEqual(len(results["cases"][0]["seeds"]), 3)
        self.assertEqual(results["cases"][0]["seeds"][0]["all"]["programs"], 20)

    def test_charts_are_xml_and_the_same_each_time(self):
        drawn = []
        for folder in (self.folder / "a", self.folder / "b" / "deeper"):
            code, _, error = self.simulate("--plots", str(folder))
            self.assertEqual((code, error), (DONE, ""))
            drawn.append({file.name: file.read_bytes() for file in folder.iterdir()})
        self.assertEqual(drawn[0], drawn[1])
        for name in ("attainment.svg", "goodput.svg", "ttft_cdf_5.svg", "e2e_cdf_20.svg", "instances_2_one___by_one.svg", "instances_4_llumnix.svg"):
            self.assertIn(name, drawn[0])
        for name, svg in drawn[0].items():
            with self.subTest(name):
                root = xml.dom.minidom.parseString(svg).documentElement
                self.assertEqual(root.tagName, "svg")
                self.assertTrue(root.getElementsByTagName("text"))

    def test_a_wrong_scenario_is_a_matter_of_configuration(self):
        for words, *parts in [
            (["--set", "instances[0].blocks=0"], "instances[0].blocks", "whole number"),
            (["--set", "cluster.dispatch=best"], "cluster.dispatch", "llumnix"),
            (["--set", "workload[1].trace.file=none.csv"], "workload[1].trace.file", "none.csv"),
            (["--set", "workload[5].rate=1"], "workload[5].rate"),
            (["--set", "run.repeats=1"], "run.repeats", "seeds"),
        ]:
            with self.subTest(words=words):
                code, out, error = self.simulate(*words)
                self.assertEqual((code, out), (CONFIGURATION, ""), error)
                for part in parts:
                    self.assertIn(part, error)
        self.scenario.write_text(SCENARIO.replace("ttft_ms = 500", "ttft_ms = 0"))
        code, _, error = self.simulate("--check")
        self.assertEqual(code, CONFIGURATION)
        self.assertIn("scenario.toml:13: workload[0].ttft_ms", error)
        self.scenario.unlink()
        self.assertEqual(self.simulate()[0], CONFIGURATION)

    def test_usage(self):
        for words in (["--seeds", "0"], ["--set", "nothing"], ["--requests", "many"]):
            with self.subTest(words=words):
                self.assertEqual(self.simulate(*words)[0], USAGE)
        self.assertEqual(self.simulate("--json", "/nonexistent/results.json", "--requests", "1")[0], USAGE)
        code, out, _ = self.simulate("--check")
        self.assertEqual(code, DONE)
        self.assertIn("4 cases, 2 seeds", out)
        self.assertEqual(subprocess.run([TROUPE, "simulate", "--help"], capture_output=True, timeout=20).returncode, DONE)


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1])
