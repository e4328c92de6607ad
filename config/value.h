/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One value of vow.yaml: parsed, held against its range, or refused with line and fix. Each
 * function takes the path of the group ("objectives[2].alert"), the key in it, and its text; a
 * NULL text is a key that was not given and leaves the output as it is. 0, or -EINVAL with the
 * reader's diag filled. One thread; neither blocks nor allocates.
 */
#ifndef VOW_CONFIG_VALUE_H
#define VOW_CONFIG_VALUE_H

#include <stdbool.h>

#include "config/document.h"
#include "config/mistakes.h"
#include "lib/base/types.h"

struct value_reader {
	const struct document *document;
	struct mistakes *mistakes;
	struct diag *d;
};

#define VALUE_GROUP 64 /* room for the path of a group, "objectives[63]" and the like */

/* Ends the function when a value was refused that what is below needs; each value is a line then. */
#define VALUE_TRY(call)                \
	do {                           \
		int try_rc = (call);   \
		if (try_rc < 0)        \
			return try_rc; \
	} while (0)

/* Ends the function only when nothing more is to be told behind a value that was refused. */
#define VALUE_NEXT(reader, call)                                              \
	do {                                                                  \
		int next_rc = (call);                                         \
		if (!mistakes_pass((reader)->mistakes, next_rc, (reader)->d)) \
			return next_rc;                                       \
	} while (0)

/* Refuses the value at group.key; fix may be NULL; what is a printf format. */
int value_refuse(const struct value_reader *reader, const char *group, const char *key,
		 const char *fix, const char *what, ...) __attribute__((format(printf, 5, 6)));

int value_bool(const struct value_reader *reader, const char *group, const char *key,
	       const char *text, bool *out);
int value_count(const struct value_reader *reader, const char *group, const char *key,
		const char *text, uint64_t min, uint64_t max, uint64_t *out);
int value_size(const struct value_reader *reader, const char *group, const char *key,
	       const char *text, uint64_t min, uint64_t max, uint64_t *out);
int value_duration(const struct value_reader *reader, const char *group, const char *key,
		   const char *text, dur_ns min, dur_ns max, dur_ns *out);
/* As above, and whole seconds, as the judge ticks. */
int value_seconds(const struct value_reader *reader, const char *group, const char *key,
		  const char *text, dur_ns min, dur_ns max, dur_ns *out);
/* "95%" or "0.95", at most max. */
int value_ratio(const struct value_reader *reader, const char *group, const char *key,
		const char *text, double max, double *out);
/* A number > 0. */
int value_number(const struct value_reader *reader, const char *group, const char *key,
		 const char *text, double *out);
/* One of `count` names; out is its place. */
int value_choice(const struct value_reader *reader, const char *group, const char *key,
		 const char *text, const char *const *names, size_t count, int *out);
/* Any text without control characters that fits into room. */
int value_text(const struct value_reader *reader, const char *group, const char *key,
	       const char *text, char *out, size_t room);
/* A name of letters, digits, '.', '_' and '-': it stands in addresses, metrics and file names. */
int value_name(const struct value_reader *reader, const char *group, const char *key,
	       const char *text, char *out, size_t room);
/*
 * Refuses the i-th entry when an earlier one has its name; names are `stride` bytes apart. One
 * without a name was refused before.
 */
int value_unique(const struct value_reader *reader, const char *group, const char *names,
		 size_t stride, size_t i);

#endif
