/* SPDX-License-Identifier: Apache-2.0 */
/*
 * LEB128: seven bits of a number in each byte, lowest first, bit 7 set when more follow. The
 * reader takes only the shortest form of a number that fits into 64 bits, so equal values have
 * equal bytes. Any thread; neither blocks nor allocates.
 */
#ifndef VOW_LIB_DATA_VARINT_H
#define VOW_LIB_DATA_VARINT_H

#include <errno.h>

#include "lib/base/types.h"

#define VARINT_MAX 10 /* bytes that the largest number takes */

/* Writes at p, which has room for VARINT_MAX bytes; returns the byte behind. */
static inline uint8_t *varint_put(uint8_t *p, uint64_t value)
{
	while (value >= 0x80) {
		*p++ = (uint8_t)value | 0x80;
		value >>= 7;
	}
	*p++ = (uint8_t)value;
	return p;
}

/* Bytes that varint_put() would write. */
static inline size_t varint_size(uint64_t value)
{
	return (size_t)(63 - __builtin_clzll(value | 1)) / 7 + 1;
}

/*
 * Reads one number from *p, which never goes beyond end. 0 with *p behind it, or -EPROTO with *p
 * anywhere up to end when the bytes end early, go on for too long, or are not the shortest form.
 */
static inline int varint_get(const uint8_t **p, const uint8_t *end, uint64_t *value)
{
	uint64_t result = 0;

	for (unsigned shift = 0; shift < 64 && *p < end; shift += 7) {
		uint8_t byte = *(*p)++;

		result |= (uint64_t)(byte & 0x7f) << shift;
		if (byte & 0x80)
			continue;
		if ((byte == 0 && shift > 0) || (shift == 63 && byte > 1))
			return -EPROTO;
		*value = result;
		return 0;
	}
	return -EPROTO;
}

#endif
