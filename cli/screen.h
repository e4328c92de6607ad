/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The whole terminal for a live page, by ANSI sequences alone: alternate screen, keys without echo,
 * size changes, and the terminal as it was at every end: by key, by signal, across Ctrl-Z. One
 * thread, one screen a process; it takes over the signals named at screen_open().
 */
#ifndef VOW_CLI_SCREEN_H
#define VOW_CLI_SCREEN_H

#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <termios.h>

#include "lib/base/diag.h"
#include "lib/base/types.h"

struct screen { /* the caller's */
	unsigned width, height; /* columns and rows, kept up to date by screen_wait() */
	int signals; /* signalfd */
	sigset_t old_mask;
	struct termios old_mode;
	bool open;
};

enum screen_key { /* what screen_wait() returns besides the character of a key */
		  SCREEN_TIMEOUT = 0,
		  SCREEN_QUIT =
			  -1, /* SIGINT, SIGTERM, SIGHUP, SIGQUIT, or the terminal went away */
		  SCREEN_AGAIN = -2, /* draw again: another size, or back from Ctrl-Z */
		  SCREEN_UP = 256,
		  SCREEN_DOWN,
		  SCREEN_PAGE_UP,
		  SCREEN_PAGE_DOWN,
};

/* stdin and stdout are terminals. -errno with d filled leaves the terminal as it was. */
int screen_open(struct screen *screen, struct diag *d);
void screen_close(struct screen *screen); /* twice is allowed */

/* Waits for a key until the deadline. */
int screen_wait(struct screen *screen, mono_ns deadline);

/* Shows a page whose lines end with screen_line_end(); blocks as long as the terminal does. */
void screen_show(const char *page, size_t size);
const char *screen_line_end(void);

/* Columns of the terminal at fd; when it is none, what COLUMNS of the environment says, else 0. */
unsigned screen_width(int fd);

#endif
