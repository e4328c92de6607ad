/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * What may leave the kernel as the name by which a client calls its peer. Kernel side.
 */
#ifndef VOW_BPF_PEER_NAME_H
#define VOW_BPF_PEER_NAME_H

#include "bpf/http_record.h"
#include "bpf/kernel.h"
#include "bpf/words.h"

/*
 * Whether the text has lower-case letters, digits, and "-._:" alone. User space looks closer: only a
 * port has a colon. Without a branch for each byte, which would be 19,000 steps of the verifier.
 */
static __always_inline bool peer_name_valid(const struct http_peer_name *name)
{
	__u64 valid = BYTES(0x80);

	for (__u32 i = 0; i < HTTP_PEER_NAME / 8; i++) {
		__u64 word = name->words[i] & BYTES(0x7f);

		valid &= ~name->words[i] &
			 (bytes_within(word, 'a', 'z') | bytes_within(word, '0', ':') |
			  bytes_within(word, '-', '.') | bytes_within(word, '_', '_') |
			  bytes_within(word, 0, 0));
	}
	return valid == BYTES(0x80);
}

#endif
