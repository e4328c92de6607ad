/* SPDX-License-Identifier: Apache-2.0 */
/* Users behind whose descriptors nobody answers: who they are, in the log and in the status. */
#include <stdio.h>
#include <string.h>

#include "collectors/lanes/lanes.h"
#include "lib/base/log.h"
#include "lib/data/keep_wire.h"

void lanes_on_strangers(void *arg, const struct keep_message *message)
{
	struct lanes *lanes = arg;

	if (message->kind == KEEP_BARRED)
		lanes->keeper_barred = (struct porters_bar){
			.count = message->count, .user = message->user, .pid = (pid_t)message->pid};
	if (message->kind != KEEP_STRANGE || !message->count)
		return;
	lanes_on_strange(lanes, (pid_t)message->pid);
	/* Only of the last one it is known who it was. */
	lanes->refused_total += message->count - 1;
}

bool lanes_strangers_problem(const struct lanes *lanes, char *text, size_t size)
{
	const struct porters_bar *bar = &lanes->barred;

	if (!bar->count)
		return false;
	int length = snprintf(text, size,
			      "process %d of user %u sent a descriptor that is no memory and whose "
			      "file system does not answer: ",
			      bar->pid, bar->user);
	if (length < 0 || (size_t)length >= size)
		return true;
	text += length;
	size -= (size_t)length;
	if (bar->count >= PORTERS_BARRED_MAX)
		snprintf(text, size,
			 "it is one of %u, so applications are found by their processes alone; "
			 "unmount them, or end who serves them",
			 bar->count);
	else if (bar->user)
		snprintf(text, size,
			 "what this user hands over waits for that; unmount it, or end who "
			 "serves it");
	else
		snprintf(text, size, "unmount it, or end who serves it");
	return true;
}

void lanes_strangers_step(struct lanes *lanes)
{
	struct porters_bar bar = discovery_barred(lanes->discovery);
	char text[sizeof(((struct collector_status *)NULL)->problem)];

	if (!bar.count)
		bar = lanes->keeper_barred;
	if (memcmp(&bar, &lanes->barred, sizeof(bar)) == 0)
		return;
	unsigned before = lanes->barred.count;
	lanes->barred = bar;
	if (bar.count > before && lanes_strangers_problem(lanes, text, sizeof(text)))
		log_warn("%s", text);
	else if (!bar.count)
		log_info("every file system behind what applications sent has answered");
	/* Theirs may have been dropped meanwhile. */
	if (bar.count < before)
		discovery_scan_soon(lanes->discovery);
}
