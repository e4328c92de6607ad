/* SPDX-License-Identifier: Apache-2.0 */
#include "config/document.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <yaml.h>

/* Keys of a configuration lie six levels deep at most. */
#define DOCUMENT_DEPTH_MAX 16

struct document {
	yaml_document_t yaml;
	const char *file;
};

/* libyaml numbers lines from 0. */
static void document_line(const char *file, size_t line, char *where, size_t room)
{
	snprintf(where, room, "%.140s:%zu", file, line + 1);
}

static const char *document_fix(const yaml_parser_t *parser, const char *text, size_t size)
{
	if (parser->error == YAML_READER_ERROR)
		return "save the file as UTF-8 text";
	for (size_t i = parser->problem_mark.index; i < size && text[i] != '\n'; i++)
		if (text[i] == '\t')
			return "indent with spaces, not with tabs";
	if (parser->context && strstr(parser->context, "flow"))
		return "close each bracket; within [ ] or { } write names with braces in quotes: "
		       "[\"/users/{id}\"]";
	return "check the indentation and the quotes and brackets near this line";
}

static int document_refuse(const yaml_parser_t *parser, const char *text, size_t size,
			   const char *file, struct diag *d)
{
	char where[160];

	if (parser->error == YAML_MEMORY_ERROR)
		return diag_set(d, -ENOMEM, file, NULL, "no memory for its text");
	document_line(file, parser->problem_mark.line, where, sizeof(where));
	return diag_set(d, -EINVAL, where, document_fix(parser, text, size), "not YAML: %s%s%s",
			parser->problem ? parser->problem : "it cannot be read",
			parser->context ? " " : "", parser->context ? parser->context : "");
}

/* What is read is the first document of a file: there must be no other. */
static int document_check_end(yaml_parser_t *parser, const char *text, size_t size,
			      const char *file, struct diag *d)
{
	yaml_document_t next;
	char where[160];
	bool there;

	if (!yaml_parser_load(parser, &next))
		return document_refuse(parser, text, size, file, d);
	there = yaml_document_get_root_node(&next) != NULL;
	document_line(file, next.start_mark.line, where, sizeof(where));
	yaml_document_delete(&next);
	return there ? diag_set(d, -EINVAL, where, "take out the '---', or what is below it",
				"a second document begins here")
		     : 0;
}

/* Texts are strings from here on: one with a NUL in it would be cut without a word. */
static int document_check_texts(const yaml_document_t *yaml, const char *file, struct diag *d)
{
	for (const yaml_node_t *node = yaml->nodes.start; node < yaml->nodes.top; node++) {
		char where[160];

		if (node->type != YAML_SCALAR_NODE ||
		    strlen((const char *)node->data.scalar.value) == node->data.scalar.length)
			continue;
		document_line(file, node->start_mark.line, where, sizeof(where));
		return diag_set(d, -EINVAL, where, "take the \"\\0\" out",
				"a text holds a NUL character");
	}
	return 0;
}

/* 1 opens a level, -1 closes one. */
static int document_level(yaml_event_type_t type)
{
	bool opens = type == YAML_SEQUENCE_START_EVENT || type == YAML_MAPPING_START_EVENT;
	bool closes = type == YAML_SEQUENCE_END_EVENT || type == YAML_MAPPING_END_EVENT;

	return opens ? 1 : closes ? -1 : 0;
}

/*
 * Refuses what is nested deeper than any key is, before the whole is read: libyaml takes the square
 * of the depth, minutes for a file of 100 KB. Errors of the text are left to document_parse().
 */
static int document_check_depth(const char *text, size_t size, const char *file, struct diag *d)
{
	yaml_parser_t parser;
	yaml_event_t event;
	int depth = 0, rc = 0;
	bool more = true;

	if (!yaml_parser_initialize(&parser))
		return diag_set(d, -ENOMEM, file, NULL, "no memory for its text");
	yaml_parser_set_input_string(&parser, (const unsigned char *)text, size);
	while (more && rc == 0 && yaml_parser_parse(&parser, &event)) {
		more = event.type != YAML_STREAM_END_EVENT;
		depth += document_level(event.type);
		if (depth > DOCUMENT_DEPTH_MAX) {
			char where[160];

			document_line(file, event.start_mark.line, where, sizeof(where));
			rc = diag_set(d, -EINVAL, where, "take brackets or indentation out",
				      "nested deeper than %d levels", DOCUMENT_DEPTH_MAX);
		}
		yaml_event_delete(&event);
	}
	yaml_parser_delete(&parser);
	return rc;
}

static int document_read(const char *text, size_t size, const char *file,
			 struct document **document, struct diag *d)
{
	struct document *parsed = calloc(1, sizeof(*parsed));
	yaml_parser_t parser;
	int rc;

	if (!parsed || !yaml_parser_initialize(&parser)) {
		free(parsed);
		return diag_set(d, -ENOMEM, file, NULL, "no memory for its text");
	}
	parsed->file = file;
	yaml_parser_set_input_string(&parser, (const unsigned char *)text, size);
	/* libyaml leaves an empty document behind where it fails. */
	if (!yaml_parser_load(&parser, &parsed->yaml))
		rc = document_refuse(&parser, text, size, file, d);
	else
		rc = document_check_end(&parser, text, size, file, d);
	yaml_parser_delete(&parser);
	if (rc == 0)
		rc = document_check_texts(&parsed->yaml, file, d);
	if (rc < 0) {
		document_free(parsed);
		return rc;
	}
	*document = parsed;
	return 0;
}

int document_parse(const char *text, size_t size, const char *file, struct document **document,
		   struct diag *d)
{
	int rc = document_check_depth(text, size, file, d);

	return rc ? rc : document_read(text, size, file, document, d);
}

void document_free(struct document *document)
{
	if (!document)
		return;
	yaml_document_delete(&document->yaml);
	free(document);
}

static const yaml_node_t *document_get(const struct document *document, document_node node)
{
	return yaml_document_get_node((yaml_document_t *)&document->yaml, node);
}

document_node document_root(const struct document *document)
{
	/* Nodes are numbered from 1, the root first. */
	return document_get(document, 1) ? 1 : 0;
}

enum document_kind document_kind(const struct document *document, document_node node)
{
	const yaml_node_t *yaml = document_get(document, node);

	if (!yaml)
		return DOCUMENT_NONE;
	switch (yaml->type) {
	case YAML_SCALAR_NODE:
		return DOCUMENT_SCALAR;
	case YAML_SEQUENCE_NODE:
		return DOCUMENT_LIST;
	case YAML_MAPPING_NODE:
		return DOCUMENT_MAP;
	default:
		return DOCUMENT_NONE;
	}
}

const char *document_text(const struct document *document, document_node node)
{
	if (document_kind(document, node) != DOCUMENT_SCALAR)
		return "";
	return (const char *)document_get(document, node)->data.scalar.value;
}

bool document_is_null(const struct document *document, document_node node)
{
	const char *text = document_text(document, node);

	return document_kind(document, node) == DOCUMENT_SCALAR &&
	       document_get(document, node)->data.scalar.style == YAML_PLAIN_SCALAR_STYLE &&
	       (!*text || !strcmp(text, "~") || !strcmp(text, "null"));
}

size_t document_count(const struct document *document, document_node node)
{
	const yaml_node_t *yaml = document_get(document, node);

	if (yaml && yaml->type == YAML_SEQUENCE_NODE)
		return (size_t)(yaml->data.sequence.items.top - yaml->data.sequence.items.start);
	if (yaml && yaml->type == YAML_MAPPING_NODE)
		return (size_t)(yaml->data.mapping.pairs.top - yaml->data.mapping.pairs.start);
	return 0;
}

document_node document_item(const struct document *document, document_node list, size_t i)
{
	return document_get(document, list)->data.sequence.items.start[i];
}

document_node document_key(const struct document *document, document_node map, size_t i)
{
	return document_get(document, map)->data.mapping.pairs.start[i].key;
}

document_node document_value(const struct document *document, document_node map, size_t i)
{
	return document_get(document, map)->data.mapping.pairs.start[i].value;
}

void document_where(const struct document *document, document_node node, char *where, size_t room)
{
	const yaml_node_t *yaml = document_get(document, node);

	if (yaml)
		document_line(document->file, yaml->start_mark.line, where, room);
	else
		snprintf(where, room, "%.150s", document->file);
}

static document_node document_member(const struct document *document, document_node map,
				     const char *name, size_t length)
{
	if (document_kind(document, map) != DOCUMENT_MAP)
		return 0;
	for (size_t i = 0; i < document_count(document, map); i++) {
		const char *key = document_text(document, document_key(document, map, i));

		if (strlen(key) == length && !memcmp(key, name, length))
			return document_value(document, map, i);
	}
	return 0;
}

static document_node document_nth(const struct document *document, document_node list, size_t i)
{
	if (document_kind(document, list) != DOCUMENT_LIST || i >= document_count(document, list))
		return 0;
	return document_item(document, list, i);
}

document_node document_find(const struct document *document, const char *path)
{
	document_node node = document_root(document), next = node;

	while (*path && next) {
		size_t length = strcspn(path, ".[");

		if (*path == '[') {
			next = document_nth(document, node, strtoul(path + 1, NULL, 10));
			path += strcspn(path, "]") + 1;
		} else {
			next = document_member(document, node, path, length);
			path += length;
		}
		path += *path == '.';
		node = next ? next : node;
	}
	return node;
}
