/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Stands for vowd where a test needs a journal of known content: appends records to DIR/journal and
 * says at the end what is in them.
 *
 *	journal_feed DIR RECORDS RATE_PER_S SERIES EVENTS [ALERT_EVERY [AGE_S
 *		[BUDGET_KIB [BROKEN_EVERY]]]]
 *
 * Each record is a tick in which each of SERIES routes ("/r0", "/r1", ... of service "feed") had
 * EVENTS requests of 1 to 2 ms, every seventh of them an error of sort. With ALERT_EVERY, every
 * so-manieth record carries an alert that fires and the next one its resolution. The clock of the
 * records is AGE_S behind. With BUDGET_KIB the journal merges what nobody sent, as vowd's does.
 * Every so-manieth record as BROKEN_EVERY says lacks its last bytes, which no reader can make sense
 * of, and is none of those that are told at the end. RATE_PER_S 0 is as fast as it goes; SIGTERM
 * ends it early. Prints
 * "fed RECORDS EVENTS ALERTS LAST_SEQ DROPPED MERGED BYTES".
 */
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "agent/compact.h"
#include "lib/base/clock.h"
#include "lib/base/fd.h"
#include "lib/data/journal.h"
#include "proto/tick.h"

static volatile sig_atomic_t ended;

struct feed {
	uint64_t records, rate_per_s, series, events, alert_every, age_s, budget_kib, broken_every;
	struct journal *journal;
	struct tick_writer *writer;
	uint64_t fed, broken, alerts, last_seq;
};

static void on_signal(int signum)
{
	(void)signum;
	ended = 1;
}

static int fail(const struct diag *d)
{
	char text[sizeof(*d) + 16];

	fprintf(stderr, "journal_feed: %s\n", diag_format(d, text, sizeof(text)));
	return 1;
}

static int add_names(struct feed *feed)
{
	int rc = 0;

	for (uint64_t i = 0; !rc && i < feed->series; i++) {
		struct series_key key = {
			.kind = SERIES_APP, .role = SERIES_SERVER, .status_class = CLASS_2XX};

		snprintf(key.service, sizeof(key.service), "feed");
		snprintf(key.route, sizeof(key.route), "/r%" PRIu64, i);
		rc = tick_add_series(feed->writer, (series_id)i, &key);
	}
	return rc;
}

static int add_deltas(struct feed *feed)
{
	static struct hist_delta hist;
	static uint8_t packed[HIST_PACKED_MAX];
	int rc = 0;

	for (uint64_t i = 0; !rc && i < feed->series; i++) {
		struct series_delta delta = {
			.id = (series_id)i,
			.hist = packed,
			.counts = {.count = feed->events, .errors = feed->events / 7},
		};

		hist_delta_clear(&hist);
		for (uint64_t n = 0; n < feed->events; n++)
			hist_delta_record(&hist, NS_PER_MS + (n * 7919 + i * 104729) % NS_PER_MS);
		delta.hist_size = (size_t)hist_delta_pack(&hist, packed, sizeof(packed));
		rc = tick_add_delta(feed->writer, &delta);
	}
	return rc;
}

static int add_alert(struct feed *feed, uint64_t number, enum alert_state to, wall_ns now)
{
	struct action action = {.kind = ACTION_ALERT, .at = now};

	action.alert.from = to == ALERT_FIRING ? ALERT_PENDING : ALERT_FIRING;
	action.alert.to = to;
	action.alert.since = now;
	snprintf(action.alert.objective, sizeof(action.alert.objective), "feed");
	snprintf(action.alert.fingerprint, sizeof(action.alert.fingerprint), "%032" PRIx64, number);
	snprintf(action.alert.reason, sizeof(action.alert.reason), "record %" PRIu64, number);
	feed->alerts++;
	return tick_add_action(feed->writer, &action);
}

static int feed_record(struct feed *feed, uint64_t number, struct diag *d)
{
	wall_ns now = clock_wall() - feed->age_s * NS_PER_S;
	dur_ns duration = feed->rate_per_s ? NS_PER_S / feed->rate_per_s : NS_PER_MS;
	const uint8_t *bytes;
	size_t size;
	int rc = 0;

	tick_begin(feed->writer, now - duration, duration);
	if (journal_at_segment_start(feed->journal))
		rc = add_names(feed);
	if (!rc)
		rc = add_deltas(feed);
	if (!rc && feed->alert_every && number % feed->alert_every == 0)
		rc = add_alert(feed, number, ALERT_FIRING, now);
	if (!rc && feed->alert_every && number % feed->alert_every == 1 && number > 1)
		rc = add_alert(feed, number - 1, ALERT_RESOLVED, now);
	if (!rc)
		rc = tick_end(feed->writer, &bytes, &size);
	if (rc)
		return diag_errno(d, rc, NULL, NULL, "cannot make a tick");
	if (feed->broken_every && number % feed->broken_every == 0) {
		feed->broken++;
		size -= 3;
	}
	return journal_append(feed->journal, now, bytes, size, NULL, 0, &feed->last_seq, d);
}

static int feed_run(struct feed *feed, struct diag *d)
{
	mono_ns start = clock_mono();
	int rc = 0;

	for (uint64_t i = 1; !rc && !ended && i <= feed->records; i++) {
		rc = feed_record(feed, i, d);
		if (!rc)
			feed->fed++;
		if (i % (feed->budget_kib ? 5 : 100) == 0)
			journal_trim(feed->journal, feed->last_seq);
		while (feed->rate_per_s && !ended &&
		       clock_mono() - start < i * NS_PER_S / feed->rate_per_s)
			nanosleep(&(struct timespec){.tv_nsec = 500000}, NULL);
	}
	return rc;
}

int main(int argc, char **argv)
{
	/* Small segments: a test sees many of them come and go. */
	struct journal_options options = {.segment_bytes = 1 << 20};
	struct compact *compact = compact_new();
	struct journal_counters counters;
	uint64_t numbers[8] = {0};
	struct feed feed;
	struct diag d;
	char dir[512];

	if (argc < 6 || argc > 10 || !compact)
		return 2;
	for (int i = 2; i < argc; i++)
		numbers[i - 2] = strtoull(argv[i], NULL, 10);
	feed = (struct feed){numbers[0], numbers[1], numbers[2],
			     numbers[3], numbers[4], numbers[5],
			     numbers[6], numbers[7], .writer = tick_writer_new()};
	if (feed.budget_kib) {
		options.segment_bytes = feed.budget_kib * 1024 / 8;
		options.budget_bytes = feed.budget_kib * 1024;
		options.merge = compact_merge;
		options.merge_arg = compact;
	}
	signal(SIGTERM, on_signal);
	snprintf(dir, sizeof(dir), "%s/journal", argv[1]);
	if (!feed.writer || fd_make_dirs(argv[1], 0755, &d) ||
	    journal_open(dir, &options, &feed.journal, &d) || feed_run(&feed, &d))
		return fail(&d);
	counters = journal_counters(feed.journal);
	printf("fed %" PRIu64 " %" PRIu64 " %" PRIu64 " %" PRIu64 " %" PRIu64 " %" PRIu64
	       " %" PRIu64 "\n",
	       feed.fed, (feed.fed - feed.broken) * feed.series * feed.events, feed.alerts,
	       feed.last_seq, counters.dropped_records_total, counters.merged_records_total,
	       counters.bytes);
	journal_close(feed.journal);
	tick_writer_free(feed.writer);
	compact_free(compact);
	return 0;
}
