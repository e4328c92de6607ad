# SPDX-License-Identifier: Apache-2.0
"""The command line against a server of known figures, against silence, and against garbage."""
import fcntl
import pty
import re
import select
import signal
import socket
import struct
import subprocess
import termios
import threading
import unicodedata

from story import *

VOW = f"{BUILD}/vow"


def known(s, *args):
    """A control socket whose figures are those of tests/tools/view_server.c."""
    folder = s.dir("run")
    s.start(f"{BUILD}/tests/view_server", f"{folder}/control.sock", *args)

    def answers():
        with socket.socket(socket.AF_UNIX) as asked:
            return not asked.connect_ex(f"{folder}/control.sock")
    s.until(answers, 5, "control socket")
    return folder


def answering(s, answer):
    """A control socket that answers every connection with these bytes after its question."""
    folder = s.dir("odd")
    server = socket.socket(socket.AF_UNIX)
    server.bind(f"{folder}/control.sock")
    server.listen(8)
    s.defer(server.close)

    def serve():
        while True:
            try:
                client, _ = server.accept()
                client.recv(4096)
                client.sendall(answer)
                client.close()
            except OSError:
                return
    threading.Thread(target=serve, daemon=True).start()
    return folder


@test
def routes_as_json_are_the_documented_array(s):
    rows = s.vow("routes", "--total", dir=known(s))
    by_key = {(r["route"], r["kind"], r["status_class"], r["method"]): r for r in rows}
    equal(len(rows), 10, "rows")
    row = by_key["/api/suppliers/{id}", "http", "2xx", "GET"]
    equal(list(row), ["host", "service", "role", "kind", "method", "route", "peer", "status_class",
                      "count", "errors", "p50_ns", "p90_ns", "p95_ns", "p99_ns", "max_ns",
                      "queue_p99_ns", "window_s", "relative_error"], "keys")
    # 1000 latencies of 1.0, 1.1, ... ms; sorted truth by hand.
    truth = [1_000_000 + 100_000 * k for k in range(1000)]
    for key, rank in (("p50_ns", 500), ("p90_ns", 900), ("p95_ns", 950), ("p99_ns", 990)):
        near(row[key], truth[rank - 1], truth[rank - 1] * row["relative_error"], key)
    equal((row["count"], row["errors"], row["max_ns"]), (1000, 0, truth[-1]), "exact figures")
    equal((row["host"], row["service"], row["role"]), ("web-1", "shop", "server"), "who")
    equal(by_key["/v1/geo", "http", "2xx", "GET"]["queue_p99_ns"], None, "unknown wait")
    equal(by_key["/api/payments", "http", "5xx", "POST"]["errors"], 3, "errors")
    near(row["window_s"], 180, 0, "seconds since the start")


@test
def every_view_is_json_and_table(s):
    folder = known(s)
    shapes = {"status": dict, "routes": list, "deliveries": list, "slo": list, "alerts": list,
              "scale": dict, "hosts": list, "top": list}
    for what, shape in shapes.items():
        equal(type(s.vow(what, dir=folder)), shape, f"JSON of {what}")
        table = s.run(VOW, "--dir", folder, what).stdout
        check(table and "\033" not in table, f"{what} printed {table[:80]!r}")
    status = s.vow("status", dir=folder)
    equal(status["collectors"][0], {
        "host": "web-1", "name": "http", "tier": "A", "events_total": 1283,
        "drops_total": {"ring_full": 17}, "detail": "HTTP/1 on all sockets, with queue wait",
        "problem": None}, "first collector")
    equal((status["rss_bytes"], status["cpu_ratio"]), (8 << 20, 0.004), "its own cost")


@test
def limit_service_and_window_choose_rows(s):
    folder = known(s)
    equal([r["count"] for r in s.vow("routes", "--limit", "2", dir=folder)], [1000, 200], "busiest")
    equal([r["count"] for r in s.vow("top", "--limit", "2", "--total", dir=folder)], [1000, 200],
          "busiest of top")
    equal({r["service"] for r in s.vow("routes", "--service", "worker", dir=folder)}, {"worker"},
          "services")
    equal({r["window_s"] for r in s.vow("routes", "--window", "10s", dir=folder)}, {1.0},
          "the one second of the window that was observed")


@test
def tables_align_and_escape_what_came_from_outside(s):
    folder = known(s)
    lines = s.run(VOW, "--dir", folder, "routes", "--window", "10s").stdout.splitlines()
    rate = lines[0].index("RATE") + len("RATE")
    for line in lines[1:]:
        # Two wide characters take four columns and two places of a Python string.
        wide = sum(1 for c in line if c in "日本")
        check(line[rate - wide - 2:rate - wide] == "/s", f"rate of {line!r} does not align")
    status = s.run(VOW, "--dir", folder, "status").stdout
    check("\033" not in status and "configuration" in status, "an escape sequence came through")


def columns_of(text):
    """How many columns of a terminal the text takes."""
    return sum(2 if unicodedata.east_asian_width(c) in "WF" else 1 for c in text)


@test
def narrow_terminals_keep_what_judges(s):
    folder = known(s)
    percentiles = ["P50", "P90", "P95", "P99"]
    kept = {
        "routes": {80: ["RATE", "ERRORS", *percentiles], 100: ["CODE"], 120: ["MAX", "QUEUE99"]},
        "deliveries": {80: ["RATE", "FAILED", "DEAD", "P50", "P95", "P99"], 100: percentiles,
                       120: ["SERVICE", "MAX"]},
        "slo": {80: ["PROMISE", "KEPT", "BUDGET LEFT", "BURN", "ALERT"], 100: [], 120: []},
    }
    for what, widths in kept.items():
        expected = []
        for width, more in widths.items():
            lines = s.run(VOW, "--dir", folder, what, env={"COLUMNS": str(width)}).stdout.splitlines()
            at_least(len(lines), 2, f"lines of {what}")
            at_most(max(map(columns_of, lines)), width, f"columns of {what}")
            expected += more
            heads = re.split(r"  +", lines[0].strip())
            equal([h for h in expected if h not in heads], [], f"heads of {what} lacking at {width}")


@test
def every_view_fits_a_terminal_of_80_columns(s):
    folder = known(s)
    for what in ("status", "top", "alerts", "scale", "host", "hosts", "doctor"):
        shown = s.run(VOW, "--dir", folder, what, env={"COLUMNS": "80"}, status=None).stdout
        for line in shown.splitlines():
            at_most(columns_of(line), 80, f"columns of {what}'s {line!r}")
    # In a pipe each reason is one line, for grep.
    check(" too fast\n" in s.run(VOW, "--dir", folder, "alerts").stdout, "a reason is broken")


@test
def gauges_of_0_are_counted_and_shown_on_demand(s):
    folder = known(s)
    shown = s.run(VOW, "--dir", folder, "status").stdout
    check("queue_depth" in shown and "cpu_ratio" in shown, f"gauges that are not 0: {shown!r}")
    check("sockets_in_use" not in shown, f"a gauge of 0: {shown!r}")
    check("\n1 gauge of 0 is not shown; --all shows it\n" in shown, f"what is not shown: {shown!r}")
    whole = s.run(VOW, "--dir", folder, "status", "--all").stdout
    check("sockets_in_use" in whole and "not shown" not in whole, f"with --all: {whole!r}")
    names = [gauge["name"] for gauge in s.vow("status", dir=folder)["gauges"]]
    check("sockets_in_use" in names, f"as JSON: {names!r}")


@test
def colour_is_for_terminals_and_on_demand(s):
    folder = known(s)
    check("\033[" in s.run(VOW, "--dir", folder, "slo", "--color", "always").stdout, "no colour")
    check("\033[" not in s.run(VOW, "--dir", folder, "slo").stdout, "colour in a pipe")


@test
def verdicts_become_exit_statuses_only_when_asked(s):
    folder = known(s)
    s.run(VOW, "--dir", folder, "slo", status=0)
    s.run(VOW, "--dir", folder, "slo", "--check", status=1)
    s.run(VOW, "--dir", folder, "alerts", "--check", status=1)
    s.run(VOW, "--dir", folder, "routes", "--check", status=0)
    # A collector is off on this server.
    doctor = s.run(VOW, "--dir", folder, "doctor", "-o", "json", status=1)
    grades = {c["name"]: c["grade"] for c in json.loads(doctor.stdout)["checks"]}
    equal((grades["agent"], grades["lanes"]), ("ok", "bad"), "grades")


@test
def a_route_is_chosen_by_name_and_a_misspelt_one_is_told(s):
    folder = known(s)
    equal({(r["method"], r["status_class"]) for r in
           s.vow("routes", "--total", "--route", "/api/payments", dir=folder)},
          {("POST", "2xx"), ("POST", "5xx")}, "rows of a route")
    equal(s.vow("routes", "-t", "-r", "POST /api/payments", dir=folder),
          s.vow("top", "-t", "-r", "/api/payments", dir=folder), "with its method, and in top")
    equal([r["event_type"] for r in s.vow("deliveries", "-t", "-r", "invoice.paid", dir=folder)],
          ["invoice.paid"], "deliveries")
    for what in ("routes", "deliveries", "exemplars"):
        done = s.run(VOW, "--dir", folder, what, "-r", "/api/paymnets", "-o", "json")
        equal(json.loads(done.stdout), [], f"{what} of a route that is not")
        check("no route '/api/paymnets' is known" in done.stderr and
              "'/api/payments'" in done.stderr, f"{what} said {done.stderr!r}")
        table = s.run(VOW, "--dir", folder, what, "-r", "/api/paymnets").stdout
        check("no route '/api/paymnets' is known" in table, f"{what} showed {table!r}")
    # A route that is known and has no exemplar is none of that.
    quiet = s.run(VOW, "--dir", folder, "exemplars", "-r", "/api/payments", "-o", "json")
    equal(quiet.stderr, "", "word of a route that is known")
    s.run(VOW, "--dir", folder, "slo", "-r", "/api/payments", status=2)


@test
def an_objective_that_nothing_matches_is_remarked(s):
    folder = known(s)
    wanted = "no series matched so far: it selects service 'shpo', kind 'http'"
    table = s.run(VOW, "--dir", folder, "slo", status=0).stdout
    check(f"geo: {wanted}" in table and "did you mean 'shop'?" in table, f"slo showed {table!r}")
    equal(table.count("no series matched"), 1, "objectives remarked")
    checks = json.loads(s.run(VOW, "--dir", folder, "doctor", "-o", "json", status=None).stdout)
    row = {c["name"]: c for c in checks["checks"]}["objective geo"]
    equal((row["grade"], row["what"]), ("remark", wanted), "doctor's remark")
    file = s.write("promise.yaml", "objectives:\n- name: geo\n  match: {service: shpo, kind: http}\n"
                                   "  target: 95%\n")
    said = s.run(VOW, "--dir", folder, "config", "check", file, status=0).stdout
    check(wanted in said, f"config check said {said!r}")
    # Without an agent there is nobody who could have seen one.
    said = s.run(VOW, "--dir", s.dir("empty"), "config", "check", file, status=0).stdout
    check("no series" not in said, f"config check said {said!r}")


@test
def an_alert_tells_its_moment_from_now(s):
    text = s.run(VOW, "--dir", known(s), "alerts").stdout
    for line in ("as it fired: the error budget burns 14.8 times too fast",
                 "as it fired: shop POST /api/payments 5xx: 3 bad of 3",
                 "now: the budget burns 14.80 times too fast over 1 h, 2.00 over 5 min; the alert "
                 "is for 14.4"):
        check(f"      {line}\n" in text, f"no {line!r} in {text!r}")


@test
def rows_of_an_agent_have_its_name(s):
    folder = known(s)
    def hosts(found):
        if isinstance(found, list):
            return set().union(*map(hosts, found))
        if isinstance(found, dict):
            own = {found["host"]} if "host" in found else set()
            return own | hosts([v for k, v in found.items() if k != "host"])
        return set()
    for what in ("status", "routes", "deliveries", "alerts", "scale", "cost", "host", "hosts"):
        equal(hosts(s.vow(what, dir=folder)) - {"web-1"}, set(), f"other hosts in {what}")
    for what in ("alerts", "scale", "host"):
        equal(hosts(s.vow(what, dir=folder)), {"web-1"}, f"hosts in {what}")


@test
def wrong_usage_ends_with_2_and_says_what_was_meant(s):
    check("'routes'" in s.run(VOW, "rotes", status=2).stderr, "no did-you-mean for a command")
    check("--window" in s.run(VOW, "routes", "--windw", "1m", status=2).stderr,
          "no did-you-mean for an option")
    for wrong in (["routes", "--window", "3m"], ["routes", "slo"], ["routes", "--limit", "0"],
                  ["routes", "--total", "--window", "1m"], ["--dir", "x", "--hub", "y:1", "slo"],
                  ["routes", "-o", "xml"], []):
        done = s.run(VOW, *wrong, status=2)
        check(done.stderr and not done.stdout, f"vow {' '.join(wrong)} said nothing on stderr")


@test
def nobody_to_ask_ends_with_3_and_says_where_and_what_to_do(s):
    empty = s.dir("empty")
    for what in ("status", "routes", "top"):
        done = s.run(VOW, "--dir", empty, what, status=3)
        check(f"{empty}/control.sock" in done.stderr, f"no socket in {done.stderr!r}")
        check(f"start vowd --dir {empty};" in done.stderr and
              f"vow --dir {empty} routes --at" in " ".join(done.stderr.split()),
              f"no advice for this folder in {done.stderr!r}")
    done = s.run(VOW, "--hub", f"127.0.0.1:{s.port()}", "routes", status=3)
    check("vow-hub" in done.stderr, f"no advice in {done.stderr!r}")
    # The doctor has an answer all the same: no.
    s.run(VOW, "--dir", empty, "doctor", status=1)


@test
def garbage_and_short_answers_end_with_3(s):
    for answer in (b"", b"\x05\0\0\0ab", b"HTTP/1.1 400 Bad Request\r\n\r\n", b"\xff" * 64,
                   struct.pack("<I", 4) + b"\xff\xff\xff\xff", struct.pack("<I", 0)):
        done = s.run(VOW, "--dir", answering(s, answer), "routes", status=3)
        check("control.sock" in done.stderr and not done.stdout, f"{answer!r}: {done.stderr!r}")
        os.unlink(f"{s.dir('odd')}/control.sock")


@test
def a_port_that_is_no_hub_is_named_as_such(s):
    port = s.port()
    folder = s.dir("www")
    s.start("python3", "-m", "http.server", str(port), "--bind", "127.0.0.1", "--directory", folder)
    s.listening(port)
    done = s.run(VOW, "--hub", f"127.0.0.1:{port}", "routes", status=3)
    check("no hub" in done.stderr, f"said {done.stderr!r}")


@test
def doctor_refuses_no_kernel_that_has_a_tier(s):
    folder = known(s)
    for release, grade in (("6.3.0", "ok"), ("6.1.0-18-amd64", "ok"), ("5.13.0", "ok"),
                           ("5.12.19", "bad"), ("4.19.0", "bad")):
        said = s.run(VOW, "--dir", folder, "doctor", "-o", "json", status=None,
                     env={"LD_PRELOAD": s.program("tests/other_kernel.so"), "OTHER_KERNEL": release,
                          "ASAN_OPTIONS": "verify_asan_link_order=0"}).stdout
        row = {c["name"]: c for c in json.loads(said)["checks"]}["kernel"]
        equal((row["grade"], release in row["what"]), (grade, True), f"word of Linux {release}")


@test
def config_check_remarks_a_file_that_is_missing(s):
    types = s.path("types.btf")
    file = s.write("vow.yaml", f"capture: {{btf: {types}}}\n")
    said = s.run(VOW, "config", "check", file, status=0).stdout
    check(f"no file {types} on this host" in said, f"config check said {said!r}")
    s.write("types.btf", "")
    said = s.run(VOW, "config", "check", file, status=0).stdout
    check("no file" not in said, f"config check said {said!r}")


@test
def config_check_names_place_mistake_and_fix(s):
    bad = s.write("bad.yaml", "objektives: []\n")
    done = s.run(VOW, "config", "check", bad, status=1)
    check(f"{bad}:1" in done.stdout and "objectives" in done.stdout, f"said {done.stdout!r}")
    many = s.write("many.yaml", "series_max: 1\nobjectives:\n- {name: a, target: 95}\n- target: 1%\n")
    checks = json.loads(s.run(VOW, "config", "check", many, "-o", "json", status=1).stdout)["checks"]
    equal([(c["grade"], c["name"]) for c in checks],
          [("bad", f"{many}:{line}") for line in (1, 3, 4)], "all mistakes in one go")
    check("lacks its '%'" in checks[1]["what"], f"said {checks[1]}")
    good = s.write("good.yaml", "host: web-7\n")
    checks = json.loads(s.run(VOW, "config", "check", good, "-o", "json").stdout)["checks"]
    equal(checks[0]["grade"], "ok", "grade of a valid file")
    s.run(VOW, "config", "check", s.path("none.yaml"), status=1)
    s.run(VOW, "config", "chek", status=2)


@test
def a_real_agent_is_asked_about_itself(s):
    folder = s.dir("real")
    agent = s.start(s.program("vowd"), "--dir", folder)
    status = s.until(lambda: s.vow("status", dir=folder), 10, "first board")
    equal(status["pid"], agent.pid, "pid")
    s.until(lambda: abs(s.vow("status", dir=folder)["rss_bytes"] - agent.rss_bytes()) < 4 << 20,
            30, "a board with the agent's resident memory, which grows while it starts")
    equal({c["name"] for c in status["collectors"]}, {"http", "lanes", "host", "tcp", "services"}, "collectors")
    since = status["counted_since_unix_ns"]
    check(since <= status["at_unix_ns"], "totals began in the future")
    agent.stop()
    s.start(s.program("vowd"), "--dir", folder)
    again = s.until(lambda: s.vow("status", dir=folder), 10, "board after the restart")
    equal(again["counted_since_unix_ns"], since, "beginning of totals after a restart")
    check(again["started_unix_ns"] > since, "start of the process")


@test
def a_hub_answers_at_both_of_its_ports(s):
    grpc, http = (f"127.0.0.1:{s.port()}" for _ in range(2))
    s.start(s.program("vow-hub"), "--dir", s.dir("hub"), "--listen", grpc, "--http", http)
    for address in (grpc, http):
        status = s.until(lambda: s.vow("status", hub=address), 10, f"answer at {address}")
        equal(status["program"], "vow-hub", "who answered")
        equal(s.vow("routes", "--all-hosts", hub=address), [], "routes of no agent")
    said = s.run(VOW, "--hub", grpc, "status").stdout
    check("store: 0 records merged" in said and "journal" not in said, f"said {said!r}")


class Terminal:
    """vow on a terminal of its own, 120 columns wide, with what it wrote so far."""

    def __init__(self, s, *args):
        self.master, slave = pty.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("4H", 40, 120, 0, 0))
        env = dict(os.environ, TERM="xterm")
        env.pop("NO_COLOR", None)
        self.process = subprocess.Popen([VOW, *args], stdin=slave, stdout=slave, env=env,
                                        stderr=subprocess.STDOUT, start_new_session=True)
        os.close(slave)
        self.text = ""
        s.defer(self.end)

    def end(self):
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        os.close(self.master)

    def has(self, wanted):
        while select.select([self.master], [], [], 0.01)[0]:
            try:
                self.text += os.read(self.master, 65536).decode("utf-8", "replace")
            except OSError:
                break
        return wanted in self.text

    def type(self, keys):
        os.write(self.master, keys.encode())


@test
def top_moves_obeys_keys_and_leaves_the_terminal_as_it_was(s):
    top = Terminal(s, "--dir", known(s, "live"), "top")
    s.until(lambda: top.has("/api/suppliers"), 5, "first page")
    check(top.text.startswith("\033[?1049h"), "no alternate screen")
    pages = top.text.count("\033[?2026h")
    s.until(lambda: top.has("q quit") and top.text.count("\033[?2026h") > pages, 5, "next page")
    top.type("s")
    s.until(lambda: re.search(r"by \S*p95", top.text) or top.has("\0"), 5, "another order")
    top.type("w")
    s.until(lambda: top.has("1 min") or False, 5, "another window")
    top.type("q")
    s.until(lambda: top.process.poll() is not None, 5, "end")
    top.has("\0")
    equal(top.process.returncode, 0, "exit status")
    check(top.text.endswith("\033[?7h\033[?25h\033[?1049l"), f"it left {top.text[-60:]!r}")


@test
def top_restores_the_terminal_on_a_signal_and_survives_a_lost_agent(s):
    folder = known(s, "live")
    top = Terminal(s, "--dir", folder, "top")
    s.until(lambda: top.has("/api/suppliers"), 5, "first page")
    s.programs[0].kill()
    s.until(lambda: top.has("asking again every second"), 5, "word of the loss")
    check(top.process.poll() is None, "it ended with the agent")
    s.start(f"{BUILD}/tests/view_server", f"{folder}/control.sock", "live")
    top.text = ""
    s.until(lambda: top.has("/api/suppliers") and "asking" not in top.text[-3000:], 8,
            "figures again")
    top.process.send_signal(signal.SIGTERM)
    s.until(lambda: top.process.poll() is not None, 5, "end")
    top.has("\0")
    check(top.text.endswith("\033[?1049l"), f"it left {top.text[-60:]!r}")


@test
def help_version_and_manual_are_made_from_the_tables(s):
    check("routes" in s.run(VOW, "--help").stdout, "help without routes")
    check(re.fullmatch(r"vow \d+\.\d+\.\d+\n", s.run(VOW, "--version").stdout), "version")
    check(".TH" in s.run(VOW, "--man").stdout, "no manual page")


@test
def help_of_a_command_explains_its_columns(s):
    folder = known(s)
    general = s.run(VOW, "--help").stdout
    commands = re.search(r"Commands:\n(.*?)\n\n", general, re.S).group(1)
    names = re.findall(r"^  ([a-z]+(?: [a-z]+)?)(?:  |$)", commands, re.M)
    at_least(len(names), 14, "commands")
    for name in names:
        text = s.run(VOW, *name.split(), "--help").stdout
        check(text.startswith(f"vow {name} - ") and f"Usage: vow {name} " in text and
              "Example: vow " in text and text != general, f"help of {name}: {text!r}")
        if name in ("routes suggest", "config check", "top", "doctor", "alerts"):
            continue
        if name == "status":
            text += s.run(VOW, "slo", "--help").stdout  # it has that table, and says so
        heads = []
        for line in s.run(VOW, "--dir", folder, name).stdout.splitlines():
            if re.fullmatch(r"[A-Z][A-Z0-9/ ]*[A-Z0-9]", line.strip()):
                heads += re.split(r"  +", line.strip())
        for head in heads:
            check(head in text or re.fullmatch(r"P\d+|HOST|SERVICE|OBJECTIVE", head),
                  f"{name} --help does not explain {head}: {text!r}")
    check("--at" not in s.run(VOW, "slo", "--help").stdout, "an option that slo does not know")


main("vow")
