#!/usr/bin/env python3
"""Drives the page in headless Chromium as a person would: types, reads, stops, gets things wrong, watches the load.

    page_test.py --url http://127.0.0.1:8000 [--key KEY] [--screenshots DIR]      a server that runs (troupe serve)
    page_test.py --program BINARY [--screenshots DIR]                             a program that prints its port (fake_endpoint)

With a key, what happens without it is tested first. Exits 77 when there is no Chromium.
"""
import argparse
import contextlib
import json
import pathlib
import subprocess
import sys

from browser import Browser, find_chromium

TURN = "document.querySelector('.turn.assistant:last-child')"
MARKUP = "<img src=x onerror='window.owned = true'><b>bold?</b>"


@contextlib.contextmanager
def running_server(arguments):
    if arguments.url:
        yield arguments.url.rstrip("/"), arguments.key
        return
    key = "page-test-key"
    with subprocess.Popen([arguments.program, key], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        yield f"http://127.0.0.1:{int(process.stdout.readline())}", key
        process.stdin.close()


def ask(page, text):
    page.evaluate("document.querySelector('#message').focus()")
    page.type(text)
    page.press("Enter", 13)


def wait_for_answer(page, patience=120):
    page.wait(f"{TURN}?.getAttribute('aria-busy') === 'false'", "the answer's end", patience)


def tile(page, name):
    """The number that a tile shows; None for a dash."""
    shown = page.evaluate(
        f"[...document.querySelectorAll('.tile')].find((t) => t.querySelector('.name').textContent === {json.dumps(name)})"
        ".querySelector('.value span').textContent")
    return None if shown == "–" else float(shown)


def wait_for_tile(page, name, holds, what, patience=20):
    for _ in range(patience * 5):
        value = tile(page, name)
        if value is not None and holds(value):
            return value
        page.evaluate("new Promise((resolve) => setTimeout(resolve, 200))")
    raise AssertionError(f"{name}: {what}; it shows {tile(page, name)}")


def check_missing_key(page, key):
    page.wait("document.querySelector('#connection').textContent === 'API key needed'", "the load to ask for a key")
    ask(page, "Hello without a key")
    wait_for_answer(page)
    said = page.evaluate(f"{TURN}.querySelector('.failure').textContent")
    assert "API key" in said and "Settings" in said, said
    assert page.evaluate("document.querySelector('#settings').open && document.activeElement.id === 'api_key'"), "the key field is offered"
    page.type(key)
    page.evaluate("document.activeElement.blur()")
    page.wait("document.querySelector('#connection').textContent === 'connected'", "the load to appear")
    assert page.evaluate("Object.keys(localStorage).length === 0 && sessionStorage.troupe_api_key !== undefined && !document.cookie")
    page.evaluate("document.querySelector('#settings').open = false")
    page.click("#new")
    assert page.evaluate("document.querySelectorAll('.turn').length") == 0


def check_answer(page):
    page.evaluate("document.querySelector('#message').focus()")
    page.type("One line")
    page.press("Enter", 13, shift=True)
    page.type(f"and another {MARKUP}")
    assert "\n" in page.evaluate("document.querySelector('#message').value"), "Shift+Enter begins a line"
    assert page.evaluate("document.querySelectorAll('.turn').length") == 0, "Shift+Enter does not send"
    # A short answer is over between two looks from outside: the page itself keeps the lengths it showed while busy.
    page.evaluate("window.lengths = new Set(); new MutationObserver(() => {"
                  f"const turn = {TURN}; if (turn?.getAttribute('aria-busy') === 'true') window.lengths.add(turn.querySelector('.text').textContent.length);"
                  "}).observe(document.querySelector('.log'), {childList: true, subtree: true, characterData: true})")
    page.press("Enter", 13)
    wait_for_answer(page)
    assert page.evaluate("window.lengths.size") >= 2, "the answer grows as it comes"
    assert page.evaluate("document.querySelector('.turn.user .text').textContent").endswith(MARKUP), "what was typed is shown as typed"
    assert page.evaluate("document.querySelectorAll('.log img, .log b').length") == 0, "text never becomes markup"
    assert not page.evaluate("window.owned"), "text never becomes a script"
    figures = page.evaluate(f"{TURN}.querySelector('.figures').textContent")
    for part in ("first token after", "tokens/s", "tokens ·", "prompt of"):
        assert part in figures, figures
    print("figures of an answer:", figures)


def keep_busy(page):
    """A request of its own, long enough to be seen whatever the model thinks of an answer's length."""
    body = {"messages": [{"role": "user", "content": "A long story"}], "max_tokens": 400, "ignore_eos": True}
    page.evaluate("window.busy = new AbortController();"
                  "void fetch('/v1/chat/completions', {method: 'POST', signal: window.busy.signal, headers: {'content-type': 'application/json', "
                  f"authorization: `Bearer ${{sessionStorage.troupe_api_key}}`}}, body: {json.dumps(json.dumps(body))}}}).catch(() => {{}})")


def check_load(page):
    first = wait_for_tile(page, "Time to first token", lambda value: value > 0, "the answer's first token is counted")
    between = wait_for_tile(page, "Time between tokens", lambda value: value > 0, "the answer's tokens are counted")
    print(f"load after an answer: p50 of the first token {first} ms, between tokens {between} ms")
    assert page.evaluate("document.querySelectorAll('.tile').length") == 8
    keep_busy(page)
    wait_for_tile(page, "Requests running", lambda value: value >= 1, "a request runs")
    wait_for_tile(page, "Generated", lambda value: value > 0, "tokens are generated")
    page.evaluate("window.busy.abort()")
    points = page.evaluate("document.querySelector('.tile polyline').getAttribute('points')")
    assert len(points.split()) >= 2, points


def check_stop(page):
    for attempt in range(20):  # a small model may end an answer before it can be stopped
        ask(page, f"Count from {attempt} to a thousand, each number in words")
        page.wait(f"{TURN}?.querySelector('.text').textContent.length > 0", "the first words", 60)
        if page.evaluate("!document.querySelector('#stop').hidden && (document.querySelector('#stop').click(), true)"):
            break
    wait_for_answer(page)
    assert "stopped" in page.evaluate(f"{TURN}.querySelector('.figures').textContent")
    assert page.evaluate(f"{TURN}.querySelector('.failure')") is None, "to stop is no failure"
    assert page.evaluate("document.querySelector('#stop').hidden && !document.querySelector('#send').hidden")
    wait_for_tile(page, "Requests running", lambda value: value == 0, "a stopped request ends on the server")


def check_wrong_setting(page):
    page.evaluate("document.querySelector('#temperature').value = '7'")
    before = page.evaluate("document.querySelectorAll('.turn').length")
    ask(page, "Too hot")
    assert page.evaluate("document.querySelectorAll('.turn').length") == before, "nothing is sent with a setting out of range"
    assert page.evaluate("document.querySelector('#settings').open"), "the setting is shown"
    page.evaluate("document.querySelector('#temperature').value = '0.7'; document.querySelector('#settings').open = false;"
                  "document.querySelector('#message').value = ''")


def check_layout(page, folder):
    for name, width, height, mobile in (("desktop", 1280, 800, False), ("phone", 390, 844, True)):
        for scheme in ("light", "dark"):
            page.look(width, height, scheme, mobile)
            page.evaluate("new Promise((resolve) => setTimeout(resolve, 300))")
            assert page.evaluate("(({scrollHeight, scrollTop, clientHeight}) => scrollHeight - scrollTop - clientHeight < 2)"
                                 "(document.querySelector('#log'))"), f"{name}: the end of the conversation is out of view"
            assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), f"{name}: wider than the screen"
            for selector in ("#send", "#message", "#log", ".tile", "#new"):
                box = page.evaluate(f"(({{x, y, right, bottom, width}}) => [x, y, right, bottom, width])"
                                    f"(document.querySelector('{selector}').getBoundingClientRect())")
                assert box[4] > 20 and box[0] >= 0 and box[2] <= width + 1 and box[3] <= height + 1, f"{name}: {selector} at {box}"
            if folder:
                page.screenshot(folder / f"{name}_{scheme}.png")
    if folder:
        page.evaluate("document.querySelector('#settings').open = true")
        page.screenshot(folder / "phone_settings.png")
        page.evaluate("document.querySelector('#settings').open = false")
    page.look(1280, 800, "light")


def check_labels(page):
    unnamed = page.evaluate(
        "[...document.querySelectorAll('input, textarea, select, button')].filter((e) =>"
        " !(e.labels?.length || e.textContent.trim() || e.ariaLabel)).map((e) => e.outerHTML)")
    assert not unnamed, f"controls without a name: {unnamed}"
    assert page.evaluate("document.querySelector('#log').getAttribute('aria-live')") == "polite"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    where = parser.add_mutually_exclusive_group(required=True)
    where.add_argument("--url")
    where.add_argument("--program")
    parser.add_argument("--key", default="")
    parser.add_argument("--screenshots", type=pathlib.Path)
    arguments = parser.parse_args()
    if not find_chromium():
        print("skipped: there is no Chromium on this machine")
        return 77
    if arguments.screenshots:
        arguments.screenshots.mkdir(parents=True, exist_ok=True)
    with running_server(arguments) as (url, key), Browser() as page:
        page.look(1280, 800, "light")
        page.open(url + "/")
        if key:
            check_missing_key(page, key)
        page.wait("document.querySelector('#model').value.length > 0", "the model's name")
        page.wait("document.querySelector('#version').textContent.length > 0", "the version")
        check_labels(page)
        check_answer(page)
        check_load(page)
        check_stop(page)
        check_wrong_setting(page)
        check_layout(page, arguments.screenshots)
        # Refused requests are what the test asked for; anything else the browser complains about is a fault of the page.
        complaints = [each for each in page.complaints if "401" not in each]
        assert not complaints, complaints
    print("the page works")
    return 0


if __name__ == "__main__":
    sys.exit(main())
