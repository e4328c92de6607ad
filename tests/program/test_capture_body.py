#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Types of events that stand in a field of a JSON body, as the BPF programs find them: the right one
or none, whatever else a body holds, and only of the bytes that a call brought."""
import hashlib

from capture import *

JSON = "Content-Type: application/json"
LIMIT = 4096  # bytes of a body that are looked through
STRIPE = ('{"id": "evt_1NG8", "object": "event", "api_version": "2020-08-27", "created": 1686089970,'
          '"data": {"object": {"id": "seti_1", "object": "setup_intent", "type": "inner.one",'
          '"metadata": {}, "list": [{"type": "inner.two"}, "type", "\\\\", "}"]}},'
          '"livemode": false, "pending_webhooks": 0, "type": "setup_intent.created"}')


def hook(path, body, *lines, kind=JSON):
    body = body.encode("latin-1")
    lines = [*lines, f"Content-Length: {len(body)}"] + ([kind] if kind else [])
    return post(path, "Host: a", *lines, body=body)


def events(s, capture, expected):
    """Holds {path: type} against what both ends have of each."""
    pairs = seen(s, capture, len(expected))
    for path, event in expected.items():
        equal([end.event for end in pairs[path]], [event, event], f"types of {path}, both ends")


def padded(size, end):
    """An object of which `end` begins behind so many bytes."""
    return '{"pad": "' + "p" * (size - len('{"pad": "", ')) + '", ' + end


@test_tiers(tiers=ALL_TIERS)
def type_in_a_body_is_found_in_what_came_with_the_head(s, tier):
    listener = listen(s)
    capture = Capture(s, listener.getsockname()[1], notes=True, tier=tier, fields=["type", "topic"])
    ends = BothEnds(s, listener)
    value = '"type": "invoice.paid"}'
    cases = {  # what is said in a body, and the type
        "stripe": (STRIPE, "setup_intent.created"), "small": ('{"type":"a"}', "a"),
        "spaces": (' \r\n\t{ "type"\t:\r\n  "invoice.paid" ,"a":1}', "invoice.paid"),
        "other-field": ('{"topic":"orders/create","type":"late"}', "orders/create"),
        "longest": ('{"type":"%s"}' % ("x" * 31), "x" * 31),
        "too-long": ('{"type":"%s"}' % ("x" * 32), "-"), "far-too-long": ('{"type":"%s"}' % ("x" * 999), "-"),
        "in-key": ('{"a\\"":0,"my\\",\\"type":"no","b":{"type":"no"}}', "-"),
        "in-value": ('{"a":"\\",\\"type\\":\\"no\\"","type":"yes"}', "yes"),
        "slashes": ('{"a":"\\\\","type":"yes"}', "yes"), "slashes-3": ('{"a":"\\\\\\",","type":"yes"}', "yes"),
        "escaped": ('{"type":"invoice\\u002epaid"}', "-"), "quote": ('{"type":"in\\"voice"}', "-"),
        "text": ('{"type":"a secret text"}', "-"), "bytes": ('{"type":"\xc3\xa4"}', "-"),
        "empty": ('{"type":""}', "-"), "number": ('{"type":5}', "-"), "null": ('{"type":null}', "-"),
        "object": ('{"type":{"type":"no"},"topic":"yes"}', "yes"), "list": ('{"type":["no"]}', "-"),
        "nul": ('{"type":"a\0b"}', "-"), "value-only": ('{"a":"type","b":"no"}', "-"),
        "nested": ('{"a":{"type":"no"}}', "-"), "in-list": ('[{"type":"no"}]', "-"),
        "behind": ('{"a":1} {"type":"no"}', "-"), "longer": ('{"type_":"no","typ":"no","mytype":"no"}', "-"),
        "capital": ('{"Type":"no"}', "-"), "no-json": ("type=no&a={}", "-"), "cut": ('{"type":"no', "-"),
        "cut-key": ('{"typ', "-"), "nothing": ("", "-"), "brace": ("{", "-"),
        "last": (padded(LIMIT - len(value), value), "invoice.paid"),
        "beyond": (padded(LIMIT - len(value) + 2, value), "-"),
        "deep": ('{"a":%s,"type":"yes"}' % ("[" * 300 + "]" * 300), "yes")}
    for name, (body, _) in cases.items():
        ends.exchange(hook(f"/{name}", body))
    expected = {f"/{name}": event for name, (_, event) in cases.items()}
    for name, kind, event in (("charset", JSON + "; charset=utf-8", "yes"), ("none", None, "-"),
                              ("cloud", "CONTENT-TYPE:Application/CloudEvents+JSON", "yes"),
                              ("form", "Content-Type: application/x-www-form-urlencoded", "-"),
                              ("plus", "Content-Type: application/x+xml; a=b+json", "-")):
        ends.exchange(hook(f"/{name}", '{"type":"yes"}', kind=kind))
        expected[f"/{name}"] = event
    ends.exchange(hook("/put", STRIPE).replace(b"POST", b"PUT", 1))
    expected["/put"] = "-"
    ends.exchange(hook("/github", STRIPE, "X-GitHub-Event: push"))
    ends.exchange(hook("/signed", STRIPE, "Stripe-Signature: t=1,v1=ab"))
    ends.exchange(hook("/only-signed", '{"type":5}', "Stripe-Signature: t=1,v1=ab"))
    expected.update({"/github": "push", "/signed": "setup_intent.created", "/only-signed": "stripe"})
    ends.exchange(post("/chunked", "Host: a", JSON, "Transfer-Encoding: chunked",
                       body=b"F0\r\n" + STRIPE.encode() + b"\r\n0\r\n\r\n"))
    expected["/chunked"] = "setup_intent.created"
    for at in range(900):  # one byte after the other is the first of another window
        ends.exchange(hook(f"/{at}", padded(at + 20, value)))
        expected[f"/{at}"] = "invoice.paid"
    events(s, capture, expected)
    capture.stop()


@test_tiers()
def body_may_come_with_the_next_call_and_in_stretches(s, tier):
    listener = listen(s)
    capture = Capture(s, listener.getsockname()[1], notes=True, tier=tier, fields=["type"])
    ends = BothEnds(s, listener)
    expected = {}
    # What is within the first call that brings some of the body counts, and no later one.
    whole = hook("/", STRIPE)
    head = whole.index(b"\r\n\r\n") + 4
    for cut in (head - 2, head, head + 1, len(whole) - 3, len(whole) - 1):
        request = whole.replace(b"/ ", b"/%d " % cut)
        cut += len(str(cut))
        ends.exchange(request[:cut], request[cut:])
    expected.update({f"/{head - 2}": "-", f"/{head}": "setup_intent.created", f"/{head + 1}": "-",
                     f"/{len(whole) - 3}": "-", f"/{len(whole) - 1}": "setup_intent.created"})
    ends.exchange(hook("/path", STRIPE)[:8], hook("/path", STRIPE)[8:])
    ends.exchange(*(part for part in hook("/three", STRIPE).partition(b"\r\n\r\n{") if part))
    head, _, body = hook("/two", STRIPE).partition(b"\r\n\r\n")
    ends.exchange(head + b"\r\n\r\n", body)
    ends.exchange(hook("/after", "{}", kind=None))
    expected.update({"/path": "setup_intent.created", "/three": "-", "/two": "setup_intent.created",
                     "/after": "-"})
    for name, sizes in (("two", [1, 9999]), ("bits", [1, 1, 1, 9999]), ("middle", [200, 30, 9999])):
        request = hook(f"/vector-{name}", STRIPE)
        at = request.index(b"\r\n\r\n") + 4
        pieces = [request[:at]]
        for size in sizes:
            pieces.append(request[at:at + size])
            at += size
        for end, call in ((ends.client, "sendmsg"), (ends.server, "recvmsg_into")):
            if call == "sendmsg":
                end.sendmsg(pieces)
            else:
                got, *_ = end.recvmsg_into([bytearray(len(piece)) for piece in pieces], 0,
                                           socket.MSG_WAITALL)
                equal(got, len(request), "bytes of a vector")
        ends.server.sendall(ANSWER)
        equal(ends.client.recv(1000), ANSWER, "answer")
        expected[f"/vector-{name}"] = "setup_intent.created"
    events(s, capture, expected)
    capture.stop()


@test_tiers()
def what_a_server_says_before_the_body_is_not_looked_through(s, tier):
    """"100 Continue" leaves the body to come; what is no HTTP, in the form of a body, is none of it."""
    listener = listen(s)
    capture = Capture(s, listener.getsockname()[1], notes=True, tier=tier, fields=["type"])
    ends, expected = BothEnds(s, listener), {}
    strange = b" " * 500 + b'{"type":"of.the.answer"}'  # longer than the head before it
    interim = b"HTTP/1.1 100 Continue\r\nPad: " + b"p" * 500 + b"\r\n\r\n"
    for path, early, event in (("/continue", interim, "setup_intent.created"),
                               ("/strange", strange, "setup_intent.created"), ("/none", strange, "-")):
        request = hook(path, STRIPE if event != "-" else "[]", "Expect: 100-continue")
        body = request.index(b"\r\n\r\n") + 4
        ends.client.sendall(request[:body])
        equal(len(ends.server.recv(body)), body, "bytes of the head")
        ends.server.sendall(early)
        equal(ends.client.recv(1000), early, "what comes before the body")
        ends.exchange(request[body:])
        expected[path] = event
    events(s, capture, expected)
    capture.stop()


@test_tiers()
def hostile_bodies_give_nothing_that_is_not_theirs(s, tier):
    """Pieces of bodies in a random order, from a seed that is always the same."""
    listener = listen(s)
    capture = Capture(s, listener.getsockname()[1], notes=True, tier=tier, fields=["type"])
    ends = BothEnds(s, listener)
    pieces = [b"{", b"}", b"[", b"]", b'"', b":", b",", b"\\", b"\0", b" " * 9, b'"type" :', b'"ok.word"',
              b',"type":"right"', b"a" * 61, b'"SECRET TEXT"', b"\xff" * 7, b"1"]
    count = 400
    for n in range(count):
        digits = b"".join(hashlib.sha256(b"%d %d" % (n, i)).digest() for i in range(2))
        text = b"".join(pieces[d % len(pieces)] for d in digits[:1 + n % 60])
        ends.exchange(hook(f"/{n}", ("{" + text.decode("latin-1")) if n % 3 else text.decode("latin-1")))
    pairs = seen(s, capture, count)
    found = {end.event for both in pairs.values() for end in both}
    equal(found, {"-", "right", "ok.word", "type"}, "types that were found")
    check(all(a.event == b.event for a, b in pairs.values()), "ends differ")
    capture.stop()


@test_tiers("node")
def real_senders_and_servers_are_understood(s, tier):
    node = s.node("""require('http').createServer((request, response) => {
        request.resume(); request.on('end', () => response.end('ok'));
    }).listen(process.env.PORT, '127.0.0.1');""")
    port = s.port()
    python = s.start("/usr/bin/python3", "-c", """
import http.server, sys
class Receiver(http.server.BaseHTTPRequestHandler):
    protocol_version = 'HTTP/1.1'
    def do_POST(self):
        self.rfile.read(int(self.headers['Content-Length']))
        self.send_response(200)
        self.send_header('Content-Length', '0')
        self.end_headers()
http.server.ThreadingHTTPServer(('127.0.0.1', int(sys.argv[1])), Receiver).serve_forever()""", port)
    s.listening(port, python)
    for server_port in (node.port, port):
        capture = Capture(s, server_port, notes=True, tier=tier, fields=["type"])
        url = f"http://127.0.0.1:{server_port}"
        s.run("curl", "-s", f"-H{JSON}", "-d", STRIPE, url + "/curl")
        s.run("python3", "-c", "import sys, urllib.request as u\n"
              "u.urlopen(u.Request(sys.argv[1], sys.argv[2].encode(), {'Content-Type': "
              "'application/json'}))", url + "/python", STRIPE)
        s.run("node", "-e", """const [url, body] = process.argv.slice(1);
            const headers = {'Content-Type': 'application/json', 'Content-Length': body.length};
            require('http').request(url, {method: 'POST', headers}, (a) => a.resume()).end(body);""",
              url + "/node", STRIPE)
        s.run("node", "-e", """const [url, body] = process.argv.slice(1);
            const headers = {'Content-Type': 'application/json', 'Content-Length': body.length};
            require('http').request(url, {method: 'POST', headers}, (a) => a.resume())
                .end(Buffer.from(body));""", url + "/buffer", STRIPE)
        events(s, capture, {path: "setup_intent.created"
                            for path in ("/curl", "/python", "/node", "/buffer")})
        capture.stop()


@test
@needs("bpf")
def no_field_asked_for_means_no_body_looked_at(s):
    listener = listen(s)
    capture = Capture(s, listener.getsockname()[1], notes=True)
    ends = BothEnds(s, listener)
    ends.exchange(hook("/none", STRIPE))
    ends.exchange(hook("/signed", STRIPE, "Stripe-Signature: t=1,v1=ab"))
    events(s, capture, {"/none": "-", "/signed": "stripe"})
    capture.stop()


main("capture_body")
