#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What was decided reaches its receivers: signed, repeated while they fail, never lost in silence."""
import base64
import contextlib
import hashlib
import hmac
import http.server
import shutil
import threading

from story import *

KEY = b"0123456789abcdef01234567"
SECRET = "whsec_" + base64.b64encode(KEY).decode()
NO_HUB = "127.0.0.1:1"


class Receiver:
    """A local receiver of webhooks that keeps what came and answers as `answer(n)` tells for the
    n-th request: a status, or (status, headers). With `holds`, it answers nothing while the other
    side waits; `most` is how many waited at the same time."""

    def __init__(self, s, answer=lambda n: 204, port=0, holds=False):
        self.came = []
        self.answer = answer
        self.held = self.most = 0
        lock = threading.Lock()
        outer = self

        class Hook(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                with lock:
                    number = len(outer.came)
                    outer.came.append((time.monotonic(), dict(self.headers), body))
                    outer.held += 1
                    outer.most = max(outer.most, outer.held)
                if holds:
                    with contextlib.suppress(OSError):
                        self.connection.recv(1)  # until it hangs up
                with lock:
                    outer.held -= 1
                if holds:
                    self.close_connection = True
                    return
                answer = outer.answer(number)
                status, headers = answer if isinstance(answer, tuple) else (answer, {})
                self.send_response(status)
                for name, value in headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", port), Hook)
        self.server.daemon_threads = True
        self.port = self.server.server_address[1]
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        s.defer(self.server.shutdown)

    def url(self):
        return f"http://127.0.0.1:{self.port}/hook"

    def ids(self):
        return [headers["webhook-id"] for _, headers, _ in self.came]


def receivers(*rows):
    """The configuration with these (name, url, more lines)."""
    text = "receivers:\n"
    for name, url, *more in rows:
        text += f"  - name: {name}\n    url: {url}\n" + "".join(f"    {line}\n" for line in more)
    return text


def feed(s, records, alert_every, *more):
    """A journal of `records` records without rate; returns how many alerts are in it."""
    words = s.run(s.program("tests/journal_feed"), s.dir("run"), records, 0, 1, 1, alert_every,
                  *more).stdout.split()
    return int(words[3])


def export(s):
    return s.start(s.program("vow-export"), "--dir", s.dir("run"), "--hub", NO_HUB)


def dead_letters(s):
    path = s.path("run", "dead-letters.jsonl")
    if not os.path.exists(path):
        return []
    with open(path, encoding="utf-8") as lines:
        return [json.loads(line) for line in lines]


@test
@needs("vow-export")
def a_receiver_that_fails_first_gets_each_alert_signed_and_in_order(s):
    receiver = Receiver(s, lambda n: 503 if n < 3 else 204)
    s.write("run/vow.yaml", receivers(("on-call", receiver.url(), f"secret: {SECRET}")))
    equal(feed(s, 10, 5), 3, "alerts in the journal")  # 5 fires, 6 resolves it, 10 fires
    began = time.time()
    exporter = export(s)
    s.until(lambda: exporter.log().count("accepted by on-call") == 3, 15, "three acceptances")

    equal(len(receiver.came), 6, "requests: three refused, three accepted")
    for _, headers, body in receiver.came:
        equal(headers["Content-Type"], "application/json", "type of the content")
        signed = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + body
        mac = base64.b64encode(hmac.new(KEY, signed, hashlib.sha256).digest()).decode()
        equal(headers["webhook-signature"], f"v1,{mac}", "signature")
        at_least(int(headers["webhook-timestamp"]), int(began), "time of the signature")
        at_most(int(headers["webhook-timestamp"]), time.time(), "time of the signature")
    bodies = {headers["webhook-id"]: json.loads(body) for _, headers, body in receiver.came}
    equal(len(bodies), 3, "messages: each try of one has its id")
    for id, body in bodies.items():
        equal(body["id"], id, "id in the body")
    accepted = [json.loads(body) for _, _, body in receiver.came[3:]]
    first = [b["type"] for b in accepted if b["data"]["reason"] == "record 5"]
    equal(first, ["alert.firing", "alert.resolved"], "order of one alert's messages")
    equal(dead_letters(s), [], "dead letters")
    equal(exporter.stop(), 0, "status of vow-export")


@test
@needs("vow-export")
def a_header_without_end_changes_nothing_of_the_answer(s):
    endless = {"X-Padding": "x" * 200_000}
    receiver = Receiver(s, lambda n: (503, endless) if n == 0 else (204, endless))
    s.write("run/vow.yaml", receivers(("wordy", receiver.url())))
    feed(s, 5, 5)
    exporter = export(s)
    s.until(lambda: "accepted by wordy" in exporter.log(), 15, "acceptance")
    equal(len(receiver.came), 2, "requests: one refused, one accepted")
    check("it answered 503" in exporter.log(), "no word of the first answer")
    check("memory" not in exporter.log().lower(), "blames memory")


@test
@needs("vow-export")
def what_a_receiver_refuses_for_good_is_a_dead_letter_and_not_repeated(s):
    receiver = Receiver(s, lambda n: 400)
    s.write("run/vow.yaml", receivers(("strict", receiver.url())))
    feed(s, 5, 5)
    exporter = export(s)
    letters = s.until(lambda: dead_letters(s), 10, "dead letter")
    equal(len(receiver.came), 1, "requests")
    letter = letters[0]
    equal((letter["receiver"], letter["class"], letter["last_status"], letter["tries"]),
          ("strict", "http4xx", 400, 1), "dead letter")
    equal(letter["message"]["data"]["reason"], "record 5", "message in it")
    equal(letter["id"], receiver.ids()[0], "id in it")
    check("webhook-signature" not in receiver.came[0][1], "no secret, but a signature")
    equal(exporter.stop(), 0, "status of vow-export")
    # Its position is behind the record: it is not posted again.
    again = export(s)
    s.until(lambda: "waiting in the journal" in again.log() or "trying again" in again.log(), 10,
            "line about the hub")
    again.stop()
    equal(len(receiver.came), 1, "requests after a restart")


@test
@needs("root", "vow-export")
def a_dead_letter_that_the_disk_refuses_waits_until_there_is_room(s):
    s.run("mount", "-t", "tmpfs", "-o", "size=4m,nr_inodes=100", "vow-test", s.dir("run"))
    s.defer(s.run, "umount", "-l", s.dir("run"))
    full = threading.Event()
    receiver = Receiver(s, lambda n: (full.wait(60), 400)[1])
    s.write("run/vow.yaml", receivers(("strict", receiver.url())))
    exporter = export(s)
    feed(s, 5, 5)
    s.until(lambda: len(receiver.came) == 1, 10, "request that waits for its answer")
    s.fill_names("run/filler")
    full.set()
    s.until(lambda: "No space left on device; dead letters wait" in exporter.log(), 10,
            "word of the full disk")
    equal(dead_letters(s), [], "dead letters")
    shutil.rmtree(s.path("run", "filler"))
    letters = s.until(lambda: dead_letters(s), 10, "dead letter")
    equal([letter["id"] for letter in letters], receiver.ids(), "ids of dead letters")
    s.until(lambda: "dead letters are written again" in exporter.log(), 5, "word of its end")
    equal(exporter.stop(), 0, "status of vow-export")
    equal(len(receiver.came), 1, "requests in all")


@test
@needs("vow-export")
def a_receiver_that_hangs_keeps_no_other_waiting(s):
    hung = Receiver(s, holds=True)
    quick = Receiver(s)
    s.write("run/vow.yaml", receivers(("hung", hung.url()), ("quick", quick.url())))
    alerts = feed(s, 100, 5)
    export(s)
    s.until(lambda: len(quick.came) == alerts, 5, "all alerts at the quick receiver")
    at_least(hung.most, 1, "requests that hung")
    at_most(hung.most, 4, "requests that hung at the same time")


@test
@needs("vow-export")
def killed_while_the_receiver_is_down_it_posts_the_same_ids_later(s):
    port = s.port()
    s.write("run/vow.yaml", receivers(("later", f"http://127.0.0.1:{port}/hook")))
    alerts = feed(s, 20, 5)
    for _ in range(3):
        exporter = export(s)
        s.until(lambda: "failed (refused)" in exporter.log(), 10, "failed try")
        exporter.kill()
    receiver = Receiver(s, port=port)
    exporter = export(s)
    # What was received and not known to be, an end in between would make it post again.
    s.until(lambda: exporter.log().count("accepted by later") == alerts, 10, "all alerts")
    equal(len(set(receiver.ids())), alerts, "alerts received")
    equal(len(receiver.came), alerts, "requests")
    exporter.stop()
    exporter = export(s)
    feed(s, 5, 5)  # the same journal goes on
    s.until(lambda: len(receiver.came) > alerts, 10, "the next alert")
    equal(len(receiver.came), alerts + 1, "requests after a restart in order")


@test
@needs("vow-export")
def retry_after_is_waited_for(s):
    receiver = Receiver(s, lambda n: (429, {"Retry-After": "2"}) if n == 0 else 204)
    s.write("run/vow.yaml", receivers(("busy", receiver.url())))
    feed(s, 5, 5)
    export(s)
    s.until(lambda: len(receiver.came) == 2, 10, "second try")
    at_least(receiver.came[1][0] - receiver.came[0][0], 1.9, "seconds between the tries")


@test
@needs("vow-export")
def what_was_over_long_before_wakes_nobody(s):
    receiver = Receiver(s)
    s.write("run/vow.yaml", receivers(("on-call", receiver.url())))
    old = feed(s, 10, 5, 7200)
    fresh = feed(s, 10, 5)
    exporter = export(s)
    s.until(lambda: len(receiver.came) == fresh, 10, "the fresh alerts")
    check(f"{old} alerts and decisions older than an hour" in exporter.log(),
          f"the log counts the old ones: {exporter.log()!r}")


@test
@needs("vow-export")
def receivers_change_on_sighup_and_a_wrong_file_changes_nothing(s):
    first, second = Receiver(s), Receiver(s)
    s.write("run/vow.yaml", receivers(("a", first.url(), "events: [alerts]")))
    feed(s, 5, 5)
    exporter = export(s)
    s.until(lambda: "accepted by a" in exporter.log(), 10, "alert at the first")
    s.write("run/vow.yaml", receivers(("b", "nonsense://x")))
    exporter.signal(1)
    s.until(lambda: "receivers stay as they were" in exporter.log(), 5, "refusal of the file")
    s.write("run/vow.yaml", receivers(("b", second.url())))
    exporter.signal(1)
    s.until(lambda: "receivers read anew" in exporter.log(), 5, "new receivers")
    feed(s, 5, 5)
    s.until(lambda: len(second.came) == 1, 10, "alert at the second")
    equal(len(first.came), 1, "requests to the first")


main("deliver")
