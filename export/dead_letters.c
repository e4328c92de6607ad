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
#include "lib/base/log.h"

struct letter {
	struct letter *next;
	char *line;
	uint64_t cookie;
};

struct dead_letters {
	const char *path;
	dead_letters_kept_fn kept;
	void *arg;
	struct letter *first, **end; /* that wait, oldest first */
	int refused; /* why the disk took none last; 0 it did */
};

/* ---- the file --------------------------------------------------------------------------------- */

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

/* The whole line, on disk, or nothing of it: half a line would spoil the next one. */
static int dead_letters_put(int fd, const char *line)
{
	struct stat before;
	int rc = fstat(fd, &before) < 0 ? -errno : fd_write_full(fd, line, strlen(line));

	if (!rc && fdatasync(fd) < 0)
		rc = -errno;
	if (!rc)
		return 0;
	/* Where that fails as well, the next letter ends the line first. */
	return ftruncate(fd, before.st_size) < 0 ? -errno : rc;
}

static int dead_letters_append(const char *path, const char *line)
{
	_cleanup_(fd_closep) int fd = -1;
	int rc = dead_letters_turn(path, strlen(line));

	if (rc)
		return rc;
	fd = open(path, O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC, 0640);
	if (fd < 0)
		return -errno;
	rc = dead_letters_mend(fd);
	return rc ? rc : dead_letters_put(fd, line);
}

/* ---- letters that wait ------------------------------------------------------------------------ */

struct dead_letters *dead_letters_new(const char *path, dead_letters_kept_fn kept, void *arg)
{
	struct dead_letters *letters = calloc(1, sizeof(*letters));

	if (!letters)
		return NULL;
	letters->path = path;
	letters->kept = kept;
	letters->arg = arg;
	letters->end = &letters->first;
	return letters;
}

static struct letter *dead_letters_take(struct dead_letters *letters)
{
	struct letter *letter = letters->first;

	letters->first = letter->next;
	if (!letters->first)
		letters->end = &letters->first;
	return letter;
}

static void letter_free(struct letter *letter)
{
	free(letter->line);
	free(letter);
}

void dead_letters_free(struct dead_letters *letters)
{
	if (!letters)
		return;
	dead_letters_write(letters);
	while (letters->first)
		letter_free(dead_letters_take(letters));
	free(letters);
}

/* The same reason again and again is one line. */
static void dead_letters_note(struct dead_letters *letters, int rc)
{
	if (rc && rc != letters->refused)
		log_error("%s: cannot write: %s; dead letters wait in memory, and their records in "
			  "the journal",
			  letters->path, strerror(-rc));
	else if (!rc && letters->refused)
		log_info("%s: dead letters are written again", letters->path);
	letters->refused = rc;
}

void dead_letters_write(struct dead_letters *letters)
{
	while (letters->first) {
		int rc = dead_letters_append(letters->path, letters->first->line);
		struct letter *letter;

		dead_letters_note(letters, rc);
		if (rc)
			return;
		letter = dead_letters_take(letters);
		letters->kept(letters->arg, letter->cookie);
		letter_free(letter);
	}
}

int dead_letters_add(struct dead_letters *letters, const struct body_dead_letter *letter,
		     uint64_t cookie)
{
	struct letter *added = malloc(sizeof(*added));

	if (!added)
		return -ENOMEM;
	*added = (struct letter){.line = body_of_dead_letter(letter), .cookie = cookie};
	if (!added->line) {
		free(added);
		return -ENOMEM;
	}
	*letters->end = added;
	letters->end = &added->next;
	dead_letters_write(letters);
	return 0;
}
