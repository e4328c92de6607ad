/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Single instructions of x86-64, as compilers write integer code: how long one is, where it goes,
 * which registers it changes. Any thread; neither blocks nor allocates.
 */
#ifndef VOW_COLLECTORS_X86_INSN_H
#define VOW_COLLECTORS_X86_INSN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* As encodings number them; a set has bit 1 << n for register n. */
enum x86_register { X86_AX, X86_CX, X86_DX, X86_BX, X86_SP, X86_BP, X86_SI, X86_DI };

enum x86_kind {
	X86_PLAIN, /* goes on behind itself */
	X86_JUMP,
	X86_JUMP_IF,
	X86_CALL,
	X86_CALL_BY, /* by a register or from memory */
	X86_RETURN,
	X86_STOP, /* ud2 and such: never goes on */
};

struct x86_insn {
	uint8_t length;
	enum x86_kind kind;
	/* Whether the kernel's uprobes carry it out by itself, in every version that vowd
	 * captures on. Longer nops are not: only the newest do that. */
	bool emulated;
	uint16_t writes; /* set of registers; of a call, those that the call itself changes: none */
	int32_t displacement; /* of X86_JUMP, X86_JUMP_IF, X86_CALL: from the next instruction */
};

/*
 * false when the bytes are no instruction that this knows for certain, jumps by registers among
 * them: *insn is untouched.
 */
bool x86_insn_decode(const uint8_t *code, size_t size, struct x86_insn *insn);

#endif
