#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What nobody may see: secrets planted wherever requests carry them, looked for wherever their
bytes could have come to lie."""
import socket
import threading

from capture_tls import *

SEEN = "planted-in-the-path"  # what may be seen, and shows that the search finds what is there
SECRETS = {where: f"planted-{where}-do-not-tell" for where in (
    "query", "header", "cookie", "body", "answer-header", "answer-body", "user", "password",
    "fragment", "address-query", "delivery-id", "signature", "host", "event-text", "trace-state",
    "json-field", "json-inner", "json-beside", "json-text")}
EVENT = "planted.event"  # the type of an event in a body: may be seen, where it is asked for
HOSTILE = "Planted-host-of-a-client"  # a text that is no name
NAME = "planted-name.test"  # of a peer: may be seen, where names are wanted
TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"  # leaves; the id of the parent stays
PARENT_ID = "c0ffee5ec2e7ba5e"
# Since when is no matter of a window: reading all memory takes minutes under a sanitizer.
OF_TOTALS = ("routes", "deliveries")
VIEWS = ("status", "routes", "deliveries", "exemplars", "slo", "alerts", "scale", "hosts", "doctor",
         "trend")


class Wire:
    """Passes connections on to a port, and keeps every byte of both directions."""

    def __init__(self, s, to):
        self.to, self.bytes = to, bytearray()
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        s.defer(self.listener.close)
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            try:
                near_end, _ = self.listener.accept()
                far_end = socket.create_connection(("127.0.0.1", self.to))
            except OSError:
                return
            for a, b in ((near_end, far_end), (far_end, near_end)):
                threading.Thread(target=self.copy, args=(a, b), daemon=True).start()

    def copy(self, source, target):
        try:
            while data := source.recv(65536):
                self.bytes += data
                target.sendall(data)
        except OSError:
            pass
        for end in (source, target):
            try:
                end.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass


def files(folder):
    """{path: bytes} of all that lies below a folder."""
    found = {}
    for base, _, names in os.walk(folder):
        for path in (f"{base}/{name}" for name in names):
            if os.path.isfile(path):
                with open(path, "rb") as file:
                    found[path] = file.read()
    return found


def memory(pid):
    """All that a process can read of its own memory."""
    found = bytearray()
    with open(f"/proc/{pid}/maps", encoding="ascii") as maps, \
            open(f"/proc/{pid}/mem", "rb", 0) as mem:
        for line in maps:
            span, rights = line.split()[:2]
            # The segments of applications are their own memory, and large holes.
            if "r" not in rights or "vow-" in line or "[v" in line:
                continue
            low, high = (int(end, 16) for end in span.split("-"))
            if high - low > 1 << 30:  # what a sanitizer keeps beside the program's memory
                continue
            for at in range(low, high, 1 << 20):
                try:
                    mem.seek(at)
                    found += mem.read(min(1 << 20, high - at))
                except (OSError, ValueError, OverflowError):
                    break
    return bytes(found)


def ask_with_secrets(raw, times, flags=0):
    """Requests with secrets in all their places; the first line is sent with these flags apart."""
    body = f"card={SECRETS['body']}"
    for _ in range(times):
        line = f"POST /{SEEN}?token={SECRETS['query']} HTTP/1.1\r\n"
        if flags:
            raw.socket.sendall(line.encode(), flags)
        raw.send(f"{'' if flags else line}Host: {SECRETS['host']}\r\n"
                 f"Authorization: Bearer {SECRETS['header']}\r\n"
                 f"Cookie: session={SECRETS['cookie']}\r\n"
                 f"X-Forwarded-Host: {SECRETS['host']}\r\n"
                 f"webhook-id: {SECRETS['delivery-id']}\r\n"
                 f"Stripe-Signature: v1={SECRETS['signature']}\r\n"
                 f"X-GitHub-Event: {SECRETS['event-text']}-of-more-than-its-room\r\n"
                 f"traceparent: 00-{TRACE}-{PARENT_ID}-01\r\n"
                 f"tracestate: a={SECRETS['trace-state']}\r\n"
                 f"Content-Length: {len(body)}\r\n\r\n{body}")
        raw.response()


def tell_events(raw, times):
    """Requests with secrets in JSON bodies, which are looked through for the type of an event."""
    for n in range(times):
        value = f'"{EVENT}"' if n % 2 else f'"{SECRETS["json-text"]} of an event"'
        body = (f'{{"card": "{SECRETS["json-field"]}", "data": {{"type": "{SECRETS["json-inner"]}"}}, '
                f'"type": {value}, "after": "{SECRETS["json-beside"]}"}}')
        head = (f"POST /{SEEN} HTTP/1.1\r\nHost: {SECRETS['host']}\r\nContent-Type: application/json\r\n"
                f"Content-Length: {len(body)}\r\n\r\n")
        raw.send(head + ("" if n % 3 == 0 else body))
        if n % 3 == 0:
            raw.send(body)
        raw.response()


def plant(s, agent, server, within):
    """Requests in plain text, and within TLS in the clear; and a receiver's address full of secrets.
    What a client calls its peer may leave, so that our own end has each Host in no piece with what is
    before it, or within TLS, where we are not probed; the server reads it all at once."""
    for host in (NAME, HOSTILE):
        raw = Raw(server.port)
        raw.send(get(f"/{SEEN}", host))
        raw.response()
        raw.close()
    raw, tls = Raw(server.port), Raw(within.port)
    tls.socket = context("1.3").wrap_socket(tls.socket)
    ask_with_secrets(raw, 200, socket.MSG_MORE)
    ask_with_secrets(tls, 2)
    s.until(lambda: agent.traced() == {"within": 1}, 30, "probes in the server within TLS")
    ask_with_secrets(tls, 200)
    tell_events(raw, 200)
    tell_events(tls, 200)
    raw.close()
    tls.close()
    sender = s.start(s.program("tests/deliver"), "sender", "invoice.paid",
                     f"https://{SECRETS['user']}:{SECRETS['password']}@receiver.example/{SEEN}"
                     f"?key={SECRETS['address-query']}#{SECRETS['fragment']}",
                     env={"VOW_DIR": s.dir("run")})
    s.until(lambda: "delivered" in sender.log(), 10, "delivery")


@test
@needs("bpf", "nginx", "vowd", "vow-export", "vow-hub", "vow")
def no_planted_secret_is_found_anywhere(s):
    location = f"""location / {{
        add_header X-Session {SECRETS['answer-header']};
        return 200 "balance={SECRETS['answer-body']}"; }}"""
    server, within = s.nginx(location), nginx(s, location, name="within")
    agent = Tracer(s, "tested", server.port, ["within"],
                   f"  - name: within\n    match: {{port: {within.port}}}\n",
                   capture="event_types: [X-GitHub-Event, Stripe-Signature, json:type], ")
    rpc, http = s.port(), s.port()
    hub = s.start(s.program("vow-hub"), "--dir", s.dir("hub"), "--listen", f"127.0.0.1:{rpc}",
                  "--http", f"127.0.0.1:{http}", "--verbose")
    s.listening(http, hub)
    wire = Wire(s, rpc)
    exporter = s.start(s.program("vow-export"), "--dir", s.dir("run"), "--hub",
                       f"127.0.0.1:{wire.port}", "--verbose")
    plant(s, agent, server, within)
    at_hub = f"127.0.0.1:{http}"
    s.until(lambda: sum(r["count"] for r in s.vow("routes", "--total", hub=at_hub)
                        if r["service"] == "tested") > 0, 30, "requests at the hub")
    s.until(lambda: [r for r in s.vow("routes", "--total", hub=at_hub)
                     if (r["service"], r["route"]) == ("within", f"/{SEEN}")], 30,
            "requests within TLS at the hub, with their path")
    s.until(lambda: [r for r in s.vow("deliveries", "--total", hub=at_hub)
                     if r["endpoint"] == f"https://receiver.example/{SEEN}"], 30,
            "delivery at the hub, by the address without its secrets")
    places = {f"memory of {p.name}": memory(p.pid) for p in (agent.program, exporter, hub)}
    places["the wire to the hub"] = bytes(wire.bytes)
    for view in VIEWS:
        window = "?window=total" if view in OF_TOTALS else ""
        places[f"/api/v1/{view}"] = s.http(f"http://127.0.0.1:{http}/api/v1/{view}{window}")[2]
    places["/metrics"] = s.http(f"http://127.0.0.1:{http}/metrics")[2]
    for view in VIEWS[:-1]:
        window = ["--total"] if view in OF_TOTALS else []
        places[f"vow {view}"] = json.dumps(s.vow(view, *window, dir=s.dir("run"))).encode()
    for program in (agent.program, exporter, hub):
        equal(program.stop(), 0, f"exit status of {program.name}")
        places[f"log of {program.name}"] = program.log().encode()
    places.update(files(s.dir("run")))
    places.update(files(s.dir("hub")))
    places = {place: data.encode() if isinstance(data, str) else data
              for place, data in places.items()}
    told = {place for place, data in places.items() if SEEN.encode() in data}
    print(f"# the path is seen in {len(told)} of {len(places)} places")
    for place in ("memory of vowd", "memory of vow-hub", "the wire to the hub", "/api/v1/routes",
                  "/metrics", "vow routes"):
        check(place in told, f"the search does not find what is in {place}: {sorted(told)}")
    for folder in ("run", "hub"):
        check(any(place.startswith(s.dir(folder)) for place in told),
              f"the search does not find what is in the files of {folder}")
    check(TRACE.encode() in places["vow exemplars"], "trace ids are not looked for")
    check(EVENT.encode() in places["vow routes"], "types of events in bodies are not looked for")
    check(any(NAME.encode() in data for data in places.values()), "names of peers are not looked for")
    for where, secret in [*SECRETS.items(), ("client's host", HOSTILE), ("parent of a trace", PARENT_ID),
                          ("parent of a trace, as bytes", bytes.fromhex(PARENT_ID))]:
        secret = secret if isinstance(secret, bytes) else secret.encode()
        found = [place for place, data in places.items() if secret in data]
        equal(found, [], f"places that tell the secret of the {where}")


@test
@needs("bpf", "nginx", "curl", "vowd", "vow")
def names_of_peers_that_are_not_wanted_stay(s):
    server = s.nginx("location / { return 200 ok; }")
    agent = Agent(s, "tested", server.port, more="capture: {peer_names: false}\n")
    s.run("curl", "-s", "--connect-to", f"{NAME}:80:127.0.0.1:{server.port}", f"http://{NAME}/{SEEN}")
    s.until(lambda: [row for row in s.vow("routes", "--total", dir=agent.run)
                     if (row["service"], row["peer"]) == ("curl", f"127.0.0.1:{server.port}")], 10,
            "a peer by its address")
    found = memory(agent.program.pid)
    check(SEEN.encode() in found, "the search does not find what is in the memory of vowd")
    check(NAME.encode() not in found, "vowd was told the name of a peer")


main("privacy")
