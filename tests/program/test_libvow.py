#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""libvow as others meet it: installed, linked both ways, in an application that sends webhooks."""
import re

from story import *

APPLICATION = """
#include <stdio.h>
#include <vow/vow.h>
#include <vow/shm.h>
int main(void)
{
	if (vow_open("installed") < 0)
		return 1;
	vow_id route = vow_route("GET /");
	for (int i = 0; i < 5000; i++)
		vow_observe(route, 1000, 200);
	vow_span_end(vow_span_begin(route), 404);
	vow_close();
	puts("fine");
	return 0;
}
"""

# A plugin of a program that lets go of it while a thread with a lane goes on.
UNLOADER = """
#include <dlfcn.h>
#include <pthread.h>
#include <stdio.h>
#include <vow/vow.h>
static void *library;
static pthread_barrier_t both;
static void *observer(void *arg)
{
	void (*observe)(vow_id, uint64_t, unsigned) = dlsym(library, "vow_observe");
	observe(0, 1000, 200);
	pthread_barrier_wait(&both);
	pthread_barrier_wait(&both);
	return arg;
}
int main(int argc, char **argv)
{
	pthread_t thread;
	library = argc > 1 ? dlopen(argv[1], RTLD_NOW) : NULL;
	if (!library)
		return 1;
	int (*open)(const char *) = dlsym(library, "vow_open");
	if (open("plugin") < 0)
		return 2;
	pthread_barrier_init(&both, NULL, 2);
	pthread_create(&thread, NULL, observer, NULL);
	pthread_barrier_wait(&both);
	dlclose(library);
	pthread_barrier_wait(&both);
	pthread_join(thread, NULL);
	puts("fine");
	return 0;
}
"""


# What links libvow, or loads it, is built for the same sanitizer as that.
SANITIZER = {"asan": ["-fsanitize=address,undefined"], "tsan": ["-fsanitize=thread"]}.get(MODE, [])


def install(s):
    prefix = s.dir("prefix")
    s.run("make", "-s", "-C", ROOT, "install-libvow", f"MODE={MODE}",
          f"PREFIX={prefix}", seconds=60)
    return prefix


def flags(s, prefix, *what):
    return s.run("pkg-config", *what, "vow",
                 env={"PKG_CONFIG_PATH": f"{prefix}/lib/pkgconfig"}).stdout.split()


@test
@needs("pkg-config", "gcc", "g++")
def installed_library_links_in_c_and_in_cpp_shared_and_static(s):
    prefix = install(s)
    source = s.write("application.c", APPLICATION)
    env = {"VOW_DIR": s.dir("nobody-there")}
    shared = [*flags(s, prefix, "--cflags"), source, *flags(s, prefix, "--libs"),
              f"-Wl,-rpath,{prefix}/lib"]
    static = [*flags(s, prefix, "--cflags"), source, f"{prefix}/lib/libvow.a", "-pthread"]
    for name, compiler in (("c99", ["gcc", "-std=c99", "-pedantic", "-Werror"]),
                           ("cpp17", ["g++", "-x", "c++", "-std=c++17", "-pedantic", "-Werror"])):
        for kind, arguments in (("shared", shared), ("static", static)):
            program = s.path(f"{name}-{kind}")
            # With -x c++ the archive would be read as source, too.
            at = arguments.index(source) + 1
            plain = ["-x", "none"] if "-x" in compiler else []
            s.run(*compiler, *SANITIZER, *arguments[:at], *plain, *arguments[at:], "-o", program)
            equal(s.run(program, env=env).stdout.strip(), "fine", f"{name}, {kind}")


def examples(s, prefix):
    """The programs of docs/libvow.md, built as it says: (first line in the page, program)."""
    with open(f"{ROOT}/docs/libvow.md", encoding="utf-8") as page:
        text = page.read()
    for found in re.finditer(r"^```c\n(.*?)^```$", text, re.M | re.S):
        line = text.count("\n", 0, found.start()) + 2
        source = s.write(f"page-{line}.c", f'#line {line} "docs/libvow.md"\n{found.group(1)}')
        program = s.path(f"page-{line}")
        s.run("gcc", *SANITIZER, "-Wall", "-Wextra", "-Werror", *flags(s, prefix, "--cflags"),
              source, *flags(s, prefix, "--libs"), f"-Wl,-rpath,{prefix}/lib", "-pthread",
              "-o", program)
        yield line, program


@test
@needs("pkg-config", "gcc", "vowd", "vow")
def every_example_of_the_page_is_a_program_that_does_what_it_says(s):
    s.write("run/vow.yaml", "capture: {http: false, host: false}\n")
    run = s.dir("run")
    s.start(s.program("vowd"), "--dir", run)
    s.until(lambda: s.vow("status", dir=run), 10, "answer of vowd")
    programs = list(examples(s, install(s)))
    at_least(len(programs), 7, "examples")
    for _, program in programs:
        s.run(program, env={"VOW_DIR": s.dir("nobody-there")}, status=0)
        s.run(program, env={"VOW_DIR": run}, status=0)

    def counted():
        rows = s.vow("routes", "--total", dir=run)
        return {(r["service"], r["kind"], r["route"], r["status_class"]): r["count"] for r in rows}
    expected = {("shop", "app", "POST /payments", "2xx"): 1,
                ("shop", "app", "POST /payments", "5xx"): 1,
                ("shop", "app", "GET /availability", "2xx"): 4, ("shop", "app", "GET /", "2xx"): 2,
                ("worker", "attempt", "invoice.paid", "2xx"): 1,
                ("worker", "delivery", "invoice.paid", "2xx"): 1}
    s.until(lambda: equal(counted(), expected, "rows") or True, 10, "what the examples observed")
    delivery = s.vow("deliveries", "--total", dir=run)[0]
    equal((delivery["delivered"], delivery["endpoint"]), (1, "https://hooks.example.com/in"),
          "delivery")
    equal({r["tag"] for r in s.vow("exemplars", "--total", dir=run)},
          {"4bf92f3577b34da6a3ce929d0e0e4736", "4711"}, "tags")


@test
@needs("gcc")
def threads_outlive_a_library_that_was_unloaded(s):
    program = s.path("unloader")
    source = s.write("unloader.c", UNLOADER)
    s.run("gcc", *SANITIZER, "-I", f"{ROOT}/include", source, "-o", program, "-pthread")
    env = {"VOW_DIR": s.dir("nobody-there")}
    equal(s.run(program, f"{BUILD}/libvow.so.0", env=env).stdout.strip(), "fine", "the program")


@test
@needs("nm")
def only_names_of_vow_are_visible(s):
    shared = s.run("nm", "-D", "--defined-only", f"{BUILD}/libvow.so").stdout.split("\n")
    # What is absolute is the linker's: the name of a version.
    names = [line.split()[2].split("@")[0] for line in shared
             if len(line.split()) == 3 and line.split()[1] != "A"]
    check("vow_observe" in names, "vow_observe is visible")
    equal([n for n in names if not n.startswith("vow_")], [], "foreign names in libvow.so")
    if MODE == "release":
        static = s.run("nm", "-g", "--defined-only", f"{BUILD}/libvow.a").stdout.split("\n")
        names = [line.split()[2] for line in static if len(line.split()) == 3]
        equal([n for n in names if not n.startswith("vow_")], [], "foreign names in libvow.a")


@test
@needs("vowd", "vow")
def each_webhook_ends_once_in_what_the_agent_tells(s):
    s.write("run/vow.yaml", "capture: {http: false, host: false}\n")
    run = s.dir("run")
    s.start(s.program("vowd"), "--dir", run)
    s.until(lambda: s.vow("status", dir=run), 10, "answer of vowd")
    receiver = s.start(s.program("examples/webhook_receiver"))
    s.until(lambda: "listening on" in receiver.log(), 5, "the receiver's address")
    address = receiver.log().split("listening on ")[1].split()[0]
    worker = s.start(s.program("examples/webhook_worker"), "--url", f"http://{address}",
                     "--count", "400", "--rate", "200", env={"VOW_DIR": run})
    equal(worker.wait(60), 0, "status of the worker")
    words = worker.log().split("enqueued")[-1].split()
    told = dict(zip(["enqueued", *words[1::2]], map(int, words[::2])))
    equal(told["enqueued"], 400, "webhooks enqueued")

    def counted(kind):
        rows = [r for r in s.vow("routes", "--total", dir=run) if r["kind"] == kind]
        return {m: sum(r["count"] for r in rows if r["method"] == m)
                for m in {r["method"] for r in rows}}

    s.until(lambda: sum(counted("delivery").values()) == 400, 5, "400 outcomes")
    outcomes = counted("delivery")
    for outcome in ("delivered", "failed", "dead_lettered"):
        equal(outcomes.get(outcome, 0), told[outcome], f"deliveries {outcome}")
        at_least(told[outcome], 1, f"the sample has some {outcome}")
    s.ticks_later(dir=run)
    equal(sum(counted("attempt").values()), told["attempts"], "attempts")
    equal(sum(counted("delivery").values()), 400, "outcomes in all, a second look")


main("libvow")
