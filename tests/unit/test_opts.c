/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/opts.h"
#include "tests/unit/check.h"

struct sample {
	const char *dir;
	uint64_t lanes;
	dur_ns tick;
	uint64_t keep;
	int format;
	bool quiet;
	bool all;
};

static const char *const formats[] = {"table", "json", NULL};

static const struct opt table[] = {
	OPT(struct sample, dir, "dir", 'd', OPT_STRING, "DIR", "work below this folder"),
	OPT(struct sample, lanes, "lanes", 'n', OPT_U64, "COUNT", "lanes", .min = 1, .max = 64),
	OPT(struct sample, tick, "tick", 0, OPT_DURATION, "TIME", "time between ticks",
	    .min = NS_PER_MS, .max = NS_PER_MIN),
	OPT(struct sample, keep, "keep", 0, OPT_BYTES, "SIZE",
	    "journal kept at most, which is said in so many words that the line must break "
	    "somewhere"),
	OPT(struct sample, format, "output", 'o', OPT_CHOICE, "FORMAT", "format",
	    .choices = formats),
	OPT(struct sample, quiet, "quiet", 'q', OPT_FLAG, NULL, "say less"),
	OPT(struct sample, all, "all", 'a', OPT_FLAG, NULL, "say all", .words = "routes, route"),
};

static const struct opts_word words[] = {
	{.name = "top", .help = "live view"},
	{.name = "routes", .help = "by route"},
	{.name = "routes suggest",
	 .help = "templates",
	 .usage = "[FILE]",
	 .example = "sample routes suggest x",
	 .more = "COUNT: how many."},
	{.name = NULL},
};

static const struct opts_program program = {
	.name = "sample",
	.purpose = "shows options",
	.usage = "[OPTION]... COMMAND",
	.about = "First paragraph.\n\n.A second with \\ in it.",
	.table = table,
	.count = ARRAY_LEN(table),
	.words = words,
	.section = 1,
};

/* Parses the words of one line; argv keeps pointing into the caller's buffer. */
static int parse(char *line, int *argc, char **argv, struct sample *out, struct diag *d)
{
	*argc = 1;
	argv[0] = NULL;
	for (char *word = strtok(line, "|"); word; word = strtok(NULL, "|"))
		argv[(*argc)++] = word;
	argv[*argc] = NULL;
	return opts_parse(&program, argc, argv, out, d);
}

CHECK_TEST(test_every_form_of_every_kind_is_read)
{
	char line[] = "routes|--dir|/x|-n8|--tick=3 s|--keep|2K|-qa|-o|json|more|--|--dir|-q";
	struct sample s = {0};
	struct diag d;
	char *argv[20];
	int argc;

	CHECK_OK(parse(line, &argc, argv, &s, &d));
	CHECK_STR(s.dir, "/x");
	CHECK_EQ_U64(s.lanes, 8);
	CHECK_EQ_U64(s.tick, 3 * NS_PER_S);
	CHECK_EQ_U64(s.keep, 2048);
	CHECK(s.quiet && s.all);
	CHECK_EQ_I64(s.format, 1);
	CHECK_EQ_I64(argc, 5);
	CHECK_STR(argv[1], "routes");
	CHECK_STR(argv[2], "more");
	CHECK_STR(argv[3], "--dir");
	CHECK_STR(argv[4], "-q");
	CHECK(!argv[5]);
}

CHECK_TEST(test_defaults_stay_and_a_dash_is_a_word)
{
	char line[] = "-";
	struct sample s = {.dir = "/run/vow", .lanes = 4};
	char *argv[4];
	int argc;

	CHECK_OK(parse(line, &argc, argv, &s, NULL));
	CHECK_STR(s.dir, "/run/vow");
	CHECK_EQ_U64(s.lanes, 4);
	CHECK_STR(argv[1], "-");
}

CHECK_TEST(test_each_mistake_is_named_with_its_fix)
{
	static const struct {
		const char *line, *what, *fix;
	} cases[] = {
		{"--dri|x", "unknown option --dri", "did you mean --dir?"},
		{"--zzz", "unknown option --zzz", "see sample --help"},
		{"-z", "unknown option -z", "see sample --help"},
		{"--dir", "--dir lacks its DIR", "write --dir DIR"},
		{"-q|-n", "--lanes lacks its COUNT", "write --lanes COUNT"},
		{"--quiet=yes", "--quiet takes no value", "write --quiet"},
		{"--lanes|x", "--lanes: 'x' is no COUNT", "a whole number, such as 8"},
		{"--lanes|0", "--lanes: '0' is outside of 1 to 64", ""},
		{"--lanes|65", "--lanes: '65' is outside of 1 to 64", ""},
		{"--tick|2 h", "--tick: '2 h' is outside of 1.00 ms to 1 min", ""},
		{"--tick|2", "--tick: '2' is no TIME",
		 "a time with its unit, such as '150ms' or '3 min'"},
		{"--keep|99999999T", "--keep: '99999999T' is too large", ""},
		{"-o|yaml", "--output: 'yaml' is no FORMAT", "one of table, json"},
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct sample s = {.lanes = 7};
		struct diag d;
		char *argv[8], line[64];
		int argc;

		snprintf(line, sizeof(line), "%s", cases[i].line);
		CHECK_RC(parse(line, &argc, argv, &s, &d), -EINVAL);
		CHECK_STR(d.what, cases[i].what);
		CHECK_STR(d.fix, cases[i].fix);
		CHECK_EQ_U64(s.lanes, 7);
	}
}

CHECK_TEST(test_help_version_and_manual_are_outcomes)
{
	char help[] = "-h", version[] = "top|--version", man[] = "--man";
	struct sample s = {0};
	char *argv[4];
	int argc;

	CHECK_RC(parse(help, &argc, argv, &s, NULL), OPTS_HELP);
	CHECK_RC(parse(version, &argc, argv, &s, NULL), OPTS_VERSION);
	CHECK_RC(parse(man, &argc, argv, &s, NULL), OPTS_MAN);
}

static void check_printed(void (*print)(const struct opts_program *, FILE *), const char *expected)
{
	char *text = NULL;
	size_t size;
	FILE *to = open_memstream(&text, &size);

	CHECK(to);
	print(&program, to);
	fclose(to);
	CHECK_STR(text, expected);
	free(text);
}

CHECK_TEST(test_help_lists_every_row_aligned)
{
	check_printed(opts_help,
		      "sample - shows options\n"
		      "\n"
		      "Usage: sample [OPTION]... COMMAND\n"
		      "\n"
		      "Commands:\n"
		      "  top                       live view\n"
		      "  routes                    by route\n"
		      "  routes suggest            templates\n"
		      "\n"
		      "Options:\n"
		      "  -d, --dir DIR             work below this folder\n"
		      "  -n, --lanes COUNT         lanes\n"
		      "      --tick TIME           time between ticks\n"
		      "      --keep SIZE           journal kept at most, which is said in so many "
		      "words that the\n"
		      "                            line must break somewhere\n"
		      "  -o, --output FORMAT       format\n"
		      "  -q, --quiet               say less\n"
		      "  -a, --all                 say all\n"
		      "  -h, --help                print this text\n"
		      "  -V, --version             print the version\n"
		      "      --man                 print the manual page (for man -l -)\n"
		      "\n"
		      "First paragraph.\n"
		      "\n"
		      ".A second with \\ in it.\n");
}

static const struct opts_word *word_of(char *line)
{
	struct sample s = {0};
	char *argv[8];
	int argc;

	CHECK_RC(parse(line, &argc, argv, &s, NULL), OPTS_HELP);
	return opts_find_word(&program, argc, argv);
}

CHECK_TEST(test_help_behind_a_word_is_of_that_word)
{
	char none[] = "--help|top", top[] = "top|-h", two[] = "-q|routes|suggest|--help",
	     more[] = "routes|x|-h", other[] = "rout|-h";

	CHECK(!word_of(none));
	CHECK_STR(word_of(top)->name, "top");
	CHECK_STR(word_of(two)->name, "routes suggest");
	CHECK_STR(word_of(more)->name, "routes");
	CHECK(!word_of(other));
}

CHECK_TEST(test_help_of_a_word_has_the_options_that_it_obeys)
{
	char *text = NULL;
	size_t size;
	FILE *to = open_memstream(&text, &size);

	opts_help_word(&program, &words[2], to);
	fclose(to);
	CHECK_STR_HAS(text, "sample routes suggest - templates\n\n"
			    "Usage: sample routes suggest [OPTION]... [FILE]\n\nOptions:\n");
	CHECK_STR_HAS(text, "--quiet ");
	CHECK(!strstr(text, "--all "));
	CHECK_STR_HAS(text, "\nCOUNT: how many.\n\nExample: sample routes suggest x\n");
	free(text);
	to = open_memstream(&text, &size);
	opts_help_word(&program, &words[1], to);
	fclose(to);
	CHECK_STR_HAS(text, "--all ");
	free(text);
}

CHECK_TEST(test_manual_escapes_what_roff_would_read)
{
	char *text = NULL;
	size_t size;
	FILE *to = open_memstream(&text, &size);

	opts_man(&program, to);
	fclose(to);
	CHECK_STR_HAS(text, "First paragraph.\n.PP\n\\&.A second with \\e in it.\n");
	CHECK_STR_HAS(text, ".TP\n\\fB\\-d, \\-\\-dir\\fR \\fIDIR\\fR\nwork below this folder\n");
	CHECK_STR_HAS(text, ".SH COMMANDS\n.TP\n\\fBtop\\fR\nlive view\n");
	CHECK_STR_HAS(text,
		      "\\fBroutes suggest\\fR \\fI[FILE]\\fR\ntemplates\n.IP\nCOUNT: how many.\n"
		      ".IP\nExample: sample routes suggest x\n");
	free(text);
}

CHECK_MAIN("opts", test_every_form_of_every_kind_is_read, test_defaults_stay_and_a_dash_is_a_word,
	   test_each_mistake_is_named_with_its_fix, test_help_version_and_manual_are_outcomes,
	   test_help_lists_every_row_aligned, test_help_behind_a_word_is_of_that_word,
	   test_help_of_a_word_has_the_options_that_it_obeys,
	   test_manual_escapes_what_roff_would_read)
