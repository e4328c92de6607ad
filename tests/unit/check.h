/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Unit tests, a thin layer over CUnit, which stays behind it.
 *
 *	CHECK_TEST(test_cooldown_blocks_second_scale_up)
 *	{
 *		CHECK_EQ_U64(scale_step(&state, &input), 3);
 *		CHECK_STR(state.reason, "cooldown");
 *	}
 *	CHECK_MAIN("scale", test_cooldown_blocks_second_scale_up, test_next)
 *
 * Each test prints one line on stdout: "ok suite.test", "not ok suite.test - file:line: what" or
 * "skip suite.test - reason"; the program exits 1 when a test failed. An argument runs only the
 * tests whose name contains it.
 *
 * A check that fails ends its test (by longjmp, so cleanup attributes do not run); in another
 * thread than the test's own it is noted, the thread goes on, and the test fails at its end.
 */
#ifndef VOW_TESTS_UNIT_CHECK_H
#define VOW_TESTS_UNIT_CHECK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef void (*check_fn)(void);

#define CHECK_TEST(name) static void name(void)

/* main() of a test file; the names of the tests are read off the argument list. */
#define CHECK_MAIN(suite, ...)                                                                  \
	int main(int argc, char **argv)                                                         \
	{                                                                                       \
		check_fn tests[] = {__VA_ARGS__};                                               \
		return check_main(suite, tests, sizeof(tests) / sizeof(tests[0]), #__VA_ARGS__, \
				  argc, argv);                                                  \
	}

#define CHECK(cond) check_true(__FILE__, __LINE__, !!(cond), #cond)
/* The call returned 0. */
#define CHECK_OK(call) check_ok(__FILE__, __LINE__, (call), #call)
/* The call returned what is expected: an outcome or a negative errno (shown by its name). */
#define CHECK_RC(call, rc) check_rc(__FILE__, __LINE__, (call), (rc), #call)
/* What was got, then what is expected. */
#define CHECK_EQ_U64(a, b) check_u64(__FILE__, __LINE__, (a), "==", (b), #a)
#define CHECK_LE_U64(a, b) check_u64(__FILE__, __LINE__, (a), "<=", (b), #a)
#define CHECK_GE_U64(a, b) check_u64(__FILE__, __LINE__, (a), ">=", (b), #a)
#define CHECK_EQ_I64(a, b) check_i64(__FILE__, __LINE__, (a), (b), #a)
/* |a - b| <= tolerance; false for NaN. */
#define CHECK_NEAR(a, b, t) check_near(__FILE__, __LINE__, (a), (b), (t), #a)
/* Two strings are equal; the first contains the second. NULL is equal to nothing. */
#define CHECK_STR(a, b)	    check_str(__FILE__, __LINE__, (a), (b), #a)
#define CHECK_STR_HAS(a, b) check_str_has(__FILE__, __LINE__, (a), (b), #a)
/* n bytes are equal; says the first that is not. */
#define CHECK_MEM(a, b, n) check_mem(__FILE__, __LINE__, (a), (b), (n), #a)
/* Fails with a printf text. */
#define CHECK_FAIL(...) check_fail(__FILE__, __LINE__, __VA_ARGS__)
/* Ends the test as skipped, with the reason (a string). From the test's own thread. */
#define SKIP(reason) check_skip(reason)

/*
 * A scratch folder for the running test, made at the first call and removed when the test ends.
 * Owned by the layer.
 */
const char *check_dir(void);

/*
 * Lets the n-th allocation that this thread makes from now on fail, once; 0 ends it. Counted are
 * malloc, calloc, realloc, aligned_alloc, strdup, strndup, mmap, memfd_create and the madvise that
 * asks for pages or for pages that a child finds empty, called by our own objects.
 * check_alloc_failed() tells whether it came to that. The loop that proves a function against it:
 *
 *	CHECK_ALLOC_LOOP(n) {
 *		rc = thing_new(&thing);
 *		if (!check_alloc_failed()) { ...rc is 0... }
 *		else CHECK_RC(rc, -ENOMEM);
 *		thing_free(thing);
 *	}
 */
void check_alloc_fail_at(unsigned n);
/* As above, but every one from the n-th on fails, until the next call of one of the two. */
void check_alloc_fail_from(unsigned n);
bool check_alloc_failed(void);
bool check_alloc_next(unsigned *n);
#define CHECK_ALLOC_LOOP(n) for (unsigned n = 0; check_alloc_next(&n);)

int check_main(const char *suite, const check_fn *tests, size_t count, const char *names, int argc,
	       char **argv);
void check_true(const char *file, int line, bool good, const char *text);
void check_ok(const char *file, int line, int rc, const char *text);
void check_rc(const char *file, int line, int rc, int expected, const char *text);
void check_u64(const char *file, int line, uint64_t a, const char *relation, uint64_t b,
	       const char *text);
void check_i64(const char *file, int line, int64_t a, int64_t b, const char *text);
void check_near(const char *file, int line, double a, double b, double tolerance, const char *text);
void check_str(const char *file, int line, const char *a, const char *b, const char *text);
void check_str_has(const char *file, int line, const char *a, const char *b, const char *text);
void check_mem(const char *file, int line, const void *a, const void *b, size_t size,
	       const char *text);
void check_fail(const char *file, int line, const char *format, ...)
	__attribute__((format(printf, 3, 4)));
void check_skip(const char *reason) __attribute__((noreturn));

#endif
