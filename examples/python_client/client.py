#!/usr/bin/env python3
"""Joins a cluster as a node of its own, in another language: handshake, session, two questions, one prompt, its tokens.

    client.py HEAD:PORT [--secret FILE] [--max-tokens N] [--show-tokens] TOKENS

    troupe serve smollm2 --cluster-listen 127.0.0.1:7100 &
    client.py 127.0.0.1:7100 "$(troupe tokenize smollm2 'The sea')"

All of it follows from docs/wire.md. Needs UCX, and from PyPI msgpack and xxhash; with --secret also cryptography.
"""
import argparse
import json
import os
import struct
import sys
import time

import msgpack
from session import BEAT, BYE, MESSAGES, Session, read_secret
from ucx import Fabric

LETTER, RESOLVE, RESOLVED = 1, 6, 7
NO_REQUEST, REQUEST = 1 << 60, 1 << 60 | 1  # message ids: a letter that wants no answer, and our only one that does
MYSELF = 1  # the id of the one actor that this node has
BEAT_EVERY_S, DEAD_AFTER_S = 0.2, 5.0  # a node that is busy with a long step is not dead


class Node:
    def __init__(self, secret, cluster):
        self.fabric, self.sessions, self.head, self.arrived = Fabric(), {}, None, []
        self.identity = os.urandom(20) + struct.pack("<I", os.getpid())
        self.secret, self.cluster, self.next_beat = secret, cluster, 0.0

    def connect(self, address):
        session = Session(self.fabric, self.identity, self.secret, self.cluster, address)
        self.sessions[session.endpoint] = session
        self.head = self.head or session.endpoint
        return session

    def send(self, session, kind, target, content, message_id=NO_REQUEST, source=MYSELF):
        message = struct.pack("<BBHIQQQ", kind, 0, 0, 0, message_id, source, target) + msgpack.packb(content)
        session.send(MESSAGES, struct.pack("<I", len(message)) + message)

    def receive(self):
        """The next message: (kind, message id, source, content). Beats go out meanwhile."""
        while not self.arrived:
            self.fabric.progress()
            for endpoint, frame in self.fabric.frames:
                for message in self.sessions[endpoint].messages(frame) if endpoint in self.sessions else ():
                    kind, _, _, _, message_id, source, _ = struct.unpack_from("<BBHIQQQ", message)
                    self.arrived.append((kind, message_id, source, msgpack.unpackb(message[32:], strict_map_key=False) if message[32:] else None))
            self.fabric.frames.clear()
            now = time.monotonic()
            gone = [endpoint for endpoint, session in self.sessions.items() if endpoint in self.fabric.lost or now - session.heard > DEAD_AFTER_S]
            for endpoint in gone:  # a worker's requests begin again elsewhere, as the head will say
                del self.sessions[endpoint]
            if self.head in gone:
                raise ConnectionError("the head was lost")
            if now >= self.next_beat:
                self.next_beat = now + BEAT_EVERY_S
                for session in self.sessions.values():
                    session.send(BEAT)
            time.sleep(0.0005)
        return self.arrived.pop(0)

    def wait_for(self, wanted):
        while True:
            kind, message_id, source, content = self.receive()
            if kind == wanted[0] and message_id == wanted[1]:
                return source, content

    def resolve(self, session, name):
        self.send(session, RESOLVE, 0, name, message_id=1, source=0)
        return self.wait_for((RESOLVED, 1))[0]

    def close(self):
        for session in self.sessions.values():
            session.send(BYE)
        self.fabric.close()


def main():
    parser = argparse.ArgumentParser(description="Streams an answer from a cluster, as a node of it.")
    parser.add_argument("head")
    parser.add_argument("tokens", type=json.loads, help="the prompt's token ids, as [1, 2, 3]")
    parser.add_argument("--secret")
    parser.add_argument("--cluster-name", default="troupe")
    parser.add_argument("--max-tokens", type=int, default=64)
    parser.add_argument("--show-tokens", action="store_true", help="ids to standard error")
    arguments = parser.parse_args()
    node = Node(read_secret(arguments.secret), arguments.cluster_name.encode())
    head = node.connect(arguments.head)
    registry, scheduler = node.resolve(head, "registry"), node.resolve(head, "scheduler")
    # Tokens come from the worker that draws them. This node does not listen, so it calls on every worker itself.
    node.send(head, LETTER, registry, ["ask_status", {}], message_id=REQUEST)
    for member in node.wait_for((LETTER, REQUEST | 1 << 63))[1][1]["members"]:
        node.connect(member["address"])

    request = {"id": int.from_bytes(os.urandom(6), "little") | 1 << 48, "prompt": arguments.tokens, "resumed": [],
               "sampling": {"temperature": 0.0, "max_tokens": arguments.max_tokens}}
    epoch, tokens, ended = 1 << 16, {}, None
    node.send(head, LETTER, scheduler, ["submit_request", {"request": request, "epoch": epoch}])
    # The end may come from a new worker before the last words of the old one.
    while not ended or (not ended["message"] and len(request["resumed"]) < ended["usage"]["completion_tokens"]):
        kind, _, _, content = node.receive()
        if kind != LETTER or content[1].get("request") != request["id"] or content[1]["epoch"] >> 16 != epoch >> 16:
            continue
        name, value = content
        if name == "token_chunk":
            tokens.update((token["index"], token) for token in value["tokens"])
            while len(request["resumed"]) in tokens:  # in order and once, when the request moves between two workers
                token = tokens[len(request["resumed"])]
                request["resumed"].append(token["token"])
                print(token["text"], end="", flush=True)
        elif name == "request_lost":  # its worker died: again, from what is here
            epoch += 1 << 16
            node.send(head, LETTER, scheduler, ["submit_request", {"request": request, "epoch": epoch}])
        elif name == "request_ended":
            ended = value
    print()
    if arguments.show_tokens:
        print(*request["resumed"], file=sys.stderr)
    node.close()
    sys.exit(ended["message"] or 0)


if __name__ == "__main__":
    try:
        main()
    except OSError as problem:
        sys.exit(f"client.py: {problem}")
