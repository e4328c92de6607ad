/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What vow understands: its options and commands as the rows that parsing, --help of all and of each
 * command, and the manual are made of.
 */
#ifndef VOW_CLI_USAGE_H
#define VOW_CLI_USAGE_H

#include "lib/base/opts.h"

/* Options are for struct cli_options. */
extern const struct opts_program cli_program;

#endif
