/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/base/diag.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "lib/base/types.h"

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

/* What to do about an errno of the system where the caller knows nothing better; NULL: nothing known. */
static const char *diag_advice(int err)
{
	static const struct {
		int err;
		const char *fix;
	} advice[] = {
		{EACCES, "run as a user who may, such as root"},
		{EPERM, "run as a user who may, such as root"},
		{ENOENT, "check the path"},
		{ENOTDIR, "take the file away that stands where a folder is to be"},
		{EISDIR, "take the folder away that stands where a file is to be"},
		{ELOOP, "put the file itself there, not a symbolic link"},
		{ENAMETOOLONG, "choose a shorter path"},
		{ENOSPC, "free some space there"},
		{EDQUOT, "free some space there, or raise the quota"},
		{EFBIG, "raise the limit of the size of files (ulimit -f)"},
		{EROFS, "choose a folder that can be written to"},
		{EIO, "look for errors of the disk in the kernel's log (dmesg)"},
		{EMFILE, "raise the limit of open files (ulimit -n)"},
		{ENFILE, "raise the machine's limit of open files (sysctl fs.file-max)"},
		{ENOMEM, "free memory, or raise the limit that the program has"},
		{EADDRINUSE, "choose another address, or end the program that has it"},
		{EADDRNOTAVAIL, "choose an address that this machine has"},
	};

	for (size_t i = 0; i < ARRAY_LEN(advice); i++)
		if (advice[i].err == -err)
			return advice[i].fix;
	return NULL;
}

int diag_errno(struct diag *d, int err, const char *where, const char *fix, const char *what)
{
	char reason[96];

	if (!d)
		return err;
	diag_place(d, err, where, fix ? fix : diag_advice(err));
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
