/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Shares and plain numbers as people write and read them, and quantities for sentences. (Columns of
 * a table are lib/base/str.h.) Numbers are decimal with a point, independent of the locale. Any
 * thread; neither blocks nor allocates.
 */
#ifndef VOW_LIB_BASE_UNITS_H
#define VOW_LIB_BASE_UNITS_H

#include "lib/base/types.h"

/*
 * Parsers return 0, -EINVAL when the text has another form, or -ERANGE when the value does not
 * fit; the output is untouched then.
 */
/* Share: "95%" and "0.95" are the same; 0 .. 1, else -ERANGE. */
int units_parse_ratio(const char *text, double *ratio);
/* A plain number >= 0: "14.4". */
int units_parse_number(const char *text, double *number);

#define UNITS_TEXT_MAX 32 /* room that any of the texts below fits into, with its NUL */

/* str_format_dur() without zeros that say nothing: "200 ms", "10 s", "1.5 s", "1 min 12 s". */
const char *units_format_duration(dur_ns ns, char buf[UNITS_TEXT_MAX]);
/* "31.2 %", "0.02 %", "100 %": three significant digits, never 100 % unless it is. */
const char *units_format_ratio(double ratio, char buf[UNITS_TEXT_MAX]);
/* "0.25", "31.2", "842", "12000": three significant digits, whole above 100. */
const char *units_format_number(double number, char buf[UNITS_TEXT_MAX]);

#endif
