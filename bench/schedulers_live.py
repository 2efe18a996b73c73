#!/usr/bin/env python3
"""Whether live clusters order the scheduling policies as the simulator does (troupe bench jitserve, distserve, llumnix, hexgen-text2sql):
the same kinds of load, scaled down to two workers of one thread each.

    bench/schedulers_live.py TROUPE MODEL [--only NAME] [--scale F] [--json FILE]

Each system of an experiment gets the same requests at the same moments, over HTTP. The rate is so many times what the first
system can serve, which is measured before. A claim is that one is not worse than the other, no more; how many times better
it is stands beside it, and is no measurement of the method: the runs are short.
"""
import argparse
import asyncio
import contextlib
import dataclasses
import json
import os
import pathlib
import random
import statistics
import sys
import time
import urllib.parse

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "tests" / "cluster"))
from claims import claim, write  # noqa: E402
from live_cluster import Cluster, wait_for_workers  # noqa: E402

NODE_FLAGS = ["--threads", "1", "--num-speculative-tokens", "0", "--no-enable-prefix-caching"]
FIRST_TOKEN, LAST_TOKEN = 1000, 40_000  # ordinary tokens of the vocabulary


@dataclasses.dataclass
class Call:
    prompt_tokens: int
    output_tokens: int
    # Of the call, once it has run.
    times: list = dataclasses.field(default_factory=list)
    failure: str | None = None


@dataclasses.dataclass
class Program:
    """Calls one after another, begun at `arrival` seconds."""

    arrival: float
    calls: list
    objective: dict = dataclasses.field(default_factory=dict)  # ttft_ms, tpot_ms, ttlt_ms
    workflow: str = ""
    began: float = 0.0

    def ended(self):
        return all(call.times and not call.failure for call in self.calls)

    def e2e(self):
        return self.calls[-1].times[-1] - self.began if self.ended() else float("inf")

    def ttft(self):
        return self.calls[0].times[0] - self.began if self.calls[0].times else float("inf")

    def tpot(self):
        times = self.calls[0].times
        return (times[-1] - times[0]) / max(len(times) - 1, 1) if self.ended() else float("inf")

    def tokens(self):
        return sum(call.output_tokens for call in self.calls)

    def good_tokens(self):
        """In time, for those with a schedule; of others all, if the whole was in time."""
        wish = self.objective
        if "ttlt_ms" in wish:
            return self.tokens() if self.e2e() <= wish["ttlt_ms"] / 1000 else 0
        due = lambda i: self.began + (wish["ttft_ms"] + i * wish["tpot_ms"]) / 1000  # noqa: E731
        return sum(at <= due(i) for i, at in enumerate(self.calls[0].times))


class Client:
    def __init__(self, url, seed):
        where = urllib.parse.urlparse(url)
        self.host, self.port, self.seed = where.hostname, where.port, seed

    async def call(self, call, number, step, program):
        tokens = random.Random(f"{self.seed} {number} {step}")
        wishes = dict(program.objective)
        if program.workflow:
            wishes |= {"program": str(number), "workflow": program.workflow, "step": f"step {step}"}
        body = json.dumps({"model": "model", "prompt": [tokens.randrange(FIRST_TOKEN, LAST_TOKEN) for _ in range(call.prompt_tokens)],
                           "max_tokens": call.output_tokens, "ignore_eos": True, "temperature": 0, "stream": True, "troupe": wishes}).encode()  # fmt: skip
        reader, writer = await asyncio.open_connection(self.host, self.port)
        head = f"POST /v1/completions HTTP/1.1\r\nHost: {self.host}\r\nContent-Type: application/json\r\nConnection: close\r\nContent-Length: {len(body)}\r\n\r\n"
        writer.write(head.encode() + body)
        while line := await reader.readline():
            if line.startswith(b'data: {"error') or (line.startswith(b"HTTP/1.1") and b" 200 " not in line):
                call.failure = line.decode()
            elif line.startswith(b"data: {"):
                call.times.append(time.monotonic())
        writer.close()

    async def run(self, program, number, begin):
        await asyncio.sleep(begin + program.arrival - time.monotonic())
        program.began = time.monotonic()
        for step, call in enumerate(program.calls):
            await self.call(call, number, step, program)
            if call.failure:
                return

    async def run_all(self, programs):
        begin = time.monotonic() + 0.1
        await asyncio.gather(*(self.run(program, number, begin) for number, program in enumerate(programs)))


@dataclasses.dataclass
class System:
    name: str
    head: list = dataclasses.field(default_factory=list)
    nodes: list = dataclasses.field(default_factory=lambda: [[]])  # flags of each


@contextlib.contextmanager
def running(arguments, system):
    cluster = Cluster(arguments.troupe, arguments.model, system.head, NODE_FLAGS)
    try:
        for number, flags in enumerate(system.nodes):
            cluster.start_node(f"node-{number + 1}", *flags, wait=False)
        for process in cluster.nodes.values():
            process.wait_for("joined number")
        wait_for_workers(cluster, len(system.nodes))
        yield cluster
    finally:
        cluster.end()


def processor_s(path):
    """Processor time that a stat file of /proc tells, in s."""
    text = pathlib.Path(path).read_text()
    if path == "/proc/stat":
        user, nice, system, _, _, irq, softirq, stolen = map(int, text.split("\n")[0].split()[1:9])
        ticks = user + nice + system + irq + softirq + stolen
    else:
        fields = text.rsplit(")", 1)[1].split()
        ticks = int(fields[11]) + int(fields[12])
    return ticks / os.sysconf("SC_CLK_TCK")


class ForeignLoad:
    """How many processors other programs use, from its making on."""

    def __init__(self, cluster):
        self.own = [f"/proc/{process.pid}/stat" for process in (cluster.head, *cluster.nodes.values())] + ["/proc/self/stat"]
        self.since, self.before = time.monotonic(), self.count()

    def count(self):
        return processor_s("/proc/stat") - sum(map(processor_s, self.own))

    def processors(self):
        return (self.count() - self.before) / (time.monotonic() - self.since)


def copy(programs, rate=None):
    """Arrivals of a rate of 1, made faster; None: all at once."""
    at = lambda program: 0.0 if rate is None else program.arrival / rate  # noqa: E731
    return [dataclasses.replace(p, arrival=at(p), calls=[Call(c.prompt_tokens, c.output_tokens) for c in p.calls]) for p in programs]


def saturation(arguments, system, programs):
    """Programs a second that a system ends when it always has enough to do."""
    with running(arguments, system) as cluster:
        asyncio.run(Client(cluster.url, 0).run_all(copy(programs[:4])))  # wakes up
        asked = copy(programs)
        began = time.monotonic()
        asyncio.run(Client(cluster.url, 1).run_all(asked))
        return len(asked) / (time.monotonic() - began)


def serve(arguments, system, programs, rate):
    with running(arguments, system) as cluster:
        asyncio.run(Client(cluster.url, 0).run_all(copy(programs[:4])))  # paces, and what schedulers learn
        asked = copy(programs, rate)
        others = ForeignLoad(cluster)
        asyncio.run(Client(cluster.url, 1).run_all(asked))
        print(f"  {system.name}: {len(asked)} at {rate:.2f}/s; other programs used {others.processors():.2f} processors")
    failed = [program for program in asked if not program.ended()]
    assert not failed, f"{system.name}: {failed[0].calls[0].failure}"
    return asked


def lognormal(draw, median, sigma, longest):
    return max(1, min(longest, round(median * draw.lognormvariate(0, sigma))))


def arrivals(draw, n):
    """Poisson, at a rate of 1."""
    at, all_of_them = 0.0, []
    for _ in range(n):
        at += draw.expovariate(1)
        all_of_them.append(at)
    return all_of_them


def mean(programs, figure):
    return statistics.fmean(figure(p) for p in programs)


def percentile(programs, figure, p):
    ordered = sorted(figure(program) for program in programs)
    return ordered[round(p * (len(ordered) - 1))]


# --- the experiments: each gives its claims


def jitserve(arguments):
    """Streams, answers and agents at more than one worker can serve."""
    draw = random.Random(1)
    programs = []
    for at in arrivals(draw, round(200 * arguments.scale)):
        call = lambda: Call(lognormal(draw, 40, 0.6, 200), lognormal(draw, 50, 0.6, 200))  # noqa: E731
        kind = draw.randrange(3)
        if kind == 0:
            programs.append(Program(at, [call()], {"ttft_ms": 500, "tpot_ms": 50}))
        elif kind == 1:
            programs.append(Program(at, [call()], {"ttlt_ms": 3000}))
        else:
            programs.append(Program(at, [call(), call(), call()], {"ttlt_ms": 8000}, "agent"))
    flags = ["--max-num-seqs", "32", "--max-running-seqs", "8"]
    systems = {name: System(name, ["--scheduler", name], [[*flags, "--scheduler", name]]) for name in ("fcfs", "sjf", "jitserve")}
    rate = 1.15 * saturation(arguments, systems["fcfs"], programs[:60])
    goodput = {}
    for name, system in systems.items():
        asked = serve(arguments, system, programs, rate)
        goodput[name] = sum(p.good_tokens() for p in asked) / sum(p.tokens() for p in asked)
    return [claim("jitserve: tokens in time under overload", "share", [goodput["jitserve"]], other, [goodput[other]], 1.0) for other in ("fcfs", "sjf")]


def distserve(arguments):
    """Long prompts: prefill and decoding apart, and together on both workers."""
    draw = random.Random(2)
    programs = [Program(at, [Call(lognormal(draw, 450, 0.3, 900), lognormal(draw, 35, 0.4, 100))]) for at in arrivals(draw, round(36 * arguments.scale))]
    flags = ["--max-num-seqs", "16"]
    together = System("co-located", nodes=[flags, flags])
    apart = System("1 prefill + 1 decode", nodes=[[*flags, "--roles", "prefill"], [*flags, "--roles", "decode"]])
    rate = 0.6 * saturation(arguments, apart, programs[:20])
    figures = {}
    for system in (together, apart):
        asked = serve(arguments, system, programs, rate)
        figures[system.name] = percentile(asked, Program.tpot, 0.9)
        print(f"  {system.name}: TTFT p90 {percentile(asked, Program.ttft, 0.9):.2f} s, TPOT p90 {1000 * figures[system.name]:.1f} ms")
    return [claim("distserve: TPOT p90 of long prompts", "s", [figures[apart.name]], together.name, [figures[together.name]], 1.0, less_is_better=True)]


def llumnix(arguments):
    """Heavy-tailed lengths on two workers with little memory."""
    draw = random.Random(3)
    tail = lambda shortest, longest: min(longest, round(shortest * draw.paretovariate(1.1)))  # noqa: E731
    programs = [Program(at, [Call(tail(16, 256), tail(24, 500))]) for at in arrivals(draw, round(220 * arguments.scale))]
    flags = ["--max-num-seqs", "16", "--kv-cache-mib", "24"]
    turns = System("round robin", ["--dispatch", "round_robin"], [flags, flags])
    ours = System("llumnix", ["--dispatch", "llumnix", "--rescheduling", "llumnix"], [flags, flags])
    rate = 0.85 * saturation(arguments, turns, programs[:120])
    found = {system.name: serve(arguments, system, programs, rate) for system in (turns, ours)}
    claims = []
    for name, figure in (("TTFT", Program.ttft), ("whole answer", Program.e2e)):
        claims.append(claim(f"llumnix: {name}, mean", "s", [mean(found["llumnix"], figure)], turns.name, [mean(found[turns.name], figure)], 1.0, less_is_better=True))
    claims.append(claim("llumnix: TTFT p99", "s", [percentile(found["llumnix"], Program.ttft, 0.99)], turns.name, [percentile(found[turns.name], Program.ttft, 0.99)], less_is_better=True))
    return claims


def hexgen(arguments):
    """Programs of two calls with a deadline for the whole, on a worker that is near its limit."""
    draw = random.Random(4)
    programs = []
    for at in arrivals(draw, round(150 * arguments.scale)):
        calls = [Call(lognormal(draw, 60, 0.5, 200), lognormal(draw, 20, 0.4, 80)), Call(lognormal(draw, 60, 0.5, 200), lognormal(draw, 60, 0.5, 200))]
        programs.append(Program(at, calls, {"ttlt_ms": 4000}, "two calls"))
    flags = ["--max-num-seqs", "4"]
    systems = {name: System(name, ["--scheduler", name], [[*flags, "--scheduler", name]]) for name in ("fcfs", "urgency")}
    rate = 1.05 * saturation(arguments, systems["fcfs"], programs[:40])
    found = {name: serve(arguments, system, programs, rate) for name, system in systems.items()}
    for name, asked in found.items():
        print(f"  {name}: {mean(asked, lambda p: p.e2e() <= p.objective['ttlt_ms'] / 1000):.2f} within their deadline")
    p95 = {name: percentile(asked, Program.e2e, 0.95) for name, asked in found.items()}
    return [claim("hexgen: whole program p95, urgency first", "s", [p95["urgency"]], "fcfs", [p95["fcfs"]], 1.0, less_is_better=True)]


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("troupe")
    parser.add_argument("model")
    parser.add_argument("--only", help="jitserve, distserve, llumnix or hexgen")
    parser.add_argument("--scale", type=float, default=1.0, help="requests, as a share of the usual number")
    parser.add_argument("--json")
    arguments = parser.parse_args()
    claims = []
    for experiment in (jitserve, distserve, llumnix, hexgen):
        if arguments.only and arguments.only != experiment.__name__:
            continue
        began = time.monotonic()
        for made in experiment(arguments):
            claims.append(made)
            verdict = {None: "", True: "ok", False: "MISSED"}[made["ok"]]
            print(f"{made['claim']:50} {made['value']:10.4g} {made['unit']:6} {made['ratio']:.2f} x {made['peer']} ({made['peer_value']:.4g}) {verdict}", flush=True)
        print(f"  {experiment.__name__} took {time.monotonic() - began:.0f} s", flush=True)
    if arguments.json:
        write(arguments.json, "schedulers_live", claims)


if __name__ == "__main__":
    main()
