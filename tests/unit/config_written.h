/* SPDX-License-Identifier: Apache-2.0 */
/* Configurations that a test writes: read, or refused with what it says. */
#ifndef VOW_TESTS_UNIT_CONFIG_WRITTEN_H
#define VOW_TESTS_UNIT_CONFIG_WRITTEN_H

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "config/config.h"
#include "tests/unit/check.h"

#define EXAMPLE "deploy/vow.yaml.example"

/* How an objective, a scaling policy and a receiver begin. */
#define O "objectives:\n  - name: a\n"
#define S "scaling:\n  - name: web\n"
#define R "receivers:\n  - name: a\n"

static inline const char *written_bytes(const char *name, const char *text, size_t size)
{
	static char path[512];
	FILE *file;

	snprintf(path, sizeof(path), "%s/%s", check_dir(), name);
	file = fopen(path, "w");
	CHECK(file && fwrite(text, 1, size, file) == size && fclose(file) == 0);
	return path;
}

static inline struct vow_config *loaded(const char *text)
{
	struct vow_config *config = NULL;
	struct diag d = {0};
	char line[700];

	if (config_load(written_bytes("vow.yaml", text, strlen(text)), &config, &d) != 0)
		CHECK_FAIL("%s", diag_format(&d, line, sizeof(line)));
	return config;
}

/* The text is refused: at `line` (0: of the file as a whole), saying `what`, proposing `fix`. */
static inline void refused(const char *text, unsigned line, const char *what, const char *fix)
{
	const char *path = written_bytes("vow.yaml", text, strlen(text));
	struct vow_config *config = NULL;
	struct diag d = {0};
	char where[600];

	CHECK_RC(config_load(path, &config, &d), -EINVAL);
	CHECK(!config);
	if (line)
		snprintf(where, sizeof(where), "%s:%u", path, line);
	else
		snprintf(where, sizeof(where), "%s", path);
	CHECK_STR(d.where, where);
	CHECK_STR_HAS(d.what, what);
	CHECK_STR_HAS(d.fix, fix);
}

#endif
