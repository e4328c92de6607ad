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

/* SSL_read of Debian's OpenSSL 3.0, which calls what SSL_read_ex gives all to at -0x1a0. */
static const uint8_t debian_read[] = {
	0x48, 0x83, 0xec, 0x18, /* 0: sub $0x18,%rsp */
	0x64, 0x48, 0x8b, 0x04, 0x25, 0x28, 0x00, 0x00, 0x00, /* 4: mov %fs:0x28,%rax */
	0x48, 0x89, 0x44, 0x24, 0x08, /* 13: mov %rax,0x8(%rsp) */
	0x31, 0xc0, /* 18: xor %eax,%eax */
	0x85, 0xd2, 0x78, 0x2f, /* 20: test %edx,%edx; 22: js 71 */
	0x48, 0x89, 0xe1, /* 24: mov %rsp,%rcx */
	0x48, 0x63, 0xd2, /* 27: movslq %edx,%rdx */
	0xe8, 0x3d, 0xfe, 0xff, 0xff, /* 30: call -0x1a0 */
	0x85, 0xc0, 0x7e, 0x03, /* 35: test %eax,%eax; 37: jle 42 */
	0x8b, 0x04, 0x24, /* 39: mov (%rsp),%eax */
	0x48, 0x8b, 0x54, 0x24, 0x08, /* 42: mov 0x8(%rsp),%rdx */
	0x64, 0x48, 0x2b, 0x14, 0x25, 0x28, 0x00, 0x00, 0x00, /* 47: sub %fs:0x28,%rdx */
	0x75, 0x44, /* 56: jne 126 */
	0x48, 0x83, 0xc4, 0x18, /* 58: add $0x18,%rsp */
	0x31, 0xd2, 0x31, 0xc9, 0x31, 0xf6, 0x31, 0xff, /* 62: xor %edx,%edx and others */
	0xc3, /* 70: ret */
	0xe8, 0x04, 0x9f, 0xfe, 0xff, /* 71: call ERR_new */
	0x48, 0x8d, 0x15, 0xe5, 0xd4, 0x04, 0x00, /* 76: lea 0x4d4e5(%rip),%rdx */
	0xbe, 0x4c, 0x07, 0x00, 0x00, /* 83: mov $0x74c,%esi */
	0x48, 0x8d, 0x3d, 0x42, 0xcc, 0x04, 0x00, /* 88: lea 0x4cc42(%rip),%rdi */
	0xe8, 0xdc, 0xa5, 0xfe, 0xff, /* 95: call ERR_set_debug */
	0x31, 0xc0, 0x31, 0xd2, /* 100: xor %eax,%eax; xor %edx,%edx */
	0xbe, 0x0f, 0x01, 0x00, 0x00, /* 104: mov $0x10f,%esi */
	0xbf, 0x14, 0x00, 0x00, 0x00, /* 109: mov $0x14,%edi */
	0xe8, 0xf9, 0xa3, 0xfe, 0xff, /* 114: call ERR_set_error */
	0xb8, 0xff, 0xff, 0xff, 0xff, /* 119: mov $-1,%eax */
	0xeb, 0xac, /* 124: jmp 42 */
	0xe8, 0xed, 0xb0, 0xfe, 0xff, /* 126: call __stack_chk_fail */
};

CHECK_TEST(test_each_result_of_debians_ssl_read_comes_from_the_function_of_its_twin)
{
	CHECK(tls_code_passes(debian_read, sizeof(debian_read), -0x1a0));
	CHECK(!tls_code_passes(debian_read, sizeof(debian_read), -0x1a0 + 4));
}

CHECK_TEST(test_a_result_that_may_come_from_elsewhere_needs_probes_of_its_own)
{
	static const struct {
		const char *why;
		size_t at;
		const char *bytes;
		size_t size;
	} cases[] = {
		{"another function is called", 31, "\x3e", 1},
		{"what is wrong is told by 1", 120, "\x01\x00\x00\x00", 4},
		{"the result of a call is told", 119, "\x0f\x1f\x44\x00\x00", 5},
		{"what is wrong is told by a register", 119, "\x90\x90\x90\x89\xd0", 5},
		{"it is written once more", 58, "\x89\xd0\x90\x90", 4},
		{"a jump leads past the call", 23, "\x0b", 1},
		{"a jump leads out", 23, "\x7b", 1},
		{"a jump by a register", 124, "\xff\xe0", 2},
		{"an instruction that is not known", 58, "\xc5\xf8\x77\x90", 4},
		{"the end is not the end", 126, "\x05\x00\x00\x00\x00", 5},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		uint8_t code[sizeof(debian_read)];

		memcpy(code, debian_read, sizeof(code));
		memcpy(code + cases[i].at, cases[i].bytes, cases[i].size);
		if (tls_code_passes(code, sizeof(code), -0x1a0))
			CHECK_FAIL("it is said to pass although %s", cases[i].why);
	}
}

CHECK_TEST(test_results_of_at_most_nothing_are_known_in_their_three_shapes)
{
	static const struct {
		const char *code;
		size_t size;
		bool passes;
	} cases[] = {
		{"\x31\xc0\xc3", 3, true}, /* xor %eax,%eax */
		{"\x83\xc8\xff\xc3", 4, true}, /* or $-1,%eax */
		{"\xb8\xfe\xff\xff\xff\xc3", 6, true},
		{"\xb8\x02\x00\x00\x00\xc3", 6, false},
		{"\x41\xb8\xff\xff\xff\xff\xc3", 7, false}, /* of %r8d */
		{"\x83\xc8\x01\xc3", 4, false},
		{"\x31\xc0\xff\xd0\xc3", 5, false}, /* and a call by a register */
		{"\x75\x02\x31\xc0\xc3", 5, false}, /* on one of two ways */
		{"\xeb\xfe\xc3", 3, true}, /* never returns */
		{"\xc3", 1, false},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		if (tls_code_passes((const uint8_t *)cases[i].code, cases[i].size, 0x1000) !=
		    cases[i].passes)
			CHECK_FAIL("case %zu", i);
}

CHECK_MAIN("tls_code", test_a_canary_check_is_where_a_call_is_left,
	   test_a_result_that_may_come_from_elsewhere_needs_probes_of_its_own,
	   test_each_result_of_debians_ssl_read_comes_from_the_function_of_its_twin,
	   test_results_of_at_most_nothing_are_known_in_their_three_shapes,
	   test_a_function_that_hands_all_over_is_left_in_the_other_one,
	   test_return_probes_stand_only_where_the_stack_is_untouched,
	   test_what_is_not_certain_is_refused)
