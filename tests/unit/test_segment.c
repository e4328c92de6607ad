/* SPDX-License-Identifier: Apache-2.0 */
/* Segments made by a hand that means no good: refused with a reason, or read without harm. */
#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/base/fd.h"
#include "lib/data/lane.h"
#include "lib/data/rendezvous.h"
#include "lib/data/segment.h"
#include "tests/unit/forged.h"
#include "tests/unit/lanes_agent.h"

CHECK_TEST(test_sealed_segment_opens_and_others_are_refused_with_the_reason)
{
	struct forged good = forged_new(NULL, 1, SEALS);
	struct forged loose = forged_new(NULL, 1, F_SEAL_GROW);
	struct forged deaf = forged_new(NULL, 1, SEALS);
	struct forged mute = forged_new(NULL, 1, SEALS & ~F_SEAL_SEAL);
	struct segment segment;
	struct diag d = {0};

	CHECK_OK(segment_open(good.fd, &segment, &d));
	CHECK_STR(segment.service, "forged");
	segment_close(&segment);
	CHECK_RC(segment_open(loose.fd, &segment, &d), -EPERM);
	CHECK_STR_HAS(d.what, "not sealed");
	CHECK_RC(segment_open(STDIN_FILENO, &segment, &d), -EPERM);
	CHECK_STR_HAS(d.what, "not a memfd");
	CHECK_RC(segment_open(mute.fd, &segment, &d), -EPERM);
	CHECK_STR_HAS(d.what, "not sealed");
	CHECK_OK(fcntl(mute.fd, F_ADD_SEALS, F_SEAL_FUTURE_WRITE | F_SEAL_SEAL));
	CHECK_RC(segment_open(mute.fd, &segment, &d), -EPERM);
	CHECK_STR_HAS(d.what, "sealed against the agent's own words");

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
	forged_close(&mute);
}

CHECK_TEST(test_file_of_another_size_than_its_header_says_is_refused)
{
	static const off_t sizes[] = {0, VOW_SHM_PAGE - 1, VOW_SHM_PAGE, VOW_SHM_SIZE - 1,
				      VOW_SHM_SIZE + 1};
	struct forged forged = forged_new(NULL, 1, SEALS);
	struct segment segment;

	for (unsigned i = 0; i < ARRAY_LEN(sizes); i++) {
		int fd = memfd_create("other size", MFD_CLOEXEC | MFD_ALLOW_SEALING);

		CHECK(pwrite(fd, &forged.shm->header, sizeof(forged.shm->header), 0) > 0);
		CHECK_OK(ftruncate(fd, sizes[i]));
		CHECK_OK(fcntl(fd, F_ADD_SEALS, SEALS));
		CHECK_RC(segment_open(fd, &segment, NULL), -EPROTO);
		close(fd);
	}
	forged_close(&forged);
}

CHECK_TEST(test_file_with_a_name_is_refused)
{
	struct forged forged = forged_new(NULL, 1, SEALS);
	struct segment segment;
	char path[300];

	snprintf(path, sizeof(path), "%s/segment", check_dir());
	int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	CHECK(pwrite(fd, &forged.shm->header, sizeof(forged.shm->header), 0) > 0);
	CHECK_OK(ftruncate(fd, VOW_SHM_SIZE));
	CHECK_RC(segment_open(fd, &segment, NULL), -EPERM);
	close(fd);
	forged_close(&forged);
}

CHECK_TEST(test_header_that_contradicts_itself_is_refused)
{
	struct forged forged = forged_new(NULL, 1, SEALS);
	struct vow_shm_header good = forged.shm->header;
	struct vow_shm_header bad[12];
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
	bad[7].header_size++;
	bad[8].names = 1025;
	bad[9].directory = 4095;
	bad[10].hist_scale = 6;
	bad[11].service[0] = '\0';
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
	/* The second page lies behind the file's end: SIGBUS, as from a hole without memory. */
	struct segment segment = {
		.shm = mmap(NULL, 4 * 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0)};
	for (unsigned i = 0; i < 3; i++) {
		CHECK_EQ_U64(segment_counters(&segment).lost, 0);
		CHECK(!segment_value(&segment, 1, words));
		CHECK_EQ_U64(segment_names_known(&segment), 0);
	}
	munmap(segment.shm, 4 * 4096);
	close(fd);
}

/* ---- through the collector ------------------------------------------------------------------- */

/* Found by its name under /proc/self/fd. */
static void found(struct lanes_agent *agent, const char *detail)
{
	for (unsigned i = 0; i < 10000 && !strstr(lanes_agent_status(agent).detail, detail); i++)
		lanes_agent_poll(agent);
	CHECK_STR_HAS(lanes_agent_status(agent).detail, detail);
}

static void attach(struct lanes_agent *agent, const char *detail)
{
	lanes_agent_start(agent);
	found(agent, detail);
}

static int exemplar_count(void *arg, series_id series, const struct exemplar *exemplar)
{
	(void)series;
	CHECK_STR_HAS(exemplar->tag, "????????????????");
	CHECK_LE_U64(exemplar->at, clock_wall());
	++*(unsigned *)arg;
	return 0;
}

static void check_one_clean_exemplar(const struct lanes_agent *agent)
{
	struct exemplar_book *book = exemplars_publish(agent->exemplars, clock_wall());
	unsigned count = 0;

	CHECK_OK(exemplar_book_each(book, 0, UINT64_MAX, exemplar_count, &count));
	CHECK_EQ_U64(count, 1);
	exemplar_book_unref(book);
}

CHECK_TEST(test_hostile_application_harms_no_other)
{
	struct lanes_agent *agent = lanes_agent_new();
	struct forged bad = forged_new(agent->dir, 1, SEALS);
	struct forged good = forged_new(agent->dir, 2, SEALS);

	snprintf(good.shm->header.service, sizeof(good.shm->header.service), "good");
	attach(agent, "2 applications");
	for (unsigned i = 0; i < 10; i++) {
		forged_push(&good, 0, VOW_SHM_WHAT(VOW_SHM_OBSERVED, 1, 0, 200, 0));
		forged_push(&bad, 0, VOW_SHM_WHAT(VOW_SHM_OBSERVED, 60000, 0, 65535, 255));
		forged_push(&bad, 0, VOW_SHM_WHAT(200, 1, 0, 200, 0));
		forged_push(&bad, 0, VOW_SHM_WHAT(VOW_SHM_DELIVERED, 1, 50000, 200, 0));
	}
	/* Exemplars of no name, of no kind, from tomorrow, with a tag that is none or a terminal's. */
	memset(bad.shm->lanes[0].exemplar, 0xff, sizeof(bad.shm->lanes[0].exemplar));
	bad.shm->lanes[0].exemplar[0] = (struct vow_shm_exemplar){
		.number = 1,
		.ended_unix_ns = UINT64_MAX,
		.latency_ns = UINT64_MAX,
		.what = VOW_SHM_WHAT(VOW_SHM_OBSERVED, 1, 0, 200, 0),
		.tag = {UINT64_MAX, UINT64_MAX, 7, 0x1b5b1b5b1b5b1b5b, 1, 2},
	};
	bad.shm->lanes[0].exemplar[1] = (struct vow_shm_exemplar){
		.number = 2, .what = VOW_SHM_WHAT(VOW_SHM_OBSERVED, 1, 0, 200, 0)};
	bad.shm->lanes[0].exemplars = UINT64_MAX - 1;
	bad.shm->lanes[0].exemplars_taken = 0;
	bad.shm->lanes[1].tail = UINT64_MAX / 2;
	/* Whose it is was read once: it can become nobody else's. */
	bad.shm->header = (struct vow_shm_header){
		.version = 99, .size = 1, .id = 2, .pid = 1, .service = "good"};
	bad.shm->counters.lanes = UINT32_MAX;
	bad.shm->counters.names = UINT32_MAX;
	for (unsigned i = 0; i < VOW_SHM_DIRECTORY; i++)
		bad.shm->directory[i] = UINT64_MAX - i;
	bad.shm->counters.directory = 4096;
	bad.shm->counters.spare[0] = bad.shm->counters.spare[1] = UINT64_MAX;
	bad.shm->blocks[0].used = UINT64_MAX;
	for (unsigned i = 0; i < 70; i++)
		lanes_agent_tick(agent);
	check_one_clean_exemplar(agent);
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
	/* Each lasted for 1000 ns: in the bucket, in the sum, as the maximum. */
	CHECK_EQ_U64(route->latency.count, 11);
	CHECK_EQ_U64(route->latency.slots[hist_slot(1000)], 11);
	CHECK_EQ_U64(route->latency.sum_ns, 11 * 1000);
	CHECK_EQ_U64(route->latency.max_ns, 1000);
	const struct lanes_agent_total *unnamed =
		lanes_agent_find(agent, SERIES_APP, "", "{unnamed}", CLASS_ERROR);
	CHECK_STR(unnamed->key.service, "forged");
	CHECK_EQ_U64(unnamed->counts.count, 10);
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
	struct forged old = forged_new(agent->dir, 1, SEALS);
	struct forged good = forged_new(agent->dir, 2, SEALS);

	old.shm->header.version = 7;
	good.shm->header.version = VOW_SHM_OLDEST;
	attach(agent, "1 application ");
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
		many[i] = forged_new(agent->dir, i + 1, SEALS);
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
	other = forged_new(agent->dir, CAP + 2, SEALS);
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

static uint64_t forged_bytes(const struct forged *forged)
{
	struct stat st;

	CHECK_OK(fstat(forged->fd, &st));
	return (uint64_t)st.st_blocks * 512;
}

static void forged_tag(struct forged *forged)
{
	struct vow_shm_lane *lane = &forged->shm->lanes[0];

	lane->exemplar[0] = (struct vow_shm_exemplar){
		.number = 1,
		.ended_unix_ns = clock_wall(),
		.what = VOW_SHM_WHAT(VOW_SHM_OBSERVED, 1, 0, 200, 0),
		.tag = {UINT64_MAX, UINT64_MAX},
	};
	__atomic_store_n(&lane->exemplars, 1, __ATOMIC_RELEASE);
}

CHECK_TEST(test_exemplars_of_a_segment_that_is_let_go_stay_in_it)
{
	struct lanes_agent *agent = lanes_agent_new();
	struct forged bad = forged_new(agent->dir, 1, SEALS);
	struct forged good = forged_new(agent->dir, 2, SEALS);
	const uint64_t what = VOW_SHM_WHAT(VOW_SHM_OBSERVED, 1, 0, 200, 0);

	attach(agent, "2 applications");
	lanes_agent_poll(agent);
	/* A drain sees them, and no look at exemplars is due yet. */
	agent->now -= 99 * NS_PER_MS;
	forged_push(&bad, 0, what);
	forged_push(&good, 0, what);
	forged_tag(&bad);
	forged_tag(&good);
	lanes_agent_poll(agent);
	CHECK_EQ_U64(good.shm->lanes[0].exemplars_taken, 0);
	CHECK_OK(fallocate(bad.fd, 0, (off_t)offsetof(struct vow_shm, blocks), 129 << 20));
	lanes_agent_tick(agent);
	CHECK_STR_HAS(lanes_agent_status(agent).detail, "1 application ");
	CHECK_EQ_U64(lanes_agent_count(agent), 2);
	CHECK_EQ_U64(bad.shm->lanes[0].head, 1);
	CHECK_EQ_U64(bad.shm->lanes[0].exemplars_taken, 0);
	CHECK_EQ_U64(good.shm->lanes[0].exemplars_taken, 1);
	check_one_clean_exemplar(agent);
	forged_close(&good);
	forged_close(&bad);
	lanes_agent_free(agent);
}

CHECK_TEST(test_a_segment_that_takes_too_much_memory_is_let_go_and_others_are_read)
{
	struct lanes_agent *agent = lanes_agent_new();
	struct forged bad = forged_new(agent->dir, 1, SEALS);
	struct forged good = forged_new(agent->dir, 2, SEALS);
	const uint64_t what = VOW_SHM_WHAT(VOW_SHM_OBSERVED, 1, 0, 200, 0);

	attach(agent, "2 applications");
	forged_push(&bad, 0, what);
	forged_push(&good, 0, what);
	lanes_agent_tick(agent);
	CHECK_EQ_U64(lanes_agent_count(agent), 2);
	CHECK_OK(fallocate(bad.fd, 0, (off_t)offsetof(struct vow_shm, blocks), 129 << 20));
	lanes_agent_poll(agent); /* notices it */
	forged_push(&bad, 0, what); /* too late */
	forged_push(&good, 0, what);
	lanes_agent_tick(agent);
	CHECK_EQ_U64(lanes_agent_count(agent), 3);
	CHECK_STR_HAS(lanes_agent_status(agent).detail, "1 application ");
	CHECK_STR_HAS(lanes_agent_status(agent).problem, "more than the 128");
	/* What was read of it was given back; nor does the next agent take it. */
	CHECK_EQ_U64(bad.shm->lanes[0].head, 1);
	lanes_agent_stop(agent);
	attach(agent, "1 application ");
	while (!lanes_agent_status(agent).problem[0])
		lanes_agent_poll(agent);
	CHECK_STR_HAS(lanes_agent_status(agent).problem, "more than the 128");
	/* Smaller again, it goes on where it was. */
	CHECK_OK(fallocate(bad.fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
			   (off_t)offsetof(struct vow_shm, blocks), 129 << 20));
	lanes_agent_stop(agent);
	attach(agent, "2 applications");
	lanes_agent_tick(agent);
	CHECK_EQ_U64(lanes_agent_count(agent), 4);
	forged_close(&good);
	forged_close(&bad);
	lanes_agent_free(agent);
}

static uint64_t lost_total(const struct lanes_agent *agent)
{
	const struct collector_status status = lanes_agent_status(agent);

	CHECK_STR(status.drops[0].reason, "no_memory");
	return status.drops[0].total;
}

CHECK_TEST(test_what_a_segment_lost_counts_once_also_when_it_is_let_go_and_taken_again)
{
	struct lanes_agent *agent = lanes_agent_new();
	struct forged bad = forged_new(agent->dir, 1, SEALS);
	const off_t blocks = (off_t)offsetof(struct vow_shm, blocks);

	attach(agent, "1 application ");
	for (unsigned lost = 5; lost < 20; lost += 5) {
		bad.shm->counters.lost = lost;
		CHECK_EQ_U64(lost_total(agent), lost);
		CHECK_OK(fallocate(bad.fd, 0, blocks, 129 << 20));
		lanes_agent_tick(agent);
		CHECK_STR_HAS(lanes_agent_status(agent).detail, "0 applications");
		CHECK_EQ_U64(lost_total(agent), lost);
		CHECK_OK(fallocate(bad.fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, blocks,
				   129 << 20));
		found(agent, "1 application ");
		CHECK_EQ_U64(lost_total(agent), lost);
	}
	bad.shm->counters.lost = 3; /* nonsense */
	CHECK_EQ_U64(lost_total(agent), 15);
	forged_close(&bad);
	lanes_agent_free(agent);
}

/* The sum over all applications, which the hub is told of, shall not run over. */
CHECK_TEST(test_a_loss_that_nobody_can_have_had_does_not_count)
{
	struct lanes_agent *agent = lanes_agent_new();
	struct forged good = forged_new(agent->dir, 1, SEALS);
	struct forged bad = forged_new(agent->dir, 2, SEALS);

	attach(agent, "2 applications");
	good.shm->counters.lost = 7;
	bad.shm->counters.lost = UINT64_MAX - 3;
	CHECK_EQ_U64(lost_total(agent), 7);
	/* Nor when it is let go. */
	CHECK_OK(fallocate(bad.fd, 0, (off_t)offsetof(struct vow_shm, blocks), 129 << 20));
	lanes_agent_tick(agent);
	CHECK_STR_HAS(lanes_agent_status(agent).detail, "1 application ");
	CHECK_EQ_U64(lost_total(agent), 7);
	forged_close(&good);
	forged_close(&bad);
	lanes_agent_free(agent);
}

/* Each claim of a block makes the agent look into 22 pages. */
CHECK_TEST(test_claims_of_what_was_never_written_do_not_fill_the_memory)
{
	struct lanes_agent *agent = lanes_agent_new();
	struct forged bad = forged_new(agent->dir, 1, SEALS);

	for (unsigned i = 0; i < VOW_SHM_DIRECTORY; i++) {
		bad.shm->directory[i] = VOW_SHM_KEY(VOW_SHM_OBSERVED, 2, 0, i, 0);
		bad.shm->blocks[i].used = (UINT64_C(1) << VOW_SHM_GROUPS) - 1;
	}
	bad.shm->counters.directory = VOW_SHM_DIRECTORY;
	attach(agent, "1 application ");
	for (unsigned i = 0; i < 200 && !lanes_agent_status(agent).problem[0]; i++)
		lanes_agent_tick(agent);
	lanes_agent_tick(agent);
	CHECK_STR_HAS(lanes_agent_status(agent).problem, "more than the 128");
	CHECK_STR_HAS(lanes_agent_status(agent).detail, "0 applications");
	/* It was looked at between two sips of 64 blocks. */
	CHECK_LE_U64(forged_bytes(&bad), UINT64_C(160) << 20);
	forged_close(&bad);
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
	struct forged good = forged_new(agent->dir, 2, SEALS);
	forged_push(&good, 0, VOW_SHM_WHAT(VOW_SHM_OBSERVED, 1, 0, 200, 0));
	lanes_agent_stop(agent);
	attach(agent, "1 application ");
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
	   test_file_of_another_size_than_its_header_says_is_refused,
	   test_file_with_a_name_is_refused, test_header_that_contradicts_itself_is_refused,
	   test_names_are_claims, test_tail_that_jumps_quarantines_its_lane_alone,
	   test_tail_that_runs_back_quarantines,
	   test_a_page_that_cannot_be_had_ends_the_visit_not_the_program,
	   test_hostile_application_harms_no_other,
	   test_wrong_version_is_told_and_the_others_are_read,
	   test_a_user_with_too_many_segments_is_refused_and_others_are_read,
	   test_a_segment_that_takes_too_much_memory_is_let_go_and_others_are_read,
	   test_exemplars_of_a_segment_that_is_let_go_stay_in_it,
	   test_what_a_segment_lost_counts_once_also_when_it_is_let_go_and_taken_again,
	   test_a_loss_that_nobody_can_have_had_does_not_count,
	   test_claims_of_what_was_never_written_do_not_fill_the_memory,
	   test_garbage_at_the_intake_is_survived,
	   test_both_sides_meet_at_one_folder_by_any_of_its_names)
