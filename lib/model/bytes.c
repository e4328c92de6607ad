/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/model/bytes.h"

#include <string.h>

#include "lib/data/varint.h"

void bytes_put(struct bytes_writer *w, const void *bytes, size_t size)
{
	if (w->used <= w->room && size <= w->room - w->used)
		memcpy(w->bytes + w->used, bytes, size);
	w->used += size;
}

void bytes_put_u64(struct bytes_writer *w, uint64_t value)
{
	uint8_t varint[VARINT_MAX];

	bytes_put(w, varint, (size_t)(varint_put(varint, value) - varint));
}

void bytes_put_f64(struct bytes_writer *w, double value)
{
	uint64_t bits;
	uint8_t little[8];

	memcpy(&bits, &value, sizeof(bits));
	for (unsigned i = 0; i < 8; i++)
		little[i] = (uint8_t)(bits >> (8 * i));
	bytes_put(w, little, sizeof(little));
}

void bytes_put_text(struct bytes_writer *w, const char *text)
{
	size_t length = strlen(text);

	bytes_put_u64(w, length);
	bytes_put(w, text, length);
}

uint64_t bytes_get_u64(struct bytes_reader *r, uint64_t most)
{
	uint64_t value = 0;

	if (!r->failed && (varint_get(&r->at, r->end, &value) < 0 || value > most))
		r->failed = true;
	return r->failed ? 0 : value;
}

double bytes_get_f64(struct bytes_reader *r)
{
	uint64_t bits = 0;
	double value;

	if (r->failed || r->end - r->at < 8) {
		r->failed = true;
		return 0;
	}
	for (unsigned i = 0; i < 8; i++)
		bits |= (uint64_t)*r->at++ << (8 * i);
	memcpy(&value, &bits, sizeof(value));
	return value;
}

void bytes_get_text(struct bytes_reader *r, char *text, size_t room)
{
	size_t length = bytes_get_u64(r, room - 1);

	memset(text, 0, room);
	if (r->failed || (size_t)(r->end - r->at) < length || memchr(r->at, 0, length)) {
		r->failed = true;
		return;
	}
	memcpy(text, r->at, length);
	r->at += length;
}
