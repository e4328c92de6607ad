/* SPDX-License-Identifier: Apache-2.0 */
#include "deliver/retry.h"
#include "tests/unit/check.h"

#define LATEST 0.999999999 /* of what random may be */

static struct retry_try failed_try(enum retry_class class, long status, unsigned number)
{
	return (struct retry_try){.class = class, .status = status, .number = number};
}

CHECK_TEST(test_waits_grow_as_promised)
{
	static const dur_ns upper[] = {
		500 * NS_PER_MS, 1500 * NS_PER_MS, 4500 * NS_PER_MS, 30 * NS_PER_S, 5 * NS_PER_MIN,
		15 * NS_PER_MIN, 1 * NS_PER_H,	   4 * NS_PER_H,     4 * NS_PER_H,  4 * NS_PER_H,
	};

	for (unsigned i = 0; i < ARRAY_LEN(upper); i++) {
		struct retry_try last = failed_try(RETRY_TIMEOUT, 0, i + 1);
		dur_ns wait = 0;

		CHECK_EQ_I64(retry_step(&last, 0, &wait), RETRY_AGAIN);
		CHECK_EQ_U64(wait, 0);
		CHECK_EQ_I64(retry_step(&last, 0.5, &wait), RETRY_AGAIN);
		CHECK_EQ_U64(wait, upper[i] / 2);
		CHECK_EQ_I64(retry_step(&last, LATEST, &wait), RETRY_AGAIN);
		CHECK_LE_U64(wait, upper[i]);
		CHECK_GE_U64(wait, upper[i] - upper[i] / 1000);
	}
}

CHECK_TEST(test_number_of_try_has_no_end_but_its_wait_has)
{
	struct retry_try last = failed_try(RETRY_REFUSED, 0, 4000000000u);
	dur_ns wait;

	CHECK_EQ_I64(retry_step(&last, LATEST, &wait), RETRY_AGAIN);
	CHECK_LE_U64(wait, 4 * NS_PER_H);
}

CHECK_TEST(test_status_decides_whether_again)
{
	static const struct {
		long status;
		enum retry_verdict verdict;
	} rows[] = {
		{200, RETRY_DONE},    {202, RETRY_DONE},    {204, RETRY_DONE},
		{301, RETRY_GIVE_UP}, {307, RETRY_GIVE_UP}, {400, RETRY_GIVE_UP},
		{401, RETRY_GIVE_UP}, {403, RETRY_GIVE_UP}, {404, RETRY_GIVE_UP},
		{408, RETRY_AGAIN},   {410, RETRY_GIVE_UP}, {421, RETRY_AGAIN},
		{422, RETRY_GIVE_UP}, {425, RETRY_AGAIN},   {429, RETRY_AGAIN},
		{500, RETRY_AGAIN},   {501, RETRY_GIVE_UP}, {502, RETRY_AGAIN},
		{503, RETRY_AGAIN},   {505, RETRY_GIVE_UP}, {599, RETRY_AGAIN},
		{700, RETRY_AGAIN},
	};

	for (unsigned i = 0; i < ARRAY_LEN(rows); i++) {
		struct retry_try last =
			failed_try(retry_class_of(rows[i].status), rows[i].status, 1);
		dur_ns wait;

		if (retry_step(&last, 0.5, &wait) != rows[i].verdict)
			CHECK_FAIL("status %ld is not judged as it should be", rows[i].status);
	}
}

CHECK_TEST(test_no_answer_is_tried_again)
{
	for (enum retry_class class = RETRY_DNS; class <= RETRY_BROKEN; class ++) {
		struct retry_try last = failed_try(class, 0, 1);
		dur_ns wait;

		CHECK_EQ_I64(retry_step(&last, 0.5, &wait), RETRY_AGAIN);
	}
}

CHECK_TEST(test_what_we_dropped_ourselves_is_over)
{
	struct retry_try last = failed_try(RETRY_DROPPED, 0, 1);
	dur_ns wait;

	CHECK_EQ_I64(retry_step(&last, 0.5, &wait), RETRY_GIVE_UP);
}

CHECK_TEST(test_retry_after_is_the_least_wait)
{
	struct retry_try last = failed_try(RETRY_HTTP_4XX, 429, 1);
	dur_ns wait;

	last.retry_after = 7 * NS_PER_S;
	CHECK_EQ_I64(retry_step(&last, LATEST, &wait), RETRY_AGAIN);
	CHECK_EQ_U64(wait, 7 * NS_PER_S);
	last.number = 4; /* up to 30 s of its own */
	CHECK_EQ_I64(retry_step(&last, 0.5, &wait), RETRY_AGAIN);
	CHECK_EQ_U64(wait, 15 * NS_PER_S);
	last.retry_after = 25 * NS_PER_H;
	CHECK_EQ_I64(retry_step(&last, 0.5, &wait), RETRY_GIVE_UP);
}

CHECK_TEST(test_a_day_after_the_first_try_it_is_given_up)
{
	struct retry_try last = failed_try(RETRY_TIMEOUT, 0, 12);
	dur_ns wait;

	last.age = 24 * NS_PER_H - 2 * NS_PER_H;
	CHECK_EQ_I64(retry_step(&last, 0.49, &wait), RETRY_AGAIN);
	CHECK_EQ_I64(retry_step(&last, 0.51, &wait), RETRY_GIVE_UP);
	last.age = 25 * NS_PER_H;
	CHECK_EQ_I64(retry_step(&last, 0, &wait), RETRY_GIVE_UP);
}

CHECK_TEST(test_every_class_has_a_name)
{
	CHECK_STR(retry_class_name(RETRY_ACCEPTED), "accepted");
	CHECK_STR(retry_class_name(RETRY_BROKEN), "broken");
	CHECK_STR(retry_class_name(RETRY_HTTP_5XX), "http5xx");
	CHECK_STR(retry_class_name(RETRY_DROPPED), "dropped");
}

CHECK_MAIN("retry", test_waits_grow_as_promised, test_number_of_try_has_no_end_but_its_wait_has,
	   test_status_decides_whether_again, test_no_answer_is_tried_again,
	   test_what_we_dropped_ourselves_is_over, test_retry_after_is_the_least_wait,
	   test_a_day_after_the_first_try_it_is_given_up, test_every_class_has_a_name)
