# SPDX-License-Identifier: Apache-2.0
"""Connections without end: what the agent and the kernel keep of each goes with it.

VOW_SOAK says how many (`make soak`: a million); without it there are 20,000."""
import glob
import re
import subprocess

from capture import *

CONNECTIONS = int(os.environ.get("VOW_SOAK") or 20_000)
REQUESTS = 2  # over each


def map_bytes(agent):
    """What the kernel accounts to all BPF maps of the process."""
    total = 0
    for info in glob.glob(f"/proc/{agent.program.pid}/fdinfo/*"):
        with contextlib.suppress(OSError), open(info, encoding="ascii") as text:
            lines = text.read()
            if "map_type" in lines:
                total += int(re.search(r"^memlock:\s+(\d+)", lines, re.M).group(1))
    return total


def open_now(agent):
    """Connections of which the capture keeps something, those of others on this machine included."""
    return next(g["value"] for g in agent.story.vow("status", dir=agent.run)["gauges"]
                if g["name"] == "http_connections")


def lost(agent):
    """Requests that were seen, of whomever, and not reported."""
    return sum(agent.collector()["drops_total"].values())


@test
@needs("bpf")
def memory_stays_as_it_is_over_all_connections(s):
    port = s.port()
    agent = Agent(s, "soak", port, more="  - name: soak\n    match: {command: soak}\n")
    before = s.until(lambda: open_now(agent) + 1, 10, "first sweep") - 1
    load = subprocess.Popen([s.program("tests/soak"), str(CONNECTIONS), str(REQUESTS), str(port)],
                            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    s.defer(load.wait)
    s.defer(load.kill)
    resident, maps = [], []
    for line in load.stdout:
        done = int(line.split()[0])
        s.until(lambda: agent.count() + lost(agent) >= done * REQUESTS, 30,
                f"requests of {done} connections")
        resident.append(agent.program.rss_bytes())
        maps.append(map_bytes(agent))
        load.stdin.write("\n")
        load.stdin.flush()
    equal(load.wait(), 0, "status of the load")
    print(f"# {CONNECTIONS} connections: resident {resident[0] >> 10} to {max(resident) >> 10} KiB, "
          f"maps {maps[0] >> 10} to {max(maps) >> 10} KiB, {lost(agent)} drops")
    at_most(agent.count(), CONNECTIONS * REQUESTS, "requests counted")
    if lost(agent) == 0:
        equal(agent.count(), CONNECTIONS * REQUESTS, "requests counted")
    check(maps[0] > 0, "no map is accounted for")
    at_most(max(maps) - maps[0], 64 << 10, "growth of the kernel's maps")
    if MODE not in ("asan", "tsan"):
        at_most(max(resident[5:]) - max(resident[:5]), 2 << 20, "growth of the agent's memory")
    # Each socket took along what was known of it; a few that others have opened may be there.
    s.until(lambda: open_now(agent) <= before + CONNECTIONS // 20, 10, "state of sockets to be gone")


main("soak")
