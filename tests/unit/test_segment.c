/* SPDX-License-Identifier: Apache-2.0 */
/* Segments made by a hand that means no good: refused with a reason, or read without harm. */
#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "collectors/lane_segment.h"
#include "lib/base/fd.h"
#include "lib/data/lane.h"
#include "lib/data/overflow.h"
#include "lib/data/rendezvous.h"
#include "lib/data/segment.h"
#include "tests/unit/lanes_agent.h"

#define SEALS (F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL)

/* A segment written by the page docs/shm-format.md, without libvow. */
struct forged {
	int fd;
	struct vow_shm *shm;
};

static struct forged forged_new(const struct lanes_agent *agent, uint64_t id, int seals)
{
	char name[RENDEZVOUS_NAME_SIZE] = "test";
	struct forged forged;

	if (agent)
		CHECK_OK(rendezvous_name(agent->dir, name));
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

static void forged_push(struct forged *forged, unsigned lane, uint64_t what)
{
	struct vow_shm_lane *to = &forged->shm->lanes[lane];

	to->slots[to->tail % 1024] = (struct vow_shm_record){.latency_ns = 1000, .what = what};
	__atomic_store_n(&to->tail, to->tail + 1, __ATOMIC_RELEASE);
}

CHECK_TEST(test_sealed_segment_opens_and_others_are_refused_with_the_reason)
{
	struct forged good = forged_new(NULL, 1, SEALS);
	struct forged loose = forged_new(NULL, 1, F_SEAL_GROW);
	struct forged deaf = forged_new(NULL, 1, SEALS);
	struct segment segment;
	struct diag d = {0};

	CHECK_OK(segment_open(good.fd, &segment, &d));
	CHECK_STR(segment.service, "forged");
	segment_close(&segment);
	CHECK_RC(segment_open(loose.fd, &segment, &d), -EPERM);
	CHECK_STR_HAS(d.what, "not sealed");
	CHECK_RC(segment_open(STDIN_FILENO, &segment, &d), -EPERM);

	deaf.shm->header.version = VOW_SHM_OLDEST;
	CHECK_OK(segment_open(deaf.fd, &segment, &d));
	segment_close(&segment);
	deaf.shm->header.version = 3;
	CHECK_RC(segment_open(deaf.fd, &segment, &d), -ENOTSUP);
	CHECK_STR_HAS(d.what, "version 3");
	CHECK_STR_HAS(d.what, "versions 1 to 2");
	forged_close(&good);
	forged_close(&loose);
	forged_close(&deaf);
}

CHECK_TEST(test_header_that_contradicts_itself_is_refused)
{
	struct forged forged = forged_new(NULL, 1, SEALS);
	struct vow_shm_header good = forged.shm->header;
	struct vow_shm_header bad[7];
	struct segment segment;

	for (unsigned i = 0; i < ARRAY_LEN(bad); i++)
		bad[i] = good;
	bad[0].magic++;
	bad[1].size = 1u << 30;
	bad[2].lanes = 65;
	bad[3].lane_slots = 0;
	bad[4].id = 0;
	memset(bad[5].service, 'x', sizeof(bad[5].service));
	bad[6].hist_slots = 5378;
	for (unsigned i = 0; i < ARRAY_LEN(bad); i++) {
		forged.shm->header = bad[i];
		CHECK_RC(segment_open(forged.fd, &segment, NULL), -EPROTO);
	}
	forged_close(&forged);
}

CHECK_TEST(test_names_are_claims)
{
	struct forged forged = forged_new(NULL, 1, SEALS);
	struct segment segment;
	struct segment_name name;

	CHECK_OK(segment_open(forged.fd, &segment, NULL));
	CHECK(segment_name(&segment, 1, &name));
	CHECK_EQ_U64(name.length, 2);
	CHECK(!segment_name(&segment, 2, &name));
	forged.shm->counters.names = UINT32_MAX;
	CHECK_EQ_U64(segment_names_known(&segment), 1024);
	CHECK(!segment_name(&segment, 1024, &name));
	forged.shm->names[1].length = 121;
	CHECK(!segment_name(&segment, 1, &name));
	forged.shm->names[1].length = 2;
	forged.shm->names[1].kind = 200;
	CHECK(!segment_name(&segment, 1, &name));
	segment_close(&segment);
	forged_close(&forged);
}

CHECK_TEST(test_tail_that_jumps_quarantines_its_lane_alone)
{
	static const uint64_t jumps[] = {1025, UINT64_MAX, UINT64_C(1) << 63};
	struct vow_shm_record records[8];

	for (unsigned i = 0; i < ARRAY_LEN(jumps); i++) {
		struct forged forged = forged_new(NULL, 1, SEALS);
		struct lane bad, good;

		lane_begin(&bad, &forged.shm->lanes[0], 0);
		lane_begin(&good, &forged.shm->lanes[1], 0);
		forged.shm->lanes[0].tail = jumps[i];
		forged_push(&forged, 1, 0);
		CHECK_EQ_U64(lane_take(&bad, &forged.shm->lanes[0], records, 8), 0);
		CHECK(bad.quarantined);
		CHECK_EQ_U64(lane_take(&good, &forged.shm->lanes[1], records, 8), 1);
		CHECK(!good.quarantined);
		forged_close(&forged);
	}
}

CHECK_TEST(test_tail_that_runs_back_quarantines)
{
	struct forged forged = forged_new(NULL, 1, SEALS);
	struct vow_shm_record records[8];
	struct lane lane;

	lane_begin(&lane, &forged.shm->lanes[0], 0);
	for (unsigned i = 0; i < 5; i++)
		forged_push(&forged, 0, 0);
	CHECK_EQ_U64(lane_take(&lane, &forged.shm->lanes[0], records, 8), 5);
	forged.shm->lanes[0].tail = 3;
	CHECK_EQ_U64(lane_take(&lane, &forged.shm->lanes[0], records, 8), 0);
	CHECK(lane.quarantined);
	forged_close(&forged);
}

CHECK_TEST(test_a_page_that_cannot_be_had_ends_the_visit_not_the_program)
{
	char path[300];
	uint64_t words[7];

#ifdef __SANITIZE_THREAD__
	SKIP("ThreadSanitizer blocks all signals in a handler, and the guard jumps out of it");
#endif
	snprintf(path, sizeof(path), "%s/short", check_dir());
	int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	CHECK_OK(ftruncate(fd, 4096));
	/* The second page lies behind the end of the file: SIGBUS, as from a hole without memory. */
	struct segment segment = {
		.shm = mmap(NULL, 4 * 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0)};
	for (unsigned i = 0; i < 3; i++) {
		CHECK_EQ_U64(segment_counters(&segment).lost, 0);
		CHECK(!segment_value(&segment, 1, words));
	}
	munmap(segment.shm, 4 * 4096);
	close(fd);
}

CHECK_TEST(test_overflow_word_that_runs_back_breaks_its_block_alone)
{
	struct forged forged = forged_new(NULL, 1, SEALS);
	struct overflow_delta *delta = calloc(1, sizeof(*delta));
	struct segment segment;
	struct overflow overflow;

	CHECK_OK(segment_open(forged.fd, &segment, NULL));
	overflow_init(&overflow, &segment);
	for (unsigned i = 0; i < 2; i++) {
		struct vow_shm_block *block = &forged.shm->blocks[i];

		forged.shm->directory[i] = VOW_SHM_KEY(VOW_SHM_OBSERVED, 2, 0, 1 + i, 0);
		block->groups[3].slots[5] = 10;
		block->sum_ns = 10 * hist_slot_last(3 * 128 + 5);
		block->max_ns = hist_slot_last(3 * 128 + 5);
		block->used = 1 << 3;
	}
	forged.shm->counters.directory = 2;
	CHECK_OK(overflow_scan(&overflow));
	CHECK_EQ_U64(overflow.count, 2);
	CHECK(overflow_take(&overflow, 0, UINT64_MAX, true, delta));
	CHECK_EQ_U64(delta->hist.count, 10);
	CHECK_EQ_U64(delta->hist.slots[3 * 128 + 5], 10);
	CHECK_EQ_U64(delta->hist.max_ns, hist_slot_last(3 * 128 + 5));
	forged.shm->blocks[0].groups[3].slots[5] = 9;
	CHECK(!overflow_take(&overflow, 0, UINT64_MAX, true, delta));
	forged.shm->blocks[0].groups[3].slots[5] = 1000;
	CHECK(!overflow_take(&overflow, 0, UINT64_MAX, true, delta));
	CHECK_EQ_U64(overflow.broken, 1);
	CHECK(overflow_take(&overflow, 1, 4, true, delta));
	CHECK_EQ_U64(delta->hist.count, 4);
	CHECK(overflow_take(&overflow, 1, UINT64_MAX, true, delta));
	CHECK_EQ_U64(delta->hist.count, 6);
	overflow_deinit(&overflow);
	segment_close(&segment);
	free(delta);
	forged_close(&forged);
}

CHECK_TEST(test_described_state_redone_twice_changes_nothing)
{
	struct forged forged = forged_new(NULL, 1, SEALS);
	struct overflow_delta *delta = calloc(1, sizeof(*delta));
	uint8_t bytes[OVERFLOW_TAKE_MAX];
	struct segment segment;
	struct overflow overflow;
	struct vow_shm_block *block = &forged.shm->blocks[7];

	CHECK_OK(segment_open(forged.fd, &segment, NULL));
	overflow_init(&overflow, &segment);
	forged.shm->directory[7] = VOW_SHM_KEY(VOW_SHM_OBSERVED, 2, 0, 1, 0);
	forged.shm->counters.directory = 1;
	block->used = 1 << 9;
	block->groups[9].slots[1] = 41;
	block->groups[9].slots[127] = 300;
	block->sum_ns = 123456;
	CHECK_OK(overflow_scan(&overflow));
	CHECK(overflow_take(&overflow, 0, UINT64_MAX, true, delta));
	uint8_t *end = overflow_describe(&overflow, bytes, bytes + sizeof(bytes));
	CHECK(end != NULL);
	overflow_deinit(&overflow); /* it dies before it gives anything back */
	CHECK_EQ_U64(block->groups[9].taken[127], 0);

	for (unsigned i = 0; i < 2; i++) {
		const uint8_t *p = bytes;

		overflow_init(&overflow, &segment);
		CHECK_OK(overflow_redo(&overflow, &p, end));
		CHECK(p == end);
		CHECK_EQ_U64(block->groups[9].taken[1], 41);
		CHECK_EQ_U64(block->groups[9].taken[127], 300);
		CHECK_OK(overflow_scan(&overflow));
		CHECK(!overflow_take(&overflow, 0, UINT64_MAX, true, delta));
		overflow_deinit(&overflow);
	}
	/* Every shorter piece is refused, none does harm. */
	for (const uint8_t *cut = bytes; cut < end; cut++) {
		const uint8_t *p = bytes;

		overflow_init(&overflow, &segment);
		CHECK_RC(overflow_redo(&overflow, &p, cut), -EPROTO);
		overflow_deinit(&overflow);
	}
	segment_close(&segment);
	free(delta);
	forged_close(&forged);
}

#define SCARCE_BLOCKS 20 /* the list of blocks grows at 16 */
#define SCARCE_EACH   10

static uint64_t take_all(struct overflow *overflow, struct overflow_delta *delta)
{
	uint64_t taken = 0;

	for (unsigned i = 0; i < overflow->count; i++)
		if (overflow_take(overflow, i, UINT64_MAX, true, delta))
			taken += delta->hist.count;
	return taken;
}

static void forge_blocks(struct forged *forged)
{
	for (unsigned i = 0; i < SCARCE_BLOCKS; i++) {
		struct vow_shm_block *block = &forged->shm->blocks[i];

		forged->shm->directory[i] = VOW_SHM_KEY(VOW_SHM_OBSERVED, 2, 0, 1, i);
		block->groups[4].slots[0] = SCARCE_EACH;
		block->sum_ns = SCARCE_EACH * hist_slot_last(4 * 128);
		block->max_ns = hist_slot_last(4 * 128);
		block->used = 1 << 4;
	}
	forged->shm->counters.directory = SCARCE_BLOCKS;
}

CHECK_TEST(test_lack_of_memory_leaves_overflow_for_later)
{
	struct forged forged = forged_new(NULL, 1, SEALS);
	struct overflow_delta *delta = calloc(1, sizeof(*delta));
	struct segment segment;
	struct overflow overflow;

	forge_blocks(&forged);
	CHECK_OK(segment_open(forged.fd, &segment, NULL));
	CHECK_ALLOC_LOOP(n)
	{
		overflow_init(&overflow, &segment);
		int rc = overflow_scan(&overflow);
		uint64_t taken = take_all(&overflow, delta);

		CHECK(rc == 0 || (rc == -ENOMEM && check_alloc_failed()));
		if (check_alloc_failed()) {
			CHECK_LE_U64(taken, (SCARCE_BLOCKS - 1) * SCARCE_EACH);
			CHECK_OK(overflow_scan(&overflow));
			taken += take_all(&overflow, delta);
		}
		CHECK_EQ_U64(taken, SCARCE_BLOCKS * SCARCE_EACH);
		CHECK_EQ_U64(overflow.broken, 0);
		overflow_deinit(&overflow);
	}
	segment_close(&segment);
	free(delta);
	forged_close(&forged);
}

CHECK_TEST(test_lack_of_memory_at_the_begin_leaves_the_segment_as_it_was)
{
	static uint8_t bytes[SCARCE_BLOCKS * OVERFLOW_TAKE_MAX];
	struct forged forged = forged_new(NULL, 1, SEALS);
	struct overflow_delta *delta = calloc(1, sizeof(*delta));
	struct series_table *table = series_table_new(&(struct series_table_options){0});
	struct lane_segment *reader = calloc(1, sizeof(*reader));
	struct segment segment;
	struct overflow overflow;

	forge_blocks(&forged);
	CHECK_OK(segment_open(forged.fd, &segment, NULL));
	overflow_init(&overflow, &segment);
	CHECK_OK(overflow_scan(&overflow));
	CHECK_EQ_U64(take_all(&overflow, delta), SCARCE_BLOCKS * SCARCE_EACH);
	bytes[0] = 0; /* no lane */
	uint8_t *end = overflow_describe(&overflow, bytes + 1, bytes + sizeof(bytes));
	CHECK(end != NULL);
	overflow_deinit(&overflow);
	segment_close(&segment);
	CHECK_ALLOC_LOOP(n)
	{
		CHECK_OK(segment_open(forged.fd, &segment, NULL));
		int rc = lane_segment_begin(reader, &segment, table, bytes, (size_t)(end - bytes));

		CHECK_RC(rc, check_alloc_failed() ? -ENOMEM : 0);
		CHECK(segment.shm == NULL); /* taken over in any case */
		if (rc == 0)
			lane_segment_end(reader);
	}
	/* However far the failed ones came, the last one has given all back that was described. */
	for (unsigned i = 0; i < SCARCE_BLOCKS; i++)
		CHECK_EQ_U64(forged.shm->blocks[i].groups[4].taken[0], SCARCE_EACH);
	free(reader);
	series_table_free(table);
	free(delta);
	forged_close(&forged);
}

/* ---- through the collector ----------------------------------------------------------------------- */

static void attach(struct lanes_agent *agent, const char *detail)
{
	/* Found by its name under /proc/self/fd. */
	lanes_agent_start(agent);
	for (unsigned i = 0; i < 10000 && !strstr(lanes_agent_status(agent).detail, detail); i++)
		lanes_agent_poll(agent);
	CHECK_STR_HAS(lanes_agent_status(agent).detail, detail);
}

CHECK_TEST(test_hostile_application_harms_no_other)
{
	struct lanes_agent *agent = lanes_agent_new();
	struct forged bad = forged_new(agent, 1, SEALS);
	struct forged good = forged_new(agent, 2, SEALS);

	snprintf(good.shm->header.service, sizeof(good.shm->header.service), "good");
	attach(agent, "2 applications");
	for (unsigned i = 0; i < 10; i++) {
		forged_push(&good, 0, VOW_SHM_WHAT(VOW_SHM_OBSERVED, 1, 0, 200, 0));
		forged_push(&bad, 0, VOW_SHM_WHAT(VOW_SHM_OBSERVED, 60000, 0, 65535, 255));
		forged_push(&bad, 0, VOW_SHM_WHAT(200, 1, 0, 200, 0));
		forged_push(&bad, 0, VOW_SHM_WHAT(VOW_SHM_DELIVERED, 1, 50000, 200, 0));
	}
	bad.shm->lanes[1].tail = UINT64_MAX / 2;
	bad.shm->header.version = 99;
	bad.shm->header.size = 1;
	bad.shm->counters.lanes = UINT32_MAX;
	bad.shm->counters.names = UINT32_MAX;
	for (unsigned i = 0; i < VOW_SHM_DIRECTORY; i++)
		bad.shm->directory[i] = UINT64_MAX - i;
	bad.shm->counters.directory = 4096;
	bad.shm->counters.spare[0] = bad.shm->counters.spare[1] = UINT64_MAX;
	bad.shm->blocks[0].used = UINT64_MAX;
	for (unsigned i = 0; i < 70; i++)
		lanes_agent_tick(agent);
	/* Holes where records and words were. */
	CHECK_OK(fallocate(bad.fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0,
			   sizeof(struct vow_shm)));
	forged_push(&good, 1, VOW_SHM_WHAT(VOW_SHM_OBSERVED, 1, 0, 200, 0));
	for (unsigned i = 0; i < 3; i++)
		lanes_agent_tick(agent);

	const struct lanes_agent_total *route =
		lanes_agent_find(agent, SERIES_APP, "", "/x", CLASS_2XX);
	CHECK_STR(route->key.service, "good");
	CHECK_EQ_U64(route->counts.count, 11);
	CHECK_EQ_U64(
		lanes_agent_find(agent, SERIES_APP, "", "{unnamed}", CLASS_ERROR)->counts.count,
		10);
	struct collector_status status = lanes_agent_status(agent);
	CHECK_EQ_U64(status.drops[1].total, 10);
	CHECK_STR_HAS(status.problem, "make no sense");
	forged_close(&good);
	forged_close(&bad);
	lanes_agent_free(agent);
}

CHECK_TEST(test_wrong_version_is_told_and_the_others_are_read)
{
	struct lanes_agent *agent = lanes_agent_new();
	struct forged old = forged_new(agent, 1, SEALS);
	struct forged good = forged_new(agent, 2, SEALS);

	old.shm->header.version = 7;
	good.shm->header.version = VOW_SHM_OLDEST;
	attach(agent, "1 applications");
	forged_push(&good, 0, VOW_SHM_WHAT(VOW_SHM_OBSERVED, 1, 0, 200, 0));
	lanes_agent_tick(agent);
	CHECK_EQ_U64(lanes_agent_count(agent), 1);
	while (!lanes_agent_status(agent).problem[0])
		lanes_agent_poll(agent);
	CHECK_STR_HAS(lanes_agent_status(agent).problem, "layout version 7");
	forged_close(&old);
	forged_close(&good);
	lanes_agent_free(agent);
}

CHECK_TEST(test_a_user_with_too_many_segments_is_refused_and_others_are_read)
{
	enum { CAP = 512 };
	struct lanes_agent *agent = lanes_agent_new();
	struct forged *many = calloc(CAP + 1, sizeof(*many));
	struct forged other;

	fd_raise_limit();
	for (unsigned i = 0; i <= CAP; i++)
		many[i] = forged_new(agent, i + 1, SEALS);
	attach(agent, "512 applications");
	while (!lanes_agent_status(agent).problem[0])
		lanes_agent_poll(agent);
	CHECK_STR_HAS(lanes_agent_status(agent).problem, "512 applications already");
	CHECK_STR_HAS(lanes_agent_status(agent).problem, "1 refused");
	for (unsigned i = 0; i <= CAP; i++)
		forged_push(&many[i], 0, VOW_SHM_WHAT(VOW_SHM_OBSERVED, 1, 0, 200, 0));
	lanes_agent_tick(agent);
	CHECK_EQ_U64(lanes_agent_count(agent), CAP);
	lanes_agent_stop(agent);
	/* Another user's segment, found behind all of these by the agent that comes next. */
	other = forged_new(agent, CAP + 2, SEALS);
	if (fchown(other.fd, 1, 1) == 0) {
		lanes_agent_start(agent);
		while (!strstr(lanes_agent_status(agent).detail, "513 applications"))
			lanes_agent_poll(agent);
		forged_push(&other, 0, VOW_SHM_WHAT(VOW_SHM_OBSERVED, 1, 0, 200, 0));
		lanes_agent_tick(agent);
		CHECK_EQ_U64(lanes_agent_count(agent), CAP + 1);
	}
	for (unsigned i = 0; i <= CAP; i++)
		forged_close(&many[i]);
	forged_close(&other);
	free(many);
	lanes_agent_free(agent);
}

CHECK_TEST(test_garbage_at_the_intake_is_survived)
{
	struct lanes_agent *agent = lanes_agent_new();
	struct sockaddr_un address;
	char garbage[2000] = {0};
	int fds[100];

	lanes_agent_start(agent);
	CHECK_OK(rendezvous_socket(agent->dir, &address));
	for (unsigned i = 0; i < ARRAY_LEN(fds); i++) {
		fds[i] = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
		if (connect(fds[i], (struct sockaddr *)&address, sizeof(address)) == 0 && i % 3)
			send(fds[i], garbage, i % 3 == 1 ? 16 : sizeof(garbage), 0);
		lanes_agent_poll(agent);
	}
	struct forged good = forged_new(agent, 2, SEALS);
	forged_push(&good, 0, VOW_SHM_WHAT(VOW_SHM_OBSERVED, 1, 0, 200, 0));
	lanes_agent_stop(agent);
	attach(agent, "1 applications");
	lanes_agent_tick(agent);
	CHECK_EQ_U64(lanes_agent_count(agent), 1);
	for (unsigned i = 0; i < ARRAY_LEN(fds); i++)
		close(fds[i]);
	forged_close(&good);
	lanes_agent_free(agent);
}

CHECK_TEST(test_both_sides_meet_at_one_folder_by_any_of_its_names)
{
	char a[RENDEZVOUS_NAME_SIZE], b[RENDEZVOUS_NAME_SIZE], path[500], link_to[400];

	CHECK_OK(rendezvous_name(check_dir(), a));
	snprintf(path, sizeof(path), "%s/../%s//", check_dir(), strrchr(check_dir(), '/') + 1);
	CHECK_OK(rendezvous_name(path, b));
	CHECK_STR(a, b);
	/* Not made yet, its parent reached through a link. */
	snprintf(link_to, sizeof(link_to), "%s/link", check_dir());
	CHECK_OK(symlink(check_dir(), link_to));
	snprintf(path, sizeof(path), "%s/later", link_to);
	CHECK_OK(rendezvous_name(path, a));
	snprintf(path, sizeof(path), "%s/later", check_dir());
	CHECK_OK(rendezvous_name(path, b));
	CHECK_STR(a, b);
	CHECK_OK(rendezvous_name("/elsewhere", b));
	CHECK(strcmp(a, b) != 0);
}

CHECK_MAIN("segment", test_sealed_segment_opens_and_others_are_refused_with_the_reason,
	   test_header_that_contradicts_itself_is_refused, test_names_are_claims,
	   test_tail_that_jumps_quarantines_its_lane_alone, test_tail_that_runs_back_quarantines,
	   test_a_page_that_cannot_be_had_ends_the_visit_not_the_program,
	   test_overflow_word_that_runs_back_breaks_its_block_alone,
	   test_described_state_redone_twice_changes_nothing,
	   test_lack_of_memory_leaves_overflow_for_later,
	   test_lack_of_memory_at_the_begin_leaves_the_segment_as_it_was,
	   test_hostile_application_harms_no_other,
	   test_wrong_version_is_told_and_the_others_are_read,
	   test_a_user_with_too_many_segments_is_refused_and_others_are_read,
	   test_garbage_at_the_intake_is_survived,
	   test_both_sides_meet_at_one_folder_by_any_of_its_names)
