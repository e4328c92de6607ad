/* SPDX-License-Identifier: Apache-2.0 */
/* The clock of spans: the counter only where the kernel keeps time by it, else the kernel's own. */
#include <stdio.h>

#include "client/ticks.h"
#include "tests/unit/check.h"

/* A file that names the source of time. */
static const char *source_file(const char *text)
{
	static char path[512];
	FILE *file;

	snprintf(path, sizeof(path), "%s/current_clocksource", check_dir());
	file = fopen(path, "w");
	CHECK(file);
	fputs(text, file);
	fclose(file);
	return path;
}

CHECK_TEST(test_counter_is_trusted_where_the_kernel_keeps_time_by_it)
{
	static const char *const others[] = {
		"hpet\n", "kvm-clock\n", "acpi_pm\n", "tsc-early\n", "tsc", "", "\n"};

	CHECK(ticks_tsc_trusted(source_file("tsc\n")));
	for (size_t i = 0; i < ARRAY_LEN(others); i++)
		if (ticks_tsc_trusted(source_file(others[i])))
			CHECK_FAIL("trusted with the source %s", others[i]);
	CHECK(!ticks_tsc_trusted("/nonexistent"));
}

/* What ticks take for 20 ms, against the kernel's clock. */
static void check_span(const struct ticks *ticks)
{
	mono_ns begin = ticks_monotonic(), end;
	uint64_t start, stop;
	dur_ns span;

	ticks_use(ticks);
	start = ticks_now();
	do
		end = ticks_monotonic();
	while (end - begin < 20 * NS_PER_MS);
	stop = ticks_now();
	span = ticks_between(start, stop);
	/* Whoever held this thread up between two readings is in one of them. */
	CHECK_GE_U64(span, 19 * NS_PER_MS);
	CHECK_LE_U64(span, ticks_monotonic() - begin + NS_PER_MS);
}

CHECK_TEST(test_spans_are_of_the_kernels_clock_where_the_counter_is_not_trusted)
{
	struct ticks ticks = {.clock = 0};
	mono_ns before, now;

	ticks_calibrate(&ticks, source_file("hpet\n"));
	CHECK_EQ_U64(ticks.clock, VOW_SHM_CLOCK_MONOTONIC);
	CHECK_EQ_U64(ticks.ratio, UINT64_C(1) << 32);
	check_span(&ticks);
	before = ticks_monotonic();
	now = ticks_now();
	CHECK_GE_U64(now, before);
	CHECK_LE_U64(now, ticks_monotonic());
#if defined(__x86_64__)
	ticks_calibrate(&ticks, source_file("tsc\n"));
	CHECK_EQ_U64(ticks.clock, VOW_SHM_CLOCK_TSC);
	if (ticks_tsc_trusted(TICKS_SOURCE))
		check_span(&ticks);
#endif
}

CHECK_MAIN("ticks", test_counter_is_trusted_where_the_kernel_keeps_time_by_it,
	   test_spans_are_of_the_kernels_clock_where_the_counter_is_not_trusted)
