/* SPDX-License-Identifier: Apache-2.0 */
/* What a program and its libraries hold of their own files in memory: code and constants. */
#ifndef VOW_LIB_BASE_IMAGE_H
#define VOW_LIB_BASE_IMAGE_H

#include <stddef.h>

/*
 * Gives back what of it is as in the files, for a program that has started: half of what starting
 * needs is not needed again, and the rest comes back by minor faults, from the kernel's cache. Kept
 * are pages that were written to, those with breakpoints of debuggers and uprobes among them; one
 * that is set at the very microsecond may be lost. Takes 2 ms; any thread. Returns bytes; 0 where
 * the kernel does not tell which pages are which.
 */
size_t image_trim(void);

#endif
