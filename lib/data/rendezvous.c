/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/data/rendezvous.h"

#include <errno.h>
#include <limits.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <vow/shm.h>

/* FNV-1a, 32 bits: no secret depends on it, two folders only must rarely share a name. */
static uint32_t rendezvous_hash(const char *text)
{
	uint32_t hash = 2166136261u;

	for (; *text; text++)
		hash = (hash ^ (uint8_t)*text) * 16777619u;
	return hash;
}

/* Resolves dir, which exists, or its parent; leaves path as given when neither does. */
static int rendezvous_resolve(const char *dir, char path[PATH_MAX])
{
	char given[PATH_MAX], parent[PATH_MAX];
	size_t length = strlen(dir);

	while (length > 1 && dir[length - 1] == '/')
		length--;
	if (length == 0 || length >= sizeof(given))
		return -ENAMETOOLONG;
	memcpy(given, dir, length);
	given[length] = '\0';
	if (realpath(given, path))
		return 0;

	char *slash = strrchr(given, '/');
	const char *last = slash ? slash + 1 : given;
	const char *above = !slash ? "." : slash == given ? "/" : given;
	if (slash)
		*slash = '\0';
	if (!realpath(above[0] ? above : "/", parent))
		snprintf(parent, sizeof(parent), "%s", above);
	int written = snprintf(path, PATH_MAX, "%s/%s", strcmp(parent, "/") ? parent : "", last);
	return written < PATH_MAX ? 0 : -ENAMETOOLONG;
}

int rendezvous_name(const char *dir, char name[RENDEZVOUS_NAME_SIZE])
{
	char path[PATH_MAX];
	int rc = rendezvous_resolve(dir, path);

	if (rc < 0)
		return rc;
	snprintf(name, RENDEZVOUS_NAME_SIZE, "vow-%08x", rendezvous_hash(path));
	return 0;
}

int rendezvous_socket(const char *dir, struct sockaddr_un *address)
{
	struct sockaddr_un un = {.sun_family = AF_UNIX};
	int written = snprintf(un.sun_path, sizeof(un.sun_path), "%s/%s", dir, VOW_SHM_INTAKE);

	if (written < 0 || (size_t)written >= sizeof(un.sun_path))
		return -ENAMETOOLONG;
	*address = un;
	return 0;
}
