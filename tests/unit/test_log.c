/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "lib/base/clock.h"
#include "lib/base/fd.h"
#include "lib/base/log.h"
#include "tests/unit/check.h"

/* 2026-11-22T02:25:23.123Z */
#define MOMENT (UINT64_C(1795314323) * NS_PER_S + 123 * NS_PER_MS + 999)

static int stderr_kept;
static int stderr_pipe[2];

static void capture_begin(void)
{
	CHECK_OK(pipe2(stderr_pipe, O_CLOEXEC));
	stderr_kept = dup(STDERR_FILENO);
	dup2(stderr_pipe[1], STDERR_FILENO);
	close(stderr_pipe[1]);
	clock_fake(1, MOMENT);
}

static void capture_end(char *text, size_t size)
{
	ssize_t n;

	clock_fake_end();
	dup2(stderr_kept, STDERR_FILENO);
	close(stderr_kept);
	n = fd_read_full(stderr_pipe[0], text, size - 1);
	text[n > 0 ? n : 0] = '\0';
	close(stderr_pipe[0]);
}

CHECK_TEST(test_line_has_time_program_and_level)
{
	char text[4096];

	log_init("vowd", LOG_LEVEL_INFO);
	capture_begin();
	log_info("started with %d collectors", 3);
	log_debug("not wanted");
	log_warn("two");
	capture_end(text, sizeof(text));
	CHECK_STR(text, "2026-11-22T02:25:23.123Z vowd info started with 3 collectors\n"
			"2026-11-22T02:25:23.123Z vowd warn two\n");
}

CHECK_TEST(test_foreign_text_cannot_forge_a_line)
{
	char text[4096];

	log_init("vowd", LOG_LEVEL_DEBUG);
	capture_begin();
	log_debug("peer %s", "x\n2026 vowd info fine\x1b[2J");
	capture_end(text, sizeof(text));
	CHECK_STR(text, "2026-11-22T02:25:23.123Z vowd debug peer x\\x0a2026 vowd info "
			"fine\\x1b[2J\n");
}

CHECK_TEST(test_long_line_is_cut_and_ended)
{
	char text[4096], word[3000];

	memset(word, '\x01', sizeof(word) - 1);
	word[sizeof(word) - 1] = '\0';
	capture_begin();
	log_error("%s", word);
	capture_end(text, sizeof(text));
	CHECK_GE_U64(strlen(text), 1000);
	CHECK_LE_U64(strlen(text), 2048);
	CHECK_EQ_U64((uint64_t)(strchr(text, '\n') - text), strlen(text) - 1);
}

CHECK_TEST(test_diag_is_told_with_what_follows_from_it)
{
	struct diag d;
	char text[4096];

	diag_errno(&d, -ENOSPC, "/var/lib/vow", "free some room", "cannot write");
	capture_begin();
	log_diag(LOG_LEVEL_ERROR, &d, "journal paused");
	capture_end(text, sizeof(text));
	CHECK_STR(text, "2026-11-22T02:25:23.123Z vowd error journal paused: /var/lib/vow: cannot "
			"write: No space left on device (free some room)\n");
}

CHECK_MAIN("log", test_line_has_time_program_and_level, test_foreign_text_cannot_forge_a_line,
	   test_long_line_is_cut_and_ended, test_diag_is_told_with_what_follows_from_it)
