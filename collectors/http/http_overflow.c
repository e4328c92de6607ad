/* SPDX-License-Identifier: Apache-2.0 */
#include "collectors/http/http_overflow.h"

#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

/* Pages of the map; NULL: not mapped. */
struct mapped {
	uint8_t *pages;
	size_t at, bytes;
};

struct http_overflow_reader {
	int map_fd;
	/*
	 * Of each bank the gates, and with those of the first the word that says which is current. The
	 * whole only while there is something in it, since all that is mapped counts as resident.
	 */
	struct mapped fore[2], all;
	__u64 *current;
	const struct http_overflow_gate *gates[2];
	bool swapped; /* the bank that is not current is still to be taken */
	uint64_t entered[2]; /* by when each bank was taken last; more since: something is in it */
	struct hist latency, queue; /* of the sum at hand */
	struct http_overflow_cell cells[OVERFLOW_CELLS]; /* of a bank, sorted by their keys */
};

/* The pages that hold what lies in the map from `from` to `end`. */
static int map(struct mapped *mapped, int map_fd, size_t from, size_t end)
{
	const size_t page = (size_t)sysconf(_SC_PAGESIZE);
	size_t at = from & -page, bytes = ((end + page - 1) & -page) - at;
	void *pages = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, map_fd, (off_t)at);

	if (pages == MAP_FAILED)
		return -errno;
	*mapped = (struct mapped){pages, at, bytes};
	return 0;
}

static void unmap(struct mapped *mapped)
{
	if (mapped->pages)
		munmap(mapped->pages, mapped->bytes);
	*mapped = (struct mapped){0};
}

int http_overflow_open(struct http_overflow_reader **out, int map_fd, struct diag *d)
{
	struct http_overflow_reader *reader = calloc(1, sizeof(*reader));
	int rc = 0;

	if (!reader)
		return diag_errno(d, -ENOMEM, "BPF overflow", NULL, "no memory");
	reader->map_fd = map_fd;
	for (unsigned i = 0; i < 2 && !rc; i++) {
		size_t at = offsetof(struct http_overflow, banks[i].gates);
		struct mapped *fore = &reader->fore[i];

		rc = map(fore, map_fd, i ? at : 0,
			 at + sizeof(reader->gates[0][0]) * OVERFLOW_GATES);
		if (!rc)
			reader->gates[i] = (void *)(fore->pages + (at - fore->at));
	}
	if (rc) {
		http_overflow_close(reader);
		return diag_errno(d, rc, "BPF overflow", NULL, "cannot map");
	}
	reader->current = &((struct http_overflow *)reader->fore[0].pages)->bank;
	*out = reader;
	return 0;
}

void http_overflow_close(struct http_overflow_reader *reader)
{
	if (!reader)
		return;
	unmap(&reader->all);
	unmap(&reader->fore[0]);
	unmap(&reader->fore[1]);
	free(reader);
}

/* ---- banks ------------------------------------------------------------------------------------ */

static uint64_t bank_entered(const struct http_overflow_gate *gates)
{
	uint64_t entered = 0;

	for (unsigned i = 0; i < OVERFLOW_GATES; i++)
		entered += __atomic_load_n(&gates[i].entered, __ATOMIC_RELAXED);
	return entered;
}

/*
 * Whether no writer is inside a bank that is not current. Those who left by the first load had all
 * entered by the second one: if they are as many, nobody was between, and whoever enters later sees
 * that the bank is not current. Pairs with the barriers of overflow_step(), bpf/http_overflow_add.h.
 */
static bool bank_is_quiet(const struct http_overflow_gate *gates)
{
	for (unsigned i = 0; i < OVERFLOW_GATES; i++) {
		uint64_t left = __atomic_load_n(&gates[i].left, __ATOMIC_ACQUIRE);

		if (__atomic_load_n(&gates[i].entered, __ATOMIC_ACQUIRE) != left)
			return false;
	}
	return true;
}

static int compare_cells(const void *a, const void *b)
{
	const struct http_overflow_cell *left = a, *right = b;

	return left->key < right->key ? -1 : left->key > right->key;
}

/* Moves the cells of a bank to the reader, sorted; returns how many. */
static unsigned cells_take(struct http_overflow_reader *reader, struct http_overflow_bank *bank)
{
	unsigned count = 0;

	for (unsigned i = 0; i < OVERFLOW_CELLS; i++) {
		if (!bank->cells[i].count)
			continue;
		reader->cells[count++] = bank->cells[i];
		bank->cells[i] = (struct http_overflow_cell){0};
	}
	bank->cells_used = 0;
	qsort(reader->cells, count, sizeof(reader->cells[0]), compare_cells);
	return count;
}

/* ---- sums ------------------------------------------------------------------------------------- */

static void record_fill(struct http_record *r, const struct http_overflow_bank *bank, uint64_t key)
{
	unsigned who = OVERFLOW_FIELD(key, OVERFLOW_WHO_SHIFT, 10);

	memset(r, 0, sizeof(*r));
	r->queue_ns = HTTP_QUEUE_UNKNOWN;
	r->role = OVERFLOW_FIELD(key, OVERFLOW_ROLE_SHIFT, 1);
	r->outcome = OVERFLOW_FIELD(key, OVERFLOW_OUTCOME_SHIFT, 2);
	if (OVERFLOW_FIELD(key, OVERFLOW_CLASS_SHIFT, 3) == OVERFLOW_CLASS_TLS) {
		r->flags = HTTP_TLS;
		if (OVERFLOW_FIELD(key, OVERFLOW_METHOD_SHIFT, OVERFLOW_METHOD_BITS))
			r->flags |= HTTP_TLS_SHARED;
	} else {
		r->method = OVERFLOW_FIELD(key, OVERFLOW_METHOD_SHIFT, OVERFLOW_METHOD_BITS);
		r->status = (uint16_t)(100 * OVERFLOW_FIELD(key, OVERFLOW_CLASS_SHIFT, 3));
	}
	if (who >= OVERFLOW_WHOS)
		return;
	r->pid = bank->whos[who].pid;
	r->family = bank->whos[who].family;
	if (r->role == HTTP_CLIENT)
		r->remote_port = bank->whos[who].port;
	else
		r->local_port = bank->whos[who].port;
	memcpy(r->remote_address, bank->whos[who].address, sizeof(r->remote_address));
	memcpy(r->command, bank->whos[who].command, sizeof(r->command));
	r->command[sizeof(r->command) - 1] = '\0';
}

/*
 * As many whole latencies as the cell counts, of the same sum. To say the mean of all would make their
 * sum larger than their number times the largest, and such a histogram is refused. One that is above
 * the mean by 1 lies in the cell's bucket like it, since a true one is at least as large.
 */
static void hist_add_cell(struct hist *hist, const struct http_overflow_cell *cell)
{
	uint64_t mean = cell->sum_ns / cell->count, above = cell->sum_ns % cell->count;

	hist_record(hist, mean, cell->count - above);
	hist_record(hist, mean + 1, above);
}

/* Hands over the sum that begins with the first of `count` cells; returns how many are its own. */
static unsigned sum_hand(struct http_overflow_reader *reader, const struct http_overflow_bank *bank,
			 const struct http_overflow_cell *cells, unsigned count, uint64_t *pairs,
			 http_overflow_fn fn, void *arg)
{
	struct http_overflow_sum sum = {.latency = &reader->latency, .queue = &reader->queue};
	unsigned n = 0;

	hist_clear(&reader->latency);
	hist_clear(&reader->queue);
	record_fill(&sum.record, bank, cells[0].key);
	for (; n < count &&
	       cells[n].key >> OVERFLOW_GROUP_SHIFT == cells[0].key >> OVERFLOW_GROUP_SHIFT;
	     n++) {
		bool queue = OVERFLOW_FIELD(cells[n].key, OVERFLOW_KIND_SHIFT, 1);

		if (queue)
			hist_add_cell(&reader->queue, &cells[n]);
		else if (sum.record.outcome == HTTP_COMPLETE)
			hist_add_cell(&reader->latency, &cells[n]);
		sum.count += queue ? 0 : cells[n].count;
	}
	*pairs += sum.count;
	fn(arg, &sum);
	return n;
}

static uint64_t bank_take(struct http_overflow_reader *reader, struct http_overflow_bank *bank,
			  http_overflow_fn fn, void *arg)
{
	unsigned count = cells_take(reader, bank);
	uint64_t pairs = 0;

	for (unsigned at = 0; at < count;)
		at += sum_hand(reader, bank, &reader->cells[at], count - at, &pairs, fn, arg);
	memset(bank->whos, 0, sizeof(bank->whos));
	return pairs;
}

/* The bank that is not current, once nobody is in it. */
static struct http_overflow_bank *bank_to_take(struct http_overflow_reader *reader)
{
	unsigned which = *reader->current & 1;

	if (!reader->swapped) {
		if (bank_entered(reader->gates[which]) == reader->entered[which])
			return NULL;
		/* A full barrier: a writer sees the swap, or bank_is_quiet() sees it. */
		__atomic_exchange_n(reader->current, which ^ 1, __ATOMIC_SEQ_CST);
		reader->swapped = true;
		which ^= 1;
	}
	if (!bank_is_quiet(reader->gates[which ^ 1]) ||
	    (!reader->all.pages &&
	     map(&reader->all, reader->map_fd, 0, sizeof(struct http_overflow))))
		return NULL;
	reader->entered[which ^ 1] = bank_entered(reader->gates[which ^ 1]);
	return &((struct http_overflow *)reader->all.pages)->banks[which ^ 1];
}

uint64_t http_overflow_drain(struct http_overflow_reader *reader, http_overflow_fn fn, void *arg)
{
	struct http_overflow_bank *bank;
	uint64_t pairs = 0;

	/* What an earlier call had to leave, then what came since. */
	for (int round = 0; round < 2 && (bank = bank_to_take(reader)); round++) {
		pairs += bank_take(reader, bank, fn, arg);
		reader->swapped = false;
	}
	if (!pairs)
		unmap(&reader->all);
	return pairs;
}
