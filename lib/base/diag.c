/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/base/diag.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static void diag_place(struct diag *d, int err, const char *where, const char *fix)
{
	d->err = err;
	snprintf(d->where, sizeof(d->where), "%s", where ? where : "");
	snprintf(d->fix, sizeof(d->fix), "%s", fix ? fix : "");
}

int diag_set(struct diag *d, int err, const char *where, const char *fix, const char *what, ...)
{
	va_list args;

	if (!d)
		return err;
	diag_place(d, err, where, fix);
	va_start(args, what);
	vsnprintf(d->what, sizeof(d->what), what, args);
	va_end(args);
	return err;
}

int diag_errno(struct diag *d, int err, const char *where, const char *fix, const char *what)
{
	char reason[96];

	if (!d)
		return err;
	diag_place(d, err, where, fix);
	snprintf(d->what, sizeof(d->what), "%s: %s", what,
		 strerror_r(-err, reason, sizeof(reason)));
	return err;
}

const char *diag_format(const struct diag *d, char *buf, size_t size)
{
	snprintf(buf, size, "%s%s%s%s%s%s", d->where, d->where[0] ? ": " : "", d->what,
		 d->fix[0] ? " (" : "", d->fix, d->fix[0] ? ")" : "");
	return buf;
}
