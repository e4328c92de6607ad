/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/base/sign_key.h"

#include <errno.h>
#include <string.h>

#define SECRET_PREFIX "whsec_"

static const char base64_letters[] =
	"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/* RFC 4648, section 4: padded, without line ends. */
static int base64_decode(const char *text, struct sign_key *key)
{
	size_t length = strlen(text), padding = 0, size = 0;
	uint32_t bits = 0;

	while (padding < length && padding < 2 && text[length - 1 - padding] == '=')
		padding++;
	if (length == 0 || length % 4 || length / 4 * 3 - padding > sizeof(key->bytes) ||
	    strspn(text, base64_letters) != length - padding)
		return -EINVAL;
	for (size_t i = 0; i < length - padding; i++) {
		bits = bits << 6 | (uint32_t)(strchr(base64_letters, text[i]) - base64_letters);
		if (i % 4)
			key->bytes[size++] = (uint8_t)(bits >> (6 - i % 4 * 2));
	}
	key->size = size;
	return 0;
}

int sign_key_parse(const char *secret, struct sign_key *key, struct diag *d)
{
	size_t prefix = strlen(SECRET_PREFIX), length = strlen(secret);

	memset(key, 0, sizeof(*key));
	if (strncmp(secret, SECRET_PREFIX, prefix) == 0) {
		if (base64_decode(secret + prefix, key) == 0)
			return 0;
		return diag_set(d, -EINVAL, NULL, "copy it whole, with its '=' at the end",
				"the secret behind whsec_ is no base64 of at most %zu bytes",
				sizeof(key->bytes));
	}
	if (length > sizeof(key->bytes))
		return diag_set(d, -EINVAL, NULL, "choose a shorter one",
				"the secret is longer than %zu bytes", sizeof(key->bytes));
	memcpy(key->bytes, secret, length);
	key->size = length;
	return 0;
}
