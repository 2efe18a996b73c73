#!/usr/bin/env python3
"""Runs another test program against a live server: run_against_live.py TROUPE MODEL COMMAND... ; {url} in it is the server's."""
import os
import subprocess
import sys

from live_server import live_server

troupe, model, *command = sys.argv[1:]
if not model or not os.path.exists(model):
    print("skipped: there is no model (TROUPE_TEST_MODEL)")
    sys.exit(77)
with live_server(troupe, model) as server:
    sys.exit(subprocess.run([word.replace("{url}", server.url) for word in command]).returncode)
