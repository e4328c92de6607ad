/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A YAML text as a tree whose every part knows its line, so that an error can name it. One thread;
 * allocates.
 */
#ifndef VOW_CONFIG_DOCUMENT_H
#define VOW_CONFIG_DOCUMENT_H

#include <stdbool.h>

#include "lib/base/diag.h"

struct document;
typedef int document_node; /* 0: none */

enum document_kind { DOCUMENT_NONE, DOCUMENT_SCALAR, DOCUMENT_LIST, DOCUMENT_MAP };

/*
 * Parses; `file` is the name for error texts, kept by reference. -EINVAL with d saying
 * "file:line", what, and the fix, also for a second document, for texts with a NUL in them and for
 * what is nested absurdly deep; -ENOMEM. A text of comments alone has no root.
 */
int document_parse(const char *text, size_t size, const char *file, struct document **document,
		   struct diag *d);
void document_free(struct document *document); /* NULL is allowed */

document_node document_root(const struct document *document);
enum document_kind document_kind(const struct document *document, document_node node);
/* Text of a scalar; "" of all else. */
const char *document_text(const struct document *document, document_node node);
/* An empty scalar without quotes, or one that says null. */
bool document_is_null(const struct document *document, document_node node);

/* Items of a list, pairs of a map. */
size_t document_count(const struct document *document, document_node node);
document_node document_item(const struct document *document, document_node list, size_t i);
document_node document_key(const struct document *document, document_node map, size_t i);
document_node document_value(const struct document *document, document_node map, size_t i);

/* "vow.yaml:12" for a node; for none the file alone. */
void document_where(const struct document *document, document_node node, char *where, size_t room);

/*
 * The value at a path such as "objectives[2].alert.burn_rate", or the nearest one above it that is
 * there.
 */
document_node document_find(const struct document *document, const char *path);

#endif
