/* SPDX-License-Identifier: Apache-2.0 */
/* The slowest of each series and minute: which stay, for how long, and what readers see of it. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/data/exemplar.h"
#include "tests/unit/check.h"

#define NOW (UINT64_C(1795315200) * NS_PER_S) /* where a minute begins */

static struct exemplar exemplar_of(wall_ns at, dur_ns latency_ns)
{
	struct exemplar exemplar = {.at = at, .latency_ns = latency_ns, .status = 200};

	snprintf(exemplar.tag, sizeof(exemplar.tag), "t%llu", (unsigned long long)latency_ns);
	return exemplar;
}

static bool add(struct exemplars *exemplars, series_id series, wall_ns at, dur_ns latency_ns)
{
	const struct exemplar exemplar = exemplar_of(at, latency_ns);

	return exemplars_add(exemplars, series, &exemplar, NOW);
}

struct seen { /* "series:latency", in the order of the walk */
	char text[4096];
};

static int see(void *arg, series_id series, const struct exemplar *exemplar)
{
	struct seen *seen = arg;
	size_t used = strlen(seen->text);

	snprintf(seen->text + used, sizeof(seen->text) - used, "%s%u:%llu", used ? " " : "", series,
		 (unsigned long long)exemplar->latency_ns);
	return 0;
}

static const char *book_text(struct exemplar_book *book, wall_ns from)
{
	static struct seen seen;

	seen.text[0] = '\0';
	CHECK_OK(exemplar_book_each(book, from, UINT64_MAX, see, &seen));
	return seen.text;
}

/* All that is kept, at NOW. */
static const char *kept(struct exemplars *exemplars)
{
	struct exemplar_book *book = exemplars_publish(exemplars, NOW);
	const char *text = book_text(book, 0);

	exemplar_book_unref(book);
	return text;
}

static const char *fresh(const struct exemplars *exemplars)
{
	static struct seen seen;

	seen.text[0] = '\0';
	CHECK_OK(exemplars_fresh(exemplars, see, &seen));
	return seen.text;
}

CHECK_TEST(test_the_slowest_of_each_series_and_minute_stay)
{
	struct exemplars *exemplars = exemplars_new(100);

	CHECK_STR(kept(exemplars), "");
	for (dur_ns latency = 1; latency <= 9; latency++)
		add(exemplars, 7, NOW + latency, 10 * (latency * 7 % 10));
	CHECK(!add(exemplars, 7, NOW, 59));
	CHECK(add(exemplars, 7, NOW, 61));
	CHECK(add(exemplars, 3, NOW, 1));
	CHECK(add(exemplars, 7, NOW - NS_PER_S, 5));
	CHECK_STR(kept(exemplars), "7:5 7:90 7:80 7:70 7:61 3:1");
	exemplars_free(exemplars);
}

CHECK_TEST(test_what_is_known_already_is_not_added_again)
{
	struct exemplars *exemplars = exemplars_new(100);
	struct exemplar other = exemplar_of(NOW, 10);

	CHECK(add(exemplars, 1, NOW, 10));
	CHECK(!add(exemplars, 1, NOW + 5, 10));
	other.status = 503;
	CHECK(exemplars_add(exemplars, 1, &other, NOW));
	snprintf(other.tag, sizeof(other.tag), "other");
	CHECK(exemplars_add(exemplars, 1, &other, NOW));
	CHECK(add(exemplars, 2, NOW, 10));
	CHECK_STR(kept(exemplars), "1:10 1:10 1:10 2:10");
	exemplars_free(exemplars);
}

CHECK_TEST(test_minutes_age_and_others_are_refused)
{
	struct exemplars *exemplars = exemplars_new(1000);
	struct exemplar_book *book;

	CHECK(!add(exemplars, 1, NOW - EXEMPLARS_MINUTES * NS_PER_MIN, 1));
	CHECK(!add(exemplars, 1, NOW + (EXEMPLARS_AHEAD + 1) * NS_PER_MIN, 1));
	CHECK(!add(exemplars, 1, UINT64_MAX, 1));
	CHECK(!add(exemplars, 1, 0, 1));
	for (unsigned i = 0; i < EXEMPLARS_MINUTES; i++)
		CHECK(add(exemplars, 1, NOW - i * NS_PER_MIN, 1 + i));
	CHECK(add(exemplars, 1, NOW + EXEMPLARS_AHEAD * NS_PER_MIN, 99));
	book = exemplars_publish(exemplars, NOW);
	CHECK_STR(book_text(book, NOW - 2 * NS_PER_MIN), "1:2 1:1 1:99");
	exemplar_book_unref(book);
	book = exemplars_publish(exemplars, NOW + (EXEMPLARS_MINUTES - 2) * NS_PER_MIN);
	CHECK_STR(book_text(book, 0), "1:2 1:1 1:99");
	exemplar_book_unref(book);
	/* A clock that was set back: what is now far ahead goes. */
	book = exemplars_publish(exemplars, NOW - 10 * NS_PER_MIN);
	CHECK_STR(book_text(book, 0), "");
	exemplar_book_unref(book);
	exemplars_free(exemplars);
}

CHECK_TEST(test_beyond_the_cap_the_oldest_minute_goes)
{
	struct exemplars *exemplars = exemplars_new(3);

	CHECK(add(exemplars, 1, NOW - 2 * NS_PER_MIN, 1));
	CHECK(add(exemplars, 1, NOW - NS_PER_MIN, 2));
	CHECK(add(exemplars, 2, NOW - NS_PER_MIN, 3));
	CHECK(add(exemplars, 1, NOW, 4));
	CHECK_STR(kept(exemplars), "1:2 2:3 1:4");
	/* A known series of a minute needs no room. */
	CHECK(add(exemplars, 2, NOW - NS_PER_MIN, 5));
	CHECK(!add(exemplars, 9, NOW - 3 * NS_PER_MIN, 6));
	CHECK_STR(kept(exemplars), "1:2 2:5 2:3 1:4");
	CHECK(add(exemplars, 2, NOW, 7));
	CHECK(add(exemplars, 3, NOW, 8));
	CHECK(!add(exemplars, 4, NOW, 9));
	CHECK_STR(kept(exemplars), "1:4 2:7 3:8");
	exemplars_free(exemplars);
}

CHECK_TEST(test_a_book_stays_what_it_was)
{
	struct exemplars *exemplars = exemplars_new(10000);
	struct exemplar_book *before, *again, *after;

	CHECK(add(exemplars, 1, NOW - NS_PER_MIN, 1));
	CHECK(add(exemplars, 1, NOW, 2));
	before = exemplars_publish(exemplars, NOW);
	again = exemplars_publish(exemplars, NOW);
	CHECK(before == again);
	for (series_id series = 1; series <= 2000; series++)
		CHECK(add(exemplars, series, NOW, 100 + series));
	after = exemplars_publish(exemplars, NOW);
	CHECK(after != before);
	CHECK_STR(book_text(before, 0), "1:1 1:2");
	CHECK_STR_HAS(book_text(after, 0), "1:1 1:101 1:2 2:102 3:103 ");
	exemplars_free(exemplars);
	CHECK_STR(book_text(again, 0), "1:1 1:2");
	CHECK_STR_HAS(book_text(after, 0), " 50:150 ");
	exemplar_book_unref(before);
	exemplar_book_unref(again);
	exemplar_book_unref(after);
}

CHECK_TEST(test_fresh_is_what_came_since_it_was_settled_and_is_still_kept)
{
	struct exemplars *exemplars = exemplars_new(100);
	struct exemplar_book *book;

	for (dur_ns latency = 1; latency <= 6; latency++)
		CHECK(add(exemplars, 1, NOW, 10 * latency));
	CHECK_STR(fresh(exemplars), "1:60 1:50 1:40 1:30");
	book = exemplars_publish(exemplars, NOW);
	exemplars_settle(exemplars);
	CHECK_STR(fresh(exemplars), "");
	CHECK(add(exemplars, 1, NOW, 45));
	CHECK(add(exemplars, 1, NOW, 70));
	CHECK(add(exemplars, 2, NOW - NS_PER_MIN, 1));
	CHECK_STR(kept(exemplars), "2:1 1:70 1:60 1:50 1:45");
	CHECK_STR_HAS(fresh(exemplars), "1:70 1:45");
	CHECK_STR_HAS(fresh(exemplars), "2:1");
	CHECK_EQ_U64(strlen(fresh(exemplars)), strlen("1:70 1:45 2:1"));
	exemplar_book_unref(book);
	exemplars_free(exemplars);
}

CHECK_TEST(test_tags_are_cut_and_hold_visible_ascii_alone)
{
	struct exemplar exemplar = {.tag = "old"};
	char long_one[100];

	CHECK(!exemplar_tag_set(&exemplar, "", 0));
	CHECK(!exemplar_tag_set(&exemplar, "\0x", 2));
	CHECK_STR(exemplar.tag, "old");
	CHECK(exemplar_tag_set(&exemplar, "a b\x1b\x7f\xc3\xa9~!\n\0x", 12));
	CHECK_STR(exemplar.tag, "a?b????~!?");
	memset(long_one, 'x', sizeof(long_one));
	CHECK(exemplar_tag_set(&exemplar, long_one, sizeof(long_one)));
	CHECK_EQ_U64(strlen(exemplar.tag), EXEMPLAR_TAG_MAX);
	CHECK(exemplar_tag_set(&exemplar, "short", 3));
	CHECK_STR(exemplar.tag, "sho");
}

CHECK_TEST(test_lack_of_memory_leaves_one_out_and_nothing_else)
{
	CHECK_ALLOC_LOOP(n)
	{
		struct exemplars *exemplars = exemplars_new(100);
		struct exemplar_book *book = NULL;
		unsigned added = 0;

		for (series_id series = 0; exemplars && series < 20; series++)
			added += add(exemplars, series, NOW, 1);
		if (exemplars)
			book = exemplars_publish(exemplars, NOW);
		if (!check_alloc_failed()) {
			CHECK_EQ_U64(added, 20);
			CHECK(book);
		} else {
			/* One allocation lacked: none at all, one exemplar less, or no book. */
			CHECK(!exemplars || added == 19 || (added == 20 && !book));
		}
		exemplar_book_unref(book);
		exemplars_free(exemplars);
	}
}

CHECK_MAIN("exemplar", test_the_slowest_of_each_series_and_minute_stay,
	   test_what_is_known_already_is_not_added_again, test_minutes_age_and_others_are_refused,
	   test_beyond_the_cap_the_oldest_minute_goes, test_a_book_stays_what_it_was,
	   test_fresh_is_what_came_since_it_was_settled_and_is_still_kept,
	   test_tags_are_cut_and_hold_visible_ascii_alone,
	   test_lack_of_memory_leaves_one_out_and_nothing_else)
