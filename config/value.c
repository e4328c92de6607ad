/* SPDX-License-Identifier: Apache-2.0 */
#include "config/value.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "lib/base/str.h"
#include "lib/base/units.h"

int value_refuse(const struct value_reader *reader, const char *group, const char *key,
		 const char *fix, const char *what, ...)
{
	char path[160], where[160], text[240];
	va_list args;

	snprintf(path, sizeof(path), "%s%s%s", group, *group && *key ? "." : "", key);
	document_where(reader->document, document_find(reader->document, path), where,
		       sizeof(where));
	va_start(args, what);
	vsnprintf(text, sizeof(text), what, args);
	va_end(args);
	return diag_set(reader->d, -EINVAL, where, fix, "%s%s%s", key, *key ? ": " : "", text);
}

int value_bool(const struct value_reader *reader, const char *group, const char *key,
	       const char *text, bool *out)
{
	static const char *const words[] = {"false", "true", "no", "yes", "off", "on"};

	for (size_t i = 0; text && i < ARRAY_LEN(words); i++)
		if (!strcmp(text, words[i])) {
			*out = i % 2;
			return 0;
		}
	return text ? value_refuse(reader, group, key, "write true or false",
				   "'%.60s' is neither true nor false", text)
		    : 0;
}

int value_count(const struct value_reader *reader, const char *group, const char *key,
		const char *text, uint64_t min, uint64_t max, uint64_t *out)
{
	char fix[96];

	if (!text || str_parse_u64(text, min, max, out) == 0)
		return 0;
	snprintf(fix, sizeof(fix), "write a whole number from %llu to %llu",
		 (unsigned long long)min, (unsigned long long)max);
	return value_refuse(reader, group, key, fix, "'%.60s' is not in its range", text);
}

int value_size(const struct value_reader *reader, const char *group, const char *key,
	       const char *text, uint64_t min, uint64_t max, uint64_t *out)
{
	char low[STR_FIGURE_SIZE], high[STR_FIGURE_SIZE], fix[96];
	uint64_t bytes;

	if (!text)
		return 0;
	if (str_parse_bytes(text, &bytes) < 0)
		return value_refuse(reader, group, key, "write it like 512KiB or 8MiB",
				    "'%.60s' is not a size", text);
	if (bytes < min || bytes > max) {
		snprintf(fix, sizeof(fix), "from %s to %s", str_format_bytes(low, sizeof(low), min),
			 str_format_bytes(high, sizeof(high), max));
		return value_refuse(reader, group, key, fix, "'%.60s' is not in its range", text);
	}
	*out = bytes;
	return 0;
}

int value_duration(const struct value_reader *reader, const char *group, const char *key,
		   const char *text, dur_ns min, dur_ns max, dur_ns *out)
{
	char low[UNITS_TEXT_MAX], high[UNITS_TEXT_MAX], fix[96];
	dur_ns ns;

	if (!text)
		return 0;
	if (str_parse_dur(text, &ns) < 0)
		return value_refuse(reader, group, key, "write it like 200ms, 10s, 5min or 30d",
				    "'%.60s' is not a span of time", text);
	if (ns < min || ns > max) {
		snprintf(fix, sizeof(fix), "from %s to %s", units_format_duration(min, low),
			 units_format_duration(max, high));
		return value_refuse(reader, group, key, fix, "'%.60s' is not in its range", text);
	}
	*out = ns;
	return 0;
}

int value_seconds(const struct value_reader *reader, const char *group, const char *key,
		  const char *text, dur_ns min, dur_ns max, dur_ns *out)
{
	dur_ns ns = 0;
	int rc = value_duration(reader, group, key, text, min, max, &ns);

	if (rc < 0 || !text)
		return rc;
	if (ns % NS_PER_S)
		return value_refuse(reader, group, key, "round it to seconds",
				    "'%.60s' is not a whole number of seconds", text);
	*out = ns;
	return 0;
}

int value_ratio(const struct value_reader *reader, const char *group, const char *key,
		const char *text, double max, double *out)
{
	char most[UNITS_TEXT_MAX], fix[96];
	double ratio;
	int rc;

	if (!text)
		return 0;
	rc = units_parse_ratio(text, &ratio);
	if (rc == 0 && ratio <= max) {
		*out = ratio;
		return 0;
	}
	if (rc == -EINVAL)
		return value_refuse(reader, group, key, "write it like 95% or 0.95",
				    "'%.60s' is not a share", text);
	if (rc == -ERANGE && units_parse_number(text, &ratio) == 0 && ratio <= max * 100) {
		snprintf(fix, sizeof(fix), "write '%.20s%%', or a share of 1 like 0.95", text);
		return value_refuse(reader, group, key, fix, "'%.60s' lacks its '%%'", text);
	}
	snprintf(fix, sizeof(fix), "from 0 %% to %s; 95%% and 0.95 are the same",
		 units_format_ratio(max, most));
	return value_refuse(reader, group, key, fix, "'%.60s' is not in its range", text);
}

int value_number(const struct value_reader *reader, const char *group, const char *key,
		 const char *text, double *out)
{
	double number;

	if (!text)
		return 0;
	if (units_parse_number(text, &number) < 0 || number <= 0)
		return value_refuse(reader, group, key, "write it like 4 or 14.4",
				    "'%.60s' is not a number above 0", text);
	*out = number;
	return 0;
}

int value_choice(const struct value_reader *reader, const char *group, const char *key,
		 const char *text, const char *const *names, size_t count, int *out)
{
	const char *nearest;
	struct str list;
	char fix[200];

	if (!text)
		return 0;
	for (size_t i = 0; i < count; i++)
		if (!strcmp(text, names[i])) {
			*out = (int)i;
			return 0;
		}
	nearest = str_nearest(text, names, count);
	str_init(&list, fix, sizeof(fix));
	if (nearest) {
		str_printf(&list, "did you mean '%s'?", nearest);
	} else {
		str_put(&list, "one of: ");
		for (size_t i = 0; i < count; i++)
			str_printf(&list, "%s%s", i ? ", " : "", names[i]);
	}
	return value_refuse(reader, group, key, fix, "'%.60s' is not known here", text);
}

int value_text(const struct value_reader *reader, const char *group, const char *key,
	       const char *text, char *out, size_t room)
{
	size_t length = text ? strlen(text) : 0;
	char fix[64];

	if (!text)
		return 0;
	for (size_t i = 0; i < length; i++)
		if ((unsigned char)text[i] < ' ' || text[i] == 0x7f)
			return value_refuse(reader, group, key, "write it on one line",
					    "it holds a control character");
	if (length >= room) {
		snprintf(fix, sizeof(fix), "at most %zu bytes", room - 1);
		return value_refuse(reader, group, key, fix, "it is %zu bytes long", length);
	}
	memset(out, 0, room);
	memcpy(out, text, length);
	return 0;
}

int value_name(const struct value_reader *reader, const char *group, const char *key,
	       const char *text, char *out, size_t room)
{
	static const char allowed[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
				      "0123456789._-";

	if (text && (!*text || text[strspn(text, allowed)]))
		return value_refuse(reader, group, key,
				    "use letters, digits, '.', '_' and '-' only",
				    "'%.60s' cannot be a name", text);
	return value_text(reader, group, key, text, out, room);
}

int value_unique(const struct value_reader *reader, const char *group, const char *names,
		 size_t stride, size_t i)
{
	for (size_t k = 0; k < i && names[i * stride]; k++)
		if (!strcmp(names + k * stride, names + i * stride))
			return value_refuse(reader, group, "name", "give each a name of its own",
					    "'%s' was given before", names + i * stride);
	return 0;
}
