/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The list of request headers, and of fields of bodies, that the HTTP programs look for
 * (bpf/http_header.h), made of their names, and what was found as text. Any thread; nothing blocks
 * or allocates.
 */
#ifndef VOW_COLLECTORS_HTTP_NAMES_H
#define VOW_COLLECTORS_HTTP_NAMES_H

#include <stdbool.h>
#include <stddef.h>

#include "bpf/http_record.h"

struct vow_config;

/* Those that the configuration asks for, with a random key. None: headers->count is 0. */
void http_names_of_config(struct http_headers *headers, const struct vow_config *config);

/*
 * Adds a name of at most HTTP_HEADER_NAME characters of those that names of headers have; one '*'
 * in it stands for anything, behind at least two and at most eight characters. False, with nothing
 * added: it is none, or the list is full.
 */
bool http_names_add(struct http_headers *headers, const char *name, enum http_header_kind kind);

/*
 * Adds a field of JSON bodies, whose name has 1 to HTTP_FIELD_NAME letters, digits and "-_.". False,
 * with nothing added: it is none, or there are HTTP_FIELDS_MAX.
 */
bool http_names_add_field(struct http_headers *headers, const char *name);

#define HTTP_TRACE_TEXT 32

/* The trace id in hexadecimal; false when the record has none. */
bool http_names_trace(const struct http_record *record, char text[HTTP_TRACE_TEXT + 1]);

/*
 * The type of event that the request was about; false when there is none, or what stands there is no
 * word of letters, digits and "._-/:" alone.
 */
bool http_names_event(const struct http_record *record, char text[HTTP_EVENT_MAX + 1]);

#endif
