/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One observation into a full lane, with the segment mapped at many addresses: processors find
 * lines of their first cache by a hash of the address, and two lines of one call that share it
 * chase each other out. The best address is what the instructions cost; the worst should be near.
 *
 * Each address is measured in each of several rounds and counts by its least, so that what runs
 * beside (two processors are often halves of one core, which alone makes 24 ns and more of 16) hits all.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include <vow/vow.h>

#include "bench/measure.h"
#include "client/process.h"

enum { ADDRESSES = 256, ROUNDS = 40, SPILLS = 2000 };

struct bench {
	vow_id route;
	uint64_t values[SPILLS];
	char *addresses[ADDRESSES]; /* the same segment, mapped so often */
};

#define ROOM (UINT64_C(1) << 29) /* for one of them: 371 MiB, and up to 1 MiB in front */

static double spill(const struct bench *b)
{
	double start = measure_now();

	for (unsigned i = 0; i < SPILLS; i++)
		vow_observe(b->route, b->values[i], 200);
	return (measure_now() - start) / SPILLS;
}

static void segment_use(char *at)
{
	ptrdiff_t by = at - (char *)process_mine->shm;
	struct writer *writer = &process_mine->writers[0];

	process_mine->shm = (struct vow_shm *)at;
	writer->slots = (struct vow_shm_record *)((char *)writer->slots + by);
	writer->lane = (struct vow_shm_lane *)((char *)writer->lane + by);
}

/* At each page of a stretch of 1 MiB; further ones would show the same. */
static int segment_multiply(struct bench *b)
{
	const size_t page = (size_t)sysconf(_SC_PAGESIZE);
	char *room = mmap(NULL, ADDRESSES * ROOM, PROT_NONE,
			  MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (room == MAP_FAILED)
		return -1;
	for (unsigned i = 0; i < ADDRESSES; i++) {
		b->addresses[i] = room + i * ROOM + i * page;
		/* An old size of 0 maps shared pages once more. */
		if (mremap(process_mine->shm, 0, VOW_SHM_SIZE, MREMAP_MAYMOVE | MREMAP_FIXED,
			   b->addresses[i]) == MAP_FAILED)
			return -1;
	}
	return 0;
}

/* As an agent does: the application judges by a threshold that no latency here exceeds. */
static void thresholds_tell(struct vow_shm *shm)
{
	for (unsigned i = 0; i < VOW_SHM_DIRECTORY; i++) {
		struct vow_shm_block *block = &shm->blocks[i];

		if (!shm->directory[i])
			continue;
		memset(block->bank, 0xff, sizeof(block->bank));
		block->bank[0][0] = 200 * NS_PER_MS;
		block->policy = 1;
	}
}

static int bench_open(struct bench *b, const char *dir)
{
	const struct vow_options options = {.service = "bench", .dir = dir};
	uint64_t random = 7;

	if (vow_open_options(&options) < 0)
		return -1;
	b->route = vow_route("/orders/{id}/items");
	for (unsigned i = 0; i < SPILLS; i++)
		b->values[i] = measure_latency(&random);
	spill(b);
	thresholds_tell(process_mine->shm);
	return segment_multiply(b);
}

static void bench_run(const struct bench *b, double least[ADDRESSES])
{
	for (unsigned i = 0; i < ADDRESSES; i++)
		least[i] = 1e300;
	for (unsigned round = 0; round < ROUNDS; round++)
		for (unsigned i = 0; i < ADDRESSES; i++) {
			segment_use(b->addresses[i]);
			least[i] = measure_least(least[i], spill(b));
		}
	measure_sort(least, ADDRESSES);
}

int main(void)
{
	static struct bench b;
	static double least[ADDRESSES];
	char dir[] = "/tmp/vow-bench-XXXXXX";

	if (!mkdtemp(dir))
		return 1;
	int rc = bench_open(&b, dir);
	rmdir(dir);
	if (rc < 0)
		return 1;
	bench_run(&b, least);
	measure_row("lane.observe, lane full, worst address of 256", least[ADDRESSES - 1],
		    "best address", least[0], 1.3);
	return 0;
}
