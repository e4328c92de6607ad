/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How errors travel.
 *
 * A function that can fail returns int: 0 done; a negative errno handed up unchanged; a positive
 * value is an outcome that its declaration documents and its caller handles. On failure outputs
 * stay untouched. Text for people travels beside the number in a struct diag that the caller owns:
 * where it happened, what is wrong, what to do. The function nearest to the cause fills it once;
 * callers hand it up. lib/ never logs: a program logs the diag where it decides to go on or to
 * give up.
 */
#ifndef VOW_LIB_BASE_DIAG_H
#define VOW_LIB_BASE_DIAG_H

#include <stddef.h>

struct diag {
	int err; /* the negative errno, 0 while nothing is wrong */
	char where[160]; /* "vow.yaml:12", "/run/vow/control.sock"; may be empty */
	char what[240]; /* "unknown key 'objektives'" */
	char fix[240]; /* "did you mean 'objectives'?"; may be empty */
};

/*
 * Fills d and returns err, so that a failing function ends with `return diag_set(d, -EINVAL, ...)`.
 * d may be NULL (the text is dropped). err is a negative errno. where may be NULL. fix may be NULL.
 * what is a printf format for the arguments that follow fix. Each text is cut to its room.
 * Any thread; neither blocks nor allocates.
 */
int diag_set(struct diag *d, int err, const char *where, const char *fix, const char *what, ...)
	__attribute__((format(printf, 5, 6)));

/*
 * Like diag_set with what = strerror(-err) behind the given text ("cannot open: No such file"). With
 * fix NULL it is what helps against that errno in most places, where there is such a thing; "" is none.
 */
int diag_errno(struct diag *d, int err, const char *where, const char *fix, const char *what);

/*
 * Writes "where: what (fix)" on one line, without line end, into buf of size bytes; always ends it
 * with a NUL. Returns buf.
 */
const char *diag_format(const struct diag *d, char *buf, size_t size);

#endif
