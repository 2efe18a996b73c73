"""What the comparisons of this folder share: the shape of a claim and of the file they write (see report.hpp)."""
import json
import os
import pathlib
import statistics
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent


def spread(samples):
    """Half the distance between the quartiles, as a share of the median."""
    ordered = sorted(samples)
    quartile = lambda q: ordered[round(q * (len(ordered) - 1))]  # noqa: E731
    middle = statistics.median(ordered)
    return abs((quartile(0.75) - quartile(0.25)) / 2 / middle) if middle else 0.0


def claim(name, unit, ours, peer, theirs, target_ratio=None, less_is_better=False):
    """Troupe's samples against a peer's. The ratio says how many times better ours are; target_ratio: what it must reach,
    None for a mere comparison."""
    value, peer_value = statistics.median(ours), statistics.median(theirs)
    ratio = peer_value / value if less_is_better else value / peer_value
    target = None if target_ratio is None else peer_value / target_ratio if less_is_better else peer_value * target_ratio
    return {"claim": name, "system": "troupe", "value": value, "unit": unit, "peer": peer, "peer_value": peer_value, "ratio": ratio,
            "bound": None, "share_of_bound": None, "target": target, "direction": "at_most" if less_is_better else "at_least",
            "ok": None if target is None else ratio >= target_ratio, "n": len(ours), "spread": spread(ours)}  # fmt: skip


def limit(name, unit, samples, at_most=None):
    """Troupe's samples, which must not be more than so much; None: they are told, no more."""
    value = statistics.median(samples)
    return {"claim": name, "system": "troupe", "value": value, "unit": unit, "peer": "", "peer_value": None, "ratio": None,
            "bound": None, "share_of_bound": None, "target": at_most, "direction": "at_most",
            "ok": None if at_most is None else value <= at_most, "n": len(samples), "spread": spread(samples)}  # fmt: skip


def machine_name():
    """The first CPU's name, as the kernel tells it, and how many there are."""
    for line in open("/proc/cpuinfo", encoding="utf-8"):
        if line.startswith("model name"):
            return f"{line.split(':')[1].strip()}, {os.cpu_count()} processors"
    return "unknown"


def write(path, bench, claims):
    commit = subprocess.run(["git", "-C", ROOT, "rev-parse", "--short", "HEAD"], text=True, stdout=subprocess.PIPE, check=False)
    report = {"bench": bench, "command": " ".join([os.path.relpath(sys.argv[0], ROOT), *sys.argv[1:]]), "machine": machine_name(),
              "commit": commit.stdout.strip() or None, "claims": claims}  # fmt: skip
    with open(path, "w", encoding="utf-8") as out:
        json.dump(report, out, indent=1)
