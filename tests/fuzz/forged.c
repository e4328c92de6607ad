/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/fuzz/forged.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

struct vow_shm *forged;

static int forged_fd = -1;

static void forged_make(void)
{
	forged_fd = memfd_create("fuzz", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	FUZZ_CHECK(ftruncate(forged_fd, sizeof(*forged)) == 0);
	forged = mmap(NULL, sizeof(*forged), PROT_READ | PROT_WRITE, MAP_SHARED, forged_fd, 0);
	FUZZ_CHECK(forged != MAP_FAILED);
	FUZZ_CHECK(fcntl(forged_fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) == 0);
}

int forged_fresh(void)
{
	if (!forged)
		forged_make();
	FUZZ_CHECK(fallocate(forged_fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0,
			     sizeof(*forged)) == 0);
	forged->header = (struct vow_shm_header){
		.magic = VOW_SHM_MAGIC,
		.version = VOW_SHM_VERSION,
		.header_size = sizeof(struct vow_shm_header),
		.size = sizeof(struct vow_shm),
		.id = 7,
		.clock = VOW_SHM_CLOCK_MONOTONIC,
		.tick_ratio = UINT64_C(1) << 32,
		.lanes = VOW_SHM_LANES,
		.lane_slots = VOW_SHM_LANE_SLOTS,
		.names = VOW_SHM_NAMES,
		.directory = VOW_SHM_DIRECTORY,
		.hist_scale = VOW_SHM_SCALE,
		.hist_slots = VOW_SHM_HIST_SLOTS,
		.service = "forged",
	};
	forged->counters.names = 2;
	forged->names[1] =
		(struct vow_shm_name){.kind = VOW_SHM_NAME_ROUTE, .length = 2, .text = "/x"};
	forged->counters.lanes = 2;
	return forged_fd;
}

/* Where a part of the segment begins, and how much of it is overwritten. */
struct forged_part {
	size_t at, size;
};

static struct forged_part forged_part(struct fuzz_input *input, bool header)
{
	unsigned part = (unsigned)fuzz_number(input, 1) % 9;
	unsigned index = (unsigned)fuzz_number(input, 1);
	/* Few blocks and lanes, so that patches meet in them; the hash spreads real ones. */
	size_t block = offsetof(struct vow_shm, blocks) + index % 8 * sizeof(struct vow_shm_block);
	size_t lane = offsetof(struct vow_shm, lanes) + index % 3 * sizeof(struct vow_shm_lane);

	switch (part) {
	case 0:
		if (header)
			return (struct forged_part){0, sizeof(struct vow_shm_header)};
		__attribute__((fallthrough));
	case 1:
		return (struct forged_part){offsetof(struct vow_shm, counters),
					    sizeof(struct vow_shm_counters)};
	case 2:
		return (struct forged_part){offsetof(struct vow_shm, values), 4096};
	case 3:
		return (struct forged_part){offsetof(struct vow_shm, names), 1024};
	case 4:
		return (struct forged_part){offsetof(struct vow_shm, directory), 64};
	case 5:
		return (struct forged_part){lane, offsetof(struct vow_shm_lane, exemplar[4])};
	case 6:
		return (struct forged_part){lane + offsetof(struct vow_shm_lane, slots), 4096};
	case 7:
		return (struct forged_part){block, offsetof(struct vow_shm_block, groups)};
	default:
		return (struct forged_part){block + offsetof(struct vow_shm_block, groups),
					    3 * sizeof(struct vow_shm_group)};
	}
}

void forged_patch(struct fuzz_input *input, bool header)
{
	struct forged_part part = forged_part(input, header);
	size_t offset = fuzz_number(input, 2) * 8 % part.size;
	size_t length = 1 + fuzz_number(input, 1) % 32;

	if (length > part.size - offset)
		length = part.size - offset;
	fuzz_copy(input, (uint8_t *)forged + part.at + offset, length);
}
