#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What peers are called: by what connections say, as long as that can be believed."""
import collections

from capture import *

LISTENERS = """
server {{
    listen 127.0.0.1:{port}; listen 127.0.0.2:{port}; listen 127.0.0.3:{port};
    location / {{ return 200 ok; }}
}}
server {{
    listen 127.0.0.1:{tls} ssl;
    ssl_certificate {base}/tls.crt; ssl_certificate_key {base}/tls.key;
    location / {{ return 200 ok; }}
}}"""


class Peers:
    """nginx that passes requests on to itself with whatever Host they have, from .port to .behind on
    127.0.0.1; .behind is served on two more addresses, .tls within TLS."""

    def __init__(self, s):
        self.s, self.behind, self.tls = s, s.port(), s.port()
        s.run("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256",
              "-nodes", "-days", "2", "-subj", "/CN=localhost", "-keyout", s.path("tls.key"),
              "-out", s.path("tls.crt"))
        server = s.nginx(
            f"location / {{ proxy_pass http://127.0.0.1:{self.behind}; proxy_set_header Host $http_host; }}",
            http=LISTENERS.format(port=self.behind, tls=self.tls, base=s.root))
        self.port = server.port

    def curl(self, name, address="127.0.0.1", port=None, scheme="http", more=()):
        """A request to `name`, which is at that address."""
        port = port or self.behind
        self.s.run("curl", "-sk", *more, "--resolve", f"{name}:{port}:{address}",
                   f"{scheme}://{name}:{port}/")

    def expect(self, command, requests, kind="http"):
        """Waits until the clients that are this command have so many {peer: requests}; others on this
        host may have peers at other ports."""
        ports = {str(self.port), str(self.behind), str(self.tls), "known"}

        def rows():
            found = collections.Counter()
            for row in self.s.vow("routes", "--total", dir=self.s.dir("run")):
                if ((row["service"], row["role"], row["kind"]) == (command, "client", kind) and
                        row["peer"].split(":")[-1] in ports):
                    found[row["peer"]] += row["count"]
            return dict(found)
        self.s.until(lambda: sum(rows().values()) >= sum(requests.values()), 10, "all requests")
        equal(rows(), requests, f"peers of {command}")


@test_tiers("nginx", "curl", "openssl", "vowd", "vow")
def peers_are_called_by_what_connections_say(s, tier):
    peers = Peers(s)
    at = f":{peers.behind}"
    Agent(s, "tested", peers.port, tier=tier, more="peers:\n  - name: known\n"
          "    addresses: [127.0.0.3]\n")
    peers.curl("shop.test")
    peers.curl("shop.test", "127.0.0.2")  # another address of the same peer
    peers.curl("other.test", "127.0.0.2")
    peers.curl("shop.test", "127.0.0.3")  # has its name in the configuration
    # What a client believes to be elsewhere.
    s.run("curl", "-s", "--connect-to", f"far.test:80:127.0.0.1:{peers.behind}", "http://far.test/")
    peers.expect("curl", {"shop.test" + at: 2, "other.test" + at: 1, "known": 1, "far.test" + at: 1})
    peers.curl("tls.test", port=peers.tls, scheme="https", more=["-H", "Host: hidden.test"])
    peers.expect("curl", {f"tls.test:{peers.tls}": 1}, "tls")


@test
@needs("bpf", "nginx", "openssl", "vowd", "vow")
def names_that_others_choose_are_not_believed_for_long(s):
    peers = Peers(s)
    Agent(s, "tested", peers.port)
    at, address = f":{peers.behind}", f"127.0.0.1:{peers.behind}"
    proxied = Raw(peers.port)

    def through_the_proxy(*hosts):
        for host in hosts:
            proxied.send(get("/", host))
            proxied.response()
    through_the_proxy("one.test", "two.test", "three.test", "one.test", "four.test")
    expected = {"one.test" + at: 2, "two.test" + at: 1, "three.test" + at: 1, "four.test" + at: 1}
    peers.expect("nginx", expected)
    through_the_proxy("five.test", "one.test")
    peers.expect("nginx", {**expected, address: 2})
    # Others still believe what they say; text that is no name is none.
    direct = []
    for host in ("evil<script>", "Shop.test", "10.0.0.1", "a..b", f"a:{peers.behind}0", "x" * 60):
        direct.append(Raw(peers.behind, address=("127.0.0.2", peers.behind)))
        direct[-1].send(get("/", host))
        direct[-1].response()
    peers.expect("python3", {f"127.0.0.2:{peers.behind}": len(direct), f"one.test:{peers.port}": 7})
    for raw in [proxied, *direct]:
        raw.close()


main("capture_peers")
