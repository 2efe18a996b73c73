#!/usr/bin/env python3
"""Runs another test program against a live server: run_against_live.py TROUPE COMMAND...

{url} in the command is the server's. The model is the environment's TROUPE_TEST_MODEL; without one, exits 77. With a
TROUPE_TEST_MINILM it makes embeddings too.
"""
import os
import subprocess
import sys

from live_server import live_server

troupe, *command = sys.argv[1:]
model = os.environ.get("TROUPE_TEST_MODEL", "")
if not model or not os.path.exists(model):
    print("skipped: there is no model (TROUPE_TEST_MODEL)")
    sys.exit(77)
embedding_model = os.environ.get("TROUPE_TEST_MINILM", "")
with live_server(troupe, model, *(["--embedding-model", embedding_model] if embedding_model else [])) as server:
    sys.exit(subprocess.run([word.replace("{url}", server.url) for word in command]).returncode)
