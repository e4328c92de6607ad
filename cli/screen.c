/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/screen.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "lib/base/clock.h"
#include "lib/base/fd.h"

/*
 * Alternate screen, no cursor, no wrapping of long lines; and the way back. A page is drawn inside
 * a synchronised update (2026), which terminals that do not know it ignore: no flicker.
 */
#define SCREEN_ENTER "\033[?1049h\033[?25l\033[?7l"
#define SCREEN_LEAVE "\033[?7h\033[?25h\033[?1049l"
#define SCREEN_BEGIN "\033[?2026h\033[H\033[K"
#define SCREEN_END   "\033[?2026l"

const char *screen_line_end(void)
{
	/* Clears the next line first: behind a full line it would clear its last character. */
	return "\r\n\033[K";
}

static void screen_write(const char *text)
{
	(void)fd_write_full(STDOUT_FILENO, text, strlen(text));
}

unsigned screen_width(int fd)
{
	const char *columns = getenv("COLUMNS");
	struct winsize size;
	long width;

	if (ioctl(fd, TIOCGWINSZ, &size) == 0)
		return size.ws_col;
	width = columns ? strtol(columns, NULL, 10) : 0;
	return width > 0 && width <= UINT16_MAX ? (unsigned)width : 0;
}

static void screen_measure(struct screen *screen)
{
	struct winsize size;

	screen->width = 80;
	screen->height = 24;
	if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col && size.ws_row) {
		screen->width = size.ws_col;
		screen->height = size.ws_row;
	}
}

static void screen_enter(struct screen *screen)
{
	struct termios mode = screen->old_mode;

	mode.c_lflag &= ~(tcflag_t)(ICANON | ECHO);
	mode.c_cc[VMIN] = 0;
	mode.c_cc[VTIME] = 0;
	tcsetattr(STDIN_FILENO, TCSAFLUSH, &mode);
	screen_write(SCREEN_ENTER);
	screen_measure(screen);
}

static void screen_leave(const struct screen *screen)
{
	screen_write(SCREEN_LEAVE);
	tcsetattr(STDIN_FILENO, TCSAFLUSH, &screen->old_mode);
}

int screen_open(struct screen *screen, struct diag *d)
{
	static const int caught[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGTSTP, SIGWINCH};
	sigset_t mask;

	*screen = (struct screen){.signals = -1};
	if (tcgetattr(STDIN_FILENO, &screen->old_mode))
		return diag_errno(d, -errno, "terminal", NULL, "cannot ask its mode");
	sigemptyset(&mask);
	for (size_t i = 0; i < ARRAY_LEN(caught); i++)
		sigaddset(&mask, caught[i]);
	screen->signals = signalfd(-1, &mask, SFD_NONBLOCK | SFD_CLOEXEC);
	if (screen->signals < 0)
		return diag_errno(d, -errno, "terminal", NULL, "cannot wait for signals");
	sigprocmask(SIG_BLOCK, &mask, &screen->old_mask);
	screen_enter(screen);
	screen->open = true;
	return 0;
}

void screen_close(struct screen *screen)
{
	if (!screen->open)
		return;
	screen_leave(screen);
	fd_closep(&screen->signals);
	sigprocmask(SIG_SETMASK, &screen->old_mask, NULL);
	screen->open = false;
}

/* Ctrl-Z: the shell gets its terminal back, and at SIGCONT we take it again. */
static void screen_suspend(struct screen *screen)
{
	screen_leave(screen);
	raise(SIGSTOP);
	screen_enter(screen);
}

static int screen_signal(struct screen *screen)
{
	struct signalfd_siginfo info;

	if (read(screen->signals, &info, sizeof(info)) != (ssize_t)sizeof(info))
		return SCREEN_TIMEOUT;
	switch (info.ssi_signo) {
	case SIGWINCH:
		screen_measure(screen);
		return SCREEN_AGAIN;
	case SIGTSTP:
		screen_suspend(screen);
		return SCREEN_AGAIN;
	default:
		return SCREEN_QUIT;
	}
}

/* One key; arrows and page keys come as sequences that a terminal sends in one piece. */
static int screen_key(void)
{
	static const struct {
		const char *sequence;
		int key;
	} known[] = {
		{"\033[A", SCREEN_UP},	 {"\033OA", SCREEN_UP},	      {"\033[B", SCREEN_DOWN},
		{"\033OB", SCREEN_DOWN}, {"\033[5~", SCREEN_PAGE_UP}, {"\033[6~", SCREEN_PAGE_DOWN},
	};
	char keys[16] = "";
	ssize_t got = read(STDIN_FILENO, keys, sizeof(keys) - 1);

	if (got == 0 || (got < 0 && errno != EAGAIN && errno != EINTR))
		return SCREEN_QUIT; /* the terminal is gone */
	if (got < 0)
		return SCREEN_TIMEOUT;
	for (size_t i = 0; i < ARRAY_LEN(known); i++)
		if (strcmp(keys, known[i].sequence) == 0)
			return known[i].key;
	return keys[0] == '\033' ? SCREEN_AGAIN : (unsigned char)keys[0];
}

int screen_wait(struct screen *screen, mono_ns deadline)
{
	struct pollfd ready[] = {{.fd = screen->signals, .events = POLLIN},
				 {.fd = STDIN_FILENO, .events = POLLIN}};
	mono_ns now = clock_mono();
	int count;

	if (now >= deadline)
		return SCREEN_TIMEOUT;
	count = poll(ready, ARRAY_LEN(ready), (int)((deadline - now) / NS_PER_MS) + 1);
	if (count <= 0)
		return SCREEN_TIMEOUT;
	return ready[0].revents ? screen_signal(screen) : screen_key();
}

void screen_show(const char *page, size_t size)
{

	screen_write(SCREEN_BEGIN);
	(void)fd_write_full(STDOUT_FILENO, page, size);
	screen_write(SCREEN_END);
}
