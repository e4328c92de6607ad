/* SPDX-License-Identifier: Apache-2.0 */
/* Functions that are almost of the shapes that are known: what is not certain must not be said. */
#include <string.h>

#include "collectors/tls/tls_code.h"
#include "tests/unit/check.h"

/* Reads as gcc writes SSL_read: a canary, a test of the size, a call, the canary's check. */
static const uint8_t canary[] = {
	0x48, 0x83, 0xec, 0x18, /* 0: sub $0x18,%rsp */
	0x89, 0xc0, /* 4: mov %eax,%eax */
	0x85, 0xd2, 0x78, 0x0e, /* 6: test %edx,%edx; 8: js 24 */
	0xe8, 0x00, 0x01, 0x00, 0x00, /* 10: call */
	0x48, 0x85, 0xc9, /* 15: test %rcx,%rcx */
	0x75, 0x09, /* 18: jne 29 */
	0x48, 0x89, 0xd1, /* 20: mov %rdx,%rcx */
	0xc3, /* 23: ret */
	0x48, 0x89, 0xf8, /* 24: mov %rdi,%rax */
	0xeb, 0xf2, /* 27: jmp 15 */
	0xe8, 0x00, 0x01, 0x00, 0x00, /* 29: call, at the end */
};

static bool read_changed(size_t at, const void *bytes, size_t size, struct tls_code *places)
{
	uint8_t code[sizeof(canary)];

	memcpy(code, canary, sizeof(code));
	memcpy(code + at, bytes, size);
	return tls_code_read(code, sizeof(code), places);
}

CHECK_TEST(test_a_canary_check_is_where_a_call_is_left)
{
	struct tls_code places;

	CHECK(tls_code_read(canary, sizeof(canary), &places));
	CHECK_EQ_U64(places.enters, 8);
	CHECK_EQ_U64(places.leaf_count, 1);
	CHECK_EQ_U64(places.leaves[0], 18);
	CHECK(!places.wraps);
}

CHECK_TEST(test_what_is_not_certain_is_refused)
{
	static const struct {
		const char *why;
		size_t at;
		const char *bytes;
		size_t size;
	} cases[] = {
		{"the result is written behind the check", 20, "\x48\x89\xd0", 3},
		{"its low byte is", 20, "\x40\x88\xd0", 3},
		{"the check leads on within the function", 19, "\x04", 1},
		{"the check leads to a return", 19, "\x03", 1},
		{"the check leads out of the function", 19, "\x40", 1},
		{"somebody jumps behind the check", 28, "\xf7", 1},
		{"an argument is written before the test", 4, "\x89\xc7", 2},
		{"half an argument is", 4, "\x88\xc2", 2},
		{"a jump leads back to the enter", 28, "\xeb", 1},
		{"a jump leads back to before it", 28, "\xe3", 1},
		{"a jump leads into an instruction", 28, "\xf3", 1},
		{"a jump leads out", 28, "\x70", 1},
		{"a jump by a register", 27, "\xff\xe0", 2},
		{"an instruction that is not known", 24, "\xc5\xf8\x77", 3},
		{"the last instruction is cut", 29, "\x48\x81\xc4\x00\x01", 5},
		{"the end is not the end", 29, "\x05\x00\x01\x00\x00", 5},
		{"a prefix that means another branch", 15, "\x90\x66\x75\x0b\x90", 5},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct tls_code places = {.enters = 77};

		if (read_changed(cases[i].at, cases[i].bytes, cases[i].size, &places))
			CHECK_FAIL("places were found although %s", cases[i].why);
		CHECK_EQ_U64(places.enters, 77);
	}
}

/* sub $8,%rsp; call 32; xor %edx,%edx; test %eax,%eax; cmovs %edx,%eax; add $8,%rsp; ret */
static const uint8_t wrapper[] = {0x48, 0x83, 0xec, 0x08, 0xe8, 0x17, 0x00, 0x00, 0x00, 0x31, 0xd2,
				  0x85, 0xc0, 0x0f, 0x48, 0xc2, 0x48, 0x83, 0xc4, 0x08, 0xc3};

CHECK_TEST(test_a_function_that_hands_all_over_is_left_in_the_other_one)
{
	struct tls_code places;
	uint8_t code[sizeof(wrapper)];

	CHECK(tls_code_read(wrapper, sizeof(wrapper), &places));
	CHECK_EQ_U64(places.enters, 4);
	CHECK(places.wraps);
	CHECK_EQ_I64(places.returns, 32);

	memcpy(code, wrapper, sizeof(code));
	code[14] = 0x49; /* cmovns: makes 0 of what is positive */
	CHECK(!tls_code_read(code, sizeof(code), &places));
	memcpy(code, wrapper, sizeof(code));
	code[10] = 0xca; /* xor %ecx,%edx: not a zero */
	CHECK(!tls_code_read(code, sizeof(code), &places));
	memcpy(code, wrapper, sizeof(code));
	memcpy(code, "\x48\x89\xf7\x90", 4); /* mov %rsi,%rdi: another argument */
	CHECK(!tls_code_read(code, sizeof(code), &places));
}

CHECK_TEST(test_return_probes_stand_only_where_the_stack_is_untouched)
{
	static const struct {
		const char *code;
		size_t size;
		int at; /* -1: nowhere */
	} cases[] = {
		{"\x55\x48\x89\xe5", 4, 0},
		{"\x41\x57\x41\x56", 4, 0},
		{"\xf3\x0f\x1e\xfa\x53", 5, 4},
		{"\x90\x48\x83\xec\x18", 5, 0},
		{"\xf3\x0f\x1e\xfa\x48\x83\xec\x18", 8, -1},
		{"\x48\x83\xec\x18\x53", 5, -1},
		{"\x58\x53", 2, -1}, /* pop */
		{"\x48\x55", 2, -1}, /* a prefix that the kernel does not emulate */
		{"\x66\x55", 2, -1},
		{"\xf3\x0f\x1e\xfa", 4, -1},
		{"", 0, -1},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		size_t at = 99;
		bool found = tls_code_returns((const uint8_t *)cases[i].code, cases[i].size, &at);

		CHECK_EQ_I64(found ? (int)at : -1, cases[i].at);
	}
}

CHECK_MAIN("tls_code", test_a_canary_check_is_where_a_call_is_left,
	   test_a_function_that_hands_all_over_is_left_in_the_other_one,
	   test_return_probes_stand_only_where_the_stack_is_untouched,
	   test_what_is_not_certain_is_refused)
