#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The slowest observations with their tags: from an application to people, across restarts."""
from story import *

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
COARSE = 10**8  # ns by which a time of the kernel's last tick may be early, and then some


def start(s):
    s.write("run/vow.yaml", "capture: {http: false, host: false}\n")
    vowd = s.start(s.program("vowd"), "--dir", s.dir("run"))
    s.until(lambda: s.vow("status", dir=s.dir("run")), 10, "answer of vowd")
    return vowd


def tagged(s, *observations, service="shop"):
    """An application that made these observations: (route, ns, status, tag)."""
    words = [word for observation in observations for word in observation]
    app = s.start(s.program("tests/tagged"), service, *words, env={"VOW_DIR": s.dir("run")})
    s.until(lambda: f"observed {len(observations)}" in app.log(), 10, "the observations")
    return app


def exemplars(s, *more, where=None):
    """All that are kept, the slowest first."""
    return s.vow("exemplars", "--total", *more, **(where or {"dir": s.dir("run")}))


def tags(rows):
    return [row["tag"] for row in rows]


def text(s, *words, status=0):
    return s.run(s.program("vow"), "--dir", s.dir("run"), *words, status=status)


@test
@needs("vowd", "vow")
def the_slowest_of_a_route_are_shown_with_their_tags_and_all_are_counted(s):
    start(s)
    began = time.time_ns()
    pay = [("/pay", ms * 10**6, 200, f"trace-{ms}") for ms in range(1, 21)]
    tagged(s, *pay, ("/book", 9 * 10**9, 503, TRACE), ("/book", 10**9, 200, ""))
    # Of a minute that began amid the observations there may be faster ones behind these.
    slowest = [TRACE] + [f"trace-{ms}" for ms in (20, 19, 18, 17)]
    s.until(lambda: tags(exemplars(s))[:5] == slowest, 10, "the slowest")
    ended = time.time_ns()
    rows = exemplars(s)
    equal((rows[0]["service"], rows[0]["kind"], rows[0]["role"], rows[0]["route"],
           rows[0]["status_class"], rows[0]["latency_ns"], rows[0]["status"]),
          ("shop", "app", "server", "/book", "5xx", 9 * 10**9, 503), "the slowest")
    for row in rows:
        check(began - COARSE <= row["at_unix_ns"] <= ended, f"{row['at_unix_ns']} is not then")
    s.until(lambda: sum(r["count"] for r in s.vow("routes", "--total", dir=s.dir("run"))) == 22,
            10, "count of all")
    equal(tags(exemplars(s, "--route", "/book")), [TRACE], "tags of a route")
    equal(tags(exemplars(s, "--service", "nobody")), [], "tags of another service")
    equal(tags(exemplars(s, "--limit", 2)), tags(rows)[:2], "the two slowest")
    shown = text(s, "exemplars", "--total").stdout.splitlines()
    check(shown[0].split()[:4] == ["WHEN", "LATENCY", "STATUS", "TAG"], f"head {shown[0]!r}")
    check(shown[1].split()[1:5] == ["9.00", "s", "503", TRACE], f"row {shown[1]!r}")
    check("/book" in shown[1], f"row {shown[1]!r}")
    check("chosen by route" in text(s, "slo", "--route", "/x", status=2).stderr, "usage")


@test
@needs("vowd", "vow")
def nothing_with_a_tag_is_no_row(s):
    start(s)
    tagged(s, ("/pay", 5, 200, ""))
    s.until(lambda: s.vow("routes", "--total", dir=s.dir("run")), 10, "the route")
    s.ticks_later(dir=s.dir("run"))
    equal(exemplars(s), [], "exemplars")
    check("came with a tag" in text(s, "exemplars").stdout, "words for none")


@test
@needs("vowd", "vow")
def a_tag_of_a_hostile_application_does_no_harm_to_a_terminal(s):
    start(s)
    tagged(s, ("/pay", 5, 200, "a\x1b[31m\x07\nb \u00e9\u202e" + "z" * 100))
    rows = s.until(lambda: exemplars(s), 10, "the exemplar")
    equal(tags(rows), ["a?[31m??b??????" + "z" * 33], "tag")


@test
@needs("vowd", "vow")
def exemplars_outlive_an_agent_that_is_ended_or_killed_and_are_no_more_by_that(s):
    vowd = start(s)
    tagged(s, *[("/pay", ms * 10**6, 200, f"trace-{ms}") for ms in range(1, 5)],
           ("/book", 77, 200, TRACE))
    s.until(lambda: len(exemplars(s)) == 5, 10, "exemplars")
    rows = exemplars(s)
    for end in (vowd.kill, lambda: equal(vowd.stop(), 0, "status of vowd"), vowd.kill):
        end()
        vowd = start(s)
        equal(exemplars(s), rows, "exemplars after a restart")
        s.ticks_later(dir=s.dir("run"))
        equal(exemplars(s), rows, "exemplars a little later")
    tagged(s, ("/pay", 10**9, 200, "new"))
    s.until(lambda: tags(exemplars(s))[0] == "new", 10, "a new one")
    s.until(lambda: sum(r["count"] for r in s.vow("routes", "--total", dir=s.dir("run"))) == 6,
            10, "count of all")


@test
@needs("vowd", "vow")
def the_journal_tells_the_slowest_of_the_past(s):
    vowd = start(s)
    tagged(s, ("/pay", 10**9, 200, TRACE), ("/pay", 5, 200, "fast"))
    s.until(lambda: len(exemplars(s)) == 2, 10, "exemplars")
    rows = exemplars(s)
    s.ticks_later(3, dir=s.dir("run"))
    ended = s.vow("status", dir=s.dir("run"))["at_unix_ns"] // 10**9
    equal(vowd.stop(), 0, "status of vowd")
    at = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(ended))
    past = s.vow("exemplars", "--at", at, "--window", "1h", dir=s.dir("run"))
    equal([(r["tag"], r["latency_ns"], r["at_unix_ns"], r["route"]) for r in past],
          [(r["tag"], r["latency_ns"], r["at_unix_ns"], r["route"]) for r in rows], "exemplars")


@test
@needs("vowd", "vow")
def a_delivery_shows_its_id(s):
    start(s)
    sender = s.start(s.program("tests/deliver"), "sender", "invoice.paid", "http://a.example/in",
                     env={"VOW_DIR": s.dir("run")})
    s.until(lambda: "delivered" in sender.log(), 10, "delivery")
    s.until(lambda: len(exemplars(s)) == 2, 10, "exemplars")
    rows = exemplars(s)
    equal(sorted((r["kind"], r["method"], r["route"], r["peer"], r["status"], r["tag"])
                 for r in rows),
          [("attempt", "", "invoice.paid", "http://a.example/in", 200, "1"),
           ("delivery", "delivered", "invoice.paid", "http://a.example/in", 200, "1")], "rows")


def start_hub(s, rpc, http):
    hub = s.start(s.program("vow-hub"), "--dir", s.dir("hub"), "--listen", f"127.0.0.1:{rpc}",
                  "--http", f"127.0.0.1:{http}")
    s.listening(http, hub)
    return hub


@test
@needs("vowd", "vow-export", "vow-hub", "vow")
def a_hub_shows_them_by_host_and_keeps_them_when_it_is_killed(s):
    rpc, http = s.port(), s.port()
    at_hub = {"hub": f"127.0.0.1:{http}"}
    hub = start_hub(s, rpc, http)
    start(s)
    s.start(s.program("vow-export"), "--dir", s.dir("run"), "--hub", f"127.0.0.1:{rpc}")
    tagged(s, ("/pay", 10**9, 503, TRACE), ("/pay", 5, 200, "fast"), ("/book", 7, 200, "book"))
    s.until(lambda: len(exemplars(s, where=at_hub)) == 3, 20, "exemplars at the hub")
    rows = exemplars(s, where=at_hub)
    own = exemplars(s)
    equal(tags(rows), [TRACE, "book", "fast"], "tags, the slowest first")
    equal(rows, own, "rows of the hub and of its one host")
    equal(exemplars(s, where={"hub": f"127.0.0.1:{rpc}"}), own, "rows by gRPC")
    api = f"http://127.0.0.1:{http}/api/v1/exemplars?window=total"
    equal(json.loads(s.http(api)[2]), rows, "rows of the HTTP API")
    equal(tags(json.loads(s.http(f"{api}&route=/book&service=shop")[2])), ["book"], "of a route")
    equal(tags(json.loads(s.http(f"{api}&limit=1")[2])), [TRACE], "the slowest alone")
    routes = api.replace("exemplars", "routes")
    equal({r["route"] for r in json.loads(s.http(f"{routes}&route=/book")[2])}, {"/book"},
          "routes of the HTTP API by name")
    status, _, body = s.http(f"{api}&all_hosts=1")
    equal(status, 400, "a parameter of other views")
    check("unknown parameter" in json.loads(body)["error"], f"error {body!r}")
    hub.kill()
    start_hub(s, rpc, http)
    equal(exemplars(s, where=at_hub), rows, "rows of the hub that came back")


main("exemplars")
