#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""`vow trace-tls`: the running agent reads requests of a service within TLS because somebody asks it
to, and for as long as they say; who may ask, and what is said when it cannot be done."""
import ctypes
import os
import re
import signal
import struct
import sys
import time

from capture_tls import *

NOBODY = 65534
SITES = "location /broken { return 503; } location / { return 200 hello; }"


def known(s, agent, server):
    """Asks once, by a connection that stays open, so that the agent knows the service."""
    connection = connect(server.port)
    ask(connection, "/before")
    return connection


def run_as(pid, *command):
    """Runs a command as the child that has this pid, which is free."""
    clone3, pids = 435, ctypes.c_int(pid)
    arguments = ctypes.create_string_buffer(struct.pack(
        "11Q", 0, 0, 0, 0, signal.SIGCHLD, 0, 0, 0, ctypes.addressof(pids), 1, 0))
    child = ctypes.CDLL(None).syscall(clone3, arguments, 88)
    if child == 0:
        try:
            os.execv(command[0], command)
        finally:
            os._exit(1)
    equal(child, pid, "pid of the child")
    return child


def has_tls(pid):
    with open(f"/proc/{pid}/maps", encoding="utf-8") as maps:
        return "libssl" in maps.read()


@test
@needs("vowd", "bpf", "nginx", "openssl")
def last_resort_that_was_asked_for_says_what_would_read_tls(s):
    web = nginx(s, SITES)
    s.write("run/vow.yaml", f"services: [{{name: web, match: {{port: {web.port}}}}}]\n"
                            "capture: {http_tier: C, tls: [web]}\n")
    vowd = s.start(s.program("vowd"), "--dir", s.dir("run"))
    s.until(lambda: "watching" in vowd.log(), 30, "capture")
    connection = connect(web.port)

    def told():
        ask(connection, "/wait")
        return [line for line in vowd.log().splitlines() if "does not read" in line]
    line = s.until(told, 20, "why it is not read")[0]
    check("tier C does not read requests within TLS in the clear (set capture.http_tier to auto)"
          in line, f"why, and what to do: {line}")
    check(re.search(r"http: requests within TLS of web \(pid \d+\) are counted by turns only", line),
          f"whose: {line}")
    connection.close()


@test
@needs("vowd", "bpf", "nginx", "openssl")
def service_is_traced_while_somebody_wants_it(s):
    web = nginx(s, SITES)
    worker = worker_of(s, web)
    agent = OnDemand(s, "web", web.port, ON_DEMAND)
    equal(rights(agent.program.pid), (True, False), "CAP_SYS_ADMIN, permitted and in effect")
    equal(agent.rows(), [], "what is traced before anybody asked")
    connection = known(s, agent, web)
    before = time.time_ns()
    first = agent.ask("web", "--for", "5m")
    # Known by its port, the service shows itself with the turn that ends: its requests go on.
    def found():
        ask(connection, "/wait")
        rows = agent.rows()
        return rows if [row["processes"] for row in rows] == [1] else None
    rows = s.until(found, 10, "the probed process")
    row = rows[0]
    equal((row["service"], row["by"], row["problem"], row["looking"]), ("web", "command", None, False),
          "the row")
    check(row["library"].startswith("libssl.so"), f"library {row['library']!r}")
    check(row["how"] in ("emulated", "entry+return"), f"how {row['how']!r}")
    equal(row["until_unix_ns"] - row["since_unix_ns"], 300 * 10 ** 9, "time that was asked for")
    check(before - 10 ** 9 <= row["since_unix_ns"] <= time.time_ns(), "since when")
    equal(first[0]["since_unix_ns"], row["since_unix_ns"], "since when, as it was said at first")
    check(probed(worker), "no probe is in the process that is wanted")
    already = agent.counts()["GET", "/things/{id}", "2xx"]
    for _ in range(10):
        ask(connection, "/things/12?hidden=1")
        ask(connection, "/broken")
    s.until(lambda: agent.counts()["GET", "/broken", "5xx"] == 10, 10, "its routes")
    equal(agent.counts()["GET", "/things/{id}", "2xx"] - already, 10, "its requests")
    check(f"user {os.getuid()} (pid " in agent.program.log(), "who asked is not in the log")

    agent.configure({**ON_DEMAND, "traces": False})
    s.ticks_later(dir=agent.run)
    equal([r["since_unix_ns"] for r in agent.rows()], [row["since_unix_ns"]],
          "the same after a new configuration")
    check(probed(worker), "a new configuration has ended it")
    again = agent.ask("web", "--for", "20m")[0]
    equal(again["since_unix_ns"], row["since_unix_ns"], "since when, asked once more")
    check(again["until_unix_ns"] > row["until_unix_ns"] + 10 * 60 * 10 ** 9, "a longer time")

    equal(agent.ask("web", "--off"), [], "what is traced when it was ended")
    check(not probed(worker), "a probe is left in who is wanted no longer")
    check("not traced by command" in agent.ask("web", "--off", status=1), "ended twice")
    connection.close()


@test
@needs("vowd", "bpf", "nginx", "openssl")
def it_ends_by_itself_and_with_the_agent(s):
    web = nginx(s, SITES)
    worker = worker_of(s, web)
    agent = OnDemand(s, "web", web.port, ON_DEMAND)
    connection = known(s, agent, web)
    def found():
        ask(connection, "/wait")
        return probed(worker)
    default = agent.ask("web")[0]
    equal(default["until_unix_ns"] - default["since_unix_ns"], 600 * 10 ** 9, "time by itself")
    s.until(found, 10, "probes")
    # From when they are there: how long that takes is a matter of how busy the machine is.
    agent.ask("web", "--for", "2s")
    s.until(lambda: agent.rows() == [] and not probed(worker), 20, "the end of the time asked for")
    agent.ask("web")
    s.until(found, 10, "probes once more")
    agent.program.stop()
    check(not probed(worker), "a probe outlived the agent")
    agent = OnDemand(s, "web", web.port, ON_DEMAND)
    equal(agent.rows(), [], "what is traced after a restart")
    connection.close()


@test
@needs("vowd", "bpf", "nginx", "openssl")
def service_that_comes_later_is_traced_then(s):
    port = s.port()
    agent = OnDemand(s, "web", port, ON_DEMAND)
    row = agent.ask("web", "--for", "1h")[0]
    equal((row["processes"], row["library"], row["looking"]), (0, None, False), "nobody yet")
    check("no process of this name" in row["problem"], f"problem {row['problem']!r}")
    text = s.run(s.program("vow"), "--dir", agent.run, "trace-tls").stdout
    check("web: no process of this name is known" in text, f"table {text!r}")
    web = nginx(s, SITES)
    agent.port = web.port
    agent.configure(ON_DEMAND)
    connection = known(s, agent, web)
    def found():
        ask(connection, "/wait")
        return [(r["service"], r["processes"]) for r in agent.rows()] == [("web", 1)]
    s.until(found, 10, "the process that came")
    connection.close()


@test
@needs("vowd", "bpf", "root")
def service_without_openssl_is_said_to_have_none(s):
    sleeper = s.start(command_path("sleep"), "1000", name="sleep")
    agent = OnDemand(s, "web", s.port(), ON_DEMAND, more="  - name: idler\n    match: "
                                                         "{command: sleep}\n")
    rows = s.until(lambda: [r for r in agent.ask("idler") if not r["looking"]], 10, "its row")
    equal((rows[0]["processes"], rows[0]["problem"]),
          (0, "none of its processes has OpenSSL's calls"), "the row")
    sleeper.kill()


@test
@needs("vowd", "bpf", "nginx", "openssl")
def process_that_is_of_a_service_no_more_is_read_no_more(s):
    web = nginx(s, SITES)
    worker = worker_of(s, web)
    agent = OnDemand(s, "web", web.port, {"tls": ["web"]})
    connection = known(s, agent, web)

    def read(path):
        ask(connection, path)
        return [row for row in s.vow("routes", "--total", dir=agent.run) if row["route"] == path]
    s.until(lambda: read("/broken"), 20, "a request of the service, in the clear")
    check(probed(worker), "no probes in the service's worker")
    agent.port = s.port()
    agent.configure({"tls": ["web"]})
    s.until(lambda: not probed(worker), 10, "the end of its probes")
    for n in range(3):
        ask(connection, f"/secret/{n}")
        s.ticks_later(dir=agent.run)
    rows = s.vow("routes", "--total", dir=agent.run)
    equal([row["route"] for row in rows if "secret" in row["route"]], [], "routes in the clear")
    check(not probed(worker), "probes in who is of another service")
    # As it was: the next request names it again.
    agent.port = web.port
    agent.configure({"tls": ["web"]})
    s.until(lambda: read("/wait") and probed(worker), 20, "requests of the service once more")
    connection.close()


@test
@needs("vowd", "bpf", "nginx", "openssl")
def process_that_got_a_pid_of_the_service_is_not_taken_for_it(s):
    web = nginx(s, SITES)
    worker = worker_of(s, web)
    agent = OnDemand(s, "web", web.port, {**ON_DEMAND, "host": False})
    connection = known(s, agent, web)
    def told():
        ask(connection, "/wait")
        return sum(agent.counts().values())
    s.until(told, 10, "a request of the service, whose process is known by now")
    connection.close()
    web.stop()
    heir = run_as(worker, sys.executable, "-c", "import ssl, signal; signal.pause()")
    try:
        s.until(lambda: has_tls(heir), 10, "its TLS library")
        agent.ask("web")
        row, = s.until(lambda: [r for r in agent.rows() if not r["looking"]], 10, "its row")
        equal((row["processes"], probed(heir)), (0, False), "probes in who has the pid")
    finally:
        os.kill(heir, signal.SIGKILL)
        os.waitpid(heir, 0)


@test
@needs("vowd", "bpf", "root")
def what_the_configuration_wants_is_listed_and_stays(s):
    agent = OnDemand(s, "web", s.port(), {**ON_DEMAND, "tls": ["pay-*"]})
    rows = s.until(lambda: [r for r in agent.rows() if not r["looking"]], 10, "its row")
    equal([(r["service"], r["by"], r["until_unix_ns"], r["processes"]) for r in rows],
          [("pay-*", "configuration", None, 0)], "rows")
    said = agent.ask("pay-1", "--off", status=1)
    check("the configuration has it traced" in said and "capture.tls" in said, said)
    row = next(r for r in agent.ask("pay-1") if r["service"] == "pay-1")
    equal((row["by"], row["until_unix_ns"]), ("configuration", None), "wanted by both")
    agent.configure({"tls": ["pay-*"]})
    s.until(lambda: [r["service"] for r in agent.rows()] == ["pay-*"], 10,
            "the end of an order that is not allowed any more")
    check("by command has ended" in agent.program.log(), "nothing of that is in the log")


@test
@needs("vowd", "bpf", "root")
def refusals_say_what_to_do(s):
    agent = OnDemand(s, "web", s.port(), {"http": True})
    equal(rights(agent.program.pid), (False, False), "CAP_SYS_ADMIN without the key")
    equal(agent.rows(), [], "the list needs no key")
    said = agent.ask("web", status=1)
    check("capture.tls_on_demand: true" in said and "start vowd again" in said, said)
    agent.configure(ON_DEMAND)
    said = agent.ask("web", status=1)
    check("no right to probe" in said and "start vowd again" in said, said)
    agent.program.stop()

    agent = OnDemand(s, "web", s.port(), ON_DEMAND)
    equal([r["service"] for r in agent.ask("web")], ["web"], "asked by root")
    # Who may ask questions need not be who may change something.
    socket_path = f"{agent.run}/control.sock"
    os.chmod(s.root, 0o755)
    os.chmod(agent.run, 0o755)
    os.chmod(socket_path, 0o666)

    def as_nobody(*args, status):
        return " ".join(s.run(command_path("setpriv"), "--reuid", NOBODY, "--regid", NOBODY,
                              "--clear-groups", s.program("vow"), "--dir", agent.run, "trace-tls", *args,
                              status=status).stderr.split())
    as_nobody(status=0)
    for args in (("web", "--off"), ("other",)):
        said = as_nobody(*args, status=1)
        check("only root, and the user that vowd runs as" in said, said)
    equal([r["service"] for r in agent.rows()], ["web"], "what is traced after that")


@test
@needs("vowd")
def usage_is_checked_before_anybody_is_asked(s):
    vow = s.program("vow")

    def refused(text, *args):
        said = " ".join(s.run(vow, "--dir", s.dir("none"), *args, status=2).stderr.split())
        check(text in said, f"{args}: {said!r}")
    refused("is a pattern", "trace-tls", "we*")
    refused("cannot be the name", "trace-tls", "")
    refused("cannot be the name", "trace-tls", "a\nb")
    refused("cannot be the name", "trace-tls", "x" * 64)
    refused("outside of", "trace-tls", "web", "--for", "25h")
    refused("outside of", "trace-tls", "web", "--for", "0")
    refused("give one of the two", "trace-tls", "web", "--for", "1m", "--off")
    refused("name the service", "trace-tls", "--off")
    refused("only of vow trace-tls", "routes", "--for", "1m")
    refused("unexpected", "trace-tls", "web", "pay")
    refused("a hub traces nothing", "trace-tls", "web", "--hub", "127.0.0.1:1")


main("trace_tls")
