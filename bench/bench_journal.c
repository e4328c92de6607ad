/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bench_journal [DIR]: what a record costs that the disk must have before its append returns, beside
 * one that the kernel may write back later. Both journals are in a new folder below DIR (/tmp), which
 * should be on the disk in question; their appends take turns, and the medians count.
 */
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "bench/measure.h"
#include "lib/base/clock.h"
#include "lib/data/journal.h"

/*
 * A record as of some hundred series. An append with a sync took 16 to 120 times as long on ext4 of a
 * virtual disk; the limit is for slower ones.
 */
enum { RECORDS = 201, RECORD_BYTES = 10000, RATIO_MAX = 1000 };

static struct journal *journal_new(const char *dir, dur_ns fsync_every)
{
	const struct journal_options options = {.fsync_every = fsync_every};
	struct journal *journal;
	struct diag d;

	if (!journal_open(dir, &options, &journal, &d))
		return journal;
	fprintf(stderr, "bench_journal: %s: %s\n", d.where, d.what);
	exit(1);
}

static double append(struct journal *journal, const void *record)
{
	double start = measure_now();
	struct diag d;

	if (journal_append(journal, clock_wall(), record, RECORD_BYTES, NULL, 0, NULL, &d)) {
		fprintf(stderr, "bench_journal: %s: %s\n", d.where, d.what);
		exit(1);
	}
	return measure_now() - start;
}

static int entry_remove(const char *path, const struct stat *stat, int type, struct FTW *place)
{
	(void)stat;
	(void)type;
	(void)place;
	return remove(path);
}

int main(int argc, char **argv)
{
	static double with[RECORDS], without[RECORDS];
	static uint8_t record[RECORD_BYTES];
	char dir[512], synced[520], later[520];
	struct journal *journals[2];
	uint64_t random = 7;

	snprintf(dir, sizeof(dir), "%s/vow-bench-XXXXXX", argc > 1 ? argv[1] : "/tmp");
	if (!mkdtemp(dir)) {
		perror(dir);
		return 1;
	}
	for (size_t i = 0; i < RECORD_BYTES; i++)
		record[i] = (uint8_t)measure_random(&random);
	snprintf(synced, sizeof(synced), "%s/synced", dir);
	snprintf(later, sizeof(later), "%s/later", dir);
	journals[0] = journal_new(synced, 1);
	journals[1] = journal_new(later, 0);
	for (int i = 0; i < RECORDS; i++) {
		with[i] = append(journals[0], record);
		without[i] = append(journals[1], record);
	}
	for (int i = 0; i < 2; i++)
		journal_close(journals[i]);
	if (nftw(dir, entry_remove, 8, FTW_DEPTH | FTW_PHYS))
		perror(dir);
	measure_sort(with, RECORDS);
	measure_sort(without, RECORDS);
	measure_row("journal.append, with fsync", with[RECORDS / 2], "append without",
		    without[RECORDS / 2], RATIO_MAX);
	return 0;
}
