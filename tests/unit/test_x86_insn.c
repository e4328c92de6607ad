/* SPDX-License-Identifier: Apache-2.0 */
/* Held against what objdump says of the code of whole libraries. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "collectors/tls/x86_insn.h"
#include "tests/unit/check.h"

/* A line of objdump: "  35470:\t48 83 ec 18          \tsub    $0x18,%rsp". */
struct line {
	uint64_t address;
	uint8_t code[16];
	size_t size;
	char name[16];
	char last[128]; /* the last operand */
	bool direct; /* where it goes is in the instruction */
};

static bool line_parse(const char *text, struct line *line)
{
	char hex[64], operands[256] = "";
	const char *at = hex;
	unsigned byte;
	int used;

	if (sscanf(text, " %lx:\t%63[0-9a-f ]\t%15s %255[^#\n]", &line->address, hex, line->name,
		   operands) < 3)
		return false;
	/* More bytes than its own, which must not be taken for its. */
	memset(line->code, 0x90, sizeof(line->code));
	for (line->size = 0; sscanf(at, "%2x%n", &byte, &used) == 1; at += used)
		line->code[line->size++] = (uint8_t)byte;
	/* A comma within brackets is none between operands. */
	at = strrchr(operands, ')') ? strrchr(operands, ')') : operands;
	at = strrchr(at, ',') ? strrchr(at, ',') + 1 : operands;
	if (strchr(operands, ')') && !strchr(strrchr(operands, ')'), ','))
		at = "memory";
	line->last[0] = '\0';
	sscanf(at, "%127s", line->last);
	line->direct = operands[0] != '*';
	return true;
}

/* The number of a register of any width by its name; -1: no register of integers. */
static int register_number(const char *name)
{
	static const char *const names[8][5] = {
		{"rax", "eax", "ax", "al", "ah"}, {"rcx", "ecx", "cx", "cl", "ch"},
		{"rdx", "edx", "dx", "dl", "dh"}, {"rbx", "ebx", "bx", "bl", "bh"},
		{"rsp", "esp", "sp", "spl"},	  {"rbp", "ebp", "bp", "bpl"},
		{"rsi", "esi", "si", "sil"},	  {"rdi", "edi", "di", "dil"},
	};

	if (name[0] != '%')
		return -1;
	if (name[1] == 'r' && name[2] >= '1' && name[2] <= '9')
		return atoi(name + 2);
	for (int i = 0; i < 8; i++)
		for (int width = 0; width < 5 && names[i][width]; width++)
			if (strcmp(name + 1, names[i][width]) == 0)
				return i;
	return -1;
}

static bool begins(const char *text, const char *with)
{
	return strncmp(text, with, strlen(with)) == 0;
}

/* The same instruction, where both know it. Names are those of AT&T's syntax. */
static void compare(const struct line *line, const struct x86_insn *insn)
{
	bool nop = line->code[line->size - 1] == 0x90 && begins(line->name, "xchg");
	bool only_looks = nop || begins(line->name, "cmp") || begins(line->name, "test") ||
			  begins(line->name, "bt") || begins(line->name, "push") ||
			  begins(line->name, "nop") || begins(line->name, "call");
	int written = register_number(line->last);
	uint64_t target = line->address + line->size + (uint64_t)(int64_t)insn->displacement;

	if (insn->length != line->size)
		CHECK_FAIL("%lx: %u bytes, not %zu (%s)", line->address, insn->length, line->size,
			   line->name);
	if ((insn->kind == X86_RETURN) != (begins(line->name, "ret") || begins(line->name, "repz")))
		CHECK_FAIL("%lx: a return? (%s)", line->address, line->name);
	if ((insn->kind == X86_JUMP) != (begins(line->name, "jmp") && line->direct) ||
	    (insn->kind == X86_JUMP_IF) != (line->name[0] == 'j' && line->name[1] != 'm') ||
	    (insn->kind == X86_CALL) != (begins(line->name, "call") && line->direct) ||
	    (insn->kind == X86_CALL_BY) != (begins(line->name, "call") && !line->direct))
		CHECK_FAIL("%lx: kind %d (%s)", line->address, insn->kind, line->name);
	if ((insn->kind == X86_JUMP || insn->kind == X86_JUMP_IF || insn->kind == X86_CALL) &&
	    target != strtoull(line->last, NULL, 16))
		CHECK_FAIL("%lx: to %lx, not %s", line->address, target, line->last);
	if (insn->emulated && !nop && !begins(line->name, "nop") && !begins(line->name, "pause") &&
	    !begins(line->name, "push") && !(line->name[0] == 'j' && line->direct) &&
	    !(begins(line->name, "call") && line->direct))
		CHECK_FAIL("%lx: emulated? (%s)", line->address, line->name);
	if (written >= 0 && !only_looks && !(insn->writes & 1u << written))
		CHECK_FAIL("%lx: %s writes %s", line->address, line->name, line->last);
}

/* Compares all code of a file; returns for how much of 1000 instructions they are known here. */
static unsigned compare_file(const char *path)
{
	unsigned count = 0, known = 0;
	char command[256], text[512];
	struct line line;
	FILE *output;

	snprintf(command, sizeof(command), "objdump -d -w -j .text %s", path);
	output = popen(command, "r");
	CHECK(output);
	while (fgets(text, sizeof(text), output)) {
		struct x86_insn insn;

		if (!line_parse(text, &line) || begins(line.name, "(bad)"))
			continue;
		count++;
		if (!x86_insn_decode(line.code, sizeof(line.code), &insn))
			continue;
		known++;
		compare(&line, &insn);
	}
	CHECK_EQ_I64(pclose(output), 0);
	CHECK_GE_U64(count, 10000);
	return known * 1000 / count;
}

CHECK_TEST(test_what_is_known_of_libssl_is_what_objdump_says)
{
	CHECK_GE_U64(compare_file("/usr/lib/x86_64-linux-gnu/libssl.so.3"), 950);
}

CHECK_TEST(test_what_is_known_of_code_by_hand_is_what_objdump_says)
{
	CHECK_GE_U64(compare_file("/lib64/ld-linux-x86-64.so.2"), 800);
}

CHECK_MAIN("x86_insn", test_what_is_known_of_code_by_hand_is_what_objdump_says,
	   test_what_is_known_of_libssl_is_what_objdump_says)
