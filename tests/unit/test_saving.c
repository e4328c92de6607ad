/* SPDX-License-Identifier: Apache-2.0 */
/* A keyframe in the making, and whatever may come between its steps. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "agent/keyframe.h"
#include "agent/recovery.h"
#include "lib/base/crc32c.h"
#include "lib/data/journal_writer.h"
#include "tests/unit/lone_agent.h"

#define ROUTES 70 /* of which a step takes the totals of not even half */

static const char *journal_dir(void)
{
	static char dir[DIRS_PATH_MAX];

	CHECK_OK(dirs_path(dir, agent.dirs.state, "journal"));
	return dir;
}

/* Steps to the end; returns how many. */
static unsigned save(void)
{
	unsigned steps = 1;

	while (saving_step(&agent, clock_mono()))
		steps++;
	return steps;
}

/* The next record begins a segment, as when the one before is full. */
static void segment_end(void)
{
	close(agent.journal->fd);
	agent.journal->fd = -1;
}

static void check_counted(uint64_t each)
{
	for (unsigned i = 0; i < ROUTES; i++) {
		char route[64];

		snprintf(route, sizeof(route), ROUTE "%u", i);
		for (unsigned w = WINDOW_1H; w <= SERIES_TOTAL; w++) {
			struct series_counts counts = {0};

			series_window_add(agent.series, series_named(route), (enum series_window)w,
					  NULL, NULL, &counts);
			CHECK_EQ_U64(counts.count, each);
		}
	}
}

static unsigned keyframes_on_disk(void)
{
	uint64_t *seqs;
	size_t count;

	CHECK_OK(journal_keyframe_list(journal_dir(), &seqs, &count));
	free(seqs);
	return (unsigned)count;
}

static void keyframe_path(char path[PATH_MAX], uint64_t seq)
{
	snprintf(path, PATH_MAX, "%s/%016llx.vowk", journal_dir(), (unsigned long long)seq);
}

/* It was written long ago: the disk has it. */
static void keyframe_age(uint64_t seq)
{
	const struct timespec old[2] = {{1, 0}, {1, 0}};
	char path[PATH_MAX];

	keyframe_path(path, seq);
	CHECK_OK(utimensat(AT_FDCWD, path, old, 0));
}

/* ---- what the disk has ---------------------------------------------------------------------------- */

/* The inodes of files that were synced, for test_a_keyframe_has_its_name_behind_a_stored_record. */
static ino_t synced[64];
static unsigned synced_count;

int fdatasync(int fd)
{
	struct stat st;

	if (fstat(fd, &st) == 0 && synced_count < ARRAY_LEN(synced))
		synced[synced_count++] = st.st_ino;
	return (int)syscall(SYS_fdatasync, fd);
}

static bool is_synced(const char *path)
{
	struct stat st;

	CHECK_OK(stat(path, &st));
	for (unsigned i = 0; i < synced_count; i++)
		if (synced[i] == st.st_ino)
			return true;
	return false;
}

/* Named before, it would be taken for one whose record the disk lost, and the one before it be gone. */
CHECK_TEST(test_a_keyframe_has_its_name_behind_a_stored_record)
{
	char path[PATH_MAX], named[PATH_MAX];
	bool more = true, stored = false;

	agent_start("stored");
	agent.journal->options.fsync_every = NS_PER_H;
	agent.journal->synced_at = clock_mono();
	record(ROUTES, 1);
	turn(1);
	CHECK_OK(journal_path(path, journal_dir(), 1, ""));
	keyframe_path(named, 1);
	CHECK(!is_synced(path));
	while (more) {
		CHECK(access(named, F_OK) < 0);
		more = saving_step(&agent, clock_mono());
		stored = is_synced(path);
	}
	CHECK(stored);
	CHECK(is_synced(named));
	agent_end();
}

/* Where nothing is synced the disk has a new keyframe half a minute later: older records wait. */
CHECK_TEST(test_records_stay_until_the_disk_has_the_keyframe_behind_them)
{
	char path[PATH_MAX];

	agent_start("waiting");
	agent.journal->options.budget_bytes = 1;
	for (unsigned i = 1; i <= 3; i++) {
		record(ROUTES, 1);
		turn(i);
		save();
		segment_end();
	}
	turn(4);
	agent_end();
	for (unsigned i = 2; i <= 3; i++) { /* as after a crash of the machine */
		keyframe_path(path, i);
		CHECK_OK(truncate(path, 0));
	}
	agent_start("waiting");
	CHECK_EQ_U64(agent.keyframe_seq, 1);
	check_counted(3);
	agent.journal->options.budget_bytes = 1;
	turn(5);
	save();
	turn(6);
	CHECK_OK(journal_path(path, journal_dir(), 1, ""));
	CHECK_OK(access(path, F_OK));
	keyframe_age(agent.keyframe_seq);
	turn(7);
	CHECK(access(path, F_OK) < 0);
	agent_end();
	agent_start("waiting");
	check_counted(3);
	agent_end();
}

/* ---- death -------------------------------------------------------------------------------------- */

/*
 * A life that has a whole keyframe behind its first record, begins a second one, and dies after so many
 * steps of it, with a turn behind each. Its status says whether that was the last step.
 */
static void live_and_die(const char *name, unsigned steps)
{
	unsigned second = 1;
	bool more = true;

	agent_start(name);
	record(ROUTES, 1);
	turn(second++);
	save();
	segment_end();
	record(ROUTES, 1);
	turn(second++);
	for (unsigned i = 0; i < steps; i++) {
		more = saving_step(&agent, clock_mono());
		record(ROUTES, 1);
		turn(second++);
	}
	_exit(more ? 0 : 1);
}

CHECK_TEST(test_death_after_any_step_loses_nothing_and_counts_nothing_twice)
{
	bool more = true;
	unsigned steps;

	for (steps = 0; more; steps++) {
		char name[16];
		int status;
		pid_t child;

		snprintf(name, sizeof(name), "dead%u", steps);
		check_dir();
		child = fork();
		if (!child)
			live_and_die(name, steps);
		CHECK(waitpid(child, &status, 0) == child && WIFEXITED(status));
		more = WEXITSTATUS(status) == 0;
		agent_start(name);
		check_counted(2 + steps);
		/* The older one counts until the newer one is whole. */
		CHECK_EQ_U64(agent.keyframe_seq, more ? 1 : 2);
		turn(90);
		save();
		check_counted(2 + steps);
		agent_end();
		CHECK_LE_U64(steps, 100);
	}
	CHECK_GE_U64(steps, 4 + ROUTES / KEYFRAME_STEP_TOTALS);
}

CHECK_TEST(test_turns_and_segments_go_on_between_steps)
{
	uint64_t seq, bytes;
	unsigned second = 1, steps = 0;

	agent_start("between");
	record(ROUTES, 1);
	turn(second++);
	seq = journal_last_seq(agent.journal);
	for (bool more = true; more; steps++) {
		CHECK_EQ_U64(agent.keyframe_seq, 0);
		more = saving_step(&agent, clock_mono());
		segment_end();
		record(ROUTES, 1);
		turn(second++);
		CHECK_EQ_U64(journal_last_seq(agent.journal), second - 1);
	}
	CHECK_EQ_U64(agent.keyframe_seq, seq);
	CHECK_GE_U64(steps, 4 + ROUTES / KEYFRAME_STEP_TOTALS);
	/* The last of these turns began the next one: segments had begun meanwhile. */
	seq = journal_last_seq(agent.journal);
	bytes = journal_counters(agent.journal).bytes;
	save();
	CHECK_EQ_U64(agent.keyframe_seq, seq);
	CHECK_GE_U64(journal_counters(agent.journal).bytes, bytes + ROUTES * 64);
	agent_end();
	agent_start("between");
	check_counted(second - 1);
	agent_end();
}

CHECK_TEST(test_three_keyframes_stay_and_none_that_was_not_finished)
{
	char path[PATH_MAX];

	agent_start("kept");
	for (unsigned i = 1; i <= 5; i++) {
		record(ROUTES, 1);
		turn(i);
		save();
		/* The first as well, which the disk will have first. */
		CHECK_EQ_U64(keyframes_on_disk(), i < 3 ? i : 3);
		segment_end();
	}
	turn(6);
	saving_step(&agent, clock_mono());
	snprintf(path, sizeof(path), "%s/keyframe.new", journal_dir());
	CHECK_OK(access(path, F_OK));
	agent_end();
	CHECK(access(path, F_OK) < 0);
	/* Of a life that could not tidy up. */
	close(open(path, O_WRONLY | O_CREAT, 0600));
	agent_start("kept");
	CHECK(access(path, F_OK) < 0);
	check_counted(5);
	agent_end();
}

/* The disk may have lost both of an agent that was started twice in the last half minute. */
CHECK_TEST(test_a_keyframe_that_the_disk_has_stays_beside_two_of_the_last_minute)
{
	char path[PATH_MAX];

	agent_start("restarted");
	for (unsigned i = 1; i <= 5; i++) {
		record(ROUTES, 1);
		turn(i);
		save();
		if (i <= 2)
			keyframe_age(i);
		/* 1; 1 2; 2 3; 2 3 4; 2 4 5 */
		CHECK_EQ_U64(keyframes_on_disk(), i < 2 ? 1 : i < 4 ? 2 : 3);
		segment_end();
	}
	agent_end();
	for (unsigned i = 4; i <= 5; i++) {
		keyframe_path(path, i);
		CHECK_OK(truncate(path, 0));
	}
	agent_start("restarted");
	CHECK_EQ_U64(agent.keyframe_seq, 2);
	check_counted(5);
	agent_end();
}

/* ---- files that are not what they were ---------------------------------------------------------------- */

/* Two keyframes, behind the records 1 and 2, and a record behind each. */
static void two_keyframes(const char *name)
{
	agent_start(name);
	for (unsigned i = 1; i <= 2; i++) {
		record(ROUTES, 1);
		turn(i);
		save();
		segment_end();
	}
	record(ROUTES, 1);
	turn(3);
}

static void flip(const char *path, off_t at)
{
	int fd = open(path, O_RDWR);
	uint8_t byte;

	CHECK(pread(fd, &byte, 1, at) == 1);
	byte ^= 0x10;
	CHECK(pwrite(fd, &byte, 1, at) == 1);
	close(fd);
}

CHECK_TEST(test_the_keyframe_before_stands_in_for_one_that_is_broken)
{
	static const off_t places[] = {0, 8, 17, 25, 57, 80, 500, 5000};
	char path[PATH_MAX], kept[PATH_MAX + 8];
	struct stat st;

	two_keyframes("broken");
	keyframe_path(path, 2);
	snprintf(kept, sizeof(kept), "%s.kept", path);
	agent_end();
	CHECK_OK(rename(path, kept));
	CHECK_OK(stat(kept, &st));
	for (unsigned i = 0; i < ARRAY_LEN(places) + 2; i++) {
		if (i < ARRAY_LEN(places))
			flip(kept, places[i]);
		else /* its end lacks, once the end alone */
			CHECK_OK(truncate(kept, i == ARRAY_LEN(places) ? st.st_size - 32 : 2000));
		CHECK_OK(link(kept, path)); /* a start removes it */
		agent_start("broken");
		CHECK_EQ_U64(agent.keyframe_seq, 1);
		check_counted(3);
		agent_end();
		if (i < ARRAY_LEN(places))
			flip(kept, places[i]);
	}
}

/* Version 3, say, as its header begins as ours does: it has the state, and must not be passed over. */
CHECK_TEST(test_a_keyframe_of_a_later_version_stops_the_start_and_stays)
{
	char path[PATH_MAX];
	uint8_t header[JOURNAL_HEADER_BYTES];

	two_keyframes("later");
	keyframe_path(path, 2);
	int fd = open(path, O_RDWR);
	CHECK(pread(fd, header, sizeof(header), 0) == sizeof(header));
	header[8] = JOURNAL_VERSION + 1;
	memcpy(header + 60, &(uint32_t){crc32c(0, header, 60)}, 4);
	CHECK(pwrite(fd, header, sizeof(header), 0) == sizeof(header));
	close(fd);
	diag = (struct diag){0};
	CHECK_RC(recovery_run(&agent, &diag), -EPROTONOSUPPORT);
	CHECK_STR_HAS(diag.where, "0000000000000002.vowk");
	CHECK_STR_HAS(diag.fix, "start the version of vow that wrote it");
	CHECK_OK(access(path, F_OK));
	agent_end();
}

/* As when a machine crashed whose disk had stored the keyframe and not yet the record. */
CHECK_TEST(test_a_keyframe_counts_with_its_own_record_alone)
{
	struct journal_mark mark;
	char from[PATH_MAX], to[PATH_MAX];

	two_keyframes("another");
	mark = journal_mark(agent.journal);
	keyframe_path(from, 2);
	keyframe_path(to, mark.seq);
	agent_end();
	CHECK_OK(rename(from, to));
	CHECK_RC(journal_keyframe_read(journal_dir(), &mark, NULL, NULL), -EPROTO);
	agent_start("another");
	CHECK_EQ_U64(agent.keyframe_seq, 1);
	check_counted(3);
	/* It is no stand-in for the next one either: that is the one which counted. */
	CHECK(access(to, F_OK) < 0);
	turn(4);
	save();
	keyframe_path(from, 1);
	CHECK_OK(access(from, F_OK));
	agent_end();
}

/* What versions of vow wrote that made a keyframe in one go: it is in a segment's first record. */
CHECK_TEST(test_a_journal_of_version_1_is_gone_on_with)
{
	const struct keyframe_options options = {.slots_max = SIZE_MAX};
	struct keyframe *keyframe;
	uint8_t header[JOURNAL_HEADER_BYTES];
	char path[PATH_MAX];
	int fd;

	agent_start("old");
	record(ROUTES, 4);
	series_tick(agent.series, agent.started + NS_PER_S, NULL, NULL);
	agent.local.size = 0;
	CHECK_OK(keyframe_begin(&agent, &options, &agent.local, &keyframe));
	while (keyframe_fill(keyframe, &agent.local) > 0) {
	}
	keyframe_free(keyframe);
	CHECK_OK(journal_append(agent.journal, agent.started, NULL, 0, agent.local.bytes,
				agent.local.size, NULL, &diag));
	agent_end();
	CHECK_OK(journal_path(path, journal_dir(), 1, ""));
	fd = open(path, O_RDWR);
	CHECK(pread(fd, header, sizeof(header), 0) == sizeof(header));
	header[8] = 1;
	memcpy(header + 60, &(uint32_t){crc32c(0, header, 60)}, 4);
	CHECK(pwrite(fd, header, sizeof(header), 0) == sizeof(header));
	close(fd);
	agent_start("old");
	CHECK_EQ_U64(agent.keyframe_seq, 1);
	check_counted(4);
	turn(2);
	save();
	agent_end();
	agent_start("old");
	CHECK_GE_U64(agent.keyframe_seq, 2);
	check_counted(4);
	agent_end();
}

/* ---- when it cannot be made --------------------------------------------------------------------------- */

static void file_limit(rlim_t bytes)
{
	struct rlimit limit;

	signal(SIGXFSZ, SIG_IGN);
	CHECK_OK(getrlimit(RLIMIT_FSIZE, &limit));
	limit.rlim_cur = bytes < limit.rlim_max ? bytes : limit.rlim_max;
	CHECK_OK(setrlimit(RLIMIT_FSIZE, &limit));
}

/* The disk has room for records, and not for a keyframe. */
CHECK_TEST(test_a_keyframe_that_finds_no_room_is_tried_again_later)
{
	char path[PATH_MAX];

	agent_start("no-room");
	record(ROUTES, 1);
	turn(1);
	snprintf(path, sizeof(path), "%s/keyframe.new", journal_dir());
	file_limit(2048);
	save();
	file_limit(RLIM_INFINITY);
	CHECK(agent.saving.refused);
	CHECK(access(path, F_OK) < 0);
	CHECK_STR(agent.trouble, ""); /* records go on */
	turn(30);
	CHECK(!agent.saving.keyframe);
	turn(62);
	CHECK(agent.saving.keyframe != NULL);
	save();
	CHECK(!agent.saving.refused);
	CHECK_EQ_U64(agent.keyframe_seq, journal_last_seq(agent.journal));
	check_counted(1);
	agent_end();
}

/* A refused record is not in the journal, and neither is a state behind it. */
CHECK_TEST(test_a_record_that_is_refused_takes_its_keyframe_along)
{
	agent_start("refused");
	record(ROUTES, 1);
	disk_full(true);
	turn(1);
	CHECK(!agent.saving.keyframe);
	CHECK(!saving_step(&agent, clock_mono()));
	disk_full(false);
	turn(2);
	CHECK(agent.saving.keyframe != NULL);
	save();
	CHECK_EQ_U64(agent.keyframe_seq, 1);
	agent_end();
	agent_start("refused");
	CHECK_EQ_U64(agent.keyframe_seq, 1);
	check_counted(1);
	agent_end();
}

/* Someone removes the journal while a keyframe is made: at the end there is one beside what is left. */
CHECK_TEST(test_a_journal_that_is_removed_meanwhile_leaves_the_state)
{
	char path[PATH_MAX];

	agent_start("removed");
	record(ROUTES, 1);
	turn(1);
	CHECK(saving_step(&agent, clock_mono()));
	CHECK_OK(journal_path(path, journal_dir(), 1, ""));
	CHECK_OK(unlink(path));
	record(ROUTES, 1);
	turn(2);
	CHECK(agent.uprooted);
	agent_end();
	agent_start("removed");
	check_counted(2);
	agent_end();
}

/* One allocation after the other fails in the steps and in the turns between them. */
CHECK_TEST(test_steps_without_memory_cost_no_count)
{
	bool failed = true;

	for (unsigned n = 1; failed; n++) {
		char name[16];
		unsigned second = 2;

		snprintf(name, sizeof(name), "starved%u", n);
		agent_start(name);
		record(ROUTES, 1);
		turn(1);
		check_alloc_fail_at(n);
		while (saving_step(&agent, clock_mono()))
			if (second < 4)
				turn(second++);
		failed = check_alloc_failed();
		check_alloc_fail_at(0);
		CHECK(agent.keyframe_seq == 1 || agent.saving.refused);
		CHECK(failed || agent.keyframe_seq == 1);
		check_counted(1);
		agent_end();
		agent_start(name);
		check_counted(1);
		agent_end();
		CHECK_LE_U64(n, 2000);
	}
}

/* Of a start whose n-th allocation fails: 0 all is there, 1 it was refused, 2 something is missing. */
static int start_starved(const char *name, unsigned n, bool *failed)
{
	struct vow_config *config;
	char dir[DIRS_PATH_MAX];
	struct series_counts counts = {0};
	int rc;

	memset(&agent, 0, sizeof(agent));
	snprintf(dir, sizeof(dir), "%s/%s", check_dir(), name);
	CHECK_OK(dirs_init(&agent.dirs, dir, &diag));
	CHECK_OK(config_load(NULL, &config, &diag));
	config->capture_http = config->capture_lanes = config->capture_host = false;
	loop = loop_new();
	check_alloc_fail_at(n);
	rc = agent_open(&agent, loop, config, &diag);
	*failed = check_alloc_failed();
	check_alloc_fail_at(0);
	if (rc)
		return *failed ? 1 : 2;
	for (unsigned i = 0; i < ROUTES; i++) {
		char route[64];

		snprintf(route, sizeof(route), ROUTE "%u", i);
		series_window_add(agent.series, series_named(route), SERIES_TOTAL, NULL, NULL,
				  &counts);
	}
	return agent.keyframe_seq == 2 && counts.count == 3 * ROUTES ? 0 : 2;
}

/* The oldest records are gone, so that the keyframe alone has all of the totals. */
CHECK_TEST(test_a_start_without_memory_takes_up_all_or_is_none)
{
	char path[PATH_MAX];
	int status = 0;

	two_keyframes("starved");
	CHECK_OK(journal_path(path, journal_dir(), 1, ""));
	agent_end();
	CHECK_OK(unlink(path));
	for (unsigned n = 1; !WEXITSTATUS(status); n++) {
		pid_t child;

		fflush(NULL);
		child = fork();
		if (!child) {
			bool failed;
			int rc;

			rc = start_starved("starved", n, &failed);
			_exit(rc == 2 ? 2 : !failed);
		}
		CHECK(waitpid(child, &status, 0) == child && WIFEXITED(status));
		if (WEXITSTATUS(status) == 2)
			CHECK_FAIL("allocation %u", n);
		CHECK_LE_U64(n, 20000);
	}
}

CHECK_TEST(test_a_budget_that_waits_for_a_restart_cuts_no_keyframe)
{
	struct vow_config *fresh;

	agent_start("budget");
	CHECK_OK(config_load(NULL, &fresh, &diag));
	fresh->journal_budget_bytes = 64;
	agent.config = fresh;
	record(ROUTES, 1);
	turn(1);
	save();
	CHECK(!agent.saving.short_told);
	agent_end();
}

CHECK_MAIN("saving", test_a_keyframe_has_its_name_behind_a_stored_record,
	   test_records_stay_until_the_disk_has_the_keyframe_behind_them,
	   test_a_journal_that_is_removed_meanwhile_leaves_the_state,
	   test_a_start_without_memory_takes_up_all_or_is_none,
	   test_a_keyframe_that_the_disk_has_stays_beside_two_of_the_last_minute,
	   test_death_after_any_step_loses_nothing_and_counts_nothing_twice,
	   test_turns_and_segments_go_on_between_steps,
	   test_three_keyframes_stay_and_none_that_was_not_finished,
	   test_the_keyframe_before_stands_in_for_one_that_is_broken,
	   test_a_keyframe_of_a_later_version_stops_the_start_and_stays,
	   test_a_keyframe_counts_with_its_own_record_alone,
	   test_a_journal_of_version_1_is_gone_on_with,
	   test_a_keyframe_that_finds_no_room_is_tried_again_later,
	   test_a_record_that_is_refused_takes_its_keyframe_along,
	   test_a_budget_that_waits_for_a_restart_cuts_no_keyframe,
	   test_steps_without_memory_cost_no_count)
