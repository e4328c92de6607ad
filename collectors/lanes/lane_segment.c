/* SPDX-License-Identifier: Apache-2.0 */
#include "collectors/lanes/lane_segment.h"

#include <errno.h>
#include <string.h>

#include "lib/data/varint.h"

#define LANE_SEGMENT_BATCH SERIES_BATCH /* records copied at once: 2 KiB */

static struct vow_shm_lane *lane_segment_shared(const struct lane_segment *ls, unsigned lane)
{
	return &ls->segment.shm->lanes[lane];
}

unsigned lane_segment_lanes(const struct lane_segment *ls)
{
	uint32_t lanes = segment_counters(&ls->segment).lanes;

	return lanes < VOW_SHM_LANES ? lanes : VOW_SHM_LANES;
}

/* ---- begin and end ----------------------------------------------------------------------------- */

struct lane_segment_redo {
	struct vow_shm_lane *shared;
	uint64_t position;
};

/* The head that the last agent had no time to store: within what was written, never back. */
static int lane_segment_redo_store(void *arg)
{
	struct lane_segment_redo *redo = arg;
	struct lane lane;

	lane_begin(&lane, redo->shared, redo->position);
	if (!lane.quarantined)
		lane_commit(&lane, redo->shared);
	return 0;
}

static int lane_segment_redo(struct lane_segment *ls, const uint8_t *p, const uint8_t *end)
{
	for (;;) {
		uint64_t lane, position;

		if (varint_get(&p, end, &lane) < 0 || lane > VOW_SHM_LANES)
			return -EPROTO;
		if (lane == 0)
			break;
		if (varint_get(&p, end, &position) < 0)
			return -EPROTO;
		struct lane_segment_redo redo = {lane_segment_shared(ls, (unsigned)lane - 1),
						 position};
		segment_guard(lane_segment_redo_store, &redo);
	}
	return overflow_redo(&ls->overflow, &p, end);
}

int lane_segment_begin(struct lane_segment *ls, struct segment *segment, struct series_table *table,
		       const uint8_t *redo, size_t redo_size)
{
	memset(ls, 0, sizeof(*ls));
	ls->segment = *segment;
	*segment = (struct segment){0};
	overflow_init(&ls->overflow, &ls->segment);
	int rc = lane_series_init(&ls->series, table, &ls->segment);
	if (rc == 0 && redo)
		rc = lane_segment_redo(ls, redo, redo + redo_size);
	/* Bytes of our own journal that make no sense: better to read on than to go without. */
	if (rc == -EPROTO)
		rc = 0;
	if (rc < 0)
		lane_segment_end(ls);
	return rc;
}

void lane_segment_end(struct lane_segment *ls)
{
	lane_series_deinit(&ls->series);
	overflow_deinit(&ls->overflow);
	segment_close(&ls->segment);
}

/* ---- lanes ------------------------------------------------------------------------------------- */

/* One that is new, that is none, that no series is to be had for, or that carries a wait. */
static __attribute__((noinline)) void lane_segment_record(struct lane_segment *ls,
							  const struct vow_shm_record *record,
							  struct lane_tally *tally)
{
	struct series *series = lane_series_of_record(&ls->series, record->what);
	unsigned kind = VOW_SHM_WHAT_KIND(record->what);

	if (series)
		series_record(series, record->latency_ns,
			      kind >= VOW_SHM_DELIVERED ? record->extra : SERIES_NO_QUEUE);
	else if (kind == VOW_SHM_NOTHING || kind >= VOW_SHM_RECORD_KINDS)
		tally->malformed++;
	else
		tally->no_memory++;
	tally->events -= !series; /* was counted with its batch */
}

/* count <= LANE_SEGMENT_BATCH */
static void lane_segment_records(struct lane_segment *ls, const struct vow_shm_record *records,
				 unsigned count, struct lane_tally *tally)
{
	struct series *series[LANE_SEGMENT_BATCH];
	dur_ns latencies[LANE_SEGMENT_BATCH];
	unsigned plain = 0;

	tally->events += count;
	for (unsigned i = 0; i < count; i++) {
		series[plain] = lane_series_of_known(&ls->series, records[i].what);
		latencies[plain] = records[i].latency_ns;
		if (likely(series[plain]))
			plain++;
		else
			lane_segment_record(ls, &records[i], tally);
	}
	series_record_batch(series, latencies, plain);
}

struct lane_segment_take {
	struct lane *lane;
	const struct vow_shm_lane *shared;
	struct vow_shm_record *records;
	bool tagged;
};

static int lane_segment_take(void *arg)
{
	struct lane_segment_take *take = arg;

	if (!take->lane->begun)
		lane_begin(take->lane, take->shared, 0);
	take->tagged |= lane_has_exemplars(take->lane, take->shared);
	return (int)lane_take(take->lane, take->shared, take->records, LANE_SEGMENT_BATCH);
}

/* At most what a lane holds, so that a fast owner does not keep the agent at its lane. */
static uint64_t lane_segment_drain_lane(struct lane_segment *ls, unsigned lane,
					struct lane_tally *tally)
{
	struct vow_shm_record records[LANE_SEGMENT_BATCH];
	struct lane_segment_take take = {&ls->lanes[lane], lane_segment_shared(ls, lane), records,
					 false};
	uint64_t taken = 0;
	int count;

	do {
		count = segment_guard(lane_segment_take, &take);
		if (count <= 0)
			break;
		lane_segment_records(ls, records, (unsigned)count, tally);
		taken += (uint64_t)count;
	} while (count == LANE_SEGMENT_BATCH && taken < take.lane->slots);
	ls->hurry |= lane_is_filling(take.lane);
	ls->tagged |= take.tagged;
	return taken;
}

uint64_t lane_segment_drain(struct lane_segment *ls, struct lane_tally *tally)
{
	unsigned lanes = lane_segment_lanes(ls);
	uint64_t taken = 0;

	ls->hurry = false;
	for (unsigned i = 0; i < lanes; i++)
		taken += lane_segment_drain_lane(ls, i, tally);
	return taken;
}

/* ---- exemplars --------------------------------------------------------------------------------- */

struct lane_segment_look {
	struct lane *lane;
	struct vow_shm_lane *shared;
	struct vow_shm_exemplar *exemplars;
};

static int lane_segment_look(void *arg)
{
	struct lane_segment_look *look = arg;

	if (!look->lane->begun)
		lane_begin(look->lane, look->shared, 0);
	return (int)lane_exemplars(look->lane, look->shared, look->exemplars);
}

static void lane_segment_exemplar(struct lane_segment *ls, const struct vow_shm_exemplar *claim,
				  struct exemplars *to, wall_ns now)
{
	struct series *series = lane_series_of_record(&ls->series, claim->what);
	struct exemplar exemplar = {
		.at = claim->ended_unix_ns < now ? claim->ended_unix_ns : now,
		.latency_ns = claim->latency_ns,
		.status = (uint16_t)VOW_SHM_WHAT_STATUS(claim->what),
	};

	if (series && exemplar_tag_set(&exemplar, (const char *)claim->tag, sizeof(claim->tag)))
		exemplars_add(to, series_id_of(series), &exemplar, now);
}

unsigned lane_segment_exemplars(struct lane_segment *ls, struct exemplars *to, wall_ns now)
{
	struct vow_shm_exemplar claims[VOW_SHM_EXEMPLARS];
	unsigned lanes = ls->tagged ? lane_segment_lanes(ls) : 0, total = 0;

	ls->tagged = false;
	for (unsigned i = 0; i < lanes; i++) {
		struct lane_segment_look look = {&ls->lanes[i], lane_segment_shared(ls, i), claims};
		int count = segment_guard(lane_segment_look, &look);

		for (int k = 0; k < count; k++)
			lane_segment_exemplar(ls, &claims[k], to, now);
		total += count > 0 ? (unsigned)count : 0;
	}
	return total;
}

unsigned lane_segment_quarantined(const struct lane_segment *ls)
{
	unsigned quarantined = 0;

	for (unsigned i = 0; i < VOW_SHM_LANES; i++)
		quarantined += ls->lanes[i].quarantined;
	return quarantined;
}

/* ---- overflow ---------------------------------------------------------------------------------- */

static uint64_t lane_segment_key(uint64_t key)
{
	return VOW_SHM_KEY(VOW_SHM_KEY_KIND(key), VOW_SHM_KEY_CLASS(key), 0, VOW_SHM_KEY_NAME(key),
			   VOW_SHM_KEY_PEER(key));
}

/* Adds what a block gave, and its waits, to the series. */
static int lane_segment_merge(struct lane_segment *ls, unsigned block, struct series *series,
			      struct lane_segment_work *work, bool waited)
{
	dur_ns thresholds[SERIES_THRESHOLDS];
	unsigned count = series_thresholds_of(series, thresholds);
	const struct series_key *key = series_key_of(series);
	const struct overflow_delta *delta = &work->delta;
	struct series_counts counts = {.count = delta->hist.count};

	if (series_class_is_error(key->role, key->status_class))
		counts.errors = counts.count;
	for (unsigned i = 0; i < count; i++)
		counts.bad[i] =
			counts.errors ? counts.count
				      : overflow_slower(&ls->overflow, block, delta, thresholds[i]);
	ssize_t size = hist_delta_pack(&delta->hist, work->packed, sizeof(work->packed));
	ssize_t wait_size = waited ? hist_delta_pack(&work->wait.hist, work->packed_wait,
						     sizeof(work->packed_wait))
				   : 0;
	if (size < 0 || wait_size < 0)
		return -ENOBUFS;
	return series_merge_packed(series, work->packed, (size_t)size, work->packed_wait,
				   (size_t)wait_size, &counts);
}

static bool lane_segment_block_known(uint64_t key)
{
	unsigned kind = VOW_SHM_KEY_KIND(key);

	return kind != VOW_SHM_NOTHING && kind < VOW_SHM_RECORD_KINDS &&
	       VOW_SHM_KEY_CLASS(key) <= VOW_SHM_CLASS_ERROR;
}

static void lane_segment_block(struct lane_segment *ls, unsigned block,
			       struct lane_segment_work *work, struct lane_tally *tally)
{
	uint64_t key = overflow_key(&ls->overflow, block);

	/* Waits are taken together with their outcomes. */
	if (!lane_segment_block_known(key))
		return;
	struct series *series = lane_series_get(&ls->series, lane_segment_key(key));
	if (!series)
		return; /* the block keeps what it has */
	dur_ns thresholds[SERIES_THRESHOLDS];
	unsigned count = series_thresholds_of(series, thresholds);
	overflow_judge(&ls->overflow, block, thresholds, count);
	if (!overflow_take(&ls->overflow, block, UINT64_MAX, ls->thorough, &work->delta))
		return;
	int wait = VOW_SHM_KEY_KIND(key) >= VOW_SHM_DELIVERED
			   ? overflow_wait_of(&ls->overflow, block)
			   : -1;
	bool waited = wait >= 0 && overflow_take(&ls->overflow, (unsigned)wait,
						 work->delta.hist.count, true, &work->wait);
	uint64_t taken = work->delta.hist.count;
	ls->took = true;
	if (lane_segment_merge(ls, block, series, work, waited) < 0) {
		tally->no_memory += taken;
		return;
	}
	tally->events += taken;
	tally->spilled += taken;
}

bool lane_segment_new_blocks(const struct lane_segment *ls)
{
	return segment_counters(&ls->segment).directory != ls->overflow.directory;
}

void lane_segment_round_begin(struct lane_segment *ls)
{
	if (ls->thorough)
		ls->overflow.directory = UINT32_MAX; /* a claim may have died before its count */
	overflow_scan(&ls->overflow);
	ls->block = 0;
	ls->took = false;
}

bool lane_segment_round_done(const struct lane_segment *ls)
{
	return ls->block >= ls->overflow.count && !(ls->thorough && ls->took);
}

unsigned lane_segment_round(struct lane_segment *ls, unsigned blocks, size_t room,
			    struct lane_segment_work *work, struct lane_tally *tally)
{
	unsigned looked = 0;

	if (ls->block >= ls->overflow.count && !lane_segment_round_done(ls))
		lane_segment_round_begin(ls);
	while (looked < blocks && ls->block < ls->overflow.count &&
	       ls->overflow.pending_bytes + 2 * OVERFLOW_TAKE_MAX <= room) {
		lane_segment_block(ls, ls->block++, work, tally);
		looked++;
	}
	return looked;
}

/* ---- the two steps ----------------------------------------------------------------------------- */

bool lane_segment_changed(const struct lane_segment *ls)
{
	if (ls->overflow.pending_bytes)
		return true;
	for (unsigned i = 0; i < VOW_SHM_LANES; i++)
		if (ls->lanes[i].position != ls->lanes[i].committed)
			return true;
	return false;
}

/* (lane + 1, position) for each lane that moved, a 0, then the overflow blocks. */
uint8_t *lane_segment_describe(const struct lane_segment *ls, uint8_t *p, const uint8_t *end)
{
	if ((size_t)(end - p) < LANE_SEGMENT_LANES_MAX)
		return NULL;
	for (unsigned i = 0; i < VOW_SHM_LANES; i++) {
		if (ls->lanes[i].position == ls->lanes[i].committed)
			continue;
		p = varint_put(p, i + 1);
		p = varint_put(p, ls->lanes[i].position);
	}
	*p++ = 0;
	return overflow_describe(&ls->overflow, p, end);
}

struct lane_segment_commit_one {
	struct lane *lane;
	struct vow_shm_lane *shared;
};

static int lane_segment_commit_lane(void *arg)
{
	struct lane_segment_commit_one *one = arg;

	lane_commit(one->lane, one->shared);
	return 0;
}

void lane_segment_commit(struct lane_segment *ls)
{
	ls->hurry = false;
	for (unsigned i = 0; i < VOW_SHM_LANES; i++) {
		struct lane_segment_commit_one one = {&ls->lanes[i], lane_segment_shared(ls, i)};

		if (ls->lanes[i].position != ls->lanes[i].committed)
			segment_guard(lane_segment_commit_lane, &one);
	}
	overflow_commit(&ls->overflow);
}
