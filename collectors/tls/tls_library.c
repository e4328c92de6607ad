/* SPDX-License-Identifier: Apache-2.0 */
#include "collectors/tls/tls_library.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/base/fd.h"

static const char *base_name(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash ? slash + 1 : path;
}

/* Whether all probes of the calls that move data stand where the kernel spares a step. */
static bool is_cheap(const struct tls_sites *sites)
{
	for (unsigned call = TLS_READ; call <= TLS_WRITE_EX; call++)
		if (sites->calls[call].enters && !sites->calls[call].emulated)
			return false;
	return true;
}

static const struct tls_library *library_known(const struct tls_libraries *libraries,
					       const struct stat *status)
{
	for (unsigned i = 0; i < TLS_LIBRARIES_MAX; i++) {
		const struct tls_library *known = &libraries->list[i];

		/* The next version of a package may get the inode that the last one had. */
		if (known->inode == status->st_ino && known->device == status->st_dev &&
		    known->size_bytes == status->st_size &&
		    known->changed.tv_sec == status->st_ctim.tv_sec &&
		    known->changed.tv_nsec == status->st_ctim.tv_nsec)
			return known;
	}
	return NULL;
}

/* The library in a file whose last name is `name`; NULL: it is none. */
static const struct tls_library *library_read(struct tls_libraries *libraries, int fd,
					      const char *name, struct diag *d)
{
	const struct tls_library *known;
	struct tls_library *library;
	struct tls_sites sites;
	struct stat status;

	if (fstat(fd, &status)) {
		diag_errno(d, -errno, name, NULL, "cannot look at it");
		return NULL;
	}
	known = library_known(libraries, &status);
	if (known || tls_sites_find(fd, &sites, d))
		return known;
	library = &libraries->list[libraries->added++ % TLS_LIBRARIES_MAX];
	*library = (struct tls_library){
		.device = status.st_dev,
		.inode = status.st_ino,
		.size_bytes = status.st_size,
		.changed = status.st_ctim,
		.cheap = is_cheap(&sites),
		.sites = sites,
	};
	snprintf(library->name, sizeof(library->name), "%s", name);
	return library;
}

/* The same of the file at path, which is then open in *file. */
static const struct tls_library *library_open(struct tls_libraries *libraries, const char *path,
					      const char *name, int *file, struct diag *d)
{
	const struct tls_library *library;
	/* Whoever is looked at may have put a pipe there, which would be waited for. */
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);

	if (fd < 0) {
		diag_errno(d, -errno, path, NULL, "cannot look at it");
		return NULL;
	}
	library = library_read(libraries, fd, name, d);
	if (library)
		*file = fd;
	else
		close(fd);
	return library;
}

/* The file of a mapping whose code runs and whose name speaks of SSL, in a line of maps; or NULL. */
static char *line_file(char *line)
{
	char *file = strchr(line, '/');

	if (!file || !strstr(line, "x"))
		return NULL;
	file[strcspn(file, "\n")] = '\0';
	return strchr(line, 'x') < file && strstr(base_name(file), "ssl") ? file : NULL;
}

/* Whether the kernel says of a mapped file that nothing has its name any more. */
static bool is_deleted(const char *mapped)
{
	static const char mark[] = " (deleted)";
	size_t length = strlen(mapped), rest = sizeof(mark) - 1;

	return length > rest && !strcmp(mapped + length - rest, mark);
}

/* deleted: the process runs code of a library that was removed, or replaced by another version. */
static const struct tls_library *library_mapped(struct tls_libraries *libraries, pid_t pid,
						int *file, bool *deleted, struct diag *d)
{
	const struct tls_library *library = NULL;
	char name[32], line[PATH_MAX + 128], path[PATH_MAX];
	FILE *maps;

	snprintf(name, sizeof(name), "/proc/%d/maps", (int)pid);
	maps = fopen(name, "re");
	while (maps && !library && fgets(line, sizeof(line), maps)) {
		const char *mapped = line_file(line);

		if (mapped &&
		    snprintf(path, PATH_MAX, "/proc/%d/root%s", (int)pid, mapped) < PATH_MAX)
			library = library_open(libraries, path, base_name(mapped), file, d);
		*deleted = *deleted || (mapped && !library && is_deleted(mapped));
	}
	if (maps)
		fclose(maps);
	return library;
}

const struct tls_library *tls_library_find(struct tls_libraries *libraries, pid_t pid, int *file,
					   struct diag *d)
{
	bool deleted = false;
	const struct tls_library *library = library_mapped(libraries, pid, file, &deleted, d);
	char path[32], program[PATH_MAX];
	ssize_t length;

	if (library)
		return library;
	snprintf(path, sizeof(path), "/proc/%d/exe", (int)pid);
	length = readlink(path, program, sizeof(program) - 1);
	if (length < 0) {
		diag_errno(d, -errno, path, NULL, "cannot look at it");
		return NULL;
	}
	program[length] = '\0';
	library = library_open(libraries, path, base_name(program), file, d);
	if (!library && deleted)
		diag_set(d, -ENOENT, base_name(program), "start it again",
			 "the TLS library that it runs was removed or replaced since it started");
	return library;
}
