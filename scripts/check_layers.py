#!/usr/bin/env python3
"""Holds every #include against the map of the house (docs/architecture.md): who may include whom, nothing else.

    scripts/check_layers.py [ROOT]

Prints each include that reaches across, and exits 1 when there is one.
"""
import pathlib
import re
import sys

# For each room, by the longest matching folder: the rooms whose headers it may include. A room may always include itself.
ALLOWED = {
    "base": [],
    "kernels": ["base"],
    "policies": ["base"],
    "runtime": ["base", "kernels"],
    "actors/protocols": ["base"],
    "actors": ["base", "kernels", "runtime", "policies", "transport", "actors/protocols"],
    "transport": ["base"],
    "simulator": ["base", "kernels", "runtime", "policies", "transport", "actors", "actors/protocols"],
    "include": ["base", "kernels", "runtime", "policies", "actors", "troupe"],
    "bench": ["base", "kernels", "runtime", "policies", "transport", "actors", "actors/protocols", "simulator"],
    "cli": ["base", "kernels", "runtime", "policies", "transport", "actors", "actors/protocols", "simulator", "bench", "troupe"],
    "examples": ["troupe"],
}
# What rooms that only compute must never see, whatever the include path offers.
FORBIDDEN = {
    "kernels": r"^(caf/|boost/|ucp/|sys/socket\.h|chrono|thread|mutex|nlohmann/|spdlog/)",
    "policies": r"^(caf/|boost/|ucp/|sys/|thread|mutex|atomic|fstream|iostream|random|nlohmann/|spdlog/)",
    "base": r"^(caf/|boost/|ucp/|nlohmann/|spdlog/)",
}
# Slow to compile, so kept in few files.
ONLY_IN = {
    r"^boost/(beast|asio)": r"^runtime/http/[a-z_]+\.(cpp|hpp)$",
    r"^caf/": r"^(actors|transport|simulator|tests|include|bench)/",
    r"^spdlog/": r"^runtime/observe/",
}
INCLUDE = re.compile(r'^\s*#\s*include\s*([<"])([^>"]+)[>"]')


def room_of(path: str) -> str | None:
    """The room a file or an include path lies in."""
    for room in sorted(ALLOWED, key=len, reverse=True):
        if path == room or path.startswith(room + "/"):
            return room
    return "troupe" if path.startswith("troupe/") else None


def violations(root: pathlib.Path):
    for path in sorted(root.rglob("*")):
        name = path.relative_to(root).as_posix()
        if path.suffix not in {".hpp", ".cpp", ".cu", ".cuh"} or name.startswith(("build", ".")):
            continue
        room = room_of(name)
        for number, line in enumerate(path.read_text(errors="replace").splitlines(), 1):
            match = INCLUDE.match(line)
            if not match:
                continue
            quoted, target = match.group(1) == '"', match.group(2)
            place = f"{name}:{number}"
            for pattern, files in ONLY_IN.items():
                if re.match(pattern, target) and not re.match(files, name):
                    yield f"{place}: {target} belongs in files matching {files}"
            if room is None or room == "troupe":
                continue
            if room in FORBIDDEN and re.match(FORBIDDEN[room], target):
                yield f"{place}: {room}/ must not see {target}"
            if quoted:
                other = room_of(target)
                if other not in (None, room) and other not in ALLOWED[room]:
                    yield f"{place}: {room}/ must not include {other}/ ({target})"


def main() -> int:
    root = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else pathlib.Path(__file__).parent.parent).resolve()
    found = list(violations(root))
    print("\n".join(found) if found else "layers: every include is where it may be")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
