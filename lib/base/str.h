/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Text in bounded buffers: a builder, figures as people read and write them, and text from outside
 * made safe for a terminal. Any thread; nothing here blocks or allocates.
 */
#ifndef VOW_LIB_BASE_STR_H
#define VOW_LIB_BASE_STR_H

#include <stdbool.h>

#include "lib/base/types.h"

/* Appends to a buffer of the caller; what does not fit is left out, and `cut` remembers. */
struct str {
	char *text; /* always ended with a NUL */
	size_t size;
	size_t length;
	bool cut;
};

/* size >= 1. */
void str_init(struct str *s, char *buf, size_t size);
/* Whole texts are cut at the last byte that fits; once cut, nothing more is appended. */
void str_put(struct str *s, const char *text);
void str_put_bytes(struct str *s, const char *bytes, size_t size);
void str_printf(struct str *s, const char *format, ...) __attribute__((format(printf, 2, 3)));

/*
 * Length of the well-formed UTF-8 character at text, of which size bytes (>= 1) are there, with its
 * number; 0 when there is none (Unicode, table 3-7): no overlong forms, no surrogates, nothing
 * beyond U+10FFFF.
 */
size_t str_utf8(const char *text, size_t size, uint32_t *number);

/*
 * Appends text from outside so that it can neither forge lines nor steer a terminal: control
 * characters, broken UTF-8, C1 controls and the marks that turn the writing direction become
 * "\xNN" byte by byte, a backslash becomes "\\", all else stays.
 */
void str_put_escaped(struct str *s, const char *bytes, size_t size);

/*
 * A span of time as people write it: "150ms", "1.5 s", "3 min", "1h30m", "2 days", "0". Units: ns,
 * us, ms, s, m or min, h, d, and their long names. 0; -EINVAL when it is none; -ERANGE beyond 2^64
 * ns. A fraction finer than 1 ns is cut.
 */
int str_parse_dur(const char *text, dur_ns *out);

/* Decimal, no sign, nothing around it. 0; -EINVAL; -ERANGE outside of min..max. */
int str_parse_u64(const char *text, uint64_t min, uint64_t max, uint64_t *out);

/* "64 MiB", "1.5G", "4096": units of 1024 (K, M, G, T, with or without "iB" or "B"). As above. */
int str_parse_bytes(const char *text, uint64_t *out);

/*
 * For people, three significant digits, at most 11 columns: "812 ns", "15.3 us", "203 ms",
 * "4.21 s", "3 min 20 s", "2 h 5 min", "3 d 4 h". str_parse_dur() reads it back. Returns buf.
 * STR_FIGURE_SIZE bytes are always enough, for the two below as well.
 */
#define STR_FIGURE_SIZE 24
const char *str_format_dur(char *buf, size_t size, dur_ns dur);
/* "999", "1.20 k", "50.0 M": thousands. */
const char *str_format_count(char *buf, size_t size, uint64_t count);
/* "999 B", "1.50 KiB", "12.3 MiB". */
const char *str_format_bytes(char *buf, size_t size, uint64_t bytes);

/*
 * The name out of `count` that was probably meant by `word` (an edit or two away, or a prefix), or
 * NULL when none is near.
 */
const char *str_nearest(const char *word, const char *const *names, size_t count);

#endif
