/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What /proc says of a process, whose control group's path others choose: the first line is that of
 * /proc/PID/stat, all others are /proc/PID/cgroup. A name stays within its room, is never empty, and
 * of a unit alone it is that unit's, with its escapes resolved by an independent reader.
 */
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "collectors/service_name.h"
#include "tests/fuzz/fuzz.h"

static char proc[256], folder[300];

static void folder_remove(void)
{
	static const char *const files[] = {"stat", "cgroup"};
	char path[320];

	for (unsigned i = 0; i < 2; i++) {
		snprintf(path, sizeof(path), "%s/%s", folder, files[i]);
		unlink(path);
	}
	rmdir(folder);
}

static void file_write(const char *name, const uint8_t *bytes, size_t size)
{
	char path[320];
	int fd;

	if (!proc[0]) {
		fuzz_path("", proc);
		snprintf(folder, sizeof(folder), "%s7", proc);
		FUZZ_CHECK(mkdir(folder, 0700) == 0);
		atexit(folder_remove);
	}
	snprintf(path, sizeof(path), "%s/%s", folder, name);
	fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	FUZZ_CHECK(fd >= 0 && write(fd, bytes, size) == (ssize_t)size);
	close(fd);
}

static int digit(char c)
{
	return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* The last part of the path as a unit's name; false when it is none. Systemd writes small digits. */
static bool unit_of(const char *path, size_t length, char name[SERIES_NAME_MAX + 1])
{
	static const char end[] = ".service";
	const char *at = path + length;
	size_t n = 0;

	while (at > path && at[-1] != '/')
		at--;
	length -= (size_t)(at - path);
	if (length < sizeof(end) || memcmp(at + length - strlen(end), end, strlen(end)) != 0 ||
	    (length >= 5 && memcmp(at, "user@", 5) == 0))
		return false;
	length -= strlen(end);
	/* That may be a container, or an escape of other digits. */
	if (length >= 32 || memchr(at, '\\', length) != memmem(at, length, "\\x", 2))
		return false;
	for (size_t i = 0; i < length; i++) {
		int high = -1, low = -1;

		if (at[i] == '\\' && length - i >= 4 && at[i + 1] == 'x') {
			high = digit(at[i + 2]);
			low = digit(at[i + 3]);
		}
		if (high >= 0 && low >= 0 && high + low > 0) {
			name[n++] = (char)(high << 4 | low);
			i += 3;
		} else {
			if (at[i] >= 'A' && at[i] <= 'F')
				return false;
			name[n++] = at[i];
		}
	}
	name[n] = '\0';
	return true;
}

static void check_path(const struct fuzz_input *text)
{
	char path[4096] = "", name[SERIES_NAME_MAX + 1], expected[SERIES_NAME_MAX + 1];
	struct fuzz_input copy = *text;

	fuzz_copy(&copy, path, sizeof(path) - 1);
	memset(name, 'x', sizeof(name));
	service_name_of_cgroup(path, name);
	FUZZ_CHECK(memchr(name, '\0', sizeof(name)));
	if (unit_of(path, strcspn(path, "\n"), expected))
		FUZZ_CHECK(strcmp(name, expected) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
	const uint8_t *line = size ? memchr(bytes, '\n', size) : NULL;
	const uint8_t *rest = line ? line + 1 : bytes + size;
	struct fuzz_input groups = {rest, bytes + size};
	struct service_process process = {.pid = 7, .port = 80, .command = "seen"};
	static const struct service_match match = {.cgroup = "slice/x", .service = "matched"};
	struct service_names *names;
	const char *name;

	file_write("stat", bytes, (size_t)(rest - bytes));
	file_write("cgroup", rest, fuzz_left(&groups));
	names = service_names_new(&match, 1, proc);
	FUZZ_CHECK(names);
	name = service_name_of(names, &process, NS_PER_S);
	FUZZ_CHECK(name[0] && memchr(name, '\0', SERIES_NAME_MAX + 1));
	/* A second look finds the same. */
	service_name_of(names, &process, NS_PER_MIN);
	FUZZ_CHECK(name[0]);
	service_names_free(names);
	check_path(&groups);
	return 0;
}
