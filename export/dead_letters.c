/* SPDX-License-Identifier: Apache-2.0 */
#include "export/dead_letters.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/base/dirs.h"
#include "lib/base/fd.h"

/* Makes room for `more` bytes by putting a full file in the place of the one before. */
static int dead_letters_turn(const char *path, size_t more)
{
	char before[DIRS_PATH_MAX + 8];
	struct stat st;

	if (stat(path, &st) < 0)
		return errno == ENOENT ? 0 : -errno;
	if (st.st_size == 0 || (uint64_t)st.st_size + more <= DEAD_LETTERS_BYTES)
		return 0;
	if ((size_t)snprintf(before, sizeof(before), "%s.1", path) >= sizeof(before))
		return -ENAMETOOLONG;
	return rename(path, before) < 0 ? -errno : 0;
}

/* Ends a line that was begun and never ended. */
static int dead_letters_mend(int fd)
{
	off_t size = lseek(fd, 0, SEEK_END);
	char last;

	if (size < 0)
		return -errno;
	if (size == 0 || pread(fd, &last, 1, size - 1) != 1 || last == '\n')
		return 0;
	return fd_write_full(fd, "\n", 1);
}

static int dead_letters_write(const char *path, const char *line)
{
	_cleanup_(fd_closep) int fd = -1;
	int rc = dead_letters_turn(path, strlen(line));

	if (rc)
		return rc;
	fd = open(path, O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC, 0640);
	if (fd < 0)
		return -errno;
	rc = dead_letters_mend(fd);
	if (!rc)
		rc = fd_write_full(fd, line, strlen(line));
	if (!rc && fdatasync(fd) < 0)
		rc = -errno;
	return rc;
}

int dead_letters_add(const char *path, const struct body_dead_letter *letter)
{
	char *line = body_of_dead_letter(letter);
	int rc = line ? dead_letters_write(path, line) : -ENOMEM;

	free(line);
	return rc;
}
