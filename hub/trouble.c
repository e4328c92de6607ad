/* SPDX-License-Identifier: Apache-2.0 */
#include "hub/trouble.h"

#include <stdio.h>
#include <string.h>

#include "lib/base/log.h"

static const char *const trouble_over[TROUBLE_CONCERNS] = {
	[TROUBLE_COMMIT] = "the store takes writes again",
	[TROUBLE_CHECKPOINT] = "checkpoints are written again",
	[TROUBLE_TRIM] = "old raw ticks are deleted again",
	[TROUBLE_FORGET] = "agents that are gone are forgotten again",
};

void trouble_note(struct trouble *trouble, enum trouble_concern concern, int rc,
		  const struct diag *d, const char *then)
{
	char *text = trouble->texts[concern];

	if (!rc) {
		if (text[0])
			log_info("%s", trouble_over[concern]);
		text[0] = '\0';
		return;
	}
	if (strcmp(text, d->what) != 0)
		log_diag(LOG_LEVEL_ERROR, d, then);
	snprintf(text, sizeof(trouble->texts[concern]), "%s", d->what);
}

bool trouble_in(const struct trouble *trouble, enum trouble_concern concern)
{
	return trouble->texts[concern][0] != '\0';
}

const char *trouble_text(const struct trouble *trouble)
{
	for (unsigned i = 0; i < TROUBLE_CONCERNS; i++)
		if (trouble->texts[i][0])
			return trouble->texts[i];
	return "";
}
