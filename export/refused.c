/* SPDX-License-Identifier: Apache-2.0 */
#include "export/refused.h"

#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <sys/stat.h>

#include "lib/base/dirs.h"
#include "lib/base/fd.h"

/* Bytes of the folder's files, or an errno. */
static int refused_sum(const char *dir, uint64_t *bytes)
{
	DIR *folder = opendir(dir);
	const struct dirent *entry;
	struct stat st;

	*bytes = 0;
	if (!folder)
		return -errno;
	while ((entry = readdir(folder)))
		if (fstatat(dirfd(folder), entry->d_name, &st, 0) == 0 && S_ISREG(st.st_mode))
			*bytes += (uint64_t)st.st_size;
	closedir(folder);
	return 0;
}

int refused_keep(const char *dir, uint64_t epoch, const struct journal_record *record,
		 struct diag *d)
{
	char path[DIRS_PATH_MAX], name[48];
	struct stat st;
	uint64_t bytes;
	int rc;

	snprintf(name, sizeof(name), "%016" PRIx64 "-%016" PRIx64 ".tick", epoch, record->seq);
	rc = dirs_path(path, dir, name);
	if (rc)
		return diag_errno(d, rc, dir, "choose a shorter folder", "cannot keep a record");
	if (stat(path, &st) == 0)
		return 0;
	rc = fd_make_dirs(dir, 0755, d);
	if (rc)
		return rc;
	rc = refused_sum(dir, &bytes);
	if (rc)
		return diag_errno(d, rc, dir, NULL, "cannot keep a record");
	if (bytes + record->wire_size > REFUSED_BYTES)
		return diag_set(d, -EDQUOT, dir, "remove what was looked at",
				"it holds %" PRIu64 " bytes already, and takes no more than %u",
				bytes, REFUSED_BYTES);
	return fd_replace_file(path, record->wire, record->wire_size, 0640, d);
}
