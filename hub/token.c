/* SPDX-License-Identifier: Apache-2.0 */
#include "hub/token.h"

#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#include "lib/base/dirs.h"
#include "lib/base/fd.h"

#define TOKEN_LEAST 16 /* characters of one written by hand */

static int token_read(const char *path, char token[TOKEN_SIZE], struct diag *d)
{
	char *text;
	size_t size;
	int rc = fd_read_file(path, 256, &text, &size, d);

	if (rc)
		return rc;
	size = strcspn(text, " \t\r\n");
	if (size < TOKEN_LEAST || size >= TOKEN_SIZE)
		rc = diag_set(d, -EINVAL, path, "delete it to get a new one",
			      "a token has %d to %d characters", TOKEN_LEAST, TOKEN_SIZE - 1);
	else
		snprintf(token, TOKEN_SIZE, "%.*s", (int)size, text);
	free(text);
	return rc;
}

static int token_make(const char *path, char token[TOKEN_SIZE], struct diag *d)
{
	uint8_t bytes[TOKEN_BYTES];
	char line[TOKEN_SIZE + 1];

	if (getrandom(bytes, sizeof(bytes), 0) != sizeof(bytes))
		return diag_errno(d, -errno, path, NULL, "no random bytes for a token");
	for (size_t i = 0; i < sizeof(bytes); i++)
		snprintf(token + 2 * i, 3, "%02x", bytes[i]);
	snprintf(line, sizeof(line), "%s\n", token);
	return fd_replace_file(path, line, strlen(line), 0600, d);
}

int token_load(const char *dir, char token[TOKEN_SIZE], bool *made, struct diag *d)
{
	char path[DIRS_PATH_MAX];
	int rc = dirs_path(path, dir, "token");

	if (rc)
		return diag_errno(d, rc, dir, "choose a shorter folder", "no room for the token");
	*made = access(path, F_OK) != 0;
	return *made ? token_make(path, token, d) : token_read(path, token, d);
}
