/* SPDX-License-Identifier: Apache-2.0 */
#include "collectors/tls/x86_insn.h"

#include <string.h>

/* What the operands of an opcode are. No form at all: an instruction that is not known here. */
enum form {
	KNOWN = 1,
	MODRM = 2,
	IMM8 = 4,
	IMM = 8, /* 4 bytes, 2 with the prefix for 16 bits */
	TO_REG = 16, /* writes the register of ModRM */
	TO_RM = 32, /* writes the other operand, which may be a register */
	TO_AX = 64,
	BYTE = 128, /* operands of 8 bits, in which numbers 4 to 7 may mean AH to BH */
	GROUP = 256, /* the register of ModRM is a part of the opcode */
};

/* An instruction as it is being read. */
struct reading {
	const uint8_t *at, *end;
	bool words, wide; /* 66, REX.W */
	bool repeat; /* f3 */
	bool prefixed; /* any but REX */
	uint8_t rex;
	uint8_t modrm;
};

static bool byte_take(struct reading *r, uint8_t *byte)
{
	if (r->at == r->end)
		return false;
	*byte = *r->at++;
	return true;
}

static bool bytes_skip(struct reading *r, size_t count)
{
	if ((size_t)(r->end - r->at) < count)
		return false;
	r->at += count;
	return true;
}

/* Prefixes in any order, REX last. Another width of addresses, and f2, are left unknown. */
static bool prefixes_take(struct reading *r, uint8_t *opcode)
{
	for (;;) {
		if (!byte_take(r, opcode))
			return false;
		if (*opcode == 0x66)
			r->words = true;
		else if (*opcode == 0xf3)
			r->repeat = true;
		else if (*opcode != 0xf0 && *opcode != 0x2e && *opcode != 0x64)
			break;
		r->prefixed = true;
	}
	if ((*opcode & 0xf0) != 0x40)
		return true;
	r->rex = *opcode;
	r->wide = r->rex & 8;
	return byte_take(r, opcode);
}

/* ---- operands ------------------------------------------------------------------------------- */

static bool modrm_take(struct reading *r)
{
	uint8_t sib = 0;

	if (!byte_take(r, &r->modrm))
		return false;
	if (r->modrm >> 6 == 3)
		return true;
	if ((r->modrm & 7) == 4 && !byte_take(r, &sib))
		return false;
	switch (r->modrm >> 6) {
	case 1:
		return bytes_skip(r, 1);
	case 2:
		return bytes_skip(r, 4);
	}
	/* Number 5 without a displacement means one of 4 bytes without a register, or from rip. */
	return (r->modrm & 7) == 5 || ((r->modrm & 7) == 4 && (sib & 7) == 5) ? bytes_skip(r, 4)
									      : true;
}

static uint16_t set_of(const struct reading *r, unsigned number, unsigned form)
{
	/* Both are taken: which of them it is matters nowhere. */
	if (form & BYTE && !r->rex)
		return (uint16_t)(1u << number | 1u << (number & 3));
	return (uint16_t)(1u << number);
}

static unsigned reg_number(const struct reading *r)
{
	return (r->modrm >> 3 & 7) | (r->rex & 4) << 1;
}

static uint16_t modrm_writes(const struct reading *r, unsigned form)
{
	uint16_t writes = form & TO_AX ? 1u << X86_AX : 0;

	if (form & TO_REG)
		writes |= set_of(r, reg_number(r), form);
	if (form & TO_RM && r->modrm >> 6 == 3)
		writes |= set_of(r, (r->modrm & 7) | (r->rex & 1) << 3, form);
	return writes;
}

/* ---- opcodes -------------------------------------------------------------------------------- */

/* add, or, adc, sbb, and, sub, xor, cmp in their six shapes. */
static unsigned arithmetic_form(uint8_t opcode)
{
	static const uint16_t shapes[6] = {MODRM | TO_RM | BYTE,  MODRM | TO_RM,
					   MODRM | TO_REG | BYTE, MODRM | TO_REG,
					   IMM8 | TO_AX,	  IMM | TO_AX};
	unsigned form = (opcode & 7) < 6 ? KNOWN | shapes[opcode & 7] : 0;

	return opcode >> 3 == 7 ? form & ~(unsigned)(TO_RM | TO_REG | TO_AX) : form;
}

static unsigned one_byte_form(uint8_t opcode)
{
	if (opcode < 0x40)
		return arithmetic_form(opcode);
	switch (opcode) {
	case 0x63: /* movslq */
	case 0x8b:
	case 0x8d: /* lea */
		return KNOWN | MODRM | TO_REG;
	case 0x8a:
		return KNOWN | MODRM | TO_REG | BYTE;
	case 0x69: /* imul */
		return KNOWN | MODRM | IMM | TO_REG;
	case 0x6b:
		return KNOWN | MODRM | IMM8 | TO_REG;
	case 0x80:
	case 0xc0: /* shifts */
	case 0xc6: /* mov */
		return KNOWN | MODRM | IMM8 | TO_RM | BYTE | GROUP;
	case 0x81:
	case 0xc7:
		return KNOWN | MODRM | IMM | TO_RM | GROUP;
	case 0x83:
	case 0xc1:
		return KNOWN | MODRM | IMM8 | TO_RM | GROUP;
	case 0x84: /* test */
	case 0x85:
		return KNOWN | MODRM;
	case 0x88:
		return KNOWN | MODRM | TO_RM | BYTE;
	case 0x89:
		return KNOWN | MODRM | TO_RM;
	case 0x98: /* cltq */
		return KNOWN | TO_AX;
	case 0xa8: /* test */
		return KNOWN | IMM8;
	case 0xa9:
		return KNOWN | IMM;
	case 0xd0 ... 0xd3:
		return KNOWN | MODRM | TO_RM | BYTE | GROUP;
	}
	return 0;
}

static unsigned two_byte_form(uint8_t opcode)
{
	switch (opcode) {
	case 0x1f: /* nop of any length */
	case 0xa3: /* bt */
		return KNOWN | MODRM;
	case 0x40 ... 0x4f: /* cmov */
	case 0xaf: /* imul */
	case 0xb7: /* movzx, movsx */
	case 0xbf:
		return KNOWN | MODRM | TO_REG;
	case 0xb6: /* from a byte; to a whole register, for which BYTE errs on the safe side */
	case 0xbe:
		return KNOWN | MODRM | TO_REG | BYTE;
	case 0x90 ... 0x9f: /* setcc */
		return KNOWN | MODRM | TO_RM | BYTE;
	case 0xb0: /* cmpxchg */
	case 0xb1:
		return KNOWN | MODRM | TO_RM | TO_AX | BYTE;
	case 0xc0: /* xadd */
	case 0xc1:
		return KNOWN | MODRM | TO_REG | TO_RM | BYTE;
	}
	return 0;
}

/* The members of groups that are not what their opcode's form says; a few are no instruction. */
static unsigned group_form(uint8_t opcode, unsigned form, unsigned member)
{
	bool compares = opcode >= 0x80 && opcode <= 0x83 && member == 7;
	bool moves = opcode == 0xc6 || opcode == 0xc7;

	if (moves && member != 0)
		return 0;
	return compares ? form & ~(unsigned)TO_RM : form;
}

/* ---- what is more than its operands ---------------------------------------------------------- */

static bool branch_take(struct reading *r, enum x86_kind kind, size_t bytes, struct x86_insn *insn)
{
	int8_t near;

	if (r->prefixed || r->rex || (size_t)(r->end - r->at) < bytes)
		return false;
	memcpy(&near, r->at, 1);
	insn->displacement = near;
	if (bytes == 4)
		memcpy(&insn->displacement, r->at, 4);
	r->at += bytes;
	insn->kind = kind;
	insn->emulated = true;
	return true;
}

static bool push_take(const struct reading *r, uint8_t opcode, struct x86_insn *insn)
{
	if (r->prefixed)
		return false;
	/* The kernel knows REX.B alone; other bits mean nothing here, and are not written. */
	insn->emulated = opcode < 0x58 && (!r->rex || r->rex == 0x41);
	insn->writes = 1u << X86_SP;
	if (opcode >= 0x58)
		insn->writes |= 1u << ((opcode & 7) | (r->rex & 1) << 3);
	return true;
}

static bool mov_constant_take(struct reading *r, uint8_t opcode, struct x86_insn *insn)
{
	unsigned number = (opcode & 7) | (r->rex & 1) << 3;

	insn->writes = set_of(r, number, opcode < 0xb8 ? BYTE : 0);
	if (opcode < 0xb8)
		return bytes_skip(r, 1);
	return bytes_skip(r, r->wide ? 8 : r->words ? 2 : 4);
}

/* not, neg, mul, div; test is the one with a constant. */
static bool group_f6_take(struct reading *r, uint8_t opcode, struct x86_insn *insn)
{
	if (!modrm_take(r))
		return false;
	if ((r->modrm >> 3 & 7) < 2)
		return bytes_skip(r, opcode == 0xf6 ? 1 : r->words && !r->wide ? 2 : 4);
	insn->writes = modrm_writes(r, TO_RM | BYTE) | 1u << X86_AX | 1u << X86_DX;
	return true;
}

/* inc, dec, call and push by a register or from memory. Of jumps, where they go is not known. */
static bool group_ff_take(struct reading *r, struct x86_insn *insn)
{
	if (!modrm_take(r))
		return false;
	switch (r->modrm >> 3 & 7) {
	case 0:
	case 1:
		insn->writes = modrm_writes(r, TO_RM);
		return true;
	case 2:
		insn->kind = X86_CALL_BY;
		return true;
	case 6:
		insn->writes = 1u << X86_SP;
		return true;
	}
	return false;
}

static bool form_take(struct reading *r, uint8_t opcode, unsigned form, struct x86_insn *insn)
{
	if (form & MODRM && !modrm_take(r))
		return false;
	if (form & GROUP)
		form = group_form(opcode, form, r->modrm >> 3 & 7);
	if (!form)
		return false;
	insn->writes = modrm_writes(r, form);
	return bytes_skip(r, form & IMM8 ? 1 : !(form & IMM) ? 0 : r->words && !r->wide ? 2 : 4);
}

static bool two_bytes_take(struct reading *r, struct x86_insn *insn)
{
	uint8_t opcode;

	if (!byte_take(r, &opcode))
		return false;
	if ((opcode & 0xf0) == 0x80)
		return branch_take(r, X86_JUMP_IF, 4, insn);
	if (opcode == 0x0b) {
		insn->kind = X86_STOP;
		return true;
	}
	if (opcode == 0x1e) /* endbr64; its neighbours write registers */
		return r->repeat && byte_take(r, &opcode) && opcode == 0xfa;
	return !r->repeat && form_take(r, opcode, two_byte_form(opcode), insn);
}

static bool one_byte_take(struct reading *r, uint8_t opcode, struct x86_insn *insn)
{
	switch (opcode) {
	case 0x50 ... 0x5f:
		return push_take(r, opcode, insn);
	case 0x70 ... 0x7f:
		return branch_take(r, X86_JUMP_IF, 1, insn);
	case 0x90: /* with REX an exchange of registers */
		insn->emulated = true;
		return !r->rex;
	case 0xb0 ... 0xbf:
		return mov_constant_take(r, opcode, insn);
	case 0xc3:
		insn->kind = X86_RETURN;
		return !r->rex && !r->words;
	case 0xc9: /* leave */
		insn->writes = 1u << X86_SP | 1u << X86_BP;
		return !r->prefixed;
	case 0xcc:
	case 0xf4: /* int3, hlt */
		insn->kind = X86_STOP;
		return true;
	case 0xe8:
		return branch_take(r, X86_CALL, 4, insn);
	case 0xe9:
		return branch_take(r, X86_JUMP, 4, insn);
	case 0xeb:
		return branch_take(r, X86_JUMP, 1, insn);
	case 0xf6:
	case 0xf7:
		return group_f6_take(r, opcode, insn);
	case 0xff:
		return group_ff_take(r, insn);
	}
	return !r->repeat && form_take(r, opcode, one_byte_form(opcode), insn);
}

bool x86_insn_decode(const uint8_t *code, size_t size, struct x86_insn *insn)
{
	struct reading r = {.at = code, .end = code + (size < 15 ? size : 15)};
	struct x86_insn made = {.kind = X86_PLAIN};
	uint8_t opcode;

	if (size == 0 || !prefixes_take(&r, &opcode) ||
	    !(opcode == 0x0f ? two_bytes_take(&r, &made) : one_byte_take(&r, opcode, &made)))
		return false;
	made.length = (uint8_t)(r.at - code);
	*insn = made;
	return true;
}
