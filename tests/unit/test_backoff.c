/* SPDX-License-Identifier: Apache-2.0 */
#include "export/backoff.h"
#include "tests/unit/check.h"

#define LATEST 0.999999999 /* of what random may be */
#define FLEET  1000 /* exporters that lose their hub in the same instant */
#define SLOT   (100 * NS_PER_MS)

/* The same numbers in each run: Knuth's generator of 64 bits, its upper half. */
static double draw(uint64_t *state)
{
	*state = *state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
	return (double)(*state >> 32) / 4294967296.0;
}

CHECK_TEST(test_waits_begin_short_double_and_end_at_five_seconds)
{
	static const dur_ns most_ms[] = {200, 400, 800, 1600, 3200, 5000, 5000, 5000};

	for (unsigned i = 0; i < ARRAY_LEN(most_ms); i++) {
		CHECK_EQ_U64(backoff_wait(i, false, 0), 100 * NS_PER_MS);
		CHECK_LE_U64(backoff_wait(i, false, LATEST), most_ms[i] * NS_PER_MS);
		CHECK_GE_U64(backoff_wait(i, false, LATEST), most_ms[i] * NS_PER_MS - NS_PER_MS);
	}
	CHECK_LE_U64(backoff_wait(UINT32_MAX, false, LATEST), 5 * NS_PER_S);
}

CHECK_TEST(test_a_hub_that_says_no_is_asked_seldom)
{
	for (unsigned i = 0; i < 100; i += 33) {
		CHECK_EQ_U64(backoff_wait(i, true, 0), 5 * NS_PER_S);
		CHECK_LE_U64(backoff_wait(i, true, LATEST), 15 * NS_PER_S);
		CHECK_GE_U64(backoff_wait(i, true, LATEST), 14 * NS_PER_S);
	}
}

CHECK_TEST(test_waits_fill_their_whole_range_evenly)
{
	uint64_t state = 1;

	for (unsigned failures = 0; failures < 8; failures++) {
		dur_ns most = backoff_wait(failures, false, LATEST);
		unsigned quarter[4] = {0};

		for (unsigned i = 0; i < 4000; i++) {
			dur_ns wait = backoff_wait(failures, false, draw(&state));
			double share =
				(double)(wait - 100 * NS_PER_MS) / (double)(most - 100 * NS_PER_MS);

			quarter[share < 1 ? (unsigned)(share * 4) : 3]++;
		}
		/* Expected 1000 each, with a deviation of 27. */
		for (unsigned i = 0; i < 4; i++) {
			CHECK_GE_U64(quarter[i], 850);
			CHECK_LE_U64(quarter[i], 1150);
		}
	}
}

/* Attempts of a fleet in each tenth of a second of the minute after its hub went away. */
static void fleet_attempts(unsigned attempts[600])
{
	for (uint64_t exporter = 0; exporter < FLEET; exporter++) {
		uint64_t state = exporter;
		mono_ns now = 0;

		for (unsigned failures = 0;; failures++) {
			now += backoff_wait(failures, false, draw(&state));
			if (now >= 600 * SLOT)
				break;
			attempts[now / SLOT]++;
		}
	}
}

CHECK_TEST(test_a_fleet_that_lost_its_hub_comes_back_spread)
{
	unsigned attempts[600] = {0}, total = 0;

	fleet_attempts(attempts);
	CHECK_EQ_U64(attempts[0], 0);
	CHECK_EQ_U64(attempts[1], FLEET); /* the first tries, spread within this tenth */
	/* From the tenth second on a try each 2.55 s of each: 39 of a thousand in a tenth. */
	for (unsigned i = 100; i < 600; i++) {
		CHECK_LE_U64(attempts[i], 80);
		total += attempts[i];
	}
	CHECK_GE_U64(total, 500 * 35);
	CHECK_LE_U64(total, 500 * 45);
}

CHECK_MAIN("backoff", test_waits_begin_short_double_and_end_at_five_seconds,
	   test_a_hub_that_says_no_is_asked_seldom, test_waits_fill_their_whole_range_evenly,
	   test_a_fleet_that_lost_its_hub_comes_back_spread)
