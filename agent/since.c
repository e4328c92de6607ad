/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/since.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "lib/base/dirs.h"
#include "lib/base/fd.h"

#define SINCE_MAX 64 /* two numbers of up to 20 digits, a space and a line end */

wall_ns since_load(const char *folder, uint64_t epoch, wall_ns now)
{
	char path[DIRS_PATH_MAX], text[SINCE_MAX], *read = NULL;
	uint64_t of_epoch = 0;
	wall_ns since = 0;
	bool known;
	size_t size;
	int length;

	if (dirs_path(path, folder, "since"))
		return now;
	known = fd_read_file(path, SINCE_MAX, &read, &size, NULL) == 0 &&
		sscanf(read, "%" SCNu64 " %" SCNu64, &of_epoch, &since) == 2 && of_epoch == epoch &&
		since && since <= now;
	free(read);
	if (known)
		return since;
	length = snprintf(text, sizeof(text), "%" PRIu64 " %" PRIu64 "\n", epoch, now);
	(void)fd_replace_file(path, text, (size_t)length, 0640, NULL);
	return now;
}
