#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""When capturing takes more than its budget, less is captured, step by step; each pair is accounted
for in all of them, and it comes back."""
from capture import *

STEPS = {"all": 0, "no_paths": 1, "busy": 2, "counts": 3, "off": 4}
TINY, AMPLE, NONE = "0.002%", "100%", "0%"
OVERFLOW = "{overflow}"
BUSY_PER_S = 200  # of nginx and wrk as well, on the slowest machine; the tests themselves ask less


class Thrifty(Agent):
    """vowd with a budget that a test changes."""

    def __init__(self, s, budget):
        self.server = s.nginx("location / { return 200 ok; } location /fail { return 503; }")
        super().__init__(s, "shop", self.server.port, self.text(budget))

    @staticmethod
    def text(budget):
        return f"capture: {{http_budget: {budget}, http_busy: {BUSY_PER_S}}}\n"

    def gauge(self, name):
        rows = self.story.vow("status", dir=self.run)["gauges"]
        return next((row["value"] for row in rows if row["name"] == name), None)

    def budget(self, budget):
        """Another budget, once it is in force."""
        with open(f"{self.run}/vow.yaml", encoding="ascii") as file:
            text = file.read()
        self.story.write("run/vow.yaml", text[:text.index("capture:")] + self.text(budget))
        self.program.signal(1)
        self.story.until(lambda: self.gauge("http_budget_ratio") == float(budget[:-1]) / 100, 10,
                         f"a budget of {budget}")

    def load_until(self, step):
        """Load until at least this step is reached."""
        load = self.story.start(command_path("wrk"), "-c", 8, "-t", 1, "-d", "200s",
                                self.server.url("/load"))
        self.story.until(lambda: (self.gauge("http_step") or 0) >= step, 40, f"step {step}")
        load.stop()

    def stay_at(self, step):
        """Goes to a step that then lasts: an ample budget is obeyed half a minute later."""
        for _ in range(5):
            self.budget(TINY)
            self.load_until(step)
            self.budget(AMPLE)
            if self.gauge("http_step") == step:
                return
            # A slow machine went past it meanwhile.
            self.budget(NONE)
            self.story.until(lambda: self.gauge("http_step") == 0, 20, "all of it")
        skip(f"the machine is too slow to stay at step {step}")

    def counted(self, *asked):
        """Counts that come of (path, how often), by method, route and class."""
        def counts():
            self.settled()
            return {(row["method"], row["route"], row["status_class"]): row["count"]
                    for row in self.routes()}
        before = counts()
        for path, count in asked:
            raw = Raw(self.server.port)
            for _ in range(count):
                raw.send(get(path))
                raw.response()
            raw.close()
        grown = {key: count - before.get(key, 0) for key, count in counts().items()}
        return {key: count for key, count in grown.items() if count}

    def balanced(self):
        def equal_accounts():
            told, seen = self.accounts()
            equal(told, seen, "reported and dropped, against seen")
            return seen
        return self.story.until(equal_accounts, 10, "pairs all accounted for")


def ask(port, path, count):
    """So many requests on one connection, at half of what makes a service busy at most."""
    raw = Raw(port)
    for _ in range(count):
        raw.send(get(path))
        raw.response()
        time.sleep(2 / BUSY_PER_S)
    raw.close()


def told(agent, service):
    """{route: count} of a service, as a server."""
    counts = {}
    for row in agent.story.vow("routes", "--total", dir=agent.run):
        if (row["service"], row["role"], row["kind"]) == (service, "server", "http"):
            counts[row["route"]] = counts.get(row["route"], 0) + row["count"]
    return counts


@test
@needs("bpf", "nginx", "wrk", "vowd", "vow")
def paths_go_first(s):
    agent = Thrifty(s, NONE)
    agent.stay_at(STEPS["no_paths"])
    equal(agent.counted(("/x", 300), ("/fail", 20)),
          {("GET", "{other}", "2xx"): 300, ("GET", "{other}", "5xx"): 20}, "counts without paths")
    check("paths are left out" in agent.collector()["problem"], "no word of it in status")
    check('from "all" to "no_paths": it took' in agent.program.log(), "no word of it in the log")
    agent.balanced()
    agent.budget(NONE)
    s.until(lambda: agent.gauge("http_step") == 0, 20, "all of it")
    equal(agent.counted(("/x", 10)), {("GET", "/x", "2xx"): 10}, "counts with paths")
    equal(agent.program.stop(), 0, "exit status of vowd")


@test
@needs("bpf", "nginx", "wrk", "vowd", "vow")
def records_of_busy_services_go_next(s):
    agent = Thrifty(s, NONE)
    agent.stay_at(STEPS["busy"])
    quiet = s.nginx("location / { return 200 ok; } location /fail { return 503; }", name="quiet")
    with open(f"{agent.run}/vow.yaml", encoding="ascii") as file:
        text = file.read()
    s.write("run/vow.yaml", text.replace(
        "services:\n", f"services:\n  - name: quiet\n    match: {{port: {quiet.port}}}\n"))
    agent.program.signal(1)
    # Any request is of the quiet one by name once that is obeyed.
    ask(quiet.port, "/first", 1)
    s.until(lambda: "/first" in told(agent, "quiet"), 20, "a service of its own")
    load = s.start(command_path("wrk"), "-c", 8, "-t", 1, "-d", "200s", agent.server.url("/load"))
    def is_busy():
        """Not before that is known do its records leave the ring to those of others."""
        before = told(agent, "shop")
        agent.settled()
        after = told(agent, "shop")
        return (after.get("/load") == before.get("/load") and
                after.get(OVERFLOW, 0) > before.get(OVERFLOW, 0))
    s.until(is_busy, 20, "a busy service")
    for path, count in (("/x", 40), ("/fail", 20)):
        ask(agent.server.port, path, count)
        ask(quiet.port, path, count)
    equal(agent.gauge("http_step"), STEPS["busy"], "step")
    load.stop()
    s.until(lambda: told(agent, "quiet").get("/fail") == 20, 20, "all of the quiet service")
    agent.settled()
    equal(told(agent, "quiet"), {"/first": 1, "/x": 40, "/fail": 20}, "routes of the quiet service")
    busy = told(agent, "shop")
    equal(busy["/fail"], 20, "failed requests of the busy service, which have records")
    # One that a machine kept waiting was slow, and has one too.
    at_most(busy.get("/x", 0), 10, "routes of quick requests of the busy service")
    with open(agent.server.access_log, encoding="ascii") as log:
        answered = sum(1 for _ in log)
    dropped = sum(agent.collector()["drops_total"].values())
    at_most(sum(busy.values()), answered, "counts of the busy service")
    at_least(sum(busy.values()) + dropped, answered, "and what is no count of it")
    agent.balanced()
    problem = agent.collector()["problem"]
    check("services above capture.http_busy" in problem, f"no word of it in {problem!r}")
    equal(agent.program.stop(), 0, "exit status of vowd")


@test
@needs("bpf", "nginx", "wrk", "vowd", "vow")
def records_of_all_go_then_but_of_failed_requests(s):
    agent = Thrifty(s, NONE)
    agent.stay_at(STEPS["counts"])
    equal(agent.counted(("/x", 300), ("/fail", 20)),
          {("GET", OVERFLOW, "2xx"): 300, ("GET", "/fail", "5xx"): 20}, "counts without records")
    agent.balanced()
    equal(agent.collector()["drops_total"]["ring_full"], 0, "pairs lost")
    equal(agent.program.stop(), 0, "exit status of vowd")


@test
@needs("bpf", "nginx", "wrk", "vowd", "vow")
def programs_go_last_and_come_back(s):
    agent = Thrifty(s, TINY)
    agent.load_until(STEPS["off"])
    s.until(lambda: agent.collector()["tier"] == "off", 20, "programs that are gone")
    seen = agent.balanced()
    at_least(seen, 1000, "pairs until then")
    problem = agent.collector()["problem"]
    for word in ("not captured now", "tried again in", "above its budget", "capture.http_budget"):
        check(word in problem, f"no {word!r} in {problem!r}")
    doctor = s.vow("doctor", dir=agent.run, status=1)
    check(any("capture.http_budget" in (row["fix"] or "") for row in doctor["checks"]),
          "doctor does not say how to come back")
    equal(agent.counted(("/unseen", 50)), {}, "counts while nothing is captured")
    agent.budget(AMPLE)
    s.until(lambda: agent.collector()["tier"] == "A", 20, "programs that are back")
    equal(agent.counted(("/seen", 50)), {("GET", OVERFLOW, "2xx"): 50}, "counts afterwards")
    at_least(agent.balanced(), seen + 50, "pairs since the agent began")
    equal(agent.program.stop(), 0, "exit status of vowd")


@test
@needs("bpf", "nginx", "wrk", "vowd", "vow")
def cost_is_told_by_program(s):
    agent = Thrifty(s, NONE)
    load = s.start(command_path("wrk"), "-c", 8, "-t", 1, "-d", "200s", agent.server.url("/load"))

    def cost():
        row, = s.vow("cost", dir=agent.run)
        at_least(row["pairs_per_s"], 100, "pairs a second")
        at_least(row["agent"]["cost_ratio"], 1e-6, "share of the agent")
        return row
    row = s.until(cost, 20, "cost under load")
    load.stop()
    equal((row["step"], row["budget_ratio"]), ("all", None), "step and budget")
    near(row["cost_ratio"], row["kernel"]["cost_ratio"] + row["agent"]["cost_ratio"], 1e-9, "sum")
    programs = {program["name"]: program for program in row["programs"]}
    equal(set(programs), {"http_received", "http_sent", "http_arrived"}, "programs")
    for name, program in programs.items():
        at_least(program["run_ns"], 60, f"ns of {name}, the way into it included")
        at_most(program["run_ns"], 20_060, f"ns of {name}: longer runs count as so much")
    kernel_ns = sum(p["runs_per_s"] * p["run_ns"] for p in programs.values())
    near(kernel_ns / 1e9 / os.cpu_count(), row["kernel"]["cost_ratio"],
         row["kernel"]["cost_ratio"] / 100, "share of the kernel, by its programs")
    near(kernel_ns / row["pairs_per_s"], row["kernel"]["pair_ns"], row["kernel"]["pair_ns"] / 100,
         "ns a pair, by its programs")
    text = s.run(s.program("vow"), "--dir", agent.run, "cost").stdout
    for word in ("CAPTURED", "BUDGET", "http_sent", "none"):
        check(word in text, f"no {word!r} in {text!r}")
    print("#", text.replace("\n", "\n# "))
    equal(agent.program.stop(), 0, "exit status of vowd")


main("capture_budget")
