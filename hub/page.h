/* SPDX-License-Identifier: Apache-2.0 */
/* The files of the dashboard page, built into the program. Any thread. */
#ifndef VOW_HUB_PAGE_H
#define VOW_HUB_PAGE_H

#include <stdbool.h>
#include <stddef.h>

struct page_file {
	const char *type; /* Content-Type; static storage, as the bytes */
	const void *bytes;
	size_t size;
};

/* False when no file of the page has this path. file may be NULL. */
bool page_find(const char *path, struct page_file *file);

#endif
