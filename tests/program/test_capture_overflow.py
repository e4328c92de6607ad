#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""While nobody takes records from their rings, requests are counted in the kernel: none is lost,
none counted twice, and their latencies are the server's."""
from capture_truth import *

LOG = "log_format plain '$status $uri';"
SMALL = "capture: {http_ring: 256KiB}\n"  # 1,024 records
OVERFLOW = "{overflow}"
BUCKETS = 0.022 + 0.0055  # of 32 an octave, when a quarter of them is in use, and of 128


def nginx(s):
    return s.nginx("location / { return 200 ok; }",
                   http=f"{LOG} access_log {s.path('plain.log')} plain buffer=64k flush=1s;")


def lines(s, server):
    """Requests in nginx's own log; nginx is ended for it."""
    server.stop()
    with open(s.path("plain.log"), encoding="ascii") as log:
        return sum(1 for _ in log)


def ask(port, path, count):
    raw = Raw(port)
    for _ in range(count):
        raw.send(get(path))
        raw.response()
    raw.close()


def ask_from(cpu, *args):
    """As ask(), from one processor, into whose ring records of the client's side go."""
    os.sched_setaffinity(0, {cpu})
    ask(*args)


def slot_bounds(slot):
    """(lower, upper] of a slot, a little wider than it is for the sake of floating point."""
    return (2 ** ((slot - 1) / 128) - 1 if slot else -1), 2 ** (slot / 128) + 1


@test_tiers("nginx", "vowd", "vow")
def agent_stopped_for_5_s_under_load_counts_all_and_adds_no_time(s, tier):
    server = nginx(s)
    agent = Agent(s, "shop", server.port, SMALL.replace("}", f", http_tier: {tier}}}"))
    load = Load(s, server.port, 8)
    load.turn_to(s, "/before", 500)
    agent.program.signal(19)
    stopped = time.monotonic()
    load.turn_to(s, "/meanwhile", 4000)
    time.sleep(max(0, stopped + 5 - time.monotonic()))
    agent.program.signal(18)
    load.turn_to(s, "/after", 2000)
    load.end()
    count, asked = agent.settled(), sum(map(len, load.took.values()))
    equal(lines(s, server), asked, "lines of nginx's log")
    equal(agent.collector()["drops_total"]["ring_full"], 0, "pairs lost")
    equal(count, asked, "requests counted")
    rows = {row["route"]: row for row in agent.routes()}
    at_least(rows[OVERFLOW]["count"], 1000, "requests counted without their paths")
    equal((rows[OVERFLOW]["method"], rows[OVERFLOW]["status_class"]), ("GET", "2xx"), "their row")
    at_least(rows["/after"]["count"], 1, "requests with their paths afterwards")
    at_most(rows["/after"]["max_ns"], max(load.took["/after"]), "slowest afterwards, against the clients' (ns)")
    for row in agent.rows():
        at_most(row["max_ns"], max(map(max, load.took.values())),
                f"slowest {row['route']}, against the clients' (ns)")

    def balanced():
        told, seen = agent.accounts()
        equal(told, seen, "reported and dropped, against seen")
        return True
    s.until(balanced, 10, "pairs all accounted for")
    equal(agent.program.stop(), 0, "exit status of vowd")


@test
@needs("bpf")
def latencies_without_a_record_are_as_stamped(s):
    """The n-th smallest latency lies between the n-th smallest lower and upper bounds of all."""
    port = s.port()
    program = s.start(s.program("tests/truth_server"), str(port), "loop", "recv")
    s.until(lambda: "ready\n" in program.log(), 30, "truth_server")
    capture = Capture(s, port, ring_bytes=65536)
    capture.program.signal(19)
    raw, paths = Raw(port), [f"/length/100/{n}" for n in range(3000)]
    for path in paths:
        raw.send(get(path))
        raw.response()
    raw.close()
    capture.program.signal(18)
    s.until(lambda: sum(t.count for t in capture.sums("server")) +
            len(capture.pairs("server")) >= len(paths), 30, "pairs of the server")
    counters = capture.stop()
    equal(counters["ring_full"], 0, "pairs lost")
    recorded = {p.path for p in capture.pairs("server")}
    sums = capture.sums("server")
    equal({(t.outcome, t.method, t.status, t.pid) for t in sums},
          {("complete", "GET", 200, program.process.pid)}, "what was counted")
    equal(len(recorded) + sum(t.count for t in sums), len(paths), "requests")
    rows = [line.split() for line in program.log().splitlines() if line.startswith("GET ")]
    took = [(end - start, read, write) for path, start, end, read, write in
            ((row[1], *map(int, (row[4], row[5], row[7], row[8]))) for row in rows)
            if path not in recorded]
    least = sorted(ns - write - 2 * CLOCK_NS for ns, _, write in took)
    most = sorted(ns + read + 2 * CLOCK_NS for ns, read, _ in took)
    slots = sorted(slot for t in sums for slot, n in t.slots.items() for _ in range(n))
    equal(len(slots), len(took), "latencies")
    for at, slot in enumerate(slots):
        lower, upper = slot_bounds(slot)
        check(lower <= most[at] and upper >= least[at],
              f"latency {at} of {len(slots)}: in ({lower:.0f}, {upper:.0f}] ns, by the server's "
              f"stamps {least[at]} to {most[at]}")
    near(sum(t.sum_ns for t in sums), (sum(least) + sum(most)) / 2, (sum(most) - sum(least)) / 2,
         "sum of all (ns)")


@test
@needs("bpf", "nginx", "vowd", "vow")
def objectives_count_what_has_no_path(s):
    server = nginx(s)
    agent = Agent(s, "shop", server.port, SMALL + """objectives:
  - {name: all-too-slow, match: {service: shop, role: server}, threshold: 1us, target: 50%}
  - {name: all-in-time, match: {service: shop, role: server}, threshold: 50s, target: 50%}
""")
    agent.program.signal(19)
    at_once(*[(ask, server.port, "/x", 1500)] * 2)
    agent.program.signal(18)
    equal(s.until(lambda: (lambda n: n if n >= 3000 else None)(agent.count()), 20, "requests"),
          3000, "requests")
    rows = {row["route"]: row["count"] for row in agent.routes()}
    at_least(rows[OVERFLOW], 1000, "requests without their paths")
    agent.settled()
    slo = {row["name"]: (row["good"], row["bad"]) for row in s.vow("slo", dir=agent.run)}
    equal(slo, {"all-too-slow": (0, 3000), "all-in-time": (3000, 0)}, "good and bad")


# A response in three pieces takes its two pauses of 2 ms, and what the machine adds.
THRESHOLDS_US = (*range(4050, 4400, 25), 4500, 5000, 6000)


def ask_in_turn(truth, paths):
    raw = truth.connect()
    for path in paths:
        raw.send(get(path))
        raw.response()
    raw.close()


@test
@needs("bpf", "vowd", "vow")
def thresholds_amid_latencies_are_judged_within_a_bucket(s):
    """Good and bad of requests that are counted without a record, against bounds of their true latencies,
    widened by a bucket of the kernel's and one of those that are kept."""
    truth = Truth(s, model="threads")
    agent = Agent(s, "shop", truth.port, SMALL + "objectives:\n" + "".join(
        f"  - {{name: in-{us}, match: {{service: shop, role: server}}, threshold: {us}us, target: 50%}}\n"
        for us in THRESHOLDS_US))
    paths = [f"/pieces/100/{n}" for n in range(3200)]
    agent.program.signal(19)
    at_once(*[(ask_in_turn, truth, paths[n::4]) for n in range(4)])
    agent.program.signal(18)
    equal(agent.settled(), len(paths), "requests")
    rows = {row["route"]: row for row in agent.routes()}
    at_least(rows[OVERFLOW]["count"], 2000, "requests without their paths")
    said = list(truth.responses().values())
    equal(len(said), len(paths), "responses of the server")
    least = sorted(end - start - write - 2 * CLOCK_NS for *_, start, end, _, _, write in said)
    most = sorted(end - start + read + 2 * CLOCK_NS for *_, start, end, _, read, _ in said)
    amid = 0
    for row in s.vow("slo", dir=agent.run):
        limit = int(row["name"][3:]) * 1000
        surely = sum(ns < limit * (1 - BUCKETS) for ns in most)
        perhaps = sum(ns <= limit * (1 + BUCKETS) for ns in least)
        equal(row["good"] + row["bad"], len(paths), f"requests judged by {row['name']}")
        check(surely <= row["good"] <= perhaps,
              f"{row['name']}: {row['good']} good, by the server's stamps {surely} to {perhaps}")
        amid += 100 <= row["good"] <= len(paths) - 100
    at_least(amid, 1, "thresholds with latencies on both sides")


@test
@needs("bpf", "nginx", "curl", "vowd", "vow")
def processes_that_are_gone_keep_their_command(s):
    server = nginx(s)
    agent = Agent(s, "shop", server.port, SMALL)
    agent.program.signal(19)
    at_once(*[(ask_from, cpu, server.port, "/fill", 1500) for cpu in os.sched_getaffinity(0)])
    for _ in range(5):
        s.run("curl", "-s", server.url("/gone"))
    agent.program.signal(18)

    # Without a record they have no name, and are taken for the others to that address.
    def rows():
        return [row for row in s.vow("routes", "--total", dir=agent.run)
                if row["peer"] == f"test:{server.port}" and row["service"] == "curl"]
    s.until(lambda: sum(row["count"] for row in rows()) >= 5, 20, "requests of curl")
    equal([(row["role"], row["route"], row["count"]) for row in rows()],
          [("client", OVERFLOW, 5)], "rows of curl")


main("capture_overflow")
