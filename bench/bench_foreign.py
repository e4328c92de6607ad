#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""One observation beside those of LTTng-UST and prometheus-cpp, from Debian, where installed
(scripts/setup bench). Their programs are in bench/peers and compiled here."""
import os
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
BUILD = os.environ.get("VOW_BUILD", os.path.join(os.path.dirname(HERE), "build", "release"))


def run(*argv, **more):
    return subprocess.run(argv, capture_output=True, text=True, timeout=60, check=True,
                          stdin=subprocess.DEVNULL, **more).stdout


def compile_peer(folder, compiler, source, *libraries):
    """Path of the program, or None where the package is not installed."""
    program = os.path.join(folder, os.path.splitext(source)[0])
    try:
        run(compiler, "-O2", "-I", os.path.dirname(HERE), f"{HERE}/peers/{source}", "-o", program, *libraries)
    except (OSError, subprocess.CalledProcessError):
        return None
    return program


def lttng(folder):
    """ns for one event into a session of this run alone; its daemon's files are all in folder."""
    program = compile_peer(folder, "gcc", "lttng.c", "-llttng-ust", "-ldl")
    if not program:
        return None
    env = dict(os.environ, LTTNG_HOME=folder, HOME=folder)
    daemon = None
    try:
        daemon = subprocess.Popen(["lttng-sessiond", "--no-kernel", "--quiet"], env=env,
                                  stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                                  stderr=subprocess.DEVNULL)
        for tries in range(20):
            try:
                run("lttng", "--no-sessiond", "create", "vow-bench", "--snapshot", env=env)
                break
            except subprocess.CalledProcessError:
                if tries == 19:
                    raise
                run("sleep", "0.2")
        run("lttng", "--no-sessiond", "enable-event", "--userspace", "vow_bench:*", env=env)
        run("lttng", "--no-sessiond", "start", env=env)
        return float(run(program, env=dict(env, LTTNG_UST_REGISTER_TIMEOUT="3000")))
    except (OSError, subprocess.SubprocessError, ValueError):
        return None
    finally:
        if daemon:
            daemon.terminate()
            daemon.wait(20)


def prometheus(folder):
    program = compile_peer(folder, "g++", "prometheus.cc", "-lprometheus-cpp-core", "-pthread")
    return float(run(program, "1")) if program else None


def row(peer, ours, its, limit):
    if its is None:
        print(f"# lane.observe beside {peer}: skipped, it is not installed or does not run here")
    else:
        print(f"lane.observe\t{ours:.2f}\tns\t{peer}\t{its:.2f}\t{ours / its:.3f}\t{limit:.3f}",
              flush=True)


def main():
    ours = float(run(os.path.join(BUILD, "bench_peers"), "observe"))
    with tempfile.TemporaryDirectory(prefix="vow-bench-") as folder:
        row("LTTng-UST", ours, lttng(folder), 0.05)
        row("prometheus-cpp", ours, prometheus(folder), 0.2)


sys.exit(main())
