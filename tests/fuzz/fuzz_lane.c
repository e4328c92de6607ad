/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Lanes and overflow blocks of a hostile owner, read by an agent that dies and comes back at any
 * step. Whatever stands there, what the agent says it counted is what its series hold, and a
 * description fits the room that was promised for it.
 */
#include "collectors/lanes/lane_segment.h"
#include "tests/fuzz/forged.h"

#define LOCAL_MAX (1u << 20)

static struct lane_segment reader;
static struct lane_segment_work work;
static uint8_t journal[LOCAL_MAX];

struct world {
	struct series_table *table;
	struct lane_tally tally;
	struct exemplars *exemplars;
	uint64_t reported; /* counts that the series handed out */
	size_t journal_size; /* of the record written last; 0: none */
	mono_ns now;
	int fd;
};

static unsigned thresholds_of(void *arg, const struct series_key *key,
			      dur_ns thresholds[SERIES_THRESHOLDS])
{
	(void)arg, (void)key;
	thresholds[0] = 1000;
	thresholds[1] = NS_PER_MS;
	return 2;
}

static void agent_begin(struct world *world, const uint8_t *redo, size_t size)
{
	struct segment segment = {0};

	FUZZ_CHECK(segment_open(world->fd, &segment, NULL) == 0);
	FUZZ_CHECK(lane_segment_begin(&reader, &segment, world->table, redo, size) == 0);
}

static void on_delta(void *arg, const struct series_delta *delta)
{
	struct world *world = arg;

	for (unsigned i = 0; i < delta->threshold_count; i++)
		FUZZ_CHECK(delta->counts.bad[i] <= delta->counts.count);
	FUZZ_CHECK(delta->counts.errors <= delta->counts.count);
	world->reported += delta->counts.count;
}

/* The first half of a tick: everything up to the journal. */
static void agent_record(struct world *world)
{
	series_tick(world->table, world->now += NS_PER_S, on_delta, world);
	if (!lane_segment_changed(&reader))
		return;
	size_t promised = LANE_SEGMENT_LANES_MAX + reader.overflow.pending_bytes;
	FUZZ_CHECK(promised <= sizeof(journal));
	const uint8_t *end = lane_segment_describe(&reader, journal, journal + promised);
	FUZZ_CHECK(end && end <= journal + promised);
	world->journal_size = (size_t)(end - journal);
}

/* It is gone before it could give back, and the next one begins with the journal. */
static void agent_die(struct world *world)
{
	lane_segment_end(&reader);
	agent_begin(world, world->journal_size ? journal : NULL, world->journal_size);
}

/* The journal itself says what comes: the rest of the input, up to 64 bytes. */
static void agent_misled(struct world *world, struct fuzz_input *input)
{
	uint8_t redo[64];
	size_t size = fuzz_copy(input, redo, sizeof(redo));

	lane_segment_end(&reader);
	agent_begin(world, redo, size);
}

static void agent_round(struct world *world, bool thorough)
{
	reader.thorough = reader.thorough || thorough;
	lane_segment_round_begin(&reader);
	for (unsigned i = 0; i < 4 && !lane_segment_round_done(&reader); i++)
		lane_segment_round(&reader, 32, LOCAL_MAX - LANE_SEGMENT_LANES_MAX, &work,
				   &world->tally);
}

static void step(struct world *world, struct fuzz_input *input)
{
	switch (fuzz_number(input, 1) % 12) {
	case 0:
		lane_segment_drain(&reader, &world->tally);
		FUZZ_CHECK(lane_segment_exemplars(&reader, world->exemplars, world->now) <=
			   VOW_SHM_LANES * VOW_SHM_EXEMPLARS);
		break;
	case 1:
		agent_round(world, false);
		break;
	case 2:
		agent_round(world, true);
		break;
	case 3:
		agent_record(world);
		lane_segment_commit(&reader);
		break;
	case 4:
		agent_record(world);
		agent_die(world);
		break;
	case 5:
		agent_misled(world, input);
		break;
	default:
		forged_patch(input, false);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
	struct series_table_options options = {.series_max = 64, .thresholds = thresholds_of};
	struct fuzz_input input = {bytes, bytes + size};
	struct world world = {.fd = forged_fresh(),
			      .table = series_table_new(&options),
			      .exemplars = exemplars_new(8)};

	FUZZ_CHECK(world.table && world.exemplars);
	agent_begin(&world, NULL, 0);
	for (unsigned steps = 0; steps < 64 && fuzz_left(&input); steps++)
		step(&world, &input);
	lane_segment_drain(&reader, &world.tally);
	agent_round(&world, true);
	agent_record(&world);
	FUZZ_CHECK(lane_segment_quarantined(&reader) <= VOW_SHM_LANES);
	lane_segment_commit(&reader);
	lane_segment_end(&reader);
	FUZZ_CHECK(world.reported == world.tally.events);
	exemplars_free(world.exemplars);
	series_table_free(world.table);
	return 0;
}
