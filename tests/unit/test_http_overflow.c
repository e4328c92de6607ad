/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What BPF programs count when their rings are full: their own code, compiled for this program,
 * against the reader and against lib/data/hist.h.
 */
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "collectors/http/http_overflow.h"
#include "lib/data/hist.h"
#include "tests/unit/check.h"

/* It wants hist_cells declared. */
#include "bpf/http_overflow_add.h"

#define AF_INET_V4 2

static struct http_overflow_reader *reader;
static struct http_overflow *shared; /* the writers' view */
static int fd;

static void begin(void)
{
	struct diag d = {0};

	fd = memfd_create("overflow", MFD_CLOEXEC);
	CHECK(fd >= 0 && !ftruncate(fd, sizeof(*shared)));
	shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	CHECK(shared != MAP_FAILED);
	CHECK_OK(http_overflow_open(&reader, fd, &d));
}

static void end(void)
{
	http_overflow_close(reader);
	munmap(shared, sizeof(*shared));
	close(fd);
}

static struct http_record record_of(uint32_t pid, uint16_t status, uint64_t total_ns)
{
	return (struct http_record){
		.total_ns = total_ns,
		.queue_ns = HTTP_QUEUE_UNKNOWN,
		.pid = pid,
		.local_port = 80,
		.remote_port = 40000,
		.remote_address = {10, 0, 0, 7},
		.status = status,
		.family = AF_INET_V4,
		.method = HTTP_GET,
		.command = "shop",
	};
}

/* ---- what the reader is given ----------------------------------------------------------------- */

enum { SUMS = 2048 };

static struct http_record sum_records[SUMS];
static uint64_t sum_counts[SUMS], sum_ns[SUMS];
static unsigned sums;
static struct hist all, waits; /* of all sums */

static void take(void *arg, const struct http_overflow_sum *sum)
{
	(void)arg;
	CHECK_GE_U64(SUMS, sums + 1);
	sum_records[sums] = sum->record;
	sum_counts[sums] = sum->count;
	sum_ns[sums++] = sum->latency->sum_ns;
	hist_merge(&all, sum->latency);
	hist_merge(&waits, sum->queue);
}

static uint64_t drain(void)
{
	sums = 0;
	hist_clear(&all);
	hist_clear(&waits);
	return http_overflow_drain(reader, take, NULL);
}

/* The sum of one kind of pair; fails when there is none. */
static uint64_t count_of(uint32_t pid, unsigned role, unsigned method, unsigned status,
			 unsigned outcome)
{
	for (unsigned i = 0; i < sums; i++) {
		const struct http_record *r = &sum_records[i];

		if (r->pid == pid && r->role == role && r->method == method &&
		    r->status == status && r->outcome == outcome)
			return sum_counts[i];
	}
	CHECK_FAIL("no sum of pid %u status %u", pid, status);
	return 0;
}

static uint64_t next_random(uint64_t *state)
{
	*state ^= *state << 13;
	*state ^= *state >> 7;
	*state ^= *state << 17;
	return *state;
}

CHECK_TEST(test_kernel_finds_the_slot_that_the_agent_finds)
{
	uint64_t state = 88172645463325252;

	for (uint32_t slot = 0; slot < HIST_SLOTS; slot++)
		for (uint64_t by = 0; by < 5; by++) {
			uint64_t ns = hist_slot_last(slot) + by;

			ns = ns > 2 ? ns - 2 : 0;
			CHECK_EQ_U64(overflow_slot(ns), hist_slot(ns));
		}
	for (int i = 0; i < 200000; i++) {
		uint64_t ns = next_random(&state) >> (i % 64);

		CHECK_EQ_U64(overflow_slot(ns), hist_slot(ns));
	}
	CHECK_EQ_U64(overflow_slot(UINT64_MAX), hist_slot(UINT64_MAX));
}

CHECK_TEST(test_each_kind_of_pair_has_its_sum)
{
	struct http_record get = record_of(7, 200, 1000), tunnel = get, failed = get, client = get,
			   gone = get, other = get;

	tunnel.method = HTTP_CONNECT; /* the last of them */
	failed.status = 503;
	client.role = HTTP_CLIENT;
	gone.outcome = HTTP_CLIENT_GONE;
	gone.total_ns = 77;
	other.pid = 8;
	begin();
	CHECK_EQ_U64(drain(), 0);
	for (int i = 0; i < 10; i++) {
		CHECK(overflow_add(shared, 0, &get));
		CHECK(i >= 2 || overflow_add(shared, 1, &tunnel));
		CHECK(i >= 3 || overflow_add(shared, 2, &failed));
		CHECK(i >= 4 || overflow_add(shared, 3, &client));
		CHECK(i >= 5 || overflow_add(shared, 9, &gone));
		CHECK(i >= 6 || overflow_add(shared, 200, &other));
	}
	CHECK_EQ_U64(drain(), 10 + 2 + 3 + 4 + 5 + 6);
	CHECK_EQ_U64(sums, 6);
	CHECK_EQ_U64(count_of(7, HTTP_SERVER, HTTP_GET, 200, HTTP_COMPLETE), 10);
	CHECK_EQ_U64(count_of(7, HTTP_SERVER, HTTP_CONNECT, 200, HTTP_COMPLETE), 2);
	CHECK_EQ_U64(count_of(7, HTTP_SERVER, HTTP_GET, 500, HTTP_COMPLETE), 3);
	CHECK_EQ_U64(count_of(7, HTTP_CLIENT, HTTP_GET, 200, HTTP_COMPLETE), 4);
	CHECK_EQ_U64(count_of(7, HTTP_SERVER, HTTP_GET, 200, HTTP_CLIENT_GONE), 5);
	CHECK_EQ_U64(count_of(8, HTTP_SERVER, HTTP_GET, 200, HTTP_COMPLETE), 6);
	CHECK_EQ_U64(all.count, 25); /* without those that have no latency */
	CHECK_EQ_U64(drain(), 0);
	end();
}

CHECK_TEST(test_sum_says_whom_it_is_of)
{
	struct http_record server = record_of(7, 204, 1000), client = server;
	const struct http_record *r;

	client.role = HTTP_CLIENT;
	begin();
	CHECK(overflow_add(shared, 0, &server));
	server.remote_port = 40001; /* from another client, the same */
	CHECK(overflow_add(shared, 0, &server));
	CHECK_EQ_U64(drain(), 2);
	CHECK_EQ_U64(sums, 1);
	r = &sum_records[0];
	CHECK_STR(r->command, "shop");
	CHECK_EQ_U64(r->local_port, 80);
	CHECK_EQ_U64(r->status, 200);
	CHECK_EQ_U64(r->path_words, 0);
	CHECK(overflow_add(shared, 0, &client));
	client.local_port = 81; /* from another socket, the same */
	CHECK(overflow_add(shared, 0, &client));
	client.remote_address[3] = 8;
	CHECK(overflow_add(shared, 0, &client));
	client.remote_port = 8080;
	CHECK(overflow_add(shared, 0, &client));
	CHECK_EQ_U64(drain(), 4);
	CHECK_EQ_U64(sums, 3);
	for (unsigned i = 0; i < sums; i++) {
		r = &sum_records[i];
		CHECK_EQ_U64(r->family, AF_INET_V4);
		CHECK_EQ_U64(r->remote_address[0], 10);
		CHECK_EQ_U64(sum_counts[i], r->remote_address[3] == 7 ? 2 : 1);
		CHECK(r->remote_port == 40000 ||
		      (r->remote_port == 8080 && r->remote_address[3] == 8));
	}
	end();
}

CHECK_TEST(test_latencies_are_those_of_records)
{
	static struct hist expected, expected_waits;
	uint64_t state = 1;

	hist_clear(&expected);
	hist_clear(&expected_waits);
	begin();
	for (int i = 0; i < 20000; i++) {
		struct http_record r = record_of(7, 200, 50000 + next_random(&state) % 900000);

		if (i % 3)
			r.queue_ns = next_random(&state) % 5000;
		CHECK(overflow_add(shared, (unsigned)i, &r));
		hist_record(&expected, r.total_ns, 1);
		if (i % 3)
			hist_record(&expected_waits, r.queue_ns, 1);
	}
	CHECK_EQ_U64(drain(), 20000);
	CHECK_EQ_U64(all.count, expected.count);
	CHECK_EQ_U64(all.sum_ns, expected.sum_ns);
	CHECK_EQ_U64(hist_slot(all.max_ns), hist_slot(expected.max_ns));
	CHECK(!memcmp(all.slots, expected.slots, sizeof(all.slots)));
	CHECK_EQ_U64(waits.count, expected_waits.count);
	CHECK_EQ_U64(waits.sum_ns, expected_waits.sum_ns);
	end();
}

CHECK_TEST(test_waits_of_unknown_length_and_unended_pairs_have_no_latency)
{
	struct http_record r = record_of(7, 0, 123456);

	r.outcome = HTTP_NO_RESPONSE;
	r.queue_ns = 1000;
	begin();
	CHECK(overflow_add(shared, 0, &r));
	CHECK_EQ_U64(drain(), 1);
	CHECK_EQ_U64(count_of(7, HTTP_SERVER, HTTP_GET, 0, HTTP_NO_RESPONSE), 1);
	CHECK_EQ_U64(all.count, 0);
	CHECK_EQ_U64(waits.count, 0);
	end();
}

CHECK_TEST(test_turns_within_tls_have_sums_of_their_own)
{
	const unsigned flags[] = {0, HTTP_TLS, HTTP_TLS | HTTP_TLS_SHARED};
	struct http_record r = record_of(7, 0, 1000);

	r.method = HTTP_METHOD_NONE;
	begin();
	for (unsigned i = 0; i < ARRAY_LEN(flags); i++) {
		r.flags = (uint8_t)flags[i];
		CHECK(overflow_add(shared, 0, &r));
	}
	CHECK_EQ_U64(drain(), 3);
	CHECK_EQ_U64(sums, 3);
	for (unsigned i = 0; i < sums; i++) {
		CHECK_EQ_U64(sum_records[i].flags, flags[i]);
		CHECK_EQ_U64(sum_records[i].method, HTTP_METHOD_NONE);
		CHECK_EQ_U64(sum_counts[i], 1);
	}
	end();
}

CHECK_TEST(test_bank_with_a_writer_inside_is_left_for_later)
{
	struct http_record r = record_of(7, 200, 1000);
	struct http_overflow_bank *bank;

	begin();
	CHECK(overflow_add(shared, 3, &r));
	bank = overflow_enter(shared, 3);
	CHECK(bank != NULL);
	CHECK_EQ_U64(drain(), 0);
	/* Others go on in the second bank, which is not touched either. */
	CHECK(overflow_add(shared, 3, &r));
	CHECK(overflow_add(shared, 4, &r));
	CHECK_EQ_U64(drain(), 0);
	CHECK(overflow_cell_add(bank, overflow_group(overflow_who(bank, &r), &r) | 5, 1000));
	overflow_leave(bank, 3);
	CHECK_EQ_U64(drain(), 4);
	CHECK_EQ_U64(drain(), 0);
	end();
}

/* As vowd files a sum: packed, which says no to a sum of latencies above count times the largest. */
static void check_packs(const struct hist *hist, uint64_t count, uint64_t total_ns)
{
	static uint8_t packed[HIST_PACKED_MAX];
	ssize_t size = hist_pack(hist, packed, sizeof(packed));
	uint64_t said = 0, said_ns = 0;

	CHECK(size > 0);
	CHECK_OK(hist_packed_totals(packed, (size_t)size, &said, &said_ns, NULL));
	CHECK_EQ_U64(said, count);
	CHECK_EQ_U64(said_ns, total_ns);
}

CHECK_TEST(test_few_pairs_of_one_bucket_can_be_filed)
{
	static const struct {
		uint64_t first_ns, second_ns;
	} pairs[] = {{0, 1}, {1, 2}, {100000, 100001}, {90000000, 90000333}, {1, 99999}};

	begin();
	for (unsigned i = 0; i < sizeof(pairs) / sizeof(pairs[0]); i++)
		for (unsigned level = 0; level < OVERFLOW_LEVELS; level++) {
			struct http_record first = record_of(7, 200, pairs[i].first_ns);
			struct http_record second = record_of(7, 200, pairs[i].second_ns);
			uint64_t total_ns = first.total_ns + second.total_ns;

			first.queue_ns = first.total_ns;
			second.queue_ns = second.total_ns;
			/* As if so many were in use, which makes buckets coarse. */
			shared->banks[shared->bank].cells_used =
				(uint64_t)level * OVERFLOW_CELLS / OVERFLOW_LEVELS;
			CHECK(overflow_add(shared, 0, &first));
			CHECK(overflow_add(shared, 0, &second));
			CHECK_EQ_U64(drain(), 2);
			check_packs(&all, 2, total_ns);
			check_packs(&waits, 2, total_ns);
		}
	end();
}

/* Latencies and processes without end: counts stay, the scale falls, and then what is told lost. */
CHECK_TEST(test_scale_falls_before_anything_is_lost)
{
	uint64_t state = 7, exact_ns = 0, added = 0;
	unsigned processes = 0;

	begin();
	for (; processes < 20; processes++)
		for (int i = 0; i < 1000; i++) {
			struct http_record r =
				record_of(1 + processes, 200, 1000 + (next_random(&state) >> 34));

			CHECK(overflow_add(shared, 0, &r));
			exact_ns += r.total_ns;
			added++;
		}
	CHECK_GE_U64(shared->banks[shared->bank].cells_used, OVERFLOW_CELLS / 4);
	CHECK_EQ_U64(drain(), added);
	CHECK_EQ_U64(all.count, added);
	CHECK_EQ_U64(all.sum_ns, exact_ns);
	CHECK_EQ_U64(sums, 20);
	end();
}

CHECK_TEST(test_coarse_cell_is_off_by_no_more_than_its_width)
{
	static const double widths[] = {0.0055, 0.0220, 0.0906, 0.4143};
	uint64_t state = 7, shared_cells = 0;

	begin();
	for (unsigned level = 0; level < OVERFLOW_LEVELS; level++)
		for (int i = 0; i < 2000; i++) {
			struct http_overflow_bank *bank = &shared->banks[shared->bank];
			struct http_record r =
				record_of(7, 200, 1000 + (next_random(&state) >> 40));
			double first = (double)r.total_ns, off;

			bank->cells_used = level * (OVERFLOW_CELLS / OVERFLOW_LEVELS);
			CHECK(overflow_add(shared, 0, &r));
			/* Another one, often of the same bucket, whose mean both are taken for. */
			r.total_ns += (uint64_t)(first * widths[level] * (i % 100) / 100);
			CHECK(overflow_add(shared, 0, &r));
			CHECK_EQ_U64(drain(), 2);
			CHECK_EQ_U64(all.sum_ns, (uint64_t)first + r.total_ns);
			shared_cells += all.slots[all.high - 1] == 2;
			off = (double)(hist_slot_last(all.low) + 1) / first - 1;
			CHECK(off >= -widths[level] - 0.0055);
			off = (double)all.max_ns / (double)r.total_ns - 1;
			CHECK(off <= widths[level] && off >= -widths[level]);
		}
	CHECK_GE_U64(shared_cells, 1000);
	end();
}

CHECK_TEST(test_what_finds_no_place_is_told_lost)
{
	uint64_t added = 0, refused = 0, state = 3;

	begin();
	for (uint32_t i = 0; i < 200000; i++) {
		struct http_record r = record_of(1 + i % 500, 200, next_random(&state) >> (i % 50));

		if (overflow_add(shared, i, &r))
			added++;
		else
			refused++;
	}
	CHECK_GE_U64(refused, 1);
	CHECK_EQ_U64(drain(), added);
	CHECK_EQ_U64(all.count, added);
	/* And there is room again, at the finest scale. */
	CHECK_EQ_U64(shared->banks[0].cells_used + shared->banks[1].cells_used, 0);
	end();
}

CHECK_TEST(test_more_processes_than_have_a_place_are_counted_together)
{
	uint64_t nobody = 0;

	begin();
	for (uint32_t pid = 1; pid <= 2000; pid++) {
		struct http_record r = record_of(pid, 200, 1000);

		CHECK(overflow_add(shared, 0, &r));
	}
	CHECK_EQ_U64(drain(), 2000);
	for (unsigned i = 0; i < sums; i++)
		nobody += sum_records[i].pid ? 0 : sum_counts[i];
	CHECK_GE_U64(nobody, 2000 - OVERFLOW_WHOS);
	CHECK_LE_U64(nobody, 2000 - OVERFLOW_WHOS / 2);
	end();
}

CHECK_TEST(test_overflow_that_cannot_be_mapped_is_an_error)
{
	struct http_overflow_reader *none = NULL;
	struct diag d = {0};

	CHECK_RC(http_overflow_open(&none, -1, &d), -EBADF);
	CHECK(none == NULL);
	begin();
	CHECK_ALLOC_LOOP(n)
	{
		int rc = http_overflow_open(&none, fd, &d);

		CHECK_RC(rc, check_alloc_failed() ? -ENOMEM : 0);
		http_overflow_close(none);
		none = NULL;
	}
	end();
}

/* ---- several writers at once ------------------------------------------------------------------ */

enum { WRITERS = 3, EACH = 30000 };

static unsigned writing;

static void *add_many(void *arg)
{
	uint32_t writer = (uint32_t)(uintptr_t)arg;

	for (uint64_t i = 1; i <= EACH; i++) {
		/* All of one process, so that they meet in cells as well. */
		struct http_record r = record_of(7, 200, 1000 + i % 64);

		/* Two of them share a gate. */
		if (!overflow_add(shared, writer / 2, &r))
			abort();
	}
	__atomic_sub_fetch(&writing, 1, __ATOMIC_RELEASE);
	return NULL;
}

CHECK_TEST(test_writers_at_once_lose_and_repeat_nothing)
{
	pthread_t threads[WRITERS];
	uint64_t count = 0, total_ns = 0, expected_ns = 0;
	bool more = true;

	begin();
	__atomic_store_n(&writing, WRITERS, __ATOMIC_RELAXED);
	for (uintptr_t i = 0; i < WRITERS; i++)
		CHECK_OK(pthread_create(&threads[i], NULL, add_many, (void *)i));
	while (more) {
		more = __atomic_load_n(&writing, __ATOMIC_ACQUIRE) > 0;
		count += drain();
		total_ns += all.sum_ns;
		sched_yield();
	}
	for (unsigned i = 0; i < WRITERS; i++)
		CHECK_OK(pthread_join(threads[i], NULL));
	for (uint64_t i = 1; i <= EACH; i++)
		expected_ns += WRITERS * (1000 + i % 64);
	CHECK_EQ_U64(count, WRITERS * EACH);
	CHECK_EQ_U64(total_ns, expected_ns);
	end();
}

CHECK_MAIN("http_overflow", test_kernel_finds_the_slot_that_the_agent_finds,
	   test_each_kind_of_pair_has_its_sum, test_sum_says_whom_it_is_of,
	   test_latencies_are_those_of_records,
	   test_waits_of_unknown_length_and_unended_pairs_have_no_latency,
	   test_turns_within_tls_have_sums_of_their_own,
	   test_bank_with_a_writer_inside_is_left_for_later,
	   test_few_pairs_of_one_bucket_can_be_filed, test_scale_falls_before_anything_is_lost,
	   test_coarse_cell_is_off_by_no_more_than_its_width, test_what_finds_no_place_is_told_lost,
	   test_more_processes_than_have_a_place_are_counted_together,
	   test_overflow_that_cannot_be_mapped_is_an_error,
	   test_writers_at_once_lose_and_repeat_nothing)
