/* SPDX-License-Identifier: Apache-2.0 */
#include "deliver/sign.h"

#include <errno.h>
#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <string.h>

#define DIGEST_BYTES 32

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
