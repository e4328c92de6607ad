/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/check.h"

#include <CUnit/CUnit.h>
#include <CUnit/TestDB.h>
#include <CUnit/TestRun.h>
#include <errno.h>
#include <ftw.h>
#include <math.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

/* Of the running test; the failure may come from any of its threads, the first one is kept. */
static struct {
	pthread_t thread;
	pthread_mutex_t lock;
	char failure[1024]; /* "" while nothing failed */
	const char *skip;
	char dir[256]; /* "" while none was asked for */
} running = {.lock = PTHREAD_MUTEX_INITIALIZER};

static unsigned failed_tests;

/* --- checks --- */

void check_fail(const char *file, int line, const char *format, ...)
{
	char what[900];
	va_list args;

	va_start(args, format);
	vsnprintf(what, sizeof(what), format, args);
	va_end(args);
	pthread_mutex_lock(&running.lock);
	if (!running.failure[0])
		snprintf(running.failure, sizeof(running.failure), "%.100s:%d: %s", file, line,
			 what);
	pthread_mutex_unlock(&running.lock);
	/* CUnit keeps its records without a lock and leaves by longjmp: both only in its thread. */
	if (pthread_equal(pthread_self(), running.thread))
		CU_assertImplementation(CU_FALSE, (unsigned)line, what, file, "", CU_TRUE);
}

void check_skip(const char *reason)
{
	running.skip = reason;
	longjmp(*CU_get_current_test()->pJumpBuf, 1);
}

void check_true(const char *file, int line, bool good, const char *text)
{
	if (!good)
		check_fail(file, line, "not true: %s", text);
}

/* Names an errno; other numbers are outcomes of the function and stay numbers. */
static const char *rc_text(int rc, char *buf, size_t size)
{
	const char *name = rc < 0 ? strerrorname_np(-rc) : NULL;

	if (name)
		snprintf(buf, size, "-%s", name);
	else
		snprintf(buf, size, "%d", rc);
	return buf;
}

void check_rc(const char *file, int line, int rc, int expected, const char *text)
{
	char got[32], want[32];

	if (rc != expected)
		check_fail(file, line, "%s is %s, expected %s", text, rc_text(rc, got, sizeof(got)),
			   rc_text(expected, want, sizeof(want)));
}

void check_ok(const char *file, int line, int rc, const char *text)
{
	check_rc(file, line, rc, 0, text);
}

void check_u64(const char *file, int line, uint64_t a, const char *relation, uint64_t b,
	       const char *text)
{
	bool good = relation[0] == '=' ? a == b : relation[0] == '<' ? a <= b : a >= b;

	if (!good)
		check_fail(file, line, "%s is %llu, expected %s %llu", text, (unsigned long long)a,
			   relation, (unsigned long long)b);
}

void check_i64(const char *file, int line, int64_t a, int64_t b, const char *text)
{
	if (a != b)
		check_fail(file, line, "%s is %lld, expected %lld", text, (long long)a,
			   (long long)b);
}

void check_near(const char *file, int line, double a, double b, double tolerance, const char *text)
{
	if (!(fabs(a - b) <= tolerance))
		check_fail(file, line, "%s is %.17g, expected %.17g within %g", text, a, b,
			   tolerance);
}

void check_str(const char *file, int line, const char *a, const char *b, const char *text)
{
	if (!a || !b || strcmp(a, b) != 0)
		check_fail(file, line, "%s is \"%.300s\", expected \"%.300s\"", text,
			   a ? a : "(null)", b ? b : "(null)");
}

void check_str_has(const char *file, int line, const char *a, const char *b, const char *text)
{
	if (!a || !b || !strstr(a, b))
		check_fail(file, line, "%s is \"%.300s\", expected \"%.300s\" in it", text,
			   a ? a : "(null)", b ? b : "(null)");
}

void check_mem(const char *file, int line, const void *a, const void *b, size_t size,
	       const char *text)
{
	const unsigned char *x = a, *y = b;

	for (size_t i = 0; i < size; i++) {
		if (x[i] == y[i])
			continue;
		check_fail(file, line, "%s: byte %zu of %zu is 0x%02x, expected 0x%02x", text, i,
			   size, x[i], y[i]);
		return;
	}
}

/* --- scratch folder --- */

const char *check_dir(void)
{
	const char *base = getenv("TMPDIR");

	if (running.dir[0])
		return running.dir;
	snprintf(running.dir, sizeof(running.dir), "%s/vow-check-XXXXXX", base ? base : "/tmp");
	if (!mkdtemp(running.dir)) {
		running.dir[0] = '\0';
		check_fail(__FILE__, __LINE__, "no scratch folder: %s", strerror(errno));
	}
	return running.dir;
}

static int dir_remove_entry(const char *path, const struct stat *st, int kind, struct FTW *ftw)
{
	(void)st;
	(void)kind;
	(void)ftw;
	return remove(path);
}

static void dir_remove(void)
{
	if (running.dir[0])
		nftw(running.dir, dir_remove_entry, 16, FTW_DEPTH | FTW_PHYS);
	running.dir[0] = '\0';
}

/* --- allocations that fail: the linker sends those of our objects here (--wrap) --- */

static __thread unsigned alloc_countdown;
static __thread bool alloc_hit, alloc_lasts;

void check_alloc_fail_at(unsigned n)
{
	alloc_countdown = n;
	alloc_hit = alloc_lasts = false;
}

void check_alloc_fail_from(unsigned n)
{
	check_alloc_fail_at(n);
	alloc_lasts = true;
}

bool check_alloc_failed(void)
{
	return alloc_hit;
}

bool check_alloc_next(unsigned *n)
{
	bool go_on = *n == 0 || alloc_hit;

	check_alloc_fail_at(go_on ? ++*n : 0);
	return go_on;
}

static bool alloc_fails(void)
{
	if (alloc_countdown == 0 || --alloc_countdown > 0)
		return false;
	alloc_countdown = alloc_lasts;
	alloc_hit = true;
	errno = ENOMEM;
	return true;
}

void *__real_malloc(size_t size);
void *__real_calloc(size_t count, size_t size);
void *__real_realloc(void *old, size_t size);
void *__real_aligned_alloc(size_t alignment, size_t size);
char *__real_strdup(const char *text);
char *__real_strndup(const char *text, size_t size);
void *__real_mmap(void *at, size_t size, int prot, int flags, int fd, off_t offset);
int __real_madvise(void *at, size_t size, int advice);
int __real_memfd_create(const char *name, unsigned flags);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t count, size_t size);
void *__wrap_realloc(void *old, size_t size);
void *__wrap_aligned_alloc(size_t alignment, size_t size);
char *__wrap_strdup(const char *text);
char *__wrap_strndup(const char *text, size_t size);
void *__wrap_mmap(void *at, size_t size, int prot, int flags, int fd, off_t offset);
int __wrap_madvise(void *at, size_t size, int advice);
int __wrap_memfd_create(const char *name, unsigned flags);

void *__wrap_malloc(size_t size)
{
	return alloc_fails() ? NULL : __real_malloc(size);
}

void *__wrap_calloc(size_t count, size_t size)
{
	return alloc_fails() ? NULL : __real_calloc(count, size);
}

void *__wrap_realloc(void *old, size_t size)
{
	return alloc_fails() ? NULL : __real_realloc(old, size);
}

void *__wrap_aligned_alloc(size_t alignment, size_t size)
{
	return alloc_fails() ? NULL : __real_aligned_alloc(alignment, size);
}

char *__wrap_strdup(const char *text)
{
	return alloc_fails() ? NULL : __real_strdup(text);
}

char *__wrap_strndup(const char *text, size_t size)
{
	return alloc_fails() ? NULL : __real_strndup(text, size);
}

void *__wrap_mmap(void *at, size_t size, int prot, int flags, int fd, off_t offset)
{
	return alloc_fails() ? MAP_FAILED : __real_mmap(at, size, prot, flags, fd, offset);
}

/* The other pieces of advice are a favour that nobody relies on. */
int __wrap_madvise(void *at, size_t size, int advice)
{
	if ((advice == MADV_POPULATE_WRITE || advice == MADV_WIPEONFORK) && alloc_fails())
		return -1;
	return __real_madvise(at, size, advice);
}

int __wrap_memfd_create(const char *name, unsigned flags)
{
	return alloc_fails() ? -1 : __real_memfd_create(name, flags);
}

/* --- running --- */

static void test_begins(const CU_pTest test, const CU_pSuite suite)
{
	(void)test;
	(void)suite;
	running.failure[0] = '\0';
	running.skip = NULL;
}

static void test_ends(const CU_pTest test, const CU_pSuite suite, const CU_pFailureRecord records)
{
	(void)records;
	check_alloc_fail_at(0);
	dir_remove();
	if (running.failure[0]) {
		failed_tests++;
		printf("not ok %s.%s - %s\n", suite->pName, test->pName, running.failure);
	} else if (running.skip) {
		printf("skip %s.%s - %s\n", suite->pName, test->pName, running.skip);
	} else {
		printf("ok %s.%s\n", suite->pName, test->pName);
	}
	fflush(stdout);
}

/* Takes the next name off "test_a, test_b"; false when there is none. */
static bool name_next(const char **names, char *name, size_t size)
{
	size_t length;

	*names += strspn(*names, ", \t\n");
	length = strcspn(*names, ", \t\n");
	if (length == 0)
		return false;
	snprintf(name, size, "%.*s", (int)length, *names);
	*names += length;
	return true;
}

int check_main(const char *suite_name, const check_fn *tests, size_t count, const char *names,
	       int argc, char **argv)
{
	CU_pSuite suite;
	char name[128];

	running.thread = pthread_self();
	if (CU_initialize_registry() != CUE_SUCCESS)
		return 2;
	suite = CU_add_suite(suite_name, NULL, NULL);
	for (size_t i = 0; suite && i < count && name_next(&names, name, sizeof(name)); i++)
		if (argc < 2 || strstr(name, argv[1]))
			CU_add_test(suite, name, tests[i]);
	CU_set_test_start_handler(test_begins);
	CU_set_test_complete_handler(test_ends);
	if (!suite || CU_run_all_tests() != CUE_SUCCESS) {
		printf("not ok %s - CUnit: %s\n", suite_name, CU_get_error_msg());
		return 2;
	}
	CU_cleanup_registry();
	return failed_tests ? 1 : 0;
}
