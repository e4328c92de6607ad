/* SPDX-License-Identifier: Apache-2.0 */
/* The token that the HTTP side asks for: made once, kept in the hub's folder, file "token". */
#ifndef VOW_HUB_TOKEN_H
#define VOW_HUB_TOKEN_H

#include <stdbool.h>

#include "lib/base/diag.h"

#define TOKEN_BYTES 24 /* of randomness */
#define TOKEN_SIZE  (2 * TOKEN_BYTES + 1) /* as hexadecimal text with its NUL */

/*
 * Reads the token, or makes one (*made is true then; the file is readable by its owner only). One
 * written by hand has 16 to 48 characters. -EINVAL for another, or the file's errno, with d filled.
 */
int token_load(const char *dir, char token[TOKEN_SIZE], bool *made, struct diag *d);

#endif
