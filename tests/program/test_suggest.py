# SPDX-License-Identifier: Apache-2.0
"""Route templates out of real traffic: what `vow routes suggest` writes is a configuration under which
the same traffic has the routes that were meant."""
import http.client

from capture import *

USERS = [f"user-{chr(97 + i // 5)}{chr(97 + i % 5)}" for i in range(20)]
PATHS = ([f"/api/orders/{n}/items" for n in range(1, 31)] + [f"/users/{name}/page" for name in USERS] +
         ["/api/orders/open/items"] * 3 + ["/health"] * 4 + [f"/img/{n}.png" for n in range(5)])


def ask_all(web):
    connection = http.client.HTTPConnection("127.0.0.1", web.port, timeout=100)
    for path in PATHS:
        connection.request("GET", path)
        equal(connection.getresponse().read(), b"ok", path)
    connection.close()


@test
@needs("bpf", "nginx")
def templates_that_are_suggested_name_the_same_traffic(s):
    web = s.nginx("location / { return 200 'ok'; }")
    agent = Agent(s, "shop", web.port)
    ask_all(web)
    s.until(lambda: agent.count() == len(PATHS), 10, "requests")
    found = s.vow("routes", "suggest", "--service", "shop", dir=agent.run)
    rows = {row["template"]: row for row in found["templates"]}
    equal({t: (r["reason"], r["count"], r["routes"]) for t, r in rows.items()},
          {"/api/orders/open/items": ("word", 3, 1), "/api/orders/{id}/items": ("shape", 30, 1),
           "/users/{name}/page": ("names", 20, 20), "/img/{file}": ("shape", 5, 1)}, "templates")
    equal((found["count"], found["other"]), (len(PATHS), 0), "requests")

    text = s.run(s.program("vow"), "--dir", agent.run, "routes", "suggest", "-s", "shop").stdout
    check("20 routes become one" in text, text)
    agent.program.stop()
    with open(f"{agent.run}/vow.yaml", encoding="ascii") as old:
        match = old.read().partition("\n")[2]
    s.write("run/vow.yaml", text + match)
    s.run(s.program("vow"), "--dir", agent.run, "config", "check")
    agent.program = s.start(s.program("vowd"), "--dir", agent.run)
    s.until(lambda: agent.collector()["tier"] == "A", 10, "capture")
    ask_all(web)
    s.until(lambda: agent.count() == 2 * len(PATHS), 10, "requests again")
    routes = {row["route"]: row["count"] for row in agent.routes()}
    equal({t: routes[t] for t in ("/users/{name}/page", "/img/{file}", "/api/orders/{id}/items",
                                  "/api/orders/open/items", "/health")},
          {"/users/{name}/page": 20, "/img/{file}": 5, "/api/orders/{id}/items": 60,
           "/api/orders/open/items": 6, "/health": 8}, "requests by route under the templates")


@test
@needs("vowd")
def without_traffic_nothing_is_suggested(s):
    run = s.dir("run")
    s.write("run/vow.yaml", "capture: {http: false}\n")
    s.start(s.program("vowd"), "--dir", run)
    found = s.until(lambda: s.vow("routes", "suggest", dir=run), 10, "answer")
    equal(found, {"templates": [], "count": 0, "other": 0}, "suggestion")
    s.run(s.program("vow"), "--dir", run, "routes", "sugest", status=2)


main("suggest")
