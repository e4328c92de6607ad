/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/base/log.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "lib/base/clock.h"
#include "lib/base/str.h"

/* Longer lines are cut: PIPE_BUF on Linux is 4096, and up to that a write(2) is not torn. */
#define LOG_LINE_MAX 2048

/* Set once by log_init() before any other thread runs. */
static const char *log_program = "vow";
static enum log_level log_finest = LOG_LEVEL_INFO;

static const char *const log_level_name[] = {
	[LOG_LEVEL_ERROR] = "error",
	[LOG_LEVEL_WARN] = "warn",
	[LOG_LEVEL_INFO] = "info",
	[LOG_LEVEL_DEBUG] = "debug",
};

void log_init(const char *program, enum log_level level)
{
	log_program = program;
	log_finest = level;
}

static void log_head(struct str *s, enum log_level level)
{
	wall_ns now = clock_wall();
	time_t seconds = (time_t)(now / NS_PER_S);
	struct tm utc;
	char stamp[32];

	gmtime_r(&seconds, &utc);
	strftime(stamp, sizeof(stamp), "%Y-%m-%dT%H:%M:%S", &utc);
	str_printf(s, "%s.%03uZ %s %s ", stamp, (unsigned)(now % NS_PER_S / NS_PER_MS), log_program,
		   log_level_name[level]);
}

void log_line(enum log_level level, const char *format, ...)
{
	char text[LOG_LINE_MAX / 2], line[LOG_LINE_MAX];
	struct str s;
	va_list args;
	int n;

	if (level > log_finest)
		return;
	va_start(args, format);
	n = vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	if (n < 0)
		return;
	str_init(&s, line, sizeof(line) - 1); /* one byte stays for the line end */
	log_head(&s, level);
	/* What came from outside (a path, a host name) must not forge lines or steer a terminal. */
	str_put_escaped(&s, text, strlen(text));
	line[s.length++] = '\n';
	/* Nobody is left to tell when stderr is gone. */
	if (write(STDERR_FILENO, line, s.length) < 0)
		return;
}

void log_diag(enum log_level level, const struct diag *d, const char *then)
{
	char text[sizeof(struct diag) + 16];

	log_line(level, "%s: %s", then, diag_format(d, text, sizeof(text)));
}
