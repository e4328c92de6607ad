/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The reader of the rings that BPF programs fill. The writer here keeps to the rules of
 * bpf/http_ring.h as bpf/http_conn.h does, in memory that is shared in the same way.
 */
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "collectors/http/http_ring.h"
#include "tests/unit/check.h"

static struct http_ring_shape shape;
static struct http_ring_reader *reader;
static uint8_t *rings; /* the writers' view of them */
static int fd;

static void begin(unsigned count, unsigned slots)
{
	struct diag d = {0};
	size_t size;

	shape = (struct http_ring_shape){.rings = count, .slots = slots};
	size = count * http_ring_bytes(&shape);
	fd = memfd_create("rings", MFD_CLOEXEC);
	CHECK(fd >= 0 && !ftruncate(fd, (off_t)size));
	rings = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	CHECK(rings != MAP_FAILED);
	CHECK_OK(http_ring_open(&reader, fd, &shape, &d));
}

static void end(void)
{
	http_ring_close(reader);
	munmap(rings, shape.rings * http_ring_bytes(&shape));
	close(fd);
}

/* ---- the writer ------------------------------------------------------------------------------- */

static struct http_ring *ring_at(unsigned which)
{
	return (struct http_ring *)(rings + which * http_ring_bytes(&shape));
}

static __u64 written(unsigned which)
{
	return __atomic_load_n(&ring_at(which)->written, __ATOMIC_RELAXED);
}

/*
 * The first of `count` slots that are the writer's own, for one who saw `written` at some time; NULL
 * when the ring is full.
 */
static struct http_slot *reserve_from(unsigned which, __u64 at, unsigned count, uint64_t *position)
{
	struct http_ring *ring = ring_at(which);
	struct http_slot *slot;

	do {
		__u64 done = __atomic_load_n(&ring->taken, __ATOMIC_ACQUIRE);

		if ((__s64)(at + count - done) > (__s64)shape.slots)
			return NULL;
	} while (!__atomic_compare_exchange_n(&ring->written, &at, at + count, false,
					      __ATOMIC_SEQ_CST, __ATOMIC_RELAXED));
	*position = at;
	slot = (struct http_slot *)(ring + 1) + at % shape.slots;
	/*
	 * The slot comes from its last writer through the reader, whose view of the memory is
	 * another to ThreadSanitizer: here it sees who gave the slot.
	 */
	(void)__atomic_load_n(&slot->stamp, __ATOMIC_ACQUIRE);
	return slot;
}

static struct http_slot *reserve(unsigned which, uint64_t *position)
{
	return reserve_from(which, written(which), 1, position);
}

static void stamp(struct http_slot *slot, uint64_t position)
{
	__atomic_store_n(&slot->stamp, position + 1, __ATOMIC_RELEASE);
}

static struct http_record *record_of(struct http_slot *slot)
{
	return (struct http_record *)slot->words;
}

/* Writes a record into a slot, which `number` tells from others, its path of so many words. */
static void slot_write(struct http_slot *slot, uint64_t position, uint64_t number, unsigned words)
{
	record_of(slot)->started_at = number;
	record_of(slot)->path_words = (uint8_t)words;
	for (unsigned i = 0; i < words && i < HTTP_PATH_MAX / 8; i++)
		record_of(slot)->path[i] = number;
	stamp(slot, position);
}

static bool record_write(unsigned which, uint64_t number, unsigned words)
{
	uint64_t position;
	struct http_slot *slot = reserve(which, &position);

	if (!slot)
		return false;
	record_of(slot)->flags &= (uint8_t)~HTTP_NAMED;
	slot_write(slot, position, number, words);
	return true;
}

/* The same of a record with the name of its peer, all bytes of which are the number. */
static bool record_write_named(unsigned which, uint64_t number, unsigned words)
{
	uint64_t position;
	struct http_slot *slot = reserve_from(which, written(which), 2, &position), *next;

	if (!slot)
		return false;
	next = (struct http_slot *)(ring_at(which) + 1) + (position + 1) % shape.slots;
	memset(next->words, (int)number, HTTP_PEER_NAME);
	record_of(slot)->flags |= HTTP_NAMED;
	slot_write(slot, position, number, words);
	return true;
}

/* ---- what the reader is given ----------------------------------------------------------------- */

static uint64_t taken[64];
static unsigned taken_count;
static struct http_record latest;

static void take(void *arg, const struct http_record *record)
{
	(void)arg;
	if (taken_count < sizeof(taken) / sizeof(taken[0]))
		taken[taken_count++] = record->started_at;
	latest = *record;
}

static unsigned drain(unsigned max)
{
	taken_count = 0;
	return http_ring_drain(reader, max, take, NULL);
}

CHECK_TEST(test_shape_fits_the_bytes_it_is_given)
{
	static const size_t bytes[] = {1, 4096, 65536, 2 << 20, (2 << 20) + 1, 64 << 20};

	for (size_t i = 0; i < sizeof(bytes) / sizeof(bytes[0]); i++)
		for (unsigned processors = 1; processors < 300; processors++) {
			struct http_ring_shape s = http_ring_shape_of(bytes[i], processors);
			size_t slots = (size_t)s.rings * s.slots;

			CHECK_GE_U64(s.rings, 1);
			CHECK_LE_U64(s.rings, processors);
			CHECK_LE_U64(s.rings, HTTP_RINGS_MAX);
			CHECK_EQ_U64(s.rings & (s.rings - 1), 0);
			CHECK_GE_U64(s.slots, 16);
			CHECK_EQ_U64(s.slots & (s.slots - 1), 0);
			if (s.slots > 16) /* no more than asked for, and no less than a half */
				CHECK_LE_U64(slots * sizeof(struct http_slot), bytes[i]);
			CHECK_GE_U64((2 * slots + 2 * s.rings) * sizeof(struct http_slot),
				     bytes[i]);
		}
	CHECK_EQ_U64(http_ring_shape_of(2 << 20, 2).slots, 4096);
}

CHECK_TEST(test_records_come_in_order_lap_after_lap)
{
	begin(1, 16);
	for (uint64_t number = 0; number < 200; number += 5) {
		for (uint64_t i = 0; i < 5; i++)
			CHECK(record_write(0, number + i, 3));
		CHECK_EQ_U64(drain(512), 5);
		for (uint64_t i = 0; i < 5; i++)
			CHECK_EQ_U64(taken[i], number + i);
		CHECK_EQ_U64(drain(512), 0);
	}
	end();
}

CHECK_TEST(test_full_ring_takes_no_more_until_it_is_drained)
{
	begin(1, 16);
	for (uint64_t number = 0; number < 16; number++)
		CHECK(record_write(0, number, 0));
	CHECK(!record_write(0, 16, 0));
	CHECK_EQ_U64(drain(3), 3);
	for (uint64_t number = 16; number < 19; number++)
		CHECK(record_write(0, number, 0));
	CHECK(!record_write(0, 19, 0));
	CHECK_EQ_U64(drain(512), 16);
	CHECK_EQ_U64(taken[0], 3);
	CHECK_EQ_U64(taken[15], 18);
	end();
}

CHECK_TEST(test_record_that_is_being_written_holds_back_those_behind_it)
{
	uint64_t position;
	struct http_slot *slot;

	begin(1, 16);
	/* A lap before, so that the slot has an older stamp. */
	for (uint64_t number = 0; number < 16; number++)
		CHECK(record_write(0, number, 0));
	CHECK_EQ_U64(drain(512), 16);
	slot = reserve(0, &position);
	CHECK(slot != NULL);
	CHECK(record_write(0, 101, 0));
	CHECK_EQ_U64(drain(512), 0);
	record_of(slot)->started_at = 100;
	stamp(slot, position);
	CHECK_EQ_U64(drain(512), 2);
	CHECK_EQ_U64(taken[0], 100);
	CHECK_EQ_U64(taken[1], 101);
	end();
}

CHECK_TEST(test_writer_that_is_held_up_finds_room_behind_the_reader)
{
	uint64_t position = 0;
	struct http_slot *slot;
	__u64 seen;

	begin(1, 16);
	seen = written(0);
	for (uint64_t number = 0; number < 5; number++)
		CHECK(record_write(0, number, 0));
	CHECK_EQ_U64(drain(512), 5);
	slot = reserve_from(0, seen, 1, &position);
	CHECK(slot != NULL);
	CHECK_EQ_U64(position, 5);
	record_of(slot)->started_at = 5;
	stamp(slot, position);
	CHECK_EQ_U64(drain(512), 1);
	CHECK_EQ_U64(taken[0], 5);
	/* And it sees that the ring got full meanwhile. */
	for (uint64_t number = 6; number < 22; number++)
		CHECK(record_write(0, number, 0));
	CHECK(reserve_from(0, seen, 1, &position) == NULL);
	end();
}

CHECK_TEST(test_path_is_filled_up_with_zeros_whatever_lay_in_the_slot)
{
	static const unsigned words[] = {0, 1, 12, 13};

	begin(1, 16);
	for (unsigned i = 0; i < 4; i++) {
		memset(ring_at(0) + 1, 0xaa, shape.slots * sizeof(struct http_slot));
		CHECK(record_write(0, 7, words[i]));
		CHECK_EQ_U64(drain(512), 1);
		for (unsigned at = 0; at < HTTP_PATH_MAX / 8; at++)
			CHECK_EQ_U64(latest.path[at], at < words[i] ? 7 : 0);
	}
	/* More than a path can have. */
	CHECK(record_write(0, 8, 255));
	CHECK_EQ_U64(drain(512), 1);
	CHECK_EQ_U64(latest.started_at, 8);
	CHECK_EQ_U64(latest.path[0], 0);
	end();
}

CHECK_TEST(test_notes_come_with_a_record_that_has_some)
{
	static const unsigned words[] = {0, HTTP_SLOT_PATH, HTTP_SLOT_PATH + 1, 13};
	const struct http_notes none = {.has = 0};

	begin(1, 16);
	for (unsigned i = 0; i < 8; i++) {
		struct http_slot *slot = (struct http_slot *)(ring_at(0) + 1) + i;
		struct http_notes *notes = (struct http_notes *)(slot->words + HTTP_SLOT_NOTES);
		bool noted = i < 4, event = words[i % 4] <= HTTP_SLOT_PATH;

		memset(slot, noted ? HTTP_NOTED : 0, sizeof(*slot));
		notes->delivery = 42;
		notes->has = HTTP_HEADER_DELIVERY | HTTP_HEADER_EVENT;
		CHECK(record_write(0, 7, words[i % 4]));
		CHECK_EQ_U64(drain(512), 1);
		if (!noted) {
			CHECK_MEM(&latest.notes, &none, sizeof(none));
			continue;
		}
		CHECK_EQ_U64(latest.notes.delivery, 42);
		CHECK_EQ_U64(latest.notes.has & HTTP_HEADER_EVENT, event ? HTTP_HEADER_EVENT : 0);
		CHECK_EQ_U64(latest.notes.event[3] != 0, event);
		CHECK_EQ_U64(words[i % 4] ? latest.path[words[i % 4] - 1] : 7, 7);
	}
	end();
}

/* On each position of the ring, its last one included, between records that have none. */
CHECK_TEST(test_names_come_with_the_records_that_have_one)
{
	const struct http_peer_name none = {.words = {0}};
	struct http_peer_name name;

	begin(1, 16);
	for (unsigned i = 1; i <= 100; i++) {
		memset(&name, (int)i, sizeof(name));
		CHECK(record_write_named(0, i, i % 14));
		CHECK_EQ_U64(drain(512), 1);
		CHECK_EQ_U64(latest.started_at, i);
		CHECK_MEM(&latest.peer, &name, sizeof(name));
		if (i % 3)
			continue;
		CHECK(record_write(0, i, 13));
		CHECK_EQ_U64(drain(512), 1);
		CHECK_MEM(&latest.peer, &none, sizeof(none));
	}
	end();
}

CHECK_TEST(test_record_with_a_name_wants_room_for_both)
{
	begin(1, 16);
	for (unsigned i = 1; i <= 15; i++)
		CHECK(record_write(0, i, 0));
	CHECK(!record_write_named(0, 16, 0));
	CHECK(record_write(0, 16, 0));
	CHECK_EQ_U64(drain(512), 16);
	for (unsigned i = 1; i <= 8; i++)
		CHECK(record_write_named(0, i, 0));
	CHECK(!record_write(0, 9, 0));
	CHECK_EQ_U64(drain(1), 1);
	CHECK(record_write_named(0, 9, 0));
	CHECK_EQ_U64(drain(512), 8);
	CHECK_EQ_U64(taken[7], 9);
	end();
}

CHECK_TEST(test_every_ring_gets_its_share_of_small_drains)
{
	unsigned each[4] = {0};

	begin(4, 16);
	for (unsigned round = 0; round < 40; round++) {
		for (unsigned which = 0; which < 4; which++)
			while (record_write(which, which, 0))
				;
		CHECK_EQ_U64(drain(10), 10);
		for (unsigned i = 0; i < 10; i++)
			each[taken[i]]++;
	}
	for (unsigned which = 0; which < 4; which++)
		CHECK_EQ_U64(each[which], 100);
	/* And one large drain takes from all. */
	CHECK_GE_U64(drain(512), 4 * 16 - 10);
	end();
}

CHECK_TEST(test_rings_that_cannot_be_mapped_are_an_error)
{
	struct http_ring_reader *none = NULL;
	struct diag d = {0};

	shape = (struct http_ring_shape){.rings = 1, .slots = 16};
	CHECK_RC(http_ring_open(&none, -1, &shape, &d), -EBADF);
	CHECK(none == NULL);
	begin(1, 16);
	CHECK_ALLOC_LOOP(n)
	{
		int rc = http_ring_open(&none, fd, &shape, &d);

		CHECK_RC(rc, check_alloc_failed() ? -ENOMEM : 0);
		http_ring_close(none);
		none = NULL;
	}
	end();
}

/* ---- several writers at once ------------------------------------------------------------------ */

enum { WRITERS = 3, EACH = 20000 };

static uint64_t newest[WRITERS];

static void *write_many(void *arg)
{
	uint64_t writer = (uint64_t)(uintptr_t)arg;

	for (uint64_t i = 1; i <= EACH; i++)
		while (!record_write(0, writer << 32 | i, 1 + i % 13))
			sched_yield();
	return NULL;
}

/* Each writer's records come in its own order, whole. */
static void take_whole(void *arg, const struct http_record *record)
{
	uint64_t writer = record->started_at >> 32, number = (uint32_t)record->started_at;
	unsigned *broken = arg;

	if (writer >= WRITERS || number != newest[writer] + 1 ||
	    record->path_words != 1 + number % 13 ||
	    record->path[record->path_words - 1] != record->started_at)
		(*broken)++;
	else
		newest[writer] = number;
}

CHECK_TEST(test_writers_at_once_lose_and_tear_nothing)
{
	pthread_t threads[WRITERS];
	unsigned broken = 0;
	uint64_t count = 0;

	begin(1, 64);
	for (uintptr_t i = 0; i < WRITERS; i++)
		CHECK_OK(pthread_create(&threads[i], NULL, write_many, (void *)i));
	while (count < WRITERS * EACH && !broken)
		count += http_ring_drain(reader, 512, take_whole, &broken);
	if (broken) /* writers would wait for ever */
		CHECK_FAIL("%u records broken", broken);
	for (unsigned i = 0; i < WRITERS; i++) {
		CHECK_OK(pthread_join(threads[i], NULL));
		CHECK_EQ_U64(newest[i], EACH);
	}
	end();
}

CHECK_MAIN(
	"http_ring", test_shape_fits_the_bytes_it_is_given,
	test_records_come_in_order_lap_after_lap, test_full_ring_takes_no_more_until_it_is_drained,
	test_record_that_is_being_written_holds_back_those_behind_it,
	test_writer_that_is_held_up_finds_room_behind_the_reader,
	test_path_is_filled_up_with_zeros_whatever_lay_in_the_slot,
	test_notes_come_with_a_record_that_has_some, test_names_come_with_the_records_that_have_one,
	test_record_with_a_name_wants_room_for_both, test_every_ring_gets_its_share_of_small_drains,
	test_rings_that_cannot_be_mapped_are_an_error, test_writers_at_once_lose_and_tear_nothing)
