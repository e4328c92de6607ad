/* SPDX-License-Identifier: Apache-2.0 */
/* A segment's header, counters, names and values as its owner likes them: refused or read. */
#include "lib/data/segment.h"
#include "tests/fuzz/forged.h"

static void check_reads(const struct segment *segment)
{
	struct segment_name name;
	uint64_t words[7];
	unsigned known = segment_names_known(segment);

	FUZZ_CHECK(known <= VOW_SHM_NAMES);
	FUZZ_CHECK(memchr(segment->service, '\0', sizeof(segment->service)));
	for (unsigned i = 0; i < VOW_SHM_NAMES + 8; i++) {
		if (i == 16)
			i = VOW_SHM_NAMES - 8; /* patches reach the first ones only */
		if (segment_name(segment, i, &name))
			FUZZ_CHECK(i < known && name.length >= 1 &&
				   name.length <= VOW_SHM_NAME_TEXT &&
				   name.kind < VOW_SHM_NAME_KINDS);
		FUZZ_CHECK(!segment_value(segment, i, words) || i < VOW_SHM_NAMES);
	}
	struct vow_shm_counters counters = segment_counters(segment);
	FUZZ_CHECK(counters.lost == forged->counters.lost);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
	struct fuzz_input input = {bytes, bytes + size};
	struct segment segment = {0};
	struct diag d = {0};
	int fd = forged_fresh();

	for (uint64_t patches = fuzz_number(&input, 1) % 8; patches > 0; patches--)
		forged_patch(&input, true);
	int rc = segment_open(fd, &segment, &d);
	if (rc < 0) {
		FUZZ_CHECK(!segment.shm && d.err == rc && d.what[0]);
		return 0;
	}
	/* What was checked at opening may change at once: it is not read again. */
	while (fuzz_left(&input)) {
		check_reads(&segment);
		forged_patch(&input, true);
	}
	check_reads(&segment);
	segment_close(&segment);
	return 0;
}
