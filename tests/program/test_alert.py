#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A promise is broken: the person on call hears of it, and of its mend."""
import http.server
import threading

from story import *

POLICY = """
capture: {{http: false, host: false}}
objectives:
  - name: pay-is-fast
    match: {{service: shop, kind: app, route: /pay}}
    threshold: 150ms
    target: 95%
    period: 30d
    alert: {{burn_rate: 4, long: 10s, short: 2s, clear_after: 2s, severity: page}}
scaling:
  - name: shop
    match: {{service: shop}}
    signal: rate
    target: 100
    minimum: 2
    maximum: 20
receivers:
  - name: on-call
    url: http://127.0.0.1:{port}/hook
    secret: a-secret-of-this-test
"""


def receiver(s):
    """A local receiver of webhooks: the list of (time, parsed body, headers) that came."""
    came = []

    class Hook(http.server.BaseHTTPRequestHandler):
        def do_POST(self):
            body = self.rfile.read(int(self.headers["Content-Length"]))
            came.append((time.monotonic(), json.loads(body), dict(self.headers)))
            self.send_response(204)
            self.end_headers()

        def log_message(self, *_):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Hook)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    s.defer(server.shutdown)
    return server.server_address[1], came


def alerts(came, kind):
    return [entry for entry in came if entry[1]["type"] == kind]


@test
@needs("vowd", "vow", "vow-export")
def a_breach_is_told_within_three_seconds_and_resolved_after_recovery(s):
    port, came = receiver(s)
    s.write("run/vow.yaml", POLICY.format(port=port))
    run = s.dir("run")
    s.start(s.program("vowd"), "--dir", run)
    s.until(lambda: s.vow("status", dir=run), 10, "answer of vowd")
    s.start(s.program("vow-export"), "--dir", run, "--hub", f"127.0.0.1:{s.port()}")
    app = s.start(s.program("tests/observe"), "shop", "/pay", "2", "40000", "400", "20000000",
                  "400000000", env={"VOW_DIR": run})
    s.until(lambda: s.vow("slo", dir=run)[0]["good"] > 1500, 10, "good events")
    equal(alerts(came, "alert.firing"), [], "alerts while all is well")

    app.signal(10)  # SIGUSR1: every request now takes 400 to 800 ms
    slowed = time.monotonic()
    fired = s.until(lambda: alerts(came, "alert.firing"), 6, "alert at the receiver")[0]
    at_most(fired[0] - slowed, 3.0, "seconds from breach to alert")
    alert = fired[1]["data"]
    equal(alert["objective"], "pay-is-fast", "objective")
    check("150" in alert["reason"], f"the reason names the threshold: {alert['reason']!r}")
    equal(alert["evidence"][0]["route"], "/pay", "route that carries the breach")
    at_least(alert["confidence"], 0.95, "confidence")
    standing = s.vow("slo", dir=run)[0]
    equal(standing["alert"], "firing", "state of the objective")

    app.signal(12)  # SIGUSR2: fast again
    resolved = s.until(lambda: alerts(came, "alert.resolved"), 25, "resolution")[0]
    equal(resolved[1]["data"]["fingerprint"], alert["fingerprint"], "fingerprint")
    equal(len(alerts(came, "alert.firing")), 1, "alerts in all")


@test
@needs("vowd", "vow", "vow-export")
def a_scaling_decision_says_why(s):
    port, came = receiver(s)
    s.write("run/vow.yaml", POLICY.format(port=port))
    run = s.dir("run")
    s.start(s.program("vowd"), "--dir", run)
    s.until(lambda: s.vow("status", dir=run), 10, "answer of vowd")
    s.start(s.program("vow-export"), "--dir", run, "--hub", f"127.0.0.1:{s.port()}")
    s.start(s.program("tests/observe"), "shop", "/pay", "2", "40000", "400", "20000000",
            "400000000", env={"VOW_DIR": run})
    decision = s.until(lambda: [d for d in s.vow("scale", dir=run)["decisions"] if d["to"] > 2],
                       20, "decision to grow")[0]
    equal(decision["scaler"], "shop", "policy")
    at_most(decision["to"], 20, "replicas")
    check("100" in decision["reason"], f"the reason names the target: {decision['reason']!r}")
    told = s.until(lambda: alerts(came, "scale.decided"), 5, "decision at the receiver")[0]
    equal(told[1]["data"]["scaler"], "shop", "policy told")


main("alert")
