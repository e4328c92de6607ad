/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lib/model/slo.h"
#include "tests/unit/check.h"

#define FIRST (UINT64_C(1700000000)) /* not at the start of an hour nor of a minute */

/* What happened in each second, kept without any cleverness. */
struct history {
	uint64_t from, seconds;
	struct slo_counts *each;
};

static uint64_t next_random(uint64_t *state)
{
	*state ^= *state << 13;
	*state ^= *state >> 7;
	*state ^= *state << 17;
	return *state;
}

static struct slo_counts history_sum(const struct history *h, uint64_t after, uint64_t until)
{
	struct slo_counts sum = {0, 0};

	for (uint64_t s = after + 1; s <= until; s++)
		if (s >= h->from && s < h->from + h->seconds) {
			sum.good += h->each[s - h->from].good;
			sum.bad += h->each[s - h->from].bad;
		}
	return sum;
}

/* The window's start as the header promises: whole minutes and hours for the long ones. */
static uint64_t window_after(uint64_t second, uint64_t window_s)
{
	uint64_t width = window_s > SLO_MINUTES_SPAN ? 3600 : window_s > SLO_SECONDS_SPAN ? 60 : 1;

	return (second - window_s + 1) / width * width - 1;
}

static void expect_windows(const struct slo *slo, const struct history *h, uint64_t second)
{
	static const uint64_t windows[] = {1,	 2,	10,	60,	3599,	3600,	3601,
					   7200, 21600, 259200, 259201, 864000, 7776000};

	for (size_t i = 0; i < ARRAY_LEN(windows); i++) {
		struct slo_counts got = slo_window(slo, windows[i]);
		struct slo_counts want = history_sum(h, window_after(second, windows[i]), second);

		CHECK_EQ_U64(got.good, want.good);
		CHECK_EQ_U64(got.bad, want.bad);
	}
}

static struct slo *played(struct history *h, uint64_t seconds, uint64_t gap, uint64_t checks)
{
	struct slo *slo = slo_new();
	uint64_t random = 88172645463325252, next_check = 1;

	CHECK(slo);
	*h = (struct history){FIRST, seconds, calloc(seconds, sizeof(*h->each))};
	for (uint64_t s = 0; s < seconds; s += gap ? 1 + next_random(&random) % gap : 1) {
		struct slo_counts now = {next_random(&random) % 100, next_random(&random) % 3};

		slo_add(slo, now.good, now.bad);
		h->each[s] = now;
		slo_file(slo, FIRST + s, 1);
		if (s < next_check)
			continue;
		expect_windows(slo, h, FIRST + s);
		next_check = s + seconds / checks;
	}
	return slo;
}

CHECK_TEST(test_every_window_is_the_sum_of_its_seconds)
{
	struct history h;
	struct slo *slo = played(&h, 4 * 86400, 0, 12);

	slo_free(slo);
	free(h.each);
}

CHECK_TEST(test_silent_seconds_minutes_and_hours_are_empty)
{
	struct history h;
	struct slo *slo = played(&h, 4 * 86400, 20000, 20);

	slo_free(slo);
	free(h.each);
}

CHECK_TEST(test_what_is_older_than_90_days_is_forgotten)
{
	struct slo *slo = slo_new();

	slo_add(slo, 5, 2);
	slo_file(slo, FIRST, 1);
	slo_file(slo, FIRST + SLO_HOURS_SPAN - 3600, 1);
	CHECK_EQ_U64(slo_window(slo, SLO_HOURS_SPAN).good, 5);
	CHECK_EQ_U64(slo_window(slo, SLO_MINUTES_SPAN).good, 0);
	slo_add(slo, 1, 1);
	slo_file(slo, FIRST + SLO_HOURS_SPAN + 7200, 1);
	CHECK_EQ_U64(slo_window(slo, SLO_HOURS_SPAN).good, 1);
	CHECK_EQ_U64(slo_window(slo, SLO_HOURS_SPAN).bad, 1);
	slo_file(slo, FIRST + 5 * UINT64_C(31536000), 1);
	CHECK_EQ_U64(slo_window(slo, SLO_HOURS_SPAN).good, 0);
	slo_free(slo);
}

CHECK_TEST(test_coverage_counts_observed_seconds)
{
	struct slo *slo = slo_new();

	CHECK_NEAR(slo_coverage(slo, 86400), 0, 0);
	for (uint64_t s = 0; s < 7200; s++)
		slo_file(slo, FIRST + s, 1);
	CHECK_NEAR(slo_coverage(slo, 86400), 7200.0 / 86400, 1e-12);
	CHECK_NEAR(slo_coverage(slo, 3600), 1, 0);
	/* Ten hours that nobody saw. */
	slo_file(slo, FIRST + 7200 + 36000, 1);
	CHECK_NEAR(slo_coverage(slo, 86400), 7201.0 / 86400, 1e-12);
	CHECK(slo_coverage(slo, 7200) < 0.001);
	slo_free(slo);
}

CHECK_TEST(test_breach_start_ignores_a_stray_bad_event)
{
	struct slo *slo = slo_new();

	for (uint64_t s = 0; s < 60; s++) {
		bool breach = s >= 50;

		slo_add(slo, breach ? 7 : 10 - (s == 12), breach ? 3 : s == 12);
		slo_file(slo, FIRST + s, 1);
	}
	CHECK_EQ_U64(slo_breach_start(slo, 60, 0.125), FIRST + 50);
	CHECK_EQ_U64(slo_breach_start(slo, 5, 0.125), FIRST + 55);
	slo_free(slo);
}

CHECK_TEST(test_breach_start_skips_silence_before_it)
{
	struct slo *slo = slo_new();

	slo_add(slo, 10, 0);
	slo_file(slo, FIRST, 1);
	for (uint64_t s = 1; s < 40; s++) {
		slo_add(slo, 0, s >= 30 ? 4 : 0);
		slo_file(slo, FIRST + s, 1);
	}
	CHECK_EQ_U64(slo_breach_start(slo, 60, 0.1), FIRST + 30);
	slo_free(slo);
}

CHECK_TEST(test_breach_start_of_long_windows_is_a_minute)
{
	struct slo *slo = slo_new();

	for (uint64_t s = 0; s < 8000; s++) {
		slo_add(slo, s >= 7000 ? 0 : 10, s >= 7000 ? 10 : 0);
		slo_file(slo, FIRST + s, 1);
	}
	CHECK_EQ_U64(slo_breach_start(slo, 7200, 0.1), (FIRST + 7000) / 60 * 60);
	slo_free(slo);
}

static uint8_t *saved(const struct slo *slo, size_t *size)
{
	struct bytes_writer count = {0}, w;

	slo_save(slo, &count);
	w = (struct bytes_writer){.bytes = malloc(count.used), .room = count.used};
	slo_save(slo, &w);
	CHECK_EQ_U64(w.used, count.used);
	*size = w.used;
	return w.bytes;
}

static int restored(struct slo *slo, uint64_t latest, const uint8_t *bytes, size_t size)
{
	struct bytes_reader r = {.at = bytes, .end = bytes + size};
	int rc = slo_restore(slo, latest, &r);

	if (rc == 0)
		CHECK(r.at == r.end);
	return rc;
}

CHECK_TEST(test_saved_state_answers_the_same_and_goes_on)
{
	struct history h;
	struct slo *slo = played(&h, 300000, 300, 1), *again = slo_new();
	uint64_t last = 0;
	size_t size;
	uint8_t *bytes = saved(slo, &size);

	for (uint64_t s = 0; s < h.seconds; s++)
		last = h.each[s].good | h.each[s].bad ? FIRST + s : last;
	CHECK_OK(restored(again, last + 300, bytes, size));
	expect_windows(again, &h, last);
	slo_add(again, 3, 1);
	slo_file(again, last + 100, 1);
	slo_add(slo, 3, 1);
	slo_file(slo, last + 100, 1);
	for (uint64_t w = 1; w < 400000; w += w / 3 + 1)
		CHECK_EQ_U64(slo_window(again, w).good, slo_window(slo, w).good);
	CHECK_NEAR(slo_coverage(again, 86400), slo_coverage(slo, 86400), 0);
	free(bytes);
	free(h.each);
	slo_free(slo);
	slo_free(again);
}

CHECK_TEST(test_empty_state_is_small_and_comes_back)
{
	struct slo *slo = slo_new();
	size_t size;
	uint8_t *bytes = saved(slo, &size);

	CHECK_EQ_U64(size, 2);
	CHECK_OK(restored(slo, 0, bytes, size));
	free(bytes);
	slo_free(slo);
}

CHECK_TEST(test_a_full_state_fits_its_promise)
{
	struct slo *slo = slo_new();
	size_t size;

	for (uint64_t hour = 0; hour < SLO_HOURS_SPAN / 3600 - 72; hour++) {
		slo_add(slo, 3000000, 9000);
		slo_file(slo, FIRST + 3600 * hour, 3600);
	}
	for (uint64_t s = 1; s <= 72 * 3600; s++) {
		slo_add(slo, 2000, 130);
		slo_file(slo, FIRST + SLO_HOURS_SPAN - 73 * 3600 + s, 1);
	}
	free(saved(slo, &size));
	CHECK_LE_U64(size, 150 << 10);
	slo_free(slo);
}

CHECK_TEST(test_broken_state_is_refused)
{
	struct history h;
	struct slo *slo = played(&h, 5000, 0, 1), *again = slo_new();
	size_t size, tried = 0, refused = 0;
	uint8_t *bytes = saved(slo, &size);

	for (size_t cut = 0; cut < size; cut += 1 + cut / 64)
		CHECK_RC(restored(again, FIRST + 5000, bytes, cut), -EPROTO);
	CHECK_RC(restored(again, FIRST + 4998, bytes, size), -EPROTO); /* from the future */
	/* Any byte changed: refused, or another well-formed state, whose windows add up. */
	for (size_t i = 0; i < size; i += 1 + i / 64) {
		struct bytes_reader r = {.at = bytes, .end = bytes + size};

		tried++;
		bytes[i] ^= 0x55;
		if (slo_restore(again, FIRST + 5000, &r) < 0)
			refused++;
		else
			CHECK_LE_U64(slo_window(again, 60).bad, slo_window(again, 86400).bad);
		bytes[i] ^= 0x55;
	}
	CHECK_GE_U64(refused, tried / 2);
	free(bytes);
	free(h.each);
	slo_free(slo);
	slo_free(again);
}

CHECK_TEST(test_lack_of_memory_gives_null)
{
	CHECK_ALLOC_LOOP(n)
	{
		struct slo *slo = slo_new();

		CHECK(!slo == check_alloc_failed());
		slo_free(slo);
	}
}

CHECK_MAIN("slo", test_every_window_is_the_sum_of_its_seconds,
	   test_silent_seconds_minutes_and_hours_are_empty,
	   test_what_is_older_than_90_days_is_forgotten, test_coverage_counts_observed_seconds,
	   test_breach_start_ignores_a_stray_bad_event, test_breach_start_skips_silence_before_it,
	   test_breach_start_of_long_windows_is_a_minute,
	   test_saved_state_answers_the_same_and_goes_on, test_empty_state_is_small_and_comes_back,
	   test_a_full_state_fits_its_promise, test_broken_state_is_refused,
	   test_lack_of_memory_gives_null)
