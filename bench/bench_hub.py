#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""How many histograms a second the hub makes durable: journals that wait on disk are sent by real
exporters over gRPC, and the time is taken until the hub has committed (fsync) and merged them all.
Exporters and hub share the machine. bench_hub.py [HOSTS]

Prints the rate against the promise of 100,000/s as peer; the ratio is promise : ours.
"""
import os
import re
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))),
                                "tests", "program"))
from story import Story  # noqa: E402

PROMISE = 100_000
SERIES, EVENTS, RECORDS = 200, 40, 1500


def hub_count(s, url, name):
    text = s.http(f"{url}/metrics")[2].decode()
    return float(re.search(rf"^{name} (\S+)$", text, re.M).group(1))


def run(s, hosts):
    listen, http = s.port(), s.port()
    url = f"http://127.0.0.1:{http}"
    for host in range(hosts):
        feeder = s.start(s.program("tests/journal_feed"), s.dir(f"run{host}"), RECORDS, 0, SERIES,
                         EVENTS)
        feeder.wait(120)
    hub = s.start(s.program("vow-hub"), "--dir", s.dir("hub"), "--listen", f"127.0.0.1:{listen}",
                  "--http", f"127.0.0.1:{http}")
    s.listening(http, hub)
    for host in range(hosts):
        s.start(s.program("vow-export"), "--dir", s.dir(f"run{host}"), "--hub",
                f"127.0.0.1:{listen}")
    s.until(lambda: hub_count(s, url, "vow_hub_records_total") > 0, 20, "first record")
    began, first = time.monotonic(), hub_count(s, url, "vow_hub_histograms_total")
    s.until(lambda: hub_count(s, url, "vow_hub_records_total") >= hosts * RECORDS, 120,
            "last record")
    took = time.monotonic() - began
    rate = (hub_count(s, url, "vow_hub_histograms_total") - first) / took
    print(f"hub: histograms made durable\t{rate:.0f}\t1/s\tpromise\t{PROMISE}\t"
          f"{PROMISE / rate:.3f}\t1.000")
    print(f"# {hosts} hosts, {rate * took:.0f} histograms in {took:.2f} s, "
          f"{hub_count(s, url, 'vow_hub_commits_total'):.0f} commits, "
          f"hub {hub.cpu_seconds():.2f} s of CPU, {hub.rss_bytes() / 2**20:.1f} MiB, "
          f"store {hub_count(s, url, 'vow_hub_store_bytes') / 2**20:.1f} MiB")


def main():
    story = Story("bench_hub")
    try:
        run(story, int(sys.argv[1]) if len(sys.argv) > 1 else 3)
    finally:
        story.end()
        story.remove()


main()
