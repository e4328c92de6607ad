/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * Eight bytes of text looked at in one step, since a byte at a time costs too much in BPF. For
 * little-endian machines; it compiles for programs as well.
 */
#ifndef VOW_BPF_WORDS_H
#define VOW_BPF_WORDS_H

#include <linux/types.h>

#define BYTES(b) (0x0101010101010101ULL * (__u8)(b))

/* Eight characters as the word that they make in memory. */
#define WORD(a, b, c, d, e, f, g, h)                                                             \
	((__u64)(a) | (__u64)(b) << 8 | (__u64)(c) << 16 | (__u64)(d) << 24 | (__u64)(e) << 32 | \
	 (__u64)(f) << 40 | (__u64)(g) << 48 | (__u64)(h) << 56)
#define WORD4(a, b, c, d) ((__u32)WORD(a, b, c, d, 0, 0, 0, 0))

/* Bit 7 of each byte that equals b. Exact for the lowest such byte, which is all that is used. */
static __always_inline __u64 bytes_equal(__u64 word, __u8 b)
{
	__u64 x = word ^ BYTES(b);

	return (x - BYTES(1)) & ~x & BYTES(0x80);
}

/* Index 0..7 of the lowest byte whose bit 7 is set in hit. */
static __always_inline __u32 byte_index(__u64 hit)
{
	return (((hit & -hit) >> 7) * 0x0001020304050607ULL) >> 56 & 7;
}

/* Bit 7 of each byte, all of them below 128, that is between these two. */
static __always_inline __u64 bytes_within(__u64 word, __u8 low, __u8 high)
{
	return (word + BYTES(128 - low)) & ~(word + BYTES(127 - high));
}

#endif
