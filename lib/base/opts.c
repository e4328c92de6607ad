/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/base/opts.h"

#include <errno.h>
#include <string.h>

#include "lib/base/str.h"
#include "lib/base/version.h"

/* More rows than any program has; names are gathered on the stack to find the nearest. */
#define OPTS_NAMES_MAX 64
/* Where the help texts begin, and where lines end. */
#define OPTS_HELP_COLUMN 28
#define OPTS_HELP_WIDTH	 90

static const struct opt opts_common[] = {
	{.name = "help", .letter = 'h', .kind = OPT_FLAG, .help = "print this text"},
	{.name = "version", .letter = 'V', .kind = OPT_FLAG, .help = "print the version"},
	{.name = "man", .kind = OPT_FLAG, .help = "print the manual page (for man -l -)"},
};

/* A parse under way. */
struct opts_state {
	const struct opts_program *program;
	int argc;
	char **argv;
	int at; /* argument being read */
	int kept; /* arguments before this one are no options and stay */
	char *out;
	struct diag *d;
};

/* --- finding rows --- */

static const struct opt *opts_row_at(const struct opts_program *program, size_t i)
{
	return i < program->count ? &program->table[i] : &opts_common[i - program->count];
}

static size_t opts_row_count(const struct opts_program *program)
{
	return program->count + ARRAY_LEN(opts_common);
}

static const struct opt *opts_find_name(const struct opts_program *program, const char *name,
					size_t length)
{
	for (size_t i = 0; i < opts_row_count(program); i++) {
		const struct opt *row = opts_row_at(program, i);

		if (strncmp(row->name, name, length) == 0 && row->name[length] == '\0')
			return row;
	}
	return NULL;
}

static const struct opt *opts_find_letter(const struct opts_program *program, char letter)
{
	for (size_t i = 0; i < opts_row_count(program); i++)
		if (opts_row_at(program, i)->letter == letter)
			return opts_row_at(program, i);
	return NULL;
}

static int opts_unknown_name(struct opts_state *s, const char *name, size_t length)
{
	const char *names[OPTS_NAMES_MAX];
	size_t count = 0;
	char word[64], fix[96];
	const char *near;

	for (size_t i = 0; i < opts_row_count(s->program) && count < OPTS_NAMES_MAX; i++)
		names[count++] = opts_row_at(s->program, i)->name;
	snprintf(word, sizeof(word), "%.*s", (int)(length < 63 ? length : 63), name);
	near = str_nearest(word, names, count);
	if (near)
		snprintf(fix, sizeof(fix), "did you mean --%s?", near);
	else
		snprintf(fix, sizeof(fix), "see %s --help", s->program->name);
	return diag_set(s->d, -EINVAL, NULL, fix, "unknown option --%s", word);
}

/* --- values --- */

static int opts_bad_value(struct opts_state *s, const struct opt *row, const char *text, int rc)
{
	char low[STR_FIGURE_SIZE], high[STR_FIGURE_SIZE];
	static const char *const example[] = {
		[OPT_FLAG] = "",
		[OPT_STRING] = "",
		[OPT_U64] = "a whole number, such as 8",
		[OPT_DURATION] = "a time with its unit, such as '150ms' or '3 min'",
		[OPT_BYTES] = "a size, such as '64 MiB'",
		[OPT_CHOICE] = "",
	};

	if (rc == -EINVAL)
		return diag_set(s->d, -EINVAL, NULL, example[row->kind], "--%s: '%s' is no %s",
				row->name, text, row->value);
	if (row->max == 0)
		return diag_set(s->d, -EINVAL, NULL, NULL, "--%s: '%s' is too large", row->name,
				text);
	switch (row->kind) {
	case OPT_DURATION:
		str_format_dur(low, sizeof(low), row->min);
		str_format_dur(high, sizeof(high), row->max);
		break;
	case OPT_BYTES:
		str_format_bytes(low, sizeof(low), row->min);
		str_format_bytes(high, sizeof(high), row->max);
		break;
	case OPT_U64:
	case OPT_FLAG:
	case OPT_STRING:
	case OPT_CHOICE:
		snprintf(low, sizeof(low), "%llu", (unsigned long long)row->min);
		snprintf(high, sizeof(high), "%llu", (unsigned long long)row->max);
		break;
	}
	return diag_set(s->d, -EINVAL, NULL, NULL, "--%s: '%s' is outside of %s to %s", row->name,
			text, low, high);
}

static int opts_set_choice(struct opts_state *s, const struct opt *row, const char *text)
{
	char list[160];
	struct str fix;

	str_init(&fix, list, sizeof(list));
	str_put(&fix, "one of");
	for (int i = 0; row->choices[i]; i++) {
		if (strcmp(row->choices[i], text) == 0) {
			*(int *)(void *)(s->out + row->offset) = i;
			return 0;
		}
		str_printf(&fix, "%s %s", i ? "," : "", row->choices[i]);
	}
	return diag_set(s->d, -EINVAL, NULL, list, "--%s: '%s' is no %s", row->name, text,
			row->value);
}

static int opts_set_number(struct opts_state *s, const struct opt *row, const char *text)
{
	uint64_t number = 0;
	int rc;

	if (row->kind == OPT_DURATION)
		rc = str_parse_dur(text, &number);
	else if (row->kind == OPT_BYTES)
		rc = str_parse_bytes(text, &number);
	else
		rc = str_parse_u64(text, 0, UINT64_MAX, &number);
	if (rc == 0 && row->max && (number < row->min || number > row->max))
		rc = -ERANGE;
	if (rc < 0)
		return opts_bad_value(s, row, text, rc);
	*(uint64_t *)(void *)(s->out + row->offset) = number;
	return 0;
}

static int opts_set_value(struct opts_state *s, const struct opt *row, const char *text)
{
	switch (row->kind) {
	case OPT_FLAG:
		/* The three common ones are outcomes, numbered in the order of their table. */
		if (row >= opts_common && row < opts_common + ARRAY_LEN(opts_common))
			return OPTS_HELP + (int)(row - opts_common);
		*(bool *)(void *)(s->out + row->offset) = true;
		return 0;
	case OPT_STRING:
		*(const char **)(void *)(s->out + row->offset) = text;
		return 0;
	case OPT_CHOICE:
		return opts_set_choice(s, row, text);
	case OPT_U64:
	case OPT_DURATION:
	case OPT_BYTES:
		return opts_set_number(s, row, text);
	}
	return 0;
}

/* The value is `attached` when not NULL, else the next argument, which it takes. */
static int opts_take_value(struct opts_state *s, const struct opt *row, const char *attached)
{
	char fix[96];

	snprintf(fix, sizeof(fix), "write --%s%s%s", row->name, row->value ? " " : "",
		 row->value ? row->value : "");
	if (row->kind == OPT_FLAG) {
		if (attached)
			return diag_set(s->d, -EINVAL, NULL, fix, "--%s takes no value", row->name);
		return opts_set_value(s, row, NULL);
	}
	if (!attached) {
		if (s->at + 1 >= s->argc)
			return diag_set(s->d, -EINVAL, NULL, fix, "--%s lacks its %s", row->name,
					row->value);
		attached = s->argv[++s->at];
	}
	return opts_set_value(s, row, attached);
}

static int opts_take_long(struct opts_state *s, const char *text)
{
	size_t length = strcspn(text, "=");
	const struct opt *row = opts_find_name(s->program, text, length);

	if (!row)
		return opts_unknown_name(s, text, length);
	return opts_take_value(s, row, text[length] == '=' ? text + length + 1 : NULL);
}

/* "-ab" sets two flags, "-nVALUE" one value. */
static int opts_take_letters(struct opts_state *s, const char *text)
{
	for (; *text; text++) {
		const struct opt *row = opts_find_letter(s->program, *text);
		int rc;

		if (!row) {
			char fix[96];

			snprintf(fix, sizeof(fix), "see %s --help", s->program->name);
			return diag_set(s->d, -EINVAL, NULL, fix, "unknown option -%c", *text);
		}
		if (row->kind != OPT_FLAG)
			return opts_take_value(s, row, text[1] ? text + 1 : NULL);
		rc = opts_set_value(s, row, NULL);
		if (rc != 0)
			return rc;
	}
	return 0;
}

static void opts_keep(struct opts_state *s, int *argc)
{
	s->argv[s->kept] = NULL;
	*argc = s->kept;
}

int opts_parse(const struct opts_program *program, int *argc, char **argv, void *out,
	       struct diag *d)
{
	struct opts_state s = {program, *argc, argv, 1, 1, out, d};

	for (; s.at < s.argc; s.at++) {
		char *text = argv[s.at];
		int rc = 0;

		if (strcmp(text, "--") == 0) {
			s.at++;
			break;
		}
		if (strncmp(text, "--", 2) == 0)
			rc = opts_take_long(&s, text + 2);
		else if (text[0] == '-' && text[1])
			rc = opts_take_letters(&s, text + 1);
		else
			argv[s.kept++] = text;
		if (rc < 0)
			return rc;
		if (rc > 0) {
			opts_keep(&s, argc);
			return rc;
		}
	}
	for (; s.at < s.argc; s.at++)
		argv[s.kept++] = argv[s.at];
	opts_keep(&s, argc);
	return 0;
}

/* --- help and manual --- */

/*
 * Breaks the text at spaces to lines that begin at `column`; the first is already there. Line ends
 * of the text itself part paragraphs.
 */
static void opts_print_wrapped(FILE *to, const char *text, int column)
{
	int at = column;

	while (*text) {
		int length = (int)strcspn(text, " \n");

		if (*text == '\n') {
			fputc(*text++, to);
			at = column;
			continue;
		}
		if (at > column && at + 1 + length > OPTS_HELP_WIDTH) {
			fprintf(to, "\n%*s", column, "");
			at = column;
		}
		if (at > column)
			at += fprintf(to, " ");
		at += fprintf(to, "%.*s", length, text);
		text += length;
		text += strspn(text, " ");
	}
	fputc('\n', to);
}

static void opts_print_entry(FILE *to, const char *left, const char *help)
{
	int at = fprintf(to, "  %s", left);

	if (at >= OPTS_HELP_COLUMN)
		fprintf(to, "\n%*s", OPTS_HELP_COLUMN, "");
	else
		fprintf(to, "%*s", OPTS_HELP_COLUMN - at, "");
	opts_print_wrapped(to, help, OPTS_HELP_COLUMN);
}

/* An entry of a list that is parted by ", " is the name. */
static bool opts_names(const char *list, const char *name)
{
	size_t length = strlen(name);

	for (const char *at = list; at; at = strchr(at, ',')) {
		at += strspn(at, ", ");
		if (strncmp(at, name, length) == 0 && (at[length] == ',' || !at[length]))
			return true;
	}
	return false;
}

/* Those that the word obeys; all without a word. */
static void opts_print_options(const struct opts_program *program, const struct opts_word *word,
			       FILE *to)
{
	fprintf(to, "\nOptions:\n");
	for (size_t i = 0; i < opts_row_count(program); i++) {
		const struct opt *row = opts_row_at(program, i);
		char left[80], letter[] = "-x, ";

		if (word && row->words && !opts_names(row->words, word->name))
			continue;
		letter[1] = row->letter;
		snprintf(left, sizeof(left), "%s--%s%s%s", row->letter ? letter : "    ", row->name,
			 row->value ? " " : "", row->value ? row->value : "");
		opts_print_entry(to, left, row->help);
	}
}

void opts_help_word(const struct opts_program *program, const struct opts_word *word, FILE *to)
{
	fprintf(to, "%s %s - %s\n\nUsage: %s %s [OPTION]...%s%s\n", program->name, word->name,
		word->help, program->name, word->name, word->usage ? " " : "",
		word->usage ? word->usage : "");
	opts_print_options(program, word, to);
	if (word->more) {
		fputc('\n', to);
		opts_print_wrapped(to, word->more, 0);
	}
	if (word->example)
		fprintf(to, "\nExample: %s\n", word->example);
}

/* How many arguments from argv[1] on are the words of the name; 0: others. */
static int opts_word_length(const char *name, int argc, char **argv)
{
	int count = 1;

	for (const char *at = name; *at; count++) {
		size_t length = strcspn(at, " ");

		if (count >= argc || strlen(argv[count]) != length ||
		    memcmp(argv[count], at, length) != 0)
			return 0;
		at += length;
		at += *at == ' ';
	}
	return count - 1;
}

const struct opts_word *opts_find_word(const struct opts_program *program, int argc, char **argv)
{
	const struct opts_word *found = NULL;
	int longest = 0;

	for (const struct opts_word *word = program->words; word && word->name; word++) {
		int length = opts_word_length(word->name, argc, argv);

		if (length > longest) {
			longest = length;
			found = word;
		}
	}
	return found;
}

void opts_help(const struct opts_program *program, FILE *to)
{
	fprintf(to, "%s - %s\n\nUsage: %s %s\n", program->name, program->purpose, program->name,
		program->usage);
	if (program->words)
		fprintf(to, "\nCommands:\n");
	for (const struct opts_word *word = program->words; word && word->name; word++)
		opts_print_entry(to, word->name, word->help);
	opts_print_options(program, NULL, to);
	if (program->about) {
		fputc('\n', to);
		opts_print_wrapped(to, program->about, 0);
	}
}

/* Text for roff: a dash stays a dash, a backslash too, and no line begins as a request. */
static void opts_print_roff(FILE *to, const char *text)
{
	bool line_start = true;

	for (; *text; text++) {
		if (line_start && (*text == '.' || *text == '\''))
			fputs("\\&", to);
		if (*text == '-')
			fputs("\\-", to);
		else if (*text == '\\')
			fputs("\\e", to);
		else if (*text == '\n' && text[1] == '\n')
			fputs("\n.PP", to);
		else
			fputc(*text, to);
		line_start = *text == '\n';
	}
}

static void opts_print_roff_entry(FILE *to, const char *left, const char *value, const char *help)
{
	fputs(".TP\n\\fB", to);
	opts_print_roff(to, left);
	fputs("\\fR", to);
	if (value)
		fprintf(to, " \\fI%s\\fR", value);
	fputc('\n', to);
	opts_print_roff(to, help);
	fputc('\n', to);
}

/* What a word has beyond its line stands in the same indented block. */
static void opts_print_roff_word(FILE *to, const struct opts_word *word)
{
	opts_print_roff_entry(to, word->name, word->usage, word->help);
	if (word->more) {
		fputs(".IP\n", to);
		opts_print_roff(to, word->more);
		fputc('\n', to);
	}
	if (word->example) {
		fputs(".IP\nExample: ", to);
		opts_print_roff(to, word->example);
		fputc('\n', to);
	}
}

void opts_man(const struct opts_program *program, FILE *to)
{
	fprintf(to, ".TH \"%s\" %d \"\" \"vow %s\"\n.SH NAME\n", program->name, program->section,
		VOW_VERSION);
	opts_print_roff(to, program->name);
	fputs(" \\- ", to);
	opts_print_roff(to, program->purpose);
	fprintf(to, "\n.SH SYNOPSIS\n.B %s\n", program->name);
	opts_print_roff(to, program->usage);
	fputc('\n', to);
	if (program->about) {
		fputs(".SH DESCRIPTION\n", to);
		opts_print_roff(to, program->about);
		fputc('\n', to);
	}
	if (program->words)
		fputs(".SH COMMANDS\n", to);
	for (const struct opts_word *word = program->words; word && word->name; word++)
		opts_print_roff_word(to, word);
	fputs(".SH OPTIONS\n", to);
	for (size_t i = 0; i < opts_row_count(program); i++) {
		const struct opt *row = opts_row_at(program, i);
		char left[80], letter[] = "-x, ";

		letter[1] = row->letter;
		snprintf(left, sizeof(left), "%s--%s", row->letter ? letter : "", row->name);
		opts_print_roff_entry(to, left, row->value, row->help);
	}
}

/* --- for main() --- */

static int opts_print_mistake(const struct opts_program *program, const struct diag *d)
{
	char line[sizeof(struct diag) + 16], safe[2048];
	struct str s;

	diag_format(d, line, sizeof(line));
	str_init(&s, safe, sizeof(safe));
	str_put_escaped(&s, line, strlen(line));
	fprintf(stderr, "%s: %s\n", program->name, safe);
	return 2;
}

int opts_begin(const struct opts_program *program, int *argc, char **argv, void *out)
{
	const struct opts_word *word;
	struct diag d;
	int rc = opts_parse(program, argc, argv, out, &d);

	switch (rc) {
	case 0:
		return -1;
	case OPTS_HELP:
		word = opts_find_word(program, *argc, argv);
		if (word)
			opts_help_word(program, word, stdout);
		else
			opts_help(program, stdout);
		return 0;
	case OPTS_VERSION:
		printf("%s %s\n", program->name, VOW_VERSION);
		return 0;
	case OPTS_MAN:
		opts_man(program, stdout);
		return 0;
	default:
		return opts_print_mistake(program, &d);
	}
}

int opts_unknown_word(const struct opts_program *program, const char *word)
{
	const char *names[OPTS_NAMES_MAX];
	size_t count = 0;
	struct diag d;
	char fix[96];
	const char *near;

	for (const struct opts_word *w = program->words; w && w->name && count < OPTS_NAMES_MAX;
	     w++)
		names[count++] = w->name;
	near = str_nearest(word, names, count);
	if (near)
		snprintf(fix, sizeof(fix), "did you mean '%s'?", near);
	else
		snprintf(fix, sizeof(fix), "see %s --help", program->name);
	diag_set(&d, -EINVAL, NULL, fix, "unknown command '%s'", word);
	return opts_print_mistake(program, &d);
}
