/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The log of a program: one line an event on stderr, "2026-11-22T02:25:23.123Z vowd info text".
 * Only programs (agent/, export/, hub/, cli/) log; lib/ and the doors return a struct diag.
 * Any thread; a line is one write(2) and blocks as long as stderr does.
 */
#ifndef VOW_LIB_BASE_LOG_H
#define VOW_LIB_BASE_LOG_H

#include "lib/base/diag.h"

enum log_level { LOG_LEVEL_ERROR, LOG_LEVEL_WARN, LOG_LEVEL_INFO, LOG_LEVEL_DEBUG };

/* Name of the program (kept by reference) and the finest level written; before any other thread. */
void log_init(const char *program, enum log_level level);

void log_line(enum log_level level, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Logs diag_format(d) behind a text that says what the program does about it. */
void log_diag(enum log_level level, const struct diag *d, const char *then);

#define log_error(...) log_line(LOG_LEVEL_ERROR, __VA_ARGS__)
#define log_warn(...)  log_line(LOG_LEVEL_WARN, __VA_ARGS__)
#define log_info(...)  log_line(LOG_LEVEL_INFO, __VA_ARGS__)
#define log_debug(...) log_line(LOG_LEVEL_DEBUG, __VA_ARGS__)

#endif
