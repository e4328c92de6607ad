/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where an application and the agent of one runtime folder meet: the name of the memfd by which
 * the agent finds a segment under /proc/PID/fd, and the socket at which the application hands it
 * over. Both sides compute it from the folder alone. Any thread; may block in the file system.
 */
#ifndef VOW_LIB_DATA_RENDEZVOUS_H
#define VOW_LIB_DATA_RENDEZVOUS_H

#include <stddef.h>
#include <sys/un.h>

#define RENDEZVOUS_DEFAULT_DIR "/run/vow"
#define RENDEZVOUS_NAME_SIZE   13 /* "vow-", eight hex digits, NUL */

/*
 * Writes the memfd name for dir: a hash of its path with symbolic links resolved. While the folder
 * does not exist its parent is resolved instead, so an application may come before its agent.
 * 0; -ENAMETOOLONG.
 */
int rendezvous_name(const char *dir, char name[RENDEZVOUS_NAME_SIZE]);

/* The address of the intake socket below dir. 0; -ENAMETOOLONG: sockets end at 107 bytes. */
int rendezvous_socket(const char *dir, struct sockaddr_un *address);

#endif
