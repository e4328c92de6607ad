/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The key that signs webhooks, from the secret in the configuration. Here and not beside the
 * signing, so that a configuration with a broken one is refused when it is read. Any thread;
 * neither blocks nor allocates.
 */
#ifndef VOW_LIB_BASE_SIGN_KEY_H
#define VOW_LIB_BASE_SIGN_KEY_H

#include "lib/base/diag.h"
#include "lib/base/types.h"

struct sign_key {
	uint8_t bytes[128];
	size_t size; /* 0: unsigned */
};

/*
 * A secret as configured: "whsec_" and base64, or any other text as it is; "" is an empty key.
 * -EINVAL with d filled when the base64 is broken or the key too long, which leaves the key empty;
 * the text is never in d.
 */
int sign_key_parse(const char *secret, struct sign_key *key, struct diag *d);

#endif
