/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Messages with descriptors over local sockets that keep messages whole (SOCK_SEQPACKET). Any thread;
 * nothing here waits.
 */
#ifndef VOW_LIB_BASE_PASSING_H
#define VOW_LIB_BASE_PASSING_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#define PASSING_SEND_MAX 64u /* descriptors of a message */
#define PASSING_TAKE_MAX 4u /* that find room in one that is received */

/*
 * Sends a message; the descriptors stay the caller's. 0; -EAGAIN: there is no room now; -ENOMEM: the
 * kernel has no memory to send it; -EPIPE: nobody is there; -ETOOMANYREFS: too many descriptors of
 * this user are on their way, or in a socket that is to go there; else the errno of the kernel.
 */
int passing_send(int fd, const void *bytes, size_t size, const int *fds, unsigned count);

/*
 * Takes the next message, `size` bytes of it at most and the first `max` descriptors, which are the
 * caller's; further ones are closed. flags: those of recvmsg(2); with MSG_PEEK nothing that was sent
 * can be lost by it. Places in fds without one are -1. *cut: there was more than found room. Returns
 * how many bytes, 0 at the end, or a negative errno.
 */
ssize_t passing_receive(int fd, int flags, void *bytes, size_t size, int *fds, unsigned max,
			bool *cut);

#endif
