/* SPDX-License-Identifier: Apache-2.0 */
#include "deliver/sign.h"

#include <errno.h>
#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <string.h>

#define SECRET_PREFIX  "whsec_"
#define DIGEST_BYTES   32
#define BASE64_LETTERS "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"

static int base64_decode(const char *text, struct sign_key *key)
{
	size_t length = strlen(text), padding = 0;
	uint8_t decoded[sizeof(key->bytes) + 4];
	int size;

	while (padding < length && padding < 2 && text[length - 1 - padding] == '=')
		padding++;
	/* The decoder itself lets spaces and '=' anywhere pass. */
	if (length == 0 || length % 4 || length / 4 * 3 > sizeof(key->bytes) ||
	    strspn(text, BASE64_LETTERS) != length - padding)
		return -EINVAL;
	size = EVP_DecodeBlock(decoded, (const unsigned char *)text, (int)length);
	if (size < 0 || (size_t)size <= padding)
		return -EINVAL;
	key->size = (size_t)size - padding;
	memcpy(key->bytes, decoded, key->size);
	explicit_bzero(decoded, sizeof(decoded));
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
				"the secret behind whsec_ is no base64");
	}
	if (length > sizeof(key->bytes))
		return diag_set(d, -EINVAL, NULL, NULL, "the secret is longer than %zu bytes",
				sizeof(key->bytes));
	memcpy(key->bytes, secret, length);
	key->size = length;
	return 0;
}

static int hmac_of(EVP_MAC_CTX *context, const struct sign_key *key, const char *head,
		   const char *body, size_t size, uint8_t digest[DIGEST_BYTES])
{
	const OSSL_PARAM params[] = {
		OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, (char *)"SHA256", 0),
		OSSL_PARAM_construct_end(),
	};
	size_t length;

	if (!EVP_MAC_init(context, key->bytes, key->size, params) ||
	    !EVP_MAC_update(context, (const uint8_t *)head, strlen(head)) ||
	    !EVP_MAC_update(context, (const uint8_t *)body, size) ||
	    !EVP_MAC_final(context, digest, &length, DIGEST_BYTES))
		return -ENOMEM;
	return 0;
}

int sign_text(const struct sign_key *key, const char *id, uint64_t timestamp, const char *body,
	      size_t size, char text[SIGN_TEXT_MAX])
{
	EVP_MAC *mac = EVP_MAC_fetch(NULL, "HMAC", NULL);
	EVP_MAC_CTX *context = mac ? EVP_MAC_CTX_new(mac) : NULL;
	uint8_t digest[DIGEST_BYTES];
	char head[160];
	int rc = -ENOMEM;

	snprintf(head, sizeof(head), "%s.%llu.", id, (unsigned long long)timestamp);
	if (context)
		rc = hmac_of(context, key, head, body, size, digest);
	if (!rc) {
		memcpy(text, "v1,", 3);
		EVP_EncodeBlock((unsigned char *)text + 3, digest, sizeof(digest));
	}
	EVP_MAC_CTX_free(context);
	EVP_MAC_free(mac);
	return rc;
}
