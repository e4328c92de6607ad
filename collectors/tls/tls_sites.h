/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where probes go in a library or a program that speaks TLS by OpenSSL's calls.
 *
 * A probe costs an exception. On most instructions it costs a second one, since the processor must
 * run the instruction by itself and stop behind it; that is dear, above all in a virtual machine.
 * Some instructions the kernel carries out in the probe's stead. So a place on such an instruction
 * is looked for behind the entry, where the arguments are still in their registers, and before the
 * returns, where the result is in its register already.
 *
 * The files belong to others, who may mean harm: everything in them is a claim. Any thread; blocks
 * while the file is read (its symbols, some MB for a large program), and allocates as much.
 */
#ifndef VOW_COLLECTORS_TLS_SITES_H
#define VOW_COLLECTORS_TLS_SITES_H

#include <stdbool.h>
#include <stdint.h>

#include "bpf/tls_call.h"
#include "lib/base/diag.h"

#define TLS_LEAVES_MAX 4 /* a call with more exits than these gets a return probe */

/*
 * All are offsets in the file, as uprobes want them. Each run of the call passes `enters` exactly
 * once, with its arguments in their registers. Then
 *   - with leaves, each run that returns passes exactly one of them, with its result in the register
 *     of results. A return probe in such a call would overwrite what is no return address;
 *   - without leaves a return probe belongs at `returns`, and nowhere else. That may lie in another
 *     function, which other calls of this list pass as well: what returns there counts only when the
 *     thread has passed the `enters` of this very call last, and only once behind that. Its result is
 *     that of the call, but that any number <= 0 may stand for any other.
 * SSL_read and SSL_write, which give all to the function that their twins give all to, have no places
 * but those of the twin, which lie in that function: there each of their runs that moves bytes is a
 * run of the twin, with the twin's arguments and result.
 */
struct tls_site {
	uint64_t enters; /* 0: the file has no such call, or its runs pass the places of its twin */
	uint64_t leaves[TLS_LEAVES_MAX];
	unsigned leaf_count;
	uint64_t returns; /* 0 with leaves, and without `enters` */
	bool by_twin; /* has no places but `entry` */
	uint64_t entry; /* the call's first instruction: a place for both kinds without any proof */
	bool emulated; /* proven: the kernel carries out the instructions at all these places itself */
};

struct tls_sites {
	struct tls_site calls[TLS_CALLS];
};

/*
 * The places hold for this very content: probes at them in another version of the file would break who
 * runs it. Who keeps them compares the inode, the size and the time of change before probing again.
 *
 * Finds the calls that an ELF file of this machine's kind exports, or else names in its symbols. What
 * is not understood for certain in the instructions of a call leaves it with `entry` alone. fd stays
 * the caller's; its position is not used.
 * -ENOENT: has neither SSL_read nor SSL_write, nor their twins. -ENOEXEC: no ELF file, a damaged
 * one, or one of another machine. Else what reading it returned, -ENOMEM. Then *sites is untouched.
 */
int tls_sites_find(int fd, struct tls_sites *sites, struct diag *diag);

/* "SSL_read": as the file names the call. Never NULL. */
const char *tls_call_name(enum tls_call call);

#endif
