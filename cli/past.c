/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/past.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "lib/base/dirs.h"
#include "lib/base/str.h"
#include "lib/data/journal_format.h"
#include "proto/tick.h"

/* Ticks come each second; a window that ends later than this behind the last one is not known. */
#define NEWEST_SLACK (2 * NS_PER_S)

struct past {
	char dir[DIRS_PATH_MAX];
	wall_ns at, from; /* the window is (from, at] */
	struct journal_reader *reader;
	struct series_table *table;
	struct gauge_table *gauges;
	struct exemplars *exemplars;
	struct board *board;
	struct series **names; /* by number of the segment being read */
	size_t name_count;
	wall_ns oldest, newest; /* of records */
	wall_ns begun; /* of the first tick that is in the window; 0: none yet */
	bool inside; /* the record being read is in the window */
};

/* ---- times --------------------------------------------------------------------------------------- */

static int past_parse_clock(const char *text, struct tm *tm, const char **rest)
{
	int hour, minute, second = 0, length = 0;

	if (sscanf(text, "%2d:%2d%n", &hour, &minute, &length) != 2)
		return -EINVAL;
	text += length;
	if (sscanf(text, ":%2d%n", &second, &length) == 1)
		text += length;
	if (hour < 0 || hour > 23 || minute < 0 || minute > 59 || second < 0 || second > 60)
		return -EINVAL;
	tm->tm_hour = hour;
	tm->tm_min = minute;
	tm->tm_sec = second;
	*rest = text;
	return 0;
}

/* A time of day is today's, or yesterday's when today's is still to come. */
static int past_parse_day_time(const char *text, time_t now, time_t *at)
{
	const char *rest;
	struct tm tm;

	localtime_r(&now, &tm);
	tm.tm_isdst = -1;
	if (past_parse_clock(text, &tm, &rest) || *rest)
		return -EINVAL;
	*at = mktime(&tm);
	if (*at > now) {
		tm.tm_mday--;
		tm.tm_isdst = -1;
		*at = mktime(&tm);
	}
	return 0;
}

static int past_parse_date_time(const char *text, time_t *at)
{
	struct tm tm = {.tm_isdst = -1}, given;
	const char *rest = strptime(text, "%Y-%m-%d", &tm);

	if (!rest || (*rest != 'T' && *rest != ' ') || past_parse_clock(rest + 1, &tm, &rest))
		return -EINVAL;
	if (strcmp(rest, "Z") != 0 && *rest)
		return -EINVAL;
	given = tm;
	*at = *rest ? timegm(&tm) : mktime(&tm);
	return tm.tm_mday == given.tm_mday ? 0 : -EINVAL; /* 31 February */
}

int past_parse(const char *text, wall_ns now, wall_ns *at, struct diag *d)
{
	time_t seconds = 0;
	dur_ns ago;
	int rc;

	if (text[0] == '-') {
		rc = str_parse_dur(text + 1, &ago);
		if (!rc && ago < now)
			*at = now - ago;
		if (!rc && ago < now)
			return 0;
		rc = -EINVAL;
	} else {
		rc = past_parse_date_time(text, &seconds);
		if (rc)
			rc = past_parse_day_time(text, (time_t)(now / NS_PER_S), &seconds);
	}
	if (rc || seconds <= 0)
		return diag_set(d, -EINVAL, "--at", "2026-11-22T03:00, 03:00, or -15m",
				"'%s' is no time", text);
	if ((uint64_t)seconds * NS_PER_S > now)
		return diag_set(d, -EINVAL, "--at", "leave it out to see what is now",
				"'%s' is still to come", text);
	*at = (uint64_t)seconds * NS_PER_S;
	return 0;
}

static const char *past_time_text(wall_ns at, char buf[32])
{
	time_t seconds = (time_t)(at / NS_PER_S);
	struct tm tm;

	localtime_r(&seconds, &tm);
	strftime(buf, 32, "%Y-%m-%dT%H:%M:%S", &tm);
	return buf;
}

/* ---- reading records ------------------------------------------------------------------------------- */

static int past_begin(void *arg, wall_ns wall, dur_ns duration)
{
	struct past *past = arg;

	(void)duration;
	if (past->inside && !past->begun) {
		/* The table's first second is the one after the begin, so that it ends at `at`. */
		past->begun = wall > past->from ? wall : past->from;
		series_tick(past->table, past->begun + NS_PER_S, NULL, NULL);
	}
	return 0;
}

static int past_series(void *arg, series_id id, const struct series_key *key)
{
	struct past *past = arg;

	if (id >= past->name_count) {
		size_t count = (size_t)id + 256;
		struct series **grown = realloc(past->names, count * sizeof(*grown));

		if (!grown)
			return -ENOMEM;
		memset(grown + past->name_count, 0, (count - past->name_count) * sizeof(*grown));
		past->names = grown;
		past->name_count = count;
	}
	past->names[id] = series_get(past->table, key);
	return past->names[id] ? 0 : -ENOMEM;
}

static int past_delta(void *arg, const struct series_delta *delta)
{
	struct past *past = arg;
	struct series_counts counts = {.count = delta->counts.count,
				       .errors = delta->counts.errors};

	if (!past->inside || delta->id >= past->name_count || !past->names[delta->id])
		return 0;
	return series_merge_packed(past->names[delta->id], delta->hist, delta->hist_size,
				   delta->queue, delta->queue_size, &counts);
}

static int past_gauge(void *arg, const struct gauge *gauge)
{
	struct past *past = arg;

	if (past->inside)
		(void)gauge_set(past->gauges, gauge->host, gauge->service, gauge->name,
				gauge->label, gauge->value, past->newest);
	return 0;
}

static int past_exemplar(void *arg, series_id id, const struct exemplar *exemplar)
{
	struct past *past = arg;

	if (past->inside && id < past->name_count && past->names[id])
		exemplars_add(past->exemplars, series_id_of(past->names[id]), exemplar, past->at);
	return 0;
}

static void past_take(struct past *past, const struct journal_record *record)
{
	const struct tick_visitor visitor = {.begin = past_begin,
					     .series = past_series,
					     .delta = past_delta,
					     .gauge = past_gauge,
					     .exemplar = past_exemplar};

	past->newest = record->wall;
	past->inside = record->wall > past->from && record->wall <= past->at;
	if (record->wall > past->at || !record->wire_size)
		return;
	/* One that is not understood is left out, as vowd does when it starts again. */
	(void)tick_read(record->wire, record->wire_size, &visitor, past, NULL);
	if (past->inside)
		series_tick(past->table, record->wall, NULL, NULL);
	gauge_expire(past->gauges, past->newest);
}

/* When the first record of a segment was written; 0 when there is none to be read. */
static wall_ns past_segment_begin(struct past *past, uint64_t first_seq)
{
	struct journal_record record;

	if (journal_reader_seek(past->reader, first_seq) ||
	    journal_reader_next(past->reader, &record, NULL) <= 0)
		return 0;
	return record.wall;
}

/* Goes to the last segment that begins before the window, since it names what the window holds. */
static int past_seek(struct past *past)
{
	uint64_t *seqs, first = 0;
	size_t count;
	int rc = journal_list(past->dir, &seqs, &count);

	if (rc < 0)
		return rc;
	for (size_t i = 0; i < count; i++) {
		wall_ns begin = past_segment_begin(past, seqs[i]);

		if (begin && !past->oldest)
			past->oldest = begin;
		if (!first || (begin && begin <= past->from))
			first = seqs[i];
	}
	free(seqs);
	return first ? journal_reader_seek(past->reader, first) : -ENOENT;
}

static int past_read(struct past *past, struct diag *d)
{
	struct journal_record record;
	char oldest[32], newest[32], at[32];
	int rc = past_seek(past);

	if (rc)
		return diag_errno(d, rc, past->dir, NULL, "cannot read the journal");
	while ((rc = journal_reader_next(past->reader, &record, d)) != 0) {
		if (rc < 0 && rc != -EPROTO)
			return rc;
		if (rc > 0)
			past_take(past, &record);
	}
	if (past->begun && past->at <= past->newest + NEWEST_SLACK) {
		series_tick(past->table, past->at, NULL, NULL);
		return 0;
	}
	return diag_set(d, -ENODATA, past->dir, "give a time within these two",
			"%s is not in this journal: it holds %s to %s",
			past_time_text(past->at, at), past_time_text(past->oldest, oldest),
			past_time_text(past->newest, newest));
}

/* ---- the views' side ----------------------------------------------------------------------------- */

static int past_board(struct past *past)
{
	struct board *board = past->board;

	gethostname(board->host, sizeof(board->host) - 1);
	snprintf(board->program, sizeof(board->program), "journal");
	board->at = past->at;
	board->started = board->counted_since = past->begun;
	board->series = series_count(past->table);
	board->exemplars = exemplars_publish(past->exemplars, past->at);
	if (!board->exemplars)
		return -ENOMEM;
	return board_from_gauges(board, past->gauges);
}

static int past_parts(struct past *past, const char *dir, struct diag *d)
{
	struct dirs dirs;
	int rc = dirs_init(&dirs, dir, d);

	if (rc)
		return rc;
	rc = dirs_path(past->dir, dirs.state, "journal");
	past->table = series_table_new(&(struct series_table_options){0});
	past->gauges = gauge_table_new(0);
	past->exemplars = exemplars_new(SIZE_MAX);
	past->board = board_new();
	if (!rc && (!past->table || !past->gauges || !past->exemplars || !past->board))
		rc = -ENOMEM;
	if (rc)
		return diag_errno(d, rc, dirs.state, NULL, "cannot read the past");
	rc = journal_reader_open(past->dir, NULL, 0, &past->reader, d);
	if (rc == -ENOENT)
		return diag_set(d, rc, past->dir, "name vowd's folder with --dir DIR",
				"there is no journal: vowd never ran with this folder");
	if (rc == -EACCES)
		return diag_set(d, rc, past->dir, "ask as root (sudo vow ...)",
				"you may not read this journal");
	return rc;
}

int past_open(const char *dir, wall_ns at, enum series_window window, struct past **past,
	      struct diag *d)
{
	struct past *made = calloc(1, sizeof(*made));
	int rc;

	if (!made)
		return diag_errno(d, -ENOMEM, NULL, NULL, "cannot read the past");
	series_reader_register();
	made->at = at;
	made->from = at - series_window_length(window);
	rc = past_parts(made, dir, d);
	if (!rc)
		rc = past_read(made, d);
	if (!rc)
		rc = past_board(made);
	if (rc) {
		past_close(made);
		return rc;
	}
	*past = made;
	return 0;
}

void past_close(struct past *past)
{
	if (!past)
		return;
	journal_reader_close(past->reader);
	board_unref(past->board);
	exemplars_free(past->exemplars);
	gauge_table_free(past->gauges);
	series_table_free(past->table);
	series_reader_unregister();
	free(past->names);
	free(past);
}

int past_view(const struct past *past, const struct view_query *query, struct view **view)
{
	return view_query(past->table, past->board, past->board->host, past->at, query, view);
}
