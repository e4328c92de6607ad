/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/base/str.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* --- the builder --- */

void str_init(struct str *s, char *buf, size_t size)
{
	*s = (struct str){.text = buf, .size = size};
	buf[0] = '\0';
}

void str_put_bytes(struct str *s, const char *bytes, size_t size)
{
	size_t room = s->size - 1 - s->length;

	if (s->cut)
		return;
	if (size > room) {
		size = room;
		s->cut = true;
	}
	memcpy(s->text + s->length, bytes, size);
	s->length += size;
	s->text[s->length] = '\0';
}

void str_put(struct str *s, const char *text)
{
	str_put_bytes(s, text, strlen(text));
}

void str_printf(struct str *s, const char *format, ...)
{
	size_t room = s->size - s->length;
	va_list args;
	int n;

	if (s->cut)
		return;
	va_start(args, format);
	n = vsnprintf(s->text + s->length, room, format, args);
	va_end(args);
	if (n < 0 || (size_t)n >= room) {
		s->cut = true;
		s->length = strlen(s->text);
		return;
	}
	s->length += (size_t)n;
}

/* --- text from outside --- */

size_t str_utf8(const char *text, size_t size, uint32_t *number)
{
	static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
	const unsigned char *p = (const unsigned char *)text;
	size_t length = p[0] < 0x80 ? 1 : p[0] >> 5 == 6 ? 2 : p[0] >> 4 == 14 ? 3 : 4;
	uint32_t code = length == 1 ? p[0] : p[0] & (0x7fu >> length);

	if ((length == 4 && p[0] >> 3 != 30) || length > size)
		return 0;
	for (size_t i = 1; i < length; i++) {
		if (p[i] >> 6 != 2)
			return 0;
		code = code << 6 | (p[i] & 0x3f);
	}
	if (code < least[length] || code > 0x10ffff || code >> 11 == 0x1b)
		return 0;
	*number = code;
	return length;
}

static bool str_is_harmless(uint32_t number)
{
	if (number < 0x20 || (number >= 0x7f && number < 0xa0))
		return false;
	/* Line and paragraph separators, and all marks of direction. */
	return !(number >= 0x2028 && number <= 0x202e) && !(number >= 0x2066 && number <= 0x2069) &&
	       number != 0x200e && number != 0x200f && number != 0x061c;
}

void str_put_escaped(struct str *s, const char *bytes, size_t size)
{
	while (size > 0 && !s->cut) {
		uint32_t number;
		size_t length = str_utf8(bytes, size, &number);
		size_t room = s->size - 1 - s->length;

		if (length == 0 || !str_is_harmless(number)) {
			length = 1;
			if (room < 4)
				s->cut = true; /* no half escapes */
			else
				str_printf(s, "\\x%02x", (unsigned char)*bytes);
		} else if (number == '\\') {
			if (room < 2)
				s->cut = true;
			else
				str_put(s, "\\\\");
		} else if (length > room) {
			s->cut = true; /* no half characters */
		} else {
			str_put_bytes(s, bytes, length);
		}
		bytes += length;
		size -= length;
	}
}

/* --- reading figures --- */

struct unit {
	const char *name;
	uint64_t size;
};

static const struct unit dur_units[] = {
	{"ns", 1},
	{"nanosecond", 1},
	{"nanoseconds", 1},
	{"us", NS_PER_US},
	{"\xc2\xb5s", NS_PER_US},
	{"microsecond", NS_PER_US},
	{"microseconds", NS_PER_US},
	{"ms", NS_PER_MS},
	{"millisecond", NS_PER_MS},
	{"milliseconds", NS_PER_MS},
	{"s", NS_PER_S},
	{"sec", NS_PER_S},
	{"second", NS_PER_S},
	{"seconds", NS_PER_S},
	{"m", NS_PER_MIN},
	{"min", NS_PER_MIN},
	{"minute", NS_PER_MIN},
	{"minutes", NS_PER_MIN},
	{"h", NS_PER_H},
	{"hour", NS_PER_H},
	{"hours", NS_PER_H},
	{"d", 24 * NS_PER_H},
	{"day", 24 * NS_PER_H},
	{"days", 24 * NS_PER_H},
};

static const struct unit byte_units[] = {
	{"", 1},
	{"B", 1},
	{"K", UINT64_C(1) << 10},
	{"KB", UINT64_C(1) << 10},
	{"KiB", UINT64_C(1) << 10},
	{"M", UINT64_C(1) << 20},
	{"MB", UINT64_C(1) << 20},
	{"MiB", UINT64_C(1) << 20},
	{"G", UINT64_C(1) << 30},
	{"GB", UINT64_C(1) << 30},
	{"GiB", UINT64_C(1) << 30},
	{"T", UINT64_C(1) << 40},
	{"TB", UINT64_C(1) << 40},
	{"TiB", UINT64_C(1) << 40},
};

static bool str_is_digit(char c)
{
	return c >= '0' && c <= '9';
}

static const char *str_skip_spaces(const char *text)
{
	return text + strspn(text, " ");
}

/* Digits at *text to *out; false when they do not fit. */
static bool str_take_whole(const char **text, uint64_t *out)
{
	uint64_t number = 0;

	for (; str_is_digit(**text); (*text)++)
		if (__builtin_mul_overflow(number, 10, &number) ||
		    __builtin_add_overflow(number, (uint64_t)(**text - '0'), &number))
			return false;
	*out = number;
	return true;
}

/*
 * One "number unit" at *text, as number times size of the unit. The fraction is kept as a number
 * of at most nine digits and its power of ten: exact for every unit here, and no floating point.
 */
static int str_take_figure(const char **text, const struct unit *units, size_t count, uint64_t *out)
{
	const char *p = *text;
	uint64_t whole, fraction = 0, scale = 1, product;
	size_t length;

	if (!str_is_digit(*p))
		return -EINVAL;
	if (!str_take_whole(&p, &whole))
		return -ERANGE;
	if (*p == '.') {
		if (!str_is_digit(*++p))
			return -EINVAL;
		for (; str_is_digit(*p); p++) {
			if (scale < 1000000000) {
				fraction = fraction * 10 + (uint64_t)(*p - '0');
				scale *= 10;
			}
		}
	}
	p = str_skip_spaces(p);
	length = strcspn(p, " 0123456789.");
	for (size_t i = 0; i < count; i++) {
		if (strncmp(p, units[i].name, length) != 0 || units[i].name[length] != '\0')
			continue;
		if (__builtin_mul_overflow(whole, units[i].size, &product) ||
		    __builtin_add_overflow(
			    product,
			    (uint64_t)((unsigned __int128)fraction * units[i].size / scale), out))
			return -ERANGE;
		*text = p + length;
		return 0;
	}
	return -EINVAL;
}

int str_parse_dur(const char *text, dur_ns *out)
{
	uint64_t total = 0, part;
	const char *p = str_skip_spaces(text);

	if (strcmp(p, "0") == 0) {
		*out = 0;
		return 0;
	}
	do {
		int rc = str_take_figure(&p, dur_units, ARRAY_LEN(dur_units), &part);

		if (rc < 0)
			return rc;
		if (__builtin_add_overflow(total, part, &total))
			return -ERANGE;
		p = str_skip_spaces(p);
	} while (*p);
	*out = total;
	return 0;
}

int str_parse_bytes(const char *text, uint64_t *out)
{
	const char *p = str_skip_spaces(text);
	uint64_t bytes;
	int rc = str_take_figure(&p, byte_units, ARRAY_LEN(byte_units), &bytes);

	if (rc < 0)
		return rc;
	if (*str_skip_spaces(p))
		return -EINVAL;
	*out = bytes;
	return 0;
}

int str_parse_u64(const char *text, uint64_t min, uint64_t max, uint64_t *out)
{
	uint64_t number = 0;

	if (!str_is_digit(*text) || text[strspn(text, "0123456789")] != '\0')
		return -EINVAL;
	if (!str_take_whole(&text, &number) || number < min || number > max)
		return -ERANGE;
	*out = number;
	return 0;
}

/* --- writing figures --- */

/* value / divisor with three significant digits; the caller chose it to be below 1000. */
static const char *str_format_three(char *buf, size_t size, uint64_t value, uint64_t divisor,
				    const char *unit)
{
	double scaled = (double)value / (double)divisor;

	/* The limits are where rounding to fewer decimals would already add a digit. */
	snprintf(buf, size, "%.*f %s", scaled < 9.995 ? 2 : scaled < 99.95 ? 1 : 0, scaled, unit);
	return buf;
}

/* "3 min 20 s"; the second part is left out when it is zero. */
static const char *str_format_two(char *buf, size_t size, uint64_t big, const char *big_unit,
				  uint64_t small, const char *small_unit)
{
	if (small)
		snprintf(buf, size, "%llu %s %llu %s", (unsigned long long)big, big_unit,
			 (unsigned long long)small, small_unit);
	else
		snprintf(buf, size, "%llu %s", (unsigned long long)big, big_unit);
	return buf;
}

static uint64_t str_divide_rounded(uint64_t value, uint64_t divisor)
{
	return value / divisor + (value % divisor >= divisor / 2);
}

const char *str_format_dur(char *buf, size_t size, dur_ns dur)
{
	uint64_t seconds = str_divide_rounded(dur, NS_PER_S);
	uint64_t minutes = str_divide_rounded(dur, NS_PER_MIN);
	uint64_t hours = str_divide_rounded(dur, NS_PER_H);

	/* Each limit is where the finer unit would round up to its thousand, or its sixty. */
	if (dur < 1000) {
		snprintf(buf, size, "%llu ns", (unsigned long long)dur);
		return buf;
	}
	if (dur < 999500)
		return str_format_three(buf, size, dur, NS_PER_US, "us");
	if (dur < 999500 * NS_PER_US)
		return str_format_three(buf, size, dur, NS_PER_MS, "ms");
	if (dur < 59950 * NS_PER_MS)
		return str_format_three(buf, size, dur, NS_PER_S, "s");
	if (seconds < 3600)
		return str_format_two(buf, size, seconds / 60, "min", seconds % 60, "s");
	if (minutes < 24 * 60)
		return str_format_two(buf, size, minutes / 60, "h", minutes % 60, "min");
	return str_format_two(buf, size, hours / 24, "d", hours % 24, "h");
}

/* The first unit in which the value has at most three digits before the point. */
static const char *str_format_scaled(char *buf, size_t size, uint64_t value, uint64_t step,
				     const char *const *units)
{
	uint64_t divisor = step;

	if (value < step && value < 1000) {
		snprintf(buf, size, "%llu%s%s", (unsigned long long)value, units[0][0] ? " " : "",
			 units[0]);
		return buf;
	}
	for (units++; units[1] && (double)value / (double)divisor >= 999.5; units++)
		divisor *= step;
	return str_format_three(buf, size, value, divisor, units[0]);
}

const char *str_format_count(char *buf, size_t size, uint64_t count)
{
	static const char *const units[] = {"", "k", "M", "G", "T", "P", "E", NULL};

	return str_format_scaled(buf, size, count, 1000, units);
}

const char *str_format_bytes(char *buf, size_t size, uint64_t bytes)
{
	static const char *const units[] = {"B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB", NULL};

	return str_format_scaled(buf, size, bytes, 1024, units);
}

/* --- what was meant --- */

/* Longer words are not compared: nobody mistypes them by an edit or two. */
#define NEAREST_MAX 40

/* Edits (insert, delete, replace, swap of neighbours) between two words of at most NEAREST_MAX. */
static unsigned str_edit_distance(const char *a, size_t a_length, const char *b, size_t b_length)
{
	unsigned rows[3][NEAREST_MAX + 1];
	unsigned *before = rows[0], *last = rows[1], *row = rows[2];

	for (unsigned j = 0; j <= b_length; j++)
		last[j] = j;
	for (unsigned i = 1; i <= a_length; i++) {
		unsigned *spare = before;

		row[0] = i;
		for (unsigned j = 1; j <= b_length; j++) {
			unsigned best = last[j - 1] + (a[i - 1] != b[j - 1]);

			if (last[j] + 1 < best)
				best = last[j] + 1;
			if (row[j - 1] + 1 < best)
				best = row[j - 1] + 1;
			if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] &&
			    before[j - 2] + 1 < best)
				best = before[j - 2] + 1;
			row[j] = best;
		}
		before = last;
		last = row;
		row = spare;
	}
	return last[b_length];
}

const char *str_nearest(const char *word, const char *const *names, size_t count)
{
	size_t length = strlen(word);
	const char *best = NULL;
	/* One edit, and one more for every four letters: else all is near to a short word. */
	unsigned limit = 1 + (unsigned)length / 4;

	if (length == 0 || length > NEAREST_MAX)
		return NULL;
	for (size_t i = 0; i < count; i++) {
		size_t name_length = strlen(names[i]);
		unsigned distance;

		if (name_length > NEAREST_MAX)
			continue;
		distance = str_edit_distance(word, length, names[i], name_length);
		if (distance <= limit && distance < name_length) {
			best = names[i];
			limit = distance - (distance > 0);
		}
	}
	for (size_t i = 0; !best && length >= 3 && i < count; i++)
		if (strncmp(word, names[i], length) == 0)
			best = names[i];
	return best;
}
