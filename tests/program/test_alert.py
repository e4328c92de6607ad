#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The sample application breaks its promise: the person on call hears of it, and of its mend."""
import http.server
import signal
import threading

from story import *

POLICY = """
capture: {{http: false, host: false}}
objectives:
  - name: payments-are-fast
    match: {{service: webhook-worker, kind: app, route: payments}}
    threshold: 150ms
    target: 95%
    period: 30d
    alert: {{burn_rate: 3, long: 10s, short: 2s, clear_after: 2s, severity: page}}
scaling:
  - name: worker
    match: {{service: webhook-worker, kind: app}}
    signal: rate
    target: 20
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


class Platform:
    """The sample application with the receiver of its webhooks, an agent and an exporter that tells
    a person on call."""

    def __init__(self, s):
        s.undisturbed()
        self.s, self.run = s, s.dir("run")
        port, self.came = receiver(s)
        with open(f"{self.run}/vow.yaml", "w", encoding="ascii") as policy:
            policy.write(POLICY.format(port=port))
        s.start(s.program("vowd"), "--dir", self.run)
        s.until(lambda: s.vow("status", dir=self.run), 10, "answer of vowd")
        # No hub listens there: alerts do not wait for one.
        s.start(s.program("vow-export"), "--dir", self.run, "--hub", f"127.0.0.1:{s.port()}")
        customers = s.start(s.program("examples/webhook_receiver"))
        s.until(lambda: "listening on" in customers.log(), 5, "the receiver's address")
        address = customers.log().split("listening on ")[1].split()[0]
        self.worker = s.start(s.program("examples/webhook_worker"), "--url", f"http://{address}",
                              env={"VOW_DIR": self.run})
        s.until(lambda: self.objective()["good"] > 0, 10, "payments")

    def objective(self):
        return self.s.vow("slo", dir=self.run)[0]

    def alerts(self, kind):
        return [entry for entry in self.came if entry[1]["type"] == kind]


@test
@needs("vowd", "vow", "vow-export")
def a_breach_is_told_within_three_seconds_and_resolved_after_recovery(s):
    platform = Platform(s)
    # 100 payments a second: as many good ones as the long window takes, the slowest case.
    s.until(lambda: platform.objective()["good"] > 1000, 40, "ten seconds of good payments")
    equal(platform.alerts("alert.firing"), [], "alerts while all is well")

    slowed = time.monotonic()
    platform.worker.signal(signal.SIGUSR1)  # every payment now takes 400 ms longer
    fired = s.until(lambda: platform.alerts("alert.firing"), 10, "alert at the receiver")[0]
    at_most(fired[0] - slowed, 3.0, "seconds from breach to alert")
    alert = fired[1]["data"]
    equal(alert["objective"], "payments-are-fast", "objective")
    check("150" in alert["reason"], f"the reason names the threshold: {alert['reason']!r}")
    equal(alert["evidence"][0]["route"], "payments", "route that carries the breach")
    at_least(alert["confidence"], 0.95, "confidence")
    equal(platform.objective()["alert"], "firing", "state of the objective")

    platform.worker.signal(signal.SIGUSR2)  # fast again
    resolved = s.until(lambda: platform.alerts("alert.resolved"), 30, "resolution")[0]
    equal(resolved[1]["data"]["fingerprint"], alert["fingerprint"], "fingerprint")
    equal(len(platform.alerts("alert.firing")), 1, "alerts in all")


@test
@needs("vowd", "vow", "vow-export")
def a_scaling_decision_says_why(s):
    platform = Platform(s)
    decision = s.until(lambda: [d for d in s.vow("scale", dir=platform.run)["decisions"]
                                if d["to"] > 2], 20, "decision to grow")[0]
    equal(decision["scaler"], "worker", "policy")
    at_most(decision["to"], 20, "replicas")
    check("20" in decision["reason"], f"the reason names the target: {decision['reason']!r}")
    table = s.run(s.program("vow"), "--dir", platform.run, "scale").stdout
    check(decision["reason"] in table, f"the reason stands in vow scale: {table!r}")
    told = s.until(lambda: platform.alerts("scale.decided"), 5, "decision at the receiver")[0]
    equal(told[1]["data"]["scaler"], "worker", "policy told")
    equal(told[1]["data"]["reason"], decision["reason"], "reason told")


main("alert")
