# SPDX-License-Identifier: Apache-2.0
"""The layers that tests stand on: a failure must be seen, a hang must end, nothing may be left."""
import re
import signal
import sys

from story import *


def run_tests_with(s, body, limit=None):
    """scripts/run-tests over a tree of its own with one program test of this body."""
    tree = s.dir("tree")
    for folder in ("scripts", "tests/program", "tests/unit"):
        os.makedirs(f"{tree}/{folder}")
    for file in ("scripts/run-tests", "tests/program/story.py"):
        os.symlink(f"{ROOT}/{file}", f"{tree}/{file}") if file.endswith("py") else \
            s.run("cp", f"{ROOT}/{file}", f"{tree}/{file}")
    head = f"# limit: {limit} s\n" if limit else ""
    s.write("tree/tests/program/test_it.py", f"{head}from story import *\n{body}\nmain('it')\n")
    return s.run(sys.executable, f"{tree}/scripts/run-tests", "program", status=None,
                 env={"VOW_BUILD": s.dir("build"), "TMPDIR": s.dir("tmp")})


def units(s, **scripts):
    """A tree of its own with unit tests that are shell scripts; what runs them, by an environment."""
    s.write("tree/scripts/run-tests", "")
    s.run("cp", f"{ROOT}/scripts/run-tests", s.path("tree/scripts/run-tests"))
    for name, script in scripts.items():
        s.write(f"tree/tests/unit/test_{name}.c", "")
        os.chmod(s.write(f"build/tests/test_{name}", f"#!/bin/sh\n{script}\n"), 0o755)
    return ((sys.executable, s.path("tree/scripts/run-tests"), "unit"),
            {"VOW_BUILD": s.dir("build"), "MEET": s.dir("meet")})


@test
def failures_and_skips_are_counted_and_named(s):
    done = run_tests_with(s, """
@test
def good(s): equal(1, 1, 'one')
@test
def bad(s): equal(1, 2, 'one')
@test
def odd(s): {}['missing']
@test
def lazy(s): skip('no moon tonight')
@test
@needs('vow-unbuilt')
def early(s): pass
@test
@needs('no-such-command')
def bare(s): pass
""")
    equal(done.returncode, 1, "exit status")
    equal(done.stdout.splitlines()[-1], "1 passed, 3 failed, 2 skipped", "last line")
    check("failed:  it.bad - line 6: one: is 1, expected 2" in done.stdout, done.stdout)
    check("skipped: it.lazy - no moon tonight" in done.stdout, done.stdout)
    check("skipped: it.bare - no-such-command is not installed" in done.stdout, done.stdout)
    check("failed:  it.early - " in done.stdout, done.stdout)
    check("vow-unbuilt is not built" in done.stdout, done.stdout)


@test
def the_end_of_a_run_tells_what_failed_and_what_it_said_last(s):
    done = run_tests_with(s, """
@test
def early(s):
    program = s.start('/bin/sh', '-c', 'for n in $(seq 99); do echo "word $n"; done', name='chatter')
    program.wait()
    fail('no moon')
@test
def late(s):
    for n in range(200): print('nothing of interest')
""")
    words = [f"       | #   word {n}" for n in range(85, 100)]
    equal(done.stdout.splitlines()[-17:],
          ["failed:  it.early - line 7: no moon", *words, "1 passed, 1 failed"], "last lines")


def ci_with(s, **steps):
    """The end of .ci/run when its make has these targets, as lines."""
    tree = s.dir("tree")
    s.run("mkdir", "-p", f"{tree}/.ci", f"{tree}/tests", f"{tree}/scripts")
    s.run("cp", f"{ROOT}/.ci/run", f"{tree}/.ci/run")
    with open(s.path("tree", "tests", "expected-skips.txt"), "a", encoding="ascii"):
        pass
    s.run("ln", "-sf", "/bin/true", f"{tree}/scripts/setup")
    texts = {"all": "@:", "lint": "@:", "test": "@echo 2 passed, 0 failed", **steps}
    for name in ("asan", "tsan", "fuzz"):
        texts.setdefault(name, "@echo 1 passed, 0 failed")
    s.write("tree/Makefile", "".join(f"{name}:\n\t{text}\n" for name, text in texts.items()))
    done = s.run(f"{tree}/.ci/run", status=None)
    lines = done.stdout.splitlines()
    equal(done.returncode, 0 if " 0 failed" in lines[-1] else 1, "exit status")
    return lines


@test
def ci_that_is_green_ends_with_its_count(s):
    lines = ci_with(s)
    # Steps without tests of their own: setup, lint, gcc, idle, clang.
    equal(lines[-1], "10 passed, 0 failed", "last line")


@test
def ci_that_fails_ends_with_the_causes(s):
    s.write("tree/words", "failed:  hub.late - line 7: no moon\n       | # word\n3 passed, 1 failed\n")
    noise = "for n in $$(seq 200); do echo word $$n; done; exit 1"
    lines = ci_with(s, lint=f"@{noise}", tsan=f"@echo; seq 200; cat {s.path('tree/words')}; exit 1")
    equal(lines[-1], "11 passed, 2 failed", "last line")
    end = lines[-100:]
    at = end.index("--- build/ci/tsan.log")
    equal(end[at + 1:at + 3], ["failed:  hub.late - line 7: no moon", "       | # word"], "cause")
    at = end.index("--- build/ci/lint.log")
    check("word 200" in end[at:at + 16], f"end of a step without tests: {end[at:]}")


@test
def ci_fails_at_a_skip_that_is_not_expected_of_that_step(s):
    s.write("tree/tests/expected-skips.txt", "tsan it.lazy # no moon there\n")
    skipped = "@echo 'skipped: it.lazy - no moon'; echo 1 passed, 0 failed, 1 skipped"
    equal(ci_with(s, tsan=skipped)[-1], "10 passed, 0 failed, 1 skipped", "a skip of that step")
    equal(ci_with(s, asan=skipped)[-1], "10 passed, 1 failed, 1 skipped", "the same of another")


@test
def all_good_ends_with_zero(s):
    done = run_tests_with(s, "@test\ndef good(s): pass")
    equal(done.returncode, 0, "exit status")
    equal(done.stdout.splitlines()[-1], "1 passed, 0 failed", "last line")


@test
def a_test_that_dies_silently_is_a_failure(s):
    done = run_tests_with(s, "@test\ndef gone(s): os._exit(0)")
    equal(done.stdout.splitlines()[-1], "0 passed, 1 failed", "last line")
    check("ran no test" in done.stdout, done.stdout)


@test
def a_hanging_test_ends_with_all_it_started(s):
    pid_file = s.path("pid")
    done = run_tests_with(s, f"""
@test
def hang(s):
    program = s.start('sleep', '1000')
    open({pid_file!r}, 'w').write(str(program.pid))
    program.wait(1000)
""", limit=1)
    equal(done.stdout.splitlines()[-1], "0 passed, 1 failed", "last line")
    check("did not end within 1 s" in done.stdout, done.stdout)
    check("# line 8: it.hang was ended here" in done.stdout, f"where it hung: {done.stdout}")
    pid = open(pid_file, encoding="ascii").read()
    check(not os.path.exists(f"/proc/{pid}"), f"pid {pid} still runs")


@test
def unit_tests_run_at_once_and_are_told_in_their_order(s):
    if len(os.sched_getaffinity(0)) < 2:
        skip("one processor, so one test at a time")
    meets = ("touch $MEET/{}; for n in $(seq 200); do [ -e $MEET/{} ] && echo ok it.{} && exit; "
             "sleep 0.1; done; echo not ok it.{} - alone")
    argv, env = units(s, a=f"sleep 0.3; {meets.format('a', 'b', 'a', 'a')}",
                      b=meets.format("b", "a", "b", "b"), c="echo not ok it.c - so it is")
    done = s.run(*argv, env=env, status=1)
    equal(done.stdout.splitlines()[-1], "2 passed, 1 failed", f"last line of {done.stdout}")
    equal(re.findall(r"^  (?:ok|FAIL) +(test_\w)", done.stdout, re.M), ["test_a", "test_b", "test_c"],
          "order")
    check("failed:  it.c - so it is" in done.stdout, done.stdout)


@test
def an_interrupted_run_ends_what_it_began_and_begins_no_more(s):
    hangs = "echo $$ > $MEET/{}; exec sleep 1000"
    argv, env = units(s, **{name: hangs.format(name) for name in "abcdefgh"})
    run = s.start(*argv, env=env)
    s.until(lambda: any(os.path.getsize(s.path("meet", name)) for name in os.listdir(s.dir("meet"))),
            10, "a unit test")
    time.sleep(0.1)  # the others that run at once with it
    run.signal(signal.SIGINT)
    equal(run.wait(), 130, "exit status")
    began = os.listdir(s.dir("meet"))
    at_most(len(began), len(os.sched_getaffinity(0)), "tests that were begun")
    for name in began:
        with open(s.path("meet", name), encoding="ascii") as pid:
            check(not os.path.exists(f"/proc/{pid.read().strip()}"), f"{name} still runs")


REPORTED = {"asan": {"leak", "overflow"}, "tsan": {"race"}}.get(MODE, set())


@test
def a_program_with_a_sanitizer_report_fails_its_test_however_it_ended(s):
    program = f"{BUILD}/tests/faulty"
    done = run_tests_with(s, "\n".join(f"""
@test
def {fault}(s): s.run('/bin/sh', '-c', '{program} {fault} 2>/dev/null; exit 0')
@test
def {fault}_at_the_end(s):
    program = s.start('/bin/sh', '-c', 'trap "{program} {fault}; exit 0" TERM; echo ready; '
                      'while :; do sleep 0.1; done')
    s.until(lambda: 'ready' in program.log(), 10, 'a program that waits for its end')
""" for fault in ("leak", "overflow", "race")))
    failed = {line.split()[1].split(".")[1] for line in done.stdout.splitlines()
              if line.startswith("failed: ")}
    expected = {name for fault in REPORTED for name in (fault, f"{fault}_at_the_end")}
    equal(failed, expected, f"tests failed by what {MODE} reports")


@test
def a_report_in_what_a_test_printed_is_a_failure(s):
    report = "SUMMARY: AddressSanitizer: 100 byte(s) leaked in 1 allocation(s)."
    done = run_tests_with(s, f"@test\ndef good(s): print('{report}')")
    equal(done.stdout.splitlines()[-1], "1 passed, 1 failed", "last line")
    check(f"failed:  test_it - {report}" in done.stdout, done.stdout)


@test
def a_failing_unit_check_names_file_line_and_values(s):
    source = s.write("t.c", """
#include "tests/unit/check.h"
CHECK_TEST(test_wrong) { CHECK_EQ_U64(1 + 1, 3); CHECK_FAIL("not reached"); }
CHECK_TEST(test_right) { CHECK_STR("a", "a"); }
CHECK_TEST(test_later) { SKIP("not today"); }
CHECK_MAIN("t", test_wrong, test_right, test_later)
""")
    with open(f"{ROOT}/tests/unit/check.c", encoding="utf-8") as check_c:
        wrap = [f"-Wl,--wrap={f}" for f in set(re.findall(r"__wrap_(\w+)", check_c.read()))]
    s.run("cc", "-std=gnu17", "-D_GNU_SOURCE", "-iquote", ROOT, *wrap, source,
          f"{ROOT}/tests/unit/check.c", "-lcunit", "-lm", "-pthread", "-o", s.path("t"))
    done = s.run(s.path("t"), status=1)
    equal(done.stdout.splitlines(),
          [f"not ok t.test_wrong - {source[:100]}:3: 1 + 1 is 2, expected == 3",
           "ok t.test_right", "skip t.test_later - not today"], "lines")


def floors_with(s, files):
    """What scripts/check-includes says about a tree of these files, as lines."""
    tree = s.dir("tree")
    for path, text in files.items():
        s.write(f"tree/{path}", text)
    s.run("git", "-C", tree, "init", "-q")
    done = s.run("sh", "-c", f"cd {tree} && {ROOT}/scripts/check-includes {ROOT}/scripts/floors.txt",
                 status=None)
    equal(done.returncode, 1 if done.stdout else 0, "exit status")
    return done.stdout.splitlines()


@test
@needs("git")
def includes_that_go_up_or_past_a_door_are_named(s):
    told = floors_with(s, {
        "lib/base/a.h": "", "lib/data/b.h": "", "view/v.h": "", "deliver/d.h": "",
        "include/vow/vow.h": "", "rpc/runtime.h": "#include <grpc/grpc.h>\n",
        "lib/base/up.c": '#include "lib/data/b.h"\n',
        "lib/data/door.c": "#include <string.h>\n#include <uv.h>\n",
        "deliver/side.c": '#include "view/v.h"\n',
        "agent/shown.c": '#include "rpc/runtime.h"\n',
        "cli/lost.c": '#include "a.h"\n',
        "odd/place.c": '#include "lib/base/a.h"\n',
    })
    equal([line.split(":")[0] for line in told],
          ["agent/shown.c", "cli/lost.c", "deliver/side.c", "lib/base/up.c", "lib/data/door.c",
           "odd/place.c"], "files named")
    check("lib/data/door.c:2: <uv.h> belongs behind lib/base/loop.c" in told, told)


@test
@needs("git")
def includes_that_go_down_or_stay_are_fine(s):
    equal(floors_with(s, {
        "lib/base/a.h": "", "lib/data/b.h": '#include "lib/base/a.h"\n', "include/vow/vow.h": "",
        "lib/base/loop.c": "#include <uv.h>\n#include <poll.h>\n",
        "agent/c.c": '#include <vow/vow.h>\n#include "lib/data/b.h"\n',
    }), [], "lines")


@test
def setup_names_what_lacks_and_how_to_get_it(s):
    # As if libuv were not there: dpkg's answer without its line.
    s.write("bin/dpkg-query", "#!/bin/sh\n/usr/bin/dpkg-query \"$@\" | grep -v ' libuv1-dev$'\n")
    os.chmod(s.path("bin/dpkg-query"), 0o755)
    done = s.run(f"{ROOT}/scripts/setup", "--check", "build", status=3,
                 env={"PATH": s.dir("bin") + ":" + os.environ["PATH"]})
    check("  libuv1-dev             build: event loop\n" in done.stdout, done.stdout)
    check("setup: install with: sudo apt-get install" in done.stdout, done.stdout)
    equal(s.run(f"{ROOT}/scripts/setup", "--check", "build").stdout, "", "output when all is there")


@test
@needs("nginx", "wrk")
def nginx_logs_every_request_of_wrk(s):
    web = s.nginx("location / { return 200 'ok'; }")
    load = s.wrk(web.url("/"), connections=2, seconds=1)
    at_least(load["requests"], 100, "requests")
    equal(load["errors"] + load["not_2xx"], 0, "errors")
    equal(web.stop(), 0, "exit status")
    with open(web.access_log, encoding="ascii") as log:
        lines = len(log.readlines())
    # wrk cuts its connections at the end: one request each may be served and not counted by it.
    at_least(lines, load["requests"], "lines")
    at_most(lines, load["requests"] + 2, "lines")


@test
@needs("node")
def node_answers(s):
    web = s.node("""require('http').createServer((q, a) => a.end('hi'))
                    .listen(process.env.PORT, '127.0.0.1')""")
    equal(s.http(web.url())[2], b"hi", "body")


main("house")
