/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/fuzz/fuzz.h"

#include <dirent.h>
#include <sys/stat.h>
#include <unistd.h>

static char fuzz_dir[128];

void fuzz_empty_dir(void)
{
	DIR *stream = opendir(fuzz_dir);
	struct dirent *entry;
	char path[512];

	while (stream && (entry = readdir(stream))) {
		snprintf(path, sizeof(path), "%s/%s", fuzz_dir, entry->d_name);
		unlink(path);
	}
	if (stream)
		closedir(stream);
}

static void fuzz_dir_remove(void)
{
	fuzz_empty_dir();
	rmdir(fuzz_dir);
}

const char *fuzz_path(const char *name, char path[256])
{
	if (!fuzz_dir[0]) {
		snprintf(fuzz_dir, sizeof(fuzz_dir), "%s/vow-fuzz-XXXXXX",
			 access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp");
		if (!mkdtemp(fuzz_dir))
			abort();
		atexit(fuzz_dir_remove);
	}
	snprintf(path, 256, "%s/%s", fuzz_dir, name);
	return path;
}

/* Bytes of the UTF-8 character at text, 0 when it is none: the table of RFC 3629. */
static unsigned fuzz_utf8(const uint8_t *text)
{
	uint8_t first = text[0], low = 0x80, high = 0xbf;
	unsigned more = first < 0x80 ? 0 : first < 0xe0 ? 1 : first < 0xf0 ? 2 : 3;

	if ((first >= 0x80 && first < 0xc2) || first > 0xf4)
		return 0;
	if (first == 0xe0)
		low = 0xa0;
	if (first == 0xed)
		high = 0x9f;
	if (first == 0xf0)
		low = 0x90;
	if (first == 0xf4)
		high = 0x8f;
	for (unsigned i = 1; i <= more; i++, low = 0x80, high = 0xbf)
		if (text[i] < low || text[i] > high)
			return 0;
	return 1 + more;
}

void fuzz_check_text(const char *text, size_t room)
{
	const uint8_t *at = (const uint8_t *)text;

	FUZZ_CHECK(memchr(text, '\0', room));
	while (*at) {
		FUZZ_CHECK(*at >= 0x20 && *at != 0x7f);
		FUZZ_CHECK(fuzz_utf8(at));
		at += fuzz_utf8(at);
	}
}
