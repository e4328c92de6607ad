/* SPDX-License-Identifier: Apache-2.0 */
/* How far readers came: one small file each, replaced whole. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/crc32c.h"
#include "lib/base/fd.h"
#include "lib/data/journal_format.h"

#define PLACE_BYTES_MAX 128

static const char suffix[] = ".position";

int journal_place_path(char path[PATH_MAX], const char *dir, const char *name)
{
	int n = snprintf(path, PATH_MAX, "%s/%s%s", dir, name, suffix);

	return n < PATH_MAX ? 0 : -ENAMETOOLONG;
}

/* The numbers of a line of version 1 (epoch, position) or 2 (epoch, position, claim). */
static bool journal_place_parse(const char *text, struct journal_place *place)
{
	*place = (struct journal_place){0};
	return sscanf(text, "1 %16" SCNx64 " %20" SCNu64, &place->epoch, &place->seq) == 2 ||
	       sscanf(text, "2 %16" SCNx64 " %20" SCNu64 " %20" SCNu64, &place->epoch, &place->seq,
		      &place->claim) == 3;
}

int journal_place_read(const char *dir, const char *name, struct journal_place *place)
{
	char path[PATH_MAX], *text, *check;
	struct journal_place parsed;
	unsigned crc;
	size_t size;
	int rc = journal_place_path(path, dir, name);

	if (!rc)
		rc = fd_read_file(path, PLACE_BYTES_MAX, &text, &size, NULL);
	if (rc < 0)
		return rc;
	check = strrchr(text, ' ');
	if (!check || !journal_place_parse(text, &parsed) || sscanf(check, " %8x", &crc) != 1 ||
	    crc != crc32c(0, text, (size_t)(check - text)))
		rc = -EPROTO;
	else
		*place = parsed;
	free(text);
	return rc;
}

int journal_place_write(const char *dir, const char *name, const struct journal_place *place)
{
	char path[PATH_MAX], text[PLACE_BYTES_MAX];
	int n, rc = journal_place_path(path, dir, name);

	if (rc < 0)
		return rc;
	/* Readers that claim nothing write the first version. */
	if (place->claim)
		n = snprintf(text, sizeof(text), "2 %016" PRIx64 " %" PRIu64 " %" PRIu64,
			     place->epoch, place->seq, place->claim);
	else
		n = snprintf(text, sizeof(text), "1 %016" PRIx64 " %" PRIu64, place->epoch,
			     place->seq);
	n += snprintf(text + n, sizeof(text) - (size_t)n, " %08x\n", crc32c(0, text, (size_t)n));
	return fd_replace_file(path, text, (size_t)n, JOURNAL_MODE, NULL);
}

uint64_t journal_position(const char *dir, const char *name, uint64_t epoch)
{
	struct journal_place place;

	return journal_place_read(dir, name, &place) == 0 && place.epoch == epoch ? place.seq : 0;
}

static void journal_places_add(struct journal_places *places, const struct journal_place *place)
{
	places->least = place->seq < places->least ? place->seq : places->least;
	places->most = place->seq > places->most ? place->seq : places->most;
	places->claim = place->claim > places->claim ? place->claim : places->claim;
}

/* What a reader's file says; as far as it is unknown, what keeps the most. */
static struct journal_place journal_place_of(const char *dir, const char *name, uint64_t epoch)
{
	struct journal_place place;
	int rc = journal_place_read(dir, name, &place);

	if (rc < 0)
		return (struct journal_place){.claim = UINT64_MAX};
	return place.epoch == epoch ? place : (struct journal_place){0};
}

struct journal_places journal_places_read(const char *dir, uint64_t epoch)
{
	struct journal_places places = {.least = UINT64_MAX};
	DIR *listing = opendir(dir);
	struct dirent *entry;

	if (!listing)
		return (struct journal_places){.claim = UINT64_MAX};
	while ((entry = readdir(listing))) {
		size_t length = strlen(entry->d_name);
		struct journal_place place;

		if (length < sizeof(suffix) ||
		    strcmp(entry->d_name + length - (sizeof(suffix) - 1), suffix) != 0)
			continue;
		entry->d_name[length - (sizeof(suffix) - 1)] = '\0';
		place = journal_place_of(dir, entry->d_name, epoch);
		journal_places_add(&places, &place);
	}
	closedir(listing);
	return places;
}

int journal_claims_open(const char *dir, int flags)
{
	char path[PATH_MAX];
	int fd;

	if ((size_t)snprintf(path, sizeof(path), "%s/" JOURNAL_CLAIM_LOCK, dir) >= sizeof(path))
		return -ENAMETOOLONG;
	/* A pipe in its place is not waited for; it can be locked as well. */
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | flags, JOURNAL_MODE);
	return fd < 0 ? -errno : fd;
}
