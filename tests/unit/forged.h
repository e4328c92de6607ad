/* SPDX-License-Identifier: Apache-2.0 */
/* A segment written by the page docs/shm-format.md, without libvow. */
#ifndef VOW_TESTS_UNIT_FORGED_H
#define VOW_TESTS_UNIT_FORGED_H

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>
#include <vow/shm.h>

#include "lib/data/rendezvous.h"
#include "tests/unit/check.h"

#define SEALS (F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL)

struct forged {
	int fd;
	struct vow_shm *shm;
};

/* One that the agent of dir finds; of none when dir is NULL. */
static struct forged forged_new(const char *dir, uint64_t id, int seals)
{
	char name[RENDEZVOUS_NAME_SIZE] = "test";
	struct forged forged;

	if (dir)
		CHECK_OK(rendezvous_name(dir, name));
	forged.fd = memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING);
	CHECK_OK(ftruncate(forged.fd, sizeof(struct vow_shm)));
	forged.shm = mmap(NULL, sizeof(struct vow_shm), PROT_READ | PROT_WRITE, MAP_SHARED,
			  forged.fd, 0);
	CHECK(forged.shm != MAP_FAILED);
	CHECK_OK(fcntl(forged.fd, F_ADD_SEALS, seals));
	forged.shm->header = (struct vow_shm_header){
		.magic = VOW_SHM_MAGIC,
		.version = VOW_SHM_VERSION,
		.header_size = sizeof(struct vow_shm_header),
		.size = sizeof(struct vow_shm),
		.id = id,
		.pid = (uint32_t)getpid(),
		.clock = VOW_SHM_CLOCK_MONOTONIC,
		.tick_ratio = UINT64_C(1) << 32,
		.lanes = 64,
		.lane_slots = 1024,
		.names = 1024,
		.directory = 4096,
		.hist_scale = 7,
		.hist_slots = 5377,
		.service = "forged",
	};
	forged.shm->counters.names = 2;
	forged.shm->names[1] =
		(struct vow_shm_name){.kind = VOW_SHM_NAME_ROUTE, .length = 2, .text = "/x"};
	forged.shm->counters.lanes = 2;
	return forged;
}

static void forged_close(struct forged *forged)
{
	munmap(forged->shm, sizeof(struct vow_shm));
	close(forged->fd);
}

static inline void forged_push(struct forged *forged, unsigned lane, uint64_t what)
{
	struct vow_shm_lane *to = &forged->shm->lanes[lane];

	to->slots[to->tail % 1024] = (struct vow_shm_record){.latency_ns = 1000, .what = what};
	__atomic_store_n(&to->tail, to->tail + 1, __ATOMIC_RELEASE);
}

#endif
