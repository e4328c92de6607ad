/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Signatures of Standard Webhooks (standardwebhooks.com, symmetric scheme): "v1," and the base64 of
 * the HMAC-SHA256 over "ID.TIMESTAMP.BODY". Any thread; neither blocks nor allocates memory of ours.
 */
#ifndef VOW_DELIVER_SIGN_H
#define VOW_DELIVER_SIGN_H

#include "lib/base/sign_key.h"

#define SIGN_TEXT_MAX 48 /* "v1," + 44 + NUL */

/* timestamp: seconds since 1970. 0, or -ENOMEM when the library fails. */
int sign_text(const struct sign_key *key, const char *id, uint64_t timestamp, const char *body,
	      size_t size, char text[SIGN_TEXT_MAX]);

#endif
