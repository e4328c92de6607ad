/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Saved state as bytes: varints, doubles, texts. A writer without room goes on counting, so that
 * one pass also tells the size; a reader that met something impossible stays failed and gives
 * zeros. Any thread; neither blocks nor allocates.
 */
#ifndef VOW_LIB_MODEL_BYTES_H
#define VOW_LIB_MODEL_BYTES_H

#include <stdbool.h>

#include "lib/base/types.h"

struct bytes_writer {
	uint8_t *bytes; /* NULL with room 0: only count */
	size_t room, used; /* used > room: it did not fit */
};

void bytes_put(struct bytes_writer *w, const void *bytes, size_t size);
void bytes_put_u64(struct bytes_writer *w, uint64_t value);
void bytes_put_f64(struct bytes_writer *w, double value);
void bytes_put_text(struct bytes_writer *w, const char *text);

struct bytes_reader {
	const uint8_t *at, *end;
	bool failed;
};

/* A number of at most `most`, else the reader fails. */
uint64_t bytes_get_u64(struct bytes_reader *r, uint64_t most);
double bytes_get_f64(struct bytes_reader *r);
/* A text that fits into room with its NUL; fills the rest of room with zeros. */
void bytes_get_text(struct bytes_reader *r, char *text, size_t room);

#endif
