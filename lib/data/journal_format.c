/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/data/journal_format.h"

#include <dirent.h>
#include <endian.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/crc32c.h"
#include "lib/base/fd.h"

#define MAGIC	   "vowjrnl"
#define MAGIC_SIZE 8
#define HEADER_CRC (JOURNAL_HEADER_BYTES - 4)
#define CRC_BEGINS 8 /* length and crc are not covered by the crc */
#define SUFFIX	   ".vowj"
#define HEX_DIGITS 16

static void put32(uint8_t *at, uint32_t value)
{
	value = htole32(value);
	memcpy(at, &value, sizeof(value));
}

static void put64(uint8_t *at, uint64_t value)
{
	value = htole64(value);
	memcpy(at, &value, sizeof(value));
}

static uint32_t get32(const uint8_t *at)
{
	uint32_t value;

	memcpy(&value, at, sizeof(value));
	return le32toh(value);
}

static uint64_t get64(const uint8_t *at)
{
	uint64_t value;

	memcpy(&value, at, sizeof(value));
	return le64toh(value);
}

void journal_header_encode(const struct journal_header *header, uint8_t bytes[JOURNAL_HEADER_BYTES])
{
	memset(bytes, 0, JOURNAL_HEADER_BYTES);
	memcpy(bytes, MAGIC, MAGIC_SIZE);
	put32(bytes + 8, JOURNAL_VERSION);
	put32(bytes + 12, JOURNAL_HEADER_BYTES);
	put64(bytes + 16, header->epoch);
	put64(bytes + 24, header->first_seq);
	put64(bytes + 32, header->created);
	put32(bytes + HEADER_CRC, crc32c(0, bytes, HEADER_CRC));
}

int journal_header_decode(const uint8_t bytes[JOURNAL_HEADER_BYTES], struct journal_header *header,
			  const char *where, struct diag *d)
{
	uint32_t version = get32(bytes + 8);

	if (memcmp(bytes, MAGIC, MAGIC_SIZE) != 0)
		return diag_set(d, -EPROTO, where, "move it out of the journal's folder",
				"this is no journal segment");
	if (version != JOURNAL_VERSION)
		return diag_set(d, -ENOTSUP, where,
				"let the vow that wrote it send it, or use that version",
				"journal version %" PRIu32 ", this program knows %d", version,
				JOURNAL_VERSION);
	if (get32(bytes + HEADER_CRC) != crc32c(0, bytes, HEADER_CRC))
		return diag_set(d, -EPROTO, where, NULL, "the segment's header is damaged");
	header->epoch = get64(bytes + 16);
	header->first_seq = get64(bytes + 24);
	header->created = get64(bytes + 32);
	return 0;
}

void journal_prefix_encode(uint8_t bytes[JOURNAL_RECORD_BYTES], uint64_t seq, wall_ns wall,
			   const void *wire, size_t wire_size, const void *local, size_t local_size)
{
	put32(bytes, (uint32_t)(JOURNAL_RECORD_BYTES - CRC_BEGINS + wire_size + local_size));
	put64(bytes + 8, seq);
	put64(bytes + 16, wall);
	put32(bytes + 24, (uint32_t)wire_size);
	put32(bytes + 28, (uint32_t)local_size);
	uint32_t crc = crc32c(0, bytes + CRC_BEGINS, JOURNAL_RECORD_BYTES - CRC_BEGINS);
	crc = crc32c(crc, wire, wire_size);
	put32(bytes + 4, crc32c(crc, local, local_size));
}

int journal_prefix_decode(const uint8_t bytes[JOURNAL_RECORD_BYTES], struct journal_prefix *prefix)
{
	uint64_t length = get32(bytes);
	uint64_t wire_size = get32(bytes + 24), local_size = get32(bytes + 28);

	if (wire_size + local_size > JOURNAL_RECORD_MAX ||
	    length != JOURNAL_RECORD_BYTES - CRC_BEGINS + wire_size + local_size)
		return -EPROTO;
	prefix->crc = get32(bytes + 4);
	prefix->seq = get64(bytes + 8);
	prefix->wall = get64(bytes + 16);
	prefix->wire_size = (uint32_t)wire_size;
	prefix->local_size = (uint32_t)local_size;
	return 0;
}

size_t journal_record_size(const struct journal_prefix *prefix)
{
	return (size_t)JOURNAL_RECORD_BYTES + prefix->wire_size + prefix->local_size;
}

bool journal_record_intact(const uint8_t *bytes, const struct journal_prefix *prefix)
{
	return prefix->crc ==
	       crc32c(0, bytes + CRC_BEGINS, journal_record_size(prefix) - CRC_BEGINS);
}

void journal_segment_path(char path[JOURNAL_PATH_MAX], const char *dir, uint64_t first_seq)
{
	snprintf(path, JOURNAL_PATH_MAX, "%s/%0*" PRIx64 SUFFIX, dir, HEX_DIGITS, first_seq);
}

static bool segment_name(const char *name, uint64_t *first)
{
	char *end;

	if (strlen(name) != HEX_DIGITS + strlen(SUFFIX) || strcmp(name + HEX_DIGITS, SUFFIX) != 0)
		return false;
	*first = strtoull(name, &end, 16);
	return end == name + HEX_DIGITS;
}

static int ascending(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return x < y ? -1 : x > y;
}

int journal_list(const char *dir, uint64_t **out, size_t *count)
{
	DIR *folder = opendir(dir);
	uint64_t *firsts = NULL, first;
	size_t found = 0, room = 0;
	const struct dirent *entry;

	if (!folder)
		return -errno;
	while ((entry = readdir(folder))) {
		if (!segment_name(entry->d_name, &first))
			continue;
		if (found == room) {
			room = room ? 2 * room : 16;
			uint64_t *grown = realloc(firsts, room * sizeof(*grown));
			if (!grown) {
				free(firsts);
				closedir(folder);
				return -ENOMEM;
			}
			firsts = grown;
		}
		firsts[found++] = first;
	}
	closedir(folder);
	if (found)
		qsort(firsts, found, sizeof(*firsts), ascending);
	*out = firsts;
	*count = found;
	return 0;
}

/* ---- positions: one short line of text, "<epoch in hex> <seq>" ------------------------------------ */

#define POSITION ".position"

static bool position_read(const char *path, uint64_t *epoch, uint64_t *seq)
{
	char *text = NULL;
	size_t size;

	if (fd_read_file(path, 64, &text, &size, NULL))
		return false;
	bool good = sscanf(text, "%" SCNx64 " %" SCNu64, epoch, seq) == 2;
	free(text);
	return good;
}

uint64_t journal_position(const char *dir, const char *name, uint64_t epoch)
{
	char path[JOURNAL_PATH_MAX];
	uint64_t of_epoch, seq;

	snprintf(path, sizeof(path), "%s/%s" POSITION, dir, name);
	return position_read(path, &of_epoch, &seq) && of_epoch == epoch ? seq : 0;
}

uint64_t journal_lowest_position(const char *dir, uint64_t epoch)
{
	DIR *folder = opendir(dir);
	uint64_t lowest = UINT64_MAX;
	const struct dirent *entry;

	if (!folder)
		return lowest;
	while ((entry = readdir(folder))) {
		size_t length = strlen(entry->d_name), suffix = strlen(POSITION);
		char name[256];

		if (length <= suffix || strcmp(entry->d_name + length - suffix, POSITION) != 0)
			continue;
		snprintf(name, sizeof(name), "%.*s", (int)(length - suffix), entry->d_name);
		uint64_t seq = journal_position(dir, name, epoch);
		if (seq < lowest)
			lowest = seq;
	}
	closedir(folder);
	return lowest;
}
