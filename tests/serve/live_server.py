"""Starts `troupe serve` on a free port for the length of a with-block."""
import contextlib
import os
import re
import subprocess
import tempfile
import time
import urllib.request


class LiveServer:
    """A running server: its URL, its process and its log so far."""

    def __init__(self, url, process, log_path):
        self.url = url
        self.process = process
        self.log_path = log_path

    def log(self):
        with open(self.log_path) as log:
            return log.read()

    def metrics(self):
        """The values of /metrics by name; labelled ones by name{labels}."""
        values = {}
        for line in urllib.request.urlopen(self.url + "/metrics", timeout=10).read().decode().splitlines():
            if line and not line.startswith("#"):
                name, value = line.rsplit(" ", 1)
                values[name] = float(value)
        return values


@contextlib.contextmanager
def live_server(troupe, model, *flags, wait_s=30, environment=None):
    with tempfile.NamedTemporaryFile(suffix=".log") as log:
        process = subprocess.Popen([troupe, "serve", model, "--port", "0", "--log-file", log.name, *flags],
                                   env={**os.environ, **(environment or {})})
        try:
            end = time.time() + wait_s
            url = None
            while url is None:
                with open(log.name) as text:
                    found = re.search(r"ready .*url=(\S+)", text.read())
                url = found.group(1) if found else None
                if process.poll() is not None or time.time() > end:
                    raise RuntimeError(f"the server did not start: {open(log.name).read()}")
                time.sleep(0.02)
            yield LiveServer(url, process, log.name)
        finally:
            process.terminate()
            process.wait(timeout=20)
