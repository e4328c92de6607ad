/* SPDX-License-Identifier: Apache-2.0 */
/* What the store keeps and for how long. How it serves the merge is in test_merge.c. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "store/store.h"
#include "tests/unit/check.h"

#define BEFORE 1000 /* time of arrival from which on raw ticks are young */

static struct store *store_fresh(void)
{
	struct store *store;

	CHECK_OK(store_open(check_dir(), &store, NULL));
	CHECK_OK(store_begin(store, NULL));
	return store;
}

static void add_record(struct store *store, wall_ns arrived)
{
	static const uint8_t tick[20000]; /* more than a page */
	struct store_record record = {
		.agent = 1, .seq = 1, .arrived = arrived, .tick = tick, .tick_size = sizeof(tick)};

	CHECK_OK(store_record_add(store, &record, NULL));
}

struct seen {
	unsigned count;
	int64_t first;
};

static int seen_record(void *arg, const struct store_record *record)
{
	struct seen *seen = arg;

	if (seen->count++ == 0)
		seen->first = record->no;
	return 0;
}

static struct seen records_in(struct store *store)
{
	struct seen seen = {0};

	CHECK_OK(store_records_read(store, 0, seen_record, &seen, NULL));
	return seen;
}

CHECK_TEST(test_trim_ends_at_the_first_young_tick)
{
	struct store *store = store_fresh();

	for (unsigned i = 0; i < 10; i++)
		add_record(store, i < 4 ? 1 : BEFORE);
	add_record(store, 1); /* a clock that was set back: it waits for those before it */
	CHECK_OK(store_record_trim(store, 11, BEFORE, UINT64_MAX, 100, NULL));
	CHECK_EQ_U64(records_in(store).count, 7);
	CHECK_EQ_U64(records_in(store).first, 5);
	CHECK_OK(store_record_trim(store, 11, BEFORE, UINT64_MAX, 100, NULL));
	CHECK_EQ_U64(records_in(store).count, 7);
	store_close(store);
}

CHECK_TEST(test_trim_takes_no_more_than_asked_and_nothing_behind_the_checkpoint)
{
	struct store *store = store_fresh();

	for (unsigned i = 0; i < 10; i++)
		add_record(store, 1);
	CHECK_OK(store_record_trim(store, 10, BEFORE, UINT64_MAX, 3, NULL));
	CHECK_EQ_U64(records_in(store).first, 4);
	CHECK_OK(store_record_trim(store, 6, BEFORE, UINT64_MAX, 100, NULL));
	CHECK_EQ_U64(records_in(store).first, 7);
	CHECK_OK(store_record_trim(store, 6, BEFORE, UINT64_MAX, 100, NULL));
	CHECK_EQ_U64(records_in(store).count, 4);
	store_close(store);
}

CHECK_TEST(test_trim_over_budget_takes_young_ticks_too)
{
	struct store *store = store_fresh();
	uint64_t full;

	for (unsigned i = 0; i < 10; i++)
		add_record(store, BEFORE);
	full = store_bytes(store);
	CHECK_OK(store_record_trim(store, 10, BEFORE, full, 5, NULL));
	CHECK_EQ_U64(records_in(store).count, 10);
	CHECK_OK(store_record_trim(store, 10, BEFORE, full - 1, 5, NULL));
	CHECK_EQ_U64(records_in(store).count, 5);
	CHECK(store_bytes(store) < full);
	store_close(store);
}

struct kept {
	unsigned count;
	uint64_t first;
	size_t largest;
};

static int kept_refused(void *arg, const struct store_refused *refused)
{
	struct kept *kept = arg;

	if (kept->count++ == 0)
		kept->first = refused->seq;
	if (refused->tick_size > kept->largest)
		kept->largest = refused->tick_size;
	CHECK_STR(refused->reason, "why");
	return 0;
}

CHECK_TEST(test_refused_records_are_kept_cut_and_only_the_newest)
{
	static const uint8_t tick[STORE_REFUSED_BYTES + 1];
	struct store *store = store_fresh();
	struct store_refused refused = {.agent = 1, .reason = "why", .tick = tick, .tick_size = 1};
	struct kept kept = {0};

	for (refused.seq = 1; refused.seq <= STORE_REFUSED_MAX + 7; refused.seq++)
		CHECK_OK(store_refused_add(store, &refused, NULL));
	refused.tick_size = sizeof(tick);
	CHECK_OK(store_refused_add(store, &refused, NULL));
	CHECK_OK(store_history_trim(store, NULL));
	CHECK_OK(store_refused_read(store, kept_refused, &kept, NULL));
	CHECK_EQ_U64(kept.count, STORE_REFUSED_MAX);
	CHECK_EQ_U64(kept.first, 9);
	CHECK_EQ_U64(kept.largest, STORE_REFUSED_BYTES);
	store_close(store);
}

CHECK_TEST(test_file_that_is_no_store_is_told_from_a_failing_disk)
{
	struct store *store;
	struct diag d = {0};
	char path[600];
	FILE *file;

	snprintf(path, sizeof(path), "%s/hub.db", check_dir());
	file = fopen(path, "w");
	CHECK(file);
	for (unsigned i = 0; i < 10000; i++)
		fputs("no database ", file);
	fclose(file);
	CHECK_RC(store_open(check_dir(), &store, &d), -EUCLEAN);
	CHECK_STR_HAS(d.where, "hub.db");
	CHECK_STR_HAS(d.fix, "move the file away");
}

/* Of all files that the store has made. */
static mode_t modes_granted(void)
{
	static const char *const names[] = {"hub.db", "hub.db-wal"};
	mode_t granted = 0;
	char path[600];
	struct stat st;

	for (unsigned i = 0; i < ARRAY_LEN(names); i++) {
		snprintf(path, sizeof(path), "%s/%s", check_dir(), names[i]);
		CHECK_OK(stat(path, &st));
		granted |= st.st_mode & 0777;
	}
	return granted;
}

CHECK_TEST(test_files_are_for_their_owner_and_group)
{
	mode_t mask = umask(0);
	struct store *store = store_fresh();
	char path[600];

	add_record(store, 1);
	CHECK_OK(store_commit(store, NULL));
	CHECK_EQ_U64(modes_granted(), 0640);
	store_close(store);
	snprintf(path, sizeof(path), "%s/hub.db", check_dir());
	CHECK_OK(chmod(path, 0664)); /* as a hub of before may have left it */
	store = store_fresh();
	add_record(store, 1);
	CHECK_OK(store_commit(store, NULL));
	CHECK_EQ_U64(modes_granted(), 0660);
	store_close(store);
	umask(mask);
}

CHECK_MAIN("store", test_trim_ends_at_the_first_young_tick,
	   test_trim_takes_no_more_than_asked_and_nothing_behind_the_checkpoint,
	   test_trim_over_budget_takes_young_ticks_too,
	   test_refused_records_are_kept_cut_and_only_the_newest,
	   test_file_that_is_no_store_is_told_from_a_failing_disk,
	   test_files_are_for_their_owner_and_group)
