/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The porter: a process that receives what strangers hand over, so that no other one can be held up by
 * it. Behind a descriptor may be a file system that never answers; whoever closes it then stays in the
 * kernel, SIGKILL or not, until that file system ends. One order after the other: who sent it is given
 * up with the connection of which nothing was heard (collectors/lanes/porters.h).
 *
 * Killed at any instruction it takes nothing along: a message is looked at, and stays in the connection
 * until whoever gave the order has what was in it.
 */
#ifndef VOW_KEEP_PORTER_H
#define VOW_KEEP_PORTER_H

/* Carries out the orders that come over fd (lib/data/porter_wire.h), until nobody is there to give any. */
void porter_run(int fd);

#endif
