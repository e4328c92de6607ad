/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Command lines from a table: one row an option gives its parsing, its --help and its manual page.
 *
 *	struct hub_options { const char *dir; dur_ns keep; bool verbose; };
 *	static const struct opt hub_table[] = {
 *		OPT(struct hub_options, dir, "dir", 'd', OPT_STRING, "DIR", "keep state here"),
 *		OPT(struct hub_options, keep, "keep", 0, OPT_DURATION, "TIME", "keep it so long",
 *		    .min = NS_PER_H, .max = 9000 * NS_PER_H),
 *	};
 *
 * Every program has --help, --version and --man besides its rows; behind a word that the program
 * knows, --help tells of that word. Options may stand anywhere up
 * to "--"; "--name VALUE", "--name=VALUE", "-n VALUE", "-nVALUE" and "-ab" all work. For the main
 * thread; texts point into argv.
 */
#ifndef VOW_LIB_BASE_OPTS_H
#define VOW_LIB_BASE_OPTS_H

#include <stdbool.h>
#include <stdio.h>

#include "lib/base/diag.h"
#include "lib/base/types.h"

enum opt_kind {
	OPT_FLAG, /* bool: set to true; takes no value */
	OPT_STRING, /* const char * */
	OPT_U64, /* uint64_t, from min to max */
	OPT_DURATION, /* dur_ns, from min to max */
	OPT_BYTES, /* uint64_t, from min to max */
	OPT_CHOICE, /* int: index of the value in `choices` */
};

struct opt {
	const char *name; /* long name, without dashes */
	char letter; /* short name, 0: none */
	enum opt_kind kind;
	const char *value; /* what --help calls the value, "DIR"; NULL for a flag */
	const char *help; /* lower case, no full stop; the default belongs in it */
	size_t offset; /* where the value goes, in bytes */
	uint64_t min, max; /* both 0: any */
	const char *const *choices; /* ended with NULL */
	const char *words; /* names of the words that obey it, ", " between them; NULL: all */
};

/* A row; more members may follow by name. The member's type must be the one its kind tells. */
#define OPT(type, member, long_name, short_name, opt_kind, value_name, help_text, ...)        \
	{                                                                                     \
		.name = (long_name), .letter = (short_name), .kind = (opt_kind),              \
		.value = (value_name), .help = (help_text), .offset = offsetof(type, member), \
		__VA_ARGS__                                                                   \
	}

/* A word that a program takes, "top" or "config check". */
struct opts_word {
	const char *name;
	const char *help;
	const char *usage; /* what stands behind the name beside options, "[FILE]"; or NULL */
	const char *example; /* a command line, or NULL */
	const char *more; /* paragraphs: what stands in which column; or NULL */
};

struct opts_program {
	const char *name; /* "vow-hub" */
	const char *purpose; /* one line, lower case, no full stop */
	const char *usage; /* behind the name: "[OPTION]... COMMAND" */
	const char *about; /* paragraphs for --help's end and the manual, or NULL */
	const struct opt *table;
	size_t count;
	const struct opts_word *words; /* ended by a NULL name; or NULL */
	int section; /* of the manual: 1 for commands, 8 for daemons */
};

/* What opts_parse() found besides 0. */
enum { OPTS_HELP = 1, OPTS_VERSION, OPTS_MAN };

/*
 * Sets the members of `out` that the command line names, the others keep what the caller put there
 * (the defaults). Moves what is no option to argv[1] and on, and sets *argc to match. 0; one of
 * the above, with argv as far as it was read; or -EINVAL with the place, the mistake and a "did you
 * mean" in d.
 */
int opts_parse(const struct opts_program *program, int *argc, char **argv, void *out,
	       struct diag *d);

void opts_help(const struct opts_program *program, FILE *to);
/* Of one word: its usage, the options that it obeys, its example, and what more there is. */
void opts_help_word(const struct opts_program *program, const struct opts_word *word, FILE *to);
/* The word that argv[1] and on begins with, of two the longer one; NULL: none. */
const struct opts_word *opts_find_word(const struct opts_program *program, int argc, char **argv);
void opts_man(const struct opts_program *program, FILE *to);

/*
 * What main() begins with: parses, and either returns -1 to go on, or has printed what was asked
 * for (0) or what is wrong (2) and returns the status to exit with.
 */
int opts_begin(const struct opts_program *program, int *argc, char **argv, void *out);

/* For a word that the program does not know: prints it with the nearest one; returns 2. */
int opts_unknown_word(const struct opts_program *program, const char *word);

#endif
