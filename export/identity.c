/* SPDX-License-Identifier: Apache-2.0 */
#include "export/identity.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/random.h>
#include <unistd.h>

#include "lib/base/dirs.h"
#include "lib/base/fd.h"

static int identity_read(const char *path, uint8_t id[IDENTITY_SIZE])
{
	_cleanup_(fd_closep) int fd = open(path, O_RDONLY | O_CLOEXEC);
	uint8_t bytes[IDENTITY_SIZE + 1];
	ssize_t size;

	if (fd < 0)
		return -errno;
	size = fd_read_full(fd, bytes, sizeof(bytes));
	if (size < 0)
		return (int)size;
	if (size != IDENTITY_SIZE)
		return -EPROTO;
	for (size_t i = 0; i < IDENTITY_SIZE; i++)
		id[i] = bytes[i];
	return 0;
}

/* Written aside and linked into place, so that two who make it at once end up with one. */
static int identity_make(const char *path)
{
	uint8_t id[IDENTITY_SIZE];
	char aside[DIRS_PATH_MAX + 32];
	int rc;

	if (getrandom(id, sizeof(id), 0) != sizeof(id))
		return -EIO;
	snprintf(aside, sizeof(aside), "%s.%ld", path, (long)getpid());
	rc = fd_replace_file(aside, id, sizeof(id), 0644, NULL);
	if (rc)
		return rc;
	if (link(aside, path) < 0 && errno != EEXIST)
		rc = -errno;
	unlink(aside);
	return rc;
}

int identity_load(const char *path, uint8_t id[IDENTITY_SIZE], struct diag *d)
{
	int rc = identity_read(path, id);

	if (rc == -ENOENT) {
		rc = identity_make(path);
		if (!rc)
			rc = identity_read(path, id);
	}
	if (rc == -EPROTO)
		return diag_set(d, rc, path, "restore it, or remove it to become a new agent",
				"an agent's identity has %d bytes, this file has not",
				IDENTITY_SIZE);
	if (rc)
		return diag_errno(d, rc, path, "check the folder and its rights",
				  "no identity of the agent");
	return 0;
}
