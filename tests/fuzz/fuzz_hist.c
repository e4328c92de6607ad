/* SPDX-License-Identifier: Apache-2.0 */
/* Packed histograms: every reader of them agrees, and what was taken packs again to its own. */
#include <errno.h>

#include "lib/data/sparse.h"
#include "tests/fuzz/fuzz.h"

static struct hist hist;
static struct hist_delta delta;
static struct sparse_pool pool;
static uint8_t packed[HIST_PACKED_MAX], repacked[HIST_PACKED_MAX];

/* The sparse form takes what fits 32 bits a slot, and then holds the same. */
static void check_sparse(const uint8_t *bytes, size_t size)
{
	struct sparse sparse = {0};
	struct hist same = {0};
	int rc = sparse_merge_packed(&pool, &sparse, bytes, size);

	FUZZ_CHECK(rc == 0 || rc == -EOVERFLOW);
	if (rc == 0) {
		sparse_copy(&pool, &sparse, &delta);
		hist_merge_delta(&same, &delta);
		FUZZ_CHECK(same.count == hist.count && same.sum_ns == hist.sum_ns &&
			   same.max_ns == hist.max_ns);
		FUZZ_CHECK(memcmp(same.slots, hist.slots, sizeof(same.slots)) == 0);
	} else {
		FUZZ_CHECK(sparse.count == 0);
	}
	/* Twice: the first keeps the blocks that held something, the second gives them back. */
	sparse_reset(&pool, &sparse);
	sparse_reset(&pool, &sparse);
	FUZZ_CHECK(sparse.count == 0 && sparse.sum_ns == 0 && sparse.max_ns == 0);
}

static void check_quantiles(void)
{
	uint64_t before = 0;

	for (unsigned i = 0; i <= 10; i++) {
		struct hist_quantile q = hist_quantile(&hist, i / 10.0);

		FUZZ_CHECK(q.value_ns >= before && q.value_ns <= hist.max_ns);
		before = q.value_ns;
	}
	FUZZ_CHECK(before == hist.max_ns);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
	uint64_t count = 7, sum_ns = 7, max_ns = 7;
	int rc = hist_packed_totals(bytes, size, &count, &sum_ns, &max_ns);

	if (!pool.capacity)
		FUZZ_CHECK(sparse_pool_init(&pool, 4 * SPARSE_BLOCKS) == 0);
	memset(&hist, 0, sizeof(hist));
	FUZZ_CHECK(hist_merge_packed(&hist, bytes, size) == rc);
	if (rc < 0) {
		FUZZ_CHECK(count == 7 && sum_ns == 7 && max_ns == 7 && hist.count == 0);
		return 0;
	}
	FUZZ_CHECK(hist.count == count && hist.sum_ns == sum_ns && hist.max_ns == max_ns);
	ssize_t first = hist_pack(&hist, packed, sizeof(packed));
	FUZZ_CHECK(first > 0 && (size_t)first <= size);
	memset(&hist, 0, sizeof(hist));
	FUZZ_CHECK(hist_merge_packed(&hist, packed, (size_t)first) == 0);
	FUZZ_CHECK(hist_pack(&hist, repacked, sizeof(repacked)) == first);
	FUZZ_CHECK(memcmp(packed, repacked, (size_t)first) == 0);
	check_sparse(bytes, size);
	check_quantiles();
	return 0;
}
