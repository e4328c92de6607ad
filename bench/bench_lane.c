/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Lanes: one observation into a lane, with a tag, into overflow when the lane is full, as a span
 * with both its clocks, those of the processor and those of the kernel; and the agent's drain, from
 * the lane into the series table, with 64 and 1000 routes.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <vow/vow.h>

#include "bench/measure.h"
#include "client/process.h"
#include "client/ticks.h"
#include "client/writer.h"
#include "collectors/lanes/lane_segment.h"

enum {
	PUSHES = 1000,
	SPILLS = 20000,
	LANES = 4,
	DRAINS = LANES * VOW_SHM_LANE_SLOTS,
	ROUTES = 1000
};

struct bench {
	vow_id routes[ROUTES];
	uint64_t values[SPILLS];
	uint64_t random;
	struct lane_segment segment;
	struct lane_tally tally;
	struct series_table *table;
	struct vow_shm_record records[DRAINS];
};

static void lane_release(void)
{
	__atomic_store_n(&writer_mine->lane->head, writer_mine->lane->tail, __ATOMIC_RELEASE);
}

static void round_observe(void *arg)
{
	struct bench *b = arg;

	for (unsigned i = 0; i < PUSHES; i++)
		vow_observe(b->routes[5], b->values[i], 200);
	lane_release();
}

/* Each tag finds a place: the agent has read all that came before. */
static void round_tagged(void *arg)
{
	struct vow_shm_lane *lane = writer_mine->lane;
	struct bench *b = arg;

	for (unsigned i = 0; i < PUSHES; i++) {
		vow_observe_tagged(b->routes[5], b->values[i], 200,
				   "4bf92f3577b34da6a3ce929d0e0e4736");
		__atomic_store_n(&lane->exemplars_taken, lane->exemplars, __ATOMIC_RELEASE);
	}
	lane_release();
}

/* All places of the set are slower ones that the agent has not read yet. */
static void round_tagged_fast(void *arg)
{
	struct bench *b = arg;

	for (unsigned i = 0; i < PUSHES; i++)
		vow_observe_tagged(b->routes[5], 1, 200, "4bf92f3577b34da6a3ce929d0e0e4736");
	lane_release();
}

static void round_span(void *arg)
{
	struct bench *b = arg;

	for (unsigned i = 0; i < PUSHES; i++)
		vow_span_end(vow_span_begin(b->routes[5]), 200);
	lane_release();
}

static void round_spill(void *arg)
{
	struct bench *b = arg;

	for (unsigned i = 0; i < SPILLS; i++)
		vow_observe(b->routes[5], b->values[i], 200);
}

/* What threads would have written, on the agent's side of the mapping. */
static void lanes_fill(struct bench *b)
{
	struct vow_shm *shm = process_mine->shm;

	for (unsigned l = 0; l < LANES; l++) {
		struct vow_shm_lane *lane = &shm->lanes[l + 1];

		memcpy(lane->slots, &b->records[l * VOW_SHM_LANE_SLOTS],
		       VOW_SHM_LANE_SLOTS * sizeof(lane->slots[0]));
		lane->tail = lane->head + VOW_SHM_LANE_SLOTS;
	}
	shm->counters.lanes = LANES + 1;
}

/* The least of the rounds against what was promised, in ns an operation. */
static void bench_promised(const char *name, double promise_ns, void (*round)(void *),
			   struct bench *b)
{
	double ours = 1e300;

	for (int i = 0; i < MEASURE_ROUNDS; i++) {
		double start = measure_now();

		round(b);
		ours = measure_least(ours, (measure_now() - start) / PUSHES);
	}
	measure_row(name, ours, "promise", promise_ns, 1.0);
}

static void bench_drain(struct bench *b, const char *name, unsigned routes, double limit,
			double promise_per_s)
{
	double ours = 1e300, peer = 1e300;

	for (unsigned i = 0; i < DRAINS; i++)
		b->records[i] = (struct vow_shm_record){
			.latency_ns = measure_latency(&b->random),
			.what = VOW_SHM_WHAT(VOW_SHM_OBSERVED,
					     b->routes[measure_random(&b->random) % routes], 0, 200,
					     0)};
	for (int i = 0; i < MEASURE_ROUNDS; i++) {
		lanes_fill(b);
		double start = measure_now();
		lane_segment_drain(&b->segment, &b->tally);
		ours = measure_least(ours, (measure_now() - start) / DRAINS);
		peer = measure_least(peer, measure_clock());
		lane_segment_commit(&b->segment);
	}
	measure_row(name, ours, "clock_gettime", peer, limit);
	measure_row(name, ours, "promise", NS_PER_S / promise_per_s, 1.0);
}

/* What a span costs where the processor's counter is not to be trusted. */
static void bench_span_by_kernel(struct bench *b)
{
	static const struct ticks kernel = {.clock = VOW_SHM_CLOCK_MONOTONIC};
	const struct ticks chosen = ticks_mine;

	ticks_use(&kernel);
	bench_promised("lane.span, the kernel's clock", 60, round_span, b);
	ticks_use(&chosen);
}

static unsigned one_threshold(void *arg, const struct series_key *key, dur_ns thresholds[])
{
	(void)arg, (void)key;
	thresholds[0] = 200 * NS_PER_MS;
	return 1;
}

static int bench_open(struct bench *b, const char *dir)
{
	static const struct series_table_options options = {.thresholds = one_threshold};
	struct vow_options vow = {.service = "bench", .dir = dir};
	struct segment segment = {0};
	char name[32];

	if (vow_open_options(&vow) < 0)
		return -1;
	for (unsigned i = 0; i < ROUTES; i++) {
		snprintf(name, sizeof(name), "/orders/{id}/items/%u", i);
		b->routes[i] = vow_route(name);
	}
	for (unsigned i = 0; i < SPILLS; i++)
		b->values[i] = measure_latency(&b->random);
	b->table = series_table_new(&options);
	segment.shm = process_mine->shm;
	strcpy(segment.service, "bench");
	return lane_segment_begin(&b->segment, &segment, b->table, NULL, 0);
}

int main(void)
{
	struct bench *b = calloc(1, sizeof(*b));
	struct lane_segment_work *work = calloc(1, sizeof(*work));
	char dir[] = "/tmp/vow-bench-XXXXXX";

	if (!b || !work || !mkdtemp(dir))
		return 1;
	b->random = 7;
	int rc = bench_open(b, dir);
	rmdir(dir);
	if (rc < 0)
		return 1;
	vow_observe(b->routes[5], 1, 200);
	measure("lane.observe", 0.2, PUSHES, round_observe, b);
	bench_promised("lane.observe", 2.0, round_observe, b);
	measure("lane.observe, tagged", 2.0, PUSHES, round_tagged, b);
	for (unsigned i = 0; i < 4; i++)
		vow_observe_tagged(b->routes[5], UINT64_MAX, 200, "slow");
	measure("lane.observe, tagged, all others slower", 1.0, PUSHES, round_tagged_fast, b);
	measure("lane.span", 1.3, PUSHES, round_span, b);
	bench_span_by_kernel(b);
	/* The lane fills; the agent looks once, so that its threshold is known. */
	round_spill(b);
	lane_segment_round_begin(&b->segment);
	lane_segment_round(&b->segment, 64, SIZE_MAX, work, &b->tally);
	measure("lane.observe, lane full", 0.7, SPILLS, round_spill, b);
	bench_drain(b, "lane.drain, 64 routes", 64, 0.35, 120e6);
	bench_drain(b, "lane.drain, 1000 routes", ROUTES, 0.5, 90e6);
	return 0;
}
