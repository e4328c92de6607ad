/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/data/journal_format.h"

#include <dirent.h>
#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/base/crc32c.h"
#include "lib/base/fd.h"

static const char magics[][9] = {
	[JOURNAL_FILE_SEGMENT] = "VOWJRNL\n", [JOURNAL_FILE_KEYFRAME] = "VOWKEYF\n"};

#define MAGIC_BYTES 8

static void journal_put_u32(uint8_t *p, uint32_t value)
{
	value = htole32(value);
	memcpy(p, &value, sizeof(value));
}

static void journal_put_u64(uint8_t *p, uint64_t value)
{
	value = htole64(value);
	memcpy(p, &value, sizeof(value));
}

static uint32_t journal_get_u32(const uint8_t *p)
{
	uint32_t value;

	memcpy(&value, p, sizeof(value));
	return le32toh(value);
}

static uint64_t journal_get_u64(const uint8_t *p)
{
	uint64_t value;

	memcpy(&value, p, sizeof(value));
	return le64toh(value);
}

void journal_header_encode(const struct journal_header *header, enum journal_file file,
			   uint8_t out[JOURNAL_HEADER_BYTES])
{
	memset(out, 0, JOURNAL_HEADER_BYTES);
	memcpy(out, magics[file], MAGIC_BYTES);
	journal_put_u32(out + 8, JOURNAL_VERSION);
	journal_put_u32(out + 12, JOURNAL_HEADER_BYTES);
	journal_put_u64(out + 16, header->epoch);
	journal_put_u64(out + 24, header->first_seq);
	memcpy(out + 32, header->boot_id, sizeof(header->boot_id));
	journal_put_u64(out + 48, header->begun_at);
	journal_put_u32(out + 56, header->crc);
	journal_put_u32(out + 60, crc32c(0, out, 60));
}

int journal_header_decode(struct journal_header *header, enum journal_file file,
			  const uint8_t in[JOURNAL_HEADER_BYTES])
{
	uint32_t version = journal_get_u32(in + 8);

	if (memcmp(in, magics[file], MAGIC_BYTES) != 0 ||
	    journal_get_u32(in + 60) != crc32c(0, in, 60))
		return -EPROTO;
	if (version < JOURNAL_VERSION_READ || version > JOURNAL_VERSION ||
	    journal_get_u32(in + 12) != JOURNAL_HEADER_BYTES)
		return -EPROTONOSUPPORT;
	header->epoch = journal_get_u64(in + 16);
	header->first_seq = journal_get_u64(in + 24);
	memcpy(header->boot_id, in + 32, sizeof(header->boot_id));
	header->begun_at = journal_get_u64(in + 48);
	header->crc = journal_get_u32(in + 56);
	return header->epoch && header->first_seq ? 0 : -EPROTO;
}

void journal_head_encode(uint8_t out[JOURNAL_HEAD_BYTES], const struct journal_record *record)
{
	uint32_t crc;

	journal_put_u32(out,
			(uint32_t)(JOURNAL_HEAD_COVERED + record->wire_size + record->local_size));
	journal_put_u64(out + 8, record->seq);
	journal_put_u64(out + 16, record->wall);
	journal_put_u32(out + 24, (uint32_t)record->wire_size);
	journal_put_u32(out + 28, (uint32_t)record->local_size);
	crc = crc32c(0, out + 8, JOURNAL_HEAD_COVERED);
	crc = crc32c(crc, record->wire, record->wire_size);
	journal_put_u32(out + 4, crc32c(crc, record->local, record->local_size));
}

uint32_t journal_head_crc(const uint8_t head[JOURNAL_HEAD_BYTES])
{
	return journal_get_u32(head + 4);
}

/* Bytes behind the head of a record, or -EPROTO when the head contradicts itself. */
static ssize_t journal_head_body_size(const uint8_t head[JOURNAL_HEAD_BYTES])
{
	uint64_t wire = journal_get_u32(head + 24), local = journal_get_u32(head + 28);

	if (wire + local > JOURNAL_RECORD_MAX ||
	    journal_get_u32(head) != JOURNAL_HEAD_COVERED + wire + local ||
	    !journal_get_u64(head + 8))
		return -EPROTO;
	return (ssize_t)(wire + local);
}

ssize_t journal_record_decode(struct journal_record *record, const uint8_t *bytes, size_t size)
{
	ssize_t body;

	if (size < JOURNAL_HEAD_BYTES)
		return 0;
	body = journal_head_body_size(bytes);
	if (body < 0)
		return body;
	if (size - JOURNAL_HEAD_BYTES < (size_t)body)
		return 0;
	if (crc32c(0, bytes + 8, JOURNAL_HEAD_COVERED + (size_t)body) != journal_get_u32(bytes + 4))
		return -EPROTO;
	record->seq = journal_get_u64(bytes + 8);
	record->wall = journal_get_u64(bytes + 16);
	record->wire_size = journal_get_u32(bytes + 24);
	record->local_size = journal_get_u32(bytes + 28);
	record->wire = bytes + JOURNAL_HEAD_BYTES;
	record->local = record->wire + record->wire_size;
	return JOURNAL_HEAD_BYTES + body;
}

/* ---- reading records in turn ---------------------------------------------------------------- */

/* Like pread(2), until size bytes or the end of the file. */
static ssize_t journal_read_at(int fd, uint8_t *buf, size_t size, uint64_t offset)
{
	size_t done = 0;

	while (done < size) {
		ssize_t n = pread(fd, buf + done, size - done, (off_t)(offset + done));

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		if (n == 0)
			break;
		done += (size_t)n;
	}
	return (ssize_t)done;
}

static int journal_cursor_room(struct journal_cursor *cursor, size_t size)
{
	size_t cap = cursor->cap ? cursor->cap : 4096;
	uint8_t *buf;

	if (size <= cursor->cap)
		return 0;
	while (cap < size)
		cap *= 2;
	buf = realloc(cursor->buf, cap);
	if (!buf)
		return -ENOMEM;
	cursor->buf = buf;
	cursor->cap = cap;
	return 0;
}

int journal_cursor_next(struct journal_cursor *cursor, struct journal_record *record)
{
	struct journal_record found;
	ssize_t body, n;
	size_t size;
	int rc = journal_cursor_room(cursor, JOURNAL_HEAD_BYTES);

	if (rc < 0)
		return rc;
	n = journal_read_at(cursor->fd, cursor->buf, JOURNAL_HEAD_BYTES, cursor->offset);
	if (n < JOURNAL_HEAD_BYTES)
		return n < 0 ? (int)n : 0;
	body = journal_head_body_size(cursor->buf);
	if (body < 0)
		return (int)body;
	size = JOURNAL_HEAD_BYTES + (size_t)body;
	rc = journal_cursor_room(cursor, size);
	if (rc < 0)
		return rc;
	n = journal_read_at(cursor->fd, cursor->buf, size, cursor->offset);
	if (n < 0)
		return (int)n;
	n = journal_record_decode(&found, cursor->buf, (size_t)n);
	if (n <= 0)
		return (int)n;
	*record = found;
	cursor->offset += (uint64_t)n;
	return 1;
}

void journal_cursor_deinit(struct journal_cursor *cursor)
{
	free(cursor->buf);
	cursor->buf = NULL;
	cursor->cap = 0;
}

bool journal_record_merged(const struct journal_record *record)
{
	return !record->wire_size && record->local_size == JOURNAL_MERGED_BYTES;
}

/* ---- names ----------------------------------------------------------------------------------- */

int journal_path(char path[PATH_MAX], const char *dir, uint64_t first_seq, const char *suffix)
{
	int n = snprintf(path, PATH_MAX, "%s/%016" PRIx64 JOURNAL_SUFFIX "%s", dir, first_seq,
			 suffix);

	return n < PATH_MAX ? 0 : -ENAMETOOLONG;
}

/* The number in the name of such a file; 0 when it is none (sequence numbers begin with 1). */
static uint64_t journal_name_parse(const char *name, const char *suffix)
{
	uint64_t seq = 0;

	if (strlen(name) != 16 + strlen(suffix) || strcmp(name + 16, suffix) != 0)
		return 0;
	for (int i = 0; i < 16; i++) {
		const char *digits = "0123456789abcdef", *digit = strchr(digits, name[i]);

		if (!digit)
			return 0;
		seq = seq << 4 | (uint64_t)(digit - digits);
	}
	return seq;
}

static int journal_compare_seq(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return x < y ? -1 : x > y;
}

static void journal_dir_closep(DIR **dir)
{
	if (*dir)
		closedir(*dir);
}

int journal_list(const char *dir, uint64_t **seqs, size_t *count)
{
	return journal_list_of(dir, JOURNAL_SUFFIX, seqs, count);
}

int journal_list_of(const char *dir, const char *suffix, uint64_t **seqs, size_t *count)
{
	_cleanup_(journal_dir_closep) DIR *stream = opendir(dir);
	uint64_t *list = NULL;
	size_t n = 0, cap = 0;
	struct dirent *entry;

	if (!stream)
		return -errno;
	while ((entry = readdir(stream))) {
		uint64_t seq = journal_name_parse(entry->d_name, suffix);

		if (!seq)
			continue;
		if (n == cap) {
			uint64_t *grown = realloc(list, (cap = cap ? 2 * cap : 64) * sizeof(*list));

			if (!grown) {
				free(list);
				return -ENOMEM;
			}
			list = grown;
		}
		list[n++] = seq;
	}
	if (n)
		qsort(list, n, sizeof(*list), journal_compare_seq);
	*seqs = list;
	*count = n;
	return 0;
}

int journal_segment_open(const char *path, int flags, struct journal_header *header)
{
	return journal_file_open(path, flags, JOURNAL_FILE_SEGMENT, header);
}

int journal_file_open(const char *path, int flags, enum journal_file file,
		      struct journal_header *header)
{
	/* A pipe in its place would be waited for until somebody opens its other end. */
	_cleanup_(fd_closep) int fd = open(path, flags | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	uint8_t bytes[JOURNAL_HEADER_BYTES];
	ssize_t n;
	int rc;

	if (fd < 0)
		return -errno;
	n = journal_read_at(fd, bytes, sizeof(bytes), 0);
	if (n < 0)
		return (int)n;
	rc = n == sizeof(bytes) ? journal_header_decode(header, file, bytes) : -EPROTO;
	if (rc < 0)
		return rc;
	rc = fd;
	fd = -1;
	return rc;
}

int journal_version_refuse(const char *path, struct diag *d)
{
	return diag_set(d, -EPROTONOSUPPORT, path, "start the version of vow that wrote it",
			"a file of another format version; this vow reads versions %d to %d",
			JOURNAL_VERSION_READ, JOURNAL_VERSION);
}

int journal_write_empty(int fd, uint64_t from, uint64_t to, wall_ns wall)
{
	int rc = 0;

	for (uint64_t seq = from; seq <= to && !rc; seq++) {
		const struct journal_record record = {.seq = seq, .wall = wall};
		uint8_t head[JOURNAL_HEAD_BYTES];

		journal_head_encode(head, &record);
		rc = fd_write_full(fd, head, sizeof(head));
	}
	return rc;
}
