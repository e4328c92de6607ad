/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What encoder, decoder and JSON of views must agree on: the version of control.proto, and which
 * parts of the board belong to which view. Inside view/ only.
 */
#ifndef VOW_VIEW_PROTOCOL_H
#define VOW_VIEW_PROTOCOL_H

#include "view/view.h"

#define VIEW_PROTOCOL 1

enum view_part {
	VIEW_PART_COLLECTORS = 1 << 0,
	VIEW_PART_OBJECTIVES = 1 << 1,
	VIEW_PART_ALERTS = 1 << 2,
	VIEW_PART_SCALERS = 1 << 3,
	VIEW_PART_DECISIONS = 1 << 4,
	VIEW_PART_GAUGES = 1 << 5,
	VIEW_PART_HOSTS = 1 << 6,
	VIEW_PART_TRACED = 1 << 7
};

/* Parts that an answer carries beside the process itself, as enum view_part. */
unsigned view_parts(enum view_what what);

#endif
