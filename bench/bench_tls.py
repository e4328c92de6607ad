#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What following requests within TLS takes from an nginx that wrk saturates on the same host: by turns
of records, and read in the clear by probes in its library, each against nobody who watches, in turns.
bench_tls.py [--turns N]

The figure is nginx's own processor time for a request: of the other end, which is captured by turns as
well, nothing is in it.
"""
import argparse
import statistics

from web_load import *
from capture_tls import nginx  # noqa: E402

PROBED = "capture: {tls: [nginx]}\n"


class Prober(Agent):
    """vowd that reads what nginx has in the clear; begun once its probes are there."""

    def __init__(self, story):
        super().__init__(story, name="probing")
        story.write("probing/vow.yaml", PROBED)

    def start(self):
        super().start()
        self.story.until(self.probes, 20, "probes")

    def probes(self):
        return any(gauge["name"] == "tls_traced_processes" and gauge["value"]
                   for gauge in self.story.vow("status", dir=self.run)["gauges"])


def bench(story, turns):
    server = nginx(story, "location / { return 200 hello; }")
    url = f"https://127.0.0.1:{server.port}/"
    load(story, server, url)
    watchers = {"alone": Nobody(), "turns": Agent(story), "probes": Prober(story)}
    rows = in_turns(story, server, url, watchers, turns)
    for name, what, aim in (("turns", "by turns", 700), ("probes", "by probes", 5000)):
        more = statistics.median(each[name][1] - each["alone"][1] for each in rows)
        row(f"nginx within TLS, {what}, a request", more, "ns", "aim", aim, more / aim, 1.0)
        print(f"  {median(rows, name, 0):.0f} requests/s, {median(rows, 'alone', 0):.0f} without; "
              f"nginx takes {median(rows, 'alone', 1):.0f} ns a request without")


options = argparse.ArgumentParser()
options.add_argument("--turns", type=int, default=8)
args = options.parse_args()
run("bench_tls", lacking("bpf") or lacking("openssl"), lambda story: bench(story, args.turns))
