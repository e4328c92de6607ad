/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the fuzzers share. Each fuzz_NAME.c is one program of libFuzzer that feeds bytes from
 * outside to one parser and, where there is one, compares the outcome with an independent answer:
 * FUZZ_CHECK() ends the program with the line, as a sanitizer does, and the bytes are kept.
 */
#ifndef VOW_TESTS_FUZZ_FUZZ_H
#define VOW_TESTS_FUZZ_FUZZ_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

#define FUZZ_CHECK(cond)                                                                   \
	do {                                                                               \
		if (!(cond)) {                                                             \
			fprintf(stderr, "%s:%d: not so: %s\n", __FILE__, __LINE__, #cond); \
			abort();                                                           \
		}                                                                          \
	} while (0)

/* The input read from front to back; what is missing at its end reads as zeros. */
struct fuzz_input {
	const uint8_t *at, *end;
};

static inline size_t fuzz_left(const struct fuzz_input *input)
{
	return (size_t)(input->end - input->at);
}

/* At most size bytes, copied; returns how many there were. */
static inline size_t fuzz_copy(struct fuzz_input *input, void *to, size_t size)
{
	size_t there = fuzz_left(input) < size ? fuzz_left(input) : size;

	if (there)
		memcpy(to, input->at, there);
	input->at += there;
	return there;
}

static inline uint64_t fuzz_number(struct fuzz_input *input, size_t bytes)
{
	uint64_t number = 0;

	fuzz_copy(input, &number, bytes);
	return number;
}

/* A path in a scratch folder of this process, in memory where there is such a file system. */
const char *fuzz_path(const char *name, char path[256]);
/* Removes the files in that folder. */
void fuzz_empty_dir(void);

/* The text is valid UTF-8 without control characters, and ended within room. */
void fuzz_check_text(const char *text, size_t room);

#endif
