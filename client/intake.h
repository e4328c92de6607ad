/* SPDX-License-Identifier: Apache-2.0 */
/* Hands the segment to the agent of a runtime folder. */
#ifndef VOW_CLIENT_INTAKE_H
#define VOW_CLIENT_INTAKE_H

/*
 * Connects to the agent below dir and sends it memfd. Returns the connection, to be held open
 * while the segment lives, or -1 when no agent is there, its queue is full, or the one who listens
 * is neither root, nor this user, nor the owner of dir. Never waits.
 */
int intake_offer(const char *dir, int memfd);

#endif
