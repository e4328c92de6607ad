/* SPDX-License-Identifier: Apache-2.0 */
#include <endian.h>
#include <errno.h>
#include <stdlib.h>

#include "agent/keyframe_names.h"

/* What is written, in this order. The first piece, small and of the tick, comes before all of them. */
enum stage { STAGE_TOTALS, STAGE_EXEMPLARS, STAGE_SLOTS, STAGE_DONE };

struct keyframe {
	enum stage stage;
	wall_ns wall; /* that ticks inside it begin with */
	struct tick_writer *writer;
	struct series_snapshot *series;
	struct exemplar_book *book;
	size_t exemplars; /* that are written */
	unsigned tier; /* whose slots come next */
	unsigned finest; /* tier of which all slots are written; SERIES_TIERS: none yet */
	size_t slots_bytes, slots_max;
	struct local *local; /* of the piece in the making */
};

/* ---- the first piece ------------------------------------------------------------------------------- */

static int clock_write(const struct agent *agent, struct local *local)
{
	const struct series_clock clock = series_clock(agent->series);
	const uint64_t first_tick = htole64(clock.first_tick);
	const uint32_t second = htole32(clock.second);
	uint8_t *to = local_open(local, CLOCK, CLOCK_BYTES);

	if (!to)
		return -ENOMEM;
	memcpy(to, &first_tick, sizeof(first_tick));
	memcpy(to + sizeof(first_tick), &second, sizeof(second));
	local_close(local, CLOCK_BYTES);
	return 0;
}

static int judge_write(const struct agent *agent, struct local *local)
{
	/* Counters of 64 objectives over 90 days are the most that there can be: 161 KB each. */
	for (size_t room = 64 << 10; room <= (64u << 20); room *= 4) {
		uint8_t *to = local_open(local, JUDGE, room);
		if (!to)
			return -ENOMEM;
		ssize_t size = judge_save(agent->judge, to, room);
		if (size >= 0) {
			local_close(local, (size_t)size);
			return 0;
		}
	}
	return -ENOBUFS;
}

static int checkpoints_write(const struct agent *agent, struct local *local)
{
	for (size_t i = 0; i < agent->source_count; i++) {
		const struct source *source = &agent->sources[i];
		char name[LOCAL_NAME];

		if (!source->state || !source->ops->checkpoint)
			continue;
		keyframe_checkpoint_name(name, source->ops);
		uint8_t *to = local_open(local, name, COLLECTOR_LOCAL_MAX);
		if (!to)
			return -ENOMEM;
		local_close(local, source->ops->checkpoint(source->state, to, COLLECTOR_LOCAL_MAX));
	}
	return 0;
}

int keyframe_begin(struct agent *agent, const struct keyframe_options *options, struct local *local,
		   struct keyframe **keyframe)
{
	struct keyframe *begun = calloc(1, sizeof(*begun));
	int rc = begun ? 0 : -ENOMEM;

	if (!rc)
		rc = clock_write(agent, local);
	if (!rc)
		rc = judge_write(agent, local);
	if (!rc)
		rc = checkpoints_write(agent, local);
	if (!rc)
		rc = series_snapshot_take(agent->series, &begun->series);
	if (!rc) {
		begun->writer = tick_writer_new();
		begun->book = exemplars_publish(agent->exemplars, agent->tick_wall);
		begun->wall = agent->tick_wall;
		begun->tier = SERIES_TIERS - 1;
		begun->finest = SERIES_TIERS;
		begun->slots_max = options->slots_max;
		rc = begun->writer && begun->book ? 0 : -ENOMEM;
	}
	if (rc)
		keyframe_free(begun);
	else
		*keyframe = begun;
	return rc;
}

void keyframe_free(struct keyframe *keyframe)
{
	if (!keyframe)
		return;
	exemplar_book_unref(keyframe->book);
	series_snapshot_free(keyframe->series);
	tick_writer_free(keyframe->writer);
	free(keyframe);
}

unsigned keyframe_finest(const struct keyframe *keyframe)
{
	return keyframe->finest;
}

/* ---- totals and exemplars: a tick of them in each piece ----------------------------------------------- */

/* Ends the tick as a section. */
static int tick_put(struct keyframe *keyframe, const char *name)
{
	const uint8_t *bytes;
	size_t size;
	int rc = tick_end(keyframe->writer, &bytes, &size);
	uint8_t *to = rc ? NULL : local_open(keyframe->local, name, size);

	if (!to)
		return -ENOMEM;
	memcpy(to, bytes, size);
	local_close(keyframe->local, size);
	return 0;
}

static int total_add(void *arg, const struct series_delta *delta)
{
	struct keyframe *keyframe = arg;
	int rc = tick_add_series(keyframe->writer, delta->id, delta->key);

	return rc ? rc : tick_add_delta(keyframe->writer, delta);
}

static int totals_fill(struct keyframe *keyframe)
{
	int rc, more;

	tick_begin(keyframe->writer, keyframe->wall, 0);
	more = series_snapshot_totals(keyframe->series, KEYFRAME_STEP_TOTALS, total_add, keyframe);
	if (more < 0)
		return more;
	rc = tick_put(keyframe, TOTALS);
	if (!rc && !more)
		keyframe->stage++;
	return rc;
}

/* The part of a walk over all exemplars that a piece takes. */
struct exemplars_walk {
	struct keyframe *keyframe;
	size_t at;
};

static int exemplar_add(void *arg, series_id id, const struct exemplar *exemplar)
{
	struct exemplars_walk *walk = arg;
	struct keyframe *keyframe = walk->keyframe;

	if (walk->at++ < keyframe->exemplars)
		return 0;
	if (walk->at > keyframe->exemplars + KEYFRAME_STEP_EXEMPLARS)
		return 1;
	return tick_add_exemplar(keyframe->writer, id, exemplar);
}

/* Of series that the totals name. */
static int exemplars_fill(struct keyframe *keyframe)
{
	struct exemplars_walk walk = {.keyframe = keyframe};
	int rc, more;

	tick_begin(keyframe->writer, keyframe->wall, 0);
	more = exemplar_book_each(keyframe->book, 0, UINT64_MAX, exemplar_add, &walk);
	if (more < 0)
		return more;
	rc = tick_put(keyframe, TAGGED);
	keyframe->exemplars += KEYFRAME_STEP_EXEMPLARS;
	if (!rc && !more)
		keyframe->stage++;
	return rc;
}

/* ---- slots of the windows ------------------------------------------------------------------------ */

/* More than a step's slots can take: address space, of which only what is written becomes memory. */
#define SLOTS_ROOM                                      \
	((size_t)(KEYFRAME_STEP_SLOTS + SERIES_SLOTS) * \
	 (2 * HIST_PACKED_MAX + sizeof(struct series_delta) + 256))

/* A piece's section of one tier. */
struct slots_section {
	struct keyframe *keyframe;
	uint8_t *bytes;
	size_t size;
	unsigned slots;
};

/* For each slot u32 size and a tick that begins when the slot does. */
static int slot_add(void *arg, uint32_t start, const struct series_delta *delta)
{
	struct slots_section *section = arg;
	struct keyframe *keyframe = section->keyframe;
	const uint8_t *bytes;
	uint32_t length;
	size_t size;
	int rc;

	tick_begin(keyframe->writer, start * NS_PER_S, 0);
	rc = tick_add_delta(keyframe->writer, delta);
	if (!rc)
		rc = tick_end(keyframe->writer, &bytes, &size);
	if (rc)
		return rc;
	if (keyframe->slots_bytes + section->size + sizeof(length) + size > keyframe->slots_max)
		return -ENOSPC;
	if (section->size + sizeof(length) + size > SLOTS_ROOM)
		return -ENOBUFS; /* a slot is two histograms and some counts */
	length = htole32((uint32_t)size);
	memcpy(section->bytes + section->size, &length, sizeof(length));
	memcpy(section->bytes + section->size + sizeof(length), bytes, size);
	section->size += sizeof(length) + size;
	section->slots++;
	return 0;
}

/* Adds to *slots what went into the section; as series_snapshot_slots(). */
static int tier_fill(struct keyframe *keyframe, unsigned *slots)
{
	char name[] = SLOTS "0";
	struct slots_section section = {.keyframe = keyframe};
	int more;

	name[sizeof(SLOTS) - 1] += (char)keyframe->tier;
	section.bytes = local_open(keyframe->local, name, SLOTS_ROOM);
	if (!section.bytes)
		return -ENOMEM;
	more = series_snapshot_slots(keyframe->series, keyframe->tier, KEYFRAME_STEP_SLOTS - *slots,
				     slot_add, &section);
	if (more < 0 && more != -ENOSPC)
		return more;
	local_close(keyframe->local, section.size);
	keyframe->slots_bytes += section.size;
	*slots += section.slots;
	return more;
}

/* Coarsest first: where all of them are too much, those are left out that fill again soonest. */
static int slots_fill(struct keyframe *keyframe)
{
	unsigned slots = 0;

	while (keyframe->stage == STAGE_SLOTS && slots < KEYFRAME_STEP_SLOTS) {
		int more = tier_fill(keyframe, &slots);

		if (more < 0 && more != -ENOSPC)
			return more;
		if (!more)
			keyframe->finest = keyframe->tier;
		if (more == -ENOSPC || keyframe->finest == 0)
			keyframe->stage++;
		else if (!more)
			keyframe->tier--;
	}
	return 0;
}

int keyframe_fill(struct keyframe *keyframe, struct local *local)
{
	int rc = 0;

	keyframe->local = local;
	switch (keyframe->stage) {
	case STAGE_TOTALS:
		rc = totals_fill(keyframe);
		break;
	case STAGE_EXEMPLARS:
		rc = exemplars_fill(keyframe);
		break;
	case STAGE_SLOTS:
		rc = slots_fill(keyframe);
		break;
	case STAGE_DONE:
		break;
	}
	return rc ? rc : keyframe->stage != STAGE_DONE;
}
