/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where in the instructions of one function cheap probes can stand, by proof: what is not certain is
 * not said. x86-64 alone. Any thread; neither blocks nor allocates.
 */
#ifndef VOW_COLLECTORS_TLS_CODE_H
#define VOW_COLLECTORS_TLS_CODE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "collectors/tls/tls_sites.h"

/* Offsets from the function's first instruction. */
struct tls_code {
	size_t enters; /* as in struct tls_site */
	size_t leaves[TLS_LEAVES_MAX];
	unsigned leaf_count;
	/* Without leaves: where a return probe works. With `wraps`, that is in another function, which
	 * begins here: tls_code_returns() says where. */
	int64_t returns;
	bool wraps;
};

/*
 * Reads a function of size bytes, for which tls_code_returns() knows nothing. false: probes at its
 * first instruction are all that is sure to be right, and *places is untouched.
 */
bool tls_code_read(const uint8_t *code, size_t size, struct tls_code *places);

/*
 * Whether a return probe is cheap at the beginning of a function, of which size bytes are given, and
 * at which offset: the return address is still on top of the stack there.
 */
bool tls_code_returns(const uint8_t *code, size_t size, size_t *offset);

/*
 * Whether each run of a function of size bytes that returns more than 0 has called the one that begins
 * at `target`, an offset from its first instruction. What it returns is taken for 32 bits.
 */
bool tls_code_passes(const uint8_t *code, size_t size, int64_t target);

#endif
