/* SPDX-License-Identifier: Apache-2.0 */
#include "hub/windows.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "proto/tick.h"

#define WINDOWS_VALUE "windows" /* its name in the store */
/* Its size when it said nothing of the time of day. */
#define WINDOWS_VALUE_BEFORE offsetof(struct windows_resume, ahead)
/*
 * So long before the checkpoint the boundary lies at least: what shows less than a minute lives from
 * raw ticks alone.
 */
#define WINDOWS_BACK 70
/* Histograms in one row, about: a row is read and written in one piece. */
#define WINDOWS_ROW_BYTES (1u << 20)

void windows_step(struct windows *windows, uint32_t before, uint32_t after)
{
	const uint32_t grain = series_tier_grain(WINDOWS_TIER);
	uint32_t boundary = after ? (after - 1) / grain * grain : 0;

	/* What this step brought is filed behind the boundary. */
	if (boundary && boundary >= before && boundary > windows->marks[0].second) {
		memmove(&windows->marks[1], &windows->marks[0],
			(WINDOWS_MARKS - 1) * sizeof(windows->marks[0]));
		windows->marks[0] = (struct windows_mark){boundary, before, windows->stepped};
	}
	windows->stepped = windows->merged;
}

/* ---- saving ------------------------------------------------------------------------------------ */

struct saving {
	struct store *store;
	struct tick_writer *writer;
	struct store_slots row;
	size_t bytes; /* of the row that is open */
	struct diag *d;
};

static int row_end(struct saving *saving)
{
	int rc;

	if (!saving->bytes)
		return 0;
	rc = tick_end(saving->writer, &saving->row.slots, &saving->row.size);
	if (!rc)
		rc = store_slots_put(saving->store, &saving->row, saving->d);
	saving->row.part++;
	saving->bytes = 0;
	tick_begin(saving->writer, 0, 0);
	return rc;
}

static int slot_save(void *arg, uint32_t start, const struct series_delta *delta)
{
	struct saving *saving = arg;
	int rc = tick_add_delta(saving->writer, delta);

	(void)start;
	saving->bytes += delta->hist_size + delta->queue_size;
	return rc || saving->bytes < WINDOWS_ROW_BYTES ? rc : row_end(saving);
}

/* The slots of all series that begin with this second, instead of what the store has of it. */
static int start_save(struct saving *saving, struct series_table *table, unsigned tier,
		      uint32_t start)
{
	int rc;

	saving->row = (struct store_slots){.tier = tier, .start = start};
	saving->bytes = 0;
	rc = store_slots_drop(saving->store, tier, start, saving->d);
	tick_begin(saving->writer, 0, 0);
	if (!rc)
		rc = series_slots_at(table, tier, start, slot_save, saving);
	return rc ? rc : row_end(saving);
}

/* What a restart at `boundary` has no use for goes: not what is needed no more as of now. */
static int tier_save(struct saving *saving, struct series_table *table, unsigned tier,
		     uint32_t boundary, uint32_t *until)
{
	const uint32_t second = series_clock(table).second, grain = series_tier_grain(tier);
	const uint32_t kept = series_tier_kept(tier);
	const uint32_t end = second ? (second - 1) / grain * grain : 0;
	uint32_t first = boundary > kept ? (boundary - kept) / grain * grain : 0;
	int rc = store_slots_trim(saving->store, tier, first, saving->d);

	first = *until > first ? *until : first;
	for (uint32_t start = first; start + grain <= end && !rc; start += grain)
		rc = start_save(saving, table, tier, start);
	*until = end > *until ? end : *until;
	return rc;
}

/*
 * Where a restart begins: the newest boundary with all of WINDOWS_BACK behind it, or the next best
 * of which the store has all. All zero: none.
 */
static struct windows_mark mark_choose(const struct windows *windows, uint32_t second)
{
	struct windows_mark chosen = {0};

	for (unsigned i = 0; i < WINDOWS_MARKS; i++) {
		const struct windows_mark *mark = &windows->marks[i];

		if (!mark->second || mark->second < windows->floor)
			break;
		chosen = *mark;
		if (mark->newest + WINDOWS_BACK <= second)
			break;
	}
	return chosen;
}

/*
 * The oldest boundary as of which a table still has all that a group of the next tier, begun by
 * then, is to be made of. 0: there is none yet.
 */
static uint32_t floor_choose(const struct windows *windows, uint32_t second)
{
	const uint32_t group = series_tier_grain(WINDOWS_TIER + 1);
	uint32_t floor = windows->marks[0].second;

	for (unsigned i = 1; i < WINDOWS_MARKS; i++) {
		uint32_t mark = windows->marks[i].second;

		if (!mark || mark / group * group + series_tier_kept(WINDOWS_TIER) <= second)
			break;
		floor = mark;
	}
	return floor;
}

static int resume_save(const struct windows *windows, const struct windows_mark *mark,
		       struct series_clock clock, struct store *store, int64_t applied,
		       struct diag *d)
{
	const struct windows_resume resume = {
		.clock = {clock.first_tick, mark->second},
		.newest = clock.second,
		.record = mark->record,
		.applied = applied,
		.ahead = windows->ahead,
	};

	return store_value_put(store, WINDOWS_VALUE, &resume, mark->second ? sizeof(resume) : 0, d);
}

int windows_save(const struct windows *windows, struct series_table *table, struct store *store,
		 int64_t applied, bool all, struct windows *next, struct diag *d)
{
	struct saving saving = {.store = store, .writer = tick_writer_new(), .d = d};
	const struct series_clock clock = series_clock(table);
	struct windows_mark mark;
	int rc = 0;

	if (!saving.writer)
		return diag_set(d, -ENOMEM, NULL, NULL, "no memory to save windows");
	*next = *windows;
	if (all || !windows->saved) {
		rc = store_slots_clear(store, d);
		memset(next->until, 0, sizeof(next->until));
		next->floor = floor_choose(windows, clock.second);
	}
	next->saved = true;
	mark = mark_choose(next, clock.second);
	for (unsigned tier = WINDOWS_TIER; tier < SERIES_TIERS && !rc; tier++)
		rc = tier_save(&saving, table, tier, mark.second, &next->until[tier]);
	if (!rc)
		rc = resume_save(windows, &mark, clock, store, applied, d);
	tick_writer_free(saving.writer);
	return rc;
}

/* ---- loading ----------------------------------------------------------------------------------- */

int windows_find(struct store *store, int64_t applied, struct windows_resume *resume,
		 struct diag *d)
{
	uint8_t *bytes;
	size_t size;
	int rc = store_value_get(store, WINDOWS_VALUE, &bytes, &size, d);

	if (rc <= 0)
		return rc;
	*resume = (struct windows_resume){0};
	rc = size == sizeof(*resume) || size == WINDOWS_VALUE_BEFORE;
	if (rc)
		memcpy(resume, bytes, size);
	free(bytes);
	return rc && resume->applied == applied && resume->clock.second &&
	       resume->clock.second % series_tier_grain(WINDOWS_TIER) == 0 &&
	       resume->newest >= resume->clock.second && resume->newest <= UINT32_MAX / 2;
}

struct loading {
	const struct windows_resume *resume;
	struct series *const *series;
	size_t series_count;
	const struct store_slots *row;
};

static int slot_load(void *arg, const struct series_delta *delta)
{
	const struct loading *loading = arg;
	struct series_counts counts = {.count = delta->counts.count,
				       .errors = delta->counts.errors};
	int rc;

	/* Its host may be gone, and what it counted moved. */
	if (delta->id >= loading->series_count || !loading->series[delta->id])
		return 0;
	rc = series_restore_slot(loading->series[delta->id], loading->row->tier,
				 loading->row->start, delta->hist, delta->hist_size, delta->queue,
				 delta->queue_size, &counts);
	return rc == -ENOMEM ? rc : 0; /* one that is broken keeps no other out */
}

static int row_load(void *arg, const struct store_slots *row)
{
	static const struct tick_visitor visitor = {.delta = slot_load};
	struct loading *loading = arg;
	int rc;

	if (row->tier < WINDOWS_TIER || row->tier >= SERIES_TIERS ||
	    row->start + series_tier_grain(row->tier) > loading->resume->clock.second)
		return 0; /* made of raw ticks that are lived through again */
	loading->row = row;
	rc = tick_read(row->slots, row->size, &visitor, loading, NULL);
	return rc == -ENOMEM ? rc : 0;
}

int windows_load(struct windows *windows, struct store *store, const struct windows_resume *resume,
		 struct series *const *series, size_t series_count, struct diag *d)
{
	struct loading loading = {resume, series, series_count, NULL};
	int rc = store_slots_read(store, row_load, &loading, d);

	if (rc == -ENOMEM)
		return diag_set(d, rc, NULL, NULL, "no memory for the windows");
	*windows = (struct windows){
		.marks[0] = {resume->clock.second, resume->clock.second, resume->record},
		.floor = resume->clock.second,
		.merged = resume->record,
		.stepped = resume->record,
		.saved = true,
	};
	for (unsigned tier = WINDOWS_TIER; tier < SERIES_TIERS; tier++)
		windows->until[tier] =
			resume->clock.second / series_tier_grain(tier) * series_tier_grain(tier);
	return rc;
}
