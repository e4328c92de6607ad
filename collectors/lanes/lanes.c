/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The collector of what applications observe through libvow.
 *
 * A segment is read from the moment it is found until its owner is gone and nothing is left in it.
 * Taken is not given back: heads of lanes and `taken` words of overflow blocks move only in
 * commit(), after the journal has the record, so that lanes fill in between and spill. If the agent
 * dies after the journal and before commit(), the next one finds in the last record what to give
 * back before it reads (struct lanes_redo).
 */
#include "collectors/lanes/lanes.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "collectors/process_list.h"
#include "lib/base/clock.h"

/*
 * Looking at a lane takes some 0.3 us. Nothing that is found before the commit is of use earlier,
 * so with many lanes the looks become rarer: some 3 % of a core at most.
 */
#define LANES_LOOK_EVERY   10000 /* ns for each lane */
#define LANES_ROUND_EVERY  (100 * NS_PER_MS)
#define LANES_ROUND_BLOCKS 64 /* overflow blocks looked at in one poll; about 5 us each */
#define LANES_EVENTS	   (128u << 10) /* records taken in one poll; about 6 ns each */
/* A round over exemplars begins at most so often; what one poll takes of it is some 0.3 ms. */
#define LANES_EXEMPLARS_EVERY (100 * NS_PER_MS)
#define LANES_EXEMPLARS	      (VOW_SHM_LANES * VOW_SHM_EXEMPLARS)

/* ---- polling ----------------------------------------------------------------------------------- */

static uint64_t lanes_drain(struct lanes *lanes, mono_ns now)
{
	uint64_t taken = 0;
	unsigned i, looked = 0;

	if (now - lanes->drained_at < lanes->drain_every)
		return 0;
	for (i = 0; i < lanes->app_count && taken < LANES_EVENTS; i++) {
		struct lanes_app *app = lanes->apps[(lanes->turn + i) % lanes->app_count];

		if (app->let_go) {
			app->segment.drained = true;
			continue;
		}
		uint64_t more = lane_segment_drain(&app->segment, &lanes->tally);
		looked += lane_segment_lanes(&app->segment);

		app->segment.drained =
			app->ended && more == 0 && lane_segment_round_done(&app->segment);
		taken += more;
	}
	if (lanes->app_count)
		lanes->turn = (lanes->turn + i) % lanes->app_count;
	lanes->drained_at = now;
	lanes->drain_every = (dur_ns)looked * LANES_LOOK_EVERY;
	return taken;
}

/* A lane has room for 1024 records at first: for a thread that begins with 25,000 a second. */
static dur_ns lanes_patience(const void *state)
{
	(void)state;
	return 40 * NS_PER_MS;
}

static bool lanes_hurry(const void *state)
{
	const struct lanes *lanes = state;

	if (lanes->crowded)
		return true;
	for (unsigned i = 0; i < lanes->app_count; i++)
		if (lanes->apps[i]->segment.hurry)
			return true;
	return false;
}

static size_t lanes_pending(const struct lanes *lanes)
{
	size_t pending = 0;

	for (unsigned i = 0; i < lanes->app_count; i++)
		pending += lanes->apps[i]->segment.overflow.pending_bytes;
	return pending;
}

/* One after the other, so that no application keeps others from their share of a poll or a record. */
static void lanes_overflow(struct lanes *lanes, mono_ns now)
{
	unsigned blocks = LANES_ROUND_BLOCKS, first = lanes->overflow_turn;
	bool begin = now - lanes->round_at >= LANES_ROUND_EVERY;
	size_t pending = lanes_pending(lanes);

	if (begin) {
		lanes->round_at = now;
		lanes_weigh(lanes);
	}
	for (unsigned i = 0; i < lanes->app_count; i++) {
		unsigned at = (first + i) % lanes->app_count;
		struct lane_segment *segment = &lanes->apps[at]->segment;
		size_t own = segment->overflow.pending_bytes;

		if (lanes->apps[at]->let_go)
			continue;
		/* New blocks at once: the application judges by thresholds that it is told there. */
		if ((begin || lane_segment_new_blocks(segment)) &&
		    lane_segment_round_done(segment) && !segment->thorough)
			lane_segment_round_begin(segment);
		/* What the others do not need. */
		size_t room = LANES_ROUND_ROOM - (pending - own);
		unsigned looked =
			lane_segment_round(segment, blocks, room, lanes->work, &lanes->tally);
		if (looked) /* the next poll begins behind the last that had its share */
			lanes->overflow_turn = at + 1;
		blocks -= looked;
		pending += segment->overflow.pending_bytes - own;
		lanes->crowded |= blocks > 0 && segment->block < segment->overflow.count;
	}
}

static unsigned lanes_app_exemplars(struct lanes_app *app, wall_ns now)
{
	if (app->let_go)
		return 0;
	return lane_segment_exemplars(&app->segment, app->lanes->context.exemplars, now);
}

static void lanes_exemplars(struct lanes *lanes, mono_ns now)
{
	dur_ns every = lanes->drain_every > LANES_EXEMPLARS_EVERY ? lanes->drain_every
								  : LANES_EXEMPLARS_EVERY;
	wall_ns wall = clock_wall();
	unsigned taken = 0;

	if (!lanes->exemplar_left && now - lanes->exemplars_at >= every) {
		lanes->exemplar_left = lanes->app_count;
		lanes->exemplars_at = now;
	}
	/* Applications that are gone gave theirs at their end. */
	if (lanes->exemplar_left > lanes->app_count)
		lanes->exemplar_left = lanes->app_count;
	while (lanes->exemplar_left && taken < LANES_EXEMPLARS)
		taken += lanes_app_exemplars(lanes->apps[--lanes->exemplar_left], wall);
}

static void lanes_values(struct lanes *lanes, mono_ns now)
{
	if (now - lanes->gauges_at < NS_PER_S && lanes->gauges_at)
		return;
	lanes->gauges_at = now;
	for (unsigned i = 0; i < lanes->app_count; i++) {
		const struct lanes_app *app = lanes->apps[i];

		if (app->ended)
			continue;
		lane_gauges_add(lanes->gauges, &app->segment.segment);
		if (!app->asked)
			process_list_add(lanes->context.processes, app->pid,
					 app->segment.segment.service, now);
	}
	lane_gauges_publish(lanes->gauges, lanes->context.gauges, now);
}

static uint64_t lanes_poll(void *state, mono_ns now)
{
	struct lanes *lanes = state;
	uint64_t before = lanes->tally.events;

	discovery_step(lanes->discovery, now);
	if (discovery_scans(lanes->discovery) != lanes->scans)
		lanes_scanned(lanes);
	lanes_mapped_step(lanes);
	lanes_kept_step(lanes, now);
	lanes_strangers_step(lanes);
	lanes_overflow(lanes, now);
	lanes_drain(lanes, now);
	lanes_exemplars(lanes, now);
	lanes_values(lanes, now);
	return lanes->tally.events - before;
}

/* ---- giving back ------------------------------------------------------------------------------- */

static void lanes_commit(void *state)
{
	struct lanes *lanes = state;

	lanes->crowded = false;
	for (unsigned i = 0; i < lanes->app_count;) {
		struct lanes_app *app = lanes->apps[i];

		/* Also of one that was let go: what was read of it before is given back. */
		lane_segment_commit(&app->segment);
		if (app->segment.drained) {
			lanes->apps[i] = lanes->apps[--lanes->app_count];
			lanes_app_exemplars(app, clock_wall());
			lanes_kept_let_go(lanes, app->segment.segment.inode);
			lanes_app_end(app);
		} else {
			i++;
		}
	}
}

/* ---- life -------------------------------------------------------------------------------------- */

static void lanes_close(void *state)
{
	struct lanes *lanes = state;

	if (!lanes)
		return;
	lanes_kept_close(lanes);
	for (unsigned i = 0; i < lanes->app_count; i++)
		lanes_app_end(lanes->apps[i]);
	while (lanes->redo_count)
		lanes_redo_drop(lanes, lanes->redo_count - 1);
	free(lanes->redo);
	aside_free(lanes->aside);
	lane_gauges_free(lanes->gauges);
	free(lanes->work);
	free(lanes);
}

static int lanes_discover(struct lanes *lanes, struct diag *d)
{
	const struct discovery_options options = {.loop = lanes->context.loop,
						  .dir = lanes->context.dir,
						  .found = lanes_on_found,
						  .strange = lanes_on_strange,
						  .arg = lanes};

	return discovery_open(&options, &lanes->discovery, d);
}

static int lanes_open(const struct collector_context *context, void **state, struct diag *d)
{
	struct lanes *lanes = calloc(1, sizeof(*lanes));
	int rc = -ENOMEM;

	if (lanes) {
		lanes->context = *context;
		lanes->gauges = lane_gauges_new();
		lanes->work = calloc(1, sizeof(*lanes->work));
		lanes->aside = aside_new();
	}
	if (!lanes || !lanes->gauges || !lanes->work || !lanes->aside)
		diag_errno(d, rc, "lanes", NULL, "cannot begin to read applications");
	else
		rc = lanes_discover(lanes, d);
	if (rc == 0)
		rc = lanes_kept_open(lanes, d);
	if (rc < 0) {
		lanes_close(lanes);
		return rc;
	}
	*state = lanes;
	return 0;
}

static void lanes_status_drops(const struct lanes *lanes, struct collector_status *status,
			       uint64_t lost)
{
	status->drops[0] = (struct collector_drop){"no_memory", lanes->tally.no_memory + lost};
	status->drops[1] = (struct collector_drop){"malformed", lanes->tally.malformed};
	status->drop_count = 2;
}

static void lanes_status(const void *state, struct collector_status *status)
{
	const struct lanes *lanes = state;
	unsigned used = 0, quarantined = 0, broken = 0;
	uint64_t lost = 0;
	char kept[120];

	memset(status, 0, sizeof(*status));
	status->tier = lanes ? "lanes" : "off";
	if (!lanes)
		return;
	for (unsigned i = 0; i < lanes->app_count; i++) {
		const struct lane_segment *segment = &lanes->apps[i]->segment;
		struct vow_shm_counters counters = segment_counters(&segment->segment);

		used += counters.lanes < VOW_SHM_LANES ? counters.lanes : VOW_SHM_LANES;
		lost += lanes_app_lost(lanes->apps[i]);
		quarantined += lane_segment_quarantined(segment);
		broken += segment->overflow.broken;
	}
	status->events_total = lanes->tally.events;
	lanes_status_drops(lanes, status, lost);
	lanes_kept_describe(lanes, kept, sizeof(kept));
	snprintf(
		status->detail, sizeof(status->detail),
		"%u application%s with %u lane%s; %.0f %% of the observations by way of overflow%s",
		lanes->app_count, lanes->app_count == 1 ? "" : "s", used, used == 1 ? "" : "s",
		lanes->tally.events
			? 100.0 * (double)lanes->tally.spilled / (double)lanes->tally.events
			: 0.0,
		kept);
	if (lanes_strangers_problem(lanes, status->problem, sizeof(status->problem)) ||
	    lanes_mapped_problem(lanes, status->problem, sizeof(status->problem)))
		return;
	if (quarantined || broken)
		snprintf(status->problem, sizeof(status->problem),
			 "%u lanes and %u overflow blocks make no sense and are not read",
			 quarantined, broken);
	else if (lanes->refused_total)
		snprintf(status->problem, sizeof(status->problem), "%llu refused, the last: %s",
			 (unsigned long long)lanes->refused_total, lanes->refused);
	else if (lane_gauges_left_out(lanes->gauges))
		snprintf(status->problem, sizeof(status->problem),
			 "%u gauges are left out: all of a host are %u at most; give queues, jobs "
			 "and "
			 "gauges fewer names",
			 lane_gauges_left_out(lanes->gauges), GAUGE_NAMES_MAX);
	else if (keeping_problem(lanes->keeping)[0])
		snprintf(status->problem, sizeof(status->problem), "%s",
			 keeping_problem(lanes->keeping));
	else
		snprintf(status->problem, sizeof(status->problem), "%s",
			 discovery_problem(lanes->discovery));
}

const struct collector_ops lanes_collector = {
	.name = "lanes",
	.open = lanes_open,
	.poll = lanes_poll,
	.patience = lanes_patience,
	.hurry = lanes_hurry,
	.prepare = lanes_prepare,
	.checkpoint = lanes_checkpoint,
	.commit = lanes_commit,
	.restore = lanes_restore,
	.status = lanes_status,
	.close = lanes_close,
};
